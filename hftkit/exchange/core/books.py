"""The arrays of the matching engine: every book, every open order, allocated once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hftkit.errors import ConfigError
from hftkit.exchange.core.layout import BITMAP_WORDS, COMMAND, CONDITION, COUNTERS, EXPOSURE, KEY, LADDER_TICKS, LEVEL, OWNER, REPORT, RESTING, TOP

BIDS, ASKS, UP, DOWN = range(4)  # second axis of Books.bitmaps; UP and DOWN less 2: of Books.triggers
PAGE = 4096  # bytes
NEAR = 20  # part of the price: levels so near have their memory from the start


class Books(NamedTuple):
    """All books of the exchange: plain arrays, allocated once by `new_books`."""

    orders: np.ndarray  # RESTING (1 + capacity,), slot 0 unused
    levels: np.ndarray  # LEVEL (n_instruments, ladder ticks)
    triggers: np.ndarray  # LEVEL (n_instruments, 2, ladder ticks): orders waiting for a rise, for a fall
    bitmaps: np.ndarray  # int64 (n_instruments, 4, BITMAP_WORDS): levels alive of bids, asks and both kinds of triggers
    table: np.ndarray  # KEY (power of two >= 2 * capacity,)
    tops: np.ndarray  # TOP (n_instruments,)
    counters: np.ndarray  # COUNTERS (1,)
    owners: np.ndarray  # OWNER (n_accounts,)
    exposures: np.ndarray  # EXPOSURE (n_accounts, n_instruments)
    conditions: np.ndarray  # CONDITION (1 + capacity,)
    dates: np.ndarray  # int64 (1 + capacity,): heap of the slots that have a date, the earliest first
    command: np.ndarray  # COMMAND (1,): a triggered order while it is matched


def new_books(reference_prices: Any, capacity: int, ladder_ticks: int = LADDER_TICKS, n_accounts: int = 16) -> Books:
    """Empty books. `reference_prices`: ticks, one for each instrument; its window is centred there, and starts at 1 tick at the lowest.

    Raises ConfigError if a size is out of range.
    """
    if not 1 <= capacity <= 2**26:
        raise ConfigError(f"order capacity {capacity} is out of range", "Allowed: 1 to 67108864")
    if not 64 <= ladder_ticks <= LADDER_TICKS:
        raise ConfigError(f"ladder_ticks {ladder_ticks} is out of range", f"Allowed: 64 to {LADDER_TICKS}")
    n = len(reference_prices)
    tops = np.zeros(n, TOP.dtype)
    tops["base"] = [max(1, int(price) - ladder_ticks // 2) for price in reference_prices]
    books = Books(
        orders=np.zeros(1 + capacity, RESTING.dtype),
        levels=np.zeros((n, ladder_ticks), LEVEL.dtype),
        triggers=np.zeros((n, 2, ladder_ticks), LEVEL.dtype),
        bitmaps=np.zeros((n, 4, BITMAP_WORDS), np.int64),
        table=np.zeros(max(16, 1 << (2 * capacity - 1).bit_length()), KEY.dtype),
        tops=tops,
        counters=np.zeros(1, COUNTERS.dtype),
        owners=np.zeros(n_accounts, OWNER.dtype),
        exposures=np.zeros((n_accounts, n), EXPOSURE.dtype),
        conditions=np.zeros(1 + capacity, CONDITION.dtype),
        dates=np.zeros(1 + capacity, np.int64),
        command=np.zeros(1, COMMAND.dtype),
    )
    touch(books.orders, books.table)  # filled from the first order on
    for i, price in enumerate(reference_prices):
        at, reach = int(price) - int(tops["base"][i]), int(price) // NEAR
        touch(books.levels[i, max(0, at - reach) : at + reach])  # further away a price's page comes when it is first quoted
    return books


def touch(*arrays: np.ndarray) -> None:
    """Make the operating system give these arrays their memory now: not later, page by page, while the venue runs."""
    for array in arrays:
        array.reshape(-1).view(np.uint8)[::PAGE] = 0


def new_reports(books: Books) -> np.ndarray:
    """A REPORT array that no single command can overflow: a trade, a cancel and a level for each open order, and a few more."""
    return np.zeros(3 * books.orders.size + 8, REPORT.dtype)


def new_commands(n: int) -> np.ndarray:
    """A zeroed COMMAND array (n,)."""
    return np.zeros(n, COMMAND.dtype)
