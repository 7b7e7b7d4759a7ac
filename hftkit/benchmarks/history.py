"""Benchmark of the event-driven backtest: events a second with an idle strategy, answers checked first."""

from __future__ import annotations

import msgspec
import numpy as np

from hftkit.backtest import backtest, quotes_to_tape, session_of, with_parameters
from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.clock import monotonic_ns

_EVENTS = 2_000_000


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


BENCHMARKS = [Benchmark("backtest_idle", idle_backtest)]
