"""Re-running a journal through the step, compiled. The shell around it is hftkit/session/replay.py.

For each input record the same event is built and stepped; what comes out must be, record by record and word by word, what the
journal holds next: refused wants (DECISION), order entry bytes, market data bytes. The first difference ends the replay.
"""

from __future__ import annotations

from hftkit import layout
from hftkit.codes import EventKind, Policy, RecordType
from hftkit.kernels.arrays import EngineState, Float64Array, Int64Array, StrategyKernels
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.journal import RECORD_HEADER_WORDS, check_record
from hftkit.kernels.step import commit, decide, sense, take_frame
from hftkit.kernels.wire.decode import clear_event
from hftkit.kernels.wire.frame import check_frame

# Words of the cursor (int64): where the replay stands and what it has counted
POSITION, SEQUENCE, CRC, INPUTS, OUTPUTS, DECISIONS, WANTED_TYPE, FOUND_TYPE, DIFFERENT_WORD, SAMPLES, FILLS = range(11)
CURSOR_WORDS = 16

# Why replay_segment came back
REPLAY_SEGMENT_END = 0
REPLAY_COLD_RECORD = 1  # a record for the shell (session begin, configuration, end) stands at POSITION
REPLAY_DAMAGED = 2  # check_record refused what stands at POSITION; its verdict is in DIFFERENT_WORD
REPLAY_DIFFERS = 3  # the step did something else than the journal says

_DATA_IN, _ORDER_IN = int(RecordType.MARKET_DATA_IN), int(RecordType.ORDER_ENTRY_IN)
_TIMER_IN, _CONTROL_IN, _DISCONNECT_IN = int(RecordType.TIMER_IN), int(RecordType.CONTROL_IN), int(RecordType.DISCONNECT_IN)
_ORDER_OUT, _DATA_OUT, _DECISION = int(RecordType.ORDER_ENTRY_OUT), int(RecordType.MARKET_DATA_OUT), int(RecordType.DECISION)
_FILL, _PAIR = int(EventKind.ORDER_FILL), int(Policy.PAIR)
_TIMER, _CONTROL, _DISCONNECT = int(EventKind.TIMER), int(EventKind.CONTROL), int(EventKind.DISCONNECT)
_ALLOWED_WORDS = layout.ALLOWED.dtype.itemsize // 8


@kernel
def _advance(segment: Int64Array, cursor: Int64Array, n_words: int) -> None:
    cursor[CRC] = segment[cursor[POSITION] + 3]
    cursor[POSITION] += RECORD_HEADER_WORDS + n_words
    cursor[SEQUENCE] += 1


@kernel
def _expect(segment: Int64Array, cursor: Int64Array, record_type: int, words: Int64Array, start: int, n_words: int) -> bool:
    """The next record must be of this type and hold these words."""
    position = cursor[POSITION]
    length = check_record(segment, position, cursor[SEQUENCE], cursor[CRC])
    cursor[WANTED_TYPE] = record_type
    cursor[DIFFERENT_WORD] = -1
    cursor[FOUND_TYPE] = segment[position] >> 32 if length >= 0 else length
    if cursor[FOUND_TYPE] != record_type:
        return False
    for i in range(min(length, n_words)):
        if segment[position + RECORD_HEADER_WORDS + i] != words[start + i]:
            cursor[DIFFERENT_WORD] = i
            return False
    if length != n_words:
        cursor[DIFFERENT_WORD] = min(length, n_words)
        return False
    _advance(segment, cursor, n_words)
    return True


@kernel
def _take(rooms: EngineState, segment: Int64Array, position: int, record_type: int, n_words: int) -> bool:
    """Build rooms.event from an input record. False if it was a malformed frame."""
    start = position + RECORD_HEADER_WORDS
    time_ns = segment[position + 2]
    if record_type == _DATA_IN or record_type == _ORDER_IN:
        verdict = check_frame(segment, start, start + n_words)
        return take_frame(rooms, segment, start, verdict, record_type == _ORDER_IN, time_ns)
    kind = _TIMER if record_type == _TIMER_IN else (_CONTROL if record_type == _CONTROL_IN else _DISCONNECT)
    clear_event(rooms.event, kind, -1, time_ns, 0, 0)
    rooms.event[0].code = segment[start]
    return True


@kernel
def _compare_outputs(rooms: EngineState, segment: Int64Array, cursor: Int64Array, n_want: int) -> bool:
    for i in range(n_want):
        if rooms.allowed[i].reason != 0:
            if not _expect(segment, cursor, _DECISION, rooms.allowed_words, i * _ALLOWED_WORDS, _ALLOWED_WORDS):
                return False
            cursor[DECISIONS] += 1
    if rooms.out_end[0] > 0:
        if not _expect(segment, cursor, _ORDER_OUT, rooms.order_out, 0, rooms.out_end[0]):
            return False
        cursor[OUTPUTS] += 1
    if rooms.out_end[1] > 0:
        if not _expect(segment, cursor, _DATA_OUT, rooms.data_out, 0, rooms.out_end[1]):
            return False
        cursor[OUTPUTS] += 1
    rooms.out_end[0] = 0
    rooms.out_end[1] = 0
    return True


@kernel
def keep_sample(rooms: EngineState, samples: Float64Array, cursor: Int64Array, every_ns: int) -> None:
    """Keep the first strategy's signal once per `every_ns` of exchange time, for pictures and research."""
    s = rooms.signal[0]
    n = cursor[SAMPLES]
    if n >= samples.shape[0] or s.ts_event == 0 or (n > 0 and s.ts_event < samples[n - 1, 0] + every_ns):
        return
    samples[n, 0] = s.ts_event
    samples[n, 1] = s.spread
    samples[n, 2] = s.mean
    samples[n, 3] = s.std
    samples[n, 4] = s.zscore
    samples[n, 5] = rooms.risk[0].equity_e8
    is_pair = rooms.slots[0].policy == _PAIR
    samples[n, 6] = rooms.legs[0].lead_position if is_pair else rooms.held[0, 0].position
    samples[n, 7] = rooms.legs[0].hedge_position if is_pair else rooms.held[0, 1].position
    cursor[SAMPLES] = n + 1


@kernel
def keep_fill(rooms: EngineState, fills: Int64Array, cursor: Int64Array) -> None:
    """Keep the event if it is a fill, as one row of `fills` int64 (m, 8)."""
    e = rooms.event[0]
    n = cursor[FILLS]
    if e.kind != _FILL or e.instrument < 0 or n >= fills.shape[0]:
        return
    fills[n, 0] = e.ts_event
    fills[n, 1] = e.instrument
    fills[n, 2] = e.side
    fills[n, 3] = e.price
    fills[n, 4] = e.qty
    fills[n, 5] = e.fee_e8
    fills[n, 6] = e.flags
    fills[n, 7] = e.client_order_id
    cursor[FILLS] = n + 1


@kernel
def replay_segment(
    rooms: EngineState, strategies: StrategyKernels, segment: Int64Array, cursor: Int64Array, samples: Float64Array, fills: Int64Array, every_ns: int
) -> int:
    """Replay records of one segment (int64 words) from cursor[POSITION]. Returns a REPLAY_* code.

    `samples`: float64 (m, 8) of exchange time ns, spread, mean, std, zscore, equity 1e-8 quote, lead lots, hedge lots, one at most in
    `every_ns` of exchange time; `fills`: int64 (m, 8) of exchange time ns, instrument, side, price ticks, lots, fee 1e-8 quote, maker,
    client order id. Either may have no rows.
    """
    while True:
        position = cursor[POSITION]
        length = check_record(segment, position, cursor[SEQUENCE], cursor[CRC])
        if length == -1:
            return REPLAY_SEGMENT_END
        if length < 0:
            cursor[DIFFERENT_WORD] = length
            return REPLAY_DAMAGED
        record_type = segment[position] >> 32
        if record_type < _DATA_IN:
            return REPLAY_COLD_RECORD
        if (record_type == _TIMER_IN or record_type == _CONTROL_IN or record_type == _DISCONNECT_IN) and length != 1:
            cursor[DIFFERENT_WORD] = -2  # an impossible length
            return REPLAY_DAMAGED
        if record_type > _DISCONNECT_IN:
            cursor[WANTED_TYPE] = 0
            cursor[FOUND_TYPE] = record_type
            cursor[DIFFERENT_WORD] = -1
            return REPLAY_DIFFERS
        taken = _take(rooms, segment, position, record_type, length)
        _advance(segment, cursor, length)
        cursor[INPUTS] += 1
        if taken:
            sensed = sense(rooms, strategies)
            n_want = decide(rooms, sensed)
            commit(rooms, sensed, n_want)
            if not _compare_outputs(rooms, segment, cursor, n_want):
                return REPLAY_DIFFERS
            keep_sample(rooms, samples, cursor, every_ns)
            keep_fill(rooms, fills, cursor)
