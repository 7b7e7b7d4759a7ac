"""Error correction: statsmodels' figures, the same by plain least squares, and groups without a relation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.vector_ar.vecm import VECM

from hftkit.errors import DataError
from research.stats.vecm import error_correction
from tests.unit.research.shared_data import classic


def group(seed: int, n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(size=(n, 3)), axis=0)
    walk[:, 1] = 0.7 * walk[:, 0] + rng.normal(size=n)
    return pd.DataFrame(walk + 20.0, columns=list("abc"))


@pytest.mark.parametrize(("ours", "theirs"), [("n", "n"), ("rc", "ci"), ("c", "co"), ("rt", "coli"), ("ct", "colo")])
@pytest.mark.parametrize(("rank", "lags"), [(1, 1), (2, 3)])
def test_equals_statsmodels(ours, theirs, rank, lags):
    data = group(rank)
    found = error_correction(data, rank, lags, ours)
    fit = VECM(data.to_numpy(), k_ar_diff=lags, coint_rank=rank, deterministic=theirs).fit()
    for column, values in (("coefficient", fit.alpha), ("std_error", fit.stderr_alpha), ("t", fit.tvalues_alpha), ("pvalue", fit.pvalues_alpha)):
        np.testing.assert_array_equal(found.loadings[column].unstack(sort=False), values)
    for column, values in (("coefficient", fit.gamma), ("std_error", fit.stderr_gamma), ("t", fit.tvalues_gamma)):
        np.testing.assert_array_equal(found.short_run[column].to_numpy().reshape(3, -1), values)
    for k in range(rank):
        rows = found.relations.loc[f"relation {k + 1}"]
        np.testing.assert_array_equal(rows["coefficient"].iloc[:3], fit.beta[:, k])
        np.testing.assert_array_equal(rows["t"].iloc[rank:3], fit.tvalues_beta[rank:, k])
        assert rows["std_error"].iloc[:rank].isna().all()
    if ours == "rc":
        assert found.relations.loc[("relation 1", "constant"), "t"] == fit.tvalues_det_coef_coint[0, 0]


@pytest.mark.parametrize("lags", [1, 2])
def test_loadings_and_short_run_are_least_squares_given_the_relation(lags):
    """Equation by equation: dx on the relation and the lagged changes; the variance divides by all rows, as maximum likelihood does."""
    data = group(7)
    found = error_correction(data, 1, lags, "n")
    levels = data.to_numpy()
    steps, n = np.diff(levels, axis=0), len(levels)
    relation = levels[lags:-1] @ found.relations.loc["relation 1", "coefficient"].to_numpy()
    design = np.column_stack([relation, *(steps[lags - k : n - 1 - k] for k in range(1, lags + 1))])
    slopes, *_ = np.linalg.lstsq(design, steps[lags:], rcond=None)
    error = steps[lags:] - design @ slopes
    np.testing.assert_allclose(found.loadings["coefficient"], slopes[0], rtol=1e-7)
    spread = np.sqrt(np.linalg.inv(design.T @ design)[0, 0] * (error**2).sum(axis=0) / len(design))
    np.testing.assert_allclose(found.loadings["std_error"], spread, rtol=1e-6)
    np.testing.assert_allclose(found.short_run["coefficient"].to_numpy().reshape(3, -1), slopes[1:].T, rtol=1e-6)
    speed = float(found.loadings["coefficient"].to_numpy() @ found.relations.loc["relation 1", "coefficient"].to_numpy())
    assert found.half_lives["relation 1"] == pytest.approx(-np.log(2) / np.log1p(speed))


def test_the_truth_is_within_its_standard_errors():
    hit = 0
    for seed in range(40):
        row = error_correction(group(seed), 1, 1, "rc").relations.loc[("relation 1", "b")]
        hit += abs(row["coefficient"] + 1.0 / 0.7) < 2.5 * row["std_error"]
    assert hit >= 34


def test_danish_money_demand_prints_its_t_values():
    data = classic("danish_money_demand_quarterly.csv")[["lrm", "lry", "ibo", "ide"]]
    found = error_correction(data, 1, 1, "rc", season=4)
    relation = found.relations.loc["relation 1", "coefficient"]
    np.testing.assert_allclose(relation, [1.0, -1.03, 5.21, -4.22, -6.06], atol=0.006)  # Johansen and Juselius (1990)
    text = str(found)
    for word in ("vector error correction, 1 relation", "null hypothesis", "std_error", "loadings", "half-lives"):
        assert word in text


def test_groups_without_a_relation_are_refused():
    apart = pd.DataFrame(np.cumsum(np.random.default_rng(3).normal(size=(300, 3)), axis=0), columns=list("abc"))
    with pytest.raises(DataError, match="Johansen's test finds 0 relations among 3 series"):
        error_correction(apart)
    with pytest.raises(DataError, match="3 relations among 3 series"):
        error_correction(apart, 3)
    assert error_correction(group(0)).rank == 1
    assert error_correction(group(0).to_numpy()).loadings.index[0] == ("series 1", "relation 1")
