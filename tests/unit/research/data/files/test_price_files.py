"""Folders as people have them: spellings of symbols, parts, several bar lengths, long and wide tables, files that cannot be read."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from hftkit.errors import DataError
from research.cli import data_commands
from research.data.data_loader import load_panel, read_candles
from research.data.data_sets import find_data_sets
from research.data.files.candle_columns import Reading
from research.data.files.file_names import parse_name, symbol_text, symbols_of, timeframe_ns, timeframe_of, timeframe_text
from research.report.quality_report import quality_report, report_of
from tests.unit.research.odd_files import bars, ms, text_of, zipped

MINUTES = bars(240)


def put(folder: Path, name: str, frame: pd.DataFrame = MINUTES) -> None:
    (folder / name).write_text(text_of(frame, ms(frame)))


@pytest.mark.parametrize(
    ("name", "symbol", "timeframe", "period", "kind"),
    [
        ("BTCUSDT.parquet", "BTCUSDT", "", "", ""),
        ("btc-usdt.CSV", "BTCUSDT", "", "", ""),
        ("BTC-USD.csv", "BTCUSD", "", "", ""),
        ("BTC_USDT-5m.feather", "BTCUSDT", "5m", "", ""),
        ("BTC_USDT_USDT-1m-futures.feather", "BTCUSDT", "1m", "", ""),
        ("BTC_USDT_USDT-8h-mark.feather", "BTCUSDT", "8h", "", "mark"),
        ("BTC_USDT_USDT-8h-funding_rate.feather", "BTCUSDT", "8h", "", "funding_rate"),
        ("BTCUSDT-1m-2024-01.zip", "BTCUSDT", "1m", "2024-01", ""),
        ("BTCUSDT-1M-2024-01-31.csv.gz", "BTCUSDT", "1mo", "2024-01-31", ""),
        ("BTCUSDT-aggTrades-2024-01-31.csv", "BTCUSDT", "", "2024-01-31", "aggtrades"),
        ("Binance_BTCUSDT_1h.csv", "BTCUSDT", "1h", "", ""),
        ("Binance_BTCUSDT_2024_minute.csv", "BTCUSDT", "1m", "2024", ""),
        ("BTC-USDT-SWAP-15m.csv", "BTCUSDTSWAP", "15m", "", ""),
        ("BTCUSDT_240628.csv", "BTCUSDT240628", "", "", ""),
        ("XBTUSD_1440.csv", "XBTUSD", "1d", "", ""),
        ("EURUSD_H4.csv", "EURUSD", "4h", "", ""),
        ("BRK-B.csv", "BRKB", "", "", ""),
        ("SPY_daily.csv", "SPY", "1d", "", ""),
        ("1INCHUSDT-5m.csv", "1INCHUSDT", "5m", "", ""),
        ("kraken.csv", "KRAKEN", "", "", ""),
    ],
)
def test_what_a_name_says(name, symbol, timeframe, period, kind):
    found = parse_name(Path(name))
    assert (found.symbol, found.timeframe, found.period, found.kind) == (symbol, timeframe, period, kind)


def test_spellings_of_symbols_and_bar_lengths():
    assert {symbol_text(text) for text in ("btc-usdt", "BTC/USDT", "BTC_USDT", "BTC/USDT:USDT", " btcusdt ", "BTC_USDT_USDT")} == {"BTCUSDT"}
    assert len({symbol_text(text) for text in ("BTC-USDT", "BTC-USD", "BTC/USD:BTC")}) == 3
    assert symbols_of("btc/usdt, ETHUSDT;sol-usdt ethusdt") == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    assert symbols_of(None) is None
    with pytest.raises(DataError, match="names none"):
        symbols_of(" , ")
    words = {"1m": "1m", "5min": "5m", "1M": "1mo", "1h": "1h", "H4": "4h", "daily": "1d", "4hour": "4h", "x": "", "2024": ""}
    assert {word: timeframe_of(word) for word in words} == words
    assert timeframe_text(timeframe_ns("15min")) == "15m"
    with pytest.raises(DataError, match="no bar length"):
        timeframe_ns("soon")


def test_dollar_and_tether_do_not_collide(tmp_path):
    put(tmp_path, "BTC-USDT.csv")
    put(tmp_path, "BTC-USD.csv")
    panel = load_panel(tmp_path)
    assert list(panel.closes) == ["BTCUSD", "BTCUSDT"]
    assert list(load_panel(tmp_path, ["btc/usdt"]).closes) == ["BTCUSDT"]
    put(tmp_path, "BTC_USDT.csv")
    with pytest.raises(DataError, match=r"two files of BTCUSDT: BTC-USDT\.csv and BTC_USDT\.csv"):
        load_panel(tmp_path)


def test_monthly_zips_are_joined(tmp_path):
    first, second = MINUTES.iloc[:150], MINUTES.iloc[140:]  # ten bars twice, alike
    for period, part in (("2024-12", first), ("2025-01", second)):
        body = text_of(part, ms(part) * (1000 if period == "2025-01" else 1), head="")
        (tmp_path / f"AAAUSDT-1m-{period}.zip").write_bytes(zipped({f"AAAUSDT-1m-{period}.csv": body.encode()}))
        (tmp_path / f"AAAUSDT-1m-{period}.zip.CHECKSUM").write_text("0  x\n")
    panel = load_panel(tmp_path)
    assert len(panel.closes) == 240
    assert [file.name for file in panel.files] == ["AAAUSDT-1m-2024-12.zip", "AAAUSDT-1m-2025-01.zip"]
    assert any("10 bars that two parts hold alike taken once" in line for line in panel.decisions)
    other = second.assign(close=second["close"] + 0.01, high=second["high"] + 0.01)
    (tmp_path / "AAAUSDT-1m-2025-01.zip").write_bytes(zipped({"a.csv": text_of(other, ms(other), head="").encode()}))
    with pytest.raises(DataError, match=f"two files of AAAUSDT differ at {MINUTES.index[140]:%Y-%m-%d %H:%M}"):
        load_panel(tmp_path)


def test_several_bar_lengths_in_a_folder(tmp_path):
    hours = bars(200, step="1h")
    for symbol in ("AAA", "BBB"):
        put(tmp_path, f"{symbol}-1m.csv")
        put(tmp_path, f"{symbol}-1h.csv", hours)
    with pytest.raises(DataError, match=r"AAA with several bar lengths .*--timeframe"):
        load_panel(tmp_path)
    assert load_panel(tmp_path, timeframe="1hour").closes.shape == (200, 2)
    assert load_panel(tmp_path, timeframe="1m").closes.shape == (240, 2)
    with pytest.raises(DataError, match=r"no files of bars of 5m\. It has 1h, 1m"):
        load_panel(tmp_path, timeframe="5m")
    assert set(quality_report(tmp_path).table.index) == {"AAA 1h", "AAA 1m", "BBB 1h", "BBB 1m"}


def test_longer_bars_are_made_of_whole_parts(tmp_path):
    put(tmp_path, "AAA.csv", bars(1441, start="2025-01-01 00:07"))
    panel = load_panel(tmp_path, resample="1h")
    assert panel.bar_ns == 3_600_000_000_000
    assert len(panel.closes) == 23  # both ends lack parts
    whole = read_candles(tmp_path / "AAA.csv").resample("1h").agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    np.testing.assert_array_equal(panel.closes["AAA"], whole["close"].iloc[1:-1])
    assert (panel.closes.index == whole.index[1:-1]).all()
    assert panel.bars_a_year == 8766.0
    assert any("2 bars of 1h left out, for they lack parts" in line for line in panel.decisions)
    for wrong, says in (("7m", None), ("30s", "make no bars of 30s"), ("soon", "no bar length"), ("1w", "no whole bar")):
        if says:
            with pytest.raises(DataError, match=says):
                load_panel(tmp_path, resample=wrong)
    put(tmp_path, "BBB.csv", bars(288, start="2025-01-01", step="5min"))
    assert load_panel(tmp_path, resample="1h").closes.shape == (23, 2)


def test_a_long_table_is_its_symbols(tmp_path):
    long = pd.concat([MINUTES.reset_index().assign(pair=name) for name in ("BTC/USDT", "ETH/USDT", "ETH/BTC")])
    long = long.sort_values("open_time", kind="stable")
    long.to_parquet(tmp_path / "all.parquet")
    for place in (tmp_path, tmp_path / "all.parquet"):
        assert list(load_panel(place).closes) == ["BTCUSDT", "ETHBTC", "ETHUSDT"]
    assert load_panel(tmp_path, ["eth-usdt"]).files[0].name == "all.parquet"
    with pytest.raises(DataError, match=r"no price file of XRPUSDT\. It has"):
        load_panel(tmp_path, ["XRPUSDT"])
    put(tmp_path, "BTC-USDT.csv")
    with pytest.raises(DataError, match="two files of BTCUSDT"):
        load_panel(tmp_path, ["BTCUSDT"])
    long[long["pair"] != "ETH/BTC"].iloc[2:].drop(index=long.index[9]).to_parquet(tmp_path / "gap.parquet")
    with pytest.raises(DataError, match=r"gap\.parquet \(BTCUSDT\): 1 bars are missing"):
        load_panel(tmp_path / "gap.parquet")


def test_a_wide_table_is_read_by_itself(tmp_path):
    days = pd.bdate_range("2024-01-01", periods=90, tz="UTC")
    wide = pd.DataFrame({"Date": days.strftime("%Y-%m-%d"), "EWA": np.arange(90) + 10.0, "EWC": np.arange(90) + 20.0})
    wide.loc[5, "EWC"] = np.nan
    wide.to_csv(tmp_path / "etfs.csv", index=False)
    panel = load_panel(tmp_path / "etfs.csv", on_gap="drop")
    assert panel.closes.shape == (89, 2)
    assert panel.bars_a_year == 252.0
    put(tmp_path, "AAA.csv")
    beside = load_panel(tmp_path)
    assert list(beside.closes) == ["AAA"]
    assert "is a table of 2 columns of closes. Load it by itself" in dict(beside.excluded)["etfs.csv"]


def test_a_file_that_cannot_be_read_costs_itself(tmp_path):
    for name in ("AAA.csv", "BBB.csv", "CCC.csv"):
        put(tmp_path, name)
    (tmp_path / "EMPTY.csv").touch()
    (tmp_path / "HALF.csv.gz").write_bytes(gzip.compress(b"time,close\n" * 999)[:-20])
    put(tmp_path, "ZERO.csv", MINUTES.assign(low=0.0))
    put(tmp_path, "ONE.csv", MINUTES.iloc[:1])
    (tmp_path / "notes.txt").write_text("not a table")
    (tmp_path / "instruments.json").write_text("[]")
    panel = load_panel(tmp_path)
    assert list(panel.closes) == ["AAA", "BBB", "CCC"]
    assert set(dict(panel.excluded)) == {"EMPTY.csv", "HALF.csv.gz", "ZERO", "ONE"}
    assert any("left out 4" in line for line in panel.decisions)
    for symbol, says in (("EMPTY", "0 bytes"), ("ZERO", "row 0 .*zero or negative"), ("ONE", "single row")):
        with pytest.raises(DataError, match=says):
            load_panel(tmp_path, ["AAA", symbol])
    report = quality_report(tmp_path)
    assert set(report.table.index) == {"AAA", "BBB", "CCC", "ZERO", "ONE"}
    assert sum("EMPTY.csv is empty" in line or "HALF.csv.gz cannot be read" in line for line in report.faults) == 2
    (found,) = find_data_sets(tmp_path)
    assert found.bar_ns == 60_000_000_000


def test_files_of_other_prices_are_passed_over(tmp_path):
    for name in ("AAA_USDT_USDT-1h-futures.csv", "AAA_USDT_USDT-1h-mark.csv", "AAA_USDT_USDT-8h-funding_rate.csv"):
        put(tmp_path, name, bars(60, step="1h"))
    panel = load_panel(tmp_path)
    assert list(panel.closes) == ["AAAUSDT"]
    assert "passed over 2 files of other prices" in panel.decisions[0]
    assert "AAA_USDT_USDT-1h-mark.csv, AAA_USDT_USDT-8h-funding_rate.csv" in quality_report(tmp_path).general[0]


def test_adjusted_closes_are_rounded_to_what_the_engine_counts(tmp_path):
    exact = MINUTES["close"] * (1 + 1e-3 / 3)
    put(tmp_path, "AAA.csv", pd.DataFrame({name: exact for name in ("open", "high", "low", "close", "volume")}))
    panel = load_panel(tmp_path)
    np.testing.assert_allclose(panel.closes["AAA"], exact, rtol=1e-10)
    assert (panel.closes["AAA"] == panel.closes["AAA"].round(8)).all()
    assert any("rounded to 1e-8" in line for line in panel.decisions)


def test_one_longer_file_does_not_delist_the_others():
    frames = {f"S{i}": MINUTES.iloc[:200] for i in range(15)} | {"LONG": MINUTES}
    report = report_of(frames)
    assert report.table["ended"].isna().all()
    assert report.general == ()
    gone = report_of({**{f"S{i}": MINUTES for i in range(15)}, "GONE": MINUTES.iloc[:200]})
    assert gone.table.index[gone.table["ended"].notna()].tolist() == ["GONE"]
    apart = report_of({f"S{i}": MINUTES.iloc[: 100 + 20 * i] for i in range(6)})
    assert apart.table["ended"].isna().all()
    assert apart.general[0].startswith("files end at different times")


def test_the_commands_read_as_they_are_told(tmp_path):
    late = MINUTES.copy()
    (tmp_path / "AAA-USDT.csv").write_text(text_of(late, ms(late) + np.where(np.arange(240) > 100, 14_789, 0)))
    run = CliRunner()
    refused = run.invoke(data_commands.data, ["check", str(tmp_path)])
    assert refused.exit_code == 1
    assert "row 101" in refused.output
    assert "--snap" in refused.output
    snapped = run.invoke(data_commands.data, ["check", str(tmp_path), "--snap", "--symbols", "aaa/usdt, "])
    assert snapped.exit_code == 0
    assert "139 stamps moved to the grid, by at most 14.789 s, the first at row 101" in snapped.output
    told = run.invoke(data_commands.data, ["describe", str(tmp_path / "AAA-USDT.csv"), "--snap", "--resample", "15m"])
    assert told.exit_code == 0, told.output
    assert "bars       15" in told.output
    assert load_panel(tmp_path, reading=Reading(snap=True)).closes.shape == (240, 1)
