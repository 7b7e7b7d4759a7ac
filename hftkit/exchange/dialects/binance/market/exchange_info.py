"""exchangeInfo: the rules of every symbol, in the venue's words and keys, from the limits that orders are really checked with."""

from __future__ import annotations

from typing import Any

from hftkit.exchange.dialects.binance.market.contracts import contract_type, dated
from hftkit.exchange.dialects.binance.market.symbols import Symbol, ratio_text, text_of
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Table

ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
TIMES_IN_FORCE = ["GTC", "IOC", "FOK", "GTX", "GTD"]
_MS = 1_000_000


def _filters(call: Call, symbol: Symbol) -> list[dict[str, Any]]:
    config = call.venue.config
    lots = {"minQty": symbol.qty(symbol.min_qty), "maxQty": symbol.qty(symbol.max_qty), "stepSize": ratio_text(symbol.lot)}
    share = config.percent_price_ppm or 999_999
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": symbol.price(symbol.lowest),
            "maxPrice": symbol.price(symbol.highest),
            "tickSize": symbol.price(1),
        },
        {"filterType": "LOT_SIZE", **lots},
        {"filterType": "MARKET_LOT_SIZE", **lots},
        {"filterType": "MAX_NUM_ORDERS", "limit": config.max_open_orders},
        {"filterType": "MIN_NOTIONAL", "notional": ratio_text(symbol.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": text_of(1_000_000 + share, 6)[:-2],
            "multiplierDown": text_of(1_000_000 - share, 6)[:-2],
            "multiplierDecimal": "4",
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]


def symbol_row(call: Call, symbol: Symbol) -> dict[str, Any]:
    """One symbol."""
    margin = 1_000_000 // symbol.leverage
    return {
        "symbol": symbol.name,
        "pair": symbol.pair,
        "contractType": contract_type(symbol.name, call.now_ms),
        "deliveryDate": dated(symbol.name).delivery_ms,
        "onboardDate": call.venue.start_ns // _MS,
        "status": "TRADING",
        "maintMarginPercent": text_of(symbol.maintenance_ppm, 4),
        "requiredMarginPercent": text_of(margin, 4),
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "marginAsset": symbol.margin_asset,
        "pricePrecision": symbol.price_places,
        "quantityPrecision": symbol.qty_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.000000",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(call, symbol),
        "orderTypes": ORDER_TYPES,
        "timeInForce": TIMES_IN_FORCE,
        "permissionSets": ["GRID", "COPY"],
    }


def exchange_info(call: Call) -> Any:
    """GET /fapi/v1/exchangeInfo."""
    venue = call.venue
    assets = sorted({symbol.margin_asset for symbol in venue.symbols.all} | {symbol.quote for symbol in venue.symbols.all})
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": venue.limits.table(),
        "exchangeFilters": [],
        "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in assets],
        "symbols": [symbol_row(call, symbol) for symbol in venue.symbols.all],
    }


ROUTES: Table = {("GET", "/fapi/v1/exchangeInfo"): Route(exchange_info)}
