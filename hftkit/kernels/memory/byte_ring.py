"""Lock-free ring of byte records of any length, for one producer and one consumer, in one int64 array with a byte view of the same memory.

    words 0..7    producer's cache line:  0 head (next word to write), 1 its copy of tail, 2 records dropped because full
    words 8..15   consumer's cache line:  8 tail (next word to read), 9 its copy of head
    words 16..23  constants:              16 words of data (a power of two)
    words 24..    records: length in bytes, kind, time, then the bytes, filled up to a whole word

Head and tail only grow. A record never wraps: what does not fit before the end of the array starts at its beginning, behind a filler of
length -1. So the consumer reads a payload where it lies: `byte_ring_front`, use it, `byte_ring_release`.
"""

from __future__ import annotations

import numpy as np

from hftkit.kernels.arrays import Int64Array, OctetArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.intrinsics import copy_bytes, load_acquire, store_release

HEAD, TAIL_COPY, DROPPED = 0, 1, 2
TAIL, HEAD_COPY = 8, 9
WORDS = 16
DATA = 24
RECORD_HEAD = 3
_FILLER = -1
# Words of `view`
VIEW_START, VIEW_BYTES, VIEW_KIND, VIEW_TIME, VIEW_AFTER = range(5)
VIEW_WORDS = 8


def new_byte_ring(words: int) -> np.ndarray:
    """int64: an empty ring with `words` of data, a power of two. Its bytes: `ring.view(numpy.uint8)`."""
    if words < 16 or words & (words - 1):
        raise ValueError(f"words must be a power of two of at least 16, is {words}")
    ring = np.zeros(DATA + words, np.int64)
    ring[WORDS] = words
    return ring


@kernel
def byte_ring_push(ring: Int64Array, ring_bytes: OctetArray, payload: OctetArray, start: int, n_bytes: int, kind: int, time: int) -> int:
    """Append payload[start:start + n_bytes] (uint8) with its kind and time (ns). 1, or 0 if it does not fit (counted as dropped). Producer only."""
    size = ring[WORDS]
    need = RECORD_HEAD + ((n_bytes + 7) >> 3)
    head = ring[HEAD]
    place = head & (size - 1)
    filler = size - place if place + need > size else 0
    if need > size or head + filler + need - ring[TAIL_COPY] > size:
        ring[TAIL_COPY] = load_acquire(ring, TAIL)
        if need > size or head + filler + need - ring[TAIL_COPY] > size:
            ring[DROPPED] += 1
            return 0
    if filler > 0:
        ring[DATA + place] = _FILLER
        head += filler
        place = 0
    at = DATA + place
    ring[at], ring[at + 1], ring[at + 2] = n_bytes, kind, time
    copy_bytes(ring_bytes, (at + RECORD_HEAD) * 8, payload, start, n_bytes)
    store_release(ring, HEAD, head + need)
    return 1


@kernel
def byte_ring_front(ring: Int64Array, view: Int64Array) -> int:
    """The oldest record: `view` (int64 (VIEW_WORDS,)) gets the place of its bytes in the byte view of the ring, their number, kind and time (ns).
    1, or 0 if the ring is empty. Consumer only; the bytes stay until `byte_ring_release`.
    """
    tail = ring[TAIL]
    if ring[HEAD_COPY] <= tail:
        ring[HEAD_COPY] = load_acquire(ring, HEAD)
        if ring[HEAD_COPY] <= tail:
            return 0
    size = ring[WORDS]
    place = tail & (size - 1)
    if ring[DATA + place] == _FILLER:
        tail += size - place
        place = 0
    at = DATA + place
    n_bytes = ring[at]
    view[VIEW_START], view[VIEW_BYTES] = (at + RECORD_HEAD) * 8, n_bytes
    view[VIEW_KIND], view[VIEW_TIME] = ring[at + 1], ring[at + 2]
    view[VIEW_AFTER] = tail + RECORD_HEAD + ((n_bytes + 7) >> 3)
    return 1


@kernel
def byte_ring_release(ring: Int64Array, view: Int64Array) -> None:
    """Give back the record that `byte_ring_front` put into `view` (int64). Consumer only."""
    store_release(ring, TAIL, view[VIEW_AFTER])


@kernel
def byte_ring_backlog(ring: Int64Array) -> int:
    """Words (int64) waiting, headers and fillers included. From any thread."""
    return load_acquire(ring, HEAD) - load_acquire(ring, TAIL)
