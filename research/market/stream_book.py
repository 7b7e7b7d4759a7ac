"""The book of one symbol from its recorded depth stream and snapshots, put into the order of the venue, and the holes in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hftkit.units import iso_from_ns

_RESTART_NS = 10_000_000_000  # update ids that go back while time goes on by this much: the venue has begun anew


@dataclass(frozen=True)
class Change:
    """A depth message, or a snapshot. `ts`: ns exchange time; `last`, `before`: update ids up to which it and the message before it reach."""

    ts: int
    last: int
    before: int
    levels: list[tuple[int, str, str]]
    place: str
    snapshot: bool = False


class StreamBook:
    """Takes messages in any order; `build` then applies them in the venue's: by time, then by update id.

    What goes comes before what is new, so that no book is ever crossed. What came twice counts once. A change
    that does not begin where the one before it ended is a hole: said in `remarks` with its place and size, and
    counted in `breaks`; the book goes on with what it has.
    """

    def __init__(self) -> None:
        self.breaks = 0
        self.remarks: list[str] = []
        self._given: list[Change] = []
        self._last: int | None = None
        self._ts = 0
        self._holes: set[int] = set()  # update ids behind them: a hole is said once
        self._recent: list[Change] = []  # since the last snapshot, or waiting for the first
        self._book: dict[tuple[int, str], str] = {}
        self._times: list[int] = []
        self._rows: list[tuple[int, float, float, bool]] = []

    def add(self, change: Change) -> None:
        """One message, as recorded."""
        self._given.append(change)

    def build(self) -> None:
        """Apply what was added."""
        ordered = sorted(self._given, key=lambda change: (change.ts, change.last, not change.snapshot))
        moved = sum(a is not b for a, b in zip(ordered, self._given, strict=True))
        if moved and [c for c in ordered if not c.snapshot] != [c for c in self._given if not c.snapshot]:
            self.remarks.append(f"{moved:,} depth messages stood out of order, and were put in order")
        self._given = []
        for change in ordered:
            if change.snapshot:
                self._snapshot(change)
            else:
                self._change(change, change.ts)
        if self._last is None and self._recent:
            self.remarks.append(f"{len(self._recent):,} depth messages without a snapshot before or among them: no book could be made of them")
        self._recent = []

    def _change(self, change: Change, ts: int) -> None:
        self._begin_anew(change)
        if self._last is None:
            self._recent.append(change)
            return
        if change.last <= self._last:
            return
        if change.before > self._last and change.last not in self._holes:
            self._holes.add(change.last)
            self.breaks += 1
            size = f"{change.before - self._last:,} update ids, {(ts - self._ts) / 1e9:.3f} s"
            self.remarks.append(f"{change.place}: a hole in the depth before {iso_from_ns(ts)} ({size})")
        self._last, self._ts = change.last, ts
        self._recent.append(change)
        self._put(ts, change.levels)

    def _begin_anew(self, message: Change) -> None:
        """Update ids that went back: a venue that was started again. What was before says nothing about what comes."""
        if self._last is not None and message.last < self._last and message.ts - self._ts > _RESTART_NS:
            self.breaks += 1
            self.remarks.append(f"{message.place}: the update ids begin anew at {iso_from_ns(message.ts)}; the book, with the next snapshot")
            self._last, self._recent = None, []

    def _snapshot(self, snapshot: Change) -> None:
        """The REST snapshot: the levels it does not have are gone. Changes that are newer than it are applied again on top."""
        self._begin_anew(snapshot)
        if self._last is not None and snapshot.last < self._last and not self._recent:
            return
        new = {(side, price): qty for side, price, qty in snapshot.levels}
        gone = [(side, price, "0") for side, price in self._book if (side, price) not in new]
        self._put(snapshot.ts, [*gone, *((side, price, qty) for (side, price), qty in new.items())])
        later = [change for change in self._recent if change.last > snapshot.last]
        self._last, self._ts, self._recent = snapshot.last, max(self._ts, snapshot.ts), []
        for change in later:
            self._change(change, max(snapshot.ts, change.ts))

    def _put(self, ts: int, levels: list[tuple[int, str, str]]) -> None:
        latest = {(side, price): qty for side, price, qty in levels}
        ordered = sorted(latest.items(), key=lambda item: float(item[1]) != 0)
        for i, ((side, price), qty) in enumerate(ordered):
            self._times.append(ts)
            self._rows.append((side, float(price), float(qty), i == len(ordered) - 1))
            if float(qty):
                self._book[side, price] = qty
            else:
                self._book.pop((side, price), None)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Every level change: times int64 (n,) in ns; float64 (n, 4): side, price, quantity, last of its message."""
        return np.array(self._times, np.int64), np.array(self._rows, np.float64).reshape(-1, 4)
