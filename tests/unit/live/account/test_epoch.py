"""Session numbers: never the time, never one that is in use; order ids of different sessions never meet."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hftkit.binance.line import client_order_id_text
from hftkit.session.journal import JournalWriter
from live.account.epoch import EPOCH_BITS, new_epoch, session_name, used_epochs
from live.account.open_orders import engine_id, epoch_of

EPOCHS, COUNTS = st.integers(1, 2**EPOCH_BITS - 1), st.integers(1, 2**32 - 1)


@given(EPOCHS, COUNTS, EPOCHS, COUNTS)
def test_orders_of_two_sessions_never_share_an_id_nor_its_text(epoch, count, other_epoch, other_count):
    one, other = epoch << 32 | count, other_epoch << 32 | other_count
    assert (one == other) == ((epoch, count) == (other_epoch, other_count)) == (client_order_id_text(one) == client_order_id_text(other))
    assert int(np.int64(one)) == one > 0
    assert engine_id(client_order_id_text(one)) == one
    assert epoch_of(one) == epoch
    assert len(client_order_id_text(one)) <= 36


@given(st.sets(EPOCHS, max_size=50), st.lists(st.binary(min_size=4, max_size=4), max_size=60))
def test_a_number_in_use_is_never_drawn_whatever_the_entropy(used, draws):
    given_first = iter([*draws, *(bytes([n % 256, n // 256, 1, 0]) for n in range(300))])
    epoch = new_epoch(used, lambda n: next(given_first))
    assert 0 < epoch < 2**EPOCH_BITS
    assert epoch not in used


def test_sessions_of_one_second_have_different_numbers_and_folders():
    drawn: set[int] = set()
    for _ in range(20_000):
        drawn.add(new_epoch(drawn))
    assert len(drawn) == 20_000
    bits = np.array([[epoch >> bit & 1 for bit in range(EPOCH_BITS)] for epoch in drawn]).mean(axis=0)
    assert np.all(np.abs(bits - 0.5) < 5 * 0.5 / 20_000**0.5), "every bit of the number is a coin"
    names = {session_name(1_790_000_000_123_456_789, epoch) for epoch in drawn}
    assert len(names) == 20_000
    assert all(name.startswith("1790000000-") for name in names)


def test_numbers_of_the_journals_beside_ours_are_found_and_what_is_no_journal_is_passed_over(tmp_path):
    for epoch in (7, 2**31 - 1):
        JournalWriter(tmp_path / str(epoch), epoch, 1, 1 << 20).close()
    for name, content in (("short", b"HFTK"), ("foreign", b"x" * 4096), ("empty", b"")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "segment-00001.hftj").write_bytes(content)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "file").write_text("")
    first = next((tmp_path / "7").glob("segment-*"))
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / first.name)  # nobody writes to it
    assert used_epochs(tmp_path) == {7, 2**31 - 1}
    assert used_epochs(Path(tmp_path) / "absent") == set()
