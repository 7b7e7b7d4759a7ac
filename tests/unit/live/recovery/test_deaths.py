"""What a supervisor does when its engine has ended (live/recovery/deaths.py)."""

from __future__ import annotations

import pytest

from live.recovery.deaths import Deaths, Next


@pytest.mark.parametrize(
    ("status", "has_session", "in_vain", "step"),
    [
        (0, True, False, Next.END),
        (4, True, False, Next.END),
        (1, False, False, Next.END),
        (1, True, True, Next.FLATTEN),
        (4, True, True, Next.FLATTEN),
        (0, True, True, Next.END),
        (-9, False, False, Next.START),
        (-11, True, False, Next.TAKE_OVER),
        (-9, True, True, Next.TAKE_OVER),
    ],
)
def test_the_table(status, has_session, in_vain, step):
    assert Deaths(3, 60.0).next(status, 0.0, has_session, in_vain) is step


def test_the_third_death_in_a_minute_breaks_the_loop():
    deaths = Deaths(3, 60.0)
    assert [deaths.next(-9, at, True, False) for at in (0.0, 30.0, 59.9)] == [Next.TAKE_OVER, Next.TAKE_OVER, Next.FLATTEN]


def test_deaths_that_are_far_apart_are_none():
    deaths = Deaths(3, 60.0)
    assert {deaths.next(-9, 31.0 * n, True, False) for n in range(50)} == {Next.TAKE_OVER}
    assert len(deaths.times) <= 2
