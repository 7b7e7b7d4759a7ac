"""The book replica against a dictionary: same levels, same touch, after any stream; gaps, duplicates and overflow handled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit import layout
from hftkit.codes import DepthFlag, EventKind, Side, Sync
from hftkit.kernels.market import book as replica
from hftkit.kernels.market.signals import imbalance, microprice_ticks, mid_ticks, spread_ticks, tradable
from hftkit.kernels.wire.decode import clear_event


class Follower:
    def __init__(self):
        self.book = np.zeros(1, layout.BOOK.dtype)
        self.levels = np.full((1, 2, layout.BOOK_DEPTH, 2), -999, np.int64)  # poison: what is beyond the count must never be used
        self.event = np.zeros(1, layout.EVENT.dtype)

    def apply(self, kind, seq, side=0, flags=0, price=0, qty=0, price2=0, qty2=0):
        clear_event(self.event, int(kind), 0, 1, 2, seq)
        e = self.event[0]
        e["side"], e["flags"], e["price"], e["qty"], e["price2"], e["qty2"] = side, flags, price, qty, price2, qty2
        return replica.apply_to_book(self.event, self.book, self.levels)

    def snapshot(self, seq, levels):
        self.apply(EventKind.SNAPSHOT_BEGIN, seq)
        for side, price, qty in levels:
            self.apply(EventKind.DEPTH, seq, side, int(DepthFlag.SNAPSHOT), price, qty)
        return self.apply(EventKind.SNAPSHOT_END, seq)

    def side(self, side):
        n = int(self.book[0]["n_bid" if side == Side.BUY else "n_ask"])
        return {int(p): int(q) for p, q in self.levels[0, side, :n]}


CHANGES = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 60), st.integers(0, 5)), max_size=200)


@given(CHANGES)
def test_any_stream_of_changes_gives_the_book_of_a_dictionary(changes):
    follower, twin = Follower(), ({}, {})
    assert follower.snapshot(10, [(0, 5, 7), (1, 70, 3)]) == replica.BOOK_CHANGED
    twin[0][5], twin[1][70] = 7, 3
    for i, (side, price, qty) in enumerate(changes):
        answer = follower.apply(EventKind.DEPTH, 11 + i, side, int(DepthFlag.END_OF_BATCH), price, qty)
        assert answer == replica.BOOK_CHANGED
        twin[side].pop(price, None)
        if qty:
            twin[side][price] = qty
        b = follower.book[0]
        assert (follower.side(0), follower.side(1)) == twin
        assert (int(b["best_bid"]), int(b["best_bid_qty"])) == (max(twin[0]), twin[0][max(twin[0])]) if twin[0] else (0, 0)
        assert (int(b["best_ask"]), int(b["best_ask_qty"])) == (min(twin[1]), twin[1][min(twin[1])]) if twin[1] else (0, 0)


def test_a_gap_empties_the_book_and_asks_for_a_snapshot():
    follower = Follower()
    follower.snapshot(10, [(0, 5, 7), (1, 9, 3)])
    assert follower.apply(EventKind.DEPTH, 12, 0, 1, 6, 1) == replica.BOOK_LOST
    assert follower.book[0]["sync"] == Sync.EMPTY
    assert not tradable(follower.book[0])
    assert follower.apply(EventKind.DEPTH, 13, 0, 1, 6, 1) == replica.BOOK_QUIET  # asked once, not again and again
    assert follower.book[0]["n_gaps"] == 1
    assert follower.snapshot(14, [(0, 6, 1), (1, 9, 3)]) == replica.BOOK_CHANGED
    assert follower.book[0]["best_bid"] == 6


def test_duplicates_and_late_messages_change_nothing():
    follower = Follower()
    follower.snapshot(10, [(0, 5, 7), (1, 9, 3)])
    follower.apply(EventKind.DEPTH, 11, 0, 1, 6, 1)
    before = follower.side(0)
    assert follower.apply(EventKind.DEPTH, 11, 0, 1, 6, 100) == replica.BOOK_QUIET
    assert follower.apply(EventKind.DEPTH, 3, 0, 1, 8, 100) == replica.BOOK_QUIET
    assert follower.side(0) == before
    assert follower.book[0]["n_stale"] == 2


def test_a_batch_is_shown_only_when_it_is_whole():
    follower = Follower()
    follower.snapshot(10, [(0, 5, 7), (1, 9, 3)])
    assert follower.apply(EventKind.DEPTH, 11, 1, 0, 9, 0) == replica.BOOK_QUIET
    assert follower.apply(EventKind.DEPTH, 12, 1, 1, 10, 4) == replica.BOOK_CHANGED


def test_a_full_side_keeps_its_best_levels_and_resynchronises_when_it_runs_low():
    follower = Follower()
    depth = layout.BOOK_DEPTH
    follower.snapshot(1, [(0, 100 + i, 1) for i in range(depth)] + [(1, 10_000, 1)])
    assert follower.apply(EventKind.DEPTH, 2, 0, 1, 50, 1) == replica.BOOK_CHANGED  # worse than all: dropped
    assert 50 not in follower.side(0)
    assert follower.apply(EventKind.DEPTH, 3, 0, 1, 5000, 1) == replica.BOOK_CHANGED  # better: the worst goes
    assert len(follower.side(0)) == depth
    assert 100 not in follower.side(0)
    answer, seq = replica.BOOK_CHANGED, 4
    while answer == replica.BOOK_CHANGED:
        answer = follower.apply(EventKind.DEPTH, seq, 0, 1, max(follower.side(0)), 0)
        seq += 1
    assert answer == replica.BOOK_LOST
    assert follower.book[0]["n_gaps"] == 0


def test_a_best_bid_offer_feed_alone_makes_a_book():
    follower = Follower()
    assert follower.apply(EventKind.BBO, 1, price=100, qty=5, price2=102, qty2=15) == replica.BOOK_CHANGED
    b = follower.book[0]
    assert mid_ticks(b) == 101.0
    assert spread_ticks(b) == 2
    assert imbalance(b) == pytest.approx(-0.5)
    assert microprice_ticks(b) == pytest.approx((100 * 15 + 102 * 5) / 20)
    assert follower.apply(EventKind.BBO, 1, price=1, qty=5, price2=2, qty2=5) == replica.BOOK_QUIET
    follower.apply(EventKind.BBO, 2, price=0, qty=0, price2=102, qty2=1)
    assert np.isnan(mid_ticks(follower.book[0]))
