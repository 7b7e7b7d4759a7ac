"""REST answers that fill the holes of the user data stream: positions, and the trades of an order. As in market.py a reader gives a position or
`refused(counter)`.
"""

from __future__ import annotations

from hftkit.kernels.arrays import Int64Array, LineState, OctetArray
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.kernels.wire.binance import state as s
from hftkit.kernels.wire.binance.account import position_rows, tell_positions
from hftkit.kernels.wire.binance.decimal import REFUSED
from hftkit.kernels.wire.binance.fees import fee_of, note_fee
from hftkit.kernels.wire.binance.json import FALSE, TRUE, next_item, scan_object, skip_space, skip_value, text_number
from hftkit.kernels.wire.binance.market import amount_of, id_of, instrument_of, refused, time_of
from hftkit.kernels.wire.binance.names import key_table
from hftkit.kernels.wire.binance.state import Counter
from hftkit.kernels.wire.binance.tracks import book_fill, trades_arrived
from hftkit.kernels.wire.binance.user import SIDES

_TRADE = ["symbol", "id", "orderId", "side", "price", "qty", "commission", "commissionAsset", "maker", "time"]
TRADE_KEYS = key_table(_TRADE)
N_TRADE = len(_TRADE)
_tsymbol, _tid, _torder, _tside, _tprice, _tqty, _tfee, _tasset, _tmaker, _ttime = range(N_TRADE)

_C = Counter
_NOT_JSON, _WRONG_TYPE, _OUT_OF_RANGE, _UNKNOWN_ORDERS = int(_C.NOT_JSON), int(_C.WRONG_TYPE), int(_C.OUT_OF_RANGE), int(_C.UNKNOWN_ORDERS)


@inner_kernel
def rest_positions(line: LineState, data: OctetArray, start: int, end: int, words: Int64Array, position: int) -> int:
    """Body of GET positionRisk: a POSITION for every instrument (lots), those that it does not list are flat."""
    at = check_array(data, start, end)
    if at < 0:
        return refused(_NOT_JSON)
    for i in range(line.positions.size):
        line.positions[i] = 0
    status = position_rows(line, data, at, end)
    return tell_positions(line, line.state[s.TS_SERVER], words, position) if status == 0 else status


@kernel
def check_array(data: OctetArray, start: int, end: int) -> int:
    """Position of the opening bracket if data[start:end] (uint8) is one JSON array, else -1."""
    at = skip_space(data, start, end)
    if at >= end or data[at] != 91:
        return -1
    after = skip_value(data, at, end)
    return at if after > 0 and skip_space(data, after, end) == end else -1


@inner_kernel
def rest_trades(line: LineState, data: OctetArray, start: int, end: int, t_recv: int, words: Int64Array, position: int) -> int:
    """Body of GET userTrades of one order (oldest first): the fills that were missing."""
    at = check_array(data, start, end)
    if at < 0:
        return refused(_NOT_JSON)
    k, slot = line.inner, -1
    at = next_item(data, at + 1, end)
    while at >= 0:
        at = scan_object(data, at, end, TRADE_KEYS, k, N_TRADE)
        if at < 0:
            line.counters[_WRONG_TYPE] += 1
            break
        slot = _order_of(line, data, slot)
        if slot >= 0:
            after = _rest_fill(line, data, slot, t_recv, words, position)
            if after < 0:
                line.counters[-1 - after] += 1
                break  # the fills behind it would leave a hole
            position = after
        at = next_item(data, at, end)
    if slot >= 0:
        trades_arrived(line, slot, t_recv)
    return position


@inner_kernel
def _order_of(line: LineState, data: OctetArray, slot: int) -> int:
    """Slot of the order that a userTrades row belongs to; `slot` is that of the row before."""
    k = line.inner
    order_id, instrument = id_of(data, k, _torder), instrument_of(line, data, k, _tsymbol)
    if order_id < 0 or instrument < 0:
        line.counters[-1 - min(order_id, instrument)] += 1
        return -1
    if slot >= 0 and line.tracks[slot].order_id == order_id and line.tracks[slot].instrument == instrument:
        return slot
    for i in range(line.tracks.size):
        o = line.tracks[i]
        if o.order_id == order_id and o.instrument == instrument:
            return i
    line.counters[_UNKNOWN_ORDERS] += 1
    return -1


@inner_kernel
def _rest_fill(line: LineState, data: OctetArray, slot: int, t_recv: int, words: Int64Array, position: int) -> int:
    k = line.inner
    o = line.tracks[slot]
    c = line.scales[o.instrument]
    trade_id, ts = id_of(data, k, _tid), time_of(data, k, _ttime)
    price, qty = amount_of(data, k, _tprice, c.tick_mantissa, c.tick_decimals), amount_of(data, k, _tqty, c.lot_mantissa, c.lot_decimals)
    side, maker = text_number(data, k, _tside, SIDES), 1 if k[_tmaker, 0] == TRUE else 0
    if trade_id < 0 or ts < 0 or price < 0 or qty < 0:
        return min(min(trade_id, ts), min(price, qty))
    fee = fee_of(line, data, k, _tfee, _tasset, o.instrument, price, qty, maker)
    if fee == REFUSED or side != o.side or price == 0 or qty == 0 or (k[_tmaker, 0] != TRUE and k[_tmaker, 0] != FALSE):
        return refused(_OUT_OF_RANGE)
    if trade_id <= o.last_trade or o.filled + qty > o.qty:
        return position
    note_fee(line)
    return book_fill(line, slot, trade_id, qty, price, fee, maker, ts, t_recv, words, position)
