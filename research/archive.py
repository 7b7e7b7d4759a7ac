"""Candles from a Binance bulk archive (zip + CHECKSUM) or a Binance-compatible REST endpoint, into a Parquet cache that needs no network again.

The archive is an http(s) address or a folder of the same layout:

    data/<market>/monthly/klines/<SYMBOL>/<interval>/<SYMBOL>-<interval>-<YYYY-MM>.zip      market: spot, futures/um, futures/cm
    data/<market>/daily/klines/...                          -<YYYY-MM-DD>.zip               each with .zip.CHECKSUM beside it

A zip is used only if its SHA-256 is the one in its CHECKSUM. A broken download is taken up where it stopped (HTTP range). The cache holds the
verified zips, one Parquet file a symbol and interval, and `manifest.json` (origin, digest, rows, span of every zip): a second load makes no request.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data_loader import FIELDS, sha256_of
from research.progress import progress

TIMEOUT_S = 30
_CHUNK = 1 << 20
_COLUMNS = ["open_time", *FIELDS]
_REST_LIMIT = 1000


@dataclass(frozen=True)
class Archive:
    """Where candles come from and where they are kept. `base`: http(s) address or folder that holds `data/`."""

    base: str
    cache: Path
    market: str = "spot"

    def zip_name(self, symbol: str, interval: str, period: str) -> str:
        """Path of one zip below `base`. `period`: YYYY-MM (monthly) or YYYY-MM-DD (daily)."""
        span = {7: "monthly", 10: "daily"}.get(len(period))
        if span is None:
            raise DataError(f"period {period!r} is neither a month nor a day", "Write it as 2024-01 or 2024-01-31")
        return f"data/{self.market}/{span}/klines/{symbol}/{interval}/{symbol}-{interval}-{period}.zip"

    def parquet(self, symbol: str, interval: str) -> Path:
        """The cache file of a symbol; a folder of them is what data_loader.load_panel reads."""
        return self.cache / "klines" / self.market.replace("/", "-") / interval / f"{symbol}.parquet"


def load_klines(archive: Archive, symbol: str, interval: str, periods: Iterable[str]) -> Path:
    """Fetch what the cache lacks, verify it, and write the symbol's Parquet file (open_time UTC, open .. volume); returns its path.

    Raises DataError for what does not exist, does not match its checksum or cannot be read; nothing unverified enters the cache.
    """
    wanted = list(periods)
    manifest_path = archive.cache / "manifest.json"
    manifest = json.loads(manifest_path.read_text()) if manifest_path.is_file() else {}
    target = archive.parquet(symbol, interval)
    names = [archive.zip_name(symbol, interval, period) for period in wanted]
    if target.is_file() and all(name in manifest for name in names):
        return target
    frames = []
    for name in progress(names, f"{symbol} {interval}: {len(names)} files"):
        path = archive.cache / name
        if not (path.is_file() and name in manifest and sha256_of(path) == manifest[name]["sha256"]):
            _fetch_verified(archive, name, path)
        frame = _read_zip(path)
        first, last = frame["open_time"].iloc[0], frame["open_time"].iloc[-1]
        manifest[name] = {"origin": archive.base, "sha256": sha256_of(path), "rows": len(frame), "first": str(first), "last": str(last)}
        frames.append(frame)
    known = [pd.read_parquet(target)] if target.is_file() else []
    merged = pd.concat(known + frames).drop_duplicates("open_time", keep="last").sort_values("open_time", ignore_index=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(target, lambda partial: merged.to_parquet(partial, index=False, compression="zstd"))
    _write_whole(manifest_path, lambda partial: partial.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n"))
    return target


def rest_klines(base: str, symbol: str, interval: str, start_ms: int, end_ms: int, path: str = "/api/v3/klines", retries: int = 5) -> pd.DataFrame:
    """Candles from a Binance-compatible REST endpoint, page by page: open_time (UTC), open .. volume, open times in [start_ms, end_ms).

    Waits as long as the server asks (Retry-After) when it says 429 or 418. Raises DataError for any other answer.
    """
    pages: list[np.ndarray] = []
    at = start_ms
    while at < end_ms:
        query = urllib.parse.urlencode({"symbol": symbol, "interval": interval, "startTime": at, "endTime": end_ms - 1, "limit": _REST_LIMIT})
        rows = json.loads(_get(f"{base.rstrip('/')}{path}?{query}", retries))
        if not rows:
            break
        page = np.array([row[:6] for row in rows], np.float64)
        if page[0, 0] < at or (np.diff(page[:, 0]) <= 0).any():
            raise DataError(f"{base} answered candles out of order", "Fetch from another endpoint")
        pages.append(page)
        at = int(page[-1, 0]) + 1
        if len(rows) < _REST_LIMIT:
            break
    if not pages:
        raise DataError(f"{base} has no candles of {symbol} {interval} in this span", "Check symbol, interval and times (ms)")
    frame = pd.DataFrame(np.concatenate(pages), columns=_COLUMNS)
    frame["open_time"] = pd.to_datetime(frame["open_time"].astype(np.int64), unit="ms", utc=True)
    return frame


def query(cache: Path, sql: str) -> pd.DataFrame:
    """Ask the cache a question in SQL (DuckDB): the view `klines` has market, interval, symbol, open_time, open, high, low, close, volume."""
    import duckdb

    files = (cache / "klines").resolve()
    if not any(files.rglob("*.parquet")):
        raise DataError(f"there are no candles in the cache {cache}", "Load some first (load_klines)")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "CREATE VIEW klines AS SELECT split_part(filename, '/', -3) AS market, split_part(filename, '/', -2) AS interval, "
            f"parse_filename(filename, true) AS symbol, * EXCLUDE (filename) FROM read_parquet('{files}/*/*/*.parquet', filename = true)"
        )
        return connection.execute(sql).df()


def _is_web(base: str) -> bool:
    return base.startswith(("http://", "https://"))


def _fetch_verified(archive: Archive, name: str, path: Path) -> None:
    """Bring one zip into the cache; it gets its name only after its digest is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    if _is_web(archive.base):
        address = f"{archive.base.rstrip('/')}/{name}"
        stated = _get(f"{address}.CHECKSUM", retries=3).decode()
        _download(address, partial)
    else:
        source = Path(archive.base) / name
        checksum = source.with_name(source.name + ".CHECKSUM")
        for needed in (source, checksum):
            if not needed.is_file():
                raise DataError(f"there is no {needed}", "Check symbol, interval and period")
        stated = checksum.read_text()
        shutil.copyfile(source, partial)
    expected = stated.split()[0].lower() if stated.split() else ""
    actual = sha256_of(partial)
    if actual != expected:
        partial.unlink()
        raise DataError(
            f"{name} has the SHA-256 {actual[:12]}, its CHECKSUM says {expected[:12] or 'nothing'}", "The download was damaged: load it again"
        )
    partial.replace(path)


def _get(address: str, retries: int) -> bytes:
    for attempt in range(retries + 1):
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code in (418, 429) and attempt < retries:
                time.sleep(float(error.headers.get("Retry-After") or 2**attempt))
                continue
            raise DataError(f"{address} answers {error.code} ({error.reason})", "Check symbol, interval and period") from None
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise DataError(f"{address} cannot be reached ({getattr(error, 'reason', error)})", "Check the address, or use a local copy") from None
    raise AssertionError("unreachable")


def _download(address: str, partial: Path) -> None:
    """Download to `partial`, continuing what is already there; what a server of ranges does not resume begins again."""
    have = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer, partial.open("ab" if have and answer.status == 206 else "wb") as file:
            expected = file.tell() + int(answer.headers.get("Content-Length") or 0)
            shutil.copyfileobj(answer, file, _CHUNK)
            arrived = file.tell()
        if arrived < expected:
            raise ConnectionError(f"{arrived} of {expected} bytes arrived")
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to fetch: the digest decides whether it is the right file
            return
        raise DataError(f"{address} answers {error.code} ({error.reason})", "Check symbol, interval and period") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise DataError(f"{address} broke off ({getattr(error, 'reason', error)})", "Load again: it continues where it stopped") from None
    except OSError as error:
        raise DataError(
            f"cannot write {partial}: {error.strerror}", "Make room on the disk, then load again: it continues where it stopped"
        ) from None


def _read_zip(path: Path) -> pd.DataFrame:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
            raw = pd.read_csv(file, header=None, usecols=range(6), dtype=str)
        if not str(raw.iloc[0, 0]).strip().isdigit():
            raw = raw.iloc[1:]
        values = raw.to_numpy(dtype=np.float64)
    except (zipfile.BadZipFile, IndexError, ValueError, OSError) as error:
        raise DataError(f"{path.name} holds no candles ({error})", "Load it from another archive") from None
    stamps = values[:, 0].astype(np.int64)
    unit = "us" if stamps[0] > 10**14 else "ms"  # the archive writes microseconds from 2025 on
    frame = pd.DataFrame(values, columns=_COLUMNS)
    frame["open_time"] = pd.to_datetime(stamps, unit=unit, utc=True).as_unit("ns")
    return frame


def _write_whole(path: Path, write: Any) -> None:
    """Write beside and rename: a crash leaves the old file or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    write(partial)
    partial.replace(path)


def manifest_digest(cache: Path) -> str:
    """SHA-256 (hex) of the cache's manifest: one name for all the data in it, for provenance."""
    return hashlib.sha256((cache / "manifest.json").read_bytes()).hexdigest()
