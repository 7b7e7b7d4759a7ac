"""An account's settings and tariffs: leverage, margin and position mode, brackets, commissions, income, listen keys.

Leverage is the account's own for each symbol. One-way mode and single-asset mode are what the venue has: asking for what is already so gives the
documented refusal, asking for the other gives -1020. Margin types: isolated.py.
"""

from __future__ import annotations

from typing import Any

from hftkit.exchange.dialects.binance.account.accounts import NO_CAP, Portfolio
from hftkit.exchange.dialects.binance.market.symbols import Symbol, money, text_of
from hftkit.exchange.dialects.binance.orders.orders import window
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security, Table
from hftkit.exchange.dialects.binance.rest.errors import Refusal

_WEEK_MS = 7 * 86_400_000
_HISTORY_MS = 90 * 86_400_000
_MS = 1_000_000
INCOME_TYPES = (
    *("TRANSFER", "WELCOME_BONUS", "REALIZED_PNL", "FUNDING_FEE", "COMMISSION", "INSURANCE_CLEAR", "REFERRAL_KICKBACK", "COMMISSION_REBATE"),
    *("API_REBATE", "CONTEST_REWARD", "CROSS_COLLATERAL_TRANSFER", "OPTIONS_PREMIUM_FEE", "OPTIONS_SETTLE_PROFIT", "INTERNAL_TRANSFER"),
    *("AUTO_EXCHANGE", "DELIVERED_SETTELMENT", "COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW", "POSITION_LIMIT_INCREASE_FEE"),
    *("STRATEGY_UMFUTURES_TRANSFER", "FEE_RETURN", "BFUSD_REWARD"),
)
_SUCCESS = {"code": 200, "msg": "success"}


# -- leverage and modes ----------------------------------------------------------------------------------------------


def _set_leverage(call: Call) -> Any:
    venue, symbol = call.venue, call.symbol()
    leverage = call.params.integer("leverage")
    if not 1 <= leverage <= symbol.max_leverage:
        raise Refusal(-4028, leverage)
    before = venue.leverage(call.account, symbol)
    if leverage < before and venue.is_isolated(call.account, symbol) and venue.venue.holdings[call.account, symbol.index]["position"]:
        raise Refusal(-4161)
    venue.set_leverage(call.account, symbol, leverage)
    if leverage < before and Portfolio(venue, call.account).free < 0:
        venue.set_leverage(call.account, symbol, before)
        raise Refusal(-2028)
    return {"leverage": leverage, "maxNotionalValue": str(NO_CAP), "symbol": symbol.name}


def _set_position_mode(call: Call) -> Any:
    call.params.required("dualSidePosition")
    raise Refusal(-1020 if call.params.boolean("dualSidePosition") else -4059)


def _set_assets_mode(call: Call) -> Any:
    call.params.required("multiAssetsMargin")
    raise Refusal(-1020 if call.params.boolean("multiAssetsMargin") else -4171)


def _set_fee_burn(call: Call) -> Any:
    """Fees are paid in the margin asset, and cannot be paid otherwise."""
    if call.params.boolean("feeBurn"):
        raise Refusal(-1020)
    return dict(_SUCCESS)


# -- what applies to an account --------------------------------------------------------------------------------------


def _rows(call: Call) -> list[Symbol]:
    wanted = call.symbol_or_none()
    return [wanted] if wanted is not None else call.venue.symbols.all


def _brackets(call: Call) -> Any:
    """One bracket for each symbol: the compiled venue has one maintenance rate whatever the size."""
    return [
        {
            "symbol": symbol.name,
            "brackets": [
                {
                    "bracket": 1,
                    "initialLeverage": symbol.max_leverage,
                    "notionalCap": NO_CAP,
                    "notionalFloor": 0,
                    "maintMarginRatio": symbol.maintenance_ppm / 1e6,
                    "cum": 0.0,
                }
            ],
        }
        for symbol in _rows(call)
    ]


def _commission(call: Call) -> Any:
    symbol = call.symbol()
    return {
        "symbol": symbol.name,
        "makerCommissionRate": text_of(symbol.maker_ppm, 6),
        "takerCommissionRate": text_of(symbol.taker_ppm, 6),
        "rpiCommissionRate": text_of(symbol.maker_ppm, 6),
    }


def _symbol_config(call: Call) -> Any:
    return [
        {
            "symbol": symbol.name,
            "marginType": "ISOLATED" if call.venue.is_isolated(call.account, symbol) else "CROSSED",
            "isAutoAddMargin": False,
            "leverage": call.venue.leverage(call.account, symbol),
            "maxNotionalValue": str(NO_CAP),
        }
        for symbol in _rows(call)
    ]


def _account_config(call: Call) -> Any:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": False,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def _adl(call: Call) -> Any:
    book = Portfolio(call.venue, call.account)
    return [
        {"symbol": p.symbol.name, "adlQuantile": {"LONG": 0, "SHORT": 0, "BOTH": 1}} for p in book.positions if p.lots and p.symbol in _rows(call)
    ]


def _trading_status(call: Call) -> Any:
    return {"indicators": {}, "updateTime": call.now_ms}


def _order_limits(call: Call) -> Any:
    return call.venue.limits.order_table()


# -- money -----------------------------------------------------------------------------------------------------------


def _income(call: Call) -> Any:
    symbol, params = call.symbol_or_none(), call.params
    kind = params.text("incomeType").upper()
    if kind and kind not in INCOME_TYPES:
        raise Refusal(-1130, "incomeType")
    start, end = params.span()
    low, high = window(start, end, call.now_ms, _WEEK_MS if start is None else _HISTORY_MS)
    rows = [
        row
        for row in call.venue.store.income(call.account)
        if low <= row.ts // _MS <= high and (not kind or row.kind == kind) and (symbol is None or row.instrument == symbol.index)
    ]
    limit = params.limit(100, 1000)
    return [
        {
            "symbol": call.venue.symbols.all[row.instrument].name if row.instrument >= 0 else "",
            "incomeType": row.kind,
            "income": money(row.amount_e8),
            "asset": call.venue.symbols.margin_asset,
            "info": str(row.trade_id) if row.trade_id else row.kind,
            "time": row.ts // _MS,
            "tranId": row.income_id,
            "tradeId": str(row.trade_id) if row.trade_id else "",
        }
        for row in (rows[:limit] if start is not None else rows[-limit:])
    ]


# -- listen keys -----------------------------------------------------------------------------------------------------


def _open_key(call: Call) -> Any:
    return {"listenKey": call.venue.listen_keys.open(call.account, call.now_ms)}


def _extend_key(call: Call) -> Any:
    return {"listenKey": call.venue.listen_keys.extend(call.account, call.now_ms)}


def _close_key(call: Call) -> Any:
    call.venue.listen_keys.close(call.account, call.now_ms)
    return {}


_READ, _CHANGE, _KEY = Security.SIGNED, Security.TRADE, Security.KEY
ROUTES: Table = {
    ("POST", "/fapi/v1/leverage"): Route(_set_leverage, _CHANGE, 1, ("symbol", "leverage")),
    ("POST", "/fapi/v1/positionSide/dual"): Route(_set_position_mode, _CHANGE, 1, ("dualSidePosition",)),
    ("GET", "/fapi/v1/positionSide/dual"): Route(lambda call: {"dualSidePosition": False}, _READ, 30),
    ("POST", "/fapi/v1/multiAssetsMargin"): Route(_set_assets_mode, _CHANGE, 1, ("multiAssetsMargin",)),
    ("GET", "/fapi/v1/multiAssetsMargin"): Route(lambda call: {"multiAssetsMargin": False}, _READ, 30),
    ("GET", "/fapi/v1/leverageBracket"): Route(_brackets, _READ, 1),
    ("GET", "/fapi/v1/commissionRate"): Route(_commission, _READ, 20, ("symbol",)),
    ("GET", "/fapi/v1/symbolConfig"): Route(_symbol_config, _READ, 5),
    ("GET", "/fapi/v1/accountConfig"): Route(_account_config, _READ, 5),
    ("GET", "/fapi/v1/adlQuantile"): Route(_adl, _READ, 5),
    ("GET", "/fapi/v1/feeBurn"): Route(lambda call: {"feeBurn": False}, _READ, 30),
    ("POST", "/fapi/v1/feeBurn"): Route(_set_fee_burn, _CHANGE, 1, ("feeBurn",)),
    ("GET", "/fapi/v1/apiTradingStatus"): Route(_trading_status, _READ, lambda p: 1 if "symbol" in p else 10),
    ("GET", "/fapi/v1/rateLimit/order"): Route(_order_limits, _READ, 1),
    ("GET", "/fapi/v1/income"): Route(_income, _READ, 30),
    ("POST", "/fapi/v1/listenKey"): Route(_open_key, _KEY, 1),
    ("PUT", "/fapi/v1/listenKey"): Route(_extend_key, _KEY, 1),
    ("DELETE", "/fapi/v1/listenKey"): Route(_close_key, _KEY, 1),
}
