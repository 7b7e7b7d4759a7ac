"""Scenarios and self-exciting, trend-following flow: what they do to the tape, and that nothing moves without them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from hftkit.errors import ConfigError
from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.flow.scenarios import Scenario, ScenarioEvent, load_scenario, script_of, shipped_scenarios
from hftkit.exchange.tape import make_tape
from hftkit.exchange.ticks import make_ticks

CONFIG = load_config()
MINUTES = 40


@pytest.fixture(scope="module")
def calm() -> np.ndarray:
    return make_tape(CONFIG, MINUTES)


def moved(tape: np.ndarray, other: np.ndarray, minute: int) -> np.ndarray:
    """Difference of the log close of every instrument from the calm market's, in bps."""
    return 1e4 * (np.log(tape["close"][:, minute]) - np.log(other["close"][:, minute]))


def test_all_that_ship_are_there_and_can_be_read() -> None:
    assert {"calm", "crash", "depeg", "drought", "feed_outage", "gap", "nervous", "trending"} == set(shipped_scenarios())
    for name in shipped_scenarios():
        assert load_scenario(name).name == name
        script_of(load_scenario(name), CONFIG, 0)


def test_calm_is_the_market_itself_and_a_scenario_is_the_same_twice(calm: np.ndarray) -> None:
    assert np.array_equal(make_tape(CONFIG, MINUTES, scenario=load_scenario("calm")), calm)
    crash = load_scenario("crash")
    assert make_tape(CONFIG, MINUTES, scenario=crash).tobytes() == make_tape(CONFIG, MINUTES, scenario=crash).tobytes()


def test_a_crash_falls_widens_and_trades_and_nothing_happened_before(calm: np.ndarray) -> None:
    tape = make_tape(CONFIG, MINUTES, scenario=load_scenario("crash"))
    assert np.array_equal(tape[:, :10], calm[:, :10])
    fall = moved(tape, calm, 13)
    expected = 1e4 * np.log(0.92)
    assert fall[0] == pytest.approx(expected, abs=120)
    pair = CONFIG.instruments[1].cointegrated
    assert pair is not None
    assert fall[1] == pytest.approx(pair.hedge_ratio * expected, abs=120)  # the partner goes with its hedge
    assert tape["n_trades"][:, 10:18].sum() > 2 * calm["n_trades"][:, 10:18].sum()


def test_a_gap_is_one_jump_and_a_drought_is_silence(calm: np.ndarray) -> None:
    gap = make_tape(CONFIG, MINUTES, scenario=load_scenario("gap"))
    assert moved(gap, calm, 11)[0] == pytest.approx(1e4 * np.log(0.975), abs=40)
    drought = make_tape(CONFIG, MINUTES, scenario=load_scenario("drought"))
    assert drought["n_trades"][:, 12:38].sum() < 0.4 * calm["n_trades"][:, 12:38].sum()


def test_a_depeg_touches_its_own_symbol_only(calm: np.ndarray) -> None:
    move = moved(make_tape(CONFIG, MINUTES, scenario=load_scenario("depeg")), calm, 25)
    assert move[11] == pytest.approx(1e4 * np.log(0.8), abs=500)  # three deviations of 15 minutes at six times the volatility
    assert np.abs(move[:11]).max() < 40


def test_what_is_for_a_time_goes_back() -> None:
    event = ScenarioEvent(at_minute=1, rate=3.0, spread=2.0, maker_share=0.5, for_minutes=2)
    rows = script_of(Scenario(name="x", events=(event,)), CONFIG, 600)
    first = rows[rows[:, 2] == 0]
    assert first[:, 0].tolist() == [660, 660, 660, 780, 780, 780]
    assert first[first[:, 1] == 2][:, 3].prod() == 1.0
    assert first[-1, 3] == CONFIG.flow.maker_share


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="no scenario apocalypse"):
        load_scenario("apocalypse")
    with pytest.raises(ConfigError, match="names NOPE"):
        script_of(Scenario(name="x", events=(ScenarioEvent(at_minute=0, symbols=("NOPE",)),)), CONFIG, 0)


def per_minute(**flow: float) -> np.ndarray:
    """Trades by minute of a market with these flow settings, all instruments, int64 (n, minutes)."""
    config = msgspec.structs.replace(CONFIG, flow=msgspec.structs.replace(CONFIG.flow, **flow))
    return make_tape(config, 240)["n_trades"]


def test_hawkes_arrivals_keep_the_rate_and_cluster() -> None:
    poisson, hawkes = per_minute(), per_minute(branching_ratio=0.8, excitation_half_life_s=1.0)
    assert hawkes.mean() == pytest.approx(poisson.mean(), rel=0.12)
    assert (hawkes.var(axis=1) / hawkes.mean(axis=1)).mean() > 2.0 * (poisson.var(axis=1) / poisson.mean(axis=1)).mean()


def signs_after_a_move(config: SimConfig) -> float:
    """Correlation of a trade's side with the direction of the mid over the 30 seconds before it, the mean over the instruments."""
    ticks = make_ticks(config, 120)
    found = []
    for i in range(len(config.instruments)):
        trades = ticks.trades[ticks.trades["instrument"] == i]
        second = (trades["ts"] - config.start_ns) // 1_000_000_000
        trades, second = trades[second > 40], second[second > 40]
        mid = (ticks.samples["bid"][:, i] + ticks.samples["ask"][:, i]) / 2
        found.append(np.corrcoef(1 - 2 * trades["side"], np.sign(mid[second - 1] - mid[second - 31]))[0, 1])
    return float(np.mean(found))


def test_momentum_traders_buy_after_a_rise_and_sell_after_a_fall() -> None:
    base = msgspec.structs.replace(CONFIG, flow=msgspec.structs.replace(CONFIG.flow, maker_share=0.8))
    followers = msgspec.structs.replace(base, flow=msgspec.structs.replace(base.flow, momentum_share=0.15))
    assert abs(signs_after_a_move(base)) < 0.1
    assert signs_after_a_move(followers) > 0.4
