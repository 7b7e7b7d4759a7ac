"""Which column of a table holds what: time, open, high, low, close, volume, symbol; by the names that exchanges, platforms and libraries give them.

Beside candles of one symbol there are long tables (a symbol column: many symbols below each other) and wide ones (a column of closes a symbol).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data.files.decimals import numbers, shortest, was_float32
from research.data.files.file_names import symbol_text, timeframe_of
from research.data.files.timestamps import utc_times

FIELDS = ("open", "high", "low", "close", "volume")
_PRICES = FIELDS[:4]
# Names without case, blanks and signs, in the order they are tried: the begin of a bar first. Leftover index columns last, if they hold times.
_TIME_NAMES = tuple(
    [
        "opentime",
        "opentimestamp",
        "timeopen",
        "opendate",
        "opentimeutc",
        "starttime",
        "startat",
        "start",
        "startdate",
        "timeperiodstart",
        "candlebegintime",
        "begintime",
        "begin",
        "timestamp",
        "timestamputc",
        "timestampms",
        "unixtimestamp",
        "unixtime",
        "unix",
        "epoch",
        "epochms",
        "datetime",
        "datetimeutc",
        "dateandtime",
        "date",
        "dateutc",
        "day",
        "tradedate",
        "tradingday",
        "gmttime",
        "localtime",
        "time",
        "timeutc",
        "utctime",
        "utc",
        "ts",
        "tsevent",
        "mts",
        "snappedat",
        "month",
        "period",
        "t",
    ]
)
_LEFTOVER = ("index", "unnamed0", "level0", "")
_DATES = ("date", "day", "tradedate", "tradingday", "dtyyyymmdd")
_FIELD_NAMES = {
    "open": ("open", "openprice", "priceopen", "o"),
    "high": ("high", "highprice", "pricehigh", "h"),
    "low": ("low", "lowprice", "pricelow", "l"),
    "close": ("close", "closeprice", "priceclose", "closelast", "c"),
    "volume": ("volume", "vol", "v", "basevolume", "volumebase", "volumefrom", "volumetraded", "tickvol", "tickvolume", "shares"),
}
_SYMBOLS = (
    "symbol",
    "ticker",
    "pair",
    "instrument",
    "instrumentname",
    "instid",
    "sym",
    "tic",
    "market",
    "product",
    "productid",
    "coin",
    "asset",
    "code",
)
_TRADES = ("isbuyermaker", "aggtradeid", "tradeid", "side", "qty", "bestbidprice", "bid", "ask", "fundingrate", "lastfundingrate")
_TIME_OF_DAY = r"^\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?$"
_CLOSES_ONLY = ("closetime", "timeclose", "closetimestamp", "enddate", "endtime", "timeperiodend")


class Reading(NamedTuple):
    """What a file itself does not say, each empty where it does.

    `time_zone`: of stamps without a zone (IANA name; UTC without it); `day_first`: order of day and month; `decimal`: "." or ","; `stamps`: "open" or
    "close", what the times of the bars are; `snap`: move stamps that lie beside the grid of their bars to its nearest line.
    """

    time_zone: str = ""
    day_first: bool | None = None
    decimal: str = ""
    stamps: str = "open"
    snap: bool = False


PLAIN = Reading()


def key_of(name: object) -> str:
    """A column's name without case, blanks, signs and numbering: opentime of "Open time", open of "1. open", close of "<CLOSE>"."""
    return re.sub(r"[^a-z0-9]+", "", re.sub(r"^\s*\d+[a-z]?\.\s+", "", str(name).strip().lower()))


def names_a_time(key: str) -> bool:
    """Whether a key (key_of) names a time."""
    return key in _TIME_NAMES or key in _CLOSES_ONLY


def names_a_close(key: str) -> bool:
    """Whether a key (key_of) names a close."""
    return key in _FIELD_NAMES["close"] or key == "adjclose"


def symbol_column(names: list[str]) -> str | None:
    """The column that names a row's symbol, if there is one."""
    keys = {key_of(name): name for name in reversed(names)}
    return next((keys[key] for key in _SYMBOLS if key in keys), None)


def candles_of(raw: pd.DataFrame, path: Path, reading: Reading, symbol: str = "") -> pd.DataFrame:
    """The candles of one symbol in a table: columns of FIELDS that are there, float64, index `open_time` (UTC, ns). No checks on the values.

    `attrs`: time_zone (how the stamps were read) and remarks (what was recognised). Raises DataError for a table without times or closes, and for
    what may be read in two ways.
    """
    raw = raw.reset_index(drop=True)
    names = list(raw.columns)
    keys: dict[str, str] = {}
    for name in names:
        keys.setdefault(key_of(name), name)
    remarks: list[str] = []
    fields = _fields(keys, symbol, path, remarks)
    _one_of_each(raw, {**fields, **{key: keys[key] for key in _TIME_NAMES if key in keys}}, path)
    index, words = _times(raw, keys, path, reading, remarks)
    frame = numbers({field: raw[name] for field, name in fields.items()}, path, reading.decimal)
    rounded = [field for field in _PRICES if field in frame and was_float32(frame[field].to_numpy())]
    if rounded or any(raw[name].dtype == np.float32 for field, name in fields.items() if field in _PRICES):
        for field in rounded:
            frame[field] = shortest(frame[field].to_numpy())
        remarks.append("float32 prices, taken as the shortest decimals they are made of")
    frame.index = index
    if len(frame) > 1 and (np.diff(index.asi8) < 0).all():
        frame = frame.iloc[::-1]
        remarks.append("newest bar first in the file: turned round")
    frame.attrs = {"time_zone": words, "remarks": tuple(remarks)}
    return frame


def is_wide(raw: pd.DataFrame) -> bool:
    """Whether a table has times, no close, and beside the times only columns of numbers, two or more, none a field of candles or trades."""
    keys = [key_of(name) for name in raw.columns]
    if not any(names_a_time(key) for key in keys[:1]) or any(
        names_a_close(key) or key in _PRICES or key in _TRADES or key == "price" for key in keys
    ):
        return False
    if symbol_column(list(raw.columns)) is not None:
        return False
    others = [name for name, key in zip(raw.columns, keys, strict=True) if key not in _TIME_NAMES and key not in _LEFTOVER]
    return len(others) >= 2 and all(pd.api.types.is_numeric_dtype(raw[name]) for name in others)


def wide_closes(raw: pd.DataFrame, path: Path, reading: Reading) -> dict[str, pd.DataFrame]:
    """Candles with nothing but closes, by symbol, of a wide table; a cell that is empty is a bar that is not there."""
    result = {}
    times = [name for name in raw.columns if key_of(name) in _TIME_NAMES or key_of(name) in _LEFTOVER]
    for name in raw.columns:
        if name not in times:
            rows = raw[[*times, name]].rename(columns={name: "close"})
            result[symbol_text(name)] = candles_of(rows[rows["close"].notna()], path, reading)
    return result


def _fields(keys: dict[str, str], symbol: str, path: Path, remarks: list[str]) -> dict[str, str]:
    found = {field: next((keys[key] for key in choices if key in keys), None) for field, choices in _FIELD_NAMES.items()}
    known = list(keys.values())
    if found["close"] is None and "adjclose" in keys:
        found["close"] = keys["adjclose"]
        remarks.append("adjusted closes, for want of others")
    elif found["close"] is not None and "adjclose" in keys:
        remarks.append(f"{keys['adjclose']!r} left aside, the closes are {found['close']!r}")
    for key in ("price", "last"):
        if found["close"] is None and key in keys and not any(one in keys for one in _TRADES):
            found["close"] = keys[key]
            remarks.append(f"{keys[key]!r} taken as the close")
    if found["volume"] is None:
        units = {key.removeprefix("volume"): name for key, name in keys.items() if key.startswith("volume")}
        found["volume"] = next((name for unit, name in units.items() if unit and symbol.lower().startswith(unit)), None)
    if found["close"] is None:
        if any(key in keys for key in _TRADES):
            raise DataError(f"{path} has no close column among {known}: it looks like trades, quotes or rates", "Candles are needed here")
        raise DataError(f"{path} has no close column among {known}", "Name them open_time and close")
    return {field: name for field, name in found.items() if name is not None}


def _one_of_each(raw: pd.DataFrame, used: dict[str, str], path: Path) -> None:
    """Refuse two columns of one name that hold different values."""
    for name in used.values():
        for other in raw.columns:
            twin = str(other).rsplit(".", 1)[0] == str(name) and str(other).rsplit(".", 1)[-1].isdigit()
            if other != name and (twin or key_of(other) == key_of(name)) and not raw[other].equals(raw[name]):
                raise DataError(f"{path} has two columns {name!r} and {other!r} that differ", "Keep one of them")


def _times(raw: pd.DataFrame, keys: dict[str, str], path: Path, reading: Reading, remarks: list[str]) -> tuple[pd.DatetimeIndex, str]:
    """Times of the first column in _TIME_NAMES that holds some; an epoch beside a naive date is the more certain of the two."""
    candidates = [keys[key] for key in _TIME_NAMES if key in keys]
    candidates += [keys[key] for key in _LEFTOVER if key in keys and not pd.api.types.is_numeric_dtype(raw[keys[key]])]
    candidates = candidates or ([keys[key] for key in _CLOSES_ONLY if key in keys][:1] if reading.stamps == "close" else [])
    if not candidates:
        ends = [keys[key] for key in _CLOSES_ONLY if key in keys]
        cure = f"{ends[0]!r} says when bars end: read it with --stamps close" if ends else "Name them open_time and close"
        raise DataError(f"{path} has no time column among {list(keys.values())}", cure)
    joined = _date_and_time(raw, keys)
    if joined is not None:
        return utc_times(joined, path, time_zone=reading.time_zone, day_first=reading.day_first)
    failure: DataError | None = None
    chosen: tuple[str, pd.DatetimeIndex, str] | None = None
    for name in candidates:
        try:
            index, words = utc_times(raw[name], path, time_zone=reading.time_zone, day_first=reading.day_first)
        except DataError as error:
            failure = failure or error
            continue
        if chosen is None:
            chosen = name, index, words
            if "taken as" not in words:
                break
        elif "taken as" not in words:
            chosen = _more_certain(chosen, (name, index, words), remarks)
            break
    if chosen is None:
        raise failure if failure is not None else DataError(f"{path} has no times", "Name their column open_time")
    if failure is not None and chosen[0] != candidates[0]:
        remarks.append(f"times of {chosen[0]!r}: {candidates[0]!r} holds none")
    return chosen[1], chosen[2]


def _more_certain(
    naive: tuple[str, pd.DatetimeIndex, str], sure: tuple[str, pd.DatetimeIndex, str], remarks: list[str]
) -> tuple[str, pd.DatetimeIndex, str]:
    """The second, which says its zone, if the first shows the same moments by the clock of some zone; else the first."""
    behind = naive[1].asi8 - sure[1].asi8
    quarter = 900 * 10**9
    if (behind % quarter).any() or np.abs(behind).max() > 14 * 4 * quarter:
        return naive
    if behind.any():
        remarks.append(f"times of {sure[0]!r}, from which {naive[0]!r} lies {behind[0] / 3.6e12:+g} h off")
    return sure


def _date_and_time(raw: pd.DataFrame, keys: dict[str, str]) -> pd.Series | None:
    """One column of a date and a column of the time of day, joined; None if there are no such two."""
    date = next((keys[key] for key in _DATES if key in keys), None)
    if date is None or "time" not in keys:
        return None
    clock = raw[keys["time"]]
    if pd.api.types.is_integer_dtype(clock) and ((clock >= 0) & (clock < 240_000) & (clock % 100 < 60) & (clock // 100 % 100 < 60)).all():
        text = clock.astype(str).str.zfill(6)  # 93000 is 09:30:00 (stooq)
        text = text.str[:2] + ":" + text.str[2:4] + ":" + text.str[4:]
    elif not pd.api.types.is_numeric_dtype(clock) and clock.astype(str).str.strip().str.fullmatch(_TIME_OF_DAY).all():
        text = clock.astype(str).str.strip()
    else:
        return None
    dates = raw[date].dt.strftime("%Y-%m-%d") if pd.api.types.is_datetime64_any_dtype(raw[date]) else raw[date].astype(str).str.strip()
    return (dates + " " + text).rename(f"{date} {keys['time']}")


def split_long(raw: pd.DataFrame, column: str, path: Path) -> dict[str, pd.DataFrame]:
    """Rows by symbol of a long table. Raises DataError for a row without symbol, a symbol written in two ways, or several bar lengths."""
    empty = np.flatnonzero(raw[column].isna())
    if empty.size:
        raise DataError(f"{path}: row {int(empty[0])} has no {column}", "Repair or remove that row")
    written = pd.Series({name: symbol_text(name) for name in raw[column].unique()})
    twice = written[written.duplicated(keep=False)]
    if len(twice):
        raise DataError(f"{path}: {' and '.join(map(repr, twice.index[:2]))} are one symbol, {twice.iloc[0]}", "Write each symbol in one way")
    for name in raw.columns:
        frames = {str(value) for value in raw[name].unique()} if key_of(name) in ("interval", "timeframe", "resolution", "per") else set()
        if len(frames) > 1 and all(timeframe_of(value) or value.isdigit() for value in frames):
            raise DataError(f"{path} holds bars of {', '.join(sorted(frames))} in one table ({name})", "Save one bar length a file")
    return {written[name]: rows for name, rows in raw.groupby(column, sort=True)}
