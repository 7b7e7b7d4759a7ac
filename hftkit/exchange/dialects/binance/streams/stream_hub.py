"""Connections, their subscriptions and control messages, and what goes out to whom. Sans-I/O: text in, WebSocket frames out.

The shell opens and closes connections, hands in what they say, and takes `outgoing`: for each connection bytes to write, or that it is to be closed.
An event is encoded once, whoever gets it: one frame for plain connections, one for those with the combined envelope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import msgspec

from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.market.symbols import Symbol
from hftkit.exchange.dialects.binance.streams.stream_names import LISTEN_KEY, MARKET, PRIVATE, PUBLIC, UNROUTED, USER, Topic, is_delivered, topic_of

MOST_STREAMS = 1024
POLICY_VIOLATION, TOO_BIG, INTERNAL_ERROR = 1008, 1009, 1011  # close codes of RFC 6455
LONGEST_MESSAGE = 1 << 18
UNKNOWN_PROPERTY, BAD_VALUE, BAD_REQUEST, BAD_JSON = 0, 1, 2, 3
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_SCALARS = (str, int, float, bool, type(None))


def text_frame(payload: bytes) -> bytes:
    """One unmasked text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Where(NamedTuple):
    """What the address of a stream connection asks for."""

    route: str
    combined: bool
    names: list[str]
    events: dict[str, frozenset[str]]  # by listen key: the only events wanted, if the address says so


def where_of(path: str, query: str) -> Where | None:
    """`/public/ws/a/b`, `/market/stream?streams=a/b`, `/private/ws?listenKey=K&events=E`, with or without a route; None for any other address."""
    parts = [unquote(part) for part in path.split("/") if part]
    route = parts.pop(0) if parts and parts[0] in (PUBLIC, MARKET, PRIVATE) else UNROUTED
    if not parts or parts[0] not in ("ws", "stream"):
        return None
    combined, names, events = parts.pop(0) == "stream", parts, {}
    key = ""
    for name, value in parse_qsl(query):
        if name == "streams":
            names += [stream for stream in value.split("/") if stream]
        elif name == "listenKey":
            key = value
            names.append(value)
        elif name == "events" and key:
            events[key] = frozenset(event for event in value.split("/") if event)
    return Where(route, combined, list(dict.fromkeys(names)), events)


class Connection:
    """One stream connection."""

    def __init__(self, number: int, where: Where) -> None:
        self.number = number
        self.route, self.combined, self.events = where.route, where.combined, where.events
        self.names: dict[str, Topic | None] = {}
        self.frames: list[bytes] = []
        self.close_code = 0
        self.second, self.n_received = 0, 0  # of the limit of messages a second


class Subscribers:
    """Who listens to one stream. `prefix`: the combined envelope up to the payload."""

    def __init__(self, name: str, topic: Topic) -> None:
        self.name, self.topic = name, topic
        self.prefix = f'{{"stream":{msgspec.json.encode(name).decode()},"data":'.encode()
        self.connections: dict[int, Connection] = {}
        self.state: Any = None  # the producer's own, for as long as somebody listens
        self.due_ms = 0  # of streams with a period: when the next event is


class _Malformed(Exception):
    """A control message that cannot be carried out."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class StreamHub:
    """All stream connections of one venue."""

    def __init__(self, config: BinanceDialectConfig, symbols: list[Symbol], now_ms: Callable[[], int]) -> None:
        self.config = config
        self.now_ms = now_ms
        self.subscriber_groups: dict[str, Subscribers] = {}  # by name of the stream; of user data by listen key
        self._of_kind: dict[tuple[str, int], dict[str, Subscribers]] = {}
        self.connections: dict[int, Connection] = {}
        self.on_subscribers: list[Callable[[Topic], None]] = []  # told of every change of who listens to a topic
        self.frozen = False  # a fault: nothing goes out but answers
        self.n_events = 0
        self._instruments = {symbol.name.lower(): symbol.index for symbol in symbols}
        self._dirty: dict[int, Connection] = {}
        self._gone: list[tuple[int, bytes, int]] = []

    # -- connections -----------------------------------------------------------------------------------------------------

    def open(self, number: int, where: Where) -> None:
        """A new connection, with the streams that its address names."""
        connection = self.connections[number] = Connection(number, where)
        if len(where.names) > MOST_STREAMS:
            self._end(connection, POLICY_VIOLATION)
            return
        for name in where.names:
            self._subscribe(connection, name)

    def close(self, number: int) -> None:
        """The connection is gone."""
        connection = self.connections.pop(number, None)
        self._dirty.pop(number, None)
        if connection is not None:
            for name in list(connection.names):
                self._unsubscribe(connection, name)

    def break_off(self, subscribers: Subscribers) -> None:
        """Its stream cannot be continued: whoever listens is closed with 1011 and may come again."""
        for connection in list(subscribers.connections.values()):
            self._end(connection, INTERNAL_ERROR)

    def cut_all(self, code: int = 0) -> None:
        """Close every connection (a fault, or the end). `code` 0: without a close frame."""
        for connection in list(self.connections.values()):
            self._end(connection, code or -1)

    def _end(self, connection: Connection, code: int) -> None:
        if connection.number in self.connections:
            connection.close_code = code
            self._gone.append((connection.number, b"".join(connection.frames), code))
            self.close(connection.number)

    def outgoing(self) -> list[tuple[int, bytes, int]]:
        """What to do, and forget it: (connection, bytes to write, 0, or the code to close it with; -1 is without a close frame)."""
        found = self._gone
        self._gone = []
        for connection in self._dirty.values():
            found.append((connection.number, b"".join(connection.frames), 0))
            connection.frames.clear()
        self._dirty.clear()
        return found

    # -- subscriptions ---------------------------------------------------------------------------------------------------

    def _topic(self, name: str) -> Topic | None:
        if LISTEN_KEY.fullmatch(name):
            return Topic(USER)
        return topic_of(name, self._instruments)

    def _subscribe(self, connection: Connection, name: str) -> None:
        if name in connection.names:
            return
        topic = connection.names[name] = self._topic(name)
        if topic is None or not is_delivered(topic, connection.route, self.config.strict_routes):
            return
        subscribers = self.subscriber_groups.get(name)
        if subscribers is None:
            subscribers = self.subscriber_groups[name] = Subscribers(name, topic)
            self._of_kind.setdefault((topic.kind, topic.instrument), {})[name] = subscribers
        subscribers.connections[connection.number] = connection
        for hear in self.on_subscribers:
            hear(topic)

    def _unsubscribe(self, connection: Connection, name: str) -> None:
        topic = connection.names.pop(name, None)
        if topic is None:
            return
        subscribers = self.subscriber_groups.get(name)
        if subscribers is None or subscribers.connections.pop(connection.number, None) is None:
            return
        if not subscribers.connections:
            del self.subscriber_groups[name]
            del self._of_kind[topic.kind, topic.instrument][name]
        for hear in self.on_subscribers:
            hear(topic)

    def listening(self, kind: str, instrument: int = -1) -> list[Subscribers]:
        """The groups of subscribers of one kind of stream."""
        found = self._of_kind.get((kind, instrument))
        return list(found.values()) if found else []

    # -- what goes out ---------------------------------------------------------------------------------------------------

    def send(self, connection: Connection, frames: bytes) -> None:
        """Frames as they are, to one connection."""
        connection.frames.append(frames)
        self._dirty[connection.number] = connection

    def publish(self, subscribers: Subscribers, payload: bytes, event: str = "") -> None:
        """One event to everybody who listens. `event`: its name, where connections may have asked for some names only."""
        self.n_events += 1
        if self.frozen:
            return
        plain = combined = b""
        for connection in subscribers.connections.values():
            if event and event not in connection.events.get(subscribers.name, (event,)):
                continue
            if connection.combined:
                combined = combined or text_frame(b"%b%b}" % (subscribers.prefix, payload))
                self.send(connection, combined)
            else:
                plain = plain or text_frame(payload)
                self.send(connection, plain)

    def tell_everybody(self, payload: bytes) -> None:
        """An event about the connection itself."""
        for connection in self.connections.values():
            self.send(connection, text_frame(payload))

    # -- control messages ------------------------------------------------------------------------------------------------

    def receive(self, number: int, message: str | bytes) -> None:
        """One message of a client."""
        connection = self.connections.get(number)
        if connection is None:
            return
        if len(message) > LONGEST_MESSAGE:
            self._end(connection, TOO_BIG)
        elif self._is_too_fast(connection):
            self._end(connection, POLICY_VIOLATION)
        else:
            self.send(connection, text_frame(msgspec.json.encode(self._answer(connection, message))))

    def _is_too_fast(self, connection: Connection) -> bool:
        second = self.now_ms() // 1000
        if second != connection.second:
            connection.second, connection.n_received = second, 0
        connection.n_received += 1
        return 0 < self.config.stream_messages_per_s < connection.n_received

    def _answer(self, connection: Connection, message: str | bytes) -> dict[str, Any]:
        number = None
        try:
            request = _decode(message)
            number = request.get("id")
            if not isinstance(number, _SCALARS):
                number = None
                raise _Malformed(BAD_REQUEST, "Invalid request: id must be a scalar")
            return {"result": self._carry_out(connection, request), "id": number}
        except _Malformed as problem:
            answer: dict[str, Any] = {"code": problem.code, "msg": problem.text}
            return answer if number is None else {**answer, "id": number}

    def _carry_out(self, connection: Connection, request: dict[str, Any]) -> Any:
        method, params = request.get("method"), request.get("params", [])
        if method is None:
            raise _Malformed(BAD_REQUEST, "Invalid request: missing field `method`")
        if method not in _METHODS:
            raise _Malformed(BAD_REQUEST, f"Invalid request: unknown variant {str(method)[:64]!r}, expected one of {', '.join(_METHODS)}")
        if not isinstance(params, list):
            raise _Malformed(BAD_REQUEST, "Invalid request: params must be a list")
        if method == "LIST_SUBSCRIPTIONS":
            return list(connection.names)
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return _property(connection, method, params)
        if not all(isinstance(name, str) and len(name) <= 256 for name in params):
            raise _Malformed(BAD_REQUEST, "Invalid request: params must be stream names")
        if method == "SUBSCRIBE":
            if len(connection.names.keys() | set(params)) > MOST_STREAMS:
                raise _Malformed(BAD_REQUEST, f"Invalid request: at most {MOST_STREAMS} streams on one connection")
            for name in params:
                self._subscribe(connection, name)
        else:
            for name in params:
                self._unsubscribe(connection, name)
        return None


def _decode(message: str | bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(message)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise _Malformed(BAD_JSON, "Invalid JSON: the message cannot be read") from None
    if not isinstance(request, dict):
        raise _Malformed(BAD_REQUEST, "Invalid request: the message must be an object")
    return request


def _property(connection: Connection, method: str, params: list[Any]) -> Any:
    if len(params) != (2 if method == "SET_PROPERTY" else 1):
        raise _Malformed(BAD_REQUEST, "Invalid request: wrong number of params")
    if not isinstance(params[0], str):
        raise _Malformed(BAD_REQUEST, "Invalid request: property name must be a string")
    if params[0] != "combined":
        raise _Malformed(UNKNOWN_PROPERTY, "Unknown property")
    if method == "GET_PROPERTY":
        return connection.combined
    if not isinstance(params[1], bool):
        raise _Malformed(BAD_VALUE, "Invalid value type: expected Boolean")
    connection.combined = params[1]
    return None
