"""Benchmarks of the compiled core: decision, risk check, ring, binary decoding. Answers first, then the clock."""

from __future__ import annotations

import queue
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from hftkit.benchmarks import journal
from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.benchmarks.timing import alternate, percentiles
from hftkit.codes import Control, EventKind, MessageType, OrderType, Side
from hftkit.kernels.hooks import HOOKS_TYPE
from hftkit.kernels.jit import compiled_driver, kernel
from hftkit.kernels.memory.ring import format_ring, ring_pop_many, ring_push_many, ring_words
from hftkit.kernels.step import commit, decide, sense, step
from hftkit.kernels.trading.risk import check_want
from hftkit.kernels.wire.decode import clear_event, decode_market_data
from hftkit.kernels.wire.frame import check_frame, frame_words, header
from hftkit.layout import FRAME
from hftkit.session.engine_state import EngineState, build_engine_state, strategy_kernels
from hftkit.system.syscalls import monotonic_ns

_BBO, _CONTROL, _LOGON_ACK = int(EventKind.BBO), int(EventKind.CONTROL), int(EventKind.LOGON_ACK)
_CANCELED = int(EventKind.ORDER_CANCELED)


def _ready_engine() -> tuple[EngineState, np.ndarray]:
    """The benchmark engine, logged on, enabled, both books quoted."""
    config = bench_config()
    rooms, strategies = build_engine_state(config), strategy_kernels(config)
    run = compiled_driver(step, rooms, HOOKS_TYPE)
    for kind, instrument, seq, code in (
        (_CONTROL, -1, 0, Control.CONNECT),
        (_LOGON_ACK, -1, 1, 0),
        (_CONTROL, -1, 0, Control.ENABLE),
        (_BBO, 1, 1, 0),
    ):
        clear_event(rooms.event, kind, instrument, 1_000_000_000, 1, seq)
        rooms.event[0]["code"] = int(code)
        if kind == _BBO:
            rooms.event[0]["price"], rooms.event[0]["price2"], rooms.event[0]["qty"], rooms.event[0]["qty2"] = 400, 401, 50, 50
        run(rooms, strategies)
    rooms.out_end[:] = 0
    return rooms, strategies


@kernel
def _decide_many(rooms: Any, strategies: Any, samples: Any, scratch: Any) -> int:
    """Time the walk from decoded event to encoded order, once a sample (ns, two readings of the clock included). Orders made."""
    now = 2_000_000_000
    orders = 0
    for i in range(samples.size):
        now += 1_000_000
        clear_event(rooms.event, _BBO, 0, now, now, i + 1)
        rooms.event[0].price = 1000 + i % 5
        rooms.event[0].price2 = 1002 + i % 5
        rooms.event[0].qty = 50
        rooms.event[0].qty2 = 50
        rooms.out_end[0] = 0
        start = monotonic_ns(scratch)
        sensed = sense(rooms, strategies)
        n_want = decide(rooms, sensed)
        commit(rooms, sensed, n_want)
        samples[i] = monotonic_ns(scratch) - start
        if rooms.out_end[0] == 0:
            continue
        orders += 1
        order_id = rooms.order_out[2]
        clear_event(rooms.event, _CANCELED, 0, now + 10, now, rooms.session[0].seq_in + 1)
        rooms.event[0].client_order_id = order_id
        rooms.event[0].qty = 100
        sensed = sense(rooms, strategies)
        n_want = decide(rooms, sensed)
        commit(rooms, sensed, n_want)
    return orders


def decision() -> list[Result]:
    """Decoded event -> approved, encoded order (NF-2)."""
    rooms, strategies = _ready_engine()
    samples = np.zeros(200_000, np.float64)
    run = compiled_driver(_decide_many, rooms, HOOKS_TYPE, samples, np.zeros(2, np.int64))
    orders = run(rooms, strategies, samples, np.zeros(2, np.int64))
    if orders != samples.size:
        raise WrongAnswer(f"{orders} orders for {samples.size} events")
    first = rooms.order_out[: FRAME[MessageType.NEW_ORDER].words]
    if (first[3], first[8], first[7]) != (int(Side.BUY), 100, int(rooms.book[0]["best_ask"]) + 5):
        raise WrongAnswer(f"the last order is {first.tolist()}")
    run(rooms, strategies, samples[:1000], np.zeros(2, np.int64))
    found = percentiles(samples[1000:])
    config = {"events": samples.size, "includes": "book, signal, legs, risk, order table, encode; two clock readings (about 50 ns)"}
    return [Result("decision", "ns", found["p50"], found, config=config, goal="p50 < 1000")]


@kernel
def _check_many(
    want: Any,
    book: Any,
    instruments: Any,
    ledger: Any,
    open_qty: Any,
    limit: Any,
    allowed: Any,
    risk: Any,
    slots: Any,
    held: Any,
    open_held: Any,
    watch: Any,
    samples: Any,
    scratch: Any,
) -> int:
    """Time blocks of 100 risk checks; samples get ns a check. Returns checks refused."""
    refused = 0
    now = 3_000_000_000
    for i in range(samples.size):
        start = monotonic_ns(scratch)
        for k in range(100):
            now += 1000
            want[0].qty = 50 + k
            verdict = check_want(want, 0, book, instruments, ledger, open_qty, limit, allowed, risk, slots, held, open_held, watch, now)
            refused += 1 if verdict != 0 else 0
        samples[i] = (monotonic_ns(scratch) - start) / 100.0
    return refused


def risk_check() -> list[Result]:
    """One synchronous risk check (RK-1..5)."""
    rooms, _ = _ready_engine()
    clear_event(rooms.event, _BBO, 0, 1, 1, 1)
    rooms.book[0] = rooms.book[1]
    w = rooms.want[0]
    w["action"], w["instrument"], w["side"], w["order_type"], w["price"] = 1, 1, int(Side.BUY), int(OrderType.LIMIT), 401
    samples = np.zeros(20_000, np.float64)
    account = (rooms.want, rooms.book, rooms.instruments, rooms.ledger, rooms.open_qty, rooms.limit, rooms.allowed, rooms.risk)
    arguments = (*account, rooms.slots, rooms.held, rooms.open_held, rooms.watch)
    _check_many(*arguments, samples[:10], np.zeros(2, np.int64))
    refused = _check_many(*arguments, samples, np.zeros(2, np.int64))
    if refused:
        raise WrongAnswer(f"{refused} of {samples.size * 100} good orders refused")
    w["qty"] = 10**9
    rooms.limit["max_order_qty"] = 0
    if check_want(rooms.want, 0, *arguments[1:], 4_000_000_000) == 0:
        raise WrongAnswer("an order above its size limit passed")
    found = percentiles(samples)
    return [Result("risk_check", "ns", found["p50"], found, config={"checks": samples.size * 100, "block": 100}, goal="p50 < 50")]


@kernel
def _produce(ring: Any, messages: Any, n: int) -> None:
    """Push n numbered messages, in batches as large as `messages` holds; what did not fit is tried again."""
    sent = 0
    most = messages.size // 8
    while sent < n:
        batch = min(most, n - sent)
        for k in range(batch):
            messages[k * 8] = sent + k
        sent += ring_push_many(ring, messages, 0, batch)


@kernel
def _consume(ring: Any, messages: Any, n: int) -> int:
    taken, wrong = 0, 0
    most = messages.size // 8
    while taken < n:
        got = ring_pop_many(ring, messages, 0, most)
        for k in range(got):
            wrong += 1 if messages[k * 8] != taken + k else 0
        taken += got
    return wrong


def _through_ring(ring: np.ndarray, n: int, batch: int) -> None:
    producer = threading.Thread(target=_produce, args=(ring, np.zeros(8 * batch, np.int64), n))
    producer.start()
    wrong = _consume(ring, np.zeros(8 * batch, np.int64), n)
    producer.join()
    if wrong:
        raise WrongAnswer(f"{wrong} of {n} messages came out wrong")


def _through_queue(n: int) -> None:
    line: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    message = bytes(64)

    def feed() -> None:
        for _ in range(n):
            line.put(message)

    producer = threading.Thread(target=feed)
    producer.start()
    for _ in range(n):
        line.get()
    producer.join()


def ring() -> list[Result]:
    """64-byte messages between two threads (MD-4), in batches of up to 64 and one by one, beside queue.SimpleQueue."""
    n, n_queue, batch = 20_000_000, 200_000, 64
    words = format_ring(np.zeros(ring_words(4096, 8), np.int64), 4096, 8)
    _through_ring(words, 1000, batch)
    contestants: dict[str, Callable[[], object]] = {
        "batched": lambda: _through_ring(words, n, batch),
        "single": lambda: _through_ring(words, n // 10, 1),
        "queue": lambda: _through_queue(n_queue),
    }
    rounds = alternate(contestants, rounds=7)
    ours, one_by_one = n / rounds["batched"].median_ns * 1e9, n / 10 / rounds["single"].median_ns * 1e9
    theirs = n_queue / rounds["queue"].median_ns * 1e9
    config = {"message_bytes": 64, "slots": 4096, "batch": batch, "rounds": 7, "spread": round(rounds["batched"].spread, 3)}
    return [
        Result("ring", "messages/s", ours, {}, "queue.SimpleQueue", theirs, ours / theirs, config, goal="> 5e7"),
        Result("ring.one_by_one", "messages/s", one_by_one, {}, "queue.SimpleQueue", theirs, one_by_one / theirs, {**config, "batch": 1}),
    ]


@kernel
def _decode_all(words: Any, event: Any, n_words: int) -> int:
    """Decode every frame; sum of prices, so that nothing can be left out."""
    position, total = 0, 0
    while position < n_words:
        if check_frame(words, position, n_words) != 0:
            return -1
        decode_market_data(words, position, event, 1, 4)
        total += event[0].price
        position += frame_words(words[position])
    return total


def _decode_with_struct(data: bytes) -> int:
    position, total = 0, 0
    body = struct.Struct("<HBBIqqqqqq")
    while position < len(data):
        length, *_, price, _ = body.unpack_from(data, position)
        total += price
        position += length
    return total


def decode_binary() -> list[Result]:
    """Depth frames to normalised events, beside struct.unpack_from in Python."""
    n = 200_000
    width = FRAME[MessageType.DEPTH].words
    words = np.zeros((n, width), np.int64)
    words[:, 0] = [header(int(MessageType.DEPTH), width, i % 4) for i in range(n)]
    words[:, 1] = np.arange(n)
    words[:, 2:] = (1, 0, 1, 1000, 5)
    words[:, 5] += np.arange(n) % 7
    flat, data = words.reshape(-1), words.tobytes()
    event = _ready_engine()[0].event
    if _decode_all(flat, event, flat.size) != _decode_with_struct(data):
        raise WrongAnswer("the two decoders read different prices")
    rounds = alternate({"kernel": lambda: _decode_all(flat, event, flat.size), "struct": lambda: _decode_with_struct(data)}, rounds=9)
    ours, theirs = rounds["kernel"].median_ns / n, rounds["struct"].median_ns / n
    return [Result("decode_binary", "ns/message", ours, {}, "struct.unpack_from", theirs, theirs / ours, {"messages": n, "frame_bytes": width * 8})]


BENCHMARKS = [
    Benchmark("decision", decision),
    Benchmark("risk_check", risk_check),
    Benchmark("ring", ring),
    Benchmark("decode_binary", decode_binary),
    *journal.BENCHMARKS,
]
