"""What a book says: mid, microprice, imbalance, spread. Pure functions of one BOOK record; NaN where a side is missing."""

from __future__ import annotations

import math

from hftkit.codes import Sync
from hftkit.kernels.arrays import BookRecord
from hftkit.kernels.jit import kernel

_SYNCED = int(Sync.SYNCED)


@kernel
def tradable(b: BookRecord) -> bool:
    """Whether the replica is synchronised, two-sided and not crossed."""
    return b.sync == _SYNCED and b.best_bid > 0 and b.best_ask > b.best_bid


@kernel
def stale(b: BookRecord, now: int) -> bool:
    """Whether its age forbids to trade on the replica at `now` (ns monotonic): see kernels/market/book.py."""
    return b.max_age_ns != 0 and now > b.good_until


@kernel
def mid_ticks(b: BookRecord) -> float:
    """(best_bid + best_ask) / 2 in ticks; NaN unless tradable."""
    return 0.5 * (b.best_bid + b.best_ask) if tradable(b) else math.nan


@kernel
def microprice_ticks(b: BookRecord) -> float:
    """Mid weighted by the opposite side's quantity, in ticks (Stoikov 2018, first approximation); NaN unless tradable."""
    total = b.best_bid_qty + b.best_ask_qty
    if not tradable(b) or total <= 0:
        return math.nan
    return (b.best_bid * b.best_ask_qty + b.best_ask * b.best_bid_qty) / total


@kernel
def imbalance(b: BookRecord) -> float:
    """(bid quantity - ask quantity) / (bid quantity + ask quantity) at the touch, -1..1; 0 for an empty book."""
    total = b.best_bid_qty + b.best_ask_qty
    return (b.best_bid_qty - b.best_ask_qty) / total if total > 0 else 0.0


@kernel
def spread_ticks(b: BookRecord) -> int:
    """best_ask - best_bid in ticks; 0 unless tradable."""
    return b.best_ask - b.best_bid if tradable(b) else 0
