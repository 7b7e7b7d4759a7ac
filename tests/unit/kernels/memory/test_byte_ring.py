"""Byte records through the ring: in order, whole, between two threads, around the end; full and empty."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest

from hftkit.kernels.jit import kernel
from hftkit.kernels.memory import byte_ring as ring_module
from hftkit.kernels.memory.byte_ring import (
    VIEW_BYTES,
    VIEW_KIND,
    VIEW_START,
    VIEW_TIME,
    VIEW_WORDS,
    byte_ring_backlog,
    byte_ring_front,
    byte_ring_push,
    byte_ring_release,
    new_byte_ring,
)


def test_records_come_out_as_they_went_in_whatever_their_length() -> None:
    rng = random.Random(1)
    ring = new_byte_ring(256)
    data, view = ring.view(np.uint8), np.zeros(VIEW_WORDS, np.int64)
    waiting: list[tuple[bytes, int, int]] = []
    dropped = taken = 0
    for i in range(20_000):
        if rng.random() < 0.52:
            payload = rng.randbytes(rng.choice((0, 1, 7, 8, 9, 100, 500)))
            if byte_ring_push(ring, data, np.frombuffer(b"ab" + payload, np.uint8), 2, len(payload), i % 7, i):
                waiting.append((payload, i % 7, i))
            else:
                dropped += 1
        elif byte_ring_front(ring, view):
            start, n = int(view[VIEW_START]), int(view[VIEW_BYTES])
            assert (data[start : start + n].tobytes(), view[VIEW_KIND], view[VIEW_TIME]) == waiting.pop(0)
            byte_ring_release(ring, view)
            taken += 1
        else:
            assert not waiting
        assert (byte_ring_backlog(ring) == 0) == (not waiting)
    assert dropped == ring[ring_module.DROPPED] > 0
    assert taken > 5000


def test_a_record_larger_than_the_ring_is_dropped() -> None:
    ring = new_byte_ring(16)
    payload = np.zeros(8 * 14, np.uint8)
    assert byte_ring_push(ring, ring.view(np.uint8), payload, 0, 8 * 14, 0, 0) == 0
    assert byte_ring_push(ring, ring.view(np.uint8), payload, 0, 8 * 13, 0, 0) == 1


@pytest.mark.parametrize("words", [0, 8, 100])
def test_a_size_that_is_no_power_of_two_is_refused(words: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        new_byte_ring(words)


@kernel
def _produce(ring: np.ndarray, data: np.ndarray, payload: np.ndarray, n: int) -> None:
    """Push n records; record i has i % 61 bytes, each (i + k) % 251."""
    i = 0
    while i < n:
        length = i % 61
        for k in range(length):
            payload[k] = (i + k) % 251
        i += byte_ring_push(ring, data, payload, 0, length, i & 7, i)


@kernel
def _consume(ring: np.ndarray, data: np.ndarray, view: np.ndarray, n: int) -> int:
    """Take n records (int64 view). How many were wrong."""
    i, wrong = 0, 0
    while i < n:
        if byte_ring_front(ring, view) == 0:
            continue
        start, length = view[0], view[1]
        good = length == i % 61 and view[2] == i & 7 and view[3] == i
        for k in range(length):
            good &= data[start + k] == (i + k) % 251
        wrong += 0 if good else 1
        byte_ring_release(ring, view)
        i += 1
    return wrong


def test_between_two_threads() -> None:
    n = 300_000
    ring = new_byte_ring(1024)
    data = ring.view(np.uint8)
    _produce(ring, data, np.zeros(64, np.uint8), 3)
    assert _consume(ring, data, np.zeros(VIEW_WORDS, np.int64), 3) == 0
    ring = new_byte_ring(1024)
    data = ring.view(np.uint8)
    producer = threading.Thread(target=_produce, args=(ring, data, np.zeros(64, np.uint8), n))
    producer.start()
    wrong = _consume(ring, data, np.zeros(VIEW_WORDS, np.int64), n)
    producer.join()
    assert wrong == 0
