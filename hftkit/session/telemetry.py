"""The telemetry page from the outside: one mapped file that the engine writes and anyone may read.

    bytes 0..511        head, int64 words (kernels/memory/telemetry.py)
    bytes 4096..262143  directory: JSON text, NUL padded: the sections (record, count, offset) and what never changes in a session
    from 262144         the sections, each on a 64-byte boundary

Watching costs the engine nothing: readers attach, lag and crash at will.
"""

from __future__ import annotations

import json
import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hftkit import layout
from hftkit.clock import monotonic_s
from hftkit.codes import Hop, LinePart, SessionStatus
from hftkit.errors import HftkitError
from hftkit.kernels.memory import telemetry as page_kernel
from hftkit.kernels.memory.histogram import COUNTS_LEN
from hftkit.kernels.memory.telemetry import FILL_ROWS, FILL_WORDS, HEAD_WORDS, Page
from hftkit.session import pages
from hftkit.session.histogram import percentiles_us
from hftkit.session.pages import PAGE_MAGIC
from hftkit.system import private_files

VERSION = 7  # 5: age of a `book`; 6: hedge lots of a `signal`; 7: `slots` and `held` of each strategy
DIRECTORY_OFFSET = 4096
SECTIONS_OFFSET = 262144  # room for the facts of 64 strategies over 256 instruments
_PAUSE_S = 0.0005  # between two tries to read a page that is being written; an update takes some microseconds
_LAST_CHANCE_S = 0.05  # a process that cannot be seen is dead, or lives in another container: it may end its update still
_RECORDS = {record.name: record for record in layout.RECORDS}
_SECTION_RECORD = {
    "session": "SESSION",
    "risk": "RISK",
    "book": "BOOK",
    "ledger": "LEDGER",
    "signal": "SIGNAL",
    "legs": "LEGS",
    "quotes": "QUOTES",
    "baskets": "BASKET",
    "slots": "SLOT",
    "held": "LEDGER",
}
_COLD_RECORD = {"line": "LINE", "account": "ACCOUNT"}  # written word by word by the cold side: not under the sequence lock


def _sections(n_instruments: int, n_strategies: int, n_watched: int) -> list[dict[str, Any]]:
    of_all, of_each = {"session": 1, "risk": 1, "book": n_instruments, "ledger": n_instruments}, ("signal", "legs", "quotes", "baskets", "slots")
    shapes = {**{name: [n] for name, n in of_all.items()}, **{name: [n_strategies] for name in of_each}, "held": [n_strategies, n_watched]}
    plan: list[dict[str, Any]] = []
    offset = SECTIONS_OFFSET
    for name, shape in shapes.items():
        plan.append({"name": name, "record": _SECTION_RECORD[name], "shape": shape, "offset": offset})
        offset += -(-int(np.prod(shape)) * _RECORDS[_SECTION_RECORD[name]].dtype.itemsize // 64) * 64
    for name, shape in (("histograms", [len(Hop), COUNTS_LEN]), ("fills", [FILL_ROWS, FILL_WORDS])):
        plan.append({"name": name, "record": "int64", "shape": shape, "offset": offset})
        offset += shape[0] * shape[1] * 8
    for name, count in (("line", len(LinePart)), ("account", 1)):
        plan.append({"name": name, "record": _COLD_RECORD[name], "shape": [count], "offset": offset})
        offset += -(-count * _RECORDS[_COLD_RECORD[name]].dtype.itemsize // 64) * 64
    return plan


def _dtype(record: str) -> np.dtype:
    return np.dtype(np.int64) if record == "int64" else _RECORDS[record].dtype


def _page(buffer: Any, sections: list[dict[str, Any]]) -> Page:
    arrays = {section["name"]: _section(buffer, section) for section in sections if section["name"] not in _COLD_RECORD}
    return Page(head=np.frombuffer(buffer, np.int64, HEAD_WORDS), **arrays)


def _section(buffer: Any, section: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(buffer, _dtype(section["record"]), int(np.prod(section["shape"])), section["offset"]).reshape(section["shape"])


class ColdPage(NamedTuple):
    """The sections that the cold side writes: one word at a time, so that a reader may see two of them one update apart."""

    line: np.ndarray  # LINE (len(LinePart),)
    account: np.ndarray  # ACCOUNT (1,)


def cold_page(path: Path) -> ColdPage:
    """The cold side's own view of a page that `create_page` has made: the same memory, writable."""
    buffer = private_files.map_own(path, "telemetry page")
    sections = json.loads(buffer[DIRECTORY_OFFSET:SECTIONS_OFFSET].rstrip(b"\0"))["sections"]
    return ColdPage(**{section["name"]: _section(buffer, section) for section in sections if section["name"] in _COLD_RECORD})


def create_page(path: Path, n_instruments: int, n_strategies: int, info: dict[str, Any], n_watched: int = 2) -> Page:
    """Make a page file for one engine, whose strategies watch up to `n_watched` instruments each.

    `info`: JSON-ready facts that never change (symbols, thresholds, digests, journal). All of the page is allocated, so that no full file system can
    kill who touches it; a lock tells `sweep` that its writer lives. Raises HftkitError.
    """
    sections = _sections(n_instruments, n_strategies, n_watched)
    last = sections[-1]
    size = last["offset"] + int(np.prod(last["shape"])) * _dtype(last["record"]).itemsize
    directory = json.dumps({"sections": sections, "info": info}, sort_keys=True).encode()
    if len(directory) > SECTIONS_OFFSET - DIRECTORY_OFFSET:
        raise HftkitError("the telemetry directory is too large", "Trade fewer instruments in one engine")
    if path.exists() and pages.is_dead(path):
        path.unlink()  # of an engine that died, under the same name; never truncated: whoever has it mapped would die of SIGBUS
    buffer = private_files.create_mapped(path, size, "telemetry page", locked=True)
    buffer[DIRECTORY_OFFSET : DIRECTORY_OFFSET + len(directory)] = directory
    page = _page(buffer, sections)
    page.head[page_kernel.PAGE_VERSION] = VERSION
    page.head[page_kernel.PID] = os.getpid()
    page.head[page_kernel.MAGIC] = PAGE_MAGIC
    return page


VETO_REASON, VETO_INSTRUMENT = 59, 60  # words of the head: the last want that risk refused, written by the cold side
SPACE_LEVEL, SPACE_FREE, SPACE_BYTES_PER_H = 61, 62, 63  # words of the head, at its end: room for the journal, written by the cold side


def write_veto(head: np.ndarray, reason: int, instrument: int) -> None:
    """Publish the last veto: `reason` of codes.Reject, 0 before there was one; `instrument`: its number."""
    head[VETO_INSTRUMENT], head[VETO_REASON] = instrument, reason


def write_space(head: np.ndarray, level: int, free: int, bytes_per_h: int) -> None:
    """Publish how much room there is for the journal: `level` of live/space.py, bytes free, bytes taken an hour."""
    head[SPACE_FREE], head[SPACE_BYTES_PER_H], head[SPACE_LEVEL] = free, bytes_per_h, level


@dataclass(frozen=True)
class Snapshot:
    """One consistent copy of the page. Arrays as in hftkit/layout.py; times in ns; histograms int64 (hops, COUNTS_LEN)."""

    status: SessionStatus
    pid: int
    ts_published: int
    n_published: int
    started_unix_ns: int
    started_monotonic_ns: int
    session: np.void
    risk: np.void
    book: np.ndarray
    ledger: np.ndarray
    signal: np.ndarray
    legs: np.ndarray
    quotes: np.ndarray
    baskets: np.ndarray
    slots: np.ndarray
    held: np.ndarray
    histograms: np.ndarray
    fills: np.ndarray
    line: np.ndarray
    account: np.void
    space_level: int = 0  # live/space.py
    space_free: int = 0  # bytes; 0: not known
    space_bytes_per_h: int = 0
    veto_reason: int = 0  # codes.Reject of the last want that risk refused; 0: none yet
    veto_instrument: int = 0

    def latency_us(self, hop: Hop) -> dict[str, float]:
        """p50, p95, p99, p999, max in microseconds and the count `n` of one hop."""
        return percentiles_us(self.histograms[int(hop)])


def _runs(pid: int) -> bool:
    """Whether there is such a process; a child that has ended counts until its parent has asked for its status."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it is there
        return True
    return True


class TelemetryReader:
    """Attach to an engine's page by its path. Raises HftkitError if there is none or it is of another version."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            with open(self.path, "rb") as stream:
                self._buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            raise HftkitError(f"no telemetry page at {path}", "Is the engine running? `hftkit live` prints the path when it starts") from None
        head = np.frombuffer(self._buffer, np.int64, HEAD_WORDS) if len(self._buffer) >= SECTIONS_OFFSET else np.zeros(2, np.int64)
        if head[page_kernel.MAGIC] != PAGE_MAGIC or head[page_kernel.PAGE_VERSION] != VERSION:
            raise HftkitError(f"{path} is not a telemetry page of version {VERSION}", "Give the path that `hftkit live` printed")
        text = self._buffer[DIRECTORY_OFFSET:SECTIONS_OFFSET].rstrip(b"\0")
        try:
            directory = json.loads(text)
            self.info: dict[str, Any] = dict(directory["info"])
            self._page = _page(self._buffer, directory["sections"])
            self._cold = ColdPage(**{part["name"]: _section(self._buffer, part) for part in directory["sections"] if part["name"] in _COLD_RECORD})
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise HftkitError(f"the directory of the telemetry page {path} is damaged", "Start the session again; its journal is whole") from None

    def read(self, patience_s: float = 2.0) -> Snapshot:
        """A consistent snapshot. An engine that lost the processor in the middle of an update is waited for, `patience_s` at the most.

        Raises HftkitError if it died there (its update will never end) or did not go on in time.
        """
        start = monotonic_s()
        while (copy := self._copy()) is None:
            alive, waited_s = _runs(int(self._page.head[page_kernel.PID])), monotonic_s() - start
            if waited_s > (patience_s if alive else _LAST_CHANCE_S):
                what = f"has stood still for {patience_s:g} s" if alive else "died"
                raise HftkitError(f"the engine of {self.path} {what} in the middle of an update", "Its journal holds everything up to then")
            time.sleep(_PAUSE_S)
        return copy

    def alive(self) -> bool:
        """Whether the process that writes the page is there."""
        return _runs(int(self._page.head[page_kernel.PID]))

    def _copy(self) -> Snapshot | None:
        """The page as it is between two updates; None while one is being made."""
        head = self._page.head
        before = int(head[page_kernel.SEQUENCE])
        if before % 2:
            return None
        copy = Snapshot(
            status=SessionStatus(int(head[page_kernel.STATUS]) or 1),
            pid=int(head[page_kernel.PID]),
            ts_published=int(head[page_kernel.TS_PUBLISHED]),
            n_published=int(head[page_kernel.N_PUBLISHED]),
            started_unix_ns=int(head[page_kernel.STARTED_UNIX_NS]),
            started_monotonic_ns=int(head[page_kernel.STARTED_MONOTONIC_NS]),
            session=self._page.session[0].copy(),
            risk=self._page.risk[0].copy(),
            book=self._page.book.copy(),
            ledger=self._page.ledger.copy(),
            signal=self._page.signal.copy(),
            legs=self._page.legs.copy(),
            quotes=self._page.quotes.copy(),
            baskets=self._page.baskets.copy(),
            slots=self._page.slots.copy(),
            held=self._page.held.copy(),
            histograms=self._page.histograms.copy(),
            fills=self._recent_fills(),
            line=self._cold.line.copy(),
            account=self._cold.account[0].copy(),
            veto_reason=int(head[VETO_REASON]),
            veto_instrument=int(head[VETO_INSTRUMENT]),
            space_level=int(head[SPACE_LEVEL]),
            space_free=int(head[SPACE_FREE]),
            space_bytes_per_h=int(head[SPACE_BYTES_PER_H]),
        )
        return copy if int(head[page_kernel.SEQUENCE]) == before else None

    def _recent_fills(self) -> np.ndarray:
        """Latest fills, oldest first: int64 (m, FILL_WORDS)."""
        total = int(self._page.head[page_kernel.N_FILLS])
        rows = np.arange(max(0, total - FILL_ROWS), total) % FILL_ROWS
        return self._page.fills[rows].copy()
