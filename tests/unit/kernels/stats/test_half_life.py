"""Half-life against numpy's least squares and against a process whose half-life is known."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.kernels.stats.half_life import half_life, reversion_slope


def autoregression(phi: float, n: int, seed: int = 0) -> np.ndarray:
    out = np.zeros(n)
    for t, noise in enumerate(np.random.default_rng(seed).normal(size=n - 1)):
        out[t + 1] = phi * out[t] + noise
    return out + 9.0


def test_slope_equals_least_squares():
    spread = autoregression(0.9, 500)
    expected = np.polyfit(spread[:-1], np.diff(spread), 1)[0]
    assert reversion_slope(spread) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("truth", [5.0, 30.0])
def test_known_half_life_is_recovered(truth):
    assert half_life(autoregression(2 ** (-1 / truth), 200_000)) == pytest.approx(truth, rel=0.06)


def test_stated_outcomes_without_reversion_or_variance():
    assert half_life(np.exp(np.arange(50.0) / 10)) == np.inf
    assert half_life(np.tile([1.0, -1.0], 20)) == 0.0
    assert np.isnan(half_life(np.full(20, 3.0)))
    assert np.isnan(half_life(np.array([1.0, 2.0])))
