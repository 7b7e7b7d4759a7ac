"""The venue's side of the wire: frames that the venue sends, written into int64 buffers (field order: hftkit/layout.py).

Each `encode_*` writes one frame at word `at` of `words` and returns its length in words; the caller has made sure of
layout.MAX_FRAME_WORDS words of room. `instrument`: id, -1 where a frame has none. Prices ticks, quantities lots, money
1e-8 quote, time exchange ns. Decoding a client's frame takes no code: a frame that frame.check_frame passed is read
word by word, body field i at word HEADER_WORDS + i.
"""

from __future__ import annotations

from hftkit.codes import MessageType
from hftkit.kernels.arrays import InstrumentRecord, Int64Array
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.wire.frame import header
from hftkit.layout import FRAME, HEADER_WORDS

_LOGON_ACK, _LOGOUT_ACK, _HEARTBEAT = int(MessageType.LOGON_ACK), int(MessageType.LOGOUT_ACK), int(MessageType.VENUE_HEARTBEAT)
_ORDER_ACK, _ORDER_REJECT, _ORDER_FILL = int(MessageType.ORDER_ACK), int(MessageType.ORDER_REJECT), int(MessageType.ORDER_FILL)
_ORDER_CANCELED, _CANCEL_REJECT = int(MessageType.ORDER_CANCELED), int(MessageType.CANCEL_REJECT)
_ORDER_STATUS, _POSITION, _SESSION_REJECT = int(MessageType.ORDER_STATUS), int(MessageType.POSITION), int(MessageType.SESSION_REJECT)
_INSTRUMENT, _BBO, _TRADE, _DEPTH = int(MessageType.INSTRUMENT), int(MessageType.BBO), int(MessageType.TRADE), int(MessageType.DEPTH)
_TRIGGERED, _ACCOUNT_STATUS, _MARKET_STATUS = int(MessageType.ORDER_TRIGGERED), int(MessageType.ACCOUNT_STATUS), int(MessageType.MARKET_STATUS)
_FUNDING, _EXTERNAL_FILL = int(MessageType.FUNDING), int(MessageType.EXTERNAL_FILL)
_SNAPSHOT_BEGIN, _SNAPSHOT_END = int(MessageType.SNAPSHOT_BEGIN), int(MessageType.SNAPSHOT_END)

DEPTH_WORDS = FRAME[MessageType.DEPTH].words
SNAPSHOT_FRAME_WORDS = FRAME[MessageType.SNAPSHOT_BEGIN].words + FRAME[MessageType.SNAPSHOT_END].words
_B = HEADER_WORDS


@inlined_kernel
def _open(words: Int64Array, at: int, message_type: int, n_fields: int, instrument: int, seq: int) -> int:
    words[at] = header(message_type, _B + n_fields, instrument)
    words[at + 1] = seq
    return _B + n_fields


@kernel
def encode_logon_ack(words: Int64Array, at: int, seq: int, ts: int, account: int, next_seq_out: int) -> int:
    """LOGON_ACK."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, account, next_seq_out
    return _open(words, at, _LOGON_ACK, 3, -1, seq)


@kernel
def encode_logout_ack(words: Int64Array, at: int, seq: int, ts: int) -> int:
    """LOGOUT_ACK."""
    words[at + _B] = ts
    return _open(words, at, _LOGOUT_ACK, 1, -1, seq)


@kernel
def encode_heartbeat(words: Int64Array, at: int, seq: int, ts: int, ts_client: int) -> int:
    """VENUE_HEARTBEAT."""
    words[at + _B], words[at + _B + 1] = ts, ts_client
    return _open(words, at, _HEARTBEAT, 2, -1, seq)


@kernel
def encode_order_ack(words: Int64Array, at: int, instrument: int, seq: int, ts: int, client_order_id: int, order_id: int) -> int:
    """ORDER_ACK."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, client_order_id, order_id
    return _open(words, at, _ORDER_ACK, 3, instrument, seq)


@kernel
def encode_order_reject(words: Int64Array, at: int, instrument: int, seq: int, ts: int, client_order_id: int, reason: int) -> int:
    """ORDER_REJECT."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, client_order_id, reason
    return _open(words, at, _ORDER_REJECT, 3, instrument, seq)


@kernel
def encode_cancel_reject(words: Int64Array, at: int, instrument: int, seq: int, ts: int, client_order_id: int, reason: int) -> int:
    """CANCEL_REJECT."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, client_order_id, reason
    return _open(words, at, _CANCEL_REJECT, 3, instrument, seq)


@kernel
def encode_order_fill(
    words: Int64Array,
    at: int,
    instrument: int,
    seq: int,
    ts: int,
    client_order_id: int,
    order_id: int,
    trade_id: int,
    side: int,
    maker: int,
    price: int,
    qty: int,
    leaves_qty: int,
    fee_e8: int,
) -> int:
    """ORDER_FILL."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2], words[at + _B + 3] = ts, client_order_id, order_id, trade_id
    words[at + _B + 4], words[at + _B + 5], words[at + _B + 6], words[at + _B + 7] = side, maker, price, qty
    words[at + _B + 8], words[at + _B + 9] = leaves_qty, fee_e8
    return _open(words, at, _ORDER_FILL, 10, instrument, seq)


@kernel
def encode_order_canceled(
    words: Int64Array, at: int, instrument: int, seq: int, ts: int, client_order_id: int, order_id: int, canceled_qty: int, reason: int
) -> int:
    """ORDER_CANCELED."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, client_order_id, order_id
    words[at + _B + 3], words[at + _B + 4] = canceled_qty, reason
    return _open(words, at, _ORDER_CANCELED, 5, instrument, seq)


@kernel
def encode_order_status(
    words: Int64Array, at: int, instrument: int, seq: int, ts: int, client_order_id: int, order_id: int, state: int, filled: int, leaves: int
) -> int:
    """ORDER_STATUS."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, client_order_id, order_id
    words[at + _B + 3], words[at + _B + 4], words[at + _B + 5] = state, filled, leaves
    return _open(words, at, _ORDER_STATUS, 6, instrument, seq)


@kernel
def encode_position(words: Int64Array, at: int, instrument: int, seq: int, ts: int, position: int) -> int:
    """POSITION."""
    words[at + _B], words[at + _B + 1] = ts, position
    return _open(words, at, _POSITION, 2, instrument, seq)


@kernel
def encode_external_fill(
    words: Int64Array,
    at: int,
    instrument: int,
    seq: int,
    ts: int,
    order_id: int,
    trade_id: int,
    side: int,
    price: int,
    qty: int,
    fee_e8: int,
    reason: int,
) -> int:
    """EXTERNAL_FILL."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2], words[at + _B + 3] = ts, order_id, trade_id, side
    words[at + _B + 4], words[at + _B + 5], words[at + _B + 6], words[at + _B + 7] = price, qty, fee_e8, reason
    return _open(words, at, _EXTERNAL_FILL, 8, instrument, seq)


@kernel
def encode_session_reject(words: Int64Array, at: int, seq: int, ts: int, reason: int) -> int:
    """SESSION_REJECT."""
    words[at + _B], words[at + _B + 1] = ts, reason
    return _open(words, at, _SESSION_REJECT, 2, -1, seq)


@kernel
def encode_instrument(words: Int64Array, at: int, instrument: int, seq: int, symbol: Int64Array, scales: InstrumentRecord, count: int) -> int:
    """INSTRUMENT. `symbol`: int64 (2,); `scales`: one layout.INSTRUMENT record; `count`: instruments there are."""
    words[at + _B], words[at + _B + 1] = symbol[0], symbol[1]
    words[at + _B + 2], words[at + _B + 3], words[at + _B + 4] = scales.tick_size_e8, scales.lot_size_e8, scales.min_notional_e8
    words[at + _B + 5], words[at + _B + 6], words[at + _B + 7] = scales.maker_fee_ppm, scales.taker_fee_ppm, count
    return _open(words, at, _INSTRUMENT, 8, instrument, seq)


@kernel
def encode_bbo(words: Int64Array, at: int, instrument: int, seq: int, ts: int, bid: int, bid_qty: int, ask: int, ask_qty: int) -> int:
    """BBO."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, bid, bid_qty
    words[at + _B + 3], words[at + _B + 4] = ask, ask_qty
    return _open(words, at, _BBO, 5, instrument, seq)


@kernel
def encode_trade(words: Int64Array, at: int, instrument: int, seq: int, ts: int, trade_id: int, side: int, price: int, qty: int) -> int:
    """TRADE."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, trade_id, side
    words[at + _B + 3], words[at + _B + 4] = price, qty
    return _open(words, at, _TRADE, 5, instrument, seq)


@kernel
def encode_depth(words: Int64Array, at: int, instrument: int, seq: int, ts: int, side: int, flags: int, price: int, qty: int) -> int:
    """DEPTH."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, side, flags
    words[at + _B + 3], words[at + _B + 4] = price, qty
    return _open(words, at, _DEPTH, 5, instrument, seq)


@kernel
def encode_snapshot_begin(words: Int64Array, at: int, instrument: int, seq: int, ts: int, n_bid: int, n_ask: int) -> int:
    """SNAPSHOT_BEGIN."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, n_bid, n_ask
    return _open(words, at, _SNAPSHOT_BEGIN, 3, instrument, seq)


@kernel
def encode_snapshot_end(words: Int64Array, at: int, instrument: int, seq: int, ts: int) -> int:
    """SNAPSHOT_END."""
    words[at + _B] = ts
    return _open(words, at, _SNAPSHOT_END, 1, instrument, seq)


@kernel
def encode_market_status(words: Int64Array, at: int, instrument: int, seq: int, ts: int, is_open: int) -> int:
    """MARKET_STATUS."""
    words[at + _B], words[at + _B + 1] = ts, is_open
    return _open(words, at, _MARKET_STATUS, 2, instrument, seq)


@kernel
def encode_order_triggered(words: Int64Array, at: int, instrument: int, seq: int, ts: int, client_order_id: int, order_id: int) -> int:
    """ORDER_TRIGGERED."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, client_order_id, order_id
    return _open(words, at, _TRIGGERED, 3, instrument, seq)


@kernel
def encode_account_status(
    words: Int64Array, at: int, seq: int, ts: int, wallet_e8: int, unrealised_e8: int, initial_e8: int, maintenance_e8: int
) -> int:
    """ACCOUNT_STATUS."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2] = ts, wallet_e8, unrealised_e8
    words[at + _B + 3], words[at + _B + 4] = initial_e8, maintenance_e8
    return _open(words, at, _ACCOUNT_STATUS, 5, -1, seq)


@kernel
def encode_funding(words: Int64Array, at: int, instrument: int, seq: int, ts: int, position: int, rate: int, amount_e8: int) -> int:
    """FUNDING. `rate` in 1e-8; `amount_e8`: paid, negative: received."""
    words[at + _B], words[at + _B + 1], words[at + _B + 2], words[at + _B + 3] = ts, position, rate, amount_e8
    return _open(words, at, _FUNDING, 4, instrument, seq)
