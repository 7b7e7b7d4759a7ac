"""A market made like a given one has its volatilities and correlations; stylised facts against scipy, statsmodels and known distributions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats
from statsmodels.tsa.stattools import acf

from hftkit.errors import DataError
from hftkit.exchange.config import SimConfig, VolatilityConfig, load_config
from hftkit.exchange.market.tape import make_tape
from hftkit.instruments import Instrument
from research.cli.data_commands import data
from research.data.data_loader import Panel, load_panel
from research.data.instruments import find_instruments
from research.market.market_facts import MarketFacts, efficient_covariance, measure, measure_folder, spread_of, volatility_factors
from research.market.market_like import calibrate_market, targets_of, traders_of, write_config
from research.market.stylised_facts import (
    autocorrelation,
    distribution,
    excess_kurtosis,
    facts_of_prices,
    hill_index,
    order_flow_autocorrelation,
    roll_spread,
)
from tests.shared_data import shared

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


def own_market() -> SimConfig:
    """Six instruments with traders of their own, and volatility that clusters quickly."""
    spreads, rates, sizes = (1.5, 2.0, 2.5, 4.0, 2.0, 3.0), (1.0, 3.0, 2.0, 1.5, 4.0, 2.0), ("5000", "20000", "8000", "40000", "10000", "20000")
    rows = [
        msgspec.structs.replace(row, half_spread_bps=spread, depth_bps=5 * spread, arrivals_per_s=rate, max_quote_notional=size)
        for row, spread, rate, size in zip(load_config().instruments[6:], spreads, rates, sizes, strict=True)
    ]
    weather = VolatilityConfig(fast_sd=0.5, slow_sd=0.0, common_share=0.3)
    return msgspec.structs.replace(load_config(), instruments=tuple(rows), volatility=weather)


def candles_of(config: SimConfig, minutes: int) -> tuple[Panel, MarketFacts]:
    tape = make_tape(config, minutes)
    times = pd.to_datetime(tape["open_time"][0], unit="ns", utc=True)
    scales = [(float(row.tick_size), float(row.lot_size)) for row in config.instruments]
    closes, volumes, counts = (
        pd.DataFrame({s: tape[field][i] * factor(*scales[i]) for i, s in enumerate(config.symbols)}, index=times)
        for field, factor in (("close", lambda t, _: t), ("volume", lambda _, lot: lot), ("n_trades", lambda _, __: 1))
    )
    facts = measure(closes, 60_000_000_000, volumes=volumes, counts=counts)
    return Panel(closes, 60_000_000_000, (), pd.DataFrame()), facts


def test_a_market_made_like_another_measures_like_it_symbol_by_symbol() -> None:
    """Round trip: simulate, measure, calibrate, simulate with another seed, measure again. The true spreads come from the book, not from closes."""
    truth = own_market()
    panel, facts = candles_of(truth, 6000)
    made = calibrate_market(panel, {row.symbol: row.instrument for row in truth.instruments}, facts=facts, seed=99)
    _, again = candles_of(made, 6000)
    assert again.table["volatility"].to_numpy() == pytest.approx(facts.table["volatility"].to_numpy(), rel=0.12)
    assert again.table["trades_per_s"].to_numpy() == pytest.approx(facts.table["trades_per_s"].to_numpy(), rel=0.10)
    assert again.table["turnover_per_s"].to_numpy() == pytest.approx(facts.table["turnover_per_s"].to_numpy(), rel=0.20)
    true, found = (traders_of(config, 240)["spread_bps"].to_numpy() for config in (truth, made))
    assert found == pytest.approx(true, rel=0.25)
    assert np.abs(again.correlation.to_numpy() - facts.correlation.to_numpy()).max() < 0.10
    assert again.volatility.fast_sd == pytest.approx(facts.volatility.fast_sd, abs=0.08)
    assert again.table["clustering"].mean() == pytest.approx(facts.table["clustering"].mean(), abs=0.03)
    kurtosis = [f.table["excess_kurtosis"].median() for f in (facts, again)]
    assert min(kurtosis) > 0.5
    assert kurtosis[1] == pytest.approx(kurtosis[0], rel=0.5)


def test_volatility_factors_are_found_in_returns_made_by_hand() -> None:
    random = np.random.default_rng(8)
    n, f = 20_000, 2.0 ** (-1 / 10.0)
    shared, own = np.zeros(n), np.zeros((n, 4))
    for i in range(1, n):
        shared[i] = f * shared[i - 1] + np.sqrt(1 - f * f) * random.standard_normal()
        own[i] = f * own[i - 1] + np.sqrt(1 - f * f) * random.standard_normal(4)
    logs = 0.4 * (np.sqrt(0.5) * shared[:, None] + np.sqrt(0.5) * own)
    found = volatility_factors(1e-3 * np.exp(logs) * random.standard_normal((n, 4)), 60_000_000_000)
    assert found.fast_sd == pytest.approx(0.4, abs=0.05)
    assert found.slow_sd < 0.12
    assert found.common_share == pytest.approx(0.5, abs=0.1)
    plain = volatility_factors(1e-3 * random.standard_normal((n, 4)), 60_000_000_000)
    assert plain.fast_sd < 0.08


def test_the_spread_is_seen_or_said_to_be_too_small() -> None:
    random = np.random.default_rng(9)
    value = np.cumsum(0.0005 * random.standard_normal(20_000))
    seen, floor = spread_of(np.diff(value + 0.0005 * random.choice([-1, 1], value.size)))
    assert seen == pytest.approx(0.001, rel=0.1)
    assert floor < 0.5 * seen
    hidden = [spread_of(np.diff(value + 0.00001 * random.choice([-1, 1], value.size)))[0] for _ in range(20)]
    other = [spread_of(0.0005 * random.standard_normal(20_000))[0] for _ in range(20)]
    assert floor > 0.00002
    assert np.isnan(other).sum() >= 18  # two standard errors: one in forty is taken for a spread
    assert np.isnan(hidden).all() or np.nanmax(hidden) < 0.0002


def test_the_command_writes_a_market_that_runs(tmp_path: Path) -> None:
    source = tmp_path / "candles"
    source.mkdir()
    for i, symbol in enumerate(ALONE[:3]):
        frame = pd.read_parquet(SAMPLE / f"{symbol}.parquet").head(1500)
        frame["count"] = 30 * (i + 1)  # half a trade a second, one, one and a half
        frame.to_parquet(source / f"{symbol}.parquet")
    out = tmp_path / "sim.toml"
    done = CliRunner().invoke(data, ["market-like", str(source), "-o", str(out), "--json"])
    assert done.exit_code == 0, done.output
    table = {row["symbol"]: row for row in json.loads(done.stdout)["table"]}
    made = load_config(out)
    assert made.symbols == tuple(ALONE[:3])
    for i, symbol in enumerate(ALONE[:3]):
        assert table[symbol]["trades_per_s"] == pytest.approx(0.5 * (i + 1))
        assert table[symbol]["trades_per_s made"] == pytest.approx(0.5 * (i + 1), rel=0.1)
    assert make_tape(made, 5)["n_trades"].sum() > 0


def candles_folder(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
    """Three sample symbols, the second one changed."""
    folder.mkdir()
    for i, symbol in enumerate(ALONE[:3]):
        frame = pd.read_parquet(SAMPLE / f"{symbol}.parquet").head(400)
        (change(frame) if i == 1 else frame).to_parquet(folder / f"{symbol}.parquet")
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.head(3), "3 bars are too few to measure a market"),
        (lambda frame: frame.head(0), "has no rows"),
        (lambda frame: frame.drop(columns="close"), "has no close column"),
        (lambda frame: frame.assign(open=100.0, high=100.0, low=100.0, close=100.0), f"the close of {ALONE[1]} never changes"),
        (lambda frame: frame.assign(count="many"), "row 0 has 'many' for its count"),
        (lambda frame: frame.assign(trades=-1), "row 0 has -1 for its trades"),
    ],
)
def test_candles_that_cannot_be_measured_are_refused_in_one_line(tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], said: str) -> None:
    folder = candles_folder(tmp_path / "candles", change)
    done = CliRunner().invoke(data, ["market-like", str(folder), "-o", str(tmp_path / "sim.toml")])
    assert isinstance(done.exception, DataError)
    assert said in str(done.exception)
    assert not (tmp_path / "sim.toml").exists()


def test_what_candles_do_not_say_is_left_to_the_wish(tmp_path: Path) -> None:
    """No volume, or none traded: the default size. No count: the wished rate, and the size that gives the measured turnover."""
    for name, change in (("none", lambda frame: frame.drop(columns="volume")), ("zero", lambda frame: frame.assign(volume=0.0, count=0))):
        facts, panel = measure_folder(candles_folder(tmp_path / name, change))
        instruments, _ = find_instruments(tmp_path / name, panel.closes)
        wanted = targets_of(calibrate_market(panel, instruments, facts=facts), facts, 0.3)
        assert np.isnan(wanted["trade_size"].iloc[1])
        assert wanted["trades_per_s"].tolist() == [0.3, 0.3, 0.3]
        assert wanted["trade_size"].iloc[0] == pytest.approx(facts.table["turnover_per_s"].iloc[0] / 0.3)


def test_a_tick_too_fine_for_a_book_is_made_coarser() -> None:
    """A price of 60,000 in cents is 6 million ticks, and a window of 262,144 ticks reaches 2 % of it."""
    panel = load_panel(SAMPLE, ALONE[:3])
    panel = replace(panel, closes=panel.closes.assign(**{ALONE[0]: panel.closes[ALONE[0]] / panel.closes[ALONE[0]].iloc[-1] * 60_000.0}))
    fine = Instrument(symbol=ALONE[0], tick_size="0.01", lot_size="0.00001")
    instruments, _ = find_instruments(SAMPLE, panel.closes)
    made = calibrate_market(panel, {**instruments, ALONE[0]: fine})
    assert [row.tick_size for row in made.instruments] == ["0.50", *(instruments[symbol].tick_size for symbol in ALONE[1:3])]
    assert made.instruments[0].start_ticks == 120_000


def test_markets_made_like_real_ones_measure_like_them_symbol_by_symbol() -> None:
    """Against fifteen days of USD-M futures: what a week of wandering volatility hides is measured with it constant; docs has the table."""
    names = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "LTCUSDT", "ENAUSDT")
    facts, panel = measure_folder(shared("candles/binance_usdm_1m"), names)
    instruments, _ = find_instruments(shared("candles/binance_usdm_1m"), panel.closes)
    made = calibrate_market(panel, instruments, facts=facts, seed=5)
    (_, again), (_, wandering) = (candles_of(config, 3 * 1440) for config in (msgspec.structs.replace(made, volatility=VolatilityConfig()), made))
    real, found = facts.table.loc[list(made.symbols)], again.table
    assert found["volatility"].to_numpy() == pytest.approx(real["volatility"].to_numpy(), rel=0.12)
    assert found["turnover_per_s"].to_numpy() == pytest.approx(real["turnover_per_s"].to_numpy(), rel=0.20)
    assert found["trades_per_s"].to_numpy() == pytest.approx(0.3, rel=0.10)
    assert np.abs(again.correlation.to_numpy() - facts.correlation.loc[list(made.symbols), list(made.symbols)].to_numpy()).max() < 0.10
    assert abs(found["clustering"].mean()) < 0.02
    assert wandering.table["clustering"].mean() == pytest.approx(real["clustering"].mean(), abs=0.08)
    seen = real["spread_bps"].notna().to_numpy()
    assert seen.sum() >= 3
    spreads = traders_of(msgspec.structs.replace(made, volatility=VolatilityConfig(), seed=9), 120)["spread_bps"].to_numpy()
    assert spreads[seen] == pytest.approx(real["spread_bps"].to_numpy()[seen], rel=0.15)


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
