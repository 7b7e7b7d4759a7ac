"""Changes of open orders: one is cancelled, or its price and quantity are replaced."""

from __future__ import annotations

from typing import Any

from hftkit.codes import OrderFlag, OrderType, Reject, TimeInForce
from hftkit.exchange.core.filters import filter_order
from hftkit.exchange.core.ladder import find_key
from hftkit.exchange.core.layout import WAITING, Op
from hftkit.exchange.trading.margin import lacks_margin
from hftkit.exchange.trading.orders import carry_out
from hftkit.exchange.trading.records import record_refusal
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inner_kernel

_CANCEL, _REPLACE, _LIMIT, _GTC = int(Op.CANCEL), int(Op.REPLACE), int(OrderType.LIMIT), int(TimeInForce.GTC)
_BAD_PRICE, _BAD_TYPE, _NO_MARGIN = int(Reject.VENUE_BAD_PRICE), int(Reject.VENUE_BAD_TYPE), int(Reject.VENUE_INSUFFICIENT_MARGIN)
_ALL_FLAGS = sum(int(flag) for flag in OrderFlag)


@inner_kernel
def cancel_order(venue: Exchange, account: int, instrument: int, client_order_id: int) -> int:
    """Cancel an open order by its id. Returns a Reject code, or 0."""
    command = venue.command[0]
    command.op, command.instrument, command.account = _CANCEL, instrument, account
    command.client_order_id = client_order_id
    return carry_out(venue, command)


@inner_kernel
def _replace_refusal(venue: Exchange, account: int, body: Any) -> int:
    """The filters of a new order, as far as they concern price and quantity. An order that is not there is the matching engine's to refuse."""
    slot = find_key(venue.books.table, account, body[0])
    if body[1] <= 0:
        return _BAD_PRICE
    if slot == 0:
        return 0
    order, command = venue.books.orders[slot], venue.command[0]
    if order.flags & WAITING:
        return _BAD_TYPE
    command.instrument, command.account, command.side, command.order_type = order.instrument, account, order.side, _LIMIT
    command.time_in_force, command.flags, command.price, command.qty = _GTC, order.flags & _ALL_FLAGS, body[1], body[2]
    command.trigger_price = command.expire_ts = 0
    limits, top = venue.limits[command.instrument], venue.books.tops[command.instrument]
    reason = filter_order(command, limits, top, 0, top.base + venue.books.levels.shape[1])
    if reason != 0:
        return reason
    command.qty -= order.filled
    return _NO_MARGIN if lacks_margin(venue, command, order.price * order.leaves) else 0


@inner_kernel
def replace_order(venue: Exchange, account: int, instrument: int, body: Any) -> int:
    """Change price and total quantity of an open order. `body`: int64 (3,), client_order_id, ticks, lots. Returns a Reject code, or 0."""
    command = venue.command[0]
    reason = _replace_refusal(venue, account, body)
    if reason != 0:
        record_refusal(venue, account, instrument, body[0], reason, False)
        return reason
    command.op, command.instrument, command.account = _REPLACE, instrument, account
    command.client_order_id, command.price, command.qty, command.flags = body[0], body[1], body[2], 0
    return carry_out(venue, command)
