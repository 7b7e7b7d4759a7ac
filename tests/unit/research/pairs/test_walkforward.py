"""Spans do not touch; the probabilistic Sharpe ratio of a normal sample is the plain test."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hftkit.errors import DataError
from research.pairs.performance import probabilistic_sharpe
from research.pairs.walkforward import combinatorial_purged, rolling, three_way


def test_three_way_leaves_the_embargo_unused():
    split = three_way(1000, (0.5, 0.25, 0.25), embargo=30)
    assert (split.train, split.validation, split.test) == (slice(0, 500), slice(530, 750), slice(780, 1000))
    with pytest.raises(DataError, match="leave no validation span"):
        three_way(100, embargo=25)
    with pytest.raises(DataError, match="make no split"):
        three_way(100, (0.5, 0.5, 0.5))


def test_rolling_spans_walk_forward_without_overlap():
    spans = list(rolling(100, train=40, test=10, embargo=5))
    assert spans[0] == (slice(0, 40), slice(45, 55))
    assert spans[-1] == (slice(40, 80), slice(85, 95))
    assert all(later[1].start == earlier[1].stop for earlier, later in itertools.pairwise(spans))


def test_a_normal_sample_gives_the_plain_test():
    returns = np.random.default_rng(2).normal(size=100_000) + 0.003
    t = returns.mean() / returns.std(ddof=1) * np.sqrt(returns.size)
    from scipy.stats import norm

    assert probabilistic_sharpe(returns) == pytest.approx(norm.cdf(t), abs=1e-3)


def test_combinatorial_purged_holds_out_every_choice_and_keeps_its_distance():
    splits = list(combinatorial_purged(600, groups=6, held_out=2, embargo=10))
    assert len(splits) == 15
    assert np.bincount(np.concatenate([test for _, test in splits])).tolist() == [5] * 600  # each bar tested in 5 of 15
    for train, test in splits:
        assert np.abs(train[:, None] - test).min() == 11
        assert test.size == 200
    with pytest.raises(DataError, match="cannot be held out"):
        list(combinatorial_purged(10, groups=3, held_out=3))
    with pytest.raises(DataError, match="leaves nothing to train on"):
        list(combinatorial_purged(60, groups=3, held_out=1, embargo=50))
