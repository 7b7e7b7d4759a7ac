"""What to ask of a Binance-compatible venue's market and user streams: stream names, routes, URLs.

Market data is split over three routes (since 2026-04-23): /public books, /market trades and marks, /private the account. A stream asked for on the
wrong route is accepted and stays silent, which the progress clocks then show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


def public_url(base: str, symbols: Sequence[str], feed: Literal["depth", "book_ticker"], depth_speed: str) -> str:
    """Books of these symbols: order book changes, or best bid and offer alone."""
    suffix = "bookTicker" if feed == "book_ticker" else "depth" if depth_speed == "250ms" else f"depth@{depth_speed}"
    return f"{base.rstrip('/')}/public/ws/{'/'.join(f'{symbol.lower()}@{suffix}' for symbol in symbols)}"


def market_url(base: str, symbols: Sequence[str]) -> str:
    """Trades, and the mark price every second, which also shows that the line is alive."""
    names = [name for symbol in symbols for name in (f"{symbol.lower()}@aggTrade", f"{symbol.lower()}@markPrice@1s")]
    return f"{base.rstrip('/')}/market/ws/{'/'.join(names)}"


def private_url(base: str, listen_key: str) -> str:
    """The account's own stream. The key is a secret: never log this URL."""
    return f"{base.rstrip('/')}/private/ws/{listen_key}"


def listen_key_code(key: str) -> int:
    """What stands for a listen key where the hot thread has found one named: kernels/wire/binance/user.text_code in plain Python, 0 for no key."""
    if not key:
        return 0
    code = 0xCBF29CE484222325
    for byte in key.encode():
        code = (code ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return max(code >> 1, 1)
