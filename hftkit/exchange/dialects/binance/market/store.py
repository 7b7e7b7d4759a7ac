"""Everything that has happened, as far as it is kept, for whoever asks: fed by the drop copy, on the venue's thread.

`take` is a consumer of exchange/tap.py. What handlers ask is store_seam.py's `Store`; the streams follow `market.fresh` and listen to `history`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hftkit.exchange.core.layout import BalanceKind, TapKind
from hftkit.exchange.core.tap import Batch
from hftkit.exchange.dialects.binance.market.candles import Candle
from hftkit.exchange.dialects.binance.market.market_history import FundingRate, MarketHistory, Trade
from hftkit.exchange.dialects.binance.orders.order_history import Balance, Execution, Fill, Income, Order, OrderHistory

_EXECUTION, _BALANCE = int(TapKind.EXECUTION), int(TapKind.BALANCE)


class BinanceStore:
    """Market history and order history of one venue."""

    def __init__(self, n_instruments: int, now_ns: Callable[[], int]) -> None:
        """`now_ns`: the exchange clock."""
        self.market = MarketHistory(n_instruments)
        self.history = OrderHistory()
        self._now_ns = now_ns
        self.n_lost = 0
        self.on_loss: list[Callable[[], None]] = []  # told after a batch that had lost records

    def take(self, batch: Batch) -> None:
        """One batch of the drop copy."""
        self.market.take(batch)
        rows: list[Any] = [Execution(*row) for row in batch.executions().tolist()] if (batch.kinds == _EXECUTION).any() else []
        if (batch.kinds == _BALANCE).any():
            rows = sorted([*rows, *(Balance(*row) for row in batch.balances().tolist())], key=lambda row: row.seq)
        for row in rows:
            if isinstance(row, Execution):
                self.history.execution(row)
            elif row.kind == BalanceKind.FUNDING_RATE:
                self.market.settle(row.instrument, FundingRate(row.ts, row.rate_ppm, row.price))
            else:
                self.history.balance(row)
        self.n_lost += batch.n_lost
        if batch.n_lost:
            for hear in self.on_loss:
                hear()

    def order(self, account: int, client_order_id: int) -> Order | None:
        """By the venue's integer client id: the last order that had it."""
        return self.history.order(account, client_order_id)

    def order_by_id(self, account: int, order_id: int) -> Order | None:
        """By order id."""
        return self.history.order_by_id(account, order_id)

    def orders(self, account: int, instrument: int = -1) -> list[Order]:
        """All of an account, oldest first; of one instrument, or (-1) of all."""
        return self.history.orders(account, instrument)

    def open_orders(self, account: int, instrument: int = -1) -> list[Order]:
        """Those that are open, waiting ones included."""
        return self.history.open_orders(account, instrument)

    def fills(self, account: int, instrument: int = -1) -> list[Fill]:
        """An account's fills, oldest first; in one instrument, or (-1) in all."""
        return self.history.fills(account, instrument)

    def income(self, account: int) -> list[Income]:
        """Oldest first."""
        return self.history.income(account)

    def funding_rates(self, instrument: int) -> list[FundingRate]:
        """Settlements, oldest first."""
        return self.market.rates(instrument)

    def trades(self, instrument: int) -> list[Trade]:
        """The last trades, oldest first."""
        return self.market.trades(instrument)

    def agg_trades(self, instrument: int) -> list[Trade]:
        """The last trades, joined by taker order, price and side; oldest first."""
        return self.market.joined(instrument)

    def candles(self, instrument: int, interval: str) -> list[Candle]:
        """Oldest first; the last one may be unfinished."""
        candles = self.market.candles(instrument)
        candles.advance(self._now_ns() // 1_000_000)
        return candles.rows(interval)

    def day(self, instrument: int) -> Candle:
        """The last 24 hours as one candle (open_ms: 24 hours ago, close_ms: now); zeros before the first trade."""
        return self.market.day(instrument, self._now_ns())
