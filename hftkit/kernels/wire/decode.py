"""Venue frames -> normalised events (MD-2, MD-3): the only reader of venue bytes on the hot path. Owns EVENT."""

from __future__ import annotations

from hftkit.codes import EventKind, MessageType
from hftkit.kernels.arrays import EventArray, EventRecord, Int64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.wire.frame import frame_instrument, frame_type, frame_words
from hftkit.layout import HEADER_WORDS

_LOGON_ACK, _LOGOUT_ACK = int(MessageType.LOGON_ACK), int(MessageType.LOGOUT_ACK)
_VENUE_HEARTBEAT, _ORDER_ACK = int(MessageType.VENUE_HEARTBEAT), int(MessageType.ORDER_ACK)
_ORDER_REJECT, _ORDER_FILL = int(MessageType.ORDER_REJECT), int(MessageType.ORDER_FILL)
_ORDER_CANCELED, _CANCEL_REJECT = int(MessageType.ORDER_CANCELED), int(MessageType.CANCEL_REJECT)
_ORDER_STATUS, _POSITION = int(MessageType.ORDER_STATUS), int(MessageType.POSITION)
_SESSION_REJECT, _INSTRUMENT = int(MessageType.SESSION_REJECT), int(MessageType.INSTRUMENT)
_BBO, _TRADE, _DEPTH = int(MessageType.BBO), int(MessageType.TRADE), int(MessageType.DEPTH)
_SNAPSHOT_BEGIN, _SNAPSHOT_END = int(MessageType.SNAPSHOT_BEGIN), int(MessageType.SNAPSHOT_END)
_MARKET_STATUS, _FUNDING = int(MessageType.MARKET_STATUS), int(MessageType.FUNDING)
_ORDER_TRIGGERED, _ACCOUNT_STATUS = int(MessageType.ORDER_TRIGGERED), int(MessageType.ACCOUNT_STATUS)
_POSITION_CORRECTION = int(MessageType.POSITION_CORRECTION)
_EXTERNAL_FILL = int(MessageType.EXTERNAL_FILL)

# numba takes plain integers, not enum members
EVENT_ACCOUNT_STATUS = int(EventKind.ACCOUNT_STATUS)
EVENT_BBO = int(EventKind.BBO)
EVENT_CANCEL_REJECT = int(EventKind.CANCEL_REJECT)
EVENT_DEPTH = int(EventKind.DEPTH)
EVENT_FUNDING = int(EventKind.FUNDING)
EVENT_INSTRUMENT = int(EventKind.INSTRUMENT)
EVENT_LOGON_ACK = int(EventKind.LOGON_ACK)
EVENT_LOGOUT_ACK = int(EventKind.LOGOUT_ACK)
EVENT_MARKET_STATUS = int(EventKind.MARKET_STATUS)
EVENT_ORDER_ACK = int(EventKind.ORDER_ACK)
EVENT_ORDER_CANCELED = int(EventKind.ORDER_CANCELED)
EVENT_ORDER_FILL = int(EventKind.ORDER_FILL)
EVENT_ORDER_REJECT = int(EventKind.ORDER_REJECT)
EVENT_ORDER_STATUS = int(EventKind.ORDER_STATUS)
EVENT_ORDER_TRIGGERED = int(EventKind.ORDER_TRIGGERED)
EVENT_POSITION = int(EventKind.POSITION)
EVENT_POSITION_CORRECTION = int(EventKind.POSITION_CORRECTION)
EVENT_EXTERNAL_FILL = int(EventKind.EXTERNAL_FILL)
EVENT_SESSION_REJECT = int(EventKind.SESSION_REJECT)
EVENT_SNAPSHOT_BEGIN = int(EventKind.SNAPSHOT_BEGIN)
EVENT_SNAPSHOT_END = int(EventKind.SNAPSHOT_END)
EVENT_TRADE = int(EventKind.TRADE)
EVENT_VENUE_HEARTBEAT = int(EventKind.VENUE_HEARTBEAT)

MALFORMED = -1


@kernel
def clear_event(event: EventArray, kind: int, instrument: int, ts_recv: int, ts_event: int, seq: int) -> None:
    """Start a new event in `event` (EVENT, (1,)): the common fields set, all others 0."""
    e = event[0]
    e.kind = kind
    e.instrument = instrument
    e.ts_recv = ts_recv
    e.ts_event = ts_event
    e.seq = seq
    e.side = 0
    e.flags = 0
    e.price = 0
    e.qty = 0
    e.price2 = 0
    e.qty2 = 0
    e.client_order_id = 0
    e.order_id = 0
    e.trade_id = 0
    e.leaves_qty = 0
    e.fee_e8 = 0
    e.code = 0


@kernel
def decode_market_data(words: Int64Array, start: int, event: EventArray, ts_recv: int, n_instruments: int) -> int:
    """Decode the whole frame at words[start] (int64; checked by `check_frame`) into `event`. Returns its EventKind, or MALFORMED.

    Prices in ticks, quantities in lots; a price or quantity below zero, or an instrument out of range, is malformed.
    """
    word0 = words[start]
    instrument = frame_instrument(word0)
    kind = frame_type(word0)
    if instrument < 0 or instrument >= n_instruments:
        return MALFORMED
    if frame_words(word0) <= HEADER_WORDS:  # every frame of a venue has a time: this one is a client's
        return MALFORMED
    clear_event(event, 0, instrument, ts_recv, words[start + 2], words[start + 1])
    e = event[0]
    if kind == _DEPTH:
        e.kind = EVENT_DEPTH
        e.side = words[start + 3]
        e.flags = words[start + 4]
        e.price = words[start + 5]
        e.qty = words[start + 6]
        if e.price <= 0 or e.qty < 0 or e.side < 0 or e.side > 1:
            return MALFORMED
    elif kind == _TRADE:
        e.kind = EVENT_TRADE
        e.trade_id = words[start + 3]
        e.side = words[start + 4]
        e.price = words[start + 5]
        e.qty = words[start + 6]
        if e.price <= 0 or e.qty <= 0 or e.side < 0 or e.side > 1:
            return MALFORMED
    elif kind == _BBO:
        e.kind = EVENT_BBO
        e.price = words[start + 3]
        e.qty = words[start + 4]
        e.price2 = words[start + 5]
        e.qty2 = words[start + 6]
        if e.price < 0 or e.qty < 0 or e.price2 < 0 or e.qty2 < 0:
            return MALFORMED
    elif kind == _SNAPSHOT_BEGIN:
        e.kind = EVENT_SNAPSHOT_BEGIN
    elif kind == _SNAPSHOT_END:
        e.kind = EVENT_SNAPSHOT_END
    elif kind == _MARKET_STATUS:
        e.kind = EVENT_MARKET_STATUS
        e.code = words[start + 3]
    elif kind == _INSTRUMENT:
        e.kind = EVENT_INSTRUMENT
        e.ts_event = 0
        e.price = words[start + 4]
        e.qty = words[start + 5]
        e.price2 = words[start + 6]
    else:
        return MALFORMED
    return e.kind


@kernel
def decode_order_entry(words: Int64Array, start: int, event: EventArray, ts_recv: int, n_instruments: int) -> int:
    """Decode an order entry answer at words[start] into `event`. Returns its EventKind, or MALFORMED."""
    word0 = words[start]
    instrument = frame_instrument(word0)
    if instrument >= n_instruments:
        return MALFORMED
    kind = frame_type(word0)
    if frame_words(word0) <= HEADER_WORDS:  # every frame of a venue has a time: this one is a client's
        return MALFORMED
    clear_event(event, 0, instrument, ts_recv, words[start + 2], words[start + 1])
    e = event[0]
    if kind == _LOGON_ACK:
        e.kind = EVENT_LOGON_ACK
        e.qty = words[start + 4]
    elif kind == _LOGOUT_ACK:
        e.kind = EVENT_LOGOUT_ACK
    elif kind == _VENUE_HEARTBEAT:
        e.kind = EVENT_VENUE_HEARTBEAT
        e.qty = words[start + 3]
    elif kind == _POSITION:
        e.kind = EVENT_POSITION
        e.qty = words[start + 3]
    elif kind == _POSITION_CORRECTION:
        e.kind = EVENT_POSITION_CORRECTION
        e.qty = words[start + 3]
        e.qty2 = words[start + 4]
    elif kind == _EXTERNAL_FILL:
        return _decode_external_fill(words, start, e, instrument)
    elif kind == _SESSION_REJECT:
        e.kind = EVENT_SESSION_REJECT
        e.code = words[start + 3]
    elif kind == _FUNDING:
        e.kind = EVENT_FUNDING
        e.qty = words[start + 3]
        e.fee_e8 = words[start + 5]
    elif kind == _ORDER_TRIGGERED:
        e.kind = EVENT_ORDER_TRIGGERED
        e.client_order_id = words[start + 3]
        e.order_id = words[start + 4]
    elif kind == _ACCOUNT_STATUS:
        e.kind = EVENT_ACCOUNT_STATUS
    elif _ORDER_ACK <= kind <= _ORDER_STATUS:
        return _decode_order_answer(words, start, e, kind)
    else:
        return MALFORMED
    if (e.kind == EVENT_POSITION or e.kind == EVENT_POSITION_CORRECTION or e.kind == EVENT_FUNDING) and instrument < 0:
        return MALFORMED
    return e.kind


@kernel
def _decode_external_fill(words: Int64Array, start: int, e: EventRecord, instrument: int) -> int:
    e.kind = EVENT_EXTERNAL_FILL
    e.order_id = words[start + 3]
    e.trade_id = words[start + 4]
    e.side = words[start + 5]
    e.price = words[start + 6]
    e.qty = words[start + 7]
    e.fee_e8 = words[start + 8]
    e.code = words[start + 9]
    if instrument < 0 or e.price <= 0 or e.qty <= 0 or e.side < 0 or e.side > 1 or e.code < 0:
        return MALFORMED
    return e.kind


@kernel
def _decode_order_answer(words: Int64Array, start: int, e: EventRecord, kind: int) -> int:
    e.client_order_id = words[start + 3]
    if kind == _ORDER_ACK:
        e.kind = EVENT_ORDER_ACK
        e.order_id = words[start + 4]
    elif kind == _ORDER_REJECT:
        e.kind = EVENT_ORDER_REJECT
        e.code = words[start + 4]
    elif kind == _ORDER_FILL:
        e.kind = EVENT_ORDER_FILL
        e.order_id = words[start + 4]
        e.trade_id = words[start + 5]
        e.side = words[start + 6]
        e.flags = words[start + 7]
        e.price = words[start + 8]
        e.qty = words[start + 9]
        e.leaves_qty = words[start + 10]
        e.fee_e8 = words[start + 11]
        if e.price <= 0 or e.qty <= 0 or e.leaves_qty < 0 or e.side < 0 or e.side > 1:
            return MALFORMED
    elif kind == _ORDER_CANCELED:
        e.kind = EVENT_ORDER_CANCELED
        e.order_id = words[start + 4]
        e.qty = words[start + 5]
        e.code = words[start + 6]
    elif kind == _CANCEL_REJECT:
        e.kind = EVENT_CANCEL_REJECT
        e.code = words[start + 4]
    elif kind == _ORDER_STATUS:
        e.kind = EVENT_ORDER_STATUS
        e.order_id = words[start + 4]
        e.code = words[start + 5]
        e.qty = words[start + 6]
        e.leaves_qty = words[start + 7]
        if e.qty < 0 or e.leaves_qty < 0 or e.code < 0 or e.code > 9:
            return MALFORMED
    else:
        return MALFORMED
    return e.kind
