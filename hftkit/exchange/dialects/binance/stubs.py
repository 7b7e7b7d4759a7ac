"""Endpoints outside the futures API that clients call when they start: just enough of /api/v3 and /sapi/v1."""

from __future__ import annotations

from typing import Any

from hftkit.exchange.dialects.binance.call import Call, Route, Security, Table


def _empty_list(call: Call) -> Any:
    return []


def _spot_exchange_info(call: Call) -> Any:
    return {"timezone": "UTC", "serverTime": call.now_ms, "rateLimits": [], "exchangeFilters": [], "symbols": []}


def _restrictions(call: Call) -> Any:
    return {
        "ipRestrict": False,
        "createTime": call.venue.start_ns // 1_000_000,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableFutures": True,
        "enableSpotAndMarginTrading": False,
    }


ROUTES: Table = {
    ("GET", "/api/v3/ping"): Route(lambda call: {}),
    ("GET", "/api/v3/time"): Route(lambda call: {"serverTime": call.now_ms}),
    ("GET", "/api/v3/exchangeInfo"): Route(_spot_exchange_info, weight=20),
    ("GET", "/sapi/v1/capital/config/getall"): Route(_empty_list, Security.SIGNED, 10),
    ("GET", "/sapi/v1/margin/allPairs"): Route(_empty_list, Security.KEY),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): Route(_empty_list, Security.KEY),
    ("GET", "/sapi/v1/margin/allAssets"): Route(_empty_list, Security.KEY),
    ("GET", "/sapi/v1/system/status"): Route(lambda call: {"status": 0, "msg": "normal"}),
    ("GET", "/sapi/v1/account/apiRestrictions"): Route(_restrictions, Security.SIGNED),
}
