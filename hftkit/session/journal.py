"""Journal files: segments on disk, their writer's cold side and their reader (docs/journal.md).

A journal is a folder of segments `segment-000001.hftj`, ... The hot thread appends to the mapped segment
(kernels/memory/journal.py); this file makes segments ready, switches them, syncs them, and reads them back. A torn tail is detected by
CRC and cut, never guessed; anything wrong before the tail is an error that says where.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from hftkit.codes import RecordType
from hftkit.errors import JournalError, UnitError
from hftkit.instruments import Instrument
from hftkit.kernels.memory import journal as journal_kernel
from hftkit.kernels.memory.crc32c import crc32c_words
from hftkit.kernels.memory.journal import RECORD_HEADER_WORDS, SEGMENT_HEADER_WORDS, STATE_WORDS, VERSION
from hftkit.reading import parse_object, printable, read_bytes

SEGMENT_MAGIC = 0x314C_4A4B_5446_48  # "HFTKJL1"
SEGMENT_BYTES = 64 * 1024 * 1024
RESERVE_BYTES = 8 * 1024 * 1024  # minutes of a busy session: more than any stop may take
RESERVE_NAME = "reserve.hftj"  # of no use to a reader; becomes a segment when it is needed
MAX_RECORD_WORDS = 4096  # longer ones (configurations) stand at the very beginning only
_UNTOUCHED = "Replay the untouched copy"
_TYPES = frozenset(int(one) for one in RecordType)
_MOST_SEGMENT_BYTES = 1 << 33  # above what [session] segment_mb allows
# Segment header words
MAGIC, FORMAT, NUMBER, EPOCH, FIRST_SEQUENCE, CREATED_UNIX_NS, CRC_BEFORE, HEADER_CRC = range(8)  # CRC_BEFORE: 0 in journals of before


def segment_path(folder: Path, number: int) -> Path:
    """Path of a segment, from 1."""
    return folder / f"segment-{number:06d}.hftj"


def _untouched(path: Path) -> bool:
    """Whether a segment was only made ready: no header, nothing in it."""
    try:
        return not any(read_bytes(path, _MOST_SEGMENT_BYTES, first=SEGMENT_HEADER_WORDS * 8))
    except OSError as error:
        raise JournalError(f"cannot read {printable(str(path))}: {error.strerror or error}", _UNTOUCHED) from None


def words_of(payload: bytes) -> np.ndarray:
    """Bytes as int64 words: the length in the first word, then the text padded with NUL."""
    padded = payload.ljust(-(-len(payload) // 8) * 8, b"\0")
    return np.concatenate([np.array([len(payload)], np.int64), np.frombuffer(padded, np.int64)])


def bytes_of(words: np.ndarray) -> bytes:
    """Inverse of `words_of`. Raises JournalError where the length does not fit the words."""
    if words.size == 0 or not 0 <= int(words[0]) <= (words.size - 1) * 8:
        raise JournalError("a text record of the journal has an impossible length", _UNTOUCHED)
    return words[1:].tobytes()[: int(words[0])]


def segment_head(path: Path, n_words: int) -> np.ndarray:
    """The first words of a segment file, as many of `n_words` as there are; nothing is checked. Raises JournalError."""
    try:
        return np.frombuffer(read_bytes(path, _MOST_SEGMENT_BYTES, first=n_words * 8, whole_words=True), np.int64)
    except OSError as error:
        raise JournalError(f"cannot read {printable(str(path))}: {error.strerror or error}", _UNTOUCHED) from None


class _Segment(NamedTuple):
    """A segment file that is mapped and has its blocks. `fd` stays open: whatever happens to its path, it can be cut."""

    fd: int
    mapped: mmap.mmap
    words: np.ndarray


def json_of(words: np.ndarray) -> dict[str, Any]:
    """The JSON object of a SESSION_BEGIN or CONFIG record. Raises JournalError."""
    return parse_object(bytes_of(words), lambda why: JournalError(f"a text record of the journal cannot be read: {printable(why)}", _UNTOUCHED))


def instruments_of(config: Mapping[str, Any]) -> tuple[Instrument, ...]:
    """The instruments of a CONFIG record, in id order. Raises JournalError."""
    try:
        return msgspec.convert(config.get("instruments"), tuple[Instrument, ...])
    except (msgspec.ValidationError, UnitError, OverflowError) as error:
        raise JournalError(f"the journal's instruments cannot be read: {printable(str(error))}", _UNTOUCHED) from None


def type_of(head: int, where: str) -> RecordType:
    """The type in word 0 of a record. Raises JournalError for one that does not exist: its checksum fits, so a program wrote it."""
    number = head >> 32
    if number not in _TYPES:
        raise JournalError(f"{where}: the record type {number} does not exist", "The journal is of a newer hftkit, or was made by another program")
    return RecordType(number)


def _record_follows(words: np.ndarray, position: int, sequence: int) -> bool:
    """Whether a record that carries `sequence` stands behind word `position`: the number, and before it a length and a type."""
    later = words[position : position + 1 + MAX_RECORD_WORDS]
    heads = later[:-1][later[1:] == sequence]
    return any(int(head) >> 32 in _TYPES and int(head) & 7 == 0 for head in heads)


class JournalWriter:
    """Owns the segments of one session. `segment` and `state` go to the hot loop; `roll` when it says that the segment is full.

    `reserve_bytes`: a further segment that is allocated at once and taken only when there is no room for another one, so that a session
    on a full disk still has a journal to get flat with; `in_reserve` says that it is in use. 0: none.

    Shared: lock. The hot thread rolls while the cold side prepares and syncs: the lock keeps them from making the same segment twice.
    """

    def __init__(self, folder: Path, epoch: int, created_unix_ns: int, segment_bytes: int = SEGMENT_BYTES, reserve_bytes: int = 0) -> None:
        self.folder = folder
        self.state = np.zeros(STATE_WORDS, np.int64)
        self._epoch, self._created, self._bytes = epoch, created_unix_ns, segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("segment-*.hftj")):
            raise JournalError(f"{folder} already holds a journal", "Journals are never appended to: choose another session id")
        self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # its files are reached through it: the path may be renamed
        self._number = 0
        self._lock = threading.RLock()
        self._closed = False
        self._spare: _Segment | None = None
        self._current = self._make(segment_path(folder, 1).name, segment_bytes)
        try:
            self._reserve = self._make(RESERVE_NAME, reserve_bytes) if reserve_bytes else None
        except JournalError:
            self._remove(segment_path(folder, 1).name)
            raise
        self.segment = self._current.words
        self.in_reserve = False
        self._begin_locked()

    def _make(self, name: str, n_bytes: int) -> _Segment:
        problem = f"journal segment {self.folder / name} of {n_bytes >> 20} MB"
        try:
            fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._folder_fd)  # never what may be mapped
        except OSError as error:
            raise JournalError(f"cannot make {problem} ({error.strerror})", "Is the folder still there? What was written so far is whole") from None
        try:
            os.posix_fallocate(fd, 0, n_bytes)  # its blocks now: on a full disk a touched page would kill the process
            mapped = mmap.mmap(fd, n_bytes)
        except OSError as error:
            os.close(fd)
            self._remove(name)
            raise JournalError(f"no room for {problem} ({error.strerror})", "Free some space; what was written so far is whole") from None
        words = np.frombuffer(mapped, np.int64)
        words[::512] = 0  # touch every page now, not in the hot loop
        return _Segment(fd, mapped, words)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._folder_fd)

    def _begin_locked(self) -> None:
        self._number += 1
        header = self.segment[:SEGMENT_HEADER_WORDS]
        header[FORMAT], header[NUMBER], header[EPOCH] = VERSION, self._number, self._epoch
        header[FIRST_SEQUENCE], header[CREATED_UNIX_NS] = self.state[journal_kernel.SEQUENCE] + 1, self._created
        header[CRC_BEFORE] = self.state[journal_kernel.CRC]  # so that a reader may begin here
        header[MAGIC] = SEGMENT_MAGIC
        header[HEADER_CRC] = crc32c_words(header, 0, HEADER_CRC, 0)
        self.state[journal_kernel.POSITION] = SEGMENT_HEADER_WORDS

    def prepare(self) -> None:
        """Make the next segment ready, on the cold side, so that `roll` costs the hot thread microseconds. Raises JournalError without room."""
        with self._lock:
            if self._spare is None and not self.in_reserve and self.state[journal_kernel.POSITION] * 2 > self.segment.size:
                self._spare = self._make(segment_path(self.folder, self._number + 1).name, self._bytes)

    def roll(self) -> np.ndarray:
        """Switch to the next segment and return it: the one made ready, a new one, or where there is no room the reserve.

        Raises JournalError if there is none of them; the segment in use is then as it was.
        """
        with self._lock:
            following = self._spare or self._make_or_reserve_locked()
            self._spare = None
            with contextlib.suppress(OSError):  # one that is not cut can be read as well
                self._cut_locked()
            os.close(self._current.fd)
            self._current, self.segment = following, following.words
            self._begin_locked()
            return self.segment

    def _make_or_reserve_locked(self) -> _Segment:
        name = segment_path(self.folder, self._number + 1).name
        try:
            return self._make(name, self._bytes)
        except JournalError as error:
            if self._reserve is None:
                raise JournalError(f"{error.problem}, and no reserve is left", error.cure) from None
        reserve, self._reserve, self.in_reserve = self._reserve, None, True
        with contextlib.suppress(OSError):  # a folder that is gone: its memory still takes what is needed to get flat
            os.rename(RESERVE_NAME, name, src_dir_fd=self._folder_fd, dst_dir_fd=self._folder_fd)
        return reserve

    def append(self, record_type: RecordType, time_ns: int, words: np.ndarray) -> None:
        """Append a record from the cold side (session begin, configuration, end)."""
        if SEGMENT_HEADER_WORDS + RECORD_HEADER_WORDS + words.size + 1 > self._bytes // 8:
            raise JournalError(f"a record of {words.size * 8} bytes is larger than a journal segment")
        with self._lock:
            if not journal_kernel.append(words, self.segment, self.state, int(record_type), time_ns, 0, words.size):
                self.roll()
                journal_kernel.append(words, self.segment, self.state, int(record_type), time_ns, 0, words.size)

    def append_whole(self, record_type: RecordType, time_ns: int, payloads: Sequence[np.ndarray], most: float = 1.0) -> bool:
        """Append records that belong together, all into the segment in use, or none of them. Whether it did.

        `most`: the share of a segment that they may take.
        """
        needed = sum(RECORD_HEADER_WORDS + words.size for words in payloads)
        with self._lock:
            if needed > self.segment.size * most or int(self.state[journal_kernel.POSITION]) + needed + 1 > self.segment.size:
                return False
            for words in payloads:
                journal_kernel.append(words, self.segment, self.state, int(record_type), time_ns, 0, words.size)
        return True

    def sync(self) -> None:
        """Write the mapped pages to disk: what is not yet synced survives the process, not the machine."""
        with self._lock:
            self._current.mapped.flush()

    def _cut_locked(self) -> None:
        """Give the unused end of the segment back to the file system."""
        used = (int(self.state[journal_kernel.POSITION]) + 1) * 8
        self._current.mapped.flush()
        os.ftruncate(self._current.fd, min(self.segment.size * 8, -(-used // 4096) * 4096))

    def close(self) -> None:
        """Sync, and cut the unused end of the last segment; what was made ready and not needed is removed. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._spare is not None:
                self._remove(segment_path(self.folder, self._number + 1).name)
                os.close(self._spare.fd)
                self._spare = None
            if self._reserve is not None:
                self._remove(RESERVE_NAME)
                os.close(self._reserve.fd)
                self._reserve = None
            try:
                self._cut_locked()
            finally:
                os.close(self._current.fd)
                os.close(self._folder_fd)


@dataclass(frozen=True)
class Record:
    """One journal record: where it stands, what it is, its payload (int64 words)."""

    sequence: int
    type: RecordType
    time_ns: int
    payload: np.ndarray
    segment: int
    offset: int  # bytes from the segment's start


class JournalReader:
    """Read a journal folder. `torn` says after iteration why reading stopped early, '' if the journal ends cleanly.

    A damaged last record of the last segment is a torn tail (a crash while writing): cut. Damage anywhere else, including a
    record followed by another valid one, raises JournalError naming segment and byte.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.segments = sorted(self.folder.glob("segment-*.hftj"))
        if len(self.segments) > 1 and _untouched(self.segments[-1]):
            self.segments.pop()  # made ready, but the session ended before it was needed
        if not self.segments:
            raise JournalError(f"no journal in {folder}", "Give the folder that `hftkit live` printed, with segment-000001.hftj in it")
        self.torn = ""
        self.ended = False
        self.epoch = 0

    def load(self, path: Path, number: int) -> np.ndarray:
        """One segment's words, its header checked."""
        try:
            words = np.frombuffer(read_bytes(path, _MOST_SEGMENT_BYTES, whole_words=True), np.int64).copy()  # a torn file may end in part of a word
        except (OSError, MemoryError) as error:
            raise JournalError(f"cannot read {printable(str(path))}: {getattr(error, 'strerror', '') or 'not enough memory'}", _UNTOUCHED) from None
        if words.size < SEGMENT_HEADER_WORDS or words[MAGIC] != SEGMENT_MAGIC:
            raise JournalError(f"{path} is not a journal segment (bad magic number at byte 0)", "Restore the file from where it was recorded")
        if words[HEADER_CRC] != crc32c_words(words, 0, HEADER_CRC, 0):
            raise JournalError(f"{path.name}, byte 0: the segment header does not fit its CRC: it was altered", _UNTOUCHED)
        if words[FORMAT] != VERSION:
            raise JournalError(f"{path} has journal format {words[FORMAT]}, this hftkit reads {VERSION}")
        if words[NUMBER] != number:
            raise JournalError(f"{path} says it is segment {words[NUMBER]}, expected {number}", "A segment is missing or was renamed")
        self.epoch = int(words[EPOCH])
        return words

    def __iter__(self) -> Iterator[Record]:
        sequence, crc = 1, 0
        for number, path in enumerate(self.segments, start=1):
            words = self.load(path, number)
            position = SEGMENT_HEADER_WORDS
            while True:
                length = journal_kernel.check_record(words, position, sequence, crc)
                if length < 0:
                    self.check_end(path, number, words, position, sequence, length, self.ended)
                    break
                head = int(words[position])
                payload = words[position + RECORD_HEADER_WORDS : position + RECORD_HEADER_WORDS + length]
                record = Record(sequence, type_of(head, f"{path.name}, byte {position * 8}"), int(words[position + 2]), payload, number, position * 8)
                crc = int(words[position + 3])
                self.ended = record.type == RecordType.SESSION_END
                yield record
                sequence += 1
                position += RECORD_HEADER_WORDS + length

    def chunks(self, most: int = 1 << 16) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The same records, checked as strictly, many at a time: (words of the segment, int64 (n, 3): first payload word, payload words, type)."""
        sequence, crc = 1, 0
        for number, path in enumerate(self.segments, start=1):
            words, position = self.load(path, number), SEGMENT_HEADER_WORDS
            while True:
                found = np.empty((most, 3), np.int64)
                n, position, crc = journal_kernel.index_records(words, position, sequence, crc, found)
                sequence += n
                if n:
                    self.ended = found[n - 1, 2] == RecordType.SESSION_END
                    yield words, found[:n]
                if n < most:
                    break
            verdict = journal_kernel.check_record(words, position, sequence, crc)
            self.check_end(path, number, words, position, sequence, verdict, self.ended)

    def check_end(self, path: Path, number: int, words: np.ndarray, position: int, sequence: int, verdict: int, ended: bool) -> None:
        """Judge the place where the records of a segment stop: end mark (`verdict` -1), torn tail (noted in `torn`) or damage (raises)."""
        last_segment = number == len(self.segments)
        if verdict == -1:
            rest = words[position:]
            if (ended or not last_segment) and rest.any():
                byte = (position + int(np.flatnonzero(rest)[0])) * 8
                raise JournalError(f"{path.name}, byte {byte}: data after the end mark: the journal was altered", _UNTOUCHED)
            return
        why = {-2: "an impossible length", -3: "the wrong sequence number", -4: "a CRC that does not fit"}[verdict]
        where = f"{path.name}, byte {position * 8}: record {sequence} has {why}"
        if not last_segment or _record_follows(words, position, sequence + 1):  # this is no torn tail
            raise JournalError(f"{where}: the journal was altered or the disk is damaged", _UNTOUCHED)
        self.torn = f"{where}: torn tail, cut there"
