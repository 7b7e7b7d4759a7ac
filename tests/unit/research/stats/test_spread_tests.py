"""Spread tests against the package arch, published results on classic data, and processes whose answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.api import OLS, add_constant
from statsmodels.stats.diagnostic import breaks_cusumolsresid, recursive_olsresiduals
from statsmodels.tsa.tsatools import lagmat

from hftkit.errors import DataError
from research.stats.cointegration import engle_granger
from research.stats.phillips_ouliaris import phillips_ouliaris
from research.stats.spread.hedge import dols_hedge_ratio, ols_hedge_ratio, tls_hedge_ratio
from research.stats.spread_tests import (
    _crossing_probability,
    cusum,
    cusum_recursive,
    cusum_recursive_path,
    drift_test,
    gregory_hansen,
    hurst_exponent,
    recursive_residuals,
    rolling_stability,
    variance_ratio,
    zero_crossings,
)
from tests.unit.research.shared_data import classic


def pair(seed: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=n)) * 0.01 + 4.0
    spread = np.zeros(n)
    for t, noise in enumerate(rng.normal(size=n - 1)):
        spread[t + 1] = 0.9 * spread[t] + 0.005 * noise
    return 0.7 * x + spread + 1.0, x


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
    assert found.statistic < found.critical_values["1 %"]
    assert found.rejected_at == ("1 %", "5 %", "10 %")
    assert abs(found.details["break_row"] - 250) <= 3
    rng = np.random.default_rng(9)
    rejected = sum(
        gregory_hansen(*np.cumsum(rng.normal(size=(2, 120)), axis=1), model="C", lag=0).statistic < -4.61 for _ in range(60)
    )  # 5 % of independent walks
    assert rejected <= 9


def broken_pair(n: int, at: int) -> tuple[pd.Series, pd.Series]:
    """The fault's case: a pair of minutes whose level rises by eight hundredths at row `at`."""
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.normal(size=n)) * 1e-3
    s = np.zeros(n)
    for t, noise in enumerate(rng.normal(size=n - 1)):
        s[t + 1] = 0.9 * s[t] + noise * 1e-3
    index = pd.date_range("2025-01-01", periods=n, freq="1min", tz="UTC")
    return pd.Series(1 + x + s + np.where(np.arange(n) >= at, 0.08, 0), index), pd.Series(x, index)


def test_the_row_of_a_break_is_a_row_of_the_data_and_has_its_time():
    y, x = broken_pair(1500, 1000)
    whole, few = (gregory_hansen(y, x, lag=1, breaks=breaks) for breaks in (None, 40))
    assert whole.statistic == few.statistic  # the second pass finds the very date
    assert whole.details["break_row"] == few.details["break_row"]
    assert abs(int(few.details["break_row"]) - 1000) <= 2
    assert few.details["break_time"] == str(y.index[few.details["break_row"]])
    assert whole.details["searched"] == "every row"
    assert few.details["searched"].startswith("one row in 26, then every row from ")
    assert f"break at row {few.details['break_row']} ({few.details['break_time']})" in few.report()
    farthest = cusum(y - x)
    assert farthest.details["farthest_time"] == str(y.index[farthest.details["farthest_row"]])
    with pytest.raises(DataError, match="leaves nothing to search"):
        gregory_hansen(y, x, trim=0.6)


def test_hurst_of_noise_round_a_trend():
    """0.01 t + noise: about its mean change it "reverts", with the drift kept it persists, and the test of drift says which to believe."""
    rng = np.random.default_rng(0)
    noise = 0.05 * rng.normal(size=20_000)
    trend = 0.01 * np.arange(noise.size) + noise
    lags = np.unique(np.geomspace(2, 100, 20).astype(int))
    sizes = [np.sqrt(np.mean((trend[k:] - trend[:-k]) ** 2)) for k in lags]
    assert hurst_exponent(trend) == pytest.approx(np.polyfit(np.log(lags), np.log(sizes), 1)[0], rel=1e-12)
    assert hurst_exponent(trend) == pytest.approx(0.72, abs=0.005)
    assert hurst_exponent(trend, drift="remove") == pytest.approx(0.0, abs=0.02)
    assert drift_test(trend).pvalue < 1e-6
    assert drift_test(noise).pvalue > 0.5
    rejected = sum(drift_test(np.cumsum(rng.normal(size=400))).pvalue < 0.05 for _ in range(200))
    assert rejected <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05 * 0.95)
    with pytest.raises(DataError, match="no way 'forget'"):
        hurst_exponent(noise, drift="forget")


def test_a_result_prints_its_hypotheses():
    text = str(variance_ratio(np.random.default_rng(0).normal(size=500)))
    for word in ("null hypothesis", "alternative", "p-value", "null rejected at   1 %, 5 %, 10 %", "details"):
        assert word in text
    y, x = pair(1)
    assert "none known, critical values only" in gregory_hansen(y, x, lag=0, breaks=20).report()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("lags", [1, 4])
def test_cusum_equals_statsmodels(seed, lags):
    spread = engle_granger(*pair(seed, 150 + 60 * seed)).residual
    ours = cusum(spread, lags)
    fit = OLS(spread[lags:], add_constant(lagmat(spread, lags, trim="both"))).fit()
    statistic, pvalue, critical = breaks_cusumolsresid(fit.resid, ddof=lags + 1)
    assert ours.statistic == pytest.approx(statistic, abs=1e-10)
    assert ours.pvalue == pytest.approx(pvalue, abs=1e-10)
    assert [value for _, value in critical] == list(ours.critical_values.values())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("lags", [1, 4])
def test_recursive_cusum_equals_statsmodels(seed, lags):
    """Residuals, path and its corridor as `recursive_olsresiduals` has them: leaving the 5 % lines is a statistic above 0.948."""
    spread = engle_granger(*pair(seed, 150 + 60 * seed)).residual
    target, design = spread[lags:], add_constant(lagmat(spread, lags, trim="both"))
    fit = OLS(target, design).fit()
    *_, scaled, path, corridor = recursive_olsresiduals(fit)
    np.testing.assert_allclose(recursive_residuals(target, design), scaled[lags + 1 :], atol=1e-10)
    ours = cusum_recursive_path(spread, lags)
    np.testing.assert_allclose(ours, path[1:] - path[0], atol=1e-9)  # its first element is the rounding of an exact fit
    m = ours.size
    lines = np.append(corridor[1][1:], corridor[1][-1] + 2 * 0.948 / np.sqrt(m))  # theirs begin one row earlier
    found = cusum_recursive(spread, lags)
    assert (found.statistic > 0.948) == (np.abs(ours) > lines).any()
    assert found.statistic == pytest.approx((np.abs(ours) / lines).max() * 0.948)
    assert found.details["farthest_row"] == lags + design.shape[1] + int((np.abs(ours) / lines).argmax())


def test_the_probabilities_of_the_recursive_cusum_are_those_of_brownian_motion():
    """Brown, Durbin and Evans print 0.850, 0.948 and 1.143 for 10, 5 and 1 %; between them a simulation; a walk of n steps
    passes a line 0.583 / sqrt(n) farther out as often as Brownian motion the line itself (Siegmund 1985)."""
    for level, a in ((0.10, 0.850), (0.05, 0.948), (0.01, 1.143)):
        assert _crossing_probability(a) == pytest.approx(level, abs=2e-4)
    rng = np.random.default_rng(0)
    walks = np.cumsum(rng.normal(size=(4000, 1000)), axis=1) / np.sqrt(1000)
    farthest = (np.abs(walks) / (1 + 2 * np.arange(1, 1001) / 1000)).max(axis=1)
    for a in (0.3, 0.5, 0.7, 1.0):
        assert (farthest > a).mean() == pytest.approx(_crossing_probability(a + 0.583 / np.sqrt(1000)), abs=0.02)
    grid = [_crossing_probability(a) for a in np.linspace(0.0, 2.0, 81)]
    assert grid[0] == 1.0
    assert all(later < before for before, later in itertools.pairwise(grid))


def test_cusums_keep_their_level_and_find_a_break():
    """Size: stable spreads are rejected at 5 % no more often than that (200 of them, 3-sigma binomial bound). Power: a shifted level is found, an
    early one by the recursive residuals.
    """
    rng = np.random.default_rng(5)
    rejected, found = dict.fromkeys((cusum, cusum_recursive), 0), dict.fromkeys((cusum, cusum_recursive), 0)
    for _ in range(200):
        spread = np.zeros(500)
        for t, noise in enumerate(rng.normal(size=499)):
            spread[t + 1] = 0.7 * spread[t] + noise
        for test, shift in ((cusum, 200), (cusum_recursive, 100)):
            rejected[test] += test(spread).pvalue < 0.05
            found[test] += test(spread + 3.0 * (np.arange(500) >= shift)).pvalue < 0.05
    assert all(count <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05 * 0.95) for count in rejected.values()), rejected
    assert found[cusum] >= 150
    assert found[cusum_recursive] >= 120
    for test in (cusum, cusum_recursive):
        with pytest.raises(DataError, match="constant"):
            test(np.full(200, 0.1))
        with pytest.raises(DataError, match="follows its own past"):
            test(np.arange(200.0))
        with pytest.raises(DataError, match="too few"):
            test(np.arange(20.0))


def test_a_spread_that_stands_still_at_first_is_predicted_from_where_it_moves():
    spread = np.concatenate([np.full(30, 0.5), np.random.default_rng(5).normal(size=200)])
    target, design = spread[1:], np.column_stack([np.ones(229), spread[:-1]])
    *_, scaled, _, _ = recursive_olsresiduals(OLS(target, design).fit(), skip=31)
    np.testing.assert_allclose(recursive_residuals(target, design), scaled[31:], atol=1e-10)
    assert cusum_recursive_path(spread).size == 198


def test_hedge_ratios_of_a_known_pair():
    y, x = pair(2, 4000)
    lead, hedge = np.exp(y), np.exp(x)
    for estimate in (ols_hedge_ratio, tls_hedge_ratio, dols_hedge_ratio):
        assert estimate(lead, hedge) == pytest.approx(0.7, abs=0.03)
    assert tls_hedge_ratio(hedge, lead) == pytest.approx(1.0 / tls_hedge_ratio(lead, hedge), rel=1e-9)


def test_hedge_ratios_of_levels():
    """`log=False` is the same arithmetic on the prices as they are."""
    y, x = pair(2, 800)
    for estimate in (ols_hedge_ratio, tls_hedge_ratio, dols_hedge_ratio):
        assert estimate(y, x, log=False) == pytest.approx(estimate(np.exp(y), np.exp(x)), rel=1e-9)
    below = y - 10.0  # a level may be negative, a price in logs may not
    assert ols_hedge_ratio(below, x, log=False) == pytest.approx(ols_hedge_ratio(y, x, log=False), rel=1e-9)
    with pytest.raises(DataError, match="finite and positive"):
        ols_hedge_ratio(below, x)


def test_rolling_stability(prices):
    table = rolling_stability(prices, "A0USDT", "B0USDT", window=1000, step=500)
    assert len(table) == 7
    last = prices.iloc[-1000:]
    expected = engle_granger(np.log(last["A0USDT"]), np.log(last["B0USDT"]))
    assert table["hedge_ratio"].iloc[-1] == expected.hedge_ratio
    assert table["pvalue"].iloc[-1] == expected.pvalue_finite
    assert table["pvalue_asymptotic"].iloc[-1] == expected.pvalue
    assert set(table["p_values"]) == {"finite"}
    levels = rolling_stability(prices, "A0USDT", "B0USDT", window=1000, step=500, log=False)
    assert levels["pvalue"].iloc[-1] == engle_granger(last["A0USDT"], last["B0USDT"]).pvalue_finite
    with pytest.raises(DataError, match="hold no window"):
        rolling_stability(prices, "A0USDT", "B0USDT", window=10**6, step=1)
    with pytest.raises(DataError, match="windows of 100 rows every 0 rows"):
        rolling_stability(prices, "A0USDT", "B0USDT", window=100, step=0)


def test_crude_oil_is_cointegrated():
    """Logs of monthly WTI and Brent, the example of the package arch; more published figures in tests/golden/test_classic_series.py."""
    logs = np.log(classic("crude_wti_brent_monthly.csv")[["WTI", "Brent"]])
    assert engle_granger(logs["WTI"], logs["Brent"]).pvalue < 0.01
    assert phillips_ouliaris(logs["WTI"], logs["Brent"]).pvalue < 0.01
