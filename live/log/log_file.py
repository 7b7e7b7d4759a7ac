"""The file of a log that no failure ends: on a full disk, or a disk that is gone, lines are kept in memory and written once that can be done.

While lines cannot be written they also go to standard error, so that somebody sees them. Nothing here raises: a log line is said from every thread of
the engine, and none of them may die of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from pathlib import Path

from live.ending import failpoints

KEPT_LINES = 20_000  # some 4 MB; of more the oldest are dropped, and counted


class LogFile:
    """Lines to a file, in order and whole. Has the `write` and `flush` of a text stream, for structlog.

    Shared: lock. Every thread writes.
    """

    def __init__(self, path: Path, most_lines: int = KEPT_LINES) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._kept: deque[bytes] = deque()
        self._torn = b""  # the rest of a line whose written part could not be taken back: it comes first, and is never dropped
        self._most, self._n_dropped, self._n_failures, self._failing = most_lines, 0, 0, ""
        self._closed = False

    @property
    def failing(self) -> str:
        """Why the last write failed, '' if it did not."""
        with self._lock:
            return self._failing

    @property
    def n_dropped(self) -> int:
        """Lines that memory had no room for."""
        with self._lock:
            return self._n_dropped

    def fileno(self) -> int:
        """The descriptor: a rotation puts another file behind it."""
        return self._fd

    def write(self, text: str) -> None:
        """Append; what cannot be written now is kept."""
        line = text.encode("utf-8", "replace")
        with self._lock:
            self._kept.append(line)
            while len(self._kept) > self._most:
                self._kept.popleft()
                self._n_dropped += 1
            if not self._drain_locked():
                _to_stderr(line)

    def flush(self) -> bool:
        """Write what was kept, if that can be done now. Whether nothing is left."""
        with self._lock:
            return self._drain_locked()

    def close(self) -> None:
        """Write what can be written, and close."""
        with self._lock:
            self._drain_locked()
            if not self._closed:
                self._closed = True
                os.close(self._fd)

    def _drain_locked(self) -> bool:
        if self._closed:
            return not (self._kept or self._torn)
        try:
            failpoints.reach("log file")
            while self._torn or self._kept:
                self._write_whole_locked()
        except BaseException as error:
            self._n_failures += 1
            self._failing = f"{type(error).__name__}: {error}"
            return False
        self._failing = ""
        return True

    def _write_whole_locked(self) -> None:
        """The oldest line, whole or not at all: a disk that fills takes a part of a line, and that part is taken back."""
        line, written = self._torn or self._kept.popleft(), 0
        try:
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except BaseException:
            if self._torn or not self._taken_back(written):
                self._torn = line[written:]
            else:
                self._kept.appendleft(line)
            raise
        self._torn = b""

    def _taken_back(self, n_bytes: int) -> bool:
        """Whether the last bytes that were written are gone from the file again."""
        if n_bytes:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - n_bytes)
                return True
        return n_bytes == 0


def _to_stderr(line: bytes) -> None:
    with contextlib.suppress(Exception):  # a closed terminal is no reason to stop either
        sys.stderr.write(line.decode("utf-8", "replace"))
        sys.stderr.flush()
