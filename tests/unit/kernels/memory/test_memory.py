"""Ring, histogram and CRC against independent answers: two threads, the hdrhistogram package, a bitwise CRC and a published value."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import given
from hypothesis import strategies as st

from hftkit.kernels.memory import crc32c, histogram, ring
from hftkit.session.histogram import percentiles_us, to_hdr, write_hlog
from tests.unit.kernels.memory.pumps import consume, produce


def test_two_threads_pass_every_message_in_order():
    words = ring.format_ring(np.zeros(ring.ring_words(64, 8), np.int64), 64, 8)
    n = 200_000
    producer = threading.Thread(target=produce, args=(words, np.zeros(8, np.int64), n))
    producer.start()
    wrong = consume(words, np.zeros(8, np.int64), n)
    producer.join()
    assert wrong == 0


@given(st.lists(st.booleans(), max_size=200))
def test_the_ring_is_a_bounded_queue(operations):
    words = ring.format_ring(np.zeros(ring.ring_words(8, 2), np.int64), 8, 2)
    queue, number, dropped = [], 0, 0
    out = np.zeros(2, np.int64)
    for push in operations:
        if push:
            number += 1
            taken = ring.ring_push(words, np.array([number, -number]), 0)
            assert taken == (len(queue) < 8)
            dropped += 1 - taken
            queue += [number] * taken
        else:
            got = ring.ring_pop(words, out, 0)
            assert got == bool(queue)
            if got:
                assert out.tolist() == [queue[0], -queue.pop(0)]
    assert words[ring.DROPPED] == dropped


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=100))
def test_batches_are_the_same_bounded_queue(operations):
    words = ring.format_ring(np.zeros(ring.ring_words(8, 2), np.int64), 8, 2)
    queue, number = [], 0
    for push, count in operations:
        if push:
            batch = np.array([[number + k, -number - k] for k in range(count)], np.int64).reshape(-1)
            fitted = ring.ring_push_many(words, batch, 0, count)
            assert fitted == min(count, 8 - len(queue))
            queue += range(number, number + fitted)
            number += fitted
        else:
            out = np.full(2 * count, 7, np.int64)
            got = ring.ring_pop_many(words, out, 0, count)
            assert got == min(count, len(queue))
            assert out[: 2 * got : 2].tolist() == queue[:got]
            assert (out[2 * got :] == 7).all()
            queue = queue[got:]


def test_slots_must_be_a_power_of_two():
    with pytest.raises(ValueError, match="power of two"):
        ring.ring_words(48, 8)


@given(st.lists(st.integers(0, 2 * histogram.HIGHEST_NS), min_size=1, max_size=200))
def test_the_counts_are_those_of_hdrhistogram(values):
    reference = HdrHistogram(1, histogram.HIGHEST_NS, histogram.SIGNIFICANT_DIGITS)
    counts = np.zeros(histogram.COUNTS_LEN, np.int64)
    assert reference.counts_len == histogram.COUNTS_LEN
    for value in values:
        reference.record_value(min(value, histogram.HIGHEST_NS))
        histogram.record(counts, value)
    ours = to_hdr(counts)
    assert [ours.get_count_at_index(i) for i in np.flatnonzero(counts)] == [reference.get_count_at_index(i) for i in np.flatnonzero(counts)]
    for percentile in (50, 95, 99, 99.9, 100):
        assert ours.get_value_at_percentile(percentile) == reference.get_value_at_percentile(percentile)


def test_an_empty_histogram_has_zero_percentiles_and_exports(tmp_path: Path):
    counts = np.zeros(histogram.COUNTS_LEN, np.int64)
    assert percentiles_us(counts) == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "p999": 0.0, "max": 0.0, "n": 0}
    histogram.record(counts, 1500)
    write_hlog(tmp_path / "x.hlog", {"tick_to_order": counts}, 0.0, 1.0)
    reader = HistogramLogReader(str(tmp_path / "x.hlog"), HdrHistogram(1, histogram.HIGHEST_NS, 3))
    read = reader.get_next_interval_histogram()
    assert read.get_total_count() == 1
    assert read.get_value_at_percentile(100) == 1500
    assert (tmp_path / "x.hlog").read_text().count("Tag=tick_to_order") == 1


def test_crc32c_of_the_rfc():
    """RFC 3720, B.4: 32 bytes of zeros give 8a9136aa, 32 bytes of ones 62a8ab43, 0..31 gives 46dd794e."""
    for data, answer in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)):
        assert crc32c.crc32c_words(np.frombuffer(data, np.int64).copy(), 0, 4, 0) == answer


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=20), st.data())
def test_crc32c_in_pieces_is_the_crc_of_the_whole(words, data):
    array = np.array(words, np.int64)
    cut = data.draw(st.integers(0, len(words)))
    whole = crc32c.crc32c_words(array, 0, array.size, 0)
    assert crc32c.crc32c_words(array, cut, array.size - cut, crc32c.crc32c_words(array, 0, cut, 0)) == whole
