"""Benchmarks of the Binance dialect: JSON to the engine's integers, a message kind at a time, and a paced mix through ring and scanner.

Beside orjson and msgspec in the same run. Both get what helps them: msgspec a typed Struct that skips unknown members, and prices become integers by
dropping the decimal point (the texts are padded to the tick), which is less than what ours does (any text, exact or refused).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from hftkit.benchmarks.registry import Benchmark, NotHere, Result, WrongAnswer
from hftkit.benchmarks.timing import alternate, percentiles
from hftkit.binance.calls import TRANSLATE_TYPE, encoder, translator
from hftkit.binance.line import Kind, Line, Trades, client_order_id_text, new_line
from hftkit.instruments import Instrument
from hftkit.kernels.jit import compiled_driver, kernel
from hftkit.kernels.memory.byte_ring import (
    VIEW_BYTES,
    VIEW_START,
    VIEW_TIME,
    VIEW_WORDS,
    byte_ring_backlog,
    byte_ring_front,
    byte_ring_push,
    byte_ring_release,
    new_byte_ring,
)
from hftkit.kernels.wire.binance.state import ROOM_WORDS
from hftkit.kernels.wire.encode import encode_new_order
from hftkit.layout import ORDER
from hftkit.system.syscalls import monotonic_ns

_MS = 1_790_000_000_000
_N = 20_000
_COID = (1_700_000_000 << 32) + 1
_LEVELS = 10


class _Ticker(msgspec.Struct):
    e: str
    s: str
    u: int
    b: str
    B: str
    a: str
    A: str
    T: int


class _Trade(msgspec.Struct):
    e: str
    s: str
    p: str
    q: str
    T: int
    m: bool
    t: int = 0
    a: int = 0


class _Depth(msgspec.Struct):
    e: str
    s: str
    U: int
    u: int
    pu: int
    T: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _Order(msgspec.Struct):
    s: str
    c: str
    S: str
    x: str
    X: str
    i: int
    l: str  # noqa: E741
    z: str
    L: str
    n: str
    t: int
    T: int
    m: bool


class _Update(msgspec.Struct):
    e: str
    T: int
    o: _Order


def _whole(text: str) -> int:
    """Padded decimal text as an integer."""
    return int(text.replace(".", ""))


def _of_ticker(m: Any) -> int:
    return _whole(m.b) + _whole(m.B) + _whole(m.a) + _whole(m.A)


def _of_trade(m: Any) -> int:
    return _whole(m.p) + _whole(m.q)


def _of_depth(m: Any) -> int:
    return sum(_whole(p) + _whole(q) for p, q in m.b) + sum(_whole(p) + _whole(q) for p, q in m.a)


def _of_fill(m: Any) -> int:
    o = m.o
    return _whole(o.L) + _whole(o.l) + _whole(o.n)


class _Members(dict[str, Any]):
    """A dict whose members are read like attributes, so that one reader serves both libraries."""

    __getattr__ = dict.__getitem__


def _members(tree: dict[str, Any]) -> _Members:
    return _Members({key: _Members(value) if isinstance(value, dict) else value for key, value in tree.items()})


def _price(i: int) -> str:
    return f"{64000 + i % 7}.{i % 10}"


def _ticker_text(i: int) -> dict[str, Any]:
    return {
        **{"e": "bookTicker", "u": 9_000_000_000 + i, "s": "BTCUSDT", "ps": "BTCUSDT", "b": _price(i), "B": "3.250", "a": f"{64010 + i % 3}.5"},
        **{"A": f"1.{i % 1000:03d}", "T": _MS + i, "E": _MS + i, "st": 1},
    }


def _depth_text(i: int) -> dict[str, Any]:
    first = 9_000_000_000 + 10 * i
    rows = [
        [[f"{63990 - k}.{i % 10}", f"{(i + k) % 3}.250"] for k in range(_LEVELS)],
        [[f"{64020 + k}.{i % 10}", f"{(i + k) % 3}.125"] for k in range(_LEVELS)],
    ]
    return {
        **{"e": "depthUpdate", "E": _MS + i, "T": _MS + i, "s": "BTCUSDT", "ps": "BTCUSDT", "U": first - 5, "u": first, "pu": first - 10},
        **{"b": rows[0], "a": rows[1], "st": 1},
    }


def _trade_text(i: int) -> dict[str, Any]:
    return {
        **{"e": "trade", "E": _MS + i, "T": _MS + i, "s": "BTCUSDT", "t": 6_100_200_300 + i, "p": _price(i), "q": "0.010", "X": "MARKET"},
        **{"m": bool(i % 2), "st": 1},
    }


def _agg_text(i: int) -> dict[str, Any]:
    return {
        **{"e": "aggTrade", "E": _MS + i, "a": 2_900_100_200 + i, "s": "BTCUSDT", "p": _price(i), "q": "0.015", "nq": "0.015", "f": 1, "l": 2},
        **{"T": _MS + i, "m": bool(i % 2), "st": 1},
    }


def _fill_text(i: int) -> dict[str, Any]:
    order = {
        **{
            "s": "BTCUSDT",
            "c": client_order_id_text(_COID),
            "S": "BUY",
            "o": "LIMIT",
            "f": "GTC",
            "q": "1000.000",
            "p": "64000.20",
            "ap": "64000.20",
        },
        **{"sp": "0", "x": "TRADE", "X": "PARTIALLY_FILLED", "i": 700800901, "l": "0.001", "z": f"{(i + 1) // 1000}.{(i + 1) % 1000:03d}"},
        **{"L": _price(i), "n": "0.03200010", "N": "USDT", "T": _MS + i, "t": 6_100_200_300 + i, "b": "0", "a": "0", "m": False, "R": False},
        **{"wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": False, "rp": "0", "pP": False, "si": 0, "ss": 0, "V": "EXPIRE_MAKER"},
        **{"pm": "NONE", "gtd": 0, "er": "0"},
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": _MS + i, "E": _MS + i, "o": order}


def _line(**options: Any) -> Line:
    return new_line(
        [Instrument(symbol="BTCUSDT", tick_size="0.1", lot_size="0.001"), Instrument(symbol="ETHUSDT", tick_size="0.01", lot_size="0.001")], **options
    )


def _with_order(line: Line) -> Line:
    """The order whose fills are decoded: 1000 coins, so that they last."""
    order, words, out = np.zeros(1, ORDER.dtype), np.zeros(32, np.int64), np.zeros(4096, np.uint8)
    row = order[0]
    row["client_order_id"], row["qty"], row["price"] = _COID, 1_000_000, 640002
    encoder()(line, words, 0, encode_new_order(words, 0, 1, order[0]), _MS, out, 0)
    return line


@kernel
def _translate_all(call: Any, line: Any, data: Any, starts: Any, kind: int, words: Any, first: int, step: int) -> int:
    """Translate messages data[starts[i]:starts[i + 1]]; sum of two words of the last frames (`first` and the word `step` after it)."""
    total = 0
    for i in range(starts.size - 1):
        end = call(line, data, starts[i], starts[i + 1] - starts[i], kind, i + 1, words, 0)
        if end > 0:
            total += words[first] + words[first + step]
    return total


def _texts(make: Callable[[int], dict[str, Any]], n: int) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    messages = [json.dumps(make(i), separators=(",", ":")).encode() for i in range(n)]
    starts = np.cumsum([0, *map(len, messages)]).astype(np.int64)
    return messages, np.frombuffer(bytearray(b"".join(messages)), np.uint8), starts


def _snapshot() -> bytes:
    bids, asks = ([[f"{60000 - k}.0", "1.000"] for k in range(50)], [[f"{70000 + k}.0", "1.000"] for k in range(50)])
    return json.dumps({"lastUpdateId": 9_000_000_000, "bids": bids, "asks": asks}).encode()


def _ready(kind: str) -> Line:
    """A line in the state in which it acts on every message of this kind."""
    line = _line(depth=kind == "depthUpdate", trades=Trades.AGG_TRADE if kind == "aggTrade" else Trades.TRADE)
    if kind == "ORDER_TRADE_UPDATE":
        return _with_order(line)
    if kind == "depthUpdate":
        words, call = np.zeros(ROOM_WORDS + 8, np.int64), translator()
        first = np.frombuffer(bytearray(json.dumps(_depth_text(0)).encode()), np.uint8)
        call(line, first, 0, first.size, int(Kind.MARKET), 1, words, 0)
        body = np.frombuffer(bytearray(_snapshot()), np.uint8)
        call(line, body, 0, body.size, int(Kind.REST_DEPTH), 1, words, 0)
        line.sync["update_id"] = 9_000_000_000 - 10
    return line


_KINDS: dict[str, tuple[Callable[[int], dict[str, Any]], type, Callable[[Any], int], int, int]] = {
    "bookTicker": (_ticker_text, _Ticker, _of_ticker, 3, 2),
    "depthUpdate": (_depth_text, _Depth, _of_depth, 5, 1),
    "aggTrade": (_agg_text, _Trade, _of_trade, 5, 1),
    "trade": (_trade_text, _Trade, _of_trade, 5, 1),
    "ORDER_TRADE_UPDATE": (_fill_text, _Update, _of_fill, 8, 1),
}
_COUNTED = {"bookTicker": "TICKERS", "depthUpdate": "DEPTH_EVENTS", "aggTrade": "TRADES", "trade": "TRADES", "ORDER_TRADE_UPDATE": "FILLS"}


def _check(kind: str, messages: list[bytes], data: np.ndarray, starts: np.ndarray, readers: dict[str, Callable[[bytes], Any]]) -> None:
    """All three read the same integers out of every message; the line acts on every one."""
    from hftkit.kernels.wire.binance.state import Counter

    value = _KINDS[kind][2]
    line, call, words = _ready(kind), translator(), np.zeros(ROOM_WORDS + 8, np.int64)
    code = int(Kind.USER if kind == "ORDER_TRADE_UPDATE" else Kind.MARKET)
    before = int(line.counters[Counter[_COUNTED[kind]]])
    for i, message in enumerate(messages):
        values = {name: value(read(message)) for name, read in readers.items()}
        end = call(line, data, starts[i], starts[i + 1] - starts[i], code, i + 1, words, 0)
        ours = _sum_of(kind, line, words[:end])
        if {*values.values()} != {ours}:
            raise WrongAnswer(f"{kind} {i}: ours {ours}, {values}")
    if int(line.counters[Counter[_COUNTED[kind]]]) - before != len(messages):
        raise WrongAnswer(f"{kind}: the line did not act on every message")


def _sum_of(kind: str, line: Line, words: np.ndarray) -> int:
    """What the references add up, from our frames; of a depth event from the levels read (levels that change nothing give no frame)."""
    if kind == "bookTicker":
        return int(words[3:7].sum())
    if kind == "depthUpdate":
        return int(line.incoming[:, :_LEVELS].sum())
    if kind == "ORDER_TRADE_UPDATE":
        fill = words[-12:]
        return int(fill[8] + fill[9] + fill[11])
    return int(words[5] + words[6])


def decode() -> list[Result]:
    """Each message kind: bytes to the engine's frame, beside orjson and msgspec with the same integers."""
    try:
        import orjson
    except ImportError:
        raise NotHere("orjson is not installed", "pip install 'hftkit[dev]'") from None
    results = []
    for kind, (make, struct, value, first, step) in _KINDS.items():
        n = _N // 4 if kind == "depthUpdate" else _N
        messages, data, starts = _texts(make, n)
        typed: Any = msgspec.json.Decoder(struct).decode
        _check(kind, messages, data, starts, {"msgspec": typed, "orjson": lambda raw: _members(orjson.loads(raw))})
        line, words = _ready(kind), np.zeros(ROOM_WORDS + 8, np.int64)
        start = [array.copy() for array in line]
        code = int(Kind.USER if kind == "ORDER_TRADE_UPDATE" else Kind.MARKET)
        run = compiled_driver(_translate_all, TRANSLATE_TYPE, line, data, starts, 1, words, 1, 1)

        def ours(line: Line = line, start: Any = start, run: Any = run, data: Any = data, starts: Any = starts, code: int = code) -> None:
            line.sync[:], line.tracks[:], line.levels[:] = start[5], start[10], start[6]
            run(translator(), line, data, starts, code, np.zeros(ROOM_WORDS + 8, np.int64), first, step)  # noqa: B023

        def theirs(read: Callable[[bytes], Any], value: Callable[[Any], int] = value, messages: list[bytes] = messages) -> int:
            return sum(value(read(message)) for message in messages)

        by_key = _by_key(kind)

        def with_orjson(messages: list[bytes] = messages, by_key: Callable[[Any], int] = by_key) -> int:
            return sum(by_key(orjson.loads(message)) for message in messages)

        rounds = alternate({"ours": ours, "msgspec": lambda: theirs(typed), "orjson": with_orjson}, rounds=7)  # noqa: B023
        rate = {name: n / found.median_ns * 1e9 for name, found in rounds.items()}
        best = max(("msgspec", "orjson"), key=lambda name: rate[name])
        config = {
            **{"messages": n, "bytes": len(messages[0]), "ns_per_message": round(1e9 / rate["ours"], 1)},
            **{name: round(rate[name]) for name in ("msgspec", "orjson")},
            "includes": "ours: symbol, book or order state, the engine's frame; theirs: a Python object and the integers",
        }
        results.append(
            Result(f"decode_json.{kind}", "messages/s", rate["ours"], {}, best, rate[best], rate["ours"] / rate[best], config, goal="ratio >= 3")
        )
    return results


def _by_key(kind: str) -> Callable[[Any], int]:
    """The reference's integers straight out of orjson's dict."""
    if kind == "bookTicker":
        return lambda m: _whole(m["b"]) + _whole(m["B"]) + _whole(m["a"]) + _whole(m["A"])
    if kind == "depthUpdate":
        return lambda m: sum(_whole(p) + _whole(q) for p, q in m["b"]) + sum(_whole(p) + _whole(q) for p, q in m["a"])
    if kind == "ORDER_TRADE_UPDATE":
        return lambda m: _whole(m["o"]["L"]) + _whole(m["o"]["l"]) + _whole(m["o"]["n"])
    return lambda m: _whole(m["p"]) + _whole(m["q"])


# -- the mix ----------------------------------------------------------------------------------------------------------------

_PER_SECOND = 100_000


@kernel
def _feed(ring: Any, ring_bytes: Any, data: Any, starts: Any, interval_ns: int, scratch: Any) -> int:
    """Push every message at its time, one each `interval_ns` (0: as fast as it goes). Times it had to try again (count)."""
    refused = 0
    begin = monotonic_ns(scratch)
    for i in range(starts.size - 1):
        while interval_ns > 0 and monotonic_ns(scratch) < begin + i * interval_ns:
            continue
        due = begin + i * interval_ns if interval_ns > 0 else monotonic_ns(scratch)
        while byte_ring_push(ring, ring_bytes, data, starts[i], starts[i + 1] - starts[i], 1, due) == 0:
            refused += 1
    return refused


@kernel
def _drain(call: Any, line: Any, ring: Any, ring_bytes: Any, n: int, words: Any, view: Any, scratch: Any, samples: Any) -> int:
    """Translate n records; `samples` get ns from the due time to the frames written. The largest backlog in words."""
    most = 0
    for i in range(n):
        while byte_ring_front(ring, view) == 0:
            continue
        most = max(most, byte_ring_backlog(ring))
        call(line, ring_bytes, view[VIEW_START], view[VIEW_BYTES], 1, view[VIEW_TIME], words, 0)
        byte_ring_release(ring, view)
        samples[i] = monotonic_ns(scratch) - view[VIEW_TIME]
    return most


def _mixed(i: int) -> dict[str, Any]:
    message = _ticker_text(i)
    if i % 2:
        message |= {"s": "ETHUSDT", "ps": "ETHUSDT", "b": f"3400.{i % 100:02d}", "a": f"3402.{i % 100:02d}"}
    return message if i % 10 else _trade_text(i)


def _through(line: Line, data: np.ndarray, starts: np.ndarray, interval_ns: int, samples: np.ndarray) -> tuple[int, int]:
    ring = new_byte_ring(1 << 18)
    view, words = np.zeros(VIEW_WORDS, np.int64), np.zeros(ROOM_WORDS + 8, np.int64)
    line.sync["ticker_id"], line.sync["trade_id"] = 0, 0
    run = compiled_driver(_drain, TRANSLATE_TYPE, line, ring, ring.view(np.uint8), 1, words, view, np.zeros(2, np.int64), samples)
    refused: list[int] = []
    feed = threading.Thread(target=lambda: refused.append(_feed(ring, ring.view(np.uint8), data, starts, interval_ns, np.zeros(2, np.int64))))
    feed.start()
    most = run(translator(), line, ring, ring.view(np.uint8), starts.size - 1, words, view, np.zeros(2, np.int64), samples)
    feed.join()
    return most, refused[0]


def mix() -> list[Result]:
    """bookTicker (nine of ten) and trades of two symbols at 100,000/s through ring and scanner: the backlog; and the most that goes through."""
    from hftkit.kernels.wire.binance.state import Counter

    n = 2 * _PER_SECOND
    _, data, starts = _texts(_mixed, n)
    line, samples = _line(depth=False), np.zeros(n, np.int64)
    _through(line, data, starts[:1000], 0, samples)
    line = _line(depth=False)
    most, refused = _through(line, data, starts, 1_000_000_000 // _PER_SECOND, samples)
    if int(line.counters[Counter.TICKERS]) + int(line.counters[Counter.TRADES]) != n or line.counters[Counter.TRADES_OLD]:
        raise WrongAnswer("messages were lost between ring and scanner")
    words = int(np.mean(np.diff(starts))) // 8 + 4
    found = percentiles(samples.astype(np.float64))
    config = {"messages": n, "per_second": _PER_SECOND, "largest_backlog_messages": most // words, "pushed_again": refused, "ends_with_backlog": 0}
    paced = Result("binance_mix.delay", "ns", found["p50"], found, config=config, goal="p99 < 1000000")
    free = np.zeros(n, np.int64)

    def all_at_once() -> None:
        _through(_line(depth=False), data, starts, 0, free)

    rounds = alternate({"ours": all_at_once}, rounds=5)
    rate = n / rounds["ours"].median_ns * 1e9
    return [paced, Result("binance_mix.most", "messages/s", rate, {}, config={"messages": n, "threads": 2}, goal="> 100000")]


BENCHMARKS = [Benchmark("decode_json", decode), Benchmark("binance_mix", mix)]
