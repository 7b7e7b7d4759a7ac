"""Benchmarks of history: the event-driven backtest with an idle strategy, without and with orders resting at its venue; the venue of the simulator on
history with orders resting. Answers checked first."""

from __future__ import annotations

import msgspec
import numpy as np

from hftkit.backtest.run import BacktestVenueState, Depth, Latency, Queue, backtest, new_desk, quotes_to_tape, run_desk, session_of, with_parameters
from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.clock import monotonic_ns
from hftkit.codes import MessageType
from hftkit.exchange.market.history.build import HistoryPlan
from hftkit.exchange.market.history.files import with_grades
from hftkit.exchange.market.history.market import QUOTES
from hftkit.exchange.market.history.market_plain import PlainMarket
from hftkit.exchange.market.history.rehearsal import REQUEST, rehearse, small_venue
from hftkit.instruments import instrument_array
from hftkit.kernels import backtest_desk as words
from hftkit.kernels.backtest_venue import request
from hftkit.kernels.market.queue import NEUTRAL
from hftkit.kernels.wire.frame import header
from hftkit.session.engine_state import SessionConfig

_EVENTS = 2_000_000
_ROWS = 500_000


def idle_backtest() -> list[Result]:
    """A random walk of best bids and offers of one instrument; decode, book, mark, strategy and legs run for every event, no order leaves."""
    rng = np.random.default_rng(1)
    mid = 20_000 + np.cumsum(rng.integers(-1, 2, _EVENTS))
    lots = rng.integers(1, 50, (2, _EVENTS))
    tape = quotes_to_tape(10**15 + np.arange(_EVENTS) * 1_000_000, np.zeros(_EVENTS), mid - 1, lots[0], mid + 1, lots[1])
    active = bench_config().strategies[0]
    idle = session_of(with_parameters(active, target=0))
    trading = session_of(msgspec.structs.replace(active, legs=msgspec.structs.replace(active.legs, hedge="", unit_hedge_lots=0)))
    if backtest(trading, tape[:1000]).rooms.ledger[0]["position"] != active.legs.unit_lead_lots:
        raise WrongAnswer("a strategy that wants a position did not get it from the simulated venue")
    figures = []
    for _ in range(5):
        began = monotonic_ns()
        result = backtest(idle, tape)
        figures.append(_EVENTS / ((monotonic_ns() - began) / 1e9))
        last = result.rooms.book[0]
        if (result.events, result.orders, int(last["best_bid"])) != (_EVENTS, 0, int(mid[-1]) - 1):
            raise WrongAnswer(f"{result.events} events, {result.orders} orders, best bid {last['best_bid']}")
    config = {"events": _EVENTS, "strategy": "fixed_target 0", "includes": "frame, book, mark, strategy, legs; building the engine"}
    return [Result("backtest_idle", "events/s", float(np.median(figures)), {"max": max(figures)}, config=config, goal="> 10000000")]


def _walk(n: int) -> np.ndarray:
    """Best bids and offers of one instrument on a random walk, every fourth row a print at the touch."""
    rng = np.random.default_rng(2)
    mid = 20_000 + np.clip(np.cumsum(rng.integers(-1, 2, n)), -5_000, 5_000)
    tape = quotes_to_tape(10**15 + np.arange(n) * 1_000_000, np.zeros(n), mid - 1, rng.integers(1, 50, n), mid + 1, rng.integers(1, 50, n))
    prints, side = np.arange(n) % 4 == 3, rng.integers(0, 2, n)
    before = tape[np.maximum(np.flatnonzero(prints) - 1, 0)]
    tape[prints, 0] = header(int(MessageType.TRADE), 7, 0)
    tape[prints, 4], tape[prints, 5] = side[prints], np.where(side[prints] == 0, before[:, 5], before[:, 3])
    tape[prints, 6] = rng.integers(1, 20, int(prints.sum()))
    return tape


def _rest(config: SessionConfig, tape: np.ndarray, orders: list[tuple[int, int, int]]) -> BacktestVenueState:
    """A venue where these orders (side, price, lots) of somebody rest, before the tape begins; the engine is told nothing of them."""
    desk = new_desk(config, tape, Latency(), Depth(), Queue())
    instruments = instrument_array(config.instruments)
    for i, (side, price, lots) in enumerate(orders, start=1):
        desk.orders[1:10] = header(int(MessageType.NEW_ORDER), 9, 0), 1, i, side, 0, 0, 0, price, lots
        if not request(desk, instruments, 1, 0):
            raise WrongAnswer("the venue has no room for the answers")
    if desk.loop[0]["resting"] != len(orders):
        raise WrongAnswer(f"{desk.loop[0]['resting']} orders rest of {len(orders)}")
    desk.loop[0]["answer_head"], desk.loop[0]["venue_seq"] = desk.loop[0]["answer_tail"], 0
    return desk


def _check_fills(config: SessionConfig) -> None:
    """Orders near the touch: what each is filled of must be what the readable market says."""
    tape = _walk(4000)
    orders = [(i % 2, 20_000 + (1 - 2 * (i % 2)) * (-10 + i % 30), 1000 + i % 40) for i in range(400)]
    orders = [(side, min(price, 19_998) if side == 0 else max(price, 20_002), lots) for side, price, lots in orders]
    desk, plain = _rest(config, tape, orders), PlainMarket(QUOTES, NEUTRAL, 1_000_000)
    run_desk(config, desk)
    for i, (side, price, lots) in enumerate(orders, start=1):
        plain.new_order(0, i, side, price, lots, 0)
    for row in tape.tolist():
        if row[0] >> 16 & 0xFF == MessageType.BBO:
            plain.quote(row[2], *row[3:])
        else:
            plain.print_trade(row[2], row[4], row[5], row[6])
    filled, wanted = dict.fromkeys(range(1, 401), 0), dict.fromkeys(range(1, 401), 0)
    for _, client_order_id, _, lots in plain.fills:
        wanted[client_order_id] += lots
    for i, (_, _, lots) in enumerate(orders, start=1):
        filled[i] = lots - int(desk.resting[i, words.OPEN])
    if filled != wanted or len(plain.fills) < 100:
        raise WrongAnswer(f"{sum(filled.values())} lots filled, {sum(wanted.values())} by the readable market ({len(plain.fills)} fills)")


def resting_backtest() -> list[Result]:
    """The whole backtest with an idle strategy while 0, 100, 1,000 and 10,000 orders rest at its venue, behind what the tape reaches, on both sides;
    and with ten of them at a touch whose quantity changes with every event.
    """
    active = bench_config().strategies[0]
    config = msgspec.structs.replace(session_of(with_parameters(active, target=0)), order_capacity=16_384)
    _check_fills(config)
    tape = _walk(_EVENTS)
    still = tape.copy()
    still[:, 0], still[:, 3], still[:, 5] = header(int(MessageType.BBO), 7, 0), 19_999, 20_001
    still[:, 4], still[:, 6] = np.random.default_rng(4).integers(1, 50, (2, _EVENTS))
    behind = {n: [(i % 2, 5_000 + i // 2 if i % 2 == 0 else 35_000 - i // 2, 1000) for i in range(n)] for n in (0, 100, 1000, 10_000)}
    cases = {f"backtest_resting_{n}": (tape, orders, "") for n, orders in behind.items()}
    cases["backtest_resting_touch"] = (still, [(0, 19_999, 1000)] * 10, "; ten orders at the touch")
    figures: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(5):
        for name, (rows, orders, _) in cases.items():
            desk = _rest(config, rows, orders)
            began = monotonic_ns()
            result = run_desk(config, desk)
            figures[name].append(_EVENTS / ((monotonic_ns() - began) / 1e9))
            if (result.events, int(desk.loop[0]["resting"]), len(result.fills)) != (_EVENTS, len(orders), 0):
                raise WrongAnswer(f"{name}: {result.events} events, {desk.loop[0]['resting']} orders rest, {len(result.fills)} fills")
    base = float(np.median(figures["backtest_resting_0"]))
    results = []
    for name, (_, orders, note) in cases.items():
        value = float(np.median(figures[name]))
        about = {"events": _EVENTS, "resting": len(orders), "tape": "best bids and offers, every fourth row a print" + note}
        goal = None if note else "> 10000000"
        results.append(Result(name, "events/s", value, {"max": max(figures[name])}, "no order resting", base, value / base, about, goal))
    return results


def resting_orders() -> list[Result]:
    """Quotes as the market of the venue while 0, 100 and 1,000 orders of a client (what an account may have open) rest behind the touch.

    The time of a row is that of a long history minus that of a short one: building the venue and sending the orders fall out.
    """
    rng = np.random.default_rng(3)
    mid = 20_000 + np.clip(np.cumsum(rng.integers(-1, 2, _ROWS)), -800, 800)
    tape = np.zeros((_ROWS, 7), np.int64)
    tape[:, 0], tape[:, 2] = header(int(MessageType.BBO), 7, 0), 10**15 + np.arange(_ROWS) * 1_000_000
    tape[:, 3], tape[:, 4], tape[:, 5], tape[:, 6] = mid - 1, rng.integers(1, 50, _ROWS), mid + 1, rng.integers(1, 50, _ROWS)
    instrument = bench_config().instruments[0]
    config = small_venue(ladder_ticks=8192, max_orders=4096)
    figures = []
    for resting in (0, 100, 1000):
        requests = np.zeros(resting, REQUEST)
        requests["ts"], requests["client_order_id"], requests["qty"] = 10**15, 1 + np.arange(resting), 1
        requests["price"] = 18_000 + np.arange(resting)  # buys, below all that comes
        seconds = []
        for _ in range(5):
            took = {}
            for rows in (_ROWS // 10, _ROWS):
                plan = HistoryPlan(with_grades("walk", tape[:rows], (instrument,), {}), rate=None)
                began = monotonic_ns()
                run = rehearse(plan, requests, config=config)
                took[rows] = (monotonic_ns() - began) / 1e9
                if run.rejects or len(run.fills) or int(run.venue.books.owners[2]["n_open"]) != resting:
                    raise WrongAnswer(f"{run.rejects} rejects, {len(run.fills)} fills, {run.venue.books.owners[2]['n_open']} open of {resting}")
            seconds.append((took[_ROWS] - took[_ROWS // 10]) / (0.9 * _ROWS))
        figures.append(1.0 / float(np.median(seconds)))
    names = ("history_resting_0", "history_resting_100", "history_resting_1000")
    config_of = {"rows": _ROWS, "market": "best bid and offer of one instrument in the venue's own books"}
    return [
        Result(name, "events/s", value, {}, "no order resting", figures[0], value / figures[0], config_of, "ratio >= 0.8")
        for name, value in zip(names, figures, strict=True)
    ]


BENCHMARKS = [
    Benchmark("backtest_idle", idle_backtest),
    Benchmark("backtest_resting", resting_backtest),
    Benchmark("history_resting", resting_orders),
]
