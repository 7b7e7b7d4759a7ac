"""Price-time priority matching in plain Python: the readable twin of matching.py, everything in it meant to be checked by eye.

Same commands, same reports, same order of reports. One list of orders per price, oldest first; the best price is found by
looking at all prices. Property tests drive both with the same operations and compare every report and the full books.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hftkit.codes import OrderFlag, OrderType, Reject, Side, TimeInForce
from hftkit.exchange.layout import Op, ReportKind

_BEST = {Side.BUY: max, Side.SELL: min}


@dataclass
class PlainOrder:
    """One resting order."""

    order_id: int
    account: int
    client_order_id: int
    instrument: int
    side: int
    price: int
    leaves: int
    filled: int
    flags: int


@dataclass
class PlainBook:
    """Both sides of one instrument: price -> orders, oldest first. `low` and `high` bound the prices taken."""

    low: int
    high: int
    queues: tuple[dict[int, list[PlainOrder]], dict[int, list[PlainOrder]]] = field(default_factory=lambda: ({}, {}))

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

    def available(self, side: int, limit: int) -> int:
        """Lots an order of `side` could take at `limit` or better."""
        return sum(self.total(1 - side, price) for price in self.queues[1 - side] if (price <= limit if side == Side.BUY else price >= limit))

    def remove(self, order: PlainOrder) -> None:
        """Take an order out of its queue."""
        queue = self.queues[order.side][order.price]
        queue.remove(order)
        if not queue:
            del self.queues[order.side][order.price]


class PlainExchange:
    """All books. `windows`: (lowest, highest) price of each instrument."""

    def __init__(self, windows: list[tuple[int, int]], capacity: int) -> None:
        self.books = [PlainBook(low, high) for low, high in windows]
        self.orders: dict[tuple[int, int], PlainOrder] = {}
        self.capacity = capacity
        self.last_order_id = 0
        self.last_trade_id = 0
        self._reports: list[dict[str, int]] = []

    def apply(self, command: dict[str, int]) -> list[dict[str, int]]:
        """Carry out one command (fields of layout.COMMAND) and return what happened (fields of layout.REPORT that matter)."""
        self._reports = []
        {Op.NEW: self._new, Op.CANCEL: self._cancel, Op.REPLACE: self._replace}[Op(command["op"])](dict(command))
        return self._reports

    def _say(self, kind: ReportKind, **fields: Any) -> None:
        self._reports.append({"kind": int(kind), **{name: int(value) for name, value in fields.items()}})

    def _level(self, book: PlainBook, side: int, price: int) -> None:
        self._say(ReportKind.LEVEL, side=side, price=price, qty=book.total(side, price))

    def _limit(self, command: dict[str, int]) -> int:
        book = self.books[command["instrument"]]
        if command["order_type"] == OrderType.MARKET:
            return book.high if command["side"] == Side.BUY else book.low
        return command["price"]

    def _refusal(self, command: dict[str, int]) -> Reject:
        book, side, limit = self.books[command["instrument"]], command["side"], self._limit(command)
        if command["qty"] <= 0:
            return Reject.VENUE_BAD_QTY
        if not book.low <= limit <= book.high:
            return Reject.BOOK_PRICE_OUT_OF_RANGE
        if (command["account"], command["client_order_id"]) in self.orders:
            return Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID
        if command["flags"] & OrderFlag.POST_ONLY and book.would_take(side, limit):
            return Reject.BOOK_POST_ONLY_WOULD_TAKE
        if command["time_in_force"] == TimeInForce.FOK and book.available(side, limit) < command["qty"]:
            return Reject.BOOK_FOK_NOT_FILLABLE
        if self._may_rest(command) and len(self.orders) >= self.capacity:
            return Reject.BOOK_FULL
        return Reject.NONE

    @staticmethod
    def _may_rest(command: dict[str, int]) -> bool:
        return command["order_type"] == OrderType.LIMIT and command["time_in_force"] == TimeInForce.GTC

    def _match(self, order: PlainOrder, limit: int) -> None:
        book, side = self.books[order.instrument], order.side
        while order.leaves and book.would_take(side, limit):
            price = book.best(1 - side)
            while order.leaves and price in book.queues[1 - side]:
                self._trade(book, order, book.queues[1 - side][price][0])
            self._level(book, 1 - side, price)

    def _trade(self, book: PlainBook, taker: PlainOrder, maker: PlainOrder) -> None:
        qty = min(taker.leaves, maker.leaves)
        for order in (taker, maker):
            order.leaves -= qty
            order.filled += qty
        self.last_trade_id += 1
        self._say(
            ReportKind.TRADE,
            account=taker.account,
            client_order_id=taker.client_order_id,
            order_id=taker.order_id,
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
        if maker.leaves == 0:
            book.remove(maker)
            del self.orders[maker.account, maker.client_order_id]

    def _rest(self, order: PlainOrder) -> None:
        book = self.books[order.instrument]
        book.queues[order.side].setdefault(order.price, []).append(order)
        self.orders[order.account, order.client_order_id] = order
        self._level(book, order.side, order.price)

    def _new(self, command: dict[str, int]) -> None:
        reason = self._refusal(command)
        names = {name: command[name] for name in ("account", "client_order_id")}
        if reason:
            self._say(ReportKind.REJECT, **names, reason=reason)
            return
        self.last_order_id += 1
        keys = ("account", "client_order_id", "instrument", "side", "price", "flags")
        order = PlainOrder(order_id=self.last_order_id, leaves=command["qty"], filled=0, **{key: command[key] for key in keys})
        self._say(ReportKind.ACK, **names, order_id=order.order_id, qty=order.leaves)
        self._match(order, self._limit(command))
        if order.leaves and self._may_rest(command):
            self._rest(order)
        elif order.leaves:
            self._say(ReportKind.CANCELED, **names, order_id=order.order_id, qty=order.leaves, filled=order.filled, reason=Reject.BOOK_NO_LIQUIDITY)

    def _cancel(self, command: dict[str, int]) -> None:
        names = {name: command[name] for name in ("account", "client_order_id")}
        order = self.orders.pop((command["account"], command["client_order_id"]), None)
        if order is None:
            self._say(ReportKind.CANCEL_REJECT, **names, reason=Reject.BOOK_UNKNOWN_ORDER)
            return
        book = self.books[order.instrument]
        book.remove(order)
        self._say(ReportKind.CANCELED, **names, order_id=order.order_id, qty=order.leaves, filled=order.filled, reason=Reject.NONE)
        self._level(book, order.side, order.price)

    def _replace_refusal(self, order: PlainOrder | None, command: dict[str, int]) -> Reject:
        if order is None:
            return Reject.BOOK_UNKNOWN_ORDER
        book = self.books[order.instrument]
        if command["qty"] <= order.filled:
            return Reject.VENUE_BAD_QTY
        if not book.low <= command["price"] <= book.high:
            return Reject.BOOK_PRICE_OUT_OF_RANGE
        if order.flags & OrderFlag.POST_ONLY and book.would_take(order.side, command["price"]):
            return Reject.BOOK_POST_ONLY_WOULD_TAKE
        return Reject.NONE

    def _replace(self, command: dict[str, int]) -> None:
        names = {name: command[name] for name in ("account", "client_order_id")}
        order = self.orders.get((command["account"], command["client_order_id"]))
        reason = self._replace_refusal(order, command)
        if order is None or reason:
            self._say(ReportKind.REJECT, **names, reason=reason)
            return
        book, leaves, old_price = self.books[order.instrument], command["qty"] - order.filled, order.price
        self._say(ReportKind.ACK, **names, order_id=order.order_id, qty=command["qty"])
        if command["price"] == old_price and leaves <= order.leaves:  # keeps its place
            order.leaves = leaves
            self._level(book, order.side, old_price)
            return
        book.remove(order)
        if command["price"] != old_price:
            self._level(book, order.side, old_price)
        order.price, order.leaves = command["price"], leaves
        self._match(order, order.price)
        if order.leaves:
            self._rest(order)
        else:
            del self.orders[order.account, order.client_order_id]
