"""Orders as JSON: the answer to placing, changing and cancelling; the object that queries return; fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hftkit.codes import OrderFlag, OrderType, Side, TimeInForce
from hftkit.exchange.dialects.binance.market.symbols import Symbol, money, text_of
from hftkit.exchange.dialects.binance.orders.client_orders import ClientOrder

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.orders.order_history import Fill, Order
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

SIDE_NAMES = {int(Side.BUY): "BUY", int(Side.SELL): "SELL"}
TYPE_NAMES = {
    int(OrderType.LIMIT): "LIMIT",
    int(OrderType.MARKET): "MARKET",
    int(OrderType.STOP_MARKET): "STOP_MARKET",
    int(OrderType.STOP_LIMIT): "STOP",
    int(OrderType.TAKE_PROFIT_MARKET): "TAKE_PROFIT_MARKET",
    int(OrderType.TAKE_PROFIT_LIMIT): "TAKE_PROFIT",
}
_MS = 1_000_000


def time_in_force_of(row: Order) -> str:
    """The venue's time in force in this venue's words: post-only is one here, and a market order has none."""
    if row.order_type == OrderType.MARKET:
        return "GTC"
    if row.flags & OrderFlag.POST_ONLY:
        return "GTX"
    return TimeInForce(row.time_in_force).name


def stp_of(row: Order) -> str:
    """Self-trade prevention by the order's flags."""
    taker, maker = row.flags & OrderFlag.EXPIRE_TAKER, row.flags & OrderFlag.EXPIRE_MAKER
    return ("EXPIRE_BOTH" if maker else "EXPIRE_TAKER") if taker else ("EXPIRE_MAKER" if maker else "NONE")


def client_order_of(venue: BinanceDialect, row: Order) -> ClientOrder:
    """The dialect's knowledge of an order; made up from the venue's for one that came another way."""
    client_order = venue.client_orders.of(row.account, row.client_order_id)
    if client_order is not None:
        return client_order
    kind = TYPE_NAMES.get(row.order_type, "LIMIT")
    name = venue.client_orders.text_of(row.account, row.client_order_id)
    return ClientOrder(name, row.client_order_id, kind, kind, time_in_force_of(row), stp_of(row), stop_price=row.trigger_price)


def _numbers(symbol: Symbol, row: Order) -> dict[str, str]:
    return {
        "price": symbol.price(0 if row.order_type == OrderType.MARKET else row.price),
        "avgPrice": symbol.average(row.traded, row.filled),
        "origQty": symbol.qty(row.qty),
        "executedQty": symbol.qty(row.filled),
        "cumQuote": text_of(symbol.notional_e8(row.traded) // 1000, 5),
    }


def acknowledgement(venue: BinanceDialect, row: Order, *, as_new: bool = False) -> dict[str, object]:
    """The answer to a request that placed, changed or cancelled an order. `as_new`: as it was before it met the book."""
    symbol, client_order = venue.symbols.all[row.instrument], client_order_of(venue, row)
    numbers = _numbers(symbol, row)
    if as_new:
        numbers |= {"executedQty": symbol.qty(0), "cumQuote": text_of(0, 5), "avgPrice": "0.00"}
    return {
        "orderId": row.order_id,
        "symbol": symbol.name,
        "status": "NEW" if as_new else row.status,
        "clientOrderId": client_order.client_id,
        "price": numbers["price"],
        "avgPrice": numbers["avgPrice"],
        "origQty": numbers["origQty"],
        "executedQty": numbers["executedQty"],
        "cumQty": numbers["executedQty"],
        "cumQuote": numbers["cumQuote"],
        "timeInForce": client_order.time_in_force,
        "type": client_order.order_type,
        "reduceOnly": bool(row.flags & OrderFlag.REDUCE_ONLY),
        "closePosition": client_order.close_position,
        "side": SIDE_NAMES[row.side],
        "positionSide": "BOTH",
        "stopPrice": symbol.price(client_order.stop_price),
        "workingType": client_order.working_type,
        "priceProtect": client_order.price_protect,
        "origType": client_order.orig_type,
        "priceMatch": client_order.price_match,
        "selfTradePreventionMode": client_order.stp,
        "goodTillDate": client_order.good_till,
        "updateTime": row.updated_ns // _MS,
    }


def queried(venue: BinanceDialect, row: Order) -> dict[str, object]:
    """The object that queries return."""
    symbol, client_order = venue.symbols.all[row.instrument], client_order_of(venue, row)
    numbers = _numbers(symbol, row)
    return {
        "avgPrice": numbers["avgPrice"],
        "clientOrderId": client_order.client_id,
        "cumQuote": numbers["cumQuote"],
        "executedQty": numbers["executedQty"],
        "orderId": row.order_id,
        "origQty": numbers["origQty"],
        "origType": client_order.orig_type,
        "price": numbers["price"],
        "reduceOnly": bool(row.flags & OrderFlag.REDUCE_ONLY),
        "side": SIDE_NAMES[row.side],
        "positionSide": "BOTH",
        "status": row.status,
        "stopPrice": symbol.price(client_order.stop_price),
        "closePosition": client_order.close_position,
        "symbol": symbol.name,
        "pair": symbol.name,
        "time": row.created_ns // _MS,
        "timeInForce": client_order.time_in_force,
        "type": client_order.order_type,
        "updateTime": row.updated_ns // _MS,
        "workingType": client_order.working_type,
        "priceProtect": client_order.price_protect,
        "priceMatch": client_order.price_match,
        "selfTradePreventionMode": client_order.stp,
        "goodTillDate": client_order.good_till,
    }


def fill(venue: BinanceDialect, row: Fill) -> dict[str, object]:
    """An item of userTrades."""
    symbol = venue.symbols.all[row.instrument]
    return {
        "buyer": row.side == Side.BUY,
        "commission": money(row.fee_e8),
        "commissionAsset": symbol.margin_asset,
        "id": row.trade_id,
        "maker": bool(row.maker),
        "orderId": row.order_id,
        "price": symbol.price(row.price),
        "qty": symbol.qty(row.qty),
        "quoteQty": text_of(symbol.notional_e8(row.price * row.qty) // 1000, 5),
        "realizedPnl": money(row.realised_e8),
        "side": SIDE_NAMES[row.side],
        "positionSide": "BOTH",
        "symbol": symbol.name,
        "pair": symbol.name,
        "marginAsset": symbol.margin_asset,
        "time": row.ts // _MS,
    }
