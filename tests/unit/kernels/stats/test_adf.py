"""Both roads of the Dickey-Fuller regression against statsmodels' adfuller: statistic, lag and sample."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.kernels.stats.adf import (
    ADF_TOO_SHORT,
    LAG_AIC,
    LAG_BIC,
    LAG_FIXED,
    LAG_T,
    adf_columns,
    adf_gram,
    differences,
    fill_columns,
    lag_gram,
)
from hftkit.kernels.stats.mackinnon import TRENDS
from hftkit.kernels.stats.ols import OLS_ILL_CONDITIONED, OLS_OK, OLS_SINGULAR
from tests.statsmodels_reference import adfuller

RULES = {LAG_FIXED: None, LAG_AIC: "aic", LAG_BIC: "bic", LAG_T: "t-stat"}


def series(kind: str, n: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n + 8)
    if kind == "walk":
        walk = np.cumsum(noise)[8:]
        return walk - walk.mean()
    if kind == "moving average":
        return np.convolve(noise, [1, 0.5, -0.3, 0.2, 0.7, 0.1, 0.1, 0.1, 0.4], "valid")
    jump = np.cumsum(noise)[8:] * 1e-4
    jump[-3:] += 50.0  # an outlier at the edge of the sample
    return jump


def by_gram(u: np.ndarray, maxlag: int, rule: int):
    m = maxlag + 2
    out = np.full(3, np.nan)
    verdict = adf_gram(u, np.full(u.size, np.nan), np.full((2, m), np.nan), np.full((m, m), np.nan), np.full((m, m), np.nan), out, maxlag, rule)
    return verdict, out


def by_columns(u: np.ndarray, maxlag: int, rule: int, trend: int = 0):
    m = trend + maxlag + 2
    out = np.full(3, np.nan)
    verdict = adf_columns(u, np.full((m, u.size), np.nan), np.full((2, m), np.nan), out, trend, maxlag, rule)
    return verdict, out


@pytest.mark.parametrize("kind", ["walk", "moving average", "jump"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("n", "maxlag"), [(12, 0), (14, 5), (60, 1), (250, 15), (700, 20)])
def test_equals_adfuller(kind, rule, n, maxlag):
    u = series(kind, n, seed=n + maxlag)
    expected = adfuller(u, maxlag=maxlag, autolag=RULES[rule], regression="n")
    for verdict, out in (by_gram(u, maxlag, rule), by_columns(u, maxlag, rule)):
        if verdict == OLS_ILL_CONDITIONED:
            assert kind == "jump"
            continue
        assert verdict == OLS_OK
        assert (out[1], out[2]) == (expected[2], expected[3])
        assert out[0] == pytest.approx(expected[0], rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("trend", [1, 2, 3])
@pytest.mark.parametrize("rule", RULES)
def test_deterministic_terms_equal_adfuller(trend, rule):
    for seed in range(5):
        u = series("walk", 180, seed) + 100.0
        expected = adfuller(u, maxlag=9, autolag=RULES[rule], regression=TRENDS[trend])
        verdict, out = by_columns(u, 9, rule, trend)
        assert verdict == OLS_OK
        assert (out[1], out[2]) == (expected[2], expected[3])
        assert out[0] == pytest.approx(expected[0], abs=1e-8)


@pytest.mark.parametrize(("n", "p"), [(12, 0), (12, 5), (100, 7)])
def test_shared_diagonals_equal_the_plain_gram_matrix(n, p):
    u = series("walk", n, 3)
    d, gram = np.full(n, np.nan), np.full((p + 2, p + 2), np.nan)
    differences(u, d)
    nobs = lag_gram(u, d, gram, p)
    columns = np.full((p + 2, n), np.nan)
    assert fill_columns(u, columns, 0, p, p, False) == nobs
    plain = columns[:, :nobs] @ columns[:, :nobs].T
    upper = np.triu_indices(p + 2)
    np.testing.assert_allclose(gram[upper], plain[upper], rtol=1e-12, atol=1e-12)


def test_too_short_or_singular_samples_have_no_statistic():
    assert by_gram(np.arange(6.0) ** 2, 2, LAG_AIC)[0] == ADF_TOO_SHORT
    assert by_columns(np.arange(6.0) ** 2, 1, LAG_AIC, trend=2)[0] == ADF_TOO_SHORT
    flat = np.zeros(50)
    assert by_gram(flat, 3, LAG_AIC)[0] == OLS_SINGULAR
    assert by_columns(flat, 3, LAG_AIC)[0] == OLS_SINGULAR


def test_smooth_series_are_handed_to_the_careful_road():
    t = np.linspace(0, 6, 400)
    smooth = np.sin(t) + 1e-9 * np.random.default_rng(0).normal(size=400)
    assert by_gram(smooth, 6, LAG_FIXED)[0] == OLS_ILL_CONDITIONED
    verdict, out = by_columns(smooth, 6, LAG_FIXED)
    assert verdict == OLS_OK
    expected = adfuller(smooth, maxlag=6, autolag=None, regression="n")
    assert out[0] == pytest.approx(expected[0], rel=1e-5)
