"""Baskets are backtested like pairs: a basket of two is the pair, and one of three is the rule by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.pairs.basket import BasketBars, backtest_basket
from research.pairs.costs import Costs
from research.pairs.lookahead import check_lookahead
from research.pairs.strategy_optimizer import Grid, PairBars, Thresholds, run_rule, sweep

MINUTE = 60_000_000_000
RULE = Thresholds(60, 2.0, 0.5, 5.0, 240)
GRID = Grid(windows=(60, 120), entries=(1.5, 2.0), exits=(0.0, 0.5), stops=(4.0, 5.0))


def three(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    """A = 0.6 B + 0.5 C + a spread with a half-life of 20 bars, in logs; D apart."""
    rng = np.random.default_rng(seed)
    walks = np.cumsum(rng.normal(size=(n, 3)), axis=0) * 8e-4
    spread = np.zeros(n)
    for t in range(1, n):
        spread[t] = 2.0 ** (-1 / 20) * spread[t - 1] + rng.normal() * 1e-3
    logs = np.column_stack([0.6 * walks[:, 0] + 0.5 * walks[:, 1] + spread, walks])
    index = pd.date_range("2025-01-01", periods=n, freq="1min", tz="UTC")
    return pd.DataFrame(np.exp(logs) * [100.0, 40.0, 7.0, 1.0], index, columns=list("ABCD"))


def test_a_basket_of_two_is_the_pair():
    data = three()[["A", "B"]]
    costs = Costs(funding_bps=1.0)
    pair, basket = PairBars(data["A"], data["B"], 0.9, MINUTE), BasketBars(data, [2.0, -1.8], MINUTE)
    assert basket.hedge_ratio == pytest.approx(0.9)
    np.testing.assert_allclose(basket.spread, pair.spread, atol=1e-13)
    np.testing.assert_allclose(basket.step, pair.step, atol=1e-15)
    ours, theirs = run_rule(basket, RULE, costs), run_rule(pair, RULE, costs)
    assert ours.trades == theirs.trades > 5
    np.testing.assert_array_equal(ours.frame["target"], theirs.frame["target"])
    np.testing.assert_allclose(ours.frame["net"], theirs.frame["net"], atol=1e-12)
    assert sweep(basket, GRID, costs, threads=1).chosen == sweep(pair, GRID, costs, threads=1).chosen


def test_a_basket_of_three_by_hand():
    data = three()[["A", "B", "C"]]
    costs = Costs(100.0, 0.5, 0.25)
    weights = pd.Series({"C": -0.5, "A": 1.0, "B": -0.6})  # by name, not by place
    bars = BasketBars(data, weights, MINUTE)
    run = run_rule(bars, RULE, costs)
    target = run.frame["target"].to_numpy()
    returns = data.pct_change().fillna(0.0).to_numpy() @ [1.0, -0.6, -0.5]
    held = np.concatenate([[0], target[:-1]])
    changes = np.abs(target - held)
    changes[-1] += abs(target[-1])
    expected = held * returns - changes * 1.75e-4 * 2.1
    assert run.trades > 5
    np.testing.assert_allclose(run.frame["net"], expected, atol=1e-12)


def test_a_johansen_relation_is_found_and_traded():
    data = three()[["A", "B", "C"]]
    costs = Costs(10.0, 0.1, 0.0)
    found = backtest_basket(data, MINUTE, costs, grid=GRID, min_trades=3)
    assert found.tested.rank == 1
    assert found.bars.weights.tolist() == pytest.approx([1.0, -0.6, -0.5], abs=0.1)
    assert found.half_life == pytest.approx(20.0, rel=0.4)
    assert found.train.net > 0.0
    assert found.table().loc["test", "net"] == pytest.approx(found.test.net)
    text = str(found)
    for word in ("basket: A +1.000000, B -0.", "relations          1", "thresholds", "validation", "sharpe"):
        assert word in text

    def target(frame: pd.DataFrame) -> np.ndarray:
        return run_rule(BasketBars(frame, found.bars.weights, MINUTE), found.sweep.chosen, costs).frame["target"].to_numpy()

    assert check_lookahead(target, data, cuts=15, warmup=200).honest


def test_a_basket_without_a_relation_is_refused_unless_insisted_on():
    rng = np.random.default_rng(4)
    apart = pd.DataFrame(np.exp(np.cumsum(rng.normal(size=(2000, 3)), axis=0) * 1e-3), columns=list("ABC"))
    with pytest.raises(DataError, match=r"the train span shows 0 relations at 5 %, not 1 \(p-value of at most 0: "):
        backtest_basket(apart, MINUTE, Costs(), grid=GRID)
    assert backtest_basket(apart, MINUTE, Costs(), grid=GRID, min_trades=1, insist=True).tested.rank == 0
    with pytest.raises(DataError, match="no relation 4 among 3"):
        backtest_basket(apart, MINUTE, Costs(), relation=4)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1.0], "2 weights do not fit 3 series"),
        ([0.0, 1.0, -1.0], "cannot be read per unit of A"),
        ([1.0, np.nan, -1.0], "cannot be read per unit of A"),
        (pd.Series({"A": 1.0, "B": -1.0}), "there is no weight of C"),
    ],
)
def test_weights_that_make_no_basket_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        BasketBars(three(100)[["A", "B", "C"]], weights, MINUTE)


def test_prices_that_make_no_basket_are_refused():
    data = three(100)
    with pytest.raises(DataError, match="B is nan at row 5"):
        BasketBars(data.assign(B=data["B"].where(np.arange(100) != 5)), [1.0, -1.0, 1.0, 1.0], MINUTE)
    with pytest.raises(DataError, match="bars of 0 ns"):
        BasketBars(data, [1.0, -1.0, 1.0, 1.0], 0)
