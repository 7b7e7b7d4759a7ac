"""Publishing the engine's state into the telemetry page: a sequence-locked copy, for readers in other processes. Owns the page.

The head's SEQUENCE is odd while a copy is being made. A reader copies the sections and keeps them only if SEQUENCE was even and the same before
and after (hftkit/session/telemetry.py). The writer never waits for anyone. Histograms and the fills table are not copied: the engine
records into the page itself, and a reader may see them one entry apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hftkit.kernels.arrays import EngineState, EventArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.intrinsics import fence_release, load_acquire, store_release

# Words of the page head (int64)
MAGIC, PAGE_VERSION, SEQUENCE, STATUS, TS_PUBLISHED, N_PUBLISHED, PID, STARTED_UNIX_NS, STARTED_MONOTONIC_NS, N_FILLS = range(10)
HEAD_WORDS = 64
FILL_ROWS = 512  # most recent fills kept
FILL_WORDS = 8
# Words of one fill row
FILL_TS_EVENT, FILL_INSTRUMENT, FILL_SIDE, FILL_PRICE, FILL_QTY, FILL_FEE_E8, FILL_MAKER, FILL_REALIZED_E8 = range(8)


class Page(NamedTuple):
    """The sections of a telemetry page, as arrays over the mapped file. Names and dtypes as in hftkit.session.engine_state.EngineState."""

    head: np.ndarray  # int64 (HEAD_WORDS,)
    session: np.ndarray  # SESSION (1,)
    risk: np.ndarray  # RISK (1,)
    book: np.ndarray  # BOOK (n,)
    ledger: np.ndarray  # LEDGER (n,)
    signal: np.ndarray  # SIGNAL (k,)
    legs: np.ndarray  # LEGS (k,)
    quotes: np.ndarray  # QUOTES (k,)
    baskets: np.ndarray  # BASKET (k,)
    slots: np.ndarray  # SLOT (k,)
    held: np.ndarray  # LEDGER (k, w)
    histograms: np.ndarray  # int64 (hops, COUNTS_LEN)
    fills: np.ndarray  # int64 (FILL_ROWS, FILL_WORDS)


@kernel
def publish(rooms: EngineState, page: Page, now: int) -> None:
    """Copy the state of `rooms` into the page. `now`: ns monotonic."""
    sequence = load_acquire(page.head, SEQUENCE)
    store_release(page.head, SEQUENCE, sequence + 1)
    fence_release()  # no reader may see what follows beside an even SEQUENCE
    page.session[0] = rooms.session[0]
    page.risk[0] = rooms.risk[0]
    for i in range(rooms.book.size):
        page.book[i] = rooms.book[i]
        page.ledger[i] = rooms.ledger[i]
    for k in range(rooms.signal.size):
        page.signal[k] = rooms.signal[k]
        page.legs[k] = rooms.legs[k]
        page.slots[k] = rooms.slots[k]
        if k < rooms.quotes.size:
            page.quotes[k] = rooms.quotes[k]
        if k < rooms.baskets.size:
            page.baskets[k] = rooms.baskets[k]
        for place in range(rooms.slots[k].n_watched):
            page.held[k, place] = rooms.held[k, place]
    page.head[TS_PUBLISHED] = now
    page.head[N_PUBLISHED] += 1
    store_release(page.head, SEQUENCE, sequence + 2)


@kernel
def publish_fill(page: Page, event: EventArray, realized_e8: int) -> None:
    """Append the fill in `event` (EVENT (1,)) to the page's table; `realized_e8`: the instrument's realised P&L after it."""
    e = event[0]
    row = page.head[N_FILLS] % page.fills.shape[0]
    page.fills[row, FILL_TS_EVENT] = e.ts_event
    page.fills[row, FILL_INSTRUMENT] = e.instrument
    page.fills[row, FILL_SIDE] = e.side
    page.fills[row, FILL_PRICE] = e.price
    page.fills[row, FILL_QTY] = e.qty
    page.fills[row, FILL_FEE_E8] = e.fee_e8
    page.fills[row, FILL_MAKER] = e.flags
    page.fills[row, FILL_REALIZED_E8] = realized_e8
    store_release(page.head, N_FILLS, page.head[N_FILLS] + 1)
