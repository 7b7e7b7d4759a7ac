"""The entry points of a line (hftkit/binance/line.py tells how to use them): payloads to frames, frames to requests, data requests answered.

All three have one fixed signature, so that a loop can take them as first-class functions and does not recompile for a dialect.
"""

from __future__ import annotations

from hftkit.codes import MessageType
from hftkit.kernels.arrays import Int64Array, LineState, OctetArray
from hftkit.kernels.jit import inner_kernel
from hftkit.kernels.market.depth_sync import SYNCED, line_down, show_all, show_nothing
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.encode import encode_frames
from hftkit.kernels.wire.binance.fees import take_fee_price
from hftkit.kernels.wire.binance.market import market_message, rest_depth
from hftkit.kernels.wire.binance.order_api import order_answer
from hftkit.kernels.wire.binance.rest_answers import rest_positions, rest_trades
from hftkit.kernels.wire.binance.state import Counter, Kind
from hftkit.kernels.wire.binance.tracks import ask_everything, next_order_seq
from hftkit.kernels.wire.binance.user import user_message
from hftkit.kernels.wire.frame import frame_instrument, frame_type, frame_words
from hftkit.kernels.wire.venue_codec import encode_heartbeat, encode_logon_ack, encode_logout_ack

_MARKET, _USER, _ORDER_API, _REST_DEPTH = int(Kind.MARKET), int(Kind.USER), int(Kind.ORDER_API), int(Kind.REST_DEPTH)
_REST_ORDER, _REST_POSITION, _REST_TRADES = int(Kind.REST_ORDER), int(Kind.REST_POSITION), int(Kind.REST_TRADES)
_FEE_PRICE = int(Kind.FEE_PRICE)
_LINE_UP, _LINE_DOWN = int(Kind.LINE_UP), int(Kind.LINE_DOWN)
_MESSAGES = int(Counter.MESSAGES)
_SNAPSHOT_REQUEST = int(MessageType.SNAPSHOT_REQUEST)
_BOTH_UP = 3


@inner_kernel
def _due(line: LineState, words: Int64Array, position: int) -> int:
    """What the order line owes the engine: acknowledgement of logon (once order API and user stream are up) and logout, heartbeats."""
    ts = line.state[s.TS_SERVER]
    if line.state[s.LOGON_DUE] != 0 and line.state[s.ORDER_UP] == _BOTH_UP:
        line.state[s.LOGON_DUE], line.state[s.LOGGED_ON] = 0, 1
        position += encode_logon_ack(words, position, next_order_seq(line), ts, 0, 1)
    if line.state[s.LOGOUT_DUE] != 0:
        line.state[s.LOGOUT_DUE], line.state[s.LOGGED_ON] = 0, 0
        position += encode_logout_ack(words, position, next_order_seq(line), ts)
    if line.state[s.HEARTBEAT_DUE] != 0:
        line.state[s.HEARTBEAT_DUE] = 0
        position += encode_heartbeat(words, position, next_order_seq(line), line.state[s.HEARTBEAT_TS], line.state[s.HEARTBEAT_ECHO])
    return position


@inner_kernel
def _line_changed(line: LineState, up: bool, which: int, t_recv: int, words: Int64Array, position: int) -> int:
    if which == _MARKET:
        return position if up else line_down(line, t_recv, words, position)
    bit = 1 if which == _ORDER_API else 2
    if up:
        line.state[s.ORDER_UP] |= bit
        if which == _USER:
            ask_everything(line)  # the stream has no replay
        return _due(line, words, position)
    line.state[s.ORDER_UP] &= ~bit
    return position


@inner_kernel
def _order_side(line: LineState, payload: OctetArray, start: int, end: int, kind: int, t_recv: int, words: Int64Array, position: int) -> int:
    if kind == _USER:
        return user_message(line, payload, start, end, t_recv, words, position)
    if kind == _REST_POSITION:
        return rest_positions(line, payload, start, end, words, position)
    if kind == _REST_TRADES:
        return rest_trades(line, payload, start, end, t_recv, words, position)
    if kind == _FEE_PRICE:
        take_fee_price(line, payload, start, end - start)
        return position
    after = position
    if kind == _ORDER_API or kind == _REST_ORDER:
        after = order_answer(line, payload, start, end, t_recv, words, position)
    return _due(line, words, after) if after >= 0 else after


def translate(line: LineState, payload: OctetArray, start: int, n_bytes: int, kind: int, t_recv: int, words: Int64Array, position: int) -> int:
    """One payload to frames in `words` from `position` (binance_line.py). The new position, -1 if there are not ROOM_WORDS free."""
    if words.size - position < s.ROOM_WORDS:
        return -1
    what, subject, end = kind & 0xFF, kind >> 8, start + n_bytes
    line.counters[_MESSAGES] += 1
    if what == _MARKET:
        after = market_message(line, payload, start, end, t_recv, words, position)
    elif what == _REST_DEPTH:
        after = rest_depth(line, payload, start, end, subject, t_recv, words, position)
    elif what == _LINE_UP or what == _LINE_DOWN:
        after = _line_changed(line, what == _LINE_UP, subject, t_recv, words, position)
    else:
        after = _order_side(line, payload, start, end, what, t_recv, words, position)
    if after < 0:
        line.counters[-1 - after] += 1
        return position
    return after


def encode_orders(line: LineState, words: Int64Array, start: int, end: int, ts_unix_ms: int, out: OctetArray, position: int) -> int:
    """Order entry frames words[start:end] to masked WebSocket frames in out[position:]. The new position."""
    return encode_frames(line, words, start, end, ts_unix_ms, out, position)


def answer_data_requests(line: LineState, words: Int64Array, start: int, end: int, target: Int64Array, position: int) -> int:
    """Market data requests words[start:end] answered in `target` from the line's own books. The new position.

    A SNAPSHOT_REQUEST gets the book if it is whole, else an empty one until it is. SUBSCRIBE needs no answer: the shell subscribes.
    """
    while start < end:
        n = frame_words(words[start])
        if n < 2:
            return position
        instrument = frame_instrument(words[start])
        if frame_type(words[start]) == _SNAPSHOT_REQUEST and 0 <= instrument < line.sync.size and target.size - position >= s.ROOM_WORDS:
            y = line.sync[instrument]
            whole = y.state == SYNCED and y.shown != 0 and line.scales[instrument].depth != 0
            position = show_all(line, instrument, target, position) if whole else show_nothing(line, instrument, target, position)
        start += n
    return position
