"""Orders a second through the whole loop, sustained (NF-3): quote, order, cancel confirmation, next quote, as fast as they come.

`order_rate` has one quote in flight. `order_rate_many` has 64 strategies and 32 of them at work at any time: 16 quotes leave in one write, the next
16 before the orders of the first are back, so that engine and venue are busy at once.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from hftkit.benchmarks.many_strategies import many_config
from hftkit.benchmarks.registry import Result, WrongAnswer
from hftkit.clock import monotonic_ns
from hftkit.codes import MessageType, Side
from hftkit.kernels.arrays import Int64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.wire.frame import header
from hftkit.layout import FRAME
from hftkit.system import syscalls
from live.benchmarks.wire_to_wire import Responder, engine

SECONDS = 60
STRATEGIES, GROUPS = 64, 4
GROUP = STRATEGIES // GROUPS
_AHEAD = GROUPS // 2  # groups whose orders are under way
_QUOTE, _ORDER, _CANCELED = (FRAME[kind] for kind in (MessageType.BBO, MessageType.NEW_ORDER, MessageType.ORDER_CANCELED))
_QUOTE_WORDS, _ORDER_WORDS, _CANCELED_WORDS = _QUOTE.words, _ORDER.words, _CANCELED.words
_QUOTE_HEADER, _ORDER_HEADER, _CANCELED_HEADER = (
    header(int(kind), FRAME[kind].words, 0) for kind in (MessageType.BBO, MessageType.NEW_ORDER, MessageType.ORDER_CANCELED)
)
_ID, _SIDE, _PRICE, _QTY = (_ORDER.word(name) for name in ("client_order_id", "side", "price", "qty"))
_BUY, _LOTS, _SLIPPAGE = int(Side.BUY), 100, 5  # what the benchmark's strategies ask for
_SEQ_OUT, _SEQ_IN, _LAST_ID = range(3)
_PATIENCE_NS = 10_000_000_000


@kernel
def _write(fd: int, words: Int64Array, n_words: int) -> int:
    """Send `n_words`, whole. 0, or 1 if the peer is gone."""
    sent = 0
    while sent < n_words * 8:
        n = syscalls.transmit(fd, words, sent, n_words * 8 - sent, syscalls.MSG_NOSIGNAL | syscalls.MSG_DONTWAIT)
        if n < 0 and syscalls.errno() != syscalls.EAGAIN:
            return 1
        sent += max(n, 0)
    return 0


@kernel
def _quote_group(data_fd: int, group: int, seq: Int64Array, ask: Int64Array, out: Int64Array) -> int:
    """A new price for each lead of a group, in one write. `seq`, `ask`: int64 (STRATEGIES,) last sequence and best ask by instrument."""
    for k in range(GROUP):
        i, at = group * GROUP + k, k * _QUOTE_WORDS
        seq[i] += 1
        ask[i] = 1002 + seq[i] % 5
        out[at] = _QUOTE_HEADER | i << 32
        out[at + 1], out[at + 2] = seq[i], seq[i]
        out[at + 3], out[at + 4] = ask[i] - 2, 50
        out[at + 5], out[at + 6] = ask[i], 50
    return _write(data_fd, out, GROUP * _QUOTE_WORDS)


@kernel
def _cancel_group(order_fd: int, state: Int64Array, orders: Int64Array, out: Int64Array) -> int:
    """Check the orders of a group, which lie in `orders`, and confirm each as cancelled, in one write. 0, or what is wrong (> 0)."""
    for k in range(GROUP):
        at, to = k * _ORDER_WORDS, k * _CANCELED_WORDS
        state[_SEQ_IN] += 1
        if orders[at + 1] != state[_SEQ_IN]:
            return 2  # a frame is missing
        if orders[at + _ID] <= state[_LAST_ID]:
            return 3  # an id came twice
        state[_LAST_ID] = orders[at + _ID]
        state[_SEQ_OUT] += 1
        out[to] = _CANCELED_HEADER | orders[at] >> 32 << 32
        out[to + 1], out[to + 2] = state[_SEQ_OUT], state[_SEQ_OUT]
        out[to + 3], out[to + 4], out[to + 5], out[to + 6] = orders[at + _ID], 1, _LOTS, 0
    return _write(order_fd, out, GROUP * _CANCELED_WORDS)


@kernel
def _is_wrong(orders: Int64Array, group: int, ask: Int64Array) -> bool:
    """Whether the orders of a group are not one for each of its leads, in turn, at the price and quantity that its last quote asks for."""
    for k in range(GROUP):
        at, i = k * _ORDER_WORDS, group * GROUP + k
        if (
            orders[at] != _ORDER_HEADER | i << 32
            or orders[at + _SIDE] != _BUY
            or orders[at + _PRICE] != ask[i] + _SLIPPAGE
            or orders[at + _QTY] != _LOTS
        ):
            return True
    return False


@kernel
def exchange_groups(
    order_fd: int,
    data_fd: int,
    rounds: int,
    state: Int64Array,
    seq: Int64Array,
    ask: Int64Array,
    out: Int64Array,
    orders: Int64Array,
    clock: Int64Array,
) -> int:
    """Play the venue for `rounds` groups of orders. 0, or 1 the peer is gone, 2 a frame is missing, 3 an id came twice, 4 a wrong order, 5 silence.

    The quote of an instrument must not overtake the cancel that frees it, on the other socket. The cancels of a group are written before the quotes
    of the next one but one, and those are answered before the group is quoted again: by then the engine has read its order socket once more.
    """
    for k in range(min(_AHEAD, rounds)):
        if _quote_group(data_fd, k % GROUPS, seq, ask, out) != 0:
            return 1
    fill, size = 0, GROUP * _ORDER_WORDS * 8
    for r in range(rounds):
        patience = syscalls.monotonic_ns(clock) + _PATIENCE_NS
        while fill < size:
            n = syscalls.receive(order_fd, orders, fill, syscalls.MSG_DONTWAIT)
            fill += max(n, 0)
            if n == 0:
                return 1
            if n < 0 and syscalls.monotonic_ns(clock) > patience:
                return 5
        if _is_wrong(orders, r % GROUPS, ask):
            return 4
        fault = _cancel_group(order_fd, state, orders, out)
        if fault != 0:
            return fault
        fill -= size
        for i in range((fill + 7) // 8):
            orders[i] = orders[size // 8 + i]
        if r + _AHEAD < rounds and _quote_group(data_fd, (r + _AHEAD) % GROUPS, seq, ask, out) != 0:
            return 1
    return 0


_FAULTS = ("", "the engine is gone", "a frame is missing", "an id came twice", "an order is wrong", "no order for 10 seconds")


def order_rate(seconds: float = SECONDS) -> list[Result]:
    """Sustained rate with one quote in flight: each order is checked, nothing may be missing."""
    samples = np.zeros(20_000, np.float64)
    rates: list[float] = []
    orders = 0
    with tempfile.TemporaryDirectory() as folder:
        responder = engine(Path(folder))
        responder.block(500)
        end = monotonic_ns() + int(seconds * 1e9)
        while monotonic_ns() < end:
            start = monotonic_ns()
            fault = responder.exchange(samples, 4_000)
            if fault:
                raise WrongAnswer(f"order {orders + abs(fault)} is wrong or missing")
            orders += samples.size
            rates.append(samples.size / (monotonic_ns() - start) * 1e9)
        responder.close()
    config = {"seconds": seconds, "orders": orders, "in_flight": 1, "slowest_block_per_s": round(min(rates))}
    return [Result("order_rate", "orders/s", float(np.median(rates)), config=config, goal="> 10000")]


def _own_mb() -> float:
    """Memory of this process that is no file's (the journal is mapped), in MB."""
    found = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon:"))
    return round(int(found.split()[1]) / 1024, 2)


def _check_engine(responder: Responder, orders: int) -> None:
    """That the engine's own books say the same: so many orders sent, each cancelled, none unknown, shared evenly."""
    assert responder.state is not None
    session, slots = responder.state.session[0], responder.state.slots
    found = {name: int(session[name]) for name in ("n_orders", "n_canceled", "n_unknown", "n_illegal", "n_malformed", "n_sequence_gaps")}
    if found != {"n_orders": orders, "n_canceled": orders, "n_unknown": 0, "n_illegal": 0, "n_malformed": 0, "n_sequence_gaps": 0}:
        raise WrongAnswer(f"of {orders} orders the engine says {found}")
    if (slots["n_orders"] != orders // STRATEGIES).any():
        raise WrongAnswer(f"orders by strategy are {slots['n_orders'].tolist()}")


def order_rate_many(seconds: float = SECONDS, block: int = 1_000 * GROUPS) -> list[Result]:
    """Sustained rate of 64 strategies with 32 orders in flight: each order is checked by the venue, the totals by the engine's own counters.

    `block`: groups of orders between two readings of the clock, a multiple of GROUPS.
    """
    state = np.array([1, 1, 0], np.int64)
    words = [np.zeros(STRATEGIES, np.int64) for _ in range(2)] + [np.zeros(2 * GROUP * _ORDER_WORDS, np.int64) for _ in range(2)]
    rates: list[float] = []
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        responder = engine(Path(folder), many_config(STRATEGIES, STRATEGIES + 2))
        fds, clock = (responder.order.fileno(), responder.data.fileno()), np.zeros(2, np.int64)
        exchange_groups(*fds, GROUPS, state, *words, clock)
        orders, end = STRATEGIES, monotonic_ns() + int(seconds * 1e9)
        while monotonic_ns() < end:
            start = monotonic_ns()
            fault = exchange_groups(*fds, block, state, *words, clock)
            if fault:
                raise WrongAnswer(f"after {orders} orders: {_FAULTS[fault]}")
            orders += block * GROUP
            rates.append(block * GROUP / (monotonic_ns() - start) * 1e9)
            memory.append(_own_mb())
        responder.close()
        _check_engine(responder, orders)
    seen = {"memory_start_mb": memory[0], "memory_growth_mb": round(memory[-1] - memory[0], 2)}
    config = {
        **seen,
        "seconds": seconds,
        "orders": orders,
        "strategies": STRATEGIES,
        "in_flight": _AHEAD * GROUP,
        "slowest_block_per_s": round(min(rates)),
    }
    return [Result("order_rate_many", "orders/s", float(np.median(rates)), config=config, goal="> 100000")]
