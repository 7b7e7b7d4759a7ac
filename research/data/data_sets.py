"""Which folder below a given one holds candles: one file a symbol, all of the same kind.

A download folder often holds several data sets side by side, and tables that are no candles (funding rates, long tables). They are told apart by
what the files hold, not by their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hftkit.errors import DataError
from research.data.files.file_names import parse_name
from research.data.files.price_files import is_candle_table, read_candles, table_files

MIN_SYMBOLS = 2


@dataclass(frozen=True)
class DataSet:
    """A folder of candle files: how many symbols, and the bar length in ns (of the first file)."""

    folder: Path
    symbols: int
    bar_ns: int


def data_set(folder: Path) -> DataSet | None:
    """The data set in `folder` itself; None if it holds none. Looks into the first file that can be read only."""
    try:
        files, _ = table_files(folder)
    except DataError:
        return None
    symbols = {parse_name(path).symbol for path in files}
    for path in files if len(symbols) >= MIN_SYMBOLS else ():
        try:
            frame = read_candles(path)
        except DataError:
            if is_candle_table(path):  # a candle file that is damaged costs itself
                continue
            return None
        steps = frame.index.to_series().diff().dropna()
        if steps.empty or (steps <= steps.iloc[0] * 0).any():
            return None
        return DataSet(folder, len(symbols), int(steps.mode().iloc[0].value))
    return None


def find_data_sets(folder: Path | str) -> list[DataSet]:
    """Data sets in `folder` or, if it is none itself, in its sub-folders; finest bars first, then most symbols.

    Raises DataError for a missing folder, or one without any data set.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", "Give a folder with one Parquet or CSV file a symbol")
    here = data_set(folder)
    if here is not None:
        return [here]
    below = [found for child in sorted(folder.iterdir()) if child.is_dir() and (found := data_set(child)) is not None]
    if not below:
        raise DataError(f"neither {folder} nor a folder in it holds candle files", "One Parquet or CSV file a symbol, at least two")
    return sorted(below, key=lambda found: (found.bar_ns, -found.symbols))
