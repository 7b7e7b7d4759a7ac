"""The simulator on TCP: one compiled loop over epoll, two listening ports (order entry, market data), no interpreter.

The loop only carries bytes and time; everything else is the sans-I/O venue. One turn: wait until something is readable or the synthetic
market is due, accept, read each readable socket once, let the market advance (at most ARRIVALS_PER_TURN arrivals, so
that sockets are never starved; what is left is done in the next turns, and the lag is measured), send what the outboxes hold.

Exchange time = start + speed * monotonic time elapsed. Python makes the sockets, calls `run_slice` again and again, and handles signals
between two slices. A slice ends early when somebody rings the doorbell (an eventfd that the same epoll watches): exchange/host.py.

Long because one turn of the loop is one thought: waiting, market, reading, faults, writing, in the order in which they happen.
"""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hftkit.errors import VenueError
from hftkit.exchange.config import SimConfig
from hftkit.exchange.fault_line import (
    ACTIVE,
    AT_END,
    CLEAN,
    DOOMED,
    FEED,
    INBOUND,
    ORDER_ENTRY,
    OUTBOUND,
    RESPONSE,
    Faults,
    engage,
    reset_line,
    run_script,
)
from hftkit.exchange.fault_page import counts_of
from hftkit.exchange.faults import FaultPlan, new_faults
from hftkit.exchange.flow.agents import Flow, next_arrival
from hftkit.exchange.flow.build import new_market
from hftkit.exchange.flow.scenarios import Scenario
from hftkit.exchange.history.build import HistoryPlan, history_report, new_history
from hftkit.exchange.history.files import config_for
from hftkit.exchange.history.market import AT_MAX, CLOSED, HOLD, ROW, ROWS, History, next_row_ts, run_history
from hftkit.exchange.history.pace import close_markets, target_time, wait_for_somebody
from hftkit.exchange.layout import ClientState, Port
from hftkit.exchange.market_data import refill
from hftkit.exchange.orders import open_books, run_flow
from hftkit.exchange.outbox import sent
from hftkit.exchange.servers.faulty_wire import (
    LIVES,
    RESET,
    VANISHED,
    cut_done,
    deliver,
    fate_of,
    forget_repaired,
    read_engaged,
    turns_away,
    waits_for_socket,
    wakes_at,
    wants_bytes,
    write_engaged,
)
from hftkit.exchange.servers.listening import listen
from hftkit.exchange.sessions import connect, disconnect, receive, set_time, supervise
from hftkit.exchange.tap import half_full
from hftkit.exchange.venue import Venue, new_venue
from hftkit.kernels.jit import compiled_driver, inner_kernel, kernel
from hftkit.syscalls import (
    EAGAIN,
    EINTR,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLL_DATA_WORD,
    EPOLL_EVENT_WORDS,
    EPOLLIN,
    EPOLLOUT,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    accept_client,
    close_descriptor,
    errno,
    monotonic_ns,
    reset_when_closed,
    transmit,
    wait_events,
    watch_descriptor,
    yield_processor,
)
from hftkit.syscalls import receive as receive_bytes
from hftkit.units import NS_PER_MINUTE

# Words of Shell.io (int64)
EPOLL_FD, ORDER_FD, MARKET_FD, START_TS, START_MONO, WAIT, NEXT_CHECK, LAG_NS, N_TURNS, ENGAGED_LINES, WAKE, LEAVE, N_GRAVES = range(13)
IO_WORDS = 16
SPIN, YIELD, BLOCK = 0, 1, 2
WAITS = {"spin": SPIN, "yield": YIELD, "block": BLOCK}
ARRIVALS_PER_TURN = 256
CHECK_NS = 20_000_000  # between two looks at heartbeats
LISTENER = 1 << 20  # epoll data of a listener: LISTENER + port; of a client: its index
DOORBELL = 1 << 21  # epoll data of the eventfd that ends a slice
MAX_READY = 64
SLICE_NS = 50_000_000
_LONG_NS = 10_000_000_000

_CLOSING = int(ClientState.CLOSING)
_ORDER_ENTRY, _MARKET_DATA = int(Port.ORDER_ENTRY), int(Port.MARKET_DATA)


class Shell(NamedTuple):
    """What the loop owns beside the venue."""

    io: np.ndarray  # int64 (IO_WORDS,)
    speed: np.ndarray  # float64 (1,): exchange seconds per second
    fds: np.ndarray  # int64 (max_clients,): descriptor of each client, -1 if none
    watched: np.ndarray  # int64 (max_clients,): epoll events asked for
    ready: np.ndarray  # int32 (MAX_READY * EPOLL_EVENT_WORDS,)
    event: np.ndarray  # int32 (4,)
    clock: np.ndarray  # int64 (2,): struct timespec
    faults: Faults
    history: History  # without rows: the market is the synthetic one


@inner_kernel
def _drop(venue: Venue, shell: Shell, index: int) -> None:
    if shell.fds[index] >= 0:
        close_descriptor(shell.fds[index])
        shell.fds[index] = -1
    forget_repaired(venue, shell.faults, index)
    disconnect(venue, index)


@inner_kernel
def _bury(venue: Venue, shell: Shell, index: int, fate: int) -> None:
    """End a connection as a fault wants it. One that vanishes stays open, unread and unanswered, until its place among the graves is needed."""
    fd, graves = shell.fds[index], shell.faults.graves
    if fate == RESET:
        reset_when_closed(fd, shell.event)
    elif fate == VANISHED:
        watch_descriptor(shell.io[EPOLL_FD], EPOLL_CTL_DEL, fd, 0, index, shell.event)
        place = shell.io[N_GRAVES] % graves.size
        if graves[place] >= 0:
            close_descriptor(graves[place])
        graves[place] = fd
        shell.io[N_GRAVES] += 1
        shell.fds[index] = -1
    _drop(venue, shell, index)


@inner_kernel
def _accept(venue: Venue, shell: Shell, port: int, now: int) -> None:
    listener = shell.io[ORDER_FD] if port == _ORDER_ENTRY else shell.io[MARKET_FD]
    fd = accept_client(listener)
    while fd >= 0:
        index = -1 if turns_away(shell.faults, port, now) else connect(venue, port)
        if index < 0:
            close_descriptor(fd)
        else:
            shell.fds[index], shell.watched[index] = fd, EPOLLIN
            reset_line(shell.faults, index)
            watch_descriptor(shell.io[EPOLL_FD], EPOLL_CTL_ADD, fd, EPOLLIN, index, shell.event)
        fd = accept_client(listener)


@inner_kernel
def _inbound(venue: Venue, shell: Shell, index: int, n_bytes: int) -> None:
    """The seam for what comes in: every byte of every client passes here, just put into its inbox. Faults and delays belong here."""
    receive(venue, index, n_bytes)


@inner_kernel
def _outbound(venue: Venue, shell: Shell, index: int) -> int:
    """The seam for what goes out: every byte for every client passes here, from the front of its outbox. Returns what send() returns."""
    client = venue.clients[index]
    return transmit(shell.fds[index], venue.outboxes[index], client.out_start, client.out_end - client.out_start, MSG_DONTWAIT | MSG_NOSIGNAL)


@inner_kernel
def _read(venue: Venue, shell: Shell, index: int, now: int) -> None:
    """One recv for one client; a turn never reads more, so that nobody is kept waiting."""
    if venue.clients[index].port == _ORDER_ENTRY:
        if engage(shell.faults, shell.faults.lines[index, INBOUND]):
            if not read_engaged(venue, shell.faults, shell.fds[index], index, now):
                _drop(venue, shell, index)
            elif shell.faults.lines[index, INBOUND, AT_END] != 0:  # else epoll would tell of it in every turn until the line is at its end too
                watch_descriptor(shell.io[EPOLL_FD], EPOLL_CTL_DEL, shell.fds[index], 0, index, shell.event)
            return
    n = receive_bytes(shell.fds[index], venue.inboxes[index], venue.clients[index].in_bytes, MSG_DONTWAIT)
    if n > 0:
        _inbound(venue, shell, index, n)
        shell.faults.lines[index, INBOUND, CLEAN] = venue.clients[index].in_bytes == 0
    elif n == 0 or (errno() != EAGAIN and errno() != EINTR):
        _drop(venue, shell, index)


@inner_kernel
def _watch(shell: Shell, index: int, for_room: bool) -> None:
    """Watch a client's socket for bytes, where they may be read, and for room to write if something is left over."""
    wanted = (EPOLLIN if wants_bytes(shell.faults, index) else 0) | (EPOLLOUT if for_room else 0)
    if wanted != shell.watched[index]:
        shell.watched[index] = wanted
        watch_descriptor(shell.io[EPOLL_FD], EPOLL_CTL_MOD, shell.fds[index], wanted, index, shell.event)


@inner_kernel
def _write(venue: Venue, shell: Shell, index: int, now: int) -> None:
    """Send what a client's outbox holds; watch for writability only while something is left over."""
    client, line = venue.clients[index], shell.faults.lines[index, OUTBOUND]
    if engage(shell.faults, line):
        if not write_engaged(venue, shell.faults, shell.fds[index], index, now):
            _drop(venue, shell, index)
            return
        direction = RESPONSE if client.port == _ORDER_ENTRY else FEED
        _watch(shell, index, waits_for_socket(shell.faults, index, direction, now))
        return
    refill(venue, index)
    while client.out_end > client.out_start:
        waiting = client.out_end - client.out_start
        n = _outbound(venue, shell, index)
        if n < 0:
            if errno() == EAGAIN or errno() == EINTR:
                break
            if shell.faults.lines[index, INBOUND, AT_END] == 0:
                _drop(venue, shell, index)
                return
            n = waiting  # nobody reads this any more; what the peer sent before it went is still under way
        sent(venue, index, n)
        if n < waiting:
            break
        refill(venue, index)
    line[CLEAN] = client.out_end == client.out_start
    if client.state == _CLOSING:
        _drop(venue, shell, index)  # what the peer has not taken by now it will not get
        return
    _watch(shell, index, client.out_end > client.out_start)


@inner_kernel
def _weather(venue: Venue, shell: Shell, now: int) -> None:
    """What the faults do beside reading and writing: deliver delayed orders, end connections, wake delayed answers."""
    faults, engaged, wake = shell.faults, 0, now + _LONG_NS
    for index in range(shell.fds.size):
        if shell.fds[index] < 0:
            continue
        fate = fate_of(venue, faults, index)
        if fate != LIVES:
            _bury(venue, shell, index, fate)
            continue
        is_orders = venue.clients[index].port == _ORDER_ENTRY
        if is_orders and engage(faults, faults.lines[index, INBOUND]):
            engaged += 1
            deliver(venue, faults, index, now)
            _watch(shell, index, (shell.watched[index] & EPOLLOUT) != 0)
            wake = min(wake, now if faults.lines[index, INBOUND, DOOMED] != 0 else wakes_at(faults, index, INBOUND, ORDER_ENTRY, now))
        if engage(faults, faults.lines[index, OUTBOUND]):
            engaged += 1
            _write(venue, shell, index, now)
            wake = min(wake, wakes_at(faults, index, OUTBOUND, RESPONSE if is_orders else FEED, now))
    cut_done(faults)
    shell.io[ENGAGED_LINES], shell.io[WAKE] = engaged, wake


@inner_kernel
def _next_event(flow: Flow, shell: Shell) -> int:
    """Exchange time of what the market does next."""
    if shell.history.io[ROWS] > 0:
        return next_row_ts(shell.history)
    return flow.agents[next_arrival(flow)].next_ns


@inner_kernel
def _timeout_ms(flow: Flow, shell: Shell, ts: int) -> int:
    """How long a turn may sleep: not at all while behind or when told to spin, else until the next arrival, 10 ms at the most."""
    if shell.io[WAIT] != BLOCK or shell.io[LAG_NS] > 0:
        return 0
    wake = shell.io[WAKE] - monotonic_ns(shell.clock) if shell.io[ENGAGED_LINES] > 0 else _LONG_NS
    if wake < 1_000_000:
        return 0
    if shell.history.plan[AT_MAX] != 0 and shell.history.plan[HOLD] == 0 and shell.history.io[ROW] < shell.history.io[ROWS]:
        return 0
    ahead = np.float64(_next_event(flow, shell) - ts) / shell.speed[0]
    return max(1, int(min(ahead, np.float64(wake), 1e7) / 1e6))


@inner_kernel
def _exchange_time(shell: Shell, now: int) -> int:
    return shell.io[START_TS] + np.int64(np.float64(now - shell.io[START_MONO]) * shell.speed[0])


@inner_kernel
def _advance(venue: Venue, flow: Flow, shell: Shell, ts: int) -> None:
    """The market up to exchange time `ts`, as far as one turn may go; what is left is lag, in wall ns."""
    if shell.history.io[ROWS] > 0:
        run_history(venue, shell.history, ts, ARRIVALS_PER_TURN)
        close_markets(venue, shell.history)
    else:
        run_flow(venue, flow, ts, ARRIVALS_PER_TURN)
    behind = ts - _next_event(flow, shell)
    shell.io[LAG_NS] = max(0, np.int64(np.float64(behind) / shell.speed[0]))
    venue.state[0].max_lag_ns = max(venue.state[0].max_lag_ns, shell.io[LAG_NS])


@inner_kernel
def _turn(venue: Venue, flow: Flow, shell: Shell) -> int:
    """Returns the monotonic time of the turn."""
    timeout = _timeout_ms(flow, shell, venue.state[0].ts)
    n_ready = wait_events(shell.io[EPOLL_FD], shell.ready, timeout)
    now = monotonic_ns(shell.clock)
    if shell.history.plan[HOLD] != 0:
        wait_for_somebody(venue, shell.history)
        shell.io[START_MONO] = now
    ts = target_time(venue, shell.history, _exchange_time(shell, now), ARRIVALS_PER_TURN)
    _advance(venue, flow, shell, ts)
    if shell.history.io[ROWS] > 0:
        ts = min(ts, next_row_ts(shell.history))  # the clock never passes a row that is not worked yet
    set_time(venue, ts, now)
    run_script(shell.faults, now - shell.io[START_MONO], now)
    for r in range(max(0, n_ready)):
        data = np.int64(shell.ready[r * EPOLL_EVENT_WORDS + EPOLL_DATA_WORD])
        if data == DOORBELL:
            shell.io[LEAVE] = 1
        elif data >= LISTENER:
            _accept(venue, shell, data - LISTENER, now)
        elif shell.fds[data] >= 0:
            _read(venue, shell, data, now)
    if shell.faults.page[ACTIVE] != 0 or shell.io[ENGAGED_LINES] > 0:
        _weather(venue, shell, now)
    if now >= shell.io[NEXT_CHECK]:
        shell.io[NEXT_CHECK] = now + CHECK_NS
        supervise(venue)
    for index in range(shell.fds.size):
        client = venue.clients[index]
        if shell.fds[index] >= 0 and (client.out_end > 0 or client.n_pending > 0 or client.state == _CLOSING):
            _write(venue, shell, index, now)
    if n_ready == 0 and shell.io[WAIT] == YIELD:
        yield_processor()
    return now


@kernel
def run_slice(venue: Venue, flow: Flow, shell: Shell, slice_ns: int) -> int:
    """Turns for about `slice_ns` of wall time, fewer if io[LEAVE] is set meanwhile or the drop copy fills up. Returns the number of turns."""
    end = monotonic_ns(shell.clock) + slice_ns
    turns = 0
    shell.io[LEAVE] = 0
    while _turn(venue, flow, shell) < end and shell.io[LEAVE] == 0 and not half_full(venue.tap):
        turns += 1
    shell.io[N_TURNS] += turns
    return turns


@kernel
def drop_everybody(venue: Venue, shell: Shell) -> None:
    """Close every connection; orders of sessions that asked for it are cancelled."""
    for index in range(shell.fds.size):
        _drop(venue, shell, index)
    for place in range(shell.faults.graves.size):
        if shell.faults.graves[place] >= 0:
            close_descriptor(shell.faults.graves[place])
            shell.faults.graves[place] = -1


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
        self.venue = new_venue(config, books)
        self.start_ts = config.start_ns + skip_minutes * NS_PER_MINUTE
        self.speed = speed
        n = config.venue.max_clients
        self.shell = Shell(
            io=np.zeros(IO_WORDS, np.int64),
            speed=np.array([speed]),
            fds=np.full(n, -1, np.int64),
            watched=np.zeros(n, np.int64),
            ready=np.zeros(MAX_READY * EPOLL_EVENT_WORDS, np.int32),
            event=np.zeros(4, np.int32),
            clock=np.zeros(2, np.int64),
            faults=new_faults(plan or (scenario.faults if scenario is not None else FaultPlan()), n, config.venue.out_words, fault_page),
            history=new_history(history, config.venue.max_orders),
        )
        self.shell.io[WAIT] = WAITS[config.venue.wait]
        self._listeners: list[socket.socket] = []
        self._epoll: Any = None
        self._doorbell = -1
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
        self._epoll = select.epoll()
        io[EPOLL_FD] = self._epoll.fileno()
        try:
            for port, kind, word, what in (
                (order_port, Port.ORDER_ENTRY, ORDER_FD, "order entry"),
                (market_port, Port.MARKET_DATA, MARKET_FD, "market data"),
            ):
                listener = listen(host, port, what)
                self._listeners.append(listener)
                io[word] = listener.fileno()
                watch_descriptor(io[EPOLL_FD], EPOLL_CTL_ADD, listener.fileno(), EPOLLIN, LISTENER + int(kind), self.shell.event)
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
        if self._doorbell >= 0:
            os.close(self._doorbell)
            self._doorbell = -1

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
