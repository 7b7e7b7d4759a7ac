"""Replay: run a session's journal through the step again and prove that every decision and every byte is the same.

The journal holds all that the step ever saw: the configuration with the frozen files, every frame with its time, every timer and
operator command. So the replay needs nothing else, on any machine, at any later time. At SESSION_END the digest of the whole
state must be the recorded one too.
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
from hftkit.kernels.memory.journal import RECORD_HEADER_WORDS, check_record
from hftkit.session.code_identity import code_differs
from hftkit.session.engine_state import EngineState, SessionConfig, build_engine_state, hooks_of, state_digest, strategy_kernels
from hftkit.session.journal import SEGMENT_HEADER_WORDS, JournalReader, bytes_of, json_of, type_of
from hftkit.session.writers import WriterWatch

FILL_COLUMNS = ("ts_event", "instrument", "side", "price_ticks", "qty_lots", "fee_e8", "maker", "client_order_id")
MAX_FILLS = 1_000_000
_SEGMENT_SAMPLES = 200_000  # room for what one segment of ordinary size adds before it is thinned
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


def replay(folder: Path | str, *, sample_every_ns: int | None = None, max_samples: int = 200_000, check_writers: bool = False) -> ReplayResult:
    """Replay the journal in `folder`. `sample_every_ns` (exchange time) keeps the first strategy's signal and all fills, for pictures.

    A session with more than `max_samples` of them is sampled more coarsely, evenly from its beginning to its end. The last sample is always the
    state at the end, after the closing fills: its equity is the net P&L that the session reports.
    `check_writers` runs the step in plain Python and notes who writes what (hftkit/session/writers.py): some thousand events a second.
    A difference is reported in the result. Raises JournalError where the journal itself cannot be trusted: altered, incomplete, foreign.
    """
    reader = JournalReader(folder)
    cursor = np.zeros(kernel.CURSOR_WORDS, np.int64)
    cursor[kernel.SEQUENCE] = 1
    every_ns = sample_every_ns or 0
    samples = np.zeros((max_samples + _SEGMENT_SAMPLES if every_ns else 0, len(SAMPLE_COLUMNS)), np.float64)
    fills = np.zeros((MAX_FILLS if every_ns else 0, len(FILL_COLUMNS)), np.int64)
    result: ReplayResult | None = None
    kernels = np.zeros((0, 0), np.int64)
    recorded_digest: bytes | None = None
    differs = ""
    for number, path in enumerate(reader.segments, start=1):
        words = reader.load(path, number)
        cursor[kernel.POSITION] = SEGMENT_HEADER_WORDS
        while True:
            if result is None:
                verdict = kernel.REPLAY_COLD_RECORD
                _check_first(words, cursor, path)
            else:
                verdict = _run(result, kernels, words, cursor, samples, fills, every_ns)
                every_ns *= _thin(samples, cursor, max_samples)
            if verdict == kernel.REPLAY_COLD_RECORD:
                record_type, payload = _take_cold(words, cursor)
                if record_type == RecordType.CONFIG:
                    if result is not None:
                        raise JournalError(f"{folder} configures its session twice", "The journal was altered: replay the untouched copy")
                    if "market" in json_of(payload):
                        problem = f"{folder} is the recording of a simulator: it holds no decisions to replay"
                        raise JournalError(problem, f"Play it as a market with: hftkit sim --history {folder}")
                    config = SessionConfig.from_bytes(bytes_of(payload))
                    rooms = build_engine_state(config)
                    kernels = _kernels_of(config)
                    result = ReplayResult(config, rooms, identical=True, ended=False, code_differs=differs)
                    result.writers = WriterWatch(rooms, hooks_of(config)) if check_writers else None
                elif record_type == RecordType.SESSION_BEGIN:
                    differs = _code_differs(payload)
                elif record_type == RecordType.SESSION_END:
                    recorded_digest = payload[:4].tobytes()
            else:
                break
        assert result is not None
        if verdict == kernel.REPLAY_DIFFERS:
            result.identical, result.difference = False, _describe(path, cursor)
            break
        position, sequence = int(cursor[kernel.POSITION]), int(cursor[kernel.SEQUENCE])
        stop = int(cursor[kernel.DIFFERENT_WORD]) if verdict == kernel.REPLAY_DAMAGED else -1
        reader.check_end(path, number, words, position, sequence, stop, recorded_digest is not None)
    assert result is not None
    result.inputs, result.outputs = int(cursor[kernel.INPUTS]), int(cursor[kernel.OUTPUTS])
    result.vetoes, result.records = int(cursor[kernel.DECISIONS]), int(cursor[kernel.SEQUENCE]) - 1
    result.fills = fills[: int(cursor[kernel.FILLS])]
    result.samples = _with_the_end(samples[: int(cursor[kernel.SAMPLES])], result.fills, result.rooms)
    result.torn, result.ended = reader.torn, recorded_digest is not None
    if not result.identical:  # it stopped there: the journal itself says how it ends
        result.torn, result.ended = _how_it_ends(folder)
    if result.identical and recorded_digest is not None and state_digest(result.rooms) != recorded_digest:
        result.identical, result.difference = False, "every output agrees, but the state at the end of the session does not"
    return result


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
