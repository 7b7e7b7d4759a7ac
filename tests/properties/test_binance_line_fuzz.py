"""Bad input through a Binance line: every documented message with each member missing, of another type, huge, negative, elsewhere; cut at every byte;
random bytes. Nothing crashes, nothing is guessed: what is not taken whole is counted and leaves no frame and no trace in books and orders.

Run once with NUMBA_BOUNDSCHECK=1: then every index is checked. The slow test feeds millions.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hftkit.binance.calls import translator
from hftkit.binance.line import Counter, Kind, kind_of
from hftkit.codes import MessageType
from hftkit.kernels.wire.binance.state import N_COUNTERS
from tests.unit.kernels.binance_messages import (
    COID,
    MS,
    POSITIONS,
    USER_OTHERS,
    USER_TRADES,
    Hand,
    account_update,
    agg_trade,
    api_answer,
    api_error,
    depth,
    fill,
    frames_of,
    funding_fee,
    mark_price,
    order_update,
    snapshot,
    text,
    ticker,
    trade,
)

LEVELS = ([("64000.10", "3.250"), ("63999.80", "1.000")], [("64000.30", "1.000")])
# Each message that the line acts on: kind, message, members that it cannot do without
NEEDED: dict[str, tuple[Kind, Any, tuple[str, ...]]] = {
    "ticker": (Kind.MARKET, ticker(300), ("e", "u", "s", "b", "B", "a", "A", "T")),
    "depth": (Kind.MARKET, depth(96, 120, 95, *LEVELS), ("e", "T", "s", "U", "u", "pu", "b", "a")),
    "trade": (Kind.MARKET, trade(), ("e", "T", "s", "t", "p", "q", "m")),
    "mark price": (Kind.MARKET, mark_price(), ("e", "E", "s", "p", "i", "r", "T")),
    "REST depth": (Kind.REST_DEPTH, snapshot(95, *LEVELS), ("lastUpdateId", "bids", "asks")),
    "order update": (Kind.USER, order_update(), ("e", "o", "o.s", "o.c", "o.S", "o.x", "o.X", "o.i", "o.l", "o.z", "o.T")),
    "fill": (Kind.USER, fill("0.002", "0.002", 5), ("e", "o", "o.s", "o.c", "o.S", "o.x", "o.X", "o.i", "o.l", "o.z", "o.L", "o.T", "o.t", "o.m")),
    "account": (Kind.USER, account_update(), ("e", "T", "a", "a.B", "a.P", "a.P.0.s", "a.P.0.pa")),
    "funding": (Kind.USER, funding_fee(), ("e", "T", "a", "a.B", "a.P", "a.B.0.bc")),
    "order answer": (Kind.ORDER_API, api_answer(), ("id", "status", "result.orderId", "result.symbol", "result.status", "result.executedQty")),
    "positions": (Kind.REST_POSITION, POSITIONS, ("0.symbol", "0.positionAmt")),
    "user trades": (Kind.REST_TRADES, USER_TRADES, ("0.symbol", "0.id", "0.orderId", "0.side", "0.price", "0.qty", "0.maker", "0.time")),
}
OTHERS: list[tuple[Kind, Any]] = [
    *((Kind.USER, message) for message in USER_OTHERS),
    *((Kind.MARKET, message) for message in (agg_trade(), {"result": None, "id": 1}, {"stream": "btcusdt@bookTicker", "data": ticker(301)})),
    *((Kind.ORDER_API, api_error(code, letter)) for code in (-2019, -1007, -2013, -2011) for letter in "ncq"),
    (Kind.ORDER_API, {"id": f"h{5:016x}", "status": 200, "result": {"serverTime": MS}}),
]
HUGE = [10**19, -(10**19), 10**400, -1, -5, "-1", "1e999", "9" * 30, "-0.1", "0.00000000001", 2**63, -(2**63), "NaN", "Infinity", ""]
WRONG = [None, True, False, [], {}, [[]], [1], {"a": 1}, [["1"]], [["1", "2", "3"], 4], "text", "\u00e9\u20ac", "\\", "1.5.5", "0x10", " 1"]
UNTOUCHED = ("sync", "levels", "tracks", "mark", "over", "funded")


def paths(message: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = message.items() if isinstance(message, dict) else enumerate(message) if isinstance(message, list) else ()
    for key, value in items:
        yield (*at, key)
        yield from paths(value, (*at, key))


def changed(message: Any, path: tuple[Any, ...], value: Any = None, *, remove: bool = False) -> Any:
    other = copy.deepcopy(message)
    inner = other
    for key in path[:-1]:
        inner = inner[key]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return other


def path_of(name: str) -> tuple[Any, ...]:
    return tuple(int(part) if part.isdigit() else part for part in name.split("."))


def ready() -> Hand:
    """A line with a book, an order sent and, for the answers that need it, its venue id."""
    hand = Hand()
    hand.place()
    hand.give(depth(90, 95, 89, [("64000.00", "1")], [("64000.50", "1")]))
    return hand


def prepared(name: str) -> Hand:
    hand = ready()
    if name in ("ticker", "depth", "trade", "mark price"):
        hand.give(snapshot(95, [("64000.00", "1")], [("64000.50", "1")]), Kind.REST_DEPTH)
    if name == "user trades":
        hand.give(api_answer(), Kind.ORDER_API)
    return hand


def traces(hand: Hand) -> dict[str, bytes]:
    """What a refused message leaves as it was: all but when it was last asked whether the scales are still right."""
    sync = hand.line.sync.copy()
    sync["doubted_at"] = 0
    return {name: (sync if name == "sync" else getattr(hand.line, name)).tobytes() for name in UNTOUCHED}


@pytest.mark.parametrize("name", NEEDED)
def test_a_message_without_a_needed_member_or_with_another_type_there_leaves_no_trace(name: str) -> None:
    kind, message, needed = NEEDED[name]
    hand = prepared(name)
    whole = prepared(name)
    before = traces(whole)
    assert whole.give(message, kind) or traces(whole) != before, "the whole message does something"
    for member in needed:
        path = path_of(member)
        for other in (changed(message, path, remove=True), *(changed(message, path, value) for value in WRONG)):
            if other == message or (member, other) == ("o.m", None):
                continue
            value = other
            for key in path:
                value = value.get(key) if isinstance(value, dict) and key in value else value[key] if isinstance(value, list) else None
            if value in ([], True, False) and value is not None and type(value) is type(_at(message, path)):
                continue  # an empty list of levels, or the other flag, is a good message
            if name in ("account", "positions") and member.endswith(("symbol", "s")) and isinstance(value, str):
                continue  # another symbol: not ours
            if (name, member) == ("fill", "o.c") and isinstance(value, str):
                continue  # a fill of another client: told as such
            if name == "depth" and member not in ("e", "s"):
                check_hole(prepared(name), other, member, value)
                continue
            before, counted = traces(hand), hand.line.counters.copy()
            frames = hand.give(other, kind)
            assert frames == [], (member, value)
            assert traces(hand) == before, (member, value)
            assert (hand.line.counters != counted).sum() >= 2, (member, value)  # the message, and why it was not taken


def check_hole(hand: Hand, message: Any, *what: object) -> None:
    """A depth event that cannot be read is missing from its book: the book goes, and nothing else."""
    before, others = hand.line.levels[1:].tobytes(), hand.line.sync[1:].tobytes()
    frames = hand.give(message)
    assert [frame.type for frame in frames] == [MessageType.SNAPSHOT_BEGIN], what
    assert (hand.line.sync[0]["shown"], hand.count("books_lost")) == (0, 1), what
    assert (hand.line.levels[1:].tobytes(), hand.line.sync[1:].tobytes()) == (before, others), what


def _at(message: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        message = message[key]
    return message


@pytest.mark.parametrize("name", NEEDED)
def test_members_in_any_order_and_unknown_ones_change_nothing(name: str) -> None:
    kind, message, _ = NEEDED[name]
    rng = random.Random(1)
    wanted = [repr(frame) for frame in prepared(name).give(message, kind)]
    for _ in range(30):
        other = shuffled(message, rng)
        assert [repr(frame) for frame in prepared(name).give(other, kind)] == wanted


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(inner, rng)) for key, inner in value.items()]
        items += [(f"unknown{k}", rng.choice([*WRONG, {"e": [1]}])) for k in range(rng.randint(0, 3))]
        rng.shuffle(items)
        return dict(items)
    return [shuffled(inner, rng) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", NEEDED)
def test_a_message_cut_at_any_byte_is_refused(name: str) -> None:
    kind, message, _ = NEEDED[name]
    hand = prepared(name)
    payload = text(message)
    for n in range(len(payload)):
        before = hand.count("not_json")
        assert hand.give(payload[:n], kind) == []
        assert hand.count("not_json") == before + 1
    assert hand.give(payload + b"x", kind) == []
    for n in range(len(payload)):  # nor is a byte behind the buffer looked at (NUMBA_BOUNDSCHECK=1)
        data = np.frombuffer(bytearray(payload[:n]), np.uint8)
        assert translator()(hand.line, data, 0, n, int(kind), hand.now, hand.words, 0) == 0


class Fuzzer:
    """Messages as a broken or hostile venue would send them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        known = [(kind, message) for kind, message, _ in NEEDED.values()] + OTHERS
        self.known = [(kind, message, list(paths(message))) for kind, message in known]
        self.id = 1000

    def bend(self, message: Any, where: list[tuple[Any, ...]]) -> Any:
        rng = self.rng
        for _ in range(rng.choice((0, 1, 1, 2))):
            path = rng.choice(where)
            try:
                message = changed(message, path, rng.choice(HUGE + WRONG), remove=rng.random() < 0.2)
            except (KeyError, IndexError, TypeError):
                continue  # it went with an earlier change
        return shuffled(message, rng) if rng.random() < 0.1 else message

    def payload(self) -> tuple[Kind, bytes]:
        rng = self.rng
        kind, message, where = rng.choice(self.known)
        if rng.random() < 0.03:
            return rng.choice(list(Kind)), rng.randbytes(rng.randint(0, 60))
        if isinstance(message, dict) and "u" in message and rng.random() < 0.7:
            step = rng.choice((1, 1, 1, 5, -3))
            message = {**message, "u": self.id + step, "pu": self.id, "U": self.id + 1} if "pu" in message else {**message, "u": self.id + step}
            self.id += max(step, 0)
        raw = text(self.bend(message, where))
        damage = rng.random()
        if damage < 0.15:
            at = rng.randrange(len(raw) + 1)
            raw = raw[:at] + rng.choice((b"", rng.randbytes(1), b'"', b"{", b"]", b"\\", b"\\u", b"0" * 40)) + raw[at + rng.randint(0, 3) :]
        elif damage < 0.2:
            raw = raw[: rng.randrange(len(raw) + 1)]
        return rng.choice(list(Kind)) if rng.random() < 0.03 else kind, raw


def fuzz(seed: int, n: int) -> np.ndarray:
    """Feed `n` inputs through lines that are replaced now and then. Returns the sum of all counters."""
    fuzzer, total = Fuzzer(seed), np.zeros(N_COUNTERS, np.int64)
    call, hand = translator(), ready()
    for i in range(n):
        if i % 2000 == 0:
            total += hand.line.counters
            hand = ready()
        if i % 50 == 0:
            hand.place(COID + i)
            hand.requests()
        kind, raw = fuzzer.payload()
        data = np.frombuffer(bytearray(raw), np.uint8)  # exactly the message: one byte more would be out of bounds
        subject = fuzzer.rng.choice((0, 0, 0, 1, 2, 3, 200)) if kind in (Kind.REST_DEPTH, Kind.LINE_UP, Kind.LINE_DOWN) else 0
        hand.now += 1_000_000
        end = call(hand.line, data, 0, data.size, kind_of(kind, subject), hand.now, hand.words, 0)
        assert 0 <= end <= 8192
        for frame in frames_of(hand.words[:end]):
            assert frame.instrument < 3
            assert all(frame.fields.get(name, 0) >= 0 for name in ("price", "qty", "bid_price", "ask_price", "leaves_qty", "n_bid"))
            assert "bid_price" not in frame.fields or frame.bid_price < frame.ask_price or 0 in (frame.bid_price, frame.ask_price)
    return total + hand.line.counters


def check_counters(total: np.ndarray, n: int) -> None:
    assert total[Counter.MESSAGES] >= n
    for counter in (
        "NOT_JSON",
        "MISSING",
        "WRONG_TYPE",
        "BAD_NUMBER",
        "OUT_OF_RANGE",
        "UNKNOWN_EVENT",
        "UNKNOWN_SYMBOL",
        "DEPTH_GAPS",
        "FILLS",
        "SYNCED",
        "BOOKS_LOST",
    ):
        assert total[Counter[counter]] > 0, counter


def test_thousands_of_bad_messages() -> None:
    check_counters(fuzz(1, 40_000), 40_000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_millions_of_bad_messages(seed: int) -> None:
    check_counters(fuzz(seed, 500_000), 500_000)


def test_the_json_of_the_fuzzer_is_what_it_seems() -> None:
    fuzzer = Fuzzer(9)
    good = 0
    for _ in range(2000):
        _, raw = fuzzer.payload()
        try:
            json.loads(raw)
            good += 1
        except ValueError:
            pass
    assert 1000 < good < 1950
