"""One file of a recording: gzip, written member by member, so that what is on disk is a whole file at any moment.

A member is compressed in memory and written at once, a second's lines at a time. A kill loses the second that was not written yet and leaves nothing
half. Where the disk is full the part that was written is cut off again: the file ends with its last whole member.
"""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

from hftkit.errors import DataError

MEMBER_S = 1.0  # lines are kept in memory for this long
_LEVEL = 3
_MOST_BYTES = 8 << 20  # of lines in memory: a member is written earlier then


class RecordingFile:
    """Lines of one symbol. `add` from any thread, `flush` and `close` from one."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.path = folder / f"{stem}.jsonl.gz"
        self._stem, self._folder = stem, folder
        self._lines: list[bytes] = []
        self._lock = threading.Lock()
        self._written_s, self._bytes, self._whole = 0.0, 0, 0
        self._fd = -1

    def add(self, line: bytes) -> None:
        """One line, with its end."""
        with self._lock:
            self._lines.append(line)
            self._bytes += len(line)

    def flush(self, now_s: float, force: bool = False) -> None:
        """Write what waits, if it waits for a second. `now_s`: monotonic. Raises DataError where it cannot be written."""
        if not self._lines or not (force or self._bytes > _MOST_BYTES or now_s - self._written_s >= MEMBER_S):
            return
        with self._lock:
            lines, self._lines, self._bytes = self._lines, [], 0
        member = memoryview(gzip.compress(b"".join(lines), _LEVEL))
        try:
            if self._fd < 0:
                self._open()
            done = 0
            while done < len(member):
                done += os.write(self._fd, member[done:])
        except OSError as error:
            self._cut()
            problem = f"the recording cannot be written to {self.path} ({error.strerror})"
            raise DataError(problem, "Free some space and start again; what was written until now is whole") from None
        self._whole += len(member)
        self._written_s = now_s

    def close(self, now_s: float) -> None:
        """Write the rest and close. Raises DataError where that is not possible; a second call does nothing."""
        try:
            self.flush(now_s, force=True)
            if self._fd >= 0:
                os.fsync(self._fd)
        finally:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _open(self) -> None:
        """A new file of our own: nothing is written into what is there already."""
        for number in range(1, 1000):
            try:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                return
            except FileExistsError:
                self.path = self._folder / f"{self._stem}-{number}.jsonl.gz"
        raise FileExistsError(17, "a thousand files of this second exist", str(self.path))

    def _cut(self) -> None:
        """Back to the last whole member."""
        if self._fd >= 0:
            os.ftruncate(self._fd, self._whole)
