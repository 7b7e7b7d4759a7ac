"""What is wrong with a candle series: faults that forbid its use, and findings that a researcher should know.

Faults: disorder, duplicate times, mixed frequencies, NaN prices, zero or negative prices, impossible bars (high below low, ...), negative volume.
Findings: missing bars, zero volume, stale stretches (runs of one unchanged close), outliers (moves far beyond what the series usually does), spikes
(outliers taken back by the next bar: the mark of a bad print), stamps off the grid of their bar length (times of another zone, or ends instead of
starts). What is missing depends on when the market is open: research/data/calendars.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.data.calendars import Calendar, infer_calendar

_PRICES = ("open", "high", "low", "close")
STALE_BARS = 30  # a run of one close this long is a stale stretch
OUTLIER_SDS = 20.0  # a move is an outlier beyond this many robust standard deviations of the moves
_MAD_TO_SD = 1.4826022185056018  # of a normal distribution
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Fault:
    """One reason not to use the data: what and where (row counted from 0 after the header), and the cure."""

    kind: str
    count: int
    row: int
    text: str
    cure: str


@dataclass(frozen=True)
class Audit:
    """Findings over one series. `bar_ns`: most frequent step between bars (of months the nominal one); `calendar`: when the market is open;
    `gap_rows`, `gap_missing`: rows after which bars miss, and how many; `longest_stale`: bars in the
    longest run of one close, `stale_rows`: first and last row of every run of STALE_BARS or more; `outlier_rows`: rows that a move beyond
    OUTLIER_SDS leads to, `spikes`: how many of them the next bar takes back; `worst_move`: largest |log return|; `offset_ns`: how far the
    first stamp is from a whole number of bars since midnight UTC; `turnover_day`: quote volume a day (close times volume; NaN where a volume
    is missing); `time_zone`: how the stamps were read.
    """

    rows: int
    first: pd.Timestamp
    last: pd.Timestamp
    bar_ns: int
    faults: tuple[Fault, ...]
    missing_bars: int
    gaps: int
    first_gap_row: int
    first_gap_time: str
    zero_volume: int
    longest_stale: int
    gap_rows: np.ndarray
    stale_rows: np.ndarray
    outlier_rows: np.ndarray
    spikes: int
    worst_move: float
    offset_ns: int
    turnover_day: float
    time_zone: str
    calendar: Calendar
    gap_missing: np.ndarray
    remarks: tuple[str, ...] = ()

    def row(self) -> dict[str, object]:
        """One row of the quality table."""
        counts = {fault.kind: fault.count for fault in self.faults}
        kinds = ("disorder", "duplicates", "mixed_frequency", "nan_prices", "non_positive_prices", "impossible_bars", "impossible_volume")
        return {
            "rows": self.rows,
            "first": self.first,
            "last": self.last,
            "bar_s": self.bar_ns / 1e9,
            "missing_bars": self.missing_bars,
            "gaps": self.gaps,
            "zero_volume": self.zero_volume,
            "longest_stale": self.longest_stale,
            "stale_stretches": len(self.stale_rows),
            "outliers": self.outlier_rows.size,
            "spikes": self.spikes,
            "worst_move": self.worst_move,
            "offset_s": self.offset_ns / 1e9,
            "turnover_day": self.turnover_day,
            "time_zone": self.time_zone,
            "calendar": self.calendar.words,
            "bars_a_year": self.calendar.bars_a_year,
            **{kind: counts.get(kind, 0) for kind in kinds},
        }


def audit(frame: pd.DataFrame, calendar: str = "infer") -> Audit:
    """Examine candles: index of bar open times, at least the column `close`. `calendar`: see infer_calendar. Changes and raises nothing."""
    stamps = frame.index.as_unit("ns").asi8
    steps = np.diff(stamps)
    found = infer_calendar(frame.index, calendar)
    bar = found.bar_ns
    holes, missing = found.missing(stamps if (steps > 0).all() else np.unique(stamps))
    close = frame["close"].to_numpy()
    runs = _runs(close)
    moves, outliers, spikes = _outliers(close)
    return Audit(
        rows=len(frame),
        first=frame.index[0],
        last=frame.index[-1],
        bar_ns=bar,
        faults=tuple(_faults(frame, steps, found)),
        missing_bars=int(missing.sum()),
        gaps=int(holes.size),
        first_gap_row=int(holes[0]) if holes.size else -1,
        first_gap_time=str(frame.index[holes[0]]) if holes.size else "",
        zero_volume=int((frame["volume"] == 0).sum()) if "volume" in frame else 0,
        longest_stale=int((runs[:, 1] - runs[:, 0]).max()) + 1,
        gap_rows=holes,
        stale_rows=runs[runs[:, 1] - runs[:, 0] + 1 >= STALE_BARS],
        outlier_rows=outliers,
        spikes=spikes,
        worst_move=float(np.nanmax(np.abs(moves))) if np.isfinite(moves).any() else 0.0,
        offset_ns=int(stamps[0] % min(bar, _DAY_NS)) if bar and found.kind == "continuous" else 0,
        turnover_day=_turnover(frame) / _days(stamps, found) if bar else np.nan,
        time_zone=str(frame.attrs.get("time_zone", "UTC")),
        calendar=found,
        gap_missing=missing,
        remarks=tuple(frame.attrs.get("remarks", ())),
    )


def _days(stamps: np.ndarray, calendar: Calendar) -> float:
    """Days that the bars are of: of an exchange those it was open."""
    if calendar.kind == "sessions" and calendar.bar_ns < _DAY_NS:
        return float(np.unique(stamps // _DAY_NS).size)
    return stamps.size * calendar.bar_ns / _DAY_NS


def _turnover(frame: pd.DataFrame) -> float:
    return float((frame["close"] * frame["volume"]).sum(skipna=False)) if "volume" in frame else float("nan")


def _faults(frame: pd.DataFrame, steps: np.ndarray, calendar: Calendar) -> Iterator[Fault]:
    present = [name for name in _PRICES if name in frame]
    prices = frame[present].to_numpy()
    repair = "Remove or repair these bars"
    bar = calendar.bar_ns
    stamps = frame.index.as_unit("ns").asi8
    if calendar.kind == "continuous":
        uneven, shift = (steps > 0) & (steps % max(bar, 1) != 0), 1
    else:
        uneven, shift = np.isin(stamps, np.unique(stamps)[calendar.irregular]), 0
    checks = [
        ("disorder", steps < 0, 1, "is earlier than the row before it", "Sort the file by time and check its source"),
        ("duplicates", steps == 0, 1, "repeats the time of the row before it", "Remove the duplicate bars"),
        ("mixed_frequency", uneven, shift, f"is not a whole number of {bar / 1e9:g} s bars on", _uneven_cure(stamps, bar)),
        ("nan_prices", ~np.isfinite(prices).all(axis=1), 0, "has a price that is NaN or not a number", repair),
        ("non_positive_prices", (prices <= 0).any(axis=1), 0, "has a price that is zero or negative", repair),
    ]
    if len(present) == len(_PRICES):
        top, bottom = np.maximum(prices[:, 0], prices[:, 3]), np.minimum(prices[:, 0], prices[:, 3])
        checks.append(("impossible_bars", (prices[:, 1] < top) | (prices[:, 2] > bottom), 0, "has its open or close outside low .. high", repair))
    if "volume" in frame:
        volume = frame["volume"].to_numpy(np.float64)
        checks.append(("impossible_volume", (volume < 0) | np.isinf(volume), 0, "has a negative or infinite volume", repair))
    for kind, bad, shift, text, cure in checks:
        rows = np.flatnonzero(bad) + shift
        if rows.size:
            yield Fault(kind, int(rows.size), int(rows[0]), f"row {rows[0]} ({frame.index[rows[0]]}) {text}; {rows.size} such rows", cure)


def _uneven_cure(stamps: np.ndarray, bar: int) -> str:
    """Bars that only lie beside their grid can be moved to it; bars of another length cannot."""
    if bar:
        near = (stamps + bar // 2) // bar * bar
        if (np.diff(near) > 0).all():
            return f"Keep one bar length a file, or move the stamps to the grid, here by at most {np.abs(near - stamps).max() / 1e9:g} s (--snap)"
    return "Keep one bar length a file"


def _runs(values: np.ndarray) -> np.ndarray:
    """Runs of equal values: int64 (runs, 2), first and last row."""
    changes = np.flatnonzero(np.diff(values) != 0)
    return np.column_stack([np.concatenate([[0], changes + 1]), np.concatenate([changes, [values.size - 1]])])


def _outliers(close: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Log returns (n - 1,), rows that an outlier leads to, and how many of them the next bar takes back by more than half.

    The scale is the median absolute move over bars that moved at all (an illiquid series mostly does not), which outliers cannot inflate.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.diff(np.log(close))
    moves[~np.isfinite(moves)] = np.nan  # faults, reported as such
    real = np.abs(moves[np.isfinite(moves) & (moves != 0)])
    if real.size < 3:
        return moves, np.array([], np.int64), 0
    limit = OUTLIER_SDS * _MAD_TO_SD * float(np.median(real))
    far = np.flatnonzero(np.abs(moves) > limit)
    after = np.append(moves, 0.0)[far + 1]
    spikes = int((-np.sign(moves[far]) * np.nan_to_num(after) > 0.5 * np.abs(moves[far])).sum())
    return moves, far + 1, spikes
