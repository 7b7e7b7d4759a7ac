"""Benchmarks of history: the event-driven backtest with an idle strategy, the venue on history with orders resting; answers checked first."""

from __future__ import annotations

import msgspec
import numpy as np

from hftkit.backtest import backtest, quotes_to_tape, session_of, with_parameters
from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.clock import monotonic_ns
from hftkit.codes import MessageType
from hftkit.exchange.history.build import HistoryPlan
from hftkit.exchange.history.files import with_grades
from hftkit.exchange.history.rehearsal import REQUEST, rehearse, small_venue
from hftkit.kernels.wire.frame import header

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


BENCHMARKS = [Benchmark("backtest_idle", idle_backtest), Benchmark("history_resting", resting_orders)]
