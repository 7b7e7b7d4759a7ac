"""Reconciliation: a difference must stand before it counts; what is explained by fills disappears; what is not halts beyond the limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from live.account import Reconciler, Verdict


def test_a_fill_in_flight_is_no_mismatch():
    reconciler = Reconciler([100, 100], 0.05)
    assert reconciler.compare([0, 0], [100, 0], [0, 0]) == {0: (Verdict.WAIT, 100)}
    assert reconciler.compare([100, 0], [100, 0], [1, 0]) == {}
    assert reconciler.compare([100, 0], [100, -100], [1, 0]) == {1: (Verdict.WAIT, -100)}


def test_a_missed_fill_is_asked_for_and_then_a_stranger_halts():
    reconciler = Reconciler([100], 0.05)
    verdicts = [reconciler.compare([0], [6], [3])[0][0] for _ in range(4)]
    assert verdicts == [Verdict.WAIT, Verdict.RECOVER, Verdict.HALT, Verdict.HALT]


def test_a_small_standing_difference_is_told_but_does_not_halt():
    reconciler = Reconciler([100], 0.05)
    verdicts = [reconciler.compare([0], [5], [3])[0][0] for _ in range(5)]
    assert verdicts == [Verdict.WAIT, Verdict.RECOVER, Verdict.ACCEPT, Verdict.ACCEPT, Verdict.ACCEPT]


def test_any_fill_or_change_between_starts_the_observation_anew():
    reconciler = Reconciler([100], 0.0)
    for n in range(10):
        assert reconciler.compare([0], [50], [n])[0][0] is Verdict.WAIT
    for n in range(1, 10):
        assert reconciler.compare([0], [n], [10])[0][0] is Verdict.WAIT


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 2)), max_size=60))
def test_halting_needs_three_equal_differences_in_a_row(history):
    reconciler = Reconciler([1], 0.05)
    last: list[tuple[int, int]] = []
    for ours, venue, fills in history:
        found = reconciler.compare([ours], [venue], [fills])
        last.append((venue - ours, fills))
        if found.get(0, (None, 0))[0] is Verdict.HALT:
            assert len(last) >= 3
            assert len(set(last[-3:])) == 1
            assert last[-1][0] != 0
