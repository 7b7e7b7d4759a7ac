"""Price-time priority matching in plain Python: the readable twin of matching.py, everything in it meant to be checked by eye.

Same commands, same reports, same order of reports. One list of orders per price, oldest first; the best price is found by
looking at all prices, a due trigger or date by looking at all orders. Property tests drive both with the same operations and compare every
report and the full books. Longer than a screen or two because it is all the rules of the market.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from hftkit.codes import OrderFlag, OrderType, Reject, Side, TimeInForce
from hftkit.exchange.core.layout import Op, ReportKind

_BEST = {Side.BUY: max, Side.SELL: min}
_SIGN = {Side.BUY: 1, Side.SELL: -1}
_STOPS = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)
_BECOMES = {
    OrderType.STOP_MARKET: OrderType.MARKET,
    OrderType.TAKE_PROFIT_MARKET: OrderType.MARKET,
    OrderType.STOP_LIMIT: OrderType.LIMIT,
    OrderType.TAKE_PROFIT_LIMIT: OrderType.LIMIT,
}


@dataclass(eq=False)
class PlainOrder:
    """One open order. `order_type` LIMIT rests in the book; a conditional type waits for its trigger."""

    order_id: int
    account: int
    client_order_id: int
    instrument: int
    side: int
    price: int
    leaves: int
    flags: int
    order_type: int
    time_in_force: int
    trigger_price: int
    expire_ts: int
    filled: int = 0

    @property
    def may_rest(self) -> bool:
        """May what does not trade stay in the book?"""
        return self.order_type == OrderType.LIMIT and self.time_in_force in (TimeInForce.GTC, TimeInForce.GTD)

    @property
    def waits_for_rise(self) -> bool:
        """Buy stops and sell take-profits do."""
        return (self.order_type in _STOPS) == (self.side == Side.BUY)


@dataclass
class PlainBook:
    """Both sides of one instrument: price -> orders, oldest first. `low` and `high` bound the prices taken."""

    low: int
    high: int
    queues: tuple[dict[int, list[PlainOrder]], dict[int, list[PlainOrder]]] = field(default_factory=lambda: ({}, {}))
    waiting: list[PlainOrder] = field(default_factory=list)
    last: int = 0  # price of the last trade

    def best(self, side: int) -> int:
        """Best price of a side, 0 if it is empty."""
        prices = self.queues[side]
        return _BEST[Side(side)](prices) if prices else 0

    def total(self, side: int, price: int) -> int:
        """Quantity at one price."""
        return sum(order.leaves for order in self.queues[side].get(price, []))

    def would_take(self, side: int, limit: int) -> bool:
        """Would an order of `side` at `limit` trade at once?"""
        other = self.best(1 - side)
        return other != 0 and (other <= limit if side == Side.BUY else other >= limit)

    def inside(self, price: int) -> bool:
        """Is it a price of the window?"""
        return self.low <= price <= self.high

    def remove(self, order: PlainOrder) -> None:
        """Take an order out of its queue."""
        queue = self.queues[order.side][order.price]
        queue.remove(order)
        if not queue:
            del self.queues[order.side][order.price]

    def due(self) -> PlainOrder | None:
        """The next waiting order that the last price has reached: rises first, then the trigger that was reached first."""
        rises = [o for o in self.waiting if o.waits_for_rise and o.trigger_price <= self.last]
        falls = [o for o in self.waiting if not o.waits_for_rise and o.trigger_price >= self.last]
        if self.last and rises:
            return min(rises, key=lambda o: o.trigger_price)  # min takes the first of equals
        if self.last and falls:
            return max(falls, key=lambda o: o.trigger_price)
        return None


class PlainExchange:
    """All books. `windows`: (lowest, highest) price of each instrument."""

    def __init__(self, windows: list[tuple[int, int]], capacity: int) -> None:
        self.books = [PlainBook(low, high) for low, high in windows]
        self.orders: dict[tuple[int, int], PlainOrder] = {}  # in the order in which they were accepted
        self.positions: dict[tuple[int, int], int] = defaultdict(int)  # (account, instrument)
        self.quotes: dict[tuple[int, int, int], int] = {}  # (account, instrument, side) -> client_order_id
        self.capacity = capacity
        self.last_order_id = 0
        self.last_trade_id = 0
        self.ts = 0
        self._reports: list[dict[str, int]] = []

    def apply(self, command: dict[str, int], ts: int = 0) -> list[dict[str, int]]:
        """Carry out one command (fields of layout.COMMAND) and return what happened (fields of layout.REPORT that matter)."""
        self._reports, self.ts = [], ts
        actions = {Op.NEW: self._new, Op.CANCEL: self._cancel, Op.REPLACE: self._replace, Op.CANCEL_ALL: self._cancel_all, Op.QUOTE: self._quote}
        actions[Op(command["op"])](dict(command))
        return self._reports

    def expire(self, ts: int) -> list[dict[str, int]]:
        """End the first order whose date has come; nothing if there is none."""
        self._reports = []
        dated = [o for o in self.orders.values() if o.time_in_force == TimeInForce.GTD and o.expire_ts <= ts]
        if dated:
            self._end(min(dated, key=lambda o: (o.expire_ts, o.order_id)), Reject.VENUE_EXPIRED)
        return self._reports

    def fire_trigger(self, instrument: int) -> list[dict[str, int]]:
        """Activate the next waiting order that is due; nothing if there is none."""
        self._reports = []
        order = self.books[instrument].due()
        if order is None:
            return []
        self.books[instrument].waiting.remove(order)
        del self.orders[order.account, order.client_order_id]
        order.order_type = _BECOMES[OrderType(order.order_type)]
        self._say(ReportKind.TRIGGERED, order, qty=order.leaves)
        allowed = self._room(order, self._limit(order)) if order.flags & OrderFlag.REDUCE_ONLY else order.leaves
        whole = order.time_in_force == TimeInForce.FOK
        reason = Reject.VENUE_REDUCE_ONLY if allowed < (order.leaves if whole else 1) else self._refused_now(order)
        if reason:
            self._cancel_rest(order, reason)
        else:
            self._enter(order, min(order.leaves, allowed))
        return self._reports

    def shed(self, instrument: int) -> list[dict[str, int]]:
        """End one reduce-only order that the position has no room for: of the first such account the last in line; nothing if there is none."""
        self._reports = []
        for account in sorted({o.account for o in self.orders.values()}):
            for side in (Side.BUY, Side.SELL):
                line = self._line(account, instrument, side)
                if sum(o.leaves for o in line) > max(0, -_SIGN[side] * self.positions[account, instrument]):
                    self._end(line[-1], Reject.VENUE_REDUCE_ONLY)
                    return self._reports
        return self._reports

    # -- words ----------------------------------------------------------------------------------------------------

    def _say(self, kind: ReportKind, order: PlainOrder | None = None, **fields: Any) -> None:
        if order is not None:
            fields = {"account": order.account, "client_order_id": order.client_order_id, "order_id": order.order_id, **fields}
        self._reports.append({"kind": int(kind), **{name: int(value) for name, value in fields.items()}})

    def _level(self, book: PlainBook, side: int, price: int) -> None:
        self._say(ReportKind.LEVEL, side=side, price=price, qty=book.total(side, price))

    def _cancel_rest(self, order: PlainOrder, reason: Reject) -> None:
        self._say(ReportKind.CANCELED, order, qty=order.leaves, filled=order.filled, reason=reason)

    def _end(self, order: PlainOrder, reason: Reject) -> None:
        """Cancel an open order."""
        book = self.books[order.instrument]
        self._cancel_rest(order, reason)
        del self.orders[order.account, order.client_order_id]
        if order in book.waiting:
            book.waiting.remove(order)
        else:
            book.remove(order)
            self._level(book, order.side, order.price)

    # -- matching -------------------------------------------------------------------------------------------------

    def _limit(self, order: PlainOrder) -> int:
        book = self.books[order.instrument]
        if order.order_type == OrderType.MARKET:
            return book.high if order.side == Side.BUY else book.low
        return order.price

    def _reducible(self, order: PlainOrder) -> int:
        """Lots that this order may trade without the position passing zero or growing."""
        return max(0, -_SIGN[Side(order.side)] * self.positions[order.account, order.instrument])

    def _line(self, account: int, instrument: int, side: int) -> list[PlainOrder]:
        """An account's resting reduce-only orders of a side, the one with priority first."""
        queues = self.books[instrument].queues[side]
        all_of_them = [o for price in sorted(queues, reverse=side == Side.BUY) for o in queues[price]]
        return [o for o in all_of_them if o.account == account and o.flags & OrderFlag.REDUCE_ONLY]

    def _room(self, order: PlainOrder, limit: int) -> int:
        """Lots that a reduce-only order may have open at a limit: what the others before it in line leave of the position."""
        sign = _SIGN[Side(order.side)]
        line = [o for o in self._line(order.account, order.instrument, order.side) if o is not order and sign * o.price >= sign * limit]
        return max(0, self._reducible(order) - sum(o.leaves for o in line))

    def _sure(self, order: PlainOrder) -> int:
        """Lots that a fill-or-kill order is sure to get."""
        book, side, limit = self.books[order.instrument], order.side, self._limit(order)
        prevents = order.flags & (OrderFlag.EXPIRE_TAKER | OrderFlag.EXPIRE_MAKER)
        found = 0
        for price in sorted(book.queues[1 - side], reverse=side == Side.SELL):
            if price > limit if side == Side.BUY else price < limit:
                break
            for other in book.queues[1 - side][price]:
                if prevents and other.account == order.account:
                    if order.flags & OrderFlag.EXPIRE_TAKER:
                        return found
                elif not other.flags & OrderFlag.REDUCE_ONLY:
                    found += other.leaves
        return found

    def _match(self, order: PlainOrder, floor: int = 0) -> Reject:
        """Trade until `floor` lots are left. Returns why it had to stop, if it had to."""
        book, side, limit = self.books[order.instrument], order.side, self._limit(order)
        reason = Reject.NONE
        while order.leaves > floor and not reason and book.would_take(side, limit):
            price = book.best(1 - side)
            before = book.total(1 - side, price)
            while order.leaves > floor and not reason and price in book.queues[1 - side]:
                reason = self._meet(book, order, book.queues[1 - side][price][0], floor)
            if book.total(1 - side, price) != before:
                self._level(book, 1 - side, price)
        return reason

    def _meet(self, book: PlainBook, taker: PlainOrder, maker: PlainOrder, floor: int) -> Reject:
        own = taker.account == maker.account
        if own and taker.flags & (OrderFlag.EXPIRE_TAKER | OrderFlag.EXPIRE_MAKER):
            if taker.flags & OrderFlag.EXPIRE_MAKER:
                self._end_maker(book, maker, Reject.BOOK_SELF_TRADE)
            return Reject.BOOK_SELF_TRADE if taker.flags & OrderFlag.EXPIRE_TAKER else Reject.NONE
        qty = min(taker.leaves - floor, maker.leaves)
        if maker.flags & OrderFlag.REDUCE_ONLY:
            qty = min(qty, self._reducible(maker))
        if qty:
            self._trade(book, taker, maker, qty)
        if maker.leaves == 0:
            book.remove(maker)
            del self.orders[maker.account, maker.client_order_id]
        elif maker.flags & OrderFlag.REDUCE_ONLY and self._reducible(maker) == 0:
            self._end_maker(book, maker, Reject.VENUE_REDUCE_ONLY)
        return Reject.NONE

    def _end_maker(self, book: PlainBook, maker: PlainOrder, reason: Reject) -> None:
        self._cancel_rest(maker, reason)
        book.remove(maker)
        del self.orders[maker.account, maker.client_order_id]

    def _trade(self, book: PlainBook, taker: PlainOrder, maker: PlainOrder, qty: int) -> None:
        for order in (taker, maker):
            order.leaves -= qty
            order.filled += qty
            self.positions[order.account, order.instrument] += _SIGN[Side(order.side)] * qty
        book.last = maker.price
        self.last_trade_id += 1
        self._say(
            ReportKind.TRADE,
            taker,
            side=taker.side,
            price=maker.price,
            qty=qty,
            leaves=taker.leaves,
            filled=taker.filled,
            trade_id=self.last_trade_id,
            maker_account=maker.account,
            maker_client_order_id=maker.client_order_id,
            maker_order_id=maker.order_id,
            maker_leaves=maker.leaves,
            maker_filled=maker.filled,
        )

    def _rest(self, order: PlainOrder) -> None:
        book = self.books[order.instrument]
        book.queues[order.side].setdefault(order.price, []).append(order)
        self.orders[order.account, order.client_order_id] = order
        self._level(book, order.side, order.price)

    def _enter(self, order: PlainOrder, wanted: int) -> None:
        """Match for `wanted` of its lots; what is left rests if it may, else it is cancelled."""
        held_back = order.leaves - wanted
        reason = self._match(order, floor=held_back)
        if order.leaves == 0:
            return
        if not reason and held_back:
            reason = Reject.VENUE_REDUCE_ONLY
        elif not reason and not order.may_rest:
            reason = Reject.BOOK_NO_LIQUIDITY
        if reason:
            self._cancel_rest(order, reason)
        else:
            self._rest(order)

    # -- commands -------------------------------------------------------------------------------------------------

    def _refused_now(self, order: PlainOrder) -> Reject:
        """Why it may not meet the book at this moment."""
        if order.flags & OrderFlag.POST_ONLY and self.books[order.instrument].would_take(order.side, self._limit(order)):
            return Reject.BOOK_POST_ONLY_WOULD_TAKE
        if order.time_in_force == TimeInForce.FOK and self._sure(order) < order.leaves:
            return Reject.BOOK_FOK_NOT_FILLABLE
        return Reject.NONE

    def _refusal(self, order: PlainOrder) -> Reject:
        book, waits = self.books[order.instrument], order.order_type in _BECOMES
        prices = [order.trigger_price] if waits else []
        if order.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT):
            prices.append(order.price)
        if order.leaves <= 0:
            return Reject.VENUE_BAD_QTY
        if not all(book.inside(price) for price in prices):
            return Reject.BOOK_PRICE_OUT_OF_RANGE
        if (order.account, order.client_order_id) in self.orders:
            return Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID
        if order.time_in_force == TimeInForce.GTD and order.expire_ts <= self.ts:
            return Reject.VENUE_EXPIRED
        reason = Reject.NONE
        if waits:
            if book.last and (book.last >= order.trigger_price if order.waits_for_rise else book.last <= order.trigger_price):
                reason = Reject.VENUE_WOULD_TRIGGER
        elif order.flags & OrderFlag.REDUCE_ONLY and order.leaves > self._room(order, self._limit(order)):
            reason = Reject.VENUE_REDUCE_ONLY
        else:
            reason = self._refused_now(order)
        if not reason and (waits or order.may_rest) and len(self.orders) >= self.capacity:
            reason = Reject.BOOK_FULL
        return reason

    def _new(self, command: dict[str, int]) -> bool:
        keys = ("account", "client_order_id", "instrument", "side", "price", "flags", "order_type", "time_in_force", "trigger_price", "expire_ts")
        order = PlainOrder(order_id=0, leaves=command["qty"], **{key: command[key] for key in keys})
        reason = self._refusal(order)
        if reason:
            self._say(ReportKind.REJECT, order, reason=reason)
            return False
        self.last_order_id += 1
        order.order_id = self.last_order_id
        self._say(ReportKind.ACK, order, qty=order.leaves)
        if order.order_type in _BECOMES:
            self.orders[order.account, order.client_order_id] = order
            self.books[order.instrument].waiting.append(order)
        else:
            self._enter(order, order.leaves)
        return True

    def _cancel(self, command: dict[str, int]) -> None:
        order = self.orders.get((command["account"], command["client_order_id"]))
        if order is None:
            names: dict[str, Any] = {name: command[name] for name in ("account", "client_order_id")}
            self._say(ReportKind.CANCEL_REJECT, **names, reason=Reject.BOOK_UNKNOWN_ORDER)
        else:
            self._end(order, Reject.NONE)

    def _cancel_all(self, command: dict[str, int]) -> None:
        for order in list(self.orders.values()):
            if order.account == command["account"] and command["instrument"] in (-1, order.instrument):
                self._end(order, Reject.NONE)

    def _quote(self, command: dict[str, int]) -> None:
        key = command["account"], command["instrument"], command["side"]
        former = self.quotes.pop(key, 0)  # an order whose id is 0 is nobody's quote
        if former and (command["account"], former) in self.orders:
            self._end(self.orders[command["account"], former], Reject.NONE)
        if command["qty"] != 0 and self._new(command):
            self.quotes[key] = command["client_order_id"]

    def _replace_refusal(self, order: PlainOrder | None, command: dict[str, int]) -> Reject:
        if order is None:
            return Reject.BOOK_UNKNOWN_ORDER
        book = self.books[order.instrument]
        if order.order_type in _BECOMES:
            return Reject.VENUE_BAD_TYPE
        if command["qty"] <= order.filled:
            return Reject.VENUE_BAD_QTY
        if not book.inside(command["price"]):
            return Reject.BOOK_PRICE_OUT_OF_RANGE
        if order.flags & OrderFlag.POST_ONLY and book.would_take(order.side, command["price"]):
            return Reject.BOOK_POST_ONLY_WOULD_TAKE
        if order.flags & OrderFlag.REDUCE_ONLY and command["qty"] - order.filled > self._room(order, command["price"]):
            return Reject.VENUE_REDUCE_ONLY
        return Reject.NONE

    def _replace(self, command: dict[str, int]) -> None:
        order = self.orders.get((command["account"], command["client_order_id"]))
        reason = self._replace_refusal(order, command)
        if order is None or reason:
            names: dict[str, Any] = {name: command[name] for name in ("account", "client_order_id")}
            self._say(ReportKind.REJECT, **names, reason=reason)
            return
        book, leaves, old_price = self.books[order.instrument], command["qty"] - order.filled, order.price
        self._say(ReportKind.ACK, order, qty=command["qty"])
        if command["price"] == old_price and leaves <= order.leaves:  # keeps its place
            order.leaves = leaves
            self._level(book, order.side, old_price)
            return
        book.remove(order)
        if command["price"] != old_price:
            self._level(book, order.side, old_price)
        order.price, order.leaves = command["price"], leaves
        reason = self._match(order)
        if order.leaves and not reason:
            self._rest(order)
            return
        del self.orders[order.account, order.client_order_id]
        if order.leaves:
            self._cancel_rest(order, reason)
