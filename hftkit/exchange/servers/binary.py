"""The simulator on TCP: Python makes the sockets, runs the compiled loop (loop.py) slice by slice, and tells what happened."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path
from typing import Any

import numpy as np

from hftkit.errors import VenueError
from hftkit.exchange.config import SimConfig
from hftkit.exchange.core.layout import Port
from hftkit.exchange.dialects.binary.secrets import load_keys
from hftkit.exchange.faults.page import counts_of
from hftkit.exchange.faults.plan import FaultPlan, new_faults
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.market.flow.scenarios import Scenario
from hftkit.exchange.market.history.build import HistoryPlan, history_report, new_history
from hftkit.exchange.market.history.files import config_for
from hftkit.exchange.market.history.market import CLOSED
from hftkit.exchange.servers.listening import allow_descriptors, listen
from hftkit.exchange.servers.loop import (
    BLOCK,
    DOORBELL,
    EPOLL_FD,
    IO_WORDS,
    LAG_NS,
    LISTENER,
    MARKET_FD,
    ORDER_FD,
    SPARE_FD,
    SPIN,
    START_MONO,
    START_TS,
    WAIT,
    YIELD,
    ServerLoop,
    drop_everybody,
    run_slice,
)
from hftkit.exchange.trading.order_entry_api import OrderEntryApi
from hftkit.exchange.trading.orders import open_books
from hftkit.exchange.venue import new_venue
from hftkit.kernels.jit import compiled_driver
from hftkit.system.syscalls import EPOLL_CTL_ADD, EPOLL_EVENT_WORDS, EPOLLET, EPOLLIN, monotonic_ns, watch_descriptor
from hftkit.units import NS_PER_MINUTE

WAITS = {"spin": SPIN, "yield": YIELD, "block": BLOCK}
SLICE_NS = 50_000_000


class BinaryServer:
    """The simulator on two TCP ports. `start` opens the books and the ports, `run_slice` does the work, `close` ends it."""

    def __init__(
        self,
        config: SimConfig,
        *,
        seed: int | None = None,
        speed: float = 1.0,
        skip_minutes: int = 0,
        scenario: Scenario | None = None,
        plan: FaultPlan | None = None,
        fault_page: Path | None = None,
        history: HistoryPlan | None = None,
    ) -> None:
        """`plan`: faults from the start (the scenario's, else none); `fault_page`: a file on which they may be switched while it runs.

        `history`: recorded data as the market, instead of the synthetic traders; `config` then gives the venue's manners, `speed` is the plan's rate.
        """
        self.history = history
        if history is not None:
            config, speed = config_for(history.history, config), history.rate or 1.0
        self.config = config
        self.flow, books = new_market(config, seed, skip_minutes, scenario)
        self.venue = new_venue(config, books, load_keys(config.venue))
        self.start_ts = config.start_ns + skip_minutes * NS_PER_MINUTE
        self.speed = speed
        n = config.venue.max_clients
        self.shell = ServerLoop(
            io=np.zeros(IO_WORDS, np.int64),
            speed=np.array([speed]),
            fds=np.full(n, -1, np.int64),
            watched=np.zeros(n, np.int64),
            full=np.zeros(n, np.int64),
            ready=np.zeros((n + 3) * EPOLL_EVENT_WORDS, np.int32),
            event=np.zeros(4, np.int32),
            clock=np.zeros(2, np.int64),
            faults=new_faults(plan or (scenario.faults if scenario is not None else FaultPlan()), n, config.venue.out_words, fault_page),
            history=new_history(history, config.venue.max_orders),
        )
        self.shell.io[WAIT], self.shell.io[SPARE_FD] = WAITS[config.venue.wait], -1
        self._listeners: list[socket.socket] = []
        self._epoll: Any = None
        self._doorbell = -1
        if config.binance is not None:
            OrderEntryApi(self.venue)  # loads the dialect's kernels while the clock stands: a venue that starts late sends everything at once
        self._run = compiled_driver(run_slice, self.venue, self.flow, self.shell, 0)
        if history is None:
            compiled_driver(open_books, self.venue, self.flow, 0)(self.venue, self.flow, self.start_ts)
        else:
            self.venue.state["ts"] = self.start_ts - 1

    def start(self, host: str, order_port: int, market_port: int, start_ts: int | None = None) -> tuple[int, int]:
        """Listen (0 picks a free port) and start the exchange clock. Returns the two ports. Raises VenueError if one is in use.

        `start_ts`: exchange time of this moment (ns, not before the configuration's), so that it can be the wall clock's.
        """
        io = self.shell.io
        if start_ts is not None:
            self.start_ts = max(self.start_ts, start_ts)
        allow_descriptors(self.config.venue.max_clients)
        self._epoll = select.epoll()
        io[EPOLL_FD] = self._epoll.fileno()
        try:
            for port, kind, word, what in (
                (order_port, Port.ORDER_ENTRY, ORDER_FD, "order entry"),
                (market_port, Port.MARKET_DATA, MARKET_FD, "market data"),
            ):
                listener = listen(host, port, what, patient=kind == Port.MARKET_DATA)
                self._listeners.append(listener)
                io[word] = listener.fileno()
                watch_descriptor(io[EPOLL_FD], EPOLL_CTL_ADD, listener.fileno(), EPOLLIN | EPOLLET, LISTENER + int(kind), self.shell.event)
        except VenueError:
            self.close()
            raise
        self._doorbell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        watch_descriptor(io[EPOLL_FD], EPOLL_CTL_ADD, self._doorbell, EPOLLIN, DOORBELL, self.shell.event)
        io[START_TS], io[START_MONO] = self.start_ts, monotonic_ns(self.shell.clock)
        return self._listeners[0].getsockname()[1], self._listeners[1].getsockname()[1]

    def run_slice(self, slice_ns: int = SLICE_NS) -> None:
        """Serve for about `slice_ns` of wall time, without the interpreter."""
        self._run(self.venue, self.flow, self.shell, slice_ns)

    def ring(self) -> None:
        """End the running slice, or the next one, after its turn. May be called from any thread while the server is open."""
        os.eventfd_write(self._doorbell, 1)

    def answer_the_door(self) -> bool:
        """Between two slices: has somebody rung since this was last asked?"""
        try:
            return os.eventfd_read(self._doorbell) > 0
        except BlockingIOError:
            return False

    @property
    def lag_ms(self) -> float:
        """How far the market is behind the clock now, wall time."""
        return int(self.shell.io[LAG_NS]) / 1e6

    @property
    def finished(self) -> bool:
        """Is the history at its end, and was that published? A synthetic market never is."""
        return self.history is not None and bool(self.shell.history.io[CLOSED])

    @property
    def unsent(self) -> int:
        """Bytes that wait in the send buffers of clients, and snapshots that are due."""
        clients = self.venue.clients[self.venue.clients["port"] != 0]
        return int((clients["out_end"] - clients["out_start"] + clients["n_pending"]).sum())

    def close(self) -> None:
        """Close every connection and both ports."""
        drop_everybody(self.venue, self.shell)
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None
        for descriptor in (self._doorbell, int(self.shell.io[SPARE_FD])):
            if descriptor >= 0:
                os.close(descriptor)
        self._doorbell = self.shell.io[SPARE_FD] = -1

    def summary(self) -> dict[str, Any]:
        """Counters of the run, for people and programs."""
        state, counters = self.venue.state[0], self.venue.books.counters[0]
        return {
            "exchange_seconds": round((int(state["ts"]) - self.start_ts) / 1e9, 3),
            "speed": self.speed,
            "connections": int(state["n_connections"]),
            "connections_refused": int(state["n_refused"]),
            "messages_in": int(state["n_frames_in"]),
            "messages_out": int(state["n_frames_out"]),
            "malformed": int(state["n_malformed"]),
            "orders": int(counters["n_orders"]),
            "trades": int(counters["n_trades"]),
            "open_orders": int(counters["n_open"]),
            "client_orders": int(state["n_client_orders"]),
            "client_fills": int(state["n_client_fills"]),
            "client_rejects": int(state["n_client_rejects"]),
            "liquidations": int(state["n_liquidations"]),
            "throttled": int(state["n_throttled"]),
            "resent": int(state["n_resent"]),
            "drop_copy_lost": int(self.venue.tap.state[0]["n_lost"]),
            "slow_consumer_drops": int(state["n_dropped"]),
            "max_lag_ms": round(int(state["max_lag_ns"]) / 1e6, 3),
            "faults": counts_of(self.shell.faults.page),
            "history": history_report(self.history, self.shell.history) if self.history is not None else None,
        }
