"""Replay: run a session's journal through the step again and prove that every decision and every byte is the same.

The journal holds all that the step ever saw: the configuration with the frozen files, every frame with its time, every timer and
operator command. So the replay needs nothing else, on any machine, at any later time. At SESSION_END the digest of the whole
state must be the recorded one too, and at each snapshot the whole state (snapshot.py). A replay may begin at a snapshot: it then
proves what comes after it, and the whole replay proves the snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hftkit.codes import Policy, RecordType
from hftkit.errors import JournalError, ParamsError
from hftkit.kernels import replay as kernel
from hftkit.kernels.hooks import HOOKS_TYPE
from hftkit.kernels.jit import compiled_driver
from hftkit.kernels.memory.crc32c import crc32c_words
from hftkit.kernels.memory.journal import RECORD_HEADER_WORDS, check_record
from hftkit.layout import MAX_FRAME_WORDS
from hftkit.session.code_identity import code_differs
from hftkit.session.engine_state import EngineState, SessionConfig, build_engine_state, hooks_of, state_digest, strategy_kernels
from hftkit.session.journal import CRC_BEFORE, FIRST_SEQUENCE, SEGMENT_HEADER_WORDS, JournalReader, bytes_of, json_of, segment_head, type_of
from hftkit.session.reload import carry_out_recorded, follows
from hftkit.session.snapshot import (
    MOST_WORDS,
    P_PARTS,
    PART_HEADER_WORDS,
    Collector,
    Kind,
    digest_in,
    kind_of,
    reloaded_in,
    restore,
    snapshot_words,
)
from hftkit.session.writers import WriterWatch

FILL_COLUMNS = ("ts_event", "instrument", "side", "price_ticks", "qty_lots", "fee_e8", "maker", "client_order_id")
MAX_FILLS = 1_000_000
_SEGMENT_SAMPLES = 200_000  # room for what one segment of ordinary size adds before it is thinned
LAST_SNAPSHOT = -1
SAMPLE_COLUMNS = ("ts_event", "spread", "mean", "std", "zscore", "equity_e8", "lead_position", "hedge_position")


@dataclass
class ReplayResult:
    """What a replay found. `identical` only if every output and, for an ended session, the final state agree."""

    config: SessionConfig
    rooms: EngineState
    identical: bool
    ended: bool
    difference: str = ""
    torn: str = ""
    code_differs: str = ""  # how this installation's code is another than the session's
    inputs: int = 0
    outputs: int = 0
    vetoes: int = 0
    records: int = 0
    snapshots: int = 0  # met, and found to be the replay's own state
    snapshot_digests: dict[int, bytes] = field(default_factory=dict)  # state digest of each of them
    began_at: int = 0  # the snapshot that the replay began with, 0: it began at the beginning
    continues: str = ""  # the session that this one was resumed from
    reloads: int = 0  # changes of parameters or limits that were met
    limits_reloaded: bool = False  # the limits are those of a reload, here or in a session that this one was resumed from
    writers: WriterWatch | None = None  # where it was asked for: who wrote what, and what was not its own
    samples: np.ndarray = field(default_factory=lambda: np.zeros((0, len(SAMPLE_COLUMNS))))
    fills: np.ndarray = field(default_factory=lambda: np.zeros((0, len(FILL_COLUMNS)), np.int64))


def _name(record_type: int) -> str:
    if record_type == -1:
        return "the end of the segment"
    return RecordType(record_type).text if record_type in set(RecordType) else f"a damaged record ({record_type})"


def _describe(path: Path, cursor: np.ndarray) -> str:
    wanted, found, word = int(cursor[kernel.WANTED_TYPE]), int(cursor[kernel.FOUND_TYPE]), int(cursor[kernel.DIFFERENT_WORD])
    where = f"{path.name}, byte {int(cursor[kernel.POSITION]) * 8}, record {int(cursor[kernel.SEQUENCE])}"
    if wanted == 0:
        return f"{where}: the journal holds {_name(found)} that the replay did not produce"
    if word >= 0:
        return f"{where}: {_name(wanted)} differs from the replay at byte {word * 8} of its payload"
    return f"{where}: the replay produced {_name(wanted)}, the journal holds {_name(found)}"


def replay(
    folder: Path | str,
    *,
    sample_every_ns: int | None = None,
    max_samples: int = 200_000,
    check_writers: bool = False,
    from_snapshot: int | None = None,
) -> ReplayResult:
    """Replay the journal in `folder`. `sample_every_ns` (exchange time) keeps the first strategy's signal and all fills, for pictures.

    A session with more than `max_samples` of them is sampled more coarsely, evenly from its beginning to its end. The last sample is always the
    state at the end, after the closing fills: its equity is the net P&L that the session reports.
    `check_writers` runs the step in plain Python and notes who writes what (hftkit/session/writers.py): some thousand events a second.
    `from_snapshot` begins at that snapshot of the journal (from 1), LAST_SNAPSHOT: at the last one, or at the beginning where there is none.
    A difference is reported in the result. Raises JournalError where the journal itself cannot be trusted: altered, incomplete, foreign.
    """
    under_way = _Replay(folder, sample_every_ns or 0, max_samples, check_writers)
    return under_way.run(from_snapshot)


def compare_ways(whole: ReplayResult, part: ReplayResult) -> None:
    """Mark `part`, a replay from a snapshot, as different where the whole replay says so: at a later snapshot, or at the end."""
    if not whole.identical:
        part.identical, part.difference = False, f"from its beginning the journal differs: {whole.difference}"
        return
    for number, digest in part.snapshot_digests.items():
        if whole.snapshot_digests.get(number) != digest:
            part.identical, part.difference = False, f"the whole replay has another state at snapshot {number}"
            return
    if state_digest(whole.rooms) != state_digest(part.rooms):
        part.identical, part.difference = False, "the whole replay ends in another state"


class _Replay:
    """One replay under way: the shell round kernels/replay.py."""

    def __init__(self, folder: Path | str, every_ns: int, max_samples: int, check_writers: bool) -> None:
        self.folder, self.reader, self._check_writers = folder, JournalReader(folder), check_writers
        self._every_ns, self._max_samples = every_ns, max_samples
        self.cursor = np.zeros(kernel.CURSOR_WORDS, np.int64)
        self.cursor[kernel.SEQUENCE] = 1
        self.samples = np.zeros((max_samples + _SEGMENT_SAMPLES if every_ns else 0, len(SAMPLE_COLUMNS)), np.float64)
        self.fills = np.zeros((MAX_FILLS if every_ns else 0, len(FILL_COLUMNS)), np.int64)
        self.result: ReplayResult | None = None
        self._kernels = np.zeros((0, 0), np.int64)
        self._recorded_digest: bytes | None = None
        self._code_differs = self._continues = ""
        self._limits_reloaded = self._is_reloaded = False
        self._parts, self._change = Collector(), Collector()
        self._begin_with = 0  # the snapshot whose state is to be taken, not compared

    def run(self, from_snapshot: int | None) -> ReplayResult:
        """All of it, or from a snapshot on."""
        first = 1
        if from_snapshot is not None:
            found = _find_snapshot(self.reader, from_snapshot)
            if found is not None:
                first = self._begin_at(*found)
        for number in range(first, len(self.reader.segments) + 1):
            if not self._segment(number):
                break
        return self._finish()

    def _begin_at(self, number: int, snapshot: int, head: np.ndarray) -> int:
        """Read the configuration, then be where that segment begins."""
        words = self.reader.load(self.reader.segments[0], 1)
        self.cursor[kernel.POSITION] = SEGMENT_HEADER_WORDS
        while self.result is None:
            _check_first(words, self.cursor, self.reader.segments[0])
            self._cold(*_take_cold(words, self.cursor))
        self.cursor[kernel.SEQUENCE], self.cursor[kernel.CRC] = head[FIRST_SEQUENCE], head[CRC_BEFORE]
        self.result.began_at = self._begin_with = snapshot
        return number

    def _segment(self, number: int) -> bool:
        """Replay one segment. Whether to go on."""
        path = self.reader.segments[number - 1]
        words = self.reader.load(path, number)
        cursor = self.cursor
        if words[CRC_BEFORE] not in (0, cursor[kernel.CRC]):
            raise JournalError(f"{path.name} does not follow the segment before it", "The journal was altered: replay the untouched copy")
        cursor[kernel.POSITION] = SEGMENT_HEADER_WORDS
        while True:
            if self.result is None:
                verdict = kernel.REPLAY_COLD_RECORD
                _check_first(words, cursor, path)
            elif self._parts.open or self._begin_with:
                verdict = _next_part(words, cursor, path, RecordType.SNAPSHOT)
            elif self._change.open:
                verdict = _next_part(words, cursor, path, RecordType.RELOAD)
            else:
                verdict = _run(self.result, self._kernels, words, cursor, self.samples, self.fills, self._every_ns)
                self._every_ns *= _thin(self.samples, cursor, self._max_samples)
            if verdict != kernel.REPLAY_COLD_RECORD:
                break
            if not self._cold(*_take_cold(words, cursor)):
                return False
        assert self.result is not None
        if verdict == kernel.REPLAY_DIFFERS:
            self.result.identical, self.result.difference = False, _describe(path, cursor)
            return False
        position, sequence = int(cursor[kernel.POSITION]), int(cursor[kernel.SEQUENCE])
        stop = int(cursor[kernel.DIFFERENT_WORD]) if verdict == kernel.REPLAY_DAMAGED else -1
        self.reader.check_end(path, number, words, position, sequence, stop, self._recorded_digest is not None)
        return True

    def _cold(self, record_type: RecordType, payload: np.ndarray) -> bool:
        """Take in a record that is no input of the step. Whether the replay goes on."""
        if record_type == RecordType.CONFIG:
            self._configure(payload)
        elif record_type == RecordType.SESSION_BEGIN:
            self._code_differs = _code_differs(payload)
            self._continues, self._limits_reloaded = _continues(payload)
        elif record_type == RecordType.SESSION_END:
            self._recorded_digest = payload[:4].tobytes()
        elif record_type == RecordType.LOGON:
            if not 1 <= payload.size <= MAX_FRAME_WORDS:
                raise JournalError(f"a LOGON of {payload.size} words stands in the journal", "The journal was altered: replay the untouched copy")
            self._replace_logon(payload)
        elif record_type == RecordType.SNAPSHOT:
            words = self._parts.take(payload)
            return words is None or self._snapshot(words)
        elif record_type == RecordType.RELOAD:
            words = self._change.take(payload)
            if words is not None:
                self._reload(words)
        return True

    def _reload(self, words: np.ndarray) -> None:
        """New parameters or limits, from here on."""
        result = self.result
        assert result is not None
        result.reloads += 1
        self._is_reloaded = True
        limits = result.config.limits
        rooms, result.config = carry_out_recorded(result.rooms, result.config, words)
        result.limits_reloaded = result.limits_reloaded or result.config.limits != limits
        self._replace_rooms(rooms)

    def _configure(self, payload: np.ndarray) -> None:
        if self.result is not None:
            raise JournalError(f"{self.folder} configures its session twice", "The journal was altered: replay the untouched copy")
        if "market" in json_of(payload):
            problem = f"{self.folder} is the recording of a simulator: it holds no decisions to replay"
            raise JournalError(problem, f"Play it as a market with: hftkit sim --history {self.folder}")
        config = SessionConfig.from_bytes(bytes_of(payload))
        rooms = build_engine_state(config)
        self._kernels = _kernels_of(config)
        self.result = ReplayResult(config, rooms, identical=True, ended=False, code_differs=self._code_differs, continues=self._continues)
        self.result.limits_reloaded = self._limits_reloaded
        self.result.writers = WriterWatch(rooms, hooks_of(config)) if self._check_writers else None

    def _replace_logon(self, words: np.ndarray) -> None:
        """The frame of the next connection."""
        assert self.result is not None
        self._replace_rooms(self.result.rooms._replace(logon=words.copy()))

    def _replace_rooms(self, rooms: EngineState) -> None:
        """The state to go on with: some of its arrays are new ones."""
        assert self.result is not None
        self.result.rooms = rooms
        if self.result.writers is not None:
            self.result.writers.replace(rooms)

    def _snapshot(self, words: np.ndarray) -> bool:
        """A snapshot is whole: the state to begin with, or one to compare with. Whether the replay goes on."""
        result = self.result
        assert result is not None
        kind, number = kind_of(words), self._parts.number
        begins = kind is Kind.GIVEN and number == 0 and not result.began_at and self.cursor[kernel.INPUTS] == 0 and not result.snapshots
        if begins or (self._begin_with and number == self._begin_with and kind is Kind.CHECK):
            self._begin_with = 0
            reloaded, plain = reloaded_in(words)
            if reloaded is not None:
                self._go_on_with(reloaded)
            self._replace_logon(restore(plain, result.rooms, result.config).logon)
            return True
        if kind is not Kind.CHECK or number != result.began_at + result.snapshots + 1:
            raise JournalError(f"snapshot {number} stands where it cannot", "The journal was altered: replay the untouched copy")
        result.snapshots += 1
        own = snapshot_words(result.rooms, Kind.CHECK, result.config if self._is_reloaded else None)
        result.snapshot_digests[number] = digest_in(own)
        if not np.array_equal(own, words):
            result.identical, result.difference = False, f"every output agrees, but the state at snapshot {number} does not"
        return result.identical

    def _go_on_with(self, config: SessionConfig) -> None:
        """The snapshot that the replay begins with was taken after a reload: what came of that is in it."""
        result = self.result
        assert result is not None
        if result.began_at == 0 or not follows(result.config, config):
            raise JournalError("the snapshot cannot be used: its configuration is of another session", "Replay from the beginning of the journal")
        self._is_reloaded = True
        result.limits_reloaded = result.limits_reloaded or config.limits != result.config.limits
        result.config = config
        self._replace_rooms(build_engine_state(config))

    def _finish(self) -> ReplayResult:
        result, cursor = self.result, self.cursor
        assert result is not None
        result.inputs, result.outputs = int(cursor[kernel.INPUTS]), int(cursor[kernel.OUTPUTS])
        result.vetoes, result.records = int(cursor[kernel.DECISIONS]), int(cursor[kernel.SEQUENCE]) - 1
        result.fills = self.fills[: int(cursor[kernel.FILLS])]
        result.samples = _with_the_end(self.samples[: int(cursor[kernel.SAMPLES])], result.fills, result.rooms)
        result.torn, result.ended = self.reader.torn, self._recorded_digest is not None
        if not result.identical:  # it stopped there: the journal itself says how it ends
            result.torn, result.ended = _how_it_ends(self.folder)
        if result.identical and self._recorded_digest is not None and state_digest(result.rooms) != self._recorded_digest:
            result.identical, result.difference = False, "every output agrees, but the state at the end of the session does not"
        return result


def _find_snapshot(reader: JournalReader, wanted: int) -> tuple[int, int, np.ndarray] | None:
    """The segment that begins with a snapshot: (its number, the snapshot's, its header), None where there is none and the last one is wanted."""
    found: dict[int, tuple[int, int, np.ndarray]] = {}
    for number in range(len(reader.segments), 1, -1):
        path = reader.segments[number - 1]
        head = segment_head(path, SEGMENT_HEADER_WORDS + RECORD_HEADER_WORDS + PART_HEADER_WORDS)
        if head.size <= SEGMENT_HEADER_WORDS + RECORD_HEADER_WORDS or int(head[SEGMENT_HEADER_WORDS]) >> 32 != RecordType.SNAPSHOT:
            continue
        whole, snapshot = _whole_at_start(path), int(head[SEGMENT_HEADER_WORDS + RECORD_HEADER_WORDS])
        if whole and wanted in (LAST_SNAPSHOT, snapshot):
            return number, snapshot, head
        found[snapshot] = (number, snapshot, head)
    if wanted == LAST_SNAPSHOT:
        return None
    have = f"it has {', '.join(str(one) for one in sorted(found))}" if found else "it has none, so only the whole journal can be replayed"
    raise JournalError(f"{reader.folder} has no whole snapshot {wanted}; {have}", "Snapshots stand where the journal goes on in another segment")


def _whole_at_start(path: Path) -> bool:
    """Whether all parts of the snapshot that a segment begins with are there: a kill in the middle leaves the first of them."""
    words = segment_head(path, MOST_WORDS)
    at, n = SEGMENT_HEADER_WORDS, 0
    while at + RECORD_HEADER_WORDS + PART_HEADER_WORDS <= words.size and int(words[at]) >> 32 == RecordType.SNAPSHOT:
        n += 1
        if n == int(words[at + RECORD_HEADER_WORDS + P_PARTS]):
            return True
        at += RECORD_HEADER_WORDS + (int(words[at]) & 0xFFFFFFFF) // 8
    return False


def _next_part(words: np.ndarray, cursor: np.ndarray, path: Path, wanted: RecordType) -> int:
    """What stands where the next part of a snapshot, or of a change, must: that part, the end of what was written, or damage."""
    position = int(cursor[kernel.POSITION])
    length = check_record(words, position, int(cursor[kernel.SEQUENCE]), int(cursor[kernel.CRC]))
    if length == -1:
        return kernel.REPLAY_SEGMENT_END
    if length < 0:
        cursor[kernel.DIFFERENT_WORD] = length
        return kernel.REPLAY_DAMAGED
    if int(words[position]) >> 32 != wanted:
        raise JournalError(
            f"{path.name}, byte {position * 8}: a {wanted.text} is cut in the middle", "The journal was altered: replay the untouched copy"
        )
    return kernel.REPLAY_COLD_RECORD


def _continues(payload: np.ndarray) -> tuple[str, bool]:
    """The session that a session was resumed from, '' if it began afresh; and whether it took limits over that had been reloaded."""
    try:
        told = json_of(payload).get("continues")
    except JournalError:
        return "", False
    return (str(told.get("session", ""))[:64], told.get("limits_reloaded") is True) if isinstance(told, dict) else ("", False)


def load_kernels(rooms: EngineState) -> None:
    """Compile what a replay needs, or load it. `rooms`: of any session."""
    words, samples, fills = np.zeros(16, np.int64), np.zeros((0, len(SAMPLE_COLUMNS))), np.zeros((0, len(FILL_COLUMNS)), np.int64)
    compiled_driver(kernel.replay_segment, rooms, HOOKS_TYPE, words, np.zeros(kernel.CURSOR_WORDS, np.int64), samples, fills, 0)
    check_record(words, 8, 1, 0)
    crc32c_words(words, 0, 8, 0)


def _run(
    result: ReplayResult, kernels: np.ndarray, words: np.ndarray, cursor: np.ndarray, samples: np.ndarray, fills: np.ndarray, every_ns: int
) -> int:
    if result.writers is not None:
        return result.writers.replay_segment(words, cursor, samples, fills, every_ns)
    run = compiled_driver(kernel.replay_segment, result.rooms, HOOKS_TYPE, words, cursor, samples, fills, every_ns)
    return int(run(result.rooms, kernels, words, cursor, samples, fills, every_ns))


def _thin(samples: np.ndarray, cursor: np.ndarray, most: int) -> int:
    """Keep every second of the samples, or every fourth, ... so that there are at most `most`. Returns which: 1, 2, 4, ..."""
    n, every = int(cursor[kernel.SAMPLES]), 1
    while (n + every - 1) // every > most:
        every *= 2
    kept = samples[:n:every].copy()
    samples[: len(kept)] = kept
    cursor[kernel.SAMPLES] = len(kept)
    return every


def _with_the_end(samples: np.ndarray, fills: np.ndarray, rooms: EngineState) -> np.ndarray:
    """The samples float64 (n, 8), ended by the state of `rooms`: a session closes its positions after the last change of its signal."""
    if not len(samples):
        return samples
    ledger, legs, signal = rooms.ledger, rooms.legs[0], rooms.signal[0]
    is_pair = rooms.slots[0]["policy"] == Policy.PAIR
    positions = (legs["lead_position"], legs["hedge_position"]) if is_pair else rooms.held[0, :2]["position"]
    net = int((ledger["realized_e8"] + ledger["unrealized_e8"] - ledger["fees_e8"] - ledger["funding_e8"]).sum())
    end = samples[-1].copy()
    end[0] = max(end[0], float(signal["ts_event"]), float(fills[-1, 0]) if len(fills) else 0.0)
    end[1:5] = signal["spread"], signal["mean"], signal["std"], signal["zscore"]
    end[5:] = net, *positions
    kept = samples[:-1] if end[0] == samples[-1, 0] else samples
    return np.vstack([kept, end])


def _kernels_of(config: SessionConfig) -> np.ndarray:
    try:
        return strategy_kernels(config)
    except ParamsError as error:
        raise JournalError(f"the session traded a strategy that is not here: {error.problem}", "Install the package that it came from") from None


def _code_differs(payload: np.ndarray) -> str:
    try:
        return code_differs(json_of(payload))
    except JournalError:
        return ""


def _how_it_ends(folder: Path | str) -> tuple[str, bool]:
    """Torn tail, and whether there is an end record; without running anything."""
    reader = JournalReader(folder)
    try:
        for _ in reader.chunks():
            pass
    except JournalError as error:
        return str(error), False
    return reader.torn, reader.ended


def _check_first(words: np.ndarray, cursor: np.ndarray, path: Path) -> None:
    """Before the configuration is known only cold records may come, and they must be sound."""
    length = check_record(words, int(cursor[kernel.POSITION]), int(cursor[kernel.SEQUENCE]), int(cursor[kernel.CRC]))
    record_type = int(words[cursor[kernel.POSITION]]) >> 32 if length >= 0 else -1
    if record_type not in (RecordType.SESSION_BEGIN, RecordType.CONFIG):
        raise JournalError(
            f"{path.name}, byte {int(cursor[kernel.POSITION]) * 8}: no session configuration at the start of the journal",
            "The journal is torn at its very beginning or was altered: there is nothing to replay",
        )


def _take_cold(words: np.ndarray, cursor: np.ndarray) -> tuple[RecordType, np.ndarray]:
    position = int(cursor[kernel.POSITION])
    head = int(words[position])
    n_words = (head & 0xFFFFFFFF) // 8
    payload = words[position + RECORD_HEADER_WORDS : position + RECORD_HEADER_WORDS + n_words]
    cursor[kernel.CRC] = words[position + 3]
    cursor[kernel.POSITION] = position + RECORD_HEADER_WORDS + n_words
    cursor[kernel.SEQUENCE] += 1
    return type_of(head, f"byte {position * 8}"), payload
