"""Cointegration again on later spans: against statsmodels; a pair that dies is dead, a true one is not."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.stattools import coint

from research.pairs.confirmation import LEVEL, confirm
from research.pairs.walkforward import three_way
from research.stats.cointegration import engle_granger
from research.stats.unit_root import dickey_fuller
from tests.statsmodels_reference import adfuller


def _pair(n: int, dies_at: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log prices; from `dies_at` on the spread is a random walk."""
    rng = np.random.default_rng(seed)
    hedge = np.cumsum(rng.normal(size=n)) * 1e-3
    spread, noise = np.zeros(n), rng.normal(size=n) * 1e-3
    for t in range(1, n):
        spread[t] = (0.95 if t < dies_at else 1.0) * spread[t - 1] + noise[t]
    return 0.8 * hedge + spread, hedge


def test_the_figures_are_those_of_statsmodels() -> None:
    lead, hedge = _pair(3000, 3000, 1)
    split = three_way(3000, embargo=100)
    found = confirm(lead, hedge, 0.8, split, 13.5)
    for one, part in zip(found, (split.validation, split.test, slice(split.validation.start, split.test.stop)), strict=True):
        spread = lead[part] - 0.8 * hedge[part]
        expected = adfuller(spread, autolag="AIC")
        assert (one.pvalue_asymptotic, one.lag) == (pytest.approx(expected[1], rel=1e-8), expected[2])
        assert one.pvalue_anew_asymptotic == pytest.approx(coint(lead[part], hedge[part], autolag="aic")[1], rel=1e-6)
        assert (one.pvalue, one.p_values) == (dickey_fuller(spread).pvalue_finite, "finite")
        assert one.pvalue_anew == engle_granger(lead[part], hedge[part]).pvalue_finite
        assert one.half_lives == pytest.approx(spread.size / 13.5)
        assert one.holds
    assert not found.dead


def test_a_relation_that_ends_with_train_is_dead_and_one_that_holds_is_not() -> None:
    """Of 40 pairs that die at the end of train about (1 - LEVEL)^2 to 1 - LEVEL are found dead; of 40 that live none."""
    split = three_way(2000, embargo=50)
    dead = sum(confirm(*_pair(2000, 1000, seed), 0.8, split, 13.5).dead for seed in range(40))
    alive = sum(not confirm(*_pair(2000, 2000, seed), 0.8, split, 13.5).dead for seed in range(40))
    assert dead >= 40 * (1 - 3 * LEVEL)
    assert alive == 40


def test_a_span_too_short_confirms_nothing() -> None:
    lead, hedge = _pair(120, 120, 3)
    found = confirm(lead, hedge, 0.8, three_way(8), 13.5)
    assert {one.span: np.isnan(one.pvalue) for one in found} == {"validation": True, "test": True, "together": False}
    assert "too short" in next(iter(found)).in_words()


def test_the_p_value_of_the_span_decides() -> None:
    """A walk of 60 rows that MacKinnon's p-value calls reverting at 10 %, and the distribution for 60 rows does not."""
    walks = (np.random.default_rng(seed).normal(size=60).cumsum() for seed in range(1000))
    near = next(walk for walk in walks if (one := dickey_fuller(walk)).pvalue <= LEVEL < one.pvalue_finite)
    hedge = np.random.default_rng(1).normal(size=240).cumsum()
    lead = 0.8 * hedge
    split = three_way(240, (0.5, 0.25, 0.25), embargo=0)
    lead[split.validation] += near[: split.validation.stop - split.validation.start]
    found = {one.span: one for one in confirm(lead, hedge, 0.8, split, 10.0)}["validation"]
    assert found.pvalue_asymptotic <= LEVEL < found.pvalue
    assert not found.holds
    assert "finite p" in found.in_words()
    assert "not confirmed" in found.in_words()
