"""Flatten an account at a Binance-compatible venue over REST: cancel every order, close every position reduce-only, until the venue says flat.

Orders of every kind and of every symbol are cancelled, algo orders too. In hedge mode each side of a symbol is closed by its own positionSide. What
may have been executed is asked for by its id before anything is sent again (live/venues/binance/rest.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

from hftkit import clock
from hftkit.errors import ConfigError, VenueError
from live.config import VenueConfig
from live.link.breaker import Breaker
from live.link.clock_offset import ClockOffset
from live.link.rate_budget import Priority, RateBudget
from live.link.websocket import tls_context
from live.operate.flatten_report import Flattened
from live.venue import account_text
from live.venues.binance.keys import ApiKey
from live.venues.binance.rest import BinanceRest, RestError

_CLOCK_ROUNDS = 3
_STEP_S = 0.3
_NO_SUCH_PATH = (404, 405)
_FLAT_TWICE = 2  # looks in a row at which nothing is left: an order that was on its way may have filled between two requests


@dataclass(frozen=True)
class _Position:
    symbol: str
    side: str  # BOTH, or LONG and SHORT in hedge mode
    amount: Decimal


class _Account:
    """One account through REST; `report` collects.

    Owner: the loop of `hftkit flatten`.
    """

    def __init__(self, rest: BinanceRest, report: Flattened) -> None:
        self.rest, self.report = rest, report
        self.most: dict[str, tuple[Decimal, Decimal]] = {}  # largest market order and its step, by symbol
        self._n = 0
        self._prefix = f"flat-{clock.unix_ns() // 1_000_000:x}-"

    async def learn(self) -> None:
        """The largest market order of each symbol."""
        info = json.loads(await self.rest.read("/fapi/v1/exchangeInfo"))
        self.rest.budget.learn(info.get("rateLimits", []))
        for row in info["symbols"]:
            filters = {item.get("filterType"): item for item in row.get("filters", [])}
            sizes = filters.get("MARKET_LOT_SIZE") or filters.get("LOT_SIZE")
            if sizes:
                self.most[row["symbol"]] = (Decimal(sizes["maxQty"]), Decimal(filters.get("LOT_SIZE", sizes)["stepSize"]))

    async def positions(self) -> list[_Position]:
        """What the account holds."""
        rows = json.loads(await self.rest.read("/fapi/v3/positionRisk", signed=True, weight=5))
        found = [_Position(row["symbol"], row.get("positionSide", "BOTH"), Decimal(str(row["positionAmt"]))) for row in rows]
        return [position for position in found if position.amount]

    async def orders(self) -> list[dict[str, Any]]:
        """Open orders, algo orders included where the venue has them."""
        rows = list(json.loads(await self.rest.read("/fapi/v1/openOrders", signed=True, weight=40)))
        try:
            found = json.loads(await self.rest.once("GET", "/fapi/v1/openAlgoOrders", signed=True, weight=40))
            rows += [{**row, "algo": True} for row in (found if isinstance(found, list) else found.get("orders", []))]
        except RestError as error:
            if error.status not in _NO_SUCH_PATH:
                raise
        return rows

    async def cancel(self, orders: list[dict[str, Any]]) -> None:
        """Cancel them all, symbol by symbol."""
        for symbol in sorted({str(row["symbol"]) for row in orders if not row.get("algo")}):
            await self._try(symbol, self.rest.once("DELETE", "/fapi/v1/allOpenOrders", {"symbol": symbol}, signed=True, priority=Priority.CANCEL))
        for symbol in sorted({str(row["symbol"]) for row in orders if row.get("algo")}):
            await self._try(symbol, self.rest.once("DELETE", "/fapi/v1/algoOpenOrders", {"symbol": symbol}, signed=True, priority=Priority.CANCEL))

    async def close(self, position: _Position) -> None:
        """Send one order that reduces it, as large as the venue takes."""
        most, step = self.most.get(position.symbol, (abs(position.amount), Decimal(0)))
        quantity = min(abs(position.amount), most)
        if step and quantity == most:
            quantity = (quantity / step).to_integral_value(ROUND_DOWN) * step
        self._n += 1
        params = {
            "symbol": position.symbol,
            "side": "SELL" if position.amount > 0 else "BUY",
            "type": "MARKET",
            "quantity": format(quantity.normalize(), "f"),
            "newClientOrderId": f"{self._prefix}{self._n}",
        }
        params |= {"reduceOnly": "true"} if position.side == "BOTH" else {"positionSide": position.side}
        self.report.closing_orders += 1
        await self._try(position.symbol, self.rest.submit(params, Priority.HEDGE))

    async def _try(self, symbol: str, work: Awaitable[Any]) -> None:
        try:
            await work
        except RestError as error:
            self.report.told[symbol] = str(error)


async def _until_flat(account: _Account, deadline: float) -> None:
    report, flat, seen = account.report, 0, set[str]()
    while True:
        report.confirmed = False
        orders = await account.orders()
        await account.cancel(orders)
        if orders:
            orders = await account.orders()
        positions = await account.positions()
        report.orders = [f"{_id(row)} ({row['symbol']} {row.get('side', '')} {row.get('origQty', row.get('quantity', ''))})" for row in orders]
        report.positions = {f"{p.symbol}{'' if p.side == 'BOTH' else ' ' + p.side}": format(p.amount, "f") for p in positions}
        report.confirmed = True
        report.canceled = len(seen)
        flat = flat + 1 if not orders and not positions else 0
        if flat == _FLAT_TWICE or clock.monotonic_s() > deadline:
            return
        for position in positions:
            await account.close(position)
        await asyncio.sleep(_STEP_S)


def _id(row: dict[str, Any]) -> str:
    return str(row.get("clientOrderId") or row.get("clientAlgoId") or row.get("orderId") or row.get("algoId"))


async def _flatten(venue: VenueConfig, key: ApiKey, report: Flattened, timeout_s: float) -> None:
    config, offset = venue.binance, ClockOffset()
    tls = tls_context(config.ca_file) if config.ca_file else None

    def now_ms() -> int:
        now = clock.monotonic_ns()
        return (now + offset.offset_ns(now) if offset.offset_ns(now) else clock.unix_ns()) // 1_000_000

    rest = BinanceRest(
        config.rest_url, key, RateBudget(), Breaker(config.breaker), now_ms, clock.monotonic_s, tls, timeout_s=venue.connect_timeout_s
    )  # fmt: skip
    await rest.open()
    try:
        for _ in range(_CLOCK_ROUNDS):
            sent = clock.monotonic_ns()
            body = await rest.read("/fapi/v1/time")
            offset.add(sent, clock.monotonic_ns(), int(json.loads(body)["serverTime"]))
        account = _Account(rest, report)
        await account.learn()
        await _until_flat(account, clock.monotonic_s() + timeout_s)
    finally:
        await rest.close()


def flatten_binance(venue: VenueConfig, key: ApiKey, timeout_s: float, say: Callable[[str], None] = lambda line: None) -> Flattened:
    """Flatten the key's account. The addresses of `venue` are final and confirmed. Raises VenueError where nothing could be asked at all."""
    report = Flattened(account_text(venue))
    try:
        asyncio.run(_flatten(venue, key, report, timeout_s))
    except RestError as error:
        if not report.closing_orders and not report.positions and not report.orders:
            raise VenueError(f"the venue at {venue.binance.rest_url} refused ({error})", "Check the key, its permissions and the address") from None
        report.confirmed = False
        report.told["venue"] = str(error)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise VenueError(f"the venue at {venue.binance.rest_url} answers in another form ({error!r})", "Is it Binance-compatible?") from None
    return report
