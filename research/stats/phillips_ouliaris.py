"""Residual-based tests of cointegration that need no lags: Za, Zt, Pu and Pz of Phillips and Ouliaris.

P. C. B. Phillips and S. Ouliaris (1990), Econometrica 58.1, 165-193. All four have no cointegration as null hypothesis and take the serial
correlation out by a long-run covariance. Za and Zt ask whether the residual has a unit root. Pu compares the residual's variance with that
of its changes; Pz does so for all series together, so it does not matter which one is y.

p-values: of Zt MacKinnon's, whose limit it shares with Engle and Granger's test; of the others simulated (phillips_ouliaris_table.py). They
are those of the limit: below some 100 rows the tests reject too seldom (Za, Zt) or too often (Pu, Pz).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator
from scipy.stats import norm

from hftkit.errors import DataError
from hftkit.kernels.stats.mackinnon import critical_values as mackinnon_critical
from hftkit.kernels.stats.mackinnon import p_value as mackinnon_p
from research.stats.cointegration import EngleGranger, engle_granger
from research.stats.long_run import Kernel, LongRunCovariance, long_run_covariance
from research.stats.phillips_ouliaris_table import PROBABILITIES, TRENDS, quantiles
from research.stats.test_result import Detail, TestResult

Statistic = Literal["Za", "Zt", "Pu", "Pz"]
NAMES = ("Za", "Zt", "Pu", "Pz")
_LEVELS = {"1 %": 0.01, "5 %": 0.05, "10 %": 0.1}


def phillips_ouliaris(
    y: ArrayLike,
    x: ArrayLike,
    trend: str = "c",
    bandwidth: float | None = None,
    statistic: Statistic = "Zt",
    kernel: Kernel = "bartlett",
) -> TestResult:
    """One of the four tests of y on x.

    Parameters
    ----------
    y : array_like (n,)
        Levels or logs, finite, in time order.
    x : array_like (n,) or (n, k)
        At most 5 series.
    trend : str
        "n", "c", "ct" or "ctt": what is in the regression (of Pz: what is taken out of each series).
    bandwidth : float, optional
        Of the long-run covariance; default int(4 (n / 100)^(2/9)).
    statistic : str
        "Za", "Zt", "Pu" or "Pz".
    kernel : str
        "bartlett", "parzen" or "quadratic-spectral".

    Returns
    -------
    TestResult
        Details: bandwidth, kernel, hedge_ratio (of the first x), nobs.

    Raises
    ------
    DataError
        As `engle_granger`, and for fewer than 20 rows.
    """
    if statistic not in NAMES or trend not in TRENDS:
        raise DataError(f"statistic {statistic!r} with trend {trend!r} is not offered", f"Choose of {', '.join(NAMES)} and {', '.join(TRENDS)}")
    first = engle_granger(y, x, trend=trend, maxlag=0, autolag=None)
    u = first.residual
    n = u.size
    if n < 20:
        raise DataError(f"{n} observations are too few for a Phillips-Ouliaris test", "Use a longer sample")
    if first.verdict != "ok":
        raise DataError(f"the pair cannot be tested: {first.verdict}", "Leave one of the two out")
    series = np.column_stack([np.asarray(y, np.float64), np.asarray(x, np.float64)])
    k = series.shape[1] - 1
    width = float(int(4.0 * (n / 100.0) ** (2.0 / 9.0))) if bandwidth is None else float(bandwidth)
    if statistic in ("Za", "Zt"):
        value, covariance = _unit_root(first, statistic, kernel, width)
    else:
        value, covariance = _variance_ratio(first, series, statistic, trend, kernel, width)
    if statistic == "Zt":
        p = float(mackinnon_p(value, TRENDS.index(trend), k + 1))
        table = np.empty(3)
        mackinnon_critical(table, TRENDS.index(trend), k + 1, n - 1)
        critical = dict(zip(_LEVELS, table.tolist(), strict=True))
    else:
        p = _p_value(value, statistic, trend, k)
        critical = {name: _critical(level, statistic, trend, k) for name, level in _LEVELS.items()}
    ratio = float(np.atleast_1d(first.hedge_ratio)[0])
    details: dict[str, Detail] = {"bandwidth": covariance.bandwidth, "kernel": kernel, "trend": trend, "hedge_ratio": ratio, "nobs": n}
    return TestResult(
        name=f"Phillips-Ouliaris {statistic}",
        null_hypothesis="no cointegration",
        alternative="cointegration",
        statistic=value,
        pvalue=p,
        critical_values=critical,
        details=details,
        tail="lower" if statistic in ("Za", "Zt") else "upper",
    )


def all_statistics(y: ArrayLike, x: ArrayLike, trend: str = "c", bandwidth: float | None = None, kernel: Kernel = "bartlett") -> pd.DataFrame:
    """The four tests as a table: statistic, pvalue, 1 %, 5 %, 10 %. Arguments as in `phillips_ouliaris`."""
    rows = {}
    for name in ("Za", "Zt", "Pu", "Pz"):
        found = phillips_ouliaris(y, x, trend, bandwidth, name, kernel)
        rows[name] = {"statistic": found.statistic, "pvalue": found.pvalue, **found.critical_values}
    return pd.DataFrame(rows).T


def _unit_root(first: EngleGranger, statistic: str, kernel: Kernel, width: float) -> tuple[float, LongRunCovariance]:
    """Za or Zt of the residual. The paper divides covariances by all rows, not by those of the regression."""
    before, now = first.residual[:-1], first.residual[1:]
    n = first.residual.size
    level = float(before @ before)
    slope = float(before @ now) / level
    covariance = long_run_covariance((now - slope * before)[:, None], kernel, width)
    share = (n - 1.0) / n
    later = share * float(covariance.one_sided[0, 0] - covariance.short[0, 0])
    corrected = slope - 1.0 - n * later / level
    if statistic == "Za":
        return n * corrected, covariance
    return corrected * float(np.sqrt(level / (share * covariance.two_sided[0, 0]))), covariance


def _variance_ratio(
    first: EngleGranger, series: np.ndarray, statistic: str, trend: str, kernel: Kernel, width: float
) -> tuple[float, LongRunCovariance]:
    """Pu or Pz: the long-run covariance is of the errors of a first-order autoregression of all series, with the trend."""
    n = len(series)
    time = np.linspace(-1.0, 1.0, n)
    terms = np.empty((n, 0)) if trend == "n" else np.vander(time, len(trend))
    past = np.column_stack([series[:-1], terms[:-1]])
    scale = np.sqrt((past**2).sum(axis=0))
    errors = series[1:] - past / scale @ np.linalg.lstsq(past / scale, series[1:], rcond=None)[0]
    covariance = long_run_covariance(errors, kernel, width)
    omega = (n - 1.0) / n * covariance.two_sided
    if statistic == "Pu":
        given = omega[0, 0] - omega[0, 1:] @ np.linalg.solve(omega[1:, 1:], omega[1:, 0])
        return float(n * given / (first.residual @ first.residual / n)), covariance
    flat = series - terms @ np.linalg.lstsq(terms, series, rcond=None)[0] if terms.shape[1] else series - series[0]
    moments = flat.T @ flat / n
    return float(n * np.trace(np.linalg.solve(moments, omega))), covariance


def _p_value(value: float, statistic: str, trend: str, k: int) -> float:
    """By monotone interpolation between the simulated quantiles, on the scale of normal quantiles; beyond the outermost a straight line."""
    points, scores = quantiles(statistic, trend, k), norm.ppf(PROBABILITIES)
    if points[0] <= value <= points[-1]:
        score = float(PchipInterpolator(points, scores)(value))
    else:
        a, b = (0, 1) if value < points[0] else (-2, -1)
        score = float(scores[a] + (value - points[a]) * (scores[b] - scores[a]) / (points[b] - points[a]))
    return float(norm.cdf(score) if statistic == "Za" else norm.sf(score))


def _critical(level: float, statistic: str, trend: str, k: int) -> float:
    return float(quantiles(statistic, trend, k)[PROBABILITIES.index(level if statistic == "Za" else round(1.0 - level, 6))])
