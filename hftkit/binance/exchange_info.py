"""Instruments from Binance's exchangeInfo (USD-M futures and spot): scales, the sizes that it takes. Nothing is guessed but fees, which it lacks.

The venue's filters are about decimals; ours are ticks and lots. A symbol whose lowest price or quantity is not on its own grid of steps cannot be
counted in ticks or lots, and is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from hftkit.errors import VenueError
from hftkit.instruments import Instrument

DEFAULT_FEES_PPM = (200, 500)  # maker, taker: tier 0 of USD-M futures, where the account's own rates are not known
SPOT_FEES_PPM = (1000, 1000)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as the venue lists it. Quantities in lots."""

    instrument: Instrument
    status: str
    min_lots: int
    max_lots: int
    max_market_lots: int

    @property
    def tradable(self) -> bool:
        """Whether the venue takes orders for it now."""
        return self.status == "TRADING"


def _decimal(row: Mapping[str, Any], name: str, symbol: str) -> Decimal:
    try:
        value = Decimal(str(row[name]))
    except (KeyError, InvalidOperation):
        raise VenueError(f"exchangeInfo of {symbol}: {name} is {row.get(name)!r}", "Is this a Binance-compatible venue?") from None
    if not value.is_finite():
        raise VenueError(f"exchangeInfo of {symbol}: {name} is {value}")
    return value


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _listed(row: Mapping[str, Any], fees_ppm: tuple[int, int]) -> Listed:
    symbol = str(row.get("symbol"))
    filters = {str(item.get("filterType")): item for item in row.get("filters", []) if isinstance(item, Mapping)}
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}  # spot: minNotional; futures: notional
    for needed in ("PRICE_FILTER", "LOT_SIZE", *(() if notional else ("MIN_NOTIONAL",))):
        if needed not in filters:
            raise VenueError(f"exchangeInfo of {symbol} has no {needed} filter", "Is this a Binance-compatible venue?")
    tick, lot = _decimal(filters["PRICE_FILTER"], "tickSize", symbol), _decimal(filters["LOT_SIZE"], "stepSize", symbol)
    if tick <= 0 or lot <= 0:
        raise VenueError(f"exchangeInfo of {symbol}: tickSize {tick} and stepSize {lot} must be positive")
    for name, step, where in (("minPrice", tick, "PRICE_FILTER"), ("minQty", lot, "LOT_SIZE")):
        if _decimal(filters[where], name, symbol) % step != 0:
            raise VenueError(f"exchangeInfo of {symbol}: {name} is not a whole number of steps", "This symbol cannot be counted in ticks and lots")
    market = filters.get("MARKET_LOT_SIZE", filters["LOT_SIZE"])
    return Listed(
        instrument=Instrument(
            symbol=symbol,
            tick_size=_plain(tick),
            lot_size=_plain(lot),
            min_notional=_plain(_decimal(notional, "minNotional" if "minNotional" in notional else "notional", symbol)),
            maker_fee_ppm=fees_ppm[0],
            taker_fee_ppm=fees_ppm[1],
        ),
        status=str(row.get("status")),
        min_lots=int(_decimal(filters["LOT_SIZE"], "minQty", symbol) / lot),
        max_lots=int(_decimal(filters["LOT_SIZE"], "maxQty", symbol) / lot),
        max_market_lots=int(_decimal(market, "maxQty", symbol) / lot),
    )


def listed_instruments(exchange_info: Mapping[str, Any], symbols: Sequence[str], fees_ppm: Mapping[str, tuple[int, int]]) -> tuple[Listed, ...]:
    """The named symbols, in that order. `fees_ppm`: maker and taker fee by symbol, tier 0 where absent. Raises VenueError if one is not listed."""
    rows = {str(row.get("symbol")): row for row in exchange_info.get("symbols", []) if isinstance(row, Mapping)}
    missing = [symbol for symbol in symbols if symbol not in rows]
    if missing:
        raise VenueError(f"the venue has no {', '.join(missing)}", f"It lists {len(rows)} symbols, for example {sorted(rows)[:5]}")
    return tuple(_listed(rows[symbol], fees_ppm.get(symbol, DEFAULT_FEES_PPM)) for symbol in symbols)


def fees_ppm(commission_rate: Mapping[str, Any]) -> tuple[int, int]:
    """Maker and taker fee in parts per million from an answer of GET /fapi/v1/commissionRate."""
    rates = (_decimal(commission_rate, name, str(commission_rate.get("symbol"))) for name in ("makerCommissionRate", "takerCommissionRate"))
    maker, taker = (int(rate * 1_000_000) for rate in rates)
    return maker, taker
