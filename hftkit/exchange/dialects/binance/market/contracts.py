"""Perpetual or dated: what a symbol's name says of its contract. `BTCUSDT_250627` is a future on the pair BTCUSDT, delivered 2025-06-27, 08:00 UTC.

Quarterly contracts are delivered on the last Friday of a quarter; the next of these days is the current quarter's, every later one counts as next.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

FAR_DELIVERY_MS = 4_133_404_800_000  # what perpetuals carry
PERPETUAL, CURRENT_QUARTER, NEXT_QUARTER = "PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"
_DATED = re.compile(r"(.+)_(\d\d)(\d\d)(\d\d)\Z", re.ASCII)
_DELIVERY_HOUR, _FRIDAY = 8, 4


class Dated(NamedTuple):
    """What the name says: the pair, and the delivery in ms (FAR_DELIVERY_MS for a perpetual)."""

    pair: str
    delivery_ms: int


@lru_cache(maxsize=4096)
def dated(name: str) -> Dated:
    """Pair and delivery of a symbol. A suffix that is no date is part of a perpetual's name."""
    found = _DATED.match(name)
    if found:
        try:
            day = datetime(2000 + int(found[2]), int(found[3]), int(found[4]), _DELIVERY_HOUR, tzinfo=UTC)
        except ValueError:
            return Dated(name, FAR_DELIVERY_MS)
        return Dated(found[1], int(day.timestamp()) * 1000)
    return Dated(name, FAR_DELIVERY_MS)


def _current_delivery_ms(now_ms: int) -> int:
    """The next quarterly delivery after a moment."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    year, quarter = now.year, (now.month - 1) // 3
    while True:
        month = 3 * quarter + 4
        first_after = datetime(year + (month > 12), month - 12 * (month > 12), 1, _DELIVERY_HOUR, tzinfo=UTC)
        last_day = first_after - timedelta(days=1)
        delivery = last_day - timedelta(days=(last_day.weekday() - _FRIDAY) % 7)
        if delivery > now:
            return int(delivery.timestamp()) * 1000
        year, quarter = (year + 1, 0) if quarter == 3 else (year, quarter + 1)


def contract_type(name: str, now_ms: int) -> str:
    """The venue's word for the contract at a moment."""
    delivery = dated(name).delivery_ms
    if delivery == FAR_DELIVERY_MS:
        return PERPETUAL
    return CURRENT_QUARTER if delivery <= _current_delivery_ms(now_ms) else NEXT_QUARTER
