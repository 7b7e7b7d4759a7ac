"""What an account is told of its orders and its money: neutral records of the venue (core/layout.py) as frames of this dialect.

The venue calls this for accounts that have a session (sinks.py); each frame takes the account's next sequence number and is kept for a client
that comes back (send_buffer.py).
"""

from __future__ import annotations

from hftkit.exchange.core.layout import BalanceKind, ExecutionKind
from hftkit.exchange.dialects.binary.send_buffer import next_message_sequence, post
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.wire.venue_codec import (
    encode_cancel_reject,
    encode_funding,
    encode_order_ack,
    encode_order_canceled,
    encode_order_fill,
    encode_order_reject,
    encode_order_triggered,
    encode_position,
)

_NEW, _REPLACED, _TRADE, _CANCELED = (int(ExecutionKind[name]) for name in ("NEW", "REPLACED", "TRADE", "CANCELED"))
_TRIGGERED, _CANCEL_REJECTED = int(ExecutionKind.TRIGGERED), int(ExecutionKind.CANCEL_REJECTED)
_FUNDING, _POSITION = int(BalanceKind.FUNDING), int(BalanceKind.POSITION)
_RATE_PER_PPM = 100  # the wire counts rates in 1e-8


@inner_kernel
def answer_execution(venue: Exchange, account: int) -> None:
    """ORDER_ACK, _REJECT, _FILL, _CANCELED, _TRIGGERED or CANCEL_REJECT, from the record in `venue.tap.execution`."""
    row, message = venue.tap.execution[0], venue.message
    kind, instrument, ts, seq = row.kind, row.instrument, row.ts, next_message_sequence(venue, account)
    coid, order_id, price, qty = row.client_order_id, row.order_id, row.last_price, row.last_qty
    if kind == _TRADE:
        n = encode_order_fill(message, 0, instrument, seq, ts, coid, order_id, row.trade_id, row.side, row.maker, price, qty, row.leaves, row.fee_e8)
    elif kind == _NEW or kind == _REPLACED:
        n = encode_order_ack(message, 0, instrument, seq, ts, coid, order_id)
    elif kind == _CANCELED:
        n = encode_order_canceled(message, 0, instrument, seq, ts, coid, order_id, row.qty - row.filled, row.reason)
    elif kind == _TRIGGERED:
        n = encode_order_triggered(message, 0, instrument, seq, ts, coid, order_id)
    elif kind == _CANCEL_REJECTED:
        n = encode_cancel_reject(message, 0, instrument, seq, ts, coid, row.reason)
    else:
        venue.state[0].n_client_rejects += 1
        n = encode_order_reject(message, 0, instrument, seq, ts, coid, row.reason)
    post(venue, account, n)


@inner_kernel
def answer_balance(venue: Exchange, account: int) -> None:
    """FUNDING or POSITION, from the record in `venue.tap.balance`; of other changes this dialect has no frame."""
    row = venue.tap.balance[0]
    if row.kind == _FUNDING:
        seq = next_message_sequence(venue, account)
        n = encode_funding(venue.message, 0, row.instrument, seq, row.ts, row.position, row.rate_ppm * _RATE_PER_PPM, -row.amount_e8)
        post(venue, account, n)
    elif row.kind == _POSITION:
        post(venue, account, encode_position(venue.message, 0, row.instrument, next_message_sequence(venue, account), row.ts, row.position))
