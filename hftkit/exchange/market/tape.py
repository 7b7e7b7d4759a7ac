"""The tape: the synthetic market run at full speed, without sockets, into one-minute candles.

The orders go through the same matching engine as over TCP. Same configuration and seed: the same candles, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hftkit.exchange.config import SimConfig
from hftkit.exchange.core.layout import ReportKind
from hftkit.exchange.core.matching import Books, apply, new_reports
from hftkit.exchange.market.flow.agents import Flow, act, next_arrival, open_book
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.market.flow.scenarios import Scenario
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.units import NS_PER_MINUTE

CANDLE = np.dtype(
    [
        ("open_time", "<i8"),  # ns, exchange clock
        ("open", "<i8"),  # ticks
        ("high", "<i8"),
        ("low", "<i8"),
        ("close", "<i8"),
        ("volume", "<i8"),  # lots
        ("n_trades", "<i8"),
    ]
)
_TRADE = int(ReportKind.TRADE)


@inner_kernel
def _carry_out(flow: Flow, books: Books, reports: Any, candles: Any, n_commands: int, ts: int, minute: int) -> None:
    for c in range(n_commands):
        n = apply(flow.commands[c], books, reports, ts)
        for r in range(n):
            if reports[r].kind == _TRADE and minute >= 0:
                candle, price = candles[reports[r].instrument, minute], reports[r].price
                if candle.n_trades == 0:
                    candle.open = candle.high = candle.low = price
                candle.high = max(candle.high, price)
                candle.low = min(candle.low, price)
                candle.close = price
                candle.volume += reports[r].qty
                candle.n_trades += 1


@kernel
def _run(flow: Flow, books: Books, reports: Any, candles: Any, start_ns: int, until_ns: int) -> int:
    """Every arrival before `until_ns`. Returns the number of commands carried out."""
    total = 0
    while True:
        instrument = next_arrival(flow)
        ts = flow.agents[instrument].next_ns
        if ts >= until_ns:
            return total
        n = act(flow, books, instrument)
        _carry_out(flow, books, reports, candles, n, ts, (ts - start_ns) // NS_PER_MINUTE)
        total += n


@kernel
def _open_books(flow: Flow, books: Books, reports: Any, candles: Any, ts: int) -> None:
    for instrument in range(flow.agents.size):
        n = open_book(flow, books, instrument)
        _carry_out(flow, books, reports, candles, n, ts, -1)


def make_tape(
    config: SimConfig,
    minutes: int | None = None,
    seed: int | None = None,
    progress: Callable[[int], None] | None = None,
    scenario: Scenario | None = None,
) -> np.ndarray:
    """Candles of the synthetic market: CANDLE (n_instruments, minutes), prices in ticks.

    A minute without a trade repeats the last close with volume 0. `progress` is called with the minutes done, now and then.
    """
    minutes = config.minutes if minutes is None else minutes
    flow, books = new_market(config, seed, scenario=scenario)
    reports = new_reports(books)
    candles = np.zeros((len(config.instruments), minutes), CANDLE)
    candles["open_time"] = config.start_ns + np.arange(minutes) * NS_PER_MINUTE
    _open_books(flow, books, reports, candles, config.start_ns)
    for done in range(0, minutes, 60):
        until = min(done + 60, minutes)
        _run(flow, books, reports, candles, config.start_ns, config.start_ns + until * NS_PER_MINUTE)
        if progress is not None:
            progress(until)
    _fill_quiet_minutes(candles, config)
    return candles


def _fill_quiet_minutes(candles: np.ndarray, config: SimConfig) -> None:
    for row, instrument in zip(candles, config.instruments, strict=True):
        last = instrument.start_ticks
        for candle in row:
            if candle["n_trades"] == 0:
                candle["open"] = candle["high"] = candle["low"] = candle["close"] = last
            last = candle["close"]
