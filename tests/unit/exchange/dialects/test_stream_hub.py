"""Control messages and addresses of the streams: what is documented, and anything else that may come."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.market.symbols import Symbol
from hftkit.exchange.dialects.binance.streams.stream_hub import LONGEST_MESSAGE, StreamHub, text_frame, where_of
from hftkit.exchange.dialects.binance.streams.stream_names import topic_of

INDEX = {"btcusdt": 0, "ethusdt": 1}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
METHODS = st.sampled_from(["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY", "subscribe", ""])
NAMES = st.sampled_from(["btcusdt@depth", "ethusdt@bookTicker", "!bookTicker", "btcusdt@kline_1m", "nothing", "0", "x" * 64, "combined"])


def unpack(data: bytes) -> list[Any]:
    """Payloads of unmasked text frames, by RFC 6455 alone."""
    found = []
    while data:
        assert data[0] == 0x81
        size, at = data[1], 2
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10], "big"), 10
        found.append(json.loads(data[at : at + size]))
        data = data[at + size :]
    return found


class Talk:
    """One connection to a hub by hand."""

    def __init__(self, address: str = "/public/ws", **config: Any) -> None:
        symbols = [msgspec.convert({"name": name.upper(), "index": i}, _Name) for name, i in INDEX.items()]
        self.now = 1_000
        self.hub = StreamHub(BinanceDialectConfig(**config), symbols, lambda: self.now)  # type: ignore[arg-type]
        path, _, query = address.partition("?")
        where = where_of(path, query)
        assert where is not None
        self.hub.open(1, where)

    def say(self, message: Any) -> list[Any]:
        """The answers to one message."""
        self.hub.receive(1, message if isinstance(message, str | bytes) else json.dumps(message))
        return self.heard()

    def heard(self) -> list[Any]:
        return [payload for number, data, _ in self.hub.outgoing() if number == 1 for payload in unpack(data)]


class _Name(msgspec.Struct):
    name: str
    index: int


def test_the_documented_dialogue() -> None:
    talk = Talk()
    assert talk.say({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", "btcusdt@depth"], "id": 1}) == [{"result": None, "id": 1}]
    assert talk.say({"method": "UNSUBSCRIBE", "params": ["btcusdt@depth"], "id": 2}) == [{"result": None, "id": 2}]
    assert talk.say({"method": "LIST_SUBSCRIPTIONS", "id": 3}) == [{"result": ["btcusdt@aggTrade"], "id": 3}]
    assert talk.say({"method": "SET_PROPERTY", "params": ["combined", True], "id": 4}) == [{"result": None, "id": 4}]
    assert talk.say({"method": "GET_PROPERTY", "params": ["combined"], "id": 5}) == [{"result": True, "id": 5}]
    assert talk.say({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 6})[0]["code"] == 1
    assert talk.say({"method": "GET_PROPERTY", "params": ["other"], "id": 7})[0]["code"] == 0
    assert talk.say({"method": "PLEASE", "id": 8})[0]["code"] == 2
    assert talk.say("{")[0]["code"] == 3


@given(st.one_of(st.text(max_size=60), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)))
def test_an_id_of_any_scalar_is_echoed(number: Any) -> None:
    assert Talk().say({"method": "LIST_SUBSCRIPTIONS", "id": number}) == [{"result": [], "id": number}]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(JSON.map(json.dumps), st.binary(max_size=200), st.text(max_size=200), st.fixed_dictionaries(
    {"method": METHODS}, optional={"params": st.lists(NAMES | JSON, max_size=6), "id": JSON}).map(json.dumps)), max_size=8))  # fmt: skip
def test_every_message_has_one_answer_whatever_it_is(messages: list[str | bytes]) -> None:
    talk = Talk()
    for message in messages:
        assert len(talk.say(message)) == 1
    names = set(talk.hub.connections[1].names)
    talk.hub.close(1)
    assert (talk.hub.subscriber_groups, talk.hub.connections, talk.hub.outgoing()) == ({}, {}, [])
    assert all(isinstance(name, str) for name in names)


def test_deep_and_huge_messages_end_nothing_but_their_connection() -> None:
    talk = Talk()
    assert talk.say("[" * 100_000)[0]["code"] == 3
    assert talk.say(json.dumps({"method": "SUBSCRIBE", "params": [f"s{i}@depth" for i in range(2000)], "id": 1}))[0]["code"] == 2
    talk.hub.receive(1, "x" * (LONGEST_MESSAGE + 1))
    assert talk.hub.outgoing()[-1][2] == 1009
    assert not talk.hub.connections
    talk.hub.receive(1, "late")


def test_ten_messages_a_second_where_asked_for() -> None:
    talk = Talk(stream_messages_per_s=10)
    for second in range(3):
        talk.now = 1000 * second
        for _ in range(10):
            assert talk.say({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    talk.hub.receive(1, "{}")
    assert talk.hub.outgoing()[-1][2] == 1008


def test_routes_deliver_their_own_streams_only_where_strict() -> None:
    book, trades, key = "btcusdt@depth", "btcusdt@aggTrade", "K" * 64
    delivered = {"public": {book}, "market": {trades}, "private": {key}, "": {book}}
    for route, wanted in delivered.items():
        address = f"/{route}/stream".replace("//", "/") + f"?streams={book}/{trades}/{key}"
        assert set(Talk(address, strict_routes=True).hub.subscriber_groups) == wanted
        lenient = Talk(address, strict_routes=False)
        assert set(lenient.hub.subscriber_groups) == {book, trades, key}
        assert lenient.say({"method": "LIST_SUBSCRIPTIONS", "id": 1})[0]["result"] == [book, trades, key]


def test_addresses() -> None:
    assert where_of("/market/ws/btcusdt@aggTrade/btcusdt@trade", "") == ("market", False, ["btcusdt@aggTrade", "btcusdt@trade"], {})
    assert where_of("/stream", "streams=a@b/c@d") == ("", True, ["a@b", "c@d"], {})
    assert where_of("/private/ws", "listenKey=K1&events=A/B&listenKey=K2") == ("private", False, ["K1", "K2"], {"K1": frozenset("AB")})
    assert where_of("/public/ws/%21bookTicker", "") == ("public", False, ["!bookTicker"], {})
    assert where_of("/fapi/v1/ping", "") is None
    assert where_of("/public", "") is None


def test_names_of_streams() -> None:
    known = "bookTicker trade aggTrade depth depth@0ms depth@100ms depth@250ms depth@500ms depth5 depth10@100ms depth20@500ms markPrice markPrice@1s"
    for kind in (*known.split(), "kline_1m", "kline_1M", "miniTicker", "ticker", "forceOrder", "rpiDepth@500ms"):
        topic = topic_of(f"ethusdt@{kind}", INDEX)
        assert topic is not None, kind
        assert topic.instrument == (1 if topic.kind != "nothing" else -1)
    for name in (
        "btcusdt@depth7",
        "btcusdt@depth@1s",
        "BTCUSDT@depth",
        "btcusdt",
        "",
        "@",
        "xyz@trade",
        "btcusdt@kline_7m",
        "btcusdt_x@continuousKline_1m",
    ):
        assert topic_of(name, INDEX) is None, name
    assert topic_of("btcusdt_perpetual@continuousKline_1m", INDEX) is not None


@given(st.integers(0, 70_000))
@settings(max_examples=40, deadline=None)
def test_frames_carry_their_length(size: int) -> None:
    payload = json.dumps("x" * size).encode()
    assert unpack(text_frame(payload) + text_frame(b"1")) == ["x" * size, 1]


def test_a_symbol_is_what_the_hub_needs() -> None:
    assert {"name", "index"} <= set(Symbol.__annotations__)
