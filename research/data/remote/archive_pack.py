"""Candles as a bulk archive of one's own: the same zips, checksums and folders that archive.py reads. To share data, to try a fetch."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data.remote.archive import Archive


def pack_klines(candles: pd.DataFrame, base: Path | str, symbol: str, interval: str = "1m", market: str = "spot", daily: bool = False) -> list[Path]:
    """Write candles (index of bar open times, UTC; open, high, low, close, volume) as zips, one a month or a day, below `base`. Returns the zips.

    Same candles, same bytes. Columns that candles do not have (quote volume, trades, taker volume) are written as 0.
    """
    if not isinstance(candles.index, pd.DatetimeIndex) or candles.empty:
        raise DataError(f"{symbol}: no candles with times as their index", "Pass what data_loader.read_candles returns")
    archive, written = Archive(str(base), Path(), market), []
    stamps = candles.index.tz_convert("UTC") if candles.index.tz is not None else candles.index.tz_localize("UTC")
    milliseconds = stamps.as_unit("ms").asi8
    step = int(np.median(np.diff(milliseconds))) if len(candles) > 1 else 60_000
    lines = [
        f"{at},{row.open!r},{row.high!r},{row.low!r},{row.close!r},{row.volume!r},{at + step - 1},0,0,0,0,0"
        for at, row in zip(milliseconds.tolist(), candles.astype(float).itertuples(), strict=True)
    ]
    periods = stamps.strftime("%Y-%m-%d" if daily else "%Y-%m")
    for period in sorted(set(periods)):
        path = Path(base) / archive.zip_name("klines", symbol, period, interval)
        path.parent.mkdir(parents=True, exist_ok=True)
        body = "\n".join(line for line, own in zip(lines, periods, strict=True) if own == period) + "\n"
        with zipfile.ZipFile(path, "w") as packed:
            entry = zipfile.ZipInfo(path.stem + ".csv")  # its fixed date keeps the bytes the same
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, body)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(path.name + ".CHECKSUM").write_text(f"{digest}  {path.name}\n")
        written.append(path)
    return written
