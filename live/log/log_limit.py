"""Repeated log lines: the first few of a kind are written, then one now and then that says how many were not.

A kind is the event with its words (facts that are text); numbers do not make a line another one. Lines of single orders (with a
client_order_id) and of the session's phases are never left out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog

BURST = 5  # lines of a kind written in a period
PERIOD_S = 10.0
_KINDS = 1000  # remembered at a time; the one that was silent longest is forgotten
_NEVER = ("phase", "repeated", "halt", "fault", "stopping", "ended")


@dataclass
class _Kind:
    since_s: float
    written: int = 0
    left_out: int = 0


class RepeatLimit:
    """A structlog processor. `now_s()`: monotonic seconds.

    Shared: lock. Every thread logs.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._kinds: OrderedDict[tuple[str, ...], _Kind] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, logger: Any, method: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The line, with `repeated` where others of its kind were left out before it; or DropEvent."""
        event = str(facts.get("event", ""))
        if event in _NEVER or "client_order_id" in facts:
            return facts
        key = (event, *(f"{name}={value}" for name, value in sorted(facts.items()) if isinstance(value, str)))
        with self._lock:
            kind = self._kind_locked(key)
            if kind.written >= BURST:
                kind.left_out += 1
                raise structlog.DropEvent
            kind.written += 1
            if kind.left_out:
                facts["repeated"], kind.left_out = kind.left_out, 0
        return facts

    def _kind_locked(self, key: tuple[str, ...]) -> _Kind:
        now = self._now_s()
        kind = self._kinds.setdefault(key, _Kind(now))
        self._kinds.move_to_end(key)
        while len(self._kinds) > _KINDS:
            self._kinds.popitem(last=False)
        if now - kind.since_s >= PERIOD_S:  # a kind that goes on repeating gets one line a period, not another burst
            kind.written = BURST - 1 if kind.left_out else 0
            kind.since_s = now
        return kind

    def rest(self) -> list[dict[str, Any]]:
        """What was left out and not said yet, for the end of the log."""
        with self._lock:
            found = [{"of": key[0], "count": kind.left_out} for key, kind in self._kinds.items() if kind.left_out]
            self._kinds.clear()
        return found
