"""Failures of the engine's own parts: each part is run apart, so that one that fails stops none of the others; all are counted, the first is told."""

from __future__ import annotations

import threading
from collections.abc import Callable

from live.ending import failpoints


class Faults:
    """`say(event, **facts)`: the log; `alert(line)`: a person.

    Shared: lock. The hot thread's shell and the venue loop note failures, the engine's thread acts on them.
    """

    def __init__(self, say: Callable[..., None], alert: Callable[[str], None]) -> None:
        self._say, self._alert = say, alert
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._first = ""

    @property
    def first(self) -> str:
        """The first failure in words, '' if there was none."""
        with self._lock:
            return self._first

    def counts(self) -> dict[str, int]:
        """Failures by part."""
        with self._lock:
            return dict(self._counts)

    def guard(self, part: str, work: Callable[[], object]) -> bool:
        """Run a part. False if it failed: whatever it raised is noted, and nothing is raised."""
        try:
            failpoints.reach(part)
            work()
        except BaseException as error:  # a SystemExit of a library is no reason to leave a position
            self.note(part, error)
            return False
        return True

    def note(self, part: str, error: BaseException) -> None:
        """A part has failed. Never raises."""
        text = f"{part} failed ({type(error).__name__}: {error})"
        with self._lock:
            self._counts[part] = self._counts.get(part, 0) + 1
            told = self._counts[part] > 1
            self._first = self._first or text
        if not told:
            self._say("fault", part=part, error=f"{type(error).__name__}: {error}")
            self._alert(f"FAULT: {text}")
