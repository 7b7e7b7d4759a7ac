"""A strategy for tests/clients/test_freqtrade.py: it enters whenever it may, three trades in all, and says nothing about markets.

The first trade stays open, its stop far away, until the bot has been restarted (HFTKIT_PHASE=2): then it is closed at the market, and the next ones
have a stop so near that the exchange triggers it.
"""

import os
from datetime import UTC, datetime
from typing import ClassVar

from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy
from pandas import DataFrame

SECOND = os.environ.get("HFTKIT_PHASE") == "2"
STARTED = datetime.now(UTC)


class Probe(IStrategy):
    """See above."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    startup_candle_count = 5
    process_only_new_candles = False
    minimal_roi: ClassVar = {"0": 10}
    stoploss = -0.0008 if SECOND else -0.05
    use_exit_signal = True

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """None."""
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Always, while there have been fewer than three trades."""
        if len(Trade.get_trades_proxy()) < (3 if SECOND else 1):
            dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Never by a signal."""
        return dataframe

    def custom_exit(self, *, trade: Trade, **others: object) -> str | None:
        """What was open when the bot was restarted."""
        return "was open" if SECOND and trade.open_date_utc < STARTED else None
