"""Load candles from disk: a folder of files (or one), in the forms that exchanges and libraries write, into an aligned panel of closes.

Nothing is repaired silently. A file with disorder, duplicates, NaN, zero or negative prices is refused with the row and the cure; in a folder it
costs itself: the others load, and the panel says what was left out and why. Decisions have stated defaults: `on_gap="refuse"` (missing bars),
`span="common"` (symbols that start or end at different times), `calendar="infer"` (when the market is open: calendars.py). Times are the
start of the bar, UTC. What files are understood, and what is refused with which cure: docs/data.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data.calendars import YEAR_NS, Calendar
from research.data.data_quality import Audit, audit
from research.data.files.candle_columns import PLAIN, Reading
from research.data.files.file_names import symbol_of, timeframe_ns, timeframe_text
from research.data.files.price_files import Candles, PriceFiles, read_candles, read_prices, sha256_of
from research.data.files.timestamps import utc_times
from research.data.resampling import resampled

__all__ = ["OnGap", "Panel", "Reading", "SourceFile", "Span", "load_candles", "load_panel", "read_candles", "sha256_of", "symbol_of", "utc_times"]

OnGap = Literal["refuse", "drop", "fill"]
Span = Literal["common", "longest"]
_FINEST = 1e8  # of the engine's money: prices beyond eight decimals are rounded to it where that changes nothing that matters
_ROUNDING = 1e-6  # of the price, at most
_LARGEST = 1e7  # beyond, doubles hold no eight decimals


@dataclass(frozen=True)
class SourceFile:
    """Provenance of one file: symbol, file name, SHA-256 (hex) of its bytes, number of bars, first and last open time (ns, UTC)."""

    symbol: str
    name: str
    sha256: str
    rows: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True)
class Panel:
    """Aligned closes: `closes` has one column a symbol and a UTC index of bar open times.

    `bar_ns`: bar length. `decisions`: what was recognised and decided, in words. `excluded`: (symbol, why). `quality`: one row a symbol.
    `calendar`: when the market is open, of the first symbol; None if the panel was made otherwise than from files. `loading`: the arguments of
    load_panel, all but the folder, as plain data: what loads the same panel again.
    """

    closes: pd.DataFrame
    bar_ns: int
    files: tuple[SourceFile, ...]
    quality: pd.DataFrame
    decisions: tuple[str, ...] = ()
    excluded: tuple[tuple[str, str], ...] = ()
    calendar: Calendar | None = None
    loading: dict[str, Any] = field(default_factory=dict)

    @property
    def end_ns(self) -> int:
        """Close time of the last bar, Unix ns."""
        return int(self.closes.index[-1].value) + self.bar_ns

    @property
    def bars_a_year(self) -> float:
        """Bars in a year, by the calendar; of a market that never closes without one."""
        return self.calendar.bars_a_year if self.calendar is not None else YEAR_NS / self.bar_ns


def load_candles(path: Path | str, *, on_gap: OnGap = "refuse", calendar: str = "infer", reading: Reading = PLAIN) -> pd.DataFrame:
    """Read and check one file. Raises DataError naming file, row and cure for anything that would make a wrong number.

    `on_gap`: "refuse" missing bars; "drop": leave them out (the index has holes); "fill": repeat the last close, volume 0.
    """
    return checked(read_candles(path, reading), str(path), on_gap, calendar)[0]


def candles_in(place: Path | str, symbols: Iterable[str] | None = None, *, timeframe: str = "", reading: Reading = PLAIN) -> dict[str, Candles]:
    """Candles of a folder or file by symbol, as they are. Raises DataError for the first file that cannot be read."""
    found = read_prices(place, symbols, timeframe=timeframe, reading=reading)
    for failure in found.failures.values():
        raise failure
    return found.candles


def load_panel(
    folder: Path | str,
    symbols: Iterable[str] | None = None,
    *,
    on_gap: OnGap = "refuse",
    span: Span = "common",
    timeframe: str = "",
    resample: str = "",
    calendar: str = "infer",
    reading: Reading = PLAIN,
) -> Panel:
    """Load a folder of candles (or one file: of one symbol, a long or a wide table) into an aligned panel of closes.

    Parameters
    ----------
    folder : folder or file.
    symbols : those wanted, in any of the usual spellings; all by default. A wanted symbol that cannot be used raises; of all, it is left out
        with its reason, unless its bars are longer or shorter than the others'.
    on_gap : "refuse", "drop" or "fill" missing bars. With "drop", bars that one symbol lacks are dropped for all.
    span : "common" cuts every symbol to the time all of them cover; "longest" keeps the longest span and leaves out symbols that do not cover it.
    timeframe : only bars of this length ("5m"), where a folder holds several.
    resample : make bars of this length ("1h") of the shorter ones there are.
    calendar : "infer", "continuous" or "sessions" (research/data/calendars.py).
    reading : what the files do not say themselves.

    Raises
    ------
    DataError for a missing folder, no usable file, symbols of different bar lengths, missing bars without a decision, no common span.
    """
    if on_gap not in ("refuse", "drop", "fill"):
        raise DataError(f"on_gap={on_gap!r} is not a decision", 'Choose "refuse", "drop" or "fill"')
    symbols = None if symbols is None else tuple(symbols)
    loading = {
        "symbols": symbols, "on_gap": on_gap, "span": span, "timeframe": timeframe, "resample": resample, "calendar": calendar,
        "reading": reading._asdict(),
    }  # fmt: skip
    found = read_prices(folder, symbols, timeframe=timeframe, reading=reading)
    frames: dict[str, pd.DataFrame] = {}
    audits: dict[str, Audit] = {}
    excluded: dict[str, str] = {}
    failures = list(found.failures.values())
    for name, failure in found.failures.items():
        excluded[name] = str(failure)
    asked = timeframe_ns(timeframe) if timeframe else 0
    for symbol, one in found.candles.items():
        where = _where(one)
        try:
            _refuse_faults(findings := audit(one.frame, calendar), where)
            if findings.bar_ns == 0:
                raise DataError(f"{where}: {symbol} has a single row, which says no bar length", "Load more of it, or leave it out")
        except DataError as error:
            if symbols is not None:
                raise
            failures.append(error)
            excluded[symbol] = str(error)
            continue
        if asked and findings.bar_ns != asked:
            excluded[symbol] = f"has bars of {timeframe_text(findings.bar_ns)}, not {timeframe}"
            continue
        frames[symbol], audits[symbol] = one.frame, findings
    if not frames:
        raise failures[0] if failures else DataError(f"{folder} has no bars of {timeframe}", "Choose another --timeframe")
    decisions = _said(found, frames)
    if not resample:
        _one_frequency({symbol: findings.bar_ns for symbol, findings in audits.items()}, str(folder))
    for symbol in frames:
        frames[symbol] = _close_gaps(frames[symbol], audits[symbol], on_gap, _where(found.candles[symbol]))
    files = tuple(_source(symbol, path, found.candles[symbol]) for symbol in frames for path in found.candles[symbol].paths)
    closes = {symbol: frame["close"] for symbol, frame in frames.items()}
    if resample:
        target = timeframe_ns(resample)
        for symbol, frame in frames.items():
            coarse, words = resampled(frame, audits[symbol].calendar, target, str(folder))
            closes[symbol] = coarse["close"]
            decisions += [f"{symbol}: {word}" for word in words]
        bar_ns, kept = target, audit(next(iter(closes.values())).to_frame(), calendar).calendar
    else:
        bar_ns, kept = next(iter(audits.values())).bar_ns, next(iter(audits.values())).calendar
    decisions += _against_each_other(closes, audits, on_gap, str(folder))
    table, more, short = _aligned(closes, span)
    table, rounded = _on_the_finest_grid(table)
    decisions += more + rounded
    missing = sum(findings.missing_bars for findings in audits.values())
    if missing:
        decisions.append(f"on_gap={on_gap}: {missing} missing bars over all symbols")
    if excluded:
        decisions.append(f"left out {len(excluded)}: " + "; ".join(f"{name}: {why}" for name, why in list(excluded.items())[:3]))
    quality = pd.DataFrame({symbol: findings.row() for symbol, findings in audits.items()}).T.rename_axis("symbol")
    return Panel(table, bar_ns, files, quality, tuple(decisions), tuple({**excluded, **short}.items()), kept, loading)


def checked(frame: pd.DataFrame, where: str, on_gap: OnGap = "refuse", calendar: str = "infer") -> tuple[pd.DataFrame, Audit]:
    """Candles without faults, their gaps decided, and what was found. Raises DataError as load_candles does."""
    findings = audit(frame, calendar)
    _refuse_faults(findings, where)
    return _close_gaps(frame, findings, on_gap, where), findings


def _where(one: Candles) -> str:
    """The files of a symbol, for messages; of a table of many symbols also which."""
    files = ", ".join(str(path) for path in one.paths[:2])
    return f"{files} ({one.symbol})" if one.table else files


def _source(symbol: str, path: Path, one: Candles) -> SourceFile:
    index = one.frame.index
    return SourceFile(symbol, path.name, sha256_of(path), len(index), index[0].value, index[-1].value)


def _said(found: PriceFiles, frames: dict[str, pd.DataFrame]) -> list[str]:
    """What was recognised in the files, once for all symbols it is true of; the calendar, where the market closes."""
    said: dict[str, list[str]] = {}
    for symbol in frames:
        for remark in found.candles[symbol].remarks:
            said.setdefault(remark, []).append(symbol)
        zone = str(frames[symbol].attrs.get("time_zone", "UTC"))
        if zone not in ("UTC", "naive, taken as UTC") and zone not in ("epoch s", "epoch ms", "epoch us", "epoch ns"):
            said.setdefault(f"times read as {zone}", []).append(symbol)
    lines = [f"{_some(symbols, len(frames))}: {remark}" for remark, symbols in said.items()]
    if found.passed_over:
        lines.append(f"passed over {len(found.passed_over)} files of other prices, as {found.passed_over[0]}")
    return lines


def _some(symbols: list[str], of: int) -> str:
    if len(symbols) == of and of > 1:
        return "all symbols"
    return ", ".join(symbols[:3]) + (f" and {len(symbols) - 3} more" if len(symbols) > 3 else "")


def _refuse_faults(findings: Audit, where: str) -> None:
    for fault in findings.faults:
        raise DataError(f"{where}: {fault.text}", fault.cure)


def _one_frequency(bars: dict[str, int], where: str) -> None:
    (first, bar), *others = bars.items()
    for symbol, other in others:
        if other != bar:
            raise DataError(
                f"{where}: {symbol} has bars of {other / 1e9:g} s, {first} of {bar / 1e9:g} s",
                f"Load one bar length: --timeframe {timeframe_text(bar)}, or --resample {timeframe_text(max(bar, other))}",
            )


def _close_gaps(frame: pd.DataFrame, findings: Audit, on_gap: OnGap, where: str) -> pd.DataFrame:
    if on_gap not in ("refuse", "drop", "fill"):
        raise DataError(f"on_gap={on_gap!r} is not a decision", 'Choose "refuse", "drop" or "fill"')
    if findings.missing_bars == 0 or on_gap == "drop":
        return frame
    if on_gap == "refuse":
        raise DataError(
            f"{where}: {findings.missing_bars} bars are missing in {findings.gaps} gaps, "
            f"the first after row {findings.first_gap_row} ({findings.first_gap_time})",
            'Decide with on_gap="drop" or on_gap="fill" (--on-gap)',
        )
    return _filled(frame, findings.calendar.grid(pd.DatetimeIndex(frame.index)))


def _filled(frame: pd.DataFrame, grid: pd.DatetimeIndex) -> pd.DataFrame:
    full = frame.reindex(grid)
    full["close"] = full["close"].ffill()
    for column in ("open", "high", "low"):
        if column in full:
            full[column] = full[column].fillna(full["close"])
    if "volume" in full:
        full["volume"] = full["volume"].fillna(0.0)
    full.index.name = frame.index.name
    return full


def _against_each_other(closes: dict[str, pd.Series], audits: dict[str, Audit], on_gap: OnGap, where: str) -> list[str]:
    """Where the market closes, a day that only one symbol lacks is no holiday: its bars are missing. "fill" changes `closes`."""
    if len(closes) < 2 or all(findings.calendar.kind == "continuous" for findings in audits.values()):
        return []
    union = closes[next(iter(closes))].index
    for series in closes.values():
        union = union.union(series.index)
    absent = {}
    for symbol, series in closes.items():
        mine = union[(union >= series.index[0]) & (union <= series.index[-1])]
        if len(mine) > len(series):
            absent[symbol] = mine
    if not absent:
        return []
    symbol = next(iter(absent))
    first = absent[symbol].difference(closes[symbol].index)[0]
    count = sum(len(mine) - len(closes[name]) for name, mine in absent.items())
    said = f"{count} bars of {len(absent)} symbols are missing that others have, as {symbol} at {first}"
    if on_gap == "refuse":
        raise DataError(f"{where}: {said}", 'Decide with on_gap="drop" or on_gap="fill" (--on-gap)')
    if on_gap == "fill":
        for name, mine in absent.items():
            closes[name] = closes[name].reindex(mine, method="ffill")
    return [f"on_gap={on_gap}: {said}"]


def _on_the_finest_grid(closes: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Closes of more than eight decimals (adjusted ones) rounded to eight, where that is next to nothing: the engine counts in 1e-8."""
    values = closes.to_numpy(np.float64)
    fine = np.rint(values * _FINEST) / _FINEST
    off = np.abs(values * _FINEST - np.rint(values * _FINEST)) > 1e-3
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.where(off, np.abs(fine / values - 1.0), 0.0)
    chosen = off.any(axis=0) & (change.max(axis=0, initial=0.0) <= _ROUNDING) & (np.abs(values).max(axis=0, initial=0.0) <= _LARGEST)
    if not chosen.any():
        return closes, []
    table = closes.copy()
    table.loc[:, chosen] = fine[:, chosen]
    names = _some([str(name) for name in closes.columns[chosen]], closes.shape[1])
    return table, [f"{names}: closes of more than 8 decimals rounded to 1e-8, by at most {change[:, chosen].max():.1e} of the price"]


def _aligned(closes: dict[str, pd.Series], span: Span) -> tuple[pd.DataFrame, list[str], dict[str, str]]:
    first = {symbol: series.index[0] for symbol, series in closes.items()}
    last = {symbol: series.index[-1] for symbol, series in closes.items()}
    decisions: list[str] = []
    excluded: dict[str, str] = {}
    if span == "longest":
        longest = max(closes, key=lambda symbol: last[symbol] - first[symbol])
        tolerance = 0.001 * (last[longest] - first[longest])  # files of one download start minutes apart
        for symbol in closes:
            if first[symbol] > first[longest] + tolerance or last[symbol] < last[longest] - tolerance:
                excluded[symbol] = f"covers only {first[symbol]} .. {last[symbol]}"
    elif span != "common":
        raise DataError(f"span={span!r} is not a decision", 'Choose "common" or "longest"')
    kept = {symbol: series for symbol, series in closes.items() if symbol not in excluded}
    frame = pd.concat(kept, axis=1, join="inner").sort_index()
    if len(frame) < 2:
        raise DataError("the symbols have no common time span", "Load symbols of one period, or use span='longest' (--span)")
    if excluded:
        decisions.append(f"span=longest: left out {', '.join(sorted(excluded))}")
    if len(set(first[symbol] for symbol in kept)) > 1 or len(set(last[symbol] for symbol in kept)) > 1:
        decisions.append(f"span={span}: every symbol cut to {frame.index[0]} .. {frame.index[-1]}")
    return frame, decisions, excluded
