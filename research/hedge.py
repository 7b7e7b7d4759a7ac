"""Hedge ratio and spread of a pair in log prices: log(lead) = intercept + hedge_ratio * log(hedge) + spread."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hftkit.errors import DataError
from hftkit.kernels.market.spread import log_spreads
from research.cointegration import engle_granger


def ols_hedge_ratio(lead: Any, hedge: Any) -> float:
    """Least-squares slope of log(lead) on log(hedge), with a constant: step 1 of Engle and Granger. Prices (n,), positive."""
    return float(engle_granger(np.log(np.asarray(lead, np.float64)), np.log(np.asarray(hedge, np.float64)), maxlag=0, autolag=None).hedge_ratio)


def log_spread(lead: Any, hedge: Any, hedge_ratio: float, ticks: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """log(lead) - hedge_ratio * log(hedge), float64 (n,), without intercept (the rolling mean of the rule absorbs it).

    With the tick sizes of both instruments the result is the live strategy's to the bit: the same kernel, on mids in ticks.
    """
    if not np.isfinite(hedge_ratio):
        raise DataError(f"the hedge ratio is {hedge_ratio}", "Estimate it on a sample with variance")
    spread = np.empty(len(lead))
    offset = math.log(ticks[0]) - hedge_ratio * math.log(ticks[1])
    log_spreads(mids_in_ticks(lead, ticks[0]), mids_in_ticks(hedge, ticks[1]), spread, hedge_ratio, offset)
    return spread


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
