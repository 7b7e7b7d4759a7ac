"""Resting orders of the backtest's venue: what the rows of the tape do to them. The rules are those of the simulator on history
(docs/simulator.md, "The fill contract"; market/history/market_plain.py is the readable twin of both), the arithmetic is shared: market/queue.py.

1. A print beyond an order's price fills it, in every estimate.
2. A print at its price, against it, fills it once what is ahead of it in the estimate has traded.
3. A recorded quote that reaches its price from the other side fills it, up to the quantity quoted: nobody else can be left there.

Where the quotes were made round the prints (desk.market QUOTES = MADE) only rules 1 and 2 hold, and a quote that an order stands in the way of is
withheld. Bars have no prints: there rule 3 is all there is. That the touch of a close comes to an order's price is the optimistic reading
(and the neutral one); the pessimistic one wants it beyond.

A row that concerns no resting order costs a few comparisons with the best resting prices, however many rest behind them.
"""

from __future__ import annotations

from hftkit.codes import MessageType, Side
from hftkit.kernels.arrays import InstrumentArray, Int64Array
from hftkit.kernels.backtest_desk import (
    ASK,
    BARS,
    BEST_BUY,
    BEST_SELL,
    BID,
    BOOK,
    BOUGHT,
    CLIENT,
    ESTIMATE,
    FILLS,
    ID,
    MADE,
    N_BUYS,
    N_ORDERS,
    OPEN,
    PARTICIPATION,
    QUOTES,
    RECORDED,
    RESTED,
    SOLD,
    TAPE_WORDS,
    TYPICAL,
    BacktestVenueState,
    first_at,
    has_room,
    key_of,
    left,
    remove,
    report_fill,
)
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.market.queue import (
    AHEAD,
    FILLED,
    LEAVES,
    NEUTRAL,
    ORDER,
    PESSIMISTIC,
    PRICE,
    PRINTED,
    UNKNOWN,
    WOULD,
    behind,
    claim,
    join,
    level_changed,
)
from hftkit.kernels.wire.frame import frame_instrument, frame_type

LOOK_AHEAD = 64  # rows: what is looked at in vain when an order comes to rest meanwhile
# What `market_until` came back with
QUIET, ANSWERED, NO_ROOM = range(3)
_PPM = 1_000_000
_BBO, _BUY = int(MessageType.BBO), int(Side.BUY)


@kernel
def _shown(desk: BacktestVenueState, instrument: int, side: int, price: int) -> int:
    """Lots that the tape shows at a price, UNKNOWN where it does not say."""
    if desk.market[instrument, QUOTES] != RECORDED:
        return UNKNOWN
    quote = desk.quote[instrument]
    best, lots = quote[2 * side], left(quote, side)
    if lots > 0 and best == price:
        return lots
    better = best == 0 or (price > best if side == _BUY else price < best)
    return 0 if better else UNKNOWN


@kernel
def _look(desk: BacktestVenueState, book: int, low: int, high: int) -> None:
    """Before the tape moves: every order of one price (entries low..high of its ladder) takes its place, the oldest first."""
    ladder, older, sums = desk.ladder[book], -1, desk.sums[book >> 1]
    for k in range(high - 1, low - 1, -1):
        row = desk.resting[ladder[k, 1]]
        if row[ORDER] == 0:
            join(row, row[ID], row[PRICE], 0, row[OPEN], _shown(desk, book >> 1, book & 1, row[PRICE]))
            if older >= 0:
                behind(row, desk.resting[older])
            sums[RESTED] += row[OPEN]
            sums[N_ORDERS] += 1
        older = ladder[k, 1]


@kernel
def _touch(desk: BacktestVenueState, instrument: int, side: int, price: int, before: int, after: int, tell: bool) -> None:
    """The tape shows `after` lots at a price instead of `before`. `tell`: a real change of the queue there, not only of what is shown."""
    book, key = 2 * instrument + side, key_of(side, price)
    ladder, n = desk.ladder[book], desk.market[instrument, N_BUYS + side]
    low = first_at(ladder, n, key)
    if low == n or ladder[low, 0] != key:
        return
    high = first_at(ladder, n, key + 1)
    _look(desk, book, low, high)
    if tell and desk.market[instrument, QUOTES] == RECORDED:
        for k in range(low, high):
            level_changed(desk.resting[ladder[k, 1]], before, after)


@kernel
def _fill(desk: BacktestVenueState, instruments: InstrumentArray, slot: int, lots: int, time_ns: int) -> None:
    """`lots` of a resting order trade at its price, as maker."""
    row = desk.resting[slot]
    row[OPEN] -= lots
    row[FILLED] += lots
    row[LEAVES] = row[OPEN]
    report_fill(desk, instruments, row[BOOK], row[CLIENT], row[ID], 1, row[PRICE], lots, row[OPEN], time_ns)
    if row[OPEN] == 0:
        remove(desk, slot)


# -- prints ----------------------------------------------------------------------------------------------------------


@kernel
def _serve(desk: BacktestVenueState, instruments: InstrumentArray, slot: int, through: bool, volume: int, time_ns: int) -> None:
    """One resting order, its place known, meets a print of `volume` lots."""
    row = desk.resting[slot]
    instrument, side = row[BOOK] >> 1, row[BOOK] & 1
    if not through and row[AHEAD + NEUTRAL] == UNKNOWN:  # the best price may have gone behind it meanwhile
        row[AHEAD + NEUTRAL] = row[AHEAD + PESSIMISTIC] = _shown(desk, instrument, side, row[PRICE])
        if row[AHEAD + NEUTRAL] == UNKNOWN:
            typical = desk.market[instrument, TYPICAL]
            row[AHEAD + NEUTRAL] = typical if typical > 0 else volume
    limit = volume // _PPM * desk.plan[PARTICIPATION] + volume % _PPM * desk.plan[PARTICIPATION] // _PPM
    total, real = row[FILLED] + row[OPEN], 0
    for e in range(3):
        lots = claim(row, e, total, through, volume, limit, desk.taken[e])
        desk.taken[e] += lots
        desk.sums[instrument, FILLS + e] += lots
        if e == desk.plan[ESTIMATE]:
            real = min(lots, row[OPEN])
    if not through:
        row[PRINTED] += volume
    if real > 0:
        _fill(desk, instruments, slot, real, time_ns)


@kernel
def _serve_side(desk: BacktestVenueState, instruments: InstrumentArray, book: int, price: int, volume: int, hits: bool, time_ns: int) -> None:
    """Every resting order of one side that a print reaches, by price, then time. `hits`: it traded against this side."""
    ladder, key = desk.ladder[book], key_of(book & 1, price)
    high = desk.market[book >> 1, N_BUYS + (book & 1)]
    while high > 0:
        at = ladder[high - 1, 0]
        if at < key or (at == key and not hits):
            return
        low = first_at(ladder, high, at)
        _look(desk, book, low, high)  # all of them, before the first is filled
        for k in range(high - 1, low - 1, -1):
            _serve(desk, instruments, ladder[k, 1], at > key, volume, time_ns)
        high = low


@kernel
def _print(desk: BacktestVenueState, instruments: InstrumentArray, instrument: int, aggressor: int, price: int, volume: int, time_ns: int) -> None:
    for e in range(3):
        desk.taken[e] = 0
    _serve_side(desk, instruments, 2 * instrument + 1 - aggressor, price, volume, True, time_ns)
    _serve_side(desk, instruments, 2 * instrument + aggressor, price, volume, False, time_ns)


# -- quotes ----------------------------------------------------------------------------------------------------------


@kernel
def _cross(desk: BacktestVenueState, instruments: InstrumentArray, instrument: int, side: int, price: int, qty: int, time_ns: int) -> int:
    """A new quote of `side` meets the resting orders of the other side that it reaches. Returns the lots of it that are gone."""
    book, kind = 2 * instrument + 1 - side, desk.market[instrument, QUOTES]
    ladder, key, gone = desk.ladder[book], key_of(1 - side, price), 0
    high = desk.market[instrument, N_BUYS + 1 - side]
    while high > 0 and gone < qty and ladder[high - 1, 0] >= key:
        if kind == MADE:
            return qty
        at = ladder[high - 1, 0]
        doubtful = kind == BARS and at == key  # a close at the order's price: whether it was reached is an estimate
        low = first_at(ladder, high, at)
        _look(desk, book, low, high)
        for k in range(high - 1, low - 1, -1):
            row = desk.resting[ladder[k, 1]]
            lots, total = min(qty - gone, row[OPEN]), row[FILLED] + row[OPEN]
            for e in range(3):
                part = 0 if doubtful and e == PESSIMISTIC else min(lots, total - row[WOULD + e])
                row[WOULD + e] += part
                desk.sums[instrument, FILLS + e] += part
            if lots > 0 and not (doubtful and desk.plan[ESTIMATE] == PESSIMISTIC):
                _fill(desk, instruments, ladder[k, 1], lots, time_ns)
                gone += lots
        high = low
    return gone


@kernel
def _quote(desk: BacktestVenueState, instruments: InstrumentArray, instrument: int, base: int, time_ns: int) -> None:
    """The BBO row at word `base` of the tape: what was shown elsewhere goes, then both sides stand as recorded, the bid first."""
    quote, tape = desk.quote[instrument], desk.tape
    for side in range(2):
        old, new = quote[2 * side], tape[base + 3 + 2 * side]
        if old != 0 and old != new:
            worse = new == 0 or key_of(side, new) < key_of(side, old)  # when the best improves, the old level is hidden, not gone
            _touch(desk, instrument, side, old, left(quote, side), 0, worse)
            quote[2 * side + 1], quote[SOLD - side] = 0, 0
    for side in range(2):
        new, lots, gone = tape[base + 3 + 2 * side], tape[base + 4 + 2 * side], 0
        if new != 0:
            before = left(quote, side)
            _touch(desk, instrument, side, new, before, lots, True)
            if before == 0 and lots > 0:
                gone = _cross(desk, instruments, instrument, side, new, lots, time_ns)
        quote[2 * side], quote[2 * side + 1], quote[SOLD - side] = new, lots, gone


# -- the tape --------------------------------------------------------------------------------------------------------


@inlined_kernel
def _concerns(market: Int64Array, quote: Int64Array, tape: Int64Array, base: int) -> bool:
    """May the row at word `base` reach a resting order, or change the queue of one, the touch being `quote` or anything that reaches none?"""
    buy, sell = market[BEST_BUY], market[BEST_SELL]
    if frame_type(tape[base]) != _BBO:
        return buy >= tape[base + 5] or sell <= tape[base + 5]
    bid, ask = tape[base + 3], tape[base + 5]
    return buy >= min(bid, quote[BID]) or sell <= max(ask, quote[ASK]) or 0 < ask <= buy or sell <= bid


@inlined_kernel
def _look_ahead(desk: BacktestVenueState, row: int, rows: int) -> int:
    """The first of the rows from `row`, the venue's next, that may concern a resting order; at most LOOK_AHEAD further."""
    tape = desk.tape
    end = min(rows, row + LOOK_AHEAD)
    while row < end:
        instrument = frame_instrument(tape[row * TAPE_WORDS])
        if _concerns(desk.market[instrument], desk.quote[instrument], tape, row * TAPE_WORDS):
            break
        row += 1
    return row


@inlined_kernel
def _pass_by(desk: BacktestVenueState, row: int, end: int, until_ns: int) -> int:
    """Rows from `row` that concern nobody, to `end` (a row) or `until_ns`. Returns the first not passed."""
    tape = desk.tape
    while row < end and tape[row * TAPE_WORDS + 2] <= until_ns:
        base = row * TAPE_WORDS
        instrument = frame_instrument(tape[base])
        if frame_type(tape[base]) == _BBO:
            quote = desk.quote[instrument]
            for k in range(4):
                quote[k] = tape[base + 3 + k]
            quote[BOUGHT], quote[SOLD] = 0, 0
        else:
            desk.market[instrument, TYPICAL] = tape[base + 6]
        row += 1
    return row


@kernel
def market_until(desk: BacktestVenueState, instruments: InstrumentArray, until_ns: int) -> int:
    """The venue's market up to exchange time `until_ns`, or to the first row that it had to answer. Returns QUIET, ANSWERED or NO_ROOM.

    desk.quote is then what the tape shows, less what was taken since. While orders rest, loop.clear_row is the first row that may concern one:
    until then the venue may as well sleep.
    """
    tape, loop = desk.tape, desk.loop[0]
    rows, answers = tape.size // TAPE_WORDS, loop.answer_tail
    while True:
        row = _pass_by(desk, loop.venue_row, loop.clear_row if loop.resting > 0 else rows, until_ns)
        loop.venue_row = row
        base = row * TAPE_WORDS
        if row >= rows or tape[base + 2] > until_ns:
            return QUIET
        if not has_room(desk, loop.resting):
            return NO_ROOM
        instrument = frame_instrument(tape[base])
        if frame_type(tape[base]) == _BBO:
            _quote(desk, instruments, instrument, base, tape[base + 2])
        else:
            _print(desk, instruments, instrument, tape[base + 4], tape[base + 5], tape[base + 6], tape[base + 2])
            desk.market[instrument, TYPICAL] = tape[base + 6]
        loop.venue_row = row + 1
        loop.clear_row = _look_ahead(desk, row + 1, rows)
        if loop.answer_tail != answers:
            return ANSWERED
