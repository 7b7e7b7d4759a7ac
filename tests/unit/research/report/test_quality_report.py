"""The data-quality report: every kind of dirt by itself, then recorded markets with known dirt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.data.data_loader import read_candles
from research.report.quality_report import quality_report, report_of
from tests.unit.research.shared_data import shared
from tests.unit.research.synthetic_market import candles_of


@pytest.fixture
def clean(prices) -> pd.DataFrame:
    return candles_of(prices["W0USDT"].iloc[:500]).set_index("open_time")


def only(report) -> pd.Series:
    (row,) = report.table.itertuples()
    return pd.Series(row._asdict())


def test_clean_data_has_no_notes(clean):
    report = report_of({"A": clean})
    assert only(report)["notes"] == ""
    assert only(report)["coverage"] == 1.0
    assert (len(report.gaps), report.faults) == (0, ())


def test_a_bad_print_is_an_outlier_that_is_taken_back(clean):
    dirty = clean.copy()
    dirty.iloc[100, dirty.columns.get_loc("close")] *= 3.0
    row = only(report_of({"A": dirty}))
    assert (row["outliers"], row["spikes"]) == (2, 1)  # there and back; the way there is the spike
    assert row["worst_move"] == pytest.approx(np.log(3.0), rel=0.01)
    crash = clean.copy()
    crash.iloc[100:] *= 0.5
    row = only(report_of({"A": crash}))
    assert (row["outliers"], row["spikes"]) == (1, 0)  # a real move stays


def test_stale_stretches_zero_volume_and_gaps_are_counted_and_placed(clean):
    dirty = clean.copy()
    dirty.iloc[50:90, dirty.columns.get_loc("close")] = dirty["close"].iloc[50]
    dirty.iloc[50:90, dirty.columns.get_loc("volume")] = 0.0
    dirty = dirty.drop(dirty.index[[200, 201, 300]])
    report = report_of({"A": dirty})
    row = only(report)
    assert (row["longest_stale"], row["stale_stretches"], row["zero_volume"], row["missing_bars"], row["gaps"]) == (40, 1, 40, 3, 2)
    assert report.gaps["missing"].tolist() == [2, 1]
    assert report.gaps["after"].iloc[0] == clean.index[199]
    assert row["coverage"] == pytest.approx(497 / 500)
    assert report.audits["A"].stale_rows.tolist() == [[50, 89]]


@pytest.mark.parametrize(
    ("stamps", "zone", "offset"),
    [
        (lambda index: index, "UTC", 0.0),
        (lambda index: index.tz_localize(None), "naive, taken as UTC", 0.0),
        (lambda index: index.tz_convert("Asia/Tokyo"), "Asia/Tokyo, converted", 0.0),
        (lambda index: index.strftime("%Y-%m-%dT%H:%M:%S+02:00"), "UTC+02:00, converted", 0.0),
        (lambda index: index.as_unit("ms").asi8, "epoch ms", 0.0),
        (lambda index: index.as_unit("ms").asi8 + 59_999, "epoch ms", 59.999),  # close times instead of open times
    ],
)
def test_time_zones_are_told(clean, tmp_path, stamps, zone, offset):
    frame = clean.reset_index(drop=True)
    frame.insert(0, "open_time", stamps(clean.index))
    frame.to_parquet(tmp_path / "A.parquet")
    row = only(report_of({"A": read_candles(tmp_path / "A.parquet")}))
    assert (row["time_zone"], row["offset_s"]) == (zone, pytest.approx(offset))
    assert ("off the grid" in row["notes"]) == (offset > 0)


def test_listing_delisting_and_mixed_frequencies(clean):
    report = report_of({"A": clean, "LATE": clean.iloc[200:], "GONE": clean.iloc[:300], "SLOW": clean.iloc[::5]})
    assert "begins late" in report.table.loc["LATE", "notes"]
    assert report.table.loc["GONE", "ended"] == clean.index[299]
    assert pd.isna(report.table.loc["A", "listed"])
    assert "bars of 300 s, others differ" in report.table.loc["SLOW", "notes"]


def test_faults_are_rows_and_lines_and_never_raise(clean, tmp_path):
    bad = clean.copy()
    bad.iloc[3, bad.columns.get_loc("close")] = np.nan
    bad.iloc[9, bad.columns.get_loc("close")] = -1.0
    bad = bad.iloc[[0, 0, 2, 1, *range(3, 500)]]
    bad.reset_index().to_parquet(tmp_path / "BAD.parquet")
    clean.reset_index().to_parquet(tmp_path / "GOOD.parquet")
    (tmp_path / "BROKEN.csv").write_text("a,b\n1,2\n")
    report = quality_report(tmp_path)
    assert set(report.table.index) == {"BAD", "GOOD"}
    assert [report.table.loc["BAD", kind] for kind in ("nan_prices", "non_positive_prices", "duplicates", "disorder")] == [1, 1, 1, 1]
    assert sum("BROKEN" in line for line in report.faults) == 1
    assert "FAULT nan prices: 1 rows" in report.text()
    assert report._repr_png_()[:4] == b"\x89PNG"
    with pytest.raises(DataError, match="no folder"):
        quality_report(tmp_path / "none")


def test_recorded_outage_of_an_exchange():
    table = pd.read_parquet(shared("candles/binance_spot_5m_2021_outage.parquet")).rename(
        columns={"o": "open", "h": "high", "l": "low", "c": "close"}
    )
    report = report_of({symbol: frame.drop(columns="symbol").set_index("open_time") for symbol, frame in table.groupby("symbol")})
    outage = report.gaps[report.gaps["after"] == pd.Timestamp("2021-09-29 06:55", tz="UTC")]
    assert len(outage) == len(report.table) == 19
    assert set(outage["missing"]) == {24}  # 07:00 .. 08:55
    assert set(report.table.index[report.table["ended"].notna()]) == {"BUSDUSDT", "ONEUSDT"}


def test_recorded_bad_print_and_recorded_delisting():
    rates = pd.read_parquet(shared("stablecoins/cross_rates_30m_2022-04_05.parquet"))
    dai = rates[rates["pair"] == "DAI-USDT"].set_index("time").rename(columns={"price": "close"})[["close"]]
    found = report_of({"DAIUSDT": dai}).audits["DAIUSDT"]
    assert found.spikes >= 1
    assert pd.Timestamp("2022-04-07 02:00", tz="UTC") in dai.index[found.outlier_rows]  # 56.13 dollars for a dollar
    closes = pd.read_parquet(shared("stablecoins/binance_stable_close_1h_2021_2025.parquet"))
    usdc = closes[closes["symbol"] == "USDCUSDT"].set_index("open_time")[["close"]]
    worst = report_of({"USDCUSDT": usdc}).gaps.sort_values("missing").iloc[-1]
    assert (worst["before"] - worst["after"]).days == 166
