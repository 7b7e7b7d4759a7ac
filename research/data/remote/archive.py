"""A Binance bulk archive (zip + CHECKSUM) as a verified local cache that needs no network again.

The archive is an http(s) address or a folder of the same layout:

    data/<market>/<monthly|daily>/<kind>/<SYMBOL>/[<interval>/]<SYMBOL>-<interval or kind>-<YYYY-MM[-DD]>.zip     and .zip.CHECKSUM beside it
    market: spot, futures/um, futures/cm                          kinds: research/data/remote/archive_kinds.py

A zip is used only if its SHA-256 is the one in its CHECKSUM. The cache keeps, below its folder:

    data/...                    the verified zips; one that was re-issued stays as .zip.r1, .zip.r2, ...
    <kind>/<market>/[<interval>/]<SYMBOL>.parquet          bars, funding, metrics: one file a symbol
    <kind>/<market>/<SYMBOL>/<period>.parquet              trades, quotes, depth: one part a zip (a folder of parts reads as one table)
    manifest.json               every zip: origin, digest, bytes, revision and the digests it replaced, rows, span, what was noticed
    gaps.json                   the gap ledger: missing rows and missing files of every series

Files that the manifest names are not asked for again, nor are those the archive did not have; `refresh=True` asks again and takes re-issued files in.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from hftkit.errors import DataError
from research.data.files.price_files import sha256_of
from research.data.progress import progress
from research.data.remote.archive_kinds import INTERVAL_NS, Kind, gaps_of, key_of, kind_of, read_zip
from research.data.remote.downloads import NotThere, bring, no_room, read_text

BINANCE = "https://data.binance.vision"
OnMissing = Literal["refuse", "record"]
_SAVE_EVERY = 16  # zips between two writings of the manifest: what a killed run loses is verified again by its CHECKSUM, not loaded again


@dataclass(frozen=True)
class Archive:
    """Where files come from and where they are kept. `base`: http(s) address or folder that holds `data/`."""

    base: str
    cache: Path
    market: str = "spot"

    def zip_name(self, kind: str, symbol: str, period: str, interval: str = "") -> str:
        """Path of one zip below `base`. `period`: YYYY-MM (monthly) or YYYY-MM-DD (daily). Raises DataError for what the archive never has."""
        form = kind_of(kind)
        span = {7: "monthly", 10: "daily"}.get(len(period))
        if span is None:
            raise DataError(f"period {period!r} is neither a month nor a day", "Write it as 2024-01 or 2024-01-31")
        if span not in form.spans:
            raise DataError(f"{kind} comes in {form.spans[0]} files only", f"Give {'days' if form.spans[0] == 'daily' else 'months'}")
        if self.market == "spot" and not form.spot:
            raise DataError(f"the spot market has no {kind}", "Use the market futures/um or futures/cm")
        if form.bars and interval not in INTERVAL_NS and interval != "1mo":
            raise DataError(f"{interval!r} is no bar length", f"Choose of {', '.join(INTERVAL_NS)}, 1mo")
        folder, tag = (f"{symbol}/{interval}", interval) if form.bars else (symbol, kind)
        return f"data/{self.market}/{span}/{kind}/{folder}/{symbol}-{tag}-{period}.zip"

    def parquet(self, kind: str, symbol: str, interval: str = "") -> Path:
        """The cache file of a series, or the folder of its parts; a folder of candle files is what data_loader.load_panel reads."""
        form = kind_of(kind)
        folder = self.cache / kind / self.market.replace("/", "-")
        return folder / symbol if form.ticks else (folder / interval if form.bars else folder) / f"{symbol}.parquet"


@dataclass(frozen=True)
class Fetched:
    """One series in the cache. `fetched`, `reused`, `revised`: zips loaded now, there already, re-issued since; `missing`: zips the archive lacks;
    `gaps`: as in the ledger (after, before, missing rows); `path`: Parquet file or folder.
    """

    symbol: str
    kind: str
    path: Path
    rows: int
    first: str
    last: str
    fetched: int
    reused: int
    revised: int
    missing: tuple[str, ...]
    gaps: tuple[dict[str, Any], ...]

    def frame(self) -> pd.DataFrame:
        """The series, read back."""
        return pd.read_parquet(self.path).reset_index(drop=True)


@dataclass
class _Manifest:
    cache: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    series: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)
    unsaved: int = 0

    @classmethod
    def load(cls, cache: Path) -> _Manifest:
        path = cache / "manifest.json"
        try:
            body = json.loads(path.read_text()) if path.is_file() else {}
            return cls(cache, body.get("files", {}), body.get("missing", {}), body.get("series", {}))
        except (ValueError, AttributeError):
            raise DataError(f"{path} is damaged", "Remove it: the zips are verified by their CHECKSUM and taken over") from None

    def save(self) -> None:
        body = {"version": 1, "files": self.files, "missing": self.missing, "series": self.series}
        _write_whole(self.cache / "manifest.json", lambda to: to.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n"))
        ledger = {
            name: {"rows": entry["gaps"], "files": entry["missing"]} for name, entry in self.series.items() if entry["gaps"] or entry["missing"]
        }
        _write_whole(self.cache / "gaps.json", lambda to: to.write_text(json.dumps(ledger, indent=1, sort_keys=True) + "\n"))
        self.unsaved = 0

    def note(self, name: str, entry: dict[str, Any] | None, why: str = "") -> None:
        """Record one zip, or that there is none; writes the manifest now and then."""
        with self.lock:
            if entry is None:
                self.missing[name] = why
            else:
                self.files[name] = entry
                self.missing.pop(name, None)
            self.unsaved += 1
            if self.unsaved >= _SAVE_EVERY:
                self.save()


def fetch(
    archive: Archive,
    symbols: Iterable[str] | str,
    periods: Iterable[str],
    kind: str = "klines",
    interval: str = "1m",
    *,
    refresh: bool = False,
    on_missing: OnMissing = "refuse",
    workers: int = 4,
) -> list[Fetched]:
    """Bring what the cache lacks, verify it and write Parquet; one result a symbol.

    `on_missing`: a zip that the archive does not have is an error ("refuse", the default), or is noted in the gap ledger and left out ("record").
    Raises DataError for what does not exist, does not match its checksum, cannot be read or cannot be written; nothing unverified gets a name.
    """
    form, wanted = kind_of(kind), list(periods)
    names = {
        symbol: [archive.zip_name(kind, symbol, period, interval) for period in wanted]
        for symbol in ([symbols] if isinstance(symbols, str) else symbols)
    }
    if on_missing not in ("refuse", "record"):
        raise DataError(f"on_missing={on_missing!r} is not a decision", 'Choose "refuse" or "record"')
    if not wanted or not names:
        raise DataError("nothing is asked for", "Give at least one symbol and one period")
    manifest = _Manifest.load(archive.cache)
    known = {name for group in names.values() for name in group if name in manifest.files or (name in manifest.missing and on_missing == "record")}
    asked = [name for group in names.values() for name in group if refresh or name not in known]
    try:
        news = _bring_all(archive, asked, manifest, on_missing, workers)
        done = []
        for symbol, group in progress(list(names.items()), f"{kind} of {len(names)} symbols"):
            done.append(_assemble(archive, form, symbol, interval if form.bars else "", group, news, manifest))
        return done
    finally:
        if manifest.unsaved:
            manifest.save()


def periods_between(first: str, last: str) -> list[str]:
    """Months (2024-01 .. 2024-03) or days (2024-01-30 .. 2024-02-02) from `first` to `last`, both included."""
    if len(first) != len(last) or len(first) not in (7, 10):
        raise DataError(f"from {first!r} to {last!r} are neither two months nor two days", "Write both as 2024-01 or both as 2024-01-31")
    try:
        span = pd.period_range(first, last, freq="M" if len(first) == 7 else "D")
    except ValueError:
        raise DataError(f"from {first!r} to {last!r} are no dates", "Write both as 2024-01 or both as 2024-01-31") from None
    if not len(span):
        raise DataError(f"{last} is before {first}", "Exchange them")
    return [str(period) for period in span]


def manifest_digest(cache: Path) -> str:
    """SHA-256 (hex) of the cache's manifest: one name for all the data in it, for provenance."""
    return hashlib.sha256((cache / "manifest.json").read_bytes()).hexdigest()


def _bring_all(archive: Archive, names: list[str], manifest: _Manifest, on_missing: OnMissing, workers: int) -> dict[str, str]:
    """Bring zips in parallel; name -> "fetched", "revised" or "reused" (asked for, and unchanged)."""
    news: dict[str, str] = {}

    def one(name: str) -> None:
        try:
            entry, how = _bring_one(archive, name, manifest.files.get(name))
        except NotThere as error:
            if on_missing == "refuse" or name in manifest.files:
                raise
            manifest.note(name, None, error.problem)
            return
        news[name] = how
        manifest.note(name, entry)

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        running = [pool.submit(one, name) for name in names]
        try:
            for task in progress(running, f"{len(names)} files from the archive"):
                task.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return news


def _bring_one(archive: Archive, name: str, known: dict[str, Any] | None) -> tuple[dict[str, Any], str]:
    """One zip: its digest is asked for, the bytes only where they are not here. The zip gets its name only after its digest is right."""
    path = archive.cache / name
    words = read_text(archive.base, f"{name}.CHECKSUM").split()
    stated = words[0].lower() if words else ""
    here = sha256_of(path) if path.is_file() else ""
    if here and here == stated:
        return known or _entry(archive, path, 1, []), "reused"
    partial = path.with_name(path.name + ".partial")
    actual = ""
    for _ in range(2):  # what another revision left half loaded cannot be continued: once more from the start
        continued = partial.is_file()
        bring(archive.base, name, partial)
        actual = sha256_of(partial)
        if actual == stated or not continued:
            break
        partial.unlink()
    if actual != stated:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"{name} has the SHA-256 {actual[:12]}, its CHECKSUM says {stated[:12] or 'nothing'}", "The download was damaged: load it again"
        )
    replaced = list(known["superseded"]) if known else []
    if here:
        path.replace(path.with_name(f"{path.name}.r{len(replaced) + 1}"))
        replaced.append(here)
    partial.replace(path)
    return _entry(archive, path, len(replaced) + 1, replaced), "revised" if replaced and here else "fetched"


def _entry(archive: Archive, path: Path, revision: int, replaced: list[str]) -> dict[str, Any]:
    return {"origin": archive.base, "sha256": sha256_of(path), "bytes": path.stat().st_size, "revision": revision, "superseded": replaced}


def _assemble(archive: Archive, kind: Kind, symbol: str, interval: str, names: list[str], news: dict[str, str], manifest: _Manifest) -> Fetched:
    """Write the Parquet of one series from its zips, unless it is there and whole; bring its entry and its gaps up to date."""
    target = archive.parquet(kind.name, symbol, interval)
    key = target.relative_to(archive.cache).with_suffix("").as_posix()
    entry = manifest.series.get(key, {"zips": [], "sha256": "", "rows": 0, "gaps": [], "missing": []})
    here = [name for name in names if name in manifest.files]
    if not here:
        raise DataError(f"the archive has none of the files of {symbol} ({kind.name})", "Check symbol and period")
    zips = sorted({*entry["zips"], *here}, key=_period)
    if kind.ticks:  # a day that its month holds as well would count twice
        months = {_period(name) for name in zips}
        zips = [name for name in zips if len(_period(name)) == 7 or _period(name)[:7] not in months]
    changed = any(news.get(name) == "revised" for name in here)
    write = _write_parts if kind.ticks else _write_file
    whole = entry["zips"] == zips and not changed and _is_whole(target, entry["sha256"], kind, len(zips))
    missing = sorted(name for name in {*entry["missing"], *names} if name in manifest.missing)
    if not whole or missing != entry["missing"]:
        if not whole:
            entry = {**entry, **write(archive, kind, target, zips, manifest, interval)}
        manifest.series[key] = entry = {**entry, "zips": zips, "missing": missing}
        manifest.unsaved += 1
    count = {how: sum(news.get(name) == how for name in here) for how in ("fetched", "revised")}
    reused = len(here) - count["fetched"] - count["revised"]
    return Fetched(
        symbol, kind.name, target, entry["rows"], entry["first"], entry["last"], count["fetched"], reused, count["revised"],
        tuple(missing), tuple(entry["gaps"]),
    )  # fmt: skip


def _period(name: str) -> str:
    """2024-01 or 2024-01-31, the end of a zip's name."""
    tail = name[-14:-4]
    return tail if tail[4] == "-" else tail[3:]


def _is_whole(target: Path, digest: str, kind: Kind, zips: int) -> bool:
    if kind.ticks:
        return target.is_dir() and len(list(target.glob("*.parquet"))) == zips
    return target.is_file() and sha256_of(target) == digest


def _rows_of(archive: Archive, kind: Kind, name: str, manifest: _Manifest) -> pd.DataFrame:
    """Rows of one zip of the cache; what was noticed goes into its entry."""
    frame, noticed = read_zip(archive.cache / name, kind)
    span = {"first": frame[kind.time].iloc[0].isoformat(), "last": frame[kind.time].iloc[-1].isoformat()}
    manifest.files[name] = {**manifest.files[name], "rows": len(frame), **span, **noticed}
    return frame


def _write_file(archive: Archive, kind: Kind, target: Path, zips: list[str], manifest: _Manifest, interval: str) -> dict[str, Any]:
    """All rows of a series in one file; where zips overlap (a day and its month) the later name wins."""
    frames = [_rows_of(archive, kind, name, manifest) for name in zips]
    merged = pd.concat(frames).drop_duplicates(key_of(kind), keep="last").sort_values(kind.time, kind="stable", ignore_index=True)
    _write_parquet(target, merged)
    return {"sha256": sha256_of(target), "rows": len(merged), "gaps": gaps_of(merged, kind, interval), **_span(merged, kind)}


def _write_parts(archive: Archive, kind: Kind, target: Path, zips: list[str], manifest: _Manifest, interval: str) -> dict[str, Any]:
    """One part a zip, each in memory only while it is written; gaps within the parts and between them."""
    total, gaps, edge, first = 0, [], None, ""
    for stale in {path for path in target.glob("*.parquet")} - {target / f"{_period(name)}.parquet" for name in zips}:
        stale.unlink()
    for name in progress(zips, f"{target.name}: {len(zips)} parts"):
        frame = _rows_of(archive, kind, name, manifest)
        _write_parquet(target / f"{_period(name)}.parquet", frame)
        gaps += gaps_of(pd.concat([edge, frame]) if edge is not None else frame, kind, interval)
        total, edge, first = total + len(frame), frame.iloc[-1:], first or frame[kind.time].iloc[0].isoformat()
    assert edge is not None  # a series has at least one zip
    return {"sha256": "", "rows": total, "gaps": gaps, "first": first, "last": edge[kind.time].iloc[-1].isoformat()}


def _span(frame: pd.DataFrame, kind: Kind) -> dict[str, str]:
    return {"first": frame[kind.time].iloc[0].isoformat(), "last": frame[kind.time].iloc[-1].isoformat()}


def _write_parquet(target: Path, frame: pd.DataFrame) -> None:
    _write_whole(target, lambda to: frame.to_parquet(to, index=False, compression="zstd"))


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside and rename: a crash or a full disk leaves the old file or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise no_room(path, error) from None
