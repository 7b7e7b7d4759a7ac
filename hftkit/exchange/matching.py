"""Price-time priority matching, every resting order kept: the compiled engine. Its readable twin is matching_plain.py.

What it owns: `Books`, the arrays of all instruments. `apply` carries out one command and writes what happened as REPORT
rows: first ACK (or REJECT, and nothing has changed), then trades, each emptied or changed price level after its trades,
then what became of the rest. Fixed capacity: when no slot is free, an order that might rest is refused with BOOK_FULL.

Shape: prices index a ladder of levels (a window of ticks), each level is a doubly linked first-in-first-out queue through
the order slots, a three-level bitmap gives the next best level, a hash table gives the slot of (account, client_order_id).
Every operation is O(1) but for the orders it trades with. Prices outside the window are refused.

Cost of an order: about one cache line for the slot, one for the key, one for the level.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hftkit.codes import OrderFlag, OrderType, Reject, Side, TimeInForce
from hftkit.errors import ConfigError
from hftkit.exchange.ladder import clear_level, find_key, highest_level, insert_key, level_above, level_below, lowest_level, mark_level, remove_key
from hftkit.exchange.layout import BITMAP_WORDS, COMMAND, COUNTERS, KEY, LADDER_TICKS, LEVEL, REPORT, RESTING, TOP, Op, ReportKind
from hftkit.kernels.jit import inlined_kernel, inner_kernel, kernel

_BUY = int(Side.BUY)
_MARKET = int(OrderType.MARKET)
_GTC, _FOK = int(TimeInForce.GTC), int(TimeInForce.FOK)
_POST_ONLY = int(OrderFlag.POST_ONLY)
_NEW, _CANCEL = int(Op.NEW), int(Op.CANCEL)
_ACK, _REJECT, _TRADE = int(ReportKind.ACK), int(ReportKind.REJECT), int(ReportKind.TRADE)
_CANCELED, _CANCEL_REJECT, _LEVEL = int(ReportKind.CANCELED), int(ReportKind.CANCEL_REJECT), int(ReportKind.LEVEL)
_OK = int(Reject.NONE)
_BAD_QTY, _DUPLICATE = int(Reject.VENUE_BAD_QTY), int(Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID)
_FULL, _WOULD_TAKE, _UNKNOWN = int(Reject.BOOK_FULL), int(Reject.BOOK_POST_ONLY_WOULD_TAKE), int(Reject.BOOK_UNKNOWN_ORDER)
_NO_LIQUIDITY, _NOT_FILLABLE = int(Reject.BOOK_NO_LIQUIDITY), int(Reject.BOOK_FOK_NOT_FILLABLE)
_OUT_OF_RANGE = int(Reject.BOOK_PRICE_OUT_OF_RANGE)


class Books(NamedTuple):
    """All books of the exchange: plain arrays, allocated once by `new_books`."""

    orders: np.ndarray  # RESTING (1 + capacity,), slot 0 unused
    levels: np.ndarray  # LEVEL (n_instruments, ladder ticks)
    bitmaps: np.ndarray  # int64 (n_instruments, 2 sides, BITMAP_WORDS)
    table: np.ndarray  # KEY (power of two >= 2 * capacity,)
    tops: np.ndarray  # TOP (n_instruments,)
    counters: np.ndarray  # COUNTERS (1,)


def new_books(reference_prices: Any, capacity: int, ladder_ticks: int = LADDER_TICKS) -> Books:
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
    return Books(
        orders=np.zeros(1 + capacity, RESTING.dtype),
        levels=np.zeros((n, ladder_ticks), LEVEL.dtype),
        bitmaps=np.zeros((n, 2, BITMAP_WORDS), np.int64),
        table=np.zeros(max(16, 1 << (2 * capacity - 1).bit_length()), KEY.dtype),
        tops=tops,
        counters=np.zeros(1, COUNTERS.dtype),
    )


def new_reports(books: Books) -> np.ndarray:
    """A REPORT array that no single command can overflow: a trade and a level for each resting order, and a few more."""
    return np.zeros(2 * books.orders.size + 8, REPORT.dtype)


def new_commands(n: int) -> np.ndarray:
    """A zeroed COMMAND array (n,)."""
    return np.zeros(n, COMMAND.dtype)


# -- reports ---------------------------------------------------------------------------------------------------------


@inlined_kernel
def _answer(reports: Any, n: int, kind: int, command: Any, order_id: int, qty: int, leaves: int, filled: int, reason: int) -> int:
    row = reports[n]
    row.kind, row.instrument, row.account = kind, command.instrument, command.account
    row.client_order_id, row.order_id, row.side = command.client_order_id, order_id, command.side
    row.price, row.qty, row.leaves, row.filled, row.reason = command.price, qty, leaves, filled, reason
    return n + 1


@inlined_kernel
def _level_report(reports: Any, n: int, instrument: int, side: int, price: int, qty: int) -> int:
    row = reports[n]
    row.kind, row.instrument, row.side, row.price, row.qty = _LEVEL, instrument, side, price, qty
    return n + 1


# -- queue operations ------------------------------------------------------------------------------------------------


@inlined_kernel
def _refresh_best(books: Books, instrument: int, side: int) -> None:
    top = books.tops[instrument]
    if side == _BUY:
        level = highest_level(books.bitmaps[instrument, 0])
        top.bid = top.base + level if level >= 0 else 0
    else:
        level = lowest_level(books.bitmaps[instrument, 1])
        top.ask = top.base + level if level >= 0 else 0


@inner_kernel
def _remove_level(books: Books, instrument: int, side: int, index: int) -> None:
    top = books.tops[instrument]
    clear_level(books.bitmaps[instrument, side], index)
    if side == _BUY:
        top.n_bid -= 1
        if top.bid == top.base + index:
            _refresh_best(books, instrument, side)
    else:
        top.n_ask -= 1
        if top.ask == top.base + index:
            _refresh_best(books, instrument, side)


@inlined_kernel
def _release_slot(books: Books, slot: int) -> None:
    order = books.orders[slot]
    order.leaves = 0
    order.next = books.counters[0].free
    order.prev = 0
    books.counters[0].free = slot
    books.counters[0].n_open -= 1
    books.tops[order.instrument].n_orders -= 1


@inner_kernel
def _unlink(books: Books, slot: int) -> int:
    """Take an order out of its queue (the slot and the key stay). Returns the level's new total."""
    order = books.orders[slot]
    instrument, side = np.int64(order.instrument), np.int64(order.side)
    index = order.price - books.tops[instrument].base
    level = books.levels[instrument, index]
    if order.prev != 0:
        books.orders[order.prev].next = order.next
    else:
        level.head = order.next
    if order.next != 0:
        books.orders[order.next].prev = order.prev
    else:
        level.tail = order.prev
    level.qty -= order.leaves
    if level.head == 0:
        _remove_level(books, instrument, side, index)
    return level.qty


@inner_kernel
def _enqueue(books: Books, slot: int, ts: int) -> int:
    """Put an order at the end of its price's queue. Returns the level's new total."""
    order = books.orders[slot]
    instrument, side = np.int64(order.instrument), np.int64(order.side)
    top = books.tops[instrument]
    index = order.price - top.base
    level = books.levels[instrument, index]
    order.ts = ts
    order.next = 0
    order.prev = level.tail
    if level.head == 0:
        level.head = slot
        mark_level(books.bitmaps[instrument, side], index)
        if side == _BUY:
            top.n_bid += 1
            if order.price > top.bid:
                top.bid = order.price
        else:
            top.n_ask += 1
            if top.ask == 0 or order.price < top.ask:
                top.ask = order.price
    else:
        books.orders[level.tail].next = slot
    level.tail = slot
    level.qty += order.leaves
    return level.qty


@inner_kernel
def _take_slot(books: Books) -> int:
    counters = books.counters[0]
    slot = counters.free
    if slot != 0:
        counters.free = books.orders[slot].next
    else:
        counters.high_water += 1
        slot = counters.high_water
    counters.n_open += 1
    return slot


# -- matching --------------------------------------------------------------------------------------------------------


@inlined_kernel
def _would_take(top: Any, side: int, limit: int) -> bool:
    if side == _BUY:
        return top.ask != 0 and top.ask <= limit
    return top.bid != 0 and top.bid >= limit


@inner_kernel
def _available(books: Books, instrument: int, side: int, limit: int, wanted: int) -> bool:
    """Can `wanted` lots be taken at `limit` or better?"""
    top = books.tops[instrument]
    bitmap = books.bitmaps[instrument, 1 - side]
    index = (top.ask if side == _BUY else top.bid) - top.base
    while _would_take(top, side, limit) and wanted > 0 and index >= 0:
        price = top.base + index
        if (side == _BUY and price > limit) or (side != _BUY and price < limit):
            break
        wanted -= books.levels[instrument, index].qty
        index = level_above(bitmap, index) if side == _BUY else level_below(bitmap, index)
    return wanted <= 0


@inner_kernel
def _take_level(books: Books, command: Any, reports: Any, n: int, order_id: int, price: int, leaves: int) -> tuple[int, int]:
    """Trade with one price level, oldest order first, then report the level. Returns (reports written, lots still wanted)."""
    instrument = command.instrument
    index = price - books.tops[instrument].base
    level = books.levels[instrument, index]
    counters = books.counters[0]
    while leaves > 0 and level.head != 0:
        slot = np.int64(level.head)
        maker = books.orders[slot]
        qty = min(leaves, maker.leaves)
        leaves -= qty
        maker.leaves -= qty
        maker.filled += qty
        level.qty -= qty
        counters.last_trade_id += 1
        counters.n_trades += 1
        row = reports[n]
        row.kind, row.instrument, row.account = _TRADE, instrument, command.account
        row.client_order_id, row.order_id, row.side = command.client_order_id, order_id, command.side
        row.price, row.qty, row.leaves, row.filled, row.reason = price, qty, leaves, command.qty - leaves, _OK
        row.trade_id, row.maker_account = counters.last_trade_id, maker.account
        row.maker_client_order_id, row.maker_order_id = maker.client_order_id, maker.order_id
        row.maker_leaves, row.maker_filled = maker.leaves, maker.filled
        n += 1
        if maker.leaves == 0:
            level.head = maker.next
            if maker.next != 0:
                books.orders[maker.next].prev = 0
            else:
                level.tail = 0
            remove_key(books.table, maker.account, maker.client_order_id)
            _release_slot(books, slot)
    if level.head == 0:
        _remove_level(books, instrument, 1 - command.side, index)
    return _level_report(reports, n, instrument, 1 - command.side, price, level.qty), leaves


@inner_kernel
def _match(books: Books, command: Any, reports: Any, n: int, order_id: int, limit: int, leaves: int) -> tuple[int, int]:
    top = books.tops[command.instrument]
    while leaves > 0 and _would_take(top, command.side, limit):
        best = top.ask if command.side == _BUY else top.bid
        n, leaves = _take_level(books, command, reports, n, order_id, best, leaves)
    return n, leaves


@inlined_kernel
def _limit_of(books: Books, command: Any) -> int:
    """The worst price acceptable: a market order's is the far end of the window."""
    if command.order_type != _MARKET:
        return command.price
    base = books.tops[command.instrument].base
    return base + books.levels.shape[1] - 1 if command.side == _BUY else base


@inner_kernel
def _refusal(books: Books, command: Any) -> int:
    """Why a new order may not enter the book, 0 if it may. Changes nothing."""
    top = books.tops[command.instrument]
    limit = _limit_of(books, command)
    if command.qty <= 0:
        return _BAD_QTY
    if limit < top.base or limit >= top.base + books.levels.shape[1]:
        return _OUT_OF_RANGE
    if find_key(books.table, command.account, command.client_order_id) != 0:
        return _DUPLICATE
    if command.flags & _POST_ONLY and _would_take(top, command.side, limit):
        return _WOULD_TAKE
    if command.time_in_force == _FOK and not _available(books, command.instrument, command.side, limit, command.qty):
        return _NOT_FILLABLE
    rests = command.order_type != _MARKET and command.time_in_force == _GTC
    if rests and books.counters[0].free == 0 and books.counters[0].high_water >= books.orders.size - 1:
        return _FULL
    return _OK


@inner_kernel
def _new_order(books: Books, command: Any, reports: Any, ts: int) -> int:
    counters = books.counters[0]
    reason = _refusal(books, command)
    if reason != _OK:
        counters.n_rejects += 1
        return _answer(reports, 0, _REJECT, command, 0, command.qty, 0, 0, reason)
    counters.last_order_id += 1
    counters.n_orders += 1
    order_id = counters.last_order_id
    n = _answer(reports, 0, _ACK, command, order_id, command.qty, command.qty, 0, _OK)
    n, leaves = _match(books, command, reports, n, order_id, _limit_of(books, command), command.qty)
    if leaves == 0:
        return n
    if command.order_type == _MARKET or command.time_in_force != _GTC:
        return _answer(reports, n, _CANCELED, command, order_id, leaves, 0, command.qty - leaves, _NO_LIQUIDITY)
    slot = _take_slot(books)
    order = books.orders[slot]
    order.order_id, order.client_order_id, order.price = order_id, command.client_order_id, command.price
    order.leaves, order.filled = leaves, command.qty - leaves
    order.account, order.instrument, order.side, order.flags = command.account, command.instrument, command.side, command.flags
    insert_key(books.table, command.account, command.client_order_id, slot)
    books.tops[command.instrument].n_orders += 1
    total = _enqueue(books, slot, ts)
    return _level_report(reports, n, command.instrument, command.side, command.price, total)


@inner_kernel
def _cancel_order(books: Books, command: Any, reports: Any) -> int:
    slot = find_key(books.table, command.account, command.client_order_id)
    if slot == 0:
        books.counters[0].n_rejects += 1
        return _answer(reports, 0, _CANCEL_REJECT, command, 0, 0, 0, 0, _UNKNOWN)
    order = books.orders[slot]
    instrument, side, price, leaves = np.int64(order.instrument), np.int64(order.side), order.price, order.leaves
    total = _unlink(books, slot)
    remove_key(books.table, command.account, command.client_order_id)
    n = _answer(reports, 0, _CANCELED, command, order.order_id, leaves, 0, order.filled, _OK)
    row = reports[0]
    row.instrument, row.side, row.price = instrument, side, price  # a cancel names only the order
    _release_slot(books, slot)
    return _level_report(reports, n, instrument, side, price, total)


@inner_kernel
def _replace_refusal(books: Books, command: Any, slot: int) -> int:
    order = books.orders[slot]
    top = books.tops[order.instrument]
    if command.qty <= order.filled:
        return _BAD_QTY
    if command.price < top.base or command.price >= top.base + books.levels.shape[1]:
        return _OUT_OF_RANGE
    if order.flags & _POST_ONLY and _would_take(top, np.int64(order.side), command.price):
        return _WOULD_TAKE
    return _OK


@inner_kernel
def _replace_order(books: Books, command: Any, reports: Any, ts: int) -> int:
    """New price and total quantity. Priority stays only if the price stands and the quantity does not grow."""
    slot = find_key(books.table, command.account, command.client_order_id)
    reason = _UNKNOWN if slot == 0 else _replace_refusal(books, command, slot)
    if reason != _OK:
        books.counters[0].n_rejects += 1
        return _answer(reports, 0, _REJECT, command, 0, command.qty, 0, 0, reason)
    order = books.orders[slot]
    command.instrument, command.side, command.order_type = order.instrument, order.side, 0
    leaves = command.qty - order.filled
    n = _answer(reports, 0, _ACK, command, order.order_id, command.qty, leaves, order.filled, _OK)
    old_price = order.price
    if command.price == old_price and leaves <= order.leaves:
        level = books.levels[command.instrument, old_price - books.tops[command.instrument].base]
        level.qty -= order.leaves - leaves
        order.leaves = leaves
        return _level_report(reports, n, command.instrument, command.side, old_price, level.qty)
    total = _unlink(books, slot)
    if command.price != old_price:  # at the same price the level is reported once, with the order back in it
        n = _level_report(reports, n, command.instrument, command.side, old_price, total)
    n, left = _match(books, command, reports, n, order.order_id, command.price, leaves)
    if left == 0:
        remove_key(books.table, command.account, command.client_order_id)
        _release_slot(books, slot)
        return n
    order.price, order.leaves, order.filled = command.price, left, command.qty - left
    total = _enqueue(books, slot, ts)
    return _level_report(reports, n, command.instrument, command.side, command.price, total)


@kernel
def apply(command: Any, books: Books, reports: Any, ts: int) -> int:
    """Carry out one command at exchange time `ts` (ns). Returns the number of REPORT rows written from row 0.

    The caller has checked instrument, account, side, order type and time in force; price, quantity and identity are checked here.
    `command`: one COMMAND record (a replace fills in the order's instrument and side). `reports`: see `new_reports`.
    """
    if command.op == _NEW:
        return _new_order(books, command, reports, ts)
    if command.op == _CANCEL:
        return _cancel_order(books, command, reports)
    return _replace_order(books, command, reports, ts)


@kernel
def apply_all(commands: Any, books: Books, reports: Any, ts: int) -> int:
    """Carry out many commands, keeping only the reports of the last. Returns the number of reports written in all."""
    total = 0
    for i in range(commands.size):
        total += apply(commands[i], books, reports, ts + i)
    return total
