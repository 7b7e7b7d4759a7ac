"""PlayedHistory as the market: the rows of a tape, one after another, become the house's quotes in the venue's own books, and prints.

* **Quotes and depth**: the house (account MAKER) keeps one order a price, with the quantity that history shows there. Clients take it like anyone's
  order: price-time, all order types, fees, margin. What they took is gone until history next says what stands at that price.
* **Prints** (recorded trades) reach clients' resting orders by the estimate of the run (kernels/market/queue.py); the rest is published as it was.
  Prints leave the house's quotes alone: history says itself what they became. An order's place is found when history next touches its price,
  which is soon enough: until then nothing has changed there.
* **A quote that would cross a client's resting order** trades with it, up to its quantity: who offers at your bid meets you first, since nobody
  else can be left there. Where the quotes are our own invention (grades CANDLES and TRADES, made by the converter round the prints) they are
  withheld instead: only prints fill resting orders there.

A tape row is a BBO, TRADE or DEPTH frame (docs/protocol.md), 7 words. A row at t is worked when the exchange clock reaches t, so nothing after t can
change what happened before it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hftkit.codes import DepthFlag, MessageType, OrderFlag, OrderType, Reject, Side, TimeInForce
from hftkit.exchange.core.ladder import find_key, level_above, level_below
from hftkit.exchange.core.layout import Op
from hftkit.exchange.core.matching import end_order, level_report, reducible, trade
from hftkit.exchange.core.queues import add_open, enqueue, full, release_slot, take_slot, unlink
from hftkit.exchange.market.flow.agents import MAKER, TAKER
from hftkit.exchange.trading.orders import carry_out, deliver, fire_due, pass_time, shed_reducing
from hftkit.exchange.trading.publication import publish_level, publish_quote, publish_trade
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.market.queue import (
    AHEAD,
    BASE,
    FILLED,
    LEAVES,
    NEUTRAL,
    PESSIMISTIC,
    PRINTED,
    UNKNOWN,
    WOULD,
    behind,
    claim,
    is_new,
    join,
    level_changed,
)
from hftkit.kernels.wire.frame import frame_instrument, frame_type

TAPE_WORDS = 7
CANDLES, TRADES, QUOTES, DEPTH = range(1, 5)  # grade of an instrument's history: what was recorded
GRADES = {CANDLES: "candles", TRADES: "trades", QUOTES: "quotes", DEPTH: "depth"}
# Words of PlayedHistory.plan
ESTIMATE, PARTICIPATION, AT_MAX, HOLD = range(4)  # AT_MAX: as fast as clients can follow; HOLD: the clock stands until somebody listens
# Words of PlayedHistory.io
ROW, ROWS, N_OUTSIDE, N_WITHHELD, N_FULL, CLOSED = range(6)  # CLOSED: the end was published
# Words of PlayedHistory.sums, by instrument: lots at rest that history reached, lots filled by estimate, prints and their lots, such orders
RESTED, FILLS, N_PRINTS, VOLUME, N_ORDERS = 0, 1, 4, 5, 6
WORDS = 8
# Words of a row of PlayedHistory.changes: what one row of the tape does to the levels. SHOWS: it is the best price of its side from now on
_SIDE, _PRICE, _LOTS, _TELL, _SHOWS, _LAST = range(6)
MOST_CHANGES = 4
NEVER = 2**63 - 1
_PPM = 1_000_000

_BUY = int(Side.BUY)
_BBO, _TRADE, _DEPTH = int(MessageType.BBO), int(MessageType.TRADE), int(MessageType.DEPTH)
_END_OF_BATCH = int(DepthFlag.END_OF_BATCH)
_NEW, _LIMIT, _GTC = int(Op.NEW), int(OrderType.LIMIT), int(TimeInForce.GTC)
_EXPIRE_MAKER, _REDUCE_ONLY = int(OrderFlag.EXPIRE_MAKER), int(OrderFlag.REDUCE_ONLY)
_NOT_REDUCING = int(Reject.VENUE_REDUCE_ONLY)


class PlayedHistory(NamedTuple):
    """A tape, where it stands, and the places of the clients' orders in it. All int64."""

    tape: np.ndarray  # (rows * TAPE_WORDS,)
    plan: np.ndarray  # (WORDS,)
    io: np.ndarray  # (WORDS,)
    grades: np.ndarray  # (n,)
    shown: np.ndarray  # (n, 2): prices of the last BBO row, ticks
    typical: np.ndarray  # (n,): lots of the last print
    queued: np.ndarray  # (1 + capacity, queue.ROW_WORDS): by order slot
    taken: np.ndarray  # (3,): lots of the print at work that clients got, by estimate
    sums: np.ndarray  # (n, WORDS)
    changes: np.ndarray  # (MOST_CHANGES, WORDS)
    command: np.ndarray  # COMMAND (1,): of the house


# -- clients' orders in the queue ------------------------------------------------------------------------------------


@inner_kernel
def _house_slot(venue: Exchange, instrument: int, side: int, price: int) -> int:
    """Slot of the house's order at a price, 0 if there is none."""
    return find_key(venue.books.table, MAKER, _house_id(instrument, side, price))


@inner_kernel
def _house_id(instrument: int, side: int, price: int) -> int:
    return (instrument << 48) | (price << 1) | side | (1 << 46)


@inner_kernel
def _shown(venue: Exchange, history: PlayedHistory, instrument: int, side: int, price: int) -> int:
    """Lots that history shows at a price, UNKNOWN where it does not say."""
    grade = history.grades[instrument]
    if grade < QUOTES:
        return UNKNOWN
    slot = _house_slot(venue, instrument, side, price)
    if slot != 0:
        return venue.books.orders[slot].leaves
    best = history.shown[instrument, side]
    better = best == 0 or (price > best if side == _BUY else price < best)
    return 0 if grade == DEPTH or better else UNKNOWN


@inner_kernel
def _look(venue: Exchange, history: PlayedHistory, slot: int, older: int) -> None:
    """Bring the row of a client's resting order up to date before history moves: a place if it is new, fills that other clients gave it.

    `older`: slot of the client's order before it at its price, 0 if none.
    """
    order, row = venue.books.orders[slot], history.queued[slot]
    instrument, side = np.int64(order.instrument), np.int64(order.side)
    sums = history.sums[instrument]
    if is_new(row, order.order_id, order.price, order.leaves):
        join(row, order.order_id, order.price, order.filled, order.leaves, _shown(venue, history, instrument, side, order.price))
        if older != 0:
            behind(row, history.queued[older])
        sums[RESTED] += order.leaves
        sums[N_ORDERS] += 1
    outside, total = order.filled - row[FILLED], order.filled - row[BASE] + order.leaves
    if outside > 0:
        for e in range(3):
            row[WOULD + e] = min(total, row[WOULD + e] + outside)
    row[FILLED], row[LEAVES] = order.filled, order.leaves


@inner_kernel
def _look_at_level(venue: Exchange, history: PlayedHistory, instrument: int, side: int, price: int, before: int, after: int, tell: bool) -> None:
    """Before the house's quantity at a price changes: every client's order there takes its place; if `tell`, it learns of the change."""
    slot, older = np.int64(venue.books.levels[instrument, price - venue.books.tops[instrument].base].head), np.int64(0)
    while slot != 0:
        order = venue.books.orders[slot]
        if order.account != MAKER and order.side == side:
            _look(venue, history, slot, older)
            if tell:
                level_changed(history.queued[slot], before, after)
            older = slot
        slot = np.int64(order.next)


# -- prints ----------------------------------------------------------------------------------------------------------


@inner_kernel
def _fill(venue: Exchange, history: PlayedHistory, slot: int, lots: int) -> None:
    """`lots` of a client's resting order trade with the house at its price, wherever it stands in its queue."""
    books, reports, command = venue.books, venue.reports, history.command[0]
    maker = books.orders[slot]
    instrument, side, price = np.int64(maker.instrument), np.int64(maker.side), maker.price
    if maker.flags & _REDUCE_ONLY:
        lots = min(lots, reducible(books, maker.account, instrument, side))
    level = books.levels[instrument, price - books.tops[instrument].base]
    n = 0
    if lots > 0:
        command.op, command.instrument, command.account, command.client_order_id = _NEW, instrument, TAKER, 0
        command.side, command.price, command.qty, command.flags = 1 - side, price, lots, 0
        level.qty -= lots
        n = trade(books, command, reports, 0, 0, maker, lots, 0)
        books.tops[instrument].last = price
    row = history.queued[slot]
    row[FILLED], row[LEAVES] = maker.filled, maker.leaves
    if maker.leaves == 0:
        total = unlink(books, slot)
        release_slot(books, slot)
        n = level_report(reports, n, instrument, side, price, total)
    elif maker.flags & _REDUCE_ONLY and reducible(books, maker.account, instrument, side) == 0:
        n = end_order(books, reports, n, slot, _NOT_REDUCING)
    else:
        n = level_report(reports, n, instrument, side, price, level.qty)
    deliver(venue, n, _NEW, command)


@inner_kernel
def _serve(venue: Exchange, history: PlayedHistory, slot: int, through: bool, volume: int) -> int:
    """One client's resting order, its row up to date, meets a print. Returns the lots that really traded."""
    order, row = venue.books.orders[slot], history.queued[slot]
    instrument = np.int64(order.instrument)
    total = order.filled - row[BASE] + order.leaves
    if not through and row[AHEAD + NEUTRAL] == UNKNOWN:  # the best price may have gone behind it meanwhile
        row[AHEAD + NEUTRAL] = row[AHEAD + PESSIMISTIC] = _shown(venue, history, instrument, np.int64(order.side), order.price)
    if not through and row[AHEAD + NEUTRAL] == UNKNOWN:
        row[AHEAD + NEUTRAL] = history.typical[instrument] if history.typical[instrument] > 0 else volume
    limit, real, before = volume // _PPM * history.plan[PARTICIPATION] + volume % _PPM * history.plan[PARTICIPATION] // _PPM, 0, order.leaves
    for e in range(3):
        lots = claim(row, e, total, through, volume, limit, history.taken[e])
        history.taken[e] += lots
        history.sums[instrument, FILLS + e] += lots
        if e == history.plan[ESTIMATE]:
            real = min(lots, before)
    if not through:
        row[PRINTED] += volume
    if real > 0:
        _fill(venue, history, slot, real)
    return real


@inner_kernel
def _serve_side(venue: Exchange, history: PlayedHistory, instrument: int, side: int, price: int, volume: int, aggressor: int) -> int:
    """Every client's resting order of one side that a print reaches, by price, then time. Returns the lots that really traded."""
    books, real = venue.books, 0
    top = books.tops[instrument]
    best = top.bid if side == _BUY else top.ask
    index = best - top.base if best != 0 else -1
    while index >= 0:
        at = top.base + index
        through = at > price if side == _BUY else at < price
        if not through and not (at == price and aggressor == 1 - side):
            return real
        _look_at_level(venue, history, instrument, side, at, 0, 0, False)  # all of them, before the first is filled
        slot = np.int64(books.levels[instrument, index].head)
        bitmap = books.bitmaps[instrument, side]
        index = level_below(bitmap, index) if side == _BUY else level_above(bitmap, index)
        while slot != 0:
            following = np.int64(books.orders[slot].next)
            if books.orders[slot].account != MAKER:
                real += _serve(venue, history, slot, through, volume)
            slot = following
    return real


@inner_kernel
def _print(venue: Exchange, history: PlayedHistory, instrument: int, aggressor: int, price: int, volume: int) -> None:
    """A recorded trade: clients' resting orders have their part of it, the rest is published as it was."""
    sums = history.sums[instrument]
    sums[N_PRINTS] += 1
    sums[VOLUME] += volume
    for e in range(3):
        history.taken[e] = 0
    real = 0
    if venue.books.counters[0].n_open > venue.books.owners[MAKER].n_open:
        for k in range(2):  # one place that calls it: see _carry_out_changes
            real += _serve_side(venue, history, instrument, 1 - aggressor if k == 0 else aggressor, price, volume, aggressor)
    history.typical[instrument] = volume
    venue.books.tops[instrument].last = price
    if volume > real:
        counters = venue.books.counters[0]
        counters.last_trade_id += 1
        counters.n_trades += 1
        publish_trade(venue, instrument, counters.last_trade_id, aggressor, price, volume - real)
    if real > 0:
        shed_reducing(venue, instrument)
    fire_due(venue, instrument)


# -- quotes ----------------------------------------------------------------------------------------------------------


@inner_kernel
def _would_cross(venue: Exchange, instrument: int, side: int, price: int) -> bool:
    top = venue.books.tops[instrument]
    if side == _BUY:
        return top.ask != 0 and top.ask <= price
    return top.bid != 0 and top.bid >= price


@inner_kernel
def _level_total(venue: Exchange, instrument: int, side: int, index: int) -> int:
    """Lots at a price on one side: a price that a quote could not take holds the other side's orders."""
    level = venue.books.levels[instrument, index]
    if level.head == 0 or venue.books.orders[level.head].side != side:
        return 0
    return level.qty


@inner_kernel
def _fills_by_quote(venue: Exchange, history: PlayedHistory, instrument: int, side: int, price: int, qty: int) -> None:
    """Note in every estimate what a quote of `side` that crosses clients' resting orders is about to trade with them."""
    books = venue.books
    top, bitmap = books.tops[instrument], books.bitmaps[instrument, 1 - side]
    index = (top.ask if side == _BUY else top.bid) - top.base
    while index >= 0 and qty > 0 and (top.base + index <= price if side == _BUY else top.base + index >= price):
        slot, older = np.int64(books.levels[instrument, index].head), np.int64(0)
        while slot != 0:
            order, row = books.orders[slot], history.queued[slot]
            if order.account != MAKER:
                _look(venue, history, slot, older)
                lots, total = min(qty, order.leaves), order.filled - row[BASE] + order.leaves
                for e in range(3):
                    part = min(lots, total - row[WOULD + e])
                    row[WOULD + e] += part
                    history.sums[instrument, FILLS + e] += part
                row[FILLED] += lots
                row[LEAVES] -= lots
                qty -= lots
                older = slot
            slot = np.int64(order.next)
        index = level_above(bitmap, index) if side == _BUY else level_below(bitmap, index)


@inner_kernel
def _new_level(venue: Exchange, history: PlayedHistory, instrument: int, side: int, price: int, qty: int) -> None:
    """The house begins to quote at a price where it had nothing."""
    books, command = venue.books, history.command[0]
    if full(books):
        history.io[N_FULL] += 1
        return
    command.op, command.instrument, command.account, command.client_order_id = _NEW, instrument, MAKER, _house_id(instrument, side, price)
    command.side, command.order_type, command.time_in_force, command.flags = side, _LIMIT, _GTC, _EXPIRE_MAKER
    command.price, command.qty, command.trigger_price, command.expire_ts = price, qty, 0, 0
    if not _would_cross(venue, instrument, side, price):
        books.counters[0].last_order_id += 1
        enqueue(books, take_slot(books, command, books.counters[0].last_order_id, qty))
    elif history.grades[instrument] < QUOTES:
        history.io[N_WITHHELD] += 1
    else:
        _fills_by_quote(venue, history, instrument, side, price, qty)
        carry_out(venue, command)  # trades with the clients in its way; stale quotes of the house on the other side go


@inner_kernel
def _set_level(venue: Exchange, history: PlayedHistory, instrument: int, side: int, price: int, qty: int, tell: bool, last: bool) -> None:
    """The house shows `qty` lots at a price; the level is published. `tell`: a real change of the queue there, not only of what is shown."""
    books = venue.books
    index = price - books.tops[instrument].base
    if index < 0 or index >= books.levels.shape[1]:
        history.io[N_OUTSIDE] += 1
        return
    slot = _house_slot(venue, instrument, side, price)
    before = books.orders[slot].leaves if slot != 0 else 0
    _look_at_level(venue, history, instrument, side, price, before, qty, tell and history.grades[instrument] >= QUOTES)
    if slot == 0 and qty > 0:
        _new_level(venue, history, instrument, side, price, qty)
    elif slot != 0 and qty == 0:
        unlink(books, slot)
        release_slot(books, slot)
    elif slot != 0:
        order = books.orders[slot]
        books.levels[instrument, index].qty += qty - before
        add_open(books, order, qty - before)
        order.leaves = qty
    publish_level(venue, instrument, side, price, _level_total(venue, instrument, side, index), last)
    if last:
        publish_quote(venue, instrument)


@inner_kernel
def _changes_of_quote(history: PlayedHistory, instrument: int, tape: Any, base: int) -> int:
    """What a BBO row (bid, lots, ask, lots from word `base`) changes, into `history.changes`. Returns the number of changes.

    What was shown elsewhere goes, then both sides stand as recorded.
    """
    changes, shown, n, last = history.changes, history.shown[instrument], 0, -1
    for side in range(2):
        old, new = shown[side], tape[base + 2 * side]
        if old != 0 and old != new:
            worse = new == 0 or (new < old if side == _BUY else new > old)  # when the best improves, the old level is hidden, not gone
            changes[n, _SIDE], changes[n, _PRICE], changes[n, _LOTS], changes[n, _TELL] = side, old, 0, np.int64(worse)
            changes[n, _SHOWS] = changes[n, _LAST] = 0
            n, last = n + 1, n
    for side in range(2):
        changes[n, _SIDE], changes[n, _PRICE], changes[n, _LOTS], changes[n, _TELL] = side, tape[base + 2 * side], tape[base + 2 * side + 1], 1
        changes[n, _SHOWS], changes[n, _LAST] = 1, 0
        if changes[n, _PRICE] != 0:
            last = n
        n += 1
    if last >= 0:
        changes[last, _LAST] = 1
    return n


@inner_kernel
def _change_of_depth(history: PlayedHistory, tape: Any, base: int) -> int:
    """What a DEPTH row (side, flags, price, lots from word `base`) changes, into `history.changes`. Returns 1."""
    change = history.changes[0]
    change[_SIDE], change[_PRICE], change[_LOTS], change[_TELL], change[_SHOWS] = tape[base], tape[base + 2], tape[base + 3], 1, 0
    change[_LAST] = tape[base + 1] & _END_OF_BATCH
    return 1


@inner_kernel
def _carry_out_changes(venue: Exchange, history: PlayedHistory, instrument: int, n: int) -> None:
    """The first `n` of `history.changes`, one after another.

    The only caller of _set_level, which is therefore compiled into it: at every call it would be handed a hundred words (measured: half the time of a
    row).
    """
    for c in range(n):
        change = history.changes[c]
        side, price = change[_SIDE], change[_PRICE]
        if price != 0:
            _set_level(venue, history, instrument, side, price, change[_LOTS], change[_TELL] != 0, change[_LAST] != 0)
        if change[_SHOWS] != 0:
            history.shown[instrument, side] = price  # only now: who joined before this row joined what was shown before it


# -- the tape --------------------------------------------------------------------------------------------------------


@inner_kernel
def next_row_ts(history: PlayedHistory) -> int:
    """Exchange time of the next row, NEVER at the end."""
    if history.io[ROW] >= history.io[ROWS]:
        return NEVER
    return history.tape[history.io[ROW] * TAPE_WORDS + 2]


@inner_kernel
def run_history(venue: Exchange, history: PlayedHistory, until_ns: int, max_rows: int) -> int:
    """The tape up to exchange time `until_ns` (inclusive), at most `max_rows`. Returns the rows worked; fewer mean that it has caught up."""
    tape = history.tape
    for done in range(max_rows):
        ts = next_row_ts(history)
        if ts > until_ns:
            return done
        pass_time(venue, ts)
        base = history.io[ROW] * TAPE_WORDS
        history.io[ROW] += 1
        instrument, kind = frame_instrument(tape[base]), frame_type(tape[base])
        if kind == _TRADE:
            _print(venue, history, instrument, tape[base + 4], tape[base + 5], tape[base + 6])
        else:
            n = _changes_of_quote(history, instrument, tape, base + 3) if kind == _BBO else _change_of_depth(history, tape, base + 3)
            _carry_out_changes(venue, history, instrument, n)
        venue.state[0].n_arrivals += 1
    return max_rows
