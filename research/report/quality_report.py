"""The data-quality report of a folder of candles: one row a symbol, what is wrong in words, and a picture of what is there and what is not.

Nothing is repaired and nothing raises for a bad file: a file that cannot be read is a row with its reason. What to do about the findings is
decided where the data is loaded (`load_panel`: `on_gap`, default "refuse"; `span`, default "common"); see docs/research.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from research.data.data_quality import OUTLIER_SDS, STALE_BARS, Audit, audit
from research.data.files.candle_columns import PLAIN, Reading
from research.data.files.file_names import timeframe_ns, timeframe_text
from research.data.files.price_files import read_prices
from research.report.figures import BLUE, GREY, INK, ORANGE, RED, Figure, time_axis

_TOLERANCE = 0.001  # of the whole span: files of one download start minutes apart


@dataclass(frozen=True)
class QualityReport:
    """`table`: one row a symbol (columns of Audit.row, coverage, listed, ended, notes); `gaps`: one row a gap (symbol, after, before, missing);
    `faults`: lines about files that must not be used as they are; `audits` and `index` (bar times): by symbol, of files that could be read;
    `general`: what is true of the folder as a whole.
    """

    table: pd.DataFrame
    gaps: pd.DataFrame
    faults: tuple[str, ...]
    audits: dict[str, Audit]
    index: dict[str, pd.DatetimeIndex]
    general: tuple[str, ...] = ()

    def text(self) -> str:
        """What was found, worst first, in words."""
        noted = self.table[self.table["notes"] != ""]
        lines = [f"{symbol}: {notes}" for symbol, notes in noted["notes"].items()]
        return "\n".join([f"{len(self.table)} files, {len(self.faults)} with faults, {len(noted)} with findings", *lines, *self.general])

    def figure(self) -> Figure:
        """One line a symbol: bars that are there (blue), gaps (white), stale stretches (orange), outliers (red)."""
        names = list(self.index)
        figure = Figure(figsize=(9.6, 1.35 + 0.24 * len(names)), dpi=110, layout="constrained")
        axes = figure.subplots()
        for row, symbol in enumerate(names):
            stamps, found = self.index[symbol], self.audits[symbol]
            edges = np.concatenate([[-1], found.gap_rows, [len(stamps) - 1]])
            bar = pd.Timedelta(found.bar_ns, "ns")
            for first, last in zip(edges[:-1] + 1, edges[1:], strict=True):
                axes.plot([stamps[first], stamps[last] + bar], [row, row], color=BLUE, lw=7, solid_capstyle="butt", alpha=0.75)
            for first, last in found.stale_rows:
                axes.plot([stamps[first], stamps[last] + bar], [row, row], color=ORANGE, lw=7, solid_capstyle="butt")
            axes.plot(stamps[found.outlier_rows], np.full(found.outlier_rows.size, row), ls="", marker="|", ms=9, mew=1.2, color=RED)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_ylim(len(names) - 0.4, -0.6)
        handles = [
            axes.plot([], [], color=color, lw=5, label=label)[0] for color, label in ((BLUE, "bars"), (ORANGE, f"stale, {STALE_BARS} bars or more"))
        ]
        handles += axes.plot([], [], ls="", marker="|", ms=9, mew=1.2, color=RED, label=f"moves beyond {OUTLIER_SDS:g} robust std")
        figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=8)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8, length=0)
        axes.grid(axis="x", color=GREY, alpha=0.3, lw=0.6)
        time_axis(axes)
        axes.set_xlabel("")
        bars = sum(len(stamps) for stamps in self.index.values())
        axes.set_title(f"{bars:,} bars of {len(names)} symbols, where they are and what is odd", fontsize=10, color=INK)
        return figure

    def _repr_png_(self) -> bytes:
        return self.figure()._repr_png_()


def quality_report(
    folder: Path | str, symbols: Iterable[str] | None = None, *, timeframe: str = "", calendar: str = "infer", reading: Reading = PLAIN
) -> QualityReport:
    """Examine every candle file of a folder, or one file. A file that cannot be read is a fault of its own.

    Raises DataError for a folder without any price file, and for a symbol asked for that is not there.
    """
    found = read_prices(folder, symbols, timeframe=timeframe, reading=reading, several=True)
    faults = [str(error) for error in found.failures.values()]
    report = report_of({key: one.frame for key, one in found.candles.items()}, tuple(faults), calendar)
    if found.passed_over:
        report = replace(report, general=(*report.general, f"passed over, for they hold other prices: {', '.join(found.passed_over)}"))
    for key, one in found.candles.items():
        bar = report.audits[key].bar_ns
        if one.timeframe and bar and timeframe_ns(one.timeframe) != bar:
            report.table.loc[key, "notes"] = _and(
                str(report.table.loc[key, "notes"]), f"its name says bars of {one.timeframe}, it holds {timeframe_text(bar)}"
            )
    return report


def report_of(frames: dict[str, pd.DataFrame], unreadable: tuple[str, ...] = (), calendar: str = "infer") -> QualityReport:
    """The same over candles in memory: index of bar open times (UTC), at least `close`."""
    audits = {symbol: audit(frame, calendar) for symbol, frame in frames.items()}
    faults = list(unreadable)
    rows, gaps = [], []
    listed, ended, general = _listings(audits)
    lengths = {found.bar_ns for found in audits.values()}
    for symbol, found in audits.items():
        stamps = frames[symbol].index
        begin, end = listed.get(symbol, pd.NaT), ended.get(symbol, pd.NaT)
        whole = found.rows / (found.rows + found.missing_bars) if found.rows else 0.0
        notes = list(_notes(found, begin, end, len(lengths) > 1))
        rows.append({"symbol": symbol, **found.row(), "coverage": whole, "listed": begin, "ended": end, "notes": "; ".join(notes)})
        faults += [f"{symbol}: {fault.text}. {fault.cure}" for fault in found.faults]
        for row, missing in zip(found.gap_rows.tolist(), found.gap_missing.tolist(), strict=True):
            gaps.append({"symbol": symbol, "after": stamps[row], "before": stamps[row + 1], "missing": missing})
    table = pd.DataFrame(rows).set_index("symbol") if rows else pd.DataFrame(columns=["notes"])
    ledger = pd.DataFrame(gaps, columns=["symbol", "after", "before", "missing"])
    return QualityReport(table, ledger, tuple(faults), audits, {symbol: frame.index for symbol, frame in frames.items()}, general)


def _listings(audits: dict[str, Audit]) -> tuple[dict[str, pd.Timestamp], dict[str, pd.Timestamp], tuple[str, ...]]:
    """Symbols that begin late and that end early, against the begin and the end that most of them share; where none is shared, one line says so.

    One file that was fetched anew, and is longer than all others, says nothing of a delisting of the others.
    """
    if len(audits) < 2:
        return {}, {}, ()
    first = {symbol: found.first for symbol, found in audits.items()}
    last = {symbol: found.last + pd.Timedelta(found.bar_ns, "ns") for symbol, found in audits.items()}
    slack = _TOLERANCE * (max(last.values()) - min(first.values()))
    begin, begin_shared = _shared(first, slack, early=True)
    end, end_shared = _shared(last, slack, early=False)
    general = []
    if not begin_shared:
        general.append(f"files begin at different times, from {min(first.values()):%Y-%m-%d} to {max(first.values()):%Y-%m-%d}")
    if not end_shared:
        general.append(f"files end at different times, from {min(last.values()):%Y-%m-%d} to {max(last.values()):%Y-%m-%d}")
    listed = {symbol: first[symbol] for symbol in audits if begin_shared and first[symbol] > begin + slack}
    ended = {symbol: audits[symbol].last for symbol in audits if end_shared and last[symbol] < end - slack}
    return listed, ended, tuple(general)


def _shared(times: dict[str, pd.Timestamp], slack: pd.Timedelta, *, early: bool) -> tuple[pd.Timestamp, bool]:
    """The time that most share, within `slack`; of equally many the earliest or latest; and whether at least half of them do."""
    ordered = sorted(times.values(), reverse=not early)
    counts = [sum(abs(other - one) <= slack for other in ordered) for one in ordered]
    most = max(counts)
    return ordered[counts.index(most)], 2 * most >= len(ordered)


def _and(notes: str, more: str) -> str:
    return f"{notes}; {more}" if notes else more


def _notes(found: Audit, listed: pd.Timestamp, ended: pd.Timestamp, mixed: bool) -> Iterable[str]:
    for fault in found.faults:
        yield f"FAULT {fault.kind.replace('_', ' ')}: {fault.count} rows"
    if mixed:
        yield f"bars of {found.bar_ns / 1e9:g} s, others differ"
    if found.missing_bars:
        yield f"{found.missing_bars} bars missing in {found.gaps} gap{'s' * (found.gaps > 1)}"
    if found.zero_volume:
        yield f"{found.zero_volume} bars without volume ({found.zero_volume / found.rows:.1%})"
    if len(found.stale_rows):
        yield f"{len(found.stale_rows)} stale stretch{'es' * (len(found.stale_rows) > 1)}, the longest {found.longest_stale} bars"
    if found.outlier_rows.size:
        many = "s" * (found.outlier_rows.size > 1)
        yield f"{found.outlier_rows.size} outlier{many}, {found.spikes} taken back at once, largest move {found.worst_move:.1%}"
    if found.calendar.kind != "continuous":
        yield found.calendar.words
    yield from found.remarks
    if found.offset_ns:
        yield f"stamps lie {found.offset_ns / 1e9:g} s off the grid of their bars (another time zone, or ends instead of starts)"
    if found.time_zone.endswith("converted"):
        yield f"times were {found.time_zone} to UTC"
    elif "," in found.time_zone.removeprefix("naive, taken as") or (
        "taken as" in found.time_zone and not found.time_zone.startswith("naive, taken as UTC")
    ):
        yield f"times read as {found.time_zone}"
    if not pd.isna(listed):
        yield f"begins late, {listed:%Y-%m-%d %H:%M} (listed then?)"
    if not pd.isna(ended):
        yield f"ends early, {ended:%Y-%m-%d %H:%M} (delisted?)"
