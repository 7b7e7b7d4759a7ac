"""Hedge ratio and spread of a pair in log prices: log(lead) = intercept + hedge_ratio * log(hedge) + spread."""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.errors import DataError
from research.cointegration import engle_granger


def ols_hedge_ratio(lead: Any, hedge: Any) -> float:
    """Least-squares slope of log(lead) on log(hedge), with a constant: step 1 of Engle and Granger. Prices (n,), positive."""
    return float(engle_granger(np.log(np.asarray(lead, np.float64)), np.log(np.asarray(hedge, np.float64)), maxlag=0, autolag=None).hedge_ratio)


def log_spread(lead: Any, hedge: Any, hedge_ratio: float) -> np.ndarray:
    """log(lead) - hedge_ratio * log(hedge), float64 (n,): what the live strategy computes, without intercept (its rolling mean absorbs it)."""
    if not np.isfinite(hedge_ratio):
        raise DataError(f"the hedge ratio is {hedge_ratio}", "Estimate it on a sample with variance")
    return np.log(np.asarray(lead, np.float64)) - hedge_ratio * np.log(np.asarray(hedge, np.float64))


def unit_return(lead: Any, hedge: Any, hedge_ratio: float) -> np.ndarray:
    """Return of one unit of the spread per bar, as a fraction of the lead's notional: lead's simple return less hedge_ratio times the hedge's.

    float64 (n,), 0 in the first row.
    """
    lead, hedge = np.asarray(lead, np.float64), np.asarray(hedge, np.float64)
    step = np.zeros(lead.size)
    step[1:] = (lead[1:] / lead[:-1] - 1.0) - hedge_ratio * (hedge[1:] / hedge[:-1] - 1.0)
    return step
