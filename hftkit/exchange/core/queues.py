"""Where open orders stand: slots, the queues of the price levels, the queues of the triggers, and each account's chain.

A level is a doubly linked first-in-first-out queue through the order slots; a three-level bitmap gives the next best level. Waiting orders
stand in the same kind of queue, at their trigger price. Every operation is O(1), but for the heap of dates.
"""

from __future__ import annotations

import numpy as np

from hftkit.codes import OrderFlag, OrderType, Side
from hftkit.exchange.core.books import ASKS, BIDS, DOWN, UP, Books
from hftkit.exchange.core.dates import add_date, drop_date
from hftkit.exchange.core.ladder import clear_level, highest_level, insert_key, lowest_level, mark_level, remove_key
from hftkit.exchange.core.layout import TIMED, WAITING
from hftkit.exchange.core.records import CommandRecord, LevelRecord, RestingRecord
from hftkit.kernels.jit import inlined_kernel, inner_kernel

_BUY = int(Side.BUY)
_REDUCE_ONLY = int(OrderFlag.REDUCE_ONLY)
_FLAGS = sum(int(flag) for flag in OrderFlag)
_STOP_MARKET, _STOP_LIMIT = int(OrderType.STOP_MARKET), int(OrderType.STOP_LIMIT)


# -- slots -----------------------------------------------------------------------------------------------------------


@inlined_kernel
def full(books: Books) -> bool:
    """Is every slot taken?"""
    return books.counters[0].free == 0 and books.counters[0].high_water >= books.orders.size - 1


@inner_kernel
def take_slot(books: Books, command: CommandRecord, order_id: int, leaves: int) -> int:
    """A slot for an accepted order of which `leaves` lots are open, known by its key and in its account's chain. Not yet in a queue."""
    counters, owner = books.counters[0], books.owners[command.account]
    slot = int(counters.free)
    if slot != 0:
        counters.free = books.orders[slot].next
    else:
        counters.high_water += 1
        slot = counters.high_water
    counters.n_open += 1
    order = books.orders[slot]
    order.order_id, order.client_order_id, order.price = order_id, command.client_order_id, command.price
    order.leaves, order.filled = leaves, command.qty - leaves
    order.account, order.instrument, order.side, order.flags = command.account, command.instrument, command.side, command.flags & _FLAGS
    order.own_next, order.own_prev = 0, owner.last
    if owner.last != 0:
        books.orders[owner.last].own_next = slot
    else:
        owner.first = slot
    owner.last = slot
    owner.n_open += 1
    insert_key(books.table, command.account, command.client_order_id, slot)
    return slot


@inner_kernel
def release_slot(books: Books, slot: int) -> None:
    """The order is no more: forget its key, its date, its place in the account's chain. It is in no queue any longer."""
    order, counters = books.orders[slot], books.counters[0]
    owner = books.owners[order.account]
    remove_key(books.table, order.account, order.client_order_id)
    if order.flags & TIMED:
        drop_date(books, slot)
    if order.own_prev != 0:
        books.orders[order.own_prev].own_next = order.own_next
    else:
        owner.first = order.own_next
    if order.own_next != 0:
        books.orders[order.own_next].own_prev = order.own_prev
    else:
        owner.last = order.own_prev
    owner.n_open -= 1
    order.leaves = order.prev = 0
    order.next = counters.free
    counters.free = slot
    counters.n_open -= 1


@inner_kernel
def set_date(books: Books, slot: int, expire_ts: int) -> None:
    """Give an order its date (exchange time, ns)."""
    books.orders[slot].flags |= TIMED
    add_date(books, slot, expire_ts)


# -- queues ----------------------------------------------------------------------------------------------------------


@inlined_kernel
def _append(books: Books, level: LevelRecord, slot: int) -> None:
    order = books.orders[slot]
    order.next, order.prev = 0, level.tail
    if level.head == 0:
        level.head = slot
    else:
        books.orders[level.tail].next = slot
    level.tail = slot
    level.qty += order.leaves


@inlined_kernel
def _take_out(books: Books, level: LevelRecord, slot: int) -> None:
    order = books.orders[slot]
    if order.prev != 0:
        books.orders[order.prev].next = order.next
    else:
        level.head = order.next
    if order.next != 0:
        books.orders[order.next].prev = order.prev
    else:
        level.tail = order.prev
    level.qty -= order.leaves


@inlined_kernel
def add_open(books: Books, order: RestingRecord, lots: int) -> None:
    """`lots` more (or less) of a resting order are open: its account's exposure. Reduce-only orders are counted apart."""
    exposure = books.exposures[order.account, order.instrument]
    if order.flags & _REDUCE_ONLY:
        if order.side == _BUY:
            exposure.reducing_bid += lots
        else:
            exposure.reducing_ask += lots
    elif order.side == _BUY:
        exposure.open_bid += lots * order.price
    else:
        exposure.open_ask += lots * order.price


@inner_kernel
def remove_level(books: Books, instrument: int, side: int, index: int) -> None:
    """The last order of a price level has gone: the best price may be another one."""
    top = books.tops[instrument]
    clear_level(books.bitmaps[instrument, side], index)
    if side == _BUY:
        top.n_bid -= 1
        if top.bid == top.base + index:
            level = highest_level(books.bitmaps[instrument, BIDS])
            top.bid = top.base + level if level >= 0 else 0
    else:
        top.n_ask -= 1
        if top.ask == top.base + index:
            level = lowest_level(books.bitmaps[instrument, ASKS])
            top.ask = top.base + level if level >= 0 else 0


@inner_kernel
def enqueue(books: Books, slot: int) -> int:
    """Put an order at the end of its price's queue. Returns the level's new total in lots."""
    order = books.orders[slot]
    instrument, side = np.int64(order.instrument), np.int64(order.side)
    top = books.tops[instrument]
    index = order.price - top.base
    level = books.levels[instrument, index]
    if level.head == 0:
        mark_level(books.bitmaps[instrument, side], index)
        if side == _BUY:
            top.n_bid += 1
            top.bid = max(top.bid, order.price)
        else:
            top.n_ask += 1
            if top.ask == 0 or order.price < top.ask:
                top.ask = order.price
    _append(books, level, slot)
    add_open(books, order, order.leaves)
    top.n_orders += 1
    if order.flags & _REDUCE_ONLY:
        top.n_reducing += 1
    return level.qty


@inner_kernel
def unlink(books: Books, slot: int) -> int:
    """Take an order out of its price's queue; the slot stays. Returns the level's new total in lots."""
    order = books.orders[slot]
    instrument, side = np.int64(order.instrument), np.int64(order.side)
    top = books.tops[instrument]
    index = order.price - top.base
    level = books.levels[instrument, index]
    _take_out(books, level, slot)
    if level.head == 0:
        remove_level(books, instrument, side, index)
    add_open(books, order, -order.leaves)
    top.n_orders -= 1
    if order.flags & _REDUCE_ONLY:
        top.n_reducing -= 1
    return level.qty


# -- triggers --------------------------------------------------------------------------------------------------------


@inlined_kernel
def waits_for_rise(order_type: int, side: int) -> bool:
    """A buy stop and a sell take-profit wait for the price to rise, the other two for it to fall."""
    return (order_type == _STOP_MARKET or order_type == _STOP_LIMIT) == (side == _BUY)


@inlined_kernel
def _refresh_trigger(books: Books, instrument: int, row: int) -> None:
    top = books.tops[instrument]
    if row == UP:
        level = lowest_level(books.bitmaps[instrument, UP])
        top.up = top.base + level if level >= 0 else 0
    else:
        level = highest_level(books.bitmaps[instrument, DOWN])
        top.down = top.base + level if level >= 0 else 0


@inner_kernel
def wait(books: Books, slot: int, command: CommandRecord) -> None:
    """Put an order into the queue of its trigger price."""
    order, condition = books.orders[slot], books.conditions[slot]
    order.flags |= WAITING
    order.price = command.trigger_price
    condition.limit_price, condition.order_type, condition.time_in_force = command.price, command.order_type, command.time_in_force
    row = UP if waits_for_rise(command.order_type, command.side) else DOWN
    index = order.price - books.tops[command.instrument].base
    _append(books, books.triggers[command.instrument, row - UP, index], slot)
    mark_level(books.bitmaps[command.instrument, row], index)
    _refresh_trigger(books, command.instrument, row)


@inner_kernel
def stop_waiting(books: Books, slot: int) -> None:
    """Take an order out of the queue of its trigger price; the slot stays."""
    order = books.orders[slot]
    instrument = np.int64(order.instrument)
    row = UP if waits_for_rise(books.conditions[slot].order_type, np.int64(order.side)) else DOWN
    index = order.price - books.tops[instrument].base
    level = books.triggers[instrument, row - UP, index]
    _take_out(books, level, slot)
    if level.head == 0:
        clear_level(books.bitmaps[instrument, row], index)
        _refresh_trigger(books, instrument, row)


@inner_kernel
def due_trigger(books: Books, instrument: int) -> int:
    """Slot of the next waiting order that the last price has reached, 0 if there is none: rises first, then the trigger nearest to the past."""
    top = books.tops[instrument]
    if top.last == 0:
        return 0
    if top.up != 0 and top.up <= top.last:
        return int(books.triggers[instrument, 0, top.up - top.base].head)
    if top.down != 0 and top.down >= top.last:
        return int(books.triggers[instrument, 1, top.down - top.base].head)
    return 0
