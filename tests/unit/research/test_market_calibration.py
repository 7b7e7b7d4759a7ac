"""A market made like a given one has its volatilities and correlations; stylised facts against scipy, statsmodels and known distributions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.tsa.stattools import acf

from hftkit.errors import DataError
from hftkit.exchange.config import load_config
from hftkit.exchange.tape import make_tape
from research.data_loader import load_panel
from research.instruments import find_instruments
from research.market_like import calibrate_market, efficient_covariance, write_config
from research.stylised_facts import (
    autocorrelation,
    distribution,
    excess_kurtosis,
    facts_of_prices,
    hill_index,
    order_flow_autocorrelation,
    roll_spread,
)

SAMPLE = Path(__file__).parents[3] / "data" / "sample" / "1m"
ALONE = [config.symbol for config in load_config().instruments[6:]]


def test_a_calibrated_market_has_the_volatilities_and_correlations_of_its_model(tmp_path: Path) -> None:
    panel = load_panel(SAMPLE, ALONE)
    instruments, _ = find_instruments(SAMPLE, panel.closes)
    made = calibrate_market(panel, instruments)
    truth = {config.symbol: config for config in load_config().instruments}
    market = load_config().market_annual_volatility
    for row in made.instruments:
        true = truth[row.symbol]
        assert row.market_beta * made.market_annual_volatility == pytest.approx(true.market_beta * market, rel=0.12)
        assert row.annual_volatility == pytest.approx(true.annual_volatility, rel=0.12)
    path = write_config(made, tmp_path / "market.toml")
    assert load_config(path) == made
    tape = make_tape(made, 2000)
    again = efficient_covariance(np.diff(np.log(tape["close"]).T, axis=0))
    given = efficient_covariance(np.diff(np.log(panel.closes[ALONE].to_numpy()), axis=0))
    assert np.diag(again) ** 0.5 == pytest.approx(np.diag(given) ** 0.5, rel=0.15)
    assert np.corrcoef(again[np.triu_indices(6, 1)], given[np.triu_indices(6, 1)])[0, 1] > 0.6


def test_two_symbols_identify_no_factor() -> None:
    panel = load_panel(SAMPLE, ALONE[:2])
    instruments, _ = find_instruments(SAMPLE, panel.closes)
    with pytest.raises(DataError, match="do not identify a common factor"):
        calibrate_market(panel, instruments)


def test_moments_and_autocorrelation_equal_scipy_and_statsmodels() -> None:
    values = np.random.default_rng(1).standard_t(5, 3000)
    assert excess_kurtosis(values) == pytest.approx(stats.kurtosis(values))
    assert autocorrelation(values, 20) == pytest.approx(acf(values, nlags=20, fft=False)[1:])
    assert np.isnan(autocorrelation(np.ones(9), 2)).all()
    assert np.isnan(excess_kurtosis(np.ones(9)))


@pytest.mark.parametrize("exponent", [2.0, 3.0, 4.0])
def test_hill_finds_the_exponent_of_a_pareto_tail(exponent: float) -> None:
    random = np.random.default_rng(2)
    sample = (1.0 + random.pareto(exponent, 50_000)) * random.choice([-1, 1], 50_000)
    assert hill_index(sample) == pytest.approx(exponent, rel=0.08)


def test_roll_finds_the_spread_of_a_bouncing_price() -> None:
    random = np.random.default_rng(3)
    value = np.cumsum(0.0002 * random.standard_normal(40_000))
    assert roll_spread(value + 0.0005 * random.choice([-1, 1], 40_000)) == pytest.approx(0.001, rel=0.05)
    assert roll_spread(np.linspace(0, 1, 50) ** 2) == 0.0


def test_facts_tell_clustered_from_plain_returns() -> None:
    random = np.random.default_rng(4)
    level = np.zeros(20_000)
    for i in range(1, level.size):
        level[i] = 0.98 * level[i - 1] + 0.15 * random.standard_normal()
    plain, clustered = (facts_of_prices(100 * np.exp(np.cumsum(1e-3 * np.exp(s) * random.standard_normal(level.size)))) for s in (0 * level, level))
    assert abs(plain.clustering) < 0.01
    assert clustered.clustering > 0.1
    assert clustered.excess_kurtosis > 2 > 0.3 > abs(plain.excess_kurtosis)
    assert clustered.hill_index < plain.hill_index


def test_order_flow_and_distributions() -> None:
    assert order_flow_autocorrelation(np.tile([0, 0, 1, 1], 100), 2) == pytest.approx([0.0, -1.0], abs=0.02)
    assert distribution(np.arange(101.0))["median"] == 50.0
