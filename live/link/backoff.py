"""Pauses between attempts to reconnect, and clocks that notice a silent stream (MD-6)."""

from __future__ import annotations

import random

FIRST_S, LONGEST_S, JITTER = 1.0, 60.0, 0.1


class Backoff:
    """1, 2, 4 ... 60 s, each longer by up to 10 % at random, so that clients of one outage do not come back in step."""

    def __init__(self, seed: int = 0, first_s: float = FIRST_S) -> None:
        self._random = random.Random(seed)
        self._first_s = first_s
        self.attempts = 0

    def next_s(self) -> float:
        """The pause before the next attempt."""
        pause = min(self._first_s * 2.0 ** min(self.attempts, 30), LONGEST_S)
        self.attempts += 1
        return pause * (1.0 + JITTER * self._random.random())

    def reset(self) -> None:
        """The connection has brought data: start at the first pause again."""
        self.attempts = 0


class ProgressClock:
    """Notices that a stream which should speak has fallen silent. Times in ns of one monotonic clock; a limit of 0 allows any silence."""

    def __init__(self, limit_ns: int, now_ns: int) -> None:
        self.limit_ns, self.last_ns = limit_ns, now_ns

    def progress(self, now_ns: int) -> None:
        """The stream has spoken."""
        self.last_ns = max(self.last_ns, now_ns)

    def silent(self, now_ns: int) -> bool:
        """Whether it has been silent for longer than its limit."""
        return self.limit_ns > 0 and now_ns - self.last_ns > self.limit_ns
