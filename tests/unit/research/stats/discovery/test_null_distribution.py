"""Finite-sample p-values: against MacKinnon's printed critical values, against fresh simulations, between and beyond the lengths of the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.tsa.adfvalues import mackinnoncrit, mackinnonp

from hftkit.kernels.stats.adf import LAG_AIC, LAG_BIC, LAG_FIXED
from hftkit.kernels.stats.mackinnon import TRENDS
from research.stats.cointegration import engle_granger
from research.stats.discovery.null_distribution import (
    LEVELS,
    RULES,
    UNIT_ROOT_TABLE,
    column,
    null_distribution,
    read_table,
    simulate,
    unit_root_null,
)
from research.stats.discovery.null_table import (
    LENGTHS,
    SEED,
    TABULATED,
    UNIT_ROOT_LENGTHS,
    UNIT_ROOT_TABULATED,
    draws_of,
    make_row,
    unit_root_draws_of,
)
from research.stats.discovery.pair_scan import scan_pairs
from research.stats.unit_root import dickey_fuller
from research.stats.validation import default_maxlag


def holds(p_values: np.ndarray, levels: tuple[float, ...] = (0.01, 0.05, 0.1, 0.5)) -> list[str]:
    """Levels below which there are more or fewer p-values than chance allows (exact binomial, 99.9 %), with the shares."""
    known = p_values[~np.isnan(p_values)]
    counts = {level: int((known <= level).sum()) for level in levels}
    return [f"{level}: {n / known.size:.4f}" for level, n in counts.items() if stats.binomtest(n, known.size, level).pvalue < 0.001]


def asymptotic(statistics: np.ndarray, trend: str) -> np.ndarray:
    return np.array([mackinnonp(value, regression=trend, N=2) for value in statistics])


@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("trend", ["c", "ct", "ctt"])
def test_the_simulation_meets_mackinnons_printed_critical_values(trend, n):
    """No lag, as in his tables (2010): the share of 20,000 draws below his values at 1, 5, 10 % is that, within Monte Carlo error."""
    statistics = simulate(n, TRENDS.index(trend), 0, LAG_FIXED, 20_000, seed=5)
    for level, value in zip((0.01, 0.05, 0.1), mackinnoncrit(N=2, regression=trend, nobs=n - 1), strict=True):
        below = int((statistics < value).sum())
        assert stats.binomtest(below, statistics.size, level).pvalue > 0.001, (trend, n, level, below / statistics.size)


@pytest.mark.parametrize(("n", "trend", "rule"), [(30, "c", "aic"), (37, "c", "aic"), (60, "c", "bic"), (150, "ct", "aic")])
def test_p_values_of_fresh_walks_are_what_they_say(n, trend, rule):
    """In the table and between its lengths; asymptotic p-values of the same walks are far off below 100 rows."""
    statistics = simulate(n, TRENDS.index(trend), default_maxlag(n), RULES[rule], 10_000, seed=6)
    null = null_distribution(n, TRENDS.index(trend), default_maxlag(n), RULES[rule], True)
    assert null.origin == "finite"
    asked = asymptotic(statistics, trend)
    assert not holds(null.p_values(asked))
    if n < 100:
        assert holds(asked, (0.01, 0.05))


def test_a_largest_lag_of_ones_own_is_simulated():
    for n, lags, rule in ((60, 2, LAG_AIC), (900, 1, LAG_FIXED)):  # the second by the way of 500 rows
        null = null_distribution(n, 1, lags, rule, False)
        assert null.origin == "finite, simulated: 20,000 draws, seed 2026"
        assert not holds(null.p_values(asymptotic(simulate(n, 1, lags, rule, 10_000, seed=7), "c")), (0.05, 0.1, 0.5))


def test_long_samples_go_over_into_mackinnons_distribution():
    asked = np.array([1e-9, 1e-6, 0.001, 0.05, 0.5, 0.9])
    far = null_distribution(10_000_000, 1, default_maxlag(10_000_000), LAG_AIC, True).p_values(asked)
    np.testing.assert_allclose(far, asked, rtol=0.02)


@pytest.mark.parametrize("n", [21, 33, 100, 3000])
def test_a_lower_statistic_never_has_a_higher_p_value(n):
    null = null_distribution(n, 1, default_maxlag(n), LAG_BIC, True)
    p_values = null.p_values(asymptotic(np.linspace(-25, 3, 400), "c"))
    assert (np.diff(p_values) >= 0).all()
    assert (p_values >= 0).all()
    assert p_values[-1] > 0.99
    assert np.isnan(null.p_values(np.array([np.nan]))).all()


def test_the_table_is_complete_and_made_by_its_script():
    rows = {(row["trend"], row["autolag"], int(row["n"])): row for row in read_table()}
    assert set(rows) == {(*key, n) for key in TABULATED for n in LENGTHS}
    for (trend, rule, n), row in rows.items():
        assert int(row["maxlag"]) == default_maxlag(n)
        known = [float(row[column(level)]) for level in LEVELS if row[column(level)]]
        assert known == sorted(known)
        assert int(row["draws"]) <= draws_of(n, trend, rule)
        assert row["seed"] == str(SEED)
    assert make_row(40, "ct", "aic", draws_of(40, "ct", "aic")) == rows[("ct", "aic", 40)]  # the same bytes again


def test_the_table_of_one_series_is_complete_and_made_by_its_script():
    rows = {(row["trend"], row["autolag"], int(row["n"])): row for row in read_table(UNIT_ROOT_TABLE)}
    assert set(rows) == {(*key, n) for key in UNIT_ROOT_TABULATED for n in UNIT_ROOT_LENGTHS}
    for (_, _, n), row in rows.items():
        known = [float(row[column(level)]) for level in LEVELS if row[column(level)]]
        assert known == sorted(known)
        assert (int(row["maxlag"]), row["seed"]) == (default_maxlag(n), str(SEED))
    assert make_row(28, "c", "aic", unit_root_draws_of(28), unit_root=True) == rows[("c", "aic", 28)]


@pytest.mark.parametrize("n", [28, 55, 100])
def test_the_unit_root_test_keeps_its_size(n):
    """Of 2,000 walks a 5 % test rejects 5 %, +- 1.5 % (three deviations), by the finite p-value; MacKinnon's rejects more often below 100 rows."""
    rng = np.random.default_rng(n)
    found = [dickey_fuller(rng.normal(size=n).cumsum()) for _ in range(2000)]
    assert np.mean([one.pvalue_deciding < 0.05 for one in found]) == pytest.approx(0.05, abs=0.015)
    if n < 60:
        assert np.mean([one.pvalue < 0.05 for one in found]) > 0.065


def test_a_unit_root_test_without_a_table_says_so():
    walk = np.random.default_rng(3).normal(size=100).cumsum()
    for options in ({"trend": "ct"}, {"autolag": "bic"}, {"maxlag": 3}):
        assert dickey_fuller(walk, **options).pvalue_source == "asymptotic"
    assert dickey_fuller(walk[:27]).pvalue_source == "asymptotic"
    assert dickey_fuller(walk).pvalue_source == "finite"
    assert unit_root_null(10_000_000, 1, LAG_AIC).p_values(np.array([0.01, 0.05, 0.5])) == pytest.approx([0.01, 0.05, 0.5], rel=0.02)


def test_engle_granger_knows_both_p_values():
    rng = np.random.default_rng(1)
    y, x = np.cumsum(rng.normal(size=(2, 40)), axis=1)
    one = engle_granger(y, x)
    scan = scan_pairs(pd.DataFrame({"Y": y, "X": x}), log=False, p_values="finite", unit_root_level=None).set_index("lead")
    assert scan.loc["Y", ["pvalue", "pvalue_asymptotic"]].tolist() == pytest.approx([one.pvalue_finite, one.pvalue], rel=1e-9)
    assert one.pvalue_finite > one.pvalue
    text = one.report()
    assert f"finite p-value     {one.pvalue_finite:.6g}" in text
    wide = engle_granger(y, np.column_stack([x, rng.normal(size=40).cumsum()]))
    assert np.isnan(wide.pvalue_finite)
    assert "(asymptotic)" in wide.report()
    assert "finite" not in wide.report()
    assert (wide.pvalue_deciding, wide.pvalue_source) == (wide.pvalue, "asymptotic")
    assert (one.pvalue_deciding, one.pvalue_source) == (one.pvalue_finite, "finite")


def test_without_critical_values_the_p_value_decides():
    """Trend "n" has none for two series. A statistic of -28 is rejected everywhere, a walk nowhere; nothing contradicts itself."""
    rng = np.random.default_rng(2)
    x = np.cumsum(rng.normal(size=800))
    for y, rejected in ((0.7 * x + rng.normal(size=800), "1 %, 5 %, 10 %"), (np.cumsum(rng.normal(size=800)), "none of these levels")):
        found = engle_granger(y, x, trend="n", maxlag=0, autolag=None)
        text = found.report()
        assert not found.critical_values
        assert np.isnan(tuple(found)[2]).all()  # as `coint` gives them
        assert f"null rejected at   {rejected}" in text
        assert "nan" not in text
