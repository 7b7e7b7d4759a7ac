"""Sweep, event-driven backtest and replay are one thing: same targets bar by bar, same bits of the spread, same bytes of the orders."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest

from hftkit.backtest.run import Depth, Latency, with_parameters
from hftkit.errors import DataError
from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams, LegPlan, text_of
from hftkit.session.engine_state import Limits
from hftkit.session.replay import replay
from hftkit.strategies.pairs import tail_bars
from research.backtest.event_backtest import backtest_bars, backtest_many_bars, compare_with_rule
from research.pairs.costs import NO_COSTS, Costs
from research.pairs.reversion_model import train
from research.pairs.strategy_optimizer import Gate, Grid, PairBars, Thresholds, run_rule, sweep
from research.report.tear_sheet import cost_split

BAR_NS = 60_000_000_000
RATIO = 0.8123456789
TICKS = (1e-4, 1e-4)
RULE = Thresholds(window=80, entry_z=1.5, exit_z=0.25, stop_z=3.0, max_holding_bars=25)  # short enough for stops and holding limits


def frozen_pair(rule: Thresholds, gate: Gate | None = None, tail: tuple[str, ...] = ()) -> FrozenParams:
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
            "zscore": rule.zscore,
            **({"confidence": text_of(gate.confidence)} if gate else {}),
        },
        arrays={"spread_tail": tail, **({"reversion_trees": tuple(text_of(word) for word in gate.table)} if gate else {})},
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
    for rule in (winner, replace(RULE, window=30, zscore="ewma"), replace(RULE, window=30, zscore="kalman"), RULE):
        run = backtest_bars(frozen_pair(rule), prices)
        assert compare_with_rule(run, bars, rule).empty
        assert run.bars["spread"].to_numpy().tobytes() == bars.spread.tobytes()
        z = bars.z(rule.window, rule.zscore)
        finite = np.isfinite(z)
        assert (run.bars["zscore"].to_numpy()[finite] == z[finite]).all()
        swept = run_rule(bars, rule, NO_COSTS).frame
        entries = np.flatnonzero(np.diff(swept["target"].to_numpy(), prepend=0) * swept["target"].to_numpy() > 0)
        assert list(run.trades["entry"]) == list(swept.index[entries] + pd.Timedelta(BAR_NS, "ns"))
        assert list(run.trades["side"]) == swept["target"].to_numpy()[entries].tolist()
    assert len(run.trades) > 30
    reasons = set(swept["reason"])
    assert {"stop", "holding limit"} <= {reason.replace("_", " ").lower() for reason in reasons}


@pytest.mark.parametrize("zscore", ["rolling", "kalman"])
def test_a_reversion_gate_filters_the_same_entries_in_sweep_backtest_and_replay(prices, bars, tmp_path, zscore):
    rule = replace(RULE, window=40, entry_z=1.0, zscore=zscore)
    gate = train(bars, rule, slice(0, 2000), trees=10).gate(0.55)
    swept, free = run_rule(bars, rule, NO_COSTS, gate=gate), run_rule(bars, rule, NO_COSTS)
    assert 10 < swept.trades < free.trades
    run = backtest_bars(frozen_pair(rule, gate), prices, journal=tmp_path / "journal")
    assert compare_with_rule(run, bars, rule, gate).empty
    assert len(run.trades) == swept.trades
    assert replay(tmp_path / "journal").identical


def test_a_frozen_tail_makes_every_kind_of_zscore_and_the_gate_ready_at_once(prices, bars):
    """The window and the memory of z-scores rebuilt from a frozen tail hold the bits of a session that saw all the bars."""
    cut = 2500
    for zscore in ("rolling", "ewma", "kalman"):
        rule = replace(RULE, window=40, entry_z=1.0, zscore=zscore)
        gate = train(bars, rule, slice(0, 2000), trees=10).gate(0.55)
        tail = tuple(text_of(x) for x in bars.spread[cut - tail_bars(zscore, 40, True) : cut])
        frozen = with_parameters(frozen_pair(rule, gate, tail), tail_end_ns=int(prices.index[cut].value))
        late = backtest_bars(frozen, prices.iloc[cut:])
        assert (late.bars["zscore"].to_numpy() == bars.z(40, zscore)[cut:]).all()
        expected = run_rule(bars, rule, NO_COSTS, slice(cut, None), gate).frame["target"].to_numpy()
        assert (late.bars["target"].to_numpy() == expected).all()
        assert late.engine.orders > 0


def test_a_journal_of_the_backtest_replays_identically(prices, tmp_path):
    run = backtest_bars(frozen_pair(RULE), prices.iloc[:1500], journal=tmp_path / "journal")
    replayed = replay(tmp_path / "journal")
    assert replayed.identical, replayed.difference
    assert replayed.ended
    assert int(replayed.rooms.session[0]["n_orders"]) == run.engine.orders > 50


@pytest.fixture(scope="module")
def level_prices(prices) -> pd.DataFrame:
    """A pair whose prices, not their logs, are cointegrated: 40 + RATIO times the hedge + a spread of half-life 14 bars; another tick for each."""
    rng = np.random.default_rng(5)
    hedge, spread = prices["B0USDT"].round(2), np.zeros(len(prices))
    for t, shock in enumerate(rng.normal(size=len(prices) - 1) * 0.004 * float(hedge.mean())):
        spread[t + 1] = 0.95 * spread[t] + shock
    return pd.DataFrame({"A0USDT": (40.0 + RATIO * hedge + spread).round(4), "B0USDT": hedge})


def frozen_levels(rule: Thresholds, tail: tuple[str, ...] = ()) -> FrozenParams:
    frozen = with_parameters(frozen_pair(rule, tail=tail), spread="levels")
    lead, hedge = frozen.instruments
    legs = msgspec.structs.replace(frozen.legs, unit_lead_lots=10_000, unit_hedge_lots=-8_123)  # RATIO units of the hedge a unit of the lead
    return msgspec.structs.replace(frozen, instruments=(lead, msgspec.structs.replace(hedge, tick_size="0.01")), legs=legs)


@pytest.mark.parametrize("zscore", ["rolling", "kalman"])
def test_a_pair_of_levels_trades_alike_in_sweep_backtest_and_replay(level_prices, tmp_path, zscore):
    bars = PairBars(level_prices["A0USDT"], level_prices["B0USDT"], RATIO, BAR_NS, (1e-4, 1e-2), log=False)
    np.testing.assert_allclose(bars.spread, level_prices["A0USDT"] - RATIO * level_prices["B0USDT"], rtol=1e-12, atol=1e-10)
    grid = Grid(windows=(30, 60), entries=(1.5, 2.0), exits=(0.0,), stops=(3.0,), max_holding_bars=40, zscores=(zscore,))
    rule = sweep(bars, grid, NO_COSTS).chosen
    swept = run_rule(bars, rule, NO_COSTS)
    run = backtest_bars(frozen_levels(rule), level_prices, journal=tmp_path / "journal")
    assert compare_with_rule(run, bars, rule).empty
    assert run.bars["spread"].to_numpy().tobytes() == bars.spread.tobytes()
    assert len(run.trades) == swept.trades > 20
    targets = swept.frame["target"].to_numpy()
    entries = np.flatnonzero(np.diff(targets, prepend=0) * targets > 0)
    assert list(run.trades["entry"]) == list(swept.frame.index[entries] + pd.Timedelta(BAR_NS, "ns"))
    assert list(run.trades["side"]) == targets[entries].tolist()
    replayed = replay(tmp_path / "journal")
    assert replayed.identical, replayed.difference
    assert int(replayed.rooms.session[0]["n_orders"]) == run.engine.orders > 40


def test_a_unit_of_levels_earns_the_change_of_its_spread(level_prices):
    """Fixed quantities: what the engine earns before costs is the change of the spread, bar by bar, times the quantity; so is the sweep's return."""
    bars = PairBars(level_prices["A0USDT"], level_prices["B0USDT"], RATIO, BAR_NS, (1e-4, 1e-2), log=False)
    rule = replace(RULE, window=30)
    run = backtest_bars(frozen_levels(rule), level_prices)
    held = run.bars["target"].to_numpy()
    earned = 10.0 * float(held[:-1] @ (np.diff(level_prices["A0USDT"]) - 0.8123 * np.diff(level_prices["B0USDT"])))
    paid = float(run.fills["fee"].sum() + run.fills["cost"].sum())
    assert run.bars["equity"].iloc[-1] == pytest.approx(earned - paid, abs=1e-6)
    assert (bars.step[1:] * level_prices["A0USDT"].to_numpy()[:-1]) == pytest.approx(np.diff(bars.spread), abs=1e-9)
    costs = Costs(fee_ppm=100.0, half_spread_bps=0.0, slippage_bps=0.0)
    ratio = bars.money_ratio(slice(0, 500))
    assert ratio == pytest.approx(float((RATIO * level_prices["B0USDT"] / level_prices["A0USDT"])[:500].mean()))
    gross, net = run_rule(bars, rule, NO_COSTS, slice(0, 500)), run_rule(bars, rule, costs, slice(0, 500))
    assert gross.net - net.net == pytest.approx(net.turnover * 1e-4 * (1.0 + ratio))


def test_a_frozen_tail_of_levels_makes_the_strategy_ready_at_once(level_prices):
    bars, cut = PairBars(level_prices["A0USDT"], level_prices["B0USDT"], RATIO, BAR_NS, (1e-4, 1e-2), log=False), 2500
    tail = tuple(text_of(x) for x in bars.spread[cut - tail_bars("rolling", RULE.window, False) : cut])
    frozen = with_parameters(frozen_levels(RULE, tail), tail_end_ns=int(level_prices.index[cut].value))
    late = backtest_bars(frozen, level_prices.iloc[cut:])
    assert (late.bars["zscore"].to_numpy() == bars.z(RULE.window)[cut:]).all()


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


def test_size_moves_the_price_level_by_level(prices):
    """A unit of 10,000 lots meets 1,000 lots at the touch, then 3,000, 5,000, 7,000: the law of the square root, a fill a level."""
    rule, part = frozen_pair(RULE), prices.iloc[:1000]
    run = backtest_bars(rule, part, lots=1000, depth=Depth(levels=8))
    first = run.fills.iloc[:4]
    assert (first["symbol"] == "A0USDT").all()
    assert (first["qty"] * 1000).round().tolist() == [1000, 3000, 5000, 1000]
    sign = 1 if first["side"].iloc[0] == "buy" else -1
    assert (sign * (first["price"] - first["price"].iloc[0]) / 1e-4).round().tolist() == [0, 1, 2, 3]
    assert first["slippage"].sum() == pytest.approx((3000 * 1 + 5000 * 2 + 1000 * 3) * 1e-3 * 1e-4, rel=1e-6)
    small = cost_split(backtest_bars(rule, part, depth=Depth(levels=8)))
    large = cost_split(run)
    assert small["slippage"] == pytest.approx(0.0, abs=1e-9) and large["slippage"] > 0.0  # noqa: PT018 - one comparison of two runs
    assert large[["fees", "crossing", "slippage", "funding", "net"]].sum() == pytest.approx(large["gross"], abs=1e-9)
    with pytest.raises(DataError, match="is no book"):
        Depth(levels=0)


def test_funding_is_paid_on_what_is_held(prices):
    times = prices.index[100::480]
    rates = pd.DataFrame({"A0USDT": 1e-3, "B0USDT": -2e-3}, index=times)
    free, paid = (backtest_bars(frozen_pair(RULE), prices, funding=one) for one in (None, rates))
    assert (paid.engine.fills == free.engine.fills).all()  # the engine trades as before
    expected = 0.0
    for time in times:
        for symbol, rate in (("A0USDT", 1e-3), ("B0USDT", -2e-3)):
            own = free.fills[(free.fills["symbol"] == symbol) & (free.fills.index < time)]
            held = sum(qty if side == "buy" else -qty for side, qty in zip(own["side"], own["qty"], strict=True))
            expected += held * prices[symbol].loc[time - pd.Timedelta(BAR_NS, "ns")] * rate
    assert len(paid.funding) > 1
    assert paid.funding["paid"].sum() == pytest.approx(expected, abs=1e-8 * len(paid.funding))  # each is rounded down to 1e-8
    ledger = paid.engine.rooms.ledger
    assert ledger["funding_e8"].sum() / 1e8 == pytest.approx(paid.funding["paid"].sum(), abs=1e-12)
    assert paid.engine.rooms.risk[0]["equity_e8"] == paid.engine.net_e8 == free.engine.net_e8 - ledger["funding_e8"].sum()
    assert free.bars["equity"].iloc[-1] - paid.bars["equity"].iloc[-1] == pytest.approx(expected, abs=1e-6)
    assert cost_split(paid)["funding"] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(DataError, match="funding rates need"):
        backtest_bars(frozen_pair(RULE), prices, funding=rates.tz_localize(None))


def test_many_parameter_sets_in_processes_are_the_same_runs(prices):
    sets = [with_parameters(frozen_pair(RULE), entry_z=text_of(entry)) for entry in (1.5, 2.0)]
    apart = [run.engine.digest for run in backtest_many_bars(sets, prices.iloc[:800], processes=2)]
    assert apart == [backtest_bars(one, prices.iloc[:800]).engine.digest for one in sets]
    assert apart[0] != apart[1]
