"""Trades and book tickers as columns: from the files of the archive (Parquet, CSV), only what a history needs, checked.

A row that cannot have happened is left out and counted: a price or quantity that is no positive number, a bid that is not below its ask, a trade
whose id came before. A column that cannot be understood (times, sides) is refused: it would make every row wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from hftkit.errors import DataError
from research.data.files.timestamps import utc_times

Columns = dict[str, np.ndarray]
TRADE_NAMES = {"price": ("price",), "qty": ("quantity", "qty"), "ts": ("transact_time", "time"), "sell": ("is_buyer_maker",)}
QUOTE_NAMES = {
    "bid": ("best_bid_price",),
    "bid_qty": ("best_bid_qty",),
    "ask": ("best_ask_price",),
    "ask_qty": ("best_ask_qty",),
    "ts": ("transaction_time",),
}
_NS_FROM = 10**17  # epoch numbers beyond are nanoseconds already
_IDS = ("agg_trade_id", "trade_id", "id")
SUFFIXES = (".parquet", ".csv", ".csv.gz", ".csv.zip")


def column_names(path: Path) -> list[str]:
    """What the columns of a file are called. Raises DataError if it cannot be read."""
    try:
        return list(pq.read_schema(path).names) if path.suffix == ".parquet" else list(pd.read_csv(path, nrows=0).columns)
    except Exception as error:  # pyarrow and pandas raise a dozen kinds; each means the same to the user
        why = "0 bytes" if path.stat().st_size == 0 else str(error).splitlines()[0][:120]
        raise DataError(f"{path} cannot be read ({why})", "Fetch the file again, as Parquet or CSV") from None


def kind_of(path: Path) -> str:
    """What a file holds: "quotes" (book tickers), "trades", "aggregate trades", or "" for none of them, by its columns."""
    names = column_names(path) if path.name.endswith(SUFFIXES) else []
    if "best_bid_price" in names:
        return "quotes"
    if "is_buyer_maker" not in names:
        return ""
    return "aggregate trades" if "agg_trade_id" in names else "trades"


def read_columns(path: Path, start_ns: int, end_ns: int) -> dict[str, Any]:
    """The columns of one file that a history needs, by the names it gives them; times as int64 ns, of [start_ns, end_ns) only.

    Column by column, so that twenty million rows never stand in memory twice.
    """
    names = column_names(path)
    wanted = QUOTE_NAMES if "best_bid_price" in names else TRADE_NAMES
    chosen = [name for choices in (*wanted.values(), _IDS) for name in choices if name in names]
    try:
        if path.suffix == ".parquet":
            columns = {name: pq.read_table(path, columns=[name]).column(0).to_pandas() for name in chosen}
        else:
            frame = pd.read_csv(path, usecols=chosen)
            columns = {name: frame.pop(name) for name in chosen}
    except Exception as error:
        raise DataError(f"{path} cannot be read ({str(error).splitlines()[0][:120]})", "Fetch the file again, as Parquet or CSV") from None
    time = next((name for name in wanted["ts"] if name in columns), None)
    if time is None or not len(columns[time]):
        raise DataError(f"{path} has no {'rows' if time else wanted['ts'][0] + ' column'}", "Fetch the file again, as Parquet or CSV")
    ts = times_of(columns.pop(time), str(path))
    kept = (ts >= start_ns) & (ts < end_ns)
    whole = bool(kept.all())
    return {time: ts if whole else ts[kept], **{name: column.to_numpy() if whole else column.to_numpy()[kept] for name, column in columns.items()}}


def joined(tables: list[dict[str, Any]], what: str) -> dict[str, Any]:
    """The same columns of several files of one symbol, one after another. Raises DataError if they differ."""
    if any(set(table) != set(tables[0]) for table in tables):
        raise DataError(f"the files of {what} have different columns", "Convert one kind of file at a time")
    return tables[0] if len(tables) == 1 else {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def times_of(stamps: Any, where: str) -> np.ndarray:
    """Times as int64 ns UTC: of ISO text, time stamps, or epoch numbers, whose unit follows from their size."""
    series = pd.Series(stamps)
    if not len(series):
        return np.zeros(0, np.int64)
    if series.dtype == np.int64 and int(series.iloc[0]) > _NS_FROM:
        return series.to_numpy()
    return np.asarray(utc_times(series, Path(where))[0].as_unit("ns").asi8)


def clean(table: Mapping[str, Any] | None, quotes: bool, symbol: str) -> tuple[Columns, dict[str, int]]:
    """Columns by the names of QUOTE_NAMES or TRADE_NAMES, `ts` int64 ns, `sell` bool; and how many rows were left out, by reason.

    Raises DataError naming a missing column, or one that cannot be understood.
    """
    if table is None:
        return {}, {}
    names = QUOTE_NAMES if quotes else TRADE_NAMES
    found: dict[str, str] = {}
    for name, choices in names.items():
        there = [choice for choice in choices if choice in table]
        if not there:
            raise DataError(f"{symbol}: there is no column {choices[0]} among {list(table)}", "Use the columns of the archive")
        found[name] = there[0]
    columns = {name: times_of(table[column], symbol) if name == "ts" else _numbers(table[column]) for name, column in found.items() if name != "sell"}
    checks = {"no positive number": _positive([column for name, column in columns.items() if name != "ts"])}
    if quotes:
        checks["bid not below the ask"] = columns["bid"] < columns["ask"]
    else:
        columns["sell"] = _sides(table[found["sell"]], symbol)
        ident = next((name for name in _IDS if name in table), None)
        if ident is not None:
            checks["id seen before"] = ~pd.Series(np.asarray(table[ident])).duplicated().to_numpy()
    left_out, kept = {}, np.ones(len(columns["ts"]), bool)
    for reason, good in checks.items():
        left_out[reason] = int((kept & ~good).sum())
        kept &= good
    if not kept.all():
        columns = {name: column[kept] for name, column in columns.items()}
    return columns, {reason: count for reason, count in left_out.items() if count}


def _numbers(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return np.asarray(array if array.dtype.kind in "fiu" else pd.to_numeric(pd.Series(array), errors="coerce"), np.float64)


def _positive(columns: list[np.ndarray]) -> np.ndarray:
    good = np.ones(len(columns[0]), bool)
    for column in columns:
        good &= (column > 0) & (column < np.inf)
    return good


def _sides(values: Any, symbol: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype == bool:
        return array
    text = pd.Series(array).astype(str).str.lower()
    if not text.isin(["true", "false"]).all():
        wrong = next(value for value in text if value not in ("true", "false"))
        raise DataError(f"{symbol}: is_buyer_maker holds {wrong!r}", "It says true or false: whether the buyer's order was the one that rested")
    return np.asarray(text == "true")


def distinct(columns: list[np.ndarray], block: int = 1 << 20) -> np.ndarray:
    """Every value once, sorted; block by block, since ticks are many and prices few."""
    parts = [np.unique(column[at : at + block]) for column in columns for at in range(0, len(column), block)]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0)
