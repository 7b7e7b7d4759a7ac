"""The committed sample data is what the simulator makes from the committed configuration, and holds the truth it claims."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.stattools import coint

from hftkit.exchange.config import load_config
from hftkit.exchange.market.flow.scenarios import load_scenario
from hftkit.exchange.market.tape import CANDLE, make_tape
from hftkit.instruments import Instrument
from research.market.sample_data import bars_of, candle_frame, history_of, truth_of

DATA = Path(__file__).parents[2] / "data"
SAMPLE, MONTHS = DATA / "sample", DATA / "months"
COLUMNS = ["open_time", "open", "high", "low", "close", "volume"]


def candles(symbol: str) -> pd.DataFrame:
    return pd.read_parquet(SAMPLE / "1m" / f"{symbol}.parquet")


def test_the_first_hours_regenerate_to_the_committed_prices() -> None:
    config = load_config()
    tape = make_tape(config, minutes=180)
    for row, instrument in zip(tape, config.scales, strict=True):
        pd.testing.assert_frame_equal(candle_frame(row, instrument), candles(instrument.symbol).head(180), check_exact=True)


def test_the_manifest_names_every_file_and_its_digest() -> None:
    rows = {row["file"]: row for row in json.loads((DATA / "manifest.json").read_text())}
    assert set(rows) == {path.relative_to(DATA).as_posix() for folder in (SAMPLE, MONTHS) for path in folder.rglob("*") if path.is_file()}
    for name, row in rows.items():
        body = (DATA / name).read_bytes()
        assert (row["sha256"], row["bytes"]) == (hashlib.sha256(body).hexdigest(), len(body)), name
        assert len(body) < 1_000_000
    assert sum(row["bytes"] for row in rows.values()) < 6_000_000


def test_candles_are_whole_minutes_of_whole_ticks() -> None:
    config = load_config()
    for scales in config.scales:
        frame = candles(scales.symbol)
        assert list(frame.columns) == COLUMNS
        assert len(frame) == config.minutes
        assert str(frame["open_time"].dtype) == "datetime64[ms, UTC]"
        assert (frame["open_time"].diff().dropna() == pd.Timedelta(minutes=1)).all()
        assert frame["open_time"].iloc[0] == pd.Timestamp(config.start)
        assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
        assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
        ticks = frame["close"] / float(scales.tick_size)
        assert np.abs(ticks - ticks.round()).max() < 1e-6


def test_instruments_and_truth_belong_to_the_configuration() -> None:
    config = load_config()
    listed = msgspec.json.decode((SAMPLE / "instruments.json").read_bytes(), type=list[Instrument])
    assert tuple(listed) == config.scales
    assert json.loads((SAMPLE / "truth.json").read_text()) == truth_of(config)


@pytest.fixture(scope="module")
def logs() -> dict[str, pd.Series]:
    return {symbol: np.log(candles(symbol)["close"]) for symbol in load_config().symbols}


def test_the_true_pairs_are_found(logs: dict[str, pd.Series]) -> None:
    for pair in json.loads((SAMPLE / "truth.json").read_text())["pairs"]:
        lead, hedge = logs[pair["lead"]], logs[pair["hedge"]]
        _, p_value, _ = coint(lead, hedge, maxlag=1, autolag=None)
        assert p_value < 1e-4
        slope, constant = np.polyfit(hedge, lead, 1)
        assert slope == pytest.approx(pair["hedge_ratio"], rel=0.03)
        deviation_bps = 1e4 * (lead - slope * hedge - constant)
        assert deviation_bps.std() == pytest.approx(pair["spread_sd_bps"], rel=0.15)


def test_correlation_alone_is_not_found(logs: dict[str, pd.Series]) -> None:
    """The six instruments of their own: correlated through the market, not cointegrated (30 tests at 5 %)."""
    alone = [config.symbol for config in load_config().instruments[6:]]
    values = [coint(logs[a], logs[b], maxlag=1, autolag=None)[1] for a in alone for b in alone if a != b]
    assert sum(value < 0.05 for value in values) <= 5
    assert min(values) > 1e-3
    returns = pd.DataFrame({symbol: logs[symbol].diff() for symbol in alone}).corr().to_numpy()
    assert returns[np.triu_indices(6, 1)].min() > 0.1


def test_the_first_day_of_the_months_regenerates_to_the_committed_bars() -> None:
    config = load_config("months")
    tape = bars_of(make_tape(config, minutes=1440, scenario=load_scenario("months")))
    for row, instrument in zip(tape, config.scales, strict=True):
        committed = pd.read_parquet(MONTHS / "15m" / f"{instrument.symbol}.parquet")
        assert len(committed) == config.minutes // 15
        pd.testing.assert_frame_equal(candle_frame(row, instrument), committed.head(96), check_exact=True)


def test_bars_are_what_pandas_makes_of_the_minutes() -> None:
    """Quiet minutes repeat a close and are no trade; a bar without any repeats the close before it."""
    random = np.random.default_rng(3)
    minutes = np.zeros((1, 300), CANDLE)
    minutes["open_time"] = np.arange(300) * 60 * 10**9
    last = 1000
    for candle in minutes[0]:
        candle["open"] = candle["high"] = candle["low"] = candle["close"] = last
        if random.random() < 0.15:
            prices = last + random.integers(-9, 10, 4)
            candle["open"], candle["high"], candle["low"], candle["close"] = prices[0], prices.max(), prices.min(), prices[3]
            candle["volume"], candle["n_trades"] = random.integers(1, 9), 4
        last = candle["close"]
    frame = pd.DataFrame(minutes[0], index=pd.to_datetime(minutes["open_time"][0]))
    traded = frame[frame["n_trades"] > 0].resample("15min").agg({"open": "first", "high": "max", "low": "min", "volume": "sum"})
    made = pd.DataFrame(bars_of(minutes)[0], index=frame.index[::15])
    assert (made["n_trades"] == 0).any()
    assert (made["close"] == frame["close"].resample("15min").last()).all()
    for name in ("open", "high", "low"):
        assert (made[name] == traded[name].reindex(made.index).fillna(made["close"])).all()
    assert (made["volume"] == traded["volume"].reindex(made.index).fillna(0)).all()


def test_the_months_tell_the_truth_and_go_on_where_they_end() -> None:
    config = load_config("months")
    truth = json.loads((MONTHS / "truth.json").read_text())
    assert truth == history_of(config, load_scenario("months"))
    assert {pair["lead"]: pair["until"] for pair in truth["pairs"] if pair["until"]} == {"GOLFUSD": "2025-11-15T00:00:00Z"}
    closes = {symbol: pd.read_parquet(MONTHS / "15m" / f"{symbol}.parquet").set_index("open_time")["close"] for symbol in config.symbols}
    logs = {symbol: np.log(close) for symbol, close in closes.items()}
    for pair in truth["pairs"]:
        spread = logs[pair["lead"]] - pair["hedge_ratio"] * logs[pair["hedge"]]
        spans = [spread[: pair["until"]], spread[pair["until"] :]] if pair["until"] else [spread]
        _, held, _ = coint(logs[pair["lead"]][spans[0].index], logs[pair["hedge"]][spans[0].index], maxlag=4, autolag=None)
        assert held < 0.01, pair["lead"]
        if len(spans) > 1:
            _, after, _ = coint(logs[pair["lead"]][spans[1].index], logs[pair["hedge"]][spans[1].index], maxlag=4, autolag=None)
            assert after > 0.05, pair["lead"]
    market = load_config(MONTHS / "market.toml")
    assert market.start == truth["end"]
    for instrument in market.instruments:
        assert float(instrument.start_price) == pytest.approx(closes[instrument.symbol].iloc[-1], rel=0.01)
        assert (instrument.cointegrated is None) == (config.instruments[config.symbols.index(instrument.symbol)].cointegrated is None) or (
            instrument.symbol == "GOLFUSD"
        )
