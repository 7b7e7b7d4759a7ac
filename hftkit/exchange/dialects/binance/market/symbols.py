"""Symbols as the dialect shows them: decimal texts of prices, quantities and money, and the limits of each filter.

Prices are ticks and quantities lots inside; texts are padded to the decimals of tick and lot, as the venue pads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from hftkit.exchange.config import SimConfig
from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.market.contracts import dated
from hftkit.exchange.dialects.binance.rest.errors import Refusal
from hftkit.exchange.venue import Exchange
from hftkit.units import E8, decimal

QUOTES = ("FDUSD", "USDT", "USDC", "USD1", "USD", "BTC", "EUR")  # longest first
_E8_PLACES = 8


def text_of(value: int, places: int) -> str:
    """An integer of 10**-places units as decimal text: (1234, 2) is "12.34"."""
    if places == 0:
        return str(value)
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**places)
    return f"{sign}{whole}.{part:0{places}d}"


def money(amount_e8: int) -> str:
    """Money in 1e-8 units as the venue writes it: eight decimals."""
    return text_of(int(amount_e8), _E8_PLACES)


def ratio_text(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def places_of(step: Decimal) -> int:
    """Decimals that a step has: 0.10 has one, 5 has none."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@dataclass(frozen=True)
class Symbol:
    """One symbol. `lowest`, `highest`: the window of prices, ticks."""

    index: int
    name: str
    base: str
    quote: str
    margin_asset: str
    tick: Decimal
    lot: Decimal
    price_places: int
    qty_places: int
    tick_lot_e8: int
    min_notional: Decimal
    min_qty: int
    max_qty: int
    lowest: int
    highest: int
    maker_ppm: int
    taker_ppm: int
    maintenance_ppm: int
    max_leverage: int
    leverage: int

    @cached_property
    def pair(self) -> str:
        """The pair that the contract is on: the name without a delivery date."""
        return dated(self.name).pair

    @cached_property
    def _price_unit(self) -> int:
        """One tick in the last decimal that prices show."""
        return int(self.tick.scaleb(self.price_places))

    @cached_property
    def _qty_unit(self) -> int:
        return int(self.lot.scaleb(self.qty_places))

    def price(self, ticks: int) -> str:
        """Ticks as text."""
        return text_of(int(ticks) * self._price_unit, self.price_places)

    def qty(self, lots: int) -> str:
        """Lots as text."""
        return text_of(int(lots) * self._qty_unit, self.qty_places)

    def notional_e8(self, ticks_lots: int) -> int:
        """Ticks times lots as money, 1e-8 quote."""
        return int(ticks_lots) * self.tick_lot_e8

    def average(self, ticks_lots: int, lots: int) -> str:
        """Average price of what traded: "0.00" before the first fill, else with five decimals or the tick's."""
        if lots == 0:
            return "0.00"
        places = max(5, self.price_places)
        exact = Decimal(int(ticks_lots)) * self.tick / int(lots)
        return format(exact, f".{places}f")

    def entry_price(self, cost_e8: int, lots: int) -> Decimal:
        """Average entry of a position of `lots` (signed) that cost `cost_e8`, rounded to 8 decimals; 0 without one."""
        if lots == 0:
            return Decimal(0)
        return (Decimal(int(cost_e8)) / (Decimal(int(lots)) * self.lot * E8)).quantize(Decimal("1e-8"))


def quote_of(names: Sequence[str]) -> str:
    """The quote asset of a universe: the longest known one that all its symbols end in, else that of the first, else USDT."""
    names = [dated(name).pair for name in names]
    shared = [quote for quote in QUOTES if all(name.endswith(quote) and len(name) > len(quote) for name in names)]
    return shared[0] if shared else split_symbol(names[0], "USDT")[1]


def split_symbol(name: str, usual: str) -> tuple[str, str]:
    """Base and quote asset of a symbol: the quote is `usual` if it ends in that, else the longest known one, else `usual`."""
    name = dated(name).pair
    for quote in (usual, *QUOTES):
        if name.endswith(quote) and len(name) > len(quote):
            return name[: -len(quote)], quote
    return name, usual


class Symbols:
    """All symbols of the venue, by index and by name."""

    def __init__(self, config: SimConfig, binance: BinanceDialectConfig, venue: Exchange) -> None:
        self.venue = venue
        self.margin_asset = binance.margin_asset or quote_of(config.symbols)
        self.all = [self._symbol(i, config, binance) for i in range(len(config.instruments))]
        self._by_name = {symbol.name: symbol for symbol in self.all}

    def _symbol(self, i: int, config: SimConfig, binance: BinanceDialectConfig) -> Symbol:
        scales, limits, window = config.instruments[i].instrument, self.venue.limits[i], self.venue.books.tops[i]
        base, quote = split_symbol(scales.symbol, self.margin_asset)
        tick, lot = decimal(scales.tick_size), decimal(scales.lot_size)
        maintenance = int(limits["maintenance_ppm"])
        most = min(binance.max_leverage, 1_000_000 // maintenance if maintenance else binance.max_leverage)
        return Symbol(
            index=i,
            name=scales.symbol,
            base=base,
            quote=quote,
            margin_asset=self.margin_asset,
            tick=tick,
            lot=lot,
            price_places=places_of(tick),
            qty_places=places_of(lot),
            tick_lot_e8=scales.tick_lot_e8,
            min_notional=decimal(scales.min_notional),
            min_qty=int(limits["min_qty"]),
            max_qty=int(limits["max_qty"]),
            lowest=int(window["base"]),
            highest=int(window["base"]) + self.venue.books.levels.shape[1] - 1,
            maker_ppm=scales.maker_fee_ppm,
            taker_ppm=scales.taker_fee_ppm,
            maintenance_ppm=maintenance,
            max_leverage=most,
            leverage=config.venue.leverage,
        )

    def find(self, name: str) -> Symbol:
        """A symbol by its name, in any case (-1121)."""
        symbol = self._by_name.get(name) or self._by_name.get(name.upper())
        if symbol is None:
            raise Refusal(-1121)
        return symbol

    def top(self, symbol: Symbol) -> Any:
        """The record of best prices."""
        return self.venue.books.tops[symbol.index]
