"""Sessions: connections, sequence numbers, heartbeats, and what each frame of a client does.

A client on the order entry port must log on first; each port takes its own frames only. Whatever cannot be understood is
counted, answered with SESSION_REJECT and a reason, and ends that session and no other. A session is fresh at each logon: both
sequences start at 1, and LOGON_ACK is followed by the account's positions and open orders.
"""

from __future__ import annotations

from typing import Any

from hftkit.codes import MessageType, OrderState, Reject
from hftkit.exchange.accounts import account_index, closed_place
from hftkit.exchange.ladder import find_key
from hftkit.exchange.layout import ClientState, Op, Port
from hftkit.exchange.market_data import hold, subscribe
from hftkit.exchange.orders import cancel_all, carry_out, client_order, reject_order
from hftkit.exchange.outbox import commit, next_sequence, refuse_session, reserve
from hftkit.exchange.venue import Venue
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.frame import FRAME_BROKEN, FRAME_INCOMPLETE, FRAME_UNKNOWN, check_frame, frame_instrument, frame_type, frame_words
from hftkit.kernels.wire.venue_codec import encode_heartbeat, encode_logon_ack, encode_logout_ack, encode_order_status, encode_position
from hftkit.layout import HEADER_WORDS, PROTOCOL_VERSION, WORD

_FREE, _CONNECTED, _LOGGED_ON, _CLOSING = (int(ClientState(i)) for i in range(4))
_ORDER_ENTRY, _MARKET_DATA = int(Port.ORDER_ENTRY), int(Port.MARKET_DATA)
_LOGON, _LOGOUT, _HEARTBEAT = int(MessageType.LOGON), int(MessageType.LOGOUT), int(MessageType.HEARTBEAT)
_NEW_ORDER, _CANCEL_ORDER, _CANCEL_ALL = int(MessageType.NEW_ORDER), int(MessageType.CANCEL_ORDER), int(MessageType.CANCEL_ALL)
_ORDER_QUERY, _REPLACE_ORDER = int(MessageType.ORDER_QUERY), int(MessageType.REPLACE_ORDER)
_SUBSCRIBE, _SNAPSHOT_REQUEST = int(MessageType.SUBSCRIBE), int(MessageType.SNAPSHOT_REQUEST)
_OP_NEW, _OP_CANCEL, _OP_REPLACE = int(Op.NEW), int(Op.CANCEL), int(Op.REPLACE)
_SUBMITTED, _PARTIAL = int(OrderState.SUBMITTED), int(OrderState.PARTIALLY_FILLED)
_NOT_LOGGED_ON, _BAD_SEQUENCE = int(Reject.SESSION_NOT_LOGGED_ON), int(Reject.SESSION_BAD_SEQUENCE)
_BAD_VERSION, _MALFORMED = int(Reject.SESSION_BAD_VERSION), int(Reject.SESSION_MALFORMED)
_UNKNOWN_ACCOUNT, _DUPLICATE_LOGON = int(Reject.SESSION_UNKNOWN_ACCOUNT), int(Reject.SESSION_DUPLICATE_LOGON)
_THROTTLED, _UNKNOWN_INSTRUMENT = int(Reject.SESSION_THROTTLED), int(Reject.VENUE_UNKNOWN_INSTRUMENT)
_UNKNOWN_ORDER, _BAD_PRICE, _BAD_QTY = int(Reject.BOOK_UNKNOWN_ORDER), int(Reject.VENUE_BAD_PRICE), int(Reject.VENUE_BAD_QTY)
_B = HEADER_WORDS
CONSUMED, WAIT, ENDED = 0, 1, 2  # what became of the first frame of an inbox
LOGON_DEADLINE_NS = 10_000_000_000  # an order entry connection that has not logged on by then is closed
MISSED_HEARTBEATS = 3
_LONGEST_HEARTBEAT_NS = 10**15  # three of them still fit in 63 bits


# -- connections -----------------------------------------------------------------------------------------------------


@inner_kernel
def set_time(venue: Venue, ts: int, ts_mono: int) -> None:
    """Exchange time and monotonic time of everything that follows. Exchange time never goes back."""
    venue.state[0].ts = max(venue.state[0].ts, ts)
    venue.state[0].ts_mono = ts_mono


@inner_kernel
def _rebuild_audience(venue: Venue) -> None:
    n = 0
    for i in range(venue.clients.size):
        if venue.clients[i].port == _MARKET_DATA:
            venue.audience[n] = i
            n += 1
    venue.state[0].n_audience = n


@inner_kernel
def connect(venue: Venue, port: int) -> int:
    """A new connection. Returns its client index, -1 if all records are taken."""
    for i in range(venue.clients.size):
        client = venue.clients[i]
        if client.port == 0:
            client.port, client.state, client.account = port, _CONNECTED, -1
            client.seq_in = client.seq_out = client.in_bytes = client.out_start = client.out_end = 0
            client.heartbeat_ns = client.cancel_on_disconnect = client.n_pending = client.close_reason = 0
            client.n_frames = client.n_dropped = 0
            client.ts_in = client.ts_out = venue.state[0].ts_mono
            venue.channels[i, :] = 0
            venue.pending[i, :] = 0
            venue.state[0].n_connections += 1
            _rebuild_audience(venue)
            return i
    venue.state[0].n_refused += 1
    return -1


@inner_kernel
def disconnect(venue: Venue, index: int) -> None:
    """The connection is gone: its orders too, if its owner asked for that at logon."""
    client = venue.clients[index]
    if client.port == 0:
        return
    account, cancels = client.account, client.cancel_on_disconnect
    client.port, client.state, client.account = 0, _FREE, -1
    if account >= 0:
        venue.accounts[account].client = -1
        if cancels != 0:
            cancel_all(venue, account, -1)
    _rebuild_audience(venue)


# -- order entry -----------------------------------------------------------------------------------------------------


@inner_kernel
def _status(venue: Venue, index: int, instrument: int, client_order_id: int, order_id: int, state: int, filled: int, leaves: int) -> None:
    at = reserve(venue, index)
    if at >= 0:
        box, ts, seq = venue.outboxes[index], venue.state[0].ts, next_sequence(venue, index)
        commit(venue, index, encode_order_status(box, at, instrument, seq, ts, client_order_id, order_id, state, filled, leaves))


@inner_kernel
def _open_status(venue: Venue, index: int, slot: int) -> None:
    order = venue.books.orders[slot]
    state = _PARTIAL if order.filled > 0 else _SUBMITTED
    _status(venue, index, order.instrument, order.client_order_id, order.order_id, state, order.filled, order.leaves)


@inner_kernel
def _query(venue: Venue, index: int, client_order_id: int) -> None:
    account = venue.clients[index].account
    slot = find_key(venue.books.table, account, client_order_id)
    if slot != 0:
        _open_status(venue, index, slot)
        return
    place = closed_place(venue, account, client_order_id)
    if place < 0:
        _status(venue, index, -1, client_order_id, 0, 0, 0, 0)
    else:
        row = venue.closed[place]
        _status(venue, index, row.instrument, client_order_id, row.order_id, row.state, row.filled, 0)


@inner_kernel
def _welcome(venue: Venue, index: int) -> None:
    """LOGON_ACK, a POSITION for each instrument, an ORDER_STATUS for each resting order."""
    client = venue.clients[index]
    account, box, ts = client.account, venue.outboxes[index], venue.state[0].ts
    at = reserve(venue, index)
    if at >= 0:
        seq = next_sequence(venue, index)
        commit(venue, index, encode_logon_ack(box, at, seq, ts, venue.accounts[account].id, client.seq_in + 1))
    for instrument in range(venue.instruments.size):
        at = reserve(venue, index)
        if at >= 0:
            seq = next_sequence(venue, index)
            commit(venue, index, encode_position(box, at, instrument, seq, ts, venue.holdings[account, instrument].position))
    if venue.accounts[account].n_open > 0:
        for slot in range(1, venue.books.counters[0].high_water + 1):
            if venue.books.orders[slot].leaves > 0 and venue.books.orders[slot].account == account:
                _open_status(venue, index, slot)


@inner_kernel
def _logon(venue: Venue, index: int, body: Any) -> int:
    client = venue.clients[index]
    if client.state == _LOGGED_ON:
        return _DUPLICATE_LOGON
    account = account_index(venue.accounts, body[0])
    if account < 0:
        return _UNKNOWN_ACCOUNT
    if venue.accounts[account].client >= 0:
        return _DUPLICATE_LOGON
    client.account, client.state = account, _LOGGED_ON
    client.cancel_on_disconnect = body[2] & 1
    client.heartbeat_ns = min(max(0, body[3]), _LONGEST_HEARTBEAT_NS)
    venue.accounts[account].client = index
    _welcome(venue, index)
    return 0


@inner_kernel
def _new_order(venue: Venue, index: int, instrument: int, body: Any) -> None:
    command = venue.command[0]
    command.op, command.instrument, command.account = _OP_NEW, instrument, venue.clients[index].account
    command.client_order_id, command.side, command.order_type, command.time_in_force = body[0], body[1], body[2], body[3]
    command.flags, command.price, command.qty = body[4], body[5], body[6]
    client_order(venue, index)


@inner_kernel
def _cancel(venue: Venue, index: int, instrument: int, client_order_id: int) -> None:
    command = venue.command[0]
    command.op, command.instrument, command.account = _OP_CANCEL, instrument, venue.clients[index].account
    command.client_order_id = client_order_id
    carry_out(venue, command)


@inner_kernel
def _replace(venue: Venue, index: int, instrument: int, body: Any) -> None:
    command = venue.command[0]
    if body[1] <= 0 or body[2] <= 0 or body[2] > venue.state[0].max_order_qty:
        reason = _BAD_PRICE if body[1] <= 0 else _BAD_QTY
        reject_order(venue, index, instrument, body[0], reason, False)
        return
    command.op, command.instrument, command.account = _OP_REPLACE, instrument, venue.clients[index].account
    command.client_order_id, command.price, command.qty, command.flags = body[0], body[1], body[2], 0
    carry_out(venue, command)


@inner_kernel
def _order_entry(venue: Venue, index: int, kind: int, instrument: int, body: Any) -> int:
    """One frame on the order entry port. Returns a Reject code; not 0 ends the session."""
    client = venue.clients[index]
    if kind == _LOGON:
        return _logon(venue, index, body)
    if client.state != _LOGGED_ON:
        return _NOT_LOGGED_ON
    if kind == _NEW_ORDER:
        _new_order(venue, index, instrument, body)
    elif kind == _CANCEL_ORDER:
        _cancel(venue, index, instrument, body[0])
    elif kind == _REPLACE_ORDER:
        _replace(venue, index, instrument, body)
    elif kind == _CANCEL_ALL:
        if instrument >= venue.instruments.size:
            reject_order(venue, index, instrument, 0, _UNKNOWN_INSTRUMENT, True)
        else:
            cancel_all(venue, client.account, instrument)
    elif kind == _ORDER_QUERY:
        _query(venue, index, body[0])
    else:
        return _MALFORMED
    return 0


# -- market data -----------------------------------------------------------------------------------------------------


@inner_kernel
def _market_data(venue: Venue, index: int, kind: int, instrument: int, body: Any) -> int:
    """One frame on the market data port. Returns a Reject code; not 0 ends the session."""
    n = venue.instruments.size
    if kind != _SUBSCRIBE and kind != _SNAPSHOT_REQUEST:
        return _MALFORMED
    if instrument >= n or (instrument < 0 and kind == _SNAPSHOT_REQUEST):
        return _UNKNOWN_INSTRUMENT
    if kind == _SNAPSHOT_REQUEST:
        hold(venue, index, instrument)
        return 0
    first, last = (0, n) if instrument < 0 else (instrument, instrument + 1)
    for i in range(first, last):
        if not subscribe(venue, index, i, body[0] & 7):
            return _THROTTLED
    return 0


# -- frames ----------------------------------------------------------------------------------------------------------


@inner_kernel
def _farewell(venue: Venue, index: int) -> None:
    at = reserve(venue, index)
    if at >= 0:
        seq = next_sequence(venue, index)
        commit(venue, index, encode_logout_ack(venue.outboxes[index], at, seq, venue.state[0].ts))
    venue.clients[index].state = _CLOSING


@inner_kernel
def heartbeat(venue: Venue, index: int, ts_client: int) -> None:
    """VENUE_HEARTBEAT."""
    at = reserve(venue, index)
    if at >= 0:
        seq = next_sequence(venue, index)
        commit(venue, index, encode_heartbeat(venue.outboxes[index], at, seq, venue.state[0].ts, ts_client))


@inner_kernel
def _handle(venue: Venue, index: int, word0: int, seq: int, body: Any) -> int:
    """One whole frame. Returns a Reject code; not 0 ends the session."""
    client = venue.clients[index]
    kind, instrument = frame_type(word0), frame_instrument(word0)
    client.n_frames += 1
    venue.state[0].n_frames_in += 1
    if seq != client.seq_in + 1:
        return _BAD_SEQUENCE
    client.seq_in = seq
    if kind == _HEARTBEAT:
        heartbeat(venue, index, body[0])
    elif kind == _LOGOUT:
        _farewell(venue, index)
    elif client.port == _ORDER_ENTRY:
        return _order_entry(venue, index, kind, instrument, body)
    else:
        return _market_data(venue, index, kind, instrument, body)
    return 0


@inner_kernel
def _first_frame(venue: Venue, index: int, at: int, end: int) -> int:
    """Handle the frame at word `at` of a client's inbox[:end]. Returns CONSUMED, WAIT or ENDED."""
    inbox = venue.inboxes[index]
    verdict = check_frame(inbox, at, end)
    if verdict == FRAME_INCOMPLETE:
        return WAIT
    reason = _MALFORMED
    if verdict == FRAME_UNKNOWN and (inbox[at] >> 24) & 0xFF != PROTOCOL_VERSION:
        reason = _BAD_VERSION
    if verdict != FRAME_BROKEN and verdict != FRAME_UNKNOWN:
        n_words = frame_words(inbox[at])
        reason = _handle(venue, index, inbox[at], inbox[at + 1], inbox[at + _B : at + n_words])
        if reason == 0:
            return CONSUMED
    venue.state[0].n_malformed += 1
    refuse_session(venue, index, reason)
    return ENDED


@inner_kernel
def receive(venue: Venue, index: int, n_bytes: int) -> None:
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
def supervise(venue: Venue) -> None:
    """Heartbeats that are due, sessions that have gone silent. Call it a few times within the shortest heartbeat."""
    now = venue.state[0].ts_mono
    for i in range(venue.clients.size):
        client = venue.clients[i]
        if client.port != _ORDER_ENTRY or client.state == _CLOSING:
            continue
        if client.state == _CONNECTED:
            if now - client.ts_in > LOGON_DEADLINE_NS:
                refuse_session(venue, i, _NOT_LOGGED_ON)
        elif client.heartbeat_ns > 0:
            if now - client.ts_in > MISSED_HEARTBEATS * client.heartbeat_ns:
                refuse_session(venue, i, _NOT_LOGGED_ON)
            elif now - client.ts_out > client.heartbeat_ns:
                heartbeat(venue, i, 0)
