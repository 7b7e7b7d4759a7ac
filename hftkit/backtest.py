"""Event-driven backtest: a tape of quotes and trades, a simulated venue, and the step that trades live.

A tape is an int64 array (rows, 7): BBO and TRADE frames as a venue sends them, in the order of their exchange time. `bars_to_tape` makes one of the
closes of two instruments, `quotes_to_tape` of best bids and offers. What is simulated and what is not: hftkit/kernels/backtest.py.
With `journal` the run leaves a journal like a live session's; `hftkit replay --verify` then proves it decision by decision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from hftkit.codes import Control, MessageType, RecordType
from hftkit.errors import DataError
from hftkit.journal import JournalWriter, words_of
from hftkit.kernels import backtest as kernel
from hftkit.kernels.jit import compiled_driver, sources_digest
from hftkit.kernels.memory.journal import STATE_WORDS
from hftkit.kernels.replay import CURSOR_WORDS, FILLS, SAMPLES
from hftkit.kernels.step import STRATEGIES_TYPE
from hftkit.kernels.wire.frame import header
from hftkit.params import FrozenParams
from hftkit.replay import FILL_COLUMNS, SAMPLE_COLUMNS
from hftkit.rooms import Limits, Rooms, SessionConfig, build_rooms, state_digest, strategy_kernels

# Risk limits that never bind: a backtest asks what the strategy does; pass the live limits to see what risk would leave of it
UNLIMITED = Limits(
    max_position_lots=10**12,
    max_order_lots=10**12,
    max_order_notional=10**9,
    max_exposure=10**9,
    max_loss=10**9,
    price_band_ticks=10**9,
    max_orders_per_s=10_000_000,
    order_burst=1_000_000,
    max_rejects=10**9,
)
BAR_LOTS = 10**12  # quantity shown at the touch of a tape made of bars: a bar does not say how much could be traded


class Desk(NamedTuple):
    """The tape, the simulated venue and what is in flight between it and the engine. All int64, times in ns."""

    tape: np.ndarray  # (rows * TAPE_WORDS,) frames
    quote: np.ndarray  # (instruments, 6) bid ticks, lots, ask ticks, lots, as the venue has them; lots bought and sold since
    orders: np.ndarray  # (QUEUE_SLOTS * SLOT_WORDS,) on their way to the venue
    answers: np.ndarray  # (QUEUE_SLOTS * SLOT_WORDS,) on their way back
    jitter: np.ndarray  # (m,) ns added to the latency of one order after another
    plan: np.ndarray  # (PLAN_WORDS,)
    io: np.ndarray  # (IO_WORDS,)
    word: np.ndarray  # (1,) payload of a journalled control


@dataclass(frozen=True)
class Latency:
    """One-way times in ns: quotes to the engine, orders to the venue, answers back. `jitter_ns`: mean of an exponential addition to each order."""

    market_data_ns: int = 0
    order_ns: int = 0
    answer_ns: int = 0
    jitter_ns: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.market_data_ns, self.order_ns, self.answer_ns, self.jitter_ns) < 0:
            raise DataError(f"{self} has a negative time", "Latencies are zero or more")

    def jitter(self) -> np.ndarray:
        """Additions drawn once, used one after the other, int64 (m,)."""
        if self.jitter_ns == 0:
            return np.zeros(1, np.int64)
        return np.random.default_rng(self.seed).exponential(self.jitter_ns, 4096).astype(np.int64)


@dataclass(frozen=True)
class Depth:
    """What stands behind the touch of a tape: `levels` prices one tick apart, level k with 1 + `growth` * k times the quantity of the touch.

    Growth 0 makes impact linear in size, growth 2 the square-root law. The default is the touch alone.
    """

    levels: int = 1
    growth: int = 2

    def __post_init__(self) -> None:
        if not (1 <= self.levels <= kernel.MAX_LEVELS and 0 <= self.growth <= 1000):
            raise DataError(f"{self} is no book", f"Use 1 to {kernel.MAX_LEVELS} levels and a growth of 0 to 1000")


@dataclass(frozen=True)
class BacktestResult:
    """What a run did. `fills`: int64 (m, 8), columns replay.FILL_COLUMNS; `samples`: float64 (k, 8), columns replay.SAMPLE_COLUMNS.

    Money in 1e-8 quote. `rejects`: orders the venue refused; `vetoes`: wants that risk refused.
    """

    config: SessionConfig
    rooms: Rooms
    fills: np.ndarray
    samples: np.ndarray
    events: int
    orders: int
    rejects: int
    vetoes: int

    @property
    def net_e8(self) -> int:
        """P&L after fees, the open position at mark."""
        ledger = self.rooms.ledger
        return int((ledger["realized_e8"] + ledger["unrealized_e8"] - ledger["fees_e8"]).sum())

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the final state: orders, ledger, books, strategies."""
        return state_digest(self.rooms).hex()


def quotes_to_tape(
    ts_ns: np.ndarray, instrument: np.ndarray, bid: np.ndarray, bid_qty: np.ndarray, ask: np.ndarray, ask_qty: np.ndarray
) -> np.ndarray:
    """BBO frames int64 (n, 7) of quotes int64 (n,) in time order: exchange time ns, instrument id, ticks, lots.

    Raises DataError if out of order.
    """
    ts_ns, instrument = np.asarray(ts_ns, np.int64), np.asarray(instrument, np.int64)
    if ts_ns.size and (np.diff(ts_ns) < 0).any():
        row = int(np.flatnonzero(np.diff(ts_ns) < 0)[0]) + 1
        raise DataError(f"quote {row} is earlier than the one before it", "Sort the quotes by exchange time")
    tape = np.empty((ts_ns.size, kernel.TAPE_WORDS), np.int64)
    for number in np.unique(instrument):
        rows = instrument == number
        tape[rows, 0] = header(int(MessageType.BBO), kernel.TAPE_WORDS, int(number))
        tape[rows, 1] = np.arange(1, int(rows.sum()) + 1)
    tape[:, 2] = ts_ns
    for column, values in enumerate((bid, bid_qty, ask, ask_qty), start=3):
        tape[:, column] = values
    return tape


def bars_to_tape(
    close_ns: np.ndarray,
    lead_ticks: np.ndarray,
    hedge_ticks: np.ndarray,
    settle_ns: int,
    half_spread_ticks: tuple[int, int] = (1, 1),
    lots: int = BAR_LOTS,
) -> np.ndarray:
    """A tape of the closes of two instruments (ids 0 lead, 1 hedge), int64 (n,) ticks each, quoted `half_spread_ticks` to either side.

    Both closes belong to one moment, and a strategy must see both or neither. So each bar is three quotes: `settle_ns` before the close the lead's
    offer is withdrawn and the hedge moves; at the close the lead is quoted again, at its new price. In between there is no book to trade the pair
    on. Take half a bar: an order refused for want of a book is tried again after the strategy's retry_ns, which must have passed by the close.
    """
    n = len(close_ns)
    lead, hedge = np.asarray(lead_ticks, np.int64), np.asarray(hedge_ticks, np.int64)
    wide_lead, wide_hedge = half_spread_ticks
    if min(wide_lead, wide_hedge) < 1 or (n and min(lead.min() - wide_lead, hedge.min() - wide_hedge) < 1):
        raise DataError(f"half spreads of {half_spread_ticks} ticks leave no bid", "Use at least 1 and less than the lowest price")
    bid, ask, ask_lots = (np.empty((n, 3), np.int64) for _ in range(3))
    bid[:, 0], bid[:, 1], bid[:, 2] = lead - wide_lead, hedge - wide_hedge, lead - wide_lead
    ask[:, 0], ask[:, 1], ask[:, 2] = 0, hedge + wide_hedge, lead + wide_lead
    ask_lots[:, 0], ask_lots[:, 1:] = 0, lots
    times = np.repeat(np.asarray(close_ns, np.int64)[:, None], 3, axis=1) - np.array([settle_ns, settle_ns, 0])
    names = np.tile(np.array([0, 1, 0], np.int64), n)
    return quotes_to_tape(times.ravel(), names, bid.ravel(), np.full(3 * n, lots), ask.ravel(), ask_lots.ravel())


def session_of(frozen: FrozenParams | Sequence[FrozenParams], limits: Limits = UNLIMITED) -> SessionConfig:
    """The session that trades frozen parameters over the instruments they name, in their order."""
    strategies = (frozen,) if isinstance(frozen, FrozenParams) else tuple(frozen)
    instruments = {instrument.symbol: instrument for one in strategies for instrument in one.instruments}
    return SessionConfig(epoch=1, account=1, instruments=tuple(instruments.values()), strategies=strategies, limits=limits, channels=1)


def backtest(
    config: SessionConfig,
    tape: np.ndarray,
    *,
    latency: Latency | None = None,
    depth: Depth | None = None,
    timer_ns: int = 0,
    sample_every_ns: int = 0,
    max_fills: int = 1_000_000,
    journal: Path | None = None,
) -> BacktestResult:
    """Run a session over a tape.

    `depth`: what is assumed behind the touch; `timer_ns`: period of timer events (hedge deadlines between quotes), 0 for none; `sample_every_ns`
    (exchange time): keep signal and equity for
    pictures; `journal`: folder for a journal of the run. Raises DataError for a tape that is none.
    """
    latency = latency or Latency()
    _check_tape(tape, len(config.instruments))
    rooms, strategies = build_rooms(config), strategy_kernels(config)
    desk = _desk(tape, len(config.instruments), latency, timer_ns, sample_every_ns, journal is not None)
    desk.plan[kernel.LEVELS], desk.plan[kernel.GROWTH] = (depth or Depth()).levels, (depth or Depth()).growth
    span = int(tape[-1, 2] - tape[0, 2])
    rows = span // sample_every_ns + 2 if sample_every_ns else 0
    samples, fills = np.zeros((rows, len(SAMPLE_COLUMNS))), np.zeros((max_fills, len(FILL_COLUMNS)), np.int64)
    cursor = np.zeros(CURSOR_WORDS, np.int64)
    writer = _journal(journal, config, int(tape[0, 2])) if journal is not None else None
    segment, state = (writer.segment, writer.state) if writer else (np.zeros(1, np.int64), np.zeros(STATE_WORDS, np.int64))
    run = compiled_driver(kernel.run_tape, rooms, STRATEGIES_TYPE, desk, cursor, samples, fills, segment, state)
    while (status := run(rooms, strategies, desk, cursor, samples, fills, segment, state)) == kernel.TAPE_JOURNAL_FULL:
        assert writer is not None
        segment = writer.roll()
    if writer is not None:
        writer.append(RecordType.SESSION_END, int(tape[-1, 2]), np.frombuffer(state_digest(rooms), np.int64))
        writer.close()
    if status == kernel.TAPE_QUEUE_FULL:
        raise DataError("more orders are in flight than the simulated venue holds", "Shorten the latency or limit the open orders")
    done = desk.io
    return BacktestResult(
        config=config,
        rooms=rooms,
        fills=fills[: cursor[FILLS]].copy(),
        samples=samples[: cursor[SAMPLES]].copy(),
        events=int(done[kernel.ENGINE_ROW]),
        orders=int(done[kernel.ORDERS]),
        rejects=int(done[kernel.REJECTS]),
        vetoes=int(rooms.risk[0]["n_vetoes"]),
    )


def backtest_many(configs: Iterable[SessionConfig], tape: np.ndarray, *, threads: int | None = None, **options: Any) -> Iterator[BacktestResult]:
    """`backtest` of many sessions over one tape, on all cores; results in the order of `configs`, whatever the number of threads."""
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        yield from pool.map(lambda config: backtest(config, tape, **options), configs)


def with_parameters(frozen: FrozenParams, **changed: int | str) -> FrozenParams:
    """The same strategy with other parameters (text for decimals, see params.text_of), for many runs over one tape."""
    return msgspec.structs.replace(frozen, parameters={**frozen.parameters, **changed})


def _check_tape(tape: np.ndarray, n_instruments: int) -> None:
    if tape.dtype != np.int64 or tape.ndim != 2 or tape.shape[1] != kernel.TAPE_WORDS or not len(tape):
        raise DataError(
            f"a tape is int64 (rows, {kernel.TAPE_WORDS}), this is {tape.dtype} {tape.shape}", "Make it with quotes_to_tape or bars_to_tape"
        )
    kinds, numbers = (tape[:, 0] >> 16) & 0xFF, tape[:, 0] >> 32
    if not np.isin(kinds, (int(MessageType.BBO), int(MessageType.TRADE))).all() or numbers.max() >= n_instruments or numbers.min() < 0:
        raise DataError("the tape holds frames other than BBO and TRADE, or instruments the session does not have", "Check ids and types")
    if (np.diff(tape[:, 2]) < 0).any():
        raise DataError("the tape is not in the order of its exchange time", "Sort it")


def _desk(tape: np.ndarray, n: int, latency: Latency, timer_ns: int, sample_every_ns: int, journalled: bool) -> Desk:
    plan = np.zeros(kernel.PLAN_WORDS, np.int64)
    plan[kernel.DATA_LATENCY], plan[kernel.ORDER_LATENCY] = latency.market_data_ns, latency.order_ns
    plan[kernel.ANSWER_LATENCY], plan[kernel.TIMER_NS] = latency.answer_ns, timer_ns
    plan[kernel.SAMPLE_NS], plan[kernel.JOURNALLED] = sample_every_ns, int(journalled)
    slots = kernel.QUEUE_SLOTS * kernel.SLOT_WORDS
    return Desk(
        tape=np.ascontiguousarray(tape).reshape(-1),
        quote=np.zeros((n, 6), np.int64),
        orders=np.zeros(slots, np.int64),
        answers=np.zeros(slots, np.int64),
        jitter=latency.jitter(),
        plan=plan,
        io=np.zeros(kernel.IO_WORDS, np.int64),
        word=np.array([int(Control.NONE)], np.int64),
    )


def _journal(folder: Path, config: SessionConfig, now: int) -> JournalWriter:
    writer = JournalWriter(folder, config.epoch, now)
    writer.append(RecordType.SESSION_BEGIN, now, words_of(json.dumps({"kernels": sources_digest(), "backtest": True}).encode()))
    writer.append(RecordType.CONFIG, now, words_of(config.to_bytes()))
    return writer
