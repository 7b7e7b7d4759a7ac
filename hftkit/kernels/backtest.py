"""History + simulated venue + the live step, in one compiled loop. The shell around it is hftkit/backtest/run.py.

Five things can happen next; the earliest does, and at the same moment in this order: the venue pays funding, a request arrives at the venue, an
answer arrives at the engine, a market data frame arrives at the engine, a timer runs. Every input reaches the engine as the frame or control that a
live session would have received, so a backtest can be journalled and replayed as one.

The venue's market is the tape at its own time, which runs ahead of what the engine has seen by the market data latency. While nothing rests there
it is brought up to date only when a request arrives; while orders rest, row by row, since a row may fill them (backtest_resting.py). Its order
entry is backtest_venue.py, its memory backtest_desk.py.
"""

from __future__ import annotations

from hftkit.codes import Control, EventKind, MessageType, RecordType
from hftkit.kernels.arrays import EngineState, Float64Array, Int64Array, StrategyKernels
from hftkit.kernels.backtest_desk import (
    ANSWER_SLOTS,
    DATA_LATENCY,
    JOURNALLED,
    NEVER,
    ORDER_LATENCY,
    ORDER_SLOTS,
    SAMPLE_NS,
    SLOT_WORDS,
    TAPE_WORDS,
    TIMER_NS,
    BacktestVenueState,
)
from hftkit.kernels.backtest_resting import ANSWERED, NO_ROOM, QUIET, market_until
from hftkit.kernels.backtest_venue import pay_funding, request
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.memory.journal import append, fits
from hftkit.kernels.replay import keep_fill, keep_sample
from hftkit.kernels.step import commit, decide, journal_reserve, sense, take_frame
from hftkit.kernels.wire.decode import clear_event
from hftkit.kernels.wire.frame import FRAME_OK, frame_type, frame_words
from hftkit.kernels.wire.venue_codec import encode_logon_ack
from hftkit.layout import ALLOWED

# Why run_tape came back
TAPE_END = 0
TAPE_JOURNAL_FULL = 1  # give it the next segment and call it again
TAPE_QUEUE_FULL = 2  # more requests in flight than ORDER_SLOTS, or answers than plan[ANSWER_SLOTS]

_ALLOWED_WORDS = ALLOWED.dtype.itemsize // 8
_NEW_ORDER, _CANCEL_ORDER = int(MessageType.NEW_ORDER), int(MessageType.CANCEL_ORDER)
_DATA_IN, _ORDER_IN = int(RecordType.MARKET_DATA_IN), int(RecordType.ORDER_ENTRY_IN)
_TIMER_IN, _CONTROL_IN = int(RecordType.TIMER_IN), int(RecordType.CONTROL_IN)
_ORDER_OUT, _DATA_OUT, _DECISION = int(RecordType.ORDER_ENTRY_OUT), int(RecordType.MARKET_DATA_OUT), int(RecordType.DECISION)
_TIMER, _CONTROL, _FILL = int(EventKind.TIMER), int(EventKind.CONTROL), int(EventKind.ORDER_FILL)
_CONNECT, _ENABLE = int(Control.CONNECT), int(Control.ENABLE)


@kernel
def _dispatch(rooms: EngineState, desk: BacktestVenueState, now: int) -> bool:
    """Put the NEW_ORDER and CANCEL_ORDER frames of order_out on their way to the venue. False if too many are in flight."""
    loop, out = desk.loop[0], rooms.order_out
    position = 0
    while position < rooms.out_end[0]:
        n_words, kind = frame_words(out[position]), frame_type(out[position])
        if kind == _NEW_ORDER or kind == _CANCEL_ORDER:
            if loop.order_tail - loop.order_head >= ORDER_SLOTS:
                return False
            due = now + desk.plan[ORDER_LATENCY] + desk.jitter[loop.jitter % desk.jitter.size]
            if loop.order_tail > loop.order_head:  # one connection: an order never overtakes the one before
                due = max(due, desk.orders[((loop.order_tail - 1) % ORDER_SLOTS) * SLOT_WORDS])
            slot = (loop.order_tail % ORDER_SLOTS) * SLOT_WORDS
            desk.orders[slot] = due
            for k in range(n_words):
                desk.orders[slot + 1 + k] = out[position + k]
            loop.order_tail += 1
            loop.jitter += 1
            if kind == _NEW_ORDER:
                loop.n_orders += 1
            else:
                loop.n_cancels += 1
        position += n_words
    return True


@inlined_kernel
def _run_event(
    rooms: EngineState,
    strategies: StrategyKernels,
    desk: BacktestVenueState,
    cursor: Int64Array,
    samples: Float64Array,
    fills: Int64Array,
    segment: Int64Array,
    journal: Int64Array,
    now: int,
) -> bool:
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
def _control(
    rooms: EngineState, desk: BacktestVenueState, segment: Int64Array, journal: Int64Array, kind: int, record_type: int, code: int, now: int
) -> None:
    """A timer or an operator's command as the event to run next."""
    clear_event(rooms.event, kind, -1, now, 0, 0)
    rooms.event[0].code = code
    desk.word[0] = code
    if desk.plan[JOURNALLED] != 0:
        append(desk.word, segment, journal, record_type, now, 0, 1)


@kernel
def _start(
    rooms: EngineState,
    strategies: StrategyKernels,
    desk: BacktestVenueState,
    cursor: Int64Array,
    samples: Float64Array,
    fills: Int64Array,
    segment: Int64Array,
    journal: Int64Array,
    now: int,
) -> None:
    """Log on and enable trading, as a live session does before its first quote."""
    loop = desk.loop[0]
    _control(rooms, desk, segment, journal, _CONTROL, _CONTROL_IN, _CONNECT, now)
    _run_event(rooms, strategies, desk, cursor, samples, fills, segment, journal, now)
    loop.venue_seq += 1
    n_words = encode_logon_ack(desk.answers, 1, loop.venue_seq, now, rooms.session[0].account, 2)
    if desk.plan[JOURNALLED] != 0:
        append(desk.answers, segment, journal, _ORDER_IN, now, 1, n_words)
    if take_frame(rooms, desk.answers, 1, FRAME_OK, True, now):
        _run_event(rooms, strategies, desk, cursor, samples, fills, segment, journal, now)
    _control(rooms, desk, segment, journal, _CONTROL, _CONTROL_IN, _ENABLE, now)
    _run_event(rooms, strategies, desk, cursor, samples, fills, segment, journal, now)
    loop.started = 1
    loop.next_timer = now + desk.plan[TIMER_NS] if desk.plan[TIMER_NS] > 0 else NEVER


@kernel
def run_tape(
    rooms: EngineState,
    strategies: StrategyKernels,
    desk: BacktestVenueState,
    cursor: Int64Array,
    samples: Float64Array,
    fills: Int64Array,
    segment: Int64Array,
    journal: Int64Array,
) -> int:
    """Run the tape from where desk.loop stands. Returns a TAPE_* code.

    `desk`: hftkit.backtest.run.BacktestVenueState; `samples`, `fills`, `cursor` as of kernels/replay.py (cursor int64); `segment`, `journal`: as of
    kernels/memory/journal.py, unused unless desk.plan[JOURNALLED].
    """
    tape, loop, plan = desk.tape, desk.loop[0], desk.plan
    rows, answer_mask = tape.size // TAPE_WORDS, plan[ANSWER_SLOTS] - 1
    if loop.started == 0:
        _start(rooms, strategies, desk, cursor, samples, fills, segment, journal, tape[2] + plan[DATA_LATENCY] - 1)
    while True:
        row = loop.engine_row
        data_at = tape[row * TAPE_WORDS + 2] + plan[DATA_LATENCY] if row < rows else NEVER
        order_at = desk.orders[(loop.order_head % ORDER_SLOTS) * SLOT_WORDS] if loop.order_head < loop.order_tail else NEVER
        answer_at = desk.answers[(loop.answer_head & answer_mask) * SLOT_WORDS] if loop.answer_head < loop.answer_tail else NEVER
        now = min(min(order_at, answer_at), data_at)
        if loop.resting > 0 and loop.clear_row < rows and tape[loop.clear_row * TAPE_WORDS + 2] <= now:
            met = market_until(desk, rooms.instruments, now)
            if met == NO_ROOM:
                return TAPE_QUEUE_FULL
            if met == ANSWERED:
                continue  # the answer may be the next thing to happen
        if now == NEVER:
            return TAPE_END
        if loop.next_funding <= now:
            met = market_until(desk, rooms.instruments, loop.next_funding)
            if met == NO_ROOM or (met == QUIET and not pay_funding(desk, rooms.instruments)):
                return TAPE_QUEUE_FULL
            continue
        if plan[JOURNALLED] != 0 and not fits(segment, journal, journal_reserve(rooms)):
            return TAPE_JOURNAL_FULL
        going = True
        if loop.next_timer < now:
            now = loop.next_timer
            loop.next_timer = now + plan[TIMER_NS]
            _control(rooms, desk, segment, journal, _TIMER, _TIMER_IN, 0, now)
        elif order_at == now:
            market_until(desk, rooms.instruments, now)
            if not request(desk, rooms.instruments, (loop.order_head % ORDER_SLOTS) * SLOT_WORDS + 1, now):
                return TAPE_QUEUE_FULL
            loop.order_head += 1
            continue
        elif answer_at == now:
            slot = (loop.answer_head & answer_mask) * SLOT_WORDS + 1
            if plan[JOURNALLED] != 0:
                append(desk.answers, segment, journal, _ORDER_IN, now, slot, frame_words(desk.answers[slot]))
            loop.answer_head += 1
            going = take_frame(rooms, desk.answers, slot, FRAME_OK, True, now)
        else:
            if plan[JOURNALLED] != 0:
                append(tape, segment, journal, _DATA_IN, now, row * TAPE_WORDS, TAPE_WORDS)
            loop.engine_row = row + 1
            going = take_frame(rooms, tape, row * TAPE_WORDS, FRAME_OK, False, now)
        if going and not _run_event(rooms, strategies, desk, cursor, samples, fills, segment, journal, now):
            return TAPE_QUEUE_FULL
