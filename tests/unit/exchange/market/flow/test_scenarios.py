"""Scenarios: each measured on the tape against what its file and docs/simulator.md say; nothing before it begins; what was for a time goes back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pytest

from hftkit.errors import ConfigError
from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.market.flow.agents import SCALE_RATE
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.market.flow.fundamentals import advance_fundamentals
from hftkit.exchange.market.flow.scenarios import Scenario, ScenarioEvent, load_scenario, script_of, shipped_scenarios
from hftkit.exchange.market.tape import make_tape
from hftkit.exchange.market.ticks import make_ticks

CONFIG, COINS = load_config(), load_config("stablecoins")
MINUTES = 75
PARTNERS = [i for i, row in enumerate(CONFIG.instruments) if row.cointegrated is not None]
FREE = [i for i in range(len(CONFIG.instruments)) if i not in PARTNERS]


class Seen(NamedTuple):
    """`log_mid` bps, `spread` bps, `depth` lots: float64 (seconds, n). `trades`: int64 (minutes, n)."""

    log_mid: np.ndarray
    spread: np.ndarray
    depth: np.ndarray
    trades: np.ndarray

    def beside(self, other: Seen, begin: int, end: int) -> tuple[float, float, float]:
        """Mean spread, depth and number of trades over the other's, from one minute to another, all instruments."""
        rows = slice(60 * begin, 60 * end)
        spread, depth = (
            float(np.mean(a[rows].mean(axis=0) / b[rows].mean(axis=0))) for a, b in ((self.spread, other.spread), (self.depth, other.depth))
        )
        return spread, depth, float(self.trades[begin:end].sum() / other.trades[begin:end].sum())


def look(name: str, config: SimConfig = CONFIG, minutes: int = MINUTES) -> Seen:
    ticks = make_ticks(config, minutes, scenario=load_scenario(name))
    assert ((ticks.samples["bid"] == 0) | (ticks.samples["ask"] == 0)).mean() < 1e-4  # a side may be swept for a second while a peg breaks
    bid, ask = (pd.DataFrame(ticks.samples[side]).replace(0, np.nan).ffill().to_numpy() for side in ("bid", "ask"))
    assert (ask > bid).all()
    at = (ticks.trades["ts"] - config.start_ns) // 60_000_000_000
    trades = np.zeros((minutes, len(config.instruments)), np.int64)
    np.add.at(trades, (at[at < minutes], ticks.trades["instrument"][at < minutes]), 1)
    mid = (bid + ask) / 2
    return Seen(1e4 * np.log(mid), 1e4 * (ask - bid) / mid, (ticks.samples["bid_depth"] + ticks.samples["ask_depth"]) / 2.0, trades)


@pytest.fixture(scope="module")
def calm() -> Seen:
    return look("calm")


def values(minute: int) -> np.ndarray:
    """Log fundamental values of the calm market, bps."""
    flow, _ = new_market(CONFIG)
    advance_fundamentals(flow.fundamentals, flow.value_states, flow.market, flow.volatility, flow.clock, minute * 60)
    return np.asarray(1e4 * flow.fundamentals["x"])


def moved(seen: Seen, other: Seen, minute: int) -> np.ndarray:
    """Difference of the log mids, the mean over the minute's seconds, bps."""
    rows = slice(60 * minute, 60 * minute + 60)
    return np.asarray((seen.log_mid[rows] - other.log_mid[rows]).mean(axis=0))


def test_all_that_ship_are_there_and_can_be_read() -> None:
    assert {"calm", "crash", "depeg", "drought", "feed_outage", "gap", "months", "nervous", "pair_break", "trending"} == set(shipped_scenarios())
    for name in shipped_scenarios():
        scenario = load_scenario(name)
        assert scenario.name == name
        script_of(scenario, load_config(scenario.universe or None), 0)


def test_calm_is_the_market_itself_and_a_scenario_is_the_same_twice() -> None:
    plain, crash = make_tape(CONFIG, 20), load_scenario("crash")
    assert make_tape(CONFIG, 20, scenario=load_scenario("calm")).tobytes() == plain.tobytes()
    fallen = make_tape(CONFIG, 20, scenario=crash)
    assert fallen.tobytes() == make_tape(CONFIG, 20, scenario=crash).tobytes()
    assert np.array_equal(fallen[:, :10], plain[:, :10])
    assert not np.array_equal(fallen[:, 10:], plain[:, 10:])


def test_trending_rises_by_three_percent_over_an_hour(calm: Seen) -> None:
    seen = look("trending")
    for minute, share in ((35, 0.5), (70, 1.0)):
        assert moved(seen, calm, minute)[FREE] == pytest.approx(share * 1e4 * np.log(1.03), abs=6)
    assert seen.beside(calm, 6, 65)[2] == pytest.approx(1.5, rel=0.08)


def test_a_crash_falls_widens_thins_trades_and_gives_a_third_back(calm: Seen) -> None:
    """Volatility times 4 on the same random numbers: thrice the calm market's own move of those ten minutes comes on top."""
    seen = look("crash")
    fall, back = 1e4 * np.log(0.92), 1e4 * np.log(1.027)
    wild = 3.0 * (values(20) - values(10))
    assert moved(seen, calm, 11)[FREE].mean() == pytest.approx(fall + 3.0 * (values(11) - values(10))[FREE].mean(), abs=25)
    assert moved(seen, calm, 35)[FREE] == pytest.approx((fall + back + wild)[FREE], abs=12)
    for i in PARTNERS:
        pair = CONFIG.instruments[i].cointegrated
        assert pair is not None
        assert moved(seen, calm, 70)[i] == pytest.approx(pair.hedge_ratio * moved(seen, calm, 70)[CONFIG.symbols.index(pair.hedge)], abs=90)
    spread, depth, trades = seen.beside(calm, 11, 20)
    assert 3.0 < spread < 5.0
    assert depth == pytest.approx(0.26, abs=0.06)
    assert 5.0 < trades < 9.0
    assert seen.beside(calm, 25, MINUTES) == pytest.approx((1.0, 1.0, 1.0), abs=0.1)


def test_a_gap_is_one_jump_between_two_seconds(calm: Seen) -> None:
    seen = look("gap")
    flow, _ = new_market(CONFIG, scenario=load_scenario("gap"))
    assert {int(row[0]) for row in flow.script if row[1] == 0} == {600}
    before, after = seen.log_mid[590:599].mean(axis=0), seen.log_mid[606:615].mean(axis=0)
    assert (after - before)[FREE] == pytest.approx(1e4 * np.log(0.975), abs=15)
    assert moved(seen, calm, 70)[FREE] == pytest.approx(1e4 * np.log(0.975), abs=6)
    assert seen.beside(calm, 10, 12)[0] > 1.7
    assert seen.beside(calm, 15, MINUTES) == pytest.approx((1.0, 1.0, 1.0), abs=0.1)


def test_a_drought_is_silent_wide_and_thin_and_then_over(calm: Seen) -> None:
    seen = look("drought")
    spread, depth, trades = seen.beside(calm, 12, 40)
    assert spread == pytest.approx(4.2, abs=0.8)
    assert depth == pytest.approx(0.10, abs=0.03)
    assert trades == pytest.approx(0.18, abs=0.05)
    assert moved(seen, calm, 70) == pytest.approx(0.0, abs=6)
    assert seen.beside(calm, 45, MINUTES) == pytest.approx((1.0, 1.0, 1.0), abs=0.1)


def test_small_quantities_come_back_after_a_drought() -> None:
    """Largest order two lots: a tenth of that is still one, and afterwards it is two again, not ten or twenty."""
    config = load_config("binance")
    config = msgspec.structs.replace(config, flow=msgspec.structs.replace(config.flow, max_quote_notional="26"))
    assert config.instruments[0].lots_for("26") == 2
    event = ScenarioEvent(at_minute=1, quantity=0.1, for_minutes=1)
    trades = make_ticks(config, 3, scenario=Scenario(name="x", events=(event,))).trades
    mine = trades[trades["instrument"] == 0]
    minute = (mine["ts"] - config.start_ns) // 60_000_000_000
    assert [int(mine["qty"][minute == m].max()) for m in (0, 2)] == [2, 2]
    assert set(mine["qty"][(minute == 1) & (mine["ts"] > config.start_ns + 100 * 10**9)]) == {1}


@pytest.fixture(scope="module")
def depeg() -> tuple[Seen, Seen]:
    return look("calm", COINS, 100), look("depeg", COINS, 100)


def test_stablecoins_stand_at_par_with_the_deviation_and_half_life_of_their_peg() -> None:
    flow, _ = new_market(COINS, 4)
    rows = np.empty((60_000, 5))
    for m in range(len(rows)):
        advance_fundamentals(flow.fundamentals, flow.value_states, flow.market, flow.volatility, flow.clock, (m + 1) * 60)
        rows[m] = flow.fundamentals["x"]
    for i, row in enumerate(COINS.instruments[:3]):
        assert row.start_ticks * float(row.tick_size) == pytest.approx(1.0)
        peg = row.pegged
        assert peg is not None
        u = 1e4 * rows[:, i]
        rho = float(u[1:] @ u[:-1] / (u[:-1] @ u[:-1]))
        truth = 2.0 ** (-1.0 / peg.half_life_minutes)
        assert abs(rho - truth) < 3 * np.sqrt((1 - truth**2) / len(u))
        assert u.std() == pytest.approx(peg.spread_sd_bps, rel=0.08)
        assert abs(u.mean()) < 0.15 * peg.spread_sd_bps


def test_the_coarse_coin_trades_at_one_tick_of_spread_and_the_fine_one_below_it(depeg: tuple[Seen, Seen]) -> None:
    calm, _ = depeg
    ticks_wide = calm.spread[:, 0]
    assert (ticks_wide < 1.5).mean() > 0.8
    assert calm.spread[:, 1].mean() < 0.8
    assert np.abs(calm.log_mid - 1e4 * np.log([row.start_ticks for row in COINS.instruments]))[:, :3].max() < 40


def test_the_depeg_goes_the_way_of_march_2023_and_takes_nobody_along(depeg: tuple[Seen, Seen]) -> None:
    """The points that configs/scenarios/depeg.toml names; the deviation round them has 30 times its usual 2 bps for 52 minutes, then dies away."""
    calm, seen = depeg
    price = np.exp(seen.log_mid[:, 0] / 1e4) * 1e-4
    for minute, expected in ((13, 0.990), (21, 0.905), (35.5, 0.955), (38.5, 0.98), (46, 0.96), (62, 0.99)):
        at = int(60 * minute)
        assert price[at : at + 60].mean() == pytest.approx(expected, abs=0.012), minute
    assert price[95 * 60 :].mean() == pytest.approx(1.0, abs=0.004)
    assert np.abs(moved(seen, calm, 21)[1:]).max() < 6
    assert np.abs(moved(seen, calm, 60)[1:]).max() < 6
    rows = slice(15 * 60, 55 * 60)
    assert seen.spread[rows, 0].mean() > 5.0 * calm.spread[rows, 0].mean()
    assert seen.depth[rows, 0].mean() < 0.3 * calm.depth[rows, 0].mean()
    assert seen.trades[15:55, 0].sum() > 1.4 * calm.trades[15:55, 0].sum()
    assert seen.spread[80 * 60 :, 0].mean() < 1.3 * calm.spread[80 * 60 :, 0].mean()


def test_a_passing_move_of_a_coin_comes_back_by_its_half_life() -> None:
    """Not lasting: the deviation takes it, half is left after 30 minutes."""
    flow, _ = new_market(COINS, scenario=Scenario(name="x", events=(ScenarioEvent(at_minute=1, symbols=("XUSDUSD",), move_bps=-500),)))
    assert [row[1:3].tolist() for row in flow.script] == [[0.0, 0.0]]
    persistence = flow.fundamentals["persistence"][0]
    assert persistence**1800 == pytest.approx(0.5)


def test_a_broken_pair_stays_apart_and_the_others_do_not_notice(calm: Seen) -> None:
    seen = look("pair_break")
    assert moved(seen, calm, 25)[1] == pytest.approx(-100, abs=12)
    assert moved(seen, calm, 70)[1] == pytest.approx(1e4 * np.log(0.98), abs=6)
    assert np.abs(np.delete(moved(seen, calm, 70), 1)).max() < 6


def test_a_feed_outage_leaves_the_market_alone_and_stops_the_feed() -> None:
    outage = load_scenario("feed_outage")
    assert make_tape(CONFIG, 10, scenario=outage).tobytes() == make_tape(CONFIG, 10).tobytes()
    assert [(step.after_s, dict(step.set)) for step in outage.faults.script] == [
        (5.0, {"feed.freeze_ms": 3000}),
        (12.0, {"feed.drop_ppm": 5000}),
        (15.0, {"feed.drop_ppm": 0}),
    ]


def test_what_is_for_a_time_goes_back() -> None:
    event = ScenarioEvent(at_minute=1, rate=3.0, spread=2.0, maker_share=0.5, for_minutes=2)
    rows = script_of(Scenario(name="x", events=(event,)), CONFIG, 600)
    first = rows[rows[:, 2] == 0]
    assert first[:, 0].tolist() == [660, 660, 660, 780, 780, 780]
    assert first[first[:, 1] == SCALE_RATE][:, 3].prod() == 1.0
    assert first[-1, 3] == CONFIG.flow.maker_share


def test_events_may_stand_in_any_order() -> None:
    early, late = ScenarioEvent(at_minute=1, rate=2.0), ScenarioEvent(at_minute=3, move_bps=50)
    a, b = (make_tape(CONFIG, 5, scenario=Scenario(name="x", events=events)) for events in ((early, late), (late, early)))
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[events]]\nat_minute = 1\n[[events]]\nat_minute = -5", "Expected `float` >= 0.0, events[1].at_minute is -5"),
        ("[[events]]\nat_minute = nan", "events[0].at_minute is nan"),
        ("[[events]]\nat_minute = 1\nrate = 0", "Expected `float` >= 0.001, events[0].rate is 0"),
        ("[[events]]\nat_minute = 1\nmove_bps = -9950", "events[0].move_bps is -9950"),
        ("[[events]]\nat_minute = 1\nvolatility = inf", "Expected `float` <= 100.0, events[0].volatility is inf"),
        ("[[events]]\nat_minute = 1\nbogus = 2", "events[0]: Object contains unknown field `bogus`, allowed are at_minute"),
        ("[[events]]\nmove_bps = 2", "missing required field `at_minute`"),
        ("[[event]]\nat_minute = 1", "unknown field `event`"),
        ("events = 3", "Expected `array`, got `int`, events is 3"),
        ("[faults.feed]\ndrop_ppm = -1", "feed.drop_ppm is -1"),
        ("name = ", "is not TOML"),
    ],
)
def test_a_bad_scenario_is_refused_with_key_value_and_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "story.toml"
    path.write_text(f'name = "x"\n{text}\n')
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_scenario(path)


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no scenario apocalypse"):
        load_scenario("apocalypse")
    with pytest.raises(ConfigError, match=r"names NOPE, which the universe sample does not have.*BRAVUSD.*or --config"):
        script_of(Scenario(name="x", events=(ScenarioEvent(at_minute=0, symbols=("NOPE",)),)), CONFIG, 0)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(ConfigError, match=r"is not TOML.*UTF-8"):
        load_scenario(tmp_path / "latin.toml")
