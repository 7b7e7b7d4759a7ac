"""Find cointegrated pairs: the Engle-Granger test of one pair (a drop-in for statsmodels' `coint`) and of all pairs of a universe.

Null hypothesis of every test here: the two series are *not* cointegrated (the residual of the regression has a unit root).
The numbers are statsmodels', the arithmetic is compiled (hftkit/kernels/stats); what statsmodels leaves silent has a stated verdict.
statsmodels' p-values are asymptotic. What a scan decides by holds for the sample at hand: from the simulated distribution of its length and lag
rule (null_distribution.py), or, where volatility changes or changes depend on those before, from its own shocks (wild_bootstrap.py).
"""

from __future__ import annotations

import functools
import itertools
import operator
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from hftkit.kernels.stats import engle_granger as kernel
from hftkit.kernels.stats.adf import adf_gram
from hftkit.kernels.stats.half_life import half_life
from hftkit.kernels.stats.mackinnon import MAX_SERIES, TRENDS, critical_values, p_value
from hftkit.kernels.stats.ols import remove_trend
from research.data.progress import progress
from research.stats.discovery.multiple_testing import benjamini_hochberg, benjamini_yekutieli, bonferroni
from research.stats.discovery.null_distribution import RULES, null_distribution
from research.stats.discovery.pair_statistics import careful, pair_statistics, scratch
from research.stats.discovery.scan_p_values import SOURCES, Decided, Rule, Source, decide

NULL_HYPOTHESIS = "no cointegration: the residual has a unit root"
VERDICTS = {
    0: "ok",
    1: "ill-conditioned",
    2: "singular regression",
    3: "too short for its lags",
    4: "collinear",
    5: "constant series",
    6: "stationary series",
    7: "correlation below the filter",
    8: "left out",
}
_STATIONARY, _UNCORRELATED, _LEFT_OUT = 6, 7, 8
_TINY = 1e-100  # what the square of a price may not leave
_FEWEST_ROWS = 20  # below it MacKinnon's distributions say nothing
_PAIRS_A_CALL = 256  # bounds the time between two steps of the progress bar


@dataclass(frozen=True)
class EngleGranger:
    """Result of one test. Unpacks as statsmodels' `coint` does: statistic, pvalue, critical_values.

    `hedge_ratio`: slope of y on x (array for several x); `intercept`: constant of that regression; `residual`: float64 (n,) spread about its
    trend; `lag`, `nobs`: of the final Dickey-Fuller regression; `half_life`: of the residual, bars; `verdict`: "ok" or why there is no statistic.
    """

    statistic: float
    pvalue: float
    critical_values: np.ndarray
    hedge_ratio: float | np.ndarray
    intercept: float
    lag: int
    nobs: int
    half_life: float
    trend: str
    autolag: str | None
    maxlag: int
    verdict: str
    residual: np.ndarray = field(repr=False)
    null_hypothesis: str = NULL_HYPOTHESIS

    def __iter__(self) -> Iterator[Any]:
        yield from (self.statistic, self.pvalue, self.critical_values)

    @functools.cached_property
    def pvalue_finite(self) -> float:
        """p-value for this sample size and lag rule (null_distribution.py; a rule without a table takes about a second, once).

        NaN where there is no test (`verdict`), or with more than one regressor: no such distribution was simulated.
        """
        if self.verdict != VERDICTS[0] or np.size(self.hedge_ratio) > 1:
            return float("nan")
        rule, degree = lag_rule(self.trend, self.autolag)
        n = self.residual.size
        null = null_distribution(n, degree, self.maxlag, rule, self.maxlag == default_maxlag(n))
        return float(null.p_values(np.array([self.pvalue]))[0])

    def report(self) -> str:
        """What was tested and what came out, as text."""
        decides = self.pvalue if np.isnan(self.pvalue_finite) else self.pvalue_finite
        rejected = [f"{level} %" for level in (1, 5, 10) if decides <= level / 100]
        levels = "  ".join(f"{value:.4f} ({level} %)" for level, value in zip((1, 5, 10), self.critical_values, strict=True)) + "   (MacKinnon 2010)"
        if np.isnan(self.critical_values).all():
            levels = f"none are published for trend {self.trend!r} and two series or more: the p-value decides"
        finite = "none for several regressors" if np.isnan(self.pvalue_finite) else f"{self.pvalue_finite:.6g}   (this sample size and lag rule)"
        lines = [
            "Engle-Granger two-step test",
            f"  null hypothesis    {self.null_hypothesis}",
            f"  sample             {self.residual.size} observations, trend {self.trend!r}",
            f"  lags               {self.lag} (chosen by {self.autolag or 'the caller'}), {self.nobs} rows in the final regression",
            f"  statistic          {self.statistic:.6f}",
            f"  p-value            {self.pvalue:.6g}   (asymptotic: MacKinnon 1994)",
            f"  finite p-value     {finite}",
            f"  critical values    {levels}",
            f"  null rejected at   {', '.join(rejected) or 'none of 1, 5, 10 %'}   (by the {'' if decides is self.pvalue else 'finite '}p-value)",
            f"  hedge ratio        {np.array2string(np.atleast_1d(self.hedge_ratio), precision=6)[1:-1]}, intercept {self.intercept:.6f}",
            f"  half-life          {self.half_life:.2f} bars",
        ]
        return "\n".join(lines if self.verdict == "ok" else [*lines, f"  verdict            {self.verdict}"])


def default_maxlag(n: int) -> int:
    """Schwert's (1989) rule as statsmodels applies it: ceil(12 (n / 100)^(1/4)), at most n // 2 - 1."""
    return min(n // 2 - 1, int(np.ceil(12.0 * (n / 100.0) ** 0.25)))


def engle_granger(y: Any, x: Any, trend: str = "c", maxlag: int | None = None, autolag: str | None = "aic") -> EngleGranger:
    """Engle-Granger test of y on x, with the meaning and defaults of `statsmodels.tsa.stattools.coint`.

    `y` (n,), `x` (n,) or (n, k), finite, in time order; `trend` "n", "c", "ct" or "ctt"; `autolag` "aic", "bic", "t-stat" or None (then exactly
    `maxlag` lags). Raises DataError for series of different length, too short, constant or not finite, and for pandas series whose indexes differ.
    """
    (rule, degree), limit = lag_rule(trend, autolag), MAX_SERIES
    same_rows(y, x)
    level = checked_series(y, "y")
    regressors = [checked_series(column, "x") for column in np.atleast_2d(np.asarray(x, np.float64).T)]
    if any(column.size != level.size for column in regressors):
        raise DataError(f"y has {level.size} observations, x has {regressors[0].size}", "Align the two series on one index first")
    if len(regressors) >= limit:
        raise DataError(f"{len(regressors)} regressors are more than the {limit - 1} that MacKinnon's tables cover")
    lags = _lags(level.size, maxlag)
    flat, flat_coefficients, total = _detrended(level, degree)
    others = [_detrended(column, degree) for column in regressors]
    if total <= 0.0 or any(not rest > 0.0 for _, _, rest in others):
        raise DataError("a series is constant (or is its own trend)", "A constant cannot be cointegrated with anything: leave it out")
    residual = np.empty_like(flat)
    if len(others) == 1:  # the scan's own arithmetic, to the bit
        slopes = np.array([kernel.hedge_residual(flat, others[0][0], residual)])
    else:
        design = np.column_stack([column for column, _, _ in others])
        scale = np.sqrt((design**2).sum(axis=0))
        slopes = np.linalg.lstsq(design / scale, flat, rcond=None)[0] / scale
        residual = flat - design @ slopes
    out = np.full(3, np.nan)
    if not 1.0 - residual @ residual / total < kernel.MAX_R_SQUARED:
        verdict: int = kernel.PAIR_COLLINEAR
        out[0] = -np.inf
    else:
        verdict = careful(residual, lags, rule, out)
    table = np.empty(3)
    critical_values(table, degree, len(regressors) + 1, level.size - 1)
    basis = flat_coefficients - slopes @ np.array([coefficients for _, coefficients, _ in others])
    return EngleGranger(
        statistic=float(out[0]),
        pvalue=p_value(out[0], degree, len(regressors) + 1),
        critical_values=table,
        hedge_ratio=float(slopes[0]) if len(slopes) == 1 else slopes,
        intercept=_intercept(basis, level.size),
        lag=int(np.nan_to_num(out[1])),
        nobs=int(np.nan_to_num(out[2])),
        half_life=half_life(residual),
        trend=trend,
        autolag=autolag,
        maxlag=lags,
        verdict=VERDICTS[verdict],
        residual=residual,
    )


def scan_pairs(
    prices: pd.DataFrame,
    *,
    log: bool = True,
    trend: str = "c",
    maxlag: int | None = None,
    autolag: str | None = "aic",
    unit_root_level: float | None = 0.01,
    min_correlation: float = 0.0,
    leave_out: Mapping[str, str] | None = None,
    on_bad: Literal["refuse", "exclude"] = "refuse",
    p_values: Source = "auto",
    draws: int | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> pd.DataFrame:
    """Test every ordered pair of columns (both directions of each regression), on all cores.

    The test presumes that both series have a unit root; a series for which a Dickey-Fuller test rejects that at `unit_root_level` would look
    cointegrated with anything, so its pairs are not tested and say so (None: test all pairs, as statsmodels would).

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
    lags = _lags(n, maxlag)
    flat, totals = np.empty_like(values), np.empty(n_symbols)
    for i in range(n_symbols):
        flat[i], _, totals[i] = _detrended(values[i], degree)
    all_pairs = np.array(list(itertools.permutations(range(n_symbols), 2)), np.int64)
    out = np.array([symbol in reasons for symbol in symbols])
    stationary = np.array(
        [not gone and _has_no_unit_root(series, degree, lags, rule, unit_root_level) for series, gone in zip(flat, out, strict=True)]
    )
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


def lag_rule(trend: str, autolag: str | None) -> tuple[int, int]:
    """The kernel's codes of a lag rule and of a trend (0 .. 3); DataError for what is not offered."""
    name = autolag.lower() if autolag else None
    if trend not in TRENDS or name not in RULES:
        raise DataError(f"trend {trend!r} with autolag {autolag!r} is not offered", f"trend: {TRENDS}; autolag: aic, bic, t-stat or None")
    return RULES[name], TRENDS.index(trend)


def whole(value: Any, name: str) -> int:
    """A whole number from 0 up; DataError for anything else (2.7 lags are no lags)."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise DataError(f"{name} is {value!r}", "Give a whole number from 0 up")
    return number


def _lags(n: int, maxlag: int | None) -> int:
    if n < 4:
        raise DataError(f"{n} observations are too few for any test", "Use a longer sample")
    lags = default_maxlag(n) if maxlag is None else whole(maxlag, "maxlag")
    if lags > n // 2 - 1 or n - 2 * lags < 3:
        raise DataError(f"{n} observations are too few for {lags} lags", "Use a longer sample or a smaller maxlag (below n/2 - 1)")
    return lags


def same_rows(y: Any, x: Any) -> None:
    """Refuse pandas data whose indexes differ: as arrays they would be paired row by row, each with another time's price."""
    if isinstance(y, (pd.Series, pd.DataFrame)) and isinstance(x, (pd.Series, pd.DataFrame)) and len(y) == len(x) and not y.index.equals(x.index):
        row = int(np.flatnonzero(np.asarray(y.index != x.index))[0])
        raise DataError(
            f"the two series have other times, the first at row {row}: {y.index[row]} and {x.index[row]}", "Align them on one index first"
        )


def checked_series(values: Any, name: str) -> np.ndarray:
    """Values as float64 (n,); DataError where they are not one finite series."""
    try:
        series = np.ascontiguousarray(values, np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} is not made of numbers", "Pass prices, or their logs") from None
    if series.ndim != 1:
        raise DataError(f"{name} has shape {series.shape}", "Pass one series (n,)")
    bad = np.flatnonzero(~np.isfinite(series))
    if bad.size:
        raise DataError(f"{name} has {bad.size} values that are not finite, the first at row {bad[0]}", "Drop or repair these rows in both first")
    if series.size and not (series == 0).all() and not _TINY < np.abs(series).max() < 1.0 / _TINY:
        raise DataError(f"{name} reaches {np.abs(series).max():.3g}", "Its square leaves the range of the arithmetic: pass logs, or another unit")
    return series


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
        elif not bad.size and not log and series.any() and not _TINY < np.abs(series).max() < 1.0 / _TINY:
            raise DataError(
                f"{symbol} reaches {np.abs(series).max():.3g}: its square leaves the range of the arithmetic", "Use logs, or another unit"
            )
        elif bad.size:
            raise DataError(
                f"{symbol}: price {series[bad[0]]} at row {bad[0]} ({prices.index[bad[0]]})", "Repair or leave out this symbol (hftkit data check)"
            )
    return np.log(values) if log else values


def _detrended(series: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Residual of the trend, its coefficients, and the sum of squares that R squared refers to (about the mean; about zero for "n")."""
    flat, coefficients = np.empty_like(series), np.empty(3)
    total = remove_trend(series, flat, coefficients, min(degree, 1))
    if total <= series.size * (4.0 * np.spacing(np.abs(series).max())) ** 2:
        return np.zeros_like(flat), coefficients, 0.0  # nothing left but rounding
    if degree > 1:
        remove_trend(series, flat, coefficients, degree)
    return flat, coefficients, total


def _intercept(basis: np.ndarray, n: int) -> float:
    """Constant term with the trend counted 1..n, from the coefficients of the orthogonal basis (see ols.remove_trend)."""
    shift = -(n + 1) / (n - 1)
    return float(basis[0] + basis[1] * shift + basis[2] * (shift**2 - (n + 1) / (3.0 * (n - 1))))


def _has_no_unit_root(flat: np.ndarray, degree: int, lags: int, rule: int, level: float | None) -> bool:
    """Dickey-Fuller test of one series, freed of its trend beforehand (asymptotically the test with these terms in the regression)."""
    if level is None:
        return False
    out = np.full(3, np.nan)
    _, d, rows, gram, final = scratch(flat.size, lags)
    verdict = adf_gram(flat, d, rows, gram, final, out, lags, rule)
    return bool(verdict == 0 and p_value(out[0], degree, 1) < level)


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
