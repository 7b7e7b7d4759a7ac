"""Spread tests against the package arch, published results on classic data, and processes whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.api import OLS, add_constant
from statsmodels.stats.diagnostic import breaks_cusumolsresid
from statsmodels.tsa.tsatools import lagmat

from hftkit.errors import DataError
from hftkit.kernels.stats.adf import LAG_FIXED, adf_columns
from hftkit.kernels.stats.half_life import half_life, reversion_slope
from research.cointegration import engle_granger
from research.hedge import dols_hedge_ratio, kalman_hedge_ratios, ols_hedge_ratio, tls_hedge_ratio
from research.johansen import johansen
from research.spread_tests import cusum, gregory_hansen, hurst_exponent, phillips_ouliaris, rolling_stability, variance_ratio, zero_crossings
from tests.unit.research.shared_data import classic


def pair(seed: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=n)) * 0.01 + 4.0
    spread = np.zeros(n)
    for t, noise in enumerate(rng.normal(size=n - 1)):
        spread[t + 1] = 0.9 * spread[t] + 0.005 * noise
    return 0.7 * x + spread + 1.0, x


@pytest.mark.parametrize("seed", range(8))
def test_phillips_ouliaris_equals_arch(seed):
    reference = pytest.importorskip("arch.unitroot.cointegration", reason="arch is a development dependency")
    y, x = pair(seed, 200 + 50 * seed)
    for trend in ("c", "ct"):
        ours = phillips_ouliaris(y, x, trend, bandwidth=3 + seed)
        theirs = reference.phillips_ouliaris(pd.Series(y), pd.Series(x), trend=trend, test_type="Zt", kernel="bartlett", bandwidth=3 + seed)
        assert ours.statistic == pytest.approx(theirs.stat, abs=1e-8)
        assert ours.pvalue == pytest.approx(theirs.pvalue, abs=0.02)  # theirs comes from another simulation of the same distribution


@pytest.mark.parametrize("lags", [2, 5, 16])
def test_variance_ratio_equals_arch(lags):
    reference = pytest.importorskip("arch.unitroot", reason="arch is a development dependency")
    y, _ = pair(lags)
    ours = variance_ratio(y, lags)
    theirs = reference.VarianceRatio(y, lags=lags)
    assert ours.details["ratio"] == pytest.approx(theirs.vr, rel=1e-10)
    assert ours.statistic == pytest.approx(theirs.stat, rel=1e-8)
    assert ours.pvalue == pytest.approx(theirs.pvalue, abs=1e-9)


def test_hurst_and_crossings_know_a_walk_from_noise():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=20_000)
    assert hurst_exponent(np.cumsum(noise)) == pytest.approx(0.5, abs=0.04)
    assert hurst_exponent(noise) == pytest.approx(0.0, abs=0.02)
    assert hurst_exponent(np.cumsum(np.cumsum(noise))) > 0.9  # changes that persist
    assert zero_crossings(np.array([1.0, -1.0, 1.0, -1.0])) == 3
    assert zero_crossings(noise) == pytest.approx(10_000, rel=0.05)  # an independent series crosses every second step
    assert variance_ratio(noise, 2).details["ratio"] == pytest.approx(0.5, abs=0.03)
    assert variance_ratio(np.cumsum(noise), 2).pvalue > 0.01


def test_a_break_hides_a_pair_from_engle_granger_and_not_from_gregory_hansen():
    y, x = pair(4)
    shifted = y + np.where(np.arange(y.size) >= 250, 0.25, 0.0)
    assert engle_granger(shifted, x).pvalue > 0.05
    found = gregory_hansen(shifted, x, lag=1)
    assert found.statistic < found.details["critical"]["1 %"]
    assert abs(found.details["break_row"] - 250) <= 3
    rng = np.random.default_rng(9)
    rejected = sum(
        gregory_hansen(*np.cumsum(rng.normal(size=(2, 120)), axis=1), model="C", lag=0).statistic < -4.61 for _ in range(60)
    )  # 5 % of independent walks
    assert rejected <= 9


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("lags", [1, 4])
def test_cusum_equals_statsmodels(seed, lags):
    spread = engle_granger(*pair(seed, 150 + 60 * seed)).residual
    ours = cusum(spread, lags)
    fit = OLS(spread[lags:], add_constant(lagmat(spread, lags, trim="both"))).fit()
    statistic, pvalue, critical = breaks_cusumolsresid(fit.resid, ddof=lags + 1)
    assert ours.statistic == pytest.approx(statistic, abs=1e-10)
    assert ours.pvalue == pytest.approx(pvalue, abs=1e-10)
    assert [value for _, value in critical] == list(ours.details["critical"].values())


def test_cusum_keeps_its_level_and_finds_a_break():
    """Size: stable spreads are rejected at 5 % no more often than that (200 of them, 3-sigma binomial bound). Power: a shifted level is found."""
    rng = np.random.default_rng(5)
    rejected, found = 0, 0
    for _ in range(200):
        spread = np.zeros(500)
        for t, noise in enumerate(rng.normal(size=499)):
            spread[t + 1] = 0.7 * spread[t] + noise
        rejected += cusum(spread).pvalue < 0.05
        found += cusum(spread + 3.0 * (np.arange(500) >= 200)).pvalue < 0.05
    assert rejected <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05 * 0.95)
    assert found >= 150
    with pytest.raises(DataError, match="constant"):
        cusum(np.full(200, 0.1))
    with pytest.raises(DataError, match="follows its own past"):
        cusum(np.arange(200.0))
    with pytest.raises(DataError, match="too few"):
        cusum(np.arange(20.0))


def test_hedge_ratios_of_a_known_pair():
    y, x = pair(2, 4000)
    lead, hedge = np.exp(y), np.exp(x)
    for estimate in (ols_hedge_ratio, tls_hedge_ratio, dols_hedge_ratio):
        assert estimate(lead, hedge) == pytest.approx(0.7, abs=0.03)
    assert tls_hedge_ratio(hedge, lead) == pytest.approx(1.0 / tls_hedge_ratio(lead, hedge), rel=1e-9)
    path = kalman_hedge_ratios(lead, hedge)
    assert path[-1, 0] == pytest.approx(0.7, abs=0.1)
    changed = hedge.copy()
    changed[3000:] *= 1.5
    assert (kalman_hedge_ratios(lead, changed)[:3000] == path[:3000]).all()  # the future does not change the past
    still = kalman_hedge_ratios(lead, hedge, drift=0.0, noise=1e-4)[-1, 0]
    assert still == pytest.approx(ols_hedge_ratio(lead, hedge), abs=2e-3)  # without drift the filter is recursive least squares


def test_rolling_stability(prices):
    table = rolling_stability(prices, "A0USDT", "B0USDT", window=1000, step=500)
    assert len(table) == 7
    last = prices.iloc[-1000:]
    expected = engle_granger(np.log(last["A0USDT"]), np.log(last["B0USDT"]))
    assert table["hedge_ratio"].iloc[-1] == expected.hedge_ratio
    assert table["pvalue"].iloc[-1] == expected.pvalue
    with pytest.raises(DataError, match="hold no window"):
        rolling_stability(prices, "A0USDT", "B0USDT", window=10**6, step=1)


def adf_one_lag(series: np.ndarray) -> float:
    """Dickey-Fuller t with a constant and one lag."""
    out = np.empty(3)
    assert adf_columns(series, np.empty((4, series.size)), np.empty((2, 4)), out, 1, 1, LAG_FIXED) == 0
    return float(out[0])


def test_crude_oil_as_published():
    """Logs of monthly WTI and Brent (the example of the package arch): each has a unit root, together they have none."""
    logs = np.log(classic("crude_wti_brent_monthly.csv")[["WTI", "Brent"]])
    assert adf_one_lag(logs["WTI"].to_numpy()) == pytest.approx(-1.780, abs=5e-4)
    assert adf_one_lag(logs["Brent"].to_numpy()) == pytest.approx(-1.655, abs=5e-4)
    assert engle_granger(logs["WTI"], logs["Brent"]).pvalue < 0.01
    assert phillips_ouliaris(logs["WTI"], logs["Brent"]).pvalue < 0.01


def test_gold_and_its_miners():
    """E. Chan, Quantitative Trading, 2nd edition, example 7.2 (its MATLAB file prints, over the first 252 days: CADF t -3.18156477 with one lag,
    coefficient -0.070038, hedge ratio through the origin 1.6310). His second regression has a constant, ours as statsmodels' has none: the t differs
    by 0.004, the coefficient with a constant is his. The half-life over all 385 days is recomputed here, not published.
    """
    data = classic("gld_gdx_daily_2006_2007.csv")
    year = data.iloc[:252]
    assert engle_granger(year["GLD"], year["GDX"], maxlag=1, autolag=None).statistic == pytest.approx(-3.18, abs=0.005)
    assert engle_granger(year["GLD"], year["GDX"], trend="n", maxlag=1, autolag=None).hedge_ratio == pytest.approx(1.6310, abs=5e-5)
    residual = engle_granger(year["GLD"], year["GDX"], maxlag=1, autolag=None).residual
    steps = np.diff(residual)
    design = np.column_stack([residual[1:-1], steps[:-1], np.ones(250)])
    assert np.linalg.lstsq(design, steps[1:], rcond=None)[0][0] == pytest.approx(-0.070038, abs=5e-7)
    ratio = engle_granger(data["GLD"], data["GDX"], trend="n", maxlag=1, autolag=None).hedge_ratio
    assert half_life((data["GLD"] - ratio * data["GDX"]).to_numpy()) == pytest.approx(-np.log(2) / np.log1p(-np.log(2) / 7.839), rel=1e-4)


def test_australia_canada_and_oil():
    """E. Chan, Algorithmic Trading (2013), examples 2.6 to 2.8: EWA, EWC and IGE. The CADF t, both Johansen tables with their critical values, the
    eigenvalues and the half-life of 23 days are the book's; the hedge ratio 0.9624 and the fourth decimal of t are recomputed.
    """
    data = classic("ewa_ewc_ige_daily_2006_2012.csv")
    found = engle_granger(data["EWC"], data["EWA"], maxlag=1, autolag=None)
    assert found.hedge_ratio == pytest.approx(0.9624, abs=5e-5)
    assert found.statistic == pytest.approx(-3.6435, abs=5e-4)
    two = johansen(data[["EWA", "EWC"]], 1, "c").table
    assert two["trace"].tolist() == pytest.approx([19.983, 3.983], abs=5e-4)
    assert two["max_eigen"].tolist() == pytest.approx([16.000, 3.983], abs=6e-4)
    three = johansen(data[["EWA", "EWC", "IGE"]], 1, "c").table
    assert three["trace"].tolist() == pytest.approx([34.429, 17.532, 4.471], abs=5e-4)
    assert three["max_eigen"].tolist() == pytest.approx([16.897, 13.061, 4.471], abs=5e-4)
    assert three["eigenvalue"].tolist() == pytest.approx([0.0112, 0.0087, 0.0030], abs=5e-5)
    assert two["trace_99"].tolist() == pytest.approx([19.935, 6.635], abs=5e-4)
    assert two["max_eigen_95"].tolist() == pytest.approx([14.264, 3.841], abs=6e-4)
    assert three["trace_95"].tolist() == pytest.approx([29.796, 15.494, 3.841], abs=6e-4)
    portfolio = data[["EWA", "EWC", "IGE"]] @ johansen(data[["EWA", "EWC", "IGE"]], 1, "c").vectors["relation 1"].to_numpy()
    assert -np.log(2) / reversion_slope(portfolio.to_numpy()) == pytest.approx(23.0, abs=0.5)
