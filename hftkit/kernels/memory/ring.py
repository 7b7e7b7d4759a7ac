"""Lock-free ring for one producer and one consumer, in one int64 array: in-process or in a mapped file (MD-4).

    words 0..7    producer's cache line:  0 head (next slot to write), 1 its copy of tail, 2 messages dropped because full
    words 8..15   consumer's cache line:  8 tail (next slot to read),  9 its copy of head
    words 16..23  constants:              16 slots (a power of two), 17 words a slot
    words 24..    the slots

Head and tail only grow; slot = index & (slots - 1). Each side keeps a copy of the other's index and looks at the real one only
when the copy says full (or empty), so that in steady flow the two cores do not fight for the same cache line.
"""

from __future__ import annotations

import numpy as np

from hftkit.kernels.arrays import Int64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.intrinsics import copy_words, load_acquire, store_release

HEAD, TAIL_COPY, DROPPED = 0, 1, 2
TAIL, HEAD_COPY = 8, 9
SLOTS, SLOT_WORDS = 16, 17
DATA = 24
LINE_WORDS = 8  # a slot of one cache line


def ring_words(slots: int, slot_words: int) -> int:
    """Length in int64 words of a ring. `slots` must be a power of two."""
    if slots < 2 or slots & (slots - 1):
        raise ValueError(f"slots must be a power of two, is {slots}")
    return DATA + slots * slot_words


def format_ring(words: np.ndarray, slots: int, slot_words: int) -> np.ndarray:
    """Make an empty ring of `words` (int64, at least `ring_words` long) and return it."""
    words[:DATA] = 0
    words[SLOTS] = slots
    words[SLOT_WORDS] = slot_words
    return words


@kernel
def ring_push(ring: Int64Array, message: Int64Array, start: int) -> int:
    """Copy one slot's words from message[start:] into the ring. 1, or 0 if it is full (counted as dropped). Producer only."""
    head = ring[HEAD]
    if head - ring[TAIL_COPY] >= ring[SLOTS]:
        ring[TAIL_COPY] = load_acquire(ring, TAIL)
        if head - ring[TAIL_COPY] >= ring[SLOTS]:
            ring[DROPPED] += 1
            return 0
    width = ring[SLOT_WORDS]
    base = DATA + (head & (ring[SLOTS] - 1)) * width
    if width == LINE_WORDS:
        copy_words(ring, base, message, start, LINE_WORDS)  # a constant length becomes two vector moves instead of a call
    else:
        copy_words(ring, base, message, start, width)
    store_release(ring, HEAD, head + 1)
    return 1


@kernel
def ring_pop(ring: Int64Array, message: Int64Array, start: int) -> int:
    """Copy the oldest slot into message[start:]. 1, or 0 if the ring is empty. Consumer only."""
    tail = ring[TAIL]
    if ring[HEAD_COPY] <= tail:
        ring[HEAD_COPY] = load_acquire(ring, HEAD)
        if ring[HEAD_COPY] <= tail:
            return 0
    width = ring[SLOT_WORDS]
    base = DATA + (tail & (ring[SLOTS] - 1)) * width
    if width == LINE_WORDS:
        copy_words(message, start, ring, base, LINE_WORDS)
    else:
        copy_words(message, start, ring, base, width)
    store_release(ring, TAIL, tail + 1)
    return 1


@kernel
def ring_push_many(ring: Int64Array, messages: Int64Array, start: int, count: int) -> int:
    """Push up to `count` messages laid one after another from messages[start:], with one release for all. How many fitted. Producer only."""
    head = ring[HEAD]
    if head + count - ring[TAIL_COPY] > ring[SLOTS]:
        ring[TAIL_COPY] = load_acquire(ring, TAIL)
    n = min(count, ring[SLOTS] - (head - ring[TAIL_COPY]))
    width, mask = ring[SLOT_WORDS], ring[SLOTS] - 1
    for i in range(n):
        copy_words(ring, DATA + ((head + i) & mask) * width, messages, start + i * width, width)
    ring[DROPPED] += count - n
    if n > 0:
        store_release(ring, HEAD, head + n)
    return n


@kernel
def ring_pop_many(ring: Int64Array, messages: Int64Array, start: int, most: int) -> int:
    """Pop up to `most` messages into messages[start:], with one release for all. How many there were. Consumer only."""
    tail = ring[TAIL]
    if ring[HEAD_COPY] - tail < most:
        ring[HEAD_COPY] = load_acquire(ring, HEAD)
    n = min(most, ring[HEAD_COPY] - tail)
    width, mask = ring[SLOT_WORDS], ring[SLOTS] - 1
    for i in range(n):
        copy_words(messages, start + i * width, ring, DATA + ((tail + i) & mask) * width, width)
    if n > 0:
        store_release(ring, TAIL, tail + n)
    return n
