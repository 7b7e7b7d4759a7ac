"""What the engine has been told of each order, so that it is told everything once and in an order that its own table allows.

The venue answers an order up to three times (order API, user stream, a query), in any order, and its stream may lose messages. The engine takes an
illegal move for a fault and halts. So a line keeps, by client order id:

    SENT    -- acknowledged by anyone -->  ACKED   ORDER_ACK, once
    SENT    -- refused -->                 FINAL   ORDER_REJECT
    SENT    -- absent MAX_ABSENT times, for longer than the receive window
            -- -->                         FINAL   ORDER_STATUS "never seen": it cannot appear any more
    any     -- fill that continues ours -> ORDER_FILL; the last one makes it FINAL
    any     -- fill with others missing -> held: the order's trades are asked for, and booked from there by trade id
    any     -- ended, nothing missing -->  FINAL   ORDER_CANCELED; also what the venue calls FILLED with less than was sent (it has cut the order)
    any     -- ended, fills missing -->    kept until they have come
    FINAL   -- anything -->                counted as repeated

Quantities lots, prices ticks, fees 1e-8 quote, times ns. Frames go to `words` from `position`; the new position is returned.
"""

from __future__ import annotations

from hftkit.codes import OrderState, Reject
from hftkit.kernels.arrays import Int64Array, LineState
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.market.depth_sync import RETRY_NS, ask
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.state import Counter, Request
from hftkit.kernels.wire.venue_codec import encode_order_ack, encode_order_canceled, encode_order_fill, encode_order_reject, encode_order_status

FREE, SENT, ACKED, FINAL = range(4)
MAX_ABSENT = 3  # an order may not be visible at once
LONGEST_WINDOW_MS = 5000  # of a venue that is not told another receive window
MAX_TRADE_REQUESTS = 8  # without a pause

_C = Counter
_FILLS, _FILLS_REPEATED, _FILLS_HELD, _REPEATED = int(_C.FILLS), int(_C.FILLS_REPEATED), int(_C.FILLS_HELD), int(_C.REPEATED)
_NOT_VISIBLE, _UNKNOWN_ORDERS = int(_C.NOT_VISIBLE_YET), int(_C.UNKNOWN_ORDERS)
_DOUBTED, _REDUCE_ONLY = int(_C.POSITION_DOUBTED), int(Reject.VENUE_REDUCE_ONLY)
_ASK_TRADES, _ASK_ORDER, _ASK_POSITIONS = int(Request.TRADES), int(Request.ORDER), int(Request.POSITIONS)
_SUBMITTED, _PARTIAL = int(OrderState.SUBMITTED), int(OrderState.PARTIALLY_FILLED)


@inner_kernel
def next_order_seq(line: LineState) -> int:
    """Sequence (count) of the next order entry frame."""
    line.state[s.ORDER_SEQ] += 1
    return line.state[s.ORDER_SEQ]


@inner_kernel
def doubt(line: LineState) -> None:
    """Something says that the account is not what we think: positions are asked for; the cold side, which watches the counter, compares at once."""
    line.counters[_DOUBTED] += 1
    ask(line, _ASK_POSITIONS, 0, 0, 0)


@inner_kernel
def is_tracked(line: LineState, client_order_id: int) -> bool:
    """Whether the line knows this order, of whatever session it is."""
    return client_order_id > 0 and line.tracks[(client_order_id & 0xFFFFFFFF) % line.tracks.size].client_order_id == client_order_id


@inner_kernel
def track_of(line: LineState, client_order_id: int) -> int:
    """Slot of an order of this line, -1 (counted) if it is not in the table."""
    slot = (client_order_id & 0xFFFFFFFF) % line.tracks.size
    if client_order_id > 0 and line.tracks[slot].client_order_id == client_order_id:
        return slot
    line.counters[_UNKNOWN_ORDERS] += 1
    return -1


@inner_kernel
def start_track(line: LineState, client_order_id: int, instrument: int, side: int, qty: int) -> None:
    """An order leaves: its slot (count modulo capacity, as in the engine's table) is taken."""
    line.state[s.EPOCH] = client_order_id >> 32
    o = line.tracks[(client_order_id & 0xFFFFFFFF) % line.tracks.size]
    o.client_order_id, o.order_id, o.instrument, o.side, o.qty = client_order_id, 0, instrument, side, qty
    o.filled, o.venue_filled, o.last_trade, o.stage = 0, 0, 0, SENT
    o.ending, o.end_reason, o.end_ts = 0, 0, 0
    o.absent, o.absent_since, o.asked_trades, o.asked_at = 0, 0, 0, 0


@inner_kernel
def _ask_trades(line: LineState, slot: int, t_recv: int) -> None:
    o = line.tracks[slot]
    if o.asked_at == 0 or t_recv - o.asked_at > RETRY_NS:
        o.asked_at = max(t_recv, 1)
        o.asked_trades += 1
        ask(line, _ASK_TRADES, o.instrument, o.client_order_id, o.order_id)


@inner_kernel
def acknowledged(line: LineState, slot: int, order_id: int, ts: int, words: Int64Array, position: int) -> int:
    """The venue has the order, under its own `order_id`."""
    o = line.tracks[slot]
    if o.stage != SENT:
        line.counters[_REPEATED] += 1
        return position
    o.stage = ACKED
    o.order_id = order_id
    return position + encode_order_ack(words, position, o.instrument, next_order_seq(line), ts, o.client_order_id, order_id)


@inner_kernel
def rejected(line: LineState, slot: int, reason: int, ts: int, words: Int64Array, position: int) -> int:
    """The venue refuses the order. `reason`: codes.Reject."""
    o = line.tracks[slot]
    if o.stage != SENT:
        line.counters[_REPEATED] += 1
        return position
    o.stage = FINAL
    if reason == _REDUCE_ONLY:
        doubt(line)
    return position + encode_order_reject(words, position, o.instrument, next_order_seq(line), ts, o.client_order_id, reason)


@inner_kernel
def absent(line: LineState, slot: int, ts: int, t_recv: int, words: Int64Array, position: int) -> int:
    """The venue does not know the order. It may be on its way: the third such answer (count) is believed, if the first is a receive window old."""
    o = line.tracks[slot]
    o.absent += 1
    if o.absent == 1:
        o.absent_since = t_recv
    window_ms = line.state[s.RECV_WINDOW] if line.state[s.RECV_WINDOW] > 0 else LONGEST_WINDOW_MS
    if o.stage != SENT or o.absent < MAX_ABSENT or t_recv - o.absent_since < window_ms * 1_000_000:
        line.counters[_NOT_VISIBLE] += 1
        return position
    o.stage = FINAL
    return position + encode_order_status(words, position, o.instrument, next_order_seq(line), ts, o.client_order_id, 0, 0, 0, 0)


@inner_kernel
def ended(line: LineState, slot: int, filled: int, reason: int, ts: int, t_recv: int, words: Int64Array, position: int) -> int:
    """The rest of the order is gone, after `filled` lots in all. `reason`: codes.Reject, 0 asked for."""
    o = line.tracks[slot]
    if o.stage == FINAL or o.stage == FREE:
        line.counters[_REPEATED] += 1
        return position
    o.venue_filled = max(o.venue_filled, filled)
    if o.venue_filled > o.filled:
        o.ending, o.end_reason, o.end_ts = 1, reason, ts
        if o.order_id != 0:
            _ask_trades(line, slot, t_recv)
        return position
    o.stage = FINAL
    if reason == _REDUCE_ONLY:
        doubt(line)
    rest = o.qty - o.filled
    return position + encode_order_canceled(words, position, o.instrument, next_order_seq(line), ts, o.client_order_id, o.order_id, rest, reason)


@inner_kernel
def filled(
    line: LineState,
    slot: int,
    order_id: int,
    trade_id: int,
    qty: int,
    total: int,
    price: int,
    fee_e8: int,
    maker: int,
    ts: int,
    t_recv: int,
    words: Int64Array,
    position: int,
) -> int:
    """A fill of `qty` lots, after which the venue has filled `total` lots of the order."""
    o = line.tracks[slot]
    if o.stage == FINAL or trade_id <= o.last_trade or total <= o.filled:
        line.counters[_FILLS_REPEATED] += 1
        return position
    o.venue_filled = max(o.venue_filled, total)
    if o.stage == SENT:
        position = acknowledged(line, slot, order_id, ts, words, position)
    if o.filled + qty != total:
        line.counters[_FILLS_HELD] += 1
        _ask_trades(line, slot, t_recv)
        return position
    return book_fill(line, slot, trade_id, qty, price, fee_e8, maker, ts, t_recv, words, position)


@inner_kernel
def book_fill(
    line: LineState, slot: int, trade_id: int, qty: int, price: int, fee_e8: int, maker: int, ts: int, t_recv: int, words: Int64Array, position: int
) -> int:
    """Tell the engine of a fill that follows the last one it knows (lots, ticks, 1e-8 quote)."""
    o = line.tracks[slot]
    o.filled += qty
    o.last_trade = trade_id
    o.venue_filled = max(o.venue_filled, o.filled)
    line.counters[_FILLS] += 1
    seq, leaves = next_order_seq(line), o.qty - o.filled
    position += encode_order_fill(
        words, position, o.instrument, seq, ts, o.client_order_id, o.order_id, trade_id, o.side, maker, price, qty, leaves, fee_e8
    )
    if leaves == 0:
        o.stage = FINAL
    elif o.ending != 0 and o.filled >= o.venue_filled:
        position = ended(line, slot, o.filled, o.end_reason, o.end_ts, t_recv, words, position)
    return position


@inner_kernel
def trades_arrived(line: LineState, slot: int, t_recv: int) -> None:
    """All trades of an answer were booked: ask again (ns monotonic) if some are still missing."""
    o = line.tracks[slot]
    missing = o.stage != FINAL and o.venue_filled > o.filled
    if missing and o.asked_trades < MAX_TRADE_REQUESTS:
        o.asked_at = 0
        _ask_trades(line, slot, t_recv)
    elif not missing:
        o.asked_at, o.asked_trades = 0, 0


@inner_kernel
def still_open(line: LineState, slot: int, order_id: int, total: int, ts: int, t_recv: int, words: Int64Array, position: int) -> int:
    """A query says that the order is alive, with `total` lots filled."""
    o = line.tracks[slot]
    if o.stage == FINAL:
        line.counters[_REPEATED] += 1
        return position
    if o.stage == SENT:
        position = acknowledged(line, slot, order_id, ts, words, position)
    o.venue_filled = max(o.venue_filled, total)
    if o.venue_filled > o.filled:
        _ask_trades(line, slot, t_recv)
        return position
    state, seq, leaves = _PARTIAL if o.filled > 0 else _SUBMITTED, next_order_seq(line), o.qty - o.filled
    return position + encode_order_status(words, position, o.instrument, seq, ts, o.client_order_id, o.order_id, state, o.filled, leaves)


@inner_kernel
def ask_everything(line: LineState) -> None:
    """The user stream was away, and has no replay: every open order and the positions are asked for. Requests are codes of state.Request."""
    for slot in range(line.tracks.size):
        o = line.tracks[slot]
        if o.stage == SENT or o.stage == ACKED:
            ask(line, _ASK_ORDER, o.instrument, o.client_order_id, o.order_id)
    ask(line, _ASK_POSITIONS, 0, 0, 0)
