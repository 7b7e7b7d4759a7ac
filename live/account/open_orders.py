"""Whose are the orders that stand open at the venue? Pure: the venue's rows and our own table in, a judgement out.

    OURS        the engine has it in its table and works on it, or has sent it a moment ago
    GIVEN_UP    our own session number, and the engine holds it for ended, twice in a row: it is cancelled
    ORPHAN      another session number, made before this session: left by one that has ended. Cancelled, or the session refuses to go on
    TWIN        another session number, made while this session runs: another engine of ours trades the account. Its orders are left alone
    STRANGER    no id of our form: a person's, or another program's. Named, never touched

An id of our form is `hk` and 16 hex digits: session number, then a count (docs/architecture.md, the life of an order).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

_OUR_FORM = re.compile(r"hk([0-7][0-9a-f]{15})\Z", re.ASCII)
_LONGEST_TEXT = 48


class Owner(Enum):
    """Whose an open order is."""

    OURS = "ours"
    GIVEN_UP = "given up"
    ORPHAN = "orphan"
    TWIN = "another session of ours"
    STRANGER = "stranger"


def engine_id(client_id: str) -> int:
    """The engine's order id in a client order id of our form, else 0."""
    found = _OUR_FORM.match(client_id)
    return int(found[1], 16) if found else 0


def epoch_of(client_order_id: int) -> int:
    """The session number of an order id."""
    return client_order_id >> 32


@dataclass(frozen=True)
class OpenOrder:
    """One row of openOrders or openAlgoOrders. `created_ms`: the venue's clock; texts as the venue wrote them."""

    symbol: str
    client_id: str
    order_id: int
    created_ms: int
    side: str
    quantity: str
    price: str
    algo: bool = False  # a conditional order of the venue's algo service: other routes, ids of its own

    @property
    def number(self) -> int:
        """The engine's id, 0 if it is not of our form."""
        return engine_id(self.client_id)

    def __str__(self) -> str:
        kind = "conditional " if self.algo else ""
        return f"{kind}{self.side} {self.quantity} {self.symbol} at {self.price} ({self.client_id}, order {self.order_id})"


def order_of(row: Mapping[str, Any], algo: bool = False) -> OpenOrder:
    """One row of the venue's answer. Raises KeyError, ValueError or TypeError where it is no such row."""
    client, number, made, size = ("clientAlgoId", "algoId", "createTime", "quantity") if algo else ("clientOrderId", "orderId", "time", "origQty")
    symbol, client_id = str(row["symbol"])[:_LONGEST_TEXT], str(row[client])[:_LONGEST_TEXT]
    side, quantity = str(row.get("side", "?"))[:8], str(row.get(size, "?"))[:32]
    price = row.get("triggerPrice", row.get("price", "?")) if algo else row.get("price", "?")
    return OpenOrder(symbol, client_id, int(row[number]), int(row[made]), side, quantity, str(price)[:32], algo)


class OpenOrders:
    """Judges answers one after the other. `epoch`: this session's number; `began_ms`: orders made by others of ours before it are of the past.

    Owner: the venue loop.
    """

    def __init__(self, epoch: int, began_ms: int) -> None:
        self.epoch, self.began_ms = epoch, began_ms
        self._doubted: set[int] = set()

    def judge(self, orders: Iterable[OpenOrder], working: Callable[[int], bool]) -> dict[Owner, list[OpenOrder]]:
        """Every order under its owner. `working(id)`: whether the engine has that order open now, asked after the venue has answered.

        An answer is a moment in the past: an order that has ended since is still in it. So one of our own is doubted first, and given up only if
        the next answer has it too.
        """
        found: dict[Owner, list[OpenOrder]] = {owner: [] for owner in Owner}
        doubted = set()
        for order in orders:
            number = order.number
            if number == 0:
                owner = Owner.STRANGER
            elif epoch_of(number) != self.epoch:
                owner = Owner.ORPHAN if order.created_ms < self.began_ms else Owner.TWIN
            elif working(number):
                owner = Owner.OURS
            else:
                owner = Owner.GIVEN_UP if number in self._doubted else Owner.OURS
                doubted.add(number)
            found[owner].append(order)
        self._doubted = doubted
        return found


def in_words(orders: Iterable[OpenOrder], most: int = 5) -> str:
    """The first few of them, for one line."""
    named = [str(order) for order in orders]
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return "; ".join(named[:most]) + more
