"""Johansen's test: statsmodels to 1e-8, the published result on Danish money demand, and groups that cannot be tested."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.vector_ar.vecm import VECM, coint_johansen

from hftkit.errors import DataError
from research.stats.johansen import johansen
from tests.unit.research.shared_data import classic


@pytest.mark.parametrize("deterministic", ["n", "c", "ct"])
@pytest.mark.parametrize("seed", range(12))
def test_equals_statsmodels(deterministic, seed):
    rng = np.random.default_rng(seed)
    m, lags = 2 + seed % 4, 1 + seed % 3  # without lags statsmodels takes the level of the same row, not of the row before
    walk = np.cumsum(rng.normal(size=(200 + 30 * seed, m)), axis=0)
    walk[:, 1] = 0.7 * walk[:, 0] + rng.normal(size=len(walk))
    frame = pd.DataFrame(walk + 50.0, columns=[f"S{i}" for i in range(m)])
    ours = johansen(frame, lags, deterministic)
    theirs = coint_johansen(frame.to_numpy(), {"n": -1, "c": 0, "ct": 1}[deterministic], lags)
    np.testing.assert_allclose(ours.table["eigenvalue"], theirs.eig, atol=1e-10)
    np.testing.assert_allclose(ours.table["trace"], theirs.trace_stat, atol=1e-8)
    np.testing.assert_allclose(ours.table["max_eigen"], theirs.max_eig_stat, atol=1e-8)
    np.testing.assert_allclose(ours.table[["trace_90", "trace_95", "trace_99"]], theirs.trace_stat_crit_vals)
    np.testing.assert_allclose(ours.table[["max_eigen_90", "max_eigen_95", "max_eigen_99"]], theirs.max_eig_stat_crit_vals)
    reference = theirs.evec[:, 0] / theirs.evec[0, 0]
    np.testing.assert_allclose(ours.vectors["relation 1"], reference, rtol=1e-6)


def test_danish_money_demand():
    """Johansen and Juselius (1990): lrm, lry, ibo, ide, two lags, seasonal dummies, constant restricted to the relations."""
    data = classic("danish_money_demand_quarterly.csv")
    found = johansen(data[["lrm", "lry", "ibo", "ide"]], lags=1, deterministic="rc", season=4)
    np.testing.assert_allclose(found.table["eigenvalue"], [0.4331654, 0.1775836, 0.1127905, 0.0434113], atol=5e-8)
    np.testing.assert_allclose(found.table["max_eigen"], [30.09, 10.36, 6.34, 2.35], atol=0.005)
    np.testing.assert_allclose(found.table["trace"], [49.14, 19.06, 8.69, 2.35], atol=0.006)
    relation = found.vectors["relation 1"]  # money demand: m = 1.03 y - 5.21 ib + 4.22 id + 6.06
    np.testing.assert_allclose(relation, [1.0, -1.03, 5.21, -4.22, -6.06], atol=0.006)
    assert found.rank == 0  # trace 49.14 < 53.12
    assert found.table["max_eigen"].iloc[0] > found.table["max_eigen_95"].iloc[0]  # and 30.09 > 28.14: the two tests disagree, as in the paper


# B. Pfaff's package urca, example(ca.jo) on the same data: ecdet "const", K = 2, season 4; printed in its reference manual
URCA_VECTORS = [
    [1.0, 1.0, 1.0, 1.0],
    [-1.032949, -1.3681031, -3.2266580, -1.883625],
    [5.206919, 0.2429825, 0.5382847, 24.399487],
    [-4.215879, 6.8411103, -5.6473903, -14.298037],
    [-6.059932, -4.2708474, 7.8963696, -2.263224],
]
URCA_LOADINGS = [
    [-0.21295494, -0.00481498, 0.035011128, 2.028908e-03],
    [0.11502204, 0.01975028, 0.049938460, 1.108654e-03],
    [0.02317724, -0.01059605, 0.003480357, -1.573742e-03],
    [0.02941109, -0.03022917, -0.002811506, -4.767627e-05],
]
URCA_MAX_EIGEN = [[25.56, 28.14, 33.24], [19.77, 22.00, 26.81], [13.75, 15.67, 20.20], [7.52, 9.24, 12.97]]


def test_danish_money_demand_as_urca_prints_it():
    data = classic("danish_money_demand_quarterly.csv")
    found = johansen(data[["lrm", "lry", "ibo", "ide"]], lags=1, deterministic="rc", season=4)
    np.testing.assert_allclose(found.vectors, URCA_VECTORS, rtol=2e-7, atol=6e-7)
    np.testing.assert_allclose(found.loadings, URCA_LOADINGS, rtol=2e-6, atol=5e-9)
    np.testing.assert_allclose(found.table[["max_eigen_90", "max_eigen_95", "max_eigen_99"]], URCA_MAX_EIGEN)


@pytest.mark.parametrize("seed", range(4))
def test_loadings_equal_those_of_statsmodels_vecm(seed):
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(size=(300, 3)), axis=0)
    walk[:, 1] = 0.7 * walk[:, 0] + rng.normal(size=300)
    ours = johansen(pd.DataFrame(walk, columns=list("abc")), 1, "n")
    theirs = VECM(walk, k_ar_diff=1, coint_rank=1, deterministic="n").fit()
    np.testing.assert_allclose(ours.vectors["relation 1"], theirs.beta[:, 0] / theirs.beta[0, 0], rtol=1e-7)
    np.testing.assert_allclose(ours.loadings["relation 1"], theirs.alpha[:, 0] * theirs.beta[0, 0], rtol=1e-6)


@pytest.mark.parametrize(("order", "vecm"), [("n", "n"), ("c", "co"), ("rc", "ci")])
def test_without_lags_the_level_is_that_before_the_change(order, vecm):
    """statsmodels' VECM has it so too; its coint_johansen(k_ar_diff=0) takes the level after the change, and finds the change in it."""
    rng = np.random.default_rng(8)
    walk = np.cumsum(rng.normal(size=(300, 3)), axis=0)
    walk[:, 1] = 0.7 * walk[:, 0] + rng.normal(size=300)
    ours = johansen(pd.DataFrame(walk, columns=list("abc")), 0, order)
    theirs = VECM(walk, k_ar_diff=0, coint_rank=1, deterministic=vecm).fit()
    np.testing.assert_allclose(ours.vectors["relation 1"][:3], theirs.beta[:, 0] / theirs.beta[0, 0], rtol=1e-7)
    np.testing.assert_allclose(ours.loadings["relation 1"], theirs.alpha[:, 0] * theirs.beta[0, 0], rtol=1e-6)
    if order != "rc":
        after = coint_johansen(walk, {"n": -1, "c": 0}[order], 0)
        assert np.abs(ours.table["eigenvalue"].to_numpy() - after.eig).max() > 1e-3


def test_known_rank_is_found():
    rng = np.random.default_rng(3)
    ranks = []
    for _ in range(40):
        common = np.cumsum(rng.normal(size=(400, 1)), axis=0)
        held = pd.DataFrame(common @ [[1.0, 0.5, 2.0]] + rng.normal(size=(400, 3)), columns=list("abc"))
        apart = pd.DataFrame(np.cumsum(rng.normal(size=(400, 3)), axis=0), columns=list("abc"))
        ranks.append((johansen(held).rank, johansen(apart).rank))
    assert sum(held == 2 for held, _ in ranks) >= 34  # a test at 5 % is wrong one time in twenty
    assert sum(apart == 0 for _, apart in ranks) >= 34
    assert f"relations at 5 % (trace): {ranks[-1][0]}" in johansen(held).report()


def test_what_cannot_be_tested_says_why():
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=300))
    for column, message in (
        (np.full(300, 7.0), "b is constant"),
        (2.0 * walk + 1.0, "a, b are one combination"),
        (np.where(walk > 1e9, 0, np.nan), "b is not"),
    ):
        with pytest.raises(DataError, match=message):
            johansen(pd.DataFrame({"a": walk, "b": column}))
    with pytest.raises(DataError, match="too few"):
        johansen(pd.DataFrame(rng.normal(size=(8, 3))), lags=2)
