"""What a frozen file may still want once its validity is over, by the venue's clock: no new position; what is open is led to its end.

    state of pair or basket  target of the strategy          what is left of it
    OPEN                     the position that is held       the same: the strategy goes on watching its exit
    OPEN                     anything else                   0: the exit is taken, a flip is not
    any other                any                             0: an entry under way is led back, hedges and exits go on

Quotes are pulled, and what they hold is closed.

The reason becomes EXPIRED, so that telemetry and monitor say why nothing is entered; a STOP keeps its own, since it hurries the exit.
"""

from __future__ import annotations

from hftkit.codes import LegState, SignalReason
from hftkit.kernels.arrays import BasketArray, LegsArray, SignalArray, SignalRecord
from hftkit.kernels.jit import kernel

_OPEN, _STOP, _EXPIRED = int(LegState.OPEN), int(SignalReason.STOP), int(SignalReason.EXPIRED)


@kernel
def _cut(s: SignalRecord, state: int, target: int) -> None:
    if state != _OPEN or s.target != target:
        s.target = 0
    if s.reason != _STOP:
        s.reason = _EXPIRED


@kernel
def expire_legs(slot: int, legs: LegsArray, signal: SignalArray) -> None:
    """Cut SIGNAL[slot] to the table above. `legs` LEGS (k,), `signal` SIGNAL (k,): target in units."""
    _cut(signal[slot], legs[slot].state, legs[slot].target)


@kernel
def expire_basket(slot: int, baskets: BasketArray, signal: SignalArray) -> None:
    """The same for a basket: `baskets` BASKET (k,)."""
    _cut(signal[slot], baskets[slot].state, baskets[slot].target)


@kernel
def expire_quotes(slot: int, signal: SignalArray) -> None:
    """Quotes are pulled, and what is held is closed: SIGNAL[slot] says why."""
    signal[slot].reason = _EXPIRED
