"""Arrivals against the theory of their processes: mean rate, variance of counts over windows, time rescaling; and sides of split orders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from hftkit.exchange.market.flow.arrivals import next_wait_ns
from hftkit.exchange.market.flow.random import waiting_time_ns
from hftkit.exchange.market.flow.splitting import HIDDEN, next_side
from hftkit.kernels.jit import kernel
from research.market.stylised_facts import autocorrelation

N = 200_000


@kernel
def waits_of(states: Any, rate: float, excitation: Any, waits: Any) -> None:
    for i in range(waits.size):
        waits[i] = next_wait_ns(states, 0, rate, excitation)


@kernel
def sides_of(states: Any, hidden: Any, exponent: float, sides: Any) -> None:
    for i in range(sides.size):
        sides[i] = next_side(states, 0, hidden, exponent)


def waits(rate: float, branching: float, half_life_s: float, seed: int = 4) -> np.ndarray:
    """Seconds between N arrivals."""
    found = np.zeros(N, np.int64)
    waits_of(np.array([seed], np.uint64), rate, np.array([branching, np.log(2) / half_life_s, branching * rate]), found)
    return found / 1e9


def fano(gaps: np.ndarray, window_s: float) -> float:
    """Variance over mean of the counts in windows."""
    times = np.cumsum(gaps)
    counts = np.bincount((times / window_s).astype(int))[:-1]
    return float(counts.var() / counts.mean())


def test_poisson_arrivals_are_exponential_and_their_counts_poisson() -> None:
    gaps = waits(3.0, 0.0, 1.0)
    assert gaps.mean() == pytest.approx(1 / 3.0, rel=0.01)
    assert stats.kstest(3.0 * gaps, "expon").pvalue > 0.01
    for window in (1.0, 30.0):
        assert fano(gaps, window) == pytest.approx(1.0, abs=0.05)
    assert np.abs(autocorrelation(gaps, 5)).max() < 4 / np.sqrt(N)


@pytest.mark.parametrize(("branching", "half_life_s"), [(0.5, 1.0), (0.8, 5.0)])
def test_hawkes_arrivals_have_the_rate_the_clustering_and_the_kernel_of_the_theory(branching: float, half_life_s: float) -> None:
    """Variance of counts: Da Fonseca, Zaatour (Journal of Futures Markets 2014). Residuals: time rescaling (Ogata 1988) with the true intensity."""
    rate, decay = 3.0, np.log(2) / half_life_s
    gaps = waits(rate, branching, half_life_s)
    error = 1.0 / ((1 - branching) * np.sqrt(N))  # of the mean of N clustered gaps, as a share of it
    assert gaps.mean() == pytest.approx(1 / rate, rel=4 * error)
    slowing = decay * (1 - branching)
    for window in (0.2 * half_life_s, 5 * half_life_s, 20 * half_life_s):
        most = 1 / (1 - branching) ** 2
        expected = most + (1 - most) * (1 - np.exp(-slowing * window)) / (slowing * window)
        assert fano(gaps, window) == pytest.approx(expected, rel=0.12)
    excited, residuals = branching * rate + branching * decay, np.empty(N)
    for i, gap in enumerate(gaps):
        left = excited * np.exp(-decay * gap)
        residuals[i] = rate * (1 - branching) * gap + (excited - left) / decay
        excited = left + branching * decay
    assert stats.kstest(residuals, "expon").pvalue > 0.01
    assert np.abs(autocorrelation(residuals, 5)).max() < 4 / np.sqrt(N)
    assert stats.kstest(rate * gaps, "expon").pvalue < 1e-6  # the gaps themselves are not: the test can tell


def test_split_orders_have_a_long_memory_and_coins_have_none() -> None:
    """Autocorrelation of signs at lag t about t^-(a - 1), so that from lag 8 to lag 128 it falls by 16^-0.5; a coin's is noise."""
    sides = {}
    for exponent in (0.0, 1.5):
        found = np.zeros(1_000_000, np.int64)
        sides_of(np.array([9], np.uint64), np.zeros((HIDDEN, 2), np.int64), exponent, found)
        assert found.mean() == pytest.approx(0.5, abs=0.05 if exponent else 0.002)
        sides[exponent] = autocorrelation(1 - 2 * found, 144)
    assert np.abs(sides[0.0]).max() < 5 / np.sqrt(1e6)
    near, far = sides[1.5][6:10].mean(), sides[1.5][112:144].mean()
    assert near > 0.08
    assert np.log(near / far) / np.log(16) == pytest.approx(0.5, abs=0.15)


def test_a_rate_near_nothing_waits_long_and_never_backward() -> None:
    states = np.array([1], np.uint64)
    assert 10**18 <= waiting_time_ns(states, 0, 1e-12) <= 10**18 + 1
