"""Isolated margin: the margin type of a symbol, and what an owner moves to and from the wallet of an isolated position.

The compiled venue keeps those wallets (exchange/accounts.py, exchange/margin.py); here is what may be asked, with the venue's codes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hftkit.exchange.core.layout import BalanceKind
from hftkit.exchange.dialects.binance.account.accounts import Portfolio, Position
from hftkit.exchange.dialects.binance.market.symbols import money
from hftkit.exchange.dialects.binance.orders.order_requests import check_position_side
from hftkit.exchange.dialects.binance.orders.orders import window
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security, Table
from hftkit.exchange.dialects.binance.rest.errors import Refusal
from hftkit.units import E8

_HISTORY_MS = 30 * 86_400_000
_MS = 1_000_000
_ADD, _REDUCE = 1, 2
_MODES = {"ISOLATED": True, "CROSSED": False, "CROSS": False}


def _set_margin_type(call: Call) -> Any:
    venue, symbol, wanted = call.venue, call.symbol(), call.params.required("marginType").upper()
    if wanted not in _MODES:
        raise Refusal(-1130, "marginType")
    if venue.is_isolated(call.account, symbol) == _MODES[wanted]:
        raise Refusal(-4046)
    if venue.store.open_orders(call.account, symbol.index) or venue.algo.open_of(call.account, symbol.index):
        raise Refusal(-4047)
    if venue.venue.holdings[call.account, symbol.index]["position"]:
        raise Refusal(-4048)
    venue.set_isolated(call.account, symbol, _MODES[wanted])
    return {"code": 200, "msg": "success"}


def removable(position: Position) -> int:
    """What may leave the wallet of an isolated position, 1e-8 quote: profit does not count, loss does, and the initial margin stays."""
    return max(0, min(position.isolated_wallet, position.isolated_margin) - position.position_margin)


def _move_margin(call: Call) -> Any:
    symbol, amount = call.symbol(), call.params.number("amount")
    if amount <= 0:
        raise Refusal(-4055)
    kind = call.params.integer("type", low=_ADD, high=_REDUCE)
    check_position_side(call.params)
    book = Portfolio(call.venue, call.account)
    position, wanted = book.positions[symbol.index], int(amount * E8)
    if not position.is_isolated:
        raise Refusal(-4049)
    if position.lots == 0:
        raise Refusal(-4054)
    if kind == _ADD and wanted > book.withdrawable:
        raise Refusal(-4050)
    if kind == _REDUCE and wanted > removable(position):
        raise Refusal(-4051)
    call.venue.order_api.move_margin(call.account, symbol.index, wanted if kind == _ADD else -wanted)
    call.venue.catch_up()
    return {"code": 200, "msg": "Successfully modify position margin.", "amount": _number(amount), "type": kind}


def _number(amount: Decimal) -> float | int:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _history(call: Call) -> Any:
    symbol, params = call.symbol(), call.params
    start, end = params.span()
    low, high = window(start, end, call.now_ms, _HISTORY_MS)
    kind = params.integer("type", 0, low=0, high=_REDUCE)
    rows = [row for row in call.venue.store.history.margin_moves(call.account, symbol.index) if low <= row.ts // _MS <= high]
    return [
        {
            "symbol": symbol.name,
            "type": _ADD if row.amount_e8 > 0 else _REDUCE,
            "deltaType": "USER_ADJUST" if row.kind == BalanceKind.MARGIN_TRANSFER else "TRADE",
            "amount": money(abs(row.amount_e8)),
            "asset": symbol.margin_asset,
            "time": row.ts // _MS,
            "positionSide": "BOTH",
            "clientTranId": "",
        }
        for row in rows
        if kind in (0, _ADD if row.amount_e8 > 0 else _REDUCE)
    ][-params.limit(100, 500) :]


ROUTES: Table = {
    ("POST", "/fapi/v1/marginType"): Route(_set_margin_type, Security.TRADE, 1, ("symbol", "marginType")),
    ("POST", "/fapi/v1/positionMargin"): Route(_move_margin, Security.TRADE, 1, ("symbol", "amount", "type")),
    ("GET", "/fapi/v1/positionMargin/history"): Route(_history, Security.SIGNED, 1, ("symbol",)),
}
