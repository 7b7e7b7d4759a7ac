"""Benchmarks of the research half: Engle-Granger beside statsmodels, and the scan and the sweep by themselves. Answers are checked first."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.clock import monotonic_ns
from hftkit.kernels.stats import engle_granger as kernel
from hftkit.kernels.stats.adf import LAG_AIC, LAG_FIXED
from hftkit.kernels.stats.ols import remove_trend
from research.pairs.costs import NO_COSTS
from research.pairs.strategy_optimizer import Grid, PairBars, sweep
from research.stats.discovery.pair_scan import scan_pairs
from research.stats.validation import default_maxlag

_ROWS = 2000
_TOLERANCE = 1e-8


def _walks(n: int, symbols: int, seed: int) -> np.ndarray:
    """Log prices (symbols, n): neighbours cointegrated in twos."""
    rng = np.random.default_rng(seed)
    walks = np.cumsum(rng.normal(size=(symbols, n)), axis=1) * 0.01 + 4.0
    walks[1::2] = 0.8 * walks[: 2 * (symbols // 2) : 2] + rng.normal(size=(symbols // 2, n)) * 0.01
    return walks


def _best_us(call: Callable[[], Any], repeats: int, times: int) -> list[float]:
    """Microseconds a call, one figure for each of `repeats` rounds of `times` calls."""
    figures = []
    for _ in range(repeats):
        began = monotonic_ns()
        for _ in range(times):
            call()
        figures.append((monotonic_ns() - began) / 1e3 / times)
    return figures


def engle_granger() -> list[Result]:
    """One pair, 2000 rows: fixed single lag, and AIC over 26 lags; statsmodels' coint in the same run on the same data."""
    from statsmodels.tsa.stattools import coint

    series = _walks(_ROWS, 2, seed=1)
    x, y, flat_x, flat_y, coefficients = *series, np.empty(_ROWS), np.empty(_ROWS), np.empty(3)
    results = []
    for name, maxlag, rule, autolag, goal, rounds in (
        ("engle_granger_one_lag", 1, LAG_FIXED, None, "ratio >= 100", 20),
        ("engle_granger", default_maxlag(_ROWS), LAG_AIC, "aic", "ratio >= 300", 3),
    ):
        m = maxlag + 2
        scratch = np.empty(_ROWS), np.empty(_ROWS), np.empty((2, max(m, 3))), np.empty((m, m)), np.empty((m, m))
        out = np.empty(kernel.FIELDS)

        def ours(scratch: Any = scratch, out: Any = out, maxlag: int = maxlag, rule: int = rule) -> None:
            remove_trend(x, flat_x, coefficients, 1)  # the whole test: trends are removed too, as coint does
            total = remove_trend(y, flat_y, coefficients, 1)
            kernel.engle_granger_pair(flat_y, flat_x, *scratch, out, total, 1, maxlag, rule)

        def theirs(maxlag: int = maxlag, autolag: str | None = autolag) -> Any:
            return coint(series[1], series[0], trend="c", maxlag=maxlag, autolag=autolag)

        ours()
        expected = theirs()
        for what, mine, reference in (("statistic", out[kernel.STATISTIC], expected[0]), ("p-value", out[kernel.P_VALUE], expected[1])):
            if not abs(mine - reference) <= _TOLERANCE:
                raise WrongAnswer(f"{name}: {what} is {mine!r}, statsmodels says {reference!r}", "Run the tests of hftkit/kernels/stats")
        mine, reference = _best_us(ours, 15, 50), _best_us(theirs, 3, rounds)
        results.append(
            Result(
                name=name,
                unit="us",
                value=float(np.median(mine)),
                percentiles={"p50": float(np.median(mine)), "max": max(mine)},
                reference="statsmodels.tsa.stattools.coint",
                reference_value=float(np.median(reference)),
                ratio=float(np.median(reference) / np.median(mine)),
                config={"rows": _ROWS, "maxlag": maxlag, "autolag": autolag or "none", "threads": 1, "checked_to": _TOLERANCE},
                goal=goal,
            )
        )
    return results


def scan() -> list[Result]:
    """All ordered pairs of 500 symbols x 2000 rows with AIC, all cores, once through; some pairs checked against single tests.

    Memory: the growth of the process's peak over what it held before.
    """
    from statsmodels.tsa.stattools import coint

    symbols = 500
    logs = _walks(_ROWS, symbols, seed=2)
    prices = pd.DataFrame(np.exp(logs.T), columns=[f"S{i}" for i in range(symbols)])
    scan_pairs(prices.iloc[:, :4], unit_root_level=None, p_values="finite")  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = monotonic_ns()
    table = scan_pairs(prices, unit_root_level=None, p_values="finite")
    seconds = (monotonic_ns() - began) / 1e9
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if len(table) != symbols * (symbols - 1):
        raise WrongAnswer(f"scan: {len(table)} rows for {symbols} symbols")
    for row in table.iloc[:: len(table) // 8].itertuples():
        expected = coint(np.log(prices[row.lead]), np.log(prices[row.hedge]))[0]
        if not abs(row.statistic - expected) <= _TOLERANCE:
            raise WrongAnswer(f"scan: {row.lead}/{row.hedge} has {row.statistic!r}, statsmodels says {expected!r}")
    config = {
        "symbols": symbols,
        "rows": _ROWS,
        "pairs": len(table),
        "autolag": "aic",
        "threads": os.cpu_count(),
        "seconds": round(seconds, 1),
        "memory_growth_mb": round(grown),
    }
    return [Result(name="pair_scan", unit="pairs/s", value=len(table) / seconds, config=config, goal="> 832")]  # 249,500 pairs in five minutes


def threshold_sweep() -> list[Result]:
    """1,000 parameter sets x 100,000 bars, both with equal trades in every set; compilation excluded on both sides.

    vectorbt gets its sets in chunks of 100: one portfolio of all would need gigabytes.
    """
    from research.pairs.vectorbt_check import vectorbt_portfolio

    n, chunk = 100_000, 100
    logs = _walks(n, 2, seed=3)
    index = pd.date_range("2026-01-05", periods=n, freq="min", tz="UTC")
    bars = PairBars(pd.Series(np.exp(logs[1]), index), pd.Series(np.exp(logs[0]), index), 0.8, 60_000_000_000)
    entries = tuple(np.linspace(1.0, 3.0, 50).tolist())
    grid = Grid(windows=(60, 90, 120, 180), entries=entries, exits=(0.0, 0.2, 0.4, 0.6, 0.8), stops=(1e6,), max_holding_bars=10**9)
    table = sweep(bars, grid, NO_COSTS).table  # compiles, and fills the z-scores that both use
    cells = grid.cells()
    vectorbt_portfolio(bars, cells[:2]).total_profit()  # compiles

    theirs = 0.0
    for start in range(0, len(cells), chunk):
        part = slice(start, start + chunk)
        began = monotonic_ns()
        portfolio = vectorbt_portfolio(bars, cells[part])
        profit, trades = portfolio.total_profit().to_numpy(), portfolio.trades.count().to_numpy()
        theirs += (monotonic_ns() - began) / 1e9
        if (trades != table["trades"].to_numpy()[part]).any() or not np.allclose(profit, table["net"].to_numpy()[part], atol=1e-6):
            raise WrongAnswer("threshold_sweep: vectorbt makes other trades")
        del portfolio
    rounds = []
    for _ in range(3):
        began = monotonic_ns()
        sweep(bars, grid, NO_COSTS)
        rounds.append((monotonic_ns() - began) / 1e9)
    ours = float(np.median(rounds))
    config = {"bars": n, "parameter_sets": len(cells), "vectorbt_chunk": chunk, "threads": os.cpu_count(), "equal_trades": True}
    return [Result("threshold_sweep", "s", ours, {"max": max(rounds)}, "vectorbt from_signals", theirs, theirs / ours, config, "ratio >= 20")]


BENCHMARKS = [Benchmark("engle_granger", engle_granger), Benchmark("pair_scan", scan), Benchmark("threshold_sweep", threshold_sweep)]
