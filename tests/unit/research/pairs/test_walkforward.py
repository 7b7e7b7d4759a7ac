"""Spans do not touch; the probabilistic Sharpe ratio of a normal sample is the plain test."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.data.data_loader import Panel
from research.pairs.calibration import split_for
from research.pairs.performance import probabilistic_sharpe
from research.pairs.strategy_optimizer import Grid
from research.pairs.walkforward import combinatorial_purged, rolling, three_way
from research.stats.cointegration import engle_granger


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


def test_the_embargo_is_as_long_as_a_position_may_be_held(prices):
    closes = prices[["A0USDT", "B0USDT"]]
    panel = Panel(closes, 60_000_000_000, (), pd.DataFrame())
    half_life = engle_granger(np.log(closes["A0USDT"].iloc[:2000]), np.log(closes["B0USDT"].iloc[:2000])).half_life
    assert round(10 * half_life) < 300
    assert split_for(panel, "A0USDT", "B0USDT").embargo == max(240, round(10 * half_life))
    assert split_for(panel, "A0USDT", "B0USDT", grid=Grid(max_holding_bars=700)).embargo == 700
    assert split_for(panel, "A0USDT", "B0USDT", embargo=60, grid=Grid(max_holding_bars=700)).embargo == 60
    with pytest.raises(DataError, match="4000 bars leave no validation span after an embargo of 4800"):
        split_for(panel, "A0USDT", "B0USDT", grid=Grid(max_holding_bars=4800))
