"""Reading and writing sockets through the fault lines: what the server does instead of its direct path while faults are on.

The server asks `engage` for each connection; these functions then carry the bytes. They return False when the connection is gone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import Reject
from hftkit.exchange.core.layout import ClientState, Port
from hftkit.exchange.dialects.binary.market_data import refill
from hftkit.exchange.dialects.binary.send_buffer import sent
from hftkit.exchange.dialects.binary.sessions import receive
from hftkit.exchange.faults.line import (
    AT_END,
    BLOCK,
    BURST_NS,
    BYTE_RATE,
    COUNT_BLOCK,
    COUNTS,
    CUT,
    DOOMED,
    DOWN_UNTIL,
    END,
    ENDED,
    ENGAGED,
    FEED,
    FROZEN,
    HELD,
    HELD_DUE,
    INBOUND,
    N_LOST,
    ORDER_ENTRY,
    OUTBOUND,
    REFUSED,
    REJECT_REASON,
    REPAIRED,
    RESPONSE,
    ROOM_WORDS,
    SEND_AT,
    SETTINGS,
    STAGED,
    START,
    TURNED_AWAY,
    TX_END,
    TX_START,
    VANISH,
    Faults,
    due_time,
    hang_up,
    has_room,
    next_due,
    offer,
    pass_word,
    ready_at,
    taken,
)
from hftkit.exchange.trading.records import record_refusal
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.frame import FRAME_BROKEN, FRAME_INCOMPLETE, check_frame, frame_instrument, frame_words
from hftkit.layout import MAX_FRAME_WORDS, WORD
from hftkit.system.syscalls import EAGAIN, EINTR, MSG_DONTWAIT, MSG_NOSIGNAL, errno, transmit
from hftkit.system.syscalls import receive as receive_bytes

_LOGGED_ON, _CLOSING = int(ClientState.LOGGED_ON), int(ClientState.CLOSING)
_ORDER_PORT = int(Port.ORDER_ENTRY)
_THROTTLED = int(Reject.SESSION_THROTTLED)
LINGER_NS = 2_000_000_000  # for a client whose session has ended to take what was said
LIVES, CLOSED, RESET, VANISHED = range(4)  # what becomes of a connection: nothing; an end in order; an end with RST; silence without an end
_WORD_COMING, _WORD_SAID = 1, 2  # AT_END: the peer has closed; the line knows


@inner_kernel
def _frozen(faults: Faults, direction: int, now: int) -> bool:
    return now < faults.page[SETTINGS + direction * BLOCK + FROZEN]


@inner_kernel
def read_engaged(venue: Exchange, faults: Faults, fd: int, index: int, now: int) -> bool:
    """One recv of an order entry connection into its stage; whole frames go into the line. `now`: ns, monotonic.

    Orders that were sent before the peer closed are still under way: the end goes into the line behind them.
    """
    line, stage = faults.lines[index, INBOUND], faults.stage[index]
    if wants_bytes(faults, index):
        n = receive_bytes(fd, stage, line[STAGED], MSG_DONTWAIT)
        if n < 0 and errno() != EAGAIN and errno() != EINTR:
            return False
        if n == 0:
            line[AT_END] = _WORD_COMING
        line[STAGED] += max(0, n)
    _stage_to_line(faults, index, now)
    return True


@inner_kernel
def wants_bytes(faults: Faults, index: int) -> bool:
    """May more be read from an order entry connection? Not behind its end, and not while its stage is full."""
    line = faults.lines[index, INBOUND]
    return line[ENGAGED] == 0 or (line[AT_END] == 0 and line[STAGED] < faults.stage[index].size * WORD)


@inner_kernel
def _stage_to_line(faults: Faults, index: int, now: int) -> None:
    line, stage, queue = faults.lines[index, INBOUND], faults.stage[index], faults.queue_in[index]
    at, end = 0, line[STAGED] // WORD
    verdict = check_frame(stage, at, end)
    while verdict != FRAME_INCOMPLETE and has_room(line, queue, ROOM_WORDS):
        if verdict == FRAME_BROKEN:
            pass_word(line, queue, stage, at, now)
            at += 1
        else:
            offer(faults, queue, index, ORDER_ENTRY, stage, at, frame_words(stage[at]), now)
            at += frame_words(stage[at])
        verdict = check_frame(stage, at, end)
    if at > 0:
        for i in range(at, (line[STAGED] + WORD - 1) // WORD):
            stage[i - at] = stage[i]
        line[STAGED] -= at * WORD
    if line[AT_END] == _WORD_COMING and verdict == FRAME_INCOMPLETE and has_room(line, queue, ROOM_WORDS):
        line[AT_END], line[STAGED] = _WORD_SAID, 0
        hang_up(line, queue, due_time(faults, line, 2 * index + INBOUND, ORDER_ENTRY, now))


@inner_kernel
def _refuse(venue: Exchange, faults: Faults, index: int, queue: Any, at: int) -> None:
    """An order turned away at the door: answered and numbered as the venue would, but it never meets the book."""
    client = venue.clients[index]
    client.seq_in += 1
    client.n_frames += 1
    client.ts_in = venue.state[0].ts_mono
    venue.state[0].n_frames_in += 1
    venue.state[0].n_client_orders += 1
    reason = faults.page[SETTINGS + ORDER_ENTRY * BLOCK + REJECT_REASON]
    record_refusal(venue, client.account, frame_instrument(queue[at]), queue[at + 2], reason if reason != 0 else _THROTTLED, False)


@inner_kernel
def deliver(venue: Exchange, faults: Faults, index: int, now: int) -> None:
    """Hand every order entry frame that is due to the venue."""
    line, queue, client = faults.lines[index, INBOUND], faults.queue_in[index], venue.clients[index]
    _stage_to_line(faults, index, now)
    if _frozen(faults, ORDER_ENTRY, now):
        return
    n_words = next_due(faults, line, queue, index, ORDER_ENTRY, now)
    while n_words > 0 and client.state != _CLOSING:
        at = line[START] + 2
        if queue[at - 1] == REFUSED and client.state == _LOGGED_ON and queue[at + 1] == client.seq_in + 1:
            _refuse(venue, faults, index, queue, at)
        else:
            inbox = venue.inboxes[index]
            for i in range(n_words):
                inbox[client.in_bytes // WORD + i] = queue[at + i]
            receive(venue, index, n_words * WORD)
        taken(faults, line, queue, ORDER_ENTRY, n_words, now)
        n_words = next_due(faults, line, queue, index, ORDER_ENTRY, now)


@inner_kernel
def _send_buffer_to_line(venue: Exchange, faults: Faults, index: int, direction: int, now: int) -> None:
    client, send_buffer = venue.clients[index], venue.send_buffers[index]
    line, queue = faults.lines[index, OUTBOUND], faults.queue_out[index]
    while client.out_end > client.out_start and line[DOOMED] == 0 and has_room(line, queue, ROOM_WORDS):
        at = client.out_start // WORD
        n_words = frame_words(send_buffer[at])
        offer(faults, queue, index, direction, send_buffer, at, n_words, now)
        sent(venue, index, n_words * WORD)


@inner_kernel
def _line_to_tx(faults: Faults, index: int, direction: int, now: int) -> None:
    """Move what is due, as far as the transmit buffer has room."""
    line, queue, tx = faults.lines[index, OUTBOUND], faults.queue_out[index], faults.tx[index]
    n_words = next_due(faults, line, queue, index, direction, now)
    while n_words > 0 and line[TX_END] // WORD + MAX_FRAME_WORDS <= tx.size:
        at, to = line[START] + 2, line[TX_END] // WORD
        for i in range(n_words):
            tx[to + i] = queue[at + i]
        line[TX_END] += n_words * WORD
        taken(faults, line, queue, direction, n_words, now)
        n_words = next_due(faults, line, queue, index, direction, now)


@inner_kernel
def lingers(client: Any, now: int) -> bool:
    """May a client whose session has ended still take what it was sent? Not if it is closed for not reading."""
    return client.close_reason != _THROTTLED and now - client.ts_out < LINGER_NS


@inner_kernel
def write_engaged(venue: Exchange, faults: Faults, fd: int, index: int, now: int) -> bool:
    """What a client's send buffer holds goes into the line, what is due goes to the socket. `now`: ns, monotonic."""
    client, line, tx = venue.clients[index], faults.lines[index, OUTBOUND], faults.tx[index]
    direction = RESPONSE if client.port == _ORDER_PORT else FEED
    refill(venue, index)
    _send_buffer_to_line(venue, faults, index, direction, now)
    if _frozen(faults, direction, now):
        return True
    while True:
        _line_to_tx(faults, index, direction, now)
        waiting = line[TX_END] - line[TX_START]
        if waiting == 0 or now < line[SEND_AT]:
            break
        n_bytes = _allowed_now(faults, line, direction, waiting, now)
        n = transmit(fd, tx, line[TX_START], n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
        if n < 0 and errno() != EAGAIN and errno() != EINTR:
            if faults.lines[index, INBOUND, AT_END] == 0:
                return False
            n = waiting  # nobody reads this any more; what the peer sent before it went is still under way
        if n < n_bytes and client.state == _CLOSING and not lingers(client, now):
            return False
        line[TX_START] += max(0, n)
        if n < n_bytes:
            break
        if line[TX_START] >= line[TX_END]:
            line[TX_START] = line[TX_END] = 0
    if line[DOOMED] != 0 and line[TX_START] == line[TX_END]:
        return False
    return client.state != _CLOSING or line[START] != line[END] or line[TX_END] != line[TX_START] or client.out_end != client.out_start


@inner_kernel
def _allowed_now(faults: Faults, line: Any, direction: int, waiting: int, now: int) -> int:
    """Bytes that may go out now: all, or where `bytes_per_s` is set a millisecond's worth, one at the least."""
    rate = faults.page[SETTINGS + direction * BLOCK + BYTE_RATE]
    if rate <= 0:
        line[SEND_AT] = 0
        return waiting
    n_bytes = min(waiting, max(1, rate // 1000))
    line[SEND_AT] = max(line[SEND_AT], now - BURST_NS) + (n_bytes * 1_000_000_000 + rate - 1) // rate
    return n_bytes


@inner_kernel
def waits_for_socket(faults: Faults, index: int, direction: int, now: int) -> bool:
    """Is there something to send that the socket does not take now?"""
    line = faults.lines[index, OUTBOUND]
    return line[TX_START] != line[TX_END] and not _frozen(faults, direction, now) and now >= line[SEND_AT]


@inner_kernel
def wakes_at(faults: Faults, index: int, way: int, direction: int, now: int) -> int:
    """When this line next has something to do (ns, monotonic); 2**62 if nothing is under way."""
    line = faults.lines[index, way]
    queue = faults.queue_in[index] if way == INBOUND else faults.queue_out[index]
    due: Any = np.int64(2**62)
    frozen_until = faults.page[SETTINGS + direction * BLOCK + FROZEN]
    if line[TX_START] != line[TX_END]:  # the socket is full: epoll tells when it is not, unless the line is frozen or trickles
        held_until = max(frozen_until, line[SEND_AT])
        return held_until if now < held_until else due
    if line[START] != line[END]:
        due = ready_at(faults, line, queue, direction)
    if line[HELD] != 0:
        due = min(due, line[HELD_DUE])
    return max(due, frozen_until)


@inner_kernel
def _ordered(faults: Faults, direction: int) -> int:
    """What the settings of a direction say to its connections: one of LIVES, CLOSED, RESET, VANISHED."""
    block = SETTINGS + direction * BLOCK
    return VANISHED if faults.page[block + VANISH] != 0 else faults.page[block + CUT]


@inner_kernel
def fate_of(venue: Exchange, faults: Faults, index: int) -> int:
    """What is to become of this connection now, by `cut`, `vanish` or `down_ms`, or because a fault hit one of its frames on the way in."""
    if venue.clients[index].port != _ORDER_PORT:
        first, fate = FEED, _ordered(faults, FEED)
    else:
        first, fate = ORDER_ENTRY, _ordered(faults, ORDER_ENTRY)
        if fate == LIVES:
            first, fate = RESPONSE, _ordered(faults, RESPONSE)
    if fate != LIVES:
        faults.page[COUNTS + first * COUNT_BLOCK + ENDED] += 1
    elif faults.lines[index, INBOUND, DOOMED] != 0:
        fate = CLOSED
    return fate


@inner_kernel
def cut_done(faults: Faults) -> None:
    """Every connection that was to be cut has been."""
    for direction in range(3):
        faults.page[SETTINGS + direction * BLOCK + CUT] = 0
        faults.page[SETTINGS + direction * BLOCK + VANISH] = 0


@inner_kernel
def turns_away(faults: Faults, port: int, now: int) -> bool:
    """Is the venue down for newcomers at this port?"""
    for direction in range(3):
        concerned = (port == _ORDER_PORT) == (direction != FEED)
        if concerned and now < faults.page[SETTINGS + direction * BLOCK + DOWN_UNTIL]:
            faults.page[COUNTS + direction * COUNT_BLOCK + TURNED_AWAY] += 1
            return True
    return False


@inner_kernel
def forget_repaired(venue: Exchange, faults: Faults, index: int) -> None:
    """Before a connection ends: a session whose losses were hidden cannot be resumed, since the two sides number it differently."""
    client = venue.clients[index]
    hidden = faults.lines[index, INBOUND, REPAIRED] != 0 or faults.lines[index, OUTBOUND, REPAIRED] != 0
    if client.port == _ORDER_PORT and client.account >= 0 and (hidden or faults.lines[index, OUTBOUND, N_LOST] != 0):
        venue.accounts[client.account].session = 0
