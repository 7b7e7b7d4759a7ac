"""Autoregressions against statsmodels; the two tests of volatility: size where nothing changes, power where something does."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.regression.linear_model import burg as their_burg
from statsmodels.stats.diagnostic import het_arch

from research.stats.discovery.innovations import burg, constant_variance, diagnose, no_clusters, shocks_of


def test_burg_equals_statsmodels():
    values = np.random.default_rng(1).normal(size=300).cumsum()
    values -= values.mean()
    fits, variances = burg(values, 5)
    for order in range(1, 6):
        weights, variance = their_burg(values, order)  # its variance leaves out the ends
        np.testing.assert_allclose(fits[order], weights, rtol=1e-9)
        assert variances[order] == pytest.approx(variance, rel=0.02)


def test_arch_test_equals_statsmodels():
    shocks = np.random.default_rng(2).standard_t(5, size=400)
    assert no_clusters(shocks**2) == pytest.approx(het_arch(shocks, nlags=5)[1], rel=1e-9)


def test_shocks_of_bounce_are_white_and_of_a_walk_its_changes():
    rng = np.random.default_rng(3)
    walk = rng.normal(size=1000).cumsum()
    plain, bounced = shocks_of(walk, 20), shocks_of(walk + rng.normal(size=1000), 20)
    assert not plain.coloured
    assert bounced.coloured
    assert bounced.filters[0] < -0.3
    assert abs(np.corrcoef(bounced.shocks[1:], bounced.shocks[:-1])[0, 1]) < 0.06
    changes = np.diff(walk) - np.diff(walk).mean()
    if plain.filters.size == 0:
        np.testing.assert_array_equal(plain.shocks, changes)


def test_size_and_power():
    """Share of 400 samples of 300 shocks called changing at 5 %: few of normal ones and heavy tails, most where the variance triples half-way."""
    rng = np.random.default_rng(4)
    called = {"normal": 0, "t": 0, "jump": 0}
    for _ in range(400):
        samples = {"normal": rng.normal(size=300), "t": rng.standard_t(5, size=300)}
        samples["jump"] = rng.normal(size=300) * np.where(np.arange(300) < 150, 1.0, np.sqrt(3.0))
        for name, shocks in samples.items():
            called[name] += constant_variance(shocks**2) < 0.05
    assert called["normal"] <= 34  # binomial, 99.9 %
    assert called["t"] <= 34
    assert called["jump"] >= 380


def test_a_diagnosis_tells_what_each_series_and_all_together_do():
    rng = np.random.default_rng(5)
    quiet = rng.normal(size=(500, 4)).cumsum(axis=0)
    loud = (rng.normal(size=(500, 4)) * np.exp(np.linspace(0, 1, 500))[:, None]).cumsum(axis=0)
    found = diagnose([shocks_of(series, 10) for series in quiet.T])
    assert not found.together
    found = diagnose([shocks_of(series, 10) for series in loud.T])
    assert found.together
    assert found.changing.all()
    still = diagnose([shocks_of(np.ones(50), 4)])
    assert (still.together, still.changing.any(), still.coloured.any()) == (False, False, False)
