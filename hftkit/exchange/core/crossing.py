"""The meeting of an order with the book: reports, prices it would take, trades level by level, oldest order first. matching.py decides what may meet.

An order takes the best level first, each level from its oldest order on, until it is done, the price is no longer acceptable, or one of the two may
not trade (reduce-only, self-trade prevention). Everything that happens becomes a REPORT row. Arrays: books.py; queues: queues.py. The rules that are
not obvious stand in matching.py.
"""

from __future__ import annotations

import numpy as np

from hftkit.codes import OrderFlag, Reject, Side
from hftkit.exchange.core.books import Books
from hftkit.exchange.core.ladder import level_above, level_below
from hftkit.exchange.core.layout import WAITING, ReportKind
from hftkit.exchange.core.queues import add_open, release_slot, stop_waiting, unlink
from hftkit.exchange.core.records import CommandRecord, LevelRecord, ReportArray, RestingRecord, TopRecord
from hftkit.kernels.jit import inlined_kernel, inner_kernel

_BUY = int(Side.BUY)
_REDUCE_ONLY = int(OrderFlag.REDUCE_ONLY)
_EXPIRE_TAKER, _EXPIRE_MAKER = int(OrderFlag.EXPIRE_TAKER), int(OrderFlag.EXPIRE_MAKER)
_PREVENTION = _EXPIRE_TAKER | _EXPIRE_MAKER
_TRADE, _CANCELED, _LEVEL = int(ReportKind.TRADE), int(ReportKind.CANCELED), int(ReportKind.LEVEL)
_OK, _SELF_TRADE, _NOT_REDUCING = int(Reject.NONE), int(Reject.BOOK_SELF_TRADE), int(Reject.VENUE_REDUCE_ONLY)


# -- reports ---------------------------------------------------------------------------------------------------------


@inlined_kernel
def answer(reports: ReportArray, n: int, kind: int, command: CommandRecord, order_id: int, qty: int, leaves: int, filled: int, reason: int) -> int:
    """A report about an order that is not (or no longer) in a slot: quantities in lots. Returns the reports written."""
    row = reports[n]
    row.kind, row.instrument, row.account = kind, command.instrument, command.account
    row.client_order_id, row.order_id, row.side = command.client_order_id, order_id, command.side
    row.price, row.qty, row.leaves, row.filled, row.reason = command.price, qty, leaves, filled, reason
    return n + 1


@inlined_kernel
def level_report(reports: ReportArray, n: int, instrument: int, side: int, price: int, qty: int) -> int:
    """LEVEL: `qty` lots stand at a price now. Returns the reports written."""
    row = reports[n]
    row.kind, row.instrument, row.side, row.price, row.qty = _LEVEL, instrument, side, price, qty
    return n + 1


@inlined_kernel
def _canceled_report(reports: ReportArray, n: int, order: RestingRecord, reason: int) -> int:
    """CANCELED for all that is open of an order that still has its slot."""
    row = reports[n]
    row.kind, row.instrument, row.account = _CANCELED, order.instrument, order.account
    row.client_order_id, row.order_id, row.side = order.client_order_id, order.order_id, order.side
    row.price, row.qty, row.leaves, row.filled, row.reason = order.price, order.leaves, 0, order.filled, reason
    return n + 1


@inner_kernel
def end_order(books: Books, reports: ReportArray, n: int, slot: int, reason: int) -> int:
    """Cancel an open order: CANCELED, and the level it leaves if it was in the book."""
    order = books.orders[slot]
    n = _canceled_report(reports, n, order, reason)
    if order.flags & WAITING:
        stop_waiting(books, slot)
        release_slot(books, slot)
        return n
    instrument, side, price = np.int64(order.instrument), np.int64(order.side), order.price
    total = unlink(books, slot)
    release_slot(books, slot)
    return level_report(reports, n, instrument, side, price, total)


# -- matching --------------------------------------------------------------------------------------------------------


@inlined_kernel
def would_take(top: TopRecord, side: int, limit: int) -> bool:
    """Would an order of this side with this limit, ticks, trade at once?"""
    if side == _BUY:
        return top.ask != 0 and top.ask <= limit
    return top.bid != 0 and top.bid >= limit


@inlined_kernel
def reducible(books: Books, account: int, instrument: int, side: int) -> int:
    """Lots that an order of this side may trade without the position passing zero or growing."""
    position = books.exposures[account, instrument].position
    return max(0, -position if side == _BUY else position)


@inlined_kernel
def _rests_to_reduce(order: RestingRecord, instrument: int, side: int) -> bool:
    """Is it a reduce-only order of this instrument and side that rests in the book?"""
    return order.instrument == instrument and order.side == side and order.flags & (_REDUCE_ONLY | WAITING) == _REDUCE_ONLY


@inner_kernel
def room_to_reduce(books: Books, account: int, instrument: int, side: int, price: int, slot: int) -> int:
    """Lots that a reduce-only order of this side and price, ticks, may have open: what those before it leave of the position.

    Before it: the account's reduce-only orders that rest at this price or a better one, without the order in `slot`.
    """
    room = reducible(books, account, instrument, side)
    exposure = books.exposures[account, instrument]
    other = np.int64(books.owners[account].first)
    if room == 0 or (exposure.reducing_bid if side == _BUY else exposure.reducing_ask) == 0:
        return room
    while other != 0:
        order = books.orders[other]
        if other != slot and _rests_to_reduce(order, instrument, side) and (order.price >= price if side == _BUY else order.price <= price):
            room -= order.leaves
        other = np.int64(order.own_next)
    return max(0, room)


@inner_kernel
def last_to_reduce(books: Books, account: int, instrument: int, side: int) -> int:
    """Slot of an account's resting reduce-only order of this side that comes last: at the worst price the newest. 0 if there is none."""
    found, price, slot = np.int64(0), 0, np.int64(books.owners[account].first)
    while slot != 0:
        order = books.orders[slot]
        if _rests_to_reduce(order, instrument, side) and (found == 0 or (order.price < price if side == _BUY else order.price > price)):
            found, price = slot, order.price
        slot = np.int64(order.own_next)
    if found == 0:
        return 0
    slot = np.int64(books.levels[instrument, price - books.tops[instrument].base].tail)
    while books.orders[slot].account != account or books.orders[slot].flags & _REDUCE_ONLY == 0:
        slot = np.int64(books.orders[slot].prev)
    return int(slot)


@inner_kernel
def _sure_lots(books: Books, level: LevelRecord, command: CommandRecord, wanted: int) -> tuple[int, bool]:
    """What a FOK order is sure to get of one level, at most about `wanted`. Returns (lots, may it look further?)."""
    found, slot = 0, np.int64(level.head)
    while slot != 0 and found < wanted:
        order = books.orders[slot]
        if order.account == command.account and command.flags & _PREVENTION:
            if command.flags & _EXPIRE_TAKER:
                return found, False
        elif order.flags & _REDUCE_ONLY == 0:
            found += order.leaves
        slot = np.int64(order.next)
    return found, True


@inner_kernel
def available(books: Books, command: CommandRecord, limit: int, wanted: int) -> bool:
    """Can `wanted` lots surely be taken at `limit` or better?"""
    side, instrument = command.side, command.instrument
    top = books.tops[instrument]
    bitmap = books.bitmaps[instrument, 1 - side]
    index = (top.ask if side == _BUY else top.bid) - top.base
    look_closely = command.flags & _PREVENTION != 0 or top.n_reducing > 0
    further = would_take(top, side, limit)
    while further and wanted > 0 and index >= 0:
        price = top.base + index
        if (side == _BUY and price > limit) or (side != _BUY and price < limit):
            break
        if look_closely:
            found, further = _sure_lots(books, books.levels[instrument, index], command, wanted)
            wanted -= found
        else:
            wanted -= books.levels[instrument, index].qty
        index = level_above(bitmap, index) if side == _BUY else level_below(bitmap, index)
    return wanted <= 0


@inlined_kernel
def trade(books: Books, command: CommandRecord, reports: ReportArray, n: int, order_id: int, maker: RestingRecord, qty: int, leaves: int) -> int:
    """`qty` lots change hands at the maker's price; `leaves` are then open of the taker. The maker stays in its queue."""
    counters = books.counters[0]
    maker.leaves -= qty
    maker.filled += qty
    add_open(books, maker, -qty)
    signed = qty if command.side == _BUY else -qty
    books.exposures[command.account, command.instrument].position += signed
    books.exposures[maker.account, command.instrument].position -= signed
    counters.last_trade_id += 1
    counters.n_trades += 1
    row = reports[n]
    row.kind, row.instrument, row.account = _TRADE, command.instrument, command.account
    row.client_order_id, row.order_id, row.side = command.client_order_id, order_id, command.side
    row.price, row.qty, row.leaves, row.filled, row.reason = maker.price, qty, leaves, command.qty - leaves, _OK
    row.trade_id, row.maker_account = counters.last_trade_id, maker.account
    row.maker_client_order_id, row.maker_order_id = maker.client_order_id, maker.order_id
    row.maker_leaves, row.maker_filled = maker.leaves, maker.filled
    return n + 1


@inner_kernel
def _meet(
    books: Books, command: CommandRecord, reports: ReportArray, n: int, order_id: int, slot: int, leaves: int, floor: int
) -> tuple[int, int, int]:
    """The taker meets the first order of a queue: they trade, or one of them may not. Returns (reports, taker's lots open, Reject code)."""
    maker, level = books.orders[slot], books.levels[command.instrument, books.orders[slot].price - books.tops[command.instrument].base]
    reason, end_maker, qty = _OK, _OK, min(leaves - floor, maker.leaves)
    if command.flags & _PREVENTION and maker.account == command.account:
        qty = 0
        reason = _SELF_TRADE if command.flags & _EXPIRE_TAKER else _OK
        end_maker = _SELF_TRADE if command.flags & _EXPIRE_MAKER else _OK
    elif maker.flags & _REDUCE_ONLY:
        allowed = reducible(books, maker.account, command.instrument, 1 - command.side)
        qty = min(qty, allowed)
    if qty > 0:
        leaves -= qty
        level.qty -= qty
        n = trade(books, command, reports, n, order_id, maker, qty, leaves)
    if maker.flags & _REDUCE_ONLY and end_maker == _OK and reason == _OK:
        if reducible(books, maker.account, command.instrument, 1 - command.side) == 0:
            end_maker = _NOT_REDUCING
    if maker.leaves == 0:
        unlink(books, slot)
        release_slot(books, slot)
    elif end_maker != _OK:
        n = _canceled_report(reports, n, maker, end_maker)
        unlink(books, slot)
        release_slot(books, slot)
    return n, leaves, reason


@inner_kernel
def _take_level(
    books: Books, command: CommandRecord, reports: ReportArray, n: int, order_id: int, price: int, leaves: int, floor: int
) -> tuple[int, int, int]:
    """Trade with one price level, oldest order first, then report the level. Returns (reports written, lots open, Reject code)."""
    level = books.levels[command.instrument, price - books.tops[command.instrument].base]
    before, reason = level.qty, _OK
    while leaves > floor and level.head != 0 and reason == _OK:
        n, leaves, reason = _meet(books, command, reports, n, order_id, np.int64(level.head), leaves, floor)
    if level.qty != before:
        n = level_report(reports, n, command.instrument, 1 - command.side, price, level.qty)
    return n, leaves, reason


@inner_kernel
def match_order(
    books: Books, command: CommandRecord, reports: ReportArray, n: int, order_id: int, limit: int, leaves: int, floor: int
) -> tuple[int, int, int]:
    """Trade until `floor` lots are left. Returns (reports written, lots open, why it had to stop: a Reject code or 0)."""
    top = books.tops[command.instrument]
    first_trade, reason = books.counters[0].last_trade_id, _OK
    last = top.last
    while leaves > floor and reason == _OK and would_take(top, command.side, limit):
        last = top.ask if command.side == _BUY else top.bid
        n, leaves, reason = _take_level(books, command, reports, n, order_id, last, leaves, floor)
        if books.counters[0].last_trade_id != first_trade:
            top.last = last
            first_trade = books.counters[0].last_trade_id
    return n, leaves, reason
