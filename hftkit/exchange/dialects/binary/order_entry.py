"""What each request on the order entry port does, once its client has logged on: orders, quotes, replaces, cancels, queries.

Requests that ask for an order are limited in rate, account by account: reconnecting gives no new credit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import MessageType, OrderFlag, OrderState, OrderType, Reject, TimeInForce
from hftkit.exchange.core.accounts import closed_place
from hftkit.exchange.core.ladder import find_key
from hftkit.exchange.core.layout import Op
from hftkit.exchange.dialects.binary.send_buffer import next_message_sequence, post
from hftkit.exchange.trading.cancel_replace import cancel_order, replace_order
from hftkit.exchange.trading.margin import measure
from hftkit.exchange.trading.orders import cancel_all, client_order, withdraw_quote
from hftkit.exchange.trading.records import record_refusal
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.venue_codec import encode_account_status, encode_order_status

_NEW_ORDER, _CANCEL_ORDER, _CANCEL_ALL = int(MessageType.NEW_ORDER), int(MessageType.CANCEL_ORDER), int(MessageType.CANCEL_ALL)
_ORDER_QUERY, _REPLACE_ORDER = int(MessageType.ORDER_QUERY), int(MessageType.REPLACE_ORDER)
_CONDITIONAL, _MASS_QUOTE, _ACCOUNT_QUERY = int(MessageType.CONDITIONAL_ORDER), int(MessageType.MASS_QUOTE), int(MessageType.ACCOUNT_QUERY)
_OP_NEW, _OP_QUOTE = int(Op.NEW), int(Op.QUOTE)
_LIMIT, _GTC, _GTD, _POST_ONLY = int(OrderType.LIMIT), int(TimeInForce.GTC), int(TimeInForce.GTD), int(OrderFlag.POST_ONLY)
_SUBMITTED, _PARTIAL = int(OrderState.SUBMITTED), int(OrderState.PARTIALLY_FILLED)
_THROTTLED, _UNKNOWN_INSTRUMENT = int(Reject.SESSION_THROTTLED), int(Reject.VENUE_UNKNOWN_INSTRUMENT)
_MARKET, _MALFORMED = int(OrderType.MARKET), int(Reject.SESSION_MALFORMED)


# -- questions -------------------------------------------------------------------------------------------------------


@inner_kernel
def _status(venue: Exchange, account: int, instrument: int, client_order_id: int, order_id: int, state: int, filled: int, leaves: int) -> None:
    seq, ts = next_message_sequence(venue, account), venue.state[0].ts
    post(venue, account, encode_order_status(venue.message, 0, instrument, seq, ts, client_order_id, order_id, state, filled, leaves))


@inner_kernel
def open_status(venue: Exchange, slot: int) -> None:
    """ORDER_STATUS of an open order, to its owner."""
    order = venue.books.orders[slot]
    state = _PARTIAL if order.filled > 0 else _SUBMITTED
    _status(venue, np.int64(order.account), order.instrument, order.client_order_id, order.order_id, state, order.filled, order.leaves)


@inner_kernel
def _query(venue: Exchange, account: int, client_order_id: int) -> None:
    slot = find_key(venue.books.table, account, client_order_id)
    if slot != 0:
        open_status(venue, slot)
        return
    place = closed_place(venue, account, client_order_id)
    if place < 0:
        _status(venue, account, -1, client_order_id, 0, 0, 0, 0)
    else:
        row = venue.closed[place]
        _status(venue, account, row.instrument, client_order_id, row.order_id, row.state, row.filled, 0)


@inner_kernel
def _account_status(venue: Exchange, account: int) -> None:
    unrealised, initial, maintenance, isolated = measure(venue, account)
    initial, maintenance = initial + isolated, maintenance + isolated  # all that isolated positions have is bound
    seq, wallet = next_message_sequence(venue, account), venue.accounts[account].wallet_e8
    post(venue, account, encode_account_status(venue.message, 0, seq, venue.state[0].ts, wallet, unrealised, initial, maintenance))


# -- orders ----------------------------------------------------------------------------------------------------------


@inner_kernel
def _throttled(venue: Exchange, account: int) -> bool:
    """Token bucket: each order costs an interval of the time that has passed, and only so much time can be saved up."""
    state, owner = venue.state[0], venue.accounts[account]
    if state.order_interval_ns == 0:
        return False
    owner.credit_ns = min(state.order_burst_ns, owner.credit_ns + state.ts_mono - owner.ts_credit)
    owner.ts_credit = state.ts_mono
    if owner.credit_ns < state.order_interval_ns:
        state.n_throttled += 1
        return True
    owner.credit_ns -= state.order_interval_ns
    return False


@inner_kernel
def _new_order(venue: Exchange, account: int, instrument: int, body: Any, conditional: bool) -> None:
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
def _mass_quote(venue: Exchange, account: int, instrument: int, body: Any) -> None:
    """Withdraw both sides of the last quote, then place the new ones: so that a quote can move past its own other side."""
    command = venue.command[0]
    if instrument < 0 or instrument >= venue.instruments.size:
        record_refusal(venue, account, instrument, body[0], _UNKNOWN_INSTRUMENT, False)
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
def _place(venue: Exchange, account: int, kind: int, instrument: int, body: Any) -> None:
    """A frame that asks for an order, if the account may send one now."""
    if _throttled(venue, account):
        record_refusal(venue, account, instrument, body[0], _THROTTLED, False)
    elif kind == _REPLACE_ORDER:
        replace_order(venue, account, instrument, body)
    elif kind == _MASS_QUOTE:
        _mass_quote(venue, account, instrument, body)
    else:
        _new_order(venue, account, instrument, body, kind == _CONDITIONAL)


@inner_kernel
def request(venue: Exchange, account: int, kind: int, instrument: int, body: Any) -> int:
    """One frame of an account that is logged on; `body`: its int64 words after the header. Returns a Reject code; not 0 ends the session."""
    if kind == _NEW_ORDER or kind == _REPLACE_ORDER or kind == _CONDITIONAL or kind == _MASS_QUOTE:
        _place(venue, account, kind, instrument, body)
    elif kind == _CANCEL_ORDER:
        cancel_order(venue, account, instrument, body[0])
    elif kind == _CANCEL_ALL:
        if instrument >= venue.instruments.size:
            record_refusal(venue, account, instrument, 0, _UNKNOWN_INSTRUMENT, True)
        else:
            cancel_all(venue, account, instrument, 0)
    elif kind == _ORDER_QUERY:
        _query(venue, account, body[0])
    elif kind == _ACCOUNT_QUERY:
        _account_status(venue, account)
    else:
        return _MALFORMED
    return 0
