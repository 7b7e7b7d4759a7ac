"""Every candle of a file or a folder, by symbol: which files hold prices, which parts belong together, what each holds. No checks on the values.

A file that cannot be read costs itself, not the folder: it is a failure with its reason beside the symbols that were read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data.files.candle_columns import PLAIN, Reading, candles_of, is_wide, key_of, split_long, symbol_column, wide_closes
from research.data.files.file_formats import column_names, read_table
from research.data.files.file_names import is_table, parse_name, symbol_text, timeframe_ns, timeframe_of
from research.data.progress import progress

_OTHER_TABLES = ("instruments.json", "manifest.json", "gaps.json")
_SECOND_NS = 1_000_000_000  # a bar's end is written as its last millisecond, or second


@dataclass
class Candles:
    """One symbol's candles and the files they come from. `timeframe`: as the names say it, or ""; `table`: "", "long" or "wide"."""

    symbol: str
    frame: pd.DataFrame
    paths: tuple[Path, ...]
    timeframe: str = ""
    table: str = ""
    remarks: tuple[str, ...] = ()


@dataclass
class PriceFiles:
    """`candles` by symbol, or "BTCUSDT 1h" where a symbol has several bar lengths; `failures`: what could not be read, by file name."""

    place: Path
    candles: dict[str, Candles] = field(default_factory=dict)
    failures: dict[str, DataError] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_candles(path: Path | str, reading: Reading = PLAIN) -> pd.DataFrame:
    """Read the candles of a file of one symbol as they are: columns open, high, low, close, volume (those present), index `open_time` in UTC.

    No checks on the values. Raises DataError if the file is missing, empty, unreadable, lacks a time or a close column, holds several symbols, or
    may be read in two ways (docs/data.md).
    """
    found = read_file(Path(path), reading)
    if len(found) != 1:
        raise DataError(
            f"{path} holds {len(found)} symbols ({', '.join(list(found)[:5])}{', ...' * (len(found) > 5)})",
            "Load it with load_panel, or choose with --symbols",
        )
    return next(iter(found.values())).frame


def read_file(path: Path, reading: Reading = PLAIN, *, alone: bool = True) -> dict[str, Candles]:
    """The candles of one file by symbol: one, or those of a long or wide table. `alone`: asked for by itself; a wide table is read only then."""
    table = read_table(path)
    raw, name = table.frame, parse_name(path)
    if is_wide(raw):
        if not alone:
            raise DataError(f"{path} is a table of {raw.shape[1] - 1} columns of closes", "Load it by itself: name the file in place of its folder")
        frames, kind = wide_closes(raw, path, reading), "wide"
    else:
        column = symbol_column(list(raw.columns))
        parts = split_long(raw, column, path) if column is not None else {}
        if len(parts) > 1:
            frames, kind = {symbol: candles_of(rows, path, reading, symbol) for symbol, rows in parts.items()}, "long"
        else:
            symbol = next(iter(parts), "") or (symbol_text(table.symbol) if table.symbol else name.symbol)
            frames, kind = {symbol: candles_of(raw, path, reading, symbol)}, ""
    result = {}
    for symbol, frame in frames.items():
        moved, more = _moved(frame, reading, path)
        remarks = (*table.remarks, *frame.attrs["remarks"], *more)
        moved.attrs = {"time_zone": frame.attrs["time_zone"], "remarks": remarks}
        result[symbol] = Candles(symbol, moved, (path,), name.timeframe, kind, remarks)
    return result


def table_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Files of a folder that are prices by their names, sorted; and those that look like tables but hold other prices (mark, index, funding).

    Raises DataError for a missing folder.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", "Give a folder with one Parquet or CSV file a symbol")
    named = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in _OTHER_TABLES and is_table(path)]
    other = [path.name for path in named if parse_name(path).kind]
    return [path for path in named if path.name not in other], other


def symbols_in(place: Path) -> list[str]:
    """Symbols of a folder's price files, by their names; of long tables by their rows. Raises DataError for a folder without price files."""
    paths = [place] if place.is_file() else table_files(place)[0]
    if not paths:
        raise DataError(f"{place} has no Parquet or CSV files", "Give a folder with one file a symbol")
    found = set()
    for path in paths:
        column = symbol_column(column_names(path))
        found |= {symbol_text(name) for name in read_table(path).frame[column].dropna().unique()} if column is not None else {parse_name(path).symbol}
    return sorted(found)


def read_prices(
    place: Path | str, symbols: Iterable[str] | None = None, *, timeframe: str = "", reading: Reading = PLAIN, several: bool = False
) -> PriceFiles:
    """Read a folder, or one file, of candles.

    Parameters
    ----------
    place : folder or file.
    symbols : those wanted, in any of the usual spellings; all by default. A wanted one that cannot be read raises.
    timeframe : only files whose names say this bar length or none.
    reading : what the files do not say themselves.
    several : several bar lengths of a symbol are wanted (a report); else they raise.

    Raises
    ------
    DataError for a missing place, no price files, a wanted symbol without file, two files of one symbol that are no parts of one series.
    """
    place = Path(place)
    wanted = None if symbols is None else list(dict.fromkeys(symbol_text(symbol) for symbol in symbols))
    if timeframe:
        timeframe = timeframe_of(timeframe) or _refuse_timeframe(timeframe)
    paths, other = ([place], []) if place.is_file() else table_files(place)
    parts = _parts(paths, wanted, timeframe, place, several)
    result = PriceFiles(place, passed_over=tuple(other))
    together: dict[str, list[Candles]] = {}
    for path in progress(parts, f"reading {len(parts)} files"):
        try:
            found = read_file(path, reading, alone=place.is_file())
        except DataError as error:
            if wanted is not None and parse_name(path).symbol in wanted:
                raise
            result.failures[path.name] = error
            continue
        for symbol, one in found.items():
            if wanted is None or symbol in wanted:
                together.setdefault(f"{symbol} {one.timeframe}".strip() if several else symbol, []).append(one)
    for key, ones in together.items():
        try:
            result.candles[key] = _joined(ones, place)
        except DataError as error:
            if wanted is not None:
                raise
            result.failures[", ".join(one.paths[0].name for one in ones)] = error
    if several:  # the bar length is said only where a symbol has more than one
        names = [one.symbol for one in result.candles.values()]
        result.candles = {one.symbol if names.count(one.symbol) == 1 else key: one for key, one in result.candles.items()}
    for symbol in wanted or ():
        if not any(one.symbol == symbol for one in result.candles.values()):
            have = sorted({one.symbol for one in result.candles.values()} | {parse_name(path).symbol for path in paths})
            raise DataError(f"{place} has no price file of {symbol}", f"It has {', '.join(have[:40]) or 'none'}")
    order = wanted if wanted is not None else sorted(result.candles)
    result.candles = {
        key: result.candles[key] for name in order for key in sorted(result.candles) if key == name or result.candles[key].symbol == name
    }
    return result


def _refuse_timeframe(text: str) -> str:
    timeframe_ns(text)
    return ""


def _parts(paths: list[Path], wanted: list[str] | None, timeframe: str, place: Path, several: bool) -> list[Path]:
    """The files to read. Raises DataError for none, and for two of one symbol by name that are no parts of a series."""
    if not paths:
        raise DataError(f"{place} has no Parquet or CSV files", "Give a folder with one file a symbol")
    if place.is_file():
        return paths
    kept, seen, lengths = [], {}, {}  # type: tuple[list[Path], dict[tuple[str, ...], Path], dict[str, dict[str, Path]]]
    for path in paths:
        name = parse_name(path)
        long = symbol_column(column_names(path)) is not None
        if timeframe and name.timeframe and name.timeframe != timeframe:
            continue
        if wanted is not None and name.symbol not in wanted and not long:
            continue
        kept.append(path)
        if long:  # the table says its symbols, whatever its name
            continue
        key = (name.symbol, name.timeframe)
        if (not name.period and key in seen) or (name.period and seen.get((*key, ""))):
            raise DataError(f"{place} has two files of {name.symbol}: {seen[key].name} and {path.name}", "Keep one file a symbol")
        seen[key] = path
        lengths.setdefault(name.symbol, {})[name.timeframe] = path
    if not several:
        for symbol, found in lengths.items():
            if len(found) > 1:
                say = ", ".join(f"{length or 'no'}: {path.name}" for length, path in found.items())
                raise DataError(f"{place} has {symbol} with several bar lengths ({say})", "Choose one with timeframe= (--timeframe 1h)")
    if not kept:
        names = sorted({parse_name(path).symbol for path in paths})
        if timeframe:
            raise DataError(
                f"{place} has no files of bars of {timeframe}",
                f"It has {', '.join(sorted({parse_name(path).timeframe for path in paths} - {''})) or 'none that say theirs'}",
            )
        raise DataError(f"{place} has no price file of {(wanted or ['any'])[0]}", f"It has {', '.join(names[:40])}")
    return kept


def _joined(ones: list[Candles], place: Path) -> Candles:
    """Parts of one series, one after another; a bar that two parts hold alike is taken once."""
    first = ones[0]
    if len(ones) == 1:
        return first
    if any(not parse_name(one.paths[0]).period and not one.table for one in ones) and len({one.paths[0] for one in ones}) > 1:
        raise DataError(f"{place} has two files of {first.symbol}: {ones[0].paths[0].name} and {ones[1].paths[0].name}", "Keep one file a symbol")
    ones = sorted(ones, key=lambda one: one.frame.index[0])
    fields = [list(one.frame.columns) for one in ones]
    if any(columns != fields[0] for columns in fields):
        raise DataError(f"{place}: the files of {first.symbol} have different columns", "Convert them to one form")
    frame = pd.concat([one.frame for one in ones])
    twice = frame.index.duplicated(keep="first")
    remarks = list(dict.fromkeys(remark for one in ones for remark in one.remarks))
    if twice.any():
        again = frame[frame.index.duplicated(keep=False)].sort_index(kind="stable")
        differ = np.flatnonzero(~again.eq(again.groupby(level=0).transform("first")).all(axis=1).to_numpy())
        if differ.size:
            raise DataError(f"{place}: two files of {first.symbol} differ at {again.index[differ[0]]}", "Keep the one that is right")
        frame = frame[~twice].sort_index(kind="stable")
        remarks.append(f"{int(twice.sum())} bars that two parts hold alike taken once")
    frame.attrs = {"time_zone": first.frame.attrs["time_zone"], "remarks": tuple(remarks)}
    return Candles(first.symbol, frame, tuple(one.paths[0] for one in ones), first.timeframe, first.table, (f"{len(ones)} parts joined", *remarks))


# -- moving stamps -------------------------------------------------------------------------------------------------------


def _moved(frame: pd.DataFrame, reading: Reading, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Stamps moved as the reading asks for: from the ends of bars to their begins, to the lines of their grid."""
    if reading.stamps not in ("open", "close"):
        raise DataError(f"stamps={reading.stamps!r} is neither the open nor the close of a bar", "Choose open or close (--stamps)")
    remarks: list[str] = []
    stamps = frame.index.as_unit("ns").asi8
    steps = np.diff(stamps)
    if (reading.stamps == "open" and not reading.snap) or not (steps > 0).any():
        return frame, remarks
    bar = _bar_of(steps[steps > 0])
    if reading.stamps == "close":
        short = -stamps % bar
        stamps = (stamps + short if (short <= _SECOND_NS).all() else stamps) - bar
        remarks.append("stamps are ends of bars: a bar taken off each")
    if reading.snap:
        stamps, words = _snapped(stamps, bar, path)
        remarks += words
    moved = frame.copy()
    moved.index = pd.DatetimeIndex(stamps, tz="UTC", name="open_time")
    return moved, remarks


def _bar_of(steps: np.ndarray) -> int:
    """The usual step, ns; of stamps that jitter, whose steps are all different, the nearest whole second to the median."""
    lengths, counts = np.unique(steps, return_counts=True)
    if 2 * counts.max() >= steps.size:
        return int(lengths[counts.argmax()])
    return max(round(float(np.median(steps)) / _SECOND_NS), 1) * _SECOND_NS


def _snapped(stamps: np.ndarray, bar: int, path: Path) -> tuple[np.ndarray, list[str]]:
    """Stamps at the nearest line of the grid that most of them keep; a grid never lies beside the minute, if bars are that long."""
    unit = 60 * _SECOND_NS if bar % (60 * _SECOND_NS) == 0 else _SECOND_NS if bar % _SECOND_NS == 0 else 1
    beside, counts = np.unique(stamps % unit, return_counts=True)
    usual = int(beside[counts.argmax()])
    if 2 * counts.max() >= stamps.size and 0 < unit - usual <= _SECOND_NS and usual:
        raise DataError(f"{path}: stamps lie {(unit - usual) / 1e9:g} s before the grid: they are ends of bars", "Read them with --stamps close")
    lines, counts = np.unique((stamps + unit // 2) // unit * unit % bar, return_counts=True)
    phase = int(lines[counts.argmax()])
    near = (stamps - phase + bar // 2) // bar * bar + phase
    if (np.diff(near) == 0).any():
        row = int(np.argmax(np.diff(near) == 0)) + 1
        raise DataError(f"{path}: row {row} would be moved onto the bar before it", "These stamps are not bars that were shifted: leave --snap out")
    moved = near != stamps
    if not moved.any():
        return near, []
    return near, [
        f"{int(moved.sum())} stamps moved to the grid, by at most {np.abs(near - stamps).max() / 1e9:g} s, the first at row {int(moved.argmax())}"
    ]


def is_candle_table(path: Path) -> bool:
    """Whether a file's columns are those of candles: a look at the first lines only."""
    keys = [key_of(name) for name in column_names(path)]
    return bool(keys) and any(key in ("close", "c", "closeprice") for key in keys)
