"""The binary venue: two sockets that the hot thread owns, order entry and market data."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hftkit import clock
from hftkit.codes import Control
from hftkit.errors import HftkitError
from hftkit.instruments import Instrument
from hftkit.kernels import jit  # not a kernel source: its edits need no new cache
from hftkit.kernels.hooks import HOOKS_TYPE
from hftkit.params.format import FrozenParams
from hftkit.session.engine_state import EngineState, Limits, SessionConfig
from live import hot_loop as hot
from live.account.lease import Lease, venue_name
from live.config import EngineConfig
from live.ending.decision import Left
from live.example import example_page
from live.venues.binary.discovery import connect, discover
from live.venues.binary.flatten import flatten_binary
from live.venues.binary.logon import cancel_all_frame, logon_frame
from live.venues.binary.stray_orders import StrayOrders

_REOPEN_S = 0.5  # of one attempt; the next one follows


class BinaryVenue:
    """See live/venue.py for what each method is for. Owner: the engine's thread."""

    def __init__(self, config: EngineConfig, control: Callable[[Control], Any], say: Callable[..., None], wait: Callable[[float], bool]) -> None:
        self._config, self._wait = config, wait
        self._sockets: list[socket.socket] = []
        self._lease: Lease | None = None
        self._session, self._folder = "", Path()
        self._strays = StrayOrders(config.session.orphans, say, lambda: control(Control.HALT_ACCOUNT))
        self.secrets: tuple[str, ...] = ()

    def begin(self, session: str, folder: Path, epoch: int) -> None:
        """For the lock of the account."""
        self._session, self._folder = session, folder

    def compile(self, rooms: EngineState, shell: Any) -> None:
        """The hot loop of two sockets."""
        self._loop = jit.compiled_driver(hot.hot_loop, rooms, HOOKS_TYPE, shell, example_page())

    def discover(self, frozen: Sequence[FrozenParams]) -> tuple[Instrument, ...]:
        """Ask the market data port what it trades."""
        venue = self._venue = self._config.venue
        if self._config.session.mode == "live":
            where = venue_name(f"tcp://{venue.host}:{venue.order_port}")
            self._lease = Lease(self._session, self._folder)
            self._lease.take(f"binary {where} account {venue.account}", f"account {venue.account} at {venue.host}:{venue.order_port}")
        return discover(venue.host, venue.market_port, venue.connect_timeout_s, self._wait)

    def limits(self, limits: Limits, frozen: Sequence[FrozenParams]) -> Limits:
        """As configured."""
        return limits

    def logon_words(self, next_seq_in: int = 1) -> tuple[int, ...]:
        """Signed with the account's secret, where there is one. A fresh one has CANCEL_ALL behind it, for what earlier sessions have left open."""
        heartbeat_ns = self._config.loop.heartbeat_ms * 1_000_000
        words = logon_frame(self._venue.account, clock.unix_ns(), heartbeat_ns, cancel_on_disconnect=True, next_seq_in=next_seq_in)
        return words + cancel_all_frame(2) if self._config.session.orphans == "cancel" and next_seq_in == 1 else words

    def prepare(self, rooms: EngineState, shell: Any, page_path: Path, config: SessionConfig) -> None:
        """Open both sockets."""
        self._open(shell, self._venue.connect_timeout_s)
        silence_ms = self._config.loop.silence_ms
        shell.loop["silence_ns"] = max(silence_ms, 3 * self._config.loop.heartbeat_ms) * 1_000_000 if silence_ms else 0
        shell.loop["feed_silence_ns"] = self._config.loop.feed_silence_ms * 1_000_000

    def _open(self, shell: Any, timeout_s: float) -> None:
        venue = self._venue
        for port, what, field in ((venue.order_port, "order entry", "order_fd"), (venue.market_port, "market data", "data_fd")):
            connection = connect(venue.host, port, what, timeout_s, self._wait)
            connection.setblocking(False)
            shell.loop[0][field] = connection.fileno()
            self._sockets.append(connection)

    def reopen(self, shell: Any, next_seq_in: int) -> tuple[int, ...]:
        """Both sockets anew; the LOGON asks for what was missed."""
        self._disconnect()
        self._open(shell, min(_REOPEN_S, self._venue.connect_timeout_s))
        return self.logon_words(next_seq_in)

    def connect(self) -> None:
        """Nothing runs beside the hot thread."""

    def run(self, rooms: EngineState, strategies: np.ndarray, shell: Any, page: Any) -> int:
        """The hot loop."""
        return int(self._loop(rooms, strategies, shell, page))

    def turn(self) -> None:
        """Nothing to do."""

    def publish(self) -> None:
        """Nothing of its own."""

    def left(self, patience_s: float, lost: tuple[str, ...]) -> tuple[Left, ...]:
        """The protocol answers no such question after the session. Orders that rest are cancelled by the venue when the connection closes.

        What a lost session holds is closed over a new one, with reduce-only market orders in its own instruments and no others.
        """
        if not lost:
            return ()
        self._disconnect()  # the venue gives the account back when the connection is gone
        try:
            venue = msgspec.structs.replace(self._venue, connect_timeout_s=min(patience_s, self._venue.connect_timeout_s))
            report = flatten_binary(venue, patience_s, lost)
        except HftkitError as error:
            return (Left(unknown=f"a new session for closing them failed: {error.problem}"),)
        rescue = f"a new session closed what was held, with {report.closing_orders} market orders" if report.closing_orders else ""
        return (Left(report.lots, tuple(report.orders), "" if report.confirmed else "the new session was lost, too", rescue=rescue),)

    def refresh_books(self) -> None:
        """One socket for everything: its other symbols show that it is well."""

    def where(self) -> str:
        """Host and ports."""
        return f"{self._venue.host} order entry {self._venue.order_port}, market data {self._venue.market_port}"

    def missing(self) -> str:
        """Both sockets are open since `prepare`."""
        return ""

    def close(self) -> None:
        """Close both, once."""
        self._disconnect()
        if self._lease is not None:
            self._lease.release()

    def _disconnect(self) -> None:
        while self._sockets:
            self._sockets.pop().close()

    def stray(self, event: np.void) -> None:
        """What an earlier session of this account has left."""
        self._strays.event(event)

    def settled(self) -> bool:
        """Once the venue has said that it has cancelled them."""
        return self._strays.settled()

    def result(self) -> dict[str, Any]:
        """Orders that earlier sessions have left."""
        return {"orphans": len(self._strays.seen)} if self._strays.seen else {}
