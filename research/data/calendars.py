"""When a market is open, inferred from the bars themselves: always, on sessions and days of an exchange, by weeks, by months.

A calendar says which bars are missing (expected and not there) and which are not (nights, weekends, holidays, short days), and how many bars a year
has. Nothing but the data is asked: what was inferred is said in words, and `calendar="continuous"` takes it back. A zone whose clock changes is found
by the one in which the bars keep their time of day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data.files.file_names import MONTH_NS, timeframe_text

Kind = Literal["continuous", "sessions", "weeks", "months"]
CHOICES = ("infer", "continuous", "sessions")
# Zones that are tried, where UTC does not keep the bars at one time of day. One of each rule of summer time is enough for daily bars.
ZONES = ("UTC", "America/New_York", "Europe/London", "Europe/Berlin", "Australia/Sydney")
_DAY_NS = 86_400 * 10**9
_WEEK_NS = 7 * _DAY_NS
YEAR_NS = 365.25 * _DAY_NS
TRADING_DAYS = 252.0  # the convention, for exchanges that show 245 to 256 days a year
_HOLIDAYS_A_YEAR = 26  # more days than that are missing data
_SHORT_DAYS_A_YEAR = 12
_OPEN_SHARE = 0.5  # a time of day (of week) belongs to the session if this share of the days (weeks) have a bar there
_EXPLAINED = 0.9  # of the bars that a continuous market would lack: below that the gaps are no session
_LEAST_DAYS = 5
_MONDAY_NS = 4 * _DAY_NS  # 1970-01-05


@dataclass(frozen=True)
class Calendar:
    """`bar_ns`: bar length (of months the nominal one); `zone`: whose clock the sessions keep; `bars_a_year`; `words`: what was inferred.

    `expected`: int64 (m,), Unix ns, the bars that a series from its first to its last bar should have; None of a continuous market, whose bars are
    all whole steps. `irregular`: rows that lie beside every grid.
    """

    kind: Kind
    bar_ns: int
    zone: str
    bars_a_year: float
    words: str
    expected: np.ndarray | None = None
    irregular: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def missing(self, stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows after which bars are missing, and how many: int64 (gaps,) each. `stamps`: int64 (n,), Unix ns, in order."""
        if self.bar_ns == 0 or stamps.size < 2:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if self.expected is None:
            steps = np.diff(stamps)
            rows = np.flatnonzero(steps > self.bar_ns)
            return rows, np.maximum(steps[rows] // self.bar_ns - 1, 0)
        absent = np.setdiff1d(self.expected, stamps)
        rows, counts = np.unique(np.searchsorted(stamps, absent) - 1, return_counts=True)
        return rows, counts

    def grid(self, index: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """All bars from the first to the last of `index`: those there and those missing."""
        stamps = index.as_unit("ns").asi8
        whole = np.arange(stamps[0], stamps[-1] + 1, self.bar_ns) if self.expected is None else np.union1d(self.expected, stamps)
        return pd.DatetimeIndex(whole, tz="UTC", name=index.name)


def infer_calendar(index: pd.DatetimeIndex, choice: str = "infer") -> Calendar:
    """The calendar of bars that begin at these times (UTC).

    `choice`: "infer"; "continuous": every gap is missing bars; "sessions": a session is looked for even where gaps are few. Disorder and duplicates
    are looked past: they are faults of their own (research/data/data_quality.py).
    """
    if choice not in CHOICES:
        raise DataError(f"{choice!r} is no calendar", f"Choose of {', '.join(CHOICES)} (--calendar)")
    stamps = np.unique(pd.DatetimeIndex(index).as_unit("ns").asi8)
    if stamps.size < 2:
        return Calendar("continuous", 0, "UTC", float("nan"), "a single bar says no calendar")
    lengths, counts = np.unique(np.diff(stamps), return_counts=True)
    bar = int(lengths[counts.argmax()])
    found: Calendar | None = None
    if choice != "continuous":
        if bar >= 27 * _DAY_NS:
            found = _months(stamps)
        elif 6 * _DAY_NS <= bar <= 8 * _DAY_NS and (np.diff(stamps) % bar).any():
            found = _weeks(stamps)
        elif 23 * 3600 * 10**9 <= bar <= 25 * 3600 * 10**9:
            found = _days(stamps)
        elif bar < 23 * 3600 * 10**9 and _lacking(stamps, bar):
            found = _sessions(stamps, bar, choice == "sessions")
    return found or Calendar("continuous", bar, "UTC", YEAR_NS / bar, f"continuous, bars of {timeframe_text(bar)}")


def bars_a_year(index: pd.DatetimeIndex) -> float:
    """Bars in a year of the calendar that these bar times follow: 365.25 days of a market that never closes, 252 of an exchange, 12 months.

    Raises DataError for fewer than two.
    """
    if len(index) < 2:
        raise DataError(f"{len(index)} bars say no bars a year", "Give the bar length (periods_per_year)")
    return infer_calendar(index).bars_a_year


def _lacking(stamps: np.ndarray, bar: int) -> int:
    return int((stamps[-1] - stamps[0]) // bar) + 1 - stamps.size


def _local(stamps: np.ndarray, zone: str) -> np.ndarray:
    """The clock of a zone as if it were UTC, int64 ns."""
    return np.asarray(pd.DatetimeIndex(stamps, tz="UTC").tz_convert(zone).tz_localize(None).as_unit("ns").asi8)


def _utc(local: np.ndarray, zone: str) -> np.ndarray:
    """The reverse; times that the zone's clock skips fall out, of those that come twice the first is taken."""
    times = pd.DatetimeIndex(local).tz_localize(zone, ambiguous=np.ones(local.size, bool), nonexistent="NaT")
    return np.asarray(times[times.notna()].tz_convert("UTC").as_unit("ns").asi8)


# -- months, weeks, days -------------------------------------------------------------------------------------------------


def _months(stamps: np.ndarray) -> Calendar | None:
    """Months, quarters, years: one day of the month, its end, its first or last working day."""
    for zone in ZONES:
        local = pd.DatetimeIndex(_local(stamps, zone))
        if (local.asi8 % _DAY_NS != local.asi8[0] % _DAY_NS).any():
            continue
        day, ends = local.day.to_numpy(np.int64), local.days_in_month.to_numpy(np.int64)
        fixed = bool((day == day[0]).all())
        if not (fixed or (day <= 4).all() or (ends - day <= 3).all()):
            continue
        number = (local.year * 12 + local.month).to_numpy(np.int64)
        steps = np.diff(number)
        count = int(np.bincount(steps).argmax())
        if count < 1 or (steps % count).any():
            continue
        months = np.arange(number[0], number[-1] + 1, count)
        absent = np.setdiff1d(months, number)
        first = pd.to_datetime({"year": (absent - 1) // 12, "month": (absent - 1) % 12 + 1, "day": 1}).dt if absent.size else None
        extra = np.zeros(0, np.int64)
        if first is not None:
            place = np.minimum(day[0] if fixed else 1 if (day <= 4).all() else 31, first.days_in_month.to_numpy(np.int64))
            extra = _utc(pd.DatetimeIndex(first.normalize()).as_unit("ns").asi8 + (place - 1) * _DAY_NS + int(local.asi8[0] % _DAY_NS), zone)
        where = f"on day {day[0]}" if fixed else "at their first days" if (day <= 4).all() else "at their ends"
        name = {1: "months", 3: "quarters", 12: "years"}.get(count, f"{count} months")
        return Calendar("months", count * MONTH_NS, zone, 12.0 / count, f"{name}, stamped {where}", np.union1d(stamps, extra))
    return None


def _weeks(stamps: np.ndarray) -> Calendar | None:
    """Weeks that begin on another day where a holiday moved them."""
    week = (stamps - _MONDAY_NS) // _WEEK_NS
    if (np.diff(week) == 0).any():
        return None
    absent = np.setdiff1d(np.arange(week[0], week[-1] + 1), week)
    usual = int(np.bincount(((stamps - _MONDAY_NS) % _WEEK_NS) // 10**9).argmax()) * 10**9
    expected = np.union1d(stamps, absent * _WEEK_NS + _MONDAY_NS + usual)
    return Calendar("weeks", _WEEK_NS, "UTC", YEAR_NS / _WEEK_NS, "weeks, some begin on another day", expected)


def _days(stamps: np.ndarray) -> Calendar | None:
    """Daily bars: the zone that keeps them at one time of day, the days of the week that are open, holidays."""
    for zone in ZONES:
        local = _local(stamps, zone)
        if (local % _DAY_NS == local[0] % _DAY_NS).all():
            break
    else:
        return None
    day, clock = local // _DAY_NS, int(local[0] % _DAY_NS)
    weekday = (day + 3) % 7  # Monday 0
    weeks = max(1.0, (day[-1] - day[0] + 1) / 7.0)
    often = np.bincount(weekday, minlength=7) / weeks
    opened = often >= _OPEN_SHARE * min(1.0, often.max())
    crossed = day[-1] - day[0] >= 7
    if not crossed or opened.all():
        if zone == "UTC":
            return None
        expected = _utc(np.arange(day[0], day[-1] + 1) * _DAY_NS + clock, zone)
        return Calendar("sessions", _DAY_NS, zone, YEAR_NS / _DAY_NS, f"every day, by the clock of {zone}", np.union1d(expected, stamps))
    every = np.arange(day[0], day[-1] + 1)
    absent = np.setdiff1d(every[opened[(every + 3) % 7]], day)
    years = (stamps[-1] - stamps[0]) / YEAR_NS
    closed = absent.size <= _HOLIDAYS_A_YEAR * max(years, 0.2) and not _long_run(absent, weekday_count=int(opened.sum()))
    expected = stamps if closed else np.union1d(_utc(absent * _DAY_NS + clock, zone), stamps)
    words = f"days of an exchange ({_day_names(opened)}{'' if zone == 'UTC' else f', clock of {zone}'})"
    if absent.size:
        words += f", {absent.size} days without a bar {'taken as holidays' if closed else 'missing'}"
    return Calendar("sessions", _DAY_NS, zone, _days_a_year(day.size, years, int(opened.sum())), words, expected)


def _long_run(absent: np.ndarray, weekday_count: int) -> bool:
    """Whether more than two weeks on end are absent: no holiday is so long."""
    if absent.size <= 2 * weekday_count:
        return False
    return bool((absent[2 * weekday_count :] - absent[: -2 * weekday_count] <= 21).any())


def _days_a_year(days: int, years: float, open_weekdays: int) -> float:
    """Days that an exchange is open in a year: 252, unless a year or more of data shows clearly another number."""
    usual = TRADING_DAYS if open_weekdays == 5 else round(365.25 * open_weekdays / 7.0, 2)
    if years < 1.0:
        return usual
    seen = (days - 1) / years
    return usual if open_weekdays == 5 and 245.0 <= seen <= 256.0 else round(seen, 1)


def _day_names(opened: np.ndarray) -> str:
    names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    rows = np.flatnonzero(opened)
    if rows.size > 2 and (np.diff(rows) == 1).all():
        return f"{names[rows[0]]} to {names[rows[-1]]}"
    return ", ".join(names[row] for row in rows)


# -- sessions within the day ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fit:
    """One zone's session: times of the week (or of the day) that are open, what it expects, how many bars it leaves missing, and its days."""

    zone: str
    expected: np.ndarray
    missing: int
    stray: np.ndarray
    slots: int
    by_week: bool
    holidays: int
    short: int
    days: int
    opened: np.ndarray


def _sessions(stamps: np.ndarray, bar: int, wanted: bool) -> Calendar | None:
    """Bars within the day that pause at the same times: exchanges with their nights, breaks and weekends, currencies with their weekends."""
    lacking = _lacking(stamps, bar)
    fits = [fit for zone in ZONES if (fit := _fit(stamps, bar, zone)) is not None]
    if not fits:
        return None
    best = min(fits, key=lambda fit: (fit.missing + fit.stray.size, ZONES.index(fit.zone)))
    whole = (_WEEK_NS if best.by_week else _DAY_NS) // bar
    explained = lacking - best.missing
    if not wanted and (best.slots >= 0.98 * whole or explained < _EXPLAINED * lacking or lacking < 0.02 * stamps.size):
        return None
    years = (stamps[-1] - stamps[0]) / YEAR_NS
    open_days = int(best.opened.sum())
    a_day = best.slots / open_days if best.by_week else best.slots
    full_day = a_day * bar > 0.9 * _DAY_NS
    a_year = YEAR_NS / _WEEK_NS * best.slots if full_day and best.by_week else _days_a_year(best.days, years, open_days) * a_day
    first = _clock(stamps, best)
    words = f"sessions of {a_day:g} bars of {timeframe_text(bar)} ({_day_names(best.opened)}, {first}{'' if best.zone == 'UTC' else ' ' + best.zone})"
    if best.holidays:
        words += f", {best.holidays} days without a bar taken as holidays"
    if best.short:
        words += f", {best.short} short days"
    return Calendar("sessions", bar, best.zone, float(a_year), words, best.expected, best.stray)


def _clock(stamps: np.ndarray, fit: _Fit) -> str:
    clock = _local(stamps, fit.zone) % _DAY_NS
    first = int(np.bincount((clock // 60_000_000_000)[np.r_[True, np.diff(_local(stamps, fit.zone) // _DAY_NS) > 0]]).argmax())
    return f"from {first // 60:02d}:{first % 60:02d}"


def _fit(stamps: np.ndarray, bar: int, zone: str) -> _Fit | None:
    local = _local(stamps, zone)
    day = local // _DAY_NS
    days = np.unique(day)
    if days.size < _LEAST_DAYS:
        return None
    week = (local - _MONDAY_NS) // _WEEK_NS
    weeks = np.unique(week)
    by_week = weeks.size >= 4
    span, units = (_WEEK_NS, weeks) if by_week else (_DAY_NS, days)
    slot = (local - _MONDAY_NS) % span
    slots, counts = np.unique(slot, return_counts=True)
    opened_slots = slots[counts >= _OPEN_SHARE * units.size]
    if not opened_slots.size:
        return None
    opened = np.zeros(7, bool)
    if by_week:
        opened[np.unique(opened_slots // _DAY_NS)] = True
    else:
        opened[np.unique((days + 3) % 7)] = True
    expected = (units[:, None] * _WEEK_NS + _MONDAY_NS if by_week else units[:, None] * _DAY_NS) + opened_slots[None, :]
    expected = expected.ravel()
    expected = expected[(expected >= local[0]) & (expected <= local[-1])]
    absent = np.setdiff1d(expected, local)
    closed, holidays, short = _closed(absent, expected, days, (stamps[-1] - stamps[0]) / YEAR_NS)
    stray = np.flatnonzero(~np.isin(slot, opened_slots) & ((slot - opened_slots[0]) % bar != 0))
    if not by_week:  # days of the week that never came are closed, others that are absent are missing
        lost = [d for d in range(int(days[0]), int(days[-1]) + 1) if opened[(d + 3) % 7] and d not in set(days.tolist())]
        absent = np.concatenate([absent, (np.array(lost, np.int64)[:, None] * _DAY_NS + opened_slots[None, :]).ravel()])
        closed = np.concatenate([closed, np.zeros(absent.size - closed.size, bool)])
    still = _utc(absent[~closed], zone)
    return _Fit(zone, np.union1d(stamps, still), still.size, stray, opened_slots.size, by_week, holidays, short, days.size, opened)


def _closed(absent: np.ndarray, expected: np.ndarray, days: np.ndarray, years: float) -> tuple[np.ndarray, int, int]:
    """Of the absent bars those of closed days (none of the day's bars is there) and of short days (all bars from some time on are absent)."""
    closed = np.zeros(absent.size, bool)
    if not absent.size:
        return closed, 0, 0
    absent_day, expected_day = absent // _DAY_NS, expected // _DAY_NS
    gone = np.setdiff1d(np.unique(absent_day), days)
    holidays = gone.size if gone.size <= _HOLIDAYS_A_YEAR * max(years, 0.2) and not _long_run(gone, 5) else 0
    if holidays:
        closed |= np.isin(absent_day, gone)
    short = []
    for one in np.setdiff1d(np.unique(absent_day), gone):
        mine, whole = absent[absent_day == one], expected[expected_day == one]
        if mine.size >= 0.1 * whole.size and (mine == whole[-mine.size :]).all():
            short.append(one)
    if 0 < len(short) <= _SHORT_DAYS_A_YEAR * max(years, 0.2):
        return closed | np.isin(absent_day, short), holidays, len(short)
    return closed, holidays, 0
