"""One form for every test's result: hypotheses, statistic, p-value, critical values, in words; what decides is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.stattools import coint

from research import TestResult, cusum, dickey_fuller, engle_granger, gregory_hansen, johansen, phillips_ouliaris, variance_ratio
from research.stats.test_result import LEVELS
from tests.statsmodels_reference import adfuller


def _pair(n: int = 200, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).cumsum()
    return 0.8 * x + rng.normal(size=n), x


def _results() -> list[TestResult]:
    y, x = _pair()
    spread = y - 0.8 * x
    found = [engle_granger(y, x), phillips_ouliaris(y, x), johansen(np.column_stack([y, x])), dickey_fuller(spread), gregory_hansen(y, x)]
    return [*found, cusum(spread), variance_ratio(spread)]


@pytest.mark.parametrize("found", _results(), ids=lambda found: found.name)
def test_every_test_has_the_same_form(found: TestResult) -> None:
    assert isinstance(found, TestResult)
    text = found.report()
    assert str(found) == text
    assert text.startswith(f"{found.name}: {found.statistic:.4f}")
    for line in (f"null hypothesis    {found.null_hypothesis}", f"alternative        {found.alternative}", "p-value", "null rejected at"):
        assert text.count(line) >= 1, line
    assert set(found.critical_values) in (set(), set(LEVELS))
    assert set(found.rejected_at) <= set(LEVELS)
    assert not np.isnan(found.pvalue_deciding) or found.name == "Gregory-Hansen ADF*"


def test_results_unpack_as_those_they_stand_in_for() -> None:
    y, x = _pair()
    statistic, pvalue, critical = engle_granger(y, x)
    theirs = coint(y, x)
    assert (statistic, pvalue) == pytest.approx(theirs[:2], abs=1e-8)
    np.testing.assert_allclose(critical, theirs[2], rtol=1e-12)
    *figures, levels = dickey_fuller(x)
    expected = adfuller(x)
    assert figures == pytest.approx(list(expected[:4]), rel=1e-7)
    assert levels == pytest.approx(expected[4])


def test_the_finite_p_value_decides_where_there_is_one() -> None:
    """At 40 rows AIC's freedom makes MacKinnon's p-values too small: between the two the null stands, and the report says by which."""
    seeds = (engle_granger(*np.random.default_rng(seed).normal(size=(2, 40)).cumsum(axis=1)) for seed in range(400))
    between = next(one for one in seeds if one.pvalue < 0.05 < one.pvalue_finite)
    assert (between.pvalue_deciding, between.pvalue_source) == (between.pvalue_finite, "finite")
    assert "5 %" not in between.rejected_at
    assert f"finite p-value     {between.pvalue_finite:.6g}" in between.report()


def test_johansen_has_a_test_of_every_null_hypothesis() -> None:
    group = pd.DataFrame(np.column_stack([*_pair(300), np.random.default_rng(2).normal(size=300).cumsum()]), columns=list("abc"))
    found = johansen(group)
    assert (found.statistic, found.pvalue) == tuple(found.table.loc[0, ["trace", "trace_p"]])
    for r in range(3):
        for name in ("trace", "max_eigen"):
            one = found.test(r, name)
            assert one.statistic == found.table.loc[r, name]
            assert list(one.critical_values.values()) == list(found.table.loc[r, [f"{name}_99", f"{name}_95", f"{name}_90"]])
            assert ("5 %" in one.rejected_at) == (one.statistic > found.table.loc[r, f"{name}_95"])
    rejected = [r for r in range(3) if "5 %" in found.test(r).rejected_at]
    assert rejected == list(range(found.rank))
    with pytest.raises(Exception, match="r from 0 to 2"):
        found.test(3)
