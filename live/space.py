"""A watch on the room for the journal: how fast it grows, for how many hours the disk has room, and what is done about it.

    ok        more than `space_warn_h` hours
    low       fewer: said in the log, on the terminal, on the page, once, and again when it gets worse
    very low  fewer than `space_alarm_h`
    critical  less than 4 MB: the session is asked to stop, by the way that a signal takes

Pure but for one statvfs, which is an argument. The rate is that of the last ten minutes: what the journal has taken, and what others on
the same disk have. A level gets better only with a quarter more than its limit, so that a rate that trembles says nothing twice.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from hftkit.system.space import ASSUMED_BYTES_PER_H, bytes_in_words, free_bytes, hours_in_words

LAST_ROOM = 4 << 20  # bytes for the log, the page and the result at the end; the journal's own way to the end is its reserve
EVERY_S = 5.0
_WINDOW_S = 600.0
_MEASURED_AFTER_S = 60.0  # before that the rate is an assumption
_LEAST_BYTES_PER_H = 1 << 20
_CALMER = 1.25
_LOOKS = int(_WINDOW_S / EVERY_S) + 1


class SpaceLevel(IntEnum):
    """How much room there is. A higher number is worse."""

    OK = 0
    LOW = 1
    VERY_LOW = 2
    CRITICAL = 3


class SpaceLeft(NamedTuple):
    """What the disk says. Bytes."""

    free: int  # to this user
    held: int  # blocks of the session's files, segments made ready ahead of time among them
    beside: int  # content of the files that are no segments: logs


class Room(NamedTuple):
    """What one look found."""

    free: int  # bytes
    bytes_per_h: float  # taken, by us and by others
    hours: float
    measured: bool  # the rate is no assumption

    @property
    def text(self) -> str:
        """For people."""
        how = f"at {bytes_in_words(int(self.bytes_per_h))} an hour" + ("" if self.measured else ", as an active session takes")
        return f"{bytes_in_words(self.free)} free, {hours_in_words(self.hours)} {how}"


class SpaceWatch:
    """`say(event, **facts)`: the log; `tell(line)`: the terminal; `stop()`: asks for a managed stop.

    Owner: the engine's thread.
    """

    def __init__(
        self,
        folder: Path,
        segment_bytes: int,
        warn_h: float,
        alarm_h: float,
        say: Callable[..., Any],
        tell: Callable[[str], Any],
        stop: Callable[[], Any],
        look: Callable[[Path], SpaceLeft] | None = None,
    ) -> None:
        self._folder, self._segment, self._limits = folder, segment_bytes, {SpaceLevel.LOW: warn_h, SpaceLevel.VERY_LOW: alarm_h}
        self._say, self._tell, self._stop, self._disk = say, tell, stop, look or look_at
        self._looks: deque[tuple[float, int, SpaceLeft]] = deque(maxlen=_LOOKS)  # when, bytes journalled, what the disk said
        self._journalled, self._position, self._looked_s = 0, 0, float("-inf")
        self._failed = False
        self.level, self.room = SpaceLevel.OK, Room(0, 0.0, float("inf"), False)

    def first(self, now_s: float) -> Room:
        """The look at the start: what fits, by an assumed rate."""
        self._look(now_s, 0)
        return self.room

    def turn(self, now_s: float, position: int) -> bool:
        """SpaceLeft if it is time to. `now_s`: monotonic; `position`: bytes written in the current segment. Whether a look was taken."""
        if now_s - self._looked_s < EVERY_S:
            return False
        self._look(now_s, position)
        return True

    def _look(self, now_s: float, position: int) -> None:
        self._looked_s = now_s
        # a position that went back is in the next segment
        self._journalled += position - self._position + (self._segment if position < self._position else 0)
        self._position = position
        try:
            found = self._disk(self._folder)
        except OSError as error:
            if not self._failed:
                self._say("space_unknown", why=str(error))
            self._failed = True
            return
        self._failed = False
        self._looks.append((now_s, self._journalled, found))
        self.room = room_of(self._looks)
        self._judge()

    def _judge(self) -> None:
        level, before = self._level(1.0), self.level
        if level < before:
            level = min(before, self._level(_CALMER))
        if level == before:
            return
        self.level = level
        facts = {"free_mb": self.room.free >> 20, "mb_per_h": round(self.room.bytes_per_h / 2**20, 2), "hours": round(self.room.hours, 2)}
        self._say("space", level=level.name.lower(), **facts)
        if level > before:
            todo = "the session is stopped" if level is SpaceLevel.CRITICAL else "free some, or move journals away: hftkit journals prune"
            self._tell(f"DISK {level.name.replace('_', ' ')}: {self._folder}: {self.room.text}; {todo}")
        if level is SpaceLevel.CRITICAL:
            self._stop()

    def _level(self, margin: float) -> SpaceLevel:
        if self.room.free < min(self._segment, LAST_ROOM) * margin:
            return SpaceLevel.CRITICAL
        return max((level for level, hours in self._limits.items() if self.room.hours < hours * margin), default=SpaceLevel.OK)


def look_at(folder: Path) -> SpaceLeft:
    """What the disk of a session's folder says now. Raises OSError."""
    held = beside = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # a log that is being rotated
                continue
            held += status.st_blocks * 512
            beside += 0 if entry.name.startswith("segment-") else status.st_size
    return SpaceLeft(free_bytes(folder), held, beside)


def room_of(looks: deque[tuple[float, int, SpaceLeft]]) -> Room:
    """Rate and hours from looks of (seconds, bytes journalled, what the disk said), oldest first."""
    (first_s, first_bytes, first), (last_s, last_bytes, last) = looks[0], looks[-1]
    took_s = last_s - first_s
    if took_s < _MEASURED_AFTER_S:
        return Room(last.free, float(ASSUMED_BYTES_PER_H), last.free / ASSUMED_BYTES_PER_H, False)
    ours = last_bytes - first_bytes + max(last.beside - first.beside, 0)
    others = max(first.free - last.free - (last.held - first.held), 0)
    rate = max((ours + others) * 3600 / took_s, float(_LEAST_BYTES_PER_H))
    return Room(last.free, rate, last.free / rate, True)
