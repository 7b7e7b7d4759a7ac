"""Hedge ratio and spread of a pair in log prices: log(lead) = intercept + hedge_ratio * log(hedge) + spread.

The ratio by ordinary, total and dynamic least squares, and bar by bar by a Kalman filter.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hftkit.errors import DataError
from hftkit.kernels.market.spread import log_spreads
from research.cointegration import engle_granger, same_rows


def ols_hedge_ratio(lead: Any, hedge: Any) -> float:
    """Least-squares slope of log(lead) on log(hedge), with a constant: step 1 of Engle and Granger. Prices (n,), positive."""
    return float(engle_granger(*_logs(lead, hedge), maxlag=0, autolag=None).hedge_ratio)


def tls_hedge_ratio(lead: Any, hedge: Any) -> float:
    """Total least squares (orthogonal regression) of log(lead) on log(hedge): both prices carry noise, and swapping them inverts the ratio.

    The direction of the smallest singular value of the centred logs (Golub and Van Loan, Matrix Computations, 4th ed., 6.3).
    """
    logs = np.column_stack(_logs(lead, hedge))
    _, _, directions = np.linalg.svd(logs - logs.mean(axis=0), full_matrices=False)
    across = directions[-1]
    if not abs(across[0]) > 1e-12:
        raise DataError("the hedge does not move with the lead at all", "Choose another pair")
    return float(-across[1] / across[0])


def dols_hedge_ratio(lead: Any, hedge: Any, leads_lags: int = 2) -> float:
    """Dynamic least squares: log(lead) on log(hedge) and `leads_lags` leads and lags of its changes, which takes out the bias of a short sample.

    J. H. Stock and M. W. Watson (1993), Econometrica 61.4, 783-820.
    """
    y, x = _logs(lead, hedge)
    k, steps = leads_lags, np.diff(x)
    n = x.size
    if k < 0 or n < 6 * (k + 1):
        raise DataError(f"{n} rows are too few for {k} leads and lags", "Use a longer sample")
    rows = np.arange(k + 1, n - k)
    columns = [np.ones(rows.size), x[rows], *(steps[rows - 1 + j] for j in range(-k, k + 1))]
    return float(np.linalg.lstsq(np.column_stack(columns), y[rows], rcond=None)[0][1])


def kalman_hedge_ratios(lead: Any, hedge: Any, drift: float = 1e-5, noise: float | None = None) -> np.ndarray:
    """Hedge ratio bar by bar, float64 (n, 2): slope and intercept after each bar, both random walks with variance `drift` / (1 - drift) a bar.

    It starts from least squares over the first tenth (at least 30 rows); from there on it uses nothing later than its bar. `noise`: variance of
    the spread, default that of the residual of that first tenth.
    E. Chan, Algorithmic Trading (2013), chapter 3.
    """
    y, x = _logs(lead, hedge)
    start = max(30, y.size // 10)
    if y.size < start or not 0.0 <= drift < 1.0:
        raise DataError(f"{y.size} rows with a drift of {drift} make no filter", "Use at least 30 rows and 0 <= drift < 1")
    first = np.polyfit(x[:start], y[:start], 1)
    if noise is None:
        noise = float(np.var(y[:start] - np.polyval(first, x[:start]), ddof=2))
    weights, covariance = first.copy(), np.eye(2)
    path = np.empty((y.size, 2))
    walk = np.eye(2) * drift / (1.0 - drift)
    for t in range(y.size):
        row = np.array([x[t], 1.0])
        covariance = covariance + walk
        gain = covariance @ row
        scale = row @ gain + noise
        weights = weights + gain * ((y[t] - row @ weights) / scale)
        covariance = covariance - np.outer(gain, gain) / scale
        path[t] = weights
    return path


def log_spread(lead: Any, hedge: Any, hedge_ratio: float, ticks: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """log(lead) - hedge_ratio * log(hedge), float64 (n,), without intercept (the rolling mean of the rule absorbs it).

    With the tick sizes of both instruments the result is the live strategy's to the bit: the same kernel, on mids in ticks.
    """
    if not np.isfinite(hedge_ratio):
        raise DataError(f"the hedge ratio is {hedge_ratio}", "Estimate it on a sample with variance")
    _logs(lead, hedge, moving=False)
    spread = np.empty(len(lead))
    offset = math.log(ticks[0]) - hedge_ratio * math.log(ticks[1])
    log_spreads(mids_in_ticks(lead, ticks[0]), mids_in_ticks(hedge, ticks[1]), spread, hedge_ratio, offset)
    return spread


def _logs(lead: Any, hedge: Any, moving: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Log prices of both; refuses what would end in a silent NaN: other lengths, prices not finite or not positive, and constants where `moving`."""
    same_rows(lead, hedge)
    pair = np.ascontiguousarray(lead, np.float64), np.ascontiguousarray(hedge, np.float64)
    if pair[0].shape != pair[1].shape or pair[0].ndim != 1:
        raise DataError(f"lead and hedge have the shapes {pair[0].shape} and {pair[1].shape}", "Align the two series on one index first")
    for name, values in zip(("lead", "hedge"), pair, strict=True):
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if bad.size:
            raise DataError(
                f"{name} has {bad.size} prices that are not finite and positive, the first {values[bad[0]]} at row {bad[0]}",
                "Repair or drop these rows",
            )
        if moving and (values.size < 2 or np.ptp(values) <= 4 * np.spacing(values.max())):
            raise DataError(f"{name} is constant", "A constant has no hedge ratio: leave it out")
    return np.log(pair[0]), np.log(pair[1])


def mids_in_ticks(prices: Any, tick: float) -> np.ndarray:
    """Prices as mids in ticks, float64 (n,): exact halves where a price lies on the grid of half ticks, else price / tick as it is."""
    raw = np.ascontiguousarray(prices, np.float64) / tick
    on_grid = np.round(2.0 * raw) / 2.0
    return np.where(np.abs(raw - on_grid) <= 1e-9 * np.abs(raw), on_grid, raw) if tick != 1.0 else raw


def unit_return(lead: Any, hedge: Any, hedge_ratio: float) -> np.ndarray:
    """Return of one unit of the spread per bar, as a fraction of the lead's notional: lead's simple return less hedge_ratio times the hedge's.

    float64 (n,), 0 in the first row.
    """
    lead, hedge = np.asarray(lead, np.float64), np.asarray(hedge, np.float64)
    step = np.zeros(lead.size)
    step[1:] = (lead[1:] / lead[:-1] - 1.0) - hedge_ratio * (hedge[1:] / hedge[:-1] - 1.0)
    return step
