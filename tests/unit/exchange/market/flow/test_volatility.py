"""Stochastic volatility: the moments that its formulas promise, the same again from the same seed, and nothing at all while it is off."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from hftkit.exchange.config import SimConfig, VolatilityConfig, load_config
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.market.flow.fundamentals import advance_fundamentals
from hftkit.exchange.market.flow.scenarios import load_scenario
from hftkit.exchange.market.tape import make_tape
from research.market.stylised_facts import facts_of_prices

CONFIG = load_config()
WEATHER = VolatilityConfig(fast_sd=0.4, slow_sd=0.3, fast_half_life_minutes=5.0, slow_half_life_minutes=30.0, common_share=0.4)


def factors(config: SimConfig, minutes: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """(log factor of every stream, log value of every instrument) at each minute."""
    flow, _ = new_market(config, seed)
    logs, values = np.empty((minutes, len(flow.volatility.factors))), np.empty((minutes, len(flow.fundamentals)))
    for m in range(minutes):
        advance_fundamentals(flow.fundamentals, flow.value_states, flow.market, flow.volatility, flow.clock, (m + 1) * 60)
        logs[m], values[m] = np.log(flow.volatility.factors), flow.fundamentals["x"]
    return logs, values


@pytest.fixture(scope="module")
def long_run() -> tuple[np.ndarray, np.ndarray]:
    return factors(msgspec.structs.replace(CONFIG, volatility=WEATHER), 20_000)


def test_the_factors_have_the_configured_variance_mean_persistence_and_common_share(long_run: tuple[np.ndarray, np.ndarray]) -> None:
    logs, _ = long_run
    total = WEATHER.fast_sd**2 + WEATHER.slow_sd**2
    assert np.mean(np.exp(2 * logs)) == pytest.approx(1.0, rel=0.05)
    assert np.mean(np.var(logs, axis=0)) == pytest.approx(total, rel=0.08)
    assert np.mean(logs) == pytest.approx(-total, abs=0.05)
    centred = logs - logs.mean(axis=0)
    for lag in (1, 10, 60):
        seen = np.mean([c[lag:] @ c[:-lag] / (len(c) - lag) for c in centred.T])
        expected = WEATHER.fast_sd**2 * 2 ** (-lag / 5.0) + WEATHER.slow_sd**2 * 2 ** (-lag / 30.0)
        assert seen == pytest.approx(expected, abs=0.025)
    between = np.corrcoef(logs[:, :-1].T)[np.triu_indices(len(CONFIG.instruments), 1)]
    assert between.mean() == pytest.approx(WEATHER.common_share, abs=0.06)


def test_the_values_keep_their_volatility_on_average(long_run: tuple[np.ndarray, np.ndarray]) -> None:
    _, values = long_run
    for i, instrument in enumerate(CONFIG.instruments):
        if instrument.cointegrated is None:
            expected = np.hypot(instrument.annual_volatility, instrument.market_beta * CONFIG.market_annual_volatility) / np.sqrt(365 * 1440)
            assert np.diff(values[:, i]).std() == pytest.approx(expected, rel=0.08)


def test_off_is_exactly_the_market_without_it() -> None:
    logs, _ = factors(CONFIG, 50)
    assert (logs == 0.0).all()
    half = msgspec.structs.replace(CONFIG, volatility=VolatilityConfig(fast_half_life_minutes=3.0, common_share=0.1))
    assert make_tape(half, 15).tobytes() == make_tape(CONFIG, 15).tobytes()


def test_nervous_prices_have_fat_tails_and_cluster_and_the_same_seed_is_the_same_tape() -> None:
    nervous = load_scenario("nervous")
    tape, plain = make_tape(CONFIG, 3000, scenario=nervous), make_tape(CONFIG, 3000)
    assert make_tape(CONFIG, 30, scenario=nervous).tobytes() == tape[:, :30].tobytes()
    wild, calm = ([facts_of_prices(row) for row in t["close"]] for t in (tape, plain))
    assert np.median([f.excess_kurtosis for f in wild]) > 1.5 > 0.3 > np.median([abs(f.excess_kurtosis) for f in calm])
    assert np.median([f.clustering for f in wild]) > 0.08 > 0.02 > np.median([abs(f.clustering) for f in calm])
