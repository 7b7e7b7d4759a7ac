"""The Engle-Granger statistic of many ordered pairs of a panel, on the calling thread: fast road, and the careful one where it is asked for."""

from __future__ import annotations

import numpy as np

from hftkit.kernels.stats import engle_granger as kernel
from hftkit.kernels.stats.adf import adf_columns
from hftkit.kernels.stats.half_life import half_life
from hftkit.kernels.stats.mackinnon import p_value
from hftkit.kernels.stats.ols import OLS_ILL_CONDITIONED, OLS_SINGULAR

FIELDS = kernel.FIELDS


def scratch(n: int, lags: int) -> tuple[np.ndarray, ...]:
    """Work space of one thread for series of `n` rows and up to `lags` lags: residual, differences, rows, two matrices."""
    m = lags + 2
    return np.empty(n), np.empty(n), np.empty((2, max(m, 3))), np.empty((m, m)), np.empty((m, m))


def careful(residual: np.ndarray, lags: int, rule: int, out: np.ndarray) -> int:
    """Dickey-Fuller by reflections: slower, and right for data of any conditioning. Returns a verdict; `out` float64 (3,)."""
    return int(adf_columns(residual, np.empty((lags + 2, residual.size)), np.empty((2, lags + 2)), out, 0, lags, rule))


def pair_statistics(flat: np.ndarray, totals: np.ndarray, pairs: np.ndarray, out: np.ndarray, degree: int, lags: int, rule: int) -> None:
    """Test the ordered `pairs` int64 (m, 2) of `flat` float64 (symbols, n); one row of `out` float64 (m, FIELDS) each.

    `flat`: each series free of its trend of degree `degree` - 1; `totals` float64 (symbols,): sums of squares about the mean. P_VALUE is
    MacKinnon's asymptotic one. Releases the interpreter while it computes.
    """
    kernel.engle_granger_pairs(flat, totals, pairs, *scratch(flat.shape[1], lags), out, degree, lags, rule)
    for k in np.flatnonzero(out[:, kernel.VERDICT] == OLS_ILL_CONDITIONED):
        _again(flat, pairs[k], out[k], degree, lags, rule)
    out[(out[:, kernel.VERDICT] == kernel.PAIR_OK) & np.isnan(out[:, kernel.STATISTIC]), kernel.VERDICT] = OLS_SINGULAR  # nothing was left


def _again(flat: np.ndarray, pair: np.ndarray, row: np.ndarray, degree: int, lags: int, rule: int) -> None:
    residual, out = np.empty(flat.shape[1]), np.full(3, np.nan)
    kernel.hedge_residual(flat[pair[0]], flat[pair[1]], residual)
    row[kernel.VERDICT] = careful(residual, lags, rule, out)
    row[[kernel.STATISTIC, kernel.LAG, kernel.NOBS]] = out
    row[kernel.P_VALUE] = p_value(out[0], degree, 2)
    row[kernel.HALF_LIFE] = half_life(residual)
