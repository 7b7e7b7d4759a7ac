"""Candles of one instrument, all intervals, from its trades. Prices ticks, quantities lots, times exchange time in ms; bounded memory.

Trades change the running minute only; a finished minute is folded into every longer interval, whose running candle is therefore what was folded
so far with the running minute on top. Every interval is a whole number of minutes, so that is exact. A minute without trades is a candle at the
last close.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import UTC, datetime

MINUTE_MS, DAY_MS = 60_000, 86_400_000
_WEEK_MS, _MONDAY_MS = 7 * DAY_MS, 4 * DAY_MS  # 1970-01-05 was a Monday
# length in ms; a month's is 0: the calendar's
INTERVALS: dict[str, int] = {
    **{f"{n}m": n * MINUTE_MS for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * 60 * MINUTE_MS for n in (1, 2, 4, 6, 8, 12)},
    **{"1d": DAY_MS, "3d": 3 * DAY_MS, "1w": _WEEK_MS, "1M": 0},
}
KEPT = 1500  # candles of each interval that are there for certain: what one request may ask for


def bounds(interval: str, ms: int) -> tuple[int, int]:
    """First and last ms of the candle that holds a time."""
    if interval == "1M":
        day = datetime.fromtimestamp(ms // 1000, UTC)
        first = datetime(day.year, day.month, 1, tzinfo=UTC)
        following = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
        return int(first.timestamp()) * 1000, int(following.timestamp()) * 1000 - 1
    length, shift = INTERVALS[interval], _MONDAY_MS if interval == "1w" else 0
    begins = ms - (ms - shift) % length
    return begins, begins + length - 1


@dataclass(slots=True)
class Candle:
    """One candle; `n_trades` 0: nothing traded, and all four prices are the last close before it."""

    open_ms: int
    close_ms: int
    open: int
    high: int
    low: int
    close: int
    qty: int = 0
    traded: int = 0  # ticks * lots
    n_trades: int = 0
    taker_qty: int = 0  # bought by takers
    taker_traded: int = 0
    first_id: int = -1
    last_id: int = -1

    def trade(self, trade_id: int, price: int, qty: int, bought: bool) -> None:
        """One more trade."""
        if self.n_trades == 0:
            self.open = self.high = self.low = price
            self.first_id = trade_id
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close, self.last_id = price, trade_id
        self.qty += qty
        self.traded += price * qty
        self.n_trades += 1
        if bought:
            self.taker_qty += qty
            self.taker_traded += price * qty

    def fold(self, later: Candle) -> None:
        """A later candle becomes part of this one."""
        if later.n_trades == 0:
            return
        if self.n_trades == 0:
            self.open, self.high, self.low, self.first_id = later.open, later.high, later.low, later.first_id
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close, self.last_id = later.close, later.last_id
        self.qty += later.qty
        self.traded += later.traded
        self.n_trades += later.n_trades
        self.taker_qty += later.taker_qty
        self.taker_traded += later.taker_traded


def _trim(rows: list[Candle]) -> None:
    if len(rows) >= 2 * KEPT:
        del rows[:-KEPT]


class Candles:
    """All candles of one instrument; none before its first trade."""

    def __init__(self) -> None:
        self._minutes: list[Candle] = []  # the last one is running
        self._longer: dict[str, list[Candle]] = {interval: [] for interval in INTERVALS if interval != "1m"}
        self._day: Candle | None = None  # closed minutes of the last 24 hours
        self._day_until = 0

    def trade(self, ms: int, trade_id: int, price: int, qty: int, bought: bool) -> None:
        """One trade, not before the last one."""
        if not self._minutes:
            begins, ends = bounds("1m", ms)
            self._minutes.append(Candle(begins, ends, price, price, price, price))
        self.advance(ms)
        self._minutes[-1].trade(trade_id, price, qty, bought)

    def advance(self, ms: int) -> list[Candle]:
        """Time goes on: minutes that are over are closed, empty ones made up. Returns the minutes closed now."""
        closed: list[Candle] = []
        while self._minutes and ms > self._minutes[-1].close_ms:
            last = self._minutes[-1]
            closed.append(last)
            self._fold(last)
            begins, close = last.close_ms + 1, last.close
            if ms - begins > KEPT * MINUTE_MS:  # a leap beyond what is kept
                begins = bounds("1m", ms)[0] - KEPT * MINUTE_MS
            self._minutes.append(Candle(begins, begins + MINUTE_MS - 1, close, close, close, close))
            _trim(self._minutes)
        return closed

    def _fold(self, minute: Candle) -> None:
        for interval, rows in self._longer.items():
            if rows and minute.open_ms <= rows[-1].close_ms:
                rows[-1].fold(minute)
            else:
                begins, ends = bounds(interval, minute.open_ms)
                rows.append(replace(minute, open_ms=begins, close_ms=ends))
                _trim(rows)

    def running(self, interval: str) -> Candle | None:
        """The unfinished candle, None before the first trade."""
        if not self._minutes:
            return None
        minute = self._minutes[-1]
        if interval == "1m":
            return minute
        rows = self._longer[interval]
        if rows and minute.open_ms <= rows[-1].close_ms:
            running = replace(rows[-1])
            running.fold(minute)
            return running
        begins, ends = bounds(interval, minute.open_ms)
        return replace(minute, open_ms=begins, close_ms=ends)

    def rows(self, interval: str) -> list[Candle]:
        """All that are kept, oldest first, the running one last."""
        if interval == "1m":
            return self._minutes
        running = self.running(interval)
        if running is None:
            return []
        rows = self._longer[interval]
        return [*(rows[:-1] if rows and rows[-1].open_ms == running.open_ms else rows), running]

    def day(self, ms: int) -> Candle | None:
        """The last 24 hours up to now as one candle, by whole minutes; None before the first trade."""
        self.advance(ms)
        if not self._minutes:
            return None
        running = self._minutes[-1]
        if self._day is None or self._day_until != running.open_ms:
            begins = running.open_ms - DAY_MS + MINUTE_MS
            first = bisect_left(self._minutes, begins, key=lambda minute: minute.open_ms)
            self._day = replace(self._minutes[first], open_ms=begins) if first < len(self._minutes) - 1 else None
            for minute in self._minutes[first + 1 : -1]:
                if self._day is not None:
                    self._day.fold(minute)
            self._day_until = running.open_ms
        day = replace(running, open_ms=running.open_ms - DAY_MS + MINUTE_MS) if self._day is None else replace(self._day)
        if self._day is not None:
            day.fold(running)
        day.close_ms = ms
        return day
