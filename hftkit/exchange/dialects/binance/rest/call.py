"""What a handler gets, and how a row of the table of endpoints looks. The tables are in the modules of each subject, put together by router.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from hftkit.exchange.dialects.binance.account.keys import ClientKey
from hftkit.exchange.dialects.binance.market.symbols import Symbol
from hftkit.exchange.dialects.binance.rest.parameters import Parameters

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.venue import BinanceDialect


class Security(IntEnum):
    """What a request must carry."""

    NONE = 0
    KEY = 1  # the key's header
    SIGNED = 2  # and a signature: reads of an account
    TRADE = 3  # the same, and it changes something


@dataclass
class Call:
    """One request, already admitted. `account`: index of the account's record, -1 where no key is needed."""

    venue: BinanceDialect
    params: Parameters
    now_ms: int
    account: int = -1
    key: ClientKey | None = None
    address: str = ""

    def symbol(self) -> Symbol:
        """The symbol asked for; -1102 without one, -1121 for an unknown one."""
        return self.venue.symbols.find(self.params.required("symbol"))

    def symbol_or_none(self) -> Symbol | None:
        """The symbol asked for, None if none was."""
        name = self.params.text("symbol")
        return self.venue.symbols.find(name) if name else None


Weight = int | Callable[[Parameters], int]


class Route(NamedTuple):
    """One endpoint."""

    handler: Callable[[Call], Any]  # returns what becomes the JSON body, or raises Refusal
    security: Security = Security.NONE
    weight: Weight = 1
    required: tuple[str, ...] = ()  # parameters that must be there
    orders: tuple[int, int] = (0, 0)  # counted against the order limits of 10 seconds and of a minute
    pool: str = ""  # a rate limit of its own in place of the weight
    places: bool = False  # it places orders: the fault -1008 can meet it


Table = dict[tuple[str, str], Route]
