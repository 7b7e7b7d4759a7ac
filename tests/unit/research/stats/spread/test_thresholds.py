"""Closed-form thresholds against simulation and against the sweep."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.errors import DataError
from research.stats.spread.thresholds import OrnsteinUhlenbeck, best_entry, cycle_time, estimate_ou


def simulate(process: OrnsteinUhlenbeck, n: int, seed: int, per_bar: int = 1) -> np.ndarray:
    """Exact sampling, `per_bar` points a bar."""
    rng = np.random.default_rng(seed)
    phi = np.exp(-process.theta / per_bar)
    noise = rng.normal(size=n) * process.deviation * np.sqrt(1.0 - phi**2)
    path = np.zeros(n)
    for t in range(1, n):
        path[t] = phi * path[t - 1] + noise[t]
    return path


def test_parameters_are_recovered():
    truth = OrnsteinUhlenbeck(0.05, 0.002)
    found = estimate_ou(simulate(truth, 100_000, 1))
    assert found.theta == pytest.approx(truth.theta, rel=0.05)
    assert found.sigma == pytest.approx(truth.sigma, rel=0.02)
    assert found.half_life == pytest.approx(np.log(2) / 0.05, rel=0.05)
    with pytest.raises(DataError, match="does not revert"):
        estimate_ou(np.cumsum(np.ones(50)) ** 2)


def test_cycle_time_equals_simulation():
    process = OrnsteinUhlenbeck(0.05, 1.0)
    entry = 0.8 * process.deviation
    path = simulate(process, 1_000_000, 2, per_bar=50)
    side, starts = 0, []
    for t, value in enumerate(path):
        if value >= entry and side != 1:
            side = 1
            starts.append(t)
        elif value <= -entry and side != -1:
            side = -1
    measured = np.diff(starts).mean() / 50
    seen_late = 0.5826 * process.sigma / np.sqrt(50)  # a level watched at 50 moments a bar is found passed (Broadie, Glasserman, Kou 1997)
    assert cycle_time(process, entry + seen_late) == pytest.approx(measured, rel=0.12)


def test_best_entry_is_a_maximum_and_grows_with_cost():
    process = OrnsteinUhlenbeck(0.03, 0.002)
    cheap, dear = best_entry(process, 1e-4), best_entry(process, 2e-3)
    assert cheap.entry_z < dear.entry_z
    for best, cost in ((cheap, 1e-4), (dear, 2e-3)):
        for near in (0.97, 1.03):
            assert (2 * best.entry * near - cost) / cycle_time(process, best.entry * near) < best.rate
    with pytest.raises(DataError, match="no best entry"):
        best_entry(process, 0.0)
