"""One compiled loop over epoll, two listening ports (order entry, market data), no interpreter: the simulator's hot thread.

The loop only carries bytes and time; everything else is the sans-I/O venue. One turn: wait until something is readable or the synthetic
market is due, let the market advance (at most ARRIVALS_PER_TURN arrivals, so that sockets are never starved; what is left is done in the next turns,
and the lag is measured), accept, read each readable socket once, send what the send_buffers hold.

Nobody outside can stop it or make it spin: new connections are announced once (EPOLLET) and looked for at every check; one that finds no room, or no
descriptor, is told so with the last descriptor, kept for that, and closed; a client whose session has ended has LINGER_NS to take what was said.

Exchange time = start + speed * monotonic time elapsed. A slice ends early when somebody rings the doorbell (an eventfd that the same epoll
watches): exchange/host.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hftkit.exchange.core.layout import ClientState, Port
from hftkit.exchange.core.tap import half_full
from hftkit.exchange.dialects.binary.market_data import refill
from hftkit.exchange.dialects.binary.send_buffer import sent, turn_away
from hftkit.exchange.dialects.binary.sessions import connect, disconnect, receive, set_time, supervise
from hftkit.exchange.faults.line import (
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
from hftkit.exchange.market.flow.agents import Flow, next_arrival
from hftkit.exchange.market.history.market import AT_MAX, HOLD, ROW, ROWS, PlayedHistory, next_row_ts, run_history
from hftkit.exchange.market.history.pace import close_markets, target_time, wait_for_somebody
from hftkit.exchange.servers.faulty_wire import (
    LIVES,
    RESET,
    VANISHED,
    cut_done,
    deliver,
    fate_of,
    forget_repaired,
    lingers,
    read_engaged,
    turns_away,
    waits_for_socket,
    wakes_at,
    wants_bytes,
    write_engaged,
)
from hftkit.exchange.trading.orders import run_flow
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.system.syscalls import (
    EAGAIN,
    EINTR,
    EMFILE,
    ENFILE,
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
    duplicate_descriptor,
    errno,
    monotonic_ns,
    reset_when_closed,
    transmit,
    wait_events,
    watch_descriptor,
    yield_processor,
)
from hftkit.system.syscalls import receive as receive_bytes

# Words of ServerLoop.io (int64)
EPOLL_FD, ORDER_FD, MARKET_FD, START_TS, START_MONO, WAIT, NEXT_CHECK, LAG_NS, N_TURNS, ENGAGED_LINES, WAKE, LEAVE, N_GRAVES, SPARE_FD = range(14)
IO_WORDS = 16
SPIN, YIELD, BLOCK = 0, 1, 2
ARRIVALS_PER_TURN = 256
ACCEPTS_PER_TURN = 128
CHECK_NS = 20_000_000  # between two looks at heartbeats
LISTENER = 1 << 20  # epoll data of a listener: LISTENER + port; of a client: its index
DOORBELL = 1 << 21  # epoll data of the eventfd that ends a slice
_LONG_NS = 10_000_000_000

_CLOSING = int(ClientState.CLOSING)
_ORDER_ENTRY, _MARKET_DATA = int(Port.ORDER_ENTRY), int(Port.MARKET_DATA)


class ServerLoop(NamedTuple):
    """What the loop owns beside the venue."""

    io: np.ndarray  # int64 (IO_WORDS,)
    speed: np.ndarray  # float64 (1,): exchange seconds per second
    fds: np.ndarray  # int64 (max_clients,): descriptor of each client, -1 if none
    watched: np.ndarray  # int64 (max_clients,): epoll events asked for
    full: np.ndarray  # int64 (max_clients,): 1 from when its socket takes no more until epoll says that it does
    ready: np.ndarray  # int32 (descriptors * EPOLL_EVENT_WORDS,): room for all of them, so that nobody is seen late
    event: np.ndarray  # int32 (4,)
    clock: np.ndarray  # int64 (2,): struct timespec
    faults: Faults
    history: PlayedHistory  # without rows: the market is the synthetic one


@inner_kernel
def _drop(venue: Exchange, shell: ServerLoop, index: int) -> None:
    if shell.fds[index] >= 0:
        close_descriptor(shell.fds[index])
        shell.fds[index] = -1
    forget_repaired(venue, shell.faults, index)
    disconnect(venue, index)


@inner_kernel
def _bury(venue: Exchange, shell: ServerLoop, index: int, fate: int) -> None:
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
def _turn_away(venue: Exchange, fd: int) -> None:
    transmit(fd, venue.message, 0, turn_away(venue), MSG_DONTWAIT | MSG_NOSIGNAL)
    close_descriptor(fd)


@inner_kernel
def _next_connection(venue: Exchange, shell: ServerLoop, listener: int) -> int:
    """Its descriptor, -1 if nobody waits. Without descriptors left, the one kept for that tells whoever waits that there is no room."""
    if shell.io[SPARE_FD] < 0:
        shell.io[SPARE_FD] = duplicate_descriptor(shell.io[EPOLL_FD])
    fd = accept_client(listener)
    if fd < 0 and (errno() == EMFILE or errno() == ENFILE) and shell.io[SPARE_FD] >= 0:
        close_descriptor(shell.io[SPARE_FD])
        fd = accept_client(listener)
        if fd >= 0:
            _turn_away(venue, fd)
        shell.io[SPARE_FD] = duplicate_descriptor(shell.io[EPOLL_FD])
        return -1
    return fd


@inner_kernel
def _accept(venue: Exchange, shell: ServerLoop, port: int, now: int) -> None:
    listener = shell.io[ORDER_FD] if port == _ORDER_ENTRY else shell.io[MARKET_FD]
    for _ in range(ACCEPTS_PER_TURN):
        fd = _next_connection(venue, shell, listener)
        if fd < 0:
            return
        if turns_away(shell.faults, port, now):
            close_descriptor(fd)
            continue
        index = connect(venue, port)
        if index < 0:
            _turn_away(venue, fd)
            continue
        shell.fds[index], shell.watched[index], shell.full[index] = fd, EPOLLIN, 0
        reset_line(shell.faults, index)
        if watch_descriptor(shell.io[EPOLL_FD], EPOLL_CTL_ADD, fd, EPOLLIN, index, shell.event) < 0:
            _drop(venue, shell, index)


@inner_kernel
def _read(venue: Exchange, shell: ServerLoop, index: int, now: int) -> None:
    """One recv for one client; a turn never reads more, so that nobody is kept waiting."""
    if venue.clients[index].port == _ORDER_ENTRY:
        if engage(shell.faults, shell.faults.lines[index, INBOUND]):
            if not read_engaged(venue, shell.faults, shell.fds[index], index, now):
                _drop(venue, shell, index)
            elif shell.faults.lines[index, INBOUND, AT_END] != 0:  # else epoll would tell of it in every turn until the line is at its end too
                watch_descriptor(shell.io[EPOLL_FD], EPOLL_CTL_DEL, shell.fds[index], 0, index, shell.event)
                shell.full[index] = 0
            return
    n = receive_bytes(shell.fds[index], venue.inboxes[index], venue.clients[index].in_bytes, MSG_DONTWAIT)
    if n > 0:
        receive(venue, index, n)
        shell.faults.lines[index, INBOUND, CLEAN] = venue.clients[index].in_bytes == 0
    elif n == 0 or (errno() != EAGAIN and errno() != EINTR):
        _drop(venue, shell, index)


@inner_kernel
def _watch(venue: Exchange, shell: ServerLoop, index: int, for_room: bool) -> None:
    """Watch a client's socket for bytes, where they may be read (no more once its session has ended), and for room to write what is left over."""
    wanted = EPOLLIN if wants_bytes(shell.faults, index) and venue.clients[index].state != _CLOSING else 0
    if for_room:
        wanted |= EPOLLOUT
    if wanted != shell.watched[index]:
        shell.watched[index] = wanted
        watch_descriptor(shell.io[EPOLL_FD], EPOLL_CTL_MOD, shell.fds[index], wanted, index, shell.event)


@inner_kernel
def _write(venue: Exchange, shell: ServerLoop, index: int, now: int) -> None:
    """Send what a client's send buffer holds; watch for writability only while something is left over."""
    client, line = venue.clients[index], shell.faults.lines[index, OUTBOUND]
    shell.full[index] = 0
    if engage(shell.faults, line):
        if not write_engaged(venue, shell.faults, shell.fds[index], index, now):
            _drop(venue, shell, index)
            return
        direction = RESPONSE if client.port == _ORDER_ENTRY else FEED
        _watch(venue, shell, index, waits_for_socket(shell.faults, index, direction, now))
        return
    refill(venue, index)
    while client.out_end > client.out_start:
        waiting = client.out_end - client.out_start
        n = transmit(shell.fds[index], venue.send_buffers[index], client.out_start, waiting, MSG_DONTWAIT | MSG_NOSIGNAL)
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
    if client.state == _CLOSING and not (client.out_end > client.out_start and lingers(client, now)):
        _drop(venue, shell, index)
        return
    shell.full[index] = client.out_end > client.out_start and shell.faults.lines[index, INBOUND, AT_END] == 0  # else epoll tells nothing of it
    _watch(venue, shell, index, client.out_end > client.out_start)


@inner_kernel
def _weather(venue: Exchange, shell: ServerLoop, now: int) -> None:
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
            _watch(venue, shell, index, (shell.watched[index] & EPOLLOUT) != 0)
            wake = min(wake, now if faults.lines[index, INBOUND, DOOMED] != 0 else wakes_at(faults, index, INBOUND, ORDER_ENTRY, now))
        if engage(faults, faults.lines[index, OUTBOUND]):
            engaged += 1
            _write(venue, shell, index, now)
            wake = min(wake, wakes_at(faults, index, OUTBOUND, RESPONSE if is_orders else FEED, now))
    cut_done(faults)
    shell.io[ENGAGED_LINES], shell.io[WAKE] = engaged, wake


@inner_kernel
def _next_event(flow: Flow, shell: ServerLoop) -> int:
    """Exchange time of what the market does next."""
    if shell.history.io[ROWS] > 0:
        return next_row_ts(shell.history)
    return flow.agents[next_arrival(flow)].next_ns


@inner_kernel
def _timeout_ms(flow: Flow, shell: ServerLoop, ts: int) -> int:
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
def _exchange_time(shell: ServerLoop, now: int) -> int:
    return shell.io[START_TS] + np.int64(np.float64(now - shell.io[START_MONO]) * shell.speed[0])


@inner_kernel
def _advance(venue: Exchange, flow: Flow, shell: ServerLoop, ts: int) -> None:
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
def _turn(venue: Exchange, flow: Flow, shell: ServerLoop) -> int:
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
            continue
        if data >= LISTENER:
            _accept(venue, shell, data - LISTENER, now)
            continue
        if shell.ready[r * EPOLL_EVENT_WORDS] & ~EPOLLIN:
            shell.full[data] = 0
        if shell.fds[data] >= 0 and venue.clients[data].state != _CLOSING:
            _read(venue, shell, data, now)
    if shell.faults.page[ACTIVE] != 0 or shell.io[ENGAGED_LINES] > 0:
        _weather(venue, shell, now)
    if now >= shell.io[NEXT_CHECK]:
        shell.io[NEXT_CHECK] = now + CHECK_NS
        _accept(venue, shell, _ORDER_ENTRY, now)  # whoever waited for a descriptor, or came with too many others
        _accept(venue, shell, _MARKET_DATA, now)
        supervise(venue)
    for index in range(shell.fds.size):
        client = venue.clients[index]
        if shell.fds[index] < 0:
            continue
        if client.state == _CLOSING or (shell.full[index] == 0 and (client.out_end > 0 or client.n_pending > 0)):
            _write(venue, shell, index, now)
    if n_ready == 0 and shell.io[WAIT] == YIELD:
        yield_processor()
    return now


@kernel
def run_slice(venue: Exchange, flow: Flow, shell: ServerLoop, slice_ns: int) -> int:
    """Turns for about `slice_ns` of wall time, fewer if io[LEAVE] is set meanwhile or the drop copy fills up. Returns the number of turns."""
    end = monotonic_ns(shell.clock) + slice_ns
    turns = 0
    shell.io[LEAVE] = 0
    while _turn(venue, flow, shell) < end and shell.io[LEAVE] == 0 and not half_full(venue.tap):
        turns += 1
    shell.io[N_TURNS] += turns
    return turns


@kernel
def drop_everybody(venue: Exchange, shell: ServerLoop) -> None:
    """Close every connection; orders of sessions that asked for it are cancelled."""
    for index in range(shell.fds.size):
        _drop(venue, shell, index)
    for place in range(shell.faults.graves.size):
        if shell.faults.graves[place] >= 0:
            close_descriptor(shell.faults.graves[place])
            shell.faults.graves[place] = -1
