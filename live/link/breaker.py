"""Circuit breaker (RK-6): after repeated failures, leave a thing alone for a while, then try it carefully. A state machine as a table.

    state \\ input   SUCCESS             FAILURE             TIME
    CLOSED          CLOSED              OPEN at the limit   CLOSED
    OPEN            OPEN                OPEN                HALF_OPEN once open_s is over
    HALF_OPEN       CLOSED at probes    OPEN                HALF_OPEN

The limit is `failures` within `window_s`. Time is an argument: nothing here reads a clock. Pattern: M. Nygard, Release It!, "Circuit Breaker".
"""

from __future__ import annotations

import threading
from collections import deque

import msgspec

from hftkit.codes import BreakerState

SUCCESS, FAILURE, TIME = range(3)
_CLOSED, _OPEN, _HALF = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
# (state, input, whether its condition holds) -> next state
NEXT: dict[tuple[BreakerState, int, bool], BreakerState] = {
    (_CLOSED, SUCCESS, False): _CLOSED, (_CLOSED, SUCCESS, True): _CLOSED,
    (_CLOSED, FAILURE, False): _CLOSED, (_CLOSED, FAILURE, True): _OPEN,
    (_CLOSED, TIME, False): _CLOSED, (_CLOSED, TIME, True): _CLOSED,
    (_OPEN, SUCCESS, False): _OPEN, (_OPEN, SUCCESS, True): _OPEN,
    (_OPEN, FAILURE, False): _OPEN, (_OPEN, FAILURE, True): _OPEN,
    (_OPEN, TIME, False): _OPEN, (_OPEN, TIME, True): _HALF,
    (_HALF, SUCCESS, False): _HALF, (_HALF, SUCCESS, True): _CLOSED,
    (_HALF, FAILURE, False): _OPEN, (_HALF, FAILURE, True): _OPEN,
    (_HALF, TIME, False): _HALF, (_HALF, TIME, True): _HALF,
}  # fmt: skip


class BreakerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a breaker opens, for how long, and how many successes close it again."""

    failures: int = 5
    window_s: float = 30.0
    open_s: float = 30.0
    probes: int = 3

    def __post_init__(self) -> None:
        if self.failures < 1 or self.probes < 1 or self.window_s <= 0 or self.open_s <= 0:
            raise ValueError("a breaker needs failures >= 1, probes >= 1, window_s > 0 and open_s > 0")


class Breaker:
    """One breaker. Times in seconds of any monotonic clock.

    Shared: lock. A stream's thread or the venue loop reports to it, the engine's thread asks and publishes its state.
    """

    def __init__(self, config: BreakerConfig | None = None) -> None:
        self.config = config or BreakerConfig()
        self._lock = threading.Lock()
        self._state = BreakerState.CLOSED
        self._n_opened = 0
        self._failed_at: deque[float] = deque()
        self._opened_at = 0.0
        self._succeeded = 0
        self._asked = 0

    @property
    def state(self) -> BreakerState:
        """The state after the last call or failure; `tick` also lets time pass."""
        with self._lock:
            return self._state

    @property
    def n_opened(self) -> int:
        """How often it has opened."""
        with self._lock:
            return self._n_opened

    def _move_locked(self, event: int, condition: bool, now: float) -> None:
        before, self._state = self._state, NEXT[self._state, event, condition]
        if self._state is before:
            return
        self._failed_at.clear()
        self._succeeded = self._asked = 0
        if self._state is BreakerState.OPEN:
            self._opened_at = now
            self._n_opened += 1

    def allow(self, now: float) -> bool:
        """Whether a call may be made now. Half open, at most `probes` calls are out until one has answered."""
        with self._lock:
            self._move_locked(TIME, now - self._opened_at >= self.config.open_s, now)
            if self._state is BreakerState.HALF_OPEN:
                if self._asked - self._succeeded >= self.config.probes:
                    return False
                self._asked += 1
            return self._state is not BreakerState.OPEN

    def tick(self, now: float) -> BreakerState:
        """The state at `now`, without asking for a call."""
        with self._lock:
            self._move_locked(TIME, now - self._opened_at >= self.config.open_s, now)
            return self._state

    def succeed(self, now: float) -> None:
        """A call went well."""
        with self._lock:
            self._succeeded += 1
            self._move_locked(SUCCESS, self._succeeded >= self.config.probes, now)

    def fail(self, now: float) -> None:
        """A call failed. What failed longer ago than the window no longer counts."""
        with self._lock:
            self._failed_at.append(now)
            while self._failed_at and now - self._failed_at[0] > self.config.window_s:
                self._failed_at.popleft()
            self._move_locked(FAILURE, len(self._failed_at) >= self.config.failures, now)
