"""Price-time priority matching, every open order kept: the compiled engine. Its readable twin is matching_plain.py.

`apply` carries out one command and writes what happened as REPORT rows: first ACK (or REJECT, and nothing has changed), then trades, each
changed price level after its trades, then what became of the rest. What it did may leave no room for reduce-only orders, trades may wake waiting
orders, time may end dated ones: after each command the caller calls `shed` until it returns 0, then `fire_trigger` likewise (and `shed` after each),
and `expire` whenever time has passed. Each call is one event with its own reports.

Fixed capacity: when no slot is free, an order that might rest is refused with BOOK_FULL. Prices outside the window are refused.
Arrays: books.py; queues: queues.py. Every operation is O(1) but for the orders it trades with, and dates (O(log n)).
Cost of an order: about one cache line for the slot, one for the key, one for the level.

Rules that are not obvious:

* Reduce-only: all together, an account's resting ones never exceed its position. A new one is refused beyond what those before it (at its price or a
  better one) leave of the position; those after it, and those that a smaller or turned position has no room for, are ended, the last in line first:
  whole orders, none is cut. Within one event a resting one trades at most the position.
* Self-trade prevention is the taker's wish: its flags say who is cancelled when it meets its own account.
* FOK counts what it is sure to get: with prevention flags its own orders do not count, and reduce-only makers never do.
* A triggered order is a new order at that moment. What it may not do then (reduce-only, post-only, FOK) cancels it; of a reduce-only one
  larger than the position, the rest. A FOK order is never cut: it is cancelled.

What happens once an order meets the book: crossing.py.
"""

from __future__ import annotations

import numpy as np

from hftkit.codes import OrderFlag, OrderType, Reject, Side, TimeInForce
from hftkit.exchange.core.books import Books, new_books, new_commands, new_reports
from hftkit.exchange.core.crossing import (
    answer,
    available,
    end_order,
    last_to_reduce,
    level_report,
    match_order,
    reducible,
    room_to_reduce,
    trade,
    would_take,
)
from hftkit.exchange.core.dates import overdue
from hftkit.exchange.core.ladder import find_key
from hftkit.exchange.core.layout import TIMED, WAITING, Op, ReportKind
from hftkit.exchange.core.queues import (
    add_open,
    due_trigger,
    enqueue,
    full,
    release_slot,
    set_date,
    stop_waiting,
    take_slot,
    unlink,
    wait,
    waits_for_rise,
)
from hftkit.exchange.core.records import CommandArray, CommandRecord, ReportArray
from hftkit.kernels.jit import inlined_kernel, inner_kernel, kernel

__all__ = [
    "Books",
    "apply",
    "apply_all",
    "end_order",
    "expire",
    "fire_trigger",
    "level_report",
    "new_books",
    "new_commands",
    "new_reports",
    "reducible",
    "shed",
    "trade",
]

_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_LIMIT, _MARKET = int(OrderType.LIMIT), int(OrderType.MARKET)
_STOP_MARKET, _TAKE_PROFIT_MARKET = int(OrderType.STOP_MARKET), int(OrderType.TAKE_PROFIT_MARKET)
_GTC, _FOK, _GTD = int(TimeInForce.GTC), int(TimeInForce.FOK), int(TimeInForce.GTD)
_POST_ONLY, _REDUCE_ONLY = int(OrderFlag.POST_ONLY), int(OrderFlag.REDUCE_ONLY)
_NEW, _CANCEL, _REPLACE, _CANCEL_ALL = int(Op.NEW), int(Op.CANCEL), int(Op.REPLACE), int(Op.CANCEL_ALL)
_ACK, _REJECT, _TRIGGERED = int(ReportKind.ACK), int(ReportKind.REJECT), int(ReportKind.TRIGGERED)
_CANCELED, _CANCEL_REJECT = int(ReportKind.CANCELED), int(ReportKind.CANCEL_REJECT)
_OK = int(Reject.NONE)
_BAD_QTY, _DUPLICATE, _BAD_TYPE = int(Reject.VENUE_BAD_QTY), int(Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID), int(Reject.VENUE_BAD_TYPE)
_FULL, _WOULD_TAKE, _UNKNOWN = int(Reject.BOOK_FULL), int(Reject.BOOK_POST_ONLY_WOULD_TAKE), int(Reject.BOOK_UNKNOWN_ORDER)
_NO_LIQUIDITY, _NOT_FILLABLE = int(Reject.BOOK_NO_LIQUIDITY), int(Reject.BOOK_FOK_NOT_FILLABLE)
_OUT_OF_RANGE, _NOT_REDUCING = int(Reject.BOOK_PRICE_OUT_OF_RANGE), int(Reject.VENUE_REDUCE_ONLY)
_WOULD_TRIGGER, _EXPIRED = int(Reject.VENUE_WOULD_TRIGGER), int(Reject.VENUE_EXPIRED)


# -- new orders ------------------------------------------------------------------------------------------------------


@inlined_kernel
def _limit_of(books: Books, command: CommandRecord) -> int:
    """The worst price acceptable: a market order's is the far end of the window."""
    if command.order_type == _LIMIT:
        return command.price
    base = books.tops[command.instrument].base
    return base + books.levels.shape[1] - 1 if command.side == _BUY else base


@inlined_kernel
def _may_rest(command: CommandRecord) -> bool:
    return command.order_type == _LIMIT and (command.time_in_force == _GTC or command.time_in_force == _GTD)


@inlined_kernel
def _outside(books: Books, instrument: int, price: int) -> bool:
    base = books.tops[instrument].base
    return price < base or price >= base + books.levels.shape[1]


@inner_kernel
def _refused_now(books: Books, command: CommandRecord, limit: int) -> int:
    """Why an order may not meet the book at this moment, 0 if it may."""
    if command.flags & _POST_ONLY and would_take(books.tops[command.instrument], command.side, limit):
        return _WOULD_TAKE
    if command.time_in_force == _FOK and not available(books, command, limit, command.qty):
        return _NOT_FILLABLE
    return _OK


@inner_kernel
def _refusal(books: Books, command: CommandRecord, ts: int) -> int:
    """Why a new order may not enter the book, 0 if it may. Changes nothing."""
    limit = _limit_of(books, command)
    if command.qty <= 0:
        return _BAD_QTY
    if _outside(books, command.instrument, limit):
        return _OUT_OF_RANGE
    if find_key(books.table, command.account, command.client_order_id) != 0:
        return _DUPLICATE
    if command.time_in_force == _GTD and command.expire_ts <= ts:
        return _EXPIRED
    if command.flags & _REDUCE_ONLY and command.qty > room_to_reduce(books, command.account, command.instrument, command.side, limit, 0):
        return _NOT_REDUCING
    reason = _refused_now(books, command, limit)
    if reason == _OK and _may_rest(command) and full(books):
        return _FULL
    return reason


@inner_kernel
def _enter(books: Books, command: CommandRecord, reports: ReportArray, n: int, order_id: int, wanted: int) -> int:
    """Match an accepted order for `wanted` of its lots; what is left then rests if it may, else it is cancelled."""
    n, leaves, reason = match_order(books, command, reports, n, order_id, _limit_of(books, command), command.qty, command.qty - wanted)
    if leaves == 0:
        return n
    if reason == _OK and wanted < command.qty:
        reason = _NOT_REDUCING
    elif reason == _OK and not _may_rest(command):
        reason = _NO_LIQUIDITY
    if reason != _OK:
        return answer(reports, n, _CANCELED, command, order_id, leaves, 0, command.qty - leaves, reason)
    slot = take_slot(books, command, order_id, leaves)
    if command.time_in_force == _GTD:
        set_date(books, slot, command.expire_ts)
    total = enqueue(books, slot)
    return level_report(reports, n, command.instrument, command.side, command.price, total)


@inlined_kernel
def _accept(books: Books, command: CommandRecord, reports: ReportArray, n: int) -> int:
    counters = books.counters[0]
    counters.last_order_id += 1
    counters.n_orders += 1
    return answer(reports, n, _ACK, command, counters.last_order_id, command.qty, command.qty, 0, _OK)


@inlined_kernel
def _refuse(books: Books, command: CommandRecord, reports: ReportArray, n: int, reason: int) -> int:
    books.counters[0].n_rejects += 1
    return answer(reports, n, _REJECT, command, 0, command.qty, 0, 0, reason)


@inner_kernel
def _waiting_refusal(books: Books, command: CommandRecord, ts: int) -> int:
    top = books.tops[command.instrument]
    is_limit = command.order_type != _STOP_MARKET and command.order_type != _TAKE_PROFIT_MARKET
    if command.qty <= 0:
        return _BAD_QTY
    if _outside(books, command.instrument, command.trigger_price) or (is_limit and _outside(books, command.instrument, command.price)):
        return _OUT_OF_RANGE
    if find_key(books.table, command.account, command.client_order_id) != 0:
        return _DUPLICATE
    if command.time_in_force == _GTD and command.expire_ts <= ts:
        return _EXPIRED
    if top.last != 0:
        rise = waits_for_rise(command.order_type, command.side)
        if (rise and top.last >= command.trigger_price) or (not rise and top.last <= command.trigger_price):
            return _WOULD_TRIGGER
    return _FULL if full(books) else _OK


@inner_kernel
def _new_order(books: Books, command: CommandRecord, reports: ReportArray, n: int, ts: int) -> int:
    if command.order_type == _LIMIT or command.order_type == _MARKET:
        reason = _refusal(books, command, ts)
        if reason != _OK:
            return _refuse(books, command, reports, n, reason)
        n = _accept(books, command, reports, n)
        return _enter(books, command, reports, n, books.counters[0].last_order_id, command.qty)
    reason = _waiting_refusal(books, command, ts)
    if reason != _OK:
        return _refuse(books, command, reports, n, reason)
    n = _accept(books, command, reports, n)
    slot = take_slot(books, command, books.counters[0].last_order_id, command.qty)
    if command.time_in_force == _GTD:
        set_date(books, slot, command.expire_ts)
    wait(books, slot, command)
    return n


# -- cancel, replace, quote ------------------------------------------------------------------------------------------


@inner_kernel
def _cancel_order(books: Books, command: CommandRecord, reports: ReportArray) -> int:
    slot = find_key(books.table, command.account, command.client_order_id)
    if slot == 0:
        books.counters[0].n_rejects += 1
        return answer(reports, 0, _CANCEL_REJECT, command, 0, 0, 0, 0, _UNKNOWN)
    return end_order(books, reports, 0, slot, _OK)


@inner_kernel
def _cancel_all(books: Books, command: CommandRecord, reports: ReportArray) -> int:
    n, slot = 0, np.int64(books.owners[command.account].first)
    while slot != 0:
        following = np.int64(books.orders[slot].own_next)
        if command.instrument < 0 or books.orders[slot].instrument == command.instrument:
            n = end_order(books, reports, n, slot, _OK)
        slot = following
    return n


@inner_kernel
def _replace_refusal(books: Books, command: CommandRecord, slot: int) -> int:
    order = books.orders[slot]
    if slot == 0:
        return _UNKNOWN
    if order.flags & WAITING:
        return _BAD_TYPE
    if command.qty <= order.filled:
        return _BAD_QTY
    if _outside(books, np.int64(order.instrument), command.price):
        return _OUT_OF_RANGE
    if order.flags & _POST_ONLY and would_take(books.tops[order.instrument], np.int64(order.side), command.price):
        return _WOULD_TAKE
    if order.flags & _REDUCE_ONLY:
        account, instrument, side = np.int64(order.account), np.int64(order.instrument), np.int64(order.side)
        if command.qty - order.filled > room_to_reduce(books, account, instrument, side, command.price, slot):
            return _NOT_REDUCING
    return _OK


@inner_kernel
def _requeue(books: Books, command: CommandRecord, reports: ReportArray, n: int, slot: int, leaves: int) -> int:
    """A replaced order that has lost its place: out of its queue, through the book, and into the queue of its new price."""
    order = books.orders[slot]
    old_price, order_id = order.price, order.order_id
    total = unlink(books, slot)
    if command.price != old_price:  # at the same price the level is reported once, with the order back in it
        n = level_report(reports, n, command.instrument, command.side, old_price, total)
    n, left, reason = match_order(books, command, reports, n, order_id, command.price, leaves, 0)
    if left == 0 or reason != _OK:
        release_slot(books, slot)
        if left == 0:
            return n
        return answer(reports, n, _CANCELED, command, order_id, left, 0, command.qty - left, reason)
    order.price, order.leaves, order.filled = command.price, left, command.qty - left
    total = enqueue(books, slot)
    return level_report(reports, n, command.instrument, command.side, command.price, total)


@inner_kernel
def _replace_order(books: Books, command: CommandRecord, reports: ReportArray) -> int:
    slot = find_key(books.table, command.account, command.client_order_id)
    reason = _replace_refusal(books, command, slot)
    if reason != _OK:
        return _refuse(books, command, reports, 0, reason)
    order = books.orders[slot]
    command.instrument, command.side, command.order_type = order.instrument, order.side, _LIMIT
    command.time_in_force, command.flags, command.expire_ts = _GTC, int(order.flags), 0
    if order.flags & TIMED:
        command.time_in_force, command.expire_ts = _GTD, books.conditions[slot].expire_ts
    leaves = command.qty - order.filled
    n = answer(reports, 0, _ACK, command, order.order_id, command.qty, leaves, order.filled, _OK)
    if command.price == order.price and leaves <= order.leaves:
        level = books.levels[command.instrument, order.price - books.tops[command.instrument].base]
        level.qty -= order.leaves - leaves
        add_open(books, order, leaves - order.leaves)
        order.leaves = leaves
        return level_report(reports, n, command.instrument, command.side, order.price, level.qty)
    return _requeue(books, command, reports, n, slot, leaves)


@inner_kernel
def _quote(books: Books, command: CommandRecord, reports: ReportArray, ts: int) -> int:
    """Withdraw the account's last quote on this side of this instrument, then place the new one, if it has a quantity."""
    exposure = books.exposures[command.account, command.instrument]
    former = exposure.bid_quote if command.side == _BUY else exposure.ask_quote
    slot = find_key(books.table, command.account, former) if former != 0 else 0
    n = end_order(books, reports, 0, slot, _OK) if slot != 0 else 0
    former = 0
    if command.qty != 0:
        first = n
        n = _new_order(books, command, reports, n, ts)
        if reports[first].kind == _ACK:
            former = command.client_order_id
    if command.side == _BUY:
        exposure.bid_quote = former
    else:
        exposure.ask_quote = former
    return n


@kernel
def apply(command: CommandRecord, books: Books, reports: ReportArray, ts: int) -> int:
    """Carry out one command at exchange time `ts` (ns). Returns the number of REPORT rows written from row 0.

    The caller has checked instrument, account, side, order type and time in force; price, quantity and identity are checked here.
    `command`: one COMMAND record (a replace fills in what the order is). `reports`: see `books.new_reports`.
    """
    if command.op == _NEW:
        return _new_order(books, command, reports, 0, ts)
    if command.op == _CANCEL:
        return _cancel_order(books, command, reports)
    if command.op == _REPLACE:
        return _replace_order(books, command, reports)
    if command.op == _CANCEL_ALL:
        return _cancel_all(books, command, reports)
    return _quote(books, command, reports, ts)


@kernel
def apply_all(commands: CommandArray, books: Books, reports: ReportArray, ts: int) -> int:
    """Carry out many commands, keeping only the reports of the last. Returns the number of reports written in all."""
    total = 0
    for i in range(commands.size):
        total += apply(commands[i], books, reports, ts + i)
    return total


# -- what nobody asked for just now ----------------------------------------------------------------------------------


@inner_kernel
def _wake(books: Books, slot: int) -> int:
    """Turn a waiting order into the command it stands for (`books.command[0]`) and free its slot. Returns its order id."""
    order, condition, command = books.orders[slot], books.conditions[slot], books.command[0]
    order_id = order.order_id
    is_market = condition.order_type == _STOP_MARKET or condition.order_type == _TAKE_PROFIT_MARKET
    command.op, command.instrument, command.account, command.client_order_id = _NEW, order.instrument, order.account, order.client_order_id
    command.side, command.order_type = order.side, _MARKET if is_market else _LIMIT
    command.time_in_force, command.flags = condition.time_in_force, np.int64(order.flags) & ~(WAITING | TIMED)
    command.price, command.qty, command.trigger_price = condition.limit_price, order.leaves, order.price
    command.expire_ts = condition.expire_ts
    stop_waiting(books, slot)
    release_slot(books, slot)
    return order_id


@kernel
def fire_trigger(books: Books, reports: ReportArray, instrument: int) -> int:
    """Activate the next waiting order of an instrument whose trigger the last price has reached. Returns the reports written, 0 if none is due."""
    slot = due_trigger(books, instrument)
    if slot == 0:
        return 0
    order_id, command = _wake(books, slot), books.command[0]
    n = answer(reports, 0, _TRIGGERED, command, order_id, command.qty, command.qty, 0, _OK)
    wanted = command.qty
    if command.flags & _REDUCE_ONLY:
        wanted = min(wanted, room_to_reduce(books, command.account, instrument, command.side, _limit_of(books, command), 0))
    nothing = wanted == 0 or (wanted < command.qty and command.time_in_force == _FOK)
    reason = _NOT_REDUCING if nothing else _refused_now(books, command, _limit_of(books, command))
    if reason != _OK:
        return answer(reports, n, _CANCELED, command, order_id, command.qty, 0, 0, reason)
    return _enter(books, command, reports, n, order_id, wanted)


@kernel
def shed(books: Books, reports: ReportArray, instrument: int) -> int:
    """End one resting reduce-only order for which its account's position has no room. Returns the reports written, 0 if there is none.

    The position has become smaller or has turned, or an order of the same account has come before it in line.
    """
    if books.tops[instrument].n_reducing == 0:
        return 0
    for account in range(books.owners.size):
        exposure = books.exposures[account, instrument]
        side = -1
        if exposure.reducing_bid > max(0, -exposure.position):
            side = _BUY
        elif exposure.reducing_ask > max(0, exposure.position):
            side = _SELL
        if side >= 0:
            return end_order(books, reports, 0, last_to_reduce(books, account, instrument, side), _NOT_REDUCING)
    return 0


@kernel
def expire(books: Books, reports: ReportArray, ts: int) -> int:
    """End one order whose date is exchange time `ts` (ns) or before. Returns the reports written, 0 if none is due."""
    slot = overdue(books, ts)
    return end_order(books, reports, 0, slot, _EXPIRED) if slot != 0 else 0
