"""The market's past as clients may ask for it: last trades, aggregate trades, candles, funding rates. Fed by the drop copy; bounded memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hftkit.codes import MessageType
from hftkit.exchange.core.tap import Batch
from hftkit.exchange.dialects.binance.market.candles import Candle, Candles

KEPT_TRADES = 5000  # of each instrument, for certain; also joined ones
KEPT_RATES = 1000
_TRADE, _DEPTH = int(MessageType.TRADE), int(MessageType.DEPTH)
_NS_PER_MS = 1_000_000
# words of a TRADE frame, and of a DEPTH frame as far as they agree
_TS, _TRADE_ID, _SIDE, _PRICE, _QTY = range(2, 7)
_TRADE_WORDS = 7


class Trade(NamedTuple):
    """One trade, or several fills of one taker order at one price joined: then `trade_id` is the id of the joined one."""

    trade_id: int
    first_id: int
    last_id: int
    price: int  # ticks
    qty: int  # lots
    ts: int  # ns
    seller_took: bool  # the aggressor sold


class FundingRate(NamedTuple):
    """One settlement. `mark`: ticks."""

    ts: int
    rate_ppm: int
    mark: int


class _Instrument:
    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.joined: list[Trade] = []
        self.n_joined = 0
        self.candles = Candles()
        self.rates: list[FundingRate] = []


def _trim(rows: list[Trade] | list[FundingRate], kept: int) -> None:
    if len(rows) >= 2 * kept:
        del rows[:-kept]


class MarketHistory:
    """Of every instrument. `fresh` and `fresh_joined`: (instrument, trade) of the last batch, for the streams."""

    def __init__(self, n_instruments: int) -> None:
        self._instruments = [_Instrument() for _ in range(n_instruments)]
        self.fresh: list[tuple[int, Trade]] = []
        self.fresh_joined: list[tuple[int, Trade]] = []

    def take(self, batch: Batch) -> None:
        """Everything that traded.

        One taker order's fills at one price follow each other and end with the change of that level, so trades between two DEPTH frames
        with one price and side are one order's (a batch holds whole commands).
        """
        self.fresh, self.fresh_joined = [], []
        is_trade = batch.kinds == _TRADE
        if not is_trade.any():
            return
        following = np.flatnonzero(is_trade | (batch.kinds == _DEPTH))
        after_depth = np.ones(batch.kinds.size, np.bool_)
        after_depth[following[1:]] = batch.kinds[following[:-1]] == _DEPTH
        frames = batch.frames(_TRADE, _TRADE_WORDS).tolist()
        of_trades = np.flatnonzero(is_trade)
        for row, i, begins in zip(frames, batch.instruments[of_trades].tolist(), after_depth[of_trades].tolist(), strict=True):
            trade = Trade(row[_TRADE_ID], row[_TRADE_ID], row[_TRADE_ID], row[_PRICE], row[_QTY], row[_TS], row[_SIDE] == 1)
            instrument = self._instruments[i]
            instrument.trades.append(trade)
            self.fresh.append((i, trade))
            instrument.candles.trade(trade.ts // _NS_PER_MS, trade.trade_id, trade.price, trade.qty, not trade.seller_took)
            self._join(i, instrument, trade, begins)
        for instrument in self._instruments:
            _trim(instrument.trades, KEPT_TRADES)
            _trim(instrument.joined, KEPT_TRADES)

    def _join(self, i: int, instrument: _Instrument, trade: Trade, begins: bool) -> None:
        last = self.fresh_joined[-1] if self.fresh_joined else None
        if last is None or begins or last[0] != i or (last[1].price, last[1].seller_took) != (trade.price, trade.seller_took):
            instrument.n_joined += 1
            joined = trade._replace(trade_id=instrument.n_joined)
            instrument.joined.append(joined)
            self.fresh_joined.append((i, joined))
            return
        joined = last[1]._replace(last_id=trade.trade_id, qty=last[1].qty + trade.qty)
        instrument.joined[-1] = joined
        self.fresh_joined[-1] = (i, joined)

    def settle(self, instrument: int, rate: FundingRate) -> None:
        """A funding settlement."""
        self._instruments[instrument].rates.append(rate)
        _trim(self._instruments[instrument].rates, KEPT_RATES)

    def trades(self, instrument: int) -> list[Trade]:
        """The last trades, oldest first."""
        return self._instruments[instrument].trades

    def joined(self, instrument: int) -> list[Trade]:
        """The last joined trades, oldest first."""
        return self._instruments[instrument].joined

    def rates(self, instrument: int) -> list[FundingRate]:
        """Settlements, oldest first."""
        return self._instruments[instrument].rates

    def candles(self, instrument: int) -> Candles:
        """All its candles."""
        return self._instruments[instrument].candles

    def day(self, instrument: int, now_ns: int) -> Candle:
        """The last 24 hours as one candle; a candle of zeros before the first trade."""
        now_ms = now_ns // _NS_PER_MS
        return self._instruments[instrument].candles.day(now_ms) or Candle(now_ms - 86_400_000, now_ms, 0, 0, 0, 0)
