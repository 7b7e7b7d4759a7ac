"""What a session tells its terminal: nothing that the terminal does may end the session or make it wait.

A closed pipe, a terminal that is gone, a full disk behind a redirection, Ctrl-S, a reader that does not read: lines are written by a thread of
their own, straight to the descriptor; what cannot be written is dropped, and the session goes on.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import TextIO

LINES = 1000  # that wait for a terminal that does not take them; then new ones are dropped
_LAST_S = 2.0  # the last lines are waited for so long


class Console:
    """`say(line)` returns at once and never raises; `close()` waits for a moment until all is written. `stream`: None if there is no such."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream, self._descriptor = stream, _descriptor(stream)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # a signal handler may say something at any moment
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        """One line, or several, for people."""
        if self._lines.qsize() < LINES:
            self._lines.put(line)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                if not self._given_up:
                    self._write(f"{line}\n")

    def _write(self, text: str) -> None:
        if self._descriptor < 0:
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
            return
        left = memoryview(text.encode(getattr(self._stream, "encoding", None) or "utf-8", "backslashreplace"))
        while left:
            left = left[os.write(self._descriptor, left) :]

    def close(self, patience_s: float = _LAST_S) -> None:
        """Write what waits; give up after `patience_s`."""
        self._lines.put(None)
        self._thread.join(patience_s)
        self._given_up = self._thread.is_alive()


def _descriptor(stream: TextIO | None) -> int:
    """The stream's descriptor, its buffer written; -1 if it has none: then it is a stream in memory, or was closed before we began."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream.flush()  # type: ignore[union-attr]
    try:
        return os.dup(stream.fileno())  # type: ignore[union-attr]  # our own: the number is never another file's
    except (OSError, ValueError, AttributeError):
        return -1


def keep_standard_descriptors() -> None:
    """Open those of 0, 1 and 2 that are closed, on nothing: the next file or socket would get the number, and output would go into it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
