"""What is wrong with a candle series: faults that forbid its use, and findings that a researcher should know.

Faults: disorder, duplicate times, mixed frequencies, NaN prices, zero or negative prices, impossible bars (high below low, ...). Findings: missing
bars, zero volume, stale stretches (the longest run of one unchanged close).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

_PRICES = ("open", "high", "low", "close")


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
    """Findings over one series. `bar_ns`: most frequent step between bars; `longest_stale`: bars in the longest run of one close."""

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

    def row(self) -> dict[str, object]:
        """One row of the quality table."""
        counts = {fault.kind: fault.count for fault in self.faults}
        kinds = ("disorder", "duplicates", "mixed_frequency", "nan_prices", "non_positive_prices", "impossible_bars")
        return {
            "rows": self.rows,
            "first": self.first,
            "last": self.last,
            "bar_s": self.bar_ns / 1e9,
            "missing_bars": self.missing_bars,
            "gaps": self.gaps,
            "zero_volume": self.zero_volume,
            "longest_stale": self.longest_stale,
            **{kind: counts.get(kind, 0) for kind in kinds},
        }


def audit(frame: pd.DataFrame) -> Audit:
    """Examine candles: index of bar open times, at least the column `close`. Changes and raises nothing."""
    stamps = frame.index.as_unit("ns").asi8
    steps = np.diff(stamps)
    forward = steps[steps > 0]
    lengths, counts = np.unique(forward, return_counts=True)
    bar = int(lengths[counts.argmax()]) if forward.size else 0
    holes = np.flatnonzero(steps > bar) if bar else np.array([], np.int64)
    close = frame["close"].to_numpy()
    return Audit(
        rows=len(frame),
        first=frame.index[0],
        last=frame.index[-1],
        bar_ns=bar,
        faults=tuple(_faults(frame, steps, bar)),
        missing_bars=int((steps[holes] // bar - 1).sum()) if holes.size else 0,
        gaps=int(holes.size),
        first_gap_row=int(holes[0]) if holes.size else -1,
        first_gap_time=str(frame.index[holes[0]]) if holes.size else "",
        zero_volume=int((frame["volume"] == 0).sum()) if "volume" in frame else 0,
        longest_stale=_longest_run(close),
    )


def _faults(frame: pd.DataFrame, steps: np.ndarray, bar: int) -> Iterator[Fault]:
    present = [name for name in _PRICES if name in frame]
    prices = frame[present].to_numpy()
    repair = "Remove or repair these bars"
    checks = [
        ("disorder", steps < 0, 1, "is earlier than the row before it", "Sort the file by time and check its source"),
        ("duplicates", steps == 0, 1, "repeats the time of the row before it", "Remove the duplicate bars"),
        (
            "mixed_frequency",
            (steps > 0) & (steps % max(bar, 1) != 0),
            1,
            f"is not a whole number of {bar / 1e9:g} s bars on",
            "Keep one bar length a file",
        ),
        ("nan_prices", ~np.isfinite(prices).all(axis=1), 0, "has a price that is NaN or not a number", repair),
        ("non_positive_prices", (prices <= 0).any(axis=1), 0, "has a price that is zero or negative", repair),
    ]
    if len(present) == len(_PRICES):
        top, bottom = np.maximum(prices[:, 0], prices[:, 3]), np.minimum(prices[:, 0], prices[:, 3])
        checks.append(("impossible_bars", (prices[:, 1] < top) | (prices[:, 2] > bottom), 0, "has its open or close outside low .. high", repair))
    for kind, bad, shift, text, cure in checks:
        rows = np.flatnonzero(bad) + shift
        if rows.size:
            yield Fault(kind, int(rows.size), int(rows[0]), f"row {rows[0]} ({frame.index[rows[0]]}) {text}; {rows.size} such rows", cure)


def _longest_run(values: np.ndarray) -> int:
    """Length of the longest run of equal values."""
    changes = np.flatnonzero(np.diff(values) != 0)
    return int(np.diff(np.concatenate([[-1], changes, [values.size - 1]])).max())
