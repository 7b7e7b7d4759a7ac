"""Order entry for callers that are not frames: what a dialect on the venue's thread does to the books, one compiled call each.

A dialect (dialects/) fills in `venue.command[0]` or passes a few integers, and learns at once why a request was refused; fills and everything else
reach it like everybody, through the drop copy. Prices in ticks, quantities in lots, money in 1e-8 quote, as everywhere. It runs between two slices
of the compiled loop (host.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import Side
from hftkit.exchange.core.accounts import account_index, move_to_isolated
from hftkit.exchange.core.filters import mark_price
from hftkit.exchange.core.ladder import find_key, level_above, level_below
from hftkit.exchange.core.layout import BalanceKind, Op
from hftkit.exchange.trading.cancel_replace import cancel_order, replace_order
from hftkit.exchange.trading.margin import measure
from hftkit.exchange.trading.orders import cancel_all, client_order
from hftkit.exchange.trading.records import record_balance
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import compiled_driver, kernel

_BUY, _NEW, _MARGIN_TRANSFER = int(Side.BUY), int(Op.NEW), int(BalanceKind.MARGIN_TRANSFER)


@kernel
def place(venue: Exchange) -> int:
    """The new order in `venue.command[0]`, all fields set but `op`. Returns why it was refused, a Reject code, or 0."""
    venue.command[0].op = _NEW
    return client_order(venue)


@kernel
def cancel(venue: Exchange, account: int, instrument: int, client_order_id: int) -> int:
    """Cancel one open order. Returns a Reject code, or 0."""
    return cancel_order(venue, account, instrument, client_order_id)


@kernel
def replace(venue: Exchange, account: int, instrument: int, body: Any) -> int:
    """Change an open order. `body`: int64 (3,), its id, new price in ticks, new total quantity in lots. Returns a Reject code, or 0."""
    return replace_order(venue, account, instrument, body)


@kernel
def cancel_everything(venue: Exchange, account: int, instrument: int) -> None:
    """Cancel all open orders of an account, in one instrument or (-1) in all."""
    cancel_all(venue, account, instrument, 0)


@kernel
def open_account(venue: Exchange, account_id: int) -> int:
    """Index of the record of an account number, taking a free one on first sight; -1 if there is none."""
    return account_index(venue.accounts, account_id)


@kernel
def find_open(venue: Exchange, account: int, client_order_id: int) -> int:
    """Slot of an open order in `venue.books.orders`, 0 if there is none."""
    return find_key(venue.books.table, account, client_order_id)


@kernel
def margins(venue: Exchange, account: int, figures: Any) -> None:
    """Unrealised profit, initial and maintenance margin, isolated equity (margin.measure) of an account into `figures`, int64 (4,), 1e-8 quote."""
    figures[0], figures[1], figures[2], figures[3] = measure(venue, account)


@kernel
def move_margin(venue: Exchange, account: int, instrument: int, amount_e8: int) -> None:
    """From the cross wallet to that of an isolated position (negative: back), because its owner asked for it."""
    move_to_isolated(venue, account, instrument, amount_e8)
    record_balance(venue, _MARGIN_TRANSFER, account, instrument, amount_e8, 0, 0, 0)


@kernel
def marks(venue: Exchange, prices: Any) -> None:
    """The mark price of each instrument into `prices`, int64 (n,), ticks; 0 where there never was a price."""
    for i in range(venue.instruments.size):
        prices[i] = mark_price(venue.books.tops[i])


@kernel
def read_side(venue: Exchange, instrument: int, side: int, levels: Any) -> int:
    """The best levels of one side into `levels`, int64 (n, 2): ticks, lots. Returns how many there are, n at the most."""
    books = venue.books
    top, bitmap = books.tops[instrument], books.bitmaps[instrument, side]
    best = top.bid if side == _BUY else top.ask
    level, n = (best - top.base if best != 0 else -1), 0
    while level >= 0 and n < levels.shape[0]:
        levels[n, 0], levels[n, 1] = top.base + level, books.levels[instrument, level].qty
        n += 1
        level = level_below(bitmap, level) if side == _BUY else level_above(bitmap, level)
    return n


class OrderEntryApi:
    """The compiled calls, bound to one venue (loaded from the kernel cache in milliseconds)."""

    def __init__(self, venue: Exchange) -> None:
        pair, three = np.zeros((1, 2), np.int64), np.zeros(3, np.int64)
        self.venue = venue
        self._place = compiled_driver(place, venue)
        self._cancel = compiled_driver(cancel, venue, 0, 0, 0)
        self._replace = compiled_driver(replace, venue, 0, 0, three)
        self._cancel_everything = compiled_driver(cancel_everything, venue, 0, 0)
        self._open_account = compiled_driver(open_account, venue, 0)
        self._find_open = compiled_driver(find_open, venue, 0, 0)
        self._marks = compiled_driver(marks, venue, three)
        self._margins = compiled_driver(margins, venue, 0, three)
        self._move_margin = compiled_driver(move_margin, venue, 0, 0, 0)
        self._read_side = compiled_driver(read_side, venue, 0, 0, pair)

    def place(
        self,
        account: int,
        instrument: int,
        client_order_id: int,
        side: int,
        order_type: int,
        time_in_force: int,
        flags: int,
        price: int,
        qty: int,
        expire_ts: int = 0,
    ) -> int:
        """A new order; see COMMAND in layout.py. Returns why it was refused, a Reject code, or 0."""
        command = self.venue.command[0]
        command["instrument"], command["account"], command["client_order_id"] = instrument, account, client_order_id
        command["side"], command["order_type"], command["time_in_force"], command["flags"] = side, order_type, time_in_force, flags
        command["price"], command["qty"], command["trigger_price"], command["expire_ts"] = price, qty, 0, expire_ts
        return int(self._place(self.venue))

    def cancel(self, account: int, instrument: int, client_order_id: int) -> int:
        """Cancel one open order. Returns a Reject code, or 0."""
        return int(self._cancel(self.venue, account, instrument, client_order_id))

    def replace(self, account: int, instrument: int, client_order_id: int, price: int, qty: int) -> int:
        """New price (ticks) and total quantity (lots) of an open order. Returns a Reject code, or 0."""
        return int(self._replace(self.venue, account, instrument, np.array([client_order_id, price, qty], np.int64)))

    def cancel_everything(self, account: int, instrument: int) -> None:
        """Cancel all open orders of an account, in one instrument or (-1) in all."""
        self._cancel_everything(self.venue, account, instrument)

    def open_account(self, account_id: int) -> int:
        """Index of the record of an account number, taking a free one on first sight; -1 if there is none."""
        return int(self._open_account(self.venue, account_id))

    def find_open(self, account: int, client_order_id: int) -> int:
        """Slot of an open order in `venue.books.orders`, 0 if there is none."""
        return int(self._find_open(self.venue, account, client_order_id))

    def margins(self, account: int) -> tuple[int, int, int, int]:
        """(unrealised profit, initial margin, maintenance margin, equity of isolated positions) of an account, 1e-8 quote: margin.measure."""
        figures = np.zeros(4, np.int64)
        self._margins(self.venue, account, figures)
        return int(figures[0]), int(figures[1]), int(figures[2]), int(figures[3])

    def move_margin(self, account: int, instrument: int, amount_e8: int) -> None:
        """From the cross wallet to that of an isolated position (negative: back). The caller has checked that it may be."""
        self._move_margin(self.venue, account, instrument, amount_e8)

    def marks(self) -> list[int]:
        """The mark price of each instrument, ticks; 0 where there never was a price."""
        prices = np.zeros(self.venue.instruments.size, np.int64)
        self._marks(self.venue, prices)
        return [int(price) for price in prices]

    def read_side(self, instrument: int, side: int, n: int) -> list[tuple[int, int]]:
        """The best `n` levels of one side: (ticks, lots), best first."""
        levels = np.zeros((n, 2), np.int64)
        found = self._read_side(self.venue, instrument, side, levels)
        return [(int(price), int(qty)) for price, qty in levels[:found]]
