"""History as the market in readable Python: the twin of market.py and queue.py, for tests and for reading the rules.

One client with limit orders (good till cancelled, or immediate), no fees, no accounts: only what is filled, when and at which price.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hftkit.codes import MessageType, Side, TimeInForce
from hftkit.exchange.market.history.files import HistoryTape
from hftkit.exchange.market.history.market import DEPTH, QUOTES


@dataclass
class Order:
    """A client's resting order: lots open, and by estimate (optimistic, neutral, pessimistic) what is ahead (None: not recorded) and what it
    would have got. Its place is found when history next touches its price (`joined`)."""

    client_order_id: int
    side: int
    price: int
    leaves: int
    rested: int
    ahead: list[int | None] = field(default_factory=lambda: [None, None, None])
    joined: bool = False
    would: list[int] = field(default_factory=lambda: [0, 0, 0])
    printed: int = 0


@dataclass
class PlainMarket:
    """One instrument."""

    grade: int
    estimate: int
    participation_ppm: int
    house: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))  # by side: price -> lots
    best: list[int] = field(default_factory=lambda: [0, 0])
    typical: int = 0
    orders: list[Order] = field(default_factory=list)
    fills: list[tuple[int, int, int, int]] = field(default_factory=list)  # (ts, client_order_id, price, lots)

    # -- what the client does ----------------------------------------------------------------------------------------

    def new_order(self, ts: int, client_order_id: int, side: int, price: int, qty: int, tif: int) -> None:
        """Take what the house shows at the limit or better; the rest rests unless it is immediate."""
        other, sign = self.house[1 - side], 1 if side == Side.BUY else -1
        for level in sorted(other, key=lambda p: sign * p):
            if qty > 0 and sign * level <= sign * price:
                lots = min(qty, other[level])
                self._fill(ts, client_order_id, level, lots)
                qty -= lots
                other[level] -= lots
                if other[level] == 0:
                    del other[level]
        if qty > 0 and tif == TimeInForce.GTC:
            self.orders.append(Order(client_order_id, side, price, qty, qty))

    def cancel(self, client_order_id: int) -> None:
        """Take an order out, if it is still there."""
        self.orders = [order for order in self.orders if order.client_order_id != client_order_id]

    def _fill(self, ts: int, client_order_id: int, price: int, lots: int) -> None:
        if lots > 0:
            self.fills.append((ts, client_order_id, price, lots))

    # -- the queue ---------------------------------------------------------------------------------------------------

    def _shown(self, side: int, price: int) -> int | None:
        if self.grade < QUOTES:
            return None
        if price in self.house[side]:
            return self.house[side][price]
        best = self.best[side]
        nobody = best == 0 or (price > best if side == Side.BUY else price < best)
        return 0 if self.grade == DEPTH or nobody else None

    def _look(self, side: int, price: int) -> None:
        older: Order | None = None
        for order in self.orders:
            if order.side == side and order.price == price:
                if not order.joined:
                    shown = self._shown(side, price)
                    order.joined, order.ahead = True, [0, shown, shown]
                    if older is not None and shown is not None:
                        order.ahead = [None if b is None else max(a or 0, b) for a, b in zip(order.ahead, older.ahead, strict=True)]
                older = order

    def _by_priority(self, side: int) -> list[Order]:
        sign = -1 if side == Side.BUY else 1
        return sorted((order for order in self.orders if order.side == side), key=lambda order: sign * order.price)  # stable: time within a price

    # -- what history does -------------------------------------------------------------------------------------------

    def print_trade(self, ts: int, aggressor: int, price: int, volume: int) -> None:
        """A recorded trade."""
        limit, taken = volume * self.participation_ppm // 1_000_000, [0, 0, 0]
        for side in (1 - aggressor, aggressor):
            sign = 1 if side == Side.BUY else -1
            for price_met in {order.price for order in self.orders if order.side == side and sign * order.price >= sign * price}:
                if price_met != price or aggressor == 1 - side:
                    self._look(side, price_met)
            for order in self._by_priority(side):
                through = sign * order.price > sign * price
                if through or (order.price == price and aggressor == 1 - side):
                    self._serve(ts, order, through, volume, limit, taken)
        self.orders = [order for order in self.orders if order.leaves > 0]
        self.typical = volume

    def _serve(self, ts: int, order: Order, through: bool, volume: int, limit: int, taken: list[int]) -> None:
        if not through and order.ahead[1] is None:
            order.ahead[1] = order.ahead[2] = self._shown(order.side, order.price)
            if order.ahead[1] is None:
                order.ahead[1] = self.typical or volume
        before = order.leaves
        for e in range(3):
            room = min(order.rested - order.would[e], limit - taken[e])
            ahead = order.ahead[e]
            if through:
                order.ahead[e] = 0
            elif ahead is None:
                continue
            else:
                eaten = min(ahead, volume)
                order.ahead[e] = ahead - eaten
                room = min(room, volume - eaten - taken[e])
            lots = max(0, room)
            order.would[e] += lots
            taken[e] += lots
            if e == self.estimate:
                self._fill(ts, order.client_order_id, order.price, min(lots, before))
                order.leaves -= min(lots, before)
        if not through:
            order.printed += volume

    def set_level(self, ts: int, side: int, price: int, qty: int, *, real: bool = True) -> None:
        """The house shows `qty` lots at a price; not `real`: nothing happened there, it is only no longer (or not yet) shown."""
        before = self.house[side].get(price, 0)
        self._look(side, price)
        if real and self.grade >= QUOTES:
            for order in self.orders:
                if order.side == side and order.price == price:
                    self._level_changed(order, before, qty)
        if qty == 0:
            self.house[side].pop(price, None)
        elif price in self.house[side]:
            self.house[side][price] = qty
        else:
            self._new_level(ts, side, price, qty)

    @staticmethod
    def _level_changed(order: Order, before: int, after: int) -> None:
        cancels, whole = max(0, before - after - order.printed), before - order.printed
        order.printed = 0
        if order.ahead[1] is None:
            if after > 0:
                order.ahead[1] = order.ahead[2] = after
            return
        if order.ahead[2] is not None:
            order.ahead[2] = min(order.ahead[2], after)
        ahead = order.ahead[1]
        if whole > 0:
            ahead -= cancels if ahead >= whole else cancels * ahead // whole
        order.ahead[1] = max(0, min(ahead, after))

    def _new_level(self, ts: int, side: int, price: int, qty: int) -> None:
        sign = 1 if side == Side.BUY else -1
        met = [order for order in self._by_priority(1 - side) if sign * order.price <= sign * price]
        stale = [level for level in self.house[1 - side] if sign * level <= sign * price]
        if self.grade < QUOTES and (met or stale):
            return  # an invented quote is withheld
        for level in stale:
            if qty > sum(order.leaves for order in met if sign * order.price < sign * level):  # the quote gets that far
                del self.house[1 - side][level]
        for order in met:
            self._look(order.side, order.price)
            lots = min(qty, order.leaves)
            for e in range(3):
                order.would[e] += min(lots, order.rested - order.would[e])
            self._fill(ts, order.client_order_id, order.price, lots)
            order.leaves -= lots
            qty -= lots
        self.orders = [order for order in self.orders if order.leaves > 0]
        if qty > 0:
            self.house[side][price] = qty

    def quote(self, ts: int, bid: int, bid_qty: int, ask: int, ask_qty: int) -> None:
        """A recorded best bid and offer."""
        for side, new in ((0, bid), (1, ask)):
            old = self.best[side]
            if old not in (0, new):
                self.set_level(ts, side, old, 0, real=new == 0 or (new < old if side == Side.BUY else new > old))
        for side, new, qty in ((0, bid, bid_qty), (1, ask, ask_qty)):
            if new:
                self.set_level(ts, side, new, qty)
            self.best[side] = new


def rehearse_plainly(history: HistoryTape, requests: np.ndarray, estimate: int, participation_ppm: int) -> list[PlainMarket]:
    """Send requests (rehearsal.REQUEST) against a history. Returns the markets, by instrument, with their fills."""
    markets = [PlainMarket(grade, estimate, participation_ppm) for grade in history.grades]
    waiting = list(requests)
    for row in history.tape.tolist():
        while waiting and waiting[0]["ts"] < row[2]:
            _ask(markets, waiting.pop(0))
        kind, market = row[0] >> 16 & 0xFF, markets[row[0] >> 32]
        if kind == MessageType.TRADE:
            market.print_trade(row[2], row[4], row[5], row[6])
        elif kind == MessageType.BBO:
            market.quote(row[2], *row[3:])
        else:
            market.set_level(row[2], row[3], row[5], row[6])
    for request in waiting:
        _ask(markets, request)
    return markets


def _ask(markets: list[PlainMarket], request: np.void) -> None:
    market = markets[int(request["instrument"])]
    if request["action"] == 0:
        ts, coid, side, price, qty, tif = (int(request[name]) for name in ("ts", "client_order_id", "side", "price", "qty", "tif"))
        market.new_order(ts, coid, side, price, qty, tif)
    else:
        market.cancel(int(request["client_order_id"]))
