"""Appending to the journal: one memory-mapped segment, written before an order leaves (docs/journal.md).

A segment is an int64 array: eight header words, then records. A record is four header words, then its payload:

    word 0: payload length in bytes (u32) | record type (u16) << 32
    word 1: record sequence, from 1, without gaps over the whole session
    word 2: time, ns (CLOCK_MONOTONIC)
    word 3: CRC-32C of words 0..2 and the payload, seeded with the previous record's CRC (so records cannot be swapped)

A word 0 of zero ends the segment. The writer stores word 0 last: a crash leaves either the whole record or an end mark;
a torn page shows as a CRC that does not fit, and the reader cuts there.
"""

from __future__ import annotations

from hftkit.kernels.arrays import Int64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.crc32c import crc32c_words
from hftkit.kernels.memory.intrinsics import store_release

SEGMENT_HEADER_WORDS = 8
RECORD_HEADER_WORDS = 4
MAGIC = 0x314C4A4B5446_48  # "HFTKJL1" read as a little-endian number, see hftkit/session/journal.py
VERSION = 1

# Writer state (int64): what the journal kernel keeps between records
POSITION = 0  # next free word of the segment
SEQUENCE = 1  # last record written
CRC = 2  # CRC of the last record
RECORDS = 3
STATE_WORDS = 8


@kernel
def fits(segment: Int64Array, state: Int64Array, n_words: int) -> bool:
    """Whether a record with `n_words` of payload, and an end mark after it, still fits."""
    return state[POSITION] + RECORD_HEADER_WORDS + n_words + 1 <= segment.size


@kernel
def append(words: Int64Array, segment: Int64Array, state: Int64Array, record_type: int, time_ns: int, start: int, n_words: int) -> int:
    """Append words[start : start + n_words] as one record. 1, or 0 if the segment is full: nothing was written."""
    if not fits(segment, state, n_words):
        return 0
    base = state[POSITION]
    head = (n_words * 8) | (record_type << 32)
    sequence = state[SEQUENCE] + 1
    segment[base + 1] = sequence
    segment[base + 2] = time_ns
    for i in range(n_words):
        segment[base + RECORD_HEADER_WORDS + i] = words[start + i]
    end = base + RECORD_HEADER_WORDS + n_words
    segment[end] = 0
    segment[base] = head
    crc = crc32c_words(segment, base, 3, state[CRC])
    crc = crc32c_words(segment, base + RECORD_HEADER_WORDS, n_words, crc)
    segment[base] = 0
    segment[base + 3] = crc
    store_release(segment, base, head)
    state[POSITION] = end
    state[SEQUENCE] = sequence
    state[CRC] = crc
    state[RECORDS] += 1
    return 1


@kernel
def check_record(segment: Int64Array, position: int, sequence: int, crc: int) -> int:
    """Verify the record at word `position` that should carry `sequence`, after a record with `crc`.

    Returns its payload length in words; -1 at the end mark or the end of the segment, -2 impossible length (torn or altered), -3 wrong
    sequence, -4 CRC does not fit.
    """
    if position + RECORD_HEADER_WORDS > segment.size:
        return -1
    head = segment[position]
    if head == 0:
        return -1
    length = head & 0xFFFFFFFF
    if length % 8 != 0 or (head >> 48) != 0 or position + RECORD_HEADER_WORDS + length // 8 > segment.size:
        return -2
    if segment[position + 1] != sequence:
        return -3
    n_words = length // 8
    check = crc32c_words(segment, position, 3, crc)
    check = crc32c_words(segment, position + RECORD_HEADER_WORDS, n_words, check)
    return n_words if check == segment[position + 3] else -4


@kernel
def index_records(segment: Int64Array, position: int, sequence: int, crc: int, found: Int64Array) -> tuple[int, int, int]:
    """Verify records from word `position` on, as long as they are good and fit into `found`, int64 (n, 3): first payload word, payload words, type.

    `sequence`: of the first; `crc`: of the record before it. Returns (records found, next position in words, CRC of the last).
    """
    n = 0
    while n < found.shape[0]:
        n_words = check_record(segment, position, sequence, crc)
        if n_words < 0:
            break
        found[n, 0], found[n, 1], found[n, 2] = position + RECORD_HEADER_WORDS, n_words, segment[position] >> 32
        crc = segment[position + 3]
        position += RECORD_HEADER_WORDS + n_words
        sequence += 1
        n += 1
    return n, position, crc
