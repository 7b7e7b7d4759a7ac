"""Market data by REST: depth, trades, candles, tickers, mark price and funding.

All prices are the compiled venue's; history reaches back to the start of the simulator. The index price is the mark price, and statistics that
only a crowd of accounts would have (long/short ratios and the like) are empty lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hftkit.exchange.dialects.binance.market.contracts import contract_type
from hftkit.exchange.dialects.binance.market.symbols import Symbol, money, text_of
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security, Table
from hftkit.exchange.dialects.binance.rest.errors import Refusal
from hftkit.exchange.dialects.binance.rest.limits import DATA, FUNDING
from hftkit.exchange.dialects.binance.rest.parameters import Parameters
from hftkit.units import E8

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.market.candles import Candle
    from hftkit.exchange.dialects.binance.market.market_history import Trade
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
INTEREST = "0.00010000"
EIGHT_HOURS_MS = 28_800_000
_HOUR_MS = 3_600_000
_SHORT = re.compile(r"[0-9]{1,5}")
_MS = 1_000_000
CONTRACTS = ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL")


# -- book and trades -------------------------------------------------------------------------------------------------


def _depth_weight(params: Parameters) -> int:
    return DEPTH_WEIGHTS.get(int(params.text("limit")), 20) if _SHORT.fullmatch(params.text("limit")) else 10


def depth_of(venue: BinanceDialect, symbol: Symbol, limit: int) -> dict[str, Any]:
    """The book of one symbol, `limit` levels a side."""
    bids, asks = venue.order_api.read_side(symbol.index, 0, limit), venue.order_api.read_side(symbol.index, 1, limit)
    now = venue.now_ms()
    return {
        "lastUpdateId": venue.update_id(symbol),
        "E": now,
        "T": now,
        "bids": [[symbol.price(price), symbol.qty(qty)] for price, qty in bids],
        "asks": [[symbol.price(price), symbol.qty(qty)] for price, qty in asks],
    }


def depth(call: Call) -> Any:
    """GET /fapi/v1/depth."""
    symbol, limit = call.symbol(), call.params.integer("limit", 500)
    if limit not in DEPTH_WEIGHTS:
        raise Refusal(-4021, limit)
    return depth_of(call.venue, symbol, limit)


def _rpi_depth(call: Call) -> Any:
    if call.params.integer("limit", 1000) != 1000:
        raise Refusal(-4021, call.params.integer("limit"))
    return depth_of(call.venue, call.symbol(), 1000)


def _trade(symbol: Symbol, row: Trade) -> dict[str, Any]:
    return {
        "id": row.trade_id,
        "price": symbol.price(row.price),
        "qty": symbol.qty(row.qty),
        "quoteQty": text_of(symbol.notional_e8(row.price * row.qty) // 1_000_000, 2),
        "time": row.ts // _MS,
        "isBuyerMaker": bool(row.seller_took),
        "isRPITrade": False,
    }


def _trades(call: Call) -> Any:
    symbol = call.symbol()
    return [_trade(symbol, row) for row in list(call.venue.store.trades(symbol.index))[-call.params.limit(500, 1000) :]]


def _historical_trades(call: Call) -> Any:
    symbol, limit, first = call.symbol(), call.params.limit(100, 500), call.params.optional_integer("fromId")
    rows = list(call.venue.store.trades(symbol.index))
    rows = rows[-limit:] if first is None else [row for row in rows if row.trade_id >= first][:limit]
    return [_trade(symbol, row) for row in rows]


def _agg_trades(call: Call) -> Any:
    symbol, params = call.symbol(), call.params
    (start, end), first, limit = params.span(), params.optional_integer("fromId"), params.limit(500, 1000)
    if start is not None and end is not None and end - start > _HOUR_MS:
        raise Refusal(-1127, 1)
    rows: Iterable[Trade] = call.venue.store.agg_trades(symbol.index)
    if first is not None:
        rows = [row for row in rows if row.trade_id >= first]
    if start is not None:
        rows = [row for row in rows if row.ts // _MS >= start]
    if end is not None:
        rows = [row for row in rows if row.ts // _MS <= end]
    rows = list(rows)
    rows = rows[:limit] if first is not None or start is not None else rows[-limit:]
    return [
        {
            "a": row.trade_id,
            "p": symbol.price(row.price),
            "q": symbol.qty(row.qty),
            "nq": symbol.qty(row.qty),
            "f": row.first_id,
            "l": row.last_id,
            "T": row.ts // _MS,
            "m": bool(row.seller_took),
        }
        for row in rows
    ]


# -- candles ---------------------------------------------------------------------------------------------------------


def _kline_weight(params: Parameters) -> int:
    text = params.text("limit")
    limit = int(text) if _SHORT.fullmatch(text) else 500
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def _candles(call: Call, symbol: Symbol) -> list[Candle]:
    interval = call.params.required("interval")
    if interval not in INTERVALS:
        raise Refusal(-1120)
    start, end = call.params.span()
    limit = call.params.limit(500, 1500)
    rows = list(call.venue.store.candles(symbol.index, interval))
    if start is not None:
        rows = [row for row in rows if row.open_ms >= start]
    if end is not None:
        rows = [row for row in rows if row.open_ms <= end]
    return rows[:limit] if start is not None else rows[-limit:]


def quote_text(symbol: Symbol, ticks_lots: int) -> str:
    """A quote volume, five decimals."""
    return text_of(symbol.notional_e8(ticks_lots) // 1000, 5)


def _kline(symbol: Symbol, row: Candle) -> list[Any]:
    prices = [symbol.price(price) for price in (row.open, row.high, row.low, row.close)]
    taker = [symbol.qty(row.taker_qty), quote_text(symbol, row.taker_traded)]
    return [row.open_ms, *prices, symbol.qty(row.qty), row.close_ms, quote_text(symbol, row.traded), row.n_trades, *taker, "0"]


def _klines(call: Call) -> Any:
    symbol = call.symbol()
    return [_kline(symbol, row) for row in _candles(call, symbol)]


def _pair(call: Call) -> Symbol:
    return call.venue.symbols.find(call.params.required("pair"))


def _continuous(call: Call) -> Any:
    pair, contract = call.params.required("pair").upper(), call.params.required("contractType").upper()
    if contract not in CONTRACTS:
        raise Refusal(-1130, "contractType")
    of_pair = [symbol for symbol in call.venue.symbols.all if symbol.pair == pair]
    if not of_pair:
        raise Refusal(-1121)
    wanted = [symbol for symbol in of_pair if contract_type(symbol.name, call.now_ms) == contract]
    return [_kline(symbol, row) for symbol in wanted[:1] for row in _candles(call, symbol)]


def _price_klines(call: Call, symbol: Symbol) -> Any:
    """Candles of a price that does not trade: volumes are zero, the count is of samples."""
    rows = []
    for row in _candles(call, symbol):
        prices = [symbol.price(price) for price in (row.open, row.high, row.low, row.close)]
        rows.append([row.open_ms, *prices, "0", row.close_ms, "0", max(1, row.n_trades), "0", "0", "0"])
    return rows


def _premium_klines(call: Call) -> Any:
    """The premium of the mark over the index, which are one price here."""
    zero = "0.00000000"
    return [
        [row.open_ms, zero, zero, zero, zero, "0", row.close_ms, "0", max(1, row.n_trades), "0", "0", "0"] for row in _candles(call, call.symbol())
    ]


# -- tickers ---------------------------------------------------------------------------------------------------------


def _rows(call: Call, one: Any) -> Any:
    symbol = call.symbol_or_none()
    return one(call, symbol) if symbol is not None else [one(call, each) for each in call.venue.symbols.all]


def day_ticker(call: Call, symbol: Symbol) -> dict[str, Any]:
    """An item of ticker/24hr."""
    day = call.venue.store.day(symbol.index)
    trades = call.venue.store.trades(symbol.index)
    last = trades[-1] if trades else None
    change = day.close - day.open
    percent = f"{100.0 * change / day.open:.3f}" if day.open else "0.000"
    return {
        "symbol": symbol.name,
        "priceChange": symbol.price(change),
        "priceChangePercent": percent,
        "weightedAvgPrice": symbol.average(day.traded, day.qty),
        "lastPrice": symbol.price(day.close),
        "lastQty": symbol.qty(last.qty if last else 0),
        "openPrice": symbol.price(day.open),
        "highPrice": symbol.price(day.high),
        "lowPrice": symbol.price(day.low),
        "volume": symbol.qty(day.qty),
        "quoteVolume": quote_text(symbol, day.traded),
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.n_trades,
    }


def price_ticker(call: Call, symbol: Symbol) -> dict[str, Any]:
    """An item of ticker/price: the last trade, or the mark before the first."""
    last = int(call.venue.venue.books.tops[symbol.index]["last"]) or call.venue.mark(symbol)
    return {"symbol": symbol.name, "price": symbol.price(last), "time": call.now_ms}


def book_ticker(call: Call, symbol: Symbol) -> dict[str, Any]:
    """An item of ticker/bookTicker."""
    bids, asks = (call.venue.order_api.read_side(symbol.index, side, 1) or [(0, 0)] for side in (0, 1))
    return {
        "symbol": symbol.name,
        "bidPrice": symbol.price(bids[0][0]),
        "bidQty": symbol.qty(bids[0][1]),
        "askPrice": symbol.price(asks[0][0]),
        "askQty": symbol.qty(asks[0][1]),
        "time": call.now_ms,
        "lastUpdateId": call.venue.update_id(symbol),
    }


# -- mark price and funding ------------------------------------------------------------------------------------------


def mark_text(call: Call, symbol: Symbol) -> str:
    """The mark price with eight decimals."""
    return money(int(call.venue.mark(symbol) * symbol.tick * E8))


def funding_rate_text(venue: BinanceDialect) -> str:
    """The funding rate in force, eight decimals."""
    return text_of(int(venue.venue.state[0]["funding_ppm"]) * 100, 8)


def next_funding_ms(venue: BinanceDialect, now_ms: int) -> int:
    """The next settlement; without funding the next eight-hour mark."""
    planned = int(venue.venue.state[0]["next_funding"]) // _MS
    return planned if planned > now_ms else (now_ms // EIGHT_HOURS_MS + 1) * EIGHT_HOURS_MS


def premium_index(call: Call, symbol: Symbol) -> dict[str, Any]:
    """An item of premiumIndex."""
    price = mark_text(call, symbol)
    return {
        "symbol": symbol.name,
        "markPrice": price,
        "indexPrice": price,
        "estimatedSettlePrice": price,
        "lastFundingRate": funding_rate_text(call.venue),
        "interestRate": INTEREST,
        "nextFundingTime": next_funding_ms(call.venue, call.now_ms),
        "time": call.now_ms,
    }


def _funding_rates(call: Call) -> Any:
    wanted, (start, end) = call.symbol_or_none(), call.params.span()
    symbols = [wanted] if wanted is not None else call.venue.symbols.all
    rows = [(row.ts // _MS, symbol, row) for symbol in symbols for row in call.venue.store.funding_rates(symbol.index)]
    rows = [row for row in rows if (start is None or row[0] >= start) and (end is None or row[0] <= end)]
    rows.sort(key=lambda row: (row[0], row[1].index))
    limit = call.params.limit(100 if start is not None or end is not None else 200, 1000)
    return [
        {
            "symbol": symbol.name,
            "fundingRate": text_of(row.rate_ppm * 100, 8),
            "fundingTime": ms,
            "markPrice": money(int(row.mark * symbol.tick * E8)),
            "rateType": "Regular",
        }
        for ms, symbol, row in (rows[:limit] if start is not None else rows[-limit:])
    ]


def _funding_info(call: Call) -> Any:
    hours = int(call.venue.venue.state[0]["funding_interval_ns"]) // (3600 * 10**9)
    if hours in (0, 8):
        return []  # only symbols whose interval is not the usual one
    rate = {"adjustedFundingRateCap": "0.02000000", "adjustedFundingRateFloor": "-0.02000000"}
    return [{"symbol": s.name, **rate, "fundingIntervalHours": hours, "disclaimer": False} for s in call.venue.symbols.all]


def _open_interest(call: Call) -> Any:
    symbol = call.symbol()
    positions = call.venue.venue.holdings["position"][:, symbol.index]
    return {"symbol": symbol.name, "openInterest": symbol.qty(int(positions[positions > 0].sum())), "time": call.now_ms}


# -- the rest --------------------------------------------------------------------------------------------------------


def _asset_index(call: Call) -> Any:
    name = f"{call.venue.symbols.margin_asset}USD"
    one = "1.00000000"
    row: dict[str, Any] = {"symbol": name, "time": call.now_ms, "index": one, "bidBuffer": "0.00000000", "askBuffer": "0.00000000"}
    row |= {"bidRate": one, "askRate": one, "autoExchangeBidBuffer": "0.00000000", "autoExchangeAskBuffer": "0.00000000"}
    row |= {"autoExchangeBidRate": one, "autoExchangeAskRate": one}
    return row if call.params.text("symbol") == name else [row]


def _constituents(call: Call) -> Any:
    symbol = call.symbol()
    venue = {"exchange": "hftkit", "symbol": symbol.name, "price": mark_text(call, symbol), "weight": "1.00000000"}
    return {"symbol": symbol.name, "time": call.now_ms, "constituents": [venue]}


def _insurance(call: Call) -> Any:
    fund = int(call.venue.venue.accounts[-1]["wallet_e8"])
    asset = {"asset": call.venue.symbols.margin_asset, "marginBalance": money(fund), "updateTime": call.now_ms}
    wanted = call.symbol_or_none()
    names = [wanted.name] if wanted is not None else [symbol.name for symbol in call.venue.symbols.all]
    row = {"symbols": names, "assets": [asset]}
    return row if wanted is not None else [row]


def _adl_risk(call: Call) -> Any:
    return _rows(call, lambda call, symbol: {"symbol": symbol.name, "adlRisk": "low", "updateTime": call.now_ms})


def _delivery_prices(call: Call) -> Any:
    _pair(call)
    return []


_BY_SYMBOL = ("symbol",)


def _weight(one: int, every: int) -> Any:
    return lambda params: one if "symbol" in params else every


ROUTES: Table = {
    ("GET", "/fapi/v1/ping"): Route(lambda call: {}),
    ("GET", "/fapi/v1/time"): Route(lambda call: {"serverTime": call.now_ms}),
    ("GET", "/fapi/v1/depth"): Route(depth, weight=_depth_weight, required=_BY_SYMBOL),
    ("GET", "/fapi/v1/rpiDepth"): Route(_rpi_depth, weight=20, required=_BY_SYMBOL),
    ("GET", "/fapi/v1/trades"): Route(_trades, weight=5, required=_BY_SYMBOL),
    ("GET", "/fapi/v1/historicalTrades"): Route(_historical_trades, Security.KEY, 200, _BY_SYMBOL),
    ("GET", "/fapi/v1/aggTrades"): Route(_agg_trades, weight=20, required=_BY_SYMBOL),
    ("GET", "/fapi/v1/klines"): Route(_klines, weight=_kline_weight, required=("symbol", "interval")),
    ("GET", "/fapi/v1/continuousKlines"): Route(_continuous, weight=_kline_weight, required=("pair", "contractType", "interval")),
    ("GET", "/fapi/v1/indexPriceKlines"): Route(lambda call: _price_klines(call, _pair(call)), weight=_kline_weight, required=("pair", "interval")),
    ("GET", "/fapi/v1/markPriceKlines"): Route(
        lambda call: _price_klines(call, call.symbol()), weight=_kline_weight, required=("symbol", "interval")
    ),
    ("GET", "/fapi/v1/premiumIndexKlines"): Route(_premium_klines, weight=_kline_weight, required=("symbol", "interval")),
    ("GET", "/fapi/v1/premiumIndex"): Route(lambda call: _rows(call, premium_index), weight=_weight(1, 10)),
    ("GET", "/fapi/v1/fundingRate"): Route(_funding_rates, weight=0, pool=FUNDING),
    ("GET", "/fapi/v1/fundingInfo"): Route(_funding_info, weight=0, pool=FUNDING),
    ("GET", "/fapi/v1/ticker/24hr"): Route(lambda call: _rows(call, day_ticker), weight=_weight(1, 40)),
    ("GET", "/fapi/v1/ticker/price"): Route(lambda call: _rows(call, price_ticker), weight=_weight(1, 2)),
    ("GET", "/fapi/v2/ticker/price"): Route(lambda call: _rows(call, price_ticker), weight=_weight(1, 2)),
    ("GET", "/fapi/v1/ticker/bookTicker"): Route(lambda call: _rows(call, book_ticker), weight=_weight(2, 5)),
    ("GET", "/fapi/v1/openInterest"): Route(_open_interest, required=_BY_SYMBOL),
    ("GET", "/fapi/v1/indexInfo"): Route(lambda call: []),
    ("GET", "/fapi/v1/assetIndex"): Route(_asset_index, weight=_weight(1, 10)),
    ("GET", "/fapi/v1/constituents"): Route(_constituents, weight=2, required=_BY_SYMBOL),
    ("GET", "/fapi/v1/insuranceBalance"): Route(_insurance),
    ("GET", "/fapi/v1/symbolAdlRisk"): Route(_adl_risk),
    ("GET", "/fapi/v1/tradingSchedule"): Route(lambda call: {"updateTime": call.now_ms, "marketSchedules": {}}, weight=5),
    ("GET", "/futures/data/delivery-price"): Route(_delivery_prices, weight=0, required=("pair",), pool=DATA),
}
