"""Sweep, event-driven backtest and replay are one thing: same targets bar by bar, same bits of the spread, same bytes of the orders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.backtest import Latency, with_parameters
from hftkit.errors import DataError
from hftkit.instruments import Instrument
from hftkit.params import FrozenParams, LegPlan, text_of
from hftkit.replay import replay
from hftkit.rooms import Limits
from research.costs import NO_COSTS
from research.event_backtest import backtest_bars, compare_with_rule
from research.strategy_optimizer import Grid, PairBars, Thresholds, run_rule, sweep

BAR_NS = 60_000_000_000
RATIO = 0.8123456789
TICKS = (1e-4, 1e-4)
RULE = Thresholds(window=80, entry_z=1.5, exit_z=0.25, stop_z=3.0, max_holding_bars=25)  # short enough for stops and holding limits


def frozen_pair(rule: Thresholds) -> FrozenParams:
    scales = {"tick_size": "0.0001", "lot_size": "0.001", "min_notional": "5", "taker_fee_ppm": 100}
    return FrozenParams(
        schema_version=1,
        name="pair",
        strategy="pairs",
        strategy_version=1,
        instruments=(Instrument(symbol="A0USDT", **scales), Instrument(symbol="B0USDT", **scales)),
        legs=LegPlan(
            lead="A0USDT",
            hedge="B0USDT",
            unit_lead_lots=10_000,
            unit_hedge_lots=-16_000,
            slippage_ticks=10,
            hedge_deadline_ns=2_000_000_000,
            retry_ns=100_000_000,
            residual_lots=0,
        ),
        parameters={
            "hedge_ratio": text_of(RATIO),
            "bar_ns": BAR_NS,
            "window": rule.window,
            "entry_z": text_of(rule.entry_z),
            "exit_z": text_of(rule.exit_z),
            "stop_z": text_of(rule.stop_z),
            "max_holding_bars": rule.max_holding_bars,
        },
        arrays={},
        provenance={},
        valid_from_ns=0,
        valid_until_ns=1,
    )


@pytest.fixture(scope="module")
def bars(prices) -> PairBars:
    return PairBars(prices["A0USDT"], prices["B0USDT"], RATIO, BAR_NS, TICKS)


def test_the_engine_trades_what_the_sweep_chose_trade_by_trade(prices, bars):
    grid = Grid(windows=(60, 120), entries=(1.5, 2.0), exits=(0.0, 0.5), stops=(3.0, 4.0), max_holding_bars=40)
    winner = sweep(bars, grid, NO_COSTS).chosen
    for rule in (winner, RULE):
        run = backtest_bars(frozen_pair(rule), prices)
        assert compare_with_rule(run, bars, rule).empty
        assert run.bars["spread"].to_numpy().tobytes() == bars.spread.tobytes()
        finite = np.isfinite(bars.z(rule.window))
        assert (run.bars["zscore"].to_numpy()[finite] == bars.z(rule.window)[finite]).all()
        swept = run_rule(bars, rule, NO_COSTS).frame
        entries = np.flatnonzero(np.diff(swept["target"].to_numpy(), prepend=0) * swept["target"].to_numpy() > 0)
        assert list(run.trades["entry"]) == list(swept.index[entries] + pd.Timedelta(BAR_NS, "ns"))
        assert list(run.trades["side"]) == swept["target"].to_numpy()[entries].tolist()
    assert len(run.trades) > 30
    reasons = set(swept["reason"])
    assert {"stop", "holding limit"} <= {reason.replace("_", " ").lower() for reason in reasons}


def test_a_journal_of_the_backtest_replays_identically(prices, tmp_path):
    run = backtest_bars(frozen_pair(RULE), prices.iloc[:1500], journal=tmp_path / "journal")
    replayed = replay(tmp_path / "journal")
    assert replayed.identical, replayed.difference
    assert replayed.ended
    assert int(replayed.rooms.session[0]["n_orders"]) == run.engine.orders > 50


def test_money_adds_up(prices):
    run = backtest_bars(frozen_pair(RULE), prices.iloc[:2000], half_spread_ticks=(3, 2))
    fills = run.fills
    sign = np.where(fills["side"] == "buy", 1.0, -1.0)
    last = prices.iloc[1999]
    held = (sign * fills["qty"]).groupby(fills["symbol"]).sum()
    value = -(sign * fills["price"] * fills["qty"]).sum() - fills["fee"].sum() + sum(held[s] * last[s] for s in held.index)
    assert run.engine.net_e8 / 1e8 == pytest.approx(value, abs=1e-6)
    assert run.bars["equity"].iloc[-1] == pytest.approx(value, abs=1e-6)
    lead = fills[fills["symbol"] == "A0USDT"]
    assert lead["cost"].to_numpy() == pytest.approx(3e-4 * lead["qty"].to_numpy(), rel=1e-6)
    assert fills["fee"].to_numpy() == pytest.approx((fills["price"] * fills["qty"] * 1e-4).to_numpy(), abs=1e-8)
    assert run.returns.sum() * run.capital == pytest.approx(value, abs=1e-6)


def test_little_quantity_fills_in_parts_and_stays_hedged(prices):
    run = backtest_bars(frozen_pair(RULE), prices.iloc[:2000], lots=4000)
    assert (run.engine.fills[:, 4] <= 4000).all()
    assert int(run.engine.rooms.session[0]["n_canceled"]) > 0
    whole = backtest_bars(frozen_pair(RULE), prices.iloc[:2000])
    assert len(run.fills) > len(whole.fills)


def test_latency_delays_fills(prices):
    slow = backtest_bars(frozen_pair(RULE), prices.iloc[:2000], latency=Latency(market_data_ns=1_000, order_ns=5_000_000, answer_ns=5_000_000))
    at = slow.engine.fills[:, 0] % BAR_NS
    assert (at >= 5_001_000).all()
    again = backtest_bars(frozen_pair(RULE), prices.iloc[:2000], latency=Latency(order_ns=1, jitter_ns=500, seed=3))
    assert len(set(again.engine.fills[:, 0] % BAR_NS)) > 10


def test_risk_limits_are_the_live_ones(prices):
    run = backtest_bars(frozen_pair(RULE), prices.iloc[:1000], limits=Limits(max_order_notional=400))
    assert int(run.engine.rooms.risk[0]["n_shrunk"]) > 0
    none = backtest_bars(frozen_pair(RULE), prices.iloc[:1000], limits=Limits(max_position_lots=0))
    assert none.engine.orders == 0
    assert none.engine.vetoes > 0


def test_prices_off_the_grid_are_refused(prices):
    with pytest.raises(DataError, match="no multiple of the tick"):
        backtest_bars(frozen_pair(RULE), prices * 1.0000301)
    with pytest.raises(DataError, match="no prices of B0USDT"):
        backtest_bars(frozen_pair(RULE), prices[["A0USDT"]])


def test_parameters_can_be_varied(prices, bars):
    rule = Thresholds(window=80, entry_z=2.0, exit_z=0.25, stop_z=3.0, max_holding_bars=25)
    run = backtest_bars(with_parameters(frozen_pair(RULE), entry_z="2.0"), prices)
    assert compare_with_rule(run, bars, rule).empty
