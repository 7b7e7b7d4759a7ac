"""The filters in plain Python: the readable twin of filters.py, with Python's integers of any size."""

from __future__ import annotations

from hftkit.codes import OrderFlag, OrderType, Reject, Side, TimeInForce

_LIMITS = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
Values = dict[str, int]  # fields of a record by name


def plain_mark(top: Values) -> int:
    """The last trade, kept within the spread."""
    bid, ask, last = top["bid"], top["ask"], top["last"]
    if bid and ask:
        return sorted((bid, last, ask))[1] if last else (bid + ask) // 2
    return last or bid or ask


def plain_filter(command: Values, limits: Values, top: Values, n_open: int, highest: int) -> Reject:
    """The first rule that a new order breaks."""
    types, flags = [int(t) for t in OrderType], sum(OrderFlag)
    if command["order_type"] not in types or command["side"] not in (0, 1) or command["time_in_force"] not in [int(t) for t in TimeInForce]:
        return Reject.VENUE_BAD_TYPE
    if command["flags"] & ~flags:
        return Reject.VENUE_BAD_TYPE
    kind = OrderType(command["order_type"])
    if command["flags"] & OrderFlag.POST_ONLY and (kind not in _LIMITS or command["time_in_force"] in (TimeInForce.IOC, TimeInForce.FOK)):
        return Reject.VENUE_BAD_TYPE
    if not limits["open"]:
        return Reject.VENUE_MARKET_CLOSED
    if not limits["min_qty"] <= command["qty"] <= limits["max_qty"]:
        return Reject.VENUE_BAD_QTY
    if kind in _LIMITS and command["price"] <= 0:
        return Reject.VENUE_BAD_PRICE
    if kind not in (OrderType.LIMIT, OrderType.MARKET) and command["trigger_price"] <= 0:
        return Reject.VENUE_BAD_PRICE
    if n_open >= limits["max_open"]:
        return Reject.VENUE_TOO_MANY_ORDERS
    touch = top["ask"] if command["side"] == Side.BUY else top["bid"]
    price = command["price"] if kind in _LIMITS else touch if kind == OrderType.MARKET else command["trigger_price"]
    notional = min(price, highest) * command["qty"] * limits["tick_lot_e8"]
    if notional > 2**60:
        return Reject.VENUE_BAD_QTY
    if price and notional < limits["min_notional_e8"] and not command["flags"] & OrderFlag.REDUCE_ONLY:
        return Reject.VENUE_MIN_NOTIONAL
    mark, band = plain_mark(top), limits["band_ppm"]
    outside = abs(command["price"] - mark) * 1_000_000 > mark * band
    if kind in _LIMITS and band and mark and command["price"] <= highest and outside:
        return Reject.VENUE_PRICE_BAND
    return Reject.NONE
