"""Reading and writing sockets through the fault lines: what the server does instead of its direct path while faults are on.

The server asks `engage` for each connection; these functions then carry the bytes. They return False when the connection is gone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import Reject
from hftkit.exchange.fault_line import (
    BLOCK,
    CUT,
    DOOMED,
    END,
    FEED,
    HELD,
    HELD_DUE,
    INBOUND,
    ORDER_ENTRY,
    OUTBOUND,
    REFUSED,
    REJECT_REASON,
    RESPONSE,
    ROOM_WORDS,
    SETTINGS,
    STAGED,
    START,
    TX_END,
    TX_START,
    Faults,
    has_room,
    next_due,
    offer,
    pass_word,
    taken,
)
from hftkit.exchange.layout import ClientState, Port
from hftkit.exchange.market_data import refill
from hftkit.exchange.orders import reject_order
from hftkit.exchange.outbox import sent
from hftkit.exchange.sessions import receive
from hftkit.exchange.venue import Venue
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.frame import FRAME_BROKEN, FRAME_INCOMPLETE, check_frame, frame_instrument, frame_words
from hftkit.layout import MAX_FRAME_WORDS, WORD
from hftkit.syscalls import EAGAIN, EINTR, MSG_DONTWAIT, MSG_NOSIGNAL, errno, transmit
from hftkit.syscalls import receive as receive_bytes

_LOGGED_ON, _CLOSING = int(ClientState.LOGGED_ON), int(ClientState.CLOSING)
_ORDER_PORT = int(Port.ORDER_ENTRY)
_THROTTLED = int(Reject.SESSION_THROTTLED)


@inner_kernel
def _frozen(faults: Faults, direction: int, now: int) -> bool:
    return now < faults.cursor[1 + direction]


@inner_kernel
def read_engaged(venue: Venue, faults: Faults, fd: int, index: int, now: int) -> bool:
    """One recv of an order entry connection into its stage; whole frames go into the line. `now`: ns, monotonic."""
    line, stage = faults.lines[index, INBOUND], faults.stage[index]
    if line[STAGED] < stage.size * WORD:
        n = receive_bytes(fd, stage, line[STAGED], MSG_DONTWAIT)
        if n == 0 or (n < 0 and errno() != EAGAIN and errno() != EINTR):
            return False
        line[STAGED] += max(0, n)
        venue.clients[index].ts_in = venue.state[0].ts_mono
    _stage_to_line(faults, index, now)
    return True


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


@inner_kernel
def _refuse(venue: Venue, faults: Faults, index: int, queue: Any, at: int) -> None:
    """A new order turned away at the door: answered and numbered as the venue would, but it never meets the book."""
    client = venue.clients[index]
    if client.state != _LOGGED_ON or queue[at + 1] != client.seq_in + 1:
        return
    client.seq_in += 1
    venue.state[0].n_frames_in += 1
    venue.state[0].n_client_orders += 1
    reason = faults.page[SETTINGS + ORDER_ENTRY * BLOCK + REJECT_REASON]
    reject_order(venue, client.account, frame_instrument(queue[at]), queue[at + 2], reason if reason != 0 else _THROTTLED, False)


@inner_kernel
def deliver(venue: Venue, faults: Faults, index: int, now: int) -> None:
    """Hand every order entry frame that is due to the venue."""
    line, queue, client = faults.lines[index, INBOUND], faults.queue_in[index], venue.clients[index]
    _stage_to_line(faults, index, now)
    if _frozen(faults, ORDER_ENTRY, now):
        return
    n_words = next_due(faults, line, queue, index, INBOUND, now)
    while n_words > 0 and client.state != _CLOSING:
        at = line[START] + 2
        if queue[at - 1] == REFUSED:
            _refuse(venue, faults, index, queue, at)
        else:
            inbox = venue.inboxes[index]
            for i in range(n_words):
                inbox[client.in_bytes // WORD + i] = queue[at + i]
            receive(venue, index, n_words * WORD)
        taken(faults, line, ORDER_ENTRY, n_words)
        n_words = next_due(faults, line, queue, index, INBOUND, now)


@inner_kernel
def _outbox_to_line(venue: Venue, faults: Faults, index: int, direction: int, now: int) -> None:
    client, outbox = venue.clients[index], venue.outboxes[index]
    line, queue = faults.lines[index, OUTBOUND], faults.queue_out[index]
    while client.out_end > client.out_start and has_room(line, queue, ROOM_WORDS):
        at = client.out_start // WORD
        n_words = frame_words(outbox[at])
        offer(faults, queue, index, direction, outbox, at, n_words, now)
        sent(venue, index, n_words * WORD)


@inner_kernel
def _line_to_tx(faults: Faults, index: int, direction: int, now: int) -> None:
    """Move what is due, as far as the transmit buffer has room."""
    line, queue, tx = faults.lines[index, OUTBOUND], faults.queue_out[index], faults.tx[index]
    n_words = next_due(faults, line, queue, index, OUTBOUND, now)
    while n_words > 0 and line[TX_END] // WORD + MAX_FRAME_WORDS <= tx.size:
        at, to = line[START] + 2, line[TX_END] // WORD
        for i in range(n_words):
            tx[to + i] = queue[at + i]
        line[TX_END] += n_words * WORD
        taken(faults, line, direction, n_words)
        n_words = next_due(faults, line, queue, index, OUTBOUND, now)


@inner_kernel
def write_engaged(venue: Venue, faults: Faults, fd: int, index: int, now: int) -> bool:
    """What a client's outbox holds goes into the line, what is due goes to the socket. `now`: ns, monotonic."""
    client, line, tx = venue.clients[index], faults.lines[index, OUTBOUND], faults.tx[index]
    direction = RESPONSE if client.port == _ORDER_PORT else FEED
    refill(venue, index)
    _outbox_to_line(venue, faults, index, direction, now)
    if _frozen(faults, direction, now):
        return True
    while True:
        _line_to_tx(faults, index, direction, now)
        waiting = line[TX_END] - line[TX_START]
        if waiting == 0:
            break
        n = transmit(fd, tx, line[TX_START], waiting, MSG_DONTWAIT | MSG_NOSIGNAL)
        if n < 0:
            return errno() == EAGAIN or errno() == EINTR
        line[TX_START] += n
        if n < waiting:
            break
        line[TX_START] = line[TX_END] = 0
    if line[DOOMED] != 0 and line[START] == line[END]:
        return False
    return client.state != _CLOSING or line[START] != line[END] or line[TX_END] != line[TX_START] or client.out_end != client.out_start


@inner_kernel
def waits_for_socket(faults: Faults, index: int, direction: int, now: int) -> bool:
    """Is there something to send that the socket does not take now?"""
    line = faults.lines[index, OUTBOUND]
    return line[TX_START] != line[TX_END] and not _frozen(faults, direction, now)


@inner_kernel
def wakes_at(faults: Faults, index: int, way: int, direction: int, now: int) -> int:
    """When this line next has something to do (ns, monotonic); 2**62 if nothing is under way."""
    line = faults.lines[index, way]
    queue = faults.queue_in[index] if way == INBOUND else faults.queue_out[index]
    if line[TX_START] != line[TX_END]:  # the socket is full: epoll tells when it is not, unless the line is frozen
        if not _frozen(faults, direction, now):
            return 2**62
        return faults.cursor[1 + direction]
    due = np.int64(2**62)
    if line[START] != line[END]:
        due = queue[line[START]]
    if line[HELD] != 0:
        due = min(due, line[HELD_DUE])
    return max(due, faults.cursor[1 + direction])


@inner_kernel
def is_cut(venue: Venue, faults: Faults, index: int) -> bool:
    """Is this connection to be ended now, by the `cut` of its direction or a fault that hit one of its frames on the way in?"""
    if venue.clients[index].port != _ORDER_PORT:
        return faults.page[SETTINGS + FEED * BLOCK + CUT] != 0
    cut = faults.page[SETTINGS + ORDER_ENTRY * BLOCK + CUT] != 0 or faults.page[SETTINGS + RESPONSE * BLOCK + CUT] != 0
    return cut or faults.lines[index, INBOUND, DOOMED] != 0


@inner_kernel
def cut_done(faults: Faults) -> None:
    """Every connection that was to be cut has been."""
    for direction in range(3):
        faults.page[SETTINGS + direction * BLOCK + CUT] = 0
