"""Approved orders and requests -> frames of the binary protocol. Appends to an int64 output buffer, returns the new end.

Every function takes `out` (int64, (capacity,)) and `end` (words used) and writes one frame after it; the caller has made sure that
MAX_FRAME_WORDS fit. `seq` is the session's own sequence number.
"""

from __future__ import annotations

from hftkit.codes import MessageType
from hftkit.kernels.arrays import Int64Array, OrderRecord
from hftkit.kernels.jit import kernel
from hftkit.kernels.wire.frame import header
from hftkit.layout import ALL_INSTRUMENTS, FRAME

_NEW_ORDER, _NEW_ORDER_WORDS = int(MessageType.NEW_ORDER), FRAME[MessageType.NEW_ORDER].words
_CANCEL, _CANCEL_WORDS = int(MessageType.CANCEL_ORDER), FRAME[MessageType.CANCEL_ORDER].words
_QUERY, _QUERY_WORDS = int(MessageType.ORDER_QUERY), FRAME[MessageType.ORDER_QUERY].words
_HEARTBEAT, _HEARTBEAT_WORDS = int(MessageType.HEARTBEAT), FRAME[MessageType.HEARTBEAT].words
_LOGOUT, _LOGOUT_WORDS = int(MessageType.LOGOUT), FRAME[MessageType.LOGOUT].words
_SNAPSHOT, _SNAPSHOT_WORDS = int(MessageType.SNAPSHOT_REQUEST), FRAME[MessageType.SNAPSHOT_REQUEST].words
_SUBSCRIBE, _SUBSCRIBE_WORDS = int(MessageType.SUBSCRIBE), FRAME[MessageType.SUBSCRIBE].words
_CANCEL_ALL, _CANCEL_ALL_WORDS = int(MessageType.CANCEL_ALL), FRAME[MessageType.CANCEL_ALL].words


@kernel
def encode_new_order(out: Int64Array, end: int, seq: int, order: OrderRecord) -> int:
    """NEW_ORDER from an ORDER record."""
    out[end] = header(_NEW_ORDER, _NEW_ORDER_WORDS, order.instrument)
    out[end + 1] = seq
    out[end + 2] = order.client_order_id
    out[end + 3] = order.side
    out[end + 4] = order.order_type
    out[end + 5] = order.time_in_force
    out[end + 6] = order.flags
    out[end + 7] = order.price
    out[end + 8] = order.qty
    return end + _NEW_ORDER_WORDS


@kernel
def encode_cancel(out: Int64Array, end: int, seq: int, instrument: int, client_order_id: int) -> int:
    """CANCEL_ORDER of one order."""
    out[end] = header(_CANCEL, _CANCEL_WORDS, instrument)
    out[end + 1] = seq
    out[end + 2] = client_order_id
    return end + _CANCEL_WORDS


@kernel
def encode_order_query(out: Int64Array, end: int, seq: int, instrument: int, client_order_id: int) -> int:
    """ORDER_QUERY of one order."""
    out[end] = header(_QUERY, _QUERY_WORDS, instrument)
    out[end + 1] = seq
    out[end + 2] = client_order_id
    return end + _QUERY_WORDS


@kernel
def encode_heartbeat(out: Int64Array, end: int, seq: int, ts_client: int) -> int:
    """HEARTBEAT; `ts_client` in ns is echoed by the venue."""
    out[end] = header(_HEARTBEAT, _HEARTBEAT_WORDS, ALL_INSTRUMENTS)
    out[end + 1] = seq
    out[end + 2] = ts_client
    return end + _HEARTBEAT_WORDS


@kernel
def encode_logout(out: Int64Array, end: int, seq: int) -> int:
    """LOGOUT."""
    out[end] = header(_LOGOUT, _LOGOUT_WORDS, ALL_INSTRUMENTS)
    out[end + 1] = seq
    return end + _LOGOUT_WORDS


@kernel
def encode_cancel_all(out: Int64Array, end: int, seq: int) -> int:
    """CANCEL_ALL over all instruments."""
    out[end] = header(_CANCEL_ALL, _CANCEL_ALL_WORDS, ALL_INSTRUMENTS)
    out[end + 1] = seq
    return end + _CANCEL_ALL_WORDS


@kernel
def encode_snapshot_request(out: Int64Array, end: int, seq: int, instrument: int) -> int:
    """SNAPSHOT_REQUEST of one instrument (market data socket)."""
    out[end] = header(_SNAPSHOT, _SNAPSHOT_WORDS, instrument)
    out[end + 1] = seq
    return end + _SNAPSHOT_WORDS


@kernel
def encode_subscribe(out: Int64Array, end: int, seq: int, instrument: int, channels: int) -> int:
    """SUBSCRIBE to `channels` (codes.Channel bits) of one instrument, or of all with ALL_INSTRUMENTS."""
    out[end] = header(_SUBSCRIBE, _SUBSCRIBE_WORDS, instrument)
    out[end + 1] = seq
    out[end + 2] = channels
    return end + _SUBSCRIBE_WORDS
