"""Snapshots: what comes back is the state bit for bit; what does not fit is refused in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.cli.replay_commands import replay as replay_command
from hftkit.codes import RecordType
from hftkit.errors import HftkitError, JournalError
from hftkit.session.engine_state import build_engine_state, state_digest
from hftkit.session.journal import JournalReader, JournalWriter, segment_path
from hftkit.session.replay import LAST_SNAPSHOT, compare_ways, replay
from hftkit.session.snapshot import (
    CHECKS,
    H_ACCOUNT,
    H_ARRAYS,
    H_FORMAT,
    HEADER_WORDS,
    PART_WORDS,
    Collector,
    Kind,
    arrays_of,
    parts_of,
    restore,
    snapshot_words,
)
from tests.journal_fuzz import Tape, traded

SEGMENT = 1 << 17


@pytest.fixture(scope="module")
def tape():
    found = Tape()
    traded(found)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A journal of several segments, each but the first beginning with a snapshot of the state as it was there."""
    place = tmp_path_factory.mktemp("snapshots") / "journal"
    tape = Tape()
    rows, snapshots = tape.rows, []
    traded(tape, at_step=lambda: snapshots.append((len(rows), snapshot_words(tape.rooms, Kind.CHECK))))
    writer = JournalWriter(place, 1, 1, SEGMENT)
    for i, (kind, time_ns, payload) in enumerate(rows):
        for number, (at, words) in enumerate(snapshots, start=1):
            if at == i:
                writer.roll()
                assert writer.append_whole(RecordType.SNAPSHOT, time_ns, parts_of(words, number))
        writer.append(kind, time_ns, payload)
    writer.close()
    return place


def test_every_array_of_the_state_is_checked_when_it_comes_back(tape):
    assert set(CHECKS) == set(arrays_of(tape.rooms))


def test_what_comes_back_is_the_state_bit_for_bit(tape):
    words = snapshot_words(tape.rooms, Kind.CHECK)
    back = restore(words, build_engine_state(tape.config), tape.config)
    assert state_digest(back) == state_digest(tape.rooms)
    for name, array in arrays_of(tape.rooms).items():
        assert getattr(back, name).tobytes() == array.tobytes(), name
    assert np.array_equal(snapshot_words(back, Kind.CHECK), words)


def test_only_levels_in_use_are_kept(tape):
    words = snapshot_words(tape.rooms, Kind.CHECK)
    assert words.size < tape.rooms.levels.size, "four levels of four sides, not 512 of each"
    assert tape.rooms.levels[0, 0, int(tape.rooms.book["n_bid"][0]) :].sum() == 0


@given(st.integers(0, 3 * PART_WORDS), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_parts_make_the_whole_again(n_words, number):
    words = np.arange(n_words, dtype=np.int64)
    collector = Collector()
    *first, last = parts_of(words, number)
    assert all(part.size <= PART_WORDS for part in (*first, last))
    assert all(collector.take(part) is None for part in first)
    assert np.array_equal(collector.take(last), words)
    assert not collector.open


def test_a_part_out_of_its_place_is_refused():
    parts = parts_of(np.arange(3 * PART_WORDS, dtype=np.int64), 1)
    for order in ((1,), (0, 0), (0, 2)):
        collector = Collector()
        for i in order[:-1]:
            collector.take(parts[i])
        with pytest.raises(JournalError, match="stands where it cannot"):
            collector.take(parts[order[-1]])


@pytest.mark.parametrize("begin", [1, 2, 3, LAST_SNAPSHOT])
def test_a_replay_from_a_snapshot_ends_as_the_whole_one(folder, begin):
    whole, part = replay(folder), replay(folder, from_snapshot=begin)
    compare_ways(whole, part)
    assert (whole.identical, part.identical) == (True, True), (whole.difference, part.difference)
    assert whole.ended
    assert part.ended
    assert state_digest(part.rooms) == state_digest(whole.rooms)
    assert part.began_at == (begin if begin > 0 else whole.snapshots)
    assert part.snapshots == whole.snapshots - part.began_at
    assert part.inputs < whole.inputs


def test_the_command_says_it(folder):
    done = CliRunner().invoke(replay_command, [str(folder), "--from-snapshot", "last", "--verify", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["identical"]
    assert told["began_at_snapshot"] > 0
    for wrong, why in (("0", "is no number of a snapshot"), ("77", "has no whole snapshot 77; it has 1, 2")):
        with pytest.raises(HftkitError, match=why):
            CliRunner().invoke(replay_command, [str(folder), "--from-snapshot", wrong], catch_exceptions=False)


def test_a_journal_without_snapshots_is_replayed_from_its_beginning(tmp_path):
    tape = Tape()
    traded(tape)
    writer = JournalWriter(tmp_path / "j", 1, 1, SEGMENT)
    for kind, time_ns, payload in tape.rows:
        writer.append(kind, time_ns, payload)
    writer.close()
    assert replay(tmp_path / "j", from_snapshot=LAST_SNAPSHOT).began_at == 0
    with pytest.raises(JournalError, match="it has none"):
        replay(tmp_path / "j", from_snapshot=1)


def test_a_snapshot_that_is_cut_is_passed_over(folder, tmp_path):
    """A kill in the middle of one: the journal ends there, and the one before it is the last."""
    rows = [(r.type, r.time_ns, r.payload.copy()) for r in JournalReader(folder)]
    at = max(i for i, row in enumerate(rows) if row[0] == RecordType.SNAPSHOT and row[2][1] == 0)
    writer = JournalWriter(tmp_path / "cut", 1, 1, SEGMENT)
    for i, (kind, time_ns, payload) in enumerate(rows[: at + 1]):
        if kind == RecordType.SNAPSHOT and payload[1] == 0:
            writer.roll()
        if i == at:
            payload = payload[: payload.size // 2]
            payload[2] = 2  # a second part would follow
        writer.append(kind, time_ns, payload)
    writer.close()
    whole, part = replay(tmp_path / "cut"), replay(tmp_path / "cut", from_snapshot=LAST_SNAPSHOT)
    assert whole.identical
    assert part.identical
    assert not whole.ended
    assert part.began_at == whole.snapshots >= 1


def test_a_snapshot_with_another_state_is_no_replay(folder, tmp_path):
    rows = [(r.type, r.time_ns, r.payload.copy()) for r in JournalReader(folder)]
    at = next(i for i, row in enumerate(rows) if row[0] == RecordType.SNAPSHOT)
    rows[at][2][HEADER_WORDS] ^= 1  # in its digest
    writer = JournalWriter(tmp_path / "j", 1, 1, SEGMENT)
    for kind, time_ns, payload in rows:
        if kind == RecordType.SNAPSHOT and payload[1] == 0:
            writer.roll()
        writer.append(kind, time_ns, payload)
    writer.close()
    found = replay(tmp_path / "j")
    assert not found.identical
    assert "the state at snapshot 1 does not" in found.difference
    with pytest.raises(JournalError, match="digest"):
        replay(tmp_path / "j", from_snapshot=1)


def test_a_segment_of_another_journal_is_found(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "j")
    path = segment_path(tmp_path / "j", 2)
    words = np.frombuffer(path.read_bytes(), np.int64).copy()
    from hftkit.kernels.memory.crc32c import crc32c_words
    from hftkit.session.journal import CRC_BEFORE, HEADER_CRC

    words[CRC_BEFORE] ^= 1
    words[HEADER_CRC] = crc32c_words(words, 0, HEADER_CRC, 0)
    path.write_bytes(words.tobytes())
    with pytest.raises(JournalError, match="does not follow the segment before it"):
        replay(tmp_path / "j")


@pytest.mark.parametrize(
    ("word", "value", "why"),
    [
        (H_FORMAT, 2, "it has format 2, this hftkit reads 1"),
        (H_ACCOUNT, 8, "account 8"),
        (H_ARRAYS, 3, "it has 3 arrays"),
        (HEADER_WORDS, 0, "it has an array"),
        (HEADER_WORDS + 4, 0, "another type or shape"),
    ],
)
def test_a_snapshot_of_another_kind_is_refused_in_one_line(tape, word, value, why):
    words = snapshot_words(tape.rooms, Kind.CHECK)
    words[word] = value
    with pytest.raises(JournalError, match=why) as found:
        restore(words, build_engine_state(tape.config), tape.config)
    assert len(str(found.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("array", "field", "value"),
    [
        ("book", "n_bid", 513),
        ("book", "sync", 9),
        ("legs", "lead", 1),
        ("legs", "state", 17),
        ("legs", "unit_hedge", 0),
        ("orders", "instrument", 2),
        ("orders", "strategy", 1),
        ("orders", "state", 99),
        ("orders", "client_order_id", 2**32 + 3000),
        ("risk", "max_orders_per_s", 0),
        ("risk", "trading", 12),
        ("session", "first_open", 0),
        ("session", "next_order", 2**40),
        ("refused", "", -1),
    ],
)
def test_what_would_lead_a_kernel_astray_is_refused(tape, array, field, value):
    rooms = restore(snapshot_words(tape.rooms, Kind.CHECK), build_engine_state(tape.config), tape.config)
    room = getattr(rooms, array)
    target = room[field] if field else room
    target.reshape(-1)[1 if array == "orders" else 0] = value
    forged = snapshot_words_unchecked(rooms)
    with pytest.raises(JournalError, match=r"the snapshot cannot be used: (book|legs|orders|risk|session|refused)"):
        restore(forged, build_engine_state(tape.config), tape.config)


def snapshot_words_unchecked(rooms):
    """A snapshot of a state that no engine has; its books keep what levels they have."""
    book = rooms.book.copy()
    rooms.book["n_bid"], rooms.book["n_ask"] = np.minimum(book["n_bid"], 512), book["n_ask"]
    good = snapshot_words(rooms, Kind.CHECK)
    if (book["n_bid"] > 512).any():
        rooms.book["n_bid"] = book["n_bid"]
        name = np.frombuffer(b"book".ljust(32, b"\0"), np.int64)
        at = next(i for i in range(good.size) if np.array_equal(good[i : i + 4], name)) + 4 + 4
        words = np.frombuffer(rooms.book.tobytes(), np.int64)
        good[at : at + int(good[at - 1])] = words[: int(good[at - 1])]
    return good


def test_a_cut_snapshot_is_refused_wherever_it_is_cut(tape):
    words = snapshot_words(tape.rooms, Kind.CHECK)
    rng = np.random.default_rng(5)
    for n in sorted({0, 1, HEADER_WORDS - 1, HEADER_WORDS, words.size - 1, *rng.integers(0, words.size - 1, 60).tolist()}):
        with pytest.raises(JournalError):
            restore(words[:n], build_engine_state(tape.config), tape.config)
