"""The memory of the backtest's venue: words of its arrays, its answers, its orders by price. Allocated by hftkit/backtest/run.py.

Resting orders have a row each in desk.resting (slot: client order id modulo the capacity, as in the engine's own order table) and an entry in their
ladder: one a side of an instrument, entries (key, slot) in ascending order of priority, best price and oldest order last. The key is the price of a
buy, minus the price of a sell. The market works at the end of a ladder, so entries there are found, entered and removed at once, however
many others rest behind.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hftkit.codes import Side
from hftkit.kernels.arrays import InstrumentArray, Int64Array
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.market.queue import ORDER, PRICE, ROW_WORDS
from hftkit.kernels.wire.venue_codec import encode_order_fill

TAPE_WORDS = 7  # a BBO or TRADE frame: header, sequence, exchange time ns, four words
ORDER_SLOTS = 2048  # requests on their way to the venue
SLOT_WORDS = 16  # due ns, then the frame
NEVER = 2**63 - 1

# Words of desk.plan (int64): fixed for a run
DATA_LATENCY, ORDER_LATENCY, ANSWER_LATENCY, TIMER_NS, SAMPLE_NS, JOURNALLED, LEVELS, GROWTH, ESTIMATE, PARTICIPATION, ANSWER_SLOTS = range(11)
PLAN_WORDS = 12
# Words of desk.funding (int64 (m, 5)), by time: of the schedule time ns, instrument, rate in 1e-8; what was paid for how many lots, 1e-8 quote
FUNDING_NS, FUNDING_INSTRUMENT, FUNDING_RATE, FUNDING_POSITION, FUNDING_PAID = range(5)
FUNDING_WORDS = 5
# Words of desk.quote (int64 (n, 6)): the touch as the tape shows it, ticks and lots; lots bought and sold of it since
BID, BID_LOTS, ASK, ASK_LOTS, BOUGHT, SOLD = range(6)
# Words of desk.market (int64 (n, 8)): orders resting, their best prices (0, NEVER: none), lots of the last print, kind of quotes, net lots traded
N_BUYS, N_SELLS, BEST_BUY, BEST_SELL, TYPICAL, QUOTES, POSITION = range(7)
MARKET_WORDS = 8
# Kinds of quotes: recorded ones fill resting orders; made round prints they do not; made of bars they are all there is (no prints)
RECORDED, MADE, BARS = range(3)
# Words of desk.sums (int64 (n, 5)): lots that came to rest, lots of them filled by each estimate, orders
RESTED, FILLS, N_ORDERS = 0, 1, 4
SUM_WORDS = 5
# Words of a row of desk.resting behind those of market/queue.py: the venue's id, the client's, 2 * instrument + side, lots open (0: free slot)
ID, CLIENT, BOOK, OPEN = range(ROW_WORDS, ROW_WORDS + 4)
RESTING_WORDS = ROW_WORDS + 4

_PPM = 1_000_000
_BUY = int(Side.BUY)


class BacktestVenueState(NamedTuple):
    """The tape, the simulated venue and what is in flight between it and the engine. All int64, times in ns."""

    tape: np.ndarray  # (rows * TAPE_WORDS,) frames
    quote: np.ndarray  # (n, 6) the touch of each instrument: words BID ..
    market: np.ndarray  # (n, MARKET_WORDS) what rests, what was printed last: words N_BUYS ..
    resting: np.ndarray  # (capacity, RESTING_WORDS) resting orders
    ladder: np.ndarray  # (2 n, capacity, 2) resting orders of each side in ascending priority: key, slot
    sums: np.ndarray  # (n, SUM_WORDS) what of them each estimate filled: words RESTED ..
    funding: np.ndarray  # (m, FUNDING_WORDS) when funding is due, and what it came to
    taken: np.ndarray  # (3,) lots of the print at work that went to resting orders, by estimate
    orders: np.ndarray  # (ORDER_SLOTS * SLOT_WORDS,) on their way to the venue
    answers: np.ndarray  # (plan[ANSWER_SLOTS] * SLOT_WORDS,) on their way back
    jitter: np.ndarray  # (m,) ns added to the latency of one order after another
    plan: np.ndarray  # (PLAN_WORDS,)
    loop: np.ndarray  # TAPE_LOOP (1,)
    word: np.ndarray  # (1,) payload of a journalled control


@inlined_kernel
def key_of(side: int, price: int) -> int:
    """Priority of a price (ticks) on a side: the larger the better."""
    return price if side == _BUY else -price


@inlined_kernel
def left(quote: Int64Array, side: int) -> int:
    """Lots that are left of the touch of a side. `quote`: a row of desk.quote."""
    return max(0, quote[2 * side + 1] - quote[SOLD - side])


@kernel
def first_at(ladder: Int64Array, n: int, key: int) -> int:
    """Index of the first of a ladder's `n` entries (int64 (m, 2)) whose key is at least `key`; found from the end."""
    step, high = 1, n
    while step <= n and ladder[n - step, 0] >= key:
        high = n - step
        step <<= 1
    low = max(0, n - step + 1)
    while low < high:
        middle = (low + high) >> 1
        if ladder[middle, 0] < key:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _note_best(desk: BacktestVenueState, book: int) -> None:
    row = desk.market[book >> 1]
    side, n = book & 1, row[N_BUYS + (book & 1)]
    if n == 0:
        row[BEST_BUY + side] = 0 if side == _BUY else NEVER
    else:
        row[BEST_BUY + side] = abs(desk.ladder[book, n - 1, 0])


@kernel
def rest(desk: BacktestVenueState, slot: int, book: int, order_id: int, client_order_id: int, price: int, lots: int) -> None:
    """An order comes to rest in a free slot: behind its price in the ladder. Its place among what history shows is found when history touches it."""
    row, ladder, n = desk.resting[slot], desk.ladder[book], desk.market[book >> 1][N_BUYS + (book & 1)]
    row[ORDER], row[PRICE], row[ID], row[CLIENT], row[BOOK], row[OPEN] = 0, price, order_id, client_order_id, book, lots
    key = key_of(book & 1, price)
    at = first_at(ladder, n, key)
    for k in range(n, at, -1):
        ladder[k, 0], ladder[k, 1] = ladder[k - 1, 0], ladder[k - 1, 1]
    ladder[at, 0], ladder[at, 1] = key, slot
    desk.market[book >> 1][N_BUYS + (book & 1)] = n + 1
    desk.loop[0].resting += 1
    if at == n:  # a new best price: what was looked at before did not know it
        desk.loop[0].clear_row = desk.loop[0].venue_row
    _note_best(desk, book)


@kernel
def remove(desk: BacktestVenueState, slot: int) -> None:
    """A resting order leaves its ladder and its slot."""
    row = desk.resting[slot]
    book = row[BOOK]
    ladder, n = desk.ladder[book], desk.market[book >> 1][N_BUYS + (book & 1)] - 1
    at = first_at(ladder, n + 1, key_of(book & 1, row[PRICE]))
    while ladder[at, 1] != slot:
        at += 1
    for k in range(at, n):
        ladder[k, 0], ladder[k, 1] = ladder[k + 1, 0], ladder[k + 1, 1]
    row[OPEN] = 0
    desk.market[book >> 1][N_BUYS + (book & 1)] = n
    desk.loop[0].resting -= 1
    _note_best(desk, book)


@kernel
def has_room(desk: BacktestVenueState, frames: int) -> bool:
    """Whether so many more answer frames fit between the venue and the engine."""
    return desk.loop[0].answer_tail - desk.loop[0].answer_head + frames <= desk.plan[ANSWER_SLOTS]


@kernel
def answer_slot(desk: BacktestVenueState, time_ns: int) -> int:
    """Word of the next free answer frame in desk.answers (flat), its due time set; answers keep their order."""
    slot = (desk.loop[0].answer_tail & (desk.plan[ANSWER_SLOTS] - 1)) * SLOT_WORDS
    desk.answers[slot] = time_ns + desk.plan[ANSWER_LATENCY]
    desk.loop[0].answer_tail += 1
    desk.loop[0].venue_seq += 1
    return slot + 1


@kernel
def report_fill(
    desk: BacktestVenueState,
    instruments: InstrumentArray,
    book: int,
    client_order_id: int,
    order_id: int,
    maker: int,
    price: int,
    lots: int,
    rest: int,
    time_ns: int,
) -> None:
    """A trade of `lots` at `price` ticks: its fee (1e-8 quote, rounded down), the venue's position, the answer. `rest`: lots still open."""
    instrument, side = book >> 1, book & 1
    ins = instruments[instrument]
    notional = price * lots * ins.tick_lot_e8
    ppm = ins.maker_fee_ppm if maker != 0 else ins.taker_fee_ppm
    fee = notional // _PPM * ppm + notional % _PPM * ppm // _PPM
    desk.market[instrument, POSITION] += lots if side == _BUY else -lots
    desk.loop[0].next_id += 1
    slot = answer_slot(desk, time_ns)
    sequence, trade = desk.loop[0].venue_seq, desk.loop[0].next_id
    encode_order_fill(desk.answers, slot, instrument, sequence, time_ns, client_order_id, order_id, trade, side, maker, price, lots, rest, fee)
