"""Reconciliation: a difference must stand before it counts; what is explained by fills disappears; what is not halts beyond the limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from live.account.reconcile import OutsideWatch, Reconciler, Verdict


def test_a_fill_in_flight_is_no_mismatch():
    reconciler = Reconciler([100, 100], 0.05)
    assert reconciler.compare([0, 0], [100, 0], [True, True]) == {0: (Verdict.WAIT, 100)}
    assert reconciler.compare([100, 0], [100, 0], [True, True]) == {}
    assert reconciler.compare([100, 0], [100, -100], [True, True]) == {1: (Verdict.WAIT, -100)}


def test_a_missed_fill_is_asked_for_and_then_a_stranger_halts():
    reconciler = Reconciler([100], 0.05)
    verdicts = [reconciler.compare([0], [6], [True])[0][0] for _ in range(4)]
    assert verdicts == [Verdict.WAIT, Verdict.RECOVER, Verdict.HALT, Verdict.HALT]


def test_a_small_standing_difference_is_taken_over_but_does_not_halt():
    reconciler = Reconciler([100], 0.05)
    verdicts = [reconciler.compare([0], [5], [True])[0][0] for _ in range(5)]
    assert verdicts == [Verdict.WAIT, Verdict.RECOVER, Verdict.ACCEPT, Verdict.ACCEPT, Verdict.ACCEPT]


def test_a_stranger_is_found_among_trades_that_never_end():
    """The position moves all the time; the difference to the venue's does not."""
    reconciler = Reconciler([100], 0.05)
    verdicts = [
        reconciler.compare([lots], [lots + 30], [still])[0][0] for lots, still in ((0, True), (100, False), (-100, True), (0, False), (100, True))
    ]
    assert verdicts == [Verdict.WAIT, Verdict.WAIT, Verdict.RECOVER, Verdict.WAIT, Verdict.HALT]


def test_what_is_not_quiet_never_counts_and_a_change_starts_the_observation_anew():
    reconciler = Reconciler([100], 0.0)
    for _ in range(10):
        assert reconciler.compare([0], [50], [False])[0][0] is Verdict.WAIT
    for n in range(1, 10):
        assert reconciler.compare([0], [n], [True])[0][0] is Verdict.WAIT


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.booleans()), max_size=60))
def test_halting_needs_three_equal_quiet_differences_in_a_row(history):
    reconciler = Reconciler([1], 0.05)
    last: list[int] = []
    for ours, venue, still in history:
        found = reconciler.compare([ours], [venue], [still])
        last += [venue - ours] if still else []
        if found.get(0, (None, 0))[0] is Verdict.HALT:
            assert still
            assert len(last) >= 3
            assert len(set(last[-3:])) == 1
            assert last[-1] != 0


def test_what_others_move_adds_up_in_both_directions():
    watch = OutsideWatch(Reconciler([1000, 100], 0.05))
    assert watch.beyond([20, 0]) == []
    assert watch.beyond([0, 5]) == []
    assert watch.beyond([0, 5]) == []
    assert watch.beyond([10, 5]) == []
    assert watch.beyond([11, 6]) == [(0, 51), (1, 6)]
