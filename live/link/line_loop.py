"""The hot loop of a line: byte rings + translation + step, compiled, without the interpreter. The walk, the journal and the timers are hot_loop's.

Socket threads put whole messages into rings, one ring a part. This loop pops one, has it translated into the engine's frames, and runs each frame as
if it had come from a binary venue's socket: so journal and replay see one kind of frame. Orders go the other way: frames of the step are encoded by
the line, then written to the order socket (plain), or put into the out ring for the thread that owns the TLS state, or that speaks REST.

    ring -> translate -> frames: journal -> sense -> T2 -> decide -> T3 -> commit -> journal -> encode -> socket -> T4

A part that is lost does not end the session: its LINE_DOWN empties the books (market) or becomes a DISCONNECT (orders, user data), and nothing is
decided until the line has logged on again and every open order has been asked for.

How orders leave is one word that the cold side writes, ORDER_WAY: not at all, over the socket, or by REST. This thread alone compares it with the
socket it holds and tells the line that its order part is up or down, whatever order things happen in: a socket that comes back while the venue's
pause lasts is held, and not used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from hftkit.codes import Control, EventKind, OrderRoute, RecordType
from hftkit.kernels.arrays import EngineState, OctetArray, StrategyKernels
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.byte_ring import (
    VIEW_BYTES,
    VIEW_KIND,
    VIEW_START,
    VIEW_TIME,
    VIEW_WORDS,
    byte_ring_front,
    byte_ring_push,
    byte_ring_release,
)
from hftkit.kernels.memory.control import NO_COMMAND, admits, answer_command, command_at
from hftkit.kernels.memory.intrinsics import copy_bytes, copy_words, load_acquire
from hftkit.kernels.memory.journal import append, fits
from hftkit.kernels.memory.telemetry import Page, publish
from hftkit.kernels.step import LOGGED_OUT, SENSED_LOST_SESSION, journal_reserve, take_frame
from hftkit.kernels.wire.decode import clear_event
from hftkit.kernels.wire.frame import check_frame, frame_words
from hftkit.kernels.wire.link import HEARTBEAT_DUE, LOGON_DUE, LOGOUT_DUE, ORDER_SEQ, ORDER_UP, ROOM_WORDS, VENUE_OFFSET, Kind
from hftkit.layout import LOOP
from hftkit.session import engine_state
from hftkit.system.syscalls import MSG_DONTWAIT, MSG_NOSIGNAL, hush_bell, monotonic_ns, pollfd, ring_bell, transmit, wait_readable, yield_processor
from live.hot_loop import (
    ABANDON,
    COME_BACK,
    LEAVE,
    LoopContext,
    LoopStatus,
    Wait,
    after_answer,
    publish_if_due,
    stood_still,
    take_timer,
    walk,
)
from live.link.raw_ring import RawRing, raw_ring
from live.order_write import stamp

ORDER_WAY = LOOP.word("order_way")  # read atomically: the cold side writes it while the loop runs
THROUGH_RING = -2
MESSAGES_A_TURN = 256  # of one ring, before the others, the operator and the timer are looked at again
OUT_BYTES, WANT_BYTES = 65536, 1024  # encoded requests: in all, or of each want where there may be many
MESSAGE_RESERVE_WORDS = 8 * ROOM_WORDS  # the most that one message and what it leads to may take in the journal
RING_WORDS, OUT_RING_WORDS = 1 << 20, 1 << 14  # 8 MiB a part: some 40,000 messages; 128 KiB of requests
PUBLIC_RING, MARKET_RING, PRIVATE_RING, ORDERS_RING, COLD_RING, N_RINGS = range(6)

_RUNNING, _LOGGED_OUT, _JOURNAL_FULL = int(LoopStatus.RUNNING), int(LoopStatus.LOGGED_OUT), int(LoopStatus.JOURNAL_FULL)
_REFUSED, _ABANDONED = int(LoopStatus.SESSION_REFUSED), int(LoopStatus.ABANDONED)
_ASKED = int(LoopStatus.ASKED)
_SPIN, _YIELD = int(Wait.SPIN), int(Wait.YIELD)
_MARKET, _USER, _ORDER_API, _DUE = int(Kind.MARKET), int(Kind.USER), int(Kind.ORDER_API), int(Kind.DUE)
FRAMES, ORDER_FRAME = 0x7E, 0x7D  # kinds of a message of the cold side that is market data frames, or one order entry frame, already
_REST_DEPTH, _LINE_UP, _LINE_DOWN = int(Kind.REST_DEPTH), int(Kind.LINE_UP), int(Kind.LINE_DOWN)
_DATA_IN, _ORDER_IN = int(RecordType.MARKET_DATA_IN), int(RecordType.ORDER_ENTRY_IN)
_TIMER_IN, _CONTROL_IN, _DISCONNECT_IN = int(RecordType.TIMER_IN), int(RecordType.CONTROL_IN), int(RecordType.DISCONNECT_IN)
_STALL, _CAUGHT_UP = int(Control.STALL), int(Control.CAUGHT_UP)
_BY_SOCKET, _BY_REST = int(OrderRoute.SOCKET), int(OrderRoute.REST)
_TIMER, _CONTROL, _DISCONNECT = int(EventKind.TIMER), int(EventKind.CONTROL), int(EventKind.DISCONNECT)


# What a dialect brings: its own named tuple of arrays, and three compiled functions over it (hftkit/binance/calls.py has those of Binance)
DialectLine: TypeAlias = Any  # of any fields, but `state`: int64, words of kernels/wire/link.py
DialectFunction: TypeAlias = Callable[..., int]
DialectFunctions: TypeAlias = tuple[DialectFunction, DialectFunction, DialectFunction]  # translate, encode_orders, answer_data_requests


class Wire(NamedTuple):
    """What the loop of a line owns besides Shell and Line."""

    rings: tuple[RawRing, ...]  # towards this loop: one of each part that streams, and one of the cold side
    frames: np.ndarray  # int64: frames of the message being worked
    frame_octets: np.ndarray  # uint8 view of frames
    answers: np.ndarray  # int64: the line's answers to the engine's own market data requests
    out: np.ndarray  # uint8 (bytes,): encoded requests
    out_ring: RawRing  # towards the thread that owns the TLS state
    rest_ring: RawRing  # towards the task that speaks REST: frames
    said: np.ndarray  # int64 (VIEW_WORDS,): what is known of the message at the front of a ring
    order_octets: np.ndarray  # uint8 view of rooms.order_out


def new_wire(rooms: engine_state.EngineState, n_instruments: int, ring_words: int = RING_WORDS) -> Wire:
    """Allocate it."""
    frames = np.zeros(2 * ROOM_WORDS, np.int64)
    out_bytes = max(OUT_BYTES, WANT_BYTES * rooms.want.size)
    out_words = max(OUT_RING_WORDS, 1 << (2 * out_bytes // 8 - 1).bit_length())
    return Wire(
        rings=tuple(raw_ring(ring_words) for _ in range(N_RINGS)),
        frames=frames,
        frame_octets=frames.view(np.uint8),
        answers=np.zeros((n_instruments + 1) * ROOM_WORDS, np.int64),
        out=np.zeros(out_bytes, np.uint8),
        out_ring=raw_ring(out_words),
        rest_ring=raw_ring(out_words),
        said=np.zeros(VIEW_WORDS, np.int64),
        order_octets=rooms.order_out.view(np.uint8),
    )


@kernel
def _send(rooms: EngineState, shell: LoopContext, line: DialectLine, wire: Wire, encode: DialectFunction) -> None:
    """Encode what the walk has produced and hand it to whoever sends. A request that cannot be sent is asked for later, never sent again."""
    loop, start, end = shell.loop[0], shell.loop[0].order_start, rooms.out_end[0]
    rooms.out_end[0] = start
    ts_ms = (monotonic_ns(shell.scratch) + loop.venue_offset_ns) // 1_000_000
    n = encode(line, rooms.order_out, start, end, ts_ms, wire.out, 0)
    if loop.frames_out != 0:
        byte_ring_push(wire.rest_ring.words, wire.rest_ring.octets, wire.order_octets, start * 8, (end - start) * 8, 0, 0)
        ring_bell(loop.rest_bell, shell.scratch)
        return
    loop.n_requests += 1 if n > 0 else 0
    if n > 0 and loop.held_fd == THROUGH_RING:
        byte_ring_push(wire.out_ring.words, wire.out_ring.octets, wire.out, 0, n, 0, 0)
        ring_bell(loop.out_bell, shell.scratch)
    elif n > 0 and (loop.held_fd < 0 or transmit(loop.held_fd, wire.out, 0, n, MSG_DONTWAIT | MSG_NOSIGNAL) != n):
        loop.send_failed += 1
        loop.held_fd = -1


@kernel
def _run_event(
    rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page, line: DialectLine, wire: Wire, encode: DialectFunction, t1: int
) -> int:
    sensed = walk(rooms, strategies, shell, t1)
    if rooms.out_end[0] > shell.loop[0].order_start:
        _send(rooms, shell, line, wire, encode)
    stamp(rooms, shell, page, t1, True)
    return _REFUSED if sensed == SENSED_LOST_SESSION else _RUNNING


@kernel
def _own_event(
    rooms: EngineState,
    strategies: StrategyKernels,
    shell: LoopContext,
    page: Page,
    line: DialectLine,
    wire: Wire,
    encode: DialectFunction,
    kind: int,
    code: int,
    record_type: int,
    now: int,
) -> int:
    """A timer, control or disconnect event: journalled, then run like any other."""
    clear_event(rooms.event, kind, -1, now, 0, 0)
    rooms.event[0].code = code
    shell.scratch[8] = code
    append(shell.scratch, shell.segment, shell.journal, record_type, now, 8, 1)
    return _run_event(rooms, strategies, shell, page, line, wire, encode, now)


@kernel
def _run_batch(
    rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page, line: DialectLine, wire: Wire, encode: DialectFunction, t1: int
) -> int:
    """Run the frames between loop.batch_at and loop.batch_end; what the journal has no room for stays."""
    loop, words = shell.loop[0], wire.frames
    is_order_entry = loop.batch_orders != 0
    while loop.batch_at < loop.batch_end:
        if not fits(shell.segment, shell.journal, journal_reserve(rooms)):
            return _JOURNAL_FULL
        at = loop.batch_at
        n_words = frame_words(words[at])
        append(words, shell.segment, shell.journal, _ORDER_IN if is_order_entry else _DATA_IN, t1, at, n_words)
        loop.batch_at = at + n_words
        if not take_frame(rooms, words, at, check_frame(words, at, loop.batch_end), is_order_entry, t1):
            continue
        status = _run_event(rooms, strategies, shell, page, line, wire, encode, t1)
        if is_order_entry:
            after_answer(rooms, shell, page, t1)
        publish_if_due(rooms, shell, page, t1, False)
        if status != _RUNNING:
            return status
    return _RUNNING


@kernel
def _answer_engine(
    rooms: EngineState,
    strategies: StrategyKernels,
    shell: LoopContext,
    page: Page,
    line: DialectLine,
    wire: Wire,
    encode: DialectFunction,
    answer: DialectFunction,
    t1: int,
) -> int:
    """What the engine asked of market data (SUBSCRIBE, SNAPSHOT_REQUEST) is answered from the line's own books, until it asks no more."""
    loop, status = shell.loop[0], _RUNNING
    while status == _RUNNING and rooms.out_end[1] > 0:
        end = answer(line, rooms.data_out, 0, rooms.out_end[1], wire.answers, 0)
        rooms.out_end[1] = 0
        at = 0
        while status == _RUNNING and at < end:
            n_words = 0
            while at + n_words < end and n_words + frame_words(wire.answers[at + n_words]) <= wire.frames.size:
                n_words += frame_words(wire.answers[at + n_words])
            copy_words(wire.frames, 0, wire.answers, at, n_words)
            loop.batch_at, loop.batch_end, loop.batch_orders = 0, n_words, 0
            status = _run_batch(rooms, strategies, shell, page, line, wire, encode, t1)
            at += n_words
    return status


@kernel
def _run_message(
    rooms: EngineState,
    strategies: StrategyKernels,
    shell: LoopContext,
    page: Page,
    line: DialectLine,
    wire: Wire,
    functions: DialectFunctions,
    octets: OctetArray,
    start: int,
    n_bytes: int,
    kind: int,
    t1: int,
) -> int:
    """Translate one payload and run what comes of it, the answers to it included."""
    translate, encode, answer = functions
    loop, low, subject = shell.loop[0], kind & 0xFF, kind >> 8
    of_market = low == _MARKET or low == _REST_DEPTH or low == FRAMES or (subject == _MARKET and (low == _LINE_UP or low == _LINE_DOWN))
    status = _RUNNING
    if low == _LINE_DOWN and not of_market and rooms.session[0].logged_on != 0:
        line.state[LOGON_DUE] = 1  # acknowledged again once both parts are back
        status = _own_event(rooms, strategies, shell, page, line, wire, encode, _DISCONNECT, 0, _DISCONNECT_IN, t1)
    if status == _RUNNING:
        loop.batch_at, loop.batch_orders = 0, 0 if of_market else 1
        if low == FRAMES:
            copy_bytes(wire.frame_octets, 0, octets, start, n_bytes)
            loop.batch_end = n_bytes >> 3
        elif low == ORDER_FRAME:
            copy_bytes(wire.frame_octets, 0, octets, start, n_bytes)
            line.state[ORDER_SEQ] += 1
            wire.frames[1] = line.state[ORDER_SEQ]  # its place among the line's own
            loop.batch_end = n_bytes >> 3
        else:
            loop.batch_end = max(translate(line, octets, start, n_bytes, kind, t1, wire.frames, 0), 0)
        status = _run_batch(rooms, strategies, shell, page, line, wire, encode, t1)
    while status == _RUNNING and (line.state[LOGON_DUE] != 0 or line.state[LOGOUT_DUE] != 0 or line.state[HEARTBEAT_DUE] != 0):
        loop.batch_at, loop.batch_orders = 0, 1
        loop.batch_end = max(translate(line, octets, start, 0, _DUE, t1, wire.frames, 0), 0)
        if loop.batch_end == 0:
            break
        status = _run_batch(rooms, strategies, shell, page, line, wire, encode, t1)
    if status == _RUNNING and rooms.out_end[1] > 0:
        status = _answer_engine(rooms, strategies, shell, page, line, wire, encode, answer, t1)
    return status


@kernel
def _follow_order_way(
    rooms: EngineState,
    strategies: StrategyKernels,
    shell: LoopContext,
    page: Page,
    line: DialectLine,
    wire: Wire,
    functions: DialectFunctions,
    now: int,
) -> int:
    """Tell the line that its order part has come or gone, if it has. Returns a LoopStatus."""
    loop = shell.loop[0]
    way = load_acquire(shell.loop_words, ORDER_WAY)
    loop.frames_out = 1 if way == _BY_REST else 0
    up = way == _BY_REST or (way == _BY_SOCKET and loop.held_fd != -1)
    if up == (line.state[ORDER_UP] & 1 != 0):
        return _RUNNING
    kind = (_LINE_UP if up else _LINE_DOWN) | _ORDER_API << 8
    return _run_message(rooms, strategies, shell, page, line, wire, functions, wire.out, 0, 0, kind, now)


@kernel
def _pump(
    rooms: EngineState,
    strategies: StrategyKernels,
    shell: LoopContext,
    page: Page,
    line: DialectLine,
    wire: Wire,
    functions: DialectFunctions,
    ring: RawRing,
    reserve: int,
) -> int:
    """Run what waits in one ring, up to MESSAGES_A_TURN. Returns a LoopStatus."""
    said, loop = wire.said, shell.loop[0]
    for _ in range(MESSAGES_A_TURN):
        if byte_ring_front(ring.words, said) == 0:
            return _RUNNING
        if not fits(shell.segment, shell.journal, reserve):
            return _JOURNAL_FULL
        if stood_still(loop, shell.scratch):
            now = monotonic_ns(shell.scratch)
            status = _own_event(rooms, strategies, shell, page, line, wire, functions[1], _CONTROL, _STALL, _CONTROL_IN, now)
            if status != _RUNNING:
                return status
        kind, n_bytes, start, t1 = said[VIEW_KIND], said[VIEW_BYTES], said[VIEW_START], said[VIEW_TIME]
        if kind >> 8 == _ORDER_API and (kind & 0xFF == _LINE_UP or kind & 0xFF == _LINE_DOWN):
            loop.held_fd = loop.offered_fd if kind & 0xFF == _LINE_UP else -1
            status = _follow_order_way(rooms, strategies, shell, page, line, wire, functions, t1)
        else:
            status = _run_message(rooms, strategies, shell, page, line, wire, functions, ring.octets, start, n_bytes, kind, t1)
        byte_ring_release(ring.words, said)
        if status != _RUNNING:
            return status
    return _RUNNING


@kernel
def _are_empty(wire: Wire) -> bool:
    """Whether nothing waits in the rings. (What waits in the sockets the line knows by the venue's time of each message.)"""
    waiting = 0
    for i in range(len(wire.rings)):
        waiting += byte_ring_front(wire.rings[i].words, wire.said)
    return waiting == 0


@kernel
def _obey(
    rooms: EngineState,
    strategies: StrategyKernels,
    shell: LoopContext,
    page: Page,
    line: DialectLine,
    wire: Wire,
    functions: DialectFunctions,
    code: int,
    now: int,
) -> int:
    """Run the next command of the control page, if it may be run, and answer it."""
    shell.loop[0].control_seen += 1
    admitted, status = admits(shell.control, code), _RUNNING
    if admitted:
        status = _own_event(rooms, strategies, shell, page, line, wire, functions[1], _CONTROL, code, _CONTROL_IN, now)
        if status == _RUNNING:
            status = _run_message(rooms, strategies, shell, page, line, wire, functions, wire.out, 0, 0, _DUE, now)
    answer_command(shell.control, shell.loop[0].control_seen, code, admitted, rooms.risk, rooms.session, now)
    return status


@kernel
def line_turn(
    rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page, line: DialectLine, wire: Wire, functions: DialectFunctions
) -> int:
    """One turn: what was left over, operator, every ring, timer. Returns a LoopStatus."""
    loop, encode = shell.loop[0], functions[1]
    reserve = min(MESSAGE_RESERVE_WORDS + 2 * wire.answers.size + journal_reserve(rooms), shell.segment.size // 2)
    now = monotonic_ns(shell.scratch)
    if not fits(shell.segment, shell.journal, reserve):
        return _JOURNAL_FULL
    line.state[VENUE_OFFSET] = loop.venue_offset_ns
    status = _RUNNING
    if stood_still(loop, shell.scratch):
        status = _own_event(rooms, strategies, shell, page, line, wire, encode, _CONTROL, _STALL, _CONTROL_IN, now)
    if status == _RUNNING:
        status = _run_batch(rooms, strategies, shell, page, line, wire, encode, now)
    code = command_at(shell.control, loop.control_seen)
    if status == _RUNNING and code != NO_COMMAND:
        status = _obey(rooms, strategies, shell, page, line, wire, functions, code, now)
    if status == _RUNNING:
        status = _follow_order_way(rooms, strategies, shell, page, line, wire, functions, now)
    for i in range(len(wire.rings)):
        if status == _RUNNING:
            status = _pump(rooms, strategies, shell, page, line, wire, functions, wire.rings[i], reserve)
    if status == _RUNNING and loop.is_behind != 0 and _are_empty(wire):
        if not fits(shell.segment, shell.journal, reserve):
            return _JOURNAL_FULL
        loop.is_behind = 0
        now = monotonic_ns(shell.scratch)
        status = _own_event(rooms, strategies, shell, page, line, wire, encode, _CONTROL, _CAUGHT_UP, _CONTROL_IN, now)
    if status != _RUNNING:
        return status
    now = monotonic_ns(shell.scratch)
    if now >= loop.next_timer:
        if take_timer(rooms, loop, now):
            status = _own_event(rooms, strategies, shell, page, line, wire, encode, _TIMER, 0, _TIMER_IN, now)
        if status == _RUNNING:
            status = _run_message(rooms, strategies, shell, page, line, wire, functions, wire.out, 0, 0, _DUE, now)
    if status == _RUNNING and rooms.session[0].stop_requested == LOGGED_OUT:
        status = _LOGGED_OUT
    return status


@kernel
def line_loop(
    rooms: EngineState, strategies: StrategyKernels, shell: LoopContext, page: Page, line: DialectLine, wire: Wire, functions: DialectFunctions
) -> int:
    """Run until something needs the interpreter. `functions`: translate, encode_orders, answer_data_requests of the dialect. A LoopStatus."""
    loop = shell.loop[0]
    status = _RUNNING
    while status == _RUNNING:
        before = shell.journal[1]
        status = line_turn(rooms, strategies, shell, page, line, wire, functions)
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
                shell.scratch[3] = pollfd(loop.bell)
                if wait_readable(shell.scratch[3:4], 1) > 0:
                    hush_bell(loop.bell, shell.scratch)
    publish(rooms, page, monotonic_ns(shell.scratch))
    return status
