"""Placing, changing, cancelling and querying orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hftkit.codes import OrderFlag, OrderType, Reject
from hftkit.exchange.dialects.binance.market.symbols import Symbol, ratio_text, text_of
from hftkit.exchange.dialects.binance.orders.client_orders import ClientOrder, new_client_id
from hftkit.exchange.dialects.binance.orders.order_json import acknowledgement, client_order_of, fill, queried
from hftkit.exchange.dialects.binance.orders.order_requests import (
    OrderRequest,
    check_notional,
    check_order_request,
    check_percent_price,
    check_position_side,
    read_order_request,
    read_price,
    read_price_match,
    read_qty,
    read_side,
)
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security, Table
from hftkit.exchange.dialects.binance.rest.errors import Refusal, refusal_of
from hftkit.exchange.dialects.binance.rest.parameters import Parameters

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.orders.order_history import Order
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

_OPEN = ("NEW", "PARTIALLY_FILLED")
MOST_AMENDMENTS = 10_000
_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_MS = 1_000_000


# -- placing ---------------------------------------------------------------------------------------------------------


def refused(venue: BinanceDialect, account: int, symbol: Symbol, side: int, reason: int) -> Refusal:
    """The matching engine's Reject code as a refusal.

    A reduce-only order is refused with -2022 where there is nothing to reduce, with -4118 where those before it leave too little.
    """
    if reason == Reject.VENUE_REDUCE_ONLY and venue.reducible(account, symbol, side) == 0:
        return Refusal(-2022)
    return refusal_of(reason, ratio_text(symbol.min_notional))


def enter(venue: BinanceDialect, account: int, order_request: OrderRequest, client_order: ClientOrder) -> Order:
    """Send a checked order to the books. Returns what became of it; raises the refusal of the matching engine."""
    venue.client_orders.keep(account, client_order)
    reason = venue.order_api.place(
        account,
        order_request.symbol.index,
        client_order.number,
        order_request.side,
        order_request.venue_type,
        order_request.venue_time,
        order_request.flags,
        order_request.price,
        order_request.qty,
        order_request.expire_ts,
    )
    venue.catch_up()
    if reason != 0:
        venue.client_orders.drop(account, client_order)
        raise refused(venue, account, order_request.symbol, order_request.side, reason)
    row = venue.store.order(account, client_order.number)
    if row is None:
        raise Refusal(-1000)
    return row


def client_order_for(venue: BinanceDialect, order_request: OrderRequest) -> ClientOrder:
    """The client order of a new order, with its number in the venue."""
    return ClientOrder(
        client_id=order_request.client_id or new_client_id(),
        number=venue.client_orders.next_number(),
        order_type=order_request.order_type,
        orig_type=order_request.order_type,
        time_in_force=order_request.time_in_force,
        stp=order_request.stp,
        price_match=order_request.price_match,
        good_till=order_request.good_till,
    )


def place(venue: BinanceDialect, account: int, params: Parameters, now_ms: int) -> dict[str, object]:
    """A new order; the answer to give."""
    order_request = read_order_request(venue, params, now_ms)
    check_order_request(venue, account, order_request)
    row = enter(venue, account, order_request, client_order_for(venue, order_request))
    final = order_request.result and (order_request.is_market or order_request.time_in_force in ("IOC", "FOK"))
    return acknowledgement(venue, row, as_new=not final)


def _post(call: Call) -> Any:
    return place(call.venue, call.account, call.params, call.now_ms)


def _test(call: Call) -> Any:
    """All checks short of the books; the answer has the shape of a real one."""
    venue, order_request = call.venue, read_order_request(call.venue, call.params, call.now_ms)
    check_order_request(venue, call.account, order_request)
    symbol, client_order = order_request.symbol, client_order_for(venue, order_request)
    zero = symbol.qty(0)
    return {
        "orderId": 0,
        "symbol": symbol.name,
        "status": "NEW",
        "clientOrderId": client_order.client_id,
        "price": symbol.price(order_request.price),
        "avgPrice": "0.00",
        "origQty": symbol.qty(order_request.qty),
        "executedQty": zero,
        "cumQty": zero,
        "cumQuote": text_of(0, 5),
        "timeInForce": order_request.time_in_force,
        "type": order_request.order_type,
        "reduceOnly": order_request.reduce_only,
        "closePosition": False,
        "side": "BUY" if order_request.side == 0 else "SELL",
        "positionSide": "BOTH",
        "stopPrice": symbol.price(0),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order_request.order_type,
        "priceMatch": order_request.price_match,
        "selfTradePreventionMode": order_request.stp,
        "goodTillDate": order_request.good_till,
        "updateTime": call.now_ms,
    }


# -- finding ---------------------------------------------------------------------------------------------------------


def find(venue: BinanceDialect, account: int, symbol: Symbol, params: Parameters) -> Order | None:
    """The order named by orderId, else by origClientOrderId; None if there is none. -1102 if neither is sent."""
    params.either("origClientOrderId", "orderId")
    if "orderId" in params:
        row = venue.store.order_by_id(account, params.integer("orderId"))
    else:
        number = venue.client_orders.number_of(account, params.text("origClientOrderId"))
        row = venue.store.order(account, number) if number is not None else None
    return row if row is not None and row.instrument == symbol.index and not row.waiting and row.status != "REJECTED" else None


# -- cancelling ------------------------------------------------------------------------------------------------------


def cancel(venue: BinanceDialect, account: int, symbol: Symbol, params: Parameters) -> dict[str, object]:
    """Cancel one order (-2011 if it is not open); the answer to give."""
    row = find(venue, account, symbol, params)
    if row is None or row.status not in _OPEN or venue.order_api.cancel(account, symbol.index, row.client_order_id) != 0:
        raise Refusal(-2011)
    venue.catch_up()
    return acknowledgement(venue, venue.store.order(account, row.client_order_id) or row)


def _delete(call: Call) -> Any:
    return cancel(call.venue, call.account, call.symbol(), call.params)


def _cancel_all(call: Call) -> Any:
    call.venue.cancel_orders(call.account, call.symbol().index)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _countdown(call: Call) -> Any:
    symbol, length = call.symbol(), call.params.integer("countdownTime", low=0)
    call.venue.set_countdown(call.account, symbol, length, call.now_ms)
    return {"symbol": symbol.name, "countdownTime": str(length)}


# -- changing --------------------------------------------------------------------------------------------------------


def _ends_instead(venue: BinanceDialect, row: Order, price: int, qty: int) -> bool:
    """Would this change rather end the order: nothing left to fill, or a post-only order that would take?"""
    top = venue.venue.books.tops[row.instrument]
    best = int(top["ask"] if row.side == 0 else top["bid"])
    crosses = best != 0 and (price >= best if row.side == 0 else price <= best)
    return qty <= row.filled or (bool(row.flags & OrderFlag.POST_ONLY) and crosses)


def _check_change(venue: BinanceDialect, account: int, row: Order, params: Parameters) -> tuple[int, int, str]:
    """New price and quantity of an order, after every check. Returns (ticks, lots, priceMatch)."""
    symbol = venue.symbols.all[row.instrument]
    if row.order_type != OrderType.LIMIT:
        raise Refusal(-5025)
    if read_side(params) != row.side:
        raise Refusal(-1117)
    check_position_side(params)
    if params.boolean("reduceOnly") and not row.flags & OrderFlag.REDUCE_ONLY:
        raise Refusal(-5047)
    qty = read_qty(symbol, params.number("quantity"))
    match, price = read_price_match(venue, symbol, row.side, params)
    if match == "NONE":
        price = read_price(symbol, params.number("price"))
    if price == row.price and qty == row.qty:
        raise Refusal(-5027)
    check_percent_price(venue, symbol, row.side, price, False)
    if not row.flags & OrderFlag.REDUCE_ONLY:
        check_notional(venue, symbol, price, qty, -5029)
    return price, qty, match


def modify(venue: BinanceDialect, account: int, symbol: Symbol, params: Parameters) -> dict[str, object]:
    """Change price and quantity of an open order; the answer to give."""
    row = find(venue, account, symbol, params)
    if row is None or row.status not in _OPEN:
        raise Refusal(-2013)
    price, qty, match = _check_change(venue, account, row, params)
    client_order = client_order_of(venue, row)
    if client_order.n_amendments >= MOST_AMENDMENTS:
        raise Refusal(-5026)
    modify_id = params.optional_integer("modifyId")
    before = (row.price, row.qty)
    client_order.modify_id = modify_id
    venue.client_orders.keep(account, client_order)
    if _ends_instead(venue, row, price, qty):
        reason = venue.order_api.cancel(account, symbol.index, row.client_order_id)
    else:
        reason = venue.order_api.replace(account, symbol.index, row.client_order_id, price, qty)
    venue.catch_up()
    if reason != 0:
        raise refused(venue, account, symbol, row.side, reason)
    client_order.n_amendments += 1
    client_order.price_match = match
    row = venue.store.order(account, row.client_order_id) or row
    client_order.amendments.append(_amendment(venue, row, client_order, before, (price, qty), modify_id))
    answer = acknowledgement(venue, row)
    answer["pair"] = symbol.name
    if modify_id is not None:
        answer["modifyId"] = modify_id
    return answer


def _amendment(
    venue: BinanceDialect, row: Order, client_order: ClientOrder, before: tuple[int, int], after: tuple[int, int], modify_id: int | None
) -> dict[str, object]:
    symbol = venue.symbols.all[row.instrument]
    change: dict[str, object] = {
        "price": {"before": symbol.price(before[0]), "after": symbol.price(after[0])},
        "origQty": {"before": symbol.qty(before[1]), "after": symbol.qty(after[1])},
        "count": client_order.n_amendments,
    }
    if modify_id is not None:
        change["modifyId"] = modify_id
    return {
        "amendmentId": row.order_id * MOST_AMENDMENTS + client_order.n_amendments,
        "symbol": symbol.name,
        "pair": symbol.name,
        "orderId": row.order_id,
        "clientOrderId": client_order.client_id,
        "time": venue.now_ms(),
        "amendment": change,
    }


def _put(call: Call) -> Any:
    return modify(call.venue, call.account, call.symbol(), call.params)


def _amendments(call: Call) -> Any:
    symbol, params = call.symbol(), call.params
    start, end = params.span()
    found: list[dict[str, Any]] = []
    for row in call.venue.store.orders(call.account, symbol.index):
        client_order = call.venue.client_orders.of(call.account, row.client_order_id)
        named = params.text("origClientOrderId")
        if client_order is None or (named and client_order.client_id != named) or ("orderId" in params and row.order_id != params.integer("orderId")):
            continue
        found += client_order.amendments
    return [a for a in found if (start is None or a["time"] >= start) and (end is None or a["time"] <= end)][-params.limit(50, 100) :]


# -- queries ---------------------------------------------------------------------------------------------------------


def status(venue: BinanceDialect, account: int, symbol: Symbol, params: Parameters) -> dict[str, object]:
    """One order (-2013 if there is none)."""
    row = find(venue, account, symbol, params)
    if row is None:
        raise Refusal(-2013)
    return queried(venue, row)


def _get(call: Call) -> Any:
    return status(call.venue, call.account, call.symbol(), call.params)


def _open_order(call: Call) -> Any:
    row = find(call.venue, call.account, call.symbol(), call.params)
    if row is None or row.status not in _OPEN:
        raise Refusal(-2013)
    return queried(call.venue, row)


def _open_orders(call: Call) -> Any:
    symbol = call.symbol_or_none()
    rows = call.venue.store.open_orders(call.account, symbol.index if symbol else -1)
    return [queried(call.venue, row) for row in rows if not row.waiting]


def window(start: int | None, end: int | None, now_ms: int, longest_ms: int) -> tuple[int, int]:
    """The span of time that a query of history covers, ms (-4165 if it is too long); the last `longest_ms` by default."""
    if start is not None and end is not None and end - start > longest_ms:
        raise Refusal(-4165, longest_ms // _DAY_MS)
    if start is None:
        start = (now_ms if end is None else end) - longest_ms
    return start, start + longest_ms if end is None else end


def _all_orders(call: Call) -> Any:
    symbol, params = call.symbol_or_none(), call.params
    start, end = params.span()
    rows = [row for row in call.venue.store.orders(call.account, symbol.index if symbol else -1) if not row.waiting and row.status != "REJECTED"]
    limit = params.limit(500, 1000)
    if "orderId" in params:
        first = params.integer("orderId")
        return [queried(call.venue, row) for row in rows if row.order_id >= first][:limit]
    low, high = window(start, end, call.now_ms, _WEEK_MS)
    within = [row for row in rows if low <= row.created_ns // _MS <= high]
    return [queried(call.venue, row) for row in (within[:limit] if start is not None else within[-limit:])]


def _user_trades(call: Call) -> Any:
    symbol, params = call.symbol(), call.params
    start, end = params.span()
    if "fromId" in params and (start is not None or end is not None):
        raise Refusal(-1128)
    rows, limit = list(call.venue.store.fills(call.account, symbol.index)), params.limit(500, 1000)
    if "orderId" in params:
        rows = [row for row in rows if row.order_id == params.integer("orderId")]
    if "fromId" in params:
        return [fill(call.venue, row) for row in rows if row.trade_id >= params.integer("fromId")][:limit]
    low, high = window(start, end, call.now_ms, _WEEK_MS)
    within = [row for row in rows if low <= row.ts // _MS <= high]
    return [fill(call.venue, row) for row in (within[:limit] if start is not None else within[-limit:])]


def _forced(call: Call) -> Any:
    """Orders that the venue itself placed to close the account's positions; they have negative ids in the venue."""
    symbol, params = call.symbol_or_none(), call.params
    kind = params.text("autoCloseType").upper()
    if kind not in ("", "LIQUIDATION", "ADL"):
        raise Refusal(-1130, "autoCloseType")
    start, end = params.span()
    low, high = window(start, end, call.now_ms, _WEEK_MS)
    rows = [row for row in call.venue.store.orders(call.account, symbol.index if symbol else -1) if row.client_order_id < 0 and kind != "ADL"]
    return [queried(call.venue, row) for row in rows if low <= row.created_ns // _MS <= high][-params.limit(50, 100) :]


_ORDER = ("symbol", "side", "type")
_SYMBOL = ("symbol",)
ROUTES: Table = {
    ("POST", "/fapi/v1/order"): Route(_post, Security.TRADE, 0, _ORDER, orders=(1, 1), places=True),
    ("POST", "/fapi/v1/order/test"): Route(_test, Security.TRADE, 0, _ORDER, orders=(1, 1), places=True),
    ("PUT", "/fapi/v1/order"): Route(_put, Security.TRADE, 0, ("symbol", "side", "quantity"), orders=(1, 1)),
    ("DELETE", "/fapi/v1/order"): Route(_delete, Security.TRADE, 1, _SYMBOL),
    ("GET", "/fapi/v1/order"): Route(_get, Security.SIGNED, 1, _SYMBOL),
    ("GET", "/fapi/v1/orderAmendment"): Route(_amendments, Security.SIGNED, 1, _SYMBOL),
    ("DELETE", "/fapi/v1/allOpenOrders"): Route(_cancel_all, Security.TRADE, 1, _SYMBOL),
    ("POST", "/fapi/v1/countdownCancelAll"): Route(_countdown, Security.TRADE, 10, ("symbol", "countdownTime")),
    ("GET", "/fapi/v1/openOrder"): Route(_open_order, Security.SIGNED, 1, _SYMBOL),
    ("GET", "/fapi/v1/openOrders"): Route(_open_orders, Security.SIGNED, lambda p: 1 if "symbol" in p else 40),
    ("GET", "/fapi/v1/allOrders"): Route(_all_orders, Security.SIGNED, 5),
    ("GET", "/fapi/v1/userTrades"): Route(_user_trades, Security.SIGNED, 5, _SYMBOL),
    ("GET", "/fapi/v1/forceOrders"): Route(_forced, Security.SIGNED, lambda p: 20 if "symbol" in p else 50),
}
