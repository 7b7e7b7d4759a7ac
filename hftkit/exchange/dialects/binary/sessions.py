"""Sessions: connections, logons, sequence numbers, heartbeats, and to whom each frame of a client goes.

A client on the order entry port must log on first; each port takes its own frames only. Whatever cannot be understood is
counted, answered with SESSION_REJECT and a reason, and ends that session and no other. A connection that neither logs on nor asks for market data
within the venue's deadline is closed, so that it holds no place for long.

A logon that expects sequence 1 begins a fresh session: both sequences start at 1, and LOGON_ACK is followed by the account's positions and open
orders. One that expects a later sequence resumes the session that a lost connection has left: LOGON_ACK (sequence 0) says which sequence the
venue expects next, then every frame from the expected one on is sent again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import MessageType, Reject
from hftkit.exchange.core.accounts import account_index
from hftkit.exchange.core.layout import ClientState, Port
from hftkit.exchange.dialects.binary.market_data import SNAPSHOT, owe, subscribe
from hftkit.exchange.dialects.binary.order_entry import open_status, request
from hftkit.exchange.dialects.binary.send_buffer import (
    can_resume,
    deliver,
    fresh_log,
    next_message_sequence,
    next_sequence,
    post,
    refuse_session,
    resend,
    tell,
    touch_words,
)
from hftkit.exchange.trading.orders import cancel_all, pass_time
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.frame import FRAME_BROKEN, FRAME_INCOMPLETE, FRAME_UNKNOWN, check_frame, frame_instrument, frame_type, frame_words
from hftkit.kernels.wire.sha256 import signature_matches
from hftkit.kernels.wire.venue_codec import encode_heartbeat, encode_logon_ack, encode_logout_ack, encode_position
from hftkit.layout import HEADER_WORDS, PROTOCOL_VERSION, WORD

_FREE, _CONNECTED, _LOGGED_ON, _CLOSING = (int(ClientState(i)) for i in range(4))
_ORDER_ENTRY, _MARKET_DATA = int(Port.ORDER_ENTRY), int(Port.MARKET_DATA)
_LOGON, _LOGOUT, _HEARTBEAT = int(MessageType.LOGON), int(MessageType.LOGOUT), int(MessageType.HEARTBEAT)
_SUBSCRIBE, _SNAPSHOT_REQUEST = int(MessageType.SUBSCRIBE), int(MessageType.SNAPSHOT_REQUEST)
_NOT_LOGGED_ON, _BAD_SEQUENCE = int(Reject.SESSION_NOT_LOGGED_ON), int(Reject.SESSION_BAD_SEQUENCE)
_BAD_VERSION, _MALFORMED = int(Reject.SESSION_BAD_VERSION), int(Reject.SESSION_MALFORMED)
_UNKNOWN_ACCOUNT, _DUPLICATE_LOGON = int(Reject.SESSION_UNKNOWN_ACCOUNT), int(Reject.SESSION_DUPLICATE_LOGON)
_THROTTLED, _UNKNOWN_INSTRUMENT = int(Reject.SESSION_THROTTLED), int(Reject.VENUE_UNKNOWN_INSTRUMENT)
_BAD_SIGNATURE = int(Reject.SESSION_BAD_SIGNATURE)
_B = HEADER_WORDS
CONSUMED, WAIT, ENDED = 0, 1, 2  # what became of the first frame of an inbox
MISSED_HEARTBEATS = 3
_LONGEST_HEARTBEAT_NS = 10**15  # three of them still fit in 63 bits


# -- connections -----------------------------------------------------------------------------------------------------


@inner_kernel
def set_time(venue: Exchange, ts: int, ts_mono: int) -> None:
    """Exchange time and monotonic time of everything that follows. Exchange time never goes back."""
    venue.state[0].ts_mono = ts_mono
    pass_time(venue, ts)


@inner_kernel
def _rebuild_subscribers(venue: Exchange) -> None:
    n = 0
    for i in range(venue.clients.size):
        if venue.clients[i].port == _MARKET_DATA:
            venue.subscribers[n] = i
            n += 1
    venue.state[0].n_subscribers = n


@inner_kernel
def connect(venue: Exchange, port: int) -> int:
    """A new connection. Returns its client index, -1 if all records are taken."""
    for i in range(venue.clients.size):
        client = venue.clients[i]
        if client.port == 0:
            client.port, client.state, client.account = port, _CONNECTED, -1
            client.seq_in = client.seq_out = client.in_bytes = client.out_start = client.out_end = 0
            client.heartbeat_ns = client.cancel_on_disconnect = client.n_pending = client.close_reason = 0
            client.n_frames = client.n_dropped = 0
            client.ts_connected = client.ts_in = client.ts_out = venue.state[0].ts_mono
            venue.channels[i, :] = 0
            venue.pending[i, :] = 0
            touch_words(venue.send_buffers[i])
            venue.state[0].n_connections += 1
            _rebuild_subscribers(venue)
            return i
    return -1


@inner_kernel
def disconnect(venue: Exchange, index: int) -> None:
    """The connection is gone: its orders too, if its owner asked for that at logon."""
    client = venue.clients[index]
    if client.port == 0:
        return
    account, cancels, seq_in = client.account, client.cancel_on_disconnect, client.seq_in
    client.port, client.state, client.account = 0, _FREE, -1
    if account >= 0:
        venue.accounts[account].client = -1
        venue.accounts[account].seq_in = seq_in
        if cancels != 0:
            cancel_all(venue, account, -1, 0)
    _rebuild_subscribers(venue)


# -- logon -----------------------------------------------------------------------------------------------------------


@inner_kernel
def _welcome(venue: Exchange, account: int) -> None:
    """LOGON_ACK, a POSITION for each instrument, an ORDER_STATUS for each open order, the oldest first."""
    ts, seq = venue.state[0].ts, next_message_sequence(venue, account)
    post(venue, account, encode_logon_ack(venue.message, 0, seq, ts, venue.accounts[account].id, 2))
    for instrument in range(venue.instruments.size):
        seq = next_message_sequence(venue, account)
        post(venue, account, encode_position(venue.message, 0, instrument, seq, ts, venue.holdings[account, instrument].position))
    slot = np.int64(venue.books.owners[account].first)
    while slot != 0:
        open_status(venue, slot)
        slot = np.int64(venue.books.orders[slot].own_next)


@inner_kernel
def _is_signed(venue: Exchange, inbox: Any, at: int) -> bool:
    """Does the LOGON frame at word `at` carry the signature of its account?"""
    for k in range(venue.keys.shape[0]):
        if venue.keys[k, 0] == inbox[at + _B]:
            return signature_matches(inbox, at, at + _B + 5, venue.keys[k], venue.scratch)
    return False


@inner_kernel
def _logon(venue: Exchange, index: int, inbox: Any, at: int) -> int:
    client, body = venue.clients[index], inbox[at + _B : at + _B + 5]
    if client.state == _LOGGED_ON:
        return _DUPLICATE_LOGON
    if venue.state[0].signed != 0 and not _is_signed(venue, inbox, at):
        return _BAD_SIGNATURE
    account = account_index(venue.accounts, body[0])
    if account < 0:
        return _UNKNOWN_ACCOUNT
    if venue.state[0].signed != 0:
        if body[1] <= venue.accounts[account].ts_logon:
            return _BAD_SIGNATURE  # signed before: overheard, and sent again
        venue.accounts[account].ts_logon = body[1]
    if venue.accounts[account].client >= 0:
        return _DUPLICATE_LOGON
    resumes = body[4] > 1
    reason = can_resume(venue, account, body[4]) if resumes else 0
    if reason != 0:
        return reason
    client.account, client.state = account, _LOGGED_ON
    client.cancel_on_disconnect = body[2] & 1
    client.heartbeat_ns = min(max(0, body[3]), _LONGEST_HEARTBEAT_NS)
    venue.accounts[account].client = index
    if resumes:
        client.seq_in = venue.accounts[account].seq_in
        deliver(venue, index, encode_logon_ack(venue.message, 0, 0, venue.state[0].ts, venue.accounts[account].id, client.seq_in + 1))
        resend(venue, account, body[4])
    else:
        fresh_log(venue, account)
        _welcome(venue, account)
    return 0


# -- market data -----------------------------------------------------------------------------------------------------


@inner_kernel
def _market_data(venue: Exchange, index: int, kind: int, instrument: int, body: Any) -> int:
    """One frame on the market data port. Returns a Reject code; not 0 ends the session."""
    n = venue.instruments.size
    if kind != _SUBSCRIBE and kind != _SNAPSHOT_REQUEST:
        return _MALFORMED
    if instrument >= n or (instrument < 0 and kind == _SNAPSHOT_REQUEST):
        return _UNKNOWN_INSTRUMENT
    if kind == _SNAPSHOT_REQUEST:
        owe(venue, index, instrument, SNAPSHOT)
        return 0
    first, last = (0, n) if instrument < 0 else (instrument, instrument + 1)
    for i in range(first, last):
        if not subscribe(venue, index, i, body[0] & 7):
            return _THROTTLED
    return 0


# -- frames ----------------------------------------------------------------------------------------------------------


@inner_kernel
def _farewell(venue: Exchange, index: int) -> None:
    client = venue.clients[index]
    tell(venue, index, encode_logout_ack(venue.message, 0, next_sequence(venue, index), venue.state[0].ts))
    if client.account >= 0:
        venue.accounts[client.account].session = 0
    client.state = _CLOSING


@inner_kernel
def heartbeat(venue: Exchange, index: int, ts_client: int) -> None:
    """VENUE_HEARTBEAT."""
    tell(venue, index, encode_heartbeat(venue.message, 0, next_sequence(venue, index), venue.state[0].ts, ts_client))


@inner_kernel
def _handle(venue: Exchange, index: int, inbox: Any, at: int) -> int:
    """The whole frame at word `at`. Returns a Reject code; not 0 ends the session."""
    client = venue.clients[index]
    kind, instrument = frame_type(inbox[at]), frame_instrument(inbox[at])
    client.n_frames += 1
    venue.state[0].n_frames_in += 1
    if inbox[at + 1] != client.seq_in + 1:
        return _BAD_SEQUENCE
    client.seq_in += 1
    if client.port == _ORDER_ENTRY and kind == _LOGON:
        return _logon(venue, index, inbox, at)
    if client.port == _ORDER_ENTRY and client.state != _LOGGED_ON:
        return _NOT_LOGGED_ON
    body = inbox[at + _B : at + frame_words(inbox[at])]
    if kind == _HEARTBEAT:
        heartbeat(venue, index, body[0])
    elif kind == _LOGOUT:
        _farewell(venue, index)
    elif client.port == _ORDER_ENTRY:
        return request(venue, client.account, kind, instrument, body)
    else:
        return _market_data(venue, index, kind, instrument, body)
    return 0


@inner_kernel
def _first_frame(venue: Exchange, index: int, at: int, end: int) -> int:
    """Handle the frame at word `at` of a client's inbox[:end]. Returns CONSUMED, WAIT or ENDED."""
    inbox = venue.inboxes[index]
    verdict = check_frame(inbox, at, end)
    if verdict == FRAME_INCOMPLETE:
        return WAIT
    reason = _MALFORMED
    if verdict == FRAME_UNKNOWN and (inbox[at] >> 24) & 0xFF != PROTOCOL_VERSION:
        reason = _BAD_VERSION
    if verdict != FRAME_BROKEN and verdict != FRAME_UNKNOWN:
        reason = _handle(venue, index, inbox, at)
        if reason == 0:
            return CONSUMED
    venue.state[0].n_malformed += 1
    refuse_session(venue, index, reason)
    return ENDED


@inner_kernel
def receive(venue: Exchange, index: int, n_bytes: int) -> None:
    """`n_bytes` more have been put into a client's inbox: handle every whole frame, keep the rest for later."""
    client, inbox = venue.clients[index], venue.inboxes[index]
    client.ts_in = venue.state[0].ts_mono
    client.in_bytes += n_bytes
    at, end = 0, client.in_bytes // WORD
    outcome = CONSUMED
    while outcome == CONSUMED and client.state != _CLOSING:
        outcome = _first_frame(venue, index, at, end)
        if outcome == CONSUMED:
            at += frame_words(inbox[at])
    if client.state == _CLOSING:
        client.in_bytes = 0  # nothing more is read from it
        return
    n_words = (client.in_bytes + WORD - 1) // WORD
    for i in range(at, n_words):
        inbox[i - at] = inbox[i]
    client.in_bytes -= at * WORD


@inner_kernel
def supervise(venue: Exchange) -> None:
    """Heartbeats that are due, sessions gone silent, connections that ask for nothing. Call it a few times within the shortest heartbeat."""
    now = venue.state[0].ts_mono
    for i in range(venue.clients.size):
        client = venue.clients[i]
        if client.port == 0 or client.state == _CLOSING:
            continue
        idle = client.state == _CONNECTED and (client.port == _ORDER_ENTRY or client.n_frames == 0)
        if idle and now - client.ts_connected > venue.state[0].logon_deadline_ns:
            refuse_session(venue, i, _NOT_LOGGED_ON)
        elif client.heartbeat_ns > 0:
            if now - client.ts_in > MISSED_HEARTBEATS * client.heartbeat_ns:
                refuse_session(venue, i, _NOT_LOGGED_ON)
            elif now - client.ts_out > client.heartbeat_ns:
                heartbeat(venue, i, 0)
