"""History + simulated venue + the live step, in one compiled loop. The shell around it is hftkit/backtest.py.

Four things can happen next; the earliest does, and at the same moment in this order: an order arrives at the venue, an answer arrives at the engine,
a market data frame arrives at the engine, a timer runs. Every input reaches the engine as the frame or control that a live session would have
received, so a backtest can be journalled and replayed as one.

The venue keeps the best bid and offer of the tape at its own time, which runs ahead of what the engine has seen by the market data latency. It takes
market, IOC and FOK orders, and what they took is gone until the tape's next quote of that instrument. A tape shows the touch only; behind it the
venue
assumes plan[LEVELS] price levels one tick apart, level k with 1 + plan[GROWTH] * k times the quantity of the touch. One level: orders meet what
was shown and no
more. Growth 0: impact linear in size. Growth 2: K levels hold K**2 times the touch, so that the price moves with the square root of the size, the law
found in most markets (Toth et al. 2011, Physical Review X 1, 021006). Each level is a fill of its own.
It refuses orders that would rest: their place in a queue is hftkit/exchange/history's subject. Fees as the instrument states, rounded down to
1e-8 quote.
"""

from __future__ import annotations

from typing import Any

from hftkit.codes import Control, EventKind, MessageType, OrderFlag, OrderType, RecordType, Reject, Side, TimeInForce
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.memory.journal import append, fits
from hftkit.kernels.replay import keep_fill, keep_sample
from hftkit.kernels.step import commit, decide, sense, take_frame
from hftkit.kernels.wire.decode import clear_event
from hftkit.kernels.wire.frame import FRAME_OK, frame_instrument, frame_type, frame_words
from hftkit.kernels.wire.venue_codec import encode_logon_ack, encode_order_ack, encode_order_canceled, encode_order_fill, encode_order_reject
from hftkit.layout import ALLOWED

TAPE_WORDS = 7  # a BBO or TRADE frame: header, sequence, exchange time ns, four words
QUEUE_SLOTS = 2048  # orders on their way to the venue, and answers on their way back
SLOT_WORDS = 16  # due ns, then the frame
MAX_LEVELS = 16
IN_FLIGHT = 64  # orders; each may be answered by MAX_LEVELS + 2 frames

# Words of desk.plan (int64): fixed for a run
DATA_LATENCY, ORDER_LATENCY, ANSWER_LATENCY, TIMER_NS, SAMPLE_NS, JOURNALLED, LEVELS, GROWTH = range(8)
PLAN_WORDS = 8
# Words of desk.io (int64): where the run stands
ENGINE_ROW, VENUE_ROW, ORDER_HEAD, ORDER_TAIL, ANSWER_HEAD, ANSWER_TAIL, NEXT_TIMER, VENUE_SEQ, NEXT_ID, JITTER, ORDERS, REJECTS, STARTED = range(13)
IO_WORDS = 16

# Why run_tape came back
TAPE_END = 0
TAPE_JOURNAL_FULL = 1  # give it the next segment and call it again
TAPE_QUEUE_FULL = 2  # more orders in flight than IN_FLIGHT, or answers than a quarter of QUEUE_SLOTS

NEVER = 2**63 - 1
JOURNAL_RESERVE_WORDS = 1024
_PPM = 1_000_000
_ALLOWED_WORDS = ALLOWED.dtype.itemsize // 8
_BBO, _NEW_ORDER = int(MessageType.BBO), int(MessageType.NEW_ORDER)
_DATA_IN, _ORDER_IN = int(RecordType.MARKET_DATA_IN), int(RecordType.ORDER_ENTRY_IN)
_TIMER_IN, _CONTROL_IN = int(RecordType.TIMER_IN), int(RecordType.CONTROL_IN)
_ORDER_OUT, _DATA_OUT, _DECISION = int(RecordType.ORDER_ENTRY_OUT), int(RecordType.MARKET_DATA_OUT), int(RecordType.DECISION)
_TIMER, _CONTROL, _FILL = int(EventKind.TIMER), int(EventKind.CONTROL), int(EventKind.ORDER_FILL)
_CONNECT, _ENABLE = int(Control.CONNECT), int(Control.ENABLE)
_BUY, _LIMIT = int(Side.BUY), int(OrderType.LIMIT)
_GTC, _FOK, _REDUCE_ONLY = int(TimeInForce.GTC), int(TimeInForce.FOK), int(OrderFlag.REDUCE_ONLY)
_BAD_TYPE, _MIN_NOTIONAL = int(Reject.VENUE_BAD_TYPE), int(Reject.VENUE_MIN_NOTIONAL)
_NO_LIQUIDITY, _NOT_FILLABLE = int(Reject.BOOK_NO_LIQUIDITY), int(Reject.BOOK_FOK_NOT_FILLABLE)


@kernel
def _quote_until(desk: Any, time_ns: int) -> None:
    """Bring the venue's quotes (int64 (n, 6): bid, lots, ask, lots, lots bought and sold since) to what the tape shows at `time_ns`."""
    tape, io = desk.tape, desk.io
    row, rows = io[VENUE_ROW], tape.size // TAPE_WORDS
    while row < rows and tape[row * TAPE_WORDS + 2] <= time_ns:
        base = row * TAPE_WORDS
        if frame_type(tape[base]) == _BBO:
            quote = desk.quote[frame_instrument(tape[base])]
            for k in range(4):
                quote[k] = tape[base + 3 + k]
            quote[4], quote[5] = 0, 0
        row += 1
    io[VENUE_ROW] = row


@kernel
def _answer_slot(desk: Any, time_ns: int) -> int:
    """Word of the next free answer frame in desk.answers (flat), its due time set; answers keep their order."""
    slot = (desk.io[ANSWER_TAIL] % QUEUE_SLOTS) * SLOT_WORDS
    desk.answers[slot] = time_ns + desk.plan[ANSWER_LATENCY]
    desk.io[ANSWER_TAIL] += 1
    desk.io[VENUE_SEQ] += 1
    return slot + 1


@kernel
def _refused(desk: Any, instruments: Any, order: int) -> int:
    """Why the venue refuses the NEW_ORDER frame at word `order` of desk.orders, 0 if it does not."""
    words = desk.orders
    instrument = frame_instrument(words[order])
    if words[order + 5] == _GTC and words[order + 4] == _LIMIT:
        return _BAD_TYPE
    quote = desk.quote[instrument]
    price = words[order + 7]
    if price == 0:
        price = quote[2] if words[order + 3] == _BUY else quote[0]
    ins = instruments[instrument]
    if words[order + 6] & _REDUCE_ONLY == 0 and price * words[order + 8] * ins.tick_lot_e8 < ins.min_notional_e8:
        return _MIN_NOTIONAL
    return 0


@kernel
def _take(desk: Any, instruments: Any, order: int, order_id: int, time_ns: int, trade: bool) -> int:
    """Lots that the NEW_ORDER frame at word `order` can take, level by level within its limit; with `trade` it takes them, a fill a level."""
    words, io = desk.orders, desk.io
    instrument, side, qty = frame_instrument(words[order]), words[order + 3], words[order + 8]
    quote, ins = desk.quote[instrument], instruments[instrument]
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
            notional = price * lots * ins.tick_lot_e8
            fee = notional // _PPM * ins.taker_fee_ppm + notional % _PPM * ins.taker_fee_ppm // _PPM
            io[NEXT_ID] += 1
            slot, trade_id = _answer_slot(desk, time_ns), io[NEXT_ID]
            sequence, id_, rest = io[VENUE_SEQ], words[order + 2], qty - filled
            encode_order_fill(desk.answers, slot, instrument, sequence, time_ns, id_, order_id, trade_id, side, 0, price, lots, rest, fee)
    return filled


@kernel
def _match(desk: Any, instruments: Any, order: int, time_ns: int) -> None:
    """The venue takes the NEW_ORDER frame at word `order` of desk.orders and answers it."""
    words, io = desk.orders, desk.io
    instrument, client_order_id, qty = frame_instrument(words[order]), words[order + 2], words[order + 8]
    reason = _refused(desk, instruments, order)
    if reason != 0:
        io[REJECTS] += 1
        slot = _answer_slot(desk, time_ns)
        encode_order_reject(desk.answers, slot, instrument, io[VENUE_SEQ], time_ns, client_order_id, reason)
        return
    io[NEXT_ID] += 1
    order_id = io[NEXT_ID]
    slot = _answer_slot(desk, time_ns)
    encode_order_ack(desk.answers, slot, instrument, io[VENUE_SEQ], time_ns, client_order_id, order_id)
    filled = 0
    if words[order + 5] != _FOK or _take(desk, instruments, order, order_id, time_ns, False) == qty:
        filled = _take(desk, instruments, order, order_id, time_ns, True)
    if filled < qty:
        slot = _answer_slot(desk, time_ns)
        reason = _NOT_FILLABLE if words[order + 5] == _FOK else _NO_LIQUIDITY
        encode_order_canceled(desk.answers, slot, instrument, io[VENUE_SEQ], time_ns, client_order_id, order_id, qty - filled, reason)


@kernel
def _dispatch(rooms: Any, desk: Any, now: int) -> bool:
    """Put the NEW_ORDER frames of order_out on their way to the venue. False if too many are in flight."""
    io, out = desk.io, rooms.order_out
    position = 0
    while position < rooms.out_end[0]:
        n_words = frame_words(out[position])
        if frame_type(out[position]) == _NEW_ORDER:
            if io[ORDER_TAIL] - io[ORDER_HEAD] >= IN_FLIGHT or io[ANSWER_TAIL] - io[ANSWER_HEAD] >= QUEUE_SLOTS // 4:
                return False
            due = now + desk.plan[ORDER_LATENCY] + desk.jitter[io[JITTER] % desk.jitter.size]
            if io[ORDER_TAIL] > io[ORDER_HEAD]:  # one connection: an order never overtakes the one before
                due = max(due, desk.orders[((io[ORDER_TAIL] - 1) % QUEUE_SLOTS) * SLOT_WORDS])
            slot = (io[ORDER_TAIL] % QUEUE_SLOTS) * SLOT_WORDS
            desk.orders[slot] = due
            for k in range(n_words):
                desk.orders[slot + 1 + k] = out[position + k]
            io[ORDER_TAIL] += 1
            io[JITTER] += 1
            io[ORDERS] += 1
        position += n_words
    return True


@inlined_kernel
def _run_event(rooms: Any, strategies: Any, desk: Any, cursor: Any, samples: Any, fills: Any, segment: Any, journal: Any, now: int) -> bool:
    """The walk for the event in rooms.event; what it sends goes into the journal and to the venue. False if the queue is full."""
    sensed = sense(rooms, strategies)
    n_want = decide(rooms, sensed)
    commit(rooms, sensed, n_want)
    if rooms.event[0].kind == _FILL:
        keep_fill(rooms, fills, cursor)
    if desk.plan[SAMPLE_NS] > 0:
        keep_sample(rooms, samples, cursor, desk.plan[SAMPLE_NS])
    if n_want == 0 and rooms.out_end[0] == 0 and rooms.out_end[1] == 0:
        return True
    if desk.plan[JOURNALLED] != 0:
        for i in range(n_want):
            if rooms.allowed[i].reason != 0:
                append(rooms.allowed_words, segment, journal, _DECISION, now, i * _ALLOWED_WORDS, _ALLOWED_WORDS)
        if rooms.out_end[0] > 0:
            append(rooms.order_out, segment, journal, _ORDER_OUT, now, 0, rooms.out_end[0])
        if rooms.out_end[1] > 0:
            append(rooms.data_out, segment, journal, _DATA_OUT, now, 0, rooms.out_end[1])
    sent = _dispatch(rooms, desk, now)
    rooms.out_end[0] = 0
    rooms.out_end[1] = 0
    return sent


@kernel
def _control(rooms: Any, desk: Any, segment: Any, journal: Any, kind: int, record_type: int, code: int, now: int) -> None:
    """A timer or an operator's command as the event to run next."""
    clear_event(rooms.event, kind, -1, now, 0, 0)
    rooms.event[0].code = code
    desk.word[0] = code
    if desk.plan[JOURNALLED] != 0:
        append(desk.word, segment, journal, record_type, now, 0, 1)


@kernel
def _start(rooms: Any, strategies: Any, desk: Any, cursor: Any, samples: Any, fills: Any, segment: Any, journal: Any, now: int) -> None:
    """Log on and enable trading, as a live session does before its first quote."""
    io = desk.io
    _control(rooms, desk, segment, journal, _CONTROL, _CONTROL_IN, _CONNECT, now)
    _run_event(rooms, strategies, desk, cursor, samples, fills, segment, journal, now)
    io[VENUE_SEQ] += 1
    n_words = encode_logon_ack(desk.answers, 1, io[VENUE_SEQ], now, rooms.session[0].account, 2)
    if desk.plan[JOURNALLED] != 0:
        append(desk.answers, segment, journal, _ORDER_IN, now, 1, n_words)
    if take_frame(rooms, desk.answers, 1, FRAME_OK, True, now):
        _run_event(rooms, strategies, desk, cursor, samples, fills, segment, journal, now)
    _control(rooms, desk, segment, journal, _CONTROL, _CONTROL_IN, _ENABLE, now)
    _run_event(rooms, strategies, desk, cursor, samples, fills, segment, journal, now)
    io[STARTED] = 1
    io[NEXT_TIMER] = now + desk.plan[TIMER_NS] if desk.plan[TIMER_NS] > 0 else NEVER


@kernel
def run_tape(rooms: Any, strategies: Any, desk: Any, cursor: Any, samples: Any, fills: Any, segment: Any, journal: Any) -> int:
    """Run the tape from where desk.io stands. Returns a TAPE_* code.

    `desk`: hftkit.backtest.Desk; `samples`, `fills`, `cursor` as of kernels/replay.py (cursor int64); `segment`, `journal`: as of
    kernels/memory/journal.py, unused unless desk.plan[JOURNALLED].
    """
    tape, io, plan = desk.tape, desk.io, desk.plan
    rows = tape.size // TAPE_WORDS
    if io[STARTED] == 0:
        _start(rooms, strategies, desk, cursor, samples, fills, segment, journal, tape[2] + plan[DATA_LATENCY] - 1)
    while True:
        row = io[ENGINE_ROW]
        data_at = tape[row * TAPE_WORDS + 2] + plan[DATA_LATENCY] if row < rows else NEVER
        order_at = desk.orders[(io[ORDER_HEAD] % QUEUE_SLOTS) * SLOT_WORDS] if io[ORDER_HEAD] < io[ORDER_TAIL] else NEVER
        answer_at = desk.answers[(io[ANSWER_HEAD] % QUEUE_SLOTS) * SLOT_WORDS] if io[ANSWER_HEAD] < io[ANSWER_TAIL] else NEVER
        now = min(min(order_at, answer_at), data_at)
        if now == NEVER:
            return TAPE_END
        if plan[JOURNALLED] != 0 and not fits(segment, journal, JOURNAL_RESERVE_WORDS):
            return TAPE_JOURNAL_FULL
        going = True
        if io[NEXT_TIMER] < now:
            now = io[NEXT_TIMER]
            io[NEXT_TIMER] = now + plan[TIMER_NS]
            _control(rooms, desk, segment, journal, _TIMER, _TIMER_IN, 0, now)
        elif order_at == now:
            _quote_until(desk, now)
            _match(desk, rooms.instruments, (io[ORDER_HEAD] % QUEUE_SLOTS) * SLOT_WORDS + 1, now)
            io[ORDER_HEAD] += 1
            continue
        elif answer_at == now:
            slot = (io[ANSWER_HEAD] % QUEUE_SLOTS) * SLOT_WORDS + 1
            if plan[JOURNALLED] != 0:
                append(desk.answers, segment, journal, _ORDER_IN, now, slot, frame_words(desk.answers[slot]))
            io[ANSWER_HEAD] += 1
            going = take_frame(rooms, desk.answers, slot, FRAME_OK, True, now)
        else:
            if plan[JOURNALLED] != 0:
                append(tape, segment, journal, _DATA_IN, now, row * TAPE_WORDS, TAPE_WORDS)
            io[ENGINE_ROW] = row + 1
            going = take_frame(rooms, tape, row * TAPE_WORDS, FRAME_OK, False, now)
        if going and not _run_event(rooms, strategies, desk, cursor, samples, fills, segment, journal, now):
            return TAPE_QUEUE_FULL
