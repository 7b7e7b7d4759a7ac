"""Hedge ratio and spread of a pair: lead = intercept + hedge_ratio * hedge + spread, in log prices unless `log=False`.

The ratio by ordinary, total and dynamic least squares, and bar by bar by a Kalman filter (research/stats/spread/kalman.py) or over a rolling window
(research/pairs/dynamic_hedge.py). A ratio of logs is money in the hedge per money in the lead; a ratio of levels is shares per share.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hftkit.errors import DataError
from hftkit.kernels.market.spread import level_spreads, log_spreads
from research.stats.cointegration import engle_granger
from research.stats.spread.kalman import LEVEL_MEMORY, MEMORY, START, kalman_hedge
from research.stats.spread.pair_values import checked_pair


def ols_hedge_ratio(lead: Any, hedge: Any, log: bool = True) -> float:
    """Least-squares slope of the lead on the hedge, with a constant: step 1 of Engle and Granger. Prices (n,), positive where `log`."""
    y, x, _ = checked_pair(lead, hedge, log)
    return float(engle_granger(y, x, maxlag=0, autolag=None).hedge_ratio)


def tls_hedge_ratio(lead: Any, hedge: Any, log: bool = True) -> float:
    """Total least squares (orthogonal regression) of the lead on the hedge: both prices carry noise, and swapping them inverts the ratio.

    The direction of the smallest singular value of the centred series (Golub and Van Loan, Matrix Computations, 4th ed., 6.3). In levels it
    depends on the unit of either price; in logs it does not.
    """
    values = np.column_stack(checked_pair(lead, hedge, log)[:2])
    _, _, directions = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    across = directions[-1]
    if not abs(across[0]) > 1e-12:
        raise DataError("the hedge does not move with the lead at all", "Choose another pair")
    return float(-across[1] / across[0])


def dols_hedge_ratio(lead: Any, hedge: Any, leads_lags: int = 2, log: bool = True) -> float:
    """Dynamic least squares: the lead on the hedge and `leads_lags` leads and lags of its changes, which takes out the bias of a short sample.

    J. H. Stock and M. W. Watson (1993), Econometrica 61.4, 783-820. With standard errors: research/stats/cointegrating_regression.py.
    """
    y, x, _ = checked_pair(lead, hedge, log)
    k, steps = leads_lags, np.diff(x)
    n = x.size
    if k < 0 or n < 6 * (k + 1):
        raise DataError(f"{n} rows are too few for {k} leads and lags", "Use a longer sample")
    rows = np.arange(k + 1, n - k)
    columns = [np.ones(rows.size), x[rows], *(steps[rows - 1 + j] for j in range(-k, k + 1))]
    return float(np.linalg.lstsq(np.column_stack(columns), y[rows], rcond=None)[0][1])


def kalman_hedge_ratios(
    lead: Any,
    hedge: Any,
    memory: float = MEMORY,
    level_memory: float = LEVEL_MEMORY,
    start: int = START,
    half_life: float | None = None,
    log: bool = True,
    bounce: bool = True,
) -> np.ndarray:
    """Slope and intercept after each bar, float64 (n, 2), NaN in the first `start` rows: kalman.kalman_hedge, which has more to say.

    The spread to trade at a bar is that against the row before; against its own row it has been used to fit.
    """
    path = kalman_hedge(lead, hedge, memory, level_memory, start, half_life, log, bounce)
    return np.column_stack([path.slope, path.intercept])


def log_spread(lead: Any, hedge: Any, hedge_ratio: float, ticks: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """log(lead) - hedge_ratio * log(hedge), float64 (n,), without intercept (the rolling mean of the rule absorbs it).

    A spread of prices: `level_spread`.

    With the tick sizes of both instruments the result is the live strategy's to the bit: the same kernel, on mids in ticks.
    """
    if not np.isfinite(hedge_ratio):
        raise DataError(f"the hedge ratio is {hedge_ratio}", "Estimate it on a sample with variance")
    checked_pair(lead, hedge, moving=False)
    spread = np.empty(len(lead))
    offset = math.log(ticks[0]) - hedge_ratio * math.log(ticks[1])
    log_spreads(mids_in_ticks(lead, ticks[0]), mids_in_ticks(hedge, ticks[1]), spread, hedge_ratio, offset)
    return spread


def level_spread(lead: Any, hedge: Any, hedge_ratio: float, ticks: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """lead - hedge_ratio * hedge, float64 (n,), in prices of the lead: `log_spread` of prices as they are, with the same promise about `ticks`."""
    if not np.isfinite(hedge_ratio):
        raise DataError(f"the hedge ratio is {hedge_ratio}", "Estimate it on a sample with variance")
    checked_pair(lead, hedge, moving=False)  # also positive: a unit is valued at the price of its lead
    spread = np.empty(len(lead))
    level_spreads(mids_in_ticks(lead, ticks[0]), mids_in_ticks(hedge, ticks[1]), spread, hedge_ratio, *ticks)
    return spread


def mids_in_ticks(prices: Any, tick: float) -> np.ndarray:
    """Prices as mids in ticks, float64 (n,): exact halves where a price lies on the grid of half ticks, else price / tick as it is."""
    raw = np.ascontiguousarray(prices, np.float64) / tick
    on_grid = np.round(2.0 * raw) / 2.0
    return np.where(np.abs(raw - on_grid) <= 1e-9 * np.abs(raw), on_grid, raw) if tick != 1.0 else raw


def unit_return(lead: Any, hedge: Any, hedge_ratio: float, log: bool = True) -> np.ndarray:
    """Return of one unit of the spread per bar, as a fraction of the lead's notional: lead's simple return less hedge_ratio times the hedge's.

    float64 (n,), 0 in the first row. `log=False`: the unit is one of the lead against hedge_ratio units of the hedge, so its return is the change
    of the spread over the lead's price of the bar before.
    """
    lead, hedge = np.asarray(lead, np.float64), np.asarray(hedge, np.float64)
    step = np.zeros(lead.size)
    if not log:
        step[1:] = (np.diff(lead) - hedge_ratio * np.diff(hedge)) / lead[:-1]
        return step
    step[1:] = (lead[1:] / lead[:-1] - 1.0) - hedge_ratio * (hedge[1:] / hedge[:-1] - 1.0)
    return step
