"""The hot loop: sockets + step, compiled, without the interpreter (`nogil`).

It owns two non-blocking sockets (order entry, market data), the receive buffers, the journal segment and the telemetry page, and runs each
message to completion:

    T1 bytes readable -> journal the frame -> sense -> T2 -> decide -> T3 -> commit -> journal the orders -> send -> T4 ; T5 at the answer

A thread that stood still (SIGSTOP, a machine asleep, a processor that others had) finds old data in its sockets. It tells the step so before it reads
on (Control.STALL), and once it has read all of it (CAUGHT_UP). No book counts as fresh meanwhile.

It returns to Python only when it cannot go on by itself (LoopStatus). Signals, log lines, disk syncs and the operator's panel
live on the cold side: they reach it through the control page, and it reaches them through the notes ring and the telemetry page.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from hftkit import layout
from hftkit.codes import Control, EventKind, Hop, RecordType
from hftkit.kernels.arrays import EngineState, Int64Array, LoopRecord, StrategyKernels
from hftkit.kernels.due import timer_due
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.memory.control import NO_COMMAND, admits, answer_command, command_at
from hftkit.kernels.memory.histogram import record
from hftkit.kernels.memory.intrinsics import load_acquire
from hftkit.kernels.memory.journal import append, fits
from hftkit.kernels.memory.ring import ring_push
from hftkit.kernels.memory.telemetry import Page, publish, publish_fill
from hftkit.kernels.step import LOGGED_OUT, SENSED_LOST_SESSION, commit, decide, journal_reserve, out_reserve, sense, take_frame
from hftkit.kernels.wire.decode import clear_event
from hftkit.kernels.wire.frame import FRAME_BROKEN, FRAME_INCOMPLETE, check_frame, frame_words
from hftkit.system.syscalls import (
    EAGAIN,
    MSG_DONTWAIT,
    boottime_ns,
    errno,
    monotonic_ns,
    pollfd,
    receive,
    wait_readable,
    yield_processor,
)
from live.order_write import flush, must_leave, send_waiting, stamp


class LoopStatus(IntEnum):
    """Why the hot loop came back."""

    RUNNING = 0
    LOGGED_OUT = 1
    JOURNAL_FULL = 2  # give it the next segment and call it again
    ORDER_ENTRY_LOST = 3
    MARKET_DATA_LOST = 4
    MARKET_DATA_BROKEN = 5  # a frame whose length cannot be right
    ORDER_ENTRY_BROKEN = 6
    BACKPRESSURE = 7  # the venue does not read its socket
    SESSION_REFUSED = 8  # SESSION_REJECT, or a gap in the order entry sequence
    ABANDONED = 9  # the cold side asked it to return at once
    SILENT = 10  # nothing was heard for longer than a living line may be silent: it is open at our end only
    ASKED = 11  # the cold side has new parameters or limits: call it again once they are in


class Wait(IntEnum):
    """What the loop does when there is nothing to do."""

    SPIN = 0  # lowest latency, one core
    YIELD = 1  # gives the core to others that want it
    BLOCK = 2  # sleeps in poll(): for machines that have better things to do


ABANDON = layout.LOOP.word("abandon")  # read atomically: the cold side writes it while the loop runs
LEAVE, COME_BACK = 1, 2  # what it may say
RECEIVE_WORDS = 2048  # 16 KiB a socket: order entry is looked at again after at most some 290 market data frames
PUBLISH_EVERY = 64  # messages between two publications in a burst
NOTE_WORDS = 18  # one note: kind, then an EVENT or a WANT
NOTE_EVENT, NOTE_VETO = 1, 2

_DATA_IN, _ORDER_IN = int(RecordType.MARKET_DATA_IN), int(RecordType.ORDER_ENTRY_IN)
_TIMER_IN, _CONTROL_IN = int(RecordType.TIMER_IN), int(RecordType.CONTROL_IN)
_ORDER_OUT, _DATA_OUT, _DECISION = int(RecordType.ORDER_ENTRY_OUT), int(RecordType.MARKET_DATA_OUT), int(RecordType.DECISION)
_TIMER, _CONTROL, _FILL = int(EventKind.TIMER), int(EventKind.CONTROL), int(EventKind.ORDER_FILL)
_SIGNAL_HOP, _RISK_HOP, _SEND_HOP = int(Hop.SIGNAL), int(Hop.RISK), int(Hop.SEND)
_TICK_TO_ORDER_HOP, _ACK_HOP, _TICK_HOP = int(Hop.TICK_TO_ORDER), int(Hop.ACK), int(Hop.TICK)
_ALLOWED_WORDS = layout.ALLOWED.dtype.itemsize // 8
_STALL, _CAUGHT_UP = int(Control.STALL), int(Control.CAUGHT_UP)
_SPIN, _YIELD = int(Wait.SPIN), int(Wait.YIELD)
_RUNNING, _LOGGED_OUT, _JOURNAL_FULL = int(LoopStatus.RUNNING), int(LoopStatus.LOGGED_OUT), int(LoopStatus.JOURNAL_FULL)
_ORDER_LOST, _DATA_LOST = int(LoopStatus.ORDER_ENTRY_LOST), int(LoopStatus.MARKET_DATA_LOST)
_ORDER_BROKEN, _DATA_BROKEN = int(LoopStatus.ORDER_ENTRY_BROKEN), int(LoopStatus.MARKET_DATA_BROKEN)
_BACKPRESSURE, _REFUSED, _ABANDONED = int(LoopStatus.BACKPRESSURE), int(LoopStatus.SESSION_REFUSED), int(LoopStatus.ABANDONED)
_SILENT, _ASKED = int(LoopStatus.SILENT), int(LoopStatus.ASKED)


class LoopContext(NamedTuple):
    """What the loop owns besides the rooms. int64 where nothing else is said."""

    loop: np.ndarray  # LOOP (1,) descriptors, waiting, fill of the receive buffers
    loop_words: np.ndarray  # int64 view of loop
    order_in: np.ndarray  # (RECEIVE_WORDS,)
    data_in: np.ndarray  # (RECEIVE_WORDS,)
    segment: np.ndarray  # the current journal segment
    journal: np.ndarray  # (STATE_WORDS,) writer state
    control: np.ndarray  # control page
    notes: np.ndarray  # ring to the cold side
    event_words: np.ndarray  # int64 view of rooms.event
    scratch: np.ndarray  # (32,) clock and pollfd scratch, 16.. one note
    sent_at: np.ndarray  # (order capacity,) T4 of each order, ns


@kernel
def _note(shell: LoopContext, kind: int, words: Int64Array, start: int, n: int) -> None:
    shell.scratch[14] = kind
    for i in range(min(n, NOTE_WORDS - 1)):
        shell.scratch[15 + i] = words[start + i]
    ring_push(shell.notes, shell.scratch, 14)


@kernel
def _journal_decisions(rooms: EngineState, shell: LoopContext, n_want: int, now: int) -> None:
    """A refused want leaves no bytes, so it gets a record of its own; and a note."""
    for i in range(n_want):
        if rooms.allowed[i].reason != 0:
            append(rooms.allowed_words, shell.segment, shell.journal, _DECISION, now, i * _ALLOWED_WORDS, _ALLOWED_WORDS)
            _note(shell, NOTE_VETO, rooms.allowed_words, i * _ALLOWED_WORDS, _ALLOWED_WORDS)


@inlined_kernel
def walk(rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, t1: int) -> int:
    """sense, decide, commit for the event in rooms.event, with the clock read between, and the journal written. Returns what was sensed.

    What is to be sent lies in rooms.order_out from loop.order_start and in rooms.data_out from loop.data_start.
    """
    loop = shell.loop[0]
    loop.first_order, loop.order_start, loop.data_start = rooms.session[0].next_order, rooms.out_end[0], rooms.out_end[1]
    if loop.n_unsent == 0:
        loop.first_unsent = loop.first_order
    sensed = sense(rooms, strategies)
    loop.t2 = monotonic_ns(shell.scratch)
    n_want = decide(rooms, sensed)
    loop.t3 = monotonic_ns(shell.scratch)
    commit(rooms, sensed, n_want)
    if n_want > 0:
        _journal_decisions(rooms, shell, n_want, t1)
    if rooms.out_end[0] > loop.order_start:
        append(rooms.order_out, shell.segment, shell.journal, _ORDER_OUT, t1, loop.order_start, rooms.out_end[0] - loop.order_start)
    if rooms.out_end[1] > loop.data_start:
        append(rooms.data_out, shell.segment, shell.journal, _DATA_OUT, t1, loop.data_start, rooms.out_end[1] - loop.data_start)
    return sensed


@inlined_kernel
def stood_still(loop: LoopRecord, scratch: Int64Array) -> bool:
    """Whether this thread has not looked at the clock for longer than loop.stall_ns: then what it has not read yet is old."""
    boot = boottime_ns(scratch)
    gap = boot - loop.seen
    first, loop.seen = loop.seen == 0, boot
    if first or loop.stall_ns == 0 or gap <= loop.stall_ns:
        return False
    loop.n_stalls += 1
    loop.stalled_ns = gap
    loop.is_behind = 1
    return True


@kernel
def run_event(rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page, t1: int, more: bool) -> int:
    """The walk for the event in rooms.event, its bytes handed to the sockets. Returns a LoopStatus.

    `more`: another frame has been read already. Its orders may leave in the same write, since a write costs more than several decisions.
    """
    loop = shell.loop[0]
    sensed = walk(rooms, strategies, shell, t1)
    status, is_sent = _RUNNING, False
    if rooms.out_end[0] > loop.order_start:
        loop.unsent_since = loop.t3 if loop.n_unsent == 0 else loop.unsent_since
        loop.n_unsent += 1
    if loop.n_unsent > 0 and (not more or must_leave(rooms, loop)):
        is_sent = True
        if flush(loop.order_fd, rooms.order_out, rooms.out_end, 0) != 0:
            status = _ORDER_LOST
    if rooms.out_end[1] > loop.data_start and flush(loop.data_fd, rooms.data_out, rooms.out_end, 1) != 0:
        status = _DATA_LOST
    stamp(rooms, shell, page, t1, is_sent)
    if sensed == SENSED_LOST_SESSION:
        return _REFUSED
    if rooms.out_end[0] > rooms.order_out.size - out_reserve(rooms) or rooms.out_end[1] > rooms.data_out.size - out_reserve(rooms):
        return _BACKPRESSURE
    return status


@kernel
def after_answer(rooms: EngineState, shell: LoopContext, page: Page, t1: int) -> None:
    """What the watchers want to know of an order entry answer."""
    e = rooms.event[0]
    if e.client_order_id != 0:
        slot = (e.client_order_id & 0xFFFFFFFF) % rooms.orders.size
        o = rooms.orders[slot]
        if o.client_order_id == e.client_order_id and o.ts_ack == e.ts_recv and shell.sent_at[slot] != 0:
            record(page.histograms[_ACK_HOP], t1 - shell.sent_at[slot])
            shell.sent_at[slot] = 0
    if e.kind == _FILL:
        publish_fill(page, rooms.event, rooms.ledger[e.instrument].realized_e8)
    _note(shell, NOTE_EVENT, shell.event_words, 0, shell.event_words.size)


@kernel
def publish_if_due(rooms: EngineState, shell: LoopContext, page: Page, now: int, idle: bool) -> None:
    """Publish telemetry if something has changed and the burst is over, or has been long."""
    shell.loop[0].since_publish += 1
    if shell.loop[0].dirty != 0 and (idle or shell.loop[0].since_publish >= PUBLISH_EVERY):
        publish(rooms, page, now)
        shell.loop[0].dirty = 0
        shell.loop[0].since_publish = 0


@kernel
def pump(rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page, is_order_entry: bool) -> int:
    """Read one socket once and run every whole frame. Returns a LoopStatus; sets shell.loop[0].dirty if anything was run."""
    loop = shell.loop[0]
    words = shell.order_in if is_order_entry else shell.data_in
    fill = loop.order_fill if is_order_entry else loop.data_fill
    n = receive(loop.order_fd if is_order_entry else loop.data_fd, words, fill, MSG_DONTWAIT)
    if n == 0 and fill < words.size * 8:
        return _ORDER_LOST if is_order_entry else _DATA_LOST
    if n < 0:
        if errno() != EAGAIN:
            return _ORDER_LOST if is_order_entry else _DATA_LOST
        if fill < 8:
            loop.drained = loop.drained if is_order_entry else 1
            return _RUNNING
        n = 0  # frames may be left from before the journal was rolled
    if not is_order_entry:
        loop.drained = 1 if n < words.size * 8 - fill else 0
    t1 = monotonic_ns(shell.scratch)
    if n > 0:
        if is_order_entry:
            loop.order_heard = t1
        else:
            loop.data_heard = t1
    end = (fill + n) // 8
    position = 0
    status = _RUNNING
    while status == _RUNNING:
        verdict = check_frame(words, position, end)
        if verdict == FRAME_INCOMPLETE:
            break
        if verdict == FRAME_BROKEN:
            status = _ORDER_BROKEN if is_order_entry else _DATA_BROKEN
            break
        if not fits(shell.segment, shell.journal, journal_reserve(rooms)):
            status = _JOURNAL_FULL
            break
        if loop.walked - t1 > loop.stall_ns > 0 and loop.is_behind == 0 and stood_still(loop, shell.scratch):  # in the midst of it
            if send_waiting(rooms, shell, page, t1) != 0:
                status = _ORDER_LOST
                break
            status = _own_event(rooms, strategies, shell, page, _CONTROL, _STALL, _CONTROL_IN, monotonic_ns(shell.scratch))
            if status != _RUNNING:
                break
        n_words = frame_words(words[position])
        more = end - position - n_words >= 2
        status = _run_frame(rooms, strategies, shell, page, words, position, n_words, verdict, is_order_entry, t1, more)
        position += n_words
        publish_if_due(rooms, shell, page, t1, False)
    if send_waiting(rooms, shell, page, t1) != 0 and status == _RUNNING:  # what follows is no whole frame yet, or ends the loop
        status = _ORDER_LOST
    left = fill + n - position * 8
    if position > 0:
        for i in range((left + 7) // 8):
            words[i] = words[position + i]
    if is_order_entry:
        loop.order_fill = left
    else:
        loop.data_fill = left
    return status


@kernel
def _run_frame(
    rooms: EngineState,
    strategies: StrategyKernels,
    shell: LoopContext,
    page: Page,
    words: Int64Array,
    position: int,
    n_words: int,
    verdict: int,
    is_order_entry: bool,
    t1: int,
    more: bool,
) -> int:
    kind = _ORDER_IN if is_order_entry else _DATA_IN
    append(words, shell.segment, shell.journal, kind, t1, position, n_words)
    if not take_frame(rooms, words, position, verdict, is_order_entry, t1):
        shell.loop[0].dirty = 1
        return _RUNNING
    status = run_event(rooms, strategies, shell, page, t1, more)
    if is_order_entry:
        after_answer(rooms, shell, page, t1)
    return status


@kernel
def _own_event(
    rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page, kind: int, code: int, record_type: int, now: int
) -> int:
    """A timer or control event: journalled, then run like any other."""
    clear_event(rooms.event, kind, -1, now, 0, 0)
    rooms.event[0].code = code
    shell.scratch[8] = code
    append(shell.scratch, shell.segment, shell.journal, record_type, now, 8, 1)
    return run_event(rooms, strategies, shell, page, now, False)


@inlined_kernel
def take_timer(rooms: EngineState, loop: LoopRecord, now: int) -> bool:
    """Whether a timer event is to be run now: one is due to be looked at, and it would do something, or the last one is long ago."""
    if now < loop.next_timer:
        return False
    loop.next_timer = now + loop.timer_ns
    if now < loop.idle_until and not timer_due(rooms, now):
        return False
    loop.idle_until = now + loop.idle_ns
    return True


@kernel
def _obey(rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page, code: int, now: int) -> int:
    """Run the next command of the control page, if it may be run, and answer it."""
    shell.loop[0].control_seen += 1
    admitted, status = admits(shell.control, code), _RUNNING
    if admitted:
        status = _own_event(rooms, strategies, shell, page, _CONTROL, code, _CONTROL_IN, now)
    answer_command(shell.control, shell.loop[0].control_seen, code, admitted, rooms.risk, rooms.session, now)
    return status


@inlined_kernel
def _fell_silent(loop: LoopRecord, now: int) -> bool:
    """Whether either socket has brought nothing for longer than a living one would."""
    orders = 0 < loop.silence_ns < now - loop.order_heard and loop.order_heard > 0
    return orders or (0 < loop.feed_silence_ns < now - loop.data_heard and loop.data_heard > 0)


@kernel
def turn(rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page) -> int:
    """One turn: operator, order entry, market data, timer. Returns a LoopStatus."""
    loop = shell.loop[0]
    if not fits(shell.segment, shell.journal, journal_reserve(rooms)):
        return _JOURNAL_FULL
    if stood_still(loop, shell.scratch):
        status = _own_event(rooms, strategies, shell, page, _CONTROL, _STALL, _CONTROL_IN, monotonic_ns(shell.scratch))
        if status != _RUNNING:
            return status
    code = command_at(shell.control, loop.control_seen)
    if code != NO_COMMAND:
        status = _obey(rooms, strategies, shell, page, code, monotonic_ns(shell.scratch))
        if status != _RUNNING:
            return status
    if rooms.out_end[0] > 0 and flush(loop.order_fd, rooms.order_out, rooms.out_end, 0) != 0:
        return _ORDER_LOST
    status = pump(rooms, strategies, shell, page, True)
    if status == _RUNNING:
        status = pump(rooms, strategies, shell, page, False)
    if status == _RUNNING and loop.is_behind != 0 and loop.drained != 0:
        if not fits(shell.segment, shell.journal, journal_reserve(rooms)):
            return _JOURNAL_FULL
        loop.is_behind = 0
        status = _own_event(rooms, strategies, shell, page, _CONTROL, _CAUGHT_UP, _CONTROL_IN, monotonic_ns(shell.scratch))
    if status != _RUNNING:
        return status
    if not fits(shell.segment, shell.journal, journal_reserve(rooms)):
        return _JOURNAL_FULL
    now = monotonic_ns(shell.scratch)
    if take_timer(rooms, loop, now):
        status = _own_event(rooms, strategies, shell, page, _TIMER, 0, _TIMER_IN, now)
    if status == _RUNNING and rooms.session[0].stop_requested == LOGGED_OUT:
        status = _LOGGED_OUT
    elif status == _RUNNING and _fell_silent(loop, now):
        status = _SILENT
    return status


@kernel
def hot_loop(rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page) -> int:
    """Run until something needs the interpreter. Returns a LoopStatus."""
    loop = shell.loop[0]
    status = _RUNNING
    while status == _RUNNING:
        before = shell.journal[1]
        status = turn(rooms, strategies, shell, page)
        asked = load_acquire(shell.loop_words, ABANDON)
        if asked == LEAVE:
            status = _ABANDONED
        elif asked == COME_BACK and status == _RUNNING:
            status = _ASKED
        publish_if_due(rooms, shell, page, monotonic_ns(shell.scratch), True)
        if status == _RUNNING and shell.journal[1] == before and loop.wait != _SPIN:
            if loop.wait == _YIELD:
                yield_processor()
            else:
                shell.scratch[2] = pollfd(loop.order_fd)
                shell.scratch[3] = pollfd(loop.data_fd)
                wait_readable(shell.scratch[2:4], 1)
    publish(rooms, page, monotonic_ns(shell.scratch))
    return status
