"""Several orders in one request: each item is answered on its own, so that the request as a whole succeeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hftkit.exchange.dialects.binance.orders.orders import cancel, modify, place
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security, Table
from hftkit.exchange.dialects.binance.rest.errors import Refusal
from hftkit.exchange.dialects.binance.rest.parameters import Parameters

MOST_PLACED, MOST_CANCELLED = 5, 10


def _each(items: list[Parameters], work: Callable[[Parameters], dict[str, object]]) -> list[dict[str, object]]:
    answers: list[dict[str, object]] = []
    for item in items:
        try:
            item.check_syntax()
            answers.append(work(item))
        except Refusal as refusal:
            answers.append(refusal.body)
    return answers


def _items(call: Call) -> list[Parameters]:
    items = call.params.json_list("batchOrders")
    if not 1 <= len(items) <= MOST_PLACED:
        raise Refusal(-4082)
    if not all(isinstance(item, dict) for item in items):
        raise Refusal(-1130, "batchOrders")
    return [Parameters.of_json(item) for item in items]


def _place(call: Call) -> Any:
    return _each(_items(call), lambda item: place(call.venue, call.account, item, call.now_ms))


def _modify(call: Call) -> Any:
    return _each(_items(call), lambda item: modify(call.venue, call.account, call.venue.symbols.find(item.required("symbol")), item))


def _cancel(call: Call) -> Any:
    symbol, params = call.symbol(), call.params
    params.either("orderIdList", "origClientOrderIdList")
    if "orderIdList" in params:
        items = [Parameters.of_json({"orderId": item}) for item in params.json_list("orderIdList")]
    else:
        items = [Parameters.of_json({"origClientOrderId": item}) for item in params.json_list("origClientOrderIdList")]
    if not 1 <= len(items) <= MOST_CANCELLED:
        raise Refusal(-4032)
    return _each(items, lambda item: cancel(call.venue, call.account, symbol, item))


ROUTES: Table = {
    ("POST", "/fapi/v1/batchOrders"): Route(_place, Security.TRADE, 5, ("batchOrders",), orders=(5, 1), places=True),
    ("PUT", "/fapi/v1/batchOrders"): Route(_modify, Security.TRADE, 5, ("batchOrders",), orders=(5, 1)),
    ("DELETE", "/fapi/v1/batchOrders"): Route(_cancel, Security.TRADE, 1, ("symbol",)),
}
