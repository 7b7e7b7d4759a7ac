"""Sessions: connections, sequence numbers, heartbeats, and what each frame of a client does.

A client on the order entry port must log on first; each port takes its own frames only. Whatever cannot be understood is
counted, answered with SESSION_REJECT and a reason, and ends that session and no other.

A logon that expects sequence 1 begins a fresh session: both sequences start at 1, and LOGON_ACK is followed by the account's positions and open
orders. One that expects a later sequence resumes the session that a lost connection has left: LOGON_ACK (sequence 0) says which sequence the
venue expects next, then every frame from the expected one on is sent again.

Long because it is the whole table of what each frame does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import MessageType, OrderFlag, OrderState, OrderType, Reject, TimeInForce
from hftkit.exchange.accounts import account_index, closed_place
from hftkit.exchange.filters import filter_order
from hftkit.exchange.ladder import find_key
from hftkit.exchange.layout import WAITING, ClientState, Op, Port
from hftkit.exchange.margin import lacks_margin, measure
from hftkit.exchange.market_data import hold, subscribe
from hftkit.exchange.orders import cancel_all, carry_out, client_order, pass_time, reject_order, withdraw_quote
from hftkit.exchange.outbox import can_resume, deliver, fresh_log, next_letter, next_sequence, post, refuse_session, resend, tell
from hftkit.exchange.venue import Venue
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.frame import FRAME_BROKEN, FRAME_INCOMPLETE, FRAME_UNKNOWN, check_frame, frame_instrument, frame_type, frame_words
from hftkit.kernels.wire.sha256 import signature_matches
from hftkit.kernels.wire.venue_codec import (
    encode_account_status,
    encode_heartbeat,
    encode_logon_ack,
    encode_logout_ack,
    encode_order_status,
    encode_position,
)
from hftkit.layout import HEADER_WORDS, PROTOCOL_VERSION, WORD

_FREE, _CONNECTED, _LOGGED_ON, _CLOSING = (int(ClientState(i)) for i in range(4))
_ORDER_ENTRY, _MARKET_DATA = int(Port.ORDER_ENTRY), int(Port.MARKET_DATA)
_LOGON, _LOGOUT, _HEARTBEAT = int(MessageType.LOGON), int(MessageType.LOGOUT), int(MessageType.HEARTBEAT)
_NEW_ORDER, _CANCEL_ORDER, _CANCEL_ALL = int(MessageType.NEW_ORDER), int(MessageType.CANCEL_ORDER), int(MessageType.CANCEL_ALL)
_ORDER_QUERY, _REPLACE_ORDER = int(MessageType.ORDER_QUERY), int(MessageType.REPLACE_ORDER)
_CONDITIONAL, _MASS_QUOTE, _ACCOUNT_QUERY = int(MessageType.CONDITIONAL_ORDER), int(MessageType.MASS_QUOTE), int(MessageType.ACCOUNT_QUERY)
_SUBSCRIBE, _SNAPSHOT_REQUEST = int(MessageType.SUBSCRIBE), int(MessageType.SNAPSHOT_REQUEST)
_OP_NEW, _OP_CANCEL, _OP_REPLACE, _OP_QUOTE = int(Op.NEW), int(Op.CANCEL), int(Op.REPLACE), int(Op.QUOTE)
_LIMIT, _GTC, _GTD, _POST_ONLY = int(OrderType.LIMIT), int(TimeInForce.GTC), int(TimeInForce.GTD), int(OrderFlag.POST_ONLY)
_SUBMITTED, _PARTIAL = int(OrderState.SUBMITTED), int(OrderState.PARTIALLY_FILLED)
_NOT_LOGGED_ON, _BAD_SEQUENCE = int(Reject.SESSION_NOT_LOGGED_ON), int(Reject.SESSION_BAD_SEQUENCE)
_BAD_VERSION, _MALFORMED = int(Reject.SESSION_BAD_VERSION), int(Reject.SESSION_MALFORMED)
_UNKNOWN_ACCOUNT, _DUPLICATE_LOGON = int(Reject.SESSION_UNKNOWN_ACCOUNT), int(Reject.SESSION_DUPLICATE_LOGON)
_THROTTLED, _UNKNOWN_INSTRUMENT = int(Reject.SESSION_THROTTLED), int(Reject.VENUE_UNKNOWN_INSTRUMENT)
_BAD_PRICE, _BAD_TYPE = int(Reject.VENUE_BAD_PRICE), int(Reject.VENUE_BAD_TYPE)
_BAD_SIGNATURE, _NO_MARGIN = int(Reject.SESSION_BAD_SIGNATURE), int(Reject.VENUE_INSUFFICIENT_MARGIN)
_MARKET, _ALL_FLAGS = int(OrderType.MARKET), sum(int(flag) for flag in OrderFlag)
_B = HEADER_WORDS
CONSUMED, WAIT, ENDED = 0, 1, 2  # what became of the first frame of an inbox
LOGON_DEADLINE_NS = 10_000_000_000  # an order entry connection that has not logged on by then is closed
MISSED_HEARTBEATS = 3
_LONGEST_HEARTBEAT_NS = 10**15  # three of them still fit in 63 bits


# -- connections -----------------------------------------------------------------------------------------------------


@inner_kernel
def set_time(venue: Venue, ts: int, ts_mono: int) -> None:
    """Exchange time and monotonic time of everything that follows. Exchange time never goes back."""
    venue.state[0].ts_mono = ts_mono
    pass_time(venue, ts)


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
            client.credit_ns, client.ts_credit = venue.state[0].order_burst_ns, venue.state[0].ts_mono
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
    account, cancels, seq_in = client.account, client.cancel_on_disconnect, client.seq_in
    client.port, client.state, client.account = 0, _FREE, -1
    if account >= 0:
        venue.accounts[account].client = -1
        venue.accounts[account].seq_in = seq_in
        if cancels != 0:
            cancel_all(venue, account, -1, 0)
    _rebuild_audience(venue)


# -- order entry -----------------------------------------------------------------------------------------------------


@inner_kernel
def _status(venue: Venue, account: int, instrument: int, client_order_id: int, order_id: int, state: int, filled: int, leaves: int) -> None:
    seq, ts = next_letter(venue, account), venue.state[0].ts
    post(venue, account, encode_order_status(venue.letter, 0, instrument, seq, ts, client_order_id, order_id, state, filled, leaves))


@inner_kernel
def _open_status(venue: Venue, slot: int) -> None:
    order = venue.books.orders[slot]
    state = _PARTIAL if order.filled > 0 else _SUBMITTED
    _status(venue, np.int64(order.account), order.instrument, order.client_order_id, order.order_id, state, order.filled, order.leaves)


@inner_kernel
def _query(venue: Venue, account: int, client_order_id: int) -> None:
    slot = find_key(venue.books.table, account, client_order_id)
    if slot != 0:
        _open_status(venue, slot)
        return
    place = closed_place(venue, account, client_order_id)
    if place < 0:
        _status(venue, account, -1, client_order_id, 0, 0, 0, 0)
    else:
        row = venue.closed[place]
        _status(venue, account, row.instrument, client_order_id, row.order_id, row.state, row.filled, 0)


@inner_kernel
def _account_status(venue: Venue, account: int) -> None:
    unrealised, initial, maintenance, isolated = measure(venue, account)
    initial, maintenance = initial + isolated, maintenance + isolated  # all that isolated positions have is bound
    seq, wallet = next_letter(venue, account), venue.accounts[account].wallet_e8
    post(venue, account, encode_account_status(venue.letter, 0, seq, venue.state[0].ts, wallet, unrealised, initial, maintenance))


@inner_kernel
def _welcome(venue: Venue, account: int) -> None:
    """LOGON_ACK, a POSITION for each instrument, an ORDER_STATUS for each open order, the oldest first."""
    ts, seq = venue.state[0].ts, next_letter(venue, account)
    post(venue, account, encode_logon_ack(venue.letter, 0, seq, ts, venue.accounts[account].id, 2))
    for instrument in range(venue.instruments.size):
        seq = next_letter(venue, account)
        post(venue, account, encode_position(venue.letter, 0, instrument, seq, ts, venue.holdings[account, instrument].position))
    slot = np.int64(venue.books.owners[account].first)
    while slot != 0:
        _open_status(venue, slot)
        slot = np.int64(venue.books.orders[slot].own_next)


@inner_kernel
def _is_signed(venue: Venue, inbox: Any, at: int) -> bool:
    """Does the LOGON frame at word `at` carry the signature of its account?"""
    for k in range(venue.keys.shape[0]):
        if venue.keys[k, 0] == inbox[at + _B]:
            return signature_matches(inbox, at, at + _B + 5, venue.keys[k], venue.scratch)
    return False


@inner_kernel
def _logon(venue: Venue, index: int, inbox: Any, at: int) -> int:
    client, body = venue.clients[index], inbox[at + _B : at + _B + 5]
    if client.state == _LOGGED_ON:
        return _DUPLICATE_LOGON
    if venue.state[0].signed != 0 and not _is_signed(venue, inbox, at):
        return _BAD_SIGNATURE
    account = account_index(venue.accounts, body[0])
    if account < 0:
        return _UNKNOWN_ACCOUNT
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
        deliver(venue, index, encode_logon_ack(venue.letter, 0, 0, venue.state[0].ts, venue.accounts[account].id, client.seq_in + 1))
        resend(venue, account, body[4])
    else:
        fresh_log(venue, account)
        _welcome(venue, account)
    return 0


@inner_kernel
def _throttled(venue: Venue, index: int) -> bool:
    """Token bucket: each order costs an interval of the time that has passed, and only so much time can be saved up."""
    state, client = venue.state[0], venue.clients[index]
    if state.order_interval_ns == 0:
        return False
    client.credit_ns = min(state.order_burst_ns, client.credit_ns + state.ts_mono - client.ts_credit)
    client.ts_credit = state.ts_mono
    if client.credit_ns < state.order_interval_ns:
        state.n_throttled += 1
        return True
    client.credit_ns -= state.order_interval_ns
    return False


@inner_kernel
def _new_order(venue: Venue, account: int, instrument: int, body: Any, conditional: bool) -> None:
    command = venue.command[0]
    command.op, command.instrument, command.account = _OP_NEW, instrument, account
    command.client_order_id, command.side, command.order_type, command.time_in_force = body[0], body[1], body[2], body[3]
    command.flags, command.price, command.qty = body[4], body[5], body[6]
    command.trigger_price = command.expire_ts = 0
    if conditional:
        command.trigger_price, command.expire_ts = body[7], body[8]
    elif command.order_type > _MARKET or command.time_in_force == _GTD:
        command.side = -1  # needs fields that this frame lacks: refused as an unknown type
    client_order(venue)


@inner_kernel
def _mass_quote(venue: Venue, account: int, instrument: int, body: Any) -> None:
    """Withdraw both sides of the last quote, then place the new ones: so that a quote can move past its own other side."""
    command = venue.command[0]
    if instrument < 0 or instrument >= venue.instruments.size:
        reject_order(venue, account, instrument, body[0], _UNKNOWN_INSTRUMENT, False)
        return
    withdraw_quote(venue, account, instrument)
    for side in range(2):
        if body[3 + 2 * side] == 0:
            continue
        command.op, command.instrument, command.account, command.client_order_id = _OP_QUOTE, instrument, account, body[side]
        command.side, command.order_type, command.time_in_force, command.flags = side, _LIMIT, _GTC, _POST_ONLY
        command.price, command.qty = body[2 + 2 * side], body[3 + 2 * side]
        command.trigger_price = command.expire_ts = 0
        client_order(venue)


@inner_kernel
def cancel_order(venue: Venue, account: int, instrument: int, client_order_id: int) -> int:
    """Cancel an open order by its id. Returns a Reject code, or 0."""
    command = venue.command[0]
    command.op, command.instrument, command.account = _OP_CANCEL, instrument, account
    command.client_order_id = client_order_id
    return carry_out(venue, command)


@inner_kernel
def _replace_refusal(venue: Venue, account: int, body: Any) -> int:
    """The filters of a new order, as far as they concern price and quantity. An order that is not there is the matching engine's to refuse."""
    slot = find_key(venue.books.table, account, body[0])
    if body[1] <= 0:
        return _BAD_PRICE
    if slot == 0:
        return 0
    order, command = venue.books.orders[slot], venue.command[0]
    if order.flags & WAITING:
        return _BAD_TYPE
    command.instrument, command.account, command.side, command.order_type = order.instrument, account, order.side, _LIMIT
    command.time_in_force, command.flags, command.price, command.qty = _GTC, order.flags & _ALL_FLAGS, body[1], body[2]
    command.trigger_price = command.expire_ts = 0
    limits, top = venue.limits[command.instrument], venue.books.tops[command.instrument]
    reason = filter_order(command, limits, top, 0, top.base + venue.books.levels.shape[1])
    if reason != 0:
        return reason
    command.qty -= order.filled
    return _NO_MARGIN if lacks_margin(venue, command, order.price * order.leaves) else 0


@inner_kernel
def replace_order(venue: Venue, account: int, instrument: int, body: Any) -> int:
    """Change price and total quantity of an open order. `body`: int64 (3,), client_order_id, ticks, lots. Returns a Reject code, or 0."""
    command = venue.command[0]
    reason = _replace_refusal(venue, account, body)
    if reason != 0:
        reject_order(venue, account, instrument, body[0], reason, False)
        return reason
    command.op, command.instrument, command.account = _OP_REPLACE, instrument, account
    command.client_order_id, command.price, command.qty, command.flags = body[0], body[1], body[2], 0
    return carry_out(venue, command)


@inner_kernel
def _place(venue: Venue, index: int, kind: int, instrument: int, body: Any) -> None:
    """A frame that asks for an order, if the session may send one now."""
    account = venue.clients[index].account
    if _throttled(venue, index):
        reject_order(venue, account, instrument, body[0], _THROTTLED, False)
    elif kind == _REPLACE_ORDER:
        replace_order(venue, account, instrument, body)
    elif kind == _MASS_QUOTE:
        _mass_quote(venue, account, instrument, body)
    else:
        _new_order(venue, account, instrument, body, kind == _CONDITIONAL)


@inner_kernel
def _order_entry(venue: Venue, index: int, kind: int, instrument: int, inbox: Any, at: int) -> int:
    """One frame on the order entry port. Returns a Reject code; not 0 ends the session."""
    client, body = venue.clients[index], inbox[at + _B : at + frame_words(inbox[at])]
    if kind == _LOGON:
        return _logon(venue, index, inbox, at)
    if client.state != _LOGGED_ON:
        return _NOT_LOGGED_ON
    if kind == _NEW_ORDER or kind == _REPLACE_ORDER or kind == _CONDITIONAL or kind == _MASS_QUOTE:
        _place(venue, index, kind, instrument, body)
    elif kind == _CANCEL_ORDER:
        cancel_order(venue, client.account, instrument, body[0])
    elif kind == _CANCEL_ALL:
        if instrument >= venue.instruments.size:
            reject_order(venue, client.account, instrument, 0, _UNKNOWN_INSTRUMENT, True)
        else:
            cancel_all(venue, client.account, instrument, 0)
    elif kind == _ORDER_QUERY:
        _query(venue, client.account, body[0])
    elif kind == _ACCOUNT_QUERY:
        _account_status(venue, client.account)
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
    client = venue.clients[index]
    tell(venue, index, encode_logout_ack(venue.letter, 0, next_sequence(venue, index), venue.state[0].ts))
    if client.account >= 0:
        venue.accounts[client.account].session = 0
    client.state = _CLOSING


@inner_kernel
def heartbeat(venue: Venue, index: int, ts_client: int) -> None:
    """VENUE_HEARTBEAT."""
    tell(venue, index, encode_heartbeat(venue.letter, 0, next_sequence(venue, index), venue.state[0].ts, ts_client))


@inner_kernel
def _handle(venue: Venue, index: int, inbox: Any, at: int) -> int:
    """The whole frame at word `at`. Returns a Reject code; not 0 ends the session."""
    client = venue.clients[index]
    kind, instrument = frame_type(inbox[at]), frame_instrument(inbox[at])
    client.n_frames += 1
    venue.state[0].n_frames_in += 1
    if inbox[at + 1] != client.seq_in + 1:
        return _BAD_SEQUENCE
    client.seq_in += 1
    if kind == _HEARTBEAT:
        heartbeat(venue, index, inbox[at + _B])
    elif kind == _LOGOUT:
        _farewell(venue, index)
    elif client.port == _ORDER_ENTRY:
        return _order_entry(venue, index, kind, instrument, inbox, at)
    else:
        return _market_data(venue, index, kind, instrument, inbox[at + _B : at + frame_words(inbox[at])])
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
        reason = _handle(venue, index, inbox, at)
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
