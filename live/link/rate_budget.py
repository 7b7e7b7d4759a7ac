"""The venue's rate limits as a budget shared by everything that talks to it: cancels and hedges before queries before new orders (GW-9).

Windows are fixed and aligned on the clock, as the venue counts them; what the venue reports in its headers (X-MBX-USED-WEIGHT-1M,
X-MBX-ORDER-COUNT-10S, -1M) or in `rateLimits` overrides our own count upwards. Each priority may fill a window only up to its share, so that the
head-room above it is there when it matters. 429 and 418 close everything until the venue's pause is over.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from hftkit.errors import VenueError

_UNIT_MS = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}
_LETTER = {"S": "SECOND", "M": "MINUTE", "H": "HOUR", "D": "DAY"}
_HEADER = re.compile(r"^x-mbx-(used-weight|order-count)-(\d+)([smhd])$", re.IGNORECASE)
_BANNED_UNTIL = re.compile(r"banned until (\d{12,})")
DEFAULT_PAUSE_MS = 10_000  # after a 429 that names no time


class Priority(IntEnum):
    """Who goes first when a window runs short."""

    CANCEL = 0
    HEDGE = 1
    QUERY = 2
    NEW = 3


SHARE = {Priority.CANCEL: 1.0, Priority.HEDGE: 0.95, Priority.QUERY: 0.9, Priority.NEW: 0.8}


class Window:
    """One limit: `limit` units of `kind` in each `length_ms`."""

    def __init__(self, kind: str, length_ms: int, limit: int) -> None:
        self.kind, self.length_ms, self.limit = kind, length_ms, limit
        self.used, self._index = 0, -1

    def at(self, now_ms: int) -> Window:
        """The window of this moment: empty if a new one has begun."""
        index = now_ms // self.length_ms
        if index != self._index:
            self._index, self.used = index, 0
        return self

    def ends_in(self, now_ms: int) -> int:
        """Milliseconds until the next window."""
        return self.length_ms - now_ms % self.length_ms


class RateBudget:
    """Limits of one account and address. `now_ms` is the venue's clock, since its windows are aligned on it.

    Shared: lock. The venue loop spends, the engine's thread reports what the order API said and publishes, stream threads ask whether they
    may connect.
    """

    def __init__(self, rate_limits: Iterable[Mapping[str, Any]] = ()) -> None:
        self._lock = threading.Lock()
        self._windows: tuple[Window, ...] = ()
        self._closed_until_ms = 0
        self._n_limited = 0
        self.learn(rate_limits)

    @property
    def closed_until_ms(self) -> int:
        """Until when the venue wants silence, ms of its clock."""
        with self._lock:
            return self._closed_until_ms

    @property
    def n_limited(self) -> int:
        """How often it asked for silence."""
        with self._lock:
            return self._n_limited

    def learn(self, rate_limits: Iterable[Mapping[str, Any]]) -> None:
        """Take over the limits that the venue states (exchangeInfo). Raises VenueError for one that cannot be read."""
        windows = []
        for row in rate_limits:
            unit = _UNIT_MS.get(str(row.get("interval")))
            count, limit = row.get("intervalNum"), row.get("limit")
            if unit is None or not isinstance(count, int) or not isinstance(limit, int) or count < 1 or limit < 1:
                raise VenueError(f"the venue states a rate limit that cannot be read: {dict(row)}", "Is this a Binance-compatible venue?")
            windows.append(Window(str(row.get("rateLimitType")), unit * count, limit))
        with self._lock:
            self._windows = tuple(windows)

    def wait_ms(self, priority: Priority, now_ms: int, weight: int = 0, orders: int = 0) -> int:
        """How long to wait before a request of this weight and number of orders may go; 0: now, and it is counted."""
        with self._lock:
            if now_ms < self._closed_until_ms:
                return self._closed_until_ms - now_ms
            wait = 0
            for window in self._windows:
                cost = weight if window.kind == "REQUEST_WEIGHT" else orders
                if cost and window.at(now_ms).used + cost > int(window.limit * SHARE[priority]):
                    wait = max(wait, window.ends_in(now_ms))
            if wait == 0:
                for window in self._windows:
                    window.at(now_ms).used += weight if window.kind == "REQUEST_WEIGHT" else orders
            return wait

    def observe_headers(self, headers: Mapping[str, str], now_ms: int) -> None:
        """Take over what the venue says it has counted."""
        for name, value in headers.items():
            match = _HEADER.match(name)
            if match and value.isdigit():
                kind = "REQUEST_WEIGHT" if match[1].lower() == "used-weight" else "ORDERS"
                self._observe(kind, _UNIT_MS[_LETTER[match[3].upper()]] * int(match[2]), int(value), now_ms)

    def observe_limits(self, rate_limits: Iterable[Mapping[str, Any]], now_ms: int) -> None:
        """The same from the `rateLimits` of a WebSocket API answer."""
        for row in rate_limits:
            if isinstance(row.get("count"), int) and row.get("interval") in _UNIT_MS:
                self._observe(str(row["rateLimitType"]), _UNIT_MS[row["interval"]] * int(row["intervalNum"]), int(row["count"]), now_ms)

    def _observe(self, kind: str, length_ms: int, used: int, now_ms: int) -> None:
        with self._lock:
            for window in self._windows:
                if window.kind == kind and window.length_ms == length_ms:
                    window.at(now_ms).used = max(window.at(now_ms).used, used)

    def limited(self, now_ms: int, retry_after: str = "", text: str = "") -> int:
        """The venue answered 429 or 418: nothing goes until its pause is over. Returns that moment in ms of the venue's clock."""
        banned = _BANNED_UNTIL.search(text)
        until = now_ms + (int(retry_after) * 1000 if retry_after.isdigit() else DEFAULT_PAUSE_MS)
        if banned:
            until = int(banned[1])
        with self._lock:
            self._n_limited += 1
            self._closed_until_ms = max(self._closed_until_ms, until)
            return self._closed_until_ms

    def order_rate(self) -> tuple[int, int]:
        """(orders a second, burst) of a token bucket that can break none of the order windows, with the head-room of a new order."""
        with self._lock:
            windows = [window for window in self._windows if window.kind == "ORDERS"]
        if not windows:
            return 1_000, 100
        burst = max(1, min(window.limit for window in windows) // 4)
        rates = [(int(window.limit * SHARE[Priority.NEW]) - burst) * 1000 // window.length_ms for window in windows]
        return max(1, min(rates)), burst

    def used(self) -> dict[str, float]:
        """Share of each window that is used, for telemetry: {"ORDERS 10 s": 0.12, ...}."""
        with self._lock:
            return {f"{window.kind} {window.length_ms // 1000} s": window.used / window.limit for window in self._windows}
