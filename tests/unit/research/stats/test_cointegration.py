"""One pair and whole universes against statsmodels' coint; false discoveries on random walks; refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.api import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.tsa.stattools import coint
from statsmodels.tsa.tsatools import add_trend

from hftkit.errors import DataError
from research.stats.cointegration import engle_granger
from research.stats.discovery import prefilter
from research.stats.discovery.known_truth import known_pair
from research.stats.discovery.pair_scan import discoveries, scan_pairs
from research.stats.unit_root import dickey_fuller
from research.stats.validation import default_maxlag
from tests.statsmodels_reference import adfuller


def random_pair(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Log prices; even seeds are cointegrated."""
    rng = np.random.default_rng(seed)
    x = 5.0 + np.cumsum(rng.normal(size=n)) * 0.01
    noise = rng.normal(size=n) * 0.01
    if seed % 2:
        return 2.0 + np.cumsum(noise), x
    u = np.zeros(n)
    for t in range(1, n):
        u[t] = 0.9 * u[t - 1] + noise[t]
    return 1.0 + 0.7 * x + u, x


@pytest.mark.parametrize("autolag", ["aic", "bic", "t-stat", None])
@pytest.mark.parametrize("trend", ["n", "c", "ct", "ctt"])
def test_equals_statsmodels_coint(trend, autolag):
    for seed in range(8):
        y, x = random_pair(seed, 60 + 77 * seed)
        maxlag = None if seed < 5 else 3
        ours = engle_granger(y, x, trend=trend, maxlag=maxlag, autolag=autolag)
        statistic, pvalue, critical = coint(y, x, trend=trend, maxlag=maxlag, autolag=autolag)
        assert ours.verdict == "ok"
        assert ours.statistic == pytest.approx(statistic, abs=1e-8)
        assert ours.pvalue == pytest.approx(pvalue, abs=1e-8)
        np.testing.assert_allclose(tuple(ours)[2], critical, rtol=1e-12)
        assert tuple(ours)[:2] == (ours.statistic, ours.pvalue)


@pytest.mark.parametrize("trend", ["n", "c", "ct", "ctt"])
def test_regression_and_lag_equal_statsmodels(trend):
    y, x = random_pair(4, 500)
    design = x[:, None] if trend == "n" else add_trend(x[:, None], trend=trend)
    fit = OLS(y, design).fit()
    ours = engle_granger(y, x, trend=trend)
    assert ours.hedge_ratio == pytest.approx(fit.params[0], rel=1e-9)
    assert ours.intercept == pytest.approx(0.0 if trend == "n" else fit.params[1], rel=1e-8)
    np.testing.assert_allclose(ours.residual, fit.resid, atol=1e-10)
    _, _, lag, nobs, *_ = adfuller(fit.resid, regression="n")
    assert (ours.lag, ours.nobs) == (lag, nobs)


def test_several_regressors_equal_statsmodels():
    rng = np.random.default_rng(9)
    x = np.cumsum(rng.normal(size=(400, 3)), axis=0) + 50
    y = x @ [0.5, -1.0, 2.0] + rng.normal(size=400)
    ours, theirs = engle_granger(y, x), coint(y, x)
    assert ours.statistic == pytest.approx(theirs[0], abs=1e-8)
    assert ours.pvalue == pytest.approx(theirs[1], abs=1e-8)
    np.testing.assert_allclose(tuple(ours)[2], theirs[2], rtol=1e-12)


@pytest.mark.parametrize("autolag", ["aic", None])
def test_scan_equals_one_test_a_pair_and_statsmodels(autolag):
    prices = pd.DataFrame({f"S{i}": np.exp(series) for i, series in enumerate([*random_pair(2, 400), *random_pair(3, 400)])})
    scan = scan_pairs(prices, autolag=autolag, maxlag=6, unit_root_level=None)
    assert len(scan) == 12
    for row in scan.itertuples():
        y, x = np.log(prices[row.lead]), np.log(prices[row.hedge])
        expected = coint(y, x, autolag=autolag, maxlag=6)
        one = engle_granger(y, x, autolag=autolag, maxlag=6)
        assert row.statistic == pytest.approx(expected[0], abs=1e-8)
        assert row.pvalue_asymptotic == pytest.approx(expected[1], abs=1e-8)
        assert (row.lag, row.nobs) == (one.lag, one.nobs)
        assert row.hedge_ratio == pytest.approx(one.hedge_ratio, rel=1e-10)
        assert row.half_life == pytest.approx(one.half_life, rel=1e-8)
    assert set(discoveries(scan).loc[0, ["lead", "hedge"]]) == {"S0", "S1"}


def test_scan_does_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(3)
    prices = pd.DataFrame(np.exp(np.cumsum(rng.normal(size=(300, 20)), axis=0) * 0.01))
    pd.testing.assert_frame_equal(scan_pairs(prices, threads=1), scan_pairs(prices, threads=3))


def test_random_walks_yield_no_more_discoveries_than_stated():
    """Under the global null the false-discovery rate is the chance of any discovery: 60 universes, at 20 %, binomial 3-sigma bound."""
    rng = np.random.default_rng(2024)
    universes, with_discovery = 60, 0
    for _ in range(universes):
        prices = pd.DataFrame(np.exp(np.cumsum(rng.normal(size=(500, 8)), axis=0) * 0.01))
        with_discovery += len(discoveries(scan_pairs(prices, autolag="bic", threads=1), fdr=0.2)) > 0
    assert with_discovery <= universes * 0.2 + 3 * np.sqrt(universes * 0.2 * 0.8)


def test_discoveries_keep_one_direction_of_a_pair():
    y, x = random_pair(2, 600)
    found = discoveries(scan_pairs(pd.DataFrame({"A": np.exp(y), "B": np.exp(x)})), fdr=0.5)
    assert len(found) == 1


def test_collinear_series_answer_as_statsmodels_does():
    _, x = random_pair(1, 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = coint(2 * x, x)
    ours = engle_granger(2 * x, x)
    assert (ours.statistic, ours.pvalue) == (expected[0], expected[1]) == (-np.inf, 0.0)
    assert ours.verdict == "collinear"
    scan = scan_pairs(pd.DataFrame({"A": np.exp(2 * x), "B": np.exp(x)}))
    assert (scan["verdict"] == "collinear").all()
    assert discoveries(scan).empty


@pytest.mark.parametrize("source", ["auto", "finite", "bootstrap", "asymptotic"])
def test_what_cannot_be_tested_is_no_test(source):
    """Walks with near copies: the collinear pairs change neither a q-value nor a count; without them the others are judged the same."""
    rng = np.random.default_rng(5)
    walks = np.exp(np.cumsum(rng.normal(size=(200, 4)), axis=0) * 0.01)
    prices = pd.DataFrame(walks, columns=list("ABCD"))
    prices["COPY"] = prices["A"] * np.exp(1e-6 * rng.normal(size=200))
    scan = scan_pairs(prices, p_values=source, unit_root_level=None, draws=99)
    copies = scan["verdict"] == "collinear"
    assert copies.sum() == 2
    assert scan.loc[copies, ["pvalue", "pvalue_asymptotic", "q_bh", "q_by", "q_bonferroni"]].isna().all(axis=None)
    assert (scan.loc[copies, "method"] == "").all()
    made = prefilter.tests_made(scan)
    assert (made["ordered_pairs"], made["tested"], made["collinear"]) == (20, 18, 2)
    assert sum(prefilter.methods_used(scan).values()) == 18
    tested = scan[~copies]
    np.testing.assert_allclose(tested["q_bonferroni"], np.minimum(18 * tested["pvalue"], 1))
    np.testing.assert_allclose(tested["q_bh"], multipletests(tested["pvalue"], method="fdr_bh")[1])


def test_where_p_values_come_from_must_be_known():
    prices = pd.DataFrame({"A": np.exp(random_pair(1, 50)[0]), "B": np.exp(random_pair(1, 50)[1])})
    for wrong in ({"p_values": "exact"}, {"draws": 0}, {"seed": -1}):
        with pytest.raises(DataError, match=r"not offered|from 0 up"):
            scan_pairs(prices, **wrong)


def test_constant_series_are_reported_and_not_counted():
    y, x = random_pair(2, 200)
    scan = scan_pairs(pd.DataFrame({"A": np.exp(y), "B": np.exp(x), "FLAT": np.full(200, 100.1)}), unit_root_level=None)
    flat = scan[(scan["lead"] == "FLAT") | (scan["hedge"] == "FLAT")]
    assert (flat["verdict"] == "constant series").all()
    assert flat[["pvalue", "q_bh"]].isna().all(axis=None)
    tested = scan[scan["verdict"] == "ok"]
    np.testing.assert_allclose(tested["q_bonferroni"], np.minimum(2 * tested["pvalue"], 1))
    with pytest.raises(DataError, match="constant"):
        engle_granger(np.full(50, 3.3), x[:50])


def test_a_stationary_series_is_not_called_cointegrated_with_everything():
    rng = np.random.default_rng(12)
    walks = np.cumsum(rng.normal(size=(800, 3)), axis=0) * 0.01
    noise = rng.normal(size=800) * 0.01
    prices = pd.DataFrame(np.exp(np.column_stack([walks, noise])), columns=["A", "B", "C", "NOISE"])
    assert "NOISE" in set(discoveries(scan_pairs(prices, unit_root_level=None))["lead"])
    scan = scan_pairs(prices)
    with_noise = (scan["lead"] == "NOISE") | (scan["hedge"] == "NOISE")
    assert (scan.loc[with_noise, "verdict"] == "stationary series").all()
    assert (scan.loc[~with_noise, "verdict"] == "ok").all()
    assert discoveries(scan).empty


def test_true_pairs_are_not_left_out_by_the_number_of_symbols():
    """50 true pairs, 100 symbols with unit roots: a level of 1 % for each symbol leaves out some of them, a rate of 1 % over all hardly any."""
    pairs = [known_pair(seed, n=500) for seed in range(50)]
    prices = pd.concat([pair.rename(columns={"lead": f"A{i}", "hedge": f"B{i}"}) for i, pair in enumerate(pairs)], axis=1)
    each = {name for name in prices if dickey_fuller(np.log(prices[name])).pvalue_deciding < 0.01}
    scan = scan_pairs(prices, p_values="finite", unit_root_rule="fdr")
    gone = set(prices) - set(scan.loc[scan["verdict"] != "stationary series", "lead"])
    assert len({name[1:] for name in each}) >= 2
    assert gone < each
    assert len({name[1:] for name in gone}) <= 1


def test_smooth_residuals_take_the_careful_road_with_the_same_answer():
    t = np.linspace(0, 20, 300)
    prices = pd.DataFrame({"A": np.exp(np.sin(t)), "B": np.exp(np.cos(1.7 * t) + 1e-9 * np.random.default_rng(0).normal(size=300))})
    scan = scan_pairs(prices, maxlag=4, autolag=None, unit_root_level=None)
    assert (scan["verdict"] == "ok").all()
    for row in scan.itertuples():
        one = engle_granger(np.log(prices[row.lead]), np.log(prices[row.hedge]), maxlag=4, autolag=None)
        assert row.statistic == pytest.approx(one.statistic, rel=1e-4)


def test_default_maxlag_is_that_of_statsmodels():
    assert [default_maxlag(n) for n in (20, 100, 2000, 22_000)] == [9, 12, 26, 47]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: engle_granger([1.0, 2.0, np.nan] * 10, np.arange(30.0)), "not finite, the first at row 2"),
        (lambda: engle_granger(np.arange(30.0), np.arange(29.0)), "y has 30 observations, x has 29"),
        (lambda: engle_granger(np.arange(9.0), np.arange(9.0) ** 2, maxlag=4), "too few for 4 lags"),
        (lambda: engle_granger(np.arange(30.0), np.arange(30.0), trend="x"), "not offered"),
        (lambda: scan_pairs(pd.DataFrame({"A": [1.0, 2.0]})), "make no pair"),
        (lambda: scan_pairs(pd.DataFrame({"A": [1.0, 0.0, 2.0] * 9, "B": [1.0, 2.0, 3.0] * 9})), "A: price 0.0 at row 1"),
        (lambda: scan_pairs(pd.DataFrame({"A": [1.0, 2.0], "B": [1.0, 2.0]}, index=[2, 1])), "time order"),
    ],
)
def test_refusals_say_what_and_where(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_report_states_the_null_hypothesis():
    y, x = random_pair(2, 300)
    text = engle_granger(y, x).report()
    assert "null hypothesis    no cointegration" in text
    assert "null rejected at   1 %, 5 %, 10 %" in text


def test_importing_does_not_import_vectorbt():
    import subprocess
    import sys

    code = "import sys, research.stats.cointegration; sys.exit(any(name in sys.modules for name in ('vectorbt', 'statsmodels', 'plotly')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_scan_leaves_out_whom_the_dickey_fuller_test_of_this_length_rejects() -> None:
    """By the finite p-value where it is known: the asymptotic one would leave out more of these walks than it may."""
    walks = np.cumsum(np.random.default_rng(11).normal(size=(60, 120)), axis=0)
    prices = pd.DataFrame(np.exp(0.01 * walks), columns=[f"W{i}" for i in range(120)])
    tests = {name: dickey_fuller(np.log(prices[name])) for name in prices}
    finite = {name for name, test in tests.items() if test.pvalue_finite < 0.1}
    asymptotic = {name for name, test in tests.items() if test.pvalue < 0.1}
    scan = scan_pairs(prices, unit_root_level=0.1, p_values="asymptotic")
    stationary = scan[scan["verdict"] == "stationary series"]
    gone = set(prices) - set(scan.loc[scan["verdict"] == "ok", "lead"])
    assert gone == finite < asymptotic
    assert len(stationary) == len(scan) - (120 - len(gone)) * (119 - len(gone))


def test_the_number_of_symbols_is_counted_where_that_is_asked_for() -> None:
    """By the finite p-value where it is known, and counted over the symbols: of 100 walks none goes, of 20 that revert all but a few."""
    rng = np.random.default_rng(11)
    walks, reverting = np.cumsum(rng.normal(size=(60, 100)), axis=0), rng.normal(size=(60, 20))
    prices = pd.DataFrame(np.exp(0.01 * np.column_stack([walks, reverting])), columns=[f"{'WR'[i >= 100]}{i}" for i in range(120)])
    tests = {name: dickey_fuller(np.log(prices[name])) for name in prices}
    by_rank = sorted(tests, key=lambda name: tests[name].pvalue_finite)
    last = max(rank for rank, name in enumerate(by_rank, 1) if tests[name].pvalue_finite * 120 / rank < 0.1)  # Benjamini and Hochberg, step up
    finite = set(by_rank[:last])
    assert len([name for name in finite if name[0] == "R"]) > 15
    asymptotic = {name for name, test in tests.items() if test.pvalue < 0.1}
    scan = scan_pairs(prices, unit_root_level=0.1, unit_root_rule="fdr", p_values="asymptotic")
    stationary = scan[scan["verdict"] == "stationary series"]
    gone = set(prices) - set(scan.loc[scan["verdict"] == "ok", "lead"])
    assert gone == finite < asymptotic
    assert len(stationary) == len(scan) - (120 - len(gone)) * (119 - len(gone))
