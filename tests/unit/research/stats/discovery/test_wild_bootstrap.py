"""The wild bootstrap: against plain twins (scipy's filter, statsmodels' coint, a full count), its size where volatility drifts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from statsmodels.tsa.stattools import coint

from hftkit.kernels.stats.adf import LAG_AIC
from hftkit.kernels.stats.mackinnon import TRENDS
from hftkit.kernels.stats.wild_bootstrap import signed_walk
from research.stats.discovery.innovations import Shocks, shocks_of
from research.stats.discovery.null_distribution import simulate
from research.stats.discovery.pair_scan import scan_pairs
from research.stats.discovery.wild_bootstrap import DRAWS, STOP, _beyond, _draw, wild_bootstrap


def panel_of(n: int, symbols: int, seed: int) -> list[Shocks]:
    rng = np.random.default_rng(seed)
    walks = rng.normal(size=(n, symbols)).cumsum(axis=0) + rng.normal(size=(n, symbols))
    return [shocks_of(series, 6) for series in walks.T]


def plain_walk(one: Shocks, signs: np.ndarray) -> np.ndarray:
    changes = lfilter([1.0], np.append(1.0, -one.filters), one.shocks * signs)
    return np.append(0.0, np.cumsum(changes))


def test_walks_equal_a_plain_filter_and_with_all_signs_up_the_observed_ones():
    rng = np.random.default_rng(1)
    series = rng.normal(size=200).cumsum() + rng.normal(size=200)
    one = shocks_of(series, 6)
    assert one.filters.size > 0
    for signs in (rng.choice([-1.0, 1.0], 199), np.ones(199)):
        changes, walk = np.empty(199), np.empty(200)
        assert signed_walk(one.shocks, signs, one.filters, changes, walk, one.filters.size) == 200
        np.testing.assert_allclose(walk, plain_walk(one, signs), atol=1e-9)
    observed = np.diff(series)
    np.testing.assert_allclose(np.diff(walk), observed - observed.mean(), atol=1e-9)


@pytest.mark.parametrize("trend", ["n", "c", "ctt"])
def test_statistics_equal_statsmodels_on_the_plain_walks(trend):
    panel, signs = panel_of(120, 3, 2), np.random.default_rng(3).choice([-1.0, 1.0], (2, 119))
    pairs = np.array([[0, 1], [2, 1]])
    shocks, orders = np.array([one.shocks for one in panel]), np.array([one.filters.size for one in panel])
    filters = np.zeros((3, max(orders.max(), 1)))
    for row, one in zip(filters, panel, strict=True):
        row[: one.filters.size] = one.filters
    found = _draw(shocks, orders, filters, np.ones(3, np.int64), pairs, signs, (TRENDS.index(trend), 4, LAG_AIC))
    for b, row in enumerate(signs):
        walks = [plain_walk(one, row) for one in panel]
        for k, (y, x) in enumerate(pairs):
            assert found[b, k] == pytest.approx(coint(walks[y], walks[x], trend=trend, maxlag=4, autolag="aic")[0], abs=1e-8)


def test_sequential_p_values_are_those_of_a_plain_count():
    """Each pair by itself, draw after draw: ended at its tenth statistic as low as the observed one, or at the last draw."""
    panel, draws = panel_of(60, 4, 4), 150
    pairs = np.array([[0, 1], [1, 2], [3, 0]])
    observed = np.array([-1.5, -3.0, -9.0])
    found = wild_bootstrap(panel, pairs, observed, (1, 3, LAG_AIC), draws, seed=5, threads=1)
    again = wild_bootstrap(panel, pairs, observed, (1, 3, LAG_AIC), draws, seed=5, threads=3)
    np.testing.assert_array_equal(found.p_values, again.p_values)
    rng, walks = np.random.default_rng((5, 59)), []
    for size in (32, 64, 54):
        for row in 2.0 * rng.integers(0, 2, (size, 59), np.int8) - 1.0:
            walks.append([plain_walk(one, row) for one in panel])
    for k, (y, x) in enumerate(pairs):
        low = seen = 0
        while seen < draws and low < STOP:
            low += coint(walks[seen][y], walks[seen][x], maxlag=3, autolag="aic")[0] <= observed[k]
            seen += 1
        assert found.draws[k] == seen
        if low:
            assert found.p_values[k] == pytest.approx(low / seen if low == STOP else (1 + low) / (1 + draws), rel=1e-12)
        else:
            assert found.p_values[k] == pytest.approx(1 / (1 + draws))  # too few draws to go on along their tail
    assert found.draws.tolist() != [draws] * 3


def test_beyond_the_lowest_draw_p_values_go_on_along_the_tail():
    """Of normal walks with 1,999 draws: at the lowest draw 1 / 2,000; beyond it ever smaller, near what 200,000 walks show at 1e-4."""
    drawn = simulate(100, 1, 4, LAG_AIC, 1999, seed=9)
    at = _beyond(drawn, float(drawn.min()), 1)
    assert at == pytest.approx(1 / 2000)
    further = [_beyond(drawn, float(drawn.min()) - step, 1) for step in (0.1, 1.0, 3.0, 30.0)]
    assert further == sorted(further, reverse=True)
    assert further[-1] > 0
    many = simulate(100, 1, 4, LAG_AIC, 100_000, seed=10)
    assert 2e-5 < _beyond(drawn, float(np.quantile(many, 1e-4)), 1) < 5e-4
    assert _beyond(drawn[:50], -20.0, 1) == pytest.approx(1 / 51)  # too few draws to know a tail


def drifting(seed: int, n: int = 150, symbols: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    volatility = np.exp(np.linspace(0.0, 2.5, n))[:, None]
    return pd.DataFrame((rng.normal(size=(n, symbols)) * volatility).cumsum(axis=0), columns=[f"W{i}" for i in range(symbols)])


def test_a_common_volatility_that_grows_is_seen_and_its_p_values_hold():
    """40 universes: without the bootstrap 30 ordered pairs have p < 5 % nearly twice as often as stated; with it no more often."""
    shares = {"auto": [], "pvalue_asymptotic": []}
    for seed in range(40):
        scan = scan_pairs(drifting(seed), log=False, unit_root_level=None, draws=199, threads=1)
        assert scan["method"].str.startswith("wild bootstrap (changing volatility), up to 199 draws, seed 0").all()
        assert scan["draws"].between(STOP, 199).all()
        shares["auto"].append((scan["pvalue"] < 0.05).mean())
        shares["pvalue_asymptotic"].append((scan["pvalue_asymptotic"] < 0.05).mean())
    assert np.mean(shares["pvalue_asymptotic"]) > 0.07
    assert 0.01 < np.mean(shares["auto"]) < 0.05


def test_a_true_pair_is_found_by_the_bootstrap_too():
    prices = drifting(7)
    prices["TRUE"] = 0.8 * prices["W0"] + np.random.default_rng(8).normal(size=150)
    scan = scan_pairs(prices, log=False, unit_root_level=None)
    best = scan.iloc[0]
    assert {best["lead"], best["hedge"]} == {"TRUE", "W0"}
    assert best["q_bh"] < 0.05
    assert best["draws"] == DRAWS
    assert 0 < best["pvalue"] < 1 / (1 + DRAWS)
