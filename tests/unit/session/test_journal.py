"""The journal: what is written is read, a torn tail is cut, every flipped bit of an ended journal is found and placed."""

from __future__ import annotations

import resource
import shutil
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import RecordType
from hftkit.errors import JournalError
from hftkit.session.journal import RESERVE_NAME, JournalReader, JournalWriter, bytes_of, segment_path, words_of

SEGMENT = 8192


def write(folder, payloads, *, end=True):
    writer = JournalWriter(folder, epoch=7, created_unix_ns=123, segment_bytes=SEGMENT)
    for i, payload in enumerate(payloads):
        writer.append(RecordType.TIMER_IN, 1000 + i, np.array(payload, np.int64))
    if end:
        writer.append(RecordType.SESSION_END, 5000, np.zeros(4, np.int64))
    writer.close()
    return writer


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60), max_size=60))
def test_what_is_written_is_read_over_any_number_of_segments(tmp_path_factory, payloads):
    folder = tmp_path_factory.mktemp("journal")
    write(folder, payloads)
    reader = JournalReader(folder)
    records = list(reader)
    assert [r.payload.tolist() for r in records[:-1]] == payloads
    assert [r.sequence for r in records] == list(range(1, len(payloads) + 2))
    assert [r.time_ns for r in records[:-1]] == [1000 + i for i in range(len(payloads))]
    assert reader.ended
    assert reader.torn == ""


def test_every_flipped_bit_of_an_ended_journal_is_refused_or_cut(tmp_path):
    write(tmp_path / "j", [[1, 2, 3], [4], [5, 6]])
    path = segment_path(tmp_path / "j", 1)
    good = path.read_bytes()
    used = len(good.rstrip(b"\0")) + 8
    rng = np.random.default_rng(1)
    for byte in range(used):
        bad = bytearray(good)
        bad[byte] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(bad))
        reader = JournalReader(tmp_path / "j")
        try:
            list(reader)
        except JournalError as error:
            refusal = str(error)
        else:
            assert not reader.ended, f"a flipped bit in byte {byte} went unseen"
            refusal = reader.torn
        assert "byte" in refusal, f"byte {byte}: {refusal}"


def test_a_torn_tail_is_cut_and_said(tmp_path):
    write(tmp_path / "j", [[1, 2, 3], [4, 5, 6]], end=False)
    path = segment_path(tmp_path / "j", 1)
    data = bytearray(path.read_bytes())
    last = len(bytes(data).rstrip(b"\0"))
    data[last - 8 : last] = bytes(8)  # the last word never reached the disk
    path.write_bytes(bytes(data))
    reader = JournalReader(tmp_path / "j")
    assert [r.payload.tolist() for r in reader] == [[1, 2, 3]]
    assert "torn tail" in reader.torn
    assert "record 2" in reader.torn


def test_a_segment_made_ready_but_never_used_is_no_damage(tmp_path):
    write(tmp_path / "j", [[1]])
    segment_path(tmp_path / "j", 2).write_bytes(bytes(SEGMENT))
    assert len(list(JournalReader(tmp_path / "j"))) == 2
    segment_path(tmp_path / "j", 2).write_bytes(b"")
    assert len(list(JournalReader(tmp_path / "j"))) == 2


def test_a_missing_segment_is_named(tmp_path):
    write(tmp_path / "j", [[i] * 50 for i in range(60)])
    segment_path(tmp_path / "j", 2).unlink()
    with pytest.raises(JournalError, match="missing or was renamed"):
        list(JournalReader(tmp_path / "j"))


def test_no_journal_and_a_used_folder_are_refused(tmp_path):
    with pytest.raises(JournalError, match="no journal in"):
        JournalReader(tmp_path)
    write(tmp_path / "j", [[1]])
    with pytest.raises(JournalError, match="already holds a journal"):
        JournalWriter(tmp_path / "j", 1, 1)


def test_preparing_and_rolling_from_two_threads_makes_each_segment_once(tmp_path):
    writer = JournalWriter(tmp_path / "j", 1, 1, segment_bytes=SEGMENT)
    finished = threading.Event()

    def cold_side():
        while not finished.is_set():
            writer.prepare()
            writer.sync()

    thread = threading.Thread(target=cold_side)
    thread.start()
    for i in range(3000):
        writer.append(RecordType.TIMER_IN, i, np.array([i], np.int64))
    finished.set()
    thread.join()
    writer.append(RecordType.SESSION_END, 0, np.zeros(4, np.int64))
    writer.close()
    assert [int(r.payload[0]) for r in JournalReader(tmp_path / "j")][:-1] == list(range(3000))


@given(st.binary(max_size=100))
def test_bytes_survive_as_words(payload):
    assert bytes_of(words_of(payload)) == payload


def fill(writer):
    for i in range(SEGMENT):
        writer.append(RecordType.TIMER_IN, i, np.array([i], np.int64))


def test_a_full_disk_is_one_line_and_what_was_written_is_whole(tmp_path):
    """The kernel's own refusal to let a file grow stands for the full disk."""
    writer = JournalWriter(tmp_path, epoch=7, created_unix_ns=123, segment_bytes=SEGMENT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SEGMENT // 2, hard))
    try:
        with pytest.raises(JournalError, match="no room for journal segment"):
            fill(writer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    records = list(JournalReader(tmp_path))
    assert [int(record.payload[0]) for record in records] == list(range(len(records)))
    assert len(records) > 100
    assert [path.name for path in tmp_path.iterdir()] == ["segment-000001.hftj"]


def test_on_a_full_disk_the_reserve_takes_what_is_needed_to_get_flat(tmp_path):
    writer = JournalWriter(tmp_path, epoch=7, created_unix_ns=123, segment_bytes=SEGMENT, reserve_bytes=2 * SEGMENT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SEGMENT // 2, hard))
    try:
        with pytest.raises(JournalError, match="no reserve is left"):
            fill(writer)
        assert writer.in_reserve
        with pytest.raises(JournalError):  # again and again, and nothing is lost by it
            fill(writer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.append(RecordType.SESSION_END, 0, np.zeros(4, np.int64))  # there is room again: the session ends as it should
    writer.close()
    reader = JournalReader(tmp_path)
    payloads = [int(record.payload[0]) for record in reader]
    assert (len(reader.segments), reader.ended, reader.torn) == (3, True, "")
    assert payloads[:-1] == list(range(len(payloads) - 1))
    assert len(payloads) * 5 * 8 > 2.5 * SEGMENT  # the first segment and the reserve, full
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"segment-00000{n}.hftj" for n in (1, 2, 3)]


def test_a_reserve_that_is_not_needed_is_gone_at_the_end_and_of_no_concern_to_a_reader(tmp_path):
    writer = JournalWriter(tmp_path, 7, 123, segment_bytes=SEGMENT, reserve_bytes=SEGMENT)
    writer.append(RecordType.TIMER_IN, 1, np.array([1], np.int64))
    assert (tmp_path / RESERVE_NAME).stat().st_size == SEGMENT
    assert [record.payload.tolist() for record in JournalReader(tmp_path)] == [[1]]
    writer.close()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["segment-000001.hftj"]


def test_a_folder_that_is_renamed_or_removed_does_not_end_the_writer(tmp_path):
    writer = JournalWriter(tmp_path / "old", 7, 123, segment_bytes=SEGMENT, reserve_bytes=SEGMENT)
    (tmp_path / "old").rename(tmp_path / "new")
    for i in range(300):
        writer.append(RecordType.TIMER_IN, i, np.array([i], np.int64))
    assert [int(record.payload[0]) for record in JournalReader(tmp_path / "new")] == list(range(300))
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(JournalError, match="no reserve is left"):
        fill(writer)
    assert writer.in_reserve  # in memory alone, but long enough to get flat
    writer.close()
