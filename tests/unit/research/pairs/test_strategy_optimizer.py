"""Calibration: no look-ahead, costs cost, a region rather than a point, and the moments of the live strategy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.pairs.costs import NO_COSTS, Costs
from research.pairs.lookahead import check_lookahead
from research.pairs.strategy_optimizer import Grid, PairBars, Thresholds, run_rule, sweep, walk_forward
from research.stats.spread.hedge import log_spread, ols_hedge_ratio, unit_return

RULE = Thresholds(window=80, entry_z=1.5, exit_z=0.0, stop_z=5.0, max_holding_bars=200)
SMALL = Grid(windows=(60, 120), entries=(1.5, 2.0, 2.5), exits=(0.0, 0.5), stops=(4.0, 5.0))


@pytest.fixture(scope="module")
def bars(prices) -> PairBars:
    return PairBars(prices["A0USDT"], prices["B0USDT"], 0.8, 60_000_000_000)


def test_hedge_ratio_equals_least_squares(prices):
    lead, hedge = np.log(prices["A0USDT"]), np.log(prices["B0USDT"])
    assert ols_hedge_ratio(prices["A0USDT"], prices["B0USDT"]) == pytest.approx(np.polyfit(hedge, lead, 1)[0], rel=1e-9)


def test_spread_and_unit_return_by_hand():
    lead, hedge = np.array([100.0, 101.0]), np.array([50.0, 49.0])
    np.testing.assert_allclose(log_spread(lead, hedge, 0.5), np.log(lead) - 0.5 * np.log(hedge))
    assert unit_return(lead, hedge, 0.5).tolist() == pytest.approx([0.0, 0.01 + 0.5 * 0.02])
    with pytest.raises(DataError, match="hedge ratio is nan"):
        log_spread(lead, hedge, float("nan"))


def test_z_scores_use_the_bars_before_only(bars):
    expected = pd.Series(bars.spread)
    rolling = expected.rolling(80)
    z = (expected - rolling.mean().shift()) / rolling.std().shift()
    np.testing.assert_allclose(bars.z(80), z, rtol=1e-6, atol=1e-6)
    assert np.isnan(bars.z(80)[:80]).all()


def test_the_future_does_not_change_past_targets(bars, prices):
    def decide(part: pd.DataFrame) -> np.ndarray:
        return run_rule(PairBars(part["A0USDT"], part["B0USDT"], 0.8, bars.bar_ns), RULE, Costs()).frame["target"].to_numpy()

    cuts = [81, 90, 500, 1777, 3999]
    assert check_lookahead(decide, prices, cuts).honest
    changed = prices.copy()
    changed.iloc[1777:] *= np.random.default_rng(0).uniform(0.5, 2.0, size=changed.iloc[1777:].shape)
    assert (decide(changed)[:1777] == decide(prices)[:1777]).all()
    assert (decide(changed)[1777:] != decide(prices)[1777:]).any()


def test_a_leak_is_found(prices):
    def leaky(part: pd.DataFrame) -> np.ndarray:
        spread = log_spread(part["A0USDT"], part["B0USDT"], 0.8)
        return np.sign(spread - spread.mean())  # the mean of the whole sample: the future

    assert check_lookahead(leaky, prices, [100, 1000]).leaks["cut"].iloc[0] == prices.index[99]


def test_costs_are_paid_on_every_fill(bars):
    free, dear = run_rule(bars, RULE, NO_COSTS), run_rule(bars, RULE, Costs(100.0, 0.5, 0.25))
    assert (free.frame["target"] == dear.frame["target"]).all()
    assert free.trades > 20
    assert dear.net == pytest.approx(free.net - free.turnover * (1e-4 + 0.75e-4) * 1.8, rel=1e-9)
    with pytest.raises(DataError, match="fee_ppm = -1"):
        Costs(fee_ppm=-1)


def test_run_starts_and_ends_flat(bars):
    run = run_rule(bars, RULE, NO_COSTS, slice(1000, 2000))
    frame = run.frame
    assert frame["net"].iloc[0] == 0.0
    assert len(frame) == 1000
    held = frame["target"].shift(fill_value=0)
    assert run.net == pytest.approx((held * frame["step"]).sum(), abs=1e-12)
    assert run.turnover == held.diff().abs().sum() + abs(held.iloc[0]) + abs(frame["target"].iloc[-1] - held.iloc[-1]) + abs(frame["target"].iloc[-1])


def test_sweep_agrees_with_single_runs_and_with_any_number_of_threads(bars):
    span, costs = slice(0, 2500), Costs()
    one, three = sweep(bars, SMALL, costs, span, threads=1), sweep(bars, SMALL, costs, span, threads=3)
    pd.testing.assert_frame_equal(one.table, three.table)
    assert one.chosen == three.chosen
    for row in one.table.iloc[::5].itertuples():
        run = run_rule(bars, Thresholds(row.window, row.entry_z, row.exit_z, row.stop_z, SMALL.max_holding_bars), costs, span)
        assert (row.trades, row.net, row.sharpe, row.max_drawdown) == (run.trades, run.net, pytest.approx(run.sharpe), run.max_drawdown)


def test_choice_is_the_best_neighbourhood_not_the_best_cell(bars):
    swept = sweep(bars, SMALL, Costs(), slice(0, 2500))
    table = swept.table
    row = table.loc[table["score"].idxmax()]
    assert (swept.chosen.window, swept.chosen.entry_z, swept.chosen.exit_z, swept.chosen.stop_z) == tuple(
        row[["window", "entry_z", "exit_z", "stop_z"]]
    )
    near = table[(table["entry_z"] - row["entry_z"]).abs() <= 0.5]  # windows, exits and stops of this grid are all neighbours
    assert row["score"] == pytest.approx(near["sharpe"].mean())
    assert swept.trials == len(table) == 24
    assert 0.0 <= swept.deflated_sharpe <= 1.0


def test_a_grid_that_never_trades_is_refused(bars):
    with pytest.raises(DataError, match="no parameter set trades 10 times in 300 bars"):
        sweep(bars, Grid(windows=(200,), entries=(5.0,), exits=(0.0,), stops=(6.0,)), Costs(), slice(0, 300))
    with pytest.raises(DataError, match="no usable cell"):
        sweep(bars, Grid(entries=(1.0,), exits=(2.0,)), Costs())
    with pytest.raises(DataError, match="not a usable parameter set"):
        Thresholds(window=10, entry_z=1.0, exit_z=1.0, stop_z=2.0, max_holding_bars=5)


def test_walk_forward_trades_only_what_it_has_not_seen(bars, prices):
    table = walk_forward(bars, SMALL, Costs(), train=1500, test=500, embargo=100)
    assert list(table.index) == [bars.index[start] for start in (1600, 2100, 2600, 3100)]
    row = table.iloc[1]
    chosen = sweep(bars, SMALL, Costs(), slice(500, 2000)).chosen
    assert (row["window"], row["entry_z"]) == (chosen.window, chosen.entry_z)
    assert row["net"] == run_rule(bars, chosen, Costs(), slice(2100, 2600)).net
    changed = prices.copy()
    changed.iloc[2600:] *= 1.3
    again = walk_forward(PairBars(changed["A0USDT"], changed["B0USDT"], 0.8, bars.bar_ns), SMALL, Costs(), 1500, 500, 100)
    pd.testing.assert_frame_equal(again.iloc[:2], table.iloc[:2])  # the future changes no earlier row
    nothing = walk_forward(bars, SMALL, Costs(), 1500, 500, 100, min_trades=10**6)
    assert nothing["trades"].sum() == 0
    assert nothing["window"].isna().all()
    with pytest.raises(DataError, match="hold no step"):
        walk_forward(bars, SMALL, Costs(), train=10**6, test=10)
