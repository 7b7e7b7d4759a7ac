"""Answers of the WebSocket order API, and of REST in the same shape: acknowledgements, refusals, status, unknown outcomes.

The `id` of a request is a letter and the engine's id in 16 hex digits, so the answer says what it answers: n place, c cancel, q status,
m modify, h session.status. Error codes become Reject reasons by a table. A code that leaves open whether the order exists changes nothing in the
engine: the order is asked for (Request.ORDER) until the venue has said what became of it.
"""

from __future__ import annotations

import numpy as np

from hftkit.codes import Reject
from hftkit.kernels.arrays import Int64Array, LineState, OctetArray
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.kernels.market.depth_sync import ask
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.decimal import REFUSED, integer_of, is_text
from hftkit.kernels.wire.binance.json import ABSENT, ARRAY, NULL, OBJECT, STRING, next_item, scan_object, skip_space, text_number
from hftkit.kernels.wire.binance.market import amount_of, id_of, instrument_of, refused, time_of
from hftkit.kernels.wire.binance.names import key_table
from hftkit.kernels.wire.binance.state import Counter, Request
from hftkit.kernels.wire.binance.tracks import absent, acknowledged, ended, next_order_seq, rejected, still_open, track_of
from hftkit.kernels.wire.binance.user import ST_CANCELED, ST_EXPIRED, ST_FILLED, ST_IN_MATCH, ST_REJECTED, STATUSES, hex_number
from hftkit.kernels.wire.venue_codec import encode_cancel_reject

_TOP = ["id", "status", "result", "error", "rateLimits"]
TOP_KEYS = key_table(_TOP)
_ID, _STATUS, _RESULT, _ERROR, _LIMITS = range(5)
_BODY = ["orderId", "symbol", "status", "executedQty", "updateTime", "serverTime", "code", "msg", "rateLimitType", "interval", "count"]
BODY_KEYS = key_table(_BODY)
N_BODY = len(_BODY)
_ORDER_ID, _SYMBOL, _STATE, _EXECUTED, _UPDATED, _SERVER, _CODE, _MSG, _LIMIT_TYPE, _INTERVAL, _COUNT = range(N_BODY)
_LIMIT_TYPES, _SECOND = key_table(["REQUEST_WEIGHT", "ORDERS"]), key_table(["SECOND"])

PLACE, CANCEL, QUERY, MODIFY, HEARTBEAT = b"ncqmh"

_R = Reject
_BY_REASON = {
    _R.SESSION_THROTTLED: (-1003, -1008, -1015),
    _R.SESSION_BAD_SIGNATURE: (-1002, -1021, -1022, -1099, -2014, -2015, -2017, -5028),
    _R.SESSION_MALFORMED: (-1013, *range(-1106, -1099), -1114, -1115, -1117, -1118, -1119, -1127, -1128, -1130, -1136, -4015, -5039, -5040),
    _R.VENUE_UNKNOWN_INSTRUMENT: (-1121, -1110),
    _R.VENUE_BAD_PRICE: (-1111, -4001, -4002, -4013, -4014),
    _R.VENUE_BAD_QTY: (-4003, -4004, -4005, -4023),
    _R.VENUE_MIN_NOTIONAL: (-4164, -5029),
    _R.VENUE_PRICE_BAND: (-4016, -4024, -4131, -4183, -4184),
    _R.VENUE_DUPLICATE_CLIENT_ORDER_ID: (-4116,),
    _R.VENUE_BAD_TYPE: (-1014, -1016, -1020, -1116, -2010, -2026, -4060, -4061, -4120),
    _R.VENUE_INSUFFICIENT_MARGIN: (-2018, -2019, -2024, -2027, -2028),
    _R.VENUE_REDUCE_ONLY: (-2022, -4062, -4087, -4118, -4105, -4106, -4107, -4189, -4400, -4401),
    _R.VENUE_TOO_MANY_ORDERS: (-2025, -4045),
    _R.VENUE_WOULD_TRIGGER: (-2021, -4142),
    _R.VENUE_LIQUIDATION: (-2023,),
    _R.VENUE_MARKET_CLOSED: (-1122, -4088, -4109, -4140, -4141, -4192),
    _R.BOOK_POST_ONLY_WOULD_TAKE: (-5022,),
    _R.BOOK_FOK_NOT_FILLABLE: (-5021,),
    _R.BOOK_NO_LIQUIDITY: (-1112, -2020),
    _R.BOOK_UNKNOWN_ORDER: (-2011, -2013),
}
_ERRORS = np.array(sorted((code, int(reason)) for reason, codes in _BY_REASON.items() for code in codes), np.int64)
_OTHER_REASON = int(Reject.VENUE_BAD_TYPE)  # refused for a reason without a code of ours; the venue's is in line.state[LAST_ERROR]
_REDUCE_ONLY = int(Reject.VENUE_REDUCE_ONLY)
_NOT_FOUND, _CANCEL_UNKNOWN = -2013, -2011

_C = Counter
_NOT_JSON, _MISSING, _WRONG_TYPE, _OUT_OF_RANGE = int(_C.NOT_JSON), int(_C.MISSING), int(_C.WRONG_TYPE), int(_C.OUT_OF_RANGE)
_ANSWERS, _N_ERRORS, _UNKNOWN_OUTCOMES, _IGNORED = int(_C.API_ANSWERS), int(_C.API_ERRORS), int(_C.UNKNOWN_OUTCOMES), int(_C.IGNORED)
_ASK_ORDER = int(Request.ORDER)


@kernel
def reject_reason(code: int) -> int:
    """Reject code of a venue's error code."""
    for i in range(_ERRORS.shape[0]):
        if _ERRORS[i, 0] == code:
            return _ERRORS[i, 1]
    return _OTHER_REASON


@kernel
def is_unknown_outcome(status: int, code: int) -> bool:
    """Whether an error (HTTP status, venue code; 0 if none) leaves open what became of the request: timeouts and most of 5xx.

    -1001 and -1008 say "failed" in so many words. -4116 (duplicate id) says that an earlier copy of the order exists.
    """
    if code == -1001 or code == -1008:
        return False
    return status >= 500 or status == 408 or code == 0 or code == -1000 or code == -1006 or code == -1007 or code == -4116


@inner_kernel
def _rate_limits(line: LineState, data: OctetArray, start: int, end: int) -> None:
    """What is used of the limits (counts), as the answer says."""
    k = line.inner
    at = next_item(data, start + 1, end)
    while at >= 0:
        at = scan_object(data, at, end, BODY_KEYS, k, N_BODY)
        if at < 0:
            return
        kind, count = text_number(data, k, _LIMIT_TYPE, _LIMIT_TYPES), integer_of(data, k, _COUNT)
        if kind >= 0 and count >= 0:
            if kind == 0:
                line.state[s.WEIGHT_1M] = count
            elif text_number(data, k, _INTERVAL, _SECOND) == 0:
                line.state[s.ORDERS_10S] = count
            else:
                line.state[s.ORDERS_1M] = count
        at = next_item(data, at, end)


@inner_kernel
def _ask_outcome(line: LineState, slot: int) -> None:
    o = line.tracks[slot]
    line.counters[_UNKNOWN_OUTCOMES] += 1
    ask(line, _ASK_ORDER, o.instrument, o.client_order_id, o.order_id)


@inner_kernel
def _result(line: LineState, data: OctetArray, letter: int, slot: int, t_recv: int, words: Int64Array, position: int) -> int:
    """An order object (tokens in line.inner) as answer to a request about the order in `slot`."""
    k = line.inner
    o = line.tracks[slot]
    order_id, instrument, state = id_of(data, k, _ORDER_ID), instrument_of(line, data, k, _SYMBOL), text_number(data, k, _STATE, STATUSES)
    ts = time_of(data, k, _UPDATED)
    c = line.scales[o.instrument]
    total = amount_of(data, k, _EXECUTED, c.lot_mantissa, c.lot_decimals)
    if order_id < 0 or instrument < 0 or ts < 0 or total < 0 or state < 0 or instrument != o.instrument or total > o.qty:
        _ask_outcome(line, slot)  # something happened, we cannot read what
        bad = min(min(order_id, instrument), min(ts, total))
        return bad if bad < 0 else refused(_OUT_OF_RANGE)
    if o.order_id != 0 and o.order_id != order_id:
        return refused(_OUT_OF_RANGE)
    if o.order_id == 0 and letter != PLACE:
        o.order_id = order_id
    if state == ST_CANCELED or state == ST_EXPIRED or state == ST_IN_MATCH:
        o.order_id = order_id
        return ended(line, slot, total, 0, ts, t_recv, words, position)
    if state == ST_FILLED and total < o.qty:  # the venue has cut it (reduce only): what it calls final is final
        o.order_id = order_id
        return ended(line, slot, total, _REDUCE_ONLY, ts, t_recv, words, position)
    if state == ST_REJECTED:
        return rejected(line, slot, _OTHER_REASON, ts, words, position)
    if letter == QUERY:
        return still_open(line, slot, order_id, total, ts, t_recv, words, position)
    o.venue_filled = max(o.venue_filled, total)
    if state == ST_FILLED or letter == PLACE or letter == MODIFY:
        return acknowledged(line, slot, order_id, ts, words, position)
    return position  # a cancel that left the order alive: the stream says what happens


@inner_kernel
def _error(line: LineState, letter: int, slot: int, status: int, code: int, t_recv: int, words: Int64Array, position: int) -> int:
    o = line.tracks[slot]
    ts = line.state[s.TS_SERVER]
    if letter == QUERY and code == _NOT_FOUND:
        return absent(line, slot, ts, t_recv, words, position)
    if letter == QUERY:
        return position  # the engine asks again
    if is_unknown_outcome(status, code):
        _ask_outcome(line, slot)
        return position
    if letter == PLACE:
        return rejected(line, slot, reject_reason(code), ts, words, position)
    if o.stage == 3:
        return position
    return position + encode_cancel_reject(words, position, o.instrument, next_order_seq(line), ts, o.client_order_id, reject_reason(code))


@inner_kernel
def _heartbeat(line: LineState, data: OctetArray, echo: int) -> None:
    """Answer to session.status: what DUE will tell the engine (ns)."""
    ts = time_of(data, line.inner, _SERVER)
    if ts >= 0:
        line.state[s.TS_SERVER] = max(line.state[s.TS_SERVER], ts)
    line.state[s.HEARTBEAT_DUE], line.state[s.HEARTBEAT_TS], line.state[s.HEARTBEAT_ECHO] = 1, line.state[s.TS_SERVER], echo


@inner_kernel
def order_answer(line: LineState, data: OctetArray, start: int, end: int, t_recv: int, words: Int64Array, position: int) -> int:
    """One answer data[start:end] (uint8). New position in `words`, or `refused`."""
    k = line.tokens
    at = scan_object(data, start, end, TOP_KEYS, k, 5)
    if at < 0 or skip_space(data, at, end) != end:
        return refused(_NOT_JSON)
    line.counters[_ANSWERS] += 1
    status = integer_of(data, k, _STATUS)
    if k[_LIMITS, 0] == ARRAY:
        _rate_limits(line, data, k[_LIMITS, 1], k[_LIMITS, 2])
    if status == REFUSED:
        return refused(_MISSING if k[_STATUS, 0] == ABSENT else _WRONG_TYPE)
    line.state[s.N_STATUS] = status
    failed = k[_ERROR, 0] == OBJECT or k[_ERROR, 0] == NULL or status != 200
    body = _ERROR if failed else _RESULT
    for i in range(N_BODY):
        line.inner[i, 0] = ABSENT
    if k[body, 0] == OBJECT and scan_object(data, k[body, 1], k[body, 2], BODY_KEYS, line.inner, N_BODY) < 0:
        return refused(_NOT_JSON)
    code = 0
    if failed:
        line.counters[_N_ERRORS] += 1
        code = integer_of(data, line.inner, _CODE)
        code = 0 if code == REFUSED else code
        line.state[s.LAST_ERROR] = code
    if not is_text(k, _ID) or k[_ID, 0] != STRING or k[_ID, 2] - k[_ID, 1] != 17:
        return refused(_IGNORED)  # an answer to the shell's own requests
    letter, subject = data[k[_ID, 1]], hex_number(data, k[_ID, 1] + 1, k[_ID, 2])
    if letter == HEARTBEAT and not failed:
        _heartbeat(line, data, subject)
        return position
    if subject == 0 or (letter != PLACE and letter != CANCEL and letter != QUERY and letter != MODIFY):
        return refused(_IGNORED)
    slot = track_of(line, subject)
    if slot < 0:
        return position
    if failed:
        return _error(line, letter, slot, status, code, t_recv, words, position)
    return _result(line, data, letter, slot, t_recv, words, position)
