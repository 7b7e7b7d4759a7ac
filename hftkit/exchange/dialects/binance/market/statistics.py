"""The statistics of /futures/data: open interest, longs against shorts, takers' volume, basis; by period, as far back as the simulator runs.

Positions are looked at every five minutes of exchange time, for all accounts but the venue's own; a period shows its last look. "Top traders" are the
five largest positions. Takers' volume and closes come from the candles. The index price is the mark price here, so the basis is 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hftkit.exchange.dialects.binance.market.candles import INTERVALS, Candle
from hftkit.exchange.dialects.binance.market.symbols import Symbol, money, text_of
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Table
from hftkit.exchange.dialects.binance.rest.errors import Refusal
from hftkit.exchange.dialects.binance.rest.limits import DATA

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

LOOK_MS = 300_000
_KEPT = 30 * 288  # thirty days of looks
_TOP = 5
_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
_MOST, _USUAL = 500, 30


class StatisticsPoint(NamedTuple):
    """One symbol at one moment: lots, counts of accounts. `top_*`: of the largest positions."""

    ms: int
    open_lots: int
    mark: int
    longs: int
    shorts: int
    top_longs: int
    top_shorts: int
    top_long_lots: int
    top_short_lots: int


class Statistics:
    """The looks of one venue; `advance` after each slice."""

    def __init__(self, n_instruments: int) -> None:
        self.looks: list[deque[StatisticsPoint]] = [deque(maxlen=_KEPT) for _ in range(n_instruments)]
        self._next_ms = 0

    def advance(self, venue: BinanceDialect, now_ms: int) -> None:
        """StatisticsPoint, if it is time."""
        if now_ms < self._next_ms:
            return
        self._next_ms = now_ms // LOOK_MS * LOOK_MS + LOOK_MS
        positions, marks = venue.venue.holdings["position"][:-2], venue.order_api.marks()
        for i, looks in enumerate(self.looks):
            held = positions[:, i]
            top = held[np.argsort(-np.abs(held), kind="stable")[:_TOP]]
            sums = [int(np.abs(top[side]).sum()) for side in (top > 0, top < 0)]
            counts = [int(side.sum()) for side in (held > 0, held < 0, top > 0, top < 0)]
            looks.append(StatisticsPoint(now_ms, int(held[held > 0].sum()), marks[i], *counts, *sums))


# -- JSON ------------------------------------------------------------------------------------------------------------


def _ratio(longs: int, shorts: int) -> dict[str, str]:
    total = max(1, longs + shorts)
    parts = {"longShortRatio": longs * 10_000 // max(1, shorts), "longAccount": longs * 10_000 // total, "shortAccount": shorts * 10_000 // total}
    return {name: text_of(value, 4) for name, value in parts.items()}


def _open_interest(symbol: Symbol, look: StatisticsPoint) -> dict[str, Any]:
    value = money(symbol.notional_e8(look.open_lots * look.mark))
    return {"symbol": symbol.name, "sumOpenInterest": symbol.qty(look.open_lots), "sumOpenInterestValue": value, "CMCCirculatingSupply": "0"}


def _accounts(symbol: Symbol, look: StatisticsPoint) -> dict[str, Any]:
    return {"symbol": symbol.name, **_ratio(look.longs, look.shorts)}


def _top_accounts(symbol: Symbol, look: StatisticsPoint) -> dict[str, Any]:
    return {"symbol": symbol.name, **_ratio(look.top_longs, look.top_shorts)}


def _top_positions(symbol: Symbol, look: StatisticsPoint) -> dict[str, Any]:
    return {"symbol": symbol.name, **_ratio(look.top_long_lots, look.top_short_lots)}


def _takers(symbol: Symbol, candle: Candle) -> dict[str, Any]:
    sold = candle.qty - candle.taker_qty
    ratio = text_of(candle.taker_qty * 10_000 // max(1, sold), 4)
    return {"buySellRatio": ratio, "buyVol": symbol.qty(candle.taker_qty), "sellVol": symbol.qty(sold)}


def _basis_row(symbol: Symbol, candle: Candle) -> dict[str, Any]:
    price = symbol.price(candle.close)
    words = {"pair": symbol.pair, "contractType": "PERPETUAL", "annualizedBasisRate": ""}
    return {**words, "indexPrice": price, "futuresPrice": price, "basis": "0", "basisRate": "0.0000"}


# -- endpoints -------------------------------------------------------------------------------------------------------


def _period(call: Call) -> str:
    period = call.params.required("period")
    if period not in _PERIODS:
        raise Refusal(-1130, "period")
    return period


def _rows(call: Call, found: list[tuple[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows by time, those asked for: the last ones, or the first ones from startTime on."""
    start, end = call.params.span()
    limit = call.params.limit(_USUAL, _MOST)
    rows = [{**row, "timestamp": ms} for ms, row in found if (start is None or ms >= start) and (end is None or ms <= end)]
    return rows[:limit] if start is not None and end is None else rows[-limit:]


def _of_looks(shape: Callable[[Symbol, StatisticsPoint], dict[str, Any]]) -> Callable[[Call], Any]:
    def answer(call: Call) -> Any:
        symbol, length = call.symbol(), INTERVALS[_period(call)]
        last = {look.ms // length * length: look for look in call.venue.statistics.looks[symbol.index]}  # the last look of each period
        return _rows(call, [(ms, shape(symbol, look)) for ms, look in last.items()])

    return answer


def _of_candles(shape: Callable[[Symbol, Candle], dict[str, Any]], name: str) -> Callable[[Call], Any]:
    def answer(call: Call) -> Any:
        symbol = call.venue.symbols.find(call.params.required(name))
        return _rows(call, [(candle.open_ms, shape(symbol, candle)) for candle in call.venue.store.candles(symbol.index, _period(call))])

    return answer


def _route(handler: Callable[[Call], Any], name: str = "symbol") -> Route:
    return Route(handler, weight=0, required=(name, "period"), pool=DATA)


ROUTES: Table = {
    ("GET", "/futures/data/openInterestHist"): _route(_of_looks(_open_interest)),
    ("GET", "/futures/data/topLongShortAccountRatio"): _route(_of_looks(_top_accounts)),
    ("GET", "/futures/data/topLongShortPositionRatio"): _route(_of_looks(_top_positions)),
    ("GET", "/futures/data/globalLongShortAccountRatio"): _route(_of_looks(_accounts)),
    ("GET", "/futures/data/takerlongshortRatio"): _route(_of_candles(_takers, "symbol")),
    ("GET", "/futures/data/basis"): _route(_of_candles(_basis_row, "pair"), "pair"),
}
