"""The endpoints of the Algo service, and the moment when a conditional order becomes an order (its rules: algo_orders.py)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hftkit.exchange.dialects.binance.market.symbols import Symbol, ratio_text
from hftkit.exchange.dialects.binance.orders.algo_orders import LAST, MARK, OPEN, AlgoOrder
from hftkit.exchange.dialects.binance.orders.client_orders import new_client_id
from hftkit.exchange.dialects.binance.orders.order_json import SIDE_NAMES
from hftkit.exchange.dialects.binance.orders.order_requests import (
    CONDITIONAL,
    OrderRequest,
    check_position_side,
    read_good_till,
    read_price,
    read_price_match,
    read_qty,
    read_side,
    read_stp,
    read_time_in_force,
)
from hftkit.exchange.dialects.binance.orders.orders import client_order_for, enter, window
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security, Table
from hftkit.exchange.dialects.binance.rest.errors import Refusal
from hftkit.exchange.dialects.binance.rest.parameters import Parameters

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

_WEEK_MS = 7 * 86_400_000
_CLOSING = ("STOP_MARKET", "TAKE_PROFIT_MARKET")
_LEAST_CALLBACK, _MOST_CALLBACK = Decimal("0.1"), Decimal(20)


# -- placing ---------------------------------------------------------------------------------------------------------


def _read_trailing(venue: BinanceDialect, symbol: Symbol, params: Parameters, order: AlgoOrder) -> None:
    rate = params.number("callbackRate")
    if not _LEAST_CALLBACK <= rate <= _MOST_CALLBACK:
        raise Refusal(-1130, "callbackRate")
    order.callback_rate = rate
    now = venue.working_price(symbol, order.working_type)
    order.activate = read_price(symbol, params.number("activatePrice")) if "activatePrice" in params else now
    order.extreme = now
    if "activatePrice" in params and now and (order.activate >= now if order.side == 0 else order.activate <= now):
        raise Refusal(-4135)


def _read_quantity(symbol: Symbol, params: Parameters, order: AlgoOrder) -> None:
    order.reduce_only = params.boolean("reduceOnly")
    order.close_position = params.boolean("closePosition")
    if not order.close_position:
        order.qty = read_qty(symbol, params.number("quantity"))
        return
    if order.order_type not in _CLOSING:
        raise Refusal(-4136)
    if "quantity" in params:
        raise Refusal(-4137)
    if "reduceOnly" in params:
        raise Refusal(-1106, "reduceOnly")
    order.reduce_only = True


def _read_trigger(venue: BinanceDialect, symbol: Symbol, params: Parameters, order: AlgoOrder) -> None:
    order.trigger = read_price(symbol, params.number("triggerPrice"))
    if not order.is_market:
        order.price_match, _ = read_price_match(venue, symbol, order.side, params)
        if order.price_match == "NONE":
            order.price = read_price(symbol, params.number("price"))
    price = venue.working_price(symbol, order.working_type)
    if price and order.is_reached(price):
        raise Refusal(-2021)


def read_algo(venue: BinanceDialect, account: int, params: Parameters, now_ms: int) -> AlgoOrder:
    """The conditional order that a request asks for, after every check."""
    if params.required("algoType").upper() != "CONDITIONAL":
        raise Refusal(-1130, "algoType")
    symbol, side, order_type = venue.symbols.find(params.required("symbol")), read_side(params), params.required("type").upper()
    if order_type not in CONDITIONAL:
        raise Refusal(-1116)
    check_position_side(params)
    working = params.text("workingType").upper() or LAST
    if working not in (LAST, MARK):
        raise Refusal(-4031)
    client_id = params.client_id("clientAlgoId")
    time_in_force = read_time_in_force(params, "GTC")
    order = AlgoOrder(0, client_id or new_client_id(), account, symbol, side, order_type, time_in_force, 0, 0, 0, now_ms, working)
    _read_quantity(symbol, params, order)
    if order.is_trailing:
        _read_trailing(venue, symbol, params, order)
    else:
        _read_trigger(venue, symbol, params, order)
    if time_in_force == "GTD":
        order.good_till = read_good_till(params, now_ms)
    order.price_protect, order.stp = params.boolean("priceProtect"), read_stp(params)
    waiting = venue.algo.open_of(account)
    if len(waiting) >= venue.config.max_algo_orders:
        raise Refusal(-4045)
    if client_id and any(other.client_id == client_id for other in waiting):
        raise Refusal(-4116)
    return order


def place_algo(venue: BinanceDialect, account: int, params: Parameters, now_ms: int) -> dict[str, object]:
    """A new conditional order; the answer to give."""
    order = read_algo(venue, account, params, now_ms)
    order.algo_id, order.updated_ms, order.after_trade = venue.algo.next_id(), now_ms, venue.last_trade_id
    venue.algo.add(order)
    return shape(venue, order, queried=False)


def _cancel(venue: BinanceDialect, order: AlgoOrder, now_ms: int) -> None:
    if order.engine_id == 0:
        venue.algo.end(order, "CANCELED", now_ms)
    elif venue.order_api.cancel(order.account, order.symbol.index, order.engine_id) != 0:
        raise Refusal(-2011)
    else:
        venue.catch_up()


def cancel_algo(venue: BinanceDialect, account: int, params: Parameters, now_ms: int) -> dict[str, object]:
    """Cancel a conditional order that waits (-2011 if it does not); the answer to give."""
    params.either("algoId", "clientAlgoId")
    order = venue.algo.find(account, params.optional_integer("algoId"), params.text("clientAlgoId"))
    if order is None or order.status != OPEN:
        raise Refusal(-2011)
    _cancel(venue, order, now_ms)
    return {"algoId": order.algo_id, "clientAlgoId": order.client_id, "code": "200", "msg": "success"}


# -- triggering ------------------------------------------------------------------------------------------------------


def _becomes(venue: BinanceDialect, order: AlgoOrder) -> OrderRequest | None:
    """The order that a conditional one turns into; None if there is no position to close."""
    order_request = OrderRequest(
        order.symbol, order.side, "MARKET" if order.is_market else "LIMIT", "GTC", order.qty, order.price, "", order.reduce_only
    )
    order_request.stp, order_request.price_match = order.stp, order.price_match
    if not order.is_market:
        order_request.time_in_force, order_request.good_till = order.time_in_force, order.good_till
    if order.price_match != "NONE":
        _, order_request.price = read_price_match(venue, order.symbol, order.side, Parameters({"priceMatch": order.price_match}))
    if order.reduce_only:
        reducible = venue.reducible(order.account, order.symbol, order.side)
        if reducible == 0 and order.close_position:
            return None
        if reducible == 0:
            raise Refusal(-2022)
        order_request.qty = reducible if order.close_position else min(order.qty, reducible)
    return order_request


def fire(venue: BinanceDialect, order: AlgoOrder, now_ms: int) -> None:
    """The price has been reached: the order goes to the books."""
    venue.algo.trigger(order, now_ms)
    try:
        order_request = _becomes(venue, order)
        if order_request is None:
            venue.algo.end(order, "EXPIRED", now_ms)
            return
        order_request.client_id = order.client_id if not venue.has_open(order.account, order.client_id) else ""
        client_order = client_order_for(venue, order_request)
        client_order.orig_type, client_order.stop_price = order.order_type, order.trigger
        client_order.close_position, client_order.working_type, client_order.price_protect = (
            order.close_position,
            order.working_type,
            order.price_protect,
        )
        venue.algo.expect(order, client_order.number)
        enter(venue, order.account, order_request, client_order)
    except Refusal as refusal:
        order.failure = refusal.msg
        venue.algo.end(order, "REJECTED", now_ms)
        order.number = 0


def _watch(venue: BinanceDialect, order: AlgoOrder, trades: list[tuple[int, int]], mark: int, now_ms: int) -> None:
    """One order that waits: has its date passed, or its price come?"""
    if order.good_till and now_ms > order.good_till:
        venue.algo.end(order, "EXPIRED", now_ms)
        return
    prices = [mark] if order.working_type == MARK else [price for trade_id, price in trades if trade_id > order.after_trade]
    if any(order.is_reached(price) for price in prices if price):
        fire(venue, order, now_ms)


def watch_prices(venue: BinanceDialect, now_ms: int) -> None:
    """After a slice: which conditional orders have been reached by what traded since, whose date has passed, whose order has ended."""
    for instrument in venue.algo.instruments:
        symbol = venue.symbols.all[instrument]
        trades, mark = venue.trades_since(symbol), venue.mark(symbol)
        for order in venue.algo.waiting(instrument):
            try:
                _watch(venue, order, trades, mark, now_ms)
            except Exception as error:
                venue.internal_errors.note(f"conditional order {order.algo_id}", error)
                order.failure = "Internal error."
                venue.algo.end(order, "REJECTED", now_ms)
    for order in venue.algo.triggered:
        row = venue.store.order(order.account, order.number)
        if row is None or row.status not in ("NEW", "PARTIALLY_FILLED"):
            venue.algo.end(order, "FINISHED", now_ms)


# -- JSON ------------------------------------------------------------------------------------------------------------


def shape(venue: BinanceDialect, order: AlgoOrder, *, queried: bool) -> dict[str, object]:
    """A conditional order as placed, or as queries return it."""
    symbol = order.symbol
    answer: dict[str, object] = {
        "algoId": order.algo_id,
        "clientAlgoId": order.client_id,
        "algoType": "CONDITIONAL",
        "orderType": order.order_type,
        "symbol": symbol.name,
        "side": SIDE_NAMES[order.side],
        "positionSide": "BOTH",
        "timeInForce": order.time_in_force,
        "quantity": symbol.qty(order.qty),
        "algoStatus": order.status,
        "triggerPrice": symbol.price(order.trigger),
        "price": symbol.price(order.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": order.stp,
        "workingType": order.working_type,
        "priceMatch": order.price_match,
        "closePosition": order.close_position,
        "priceProtect": order.price_protect,
        "reduceOnly": order.reduce_only,
        "createTime": order.created_ms,
        "updateTime": order.updated_ms,
        "triggerTime": order.triggered_ms,
        "goodTillDate": order.good_till,
    }
    if order.is_trailing:  # the keys are absent elsewhere: clients read an empty text as a number
        answer |= {"activatePrice": symbol.price(order.activate), "callbackRate": ratio_text(order.callback_rate)}
    if order.close_position:
        del answer["quantity"]  # not known before the position is closed
    if queried:
        row = venue.store.order(order.account, order.number) if order.number else None
        answer |= {
            "actualOrderId": str(row.order_id) if row else "",
            "actualPrice": symbol.average(row.traded, row.filled) if row else "0.00000",
            "actualQty": symbol.qty(row.filled if row else 0),
            "actualType": ("MARKET" if order.is_market else "LIMIT") if row else "",
            "tpOrderType": "",
        }
    return answer


# -- endpoints -------------------------------------------------------------------------------------------------------


def _post(call: Call) -> Any:
    return place_algo(call.venue, call.account, call.params, call.now_ms)


def _delete(call: Call) -> Any:
    return cancel_algo(call.venue, call.account, call.params, call.now_ms)


def _delete_all(call: Call) -> Any:
    for order in call.venue.algo.open_of(call.account, call.symbol().index):
        _cancel(call.venue, order, call.now_ms)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _get(call: Call) -> Any:
    call.params.either("algoId", "clientAlgoId")
    order = call.venue.algo.find(call.account, call.params.optional_integer("algoId"), call.params.text("clientAlgoId"))
    if order is None:
        raise Refusal(-2013)
    return shape(call.venue, order, queried=True)


def _open(call: Call) -> Any:
    symbol = call.symbol_or_none()
    rows = call.venue.algo.open_of(call.account, symbol.index if symbol else -1)
    if "algoId" in call.params:
        rows = [order for order in rows if order.algo_id == call.params.integer("algoId")]
    return [shape(call.venue, order, queried=True) for order in rows]


def _all(call: Call) -> Any:
    symbol, params = call.symbol_or_none(), call.params
    start, end = params.span()
    low, high = window(start, end, call.now_ms, _WEEK_MS)
    first = params.optional_integer("algoId")
    rows = call.venue.algo.all_of(call.account, symbol.index if symbol else -1)
    rows = [order for order in rows if (order.algo_id >= first if first is not None else low <= order.created_ms <= high)]
    limit = params.limit(500, 1000)
    return [shape(call.venue, order, queried=True) for order in (rows[:limit] if first is not None else rows[-limit:])]


_TRADE, _READ = Security.TRADE, Security.SIGNED
ROUTES: Table = {
    ("POST", "/fapi/v1/algoOrder"): Route(_post, _TRADE, 0, ("algoType", "symbol", "side", "type"), orders=(1, 1), places=True),
    ("DELETE", "/fapi/v1/algoOrder"): Route(_delete, _TRADE, 1),
    ("DELETE", "/fapi/v1/algoOpenOrders"): Route(_delete_all, _TRADE, 1, ("symbol",)),
    ("GET", "/fapi/v1/algoOrder"): Route(_get, _READ, 1),
    ("GET", "/fapi/v1/openAlgoOrders"): Route(_open, _READ, lambda p: 1 if "symbol" in p else 40),
    ("GET", "/fapi/v1/allAlgoOrders"): Route(_all, _READ, 5),
}
