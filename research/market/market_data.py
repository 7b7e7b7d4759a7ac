"""Market data of a journal or a history file, instrument by instrument: quotes, trades, levels, candles, and a panel for the other rooms of research.

Reads what `hftkit sim --record` wrote, what a live session received, and what `hftkit data history` made. A recorded run's orders and balances are in
executions.py, a session's signal and fills in research/report/session.py; prices into something the simulator plays: history.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hftkit.codes import MessageType, Side
from hftkit.errors import DataError
from hftkit.exchange.market.history.files import HistoryTape, load_history
from research.data.data_loader import Panel, SourceFile
from research.data.data_quality import audit


@dataclass(frozen=True)
class MarketData:
    """Market data of some instruments, in decimal units, index the exchange time (UTC). `source`: what it was read from.

    `tape`: the frames themselves (exchange/market/history/files.py). Tables are made when asked for.
    """

    source: Path
    tape: HistoryTape

    @property
    def symbols(self) -> list[str]:
        """Instruments, in id order."""
        return [one.symbol for one in self.tape.instruments]

    def quotes(self, symbol: str) -> pd.DataFrame:
        """Best quotes: bid, bid_qty, ask, ask_qty; an empty side is NaN with quantity 0. Recorded depth carries no quotes: see `levels`."""
        rows, tick, lot = self._rows(symbol, MessageType.BBO)
        frame = pd.DataFrame({"bid": rows[:, 3] * tick, "bid_qty": rows[:, 4] * lot, "ask": rows[:, 5] * tick, "ask_qty": rows[:, 6] * lot})
        frame[["bid", "ask"]] = frame[["bid", "ask"]].where(frame[["bid", "ask"]] > 0)
        return frame.set_index(_times(rows))

    def trades(self, symbol: str) -> pd.DataFrame:
        """Trades: price, qty, side of the aggressor ("buy", "sell")."""
        rows, tick, lot = self._rows(symbol, MessageType.TRADE)
        frame = pd.DataFrame({"price": rows[:, 5] * tick, "qty": rows[:, 6] * lot, "side": _sides(rows[:, 4])})
        return frame.set_index(_times(rows))

    def levels(self, symbol: str) -> pd.DataFrame:
        """Changes of the book: side, price, qty now resting there (0: gone)."""
        rows, tick, lot = self._rows(symbol, MessageType.DEPTH)
        frame = pd.DataFrame({"side": _sides(rows[:, 3]), "price": rows[:, 5] * tick, "qty": rows[:, 6] * lot})
        return frame.set_index(_times(rows))

    def candles(self, symbol: str, interval: str = "1min") -> pd.DataFrame:
        """Bars (index open_time): open, high, low, close, volume of the trades; of the quotes' mids, volume 0, where no trade was recorded.

        A bar in which nothing happened is not there: gaps are decided by who loads (see `panel`). Raises DataError for depth without trades.
        """
        trades = self.trades(symbol)
        if len(trades):
            values, volume = trades["price"], trades["qty"]
        else:
            quotes = self.quotes(symbol)
            values = (0.5 * (quotes["bid"] + quotes["ask"])).dropna()
            volume = pd.Series(0.0, values.index)
        if values.empty:
            raise DataError(f"{self.source.name} has neither trades nor quotes of {symbol}", "Use levels(): depth alone makes no candles")
        bars = values.resample(interval, label="left", closed="left").ohlc()
        bars["volume"] = volume.resample(interval, label="left", closed="left").sum()
        return bars.dropna(subset="close").rename_axis("open_time")

    def panel(self, interval: str = "1min") -> Panel:
        """Closes of all instruments on one grid of bars, over the time all cover. A bar without an event keeps the last close; how many is said."""
        bars = {symbol: self.candles(symbol, interval) for symbol in self.symbols}
        first, last = max(frame.index[0] for frame in bars.values()), min(frame.index[-1] for frame in bars.values())
        grid = pd.date_range(first, last, freq=interval, name="open_time")
        if len(grid) < 2:
            raise DataError(f"{self.source.name} spans less than two bars of {interval}", "Use shorter bars or a longer recording")
        filled = {symbol: int((~grid.isin(frame.index)).sum()) for symbol, frame in bars.items()}
        closes = pd.DataFrame({symbol: frame["close"].reindex(grid, method="ffill") for symbol, frame in bars.items()})
        decisions = [f"{count} of {len(grid)} bars of {symbol} had no event and keep the last close" for symbol, count in filled.items() if count]
        quality = pd.DataFrame({symbol: audit(frame).row() for symbol, frame in bars.items()}).T.rename_axis("symbol")
        digest = self.tape.digest
        files = tuple(
            SourceFile(symbol, self.source.name, digest, len(frame), frame.index[0].value, frame.index[-1].value) for symbol, frame in bars.items()
        )
        return Panel(closes, int(pd.Timedelta(grid[1] - grid[0]).value), files, quality, tuple(decisions))

    def _rows(self, symbol: str, kind: MessageType) -> tuple[np.ndarray, float, float]:
        if symbol not in self.symbols:
            raise DataError(f"{self.source.name} has no {symbol}", f"It has {', '.join(self.symbols)}")
        number, tape = self.symbols.index(symbol), self.tape.tape
        chosen = tape[(tape[:, 0] >> 32 == number) & (tape[:, 0] >> 16 & 0xFF == int(kind))]
        instrument = self.tape.instruments[number]
        return chosen, float(instrument.tick_size), float(instrument.lot_size)


def load_market_data(path: Path | str) -> MarketData:
    """Read a history file (.npz) or the folder of a journal: of `hftkit sim --record`, or of a live session (what its engine received).

    Raises DataError or JournalError for what is neither, or is damaged.
    """
    return MarketData(Path(path), load_history(path))


def _times(rows: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(rows[:, 2], utc=True), name="time").as_unit("ns")


def _sides(codes: np.ndarray) -> Any:
    return np.where(codes == int(Side.BUY), Side.BUY.text, Side.SELL.text)
