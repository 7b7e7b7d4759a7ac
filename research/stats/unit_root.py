"""The augmented Dickey-Fuller test of one series: does it have a unit root? A drop-in for statsmodels' `adfuller`.

Null hypothesis: a unit root. D. A. Dickey and W. A. Fuller (1979), J. Amer. Statist. Assoc. 74, 427-431; p-value MacKinnon (1994), critical values
MacKinnon (2010). The arithmetic is that of hftkit/kernels/stats/adf.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hftkit.errors import DataError
from hftkit.kernels.stats.adf import adf_columns
from hftkit.kernels.stats.mackinnon import critical_values, p_value
from research.stats.discovery.null_distribution import unit_root_null
from research.stats.test_result import LEVELS, TestResult
from research.stats.validation import checked_series, default_maxlag, lag_rule, whole


@dataclass(frozen=True, kw_only=True)
class UnitRoot(TestResult):
    """Result of one test. Unpacks as `adfuller` does without a best criterion: statistic, pvalue, lag, nobs, critical values by level ("1%").

    `observations`: rows of the series; `lag`, `nobs`: of the final regression; `maxlag`: the largest lag that was tried.
    """

    name: str = "Dickey-Fuller"
    null_hypothesis: str = "a unit root"
    alternative: str = "no unit root: the series reverts"
    lag: int
    nobs: int
    observations: int
    maxlag: int
    trend: str
    autolag: str | None

    def __iter__(self) -> Iterator[Any]:
        critical = {level.replace(" ", ""): value for level, value in self.critical_values.items()}
        yield from (self.statistic, self.pvalue, self.lag, self.nobs, critical)

    @functools.cached_property
    def pvalue_finite(self) -> float:
        """p-value for this sample size (discovery/null_distribution.py): trend "c", lags by AIC up to the default largest, 28 rows or more.

        NaN for any other rule: no such distribution was simulated.
        """
        rule, degree = lag_rule(self.trend, self.autolag)
        null = unit_root_null(self.observations, degree, rule) if self.maxlag == default_maxlag(self.observations) else None
        return math.nan if null is None else float(null.p_values(np.array([self.pvalue]))[0])


def dickey_fuller(series: Any, trend: str = "c", maxlag: int | None = None, autolag: str | None = "aic") -> UnitRoot:
    """Augmented Dickey-Fuller test, with the meaning and defaults of `statsmodels.tsa.stattools.adfuller`.

    `series` (n,), finite, in time order; `trend` "n", "c", "ct" or "ctt"; `autolag` "aic", "bic", "t-stat" or None (then exactly `maxlag` lags).
    Raises DataError for a series that is too short, not finite, constant, or its own trend to the last digit.
    """
    rule, degree = lag_rule(trend, autolag)
    values = checked_series(series, "the series")
    n = values.size
    most = n // 2 - degree - 1
    lags = min(most, int(np.ceil(12.0 * (n / 100.0) ** 0.25))) if maxlag is None else whole(maxlag, "maxlag")
    if not 0 <= lags <= most:
        cure = f"Use a longer sample or a maxlag from 0 to {most}" if most >= 0 else "Use a longer sample"
        raise DataError(f"{n} observations are too few for {max(lags, 0)} lags and trend {trend!r}", cure)
    if np.ptp(values) <= 4.0 * np.spacing(np.abs(values).max()):
        raise DataError("the series is constant", "A constant has no unit root to test: leave it out")
    shifted = values - values.mean() if degree else values  # the constant among the terms takes the level out: do it before digits are lost
    out, columns, rows = np.full(3, np.nan), np.empty((degree + lags + 2, n)), np.empty((2, degree + lags + 2))
    if adf_columns(shifted, columns, rows, out, degree, lags, rule) or not np.isfinite(out[0]):
        raise DataError(f"the series cannot be tested with {lags} lags and trend {trend!r}", "It follows its own past exactly, or is too short")
    table = np.empty(3)
    critical_values(table, degree, 1, int(out[2]))
    lag, nobs = int(out[1]), int(out[2])
    return UnitRoot(
        statistic=float(out[0]),
        pvalue=float(p_value(out[0], degree, 1)),
        critical_values=dict(zip(LEVELS, table.tolist(), strict=True)),
        details={"trend": trend, "lag": lag, "chosen_by": autolag or "the caller", "nobs": nobs},
        lag=lag,
        nobs=nobs,
        observations=n,
        maxlag=lags,
        trend=trend,
        autolag=autolag,
    )
