"""Prices of the assets that a venue charges fees in, for the compiled line (kernels/wire/binance/fees.py).

A price is the mark price of ASSET + QUOTE, or one where an asset is a dollar by definition and the quote is one too. It is asked for at once when
the line meets a new asset, then every `REFRESH_S`; it reaches the hot thread, which alone writes it down, through the cold ring. An asset without a
price is told once: its commissions are booked at the expected rate.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from hftkit.binance.line import Kind, Line, fee_price_words, fees_by_asset
from hftkit.units import from_e8, to_e8
from live.venues.binance.rest import BinanceRest, RestError

REFRESH_S = 30.0
_LOOK_S = 0.5  # between two looks for assets not seen before
BURNT = "BNB"  # what an account with fee burn pays in
CREDITS = "BNFCR"  # what an account in credits trading mode pays in
_DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "BUSD", "USD1", "BFUSD", "BNFCR", "LDUSDT"})
_E8 = 100_000_000


class FeePrices:
    """`push(kind, payload)`: into the cold ring; `say(event, **facts)`: the log; `quote`: the asset that money is counted in.

    Owner: the venue loop; before it runs, whoever starts the line.
    """

    def __init__(self, rest: BinanceRest, push: Callable[[int, bytes], None], say: Callable[..., None], quote: str = "USDT") -> None:
        self._rest, self._push, self._say, self.quote = rest, push, say, quote
        self.known: dict[str, int] = {}  # price in 1e-8 quote by asset, 0: none
        self._told: set[str] = set()

    async def ask(self, asset: str) -> None:
        """Learn the price of an asset. One that cannot be had now leaves the last one as it is."""
        try:
            row = json.loads(await self._rest.read("/fapi/v1/premiumIndex", {"symbol": asset + self.quote}))
            price = to_e8(str(row["markPrice"]), "mark price", "nearest")
        except (RestError, ValueError, KeyError, TypeError):
            price = self.known.get(asset, 0)
        if price <= 0 and asset in _DOLLARS and self.quote in _DOLLARS:
            price = _E8
        self.known[asset] = price

    async def begin(self, fee_burn: bool) -> None:
        """Before anything is sent: what is known to be charged in, and what needs no market."""
        for asset in (CREDITS, BURNT) if fee_burn else (CREDITS,):
            await self.ask(asset)

    def hand_over(self) -> None:
        """Every known price to the hot thread."""
        for asset, price in self.known.items():
            if price > 0:
                self._push(int(Kind.FEE_PRICE), fee_price_words(asset, price))

    async def keep(self, line: Line) -> None:
        """Prices for the assets that fees come in, for ever."""
        since = 0.0
        while True:
            seen = [asset for asset in fees_by_asset(line) if asset != self.quote]
            new = [asset for asset in seen if asset not in self.known]
            for asset in new if since < REFRESH_S else {*seen, *self.known}:
                await self.ask(asset)
            if new or since >= REFRESH_S:
                self.hand_over()
                since = 0.0
            for asset in seen:
                self._tell(asset, fees_by_asset(line)[asset]["n_fills"])
            await asyncio.sleep(_LOOK_S)
            since += _LOOK_S

    def _tell(self, asset: str, n_fills: int) -> None:
        """Once for each asset that something was charged in."""
        if asset in self._told or n_fills == 0:
            return
        self._told.add(asset)
        price = self.known.get(asset, 0)
        booked = f"at {from_e8(price, 4)} {self.quote}" if price else "at the expected rate: it has no price here"
        self._say("fees_in_another_asset", asset=asset, booked=booked)


def fee_summary(line: Line) -> dict[str, dict[str, str | int]]:
    """What was charged by asset, for the session's result: fills, those at the expected rate, amounts in the asset and in the quote."""
    return {
        asset: {"fills": row["n_fills"], "at_expected_rate": row["n_at_rate"], "paid": from_e8(row["paid_e8"]), "in_quote": from_e8(row["quote_e8"])}
        for asset, row in fees_by_asset(line).items()
        if row["n_fills"]
    }
