"""What every test asks of its input before it computes: series of one length and one index, finite, in range; lags and trends that exist."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from hftkit.kernels.stats.mackinnon import TRENDS
from research.stats.discovery.null_distribution import RULES

TINY = 1e-100  # what the square of a price may not leave


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


def default_maxlag(n: int) -> int:
    """Schwert's (1989) rule as statsmodels applies it: ceil(12 (n / 100)^(1/4)), at most n // 2 - 1."""
    return min(n // 2 - 1, int(np.ceil(12.0 * (n / 100.0) ** 0.25)))


def lags_of(n: int, maxlag: int | None) -> int:
    """The largest lag of a test of `n` observations: as given, or the default of `default_maxlag`; DataError where it leaves too few rows."""
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
    if series.size and not (series == 0).all() and not TINY < np.abs(series).max() < 1.0 / TINY:
        raise DataError(f"{name} reaches {np.abs(series).max():.3g}", "Its square leaves the range of the arithmetic: pass logs, or another unit")
    return series
