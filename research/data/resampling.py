"""Longer bars of shorter ones: open of the first, highest high, lowest low, close of the last, sum of the volumes. Whole ones only."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data.calendars import Calendar
from research.data.files.file_names import MONTH_NS, timeframe_text

_DAY_NS = 86_400 * 10**9
_MONDAY_NS = 4 * _DAY_NS
_HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def resampled(frame: pd.DataFrame, calendar: Calendar, target_ns: int, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Candles of `target_ns` out of candles of calendar.bar_ns, and what was said.

    Of a market that never closes, a bar is on whole multiples of its length since midnight UTC (weeks: Monday, months: their first day) and needs
    all its parts; others are left out and counted. Of an exchange, bars begin with the session (whole days: one a day) and hold what there is.

    Raises DataError for a length that is no multiple of the bars', or shorter.
    """
    bar = calendar.bar_ns
    if target_ns == bar:
        return frame, []
    months = target_ns % MONTH_NS == 0
    if target_ns < bar or (not months and target_ns % bar) or calendar.kind in ("weeks", "months"):
        raise DataError(
            f"{where}: bars of {timeframe_text(bar)} make no bars of {timeframe_text(target_ns)}", "Choose a multiple of their length (--resample)"
        )
    local = frame.index.tz_convert(calendar.zone).tz_localize(None).as_unit("ns").asi8
    if months:
        times = pd.DatetimeIndex(local)
        group = (times.year * 12 + times.month - 1).to_numpy() // (target_ns // MONTH_NS)
    elif target_ns % (7 * _DAY_NS) == 0:
        group = (local - _MONDAY_NS) // target_ns
    elif calendar.kind == "sessions" and target_ns < _DAY_NS:
        day = local // _DAY_NS
        first = np.minimum.reduceat(local % _DAY_NS, np.flatnonzero(np.r_[True, np.diff(day) > 0]))
        begin = int(np.median(first))
        group = day * (_DAY_NS // bar) + (local % _DAY_NS - begin) // target_ns
    else:
        group = local // target_ns
    rows = frame.groupby(group, sort=True)
    made = rows.agg({name: how for name, how in _HOW.items() if name in frame})
    edges = np.flatnonzero(np.r_[True, np.diff(group) != 0])
    made.index = pd.DatetimeIndex(frame.index[edges], name=frame.index.name)
    said = [f"bars of {timeframe_text(target_ns)} made of {timeframe_text(bar)}"]
    if calendar.kind == "continuous":
        if months:
            whole = _whole_months(made.index, target_ns // MONTH_NS, bar, rows.size().to_numpy())
        else:
            whole = rows.size().to_numpy() == target_ns // bar
        if not whole.all():
            said.append(f"{int((~whole).sum())} bars of {timeframe_text(target_ns)} left out, for they lack parts")
        made = made[whole]
    if made.empty:
        raise DataError(f"{where}: there is no whole bar of {timeframe_text(target_ns)}", "Load more, or choose shorter bars")
    return made, said


def _whole_months(first: pd.DatetimeIndex, count: int, bar: int, sizes: np.ndarray) -> np.ndarray:
    begin = first.tz_localize(None).to_period("M").to_timestamp()
    after = (first.tz_localize(None).to_period("M") + count).to_timestamp()
    return np.asarray(sizes == (after.as_unit("ns").asi8 - begin.as_unit("ns").asi8) // bar)
