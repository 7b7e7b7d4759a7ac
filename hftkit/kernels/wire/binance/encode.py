"""The engine's order entry frames as requests of the WebSocket order API: JSON text in masked WebSocket frames, signed with HMAC-SHA256 if asked for.

The signature covers all parameters, apiKey included, sorted by name and joined as `k=v` with `&`, without percent-encoding (section 6 of the
venue's reference). Parameters are written in that order, so JSON and signed text grow side by side; `signature` comes last. Ids are deterministic:
the request's is a letter and the engine's id in hex (order_api.py), the order's is `hk` and the same hex.
"""

from __future__ import annotations

import numpy as np

from hftkit.codes import MessageType, OrderFlag, OrderType, TimeInForce
from hftkit.kernels.arrays import Int64Array, LineState, OctetArray
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.order_api import CANCEL, HEARTBEAT, MODIFY, PLACE, QUERY
from hftkit.kernels.wire.binance.state import Counter
from hftkit.kernels.wire.binance.tracks import start_track, track_of
from hftkit.kernels.wire.frame import frame_instrument, frame_type, frame_words
from hftkit.kernels.wire.sha256 import STATE, hmac_sha256
from hftkit.kernels.wire.websocket import MAX_HEADER, TEXT, seal_frame
from hftkit.layout import FRAME

_TEXTS = [
    *("apiKey", "newClientOrderId", "origClientOrderId", "price", "quantity", "recvWindow", "reduceOnly", "selfTradePreventionMode", "side"),
    *("symbol", "timeInForce", "timestamp", "type", "signature", "true", "BUY", "SELL", "LIMIT", "MARKET", "GTC", "IOC", "FOK", "GTX", "NONE"),
    *("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "order.place", "order.cancel", "order.status", "order.modify", "session.status"),
    *('{"id":"', '","method":"', '","params":{', "}}", "hk"),
]
(_API_KEY, _NEW_ID, _ORIG_ID, _PRICE, _QUANTITY, _RECV_WINDOW, _REDUCE_ONLY, _STP, _SIDE) = range(9)
(_SYMBOL, _TIF, _TIMESTAMP, _TYPE, _SIGNATURE, _TRUE, _BUY, _SELL, _LIMIT, _MARKET, _GTC, _IOC, _FOK, _GTX, _NONE) = range(9, 24)
(_TAKER, _MAKER, _BOTH, _M_PLACE, _M_CANCEL, _M_STATUS, _M_MODIFY, _M_SESSION, _OPEN, _METHOD, _PARAMS, _CLOSE, _HK) = range(24, 37)
_BYTES = np.frombuffer("".join(_TEXTS).encode(), np.uint8)
_LENGTHS = np.array([len(text) for text in _TEXTS], np.int64)
_STARTS = np.cumsum(_LENGTHS) - _LENGTHS
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_QUOTE, _COLON, _COMMA, _POINT, _ZERO, _AND, _EQUALS = 34, 58, 44, 46, 48, 38, 61

_F = {kind: FRAME[kind] for kind in (MessageType.NEW_ORDER, MessageType.CANCEL_ORDER, MessageType.ORDER_QUERY, MessageType.REPLACE_ORDER)}
_NEW, _CANCEL_ORDER, _QUERY_ORDER, _REPLACE = (int(kind) for kind in _F)
_LOGON, _LOGOUT, _HEARTBEAT = int(MessageType.LOGON), int(MessageType.LOGOUT), int(MessageType.HEARTBEAT)
_COID, _O_SIDE, _O_TYPE, _O_TIF, _O_FLAGS, _O_PRICE, _O_QTY = (
    _F[MessageType.NEW_ORDER].word(name) for name in ("client_order_id", "side", "order_type", "time_in_force", "flags", "price", "qty")
)
_R_PRICE, _R_QTY = (_F[MessageType.REPLACE_ORDER].word(name) for name in ("price", "qty"))
_IS_LIMIT, _IS_MARKET = int(OrderType.LIMIT), int(OrderType.MARKET)
_POST_ONLY, _ONLY_REDUCE = int(OrderFlag.POST_ONLY), int(OrderFlag.REDUCE_ONLY)
_EXPIRE_TAKER, _EXPIRE_MAKER = int(OrderFlag.EXPIRE_TAKER), int(OrderFlag.EXPIRE_MAKER)
_TIF_TEXT = np.zeros(4, np.int64)
_TIF_TEXT[[TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]] = _GTC, _IOC, _FOK
_ENCODED, _CANCELS, _QUERIES = int(Counter.ORDERS_ENCODED), int(Counter.CANCELS_ENCODED), int(Counter.QUERIES_ENCODED)
_HEARTBEATS, _NOT_ENCODED = int(Counter.HEARTBEATS_ENCODED), int(Counter.NOT_ENCODED)
REQUEST_BYTES = 2048  # the most one request takes, its frame included
_LENGTH = 0  # word of line.number: bytes of the signed text


# -- writing text -----------------------------------------------------------------------------------------------------------


@kernel
def put_text(out: OctetArray, at: int, text: int) -> int:
    """One of the constant texts (index) into out[at:] (uint8). The new end, as of all that follow."""
    for i in range(_LENGTHS[text]):
        out[at + i] = _BYTES[_STARTS[text] + i]
    return at + _LENGTHS[text]


@kernel
def put_bytes(out: OctetArray, at: int, source: OctetArray, start: int, n: int) -> int:
    """source[start:start + n] (uint8)."""
    for i in range(n):
        out[at + i] = source[start + i]
    return at + n


@kernel
def put_hex(out: OctetArray, at: int, value: int, digits: int) -> int:
    """The low `digits` hex digits of an int64."""
    for i in range(digits):
        out[at + i] = _HEX[(value >> (4 * (digits - 1 - i))) & 15]
    return at + digits


@kernel
def put_integer(out: OctetArray, at: int, value: int) -> int:
    """A number that is not negative (int64)."""
    n, rest = 1, value // 10
    while rest > 0:
        n, rest = n + 1, rest // 10
    for i in range(n):
        out[at + n - 1 - i] = _ZERO + value % 10
        value //= 10
    return at + n


@kernel
def put_decimal(out: OctetArray, at: int, steps: int, mantissa: int, decimals: int) -> int:
    """`steps` (not negative) of mantissa / 10 ** decimals as plain decimal text, with all its decimals."""
    value, unit = steps * mantissa, 1
    for _ in range(decimals):
        unit *= 10
    at = put_integer(out, at, value // unit)
    if decimals == 0:
        return at
    out[at] = _POINT
    fraction = value % unit
    for i in range(decimals):
        out[at + decimals - i] = _ZERO + fraction % 10
        fraction //= 10
    return at + decimals + 1


# -- parameters -------------------------------------------------------------------------------------------------------------


@inner_kernel
def _begin(out: OctetArray, at: int, name: int, quoted: bool) -> int:
    out[at] = _QUOTE
    at = put_text(out, at + 1, name)
    out[at], out[at + 1] = _QUOTE, _COLON
    if quoted:
        out[at + 2] = _QUOTE
        return at + 3
    return at + 2


@inner_kernel
def _finish(line: LineState, out: OctetArray, name: int, start: int, at: int, quoted: bool) -> int:
    """Close the parameter whose value is out[start:at], and put it into the signed text too."""
    n, text = line.number[_LENGTH], line.text
    if n > 0:
        text[n] = _AND
        n += 1
    n = put_text(text, n, name)
    text[n] = _EQUALS
    line.number[_LENGTH] = put_bytes(text, n + 1, out, start, at - start)
    if quoted:
        out[at] = _QUOTE
        at += 1
    out[at] = _COMMA
    return at + 1


@inner_kernel
def _word(line: LineState, out: OctetArray, at: int, name: int, value: int) -> int:
    start = _begin(out, at, name, True)
    return _finish(line, out, name, start, put_text(out, start, value), True)


@inner_kernel
def _number(line: LineState, out: OctetArray, at: int, name: int, value: int) -> int:
    start = _begin(out, at, name, False)
    return _finish(line, out, name, start, put_integer(out, start, value), False)


@inner_kernel
def _amount(line: LineState, out: OctetArray, at: int, name: int, steps: int, mantissa: int, decimals: int) -> int:
    start = _begin(out, at, name, True)
    return _finish(line, out, name, start, put_decimal(out, start, steps, mantissa, decimals), True)


@inner_kernel
def _order_id(line: LineState, out: OctetArray, at: int, name: int, client_order_id: int) -> int:
    start = _begin(out, at, name, True)
    return _finish(line, out, name, start, put_hex(out, put_text(out, start, _HK), client_order_id, 16), True)


@inner_kernel
def _symbol(line: LineState, out: OctetArray, at: int, instrument: int) -> int:
    start = _begin(out, at, _SYMBOL, True)
    end = put_bytes(out, start, line.symbols[instrument], 0, line.scales[instrument].symbol_bytes)
    return _finish(line, out, _SYMBOL, start, end, True)


@inner_kernel
def _open(line: LineState, out: OctetArray, position: int, letter: int, subject: int, method: int) -> int:
    """Begin a request: its id, its method, and apiKey where it is signed."""
    line.number[_LENGTH] = 0
    at = put_text(out, position + MAX_HEADER, _OPEN)
    out[at] = letter
    at = put_text(out, put_hex(out, at + 1, subject, 16), _METHOD)
    at = put_text(out, put_text(out, at, method), _PARAMS)
    if line.state[s.SIGNED] == 0:
        return at
    start = _begin(out, at, _API_KEY, True)
    return _finish(line, out, _API_KEY, start, put_bytes(out, start, line.api_key, 0, line.api_key.size), True)


@inner_kernel
def _window(line: LineState, out: OctetArray, at: int) -> int:
    window = line.state[s.RECV_WINDOW]
    return _number(line, out, at, _RECV_WINDOW, window) if window > 0 else at


@inner_kernel
def _close(line: LineState, out: OctetArray, position: int, at: int) -> int:
    """Sign, close the braces, mask. The end of the frame."""
    if line.state[s.SIGNED] != 0:
        hmac_sha256(line.text, line.number[_LENGTH], line.key, line.hash_words)
        at = _begin(out, at, _SIGNATURE, True)
        for i in range(STATE):
            at = put_hex(out, at, line.hash_words[64 + i], 8)
        out[at] = _QUOTE
        at += 2
    at = put_text(out, at - 1, _CLOSE)  # over the last comma
    return seal_frame(out, position, at - position - MAX_HEADER, TEXT, line.state, s.MASK_STATE)


# -- requests ---------------------------------------------------------------------------------------------------------------


@inner_kernel
def _place(line: LineState, words: Int64Array, start: int, instrument: int, ts: int, out: OctetArray, position: int) -> int:
    """order.place of the NEW_ORDER at words[start]."""
    c = line.scales[instrument]
    side, kind, tif, flags = words[start + _O_SIDE], words[start + _O_TYPE], words[start + _O_TIF], words[start + _O_FLAGS]
    price, qty, coid = words[start + _O_PRICE], words[start + _O_QTY], words[start + _COID]
    if (kind != _IS_LIMIT and kind != _IS_MARKET) or tif < 0 or tif > 2 or qty <= 0 or coid <= 0 or (kind == _IS_LIMIT and price <= 0):
        line.counters[_NOT_ENCODED] += 1
        return position
    start_track(line, coid, instrument, side, qty)
    at = _open(line, out, position, PLACE, coid, _M_PLACE)
    at = _order_id(line, out, at, _NEW_ID, coid)
    if kind == _IS_LIMIT:
        at = _amount(line, out, at, _PRICE, price, c.tick_mantissa, c.tick_decimals)
    at = _amount(line, out, at, _QUANTITY, qty, c.lot_mantissa, c.lot_decimals)
    at = _window(line, out, at)
    if flags & _ONLY_REDUCE:
        at = _word(line, out, at, _REDUCE_ONLY, _TRUE)
    if flags & (_EXPIRE_TAKER | _EXPIRE_MAKER):
        both = flags & _EXPIRE_TAKER != 0 and flags & _EXPIRE_MAKER != 0
        at = _word(line, out, at, _STP, _BOTH if both else (_TAKER if flags & _EXPIRE_TAKER else _MAKER))
    at = _word(line, out, at, _SIDE, _SELL if side else _BUY)
    at = _symbol(line, out, at, instrument)
    if kind == _IS_LIMIT:
        at = _word(line, out, at, _TIF, _GTX if flags & _POST_ONLY else _TIF_TEXT[tif])
    at = _number(line, out, at, _TIMESTAMP, ts)
    at = _word(line, out, at, _TYPE, _LIMIT if kind == _IS_LIMIT else _MARKET)
    line.counters[_ENCODED] += 1
    return _close(line, out, position, at)


@inner_kernel
def _by_id(line: LineState, letter: int, method: int, instrument: int, coid: int, ts: int, out: OctetArray, position: int) -> int:
    """order.cancel or order.status of one order."""
    at = _open(line, out, position, letter, coid, method)
    at = _order_id(line, out, at, _ORIG_ID, coid)
    at = _window(line, out, at)
    at = _symbol(line, out, at, instrument)
    at = _number(line, out, at, _TIMESTAMP, ts)
    line.counters[_CANCELS if letter == CANCEL else _QUERIES] += 1
    return _close(line, out, position, at)


@inner_kernel
def _modify(line: LineState, words: Int64Array, start: int, instrument: int, ts: int, out: OctetArray, position: int) -> int:
    """order.modify of the REPLACE_ORDER at words[start]."""
    c, coid = line.scales[instrument], words[start + _COID]
    slot = track_of(line, coid)
    if slot < 0 or words[start + _R_PRICE] <= 0 or words[start + _R_QTY] <= 0:
        line.counters[_NOT_ENCODED] += 1
        return position
    at = _open(line, out, position, MODIFY, coid, _M_MODIFY)
    at = _order_id(line, out, at, _ORIG_ID, coid)
    at = _amount(line, out, at, _PRICE, words[start + _R_PRICE], c.tick_mantissa, c.tick_decimals)
    at = _amount(line, out, at, _QUANTITY, words[start + _R_QTY], c.lot_mantissa, c.lot_decimals)
    at = _window(line, out, at)
    at = _word(line, out, at, _SIDE, _SELL if line.tracks[slot].side else _BUY)
    at = _symbol(line, out, at, instrument)
    at = _number(line, out, at, _TIMESTAMP, ts)
    line.counters[_ENCODED] += 1
    return _close(line, out, position, at)


@inner_kernel
def _cancel_all(line: LineState, instrument: int, ts: int, out: OctetArray, position: int) -> int:
    """CANCEL_ALL: the order API has no word for it, so each open order of this line is cancelled by its id."""
    for slot in range(line.tracks.size):
        o = line.tracks[slot]
        if (o.stage == 1 or o.stage == 2) and (instrument < 0 or o.instrument == instrument) and out.size - position >= REQUEST_BYTES:
            position = _by_id(line, CANCEL, _M_CANCEL, o.instrument, o.client_order_id, ts, out, position)
    return position


@inner_kernel
def _session(line: LineState, words: Int64Array, start: int, kind: int, ts: int, out: OctetArray, position: int) -> int:
    """LOGON and LOGOUT are acknowledged by the line itself; HEARTBEAT becomes session.status, whose answer says the venue's time."""
    if kind == _LOGON:
        line.state[s.LOGON_DUE], line.state[s.LOGGED_ON], line.state[s.ORDER_SEQ] = 1, 0, 0
        return position
    if kind == _LOGOUT:
        line.state[s.LOGOUT_DUE] = 1
        return position
    line.number[_LENGTH] = 0
    at = _open(line, out, position, HEARTBEAT, words[start + 2], _M_SESSION)
    if line.state[s.SIGNED] == 0:
        at += 1  # no parameter, no comma to write over
    else:
        at = _number(line, out, at, _TIMESTAMP, ts)
    line.counters[_HEARTBEATS] += 1
    return _close(line, out, position, at)


@inner_kernel
def encode_request(line: LineState, words: Int64Array, start: int, ts: int, out: OctetArray, position: int) -> int:
    """The order entry frame at words[start] (int64) as a request in out[position:] (uint8, REQUEST_BYTES free). `ts`: Unix ms. New end."""
    word0 = words[start]
    kind, instrument = frame_type(word0), frame_instrument(word0)
    if kind == _LOGON or kind == _LOGOUT or kind == _HEARTBEAT:
        return _session(line, words, start, kind, ts, out, position)
    if kind == 6:
        return _cancel_all(line, instrument, ts, out, position)
    if instrument < 0 or instrument >= line.scales.size:
        line.counters[_NOT_ENCODED] += 1
        return position
    if kind == _NEW:
        return _place(line, words, start, instrument, ts, out, position)
    if kind == _CANCEL_ORDER:
        return _by_id(line, CANCEL, _M_CANCEL, instrument, words[start + _COID], ts, out, position)
    if kind == _QUERY_ORDER:
        return _by_id(line, QUERY, _M_STATUS, instrument, words[start + _COID], ts, out, position)
    if kind == _REPLACE:
        return _modify(line, words, start, instrument, ts, out, position)
    line.counters[_NOT_ENCODED] += 1
    return position


@inner_kernel
def encode_frames(line: LineState, words: Int64Array, start: int, end: int, ts: int, out: OctetArray, position: int) -> int:
    """All order entry frames words[start:end] (int64); what no longer fits in `out` is counted as not encoded. New end."""
    while start < end:
        n = frame_words(words[start])
        if n < 2 or start + n > end:
            line.counters[_NOT_ENCODED] += 1
            return position
        if out.size - position < REQUEST_BYTES:
            line.counters[_NOT_ENCODED] += 1
        else:
            position = encode_request(line, words, start, ts, out, position)
        start += n
    return position
