"""Faults of one direction of one connection: a delay queue in fixed memory, and what may happen to a frame on its way into it.

    bytes -> whole frames -> offer (judged, given a due time) -> queue -> due -> bytes

The frames of a line keep their order (TCP), except a reordered one, which lets the next of its kind pass. What happens is decided by the
settings on the fault page (faults.py), which may change at any time, and by the line's own random stream: the same frames at the same
times meet the same faults. Nothing here knows a socket or a clock.

| kind | meaning |
|---|---|
| drop | the frame is not delivered, its sequence number is missing |
| lose | not delivered, the sequence is repaired: nobody can see it. A lost ORDER_ACK takes all answers of that order with it: outcome unknown |
| duplicate | delivered twice |
| reorder | delivered after the next frame of its kind, or REORDER_NS later |
| truncate | its second half is cut off |
| gap | the sequence jumps by one here, though nothing is missing |
| late | ORDER_ACK only: this one and, as TCP keeps order, all behind it come later |
| reject | NEW_ORDER only: refused at the door, before matching |
| disconnect | the connection ends with this frame |

On the feed only changes (BBO, TRADE, DEPTH) are dropped, duplicated or reordered: snapshots and session frames come whole.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hftkit.codes import DepthFlag, MessageType
from hftkit.exchange.flow.random import below, uniform
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.kernels.wire.frame import frame_type
from hftkit.layout import MAX_FRAME_WORDS, WORD

# Directions
FEED, ORDER_ENTRY, RESPONSE = range(3)
# Kinds of fault
DROP, LOSE, DUPLICATE, REORDER, TRUNCATE, GAP, LATE, REJECT, DISCONNECT = range(9)
N_KINDS = 9
# The fault page, int64 words: head, three blocks of settings, three tables of recorded latencies, three blocks of counts
MAGIC, ACTIVE = 0, 1
SETTINGS, BLOCK = 64, 64
LATENCY, JITTER, RECORDED, RATE, SKEW, LATE_BY, REJECT_REASON, FREEZE, CUT = range(9)  # words of a block
PPM, NEXT = 16, 32  # + kind: probability in 1e-6; how many of the next frames are certain to meet it
QUANTILES = 1024
TABLES = SETTINGS + 3 * BLOCK
COUNTS = TABLES + 3 * QUANTILES
COUNT_BLOCK = 16
OFFERED, DELIVERED = 14, 15  # words of a block of counts, behind the kinds
DIALECT = COUNTS + 3 * COUNT_BLOCK  # settings of the Binance dialect (dialects/binance/faults.py), then how often each has happened
DIALECT_WORDS = 64
PAGE_WORDS = DIALECT + 2 * DIALECT_WORDS
# Words of a line's state
START, END, LAST_DUE, SHIFT, HELD, HELD_DUE, LOST_ID, ENGAGED, CLEAN, DOOMED, STAGED, TX_START, TX_END = range(13)
LINE_WORDS = 16
INBOUND, OUTBOUND = 0, 1
REORDER_NS = 20_000_000
ROOM_WORDS = 4 * (MAX_FRAME_WORDS + 2)  # the most one offered frame may need
REFUSED = -1  # in place of the number of words: to be refused at the door

_INSTRUMENT, _BBO, _TRADE, _DEPTH = int(MessageType.INSTRUMENT), int(MessageType.BBO), int(MessageType.TRADE), int(MessageType.DEPTH)
_NEW_ORDER, _REPLACE = int(MessageType.NEW_ORDER), int(MessageType.REPLACE_ORDER)
_CANCEL, _QUERY, _CANCEL_ALL = int(MessageType.CANCEL_ORDER), int(MessageType.ORDER_QUERY), int(MessageType.CANCEL_ALL)
_ACK, _CANCEL_REJECT = int(MessageType.ORDER_ACK), int(MessageType.CANCEL_REJECT)
_SNAPSHOT = int(DepthFlag.SNAPSHOT)


class Faults(NamedTuple):
    """All memory of the faults of one server. All int64 but the random streams."""

    page: np.ndarray  # (PAGE_WORDS,) settings and counts, perhaps a mapped file
    script: np.ndarray  # (n, 3): ns since the start, word of the page, value; sorted
    cursor: np.ndarray  # (4,): script lines done, then for each direction the time it is frozen until
    lines: np.ndarray  # (clients, 2, LINE_WORDS)
    queue_in: np.ndarray  # (clients, words): [due, number of words or REFUSED, frame] ...
    queue_out: np.ndarray  # (clients, words)
    stage: np.ndarray  # (clients, words): bytes received, before they are whole frames
    tx: np.ndarray  # (clients, words): due, not yet taken by the socket
    held: np.ndarray  # (clients, 2, MAX_FRAME_WORDS): a reordered frame
    scratch: np.ndarray  # (MAX_FRAME_WORDS,)
    random: np.ndarray  # uint64 (2 * clients,): stream 2 * client + way


@inner_kernel
def reset_line(faults: Any, index: int) -> None:
    """A new connection has taken client record `index`."""
    for way in range(2):
        for word in range(LINE_WORDS):
            faults.lines[index, way, word] = 0
        faults.lines[index, way, CLEAN] = 1


@kernel
def run_script(faults: Any, elapsed_ns: int, now: int) -> None:
    """Put what is due of the script on the page, and begin a freeze that was asked for. `now`: ns, monotonic."""
    while faults.cursor[0] < faults.script.shape[0] and faults.script[faults.cursor[0], 0] <= elapsed_ns:
        faults.page[faults.script[faults.cursor[0], 1]] = faults.script[faults.cursor[0], 2]
        faults.page[ACTIVE] = 1
        faults.cursor[0] += 1
    for direction in range(3):
        word = SETTINGS + direction * BLOCK + FREEZE
        if faults.page[word] > 0:
            faults.cursor[1 + direction] = now + faults.page[word]
            faults.page[word] = 0


@inner_kernel
def _happens(faults: Any, stream: int, direction: int, kind: int) -> bool:
    word = SETTINGS + direction * BLOCK + kind
    if faults.page[word + NEXT] > 0:
        faults.page[word + NEXT] -= 1
    elif faults.page[word + PPM] <= 0 or uniform(faults.random, stream) * 1e6 >= faults.page[word + PPM]:
        return False
    faults.page[COUNTS + direction * COUNT_BLOCK + kind] += 1
    return True


@inner_kernel
def _may_be_lost(direction: int, kind: int, flags: int) -> bool:
    """Changes on the feed, orders and what is said about them; never snapshots, logons, heartbeats."""
    if direction == FEED:
        return kind == _BBO or kind == _TRADE or (kind == _DEPTH and flags & _SNAPSHOT == 0)
    if direction == ORDER_ENTRY:
        return _NEW_ORDER <= kind <= _QUERY or kind == _REPLACE
    return _ACK <= kind <= _CANCEL_REJECT


@inner_kernel
def has_room(line: Any, queue: Any, n_words: int) -> bool:
    """Room for `n_words` at the end of a queue? Moves what waits to the front where that gains an eighth or more."""
    if line[END] + n_words <= queue.size:
        return True
    start = line[START]
    if start < n_words or start * 8 < queue.size:
        return False
    for i in range(start, line[END]):
        queue[i - start] = queue[i]
    line[END] -= start
    line[START] = 0
    return True


@inner_kernel
def _put(line: Any, queue: Any, frame: Any, due: int, n_words: int, count: int) -> None:
    at = line[END]
    queue[at], queue[at + 1] = due, count
    for i in range(n_words):
        queue[at + 2 + i] = frame[i]
    line[END] = at + 2 + n_words
    line[LAST_DUE] = max(line[LAST_DUE], due)


@inner_kernel
def due_time(faults: Any, line: Any, stream: int, direction: int, now: int) -> int:
    """When a frame offered at `now` (ns) arrives: constant, jitter (uniform) and recorded latency, never before the frame in front of it."""
    block = SETTINGS + direction * BLOCK
    delay = faults.page[block + LATENCY]
    if faults.page[block + JITTER] > 0:
        delay += np.int64(uniform(faults.random, stream) * faults.page[block + JITTER])
    if faults.page[block + RECORDED] > 0:
        delay += faults.page[TABLES + direction * QUANTILES + below(faults.random, stream, QUANTILES)]
    due = now + delay
    if faults.page[block + RATE] > 0 and line[LAST_DUE] > 0:
        due = max(due, line[LAST_DUE] + 1_000_000_000 // faults.page[block + RATE])
    return max(due, line[LAST_DUE])


@inner_kernel
def _release_held(faults: Any, line: Any, queue: Any, index: int, way: int, due: int) -> None:
    if line[HELD] > 0:
        _put(line, queue, faults.held[index, way], due, line[HELD], line[HELD])
        line[HELD] = 0


@inner_kernel
def _hold_back(faults: Any, line: Any, index: int, way: int, n_words: int, due: int) -> None:
    for i in range(n_words):
        faults.held[index, way, i] = faults.scratch[i]
    line[HELD], line[HELD_DUE] = n_words, due + REORDER_NS


@inner_kernel
def _is_lost(faults: Any, line: Any, stream: int, direction: int, kind: int) -> bool:
    """Dropped or lost? The frame is in `faults.scratch`."""
    order = faults.scratch[3] if direction == RESPONSE else faults.scratch[2]
    if direction == RESPONSE and line[LOST_ID] != 0 and order == line[LOST_ID]:
        line[SHIFT] -= 1
        return True
    if _happens(faults, stream, direction, DROP):
        return True
    if direction != FEED and _happens(faults, stream, direction, LOSE):
        line[SHIFT] -= 1
        if direction == RESPONSE and kind == _ACK:
            line[LOST_ID] = order
        return True
    return False


@inner_kernel
def offer(faults: Any, queue: Any, index: int, direction: int, words: Any, at: int, n_words: int, now: int) -> None:
    """A whole frame at `words[at:at + n_words]` enters a line whose queue has ROOM_WORDS left. `now`: ns, monotonic."""
    way = INBOUND if direction == ORDER_ENTRY else OUTBOUND
    line, stream, block = faults.lines[index, way], 2 * index + way, SETTINGS + direction * BLOCK
    frame, kind = faults.scratch, frame_type(words[at])
    for i in range(n_words):
        frame[i] = words[at + i]
    faults.page[COUNTS + direction * COUNT_BLOCK + OFFERED] += 1
    may_be_lost = _may_be_lost(direction, kind, frame[4] if kind == _DEPTH else 0)
    if may_be_lost and _is_lost(faults, line, stream, direction, kind):
        return
    if may_be_lost and _happens(faults, stream, direction, GAP):
        line[SHIFT] += 1
    frame[1] += line[SHIFT]
    if direction != ORDER_ENTRY and kind != _INSTRUMENT:
        frame[2] += faults.page[block + SKEW]
    due = due_time(faults, line, stream, direction, now)
    if kind == _ACK and _happens(faults, stream, direction, LATE):
        due += faults.page[block + LATE_BY]
    if _happens(faults, stream, direction, DISCONNECT):
        line[DOOMED] = 1
    if may_be_lost and line[HELD] == 0 and _happens(faults, stream, direction, REORDER):
        _hold_back(faults, line, index, way, n_words, due)
        return
    if kind == _NEW_ORDER and _happens(faults, stream, direction, REJECT):
        _put(line, queue, frame, due, n_words, REFUSED)
    elif _happens(faults, stream, direction, TRUNCATE):
        _put(line, queue, frame, due, n_words // 2, n_words // 2)
    else:
        _put(line, queue, frame, due, n_words, n_words)
        if may_be_lost and _happens(faults, stream, direction, DUPLICATE):
            _put(line, queue, frame, due, n_words, n_words)
    held = faults.held[index, way]
    if line[HELD] > 0 and frame_type(held[0]) == kind and held[0] >> 32 == frame[0] >> 32:
        _release_held(faults, line, queue, index, way, due)


@inner_kernel
def next_due(faults: Any, line: Any, queue: Any, index: int, way: int, now: int) -> int:
    """Words of the entry at the front of a queue that is due at `now` (a REFUSED one is a NEW_ORDER), 0 if none is."""
    if line[HELD] > 0 and now >= line[HELD_DUE] and has_room(line, queue, ROOM_WORDS):
        _release_held(faults, line, queue, index, way, max(line[LAST_DUE], line[HELD_DUE]))
    if line[START] == line[END]:
        line[START] = line[END] = 0
        return 0
    if queue[line[START]] > now:
        return 0
    count = queue[line[START] + 1]
    return (queue[line[START] + 2] & 0xFFFF) // WORD if count == REFUSED else count


@inner_kernel
def taken(faults: Any, line: Any, direction: int, n_words: int) -> None:
    """The entry at the front, of `n_words`, has been delivered."""
    line[START] += 2 + n_words
    faults.page[COUNTS + direction * COUNT_BLOCK + DELIVERED] += 1


@inner_kernel
def is_idle(line: Any) -> bool:
    """Nothing under way in this line, and no sequence to repair."""
    nothing = line[START] == line[END] and line[HELD] == 0 and line[STAGED] == 0 and line[TX_START] == line[TX_END]
    return nothing and line[SHIFT] == 0 and line[LOST_ID] == 0


@inner_kernel
def engage(faults: Any, line: Any) -> bool:
    """Does this line go through its queue now? It starts to at a frame boundary (CLEAN) only, and stops once nothing is under way."""
    if line[ENGAGED] != 0:
        if faults.page[ACTIVE] == 0 and is_idle(line):
            line[ENGAGED] = 0
    elif faults.page[ACTIVE] != 0 and line[CLEAN] != 0:
        line[ENGAGED] = 1
    return line[ENGAGED] != 0


@inner_kernel
def pass_word(line: Any, queue: Any, words: Any, at: int, now: int) -> None:
    """One word that is no frame: delivered as it is, so that the venue sees what it would have seen."""
    _put(line, queue, words[at : at + 1], max(now, line[LAST_DUE]), 1, 1)


@kernel
def carry(faults: Any, direction: int, words: Any, times: Any, out: Any, out_times: Any) -> int:
    """A line by itself: frames in `words` (int64), frame k offered at `times[k]`, delivered into `out` in order, each at `out_times` (ns).

    Returns the number of words in `out`; int64 (1,) `out_times[-1]` holds the number of frames. For tests and for looking at faults in a notebook.
    """
    way = INBOUND if direction == ORDER_ENTRY else OUTBOUND
    line, queue = faults.lines[0, way], faults.queue_out[0]
    at, end, n = 0, 0, 0
    for k in range(times.size + 1):
        now = times[k] if k < times.size else np.int64(2**62)
        count = next_due(faults, line, queue, 0, way, now)
        while count > 0:
            for i in range(count):
                out[end + i] = queue[line[START] + 2 + i]
            out_times[n] = queue[line[START]]
            end, n = end + count, n + 1
            taken(faults, line, direction, count)
            count = next_due(faults, line, queue, 0, way, now)
        if k < times.size and has_room(line, queue, ROOM_WORDS):
            n_words = (words[at] & 0xFFFF) // WORD
            offer(faults, queue, 0, direction, words, at, n_words, now)
            at += n_words
    out_times[out_times.size - 1] = n
    return end
