"""The Engle-Granger test of one pair, a drop-in for statsmodels' `coint`.

Null hypothesis: the two series are *not* cointegrated (the residual of the regression has a unit root).
The numbers are statsmodels', the arithmetic is compiled (hftkit/kernels/stats); what statsmodels leaves silent has a stated verdict.
Its p-value is asymptotic, as statsmodels' is; `pvalue_finite` holds for the sample at hand. All pairs of a universe: discovery/pair_scan.py.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hftkit.errors import DataError
from hftkit.kernels.stats import engle_granger as kernel
from hftkit.kernels.stats.half_life import half_life
from hftkit.kernels.stats.mackinnon import MAX_SERIES, critical_values, p_value
from hftkit.kernels.stats.ols import remove_trend
from research.stats.discovery.null_distribution import null_distribution
from research.stats.discovery.pair_statistics import careful
from research.stats.test_result import LEVELS, Detail, TestResult
from research.stats.validation import checked_series, default_maxlag, lag_rule, lags_of, same_rows

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


@dataclass(frozen=True, kw_only=True)
class EngleGranger(TestResult):
    """Result of one test. Unpacks as statsmodels' `coint` does: statistic, pvalue, critical values float64 (3,) at 1, 5, 10 %.

    `hedge_ratio`: slope of y on x (array for several x); `intercept`: constant of that regression; `residual`: float64 (n,) spread about its
    trend; `lag`, `nobs`: of the final Dickey-Fuller regression; `half_life`: of the residual, bars; `verdict`: "ok" or why there is no statistic.
    `critical_values` is empty where none are published (trend "n" with two series or more): there the p-value decides.
    """

    name: str = "Engle-Granger two-step test"
    null_hypothesis: str = NULL_HYPOTHESIS
    alternative: str = "cointegration"
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

    def __iter__(self) -> Iterator[Any]:
        yield from (self.statistic, self.pvalue, np.array([self.critical_values.get(level, np.nan) for level in LEVELS]))

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
    lags = lags_of(level.size, maxlag)
    flat, flat_coefficients, total = detrended(level, degree)
    others = [detrended(column, degree) for column in regressors]
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
    why, half = VERDICTS[verdict], half_life(residual)
    hedge_ratio, intercept = float(slopes[0]) if len(slopes) == 1 else slopes, _intercept(basis, level.size)
    lag, nobs = int(np.nan_to_num(out[1])), int(np.nan_to_num(out[2]))
    details: dict[str, Detail] = {
        "observations": level.size,
        "trend": trend,
        "lag": lag,
        "chosen_by": autolag or "the caller",
        "nobs": nobs,
        "hedge_ratio": hedge_ratio if isinstance(hedge_ratio, float) else np.array2string(slopes, precision=6),
        "intercept": intercept,
        "half_life": half,
    }
    return EngleGranger(
        statistic=float(out[0]),
        pvalue=p_value(out[0], degree, len(regressors) + 1),
        critical_values={} if np.isnan(table).all() else dict(zip(LEVELS, table.tolist(), strict=True)),
        details=details if why == VERDICTS[0] else {**details, "verdict": why},
        hedge_ratio=hedge_ratio,
        intercept=intercept,
        lag=lag,
        nobs=nobs,
        half_life=half,
        trend=trend,
        autolag=autolag,
        maxlag=lags,
        verdict=why,
        residual=residual,
    )


def detrended(series: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray, float]:
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
