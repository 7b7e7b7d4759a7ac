"""What the request handlers ask of the store: rows and methods, as protocols. The store itself is fed by the drop copy (store.py).

Times are exchange time in ns, prices ticks, quantities lots, money 1e-8 quote; accounts and instruments are indexes of the venue's records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class OrderRow(Protocol):
    """One order of an account, open or closed, as the last of its events left it."""

    account: int
    instrument: int
    order_id: int
    client_order_id: int  # the venue's integer; tickets.py knows the text
    side: int  # codes.Side
    order_type: int  # codes.OrderType
    time_in_force: int  # codes.TimeInForce
    flags: int  # codes.OrderFlag
    price: int
    trigger_price: int
    qty: int
    filled: int
    traded: int  # sum of price * quantity of its fills, ticks * lots
    status: str  # NEW PARTIALLY_FILLED FILLED CANCELED EXPIRED EXPIRED_IN_MATCH REJECTED
    waiting: bool  # a conditional order that has not been triggered
    created_ns: int
    updated_ns: int


class FillRow(Protocol):
    """One fill of an account."""

    account: int
    instrument: int
    order_id: int
    trade_id: int
    side: int
    price: int
    qty: int
    maker: bool
    fee_e8: int
    realised_e8: int
    ts: int


class TradeRow(Protocol):
    """One trade of the market, or several of one taker joined (aggTrade: `first_id` to `last_id`)."""

    trade_id: int
    first_id: int
    last_id: int
    price: int
    qty: int
    ts: int
    seller_took: bool  # the aggressor sold: isBuyerMaker


class CandleRow(Protocol):
    """One candle."""

    open_ms: int
    close_ms: int
    open: int
    high: int
    low: int
    close: int
    qty: int
    traded: int  # ticks * lots
    n_trades: int
    taker_qty: int  # bought by takers
    taker_traded: int


class IncomeRow(Protocol):
    """One change of a wallet that is no order's business to show: FUNDING_FEE, COMMISSION, REALIZED_PNL, INSURANCE_CLEAR, ..."""

    account: int
    instrument: int  # -1: of none
    kind: str
    amount_e8: int
    ts: int
    income_id: int
    trade_id: int  # 0: none


class FundingRow(Protocol):
    """One funding settlement of an instrument."""

    ts: int
    rate_ppm: int
    price: int  # the mark, ticks


class Store(Protocol):
    """Everything that has happened, as far as it is kept."""

    def order(self, account: int, client_order_id: int) -> OrderRow | None:
        """By the venue's integer client id: the last order that had it."""

    def order_by_id(self, account: int, order_id: int) -> OrderRow | None:
        """By order id."""

    def orders(self, account: int, instrument: int = -1) -> Sequence[OrderRow]:
        """All of an account, oldest first; of one instrument, or (-1) of all."""

    def open_orders(self, account: int, instrument: int = -1) -> Sequence[OrderRow]:
        """Those that are open, waiting ones included."""

    def fills(self, account: int, instrument: int) -> Sequence[FillRow]:
        """An account's fills, oldest first."""

    def income(self, account: int) -> Sequence[IncomeRow]:
        """Oldest first."""

    def trades(self, instrument: int) -> Sequence[TradeRow]:
        """The last trades, oldest first."""

    def agg_trades(self, instrument: int) -> Sequence[TradeRow]:
        """The last trades, joined by taker order, price and side; oldest first."""

    def candles(self, instrument: int, interval: str) -> Sequence[CandleRow]:
        """Oldest first; the last one may be unfinished. `interval`: 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M."""

    def day(self, instrument: int) -> CandleRow:
        """The last 24 hours as one candle (open_ms: 24 hours ago, close_ms: of the last trade)."""

    def funding(self, instrument: int) -> Sequence[FundingRow]:
        """Settlements, oldest first."""
