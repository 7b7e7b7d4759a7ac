"""Calendars of markets whose hours are known here by rule: what is missing, what is closed, how many bars a year has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.data.calendars import bars_a_year, infer_calendar
from research.data.data_loader import load_panel
from research.data.data_quality import audit
from research.data.files.candle_columns import Reading
from tests.unit.research.shared_data import shared

# The New York Stock Exchange's own list of 2023 and 2024.
HOLIDAYS = pd.DatetimeIndex(
    [
        "2023-01-02",
        "2023-01-16",
        "2023-02-20",
        "2023-04-07",
        "2023-05-29",
        "2023-06-19",
        "2023-07-04",
        "2023-09-04",
        "2023-11-23",
        "2023-12-25",
        "2024-01-01",
        "2024-01-15",
        "2024-02-19",
        "2024-03-29",
        "2024-05-27",
        "2024-06-19",
        "2024-07-04",
        "2024-09-02",
        "2024-11-28",
        "2024-12-25",
    ]
)
SHORT = pd.DatetimeIndex(["2023-07-03", "2023-11-24", "2024-07-03", "2024-11-29", "2024-12-24"])  # until 13:00


def new_york_days(first: str = "2023-01-03", last: str = "2024-12-31") -> pd.DatetimeIndex:
    days = pd.bdate_range(first, last)
    return days[~days.isin(HOLIDAYS)]


def new_york_bars(step: str, first: str = "2024-01-02", last: str = "2024-12-31") -> pd.DatetimeIndex:
    """Bars of regular trading, 09:30 to 16:00 and 13:00 on short days, by the clock of New York, in UTC."""
    parts = []
    for day in new_york_days(first, last):
        close = "13:00" if day in SHORT else "16:00"
        parts.append(pd.date_range(f"{day.date()} 09:30", f"{day.date()} {close}", freq=step, inclusive="left", tz="America/New_York"))
    return pd.DatetimeIndex(np.concatenate([part.tz_convert("UTC").asi8 for part in [p.as_unit("ns") for p in parts]]), tz="UTC")


def missing(index: pd.DatetimeIndex) -> int:
    calendar = infer_calendar(index)
    return int(calendar.missing(np.asarray(index.as_unit("ns").asi8))[1].sum())


@pytest.mark.parametrize(("step", "bars"), [("1min", 525_960), ("5min", 105_192), ("1h", 8766), ("8h", 1095.75), ("1D", 365.25), ("7D", 52.178571)])
def test_a_market_that_never_closes(step, bars):
    index = pd.date_range("2024-01-01", periods=3000, freq=step, tz="UTC")
    assert infer_calendar(index).kind == "continuous"
    assert bars_a_year(index) == pytest.approx(bars)
    assert missing(index) == 0
    assert missing(index.delete([5, 6, 900])) == 3
    assert bars_a_year(index.delete([5, 6, 900])) == pytest.approx(bars)


@pytest.mark.parametrize("clock", ["UTC", "America/New_York"])
def test_days_of_an_exchange(clock):
    index = new_york_days().tz_localize(clock).tz_convert("UTC")
    found = infer_calendar(index)
    assert (found.kind, found.zone, found.bars_a_year) == ("sessions", clock, 252.0)
    assert "Mon to Fri" in found.words
    assert f"{len(HOLIDAYS) - 1} days without a bar taken as holidays" in found.words  # the first lies before the first bar
    assert missing(index) == 0
    gone = index.delete(range(100, 140))  # eight weeks are no holidays
    assert missing(gone) >= 40


def test_every_day_by_a_clock_that_changes():
    index = pd.date_range("2024-01-01", periods=400, freq="D", tz="America/New_York").tz_convert("UTC")  # days of 23 and 25 hours among them
    found = infer_calendar(index)
    assert (found.zone, found.bars_a_year, missing(index)) == ("America/New_York", 365.25, 0)
    assert missing(index.delete([70, 71])) == 2
    whole = found.grid(index)
    assert (whole == index).all()


@pytest.mark.parametrize(("step", "a_day"), [("30min", 13), ("5min", 78)])
def test_sessions_of_an_exchange(step, a_day):
    index = new_york_bars(step)
    found = infer_calendar(index)
    assert (found.kind, found.zone) == ("sessions", "America/New_York")
    assert found.bars_a_year == pytest.approx(252.0 * a_day)
    assert missing(index) == 0
    lost = index.delete([1000, 1001, 2000])
    assert missing(lost) == 3
    assert set(infer_calendar(lost).grid(lost)) == set(index)


def test_a_session_of_two_weeks_is_seen_too():
    index = new_york_bars("1min", "2024-06-03", "2024-06-14")
    assert (infer_calendar(index).kind, missing(index), missing(index.delete([500, 501]))) == ("sessions", 0, 2)


def test_currencies_rest_at_weekends():
    hours = pd.date_range("2024-01-01", "2024-12-20", freq="h", tz="America/New_York")
    shut = (hours.day_of_week == 5) | ((hours.day_of_week == 4) & (hours.hour >= 17)) | ((hours.day_of_week == 6) & (hours.hour < 17))
    index = hours[~shut].tz_convert("UTC")
    assert infer_calendar(index).kind == "sessions"
    assert infer_calendar(index).bars_a_year == pytest.approx(365.25 / 7 * 120, rel=0.01)
    assert missing(index) == 0
    assert missing(index.delete([700, 701])) == 2


def test_a_crypto_market_with_holes_is_no_session():
    index = pd.date_range("2024-01-01", periods=30 * 1440, freq="min", tz="UTC")
    rng = np.random.default_rng(3)
    assert infer_calendar(index.delete(rng.choice(np.arange(1, 43_000), 6000, replace=False))).kind == "continuous"  # thinned
    assert missing(index.delete(np.arange(5000, 12_000))) == 7000  # five days dark
    assert missing(index.delete(np.arange(5000, 5120))) == 120  # two hours of maintenance


@pytest.mark.parametrize(
    ("freq", "a_year", "words"),
    [
        ("MS", 12, "months"),
        ("ME", 12, "months"),
        ("BME", 12, "ends"),
        ("BMS", 12, "first days"),
        ("QS", 4, "quarters"),
        ("QE", 4, "quarters"),
        ("YS", 1, "years"),
    ],
)
def test_months_quarters_years(freq, a_year, words):
    index = pd.date_range("1990-01-01", periods=80, freq=freq, tz="UTC")
    found = infer_calendar(index)
    assert (found.kind, found.bars_a_year) == ("months", a_year)
    assert words in found.words
    assert missing(index) == 0
    assert missing(index.delete([7, 8, 30])) == 3


def test_weeks_that_begin_a_day_late():
    index = pd.date_range("2024-01-01", periods=60, freq="7D", tz="UTC").to_series().reset_index(drop=True)
    index.iloc[[5, 33]] += pd.Timedelta("1D")
    index = pd.DatetimeIndex(index)
    assert (infer_calendar(index).kind, missing(index), missing(index.delete([10]))) == ("weeks", 0, 1)


def test_the_choice_takes_the_inference_back():
    index = new_york_days().tz_localize("UTC")
    assert int(infer_calendar(index, "continuous").missing(index.as_unit("ns").asi8)[1].sum()) > 200
    with pytest.raises(DataError, match="no calendar"):
        infer_calendar(index, "lunar")
    with pytest.raises(DataError, match="1 bars say no bars a year"):
        bars_a_year(index[:1])


def test_days_that_one_symbol_lacks_are_missing_and_not_holidays(tmp_path):
    index = new_york_days().tz_localize("UTC")
    rng = np.random.default_rng(0)
    closes = pd.DataFrame(100 * np.exp(np.cumsum(rng.normal(size=(len(index), 2)) * 0.01, axis=0)).round(4), index, ["AAA", "BBB"])
    closes["AAA"].reset_index().set_axis(["date", "close"], axis=1).to_csv(tmp_path / "AAA.csv", index=False)
    closes["BBB"].drop(index[[50, 51]]).reset_index().set_axis(["date", "close"], axis=1).to_csv(tmp_path / "BBB.csv", index=False)
    with pytest.raises(DataError, match=f"2 bars of 1 symbols are missing that others have, as BBB at {index[50]:%Y-%m-%d}"):
        load_panel(tmp_path)
    assert load_panel(tmp_path, on_gap="drop").closes.shape == (len(index) - 2, 2)
    filled = load_panel(tmp_path, on_gap="fill")
    assert filled.closes["BBB"].iloc[50] == filled.closes["BBB"].iloc[49]
    assert filled.bars_a_year == 252.0
    assert load_panel(tmp_path, ["AAA"], calendar="continuous", on_gap="drop").bars_a_year == pytest.approx(365.25)


def test_disorder_and_duplicates_are_looked_past():
    index = new_york_days().tz_localize("UTC")
    mixed = index[np.r_[0, 0, 2, 1, 3 : len(index)]]
    found = audit(pd.DataFrame({"close": np.arange(len(mixed)) + 1.0}, mixed))
    assert found.calendar.kind == "sessions"
    assert {fault.kind for fault in found.faults} == {"disorder", "duplicates"}


def test_textbook_data_has_the_calendars_it_has():
    etfs = load_panel(shared("classic/ewa_ewc_ige_daily_2006_2012.csv"))
    assert (etfs.closes.shape, etfs.bars_a_year) == ((1500, 3), 252.0)
    assert load_panel(shared("classic/crude_wti_brent_monthly.csv")).bars_a_year == 12.0
    assert load_panel(shared("candles/binance_spot_5m_2021_outage.parquet"), ["BTCUSDT", "eth/usdt"], on_gap="fill").closes.shape[1] == 2
    late = Reading(snap=True)
    assert load_panel(shared("stablecoins/kraken_usdcusd_1h_2023-03.csv"), reading=late).bars_a_year == 8766.0
