"""The ready file of a simulator, as a session reads it: where it listens, and the demo keys. Anybody may have written it, so its shape is checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from hftkit import clock
from hftkit.errors import VenueError
from hftkit.reading import printable, read_object
from live.config import Port

_POLL_S = 0.02
_MOST_BYTES = 1 << 20
_CURE = "Start `hftkit sim --ready-file` with the same path"


class OfferedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A demo key of one account."""

    account: int
    kind: str
    key: str
    secret: str = ""
    private_key: str = ""


class BinanceReady(msgspec.Struct, frozen=True, kw_only=True):
    """Where the simulator's Binance dialect listens."""

    url: str = ""
    ws_url: str = ""
    certificate: str | None = None
    keys: tuple[OfferedKey, ...] = ()


class ReadyFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a session takes from a ready file; what else stands there is for others."""

    host: str = ""
    order_port: Port | None = None
    market_port: Port | None = None
    binance: BinanceReady | None = None

    def binary(self) -> tuple[str, int, int]:
        """Host, order port, market data port. Raises VenueError where they are missing."""
        if not self.host or self.order_port is None or self.market_port is None:
            raise VenueError("the ready file names no host, order_port and market_port", _CURE)
        return self.host, self.order_port, self.market_port

    def offered(self) -> dict[str, Any]:
        """The Binance dialect's part as plain data, {} where there is none."""
        return msgspec.to_builtins(self.binance) if self.binance is not None else {}


def read_ready_file(path: Path, timeout_s: float, wait: Callable[[float], bool]) -> ReadyFile:
    """The content of a simulator's ready file, waited for: the venue may be starting at the same time. `wait(s)`: sleeps, True to give up.

    Raises VenueError in one line if it does not come, or is not a ready file.
    """

    def refuse(why: str) -> VenueError:
        return VenueError(f"cannot use the ready file {printable(str(path))}: {printable(why)}", _CURE)

    deadline = clock.monotonic_s() + timeout_s
    try:
        while not path.exists() and clock.monotonic_s() < deadline and not wait(_POLL_S):
            pass
        found = path.exists()
    except ValueError:  # a NUL in the path
        raise refuse("a path cannot hold a NUL character") from None
    if not found:
        raise VenueError(f"no ready file {printable(str(path))} within {timeout_s:g} s", _CURE)
    body = read_object(path, refuse, _MOST_BYTES)
    try:
        return msgspec.convert(body, ReadyFile)
    except msgspec.ValidationError as error:
        raise refuse(str(error)) from None
