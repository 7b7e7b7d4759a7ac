"""Endpoints of the other bases that clients ask when they start: spot, margin and wallet, COIN-M, options, portfolio margin.

None of them has a market here: the answers are valid, have every key that clients read, and are empty. Anything else of those bases is refused like
an unknown path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hftkit.exchange.dialects.binance.market.symbols import money
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security, Table

_Answer = Callable[[Call], Any]


def _nothing(call: Call) -> Any:
    return {}


def _empty_list(call: Call) -> Any:
    return []


def _time(call: Call) -> Any:
    return {"serverTime": call.now_ms}


def _rate_limits(call: Call) -> list[dict[str, object]]:
    return call.venue.limits.table()


def _spot_exchange_info(call: Call) -> Any:
    return {"timezone": "UTC", "serverTime": call.now_ms, "rateLimits": _rate_limits(call), "exchangeFilters": [], "symbols": [], "sors": []}


def _coin_exchange_info(call: Call) -> Any:
    return {"timezone": "UTC", "serverTime": call.now_ms, "rateLimits": _rate_limits(call), "exchangeFilters": [], "symbols": []}


def _options_exchange_info(call: Call) -> Any:
    empty: dict[str, object] = {"optionContracts": [], "optionAssets": [], "optionSymbols": []}
    return {"timezone": "UTC", "serverTime": call.now_ms, **empty, "rateLimits": _rate_limits(call)}


def _spot_account(call: Call) -> Any:
    rates = {name: "0.00000000" for name in ("maker", "taker", "buyer", "seller")}
    return {
        **{f"{name}Commission": 0 for name in ("maker", "taker", "buyer", "seller")},
        "commissionRates": rates,
        **{"canTrade": False, "canWithdraw": False, "canDeposit": False, "brokered": False},
        **{"requireSelfTradePrevention": False, "preventSor": False},
        "updateTime": 0,
        "accountType": "SPOT",
        "balances": [],
        "permissions": ["SPOT"],
        "uid": call.account,
    }


def _coin_account(call: Call) -> Any:
    flags: dict[str, object] = {"feeTier": 0, "canTrade": False, "canDeposit": False, "canWithdraw": False, "updateTime": 0}
    return {"assets": [], "positions": [], **flags}


def _margin_account(call: Call) -> Any:
    totals = {f"total{name}OfBtc": "0" for name in ("Asset", "Liability", "NetAsset")}
    flags: dict[str, object] = {"borrowEnabled": False, "tradeEnabled": False, "transferInEnabled": False, "transferOutEnabled": False}
    return {**flags, "created": True, "marginLevel": "999.00000000", "collateralMarginLevel": "999.00000000", **totals, "userAssets": []}


def _portfolio_account(call: Call) -> Any:
    names = ("accountEquity", "actualEquity", "accountInitialMargin", "accountMaintMargin", "virtualMaxWithdrawAmount", "totalAvailableBalance")
    return {"uniMMR": "999.00000000", **{name: money(0) for name in names}, "accountStatus": "NORMAL", "updateTime": call.now_ms}


def _restrictions(call: Call) -> Any:
    off = ("enableWithdrawals", "enableInternalTransfer", "enableMargin", "enableSpotAndMarginTrading", "enableVanillaOptions")
    return {
        "ipRestrict": False,
        "createTime": call.venue.start_ns // 1_000_000,
        "enableReading": True,
        "enableFutures": True,
        **dict.fromkeys((*off, "permitsUniversalTransfer", "enablePortfolioMarginTrading", "enableFixApiTrade", "enableFixReadOnly"), False),
    }


def _base(prefix: str, info: _Answer, weight: int) -> Table:
    """What every trading base has."""
    return {
        ("GET", f"{prefix}/ping"): Route(_nothing),
        ("GET", f"{prefix}/time"): Route(_time),
        ("GET", f"{prefix}/exchangeInfo"): Route(info, weight=weight),
    }


_SIGNED, _KEY = Security.SIGNED, Security.KEY
ROUTES: Table = {
    **_base("/api/v3", _spot_exchange_info, 20),
    ("GET", "/api/v3/account"): Route(_spot_account, _SIGNED, 20),
    ("GET", "/api/v3/openOrders"): Route(_empty_list, _SIGNED, 80),
    ("GET", "/api/v3/ticker/price"): Route(_empty_list, weight=4),
    ("GET", "/api/v3/ticker/24hr"): Route(_empty_list, weight=80),
    ("GET", "/api/v3/ticker/bookTicker"): Route(_empty_list, weight=4),
    **_base("/dapi/v1", _coin_exchange_info, 1),
    ("GET", "/dapi/v1/account"): Route(_coin_account, _SIGNED, 5),
    ("GET", "/dapi/v1/balance"): Route(_empty_list, _SIGNED, 1),
    ("GET", "/dapi/v1/positionRisk"): Route(_empty_list, _SIGNED, 1),
    ("GET", "/dapi/v1/openOrders"): Route(_empty_list, _SIGNED, 40),
    ("GET", "/dapi/v1/premiumIndex"): Route(_empty_list, weight=10),
    ("GET", "/dapi/v1/ticker/price"): Route(_empty_list, weight=2),
    ("GET", "/dapi/v1/ticker/24hr"): Route(_empty_list, weight=40),
    ("GET", "/dapi/v1/ticker/bookTicker"): Route(_empty_list, weight=5),
    ("GET", "/dapi/v1/leverageBracket"): Route(_empty_list, _SIGNED, 1),
    ("GET", "/dapi/v2/leverageBracket"): Route(_empty_list, _SIGNED, 1),
    ("GET", "/dapi/v1/positionSide/dual"): Route(lambda call: {"dualSidePosition": False}, _SIGNED, 30),
    **_base("/eapi/v1", _options_exchange_info, 1),
    ("GET", "/papi/v1/ping"): Route(_nothing),
    ("GET", "/papi/v1/account"): Route(_portfolio_account, _SIGNED, 20),
    ("GET", "/papi/v1/balance"): Route(_empty_list, _SIGNED, 20),
    ("GET", "/papi/v1/um/positionRisk"): Route(_empty_list, _SIGNED, 5),
    ("GET", "/papi/v1/cm/positionRisk"): Route(_empty_list, _SIGNED, 1),
    ("GET", "/sapi/v1/capital/config/getall"): Route(_empty_list, _SIGNED, 10),
    ("GET", "/sapi/v1/margin/account"): Route(_margin_account, _SIGNED, 10),
    ("GET", "/sapi/v1/margin/allPairs"): Route(_empty_list, _KEY),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): Route(_empty_list, _KEY),
    ("GET", "/sapi/v1/margin/allAssets"): Route(_empty_list, _KEY),
    ("GET", "/sapi/v1/asset/tradeFee"): Route(_empty_list, _SIGNED),
    ("POST", "/sapi/v3/asset/getUserAsset"): Route(_empty_list, _SIGNED, 5),
    ("GET", "/sapi/v1/system/status"): Route(lambda call: {"status": 0, "msg": "normal"}),
    ("GET", "/sapi/v1/account/status"): Route(lambda call: {"data": "Normal"}, _SIGNED),
    ("GET", "/sapi/v1/account/apiTradingStatus"): Route(lambda call: {"data": {"isLocked": False, "plannedRecoverTime": 0}}, _SIGNED),
    ("GET", "/sapi/v1/account/apiRestrictions"): Route(_restrictions, _SIGNED),
}
