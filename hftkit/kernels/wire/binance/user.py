"""The user data stream: orders and fills. Balances, positions and funding: account.py. The REST answers that fill its holes: rest_answers.py.

Fills are booked from ORDER_TRADE_UPDATE (and userTrades) alone; TRADE_LITE is a hint and only counted. Fills of orders that this session did not send
are told too, as what they are (external.py). What the venue calls final is final: FILLED, CANCELED, EXPIRED end an order whatever it was sent with,
and the rest of it is gone. As in market.py a message is taken whole or not at all, and a reader gives a position or `refused(counter)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import Reject
from hftkit.kernels.arrays import Int64Array, LineState, OctetArray
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.kernels.market.depth_sync import ask
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.account import account_update
from hftkit.kernels.wire.binance.decimal import REFUSED, is_text
from hftkit.kernels.wire.binance.expected import scan_expected, template, texts
from hftkit.kernels.wire.binance.external import count_external, forced_by, is_told, tell_external_fill
from hftkit.kernels.wire.binance.fees import fee_of, note_fee
from hftkit.kernels.wire.binance.json import ABSENT, FALSE, OBJECT, STRING, TRUE, scan_object, skip_space, text_number
from hftkit.kernels.wire.binance.market import amount_of, id_of, instrument_of, refused, time_of, why_not
from hftkit.kernels.wire.binance.names import key_table
from hftkit.kernels.wire.binance.state import Counter, Request
from hftkit.kernels.wire.binance.tracks import acknowledged, doubt, ended, filled, is_tracked, rejected, track_of

_TOP = ["stream", "data", "e", "E", "T", "o", "a", "ac", "ai", "listenKey"]
TOP_KEYS = key_table(_TOP)
N_TOP = len(_TOP)
_STREAM, _DATA, _e, _E, _T, _o, _a, _ac, _ai, _KEY = range(N_TOP)

_ORDER = ["s", "c", "S", "o", "f", "q", "p", "x", "X", "i", "l", "z", "L", "n", "N", "T", "t", "m", "ps", "er"]
ORDER_KEYS = key_table(_ORDER)
N_ORDER = len(_ORDER)
# The order of captures; `n`, `N`, `er` may be missing
_ORDER_ROWS = template(
    '{"e":"ORDER_TRADE_UPDATE","T":# ,"E":# ,"o":{"s":$ ,"c":$ ,"S":$ ,"o":$ ,"f":$ ,"q":$ ,"p":$ ,"ap":$ ,"sp":$ ,"x":$ ,"X":$ ,"i":# ,"l":$ ,"z":$ '
    ',"L":$ ?,"n":$ ?,"N":$ ,"T":# ,"t":# ,"b":$ ,"a":$ ,"m":! ,"R":! ,"wt":$ ,"ot":$ ,"ps":$ ,"cp":! ,"rp":$ ,"pP":! ,"si":# ,"ss":# ,"V":$ ,"pm":$ '
    ',"gtd":# ?,"er":$ }}',
    {key: i for i, key in enumerate(_ORDER)},
)
_LITERALS = texts()
_os, _oc, _oS, _oo, _of, _oq, _op, _ox, _oX, _oi, _ol, _oz, _oL, _on, _oN, _oT, _ot, _om, _ops, _oer = range(N_ORDER)

(ORDER_UPDATE, ACCOUNT_UPDATE, TRADE_LITE, ALGO, EXPIRED, MARGIN_CALL, CONFIG, SHUTDOWN, OTHER) = range(9)
EVENTS = key_table(
    {"ORDER_TRADE_UPDATE": ORDER_UPDATE, "ACCOUNT_UPDATE": ACCOUNT_UPDATE, "TRADE_LITE": TRADE_LITE, "ALGO_UPDATE": ALGO, "MARGIN_CALL": MARGIN_CALL}
    | {"listenKeyExpired": EXPIRED, "ACCOUNT_CONFIG_UPDATE": CONFIG, "serverShutdown": SHUTDOWN, "STRATEGY_UPDATE": OTHER, "GRID_UPDATE": OTHER}
)
SIDES = key_table(["BUY", "SELL"])
EX_NEW, EX_CANCELED, EX_CALCULATED, EX_EXPIRED, EX_TRADE, EX_AMENDMENT, EX_REJECTED = range(7)
EXECUTIONS = key_table(["NEW", "CANCELED", "CALCULATED", "EXPIRED", "TRADE", "AMENDMENT", "REJECTED"])
ST_NEW, ST_PARTIAL, ST_FILLED, ST_CANCELED, ST_EXPIRED, ST_IN_MATCH, ST_REJECTED, ST_INSURANCE, ST_ADL = range(9)
STATUSES = key_table(["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED", "NEW_INSURANCE", "NEW_ADL"])
_GTD, _GTX, _NO_REASON = key_table(["GTD"]), key_table(["GTX"]), key_table(["0"])
_REASONS = np.zeros(10, np.int64)  # by `er`
_REASONS[[1, 3]], _REASONS[4], _REASONS[5], _REASONS[7] = (
    Reject.BOOK_SELF_TRADE,
    Reject.VENUE_REDUCE_ONLY,
    Reject.VENUE_LIQUIDATION,
    Reject.VENUE_MARKET_CLOSED,
)
_REASONS[[2, 9]] = Reject.BOOK_NO_LIQUIDITY

_C = Counter
_NOT_JSON, _MISSING, _WRONG_TYPE, _OUT_OF_RANGE = int(_C.NOT_JSON), int(_C.MISSING), int(_C.WRONG_TYPE), int(_C.OUT_OF_RANGE)
_FAST, _GENERAL = int(_C.FAST), int(_C.GENERAL)
_UNKNOWN_EVENT, _IGNORED, _FOREIGN, _FORCED = int(_C.UNKNOWN_EVENT), int(_C.IGNORED), int(_C.FOREIGN_ORDERS), int(_C.FORCED)
_FILLS = int(_C.FILLS)
_ORDER_UPDATES, _HINTS, _ALGO_UPDATES = int(_C.ORDER_UPDATES), int(_C.HINTS), int(_C.ALGO_UPDATES)
_MARGIN_CALLS, _CONFIGS, _KEY_EXPIRED = int(_C.MARGIN_CALLS), int(_C.CONFIG_UPDATES), int(_C.LISTEN_KEY_EXPIRED)
_ASK_KEY, _ASK_RECONNECT, _TELL_FOREIGN = int(Request.LISTEN_KEY), int(Request.RECONNECT), int(Request.FOREIGN_ORDER)
_REDUCE_ONLY, _EXPIRED_DATE, _BAD_ORDER = int(Reject.VENUE_REDUCE_ONLY), int(Reject.VENUE_EXPIRED), int(Reject.VENUE_BAD_TYPE)
_WOULD_TAKE = int(Reject.BOOK_POST_ONLY_WOULD_TAKE)
_ID_BYTES = 18  # hk and 16 hex digits


@kernel
def hex_number(data: OctetArray, start: int, end: int) -> int:
    """16 lower-case hex digits (uint8) as a positive int64, or 0."""
    if end - start != 16:
        return 0
    value: Any = 0
    for i in range(start, end):
        byte = np.int64(data[i])
        digit = byte - 48 if 48 <= byte <= 57 else (byte - 87 if 97 <= byte <= 102 else -1)
        if digit < 0 or (i == start and digit > 7):
            return 0
        value = value * 16 + digit
    return value


@kernel
def client_id(data: OctetArray, tokens: Int64Array, slot: int) -> int:
    """The engine's id in a client order id token (`hk` and 16 hex digits), 0 if it is not ours."""
    start, end = tokens[slot, 1], tokens[slot, 2]
    if tokens[slot, 0] != STRING or end - start != _ID_BYTES or data[start] != 104 or data[start + 1] != 107:
        return 0
    return hex_number(data, start + 2, end)


@kernel
def eight_bytes(data: OctetArray, tokens: Int64Array, slot: int, offset: int) -> int:
    """Bytes `offset` to `offset` + 7 of a text token as a little-endian word, zero padded; 0 if it is no text."""
    word: Any = 0
    if tokens[slot, 0] == STRING:
        for i in range(min(max(tokens[slot, 2] - tokens[slot, 1] - offset, 0), 8)):
            word |= np.int64(data[tokens[slot, 1] + offset + i]) << (8 * i)
    return word


@kernel
def text_code(data: OctetArray, start: int, end: int) -> int:
    """63 bits that stand for the text data[start:end] (uint8), never 0: FNV-1a. Equal texts have equal codes."""
    code: Any = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        code = (code ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
    value: Any = np.int64(code >> np.uint64(1))
    return 1 if value == 0 else value


@inner_kernel
def _tell_foreign(line: LineState, data: OctetArray, client_order_id: int, execution: int) -> None:
    """An order event that is nobody's here goes to the cold side, which decides what it means. `client_order_id` 0: not of our form."""
    k, note = line.inner, line.note
    order_id = id_of(data, k, _oi)
    note[s.FOREIGN_SYMBOL], note[s.FOREIGN_SYMBOL + 1] = eight_bytes(data, k, _os, 0), eight_bytes(data, k, _os, 8)
    note[s.FOREIGN_CLIENT], note[s.FOREIGN_CLIENT + 1] = eight_bytes(data, k, _oc, 0), eight_bytes(data, k, _oc, 8)
    ask(line, _TELL_FOREIGN, execution, client_order_id, max(order_id, 0))


@inner_kernel
def _end_reason(data: OctetArray, k: Int64Array, filled: int) -> int:
    """Why the venue ended an order by itself after `filled` lots (codes.Reject). A post-only order it ended untouched would have taken."""
    if filled == 0 and text_number(data, k, _of, _GTX) == 0 and (k[_oer, 0] == ABSENT or text_number(data, k, _oer, _NO_REASON) == 0):
        return _WOULD_TAKE
    if is_text(k, _oer) and k[_oer, 2] == k[_oer, 1] + 1 and 48 < data[k[_oer, 1]] <= 57:
        return _REASONS[data[k[_oer, 1]] - 48]
    return _EXPIRED_DATE if text_number(data, k, _of, _GTD) == 0 else 0


@inner_kernel
def _order_update(line: LineState, data: OctetArray, t_recv: int, words: Int64Array, position: int) -> int:
    """The `o` object of ORDER_TRADE_UPDATE, its tokens in line.inner."""
    k = line.inner
    if not is_text(k, _oc):
        return refused(_MISSING if k[_oc, 0] == ABSENT else _WRONG_TYPE)
    execution, status = text_number(data, k, _ox, EXECUTIONS), text_number(data, k, _oX, STATUSES)
    coid = client_id(data, k, _oc)
    if coid == 0 or (coid >> 32 != line.state[s.EPOCH] and not is_tracked(line, coid)):
        return _external_update(line, data, coid, execution, status, words, position)
    instrument = instrument_of(line, data, k, _os)
    if instrument < 0:
        _tell_foreign(line, data, coid, execution)
    ts, order_id = time_of(data, k, _oT), id_of(data, k, _oi)
    if instrument < 0 or ts < 0 or order_id < 0:
        return min(instrument, ts, order_id)
    c = line.scales[instrument]
    total, last = amount_of(data, k, _oz, c.lot_mantissa, c.lot_decimals), amount_of(data, k, _ol, c.lot_mantissa, c.lot_decimals)
    if total < 0 or last < 0:
        return min(total, last)
    side = text_number(data, k, _oS, SIDES)
    if execution < 0 or status < 0 or side < 0:
        return refused(_MISSING if k[_ox, 0] == ABSENT or k[_oX, 0] == ABSENT or k[_oS, 0] == ABSENT else _WRONG_TYPE)
    slot = track_of(line, coid)
    if slot < 0:
        _tell_foreign(line, data, coid, execution)
        return position
    o = line.tracks[slot]
    if o.instrument != instrument or o.side != side or total > o.qty or last > total or (o.order_id != 0 and o.order_id != order_id):
        return refused(_OUT_OF_RANGE)
    line.counters[_ORDER_UPDATES] += 1
    if execution == EX_TRADE or execution == EX_CALCULATED:
        position = _fill(line, data, slot, order_id, last, total, ts, t_recv, words, position)
        if position < 0:
            return position
    elif execution == EX_NEW:
        position = acknowledged(line, slot, order_id, ts, words, position)
    elif execution == EX_REJECTED:
        return rejected(line, slot, _BAD_ORDER, ts, words, position)
    return _ending(line, data, slot, order_id, execution, status, total, ts, t_recv, words, position)


@inner_kernel
def _ending(
    line: LineState,
    data: OctetArray,
    slot: int,
    order_id: int,
    execution: int,
    status: int,
    total: int,
    ts: int,
    t_recv: int,
    words: Int64Array,
    position: int,
) -> int:
    """The order is over, if the venue says so: by what happened, or by the status it has now. FILLED with less than was sent: the venue cut it."""
    k = line.inner
    o = line.tracks[slot]
    if execution == EX_CANCELED or status == ST_CANCELED:
        reason = 0
    elif execution == EX_EXPIRED or status == ST_EXPIRED or status == ST_IN_MATCH:
        reason = _end_reason(data, k, total)
    elif status == ST_FILLED and total < o.qty:
        reason = _REDUCE_ONLY
    else:
        return position if execution <= EX_TRADE else refused(_IGNORED)  # an amendment: this engine makes none
    o.order_id = order_id
    return ended(line, slot, total, reason, ts, t_recv, words, position)


@inner_kernel
def _fill(
    line: LineState, data: OctetArray, slot: int, order_id: int, last: int, total: int, ts: int, t_recv: int, words: Int64Array, position: int
) -> int:
    k = line.inner
    o = line.tracks[slot]
    c = line.scales[o.instrument]
    trade_id, price = id_of(data, k, _ot), amount_of(data, k, _oL, c.tick_mantissa, c.tick_decimals)
    if trade_id < 0 or price < 0:
        return min(trade_id, price)
    if price == 0 or last == 0 or trade_id == 0:
        return refused(_OUT_OF_RANGE)
    if k[_om, 0] != TRUE and k[_om, 0] != FALSE:
        return refused(_MISSING if k[_om, 0] == ABSENT else _WRONG_TYPE)
    maker = 1 if k[_om, 0] == TRUE else 0
    fee = fee_of(line, data, k, _on, _oN, o.instrument, price, last, maker)
    if fee == REFUSED:
        return why_not(k, _on, STRING)
    o.order_id = order_id
    before = line.counters[_FILLS]
    position = filled(line, slot, order_id, trade_id, last, total, price, fee, maker, ts, t_recv, words, position)
    if line.counters[_FILLS] > before:
        note_fee(line)
    return position


@inner_kernel
def _external_update(line: LineState, data: OctetArray, client_order_id: int, execution: int, status: int, words: Int64Array, position: int) -> int:
    """An order that this session did not send. What cannot be read of a fill makes the account be compared at once."""
    k = line.inner
    instrument = instrument_of(line, data, k, _os)
    calculated = execution == EX_CALCULATED or status == ST_INSURANCE or status == ST_ADL
    reason = forced_by(data, k, _oc, calculated, status == ST_ADL)
    if reason == 0:
        _tell_foreign(line, data, client_order_id, execution)
    if instrument < 0:
        return refused(_FORCED if reason != 0 else _FOREIGN)
    if execution != EX_TRADE and not calculated:
        if reason != 0:
            doubt(line)
        return refused(_FORCED if reason != 0 else _FOREIGN)
    doubt(line)
    c = line.scales[instrument]
    ts, order_id, side = time_of(data, k, _oT), id_of(data, k, _oi), text_number(data, k, _oS, SIDES)
    total, last = amount_of(data, k, _oz, c.lot_mantissa, c.lot_decimals), amount_of(data, k, _ol, c.lot_mantissa, c.lot_decimals)
    price, trade_id = amount_of(data, k, _oL, c.tick_mantissa, c.tick_decimals), max(id_of(data, k, _ot), 0)
    if ts < 0 or order_id < 0 or total < 0 or last < 0 or price < 0:
        return min(min(ts, order_id), min(min(total, last), price))
    if side < 0 or last > total:
        return refused(_WRONG_TYPE if side < 0 else _OUT_OF_RANGE)
    if last == 0 or price == 0:
        return refused(_FORCED if reason != 0 else _FOREIGN)
    fee = fee_of(line, data, k, _on, _oN, instrument, price, last, 1 if k[_om, 0] == TRUE else 0)
    if fee == REFUSED:
        return why_not(k, _on, STRING)
    count_external(line, reason)
    if is_told(line, instrument, order_id, trade_id, total):
        return position
    note_fee(line)
    return tell_external_fill(line, instrument, order_id, trade_id, side, price, last, fee, reason, ts, words, position)


@inner_kernel
def _count(line: LineState, data: OctetArray, event: int, position: int) -> int:
    """Events that change nothing in the engine: counted, some with a request to the shell."""
    if event == TRADE_LITE:
        line.counters[_HINTS] += 1
    elif event == ALGO:
        line.counters[_ALGO_UPDATES] += 1
    elif event == MARGIN_CALL:
        line.counters[_MARGIN_CALLS] += 1
    elif event == CONFIG:
        line.counters[_CONFIGS] += 1
    elif event == EXPIRED:
        line.counters[_KEY_EXPIRED] += 1
        k = line.tokens
        ask(line, _ASK_KEY, 0, text_code(data, k[_KEY, 1], k[_KEY, 2]) if k[_KEY, 0] == STRING else 0, 0)
    elif event == SHUTDOWN:
        ask(line, _ASK_RECONNECT, 0, 0, 0)
    else:
        return refused(_IGNORED)
    return position


@inner_kernel
def user_message(line: LineState, data: OctetArray, start: int, end: int, t_recv: int, words: Int64Array, position: int) -> int:
    """One message data[start:end] (uint8) of the user data stream. New position in `words`, or `refused`."""
    if scan_expected(data, start, end, _ORDER_ROWS, _LITERALS, line.inner, N_ORDER) == end:
        line.counters[_FAST] += 1
        return _order_update(line, data, t_recv, words, position)
    line.counters[_GENERAL] += 1
    k = line.tokens
    at = scan_object(data, start, end, TOP_KEYS, k, N_TOP)
    if at < 0 or skip_space(data, at, end) != end:
        return refused(_NOT_JSON)
    if k[_e, 0] == ABSENT and k[_DATA, 0] == OBJECT and is_text(k, _STREAM):
        scan_object(data, k[_DATA, 1], k[_DATA, 2], TOP_KEYS, k, N_TOP)
    if not is_text(k, _e):
        return refused(_UNKNOWN_EVENT if k[_e, 0] == ABSENT else _WRONG_TYPE)
    event = text_number(data, k, _e, EVENTS)
    if event < 0:
        return refused(_UNKNOWN_EVENT)
    if event != ORDER_UPDATE and event != ACCOUNT_UPDATE:
        return _count(line, data, event, position)
    body = _o if event == ORDER_UPDATE else _a
    if k[body, 0] != OBJECT:
        return refused(_MISSING if k[body, 0] == ABSENT else _WRONG_TYPE)
    if event == ACCOUNT_UPDATE:
        ts = time_of(data, k, _T)
        return account_update(line, data, k[body, 1], k[body, 2], ts, words, position) if ts >= 0 else ts
    if scan_object(data, k[body, 1], k[body, 2], ORDER_KEYS, line.inner, N_ORDER) < 0:
        return refused(_NOT_JSON)
    return _order_update(line, data, t_recv, words, position)
