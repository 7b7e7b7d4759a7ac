"""p-values of Engle-Granger statistics from the panel's own shocks with drawn signs, for volatility that changes and for bid-ask bounce.

Null hypothesis: no series is cointegrated with another. The kernel and its sources: hftkit/kernels/stats/wild_bootstrap.py. The lag rule is applied
afresh in every draw, so the p-values are those of the sample size and the rule at hand.

Draws stop for a pair at its tenth statistic at or below the observed one: its p-value is then 10 / draws, else (1 + below) / (1 + draws). Both are
valid whatever the number of draws (J. Besag and P. Clifford 1991, "Sequential Monte Carlo p-values", Biometrika 78.2, 301-304). Where no draw was as
low as the observed statistic, the p-value goes on from 1 / (1 + draws) at the lowest draw along MacKinnon's tail, on the scale of normal scores with
the slope that the draws have between their 5 and 1 % (at most 1): many tests need p-values smaller than any number of draws can count.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from hftkit.kernels.stats import wild_bootstrap as kernel
from research.data.progress import progress
from research.stats.discovery.innovations import Shocks
from research.stats.discovery.null_distribution import asymptotic_scores
from research.stats.discovery.pair_statistics import FIELDS, scratch

STOP = 10  # statistics at or below the observed one that end the draws of a pair
DRAWS = 9_999  # of a pair, unless told otherwise
_UPPER, _LOWER = 0.05, 0.01  # levels of the draws between which the slope of their tail is taken
_FIRST, _MOST = 32, 1024  # draws of a round
_STATISTICS_A_ROUND = 2_000_000  # bounds the memory: 16 MB


@dataclass(frozen=True)
class Bootstrap:
    """`p_values` float64 (m,) and `draws` int64 (m,) of m pairs."""

    p_values: np.ndarray
    draws: np.ndarray


def wild_bootstrap(
    panel: list[Shocks], pairs: np.ndarray, statistics: np.ndarray, how: tuple[int, int, int], draws: int, seed: int, threads: int | None = None
) -> Bootstrap:
    """p-values of the observed `statistics` float64 (m,) of the ordered `pairs` int64 (m, 2) of a panel, given its shocks.

    `how`: degree 0 .. 3 of the trend, largest lag and LAG_* code, as in the observed test. The same for any number of threads.
    """
    shocks, orders = np.array([one.shocks for one in panel]), np.array([one.filters.size for one in panel])
    filters = np.zeros((len(panel), max(int(orders.max()), 1)))
    for row, one in zip(filters, panel, strict=True):
        row[: one.filters.size] = one.filters
    rng = np.random.default_rng((seed, shocks.shape[1]))
    p_values, used = np.full(len(pairs), np.nan), np.zeros(len(pairs), np.int64)
    active, below, done = np.arange(len(pairs)), np.zeros(len(pairs), np.int64), 0
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    workers = threads or os.cpu_count() or 1

    with ThreadPoolExecutor(workers) as pool:
        for size in progress(_rounds(draws, len(pairs)), f"wild bootstrap, {len(pairs)} ordered pairs"):
            if not active.size:
                break
            signs = 2.0 * rng.integers(0, 2, (size, shocks.shape[1]), np.int8) - 1.0
            wanted = np.zeros(len(panel), np.int64)
            wanted[pairs[active]] = 1
            parts = [
                pool.submit(_draw, shocks, orders, filters, wanted, pairs[active], part, how) for part in np.array_split(signs, min(workers, size))
            ]
            found = np.concatenate([part.result() for part in parts])
            as_low = ~(found > statistics[active])  # a draw without a statistic counts against
            counts = below[active] + np.cumsum(as_low, axis=0)
            ended = counts[-1] >= STOP
            used[active] = done + np.where(ended, 1 + np.argmax(counts >= STOP, axis=0), size)
            p_values[active[ended]] = STOP / used[active[ended]]
            below[active] = counts[-1]
            seen.append((active[~ended], found[:, ~ended]))
            active, done = active[~ended], done + size
    p_values[active] = (1 + below[active]) / (1 + done)
    for k in active[below[active] == 0]:
        drawn = np.concatenate([found[:, np.searchsorted(kept, k)] for kept, found in seen])
        p_values[k] = _beyond(drawn, float(statistics[k]), how[0])
    return Bootstrap(p_values, used)


def _beyond(drawn: np.ndarray, statistic: float, degree: int) -> float:
    """p-value of a statistic below all those drawn."""
    lowest = 1.0 / (1 + drawn.size)
    if drawn.size * _LOWER < STOP:
        return lowest
    theirs = asymptotic_scores(np.array([*np.quantile(drawn, [_UPPER, _LOWER]), drawn.min(), statistic]), degree)
    steep = (ndtri(_UPPER) - ndtri(_LOWER)) / max(theirs[0] - theirs[1], 1e-9)
    return float(ndtr(ndtri(lowest) + min(steep, 1.0) * (theirs[3] - theirs[2])))


def _rounds(draws: int, pairs: int) -> list[int]:
    """Sizes of the rounds of draws: few at first, when all pairs take part."""
    sizes: list[int] = []
    size = _FIRST
    while sum(sizes) < draws:
        sizes.append(min(size, draws - sum(sizes), max(_STATISTICS_A_ROUND // max(pairs, 1), 4) if len(sizes) < 4 else _MOST))
        size = min(2 * size, _MOST)
    return sizes


def _draw(
    shocks: np.ndarray, orders: np.ndarray, filters: np.ndarray, wanted: np.ndarray, pairs: np.ndarray, signs: np.ndarray, how: tuple[int, int, int]
) -> np.ndarray:
    """Statistics float64 (draws, pairs), on the calling thread."""
    m, n = shocks.shape[0], shocks.shape[1] + 1
    out = np.empty((len(signs), len(pairs)))
    work = np.empty(n - 1), np.empty(n), np.empty((m, n)), np.empty(m), np.empty(3)
    kernel.bootstrap_statistics(shocks, orders, filters, wanted, pairs, signs, *work, *scratch(n, how[1]), np.empty(FIELDS), out, *how)
    return out
