"""Rate limits: request weight by address, orders by account, two pools of their own, and bans.

Windows are fixed and aligned on the exchange clock (the minute begins at :00). Over the limit: 429 with Retry-After. Whoever goes on
regardless is banned: 418, two minutes at first, twice as long each time, three days at the most.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.rest.errors import BANNED, Refusal

MINUTE_MS, TEN_S_MS, FIVE_MINUTES_MS = 60_000, 10_000, 300_000
FIRST_BAN_MS, LONGEST_BAN_MS = 120_000, 3 * 86_400_000
_MOST_ADDRESSES = 10_000
FUNDING, DATA = "funding", "data"  # pools


@dataclass
class Window:
    """One fixed window: how much of it is used."""

    length_ms: int
    begins: int = 0
    used: int = 0

    def at(self, now_ms: int) -> int:
        """What is used of the window that holds `now_ms`."""
        begins = now_ms - now_ms % self.length_ms
        if begins != self.begins:
            self.begins, self.used = begins, 0
        return self.used

    def left_s(self, now_ms: int) -> int:
        """Seconds until the next window, at least 1."""
        return max(1, -(-(self.length_ms - now_ms % self.length_ms) // 1000))


def _minute() -> Window:
    return Window(MINUTE_MS)


@dataclass
class _Address:
    weight: Window = field(default_factory=_minute)
    pools: dict[str, Window] = field(default_factory=lambda: {FUNDING: Window(FIVE_MINUTES_MS), DATA: Window(FIVE_MINUTES_MS)})
    refused: Window = field(default_factory=_minute)
    banned_until: int = 0
    n_bans: int = 0


@dataclass
class _Orders:
    ten_s: Window = field(default_factory=lambda: Window(TEN_S_MS))
    minute: Window = field(default_factory=_minute)


class RateLimits:
    """What everybody has used. Times are exchange time, ms."""

    def __init__(self, config: BinanceDialectConfig) -> None:
        self.config = config
        self._addresses: dict[str, _Address] = {}
        self._orders: dict[int, _Orders] = {}

    def _address(self, address: str) -> _Address:
        found = self._addresses.get(address)
        if found is None:
            if len(self._addresses) >= _MOST_ADDRESSES:
                self._addresses.clear()
            found = self._addresses[address] = _Address()
        return found

    def ban(self, address: str, now_ms: int, length_ms: int = 0) -> Refusal:
        """Ban an address from now on; returns the refusal to answer with."""
        who = self._address(address)
        length_ms = length_ms or min(LONGEST_BAN_MS, FIRST_BAN_MS << min(who.n_bans, 12))
        who.n_bans += 1
        who.banned_until = now_ms + length_ms
        return self._banned(address, who, now_ms)

    def _banned(self, address: str, who: _Address, now_ms: int) -> Refusal:
        seconds = str(max(1, -(-(who.banned_until - now_ms) // 1000)))
        return Refusal(-1003, address, who.banned_until, text=BANNED, status=418, headers={"Retry-After": seconds})

    def check_ban(self, address: str, now_ms: int) -> None:
        """Raises the 418 of an address that is banned."""
        who = self._address(address)
        if now_ms < who.banned_until:
            raise self._banned(address, who, now_ms)

    def too_many(self, address: str, now_ms: int, window: Window | None = None, most: int = 0) -> Refusal:
        """The 429 of an address over its limit."""
        headers = {"Retry-After": str((window or Window(MINUTE_MS)).left_s(now_ms))}
        return Refusal(-1003, address, most or self.config.weight_per_minute, headers=headers)

    def charge(self, address: str, weight: int, now_ms: int, pool: str = "") -> int:
        """Charge a request; returns the weight used this minute. Raises 429, or 418 for who does not stop."""
        who = self._address(address)
        self.check_ban(address, now_ms)
        window, most = who.weight, self.config.weight_per_minute
        if pool:
            window, weight = who.pools[pool], 1
            most = self.config.funding_requests_per_5_minutes if pool == FUNDING else self.config.data_requests_per_5_minutes
        if window.at(now_ms) + weight > most:
            if who.refused.at(now_ms) >= self.config.requests_until_ban:
                raise self.ban(address, now_ms)
            who.refused.used += 1
            raise self.too_many(address, now_ms, window, most)
        window.used += weight
        return who.weight.at(now_ms)

    def used_weight(self, address: str, now_ms: int) -> int:
        """Weight that an address has used this minute."""
        return self._address(address).weight.at(now_ms)

    def charge_orders(self, account: int, in_ten_s: int, in_minute: int, now_ms: int) -> None:
        """Count order placements of an account. Raises -1015 with 429."""
        who = self._orders.setdefault(account, _Orders())
        for window, n, most, name in (
            (who.ten_s, in_ten_s, self.config.orders_per_10s, "TEN_SECONDS"),
            (who.minute, in_minute, self.config.orders_per_minute, "MINUTE"),
        ):
            if window.at(now_ms) + n > most:
                raise Refusal(-1015, most, name, headers={"Retry-After": str(window.left_s(now_ms))})
        who.ten_s.used += in_ten_s
        who.minute.used += in_minute

    def order_counts(self, account: int, now_ms: int) -> tuple[int, int]:
        """Orders that an account has placed in this window of 10 seconds, and in this minute."""
        who = self._orders.setdefault(account, _Orders())
        return who.ten_s.at(now_ms), who.minute.at(now_ms)

    def table(self) -> list[dict[str, object]]:
        """The `rateLimits` of exchangeInfo."""
        return [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.config.weight_per_minute},
            *self.order_table(),
        ]

    def order_table(self) -> list[dict[str, object]]:
        """The order limits alone."""
        return [
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": self.config.orders_per_minute},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": self.config.orders_per_10s},
        ]
