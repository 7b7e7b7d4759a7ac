"""A new order as it was asked for: read from parameters, then held against every filter, each with its code.

In this order: symbol, side, type, time in force, identity; precision, tick, step, smallest and largest; percent price; notional; position side and
reduce-only; number of open orders. What the matching engine alone can say (margin, post-only, fill or kill) comes after that (orders.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from hftkit.codes import OrderFlag, OrderType, Side, TimeInForce
from hftkit.exchange.dialects.binance.market.symbols import Symbol, ratio_text
from hftkit.exchange.dialects.binance.rest.errors import Refusal
from hftkit.exchange.dialects.binance.rest.parameters import Parameters

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
TIMES = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK, "GTX": TimeInForce.GTC, "GTD": TimeInForce.GTD}
STP_FLAGS = {
    "NONE": 0,
    "EXPIRE_TAKER": int(OrderFlag.EXPIRE_TAKER),
    "EXPIRE_MAKER": int(OrderFlag.EXPIRE_MAKER),
    "EXPIRE_BOTH": int(OrderFlag.EXPIRE_TAKER | OrderFlag.EXPIRE_MAKER),
}
CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
# name: (the other side of the book?, level from the touch)
PRICE_MATCHES = {
    "OPPONENT": (True, 1),
    "OPPONENT_5": (True, 5),
    "QUEUE": (False, 1),
    "QUEUE_5": (False, 5),
    "QUEUE_10": (False, 10),
    "QUEUE_20": (False, 20),
}
DEFAULT_STP = "EXPIRE_MAKER"
GTD_AHEAD_MS, LAST_MS = 600_000, 253_402_300_799_000
_FAR = 2**62  # ns: later than any date that the engine's clock will see


@dataclass
class OrderRequest:
    """A new order. Prices in ticks, quantities in lots."""

    symbol: Symbol
    side: int
    order_type: str  # LIMIT or MARKET
    time_in_force: str
    qty: int
    price: int
    client_id: str
    reduce_only: bool = False
    stp: str = DEFAULT_STP
    price_match: str = "NONE"
    good_till: int = 0  # ms
    result: bool = False  # newOrderRespType RESULT

    @property
    def is_market(self) -> bool:
        """A market order?"""
        return self.order_type == "MARKET"

    @property
    def venue_type(self) -> int:
        """codes.OrderType."""
        return int(OrderType.MARKET if self.is_market else OrderType.LIMIT)

    @property
    def venue_time(self) -> int:
        """codes.TimeInForce."""
        return int(TimeInForce.IOC if self.is_market else TIMES[self.time_in_force])

    @property
    def flags(self) -> int:
        """codes.OrderFlag bits. Post-only and fill-or-kill orders are not protected against their own account."""
        flags = int(OrderFlag.POST_ONLY) if self.time_in_force == "GTX" else 0
        if self.reduce_only:
            flags |= int(OrderFlag.REDUCE_ONLY)
        return flags if self.time_in_force in ("GTX", "FOK") else flags | STP_FLAGS[self.stp]

    @property
    def expire_ts(self) -> int:
        """Last moment of its life, exchange ns; 0 for none."""
        return min(_FAR, self.good_till * 1_000_000)


# -- numbers ---------------------------------------------------------------------------------------------------------


def _steps(value: Decimal, step: Decimal, places: int, off_step: int) -> int:
    """Whole steps of a number; -1111 for too many decimals, `off_step` for a value between two steps."""
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > places:
        raise Refusal(-1111)
    if value.adjusted() > 18:
        return 2**62
    quotient, rest = divmod(value, step)
    if rest:
        raise Refusal(off_step)
    return int(quotient)


def read_price(symbol: Symbol, value: Decimal) -> int:
    """A limit price in ticks, inside the price filter."""
    if value <= 0:
        raise Refusal(-4001)
    ticks = _steps(value, symbol.tick, symbol.price_places, -4014)
    if ticks < symbol.lowest:
        raise Refusal(-4013)
    if ticks > symbol.highest:
        raise Refusal(-4002)
    return ticks


def read_qty(symbol: Symbol, value: Decimal) -> int:
    """A quantity in lots, inside the lot filter."""
    if value <= 0:
        raise Refusal(-4003)
    lots = _steps(value, symbol.lot, symbol.qty_places, -4023)
    if lots < symbol.min_qty:
        raise Refusal(-4004)
    if lots > symbol.max_qty:
        raise Refusal(-4005)
    return lots


# -- words -----------------------------------------------------------------------------------------------------------


def read_side(params: Parameters) -> int:
    """BUY or SELL (-1117)."""
    side = SIDES.get(params.required("side").upper())
    if side is None:
        raise Refusal(-1117)
    return int(side)


def read_stp(params: Parameters) -> str:
    """selfTradePreventionMode (-5039)."""
    mode = params.text("selfTradePreventionMode").upper() or DEFAULT_STP
    if mode not in STP_FLAGS:
        raise Refusal(-5039)
    return mode


def check_position_side(params: Parameters) -> None:
    """One-way mode: BOTH or nothing."""
    side = params.text("positionSide").upper()
    if side in ("LONG", "SHORT"):
        raise Refusal(-4061)
    if side not in ("", "BOTH"):
        raise Refusal(-4060)


def read_good_till(params: Parameters, now_ms: int) -> int:
    """goodTillDate of a GTD order, ms, cut to whole seconds (-5040)."""
    good_till = params.integer("goodTillDate")
    if not now_ms + GTD_AHEAD_MS < good_till < LAST_MS:
        raise Refusal(-5040)
    return good_till // 1000 * 1000


def read_time_in_force(params: Parameters, default: str = "") -> str:
    """timeInForce; -1102 where it is missing and has no default, -1115 for an unknown one."""
    name = (params.text("timeInForce") or default or params.required("timeInForce")).upper()
    if name not in TIMES:
        raise Refusal(-1115)
    return name


def read_price_match(venue: BinanceDialect, symbol: Symbol, side: int, params: Parameters) -> tuple[str, int]:
    """priceMatch and the price it stands for now, ticks; ("NONE", 0) without one."""
    name = params.text("priceMatch").upper() or "NONE"
    if name == "NONE":
        return name, 0
    if name not in PRICE_MATCHES:
        raise Refusal(-5037)
    if "price" in params:
        raise Refusal(-1106, "price")
    opposite, level = PRICE_MATCHES[name]
    levels = venue.order_api.read_side(symbol.index, 1 - side if opposite else side, level)
    if len(levels) < level:
        raise Refusal(-5041)
    return name, levels[-1][0]


def read_order_request(venue: BinanceDialect, params: Parameters, now_ms: int) -> OrderRequest:
    """The order that a request asks for; nothing of the market is looked at but for priceMatch."""
    symbol = venue.symbols.find(params.required("symbol"))
    side = read_side(params)
    order_type = params.required("type").upper()
    if order_type in CONDITIONAL:
        raise Refusal(-4120)
    if order_type not in ("LIMIT", "MARKET"):
        raise Refusal(-1116)
    check_position_side(params)
    answer = params.text("newOrderRespType").upper() or "ACK"
    if answer not in ("ACK", "RESULT"):
        raise Refusal(-1136)
    order_request = OrderRequest(symbol, side, order_type, "GTC", 0, 0, params.client_id("newClientOrderId"), result=answer == "RESULT")
    if order_type == "LIMIT":
        order_request.time_in_force = read_time_in_force(params)
    order_request.qty = read_qty(symbol, params.number("quantity"))
    if order_type == "LIMIT":
        order_request.price_match, order_request.price = read_price_match(venue, symbol, side, params)
        if order_request.price_match == "NONE":
            order_request.price = read_price(symbol, params.number("price"))
    elif "priceMatch" in params and params.text("priceMatch").upper() != "NONE":
        raise Refusal(-5038)
    if order_request.time_in_force == "GTD":
        order_request.good_till = read_good_till(params, now_ms)
    order_request.reduce_only = params.boolean("reduceOnly")
    order_request.stp = read_stp(params)
    return order_request


# -- filters ---------------------------------------------------------------------------------------------------------


def check_percent_price(venue: BinanceDialect, symbol: Symbol, side: int, price: int, is_market: bool) -> None:
    """A buyer's price may not be too far above the mark, a seller's not too far below; of a market order: the best price that it meets."""
    mark, ppm = venue.mark(symbol), venue.config.percent_price_ppm
    if mark == 0 or ppm == 0:
        return
    highest, lowest = mark * (1_000_000 + ppm) // 1_000_000, -(-mark * (1_000_000 - ppm) // 1_000_000)
    if is_market:
        top = venue.venue.books.tops[symbol.index]
        best = int(top["ask"] if side == Side.BUY else top["bid"])
        if best == 0:
            raise Refusal(-1112)
        if (side == Side.BUY and best > highest) or (side == Side.SELL and best < lowest):
            raise Refusal(-4131)
    elif side == Side.BUY and price > highest:
        raise Refusal(-4016, symbol.price(highest))
    elif side == Side.SELL and price < lowest:
        raise Refusal(-4024, symbol.price(lowest))


def check_notional(venue: BinanceDialect, symbol: Symbol, price: int, qty: int, code: int = -4164) -> None:
    """Price (of a market order: the mark) times quantity may not be too small."""
    value = (price or venue.mark(symbol)) * symbol.tick * qty * symbol.lot
    if value < symbol.min_notional:
        raise Refusal(code, ratio_text(symbol.min_notional))


def check_order_request(venue: BinanceDialect, account: int, order_request: OrderRequest) -> None:
    """Every filter of a new order. A reduce-only order is cut to the position."""
    symbol = order_request.symbol
    check_percent_price(venue, symbol, order_request.side, order_request.price, order_request.is_market)
    if order_request.reduce_only:
        reducible = venue.reducible(account, symbol, order_request.side)
        if reducible == 0:
            raise Refusal(-2022)
        order_request.qty = min(order_request.qty, reducible)
    else:
        check_notional(venue, symbol, order_request.price, order_request.qty)
    if venue.n_open(account, symbol) >= venue.config.max_open_orders:
        raise Refusal(-2025)
    if order_request.client_id and venue.has_open(account, order_request.client_id):
        raise Refusal(-4116)
