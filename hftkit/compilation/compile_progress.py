"""The first start on a machine compiles kernels, which takes minutes: said while it lasts, on standard error, and nothing where all is cached.

numba tells of each compilation (its event "numba:compile" comes only where the disk cache had nothing). A terminal sees one line that is kept up
to date; a pipe or a log gets a plain line every ten seconds.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from hftkit.clock import monotonic_s

PATIENCE_S = 1.5  # what takes less is not worth a word
TERMINAL_EVERY_S, PLAIN_EVERY_S = 0.5, 10.0
_CURE = "once on this machine; `hftkit warmup` does it ahead"


class Announcer:
    """Counts compilations and says so. Shared: lock (numba's listener writes in the compiling thread, the announcing thread reads)."""

    def __init__(self, stream: TextIO | None = None, now: Callable[[], float] = monotonic_s) -> None:
        self._given, self._now = stream, now
        self._lock = threading.Lock()
        self._running: list[str] = []
        self._done, self._began, self._said_at, self._said = 0, 0.0, float("-inf"), False

    def _place(self) -> tuple[TextIO, bool]:
        """Where to write now, and whether one line there may be kept up to date: not beside a progress bar of rich, which puts a proxy there."""
        stream = self._given or sys.stderr
        return stream, type(stream).__name__ != "FileProxy" and bool(getattr(stream, "isatty", lambda: False)())

    def started(self, name: str) -> None:
        """A function begins to compile."""
        with self._lock:
            if not self._running and not self._done:
                self._began = self._now()
            self._running.append(name)

    def ended(self) -> None:
        """The one begun last is done."""
        with self._lock:
            self._done += 1
            if self._running:
                self._running.pop()

    def turn(self) -> None:
        """Say where it stands, if that is due."""
        with self._lock:
            running, done, took = list(self._running), self._done, self._now() - self._began
            due = self._now() - self._said_at >= (TERMINAL_EVERY_S if self._place()[1] else PLAIN_EVERY_S)
        if running and took >= PATIENCE_S and due:
            self._said_at, self._said = self._now(), True
            self._write(f"compiling {running[0]}: {done} functions done, {took:.0f} s ({_CURE})", last=False)

    def finish(self) -> None:
        """The last word, if there was a first."""
        if self._said:
            self._write(f"compiled {self._done} functions in {self._now() - self._began:.0f} s, kept for the next time", last=True)

    def _write(self, text: str, last: bool) -> None:
        stream, terminal = self._place()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.write((f"\r\x1b[2K{text}" if terminal else text) + ("" if terminal and not last else "\n"))
            stream.flush()


@contextlib.contextmanager
def compilation_said(stream: TextIO | None = None) -> Iterator[Announcer]:
    """While this block runs, compilations are said. Imports numba."""
    from numba.core import event

    announcer = Announcer(stream)

    class _Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            announcer.started(getattr(getattr(event.data.get("dispatcher"), "py_func", None), "__name__", "a kernel"))

        def on_end(self, event: Any) -> None:
            announcer.ended()

    listener, over = _Listener(), threading.Event()

    def watch() -> None:
        while not over.wait(0.25):
            announcer.turn()

    event.register("numba:compile", listener)
    thread = threading.Thread(target=watch, name="compilation", daemon=True)
    thread.start()
    try:
        yield announcer
    finally:
        over.set()
        thread.join()
        event.unregister("numba:compile", listener)
        announcer.finish()


def says_compilation(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command's function: what it compiles is said."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with compilation_said():
            return command(*args, **kwargs)

    return run
