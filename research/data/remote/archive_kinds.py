"""What a Binance bulk archive holds: each kind of file with its columns, its time stamps and what a gap means in it. One zip in, one frame out.

Header lines are present in newer files and absent in older ones: detected. Times are milliseconds, since 2025 microseconds on spot: told apart by
their size; two kinds write text. Rows that the archive left unsorted are sorted by time, and how many is counted. Numbers that are empty stay NaN
and are counted: what may be done with them is decided by who loads (research/data/data_loader.py).
Source: the archive's own layout as published with it (github.com/binance/binance-public-data).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hftkit.errors import DataError

_KLINE = ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume")
_US_FROM = 10**14  # larger epoch numbers are microseconds
_MINUTE_NS = 60 * 10**9
INTERVAL_NS = {
    f"{count}{unit}": count * size * 10**9
    for unit, size, counts in (
        ("s", 1, (1,)),
        ("m", 60, (1, 3, 5, 15, 30)),
        ("h", 3600, (1, 2, 4, 6, 8, 12)),
        ("d", 86_400, (1, 3)),
        ("w", 604_800, (1,)),
    )
    for count in counts
}


@dataclass(frozen=True)
class Kind:
    """One kind of file. `columns`: those of the CSV, in order (more may follow); `dropped` of them are not kept; `whole`, `flags`, `words`: columns
    of integers, truth values, text; all others are float64. `step_ns`: time from row to row where it is known (bars: the interval);
    `ident`: column of consecutive ids, else a gap in time; `bars`: comes in intervals; `ticks`: one Parquet part a zip, not one file a symbol.
    """

    name: str
    columns: tuple[str, ...]
    time: str
    dropped: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    step_ns: int = 0
    ident: str = ""
    bars: bool = False
    ticks: bool = False
    spans: tuple[str, ...] = ("daily", "monthly")
    spot: bool = False


def _bars(name: str, spot: bool = False) -> Kind:
    return Kind(name, _KLINE, "open_time", dropped=("close_time",), whole=("count",), bars=True, spot=spot)


KINDS = {
    kind.name: kind
    for kind in (
        _bars("klines", spot=True),
        _bars("markPriceKlines"),
        _bars("indexPriceKlines"),
        _bars("premiumIndexKlines"),
        Kind(
            "aggTrades",
            ("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker"),
            "transact_time",
            whole=("agg_trade_id", "first_trade_id", "last_trade_id"),
            flags=("is_buyer_maker",),
            ident="agg_trade_id",
            ticks=True,
            spot=True,
        ),
        Kind(
            "trades",
            ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker"),
            "time",
            whole=("id",),
            flags=("is_buyer_maker",),
            ident="id",
            ticks=True,
            spot=True,
        ),
        Kind(
            "bookTicker",
            ("update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "transaction_time", "event_time"),
            "transaction_time",
            whole=("update_id",),
            ticks=True,
        ),
        Kind("bookDepth", ("timestamp", "percentage", "depth", "notional"), "timestamp", step_ns=_MINUTE_NS // 2, ticks=True, spans=("daily",)),
        Kind(
            "metrics",
            (
                "create_time",
                "symbol",
                "sum_open_interest",
                "sum_open_interest_value",
                "count_toptrader_long_short_ratio",
                "sum_toptrader_long_short_ratio",
                "count_long_short_ratio",
                "sum_taker_long_short_vol_ratio",
            ),
            "create_time",
            words=("symbol",),
            step_ns=5 * _MINUTE_NS,
            spans=("daily",),
        ),
        Kind(
            "fundingRate",
            ("calc_time", "funding_interval_hours", "last_funding_rate"),
            "calc_time",
            whole=("funding_interval_hours",),
            spans=("monthly",),
        ),
    )
}  # fmt: skip
_TIMES = {"close_time", "event_time"}


def kind_of(name: str) -> Kind:
    """The kind of that name. Raises DataError naming those there are."""
    if name not in KINDS:
        raise DataError(f"{name!r} is no kind of archive file", f"Choose of {', '.join(KINDS)}")
    return KINDS[name]


def read_zip(path: Path, kind: Kind) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows of one verified zip, sorted by time (UTC, ns), and what was noticed: resorted, duplicates (rows with a key seen before), nan.

    Raises DataError for a zip that cannot be opened, holds another layout, or mixes units of time.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            body = packed.read(packed.namelist()[0])
        frame = _parse(body, kind)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, IndexError, ValueError, OverflowError, OSError, NotImplementedError) as error:
        raise DataError(f"{path.name} holds no {kind.name} ({str(error).splitlines()[0][:120]})", "Load it from another archive") from None
    stamps = frame[kind.time].astype("int64").to_numpy()
    order = np.argsort(stamps, kind="stable")
    moved = int((order != np.arange(order.size)).sum())
    if moved:
        frame = frame.iloc[order].reset_index(drop=True)
    numbers = frame.select_dtypes("float")
    return frame, {"resorted": moved, "duplicates": int(frame.duplicated(key_of(kind)).sum()), "nan": int(numbers.isna().to_numpy().sum())}


def key_of(kind: Kind) -> list[str]:
    """Columns that tell one row from another."""
    if kind.ident:
        return [kind.ident]
    return [kind.time, "percentage"] if kind.name == "bookDepth" else ["update_id"] if kind.name == "bookTicker" else [kind.time]


def gaps_of(frame: pd.DataFrame, kind: Kind, interval: str = "") -> list[dict[str, Any]]:
    """Where rows are missing: after, before (ISO 8601) and how many rows (or ids) are missing between. What has no regular step has no gaps."""
    stamps = pd.DatetimeIndex(frame[kind.time])
    if kind.ident:
        ids = frame[kind.ident].to_numpy()
        missing = np.diff(ids) - 1
    else:
        step = _step(frame, kind, interval)
        if step is None:
            return []
        missing = np.round(np.diff(stamps.asi8) / step).astype(np.int64) - 1
        if kind.name == "bookDepth":  # about every half minute: three in a row are a gap
            missing = np.where(missing >= 3, missing, 0)
    return [{"after": stamps[i].isoformat(), "before": stamps[i + 1].isoformat(), "missing": int(missing[i])} for i in np.flatnonzero(missing > 0)]


def _step(frame: pd.DataFrame, kind: Kind, interval: str) -> Any:
    if kind.bars:
        return INTERVAL_NS.get(interval)  # a month has no fixed length
    if kind.name == "fundingRate":
        return frame["funding_interval_hours"].to_numpy()[1:] * 3600 * 10**9
    return kind.step_ns or None


def _parse(body: bytes, kind: Kind) -> pd.DataFrame:
    first = body[: body.find(b"\n") if b"\n" in body else len(body)].decode().strip().split(",")
    if len(first) < len(kind.columns):
        raise ValueError(f"{len(first)} columns instead of {len(kind.columns)}")
    header = not first[0].strip().strip('"')[:1].isdigit()
    text = {kind.time} if kind.time in ("timestamp", "create_time") else set()
    types: dict[int, Any] = {}
    for i, name in enumerate(kind.columns):
        integer = name in kind.whole or name == kind.time or name in _TIMES
        types[i] = str if name in kind.words or name in text or name in kind.flags else np.int64 if integer else np.float64
    raw = pd.read_csv(io.BytesIO(body), header=None, skiprows=1 if header else 0, usecols=range(len(kind.columns)), dtype=types, engine="c")
    if raw.empty:
        raise ValueError("no rows")
    frame = raw.set_axis(list(kind.columns), axis=1).drop(columns=list(kind.dropped))
    for name in kind.flags:
        lower = frame[name].str.lower()
        if not lower.isin(["true", "false"]).all():
            raise ValueError(f"{name} is neither true nor false")
        frame[name] = lower == "true"
    for name in {kind.time, *_TIMES} & set(frame.columns):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="%Y-%m-%d %H:%M:%S").dt.as_unit("ns") if name in text else _from_epoch(frame[name])
    return frame


def _from_epoch(stamps: pd.Series) -> pd.Series:
    values = stamps.to_numpy()
    micro = values >= _US_FROM
    if micro.any() and not micro.all():
        raise ValueError("times in milliseconds and in microseconds")
    return pd.Series(pd.to_datetime(values, unit="us" if micro.any() else "ms", utc=True).as_unit("ns"), stamps.index)
