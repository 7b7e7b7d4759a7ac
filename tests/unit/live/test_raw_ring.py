"""The raw ring against a plain queue: every message whole, in order, whatever its length; a full ring refuses and counts."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live.raw_ring import DROPPED, KIND, N_BYTES, START, T_RECV, backlog_bytes, raw_front, raw_push, raw_release, raw_ring


def pop(ring, said):
    if not raw_front(ring, said):
        return None
    message = (int(said[KIND]), int(said[T_RECV]), ring.octets[said[START] : said[START] + said[N_BYTES]].tobytes())
    raw_release(ring, said)
    return message


@settings(max_examples=60)
@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 2**31 - 2), st.binary(max_size=300))), max_size=200))
def test_a_ring_is_a_queue_that_may_be_full(steps):
    ring, said, twin, dropped = raw_ring(64), np.zeros(8, np.int64), deque(), 0
    for now, step in enumerate(steps):
        if step is None:
            assert pop(ring, said) == (twin.popleft() if twin else None)
            continue
        kind, payload = step
        data = np.frombuffer(b"??" + payload, np.uint8)
        if raw_push(ring, data, 2, len(payload), kind, now):
            twin.append((kind, now, payload))
        else:
            dropped += 1
            assert twin or len(payload) > (64 - 2) * 8  # a message that fits is refused only while others wait
    while twin:
        assert pop(ring, said) == twin.popleft()
    assert pop(ring, said) is None
    assert ring.words[DROPPED] == dropped
    assert backlog_bytes(ring) == 0


def test_two_threads_lose_nothing_and_keep_the_order():
    ring, said, n = raw_ring(256), np.zeros(8, np.int64), 20_000

    def produce():
        for i in range(n):
            data = np.frombuffer(b"%d" % i * (i % 7), np.uint8) if i % 7 else np.zeros(0, np.uint8)
            while not raw_push(ring, data, 0, data.size, i, i):
                pass

    producer = threading.Thread(target=produce)
    producer.start()
    for i in range(n):
        while (message := pop(ring, said)) is None:
            pass
        assert message == (i, i, b"%d" % i * (i % 7))
    producer.join()


@pytest.mark.parametrize("capacity", [0, 63, 100])
def test_a_capacity_that_is_no_power_of_two_is_refused(capacity):
    with pytest.raises(ValueError, match="power of two"):
        raw_ring(capacity)
