"""Event-driven backtest: a tape of quotes and trades, a simulated venue, and the step that trades live.

A tape is an int64 array (rows, 7): BBO and TRADE frames as a venue sends them, in the order of their exchange time. `bars_to_tape` makes one of the
closes of two instruments, `quotes_to_tape` of best bids and offers. What is simulated and what is not: docs/backtest.md.
With `journal` the run leaves a journal like a live session's; `hftkit replay --verify` then proves it decision by decision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit.codes import Control, MessageType, RecordType
from hftkit.errors import DataError
from hftkit.kernels import backtest as kernel
from hftkit.kernels import backtest_desk as words
from hftkit.kernels.backtest_desk import BacktestVenueState
from hftkit.kernels.backtest_venue import MAX_LEVELS
from hftkit.kernels.hooks import HOOKS_TYPE
from hftkit.kernels.jit import compiled_driver, sources_digest
from hftkit.kernels.market.queue import ESTIMATES
from hftkit.kernels.memory.journal import STATE_WORDS
from hftkit.kernels.replay import CURSOR_WORDS, FILLS, SAMPLES
from hftkit.kernels.wire.frame import header
from hftkit.layout import MONEY_SCALE, TAPE_LOOP
from hftkit.params.format import FrozenParams
from hftkit.session.engine_state import EngineState, Limits, SessionConfig, build_engine_state, state_digest, strategy_kernels
from hftkit.session.journal import JournalWriter, words_of
from hftkit.session.replay import FILL_COLUMNS, SAMPLE_COLUMNS

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
        if not (1 <= self.levels <= MAX_LEVELS and 0 <= self.growth <= 1000):
            raise DataError(f"{self} is no book", f"Use 1 to {MAX_LEVELS} levels and a growth of 0 to 1000")


FUNDING_COLUMNS = ("ts_event", "instrument", "rate_e8", "position_lots", "paid_e8")
QUOTES = ("recorded", "made", "bars")  # kinds of quotes a tape may hold, by words.RECORDED, MADE, BARS


@dataclass(frozen=True)
class Queue:
    """How resting orders are filled (docs/backtest.md).

    `estimate` of an order's place among those of the tape: "optimistic", "neutral" or "pessimistic"; `participation`: the part of a print that they
    may have, all together; `quotes`, of all instruments or one each: "recorded", "made" (by a converter round the prints: they fill
    nothing), "bars" (no prints: closes fill).
    """

    estimate: str = "neutral"
    participation: float = 1.0
    quotes: str | tuple[str, ...] = "recorded"

    def __post_init__(self) -> None:
        if self.estimate not in ESTIMATES:
            raise DataError(f"queue estimate {self.estimate!r} is not known", f"Allowed: {', '.join(ESTIMATES)}")
        if not 0 < self.participation <= 1:
            raise DataError(f"participation {self.participation} is out of range", "Allowed: more than 0, at most 1")
        for kind in (self.quotes,) if isinstance(self.quotes, str) else self.quotes:
            if kind not in QUOTES:
                raise DataError(f"quotes are of no kind {kind!r}", f"Allowed: {', '.join(QUOTES)}")

    def kinds(self, n: int) -> list[int]:
        """The kind of each of `n` instruments. Raises DataError if another number of them was given."""
        names = (self.quotes,) * n if isinstance(self.quotes, str) else self.quotes
        if len(names) != n:
            raise DataError(f"{len(names)} kinds of quotes for {n} instruments", "Give one for all of them, or one each")
        return [QUOTES.index(name) for name in names]


@dataclass(frozen=True)
class BacktestResult:
    """What a run did. `fills`: int64 (m, 8), columns replay.FILL_COLUMNS; `samples`: float64 (k, 8), columns replay.SAMPLE_COLUMNS.

    Money in 1e-8 quote. `rejects`: orders the venue refused; `vetoes`: wants that risk refused; `cancels`: cancels sent. `queue`: int64
    (instruments, 5) of orders that rested and were reached: their lots, the lots that the optimistic, neutral and pessimistic estimate filled while
    they lived, their number. `funding`: int64 (k, 5), columns FUNDING_COLUMNS, one row a payment.
    """

    config: SessionConfig
    rooms: EngineState
    fills: np.ndarray
    samples: np.ndarray
    events: int
    orders: int
    rejects: int
    vetoes: int
    cancels: int
    queue: np.ndarray
    funding: np.ndarray

    @property
    def maker_share(self) -> float:
        """Lots filled as maker of all lots filled; NaN without fills."""
        lots = self.fills[:, 4]
        return float(lots[self.fills[:, 6] != 0].sum() / lots.sum()) if lots.sum() else float("nan")

    @property
    def net_e8(self) -> int:
        """P&L after fees and funding, the open position at mark."""
        ledger = self.rooms.ledger
        return int((ledger["realized_e8"] + ledger["unrealized_e8"] - ledger["fees_e8"] - ledger["funding_e8"]).sum())

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
    ts_ns, instrument = _in_order(ts_ns, "quote"), np.asarray(instrument, np.int64)
    return _frames(MessageType.BBO, ts_ns, instrument, (bid, bid_qty, ask, ask_qty))


def trades_to_tape(ts_ns: np.ndarray, instrument: np.ndarray, side: np.ndarray, price: np.ndarray, qty: np.ndarray) -> np.ndarray:
    """TRADE frames int64 (n, 7) of prints int64 (n,) in time order: exchange time ns, instrument id, side of the taker, ticks, lots.

    With the frames of `quotes_to_tape`, put in order by their time in column 2, a tape on which resting orders are filled. Raises DataError if out
    of order.
    """
    ts_ns, instrument = _in_order(ts_ns, "trade"), np.asarray(instrument, np.int64)
    return _frames(MessageType.TRADE, ts_ns, instrument, (np.zeros(ts_ns.size, np.int64), side, price, qty))


def _in_order(ts_ns: np.ndarray, what: str) -> np.ndarray:
    times = np.asarray(ts_ns, np.int64)
    if times.size and (np.diff(times) < 0).any():
        row = int(np.flatnonzero(np.diff(times) < 0)[0]) + 1
        raise DataError(f"{what} {row} is earlier than the one before it", f"Sort the {what}s by exchange time")
    return times


def _frames(kind: MessageType, ts_ns: np.ndarray, instrument: np.ndarray, body: tuple[np.ndarray, ...]) -> np.ndarray:
    """Frames of one kind, numbered by instrument."""
    tape = np.empty((ts_ns.size, words.TAPE_WORDS), np.int64)
    for number in np.unique(instrument):
        rows = instrument == number
        tape[rows, 0] = header(int(kind), words.TAPE_WORDS, int(number))
        tape[rows, 1] = np.arange(1, int(rows.sum()) + 1)
    tape[:, 2] = ts_ns
    for column, values in enumerate(body, start=3):
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
    quotes are withdrawn and the hedge moves; at the close the lead is quoted again, at its new price. In between there is no book to trade the pair
    on (and an order that rests is pulled). Take half a bar: an order refused for want of a book is tried again after the strategy's retry_ns, which
    must have passed by the close.
    """
    n = len(close_ns)
    lead, hedge = np.asarray(lead_ticks, np.int64), np.asarray(hedge_ticks, np.int64)
    wide_lead, wide_hedge = half_spread_ticks
    if min(wide_lead, wide_hedge) < 1 or (n and min(lead.min() - wide_lead, hedge.min() - wide_hedge) < 1):
        raise DataError(f"half spreads of {half_spread_ticks} ticks leave no bid", "Use at least 1 and less than the lowest price")
    bid, ask, shown = (np.zeros((n, 3), np.int64) for _ in range(3))
    bid[:, 1], bid[:, 2] = hedge - wide_hedge, lead - wide_lead
    ask[:, 1], ask[:, 2] = hedge + wide_hedge, lead + wide_lead
    shown[:, 1:] = lots
    times = np.repeat(np.asarray(close_ns, np.int64)[:, None], 3, axis=1) - np.array([settle_ns, settle_ns, 0])
    names = np.tile(np.array([0, 1, 0], np.int64), n)
    return quotes_to_tape(times.ravel(), names, bid.ravel(), shown.ravel(), ask.ravel(), shown.ravel())


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
    queue: Queue | None = None,
    funding: np.ndarray | None = None,
    timer_ns: int = 0,
    sample_every_ns: int = 0,
    max_fills: int = 1_000_000,
    journal: Path | None = None,
) -> BacktestResult:
    """Run a session over a tape.

    `depth`: what is assumed behind the touch; `queue`: how resting orders are filled; `funding`: int64 (m, 3) by time of exchange time ns,
    instrument id, rate in 1e-8, paid on the position held then (backtest_venue.py); `timer_ns`: period of timer events (hedge deadlines between
    quotes), 0 for none; `sample_every_ns` (exchange time): keep signal and equity for pictures;
    `journal`: folder for a journal of the run. Raises DataError for a tape that is none.
    """
    _check_tape(tape, len(config.instruments))
    desk = new_desk(config, tape, latency or Latency(), depth or Depth(), queue or Queue())
    if funding is not None and len(funding):
        desk = desk._replace(funding=_funding_rows(funding, len(config.instruments)))
        desk.loop[0]["next_funding"] = desk.funding[0, words.FUNDING_NS]
    desk.plan[words.TIMER_NS], desk.plan[words.SAMPLE_NS] = timer_ns, sample_every_ns
    return run_desk(config, desk, max_fills=max_fills, journal=journal)


def run_desk(config: SessionConfig, desk: BacktestVenueState, *, max_fills: int = 1_000_000, journal: Path | None = None) -> BacktestResult:
    """Run a session against a venue as it stands, from the tape's first row: the part of `backtest` that takes the time."""
    rooms, strategies = build_engine_state(config), strategy_kernels(config)
    desk.plan[words.JOURNALLED] = int(journal is not None)
    first_ns, last_ns = int(desk.tape[2]), int(desk.tape[2 - words.TAPE_WORDS])
    rows = (last_ns - first_ns) // int(desk.plan[words.SAMPLE_NS]) + 2 if desk.plan[words.SAMPLE_NS] else 0
    samples, fills = np.zeros((rows, len(SAMPLE_COLUMNS))), np.zeros((max_fills, len(FILL_COLUMNS)), np.int64)
    cursor = np.zeros(CURSOR_WORDS, np.int64)
    writer = _journal(journal, config, first_ns) if journal is not None else None
    segment, state = (writer.segment, writer.state) if writer else (np.zeros(1, np.int64), np.zeros(STATE_WORDS, np.int64))
    run = compiled_driver(kernel.run_tape, rooms, HOOKS_TYPE, desk, cursor, samples, fills, segment, state)
    while (status := run(rooms, strategies, desk, cursor, samples, fills, segment, state)) == kernel.TAPE_JOURNAL_FULL:
        assert writer is not None
        segment = writer.roll()
    if writer is not None:
        writer.append(RecordType.SESSION_END, last_ns, np.frombuffer(state_digest(rooms), np.int64))
        writer.close()
    if status == kernel.TAPE_QUEUE_FULL:
        raise DataError("more orders or answers are in flight than the simulated venue holds", "Shorten the latency or limit the open orders")
    done = desk.loop[0]
    return BacktestResult(
        config=config,
        rooms=rooms,
        fills=fills[: cursor[FILLS]].copy(),
        samples=samples[: cursor[SAMPLES]].copy(),
        events=int(done["engine_row"]),
        orders=int(done["n_orders"]),
        rejects=int(done["n_rejects"]),
        vetoes=int(rooms.risk[0]["n_vetoes"]),
        cancels=int(done["n_cancels"]),
        queue=desk.sums,
        funding=desk.funding[desk.funding[:, words.FUNDING_POSITION] != 0],
    )


def backtest_estimates(config: SessionConfig, tape: np.ndarray, *, queue: Queue | None = None, **options: Any) -> dict[str, BacktestResult]:
    """`backtest` under each of the three estimates of the queue: three whole runs, since what is filled decides what is done next."""
    return {name: backtest(config, tape, queue=replace(queue or Queue(), estimate=name), **options) for name in ESTIMATES}


def estimates_table(runs: Mapping[str, BacktestResult]) -> list[str]:
    """The runs of `backtest_estimates` side by side, as lines of text. Money in quote currency."""
    lines = [f"{'queue estimate':<16}{'orders':>9}{'fills':>9}{'as maker':>10}{'fees':>14}{'net':>14}"]
    for name, run in runs.items():
        fees = int(run.rooms.ledger["fees_e8"].sum()) / MONEY_SCALE
        lines.append(f"{name:<16}{run.orders:>9,}{len(run.fills):>9,}{run.maker_share:>10.1%}{fees:>14,.2f}{run.net_e8 / MONEY_SCALE:>14,.2f}")
    return lines


def backtest_many(configs: Iterable[SessionConfig], tape: np.ndarray, *, threads: int | None = None, **options: Any) -> Iterator[BacktestResult]:
    """`backtest` of many sessions over one tape, on all cores; results in the order of `configs`, whatever the number of threads."""
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        yield from pool.map(lambda config: backtest(config, tape, **options), configs)


def with_parameters(frozen: FrozenParams, **changed: int | str) -> FrozenParams:
    """The same strategy with other parameters (text for decimals, see params.text_of), for many runs over one tape."""
    return msgspec.structs.replace(frozen, parameters={**frozen.parameters, **changed})


def _check_tape(tape: np.ndarray, n_instruments: int) -> None:
    if tape.dtype != np.int64 or tape.ndim != 2 or tape.shape[1] != words.TAPE_WORDS or not len(tape):
        raise DataError(
            f"a tape is int64 (rows, {words.TAPE_WORDS}), this is {tape.dtype} {tape.shape}", "Make it with quotes_to_tape or bars_to_tape"
        )
    kinds, numbers = (tape[:, 0] >> 16) & 0xFF, tape[:, 0] >> 32
    if not np.isin(kinds, (int(MessageType.BBO), int(MessageType.TRADE))).all() or numbers.max() >= n_instruments or numbers.min() < 0:
        raise DataError("the tape holds frames other than BBO and TRADE, or instruments the session does not have", "Check ids and types")
    if (np.diff(tape[:, 2]) < 0).any():
        raise DataError("the tape is not in the order of its exchange time", "Sort it")


def new_desk(config: SessionConfig, tape: np.ndarray, latency: Latency, depth: Depth, queue: Queue) -> BacktestVenueState:
    """The venue's memory before the first row of a tape (checked by the caller); as many orders may rest as the engine's order table holds."""
    n, capacity = len(config.instruments), config.order_capacity
    plan, market = np.zeros(words.PLAN_WORDS, np.int64), np.zeros((n, words.MARKET_WORDS), np.int64)
    plan[words.DATA_LATENCY], plan[words.ORDER_LATENCY], plan[words.ANSWER_LATENCY] = latency.market_data_ns, latency.order_ns, latency.answer_ns
    plan[words.LEVELS], plan[words.GROWTH] = depth.levels, depth.growth
    plan[words.ESTIMATE], plan[words.PARTICIPATION] = ESTIMATES.index(queue.estimate), round(queue.participation * 1_000_000)
    plan[words.ANSWER_SLOTS] = 1 << max(2048, 4 * capacity - 1).bit_length()
    loop = np.zeros(1, TAPE_LOOP.dtype)
    loop["next_funding"] = words.NEVER
    market[:, words.BEST_SELL], market[:, words.QUOTES] = words.NEVER, queue.kinds(n)
    return BacktestVenueState(
        tape=np.ascontiguousarray(tape).reshape(-1),
        quote=np.zeros((n, 6), np.int64),
        market=market,
        resting=np.zeros((capacity, words.RESTING_WORDS), np.int64),
        ladder=np.zeros((2 * n, capacity, 2), np.int64),
        sums=np.zeros((n, words.SUM_WORDS), np.int64),
        funding=np.zeros((0, words.FUNDING_WORDS), np.int64),
        taken=np.zeros(3, np.int64),
        orders=np.zeros(words.ORDER_SLOTS * words.SLOT_WORDS, np.int64),
        answers=np.zeros(plan[words.ANSWER_SLOTS] * words.SLOT_WORDS, np.int64),
        jitter=latency.jitter(),
        plan=plan,
        loop=loop,
        word=np.array([int(Control.NONE)], np.int64),
    )


def _funding_rows(schedule: np.ndarray, n_instruments: int) -> np.ndarray:
    """The schedule with room for what it comes to, int64 (m, FUNDING_WORDS)."""
    schedule = np.asarray(schedule)
    if schedule.dtype != np.int64 or schedule.ndim != 2 or schedule.shape[1] != 3:
        raise DataError(
            f"a funding schedule is int64 (rows, 3), this is {schedule.dtype} {schedule.shape}", "Rows of time ns, instrument, rate in 1e-8"
        )
    if (np.diff(schedule[:, 0]) < 0).any() or schedule[:, 1].min() < 0 or schedule[:, 1].max() >= n_instruments:
        raise DataError(
            "the funding schedule is out of order, or names an instrument that the session does not have", "Sort it by time; check the ids"
        )
    rows = np.zeros((len(schedule), words.FUNDING_WORDS), np.int64)
    rows[:, :3] = schedule
    return rows


def _journal(folder: Path, config: SessionConfig, now: int) -> JournalWriter:
    writer = JournalWriter(folder, config.epoch, now)
    writer.append(RecordType.SESSION_BEGIN, now, words_of(json.dumps({"kernels": sources_digest(), "backtest": True}).encode()))
    writer.append(RecordType.CONFIG, now, words_of(config.to_bytes()))
    return writer
