"""The Binance USD-M futures venue: everything that this dialect knows beside the compiled venue it stands in front of. Sans-I/O.

All of it lives on the venue's thread (../../host.py): `handle` of router.py answers one request, `after_slice` does what time and trades bring
about. What happens in the books comes back through the drop copy: `catch_up` drains it into the store, at once after each command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hftkit.exchange.config import SimConfig
from hftkit.exchange.core.layout import ExecutionKind
from hftkit.exchange.dialects.binance import fault_names
from hftkit.exchange.dialects.binance.account.keys import KeyRing
from hftkit.exchange.dialects.binance.account.listen_keys import ListenKeys
from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.faults import AnswerFaults
from hftkit.exchange.dialects.binance.market.statistics import Statistics
from hftkit.exchange.dialects.binance.market.store import BinanceStore
from hftkit.exchange.dialects.binance.market.symbols import Symbol, Symbols
from hftkit.exchange.dialects.binance.orders import algo
from hftkit.exchange.dialects.binance.orders.algo_orders import MARK, AlgoBook
from hftkit.exchange.dialects.binance.orders.client_orders import ClientOrders
from hftkit.exchange.dialects.binance.orders.engine_conditionals import EngineConditionals
from hftkit.exchange.dialects.binance.rest.limits import RateLimits
from hftkit.exchange.internal_errors import InternalErrors
from hftkit.exchange.trading.order_entry_api import OrderEntryApi
from hftkit.exchange.venue import DEPTH_ROW, Exchange

SWEEP_MS = 1000
_MS = 1_000_000
_PPM = 1_000_000


class BinanceDialect:
    """The dialect's state. `venue`: the compiled venue's arrays; `store`: what has happened, fed by `drain`."""

    def __init__(
        self,
        sim: SimConfig,
        venue: Exchange,
        keys: KeyRing,
        store: BinanceStore,
        drain: Callable[[], None],
        fault_page: np.ndarray,
        start_ns: int,
        internal_errors: InternalErrors | None = None,
    ) -> None:
        """`drain`: brings the store up to date with the books; `start_ns`: exchange time of the start."""
        self.config = sim.binance or BinanceDialectConfig()
        self.venue = venue
        self.keys = keys
        self.store = store
        self.start_ns = start_ns
        self.internal_errors = internal_errors or InternalErrors()
        self.order_api = OrderEntryApi(venue)
        self.symbols = Symbols(sim, self.config, venue)
        self.limits = RateLimits(self.config)
        self.faults = AnswerFaults(fault_page)
        self.listen_keys = ListenKeys()
        self.client_orders = ClientOrders()
        self.algo = AlgoBook()
        self.statistics = Statistics(len(self.symbols.all))
        self.engine_conditionals = EngineConditionals(self)
        self.on_leverage: list[Callable[[int, Symbol, int], None]] = []  # told (account, symbol, leverage) of every change
        self.on_margin_type: list[Callable[[int, Symbol], None]] = []  # told (account, symbol) of every change
        self._last_fills: dict[tuple[int, int], int] = {}  # exchange ms, by account and instrument
        store.history.on_execution.append(self._note)
        store.history.on_entry.append(lambda order: self.algo.entered(order.account, order.client_order_id, order.order_id, order.updated_ns // _MS))
        store.on_loss.append(self._count_isolated)
        self._drain = drain
        self._accounts: dict[int, int] = {}
        self._countdowns: dict[tuple[int, int], int] = {}  # (account, instrument): exchange ms when its orders go
        self._seen_trades: dict[int, int] = {}
        self._next_sweep = 0

    # -- time ------------------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Exchange time as clients see it, ms: the one clock of the dialect."""
        return int(self.venue.state[0]["ts"]) // _MS + self.faults.skew_ms

    def after_slice(self) -> None:
        """What has become due: drop copy, countdowns, conditional orders, listen keys."""
        self.catch_up()
        now = self.now_ms()
        for (account, instrument), due in list(self._countdowns.items()):
            if now >= due:
                del self._countdowns[account, instrument]
                self.cancel_orders(account, instrument)
        algo.watch_prices(self, now)
        self.statistics.advance(self, now)
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_MS
            self.listen_keys.sweep(now)
        if self.faults.once(fault_names.EXPIRE_LISTEN_KEYS):
            for account in self._accounts.values():
                self.listen_keys.expire(account)

    def catch_up(self) -> None:
        """Bring the store up to date with the books."""
        self._drain()

    # -- accounts --------------------------------------------------------------------------------------------------------

    def account_of(self, account_id: int) -> int:
        """Index of an account's record, -1 if there is no room for it."""
        index = self._accounts.get(account_id)
        if index is None:
            index = self.order_api.open_account(account_id)
            if index >= 0:
                self._accounts[account_id] = index
        return index

    def leverage(self, account: int, symbol: Symbol) -> int:
        """The account's leverage for a symbol."""
        ppm = int(self.venue.holdings[account, symbol.index]["initial_ppm"])
        return _PPM // ppm if ppm else symbol.leverage

    def set_leverage(self, account: int, symbol: Symbol, leverage: int) -> None:
        """Change it; the compiled margin check follows at once."""
        self.venue.holdings[account, symbol.index]["initial_ppm"] = _PPM // leverage
        for hear in self.on_leverage:
            hear(account, symbol, leverage)

    def is_isolated(self, account: int, symbol: Symbol) -> bool:
        """Isolated margin?"""
        return bool(self.venue.holdings[account, symbol.index]["is_isolated"])

    def set_isolated(self, account: int, symbol: Symbol, isolated: bool) -> None:
        """Isolated or cross margin, where there is neither position nor order."""
        self.venue.holdings[account, symbol.index]["is_isolated"] = isolated
        for hear in self.on_margin_type:
            hear(account, symbol)

    def _count_isolated(self) -> None:
        """Records were lost: isolated wallets as they are."""
        table = self.venue.holdings["isolated_e8"]
        self.store.history.isolated = {(int(a), int(i)): int(table[a, i]) for a, i in np.argwhere(table != 0)}

    def reducible(self, account: int, symbol: Symbol, side: int) -> int:
        """Lots that an order of this side may trade without the position passing zero or growing."""
        position = int(self.venue.books.exposures[account, symbol.index]["position"])
        return max(0, -position if side == 0 else position)

    def n_open(self, account: int, symbol: Symbol) -> int:
        """Open orders of an account in one symbol."""
        if int(self.venue.books.owners[account]["n_open"]) < self.config.max_open_orders:
            return 0  # cannot be at the limit in any symbol
        return len(self.store.open_orders(account, symbol.index))

    def cancel_orders(self, account: int, instrument: int) -> None:
        """Cancel an account's open orders in one instrument; conditional ones that the matching engine keeps stay."""
        open_orders = self.store.open_orders(account, instrument)
        if any(order.waiting for order in open_orders):
            for order in open_orders:
                if not order.waiting:
                    self.order_api.cancel(account, instrument, order.client_order_id)
        else:
            self.order_api.cancel_everything(account, instrument)
        self.catch_up()

    def has_open(self, account: int, client_id: str) -> bool:
        """Is an order of this client id open?"""
        number = self.client_orders.number_of(account, client_id)
        return number is not None and self.order_api.find_open(account, number) != 0

    def last_fill_ms(self, account: int, instrument: int) -> int:
        """Time of an account's last fill in an instrument, 0 before the first."""
        return self._last_fills.get((account, instrument), 0)

    def _note(self, row: Any, _: object) -> None:
        if row.kind == ExecutionKind.TRADE:
            self._last_fills[row.account, row.instrument] = row.ts // _MS

    def set_countdown(self, account: int, symbol: Symbol, length_ms: int, now_ms: int) -> None:
        """The account's orders in this symbol go after `length_ms`, unless told again before; 0 stops the countdown."""
        self._countdowns.pop((account, symbol.index), None)
        if length_ms > 0:
            self._countdowns[account, symbol.index] = now_ms + length_ms

    # -- prices ----------------------------------------------------------------------------------------------------------

    def mark(self, symbol: Symbol) -> int:
        """The mark price, ticks; 0 if there never was a price."""
        return self.order_api.marks()[symbol.index]

    def working_price(self, symbol: Symbol, working_type: str) -> int:
        """The price that conditional orders look at now, ticks; 0 if there is none."""
        return self.mark(symbol) if working_type == MARK else int(self.venue.books.tops[symbol.index]["last"])

    @property
    def last_trade_id(self) -> int:
        """Id of the last trade of the whole venue."""
        return int(self.venue.books.counters[0]["last_trade_id"])

    def trades_since(self, symbol: Symbol) -> list[tuple[int, int]]:
        """(trade id, price in ticks) of the trades since the last look, in their order."""
        seen, fresh = self._seen_trades.get(symbol.index, 0), []
        for row in reversed(self.store.trades(symbol.index)):
            if row.trade_id <= seen:
                break
            fresh.append((row.trade_id, row.price))
        if fresh:
            self._seen_trades[symbol.index] = fresh[0][0]
        return fresh[::-1]

    def update_id(self, symbol: Symbol) -> int:
        """The id of a snapshot taken now: between the ids of the last change of the book and the next one (market_streams.py)."""
        return 2 * int(self.venue.sequences[symbol.index, DEPTH_ROW]) + 1

    def summary(self) -> dict[str, Any]:
        """Figures for the summary of a run."""
        waiting = sum(len(self.algo.waiting(i)) for i in self.algo.instruments)
        return {"conditional_orders_waiting": waiting, "internal_errors": self.internal_errors.count}
