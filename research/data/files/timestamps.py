"""Times as files write them, into UTC: epochs, dates as numbers, spreadsheet days, ISO 8601, and dates in the forms of spreadsheets and platforms.

What can be read in one way only is read, and how is said in words; what can be read in two ways is refused with the choice to make. Epochs are
told apart by their size: from 1980 to 2100 no second is a millisecond, so a file that changes its unit (Binance's spot archive did in 2025)
is read row by row.
"""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from hftkit.errors import DataError

_EPOCHS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}  # ns of one unit
_FROM_S, _TO_S = 315_532_800, 4_102_444_800  # 1980 and 2100, seconds
_DAY_NS = 86_400 * 10**9
_YEAR_NS = 366 * _DAY_NS
_DIGITS = ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H", "%Y%m")
_DAYS = {"Excel days": (20_000, 80_000, 25_569), "MATLAB days": (693_962, 767_011, 719_529)}  # first, last, that of 1970-01-01
_OFFSET = r"[T ]\d\d?.*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_MONTHS = {name: i + 1 for i, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])}
_FORM = re.compile(
    r"""^(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?
    (?: (?P<y1>\d{4})[./-](?P<m1>\d{1,2})[./-](?P<d1>\d{1,2})
      | (?P<a>\d{1,2})[./-](?P<b>\d{1,2})[./-](?P<y2>\d{4}|\d{2})(?!\d)
      | (?P<n3>[a-z]{3,9})\.?[\s-]+(?P<d3>\d{1,2}),?\s+(?P<y3>\d{4})
      | (?P<d4>\d{1,2})[\s-]+(?P<n4>[a-z]{3,9})[\s.,-]+(?P<y4>\d{4}|\d{2})(?!\d)
      | (?P<compact>\d{8})
      | (?P<n5>[a-z]{3,9})[\s-](?P<y5>\d{4})
      | (?P<y6>\d{4})-?q(?P<q6>[1-4])
      | (?P<y7>\d{4})m(?P<m7>\d{1,2}) )
    (?:[T\s,]+(?P<h>\d{1,2})(?::?(?P<mi>\d{2})(?::?(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)?)?
    [\s-]*(?P<half>[ap]\.?m\.?)?
    \s*(?P<zone>z|utc|gmt)?(?P<offset>[+-]\d{1,2}(?::?\d{2})?)?(?:\s*(?P<name>(?!z$|utc$|gmt$)[a-z]{2,5}))?$""",
    re.IGNORECASE | re.VERBOSE,
)


def utc_times(stamps: pd.Series, path: Path, *, time_zone: str = "", day_first: bool | None = None) -> tuple[pd.DatetimeIndex, str]:
    """The stamps of one column in UTC, and how they were read, in words.

    Parameters
    ----------
    stamps : Series (n,) of numbers, text or time stamps; its name is the column's.
    path : the file, for messages.
    time_zone : zone (IANA name) of stamps that have none; UTC without it.
    day_first : 01/02/2024 is 1 February (True), 2 January (False); None: only if the column itself shows which.

    Returns
    -------
    DatetimeIndex (n,), UTC, ns, named open_time; and words such as "epoch ms" or "naive, taken as UTC".

    Raises
    ------
    DataError naming file and row for what is no time, may be two times, or lies outside 1900 to 2100.
    """
    if not len(stamps):
        raise DataError(f"{path} has no rows", "Fetch the file again")
    _zone(time_zone)
    stamps = stamps.reset_index(drop=True)
    plain = pd.api.types.is_numeric_dtype(stamps) or pd.api.types.is_datetime64_any_dtype(stamps)
    empty = np.flatnonzero(stamps.isna() | (False if plain else stamps.astype(str).str.strip() == ""))
    if empty.size:
        raise DataError(f"{path}: row {int(empty[0])} has no time", "Repair or remove that row")
    if pd.api.types.is_datetime64_any_dtype(stamps):
        times, words = _from_stamps(pd.DatetimeIndex(stamps), path, time_zone)
    elif pd.api.types.is_numeric_dtype(stamps) and not pd.api.types.is_bool_dtype(stamps):
        times, words = _from_numbers(stamps, path)
    else:
        numbers = pd.to_numeric(stamps, errors="coerce")
        if numbers.notna().all() and not pd.api.types.is_bool_dtype(stamps):
            times, words = _from_numbers(numbers, path)
        else:
            times, words = _from_text(stamps, path, time_zone, day_first)
    index = pd.DatetimeIndex(times, name="open_time")
    _refuse_implausible(index, stamps, path)
    return index.as_unit("ns"), words


def _refuse_implausible(index: pd.DatetimeIndex, stamps: pd.Series, path: Path) -> None:
    wrong = np.flatnonzero((index.year < 1900) | (index.year > 2100))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(f"{path}: row {row} is of the year {index.year[row]} ({stamps.iloc[row]})", "Repair that row, or check the unit of its times")
    if index.min().year == 1970 and index.max() < pd.Timestamp("1970-01-22", tz="UTC"):
        raise DataError(
            f"{path}: all times lie from {index.min():%Y-%m-%d %H:%M} to {index.max():%Y-%m-%d %H:%M}: an epoch that was taken in a wrong unit",
            "Write the file again with the unit (s, ms, us, ns) its source has",
        )


# -- time stamps ---------------------------------------------------------------------------------------------------------


def _zone(name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DataError(f"there is no time zone {name!r}", "Use a name of the IANA list, as America/New_York (--time-zone)") from None


def _from_stamps(times: pd.DatetimeIndex, path: Path, time_zone: str) -> tuple[pd.DatetimeIndex, str]:
    if times.tz is None:
        return _localised(times, path, time_zone)
    offset = times[0].utcoffset() or pd.Timedelta(0)
    changes = len(times) > 1 and (times[-1].utcoffset() or pd.Timedelta(0)) != offset
    return times.tz_convert("UTC"), f"{times.tz}, converted" if offset or changes else "UTC"


def _localised(times: pd.DatetimeIndex, path: Path, time_zone: str) -> tuple[pd.DatetimeIndex, str]:
    """Naive times in UTC. Raises DataError for an hour that the zone's clock skips, or shows twice without the file saying which."""
    if not time_zone:
        return times.tz_localize("UTC"), "naive, taken as UTC"
    for ambiguous in ("infer", "NaT"):
        try:
            local = times.tz_localize(time_zone, ambiguous=ambiguous, nonexistent="NaT")
            break
        except ValueError:  # hours that come once only: nothing says which of the two they are
            continue
    bad = np.flatnonzero(local.isna())
    if bad.size:
        row = int(bad[0])
        raise DataError(
            f"{path}: row {row} ({times[row]}) does not exist or happens twice in {time_zone}, where the clock changes", "Write the times in UTC"
        )
    return local.tz_convert("UTC"), f"naive, taken as {time_zone}"


# -- numbers -------------------------------------------------------------------------------------------------------------


def _from_numbers(stamps: pd.Series, path: Path) -> tuple[pd.DatetimeIndex, str]:
    values = stamps.to_numpy()
    if values.dtype == object or not np.isfinite(values.astype(np.float64)).all():
        values = values.astype(np.float64)
        row = int(np.argmax(~np.isfinite(values)))
        if not np.isfinite(values).all():
            raise DataError(f"{path}: row {row} has no time ({values[row]})", "Repair or remove that row")
    sizes = values.astype(np.float64)
    whole = bool((sizes == np.rint(sizes)).all())
    if whole and (read := _from_digits(values.astype(np.int64) if values.dtype.kind == "f" else values)) is not None:
        return read
    for words, (least, most, origin) in _DAYS.items():
        if ((sizes >= least) & (sizes < most)).all():
            seconds = (sizes - origin) * 86_400.0
            near = np.rint(seconds)
            seconds = near if np.abs(seconds - near).max() < 0.1 else np.rint(seconds * 1e3) / 1e3  # such days hold few digits of a second
            return pd.DatetimeIndex(np.rint(seconds * 1e3).astype(np.int64) * 10**6, tz="UTC"), f"{words}, taken as UTC"
    return _from_epoch(values, sizes, stamps, path)


def _from_digits(values: np.ndarray) -> tuple[pd.DatetimeIndex, str] | None:
    """Dates written as numbers, 20240131 or 202401312359, if every row is one."""
    length = len(str(int(values[0])))
    for form in _DIGITS:
        if length != len(pd.Timestamp(2024, 1, 31).strftime(form)) or values.min() < 10 ** (length - 1) or values.max() >= 10**length:
            continue
        years = values // 10 ** (length - 4)
        if ((years < 1900) | (years > 2100)).any():
            continue
        times = pd.to_datetime(pd.Series(values).astype(str), format=form, errors="coerce", utc=True)
        if times.notna().all():
            return pd.DatetimeIndex(times), f"dates as numbers ({form.replace('%', '')}), taken as UTC"
    return None


def _from_epoch(values: np.ndarray, sizes: np.ndarray, stamps: pd.Series, path: Path) -> tuple[pd.DatetimeIndex, str]:
    units = np.full(sizes.size, "", object)
    for unit, ns in _EPOCHS.items():
        units[(sizes >= _FROM_S * (10**9 // ns)) & (sizes < _TO_S * (10**9 // ns))] = unit
    known = [unit for unit in _EPOCHS if (units == unit).any()]
    if known and (len(known) > 1 or (units == "").any()):
        largest = known[-1]  # one unit over decades: 1962 to today holds numbers of every size, but no jump
        times = sizes * float(_EPOCHS[largest])
        steps = np.diff(times)
        if sizes.size > 1 and np.abs(steps).max() < _YEAR_NS and ((steps > 0).all() or (steps < 0).all()):
            units[:], known = largest, [largest]
    strange = np.flatnonzero(units == "")
    if strange.size:
        row = int(strange[0])
        raise DataError(
            f"{path}: column {stamps.name!r} holds no times ({stamps.iloc[row]!r} at row {row} is no epoch of 1980 to 2100 in s, ms, us or ns, "
            "and no date as a number)",
            "Use ISO 8601 text or epoch numbers",
        )
    result = np.zeros(sizes.size, np.int64)
    for unit in known:
        mine, ns = units == unit, _EPOCHS[unit]
        if values.dtype.kind in "iu":
            result[mine] = values[mine].astype(np.int64) * ns
        else:  # a double holds an epoch to a quarter of a microsecond
            result[mine] = np.rint(sizes[mine] * (ns / 1000.0)).astype(np.int64) * 1000
    words = f"epoch {known[0]}"
    if len(known) > 1:
        first = [int(np.argmax(units == unit)) for unit in known]
        words = "epoch " + ", ".join(f"{unit} from row {row}" for row, unit in sorted(zip(first, known, strict=True)))
    return pd.DatetimeIndex(result, tz="UTC"), words


# -- text ----------------------------------------------------------------------------------------------------------------


def _from_text(stamps: pd.Series, path: Path, time_zone: str, day_first: bool | None) -> tuple[pd.DatetimeIndex, str]:
    try:
        text = stamps.astype(str).str.strip()
        times = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce")
    except (ValueError, TypeError, OverflowError):
        raise _no_times(stamps, 0, path) from None
    if times.isna().any():
        return _from_parts(text, stamps, path, time_zone, day_first)
    aware = text.str.contains(_OFFSET, regex=True)
    _one_way(aware, stamps, path)
    if not aware.all():
        return _localised(pd.DatetimeIndex(times).tz_localize(None), path, time_zone)
    first = pd.Timestamp(text.iloc[0])
    same = text.str.slice(-6).nunique() == 1 or text.str.endswith("Z").all()
    return pd.DatetimeIndex(times), _zone_words(first, same)


def _zone_words(first: pd.Timestamp, same: bool) -> str:
    if not same:
        return "offsets that change, converted"
    return f"{first.tzinfo}, converted" if first.utcoffset() else "UTC"


def _one_way(aware: pd.Series, stamps: pd.Series, path: Path) -> None:
    if aware.any() and not aware.all():
        row = int(np.argmax((aware != aware.iloc[0]).to_numpy()))
        have, lack = ("has no", "have") if aware.iloc[0] else ("has an", "have none")
        raise DataError(
            f"{path}: row {row} ({stamps.iloc[row]!r}) {have} offset from UTC, the rows before it {lack}", "Write all times in one way, best in UTC"
        )


def _no_times(stamps: pd.Series, row: int, path: Path) -> DataError:
    where = f" at row {row}" if row else ""
    return DataError(f"{path}: column {stamps.name!r} holds no times ({stamps.iloc[row]!r}{where})", "Use ISO 8601 text or epoch numbers")


def _from_parts(text: pd.Series, stamps: pd.Series, path: Path, time_zone: str, day_first: bool | None) -> tuple[pd.DatetimeIndex, str]:
    """Dates that are no ISO 8601: parts by the forms of _FORM, the order of day and month decided for the whole column."""
    parts = text.str.extract(_FORM)
    strange = np.flatnonzero(parts.drop(columns=["zone", "offset", "name", "half"]).isna().all(axis=1))
    if strange.size:
        raise _no_times(stamps, int(strange[0]), path)
    named = np.flatnonzero(parts["name"].notna())
    if named.size:
        row = int(named[0])
        raise DataError(
            f"{path}: row {row} ({stamps.iloc[row]!r}) names its zone by letters, which several zones share",
            "Write offsets from UTC, or leave the letters out and give the zone (--time-zone)",
        )
    year, month, day, words = _dates(parts, stamps, path, day_first)
    times = pd.to_datetime(pd.DataFrame({"year": year, "month": month, "day": day}), errors="coerce")
    hour = pd.to_numeric(parts["h"]).fillna(0)
    half = parts["half"].str[0].str.lower()
    wrong = times.isna() | (hour > 23) | (half.notna() & ((hour < 1) | (hour > 12)))
    hour = hour.where(half.isna(), hour % 12 + 12 * (half == "p"))
    minute, second = (pd.to_numeric(parts[name]).fillna(0) for name in ("mi", "s"))
    wrong |= (minute > 59) | (second > 59)
    if wrong.any():
        raise _no_times(stamps, int(np.argmax(wrong.to_numpy())), path)
    ns = pd.to_numeric(parts["f"].str.ljust(9, "0")).fillna(0).astype(np.int64)
    base = pd.DatetimeIndex(times).as_unit("ns").asi8
    local = base + (hour * 3600 + minute * 60 + second).to_numpy(np.int64) * 10**9 + ns.to_numpy()
    aware = parts["zone"].notna() | parts["offset"].notna()
    _one_way(aware, stamps, path)
    if not aware.all():
        index, zone = _localised(pd.DatetimeIndex(local), path, time_zone)
        return index, f"{words}, {zone}" if words else zone
    offset = parts["offset"].str.extract(r"(?P<sign>[+-])(?P<hours>\d{1,2}):?(?P<minutes>\d{2})?")
    minutes = (pd.to_numeric(offset["hours"]).fillna(0) * 60 + pd.to_numeric(offset["minutes"]).fillna(0)) * np.where(offset["sign"] == "-", -1, 1)
    zone = (
        "UTC"
        if not minutes.any()
        else f"offset {minutes.iloc[0] / 60:+g} h, converted"
        if minutes.nunique() == 1
        else "offsets that change, converted"
    )
    index = pd.DatetimeIndex(local - minutes.to_numpy(np.int64) * 60 * 10**9, tz="UTC")
    return index, f"{words}, {zone}" if words else zone


def _dates(parts: pd.DataFrame, stamps: pd.Series, path: Path, day_first: bool | None) -> tuple[pd.Series, pd.Series, pd.Series, str]:
    number = parts[["y1", "m1", "d1", "a", "b", "y2", "d3", "y3", "d4", "y4", "y5", "y6", "q6", "y7", "m7"]].apply(pd.to_numeric)
    name = parts["n3"].fillna(parts["n4"]).fillna(parts["n5"]).str[:3].str.lower().map(_MONTHS)
    words = ""
    first = number["a"].notna()
    order = False
    if first.any():
        order, words = _day_first(number["a"][first], number["b"][first], stamps, path, day_first)
    compact = pd.to_numeric(parts["compact"])
    year = number["y1"].fillna(number["y2"]).fillna(number["y3"]).fillna(number["y4"]).fillna(number["y5"]).fillna(number["y6"]).fillna(number["y7"])
    year = year.fillna(compact // 10_000)
    year = year.where(year >= 100, year + np.where(year < 69, 2000, 1900))  # as POSIX reads two digits
    month = number["m1"].fillna(number["b"] if order else number["a"]).fillna(name).fillna(number["q6"] * 3 - 2).fillna(number["m7"])
    month = month.fillna(compact // 100 % 100)
    day = number["d1"].fillna(number["a"] if order else number["b"]).fillna(number["d3"]).fillna(number["d4"]).fillna(compact % 100)
    return year, month, day.fillna(1), words


def _day_first(a: pd.Series, b: pd.Series, stamps: pd.Series, path: Path, wanted: bool | None) -> tuple[bool, str]:
    """Whether the first of two numbers is the day: by a number above 12, or as wanted, or because both are equal everywhere."""
    days, months = a > 12, b > 12
    if days.any() and months.any():
        one, two = int(days.idxmax()), int(months.idxmax())
        raise DataError(
            f"{path}: row {one} ({stamps[one]!r}) begins with a day, row {two} ({stamps[two]!r}) with a month", "Write dates as 2024-01-31"
        )
    if days.any() or months.any():
        order = bool(days.any())
        if wanted is not None and wanted != order:
            row = int((days | months).idxmax())
            raise DataError(
                f"{path}: row {row} ({stamps[row]!r}) begins with a {'day' if order else 'month'}", "Leave --date-order out for this file"
            )
    elif wanted is not None:
        order = wanted
    elif (a == b).all():
        return True, ""
    else:
        row = int((a != b).idxmax())
        raise DataError(
            f"{path}: no row shows which is the day in dates like {stamps[row]!r} (row {row})", "Say it with --date-order day-first or month-first"
        )
    return order, f"dates {'day' if order else 'month'} first"
