"""The backtest's venue takes a request: an order that takes, rests, or both, or a cancel. What the tape does to resting orders: backtest_resting.py.

A taking order takes what the tape shows, and what it took is gone until the tape's next quote of that instrument. A tape shows the touch only;
behind it the venue assumes plan[LEVELS] price levels one tick apart, level k with 1 + plan[GROWTH] * k times the quantity of the touch. One
level: orders meet what was shown and no more. Growth 0: impact linear in size. Growth 2: K levels hold K**2 times the touch, so that the price moves
with the square root of the size, the law found in most markets (Toth et al. 2011, Physical Review X 1, 021006). Each level is a fill of its own.

A declared fast twin of the exchange (hftkit/exchange) on recorded history, without its books, accounts and sockets. The same requests against the
same tape get the same answers from both, in the same order, down to reason and fee: tests/properties/test_backtest_venue_twin.py drives both. What
a limit order good till cancelled does not take comes to rest; a post-only order that would take, and a fill-or-kill order that cannot be filled
whole, are refused. Fees as the instrument states, of a maker or a taker, rounded down to 1e-8 quote.

Where the two differ, by declaration: an account never meets its own orders here; reduce-only is taken at its word (the engine's risk check lets
no more of them leave than there is to reduce); there is no margin; an id may be used again once its order has ended; a closed market, a price
band and the exchange's limits of quantity are not known here, nor orders with a trigger or a date; of levels behind the touch see above.

Funding is paid at the times of a schedule on the positions held then, at the middle of the tape's last two-sided quote: position * middle * rate,
rounded down to 1e-8 quote; longs pay where the rate is positive.
"""

from __future__ import annotations

from hftkit.codes import MessageType, OrderFlag, OrderType, Reject, Side, TimeInForce
from hftkit.kernels.arrays import InstrumentArray
from hftkit.kernels.backtest_desk import (
    ASK,
    BID,
    CLIENT,
    FUNDING_INSTRUMENT,
    FUNDING_NS,
    FUNDING_PAID,
    FUNDING_POSITION,
    FUNDING_RATE,
    GROWTH,
    ID,
    LEVELS,
    NEVER,
    OPEN,
    POSITION,
    TAPE_WORDS,
    BacktestVenueState,
    answer_slot,
    has_room,
    remove,
    report_fill,
    rest,
)
from hftkit.kernels.jit import kernel
from hftkit.kernels.wire.frame import frame_instrument, frame_type
from hftkit.kernels.wire.venue_codec import encode_cancel_reject, encode_funding, encode_order_ack, encode_order_canceled, encode_order_reject

MAX_LEVELS = 16
_REQUEST_ANSWERS = MAX_LEVELS + 2  # frames that one request may be answered with
_RATE_SCALE = 100_000_000
_CANCEL_ORDER, _BBO = int(MessageType.CANCEL_ORDER), int(MessageType.BBO)
_BUY, _LIMIT, _MARKET = int(Side.BUY), int(OrderType.LIMIT), int(OrderType.MARKET)
_GTC, _FOK = int(TimeInForce.GTC), int(TimeInForce.FOK)
_POST_ONLY, _REDUCE_ONLY = int(OrderFlag.POST_ONLY), int(OrderFlag.REDUCE_ONLY)
_BAD_TYPE, _BAD_PRICE, _BAD_QTY = int(Reject.VENUE_BAD_TYPE), int(Reject.VENUE_BAD_PRICE), int(Reject.VENUE_BAD_QTY)
_MIN_NOTIONAL, _DUPLICATE = int(Reject.VENUE_MIN_NOTIONAL), int(Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID)
_NO_LIQUIDITY, _NOT_FILLABLE, _UNKNOWN = int(Reject.BOOK_NO_LIQUIDITY), int(Reject.BOOK_FOK_NOT_FILLABLE), int(Reject.BOOK_UNKNOWN_ORDER)
_BOOK_FULL, _WOULD_TAKE = int(Reject.BOOK_FULL), int(Reject.BOOK_POST_ONLY_WOULD_TAKE)


@kernel
def _slot_of(desk: BacktestVenueState, client_order_id: int) -> int:
    return (client_order_id & 0xFFFFFFFF) % desk.resting.shape[0]


@kernel
def _take(desk: BacktestVenueState, instruments: InstrumentArray, order: int, order_id: int, time_ns: int, trade: bool) -> int:
    """Lots that the NEW_ORDER frame at word `order` can take, level by level within its limit; with `trade` it takes them, a fill a level."""
    words = desk.orders
    instrument, side, qty = frame_instrument(words[order]), words[order + 3], words[order + 8]
    quote = desk.quote[instrument]
    touch, away = (2, 1) if side == _BUY else (0, -1)
    taken, above, filled = quote[4 + side], 0, 0
    for level in range(desk.plan[LEVELS]):
        price = quote[touch] + away * level
        beyond = words[order + 4] == _LIMIT and (price > words[order + 7] if side == _BUY else price < words[order + 7])
        if quote[touch] <= 0 or price <= 0 or beyond or filled == qty:
            break
        shown = quote[touch + 1] * (1 + desk.plan[GROWTH] * level)
        lots = min(qty - filled, above + shown - max(taken + filled, above))
        above += shown
        if lots <= 0:
            continue
        filled += lots
        if trade:
            quote[4 + side] += lots
            report_fill(desk, instruments, 2 * instrument + side, words[order + 2], order_id, 0, price, lots, qty - filled, time_ns)
    return filled


@kernel
def _refused(desk: BacktestVenueState, instruments: InstrumentArray, order: int) -> int:
    """Why the venue refuses the NEW_ORDER frame at word `order` of desk.orders, 0 if it does not: the exchange's filters, in its order."""
    words = desk.orders
    instrument, kind, price, qty = frame_instrument(words[order]), words[order + 4], words[order + 7], words[order + 8]
    tif, flags, row = words[order + 5], words[order + 6], desk.resting[_slot_of(desk, words[order + 2])]
    if row[OPEN] != 0 and row[CLIENT] == words[order + 2]:
        return _DUPLICATE
    if kind < _LIMIT or kind > _MARKET or tif < _GTC or tif > _FOK:
        return _BAD_TYPE
    if flags & _POST_ONLY != 0 and (kind != _LIMIT or tif != _GTC):  # only what may rest
        return _BAD_TYPE
    if qty <= 0:
        return _BAD_QTY
    if kind == _LIMIT and price <= 0:
        return _BAD_PRICE
    quote, ins = desk.quote[instrument], instruments[instrument]
    if kind == _MARKET:
        price = quote[2] if words[order + 3] == _BUY else quote[0]
    if price > 0 and flags & _REDUCE_ONLY == 0 and price * qty * ins.tick_lot_e8 < ins.min_notional_e8:
        return _MIN_NOTIONAL
    if flags & _POST_ONLY != 0 and _take(desk, instruments, order, 0, 0, False) > 0:
        return _WOULD_TAKE
    if tif == _FOK and _take(desk, instruments, order, 0, 0, False) < qty:
        return _NOT_FILLABLE
    if kind == _LIMIT and tif == _GTC and row[OPEN] != 0:
        return _BOOK_FULL
    return 0


@kernel
def _new_order(desk: BacktestVenueState, instruments: InstrumentArray, order: int, time_ns: int) -> None:
    words, loop = desk.orders, desk.loop[0]
    instrument, client_order_id, qty = frame_instrument(words[order]), words[order + 2], words[order + 8]
    reason = _refused(desk, instruments, order)
    slot = answer_slot(desk, time_ns)
    if reason != 0:
        loop.n_rejects += 1
        encode_order_reject(desk.answers, slot, instrument, loop.venue_seq, time_ns, client_order_id, reason)
        return
    loop.next_id += 1
    order_id = loop.next_id
    encode_order_ack(desk.answers, slot, instrument, loop.venue_seq, time_ns, client_order_id, order_id)
    filled = _take(desk, instruments, order, order_id, time_ns, True)
    if filled == qty:
        return
    if words[order + 4] == _LIMIT and words[order + 5] == _GTC:
        book = 2 * instrument + words[order + 3]
        rest(desk, _slot_of(desk, client_order_id), book, order_id, client_order_id, words[order + 7], qty - filled)
        return
    slot = answer_slot(desk, time_ns)
    encode_order_canceled(desk.answers, slot, instrument, loop.venue_seq, time_ns, client_order_id, order_id, qty - filled, _NO_LIQUIDITY)


@kernel
def _cancel(desk: BacktestVenueState, order: int, time_ns: int) -> None:
    instrument, client_order_id = frame_instrument(desk.orders[order]), desk.orders[order + 2]
    at = _slot_of(desk, client_order_id)
    row, slot = desk.resting[at], answer_slot(desk, time_ns)
    if row[OPEN] == 0 or row[CLIENT] != client_order_id:
        encode_cancel_reject(desk.answers, slot, instrument, desk.loop[0].venue_seq, time_ns, client_order_id, _UNKNOWN)
        return
    encode_order_canceled(desk.answers, slot, instrument, desk.loop[0].venue_seq, time_ns, client_order_id, row[ID], row[OPEN], 0)
    remove(desk, at)


@kernel
def request(desk: BacktestVenueState, instruments: InstrumentArray, order: int, time_ns: int) -> bool:
    """The venue works the NEW_ORDER or CANCEL_ORDER frame at word `order` of desk.orders, at its exchange time ns. False: no room for the answers."""
    if not has_room(desk, _REQUEST_ANSWERS):
        return False
    if frame_type(desk.orders[order]) == _CANCEL_ORDER:
        _cancel(desk, order, time_ns)
    else:
        _new_order(desk, instruments, order, time_ns)
    return True


@kernel
def _middle(desk: BacktestVenueState, instrument: int) -> int:
    """Bid + ask (half ticks) of the last two-sided quote of an instrument, 0 if there was none."""
    quote, tape = desk.quote[instrument], desk.tape
    if quote[BID] > 0 and quote[ASK] > 0:
        return quote[BID] + quote[ASK]
    for row in range(desk.loop[0].venue_row - 1, -1, -1):
        base = row * TAPE_WORDS
        if frame_type(tape[base]) == _BBO and frame_instrument(tape[base]) == instrument and tape[base + 3] > 0 and tape[base + 5] > 0:
            return tape[base + 3] + tape[base + 5]
    return 0


@kernel
def pay_funding(desk: BacktestVenueState, instruments: InstrumentArray) -> bool:
    """The next row of desk.funding, the venue's market being that of its time ns: what it costs, and the answer. False: no room for the answer."""
    if not has_room(desk, 1):
        return False
    loop, row = desk.loop[0], desk.funding[desk.loop[0].funding_row]
    time_ns, instrument, rate = row[FUNDING_NS], row[FUNDING_INSTRUMENT], row[FUNDING_RATE]
    position, middle = desk.market[instrument, POSITION], _middle(desk, instrument)
    if position != 0 and middle != 0:
        value = position * middle * instruments[instrument].tick_lot_e8 // 2
        paid = value // _RATE_SCALE * rate + value % _RATE_SCALE * rate // _RATE_SCALE
        row[FUNDING_POSITION], row[FUNDING_PAID] = position, paid
        slot = answer_slot(desk, time_ns)
        encode_funding(desk.answers, slot, instrument, loop.venue_seq, time_ns, position, rate, paid)
    loop.funding_row += 1
    loop.next_funding = desk.funding[loop.funding_row, FUNDING_NS] if loop.funding_row < desk.funding.shape[0] else NEVER
    return True
