"""Names of streams: what `btcusdt@depth@100ms` stands for, and on which route it is delivered. Names are lower case; unknown ones are None."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from hftkit.exchange.dialects.binance.market.candles import INTERVALS

PUBLIC, MARKET, PRIVATE, UNROUTED = "public", "market", "private", ""
BOOK_TICKER, ALL_BOOK_TICKERS, DEPTH, PARTIAL, TRADE = "bookTicker", "!bookTicker", "depth", "partial", "trade"
AGG_TRADE, MARK_PRICE, ALL_MARK_PRICES, KLINE, CONTINUOUS = "aggTrade", "markPrice", "!markPrice@arr", "kline", "continuousKline"
MINI, ALL_MINI, TICKER, ALL_TICKERS = "miniTicker", "!miniTicker@arr", "ticker", "!ticker@arr"
FORCED, ALL_FORCED, CONTRACT, QUIET = "forceOrder", "!forceOrder@arr", "!contractInfo", "quiet"
USER = "user"
PUBLIC_KINDS = (BOOK_TICKER, ALL_BOOK_TICKERS, DEPTH, PARTIAL, TRADE)
SPEEDS = {"": 250, "@0ms": 0, "@100ms": 100, "@250ms": 250, "@500ms": 500}
LISTEN_KEY = re.compile(r"[A-Za-z0-9]{64}", re.ASCII)
_DEPTH = re.compile(r"depth(5|10|20)?(@\d+ms)?", re.ASCII)
_QUIET_EVERYWHERE = ("!assetIndex@arr", "tradingSession")  # known, and nothing ever happens there
_QUIET_KINDS = ("compositeIndex", "assetIndex")


class Topic(NamedTuple):
    """What a stream carries. `instrument`: its index, -1 for all; `detail`: levels of a partial book, or 0; `period`: ms between two events."""

    kind: str
    instrument: int = -1
    detail: int = 0
    period: int = 0
    interval: str = ""


_ALL: dict[str, Topic] = {
    ALL_BOOK_TICKERS: Topic(ALL_BOOK_TICKERS, period=5000),
    ALL_MARK_PRICES: Topic(ALL_MARK_PRICES, period=3000),
    f"{ALL_MARK_PRICES}@1s": Topic(ALL_MARK_PRICES, period=1000),
    ALL_MINI: Topic(ALL_MINI, period=1000),
    ALL_TICKERS: Topic(ALL_TICKERS, period=1000),
    ALL_FORCED: Topic(ALL_FORCED, period=1000),
    CONTRACT: Topic(CONTRACT),
    **{name: Topic(QUIET) for name in _QUIET_EVERYWHERE},
}
_OF_ONE: dict[str, Topic] = {
    "bookTicker": Topic(BOOK_TICKER),
    "trade": Topic(TRADE),
    "aggTrade": Topic(AGG_TRADE),
    "markPrice": Topic(MARK_PRICE, period=3000),
    "markPrice@1s": Topic(MARK_PRICE, period=1000),
    "miniTicker": Topic(MINI, period=2000),
    "ticker": Topic(TICKER, period=2000),
    "forceOrder": Topic(FORCED, period=1000),
    "rpiDepth@500ms": Topic(DEPTH, period=500),  # no RPI orders here: the same book
    **{kind: Topic(QUIET) for kind in _QUIET_KINDS},
    **{f"kline_{interval}": Topic(KLINE, period=250, interval=interval) for interval in INTERVALS},
    **{f"continuousKline_{interval}": Topic(CONTINUOUS, period=250, interval=interval) for interval in INTERVALS},
}


def topic_of(name: str, instruments: Mapping[str, int]) -> Topic | None:
    """The topic of a stream name, None if there is no such stream. `instruments`: index by symbol in lower case."""
    if name in _ALL:
        return _ALL[name]
    symbol, _, kind = name.partition("@")
    if kind.startswith("continuousKline_"):
        symbol, _, contract = symbol.partition("_")
        if contract != "perpetual":
            return None
    instrument = instruments.get(symbol)
    if instrument is None:
        return None
    if kind in _OF_ONE:
        return _OF_ONE[kind]._replace(instrument=instrument)
    book = _DEPTH.fullmatch(kind)
    if book is None or (book[2] or "") not in SPEEDS:
        return None
    period = SPEEDS[book[2] or ""]
    return Topic(PARTIAL, instrument, int(book[1]), period) if book[1] else Topic(DEPTH, instrument, 0, period)


def is_delivered(topic: Topic, route: str, strict: bool) -> bool:
    """Does this route carry the stream? Not strict: every route carries everything. Strict, as the venue: unrouted is /public."""
    if not strict:
        return True
    if topic.kind == USER:
        return route == PRIVATE
    return route in (PUBLIC, UNROUTED) if topic.kind in PUBLIC_KINDS else route == MARKET
