"""Test every pair of a universe, on all cores, and say which are discoveries.

The p-values that a scan decides by hold for the sample at hand: from the simulated distribution of its length and lag rule
(null_distribution.py), or, where volatility changes or changes depend on those before, from its own shocks (wild_bootstrap.py).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from hftkit.kernels.stats import engle_granger as kernel
from research.data.progress import progress
from research.stats.cointegration import VERDICTS, detrended
from research.stats.discovery.multiple_testing import benjamini_hochberg, benjamini_yekutieli, bonferroni
from research.stats.discovery.pair_statistics import pair_statistics
from research.stats.discovery.scan_p_values import SOURCES, Decided, Rule, Source, decide
from research.stats.unit_root import dickey_fuller
from research.stats.validation import TINY, default_maxlag, lag_rule, lags_of, whole

UnitRootRule = Literal["each", "fdr"]
_STATIONARY, _UNCORRELATED, _LEFT_OUT = 6, 7, 8
_FEWEST_ROWS = 20  # below it MacKinnon's distributions say nothing
_PAIRS_A_CALL = 256  # bounds the time between two steps of the progress bar


def scan_pairs(
    prices: pd.DataFrame,
    *,
    log: bool = True,
    trend: str = "c",
    maxlag: int | None = None,
    autolag: str | None = "aic",
    unit_root_level: float | None = 0.01,
    unit_root_rule: UnitRootRule = "each",
    min_correlation: float = 0.0,
    leave_out: Mapping[str, str] | None = None,
    on_bad: Literal["refuse", "exclude"] = "refuse",
    p_values: Source = "auto",
    draws: int | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> pd.DataFrame:
    """Test every ordered pair of columns (both directions of each regression), on all cores.

    The test presumes that both series have a unit root; a series for which a Dickey-Fuller test rejects that would look cointegrated with anything,
    so its pairs are not tested and say so (None: test all pairs, as statsmodels would). `unit_root_rule`: "each", `unit_root_level` is the level of
    every symbol's test: of many walks some are left out by chance, and true pairs with them; "fdr", it is a false-discovery rate over the symbols
    (Benjamini and Hochberg): fewer true pairs are lost, and series that revert slowly are tested.

    Pairs may be left out beforehand, and say so in `verdict`: those whose changes correlate less than `min_correlation` (absolute value), those with
    a symbol of `leave_out` (symbol -> reason, see discovery/prefilter.py). A column with prices that are not finite (or, with `log`, not positive)
    refuses the scan (`on_bad="refuse"`, the default) or is left out with that reason ("exclude").

    `p_values`: what the q-values are made of. "finite": the simulated distribution for this sample size and lag rule; "bootstrap": a wild
    bootstrap of the panel's own shocks with at most `draws` draws (default 9,999) a pair, from `seed`; "auto": the bootstrap for
    pairs with a series whose volatility changes or clusters or whose changes depend on those before (innovations.py), for all pairs where the
    volatility that they share changes, else the finite one; "asymptotic": statsmodels'.

    `prices`: one column a symbol, rows in time order; `log` tests log prices. Memory: the panel again, plus per thread
    (maxlag + 2)^2 * 16 + 3 n * 8 bytes, and under 500 bytes a pair. One row a pair, best first:

        lead, hedge       regression log(lead) = intercept + hedge_ratio * log(hedge) + spread
        hedge_ratio, statistic, pvalue, lag, nobs, half_life (bars), correlation (of the changes)
        pvalue_asymptotic          MacKinnon's, as statsmodels' coint has it; `pvalue` is that of `method`, and `draws` its draws
        q_bh, q_by, q_bonferroni   q-values of `pvalue` over all pairs tested here      verdict   "ok" or why the pair was not tested
    """
    if p_values not in SOURCES or (draws is not None and whole(draws, "draws") < 1):
        raise DataError(f"p_values={p_values!r} with draws={draws!r} is not offered", f"p_values: {', '.join(SOURCES)}; draws: from 1 up, or None")
    rule, degree = lag_rule(trend, autolag)
    reasons = dict(leave_out or {})
    values = _panel(prices, log, on_bad, reasons)
    symbols = [str(name) for name in prices.columns]
    n_symbols, n = values.shape
    lags = lags_of(n, maxlag)
    flat, totals = np.empty_like(values), np.empty(n_symbols)
    for i in range(n_symbols):
        flat[i], _, totals[i] = detrended(values[i], degree)
    all_pairs = np.array(list(itertools.permutations(range(n_symbols), 2)), np.int64)
    out = np.array([symbol in reasons for symbol in symbols])
    stationary = _without_unit_root(values, out, (trend, maxlag, autolag), unit_root_level, unit_root_rule)
    with np.errstate(invalid="ignore"):  # a constant series has no correlation: NaN, its verdict says why
        correlation = np.corrcoef(np.diff(values))
    why = np.zeros(len(all_pairs), np.int64)
    if min_correlation > 0.0:
        why[np.abs(correlation[all_pairs[:, 0], all_pairs[:, 1]]) < min_correlation] = _UNCORRELATED
    why[stationary[all_pairs].any(axis=1)] = _STATIONARY
    why[out[all_pairs].any(axis=1)] = _LEFT_OUT
    candidate = why == 0
    pairs = all_pairs[candidate]
    results = np.full((len(pairs), kernel.FIELDS), np.nan)

    def block(start: int) -> None:
        part = slice(start, start + _PAIRS_A_CALL)
        pair_statistics(flat, totals, pairs[part], results[part], degree, lags, rule)

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        starts = range(0, len(pairs), _PAIRS_A_CALL)
        for _ in progress(pool.map(block, starts), f"Engle-Granger, {len(pairs)} ordered pairs", len(starts)):
            pass
    answers = np.full((len(all_pairs), kernel.FIELDS), np.nan)
    answers[~candidate, kernel.VERDICT] = why[~candidate]
    answers[candidate] = results
    how = Rule(degree, lags, rule, lags == default_maxlag(n), p_values, draws, whole(seed, "seed"), threads)
    return _table(symbols, all_pairs, answers, correlation, reasons, decide(values, all_pairs, answers, how))


def discoveries(
    scan: pd.DataFrame, fdr: float = 0.05, min_half_life: float = 0.0, max_half_life: float = np.inf, method: Literal["bh", "by", "bonferroni"] = "bh"
) -> pd.DataFrame:
    """Rows of a scan that are discoveries, one row a pair: its better direction (lower p-value).

    `fdr`: false-discovery rate after Benjamini and Hochberg ("bh") or, whatever the dependence of the tests, Benjamini and Yekutieli ("by");
    for "bonferroni" the chance of any false discovery at all.
    """
    column = f"q_{method}"
    if column not in scan:
        raise DataError(f"method {method!r} is not offered", "Choose bh, by or bonferroni")
    if not 0.0 < fdr <= 1.0:
        raise DataError(f"a false-discovery rate of {fdr} is none", "Give a share above 0, up to 1")
    found = scan[(scan["verdict"] == "ok") & (scan[column] <= fdr) & scan["half_life"].between(min_half_life, max_half_life)]
    unordered = [tuple(sorted(names)) for names in zip(found["lead"], found["hedge"], strict=True)]
    return found[~pd.Series(unordered, index=found.index, dtype=object).duplicated()].reset_index(drop=True)


def _panel(prices: pd.DataFrame, log: bool, on_bad: str, reasons: dict[str, str]) -> np.ndarray:
    """Values (symbols, n), logs where asked. What `on_bad` excludes goes into `reasons`, its row becomes ones (never tested)."""
    if not isinstance(prices, pd.DataFrame):
        raise DataError(f"prices are a {type(prices).__name__}", "Pass a DataFrame, one column a symbol, rows in time order")
    if on_bad not in ("refuse", "exclude"):
        raise DataError(f"on_bad={on_bad!r} is not a decision", 'Choose "refuse" or "exclude"')
    if prices.shape[1] < 2:
        raise DataError(f"{prices.shape[1]} symbols make no pair", "Load at least two")
    if not prices.columns.is_unique:
        raise DataError(f"the symbol {prices.columns[prices.columns.duplicated()][0]} appears twice", "Give each column its own name")
    if not prices.index.is_monotonic_increasing or not prices.index.is_unique:
        raise DataError("the rows of the panel are not in strictly increasing time order", "Sort them and remove duplicates")
    if len(prices) < _FEWEST_ROWS:
        raise DataError(f"{len(prices)} rows are too few for a scan", f"Use at least {_FEWEST_ROWS}, better some hundreds")
    try:
        values = np.array(prices.to_numpy(np.float64).T, order="C")
    except (TypeError, ValueError):
        raise DataError("a column of the panel is not made of numbers", "Pass prices only, the times as index") from None
    for symbol, series in zip(prices.columns, values, strict=True):
        bad = np.flatnonzero(~np.isfinite(series) | ((series <= 0) if log else False))
        if bad.size and (on_bad == "exclude" or str(symbol) in reasons):
            reasons.setdefault(str(symbol), f"{bad.size} bad prices, the first {series[bad[0]]} at row {bad[0]}")
            series[:] = 1.0
        elif not bad.size and not log and series.any() and not TINY < np.abs(series).max() < 1.0 / TINY:
            raise DataError(
                f"{symbol} reaches {np.abs(series).max():.3g}: its square leaves the range of the arithmetic", "Use logs, or another unit"
            )
        elif bad.size:
            raise DataError(
                f"{symbol}: price {series[bad[0]]} at row {bad[0]} ({prices.index[bad[0]]})", "Repair or leave out this symbol (hftkit data check)"
            )
    return np.log(values) if log else values


def _without_unit_root(
    values: np.ndarray, left_out: np.ndarray, how: tuple[str, int | None, str | None], level: float | None, rule: str
) -> np.ndarray:
    """For each series whether a Dickey-Fuller test (`how`: trend, maxlag, autolag) rejects its unit root at `level`, each for itself or ("fdr")
    counted over all that are tested; by p-values for this sample size where their distribution is known. Booleans (symbols,).
    """
    if rule not in ("each", "fdr"):
        raise DataError(f"unit_root_rule={rule!r} is not offered", 'Choose "each" or "fdr"')
    if level is None:
        return np.zeros(len(values), bool)
    p_values = np.full(len(values), np.nan)
    for i in np.flatnonzero(~left_out):
        try:
            p_values[i] = dickey_fuller(values[i], *how).pvalue_deciding
        except DataError:
            continue  # it cannot be tested: the verdict of each of its pairs says why
    return (benjamini_hochberg(p_values) if rule == "fdr" else p_values) < level


def _table(
    symbols: list[str], pairs: np.ndarray, results: np.ndarray, correlation: np.ndarray, reasons: dict[str, str], decided: Decided
) -> pd.DataFrame:
    names = np.array(symbols, object)
    verdicts = [VERDICTS[int(code)] for code in results[:, kernel.VERDICT]]
    for k in np.flatnonzero(results[:, kernel.VERDICT] == _LEFT_OUT):
        symbol = next(name for name in names[pairs[k]] if name in reasons)
        verdicts[k] = f"{VERDICTS[_LEFT_OUT]}: {symbol}, {reasons[symbol]}"
    table = pd.DataFrame(
        {
            "lead": names[pairs[:, 0]],
            "hedge": names[pairs[:, 1]],
            "hedge_ratio": results[:, kernel.HEDGE_RATIO],
            "statistic": results[:, kernel.STATISTIC],
            "pvalue": decided.p_values,
            "q_bh": benjamini_hochberg(decided.p_values),
            "q_by": benjamini_yekutieli(decided.p_values),
            "q_bonferroni": bonferroni(decided.p_values),
            "lag": pd.array(results[:, kernel.LAG], dtype="Int64"),
            "nobs": pd.array(results[:, kernel.NOBS], dtype="Int64"),
            "half_life": results[:, kernel.HALF_LIFE],
            "correlation": correlation[pairs[:, 0], pairs[:, 1]],
            "pvalue_asymptotic": results[:, kernel.P_VALUE],
            "method": decided.methods,
            "draws": pd.array(decided.draws, dtype="Int64"),
            "verdict": verdicts,
        }
    )
    return table.sort_values(["pvalue", "statistic", "lead", "hedge"], kind="stable", ignore_index=True)
