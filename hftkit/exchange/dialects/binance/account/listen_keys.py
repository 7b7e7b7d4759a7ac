"""Listen keys: one of 64 letters for each account, alive for 60 minutes after it was last asked for. Times are exchange time, ms."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable

from hftkit.exchange.dialects.binance.rest.errors import Refusal

LIFE_MS = 3_600_000
_LETTERS = string.ascii_letters + string.digits


class ListenKeys:
    """The listen keys of all accounts (account: index of its record)."""

    def __init__(self) -> None:
        self._key_of: dict[int, str] = {}
        self._alive: dict[str, tuple[int, int]] = {}  # key: (account, end)
        self.on_close: list[Callable[[str, int, bool], None]] = []  # called with (key, account, has it expired by itself)

    def open(self, account: int, now_ms: int) -> str:
        """The account's key: a new one, or the one that is alive, for another 60 minutes."""
        self.sweep(now_ms)
        key = self._key_of.get(account) or "".join(secrets.choice(_LETTERS) for _ in range(64))
        self._key_of[account], self._alive[key] = key, (account, now_ms + LIFE_MS)
        return key

    def extend(self, account: int, now_ms: int) -> str:
        """Another 60 minutes (-1125 if there is none)."""
        self.sweep(now_ms)
        if account not in self._key_of:
            raise Refusal(-1125)
        return self.open(account, now_ms)

    def close(self, account: int, now_ms: int) -> None:
        """No longer valid; nothing happens if there is none."""
        self.sweep(now_ms)
        if account in self._key_of:
            self._end(self._key_of[account], False)

    def account_of(self, key: str, now_ms: int) -> int:
        """Whose key this is, -1 if nobody's or no longer."""
        account, end = self._alive.get(key, (-1, 0))
        return account if now_ms < end else -1

    def key_of(self, account: int) -> str:
        """The account's key, "" if it has none."""
        return self._key_of.get(account, "")

    def accounts(self) -> list[int]:
        """Accounts that have a key."""
        return list(self._key_of)

    def expire(self, account: int) -> None:
        """End an account's key as if its time were over (a fault)."""
        if account in self._key_of:
            self._end(self._key_of[account], True)

    def sweep(self, now_ms: int) -> None:
        """End the keys whose time is over."""
        for key in [key for key, (_, end) in self._alive.items() if now_ms >= end]:
            self._end(key, True)

    def _end(self, key: str, expired: bool) -> None:
        account, _ = self._alive.pop(key)
        del self._key_of[account]
        for hear in self.on_close:
            hear(key, account, expired)
