"""Faults of one direction of one connection: a delay queue in fixed memory, and what may happen to a frame on its way into it.

    bytes -> whole frames -> offer (judged, given a due time) -> queue -> due -> bytes

The frames of a line keep their order (TCP), except a reordered one, which lets the next of its kind pass. So does the end of the connection: it
arrives behind what was sent before it. What happens is decided by the settings on the fault page (faults.py), which may change at any time, and by
the line's own random stream: the same frames at the same times meet the same faults. Nothing here knows a socket or a clock.

| kind | meaning |
|---|---|
| drop | the frame is not delivered, its sequence number is missing |
| lose | not delivered, the sequence is repaired: nobody can see it. A lost ORDER_ACK takes all answers of that order with it: outcome unknown |
| burst | this frame and those behind it are dropped, so many as a geometric draw says (Gilbert's two-state channel, 1960) |
| duplicate | delivered twice |
| reorder | delivered after the next frame of its kind, or REORDER_NS later |
| truncate | its second half is cut off |
| gap | the sequence jumps by one here, though nothing is missing |
| late | ORDER_ACK only: this one and, as TCP keeps order, all behind it come later |
| reject | NEW_ORDER, CONDITIONAL_ORDER: refused at the door, before matching |
| disconnect | the connection ends behind this frame |

On the feed only changes (BBO, TRADE, DEPTH) are dropped, duplicated or reordered: snapshots and session frames come whole.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hftkit.codes import DepthFlag, MessageType
from hftkit.exchange.market.flow.random import below, uniform
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.kernels.wire.frame import frame_type
from hftkit.layout import MAX_FRAME_WORDS, WORD

# Directions
FEED, ORDER_ENTRY, RESPONSE = range(3)
# Kinds of fault
DROP, LOSE, DUPLICATE, REORDER, TRUNCATE, GAP, LATE, REJECT, DISCONNECT, BURST = range(10)
# The fault page, int64 words: head, three blocks of settings, three tables of recorded latencies, three blocks of counts
MAGIC, ACTIVE, BEAT = 0, 1, 2  # BEAT: monotonic ns at which the server last looked
SETTINGS, BLOCK = 64, 64
# Words of a block. FROZEN and DOWN_UNTIL are the server's: until when (monotonic ns) the FREEZE or DOWN lasts that was asked for
LATENCY, JITTER, RECORDED, RATE, SKEW, LATE_BY, REJECT_REASON, FREEZE, CUT, FROZEN, DOWN, DOWN_UNTIL, BYTE_RATE, BURST_FRAMES, VANISH = range(15)
PPM, NEXT = 16, 32  # + kind: probability in 1e-6; how many of the next frames are certain to meet it
QUANTILES = 1024
TABLES = SETTINGS + 3 * BLOCK
COUNTS = TABLES + 3 * QUANTILES
COUNT_BLOCK = 16
FREEZES, ENDED, TURNED_AWAY, OFFERED, DELIVERED = 11, 12, 13, 14, 15  # words of a block of counts, behind the kinds
DIALECT = COUNTS + 3 * COUNT_BLOCK  # for each dialect of dialects/registry.py: its settings, then how often each has happened
DIALECT_WORDS, N_DIALECTS = 64, 1
PAGE_WORDS = DIALECT + N_DIALECTS * 2 * DIALECT_WORDS
# Words of a line's state
START, END, LAST_DUE, SHIFT, HELD, HELD_DUE, N_LOST, ENGAGED, CLEAN, DOOMED, STAGED, TX_START, TX_END = range(13)
FREE_AT, BURST_LEFT, REPAIRED, AT_END, SEND_AT = range(13, 18)
LINE_WORDS = 24
INBOUND, OUTBOUND = 0, 1
LOST_IDS = 256  # orders whose answers are lost that a line remembers
REORDER_NS = 20_000_000
BURST_NS = 10_000_000  # a throttled line that was held up catches up on so much at once, no more
LOOK_NS = 20_000_000  # between two looks whether any fault is left
USUAL_BURST = 10
ROOM_WORDS = 4 * (MAX_FRAME_WORDS + 2)  # the most one offered frame may need
REFUSED, HANG_UP = -1, -2  # in place of the number of words: to be refused at the door; the end of the connection

_INSTRUMENT, _BBO, _TRADE, _DEPTH = int(MessageType.INSTRUMENT), int(MessageType.BBO), int(MessageType.TRADE), int(MessageType.DEPTH)
_NEW_ORDER, _QUERY, _CONDITIONAL = int(MessageType.NEW_ORDER), int(MessageType.ORDER_QUERY), int(MessageType.CONDITIONAL_ORDER)
_REPLACE, _ACCOUNT_QUERY = int(MessageType.REPLACE_ORDER), int(MessageType.ACCOUNT_QUERY)
_ACK, _CANCEL_REJECT, _TRIGGERED = int(MessageType.ORDER_ACK), int(MessageType.CANCEL_REJECT), int(MessageType.ORDER_TRIGGERED)
_SNAPSHOT = int(DepthFlag.SNAPSHOT)


class Faults(NamedTuple):
    """All memory of the faults of one server. All int64 but the random streams."""

    page: np.ndarray  # (PAGE_WORDS,) settings and counts, perhaps a mapped file
    script: np.ndarray  # (n, 3): ns since the start, word of the page, value; sorted
    cursor: np.ndarray  # (2,): script lines done, when to look next whether any fault is left
    lines: np.ndarray  # (clients, 2, LINE_WORDS)
    queue_in: np.ndarray  # (clients, words): [due, number of words or REFUSED, frame] ...
    queue_out: np.ndarray  # (clients, words)
    stage: np.ndarray  # (clients, words): bytes received, before they are whole frames
    tx: np.ndarray  # (clients, words): due, not yet taken by the socket
    held: np.ndarray  # (clients, 2, MAX_FRAME_WORDS): a reordered frame
    lost: np.ndarray  # (clients, LOST_IDS): orders whose answers are lost, the oldest is forgotten first
    graves: np.ndarray  # (n,): descriptors of connections that went dead without a word, -1 if none
    scratch: np.ndarray  # (MAX_FRAME_WORDS,)
    random: np.ndarray  # uint64 (2 * clients,): stream 2 * client + way


@inner_kernel
def reset_line(faults: Any, index: int) -> None:
    """A new connection has taken client record `index`."""
    for way in range(2):
        for word in range(LINE_WORDS):
            faults.lines[index, way, word] = 0
        faults.lines[index, way, CLEAN] = 1


@inner_kernel
def _begin(page: Any, asked: int, until: int, now: int) -> bool:
    """What was asked for begins; what is over is taken off the page. Is it new?"""
    if page[until] != 0 and now >= page[until]:
        page[until] = 0
    if page[asked] <= 0:
        return False
    page[until] = now + page[asked]
    page[asked] = 0
    return True


@kernel
def run_script(faults: Any, elapsed_ns: int, now: int) -> None:
    """Put what is due of the script on the page, and begin what was asked for. Call it every turn. `now`: ns, monotonic."""
    page = faults.page
    page[BEAT] = now
    while faults.cursor[0] < faults.script.shape[0] and faults.script[faults.cursor[0], 0] <= elapsed_ns:
        page[faults.script[faults.cursor[0], 1]] = faults.script[faults.cursor[0], 2]
        page[ACTIVE] = 1
        faults.cursor[0] += 1
    if page[ACTIVE] == 0 and now < faults.cursor[1]:
        return
    for direction in range(3):
        block, counts = SETTINGS + direction * BLOCK, COUNTS + direction * COUNT_BLOCK
        if _begin(page, block + FREEZE, block + FROZEN, now):
            page[counts + FREEZES] += 1
        if _begin(page, block + DOWN, block + DOWN_UNTIL, now):
            page[block + CUT] = max(page[block + CUT], 1)
    if now >= faults.cursor[1]:  # not every turn: somebody may be writing; what was overlooked is seen the next time
        faults.cursor[1] = now + LOOK_NS
        active = 0
        for word in range(SETTINGS, TABLES):
            if page[word] != 0:
                active = 1
        page[ACTIVE] = active


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
        return _NEW_ORDER <= kind <= _QUERY or _REPLACE <= kind <= _ACCOUNT_QUERY
    return _ACK <= kind <= _CANCEL_REJECT or kind == _TRIGGERED


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
    return max(now + delay, line[LAST_DUE])


@inner_kernel
def ready_at(faults: Any, line: Any, queue: Any, direction: int) -> int:
    """When the entry at the front of a queue may leave: when it is due, and not before a throttled line is free again."""
    due = queue[line[START]]
    if faults.page[SETTINGS + direction * BLOCK + RATE] > 0 and queue[line[START] + 1] != HANG_UP:
        due = max(due, line[FREE_AT])
    return due


@inner_kernel
def hang_up(line: Any, queue: Any, due: int) -> None:
    """The connection ends here: behind what the queue holds, before what comes later."""
    at = line[END]
    queue[at], queue[at + 1] = due, HANG_UP
    line[END] = at + 2
    line[LAST_DUE] = max(line[LAST_DUE], due)


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
def _forgets(faults: Any, line: Any, index: int, order: int) -> bool:
    """Is this an order whose answers are lost?"""
    found = False
    for k in range(min(line[N_LOST], LOST_IDS)):
        found = found or faults.lost[index, k] == order
    return found


@inner_kernel
def _burst_length(faults: Any, stream: int, direction: int) -> int:
    """Frames of a burst, geometric with the mean that is set."""
    mean = faults.page[SETTINGS + direction * BLOCK + BURST_FRAMES]
    mean = mean if mean > 0 else USUAL_BURST
    if mean == 1:
        return 1
    more: Any = np.int64(np.log(1.0 - uniform(faults.random, stream)) / np.log(1.0 - 1.0 / np.float64(mean)))
    return 1 + more


@inner_kernel
def _is_lost(faults: Any, line: Any, index: int, direction: int, kind: int) -> bool:
    """Dropped or lost? The frame is in `faults.scratch`."""
    stream = 2 * index + (INBOUND if direction == ORDER_ENTRY else OUTBOUND)
    order = faults.scratch[3]
    if direction == RESPONSE and _forgets(faults, line, index, order):
        line[SHIFT] -= 1
        return True
    if line[BURST_LEFT] == 0 and _happens(faults, stream, direction, BURST):
        line[BURST_LEFT] = _burst_length(faults, stream, direction)
    if line[BURST_LEFT] > 0:
        line[BURST_LEFT] -= 1
        faults.page[COUNTS + direction * COUNT_BLOCK + DROP] += 1
        return True
    if _happens(faults, stream, direction, DROP):
        return True
    if direction != FEED and _happens(faults, stream, direction, LOSE):
        line[SHIFT] -= 1
        line[REPAIRED] = 1
        if direction == RESPONSE and kind == _ACK:
            faults.lost[index, line[N_LOST] % LOST_IDS] = order
            line[N_LOST] += 1
        return True
    return False


@inner_kernel
def offer(faults: Any, queue: Any, index: int, direction: int, words: Any, at: int, n_words: int, now: int) -> None:
    """A whole frame at `words[at:at + n_words]` enters a line whose queue has ROOM_WORDS left. `now`: ns, monotonic."""
    way = INBOUND if direction == ORDER_ENTRY else OUTBOUND
    line, stream = faults.lines[index, way], 2 * index + way
    frame, kind = faults.scratch, frame_type(words[at])
    for i in range(n_words):
        frame[i] = words[at + i]
    faults.page[COUNTS + direction * COUNT_BLOCK + OFFERED] += 1
    may_be_lost = _may_be_lost(direction, kind, frame[4] if kind == _DEPTH else 0)
    if may_be_lost and _is_lost(faults, line, index, direction, kind):
        return
    if may_be_lost and _happens(faults, stream, direction, GAP):
        line[SHIFT] += 1
    if frame[1] != 0:  # sequence 0: not numbered
        frame[1] += line[SHIFT]
    if direction != ORDER_ENTRY and kind != _INSTRUMENT:
        frame[2] += faults.page[SETTINGS + direction * BLOCK + SKEW]
    due = due_time(faults, line, stream, direction, now)
    if kind == _ACK and _happens(faults, stream, direction, LATE):
        due += faults.page[SETTINGS + direction * BLOCK + LATE_BY]
    ends = _happens(faults, stream, direction, DISCONNECT)
    if may_be_lost and not ends and line[HELD] == 0 and _happens(faults, stream, direction, REORDER):
        _hold_back(faults, line, index, way, n_words, due)
        return
    if (kind == _NEW_ORDER or kind == _CONDITIONAL) and _happens(faults, stream, direction, REJECT):
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
    if ends:
        hang_up(line, queue, due)


@inner_kernel
def next_due(faults: Any, line: Any, queue: Any, index: int, direction: int, now: int) -> int:
    """Words of the entry at the front of a queue that may leave at `now` (a REFUSED one is an order), 0 if none may.

    At the end of the connection nothing is left, and the line is DOOMED.
    """
    if line[HELD] > 0 and now >= line[HELD_DUE] and has_room(line, queue, ROOM_WORDS):
        way = INBOUND if direction == ORDER_ENTRY else OUTBOUND
        _release_held(faults, line, queue, index, way, max(line[LAST_DUE], line[HELD_DUE]))
    if line[START] == line[END]:
        line[START] = line[END] = 0
        return 0
    if ready_at(faults, line, queue, direction) > now:
        return 0
    count = queue[line[START] + 1]
    if count == HANG_UP:
        line[DOOMED] = 1
        line[START] = line[END] = line[HELD] = 0
        return 0
    return (queue[line[START] + 2] & 0xFFFF) // WORD if count == REFUSED else count


@inner_kernel
def taken(faults: Any, line: Any, queue: Any, direction: int, n_words: int, now: int) -> None:
    """The entry at the front, of `n_words`, has been delivered at `now`."""
    rate = faults.page[SETTINGS + direction * BLOCK + RATE]
    if rate > 0:
        start = max(ready_at(faults, line, queue, direction), now - BURST_NS)
        line[FREE_AT] = start + (999_999_999 + rate) // rate
    line[START] += 2 + n_words
    faults.page[COUNTS + direction * COUNT_BLOCK + DELIVERED] += 1


@inner_kernel
def is_idle(line: Any) -> bool:
    """Nothing under way in this line, and no sequence to repair."""
    nothing = line[START] == line[END] and line[HELD] == 0 and line[STAGED] == 0 and line[TX_START] == line[TX_END]
    return nothing and line[SHIFT] == 0 and line[N_LOST] == 0 and line[AT_END] == 0 and line[DOOMED] == 0


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
        count = next_due(faults, line, queue, 0, direction, now)
        while count > 0:
            for i in range(count):
                out[end + i] = queue[line[START] + 2 + i]
            out_times[n] = ready_at(faults, line, queue, direction)
            taken(faults, line, queue, direction, count, out_times[n])
            end, n = end + count, n + 1
            count = next_due(faults, line, queue, 0, direction, now)
        if k < times.size and line[DOOMED] == 0 and has_room(line, queue, ROOM_WORDS):
            n_words = (words[at] & 0xFFFF) // WORD
            offer(faults, queue, 0, direction, words, at, n_words, now)
            at += n_words
    out_times[out_times.size - 1] = n
    return end
