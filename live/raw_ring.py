"""Raw ring: whole messages of any length from one socket thread to the hot thread, lock-free, one producer and one consumer.

One int64 array (`words`) and the same memory as bytes (`octets`). Layout in words:

    0..7    producer's line:  0 head (next word to write), 1 its copy of tail, 2 messages dropped because full
    8..15   consumer's line:  8 tail (next word to read),  9 its copy of head
    16      capacity in words (a power of two)
    24..    records: kind << 32 | bytes, time of receipt in ns, payload padded to whole words

A record never wraps round the end: what would, is put at the beginning, behind a record of kind SKIP. Head and tail only grow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.intrinsics import load_acquire, store_release

HEAD, TAIL_COPY, DROPPED = 0, 1, 2
TAIL, HEAD_COPY = 8, 9
CAPACITY, DATA = 16, 24
HEADER_WORDS = 2
_SKIP = 0x7FFFFFFF
# Words of what `raw_front` says
KIND, N_BYTES, T_RECV, START = range(4)


class RawRing(NamedTuple):
    """One ring."""

    words: np.ndarray  # int64
    octets: np.ndarray  # uint8 view of the same memory


def raw_ring(capacity_words: int) -> RawRing:
    """An empty ring. `capacity_words` must be a power of two."""
    if capacity_words < 64 or capacity_words & (capacity_words - 1):
        raise ValueError(f"capacity must be a power of two of at least 64 words, is {capacity_words}")
    words = np.zeros(DATA + capacity_words, np.int64)
    words[CAPACITY] = capacity_words
    return RawRing(words, words.view(np.uint8))


@kernel
def raw_push(ring: Any, payload: Any, start: int, n_bytes: int, kind: int, t_recv: int) -> int:
    """Copy payload[start : start + n_bytes] (uint8) into the ring. 1, or 0 if there is no room (counted). Producer only."""
    words = ring.words
    head, capacity = words[HEAD], words[CAPACITY]
    need = HEADER_WORDS + ((n_bytes + 7) >> 3)
    at = head & (capacity - 1)
    skip = capacity - at if at + need > capacity else 0
    if head + skip + need - words[TAIL_COPY] > capacity:
        words[TAIL_COPY] = load_acquire(words, TAIL)
        if head + skip + need - words[TAIL_COPY] > capacity:
            words[DROPPED] += 1
            return 0
    if skip > 0:
        words[DATA + at] = _SKIP << 32
        at = 0
    words[DATA + at] = (kind << 32) | n_bytes
    words[DATA + at + 1] = t_recv
    base = (DATA + at + HEADER_WORDS) * 8
    for i in range(n_bytes):
        ring.octets[base + i] = payload[start + i]
    store_release(words, HEAD, head + skip + need)
    return 1


@kernel
def raw_front(ring: Any, said: Any) -> int:
    """Look at the oldest message: `said` (int64, >= 4) gets its kind, bytes, time and where it starts in ring.octets. 0 if empty. Consumer only."""
    words = ring.words
    tail = words[TAIL]
    if words[HEAD_COPY] <= tail:
        words[HEAD_COPY] = load_acquire(words, HEAD)
        if words[HEAD_COPY] <= tail:
            return 0
    at = tail & (words[CAPACITY] - 1)
    if words[DATA + at] >> 32 == _SKIP:
        tail += words[CAPACITY] - at
        at = 0
        store_release(words, TAIL, tail)
    said[KIND] = words[DATA + at] >> 32
    said[N_BYTES] = words[DATA + at] & 0xFFFFFFFF
    said[T_RECV] = words[DATA + at + 1]
    said[START] = (DATA + at + HEADER_WORDS) * 8
    return 1


@kernel
def raw_release(ring: Any, said: Any) -> None:
    """Done with the message that `raw_front` showed. Consumer only."""
    store_release(ring.words, TAIL, ring.words[TAIL] + HEADER_WORDS + ((said[N_BYTES] + 7) >> 3))


def backlog_bytes(ring: RawRing) -> int:
    """Bytes that wait for the consumer, as a watcher sees it."""
    return int(ring.words[HEAD] - ring.words[TAIL]) * 8
