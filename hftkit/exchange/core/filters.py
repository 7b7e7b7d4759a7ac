"""Filters: what a client's order must be before it may meet the book, each with its code. The plain twin is filters_plain.py.

In this order: known type, side, time in force and flags, and post-only only for what may rest (407); market open (414); quantity within its
limits (403); a price where one is needed (402); number of open orders (410); notional not beyond reason (403) and not below the minimum (404,
reduce-only orders exempt); price band round the mark (405). Prices are whole ticks and quantities whole lots by construction of the protocol.
"""

from __future__ import annotations

from hftkit.codes import OrderFlag, OrderType, Reject, Side, TimeInForce
from hftkit.exchange.core.records import CommandRecord, LimitsRecord, TopRecord
from hftkit.kernels.jit import inner_kernel, kernel

_BUY, _IOC, _FOK, _GTD = int(Side.BUY), int(TimeInForce.IOC), int(TimeInForce.FOK), int(TimeInForce.GTD)
_LIMIT, _MARKET, _LAST_TYPE = int(OrderType.LIMIT), int(OrderType.MARKET), int(OrderType.TAKE_PROFIT_LIMIT)
_STOP_LIMIT = int(OrderType.STOP_LIMIT)
_POST_ONLY, _REDUCE_ONLY, _ALL_FLAGS = int(OrderFlag.POST_ONLY), int(OrderFlag.REDUCE_ONLY), sum(int(flag) for flag in OrderFlag)
_OK, _BAD_TYPE, _BAD_QTY, _BAD_PRICE = int(Reject.NONE), int(Reject.VENUE_BAD_TYPE), int(Reject.VENUE_BAD_QTY), int(Reject.VENUE_BAD_PRICE)
_MIN_NOTIONAL, _BAND, _TOO_MANY = int(Reject.VENUE_MIN_NOTIONAL), int(Reject.VENUE_PRICE_BAND), int(Reject.VENUE_TOO_MANY_ORDERS)
_CLOSED = int(Reject.VENUE_MARKET_CLOSED)
MAX_NOTIONAL_E8 = 2**60
_PPM = 1_000_000


@inner_kernel
def mark_price(top: TopRecord) -> int:
    """The price at which positions are valued, ticks: the last trade, kept within the spread; 0 if there never was a price."""
    if top.bid != 0 and top.ask != 0:
        if top.last == 0:
            return (top.bid + top.ask) // 2
        return min(max(top.last, top.bid), top.ask)
    return top.last if top.last != 0 else max(top.bid, top.ask)


@inner_kernel
def reference_price(command: CommandRecord, top: TopRecord, highest: int) -> int:
    """The price at which an order is valued, ticks: its limit, its trigger, or what the market offers; never above `highest`. 0: unknown."""
    if command.order_type == _LIMIT or command.order_type == _STOP_LIMIT or command.order_type == _LAST_TYPE:
        price = command.price
    elif command.order_type != _MARKET:
        price = command.trigger_price
    else:
        price = top.ask if command.side == _BUY else top.bid
    return min(price, highest)


@kernel
def filter_order(command: CommandRecord, limits: LimitsRecord, top: TopRecord, n_open: int, highest: int) -> int:
    """Reject code of a new order, 0 if it passes. `command`: COMMAND record, `limits`: LIMITS, `top`: TOP; `n_open`: count of the
    account's open orders; `highest`: highest price of the window in ticks."""
    kind = command.order_type
    if not (0 <= command.side <= 1 and 0 <= kind <= _LAST_TYPE and 0 <= command.time_in_force <= _GTD and 0 <= command.flags <= _ALL_FLAGS):
        return _BAD_TYPE
    has_limit = kind == _LIMIT or kind == _STOP_LIMIT or kind == _LAST_TYPE
    if command.flags & _POST_ONLY and not (has_limit and command.time_in_force != _IOC and command.time_in_force != _FOK):
        return _BAD_TYPE
    if limits.open == 0:
        return _CLOSED
    if command.qty < limits.min_qty or command.qty > limits.max_qty:
        return _BAD_QTY
    if (has_limit and command.price <= 0) or (kind > _MARKET and command.trigger_price <= 0):
        return _BAD_PRICE
    if n_open >= limits.max_open:
        return _TOO_MANY
    price = reference_price(command, top, highest)
    if price > 0:
        if command.qty > MAX_NOTIONAL_E8 // (price * limits.tick_lot_e8):
            return _BAD_QTY
        if command.flags & _REDUCE_ONLY == 0 and command.qty * price * limits.tick_lot_e8 < limits.min_notional_e8:
            return _MIN_NOTIONAL
    mark = mark_price(top)
    if has_limit and limits.band_ppm > 0 and mark > 0 and command.price <= highest:
        if abs(command.price - mark) > mark // _PPM * limits.band_ppm + mark % _PPM * limits.band_ppm // _PPM:
            return _BAND
    return _OK
