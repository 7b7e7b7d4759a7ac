"""The local book replica of each instrument and its synchronisation. Owns BOOK and LEVELS.

Synchronisation, per instrument (codes.Sync):

    EMPTY    --SNAPSHOT_BEGIN-->  LOADING      levels cleared
    LOADING  --DEPTH(snapshot)--> LOADING      level added
    LOADING  --SNAPSHOT_END-->    SYNCED       sequence taken from the snapshot
    SYNCED   --DEPTH seq + 1-->   SYNCED       level applied
    SYNCED   --DEPTH seq <= -->   SYNCED       stale: ignored, counted
    SYNCED   --DEPTH seq > + 1--> EMPTY        gap: counted, a snapshot must be asked for
    SYNCED   --levels run low after truncation--> EMPTY   likewise
    any      --a new connection-->                EMPTY   snapshots follow

A strategy sees the book only in SYNCED and only at the end of a batch, when the venue's matching event is whole.

Age, where `max_age_ns` is set (0: a book is as good as its synchronisation). A change, or a snapshot with a newer exchange time, makes the book good
for `max_age_ns` from its reception. Two things shorten that:

    a trade newer than the book (exchange time)   the book must show that time within `max_behind_ns`: a trade always changes the book
    our own process stood still (`hold_books`)    what waits in the sockets is old, so nothing that is received before `hold_until` counts

`signals.stale` compares the time with `good_until`: that is the whole check.
LEVELS is int64 (n_instruments, 2, BOOK_DEPTH, 2) of (price ticks, total lots), ordered so that the best level is last: changes happen
near the touch, so they move few entries.
"""

from __future__ import annotations

from hftkit.codes import DepthFlag, EventKind, Side, Sync
from hftkit.kernels.arrays import BookArray, BookRecord, EventArray, EventRecord, Int64Array
from hftkit.kernels.jit import kernel
from hftkit.layout import BOOK_DEPTH

_DEPTH, _BBO, _TRADE = int(EventKind.DEPTH), int(EventKind.BBO), int(EventKind.TRADE)
_SNAPSHOT_BEGIN, _SNAPSHOT_END = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END)
_EMPTY, _LOADING, _SYNCED = int(Sync.EMPTY), int(Sync.LOADING), int(Sync.SYNCED)
_BUY = int(Side.BUY)
_END_OF_BATCH, _IS_SNAPSHOT = int(DepthFlag.END_OF_BATCH), int(DepthFlag.SNAPSHOT)

_FOR_EVER = 2**63 - 1
LOW_LEVELS = 32  # a truncated side with fewer levels is no longer trusted

# What apply_to_book tells its caller
BOOK_QUIET = 0  # nothing to decide on
BOOK_CHANGED = 1  # the book is whole and may be traded on
BOOK_LOST = 2  # a gap: ask for a snapshot


@kernel
def set_level(side_levels: Int64Array, n: int, direction: int, price: int, qty: int) -> int:
    """Set the total at a price in one side's levels (int64 (BOOK_DEPTH, 2), best last); qty 0 removes. Returns the new count, -1 - count
    if the worst level was dropped to make room. `direction`: 1 for bids, -1 for asks.
    """
    i = n
    key = price * direction
    while i > 0 and side_levels[i - 1, 0] * direction > key:
        i -= 1
    if i > 0 and side_levels[i - 1, 0] == price:
        if qty > 0:
            side_levels[i - 1, 1] = qty
            return n
        for k in range(i - 1, n - 1):
            side_levels[k, 0] = side_levels[k + 1, 0]
            side_levels[k, 1] = side_levels[k + 1, 1]
        return n - 1
    if qty == 0:
        return n
    if n == BOOK_DEPTH:
        if i == 0:
            return -1 - n
        for k in range(i - 1):
            side_levels[k, 0] = side_levels[k + 1, 0]
            side_levels[k, 1] = side_levels[k + 1, 1]
        side_levels[i - 1, 0] = price
        side_levels[i - 1, 1] = qty
        return -1 - n
    for k in range(n, i, -1):
        side_levels[k, 0] = side_levels[k - 1, 0]
        side_levels[k, 1] = side_levels[k - 1, 1]
    side_levels[i, 0] = price
    side_levels[i, 1] = qty
    return n + 1


@kernel
def _apply_level(b: BookRecord, levels: Int64Array, instrument: int, side: int, price: int, qty: int) -> None:
    if side == _BUY:
        n = set_level(levels[instrument, 0], b.n_bid, 1, price, qty)
        if n < 0:
            b.truncated |= 1
            n = -1 - n
        b.n_bid = n
        b.best_bid = levels[instrument, 0, n - 1, 0] if n > 0 else 0
        b.best_bid_qty = levels[instrument, 0, n - 1, 1] if n > 0 else 0
    else:
        n = set_level(levels[instrument, 1], b.n_ask, -1, price, qty)
        if n < 0:
            b.truncated |= 2
            n = -1 - n
        b.n_ask = n
        b.best_ask = levels[instrument, 1, n - 1, 0] if n > 0 else 0
        b.best_ask_qty = levels[instrument, 1, n - 1, 1] if n > 0 else 0


@kernel
def _clear(b: BookRecord, sync: int) -> None:
    b.sync = sync
    b.n_bid = 0
    b.n_ask = 0
    b.best_bid = 0
    b.best_bid_qty = 0
    b.best_ask = 0
    b.best_ask_qty = 0
    b.truncated = 0


@kernel
def forget_books(book: BookArray) -> None:
    """A new connection brings every book (BOOK (n,)) afresh, and its channels may count from another number."""
    for i in range(book.size):
        _clear(book[i], _EMPTY)
        book[i].seq_depth = book[i].seq_trade = book[i].seq_bbo = 0


@kernel
def _renew(e: EventRecord, b: BookRecord) -> None:
    """The event (EVENT record) shows the book as it is at e.ts_event: good for a while from its reception."""
    if b.max_age_ns == 0 or e.ts_recv < b.hold_until:
        return
    b.good_until = e.ts_recv + b.max_age_ns
    if b.behind_ts != 0 and e.ts_event >= b.behind_ts:
        b.behind_ts = 0
    if b.behind_ts != 0:
        b.good_until = min(b.good_until, b.behind_since + b.max_behind_ns)


@kernel
def _note_trade(e: EventRecord, b: BookRecord) -> None:
    """A trade that is newer than the book: from now on it has to follow."""
    if b.max_age_ns != 0 and b.behind_ts == 0 and e.ts_event > b.ts_event and b.sync == _SYNCED:
        b.behind_ts = e.ts_event
        b.behind_since = e.ts_recv
        b.good_until = min(b.good_until, e.ts_recv + b.max_behind_ns)


@kernel
def hold_books(book: BookArray, now: int, until_caught_up: bool) -> None:
    """No book (BOOK (n,)) may be traded on: for as long as `until_caught_up` stands, then until it changes after another `max_behind_ns`.

    `now`: ns monotonic.
    """
    for i in range(book.size):
        b = book[i]
        if b.max_age_ns != 0:
            b.good_until = 0
            b.hold_until = _FOR_EVER if until_caught_up else now + b.max_behind_ns


@kernel
def _apply_depth(e: EventRecord, b: BookRecord, levels: Int64Array) -> int:
    if e.flags & _IS_SNAPSHOT:
        if b.sync == _LOADING:
            _apply_level(b, levels, e.instrument, e.side, e.price, e.qty)
        return BOOK_QUIET
    if b.sync != _SYNCED:
        return BOOK_QUIET
    if e.seq <= b.seq_depth:
        b.n_stale += 1
        return BOOK_QUIET
    if e.seq != b.seq_depth + 1:
        b.n_gaps += 1
        _clear(b, _EMPTY)
        return BOOK_LOST
    b.seq_depth = e.seq
    b.ts_event = e.ts_event
    b.ts_recv = e.ts_recv
    b.n_updates += 1
    _renew(e, b)
    _apply_level(b, levels, e.instrument, e.side, e.price, e.qty)
    if (b.truncated & 1 and b.n_bid < LOW_LEVELS) or (b.truncated & 2 and b.n_ask < LOW_LEVELS):
        _clear(b, _EMPTY)
        return BOOK_LOST
    return BOOK_CHANGED if e.flags & _END_OF_BATCH else BOOK_QUIET


@kernel
def apply_to_book(event: EventArray, book: BookArray, levels: Int64Array) -> int:
    """Apply one market data event (EVENT (1,)) to the replicas. Returns BOOK_QUIET, BOOK_CHANGED or BOOK_LOST."""
    e = event[0]
    b = book[e.instrument]
    if e.kind == _DEPTH:
        return _apply_depth(e, b, levels)
    if e.kind == _TRADE:
        if b.seq_trade != 0 and e.seq != b.seq_trade + 1:
            if e.seq <= b.seq_trade:
                b.n_stale += 1
                return BOOK_QUIET
            b.n_gaps += 1
        b.seq_trade = e.seq
        b.last_price = e.price
        b.last_qty = e.qty
        b.last_side = e.side
        _note_trade(e, b)
        return BOOK_QUIET
    if e.kind == _SNAPSHOT_BEGIN:
        _clear(b, _LOADING)
        b.seq_depth = e.seq
        return BOOK_QUIET
    if e.kind == _SNAPSHOT_END:
        if b.sync != _LOADING:
            return BOOK_QUIET
        b.sync = _SYNCED
        b.seq_depth = e.seq
        if e.ts_event > b.ts_event:  # else nothing new is known: a copy of what was there
            _renew(e, b)
        b.ts_event = e.ts_event
        b.ts_recv = e.ts_recv
        return BOOK_CHANGED
    if e.kind == _BBO:
        return _apply_bbo(e, b)
    return BOOK_QUIET


@kernel
def _apply_bbo(e: EventRecord, b: BookRecord) -> int:
    """A best bid/offer: the whole book for a follower of that channel alone (a bar replayed as a quote, a book ticker feed)."""
    if e.seq <= b.seq_bbo:
        b.n_stale += 1
        return BOOK_QUIET
    if b.seq_bbo != 0 and e.seq != b.seq_bbo + 1:
        b.n_gaps += 1  # harmless: the message carries the whole state
    b.seq_bbo = e.seq
    if b.n_bid + b.n_ask > 0:
        return BOOK_QUIET  # depth is followed: it is the better source
    b.sync = _SYNCED
    b.best_bid = e.price
    b.best_bid_qty = e.qty
    b.best_ask = e.price2
    b.best_ask_qty = e.qty2
    b.ts_event = e.ts_event
    b.ts_recv = e.ts_recv
    b.n_updates += 1
    _renew(e, b)
    return BOOK_CHANGED
