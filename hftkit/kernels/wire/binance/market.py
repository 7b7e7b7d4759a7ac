"""Market streams and REST depth: bookTicker, depthUpdate, aggTrade, trade, markPriceUpdate, raw or in a combined envelope.

Each reader takes the tokens of one event, and either takes the message whole or gives `refused(counter)`: then nothing of it was done. An event that
names an instrument and cannot be read is a hole in what is known of it: see `_hole`. Prices become
ticks, quantities lots, times ns. What happens to a book is decided in kernels/market/depth_sync.py. `data` is uint8.
"""

from __future__ import annotations

from hftkit.kernels.arrays import Int64Array, LineState, OctetArray
from hftkit.kernels.jit import inlined_kernel, inner_kernel, kernel
from hftkit.kernels.market.depth_sync import doubt_scales, is_late, lose_book, take_depth, take_snapshot, take_ticker, take_trade
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.decimal import REFUSED, integer_of, is_text, parse_steps, steps_of
from hftkit.kernels.wire.binance.expected import scan_expected, template, texts
from hftkit.kernels.wire.binance.json import (
    ABSENT,
    ARRAY,
    BROKEN,
    FALSE,
    OBJECT,
    STRING,
    TRUE,
    put_token,
    scan_object,
    skip_space,
    skip_value,
    text_number,
)
from hftkit.kernels.wire.binance.names import key_table
from hftkit.kernels.wire.binance.state import Counter

_KEYS = [
    *("stream", "data", "e", "E", "T", "s", "u", "U", "pu", "b", "B", "a", "A", "p", "q", "t", "m", "X", "P", "i", "r"),
    *("result", "id", "code", "msg", "error", "lastUpdateId", "bids", "asks", "st", "ps", "nq", "f", "l"),
]
_SLOTS = {key: i for i, key in enumerate(_KEYS)}
N_MARKET = len(_KEYS)
KEYS = key_table(_KEYS)
STREAM, DATA, _e, _E, _T, _s, _u, _U, _pu, _b, _B, _a, _A, _p, _q, _t, _m, _X, _P, _i, _r = range(21)
RESULT, ID, CODE, _MSG, ERROR, _LAST, _BIDS, _ASKS = range(21, 29)
_LEVEL = 40  # tokens of one price level, behind those of the message
assert N_MARKET < _LEVEL

BOOK_TICKER, DEPTH_UPDATE, AGG_TRADE, TRADE, MARK_PRICE, IGNORED = range(6)
EVENTS = key_table(
    {"bookTicker": BOOK_TICKER, "depthUpdate": DEPTH_UPDATE, "aggTrade": AGG_TRADE, "trade": TRADE, "markPriceUpdate": MARK_PRICE}
    | dict.fromkeys(("kline", "continuous_kline", "24hrTicker", "24hrMiniTicker", "forceOrder", "contractInfo", "compositeIndex"), IGNORED)
    | dict.fromkeys(("assetIndexUpdate", "tradingSession"), IGNORED)
)
_MARKET_WORD = key_table(["MARKET"])

# The documented order (captures of 2026; `ps`, `st`, `nq` are missing in older ones)
_TICKER_ROWS = template('{"e":"bookTicker","u":# ,"s":$ ?,"ps":$ ,"b":$ ,"B":$ ,"a":$ ,"A":$ ,"T":# ,"E":# ?,"st":# }', _SLOTS)
_DEPTH_ROWS = template('{"e":"depthUpdate","E":# ,"T":# ,"s":$ ?,"ps":$ ,"U":# ,"u":# ,"pu":# ,"b":@ ,"a":@ ?,"st":# }', _SLOTS)
_AGG_ROWS = template('{"e":"aggTrade","E":# ,"a":# ,"s":$ ,"p":$ ,"q":$ ?,"nq":$ ,"f":# ,"l":# ,"T":# ,"m":! ?,"st":# }', _SLOTS)
_TRADE_ROWS = template('{"e":"trade","E":# ,"T":# ,"s":$ ,"t":# ,"p":$ ,"q":$ ,"X":$ ,"m":! ?,"st":# }', _SLOTS)
_MARK_ROWS = template('{"e":"markPriceUpdate","E":# ,"s":$ ,"p":$ ?,"ap":$ ,"P":$ ,"i":$ ,"r":$ ,"T":# ?,"st":# }', _SLOTS)
_ENVELOPE_ROWS = template('{"stream":$ ,"data":', _SLOTS)
_LITERALS = texts()

_MAX_MS = 9_000_000_000_000  # year 2255: in ns it still fits
_C = Counter
_MISSING, _WRONG_TYPE, _BAD_NUMBER, _OUT_OF_RANGE = int(_C.MISSING), int(_C.WRONG_TYPE), int(_C.BAD_NUMBER), int(_C.OUT_OF_RANGE)
_NOT_JSON, _UNKNOWN_EVENT, _UNKNOWN_SYMBOL, _N_IGNORED = int(_C.NOT_JSON), int(_C.UNKNOWN_EVENT), int(_C.UNKNOWN_SYMBOL), int(_C.IGNORED)
_NO_ROOM, _MARK_PRICES, _CONTROL, _FAST, _GENERAL = int(_C.NO_ROOM), int(_C.MARK_PRICES), int(_C.CONTROL_ANSWERS), int(_C.FAST), int(_C.GENERAL)
_USE_AGG = int(s.Trades.AGG_TRADE)


@inlined_kernel
def refused(counter: int) -> int:
    """What a reader returns instead of a position: the counter (index of state.Counter) of why, as a negative number."""
    return -1 - counter


@kernel
def why_not(tokens: Int64Array, slot: int, wanted: int) -> int:
    """`refused` for a token that did not give a number: absent, another type than `wanted` (a token code), or no such number."""
    kind = tokens[slot, 0]
    if kind == ABSENT:
        return refused(_MISSING)
    return refused(_BAD_NUMBER if kind == wanted else _WRONG_TYPE)


@inner_kernel
def instrument_of(line: LineState, data: OctetArray, tokens: Int64Array, slot: int) -> int:
    """Instrument id of a symbol token, or `refused`."""
    if not is_text(tokens, slot):
        return refused(_MISSING if tokens[slot, 0] == ABSENT else _WRONG_TYPE)
    instrument = text_number(data, tokens, slot, line.symbol_table)
    return instrument if instrument >= 0 else refused(_UNKNOWN_SYMBOL)


@inlined_kernel
def time_of(data: OctetArray, tokens: Int64Array, slot: int) -> int:
    """A time token in ms as ns, or `refused`."""
    ms = integer_of(data, tokens, slot)
    if ms == REFUSED:
        return why_not(tokens, slot, 3)
    return ms * 1_000_000 if 0 <= ms <= _MAX_MS else refused(_OUT_OF_RANGE)


@inlined_kernel
def id_of(data: OctetArray, tokens: Int64Array, slot: int) -> int:
    """An id token (not negative), or `refused`."""
    value = integer_of(data, tokens, slot)
    if value == REFUSED:
        return why_not(tokens, slot, 3)
    return value if value >= 0 else refused(_OUT_OF_RANGE)


@inlined_kernel
def amount_of(data: OctetArray, tokens: Int64Array, slot: int, mantissa: int, decimals: int) -> int:
    """A price or quantity token in steps (not negative), or `refused`."""
    value = steps_of(data, tokens, slot, mantissa, decimals)
    if value == REFUSED:
        return why_not(tokens, slot, STRING)
    return value if value >= 0 else refused(_OUT_OF_RANGE)


@inner_kernel
def _book_ticker(line: LineState, data: OctetArray, t_recv: int, words: Int64Array, position: int) -> int:
    k = line.tokens
    instrument = instrument_of(line, data, k, _s)
    update_id, ts = id_of(data, k, _u), time_of(data, k, _T)
    if instrument < 0 or update_id < 0 or ts < 0:
        return min(instrument, update_id, ts)
    c = line.scales[instrument]
    bid, ask = amount_of(data, k, _b, c.tick_mantissa, c.tick_decimals), amount_of(data, k, _a, c.tick_mantissa, c.tick_decimals)
    bid_qty, ask_qty = amount_of(data, k, _B, c.lot_mantissa, c.lot_decimals), amount_of(data, k, _A, c.lot_mantissa, c.lot_decimals)
    if bid < 0 or ask < 0 or bid_qty < 0 or ask_qty < 0:
        return min(min(bid, ask), min(bid_qty, ask_qty))
    if (bid == 0) != (bid_qty == 0) or (ask == 0) != (ask_qty == 0):
        return refused(_OUT_OF_RANGE)
    sent = time_of(data, k, _E) if k[_E, 0] != ABSENT else ts
    if sent < 0:
        return sent
    return take_ticker(line, instrument, update_id, ts, bid, bid_qty, ask, ask_qty, is_late(line, sent, t_recv), words, position)


@inlined_kernel
def _plain_level(data: OctetArray, at: int, end: int) -> int:
    """If `["digits and points","digits and points"]` begins at `at`: length of the first text * 4096 + length of the whole. Else 0."""
    i = at + 2
    if i >= end or data[at] != 91 or data[at + 1] != 34:
        return 0
    while i < end and 46 <= data[i] <= 57:
        i += 1
    first = i - at - 2
    if i + 2 >= end or data[i] != 34 or data[i + 1] != 44 or data[i + 2] != 34:
        return 0
    i += 3
    while i < end and 46 <= data[i] <= 57:
        i += 1
    if i + 1 >= end or data[i] != 34 or data[i + 1] != 93 or i - at > 4000:
        return 0
    return first * 4096 + i + 2 - at


@kernel
def _any_level(data: OctetArray, at: int, end: int, tokens: Int64Array) -> int:
    """A level in any JSON form: its two values as tokens _LEVEL, _LEVEL + 1; what follows them is skipped. Position after it, or BROKEN."""
    opening = 91
    for i in range(2):
        if at >= end or data[at] != opening:
            return BROKEN
        at = skip_space(data, at + 1, end)
        at = put_token(data, at, end, tokens, _LEVEL + i) if at < end else BROKEN
        if at < 0:
            return BROKEN
        at = skip_space(data, at, end)
        opening = 44
    while at < end and data[at] == 44:
        at = skip_value(data, at + 1, end)
        if at < 0:
            return BROKEN
        at = skip_space(data, at, end)
    return at + 1 if at < end and data[at] == 93 else BROKEN


@inner_kernel
def read_levels(line: LineState, data: OctetArray, slot: int, instrument: int, side: int, ordered: bool) -> int:
    """[[price, quantity], ...] into line.incoming[side]. How many levels, or `refused`. Checks every byte of the span. `ordered`: best first, no
    quantity 0 (a snapshot).
    """
    tokens, c = line.tokens, line.scales[instrument]
    if tokens[slot, 0] != ARRAY:
        return refused(_MISSING if tokens[slot, 0] == ABSENT else _WRONG_TYPE)
    end = tokens[slot, 2] - 1  # at the closing bracket
    at, n, last = skip_space(data, tokens[slot, 1] + 1, end), 0, 0
    while at < end:
        shape = _plain_level(data, at, end)
        if shape > 0:
            first, after = shape >> 12, at + (shape & 4095)
            price = parse_steps(data, at + 2, at + 2 + first, c.tick_mantissa, c.tick_decimals)
            qty = parse_steps(data, at + 5 + first, after - 2, c.lot_mantissa, c.lot_decimals)
        else:
            after = _any_level(data, at, end, tokens)
            if after < 0:
                return refused(_WRONG_TYPE)
            price = steps_of(data, tokens, _LEVEL, c.tick_mantissa, c.tick_decimals)
            qty = steps_of(data, tokens, _LEVEL + 1, c.lot_mantissa, c.lot_decimals)
        if price == REFUSED or qty == REFUSED:
            return refused(_BAD_NUMBER)
        if price <= 0 or qty < 0 or (ordered and (qty == 0 or (n > 0 and (price >= last if side == 0 else price <= last)))):
            return refused(_OUT_OF_RANGE)
        if n == line.incoming.shape[1]:
            return refused(_NO_ROOM)
        line.incoming[side, n, 0] = price
        line.incoming[side, n, 1] = qty
        last = price
        n += 1
        at = skip_space(data, after, end)
        if at < end:
            if data[at] != 44:
                return refused(_WRONG_TYPE)
            at = skip_space(data, at + 1, end)
            if at >= end:
                return refused(_WRONG_TYPE)
    return n


@inner_kernel
def _depth_update(line: LineState, data: OctetArray, t_recv: int, words: Int64Array, position: int) -> int:
    k = line.tokens
    instrument = instrument_of(line, data, k, _s)
    first_id, last_id, previous_id, ts = id_of(data, k, _U), id_of(data, k, _u), id_of(data, k, _pu), time_of(data, k, _T)
    if instrument < 0 or first_id < 0 or last_id < 0 or previous_id < 0 or ts < 0:
        return min(min(instrument, first_id), min(last_id, previous_id), ts)
    if first_id > last_id or previous_id > last_id:
        return refused(_OUT_OF_RANGE)
    if line.scales[instrument].depth == 0:
        return refused(_N_IGNORED)
    sent = time_of(data, k, _E) if k[_E, 0] != ABSENT else ts
    if sent < 0:
        return sent
    n_bid = read_levels(line, data, _b, instrument, 0, False)
    n_ask = read_levels(line, data, _a, instrument, 1, False) if n_bid >= 0 else 0
    if n_bid < 0 or n_ask < 0:
        return min(n_bid, n_ask)
    return take_depth(line, instrument, first_id, last_id, previous_id, ts, sent, n_bid, n_ask, t_recv, words, position)


@inner_kernel
def _trade(line: LineState, data: OctetArray, is_aggregate: bool, words: Int64Array, position: int) -> int:
    k = line.tokens
    if is_aggregate != (line.state[s.USE_TRADES] == _USE_AGG):
        return refused(_N_IGNORED)
    instrument = instrument_of(line, data, k, _s)
    trade_id, ts = id_of(data, k, _a if is_aggregate else _t), time_of(data, k, _T)
    if instrument < 0 or trade_id < 0 or ts < 0:
        return min(instrument, trade_id, ts)
    if k[_m, 0] != TRUE and k[_m, 0] != FALSE:
        return refused(_MISSING if k[_m, 0] == ABSENT else _WRONG_TYPE)
    c = line.scales[instrument]
    price, qty = amount_of(data, k, _p, c.tick_mantissa, c.tick_decimals), amount_of(data, k, _q, c.lot_mantissa, c.lot_decimals)
    if price < 0 or qty < 0:
        return min(price, qty)
    if k[_X, 0] != ABSENT and text_number(data, k, _X, _MARKET_WORD) < 0:
        qty = 0  # insurance fund and deleveraging prints: their id counts, not their volume
    elif price == 0 or qty == 0:
        return refused(_OUT_OF_RANGE)
    side = 1 if k[_m, 0] == TRUE else 0  # m: the buyer was the maker, so the seller was the aggressor
    return take_trade(line, instrument, trade_id, ts, side, price, qty, words, position)


@inner_kernel
def _mark_price(line: LineState, data: OctetArray, position: int) -> int:
    k = line.tokens
    instrument = instrument_of(line, data, k, _s)
    ts, funding_ts = time_of(data, k, _E), time_of(data, k, _T)
    mark, index = amount_of(data, k, _p, 1, 8), amount_of(data, k, _i, 1, 8)
    if instrument < 0 or ts < 0 or funding_ts < 0 or mark < 0 or index < 0:
        return min(min(instrument, ts), min(funding_ts, mark), index)
    funding = 0
    if not (is_text(k, _r) and k[_r, 1] == k[_r, 2]):  # empty for delivery contracts
        funding = steps_of(data, k, _r, 1, 8)
        if funding == REFUSED:
            return why_not(k, _r, STRING)
    row = line.mark[instrument]
    row.ts_event, row.mark_e8, row.index_e8, row.funding_e8, row.funding_ts = ts, mark, index, funding, funding_ts
    line.counters[_MARK_PRICES] += 1
    return position


@inner_kernel
def _hole(line: LineState, data: OctetArray, event: int, why: int, t_recv: int, words: Int64Array, position: int) -> int:
    """An event of market data was refused (`why`: negative, see `refused`). If it names one of our instruments, what it said of it is missing.

    The book of a depth event is lost, and that of a bookTicker where the book is made of these; a trade whose numbers are none makes the scales
    doubtful. New position, or `why`.
    """
    instrument = instrument_of(line, data, line.tokens, _s)
    if instrument < 0 or event == MARK_PRICE or why == refused(_N_IGNORED):
        return why
    is_book = event == DEPTH_UPDATE or (event == BOOK_TICKER and line.scales[instrument].depth == 0)
    if is_book:
        line.counters[-1 - why] += 1
        return lose_book(line, instrument, t_recv, words, position)
    if why == refused(_BAD_NUMBER):
        doubt_scales(line, instrument, t_recv)
    return why


@inner_kernel
def _event(line: LineState, data: OctetArray, event: int, t_recv: int, words: Int64Array, position: int) -> int:
    """One event whose tokens are in line.tokens. New position, or `refused`."""
    if event == BOOK_TICKER:
        return _book_ticker(line, data, t_recv, words, position)
    if event == DEPTH_UPDATE:
        return _depth_update(line, data, t_recv, words, position)
    if event == TRADE or event == AGG_TRADE:
        return _trade(line, data, event == AGG_TRADE, words, position)
    return _mark_price(line, data, position)


@inner_kernel
def _expected_event(line: LineState, data: OctetArray, at: int, end: int) -> int:
    """Tokens of an event in its documented order. Position after it * 8 + event, or BROKEN."""
    if at + 8 > end:
        return BROKEN
    letter, k, event = data[at + 6], line.tokens, BOOK_TICKER
    if letter == 98:
        after = scan_expected(data, at, end, _TICKER_ROWS, _LITERALS, k, N_MARKET)
    elif letter == 100:
        event, after = DEPTH_UPDATE, scan_expected(data, at, end, _DEPTH_ROWS, _LITERALS, k, N_MARKET)
    elif letter == 116:
        event, after = TRADE, scan_expected(data, at, end, _TRADE_ROWS, _LITERALS, k, N_MARKET)
    elif letter == 97:
        event, after = AGG_TRADE, scan_expected(data, at, end, _AGG_ROWS, _LITERALS, k, N_MARKET)
    elif letter == 109:
        event, after = MARK_PRICE, scan_expected(data, at, end, _MARK_ROWS, _LITERALS, k, N_MARKET)
    else:
        return BROKEN
    return after * 8 + event if after > 0 else BROKEN


@inner_kernel
def _expected(line: LineState, data: OctetArray, start: int, end: int, t_recv: int, words: Int64Array, position: int) -> int:
    """The short way; `refused` for whatever is not as documented."""
    at, closing = start, 0
    if start + 2 < end and data[start + 2] == 115:  # {"s: an envelope
        at = scan_expected(data, start, end, _ENVELOPE_ROWS, _LITERALS, line.tokens, N_MARKET)
        closing = 1
        if at < 0:
            return refused(_NOT_JSON)
    found = _expected_event(line, data, at, end)
    if found < 0 or (found >> 3) + closing != end or (closing and data[end - 1] != 125):
        return refused(_NOT_JSON)
    return _event(line, data, found & 7, t_recv, words, position)


@inner_kernel
def _general(line: LineState, data: OctetArray, start: int, end: int, t_recv: int, words: Int64Array, position: int) -> int:
    """Any order, any white space, unknown members: one object, or an envelope around one."""
    k = line.tokens
    at = scan_object(data, start, end, KEYS, k, N_MARKET)
    if at < 0 or skip_space(data, at, end) != end:
        return refused(_NOT_JSON)
    if k[_e, 0] == ABSENT and k[DATA, 0] == OBJECT and is_text(k, STREAM):
        at = scan_object(data, k[DATA, 1], k[DATA, 2], KEYS, k, N_MARKET)
    if not is_text(k, _e):
        if (k[RESULT, 0] != ABSENT and k[ID, 0] != ABSENT) or k[CODE, 0] != ABSENT or k[ERROR, 0] != ABSENT:
            line.counters[_CONTROL] += 1
            return position
        return refused(_UNKNOWN_EVENT if k[_e, 0] == ABSENT else _WRONG_TYPE)
    event = text_number(data, k, _e, EVENTS)
    if event < 0:
        return refused(_UNKNOWN_EVENT)
    if event == IGNORED:
        return refused(_N_IGNORED)
    after = _event(line, data, event, t_recv, words, position)
    return after if after >= 0 else _hole(line, data, event, after, t_recv, words, position)


@inner_kernel
def market_message(line: LineState, data: OctetArray, start: int, end: int, t_recv: int, words: Int64Array, position: int) -> int:
    """One message data[start:end] of a market stream. New position in `words`, or `refused`."""
    after = _expected(line, data, start, end, t_recv, words, position)
    if after >= 0:
        line.counters[_FAST] += 1
        return after
    line.counters[_GENERAL] += 1
    return _general(line, data, start, end, t_recv, words, position)


@inner_kernel
def rest_depth(line: LineState, data: OctetArray, start: int, end: int, instrument: int, t_recv: int, words: Int64Array, position: int) -> int:
    """Body of GET depth for `instrument`. New position, or `refused`. After a body that cannot be used the need for one stands."""
    k = line.tokens
    if instrument < 0 or instrument >= line.sync.size:
        return refused(_UNKNOWN_SYMBOL)
    at = scan_object(data, start, end, KEYS, k, N_MARKET)
    if at < 0 or skip_space(data, at, end) != end:
        return refused(_NOT_JSON)
    last_id = id_of(data, k, _LAST)
    ts = time_of(data, k, _T) if k[_T, 0] != ABSENT else line.sync[instrument].ts_event
    if last_id < 0 or ts < 0:
        return min(last_id, ts)
    n_bid = read_levels(line, data, _BIDS, instrument, 0, True)
    n_ask = read_levels(line, data, _ASKS, instrument, 1, True) if n_bid >= 0 else 0
    if n_bid < 0 or n_ask < 0:
        doubt_scales(line, instrument, t_recv)
        return min(n_bid, n_ask)
    return take_snapshot(line, instrument, last_id, ts, n_bid, n_ask, t_recv, words, position)
