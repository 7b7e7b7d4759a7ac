"""Every layout reads the same; every bad file is refused with one line that names file, row and cure."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.data.data_loader import load_candles, load_panel, read_candles, sha256_of, symbol_of
from research.data.data_quality import audit
from tests.unit.research.synthetic_market import candles_of

SHARED = Path(os.environ.get("HFTKIT_SHARED_DATA", Path(__file__).resolve().parents[5] / "shared" / "data"))


@pytest.fixture
def candles(prices) -> pd.DataFrame:
    return candles_of(prices["W0USDT"].iloc[:50])


def in_layout(name: str, candles: pd.DataFrame, folder: Path) -> Path:
    """The same candles as another program would have written them."""
    frame = candles.copy()
    ms = frame["open_time"].astype("int64") // (10**6 if frame["open_time"].dt.unit == "ns" else 10**3)
    if name == "parquet":
        frame.to_parquet(folder / "W.parquet")
        return folder / "W.parquet"
    path = folder / "W.csv"
    if name == "vectorbt":
        frame.set_axis(["Date", "Open", "High", "Low", "Close", "Volume"], axis=1).to_csv(path, index=False)
    elif name == "freqtrade":
        frame.rename(columns={"open_time": "date"}).to_csv(path, index=False)
    elif name == "ccxt":
        frame.assign(open_time=ms).to_csv(path, index=False, header=False)
    elif name == "ccxt header":
        frame.assign(open_time=ms).rename(columns={"open_time": "timestamp"}).to_csv(path, index=False)
    elif name == "binance archive":
        frame.assign(open_time=ms, close_time=ms + 59_999, quote=1.0, count=3, a=1.0, b=1.0, ignore=0).to_csv(path, index=False, header=False)
    elif name == "binance microseconds":
        frame.assign(open_time=ms * 1000).to_csv(path, index=False)
    elif name == "vectorbt binance":  # vectorbt.BinanceData: index "Open time", title case
        extra = {"Close time": 0, "Quote volume": 1.0, "Number of trades": 3, "Taker base volume": 1.0, "Taker quote volume": 1.0}
        named = frame.set_axis(["Open time", "Open", "High", "Low", "Close", "Volume"], axis=1).set_index("Open time").assign(**extra)
        named.to_parquet(folder / "W.parquet")
        return folder / "W.parquet"
    elif name == "freqtrade feather":
        frame.rename(columns={"open_time": "date"}).to_feather(folder / "W_USDT_USDT-1m-futures.feather")
        return folder / "W_USDT_USDT-1m-futures.feather"
    elif name == "ccxt parsed":  # what ccxt itself makes of a venue's answer
        answer = [
            [int(row.open_time), *map(str, (row.open, row.high, row.low, row.close, row.volume)), 0, "0", 1, "0", "0", "0"]
            for row in frame.assign(open_time=ms).itertuples()
        ]
        ccxt = pytest.importorskip("ccxt", reason="ccxt is a development dependency")
        rows = ccxt.binance().parse_ohlcvs(answer)
        pd.DataFrame(rows, columns=["timestamp", "open", "high", "low", "close", "volume"]).to_csv(path, index=False)
    elif name == "binance rest":  # the names of the venue's own documentation
        named = frame.assign(open_time=ms).set_axis(["openTime", "open", "high", "low", "close", "volume"], axis=1)
        named.assign(closeTime=ms + 59_999, quoteAssetVolume=1.0, numberOfTrades=3).to_csv(path, index=False)
    elif name == "naive":
        frame.assign(open_time=frame["open_time"].dt.tz_localize(None)).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    "layout",
    [
        "parquet",
        "vectorbt",
        "freqtrade",
        "ccxt",
        "ccxt header",
        "binance archive",
        "binance microseconds",
        "naive",
        "vectorbt binance",
        "freqtrade feather",
        "ccxt parsed",
        "binance rest",
    ],
)
def test_every_layout_reads_the_same(layout, candles, tmp_path):
    frame = load_candles(in_layout(layout, candles, tmp_path))
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert str(frame.index.tz) == "UTC"
    assert (frame.index == pd.DatetimeIndex(candles["open_time"])).all()
    np.testing.assert_array_equal(frame["close"], candles["close"])


def spoil(kind: str, candles: pd.DataFrame, folder: Path) -> Path:
    path = folder / "BAD.csv"
    frame = candles.copy()
    if kind == "missing":
        return path
    if kind == "empty":
        path.write_bytes(b"")
        return path
    if kind == "header only":
        frame = frame.iloc[:0]
    elif kind == "reordered":
        frame = frame.iloc[[0, 1, 3, 2, *range(4, 50)]]
    elif kind == "duplicated":
        frame = frame.iloc[[0, 1, 2, 2, *range(3, 50)]]
    elif kind == "gap":
        frame = frame.drop(index=[10, 11, 30])
    elif kind == "nan":
        frame.loc[7, "close"] = np.nan
    elif kind == "text":
        frame["close"] = frame["close"].astype(object)
        frame.loc[7, "close"] = "n/a"
    elif kind == "zero":
        frame.loc[9, ["low", "close"]] = 0.0
    elif kind == "negative":
        frame.loc[9, ["low", "close"]] = -1.0
    elif kind == "impossible":
        frame.loc[4, "high"] = frame.loc[4, "low"] * 0.5
    elif kind == "half a bar":
        frame.loc[5, "open_time"] += pd.Timedelta("30s")
    elif kind == "no close":
        frame = frame.drop(columns="close")
    elif kind == "no times":
        frame["open_time"] = "yesterday"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"there is no price file .*BAD\.csv\. Check the path"),
        ("empty", r"BAD\.csv is empty \(0 bytes\)\. Fetch"),
        ("header only", r"BAD\.csv has no rows"),
        ("reordered", r"BAD\.csv: row 3 \(2026-01-05 00:02.*\) is earlier than the row before it; 1 such rows\. Sort"),
        ("duplicated", r"BAD\.csv: row 3 .* repeats the time of the row before it; 1 such rows\. Remove"),
        ("gap", r"BAD\.csv: 3 bars are missing in 2 gaps, the first after row 9 \(2026-01-05 00:09.*\)\. Decide with on_gap"),
        ("nan", r"BAD\.csv: row 7 .* has a price that is NaN or not a number; 1 such rows"),
        ("text", r"BAD\.csv: row 7 .* has a price that is NaN or not a number"),
        ("zero", r"BAD\.csv: row 9 .* has a price that is zero or negative"),
        ("negative", r"BAD\.csv: row 9 .* has a price that is zero or negative"),
        ("impossible", r"BAD\.csv: row 4 .* outside low \.\. high"),
        ("half a bar", r"BAD\.csv: row 5 .* is not a whole number of 60 s bars"),
        ("no close", r"BAD\.csv has no close column among .* Name them"),
        ("no times", r"BAD\.csv: column 'open_time' holds no times \('yesterday'\)"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(kind, message, candles, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        load_candles(spoil(kind, candles, tmp_path))
    assert "\n" not in str(caught.value)


def test_a_truncated_parquet_file_is_refused(candles, tmp_path):
    path = in_layout("parquet", candles, tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"W\.parquet cannot be read"):
        load_candles(path)


def test_gaps_are_dropped_or_filled_on_request(candles, tmp_path):
    path = spoil("gap", candles, tmp_path)
    assert len(load_candles(path, on_gap="drop")) == 47
    filled = load_candles(path, on_gap="fill")
    assert len(filled) == 50
    assert (filled["close"].iloc[10:12] == candles["close"].iloc[9]).all()
    assert (filled["volume"].iloc[[10, 11, 30]] == 0).all()
    with pytest.raises(DataError, match="not a decision"):
        load_candles(path, on_gap="guess")


def test_panel_is_aligned_and_remembers_where_it_came_from(data_folder, prices):
    panel = load_panel(data_folder)
    np.testing.assert_array_equal(panel.closes, prices[sorted(prices)])
    assert panel.bar_ns == 60_000_000_000
    assert panel.end_ns == prices.index[-1].value + panel.bar_ns
    assert panel.decisions == ()
    assert [file.symbol for file in panel.files] == sorted(prices)
    assert panel.files[0].sha256 == sha256_of(data_folder / panel.files[0].name)


def test_different_spans_are_a_decision(prices, tmp_path):
    candles_of(prices["A0USDT"]).to_parquet(tmp_path / "A.parquet")
    candles_of(prices["B0USDT"].iloc[1:]).to_parquet(tmp_path / "B.parquet")
    candles_of(prices["W0USDT"].iloc[2000:]).to_parquet(tmp_path / "C.parquet")
    common = load_panel(tmp_path)
    assert common.closes.shape == (2000, 3)
    assert "every symbol cut to" in common.decisions[0]
    longest = load_panel(tmp_path, span="longest")
    assert longest.closes.shape == (3999, 2)
    assert longest.excluded[0][0] == "C"


def test_folder_refusals(prices, tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        load_panel(tmp_path / "none")
    with pytest.raises(DataError, match="has no Parquet or CSV files"):
        load_panel(tmp_path)
    candles_of(prices["A0USDT"]).to_parquet(tmp_path / "A.parquet")
    with pytest.raises(DataError, match="has no price file of Z"):
        load_panel(tmp_path, ["Z"])
    candles_of(prices["B0USDT"]).iloc[::5].to_parquet(tmp_path / "B.parquet")
    with pytest.raises(DataError, match="B has bars of 300 s, A of 60 s"):
        load_panel(tmp_path)
    candles_of(prices["A0USDT"]).to_csv(tmp_path / "A.csv")
    with pytest.raises(DataError, match="two files of A"):
        load_panel(tmp_path)


def test_symbols_from_file_names():
    names = ["BTCUSDT.parquet", "BTC_USDT-5m.csv", "BTCUSDT-1m-2024-01.csv.zip", "BTC_USDT_USDT-1m-futures.feather"]
    assert {symbol_of(Path(name)) for name in names} == {"BTCUSDT"}


def test_audit_counts_what_it_finds(candles, tmp_path):
    frame = read_candles(spoil("gap", candles, tmp_path))
    frame.loc[frame.index[3:9], "close"] = frame["close"].iloc[3]
    frame.loc[frame.index[5], "volume"] = 0.0
    row = audit(frame).row()
    assert (row["missing_bars"], row["gaps"], row["zero_volume"], row["longest_stale"], row["duplicates"]) == (3, 2, 1, 6, 0)


@pytest.mark.skipif(not (SHARED / "candles").is_dir(), reason="no shared real data (HFTKIT_SHARED_DATA)")
def test_real_candles_load():
    futures = load_panel(SHARED / "candles" / "binance_usdm_1m")
    assert futures.closes.shape == (14_742, 16)  # cut to ADAUSDT, the shortest
    assert load_panel(SHARED / "candles" / "binance_usdm_1m", span="longest").closes.shape == (22_103, 15)
    spot = load_panel(SHARED / "candles" / "binance_spot_5m", ["BIFIUSDT", "BTCUSDT"])
    assert spot.quality.loc["BIFIUSDT", "zero_volume"] == 1722
