"""The hot loop of a line: byte rings + translation + step, compiled, without the interpreter. The walk, the journal and the timers are hot_loop's.

Socket threads put whole messages into rings, one ring a part. This loop pops one, has it translated into the engine's frames, and runs each frame as if
it had come from a binary venue's socket: so journal and replay see one kind of frame. Orders go the other way: frames of the step are encoded by
the line, then written to the order socket (plain), or put into the out ring for the thread that owns the TLS state, or that speaks REST.

    ring -> translate -> frames: journal -> sense -> T2 -> decide -> T3 -> commit -> journal -> encode -> socket -> T4

A part that is lost does not end the session: its LINE_DOWN empties the books (market) or becomes a DISCONNECT (orders, user data), and nothing is decided
until the line has logged on again and every open order has been asked for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hftkit.binance_line import Kind, Line
from hftkit.codes import EventKind, RecordType
from hftkit.control import FIRST_SLOT, SLOTS, WRITTEN
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.intrinsics import load_acquire
from hftkit.kernels.memory.journal import append, fits
from hftkit.kernels.memory.telemetry import publish
from hftkit.kernels.step import LOGGED_OUT, SENSED_LOST_SESSION, take_frame
from hftkit.kernels.wire.binance.state import HEARTBEAT_DUE, LOGON_DUE, LOGOUT_DUE, ROOM_WORDS
from hftkit.kernels.wire.decode import clear_event
from hftkit.kernels.wire.frame import check_frame, frame_words
from hftkit.syscalls import MSG_DONTWAIT, MSG_NOSIGNAL, hush_bell, monotonic_ns, pollfd, ring_bell, transmit, wait_readable, yield_processor
from live.hot_loop import (
    ABANDON, CONTROL_SEEN, DATA_START, JOURNAL_RESERVE_WORDS, NEXT_TIMER, ORDER_START, TIMER_NS, WAIT, LoopStatus, Wait, after_answer,
    publish_if_due, stamp, walk,
)  # fmt: skip

# Words of Shell.io of a line (the upper half)
HELD_FD, OFFERED_FD = 16, 17  # order socket that is written; the one to take at LINE_UP. -1: none, THROUGH_RING: the out ring
VENUE_OFFSET_NS = 18  # venue's clock minus CLOCK_MONOTONIC
BELL, OUT_BELL = 19, 20  # eventfds: rung for a loop that sleeps; rung when something is in the out ring
BATCH_AT, BATCH_END, BATCH_ORDERS = 21, 22, 23  # frames of the last message that still have to be run
SEND_FAILED = 24  # times the order socket did not take a whole request
FRAMES_OUT = 25  # 1: the out ring carries the engine's frames (REST), 0: bytes for a socket
THROUGH_RING = -2
MESSAGES_A_TURN = 256  # of one ring, before the others, the operator and the timer are looked at again
OUT_BYTES = 65536

_RUNNING, _LOGGED_OUT, _JOURNAL_FULL = int(LoopStatus.RUNNING), int(LoopStatus.LOGGED_OUT), int(LoopStatus.JOURNAL_FULL)
_REFUSED, _ABANDONED = int(LoopStatus.SESSION_REFUSED), int(LoopStatus.ABANDONED)
_SPIN, _YIELD = int(Wait.SPIN), int(Wait.YIELD)
_MARKET, _USER, _ORDER_API, _DUE = int(Kind.MARKET), int(Kind.USER), int(Kind.ORDER_API), int(Kind.DUE)
_REST_DEPTH, _LINE_UP, _LINE_DOWN = int(Kind.REST_DEPTH), int(Kind.LINE_UP), int(Kind.LINE_DOWN)
_DATA_IN, _ORDER_IN = int(RecordType.MARKET_DATA_IN), int(RecordType.ORDER_ENTRY_IN)
_TIMER_IN, _CONTROL_IN, _DISCONNECT_IN = int(RecordType.TIMER_IN), int(RecordType.CONTROL_IN), int(RecordType.DISCONNECT_IN)
_TIMER, _CONTROL, _DISCONNECT = int(EventKind.TIMER), int(EventKind.CONTROL), int(EventKind.DISCONNECT)


class Wire(NamedTuple):
    """What the loop of a line owns besides Shell and Line."""

    rings: Any  # uint8 rings towards this loop, one a part and one of the cold side
    frames: np.ndarray  # int64: frames of the message being worked
    answers: np.ndarray  # int64: frames of the line's answers to the engine's own requests
    out: np.ndarray  # uint8 (OUT_BYTES,): encoded requests
    out_ring: np.ndarray  # ring towards the sending thread
    due: np.ndarray  # uint8 (8,): the empty payload
    popped: np.ndarray  # int64 (8,): where the message at the front of a ring lies


@kernel
def _send(rooms: Any, shell: Any, line: Any, wire: Any, encode: Any) -> None:
    """Encode what the walk has produced and hand it to whoever sends. A request that cannot be sent is asked for later, never sent again."""
    io, start, end = shell.io, shell.io[ORDER_START], rooms.out_end[0]
    rooms.out_end[0] = start
    ts_ms = (monotonic_ns(shell.scratch) + io[VENUE_OFFSET_NS]) // 1_000_000
    n = encode(line, rooms.order_out, start, end, ts_ms, wire.out, 0)
    if io[FRAMES_OUT] != 0:
        push_words(wire.out_ring, rooms.order_out, start, end - start)
        ring_bell(io[OUT_BELL], shell.scratch)
    elif n > 0 and io[HELD_FD] == THROUGH_RING:
        push_bytes(wire.out_ring, wire.out, 0, n, 0, 0)
        ring_bell(io[OUT_BELL], shell.scratch)
    elif n > 0 and (io[HELD_FD] < 0 or transmit(io[HELD_FD], wire.out, 0, n, MSG_DONTWAIT | MSG_NOSIGNAL) != n):
        io[SEND_FAILED] += 1
        io[HELD_FD] = -1


@kernel
def _run_event(rooms: Any, strategies: Any, shell: Any, page: Any, line: Any, wire: Any, encode: Any, t1: int) -> int:
    sensed = walk(rooms, strategies, shell, t1)
    if rooms.out_end[0] > shell.io[ORDER_START]:
        _send(rooms, shell, line, wire, encode)
    stamp(rooms, shell, page, t1)
    return _REFUSED if sensed == SENSED_LOST_SESSION else _RUNNING


@kernel
def _own_event(
    rooms: Any, strategies: Any, shell: Any, page: Any, line: Any, wire: Any, encode: Any, kind: int, code: int, record_type: int, now: int
) -> int:
    """A timer, control or disconnect event: journalled, then run like any other."""
    clear_event(rooms.event, kind, -1, now, 0, 0)
    rooms.event[0].code = code
    shell.scratch[8] = code
    append(shell.scratch, shell.segment, shell.journal, record_type, now, 8, 1)
    return _run_event(rooms, strategies, shell, page, line, wire, encode, now)


@kernel
def _run_batch(rooms: Any, strategies: Any, shell: Any, page: Any, line: Any, wire: Any, encode: Any, t1: int) -> int:
    """Run the frames between io[BATCH_AT] and io[BATCH_END]; what the journal has no room for stays."""
    io, words = shell.io, wire.frames
    is_order_entry = io[BATCH_ORDERS] != 0
    while io[BATCH_AT] < io[BATCH_END]:
        if not fits(shell.segment, shell.journal, JOURNAL_RESERVE_WORDS):
            return _JOURNAL_FULL
        at = io[BATCH_AT]
        n_words = frame_words(words[at])
        append(words, shell.segment, shell.journal, _ORDER_IN if is_order_entry else _DATA_IN, t1, at, n_words)
        io[BATCH_AT] = at + n_words
        if not take_frame(rooms, words, at, check_frame(words, at, io[BATCH_END]), is_order_entry, t1):
            continue
        status = _run_event(rooms, strategies, shell, page, line, wire, encode, t1)
        if is_order_entry:
            after_answer(rooms, shell, page, t1)
        publish_if_due(rooms, shell, page, t1, False)
        if status != _RUNNING:
            return status
    return _RUNNING
