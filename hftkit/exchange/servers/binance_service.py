"""The Binance dialect in one piece: host, drop copy, store, dialect and HTTP server beside a BinaryServer. `hftkit sim` and tests start it here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from hftkit.clock import unix_ns
from hftkit.exchange.config import SimConfig
from hftkit.exchange.core.tap import Batch, Tap
from hftkit.exchange.dialects.binance.account.keys import KeyRing
from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.market.store import BinanceStore
from hftkit.exchange.dialects.binance.streams.streams import Streams
from hftkit.exchange.dialects.binance.venue import BinanceDialect
from hftkit.exchange.host import VenueHost
from hftkit.exchange.servers.binance import BinanceServer
from hftkit.exchange.servers.binance_ws import WebSocketShell
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.units import NS_PER_MINUTE, iso_from_ns

if TYPE_CHECKING:
    from hftkit.exchange.market.history.build import HistoryPlan


def at_wall_time(config: SimConfig, skip_minutes: int = 0, speed: float = 1.0) -> SimConfig:
    """The configuration with its start moved so that the market stands at the present wall time after `skip_minutes`.

    Clients put their own time into what they sign, so exchange time should be wall time; at another speed it cannot be, and is not checked.
    """
    binance = config.binance or BinanceDialectConfig()
    if speed != 1.0:
        binance = msgspec.structs.replace(binance, check_timestamps=False)
    if binance.wall_clock:
        config = msgspec.structs.replace(config, start=iso_from_ns(unix_ns() - skip_minutes * NS_PER_MINUTE))
    return msgspec.structs.replace(config, binance=binance)


def history_at_wall_time(plan: HistoryPlan) -> HistoryPlan:
    """A history whose dates are moved so that it begins within the present minute: by whole minutes, so that bars stay bars."""
    tape = plan.history.tape.copy()
    moved = (unix_ns() - plan.history.first_ns) // NS_PER_MINUTE * NS_PER_MINUTE
    tape[:, 2] += moved
    return replace(plan, history=replace(plan.history, tape=tape, origin={**plan.history.origin, "moved_ns": moved}))


class BinanceService:
    """Serves the dialect for one BinaryServer that has been started. Whoever calls `host.turn` again and again, or `host.start`, runs both."""

    def __init__(self, server: BinaryServer, config: SimConfig) -> None:
        """Raises ConfigError where a key has no secret."""
        self.config = config.binance or BinanceDialectConfig()
        keys, self.demo_keys = KeyRing.of_config(self.config)
        self.tap = Tap(server.venue.tap)
        self.store = BinanceStore(len(config.instruments), lambda: int(server.venue.state[0]["ts"]))
        self.host = VenueHost(server)
        self.tap.consumers.append(self._take)
        self.tap.open()
        page = server.shell.faults.page
        self.venue = BinanceDialect(config, server.venue, keys, self.store, self.tap.pump, page, server.start_ts, self.host.internal_errors)
        self.host.hooks.append(self.venue.after_slice)
        self.http = BinanceServer(self.host, self.venue)
        self.streams = Streams(self.venue, page)
        self.tap.consumers.append(self.streams.take)
        self.sockets = WebSocketShell(self.http, self.streams)
        self.host.hooks.append(self.sockets.after_slice)

    def _take(self, batch: Batch) -> None:
        try:
            self.store.take(batch)
        except Exception as error:  # other consumers get the batch all the same
            self.host.internal_errors.note("drop copy", error)

    def start(self, address: str, port: int) -> dict[str, Any]:
        """Listen; returns what the ready file tells: addresses and demo keys. Raises VenueError if the port is in use."""
        port = self.http.start(address, port)
        secure = "s" if self.config.certificate else ""
        return {
            "port": port,
            "url": f"http{secure}://{address}:{port}",
            "ws_url": f"ws{secure}://{address}:{port}",
            "certificate": self.config.certificate or None,
            "keys": self.demo_keys,
        }

    def stop(self) -> None:
        """No more requests; stream clients are told, the port is closed."""
        self.host.stop()
        self.sockets.stop()
        self.http.stop()
        self.tap.close()
