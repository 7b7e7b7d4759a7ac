"""Who hears at once, in compiled code, what the venue does: the drop copy, and the dialects that keep up with the venue record by record.

The one place where the neutral side of the exchange meets its dialects. `core/` and `trading/` make records (EXECUTION, BALANCE) and market data
frames, hand them over here, and know nobody who listens. A dialect that works in Python (Binance's) reads the drop copy between two slices; a
dialect that must answer within the turn has its kernels here. All of them hear the same records in the same order.

A direct call and not a buffer that the dialect empties later: one event may bring about others (a trigger, a liquidation) without a bound that
such a buffer could be made for, and the record is still in the processor's cache. numba binds the calls when it compiles, so they cost nothing.

To add a compiled dialect: import what hears, call it in the function of its subject, after those that are there.
"""

from __future__ import annotations

from hftkit.exchange.core.accounts import is_client
from hftkit.exchange.core.layout import BalanceKind
from hftkit.exchange.core.tap import copy_to_tap, tap_balance, tap_execution
from hftkit.exchange.dialects.binary.answers import answer_balance, answer_execution
from hftkit.exchange.dialects.binary.market_data import broadcast
from hftkit.exchange.dialects.binary.send_buffer import listens
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inlined_kernel, inner_kernel

_POSITION = int(BalanceKind.POSITION)


@inlined_kernel
def is_heard(venue: Exchange, account: int) -> bool:
    """Does anybody want the records of this account? Asked before one is made. Those of the house and of the venue nobody hears."""
    return is_client(venue, account) and (venue.tap.state[0].on != 0 or listens(venue, account))


@inlined_kernel
def emit_execution(venue: Exchange) -> None:
    """The record in `venue.tap.execution` is complete."""
    if venue.tap.state[0].on != 0:
        tap_execution(venue.tap)
    account = venue.tap.execution[0].account
    if listens(venue, account):
        answer_execution(venue, account)


@inlined_kernel
def emit_balance(venue: Exchange) -> None:
    """The record in `venue.tap.balance` is complete; its account is -1 where it concerns everybody."""
    row = venue.tap.balance[0]
    if venue.tap.state[0].on != 0 and row.kind != _POSITION:
        tap_balance(venue.tap)
    account = row.account
    if account >= 0 and listens(venue, account):
        answer_balance(venue, account)


@inner_kernel
def emit_market(venue: Exchange, instrument: int, channel: int, n_words: int) -> None:
    """A market data frame of `n_words` stands in `venue.frame`. `channel`: bits of codes.Channel that it belongs to."""
    if venue.tap.state[0].on != 0:
        copy_to_tap(venue.tap, venue.frame, n_words)
    broadcast(venue, instrument, channel, n_words)
