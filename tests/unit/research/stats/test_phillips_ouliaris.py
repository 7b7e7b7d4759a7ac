"""The four tests of Phillips and Ouliaris: against the package arch, the tables they printed, and their size under the null hypothesis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.stats import phillips_ouliaris_table as table
from research.stats.phillips_ouliaris import NAMES, all_statistics, phillips_ouliaris
from tests.unit.research.shared_data import classic
from tests.unit.research.stats.test_spread_tests import pair

# Phillips and Ouliaris (1990), tables I (Za), III (Pu) and IV (Pz), 5 %, 1 to 5 regressors: "a" no constant, "b" constant, "c" constant and trend.
# Theirs are of 10,000 draws of 500 steps, so they are off by a per cent or two.
PRINTED = {
    ("Za", "n"): (-15.6377, -21.4833, -27.8526, -33.4784, -39.7286),
    ("Za", "c"): (-20.4935, -26.0943, -32.0615, -37.1508, -41.9388),
    ("Za", "ct"): (-27.0866, -32.2231, -37.7304, -42.4593, -47.3830),
}


@pytest.mark.usefixtures("arch_without_compiling")
@pytest.mark.parametrize("seed", range(4))
def test_equals_arch(seed):
    """Statistics to 1e-7. p-values where arch's are below a tenth: above that its polynomials leave the distribution they were fitted to (see
    test_the_whole_distribution_is_right)."""
    reference = pytest.importorskip("arch.unitroot.cointegration", reason="arch is a development dependency")
    y, x = pair(seed, 150 + 50 * seed)
    x = np.column_stack([x, np.cumsum(np.random.default_rng(50 + seed).normal(size=x.size)) * 0.01])[:, : 1 + seed % 2]
    for trend in ("n", "c", "ct", "ctt"):
        for name in NAMES:
            kernel = ("bartlett", "parzen")[seed // 2]
            ours = phillips_ouliaris(y, x, trend, 3 + seed, name, kernel)
            theirs = reference.phillips_ouliaris(pd.Series(y), pd.DataFrame(x), trend, test_type=name, kernel=kernel, bandwidth=3 + seed)
            assert ours.statistic == pytest.approx(theirs.stat, rel=1e-7), (trend, name)
            if theirs.pvalue < 0.1 or name == "Zt":
                assert ours.pvalue == pytest.approx(theirs.pvalue, abs=0.02), (trend, name)


def test_the_whole_distribution_is_right():
    """Za of 600 walks of 1,000 rows on two others, without a constant: the shares below our quantiles are their probabilities, within 3 sigma.

    arch 8.0.0 gives the median a p-value of 0.43.
    """
    rng = np.random.default_rng(3)
    found = []
    for _ in range(600):
        walk = np.cumsum(rng.normal(size=(1000, 3)), axis=0)
        u = walk[:, 0] - walk[:, 1:] @ np.linalg.lstsq(walk[:, 1:], walk[:, 0], rcond=None)[0]
        found.append(1000.0 * ((u[:-1] @ u[1:]) / (u[:-1] @ u[:-1]) - 1.0))
    for p in (0.05, 0.2, 0.5, 0.8, 0.95):
        share = np.mean(found < table.quantiles("Za", "n", 2)[table.PROBABILITIES.index(p)])
        assert share == pytest.approx(p, abs=3.0 * np.sqrt(p * (1.0 - p) / 600))


@pytest.mark.parametrize("trend", table.TRENDS)
@pytest.mark.parametrize("statistic", ["Za", "Pu", "Pz"])
def test_critical_values_are_those_of_arch(trend, statistic):
    """arch's are of 11 to 25 million draws with a response surface in 1 / n: at n = 10^9 the limit, which ours meet within 3 %."""
    reference = pytest.importorskip("arch.unitroot._phillips_ouliaris", reason="arch is a development dependency")
    for k in range(1, table.MOST_REGRESSORS + 1):
        theirs = reference.phillips_ouliaris_cv(statistic, trend, k + 1, 10**9)
        probabilities = {level: level / 100 if statistic == "Za" else 1 - level / 100 for level in (1, 5, 10)}
        ours = [table.quantiles(statistic, trend, k)[table.PROBABILITIES.index(round(p, 6))] for p in probabilities.values()]
        assert ours == pytest.approx([theirs[level] for level in probabilities], rel=0.03), k


@pytest.mark.parametrize("key", PRINTED)
def test_critical_values_are_those_of_the_paper(key):
    statistic, trend = key
    ours = [table.quantiles(statistic, trend, k)[table.PROBABILITIES.index(0.05)] for k in range(1, 6)]
    assert ours == pytest.approx(PRINTED[key], rel=0.04)


def test_the_table_is_what_its_function_makes():
    """A fiftieth of the draws, another seed: each probability comes back within four standard errors."""
    small = table.simulate(draws=1000, steps=300, seed=5)
    for statistic in ("Za", "Pu", "Pz"):
        for trend, k in (("n", 1), ("c", 2), ("ct", 5)):
            whole = table.quantiles(statistic, trend, k)
            for p in (0.1, 0.5, 0.9):
                place = table.PROBABILITIES.index(p)
                width = whole[place + 1] - whole[place - 1]
                assert abs(small[statistic, trend, k][place] - whole[place]) < 0.5 * width + 0.02 * abs(whole[place]), (statistic, trend, k, p)


def test_rows_are_in_order():
    for statistic in table.STATISTICS:
        for trend in table.TRENDS:
            for k in range(1, table.MOST_REGRESSORS + 1):
                row = table.quantiles(statistic, trend, k)
                assert row.shape == (len(table.PROBABILITIES),)
                assert (np.diff(row) > 0).all()


def test_size_and_power():
    """150 pairs of independent walks of 400 rows are rejected at 5 % within a 3-sigma binomial bound of 7 %; cointegrated ones by all four."""
    rng = np.random.default_rng(1)
    rejected = dict.fromkeys(NAMES, 0)
    for _ in range(150):
        y, x = np.cumsum(rng.normal(size=(2, 400)), axis=1)
        for name in NAMES:
            rejected[name] += phillips_ouliaris(y, x, statistic=name).pvalue < 0.05
    assert all(1 <= count <= 150 * 0.07 + 3 * np.sqrt(150 * 0.07 * 0.93) for count in rejected.values()), rejected
    y, x = pair(3, 500)
    assert (all_statistics(y, x)["pvalue"] < 0.05).all()


def test_pz_does_not_mind_which_series_is_y():
    y, x = pair(5)
    assert phillips_ouliaris(y, x, statistic="Pz").statistic == pytest.approx(phillips_ouliaris(x, y, statistic="Pz").statistic, rel=1e-9)
    assert phillips_ouliaris(y, x, statistic="Pu").statistic != pytest.approx(phillips_ouliaris(x, y, statistic="Pu").statistic, rel=1e-3)


def test_the_result_is_printed_with_hypotheses_and_critical_values():
    text = str(phillips_ouliaris(*pair(5), statistic="Pu"))
    for word in ("Phillips-Ouliaris Pu", "null hypothesis    no cointegration", "alternative        cointegration", "(5 %)", "null rejected at"):
        assert word in text


def test_what_is_not_offered_is_refused():
    y, x = pair(0)
    for call, message in (
        (lambda: phillips_ouliaris(y, x, statistic="Zx"), "statistic 'Zx'"),
        (lambda: phillips_ouliaris(y, x, trend="q"), "is not offered"),
        (lambda: phillips_ouliaris(y[:15], x[:15]), "15 observations are too few"),
        (lambda: phillips_ouliaris(y, np.random.default_rng(0).normal(size=(y.size, 6)).cumsum(axis=0)), "6 regressors are more than the 5"),
        (lambda: phillips_ouliaris(2.0 * x, x), "collinear"),
    ):
        with pytest.raises(DataError, match=message):
            call()


def test_crude_oil_is_cointegrated_by_all_four():
    logs = np.log(classic("crude_wti_brent_monthly.csv")[["WTI", "Brent"]])
    found = all_statistics(logs["WTI"], logs["Brent"], bandwidth=5)
    # arch 8.0.0, bandwidth 5
    assert found["statistic"].tolist() == pytest.approx([-52.611487054270825, -5.314493436490236, 95.63505006762057, 105.97657243928514], rel=1e-9)
    assert (found["pvalue"] < 0.01).all()
