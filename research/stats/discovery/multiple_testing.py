"""The price of many tests: q-values.

Testing 132 ordered pairs at 5 % finds six or seven "pairs" among random walks. A q-value is the smallest false-discovery rate (or, for
Bonferroni, family-wise error rate) at which a test would still count as a discovery.
"""

from __future__ import annotations

import numpy as np

from hftkit.errors import DataError


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """q-values of Benjamini and Hochberg (1995), J. R. Statist. Soc. B 57.1, 289-300. NaN (no test) stays NaN and is not counted."""
    return np.minimum(_stepped_up(p_values), 1.0)


def _stepped_up(p_values: np.ndarray) -> np.ndarray:
    """p times tests over rank, made monotone from the largest p down; not yet cut at 1."""
    p_values = _checked(p_values)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    stepped = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    q_values = np.full(p_values.shape, np.nan)
    q_values[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    return q_values


def _checked(p_values: np.ndarray) -> np.ndarray:
    values = np.asarray(p_values, np.float64)
    if ((values < 0.0) | (values > 1.0)).any():
        raise DataError("a p-value lies outside 0 .. 1", "Pass probabilities, NaN where there was no test")
    return values


def benjamini_yekutieli(p_values: np.ndarray) -> np.ndarray:
    """q-values of Benjamini and Yekutieli (2001), Ann. Statist. 29.4, 1165-1188: valid whatever the dependence between the tests, and dearer."""
    p_values = np.asarray(p_values, np.float64)
    tests = np.count_nonzero(~np.isnan(p_values))
    return np.minimum(_stepped_up(p_values) * np.sum(1.0 / np.arange(1, tests + 1)), 1.0)


def bonferroni(p_values: np.ndarray) -> np.ndarray:
    """p times the number of tests, at most 1. NaN (no test) stays NaN and is not counted."""
    p_values = _checked(p_values)
    return np.minimum(p_values * np.count_nonzero(~np.isnan(p_values)), 1.0)
