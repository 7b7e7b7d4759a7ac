"""Orders with a date: a binary heap of slots, the earliest date first, the oldest order first among equals (Knuth, TAOCP 3, 5.2.3).

Each slot knows its place, so that an order that ends early leaves the heap in O(log n). Places count from 0.
"""

from __future__ import annotations

from hftkit.exchange.core.books import Books
from hftkit.kernels.jit import inlined_kernel, inner_kernel


@inlined_kernel
def _earlier(books: Books, a: int, b: int) -> bool:
    first, second = books.conditions[a].expire_ts, books.conditions[b].expire_ts
    return first < second or (first == second and books.orders[a].order_id < books.orders[b].order_id)


@inlined_kernel
def _put(books: Books, place: int, slot: int) -> None:
    books.dates[place] = slot
    books.conditions[slot].place = place


@inner_kernel
def _rise(books: Books, place: int, slot: int) -> None:
    while place > 0 and _earlier(books, slot, books.dates[(place - 1) >> 1]):
        _put(books, place, books.dates[(place - 1) >> 1])
        place = (place - 1) >> 1
    _put(books, place, slot)


@inner_kernel
def _sink(books: Books, place: int, slot: int) -> None:
    n = books.counters[0].n_dates
    child = 2 * place + 1
    while child < n:
        if child + 1 < n and _earlier(books, books.dates[child + 1], books.dates[child]):
            child += 1
        if not _earlier(books, books.dates[child], slot):
            break
        _put(books, place, books.dates[child])
        place, child = child, 2 * child + 1
    _put(books, place, slot)


@inner_kernel
def add_date(books: Books, slot: int, expire_ts: int) -> None:
    """The order in `slot` ends at exchange time `expire_ts` (ns)."""
    books.conditions[slot].expire_ts = expire_ts
    books.counters[0].n_dates += 1
    _rise(books, books.counters[0].n_dates - 1, slot)


@inner_kernel
def drop_date(books: Books, slot: int) -> None:
    """The order in `slot` ends before its date."""
    place = books.conditions[slot].place
    books.counters[0].n_dates -= 1
    n = books.counters[0].n_dates
    if place == n:
        return
    last = books.dates[n]
    if place > 0 and _earlier(books, last, books.dates[(place - 1) >> 1]):
        _rise(books, place, last)
    else:
        _sink(books, place, last)


@inner_kernel
def overdue(books: Books, ts: int) -> int:
    """Slot of the first order whose date is before exchange time `ts` (ns) or at it, 0 if there is none."""
    if books.counters[0].n_dates == 0 or books.conditions[books.dates[0]].expire_ts > ts:
        return 0
    return books.dates[0]
