"""Market events as JSON, keys in the order in which the venue really sends them; source: captures of its streams (docs/binance-dialect.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from hftkit.exchange.dialects.binance.market.candles import Candle
from hftkit.exchange.dialects.binance.market.contracts import contract_type, dated
from hftkit.exchange.dialects.binance.market.market_history import Trade
from hftkit.exchange.dialects.binance.market.symbols import Symbol, text_of
from hftkit.units import E8

_MS = 1_000_000


class Texts:
    """Fast texts of one symbol's numbers."""

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self.name, self.pair = symbol.name, symbol.pair
        self._price_unit, self._price_places = int(symbol.tick.scaleb(symbol.price_places)), symbol.price_places
        self._qty_unit, self._qty_places = int(symbol.lot.scaleb(symbol.qty_places)), symbol.qty_places
        self._tick_e8 = int(symbol.tick * E8)

    def price(self, ticks: int) -> str:
        """Ticks, padded to the tick's decimals."""
        return text_of(ticks * self._price_unit, self._price_places)

    def qty(self, lots: int) -> str:
        """Lots, padded to the lot's decimals."""
        return text_of(lots * self._qty_unit, self._qty_places)

    def price_e8(self, ticks: int) -> str:
        """Ticks with eight decimals."""
        return text_of(ticks * self._tick_e8, 8)

    def quote(self, ticks_lots: int, places: int) -> str:
        """Value of ticks times lots with 2 or 5 decimals."""
        return text_of(ticks_lots * self.symbol.tick_lot_e8 // 10 ** (8 - places), places)

    def levels(self, rows: Iterable[tuple[int, int]]) -> str:
        """(ticks, lots) as a JSON list of pairs of texts."""
        return "[" + ",".join([f'["{self.price(price)}","{self.qty(qty)}"]' for price, qty in rows]) + "]"


def encode(fields: dict[str, Any]) -> bytes:
    """A JSON object, keys in their order."""
    return msgspec.json.encode(fields)


def trade_event(texts: Texts, trade: Trade, now_ms: int) -> bytes:
    """One fill."""
    took = "true" if trade.seller_took else "false"
    return (
        f'{{"e":"trade","E":{now_ms},"T":{trade.ts // _MS},"s":"{texts.name}","t":{trade.trade_id},"p":"{texts.price(trade.price)}",'
        f'"q":"{texts.qty(trade.qty)}","X":"MARKET","m":{took},"st":1}}'
    ).encode()


def agg_trade_event(texts: Texts, trade: Trade, now_ms: int) -> bytes:
    """Fills of one taker order at one price."""
    took, qty = "true" if trade.seller_took else "false", texts.qty(trade.qty)
    return (
        f'{{"e":"aggTrade","E":{now_ms},"a":{trade.trade_id},"s":"{texts.name}","p":"{texts.price(trade.price)}","q":"{qty}","nq":"{qty}",'
        f'"f":{trade.first_id},"l":{trade.last_id},"T":{trade.ts // _MS},"m":{took},"st":1}}'
    ).encode()


def depth_event(
    texts: Texts, now_ms: int, ts_ms: int, ids: tuple[int, int, int], bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]
) -> bytes:
    """Changed levels, or the best ones. `ids`: U, u, pu."""
    return (
        f'{{"e":"depthUpdate","E":{now_ms},"T":{ts_ms},"s":"{texts.name}","ps":"{texts.pair}","U":{ids[0]},"u":{ids[1]},"pu":{ids[2]},'
        f'"b":{texts.levels(bids)},"a":{texts.levels(asks)},"st":1}}'
    ).encode()


def book_ticker_event(texts: Texts, now_ms: int, ts_ms: int, update_id: int, quote: tuple[int, int, int, int]) -> bytes:
    """Best bid and offer; `quote`: ticks and lots of both. (Many at once: book_ticker.py.)"""
    bid, bid_qty, ask, ask_qty = quote
    return (
        f'{{"e":"bookTicker","u":{update_id},"s":"{texts.name}","ps":"{texts.pair}","b":"{texts.price(bid)}","B":"{texts.qty(bid_qty)}",'
        f'"a":"{texts.price(ask)}","A":"{texts.qty(ask_qty)}","T":{ts_ms},"E":{now_ms},"st":1}}'
    ).encode()


def mark_fields(texts: Texts, now_ms: int, mark: int, average: int, rate: str, next_funding_ms: int) -> dict[str, Any]:
    """The mark price, its moving average (ticks), funding. The index price is the mark here: there is no other venue."""
    price = texts.price_e8(mark)
    names = {"e": "markPriceUpdate", "E": now_ms, "s": texts.name, "p": price, "ap": texts.price_e8(average), "P": price, "i": price}
    return {**names, "r": rate, "T": next_funding_ms, "st": 1}


def candle_fields(texts: Texts, candle: Candle, interval: str, closed: bool) -> dict[str, Any]:
    """The `k` of kline and continuous_kline, without the symbol."""
    return {
        "t": candle.open_ms,
        "T": candle.close_ms,
        "i": interval,
        "f": candle.first_id,
        "L": candle.last_id,
        "o": texts.price(candle.open),
        "c": texts.price(candle.close),
        "h": texts.price(candle.high),
        "l": texts.price(candle.low),
        "v": texts.qty(candle.qty),
        "n": candle.n_trades,
        "x": closed,
        "q": texts.quote(candle.traded, 5),
        "V": texts.qty(candle.taker_qty),
        "Q": texts.quote(candle.taker_traded, 5),
        "B": "0",
    }


def kline_event(texts: Texts, now_ms: int, candle: Candle, interval: str, closed: bool) -> bytes:
    """One candle of a symbol."""
    fields = candle_fields(texts, candle, interval, closed)
    k = {"t": fields.pop("t"), "T": fields.pop("T"), "s": texts.name, **fields}
    return encode({"e": "kline", "E": now_ms, "s": texts.name, "k": k})


def continuous_event(texts: Texts, now_ms: int, candle: Candle, interval: str, closed: bool) -> bytes:
    """One candle of a continuous contract."""
    return encode(
        {
            "e": "continuous_kline",
            "E": now_ms,
            "ps": texts.pair,
            "ct": contract_type(texts.name, now_ms),
            "k": candle_fields(texts, candle, interval, closed),
        }
    )


def mini_fields(texts: Texts, now_ms: int, day: Candle) -> dict[str, Any]:
    """The last 24 hours in short."""
    return {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": texts.name,
        "c": texts.price(day.close),
        "o": texts.price(day.open),
        "h": texts.price(day.high),
        "l": texts.price(day.low),
        "v": texts.qty(day.qty),
        "q": texts.quote(day.traded, 2),
    }


def ticker_fields(texts: Texts, now_ms: int, day: Candle, last: Trade) -> dict[str, Any]:
    """The last 24 hours."""
    change = day.close - day.open
    percent = round(change * 100_000 / day.open) if day.open else 0
    mean = day.traded // day.qty if day.qty else day.close
    return {
        "e": "24hrTicker",
        "E": now_ms,
        "s": texts.name,
        "ps": texts.pair,
        "p": texts.price(change),
        "P": text_of(percent, 3),
        "w": texts.price(mean),
        "c": texts.price(day.close),
        "Q": texts.qty(last.qty),
        "o": texts.price(day.open),
        "h": texts.price(day.high),
        "l": texts.price(day.low),
        "v": texts.qty(day.qty),
        "q": texts.quote(day.traded, 2),
        "O": day.open_ms,
        "C": last.ts // _MS,
        "F": day.first_id,
        "L": day.last_id,
        "n": day.n_trades,
        "st": 1,
    }


def forced_fields(texts: Texts, now_ms: int, row: Any, traded: int) -> dict[str, Any]:
    """A liquidation of the venue's: `row` is an Execution, `traded` the sum of ticks * lots of its fills."""
    average = texts.price(traded // row.filled) if row.filled else texts.price(0)
    order = {
        "s": texts.name,
        "S": "SELL" if row.side else "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": texts.qty(row.qty),
        "p": texts.price(row.last_price),
        "ap": average,
        "X": "FILLED" if row.leaves == 0 else "PARTIALLY_FILLED",
        "l": texts.qty(row.last_qty),
        "z": texts.qty(row.filled),
        "T": row.ts // _MS,
    }
    return {"e": "forceOrder", "E": now_ms, "o": order}


def contract_event(texts: Texts, now_ms: int, status: str) -> bytes:
    """A symbol's status has changed."""
    contract, delivery_ms = contract_type(texts.name, now_ms), dated(texts.name).delivery_ms
    fields = {"e": "contractInfo", "E": now_ms, "s": texts.name, "ps": texts.pair, "ct": contract, "dt": delivery_ms, "ot": 0, "cs": status}
    return encode({**fields, "st": 1})
