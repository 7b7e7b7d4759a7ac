"""Conditional orders as the Algo service keeps them: a service of its own in front of the books, as on the real venue since December 2025.

An algo order reserves nothing and is in no book; it has an id of its own. When its price is reached it becomes an order like any
other, which may still be refused. While that is under way it is TRIGGERING; once the matching engine has the order, it is TRIGGERED
and names it. Prices are looked at after every slice of the venue (a few milliseconds), trade by trade: the last price, or the mark
price where asked for.

    NEW -> CANCELED                            by its owner
    NEW -> EXPIRED                             its date has passed
    NEW -> TRIGGERING -> TRIGGERED -> FINISHED  the order is in the books, then is no longer open
    NEW -> TRIGGERING -> REJECTED              the order was refused (margin, nothing to reduce)
    NEW -> TRIGGERING -> EXPIRED               there was no position to close

Rules, as the venue documents them: STOP* of a buyer waits for a rise to the trigger, of a seller for a fall; TAKE_PROFIT* the other way round.
TRAILING_STOP_MARKET of a seller: once the price has been at or above the activation price, a fall from the highest price since by the callback
rate; mirrored for a buyer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from hftkit.exchange.dialects.binance.market.symbols import Symbol

BUY = 0
OPEN, TRIGGERING, TRIGGERED = "NEW", "TRIGGERING", "TRIGGERED"
MARK, LAST = "MARK_PRICE", "CONTRACT_PRICE"


@dataclass
class AlgoOrder:
    """One conditional order. Prices in ticks, quantities in lots, times in ms."""

    algo_id: int
    client_id: str
    account: int
    symbol: Symbol
    side: int
    order_type: str
    time_in_force: str
    qty: int
    price: int
    trigger: int
    created_ms: int
    working_type: str = LAST
    close_position: bool = False
    price_protect: bool = False
    reduce_only: bool = False
    stp: str = "EXPIRE_MAKER"
    price_match: str = "NONE"
    good_till: int = 0
    activate: int = 0  # trailing only
    callback_rate: Decimal = Decimal(0)  # percent, trailing only
    status: str = OPEN
    updated_ms: int = 0
    triggered_ms: int = 0
    after_trade: int = 0  # only later trades count
    number: int = 0  # client order id in the venue of the order that it becomes, 0 before
    order_id: int = 0  # of that order, once it is in the books
    failure: str = ""
    engine_id: int = 0  # client order id in the matching engine, of one that it keeps itself (engine_conditionals.py)
    extreme: int = 0  # trailing: the best price since placement, 0 before the first
    active: bool = False  # trailing: the activation price has been reached

    @property
    def is_trailing(self) -> bool:
        """Does its trigger follow the price?"""
        return self.order_type == "TRAILING_STOP_MARKET"

    @property
    def is_market(self) -> bool:
        """Does it become a market order?"""
        return self.order_type.endswith("_MARKET")

    @property
    def waits_for_rise(self) -> bool:
        """Which way the price must go."""
        return (self.side == BUY) != self.order_type.startswith("TAKE_PROFIT")

    def is_reached(self, price: int) -> bool:
        """Does this price trigger it? Follows the price if it is a trailing one."""
        if self.is_trailing:
            return self._trail(price)
        return price >= self.trigger if self.waits_for_rise else price <= self.trigger

    def _trail(self, price: int) -> bool:
        buys = self.side == BUY
        if self.extreme == 0 or (price < self.extreme if buys else price > self.extreme):
            self.extreme = price
        self.active = self.active or (self.extreme <= self.activate if buys else self.extreme >= self.activate)
        if not self.active:
            return False
        share = self.callback_rate / 100
        return price >= self.extreme * (1 + share) if buys else price <= self.extreme * (1 - share)


class AlgoBook:
    """All conditional orders: by id, and those that wait by instrument."""

    KEPT = 50_000  # of those that have ended

    def __init__(self) -> None:
        self._all: dict[int, AlgoOrder] = {}
        self._waiting: dict[int, dict[int, AlgoOrder]] = {}
        self._entering: dict[tuple[int, int], AlgoOrder] = {}  # by account and number of the order that they become
        self._triggered: dict[int, AlgoOrder] = {}
        self._ended: deque[int] = deque()
        self._last_id = 2_000_000
        self.on_change: list[Callable[[AlgoOrder], None]] = []  # told of every change of status, placement included

    def next_id(self) -> int:
        """The next algoId."""
        self._last_id += 1
        return self._last_id

    def add(self, order: AlgoOrder) -> None:
        """A new order begins to wait."""
        self._all[order.algo_id] = order
        self._waiting.setdefault(order.symbol.index, {})[order.algo_id] = order
        self._tell(order)

    def _leave(self, order: AlgoOrder) -> None:
        """Out of every table of those that are not at their end."""
        self._waiting.get(order.symbol.index, {}).pop(order.algo_id, None)
        self._entering.pop((order.account, order.number), None)
        self._triggered.pop(order.algo_id, None)

    def trigger(self, order: AlgoOrder, now_ms: int) -> None:
        """Its price has been reached: it waits no longer, and its order is on the way."""
        self._leave(order)
        order.status, order.triggered_ms, order.updated_ms = TRIGGERING, now_ms, now_ms
        self._tell(order)

    def expect(self, order: AlgoOrder, number: int) -> None:
        """The order that it becomes goes to the books under this client order id."""
        order.number = number
        self._entering[order.account, number] = order

    def entered(self, account: int, number: int, order_id: int, now_ms: int) -> None:
        """The books have an order of this client order id: if it is one that is expected, its conditional order is triggered."""
        order = self._entering.pop((account, number), None)
        if order is not None:
            order.status, order.order_id, order.updated_ms = TRIGGERED, order_id, now_ms
            self._triggered[order.algo_id] = order
            self._tell(order)

    def end(self, order: AlgoOrder, status: str, now_ms: int) -> None:
        """It is at its end."""
        self._leave(order)
        order.status, order.updated_ms = status, now_ms
        self._ended.append(order.algo_id)
        while len(self._ended) > self.KEPT:
            self._all.pop(self._ended.popleft(), None)
        self._tell(order)

    def _tell(self, order: AlgoOrder) -> None:
        for hear in self.on_change:
            hear(order)

    @property
    def instruments(self) -> list[int]:
        """Instruments for which something waits here."""
        return [instrument for instrument in self._waiting if self.waiting(instrument)]

    @property
    def triggered(self) -> list[AlgoOrder]:
        """Those whose order may still be open."""
        return list(self._triggered.values())

    def waiting(self, instrument: int) -> list[AlgoOrder]:
        """What waits here in one instrument, and not in the matching engine; oldest first."""
        return [order for order in self._waiting.get(instrument, {}).values() if order.engine_id == 0]

    def open_of(self, account: int, instrument: int = -1) -> list[AlgoOrder]:
        """An account's waiting orders, of one instrument or (-1) of all, oldest first."""
        found = (order for orders in self._waiting.values() for order in orders.values())
        mine = (order for order in found if order.account == account and instrument in (-1, order.symbol.index))
        return sorted(mine, key=lambda order: order.algo_id)

    def all_of(self, account: int, instrument: int = -1) -> list[AlgoOrder]:
        """An account's orders in any state, oldest first."""
        return [order for order in self._all.values() if order.account == account and instrument in (-1, order.symbol.index)]

    def find(self, account: int, algo_id: int | None, client_id: str) -> AlgoOrder | None:
        """By algoId, else the last one of this client id."""
        if algo_id is not None:
            order = self._all.get(algo_id)
            return order if order is not None and order.account == account else None
        return next((order for order in reversed(self.all_of(account)) if order.client_id == client_id), None)
