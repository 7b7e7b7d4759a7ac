"""What the engine's thread tells of a session while it runs: signals, books that are stale, files that have expired, room on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hftkit import clock
from hftkit.codes import Control, SignalReason, Trading
from hftkit.kernels.memory import journal as journal_kernel
from hftkit.session.telemetry import write_space
from hftkit.session.watching import watched_by_any
from hftkit.units import iso_from_ns
from live.book_watch import BookWatch
from live.log.status_line import StatusLine

if TYPE_CHECKING:
    from live.engine import Engine


class Tell:
    """Each method is one duty of the cold side's turn. Owner: the engine's thread; the hot thread's arrays are read as copies."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._targets: dict[int, int] = {}
        self._expired: set[int] = set()
        self._stalls = 0
        self.status = StatusLine(engine, engine.config.session.status_s)
        symbols = [instrument.symbol for instrument in engine.session_config.instruments]
        watched = watched_by_any(engine.rooms.watch)
        self._books = BookWatch(
            symbols,
            watched,
            engine.log.event,
            engine.venue.refresh_books,
            lambda: engine.command(Control.HALT_STALE),
            engine.config.session.stale_halt_s,
        )

    def signals(self) -> None:
        """Each change of what a strategy wants, in words (in observe mode that is all there is); once, that a frozen file has expired."""
        engine, rooms = self._engine, self._engine.rooms
        expired = np.flatnonzero(rooms.valid_until <= rooms.session[0]["ts_exchange"]).tolist()
        self._expired.intersection_update(expired)  # a reload may have brought another file
        for slot in expired:
            if slot not in self._expired:
                self._expired.add(slot)
                frozen = engine.session_config.strategies[slot]
                ended = iso_from_ns(frozen.valid_until_ns)
                engine.log.event("expired", strategy=slot, file=frozen.file_name, valid_until=ended)
                engine.say(f"{frozen.file_name} expired at {ended} by the venue's clock: no new entries, exits and hedges go on")
        for slot, target in enumerate(rooms.signal["target"].tolist()):
            if self._targets.get(slot, 0) != target:
                self._targets[slot] = target
                row = rooms.signal[slot]
                reason = SignalReason(int(row["reason"])).text
                engine.log.event(
                    "signal", strategy=slot, target=target, zscore=round(float(row["zscore"]), 4), reason=reason, ts_event=int(row["ts_event"])
                )

    def books(self) -> None:
        """Which books are stale, and that this process stood still."""
        engine = self._engine
        stalls = int(engine.shell.loop["n_stalls"][0])
        if stalls != self._stalls:
            self._stalls = stalls
            seconds = round(int(engine.shell.loop["stalled_ns"][0]) / 1e9, 1)
            engine.log.event("stall", seconds=seconds, why="this process stood still: no book is traded on before it has caught up", stalls=stalls)
        if engine.rooms.risk[0]["trading"] >= Trading.STOPPING or engine.trading_since == 0.0:
            return
        holds = (engine.rooms.held["position"] != 0).any(axis=1)  # the books of all that a strategy watches, where it holds anything
        book = engine.rooms.book.copy()
        self._books.turn(clock.monotonic_ns(), book, set(watched_by_any(engine.rooms.watch[holds])))

    def space(self) -> None:
        """Room for the journal, every few seconds; and the log's size."""
        engine = self._engine
        if engine.space.turn(clock.monotonic_s(), int(engine.journal.state[journal_kernel.POSITION]) * 8):
            engine.log.rotate()
            room = engine.space.room
            write_space(engine.page.head, int(engine.space.level), room.free, int(room.bytes_per_h))
