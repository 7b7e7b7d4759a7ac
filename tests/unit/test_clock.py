"""The one reader of time."""

from __future__ import annotations

import time

from hftkit import clock


def test_the_monotonic_clock_is_the_systems_monotonic_clock() -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    now = clock.monotonic_ns()
    assert before <= now <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def test_the_monotonic_clock_never_runs_backwards() -> None:
    readings = [clock.monotonic_ns() for _ in range(1000)]
    assert readings == sorted(readings)
    assert isinstance(readings[0], int)


def test_the_wall_clock_counts_from_1970() -> None:
    assert abs(clock.unix_ns() - time.time_ns()) < 60 * 10**9
