"""The WebSocket API (/ws-fapi/v1): requests as JSON messages, answered by the same handlers as REST. Sans-I/O, on the venue's thread.

Signed is the text of all params but the signature, apiKey included, sorted by name, `name=value` joined by `&`, nothing escaped; numbers as they were
sent. After `session.logon` (Ed25519 keys only) apiKey and signature may be left out. Limits are shared with REST.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hftkit.exchange.dialects.binance import fault_names
from hftkit.exchange.dialects.binance.account.keys import ClientKey
from hftkit.exchange.dialects.binance.account.signing import ED25519
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security
from hftkit.exchange.dialects.binance.rest.errors import UNKNOWN, Refusal
from hftkit.exchange.dialects.binance.rest.parameters import Parameters
from hftkit.exchange.dialects.binance.rest.router import check_time, find_key, find_route, meet_fault, open_account

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

PATH = "/ws-fapi/v1"
HANDSHAKE_WEIGHT, SESSION_WEIGHT = 5, 2
BAD_JSON, UNKNOWN_METHOD = -1135, -1020
# method: the endpoint of REST that answers it
METHODS: dict[str, tuple[str, str]] = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "account.status": ("GET", "/fapi/v2/account"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.price": ("GET", "/fapi/v2/ticker/price"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
    "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
    "ping": ("GET", "/fapi/v1/ping"),
    "time": ("GET", "/fapi/v1/time"),
}
SESSION_METHODS = ("session.logon", "session.status", "session.logout")


class _Request(msgspec.Struct):
    method: str
    id: msgspec.Raw = msgspec.Raw(b"null")
    params: dict[str, msgspec.Raw] = {}


class Answer(NamedTuple):
    """What goes out: a message, after `delay_s`; or nothing, and the connection is closed."""

    message: bytes
    delay_s: float = 0.0
    hang_up: bool = False


@dataclass
class ApiSession:
    """One connection."""

    address: str
    connected_ms: int
    shows_limits: bool = True
    key: ClientKey | None = None
    authorized_ms: int = 0


def _text(raw: msgspec.Raw) -> str:
    """A value as it is signed: a string's content, anything else as it was sent."""
    text = bytes(raw).decode()
    if text.startswith('"'):
        return str(msgspec.json.decode(raw))
    return "" if text == "null" else text


def _plain(text: str) -> str:
    """A number without exponent, as the parameters want it."""
    if "e" not in text.lower() or not text[-1:].isdigit() or not text.lstrip("-")[:1].isdigit():
        return text
    try:
        number = Decimal(text)
    except ArithmeticError:
        return text
    return format(number, "f") if abs(number.adjusted()) < 30 else text


def parameters_of(fields: dict[str, msgspec.Raw]) -> Parameters:
    """The params of a request, with the text that is signed."""
    texts = {name: _text(raw) for name, raw in fields.items()}
    signature = texts.pop("signature", "")
    payload = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
    numbers = {name: _plain(text) if not bytes(fields[name]).startswith(b'"') else text for name, text in texts.items()}
    return Parameters(numbers, payload, signature)


class WebSocketApi:
    """All connections of the WebSocket API of one venue."""

    def __init__(self, venue: BinanceDialect) -> None:
        self.venue = venue
        self.sessions: dict[int, ApiSession] = {}

    def open(self, number: int, address: str, query: str) -> Refusal | None:
        """A new connection; a refusal if its address is banned or over its limit."""
        now = self.venue.now_ms()
        try:
            self.venue.limits.charge(address, HANDSHAKE_WEIGHT, now)
        except Refusal as refusal:
            return refusal
        self.sessions[number] = ApiSession(address, now, "returnratelimits=false" not in query.lower())
        return None

    def close(self, number: int) -> None:
        """The connection is gone."""
        self.sessions.pop(number, None)

    # -- one request -----------------------------------------------------------------------------------------------------

    def handle(self, number: int, message: str | bytes) -> Answer:
        """Answer one message."""
        session, now = self.sessions[number], self.venue.now_ms()
        try:
            request = msgspec.json.decode(message, type=_Request)
            params = parameters_of(request.params)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            refusal = Refusal(BAD_JSON, text="Invalid JSON Request")
            return Answer(msgspec.json.encode({"id": None, "status": 400, "error": refusal.body}))
        answer: dict[str, Any] = {"id": _identity(request.id)}
        hang_up, shown = False, session.shows_limits and params.text("returnRateLimits").lower() != "false"
        route = Route(lambda call: {})
        account = -1
        try:
            if seconds := self.venue.faults.once(fault_names.BAN_S):
                raise self.venue.limits.ban(session.address, now, 1000 * seconds)
            if request.method in SESSION_METHODS:
                self.venue.limits.charge(session.address, SESSION_WEIGHT, now)
                answer |= {"status": 200, "result": self._session(session, request.method, params, now)}
            else:
                route = self._route(request.method)
                call = self._admit(session, route, params, now)
                account = call.account
                result, fault = self._carry_out(route, call)
                hang_up = fault == "hang_up"
                answer |= {"status": 200, "result": result}
        except Refusal as refusal:
            answer |= {"status": refusal.status, "error": self._error(refusal, now)}
        except Exception as error:
            self.venue.internal_errors.note(f"WebSocket method {request.method[:64]}", error)
            answer |= {"status": 500, "error": Refusal(-1000).body}
        if shown:
            answer["rateLimits"] = self._limits(session, route, account, now)
        return Answer(msgspec.json.encode(answer), self.venue.faults.delay_s(), hang_up)

    def _route(self, method: str) -> Route:
        if method not in METHODS:
            raise Refusal(UNKNOWN_METHOD)
        return find_route(*METHODS[method])

    def _error(self, refusal: Refusal, now: int) -> dict[str, object]:
        body = refusal.body
        if "Retry-After" in refusal.headers:
            body["data"] = {"serverTime": now, "retryAfter": now + 1000 * int(refusal.headers["Retry-After"])}
        return body

    def _admit(self, session: ApiSession, route: Route, params: Parameters, now: int) -> Call:
        """Weight, key, mandatory parameters, time, signature: as for REST."""
        weight = route.weight if isinstance(route.weight, int) else route.weight(params)
        self.venue.limits.charge(session.address, weight, now, route.pool)
        call = Call(self.venue, params, now, address=session.address)
        key = None
        if route.security != Security.NONE:
            key = find_key(self.venue, params.text("apiKey")) if "apiKey" in params or session.key is None else session.key
        for name in route.required:
            params.required(name)
        if key is None:
            params.check_syntax()
            return call
        if route.security >= Security.SIGNED:
            params.required("timestamp")
            self._check_signature(session, key, params, now)
        params.check_syntax()
        call.key, call.account = key, open_account(self.venue, key)
        return call

    def _check_signature(self, session: ApiSession, key: ClientKey, params: Parameters, now: int) -> None:
        signed = params.signature or "apiKey" in params or session.key is None
        if signed and not params.signature:
            raise Refusal(-1102, "signature")
        check_time(self.venue, params, now)
        if signed and not key.verifier.verifies(params.payload, params.signature):
            raise Refusal(-1022)

    def _carry_out(self, route: Route, call: Call) -> tuple[Any, str]:
        """The endpoint's answer, and the fault that spoils it."""
        fault = meet_fault(self.venue, route, call)
        if route.orders != (0, 0):
            self.venue.limits.charge_orders(call.account, *route.orders, call.now_ms)
        result = route.handler(call)
        if fault == "unknown":
            raise Refusal(-1000, text=UNKNOWN, status=503)
        if fault == "timeout":
            raise Refusal(-1007)
        return result, fault

    def _limits(self, session: ApiSession, route: Route, account: int, now: int) -> list[dict[str, object]]:
        rows = self.venue.limits.table() if route.orders != (0, 0) else self.venue.limits.table()[:1]
        in_ten_s, in_minute = self.venue.limits.order_counts(account, now) if account >= 0 else (0, 0)
        counts = {"MINUTE": in_minute, "SECOND": in_ten_s}
        weight = self.venue.limits.used_weight(session.address, now)
        return [{**row, "count": weight if row["rateLimitType"] == "REQUEST_WEIGHT" else counts[str(row["interval"])]} for row in rows]

    # -- sessions --------------------------------------------------------------------------------------------------------

    def _session(self, session: ApiSession, method: str, params: Parameters, now: int) -> dict[str, object]:
        if method == "session.logon":
            self._log_on(session, params, now)
        elif method == "session.logout":
            session.key, session.authorized_ms = None, 0
        return {
            "apiKey": session.key.key if session.key else None,
            "authorizedSince": session.authorized_ms or None,
            "connectedSince": session.connected_ms,
            "returnRateLimits": session.shows_limits,
            "serverTime": now,
        }

    def _log_on(self, session: ApiSession, params: Parameters, now: int) -> None:
        key = find_key(self.venue, params.text("apiKey"))
        params.required("timestamp")
        if not params.signature:
            raise Refusal(-1102, "signature")
        if key.verifier.kind != ED25519:
            raise Refusal(-1020)
        check_time(self.venue, params, now)
        if not key.verifier.verifies(params.payload, params.signature):
            raise Refusal(-1022)
        session.key, session.authorized_ms = key, now


def _identity(raw: msgspec.Raw) -> Any:
    """The id of a request, echoed: any JSON scalar, else null."""
    value = msgspec.json.decode(raw)
    return None if isinstance(value, dict | list) else value
