"""One request in, one answer out: which endpoint, may it be asked now, by whom, and what it answers.

In this order: path (-5000), ban and weight (418, 429), key (401), mandatory parameters, time (-1021), signature (-1022), order limits (-1015),
then the endpoint itself. Faults come between admission and answer: see faults.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from hftkit.exchange.dialects.binance import fault_names
from hftkit.exchange.dialects.binance.account import accounts, isolated, settings
from hftkit.exchange.dialects.binance.account.keys import ClientKey
from hftkit.exchange.dialects.binance.market import exchange_info, market, statistics
from hftkit.exchange.dialects.binance.orders import algo, batch, orders
from hftkit.exchange.dialects.binance.rest import stubs
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security, Table
from hftkit.exchange.dialects.binance.rest.errors import AHEAD, UNAVAILABLE, UNKNOWN, Refusal
from hftkit.exchange.dialects.binance.rest.parameters import Parameters
from hftkit.exchange.dialects.binance.venue import BinanceDialect

ROUTES: Table = {
    **market.ROUTES,
    **exchange_info.ROUTES,
    **accounts.ROUTES,
    **orders.ROUTES,
    **batch.ROUTES,
    **algo.ROUTES,
    **settings.ROUTES,
    **statistics.ROUTES,
    **isolated.ROUTES,
    **stubs.ROUTES,
}
KEY_HEADER = "x-mbx-apikey"
WEIGHT_HEADERS = "X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M"  # both, with the same figure
ORDERS_10S_HEADER, ORDERS_1M_HEADER = "X-MBX-ORDER-COUNT-10S", "X-MBX-ORDER-COUNT-1M"
_EARLY_MS = 1000


class RestRequest(NamedTuple):
    """What came in. `query`: as it was sent, without the question mark; `headers`: names in lower case."""

    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]
    address: str = "127.0.0.1"


class Response(NamedTuple):
    """What goes out. `delay_s`: a fault: only after so long; `hang_up`: a fault: not at all, the connection is closed."""

    status: int
    headers: dict[str, str]
    body: bytes
    delay_s: float = 0.0
    hang_up: bool = False


def _response(status: int, content: object, headers: dict[str, str]) -> Response:
    return Response(status, {"Content-Type": "application/json", **headers}, msgspec.json.encode(content))


# -- admission -------------------------------------------------------------------------------------------------------


def find_route(method: str, path: str) -> Route:
    """The endpoint (-5000 with 404)."""
    route = ROUTES.get((method, path))
    if route is None:
        raise Refusal(-5000, path, method)
    return route


def find_key(venue: BinanceDialect, text: str) -> ClientKey:
    """The key of a request (-2014, -2015)."""
    if not text or not text.isascii() or not text.isalnum():
        raise Refusal(-2014)
    key = venue.keys.find(text)
    if key is None:
        raise Refusal(-2015)
    return key


def check_time(venue: BinanceDialect, params: Parameters, now_ms: int) -> None:
    """timestamp and recvWindow (-1021)."""
    timestamp = params.integer("timestamp")
    window = params.integer("recvWindow", venue.config.recv_window_ms)
    if not 0 < window <= venue.config.max_recv_window_ms:
        raise Refusal(-1130, "recvWindow")
    if not venue.config.check_timestamps:
        return
    if timestamp >= now_ms + _EARLY_MS:
        raise Refusal(-1021, text=AHEAD)
    if now_ms - timestamp > window:
        raise Refusal(-1021)


def open_account(venue: BinanceDialect, key: ClientKey) -> int:
    """The account behind a key (-4109 if the venue has no room for it)."""
    account = venue.account_of(key.account)
    if account < 0:
        raise Refusal(-4109)
    return account


def admit(venue: BinanceDialect, route: Route, request: RestRequest, params: Parameters, now_ms: int) -> Call:
    """Key, mandatory parameters, time and signature, as far as the endpoint asks for them."""
    call = Call(venue, params, now_ms, address=request.address)
    if route.security == Security.NONE:
        for name in route.required:
            params.required(name)
        params.check_syntax()
        return call
    key = find_key(venue, request.headers.get(KEY_HEADER, ""))
    for name in route.required:
        params.required(name)
    if route.security >= Security.SIGNED:
        params.required("timestamp")
        if not params.signature:
            raise Refusal(-1102, "signature")
        check_time(venue, params, now_ms)
        if not key.verifier.verifies(params.payload, params.signature):
            raise Refusal(-1022)
    params.check_syntax()
    call.key, call.account = key, open_account(venue, key)
    return call


# -- one request -----------------------------------------------------------------------------------------------------


def _is_exempt(params: Parameters) -> bool:
    """Orders that the system-level protection lets through: those that only reduce."""
    return "true" in (params.text("reduceOnly").lower(), params.text("closePosition").lower())


def meet_fault(venue: BinanceDialect, route: Route, call: Call) -> str:
    """The fault that meets this request, "" for none; raises those that keep it from being carried out."""
    kind = venue.faults.kind(route.security == Security.TRADE, route.places, _is_exempt(call.params))
    if kind == "unavailable":
        raise Refusal(-1001, text=UNAVAILABLE, status=503)
    if kind == "lost":
        raise Refusal(-1000, text=UNKNOWN, status=503)
    if kind == "throttle":
        raise Refusal(-1008)
    if kind == "too_many":
        raise venue.limits.too_many(call.address, call.now_ms)
    return kind


def _carry_out(venue: BinanceDialect, request: RestRequest, now_ms: int, headers: dict[str, str]) -> tuple[Any, str]:
    """The answer of the endpoint, and the fault that spoils it ("" for none). Fills in the headers as it goes."""
    route = find_route(request.method, request.path)
    if seconds := venue.faults.once(fault_names.BAN_S):
        raise venue.limits.ban(request.address, now_ms, 1000 * seconds)
    venue.limits.check_ban(request.address, now_ms)
    params = Parameters.of_request(request.query, request.body)
    weight = route.weight if isinstance(route.weight, int) else route.weight(params)
    headers |= dict.fromkeys(WEIGHT_HEADERS, str(venue.limits.used_weight(request.address, now_ms)))
    headers |= dict.fromkeys(WEIGHT_HEADERS, str(venue.limits.charge(request.address, weight, now_ms, route.pool)))
    call = admit(venue, route, request, params, now_ms)
    fault = meet_fault(venue, route, call)
    if route.orders != (0, 0):
        venue.limits.charge_orders(call.account, *route.orders, now_ms)
    content = route.handler(call)
    if route.orders != (0, 0):
        in_ten_s, in_minute = venue.limits.order_counts(call.account, now_ms)
        headers |= {ORDERS_10S_HEADER: str(in_ten_s), ORDERS_1M_HEADER: str(in_minute)}
    return content, fault


def handle(venue: BinanceDialect, request: RestRequest) -> Response:
    """Answer one request. Runs on the venue's thread."""
    headers: dict[str, str] = {}
    try:
        venue.catch_up()  # with what the slice before this request has done
        content, fault = _carry_out(venue, request, venue.now_ms(), headers)
        if fault == "unknown":
            raise Refusal(-1000, text=UNKNOWN, status=503)
        if fault == "timeout":
            raise Refusal(-1007)
        response = _response(200, content, headers)
        hang_up = fault == "hang_up"
    except Refusal as refusal:
        response, hang_up = _response(refusal.status, refusal.body, {**headers, **refusal.headers}), False
    except Exception as error:
        venue.internal_errors.note(f"{request.method} {request.path}", error)
        response, hang_up = _response(500, Refusal(-1000).body, headers), False
    return response._replace(delay_s=venue.faults.delay_s(), hang_up=hang_up)
