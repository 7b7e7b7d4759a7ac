"""Load candles from disk: Parquet or CSV in the usual column names, one file or a folder of files, into an aligned panel of closes.

Nothing is repaired silently. A file with disorder, duplicates, NaN, zero or negative prices is refused with the row and the cure. Two
decisions have stated defaults: `on_gap="refuse"` (missing bars) and `span="common"` (symbols that start or end at different times).
Times are the start of the bar, UTC; stamps without a zone are taken as UTC, as every exchange writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data_quality import Audit, audit
from research.progress import progress

OnGap = Literal["refuse", "drop", "fill"]
Span = Literal["common", "longest"]
FIELDS = ("open", "high", "low", "close", "volume")

# Lower-case names as vectorbt / yfinance, freqtrade, ccxt and Binance write them. First match wins.
_TIME_NAMES = ("open_time", "open time", "opentime", "timestamp", "date", "datetime", "time", "index")
_FIELD_NAMES = {"open": ("open", "o"), "high": ("high", "h"), "low": ("low", "l"), "close": ("close", "c"), "volume": ("volume", "v", "vol")}
_SUFFIXES = (".parquet", ".feather", ".csv", ".csv.gz", ".csv.zip")
_EPOCH_UNITS = ((1e11, "s"), (1e14, "ms"), (1e17, "us"), (np.inf, "ns"))


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

    `bar_ns`: bar length. `decisions`: what was decided about gaps and spans, in words. `excluded`: (symbol, why). `quality`: one row a symbol.
    """

    closes: pd.DataFrame
    bar_ns: int
    files: tuple[SourceFile, ...]
    quality: pd.DataFrame
    decisions: tuple[str, ...] = ()
    excluded: tuple[tuple[str, str], ...] = ()

    @property
    def end_ns(self) -> int:
        """Close time of the last bar, Unix ns."""
        return int(self.closes.index[-1].value) + self.bar_ns


def symbol_of(path: Path) -> str:
    """Symbol from a file name, BTCUSDT of each: BTCUSDT.parquet, BTC_USDT-5m.csv (freqtrade), BTC_USDT_USDT-1m-futures.feather (freqtrade, settled
    in its quote currency), BTCUSDT-1m-2024-01.csv (Binance).
    """
    parts = path.name.split(".")[0].split("-")[0].upper().split("_")
    return "".join(parts[:2] if len(parts) == 3 and parts[1] == parts[2] else parts)


def read_candles(path: Path | str) -> pd.DataFrame:
    """Read one file as it is: columns open, high, low, close, volume (those present), index `open_time` in UTC. No checks on the values.

    Raises DataError if the file is missing, empty, unreadable, or lacks a time or a close column.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no price file {path}", "Check the path; one file a symbol, Parquet or CSV")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes)", "Fetch the file again")
    try:
        readers = {".parquet": pd.read_parquet, ".feather": pd.read_feather}
        raw = readers.get(path.suffix, _read_csv)(path)
    except Exception as error:  # pyarrow and pandas raise a dozen kinds; each means the same to the user
        raise DataError(f"{path} cannot be read ({str(error).splitlines()[0][:120]})", "Fetch the file again, as Parquet or CSV") from None
    if not isinstance(raw.index, pd.RangeIndex):
        raw = raw.reset_index()
    if raw.empty:
        raise DataError(f"{path} has no rows", "Fetch the file again")
    names = {str(name).strip().lower(): name for name in raw.columns}
    time_name = next((names[name] for name in _TIME_NAMES if name in names), None)
    columns = {field: next((names[name] for name in choices if name in names), None) for field, choices in _FIELD_NAMES.items()}
    if time_name is None or columns["close"] is None:
        raise DataError(f"{path} has no {'time' if time_name is None else 'close'} column among {list(raw.columns)}", "Name them open_time and close")
    frame = pd.DataFrame({field: pd.to_numeric(raw[name], errors="coerce") for field, name in columns.items() if name is not None})
    frame.index, zone = utc_times(raw[time_name], path)
    frame = frame.astype(np.float64)
    frame.attrs["time_zone"] = zone
    return frame


def load_candles(path: Path | str, *, on_gap: OnGap = "refuse") -> pd.DataFrame:
    """Read and check one file. Raises DataError naming file, row and cure for anything that would make a wrong number.

    `on_gap`: "refuse" missing bars; "drop": leave them out (the index has holes); "fill": repeat the last close, volume 0.
    """
    frame = read_candles(path)
    findings = audit(frame)
    _refuse_faults(findings, str(path))
    return _close_gaps(frame, findings, on_gap, str(path))


def load_panel(
    folder: Path | str,
    symbols: Iterable[str] | None = None,
    *,
    on_gap: OnGap = "refuse",
    span: Span = "common",
) -> Panel:
    """Load a folder (one file a symbol) into an aligned panel of closes.

    `symbols`: those wanted, all by default. `span`: "common" cuts every symbol to the time all of them cover; "longest" keeps the longest
    span and leaves out symbols that do not cover it. With `on_gap="drop"`, bars that one symbol lacks are dropped for all.
    """
    paths = candle_files(folder, symbols)
    frames: dict[str, pd.DataFrame] = {}
    files, audits = [], {}
    for path in progress(paths, f"loading {len(paths)} files"):
        symbol = symbol_of(path)
        frame = read_candles(path)
        audits[symbol] = audit(frame)
        _refuse_faults(audits[symbol], str(path))
        frames[symbol] = _close_gaps(frame, audits[symbol], on_gap, str(path))
        files.append(SourceFile(symbol, path.name, sha256_of(path), len(frame), frame.index[0].value, frame.index[-1].value))
    bar_ns = _one_frequency({symbol: findings.bar_ns for symbol, findings in audits.items()}, str(folder))
    closes, decisions, excluded = _aligned({symbol: frame["close"] for symbol, frame in frames.items()}, span)
    missing = sum(findings.missing_bars for findings in audits.values())
    if missing:
        decisions.append(f"on_gap={on_gap}: {missing} missing bars over all symbols")
    quality = pd.DataFrame({symbol: findings.row() for symbol, findings in audits.items()}).T.rename_axis("symbol")
    return Panel(closes, bar_ns, tuple(files), quality, tuple(decisions), tuple(excluded.items()))


def candle_files(folder: Path | str, symbols: Iterable[str] | None = None) -> list[Path]:
    """Price files of a folder, sorted by symbol. Raises DataError for a missing folder, no file, a symbol without file, two files of one symbol."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", "Give a folder with one Parquet or CSV file a symbol")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.endswith(_SUFFIXES):
            symbol = symbol_of(path)
            if symbol in found:
                raise DataError(f"{folder} has two files of {symbol}: {found[symbol].name} and {path.name}", "Keep one file a symbol")
            found[symbol] = path
    wanted = list(symbols) if symbols is not None else sorted(found)
    for symbol in wanted:
        if symbol not in found:
            raise DataError(f"{folder} has no price file of {symbol}", f"It has {', '.join(sorted(found)) or 'none'}")
    if not wanted:
        raise DataError(f"{folder} has no Parquet or CSV files", "Give a folder with one file a symbol")
    return [found[symbol] for symbol in wanted]


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_csv(path: Path) -> pd.DataFrame:
    """CSV with a header, or the headerless layouts of Binance archives (12 columns) and ccxt (6): time, open, high, low, close, volume first."""
    head = pd.read_csv(path, nrows=1, header=None)
    headerless = bool(pd.to_numeric(head.iloc[0], errors="coerce").notna().all()) and head.shape[1] >= 6
    if not headerless:
        return pd.read_csv(path)
    frame = pd.read_csv(path, header=None, usecols=range(6))
    return frame.set_axis(["open_time", *FIELDS], axis=1)


def utc_times(stamps: pd.Series, path: Path) -> tuple[pd.DatetimeIndex, str]:
    """The stamps in UTC, and how they were read. Raises DataError for what is no time, naming the row."""
    zone = "naive, taken as UTC"
    try:
        if pd.api.types.is_numeric_dtype(stamps):
            unit = next(unit for limit, unit in _EPOCH_UNITS if float(stamps.iloc[0]) < limit)
            times, zone = pd.to_datetime(stamps, unit=unit, utc=True), f"epoch {unit}"
        else:
            times = pd.to_datetime(stamps, utc=True, format="ISO8601")
            aware = getattr(stamps.dt, "tz", None) if pd.api.types.is_datetime64_any_dtype(stamps) else pd.Timestamp(stamps.iloc[0]).tzinfo
            if aware is not None:
                offset = pd.Timestamp(stamps.iloc[0]).utcoffset() or pd.Timedelta(0)
                zone = "UTC" if not offset else f"{aware}, converted"
    except (ValueError, TypeError, StopIteration, OverflowError):
        raise DataError(f"{path}: column {stamps.name!r} holds no times ({stamps.iloc[0]!r})", "Use ISO 8601 text or epoch numbers") from None
    index = pd.DatetimeIndex(times, name="open_time").as_unit("ns")
    if index.hasnans:
        raise DataError(f"{path}: row {int(np.argmax(index.isna()))} has no time", "Repair or remove that row")
    return index, zone


def _refuse_faults(findings: Audit, where: str) -> None:
    for fault in findings.faults:
        raise DataError(f"{where}: {fault.text}", fault.cure)


def _one_frequency(bars: dict[str, int], where: str) -> int:
    alone = [symbol for symbol, bar in bars.items() if bar == 0]
    if alone:
        raise DataError(f"{where}: {', '.join(alone)} has a single row, which says no bar length", "Load more of it, or leave it out")
    (first, bar), *others = bars.items()
    for symbol, other in others:
        if other != bar:
            raise DataError(f"{where}: {symbol} has bars of {other / 1e9:g} s, {first} of {bar / 1e9:g} s", "Load symbols of one bar length")
    return bar


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
    grid = pd.date_range(frame.index[0], frame.index[-1], freq=pd.Timedelta(findings.bar_ns, "ns"), name="open_time")
    full = frame.reindex(grid)
    full["close"] = full["close"].ffill()
    for field in ("open", "high", "low"):
        if field in full:
            full[field] = full[field].fillna(full["close"])
    if "volume" in full:
        full["volume"] = full["volume"].fillna(0.0)
    return full


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
