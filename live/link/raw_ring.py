"""A raw ring: a byte ring (hftkit/kernels/memory/byte_ring.py) with its byte view, as one argument."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hftkit.kernels.memory.byte_ring import (
    VIEW_BYTES,
    VIEW_START,
    VIEW_WORDS,
    byte_ring_backlog,
    byte_ring_front,
    byte_ring_release,
    new_byte_ring,
)


class RawRing(NamedTuple):
    """Whole messages from one thread to another."""

    words: np.ndarray  # int64
    octets: np.ndarray  # uint8 view of the same memory


def raw_ring(words: int) -> RawRing:
    """An empty ring with `words` of data, a power of two."""
    ring = new_byte_ring(words)
    return RawRing(ring, ring.view(np.uint8))


def payload(ring: RawRing, view: np.ndarray) -> bytes:
    """A copy of the record that `byte_ring_front` put into `view`."""
    return ring.octets[view[VIEW_START] : view[VIEW_START] + view[VIEW_BYTES]].tobytes()


def backlog_bytes(ring: RawRing) -> int:
    """Bytes that wait for the consumer, as a watcher sees it."""
    return int(byte_ring_backlog(ring.words)) * 8


def take_all(ring: RawRing) -> bytes:
    """Everything in a ring, in order. For its one consumer."""
    view, taken = np.zeros(VIEW_WORDS, np.int64), []
    while byte_ring_front(ring.words, view):
        taken.append(payload(ring, view))
        byte_ring_release(ring.words, view)
    return b"".join(taken)
