"""A strategy that always wants the same position: for drills, benchmarks and tests of everything behind the signal.

What it believes: nothing. On every change of its books it wants `target` units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from hftkit.codes import SignalReason
from hftkit.kernels.arrays import BookArray, EventArray, Float64Array, HeldArray, Int64Array, SignalArray
from hftkit.kernels.jit import kernel
from hftkit.strategies import Strategy

if TYPE_CHECKING:
    from hftkit.params.format import FrozenParams


class FixedTargetParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`target`: units wanted, -1, 0 or +1."""

    target: Annotated[int, msgspec.Meta(ge=-1, le=1)]


TARGET = 0
_ENTRY, _EXIT = int(SignalReason.ENTRY), int(SignalReason.EXIT)


@kernel
def on_book(
    slot: int,
    event: EventArray,
    book: BookArray,
    watch: Int64Array,
    held: HeldArray,
    params: Float64Array,
    state: Float64Array,
    signal: SignalArray,
) -> int:
    """Write the fixed target into SIGNAL[slot]. Arguments as in hftkit/kernels/hooks.py."""
    s = signal[slot]
    s.ts_event = event[0].ts_event
    s.target = int(params[TARGET])
    s.reason = _ENTRY if s.target != 0 else _EXIT
    return s.reason


def pack_params(frozen: FrozenParams) -> np.ndarray:
    """Kernel parameters float64 (1,)."""
    return np.array([STRATEGY.check(frozen, frozen.name).target], np.float64)


def pack_state(frozen: FrozenParams) -> np.ndarray:
    """No state: float64 (1,)."""
    return np.zeros(1, np.float64)


STRATEGY = Strategy(
    name="fixed_target",
    version=1,
    module="hftkit.strategies.fixed_target",
    schema=FixedTargetParams,
    pack_params=pack_params,
    pack_state=pack_state,
    policies=("pair", "single", "basket"),
    beliefs="nothing: it wants the same position whatever the market does",
)
