"""One table out of one file: packed or not, Parquet, feather, JSON, or text with whatever separator, header, encoding and first lines it has.

Nothing is understood here but the form: which column holds what is decided in candle_columns.py. What had to be recognised is said
(`Table.remarks`); what is no table is refused with what it is instead.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pyarrow import feather

from hftkit.errors import DataError
from research.data.files.candle_columns import FIELDS, key_of, names_a_close, names_a_time

_SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}
_HEAD_LINES = 40
_FIRST_BYTES = 65_536
_PREAMBLE = 20  # lines before the header, at most
# Columns without a header: how many, their names. An order of open, high, low, close that the bars contradict is looked for below.
_HEADERLESS = {
    5: ["open_time", *FIELDS[:4]],
    6: ["open_time", *FIELDS],
    7: ["open_time", *FIELDS, "count"],  # Kraken's downloads
    9: ["open_time", *FIELDS, "volume_currency", "volume_quote", "confirm"],  # OKX
    11: ["open_time", *FIELDS, "close_time", "quote_volume", "count", "taker_volume", "taker_quote"],
    12: ["open_time", *FIELDS, "close_time", "quote_volume", "count", "taker_volume", "taker_quote", "ignore"],  # Binance
}
_ORDERS = {
    "open, high, low, close": (0, 1, 2, 3),
    "low, high, open, close (Coinbase)": (2, 1, 0, 3),
    "open, close, high, low (Bitfinex)": (0, 2, 3, 1),
}
_TIME_OF_DAY = re.compile(r"^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$")
_DATE_CELL = re.compile(r"^\s*(\d{4}[-/.]?\d{1,2}[-/.]?\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ].*)?\s*$")
_NUMBER_CELL = re.compile(r"^\s*[+-]?[\d.,]+([eE][+-]?\d+)?\s*$")


@dataclass(frozen=True)
class Table:
    """A file's rows as they are. `remarks`: what was recognised beyond the plain case; `symbol`: if the form itself names one."""

    frame: pd.DataFrame
    remarks: tuple[str, ...] = ()
    symbol: str = ""


def read_table(path: Path) -> Table:
    """Read one file. Raises DataError for what is missing, empty, damaged, or no table."""
    if not path.is_file():
        raise DataError(f"there is no price file {path}", "Check the path; one file a symbol, Parquet or CSV")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes)", "Fetch the file again")
    suffix = path.suffix.lower()
    if suffix in (".xlsx", ".xls", ".ods", ".h5", ".hdf5", ".pkl", ".pickle", ".rar", ".7z", ".zst"):
        raise DataError(f"{path} is a {suffix} file, which is not read here", "Save it as CSV or Parquet")
    try:
        if suffix in (".parquet", ".pq"):
            table = Table(_columns_of(pd.read_parquet(path)))
        elif suffix in (".feather", ".arrow"):
            table = Table(_columns_of(pd.read_feather(path)))
        else:
            body, remarks = _unpacked(path)
            table = _of_text(_decoded(body, path, remarks), path, remarks)
    except DataError:
        raise
    except Exception as error:  # pyarrow, pandas and the packers raise a dozen kinds; each means the same to the user
        why = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise DataError(f"{path} cannot be read ({why})", "Fetch the file again, as Parquet or CSV") from None
    if table.frame.empty:
        raise DataError(f"{path} has no rows", "Fetch the file again")
    return table


def _columns_of(frame: pd.DataFrame) -> pd.DataFrame:
    """An index that holds something becomes a column."""
    return frame if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None else frame.reset_index()


# -- bytes and text ------------------------------------------------------------------------------------------------------


def _unpacked(path: Path) -> tuple[bytes, list[str]]:
    raw = path.read_bytes()
    if raw[:2] == b"PK":
        return _of_zip(raw, path)
    if path.suffix.lower() == ".zip":
        _refuse_other(raw[:300].decode("utf-8", "replace"), path)
        raise DataError(f"{path} cannot be read (no zip file)", "Fetch the file again")
    for magic, unpack, name in ((b"\x1f\x8b", gzip.decompress, "gzip"), (b"BZh", bz2.decompress, "bzip2"), (b"\xfd7zXZ", lzma.decompress, "xz")):
        if raw.startswith(magic):
            try:
                return unpack(raw), []
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise DataError(f"{path} cannot be read ({name}: {str(error)[:100]})", "Fetch the file again") from None
    return raw, []


def _of_zip(raw: bytes, path: Path) -> tuple[bytes, list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            inside = [one for one in packed.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
            names = [one.filename for one in inside if not Path(one.filename).name.startswith(".")]
            if len(names) != 1:
                some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
                raise DataError(f"{path} holds {len(names)} files ({some})", "Unpack it into a folder" if names else "Fetch the file again")
            if any(one.flag_bits & 1 for one in inside):
                raise DataError(f"{path} is locked by a password", "Unpack it first")
            return packed.read(names[0]), []
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read (zip: {str(error)[:100]})", "Fetch the file again") from None


def _decoded(body: bytes, path: Path, remarks: list[str]) -> str:
    if not body.strip():
        raise DataError(f"{path} holds nothing but blanks", "Fetch the file again")
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if body.startswith(mark):
            return body.decode(encoding)
    if b"\x00" in body[:4096]:
        raise DataError(f"{path} cannot be read (it is no text: it holds bytes of 0)", "Save it as CSV or Parquet")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        remarks.append("text read as Windows-1252")
        return body.decode("cp1252", "replace")


def _refuse_other(text: str, path: Path) -> None:
    start = text.lstrip()[:200]
    if re.match(r"<(!doctype|html|\?xml|error|head|body|title)", start, re.IGNORECASE):
        raise DataError(f"{path} holds a web page or an error of a server, no prices ({' '.join(start.split())[:60]})", "Fetch the file again")
    if start.startswith("version https://git-lfs"):
        raise DataError(f"{path} is a pointer of Git LFS, not the file itself", "Run git lfs pull where it comes from")
    if start.startswith("{"):
        raise DataError(f"{path} holds an answer, no table ({' '.join(start.split())[:60]})", "Save its list of candles alone")


# -- tables of text ------------------------------------------------------------------------------------------------------


def _of_text(text: str, path: Path, remarks: list[str]) -> Table:
    _refuse_other(text, path)
    if text.lstrip().startswith("["):
        return _of_json(text, path)
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    lines = [line for line in text[:400_000].split("\n") if line.strip()][:_HEAD_LINES]
    found = _header(lines)
    if found is None:
        return _headerless(text, lines, path, remarks)
    line, separator = found
    skip = _line_number(text, lines[line])
    if line:
        remarks.append(f"{line} line{'s' * (line > 1)} before the header left out")
    names = _cells(lines[line], separator)
    symbol = ""
    if len(lines) > line + 2 and names[0].lower() == "price" and _cells(lines[line + 1], separator)[0].lower() == "ticker":
        names, symbol, skip = _yahoo(lines[line:], separator, skip, path)
        remarks.append("three header lines, as yfinance writes them")
    body = text.split("\n", skip + 1)[skip + 1] if text.count("\n") > skip else ""
    if not body.strip():
        raise DataError(f"{path} has no rows", "Fetch the file again")
    if separator != ",":
        remarks.append(f"columns parted by {_SEPARATORS[separator]}")
    if names[-1] == "" and len(_cells(body[:4000].split("\n")[0], separator)) == len(names) - 1:
        names = names[:-1]
    frame = _parsed(body, separator, path, len(names))
    return Table(frame.set_axis(_unique(names + [f"column {i}" for i in range(len(names), frame.shape[1])]), axis=1), tuple(remarks), symbol)


def _parsed(body: str, separator: str, path: Path, columns: int) -> pd.DataFrame:
    try:
        frame = pd.read_csv(io.StringIO(body), sep=separator, header=None, skipinitialspace=True, low_memory=False)
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if not found:
            raise
        raise DataError(
            f"{path}: row {int(found[2]) - 1} has {found[3]} columns, the rows before it {found[1]}", "Repair or remove that row"
        ) from None
    if frame.shape[1] != columns:
        if frame.shape[1] != columns + 1 or not frame.iloc[:, -1].isna().all():  # a separator at the end of each row is no column
            raise DataError(f"{path}: its header has {columns} columns, its rows {frame.shape[1]}", "Repair the header, or quote numbers with commas")
    return frame


def _header(lines: list[str]) -> tuple[int, str] | None:
    """Line and separator of the header: the first line that names a time and is no row of numbers."""
    for number, line in enumerate(lines[:_PREAMBLE]):
        best = max(_SEPARATORS, key=lambda separator: (sum(_is_word(cell) for cell in _cells(line, separator)), separator == ","))
        cells = _cells(line, best)
        keys = [key_of(cell) for cell in cells]
        if len(cells) < 2 or sum(bool(_NUMBER_CELL.match(cell)) or bool(_DATE_CELL.match(cell)) for cell in cells) > len(cells) // 2:
            continue
        if any(names_a_time(key) for key in keys) or any(names_a_close(key) for key in keys):
            return number, best
    first = max(_SEPARATORS, key=lambda separator: len(_cells(lines[0], separator)))
    if len(_cells(lines[0], first)) > 1 and not any(_NUMBER_CELL.match(cell) for cell in _cells(lines[0], first)):
        return 0, first  # names that say nothing to us: told as such later
    return None


def _is_word(cell: str) -> bool:
    return bool(cell.strip()) and not _NUMBER_CELL.match(cell)


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]


def _line_number(text: str, line: str) -> int:
    return next(number for number, one in enumerate(text.split("\n", 200)) if one == line)


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}.{seen[name] - 1}")
    return result


def _yahoo(lines: list[str], separator: str, skip: int, path: Path) -> tuple[list[str], str, int]:
    tickers = {cell for cell in _cells(lines[1], separator)[1:] if cell}
    if len(tickers) != 1:
        raise DataError(f"{path} holds {len(tickers)} tickers side by side under each field", "Save one file a symbol")
    dates = not any(_NUMBER_CELL.match(cell) for cell in _cells(lines[2], separator)[1:])
    names = _cells(lines[0], separator)
    return ["Date", *names[1:]], tickers.pop(), skip + (2 if dates else 1)


def _headerless(text: str, lines: list[str], path: Path, remarks: list[str]) -> Table:
    lines = [line for line in lines if not line.lstrip().startswith("#")]
    if not lines:
        raise DataError(f"{path} has no rows", "Fetch the file again")
    counts = {separator: {len(_cells(line, separator)) for line in lines} for separator in _SEPARATORS}
    steady = [separator for separator, found in counts.items() if len(found) == 1 and min(found) >= 2]
    if not steady:
        raise DataError(f"{path} is no table: its lines have no separator in common ({lines[0][:60]!r})", "Save it as CSV with a header")
    separator = steady[0]
    frame = _parsed("\n".join(line for line in text.split("\n") if not line.startswith("#")), separator, path, min(counts[separator]))
    return Table(_named(frame, path, remarks), tuple(remarks))


def _named(frame: pd.DataFrame, path: Path, remarks: list[str]) -> pd.DataFrame:
    """Names for the columns of a table without a header: time first, then open, high, low, close, volume, in the order that the bars bear out."""
    second = str(frame.iloc[0, 1]) if frame.shape[1] > 1 else ""
    if _TIME_OF_DAY.match(second):
        joined = frame[0].astype(str) + " " + frame[1].astype(str)
        frame = pd.concat([joined, frame.iloc[:, 2:]], axis=1)
    frame = frame.set_axis(range(frame.shape[1]), axis=1)
    names = _HEADERLESS.get(frame.shape[1])
    if names is None:
        raise DataError(
            f"{path} has no header, and its {frame.shape[1]} columns say too little", "Name them in a first line, at least open_time and close"
        )
    if not _NUMBER_CELL.match(str(frame.iloc[0, 0])) and not _DATE_CELL.match(str(frame.iloc[0, 0])):
        raise DataError(
            f"{path} has no header, and its first column holds no times ({str(frame.iloc[0, 0])[:40]!r})", "Name the columns in a first line"
        )
    if "close_time" in names and not (pd.to_numeric(frame[6], errors="coerce") > pd.to_numeric(frame[0], errors="coerce")).all():
        raise DataError(
            f"{path} has {frame.shape[1]} columns without a header, but no close times in the seventh", "Name the columns in a first line"
        )
    prices = frame[[1, 2, 3, 4]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if not np.isfinite(prices).all():
        remarks.append("no header: open_time, open, high, low, close, volume")
        return frame.set_axis(names, axis=1)
    fitting = [words for words, order in _ORDERS.items() if _bears_out(prices[:, order])]
    words = fitting[0] if fitting else "open, high, low, close"
    remarks.append(f"no header: open_time, {words}{', volume' if len(names) > 5 else ''}")
    order = _ORDERS[words]
    frame = frame.copy()
    for field, place in enumerate(order):
        frame[1 + field] = prices[:, place]
    return frame.set_axis(names, axis=1)


def _bears_out(prices: np.ndarray) -> bool:
    opened, high, low, close = prices.T
    return bool((high >= np.maximum(opened, close)).all() and (low <= np.minimum(opened, close)).all())


def _of_json(text: str, path: Path) -> Table:
    rows = json.loads(text)
    if not rows:
        raise DataError(f"{path} has no rows", "Fetch the file again")
    if isinstance(rows[0], dict):
        return Table(pd.DataFrame(rows))
    if (
        not isinstance(rows[0], list)
        or len({len(row) for row in rows if isinstance(row, list)}) != 1
        or not all(isinstance(row, list) for row in rows)
    ):
        raise DataError(f"{path} holds a list, but not of candles", "Save a list of [time, open, high, low, close, volume]")
    frame = pd.DataFrame(rows)
    numeric = frame.apply(pd.to_numeric, errors="coerce")
    remarks: list[str] = []
    return Table(_named(numeric.where(numeric.notna(), frame), path, remarks), tuple(remarks))


# -- a look at the first lines -------------------------------------------------------------------------------------------


def column_names(path: Path) -> list[str]:
    """What the columns of a file are called, from its first bytes; empty if it has no header or cannot be read."""
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return list(pq.read_schema(path).names)
        if path.suffix.lower() in (".feather", ".arrow"):
            return list(feather.read_table(path, memory_map=True).schema.names)
        with path.open("rb") as file:
            start = _first_bytes(file, path)
        lines = [
            line for line in re.split(r"\r\n|\r|\n", start.decode("utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace"))
        ]
        lines = [line for line in lines if line.strip()][:_HEAD_LINES]
        found = _header(lines) if lines and not lines[0].lstrip().startswith(("[", "{", "<!")) else None
        return _cells(lines[found[0]], found[1]) if found else []
    except Exception:  # whatever is wrong with it is said when it is read
        return []


def _first_bytes(file: IO[bytes], path: Path) -> bytes:
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(b"PK"):
        with zipfile.ZipFile(file) as packed:
            names = [one.filename for one in packed.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
            with packed.open(names[0]) as member:
                return member.read(_FIRST_BYTES)
    opener = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zX": lzma.open}
    for start, opened in opener.items():
        if magic.startswith(start):
            with opened(file) as unpacked:  # type: ignore[operator]
                return bytes(unpacked.read(_FIRST_BYTES))
    return file.read(_FIRST_BYTES)
