"""The clock offset: the true offset always lies within the stated bound, however the round trips went; a jump is noticed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from live.link.clock_offset import ClockOffset

MS = 1_000_000
delays = st.integers(0, 200 * MS)


@given(st.integers(-(10**13), 10**13), st.lists(st.tuples(delays, delays, st.integers(0, 2_000 * MS)), min_size=1, max_size=40))
def test_the_true_offset_lies_within_the_bound(offset, trips):
    """Any way out and back, as unequal as they like. The venue's stamp is cut to whole milliseconds, as the real one is."""
    clock, now = ClockOffset(), 10**15
    for out, back, pause in trips:
        now += pause
        server_ms = (now + out + offset) // MS
        sample = clock.add(now, now + out + back, server_ms)
        assert sample is not None
        now += out + back
        assert abs(clock.offset_ns(now) - offset) <= clock.bound_ns(now)
        assert clock.bound_ns(now) <= sample.bound_at(now)  # never worse than the latest sample
    assert clock.n_jumps == 0


def test_the_shortest_round_trip_wins_until_it_is_old():
    clock = ClockOffset()
    clock.add(0, 100 * MS, 1000)
    clock.add(1000 * MS, 1002 * MS, 2001)
    assert clock.bound_ns(1002 * MS) < 2 * MS
    assert abs(clock.offset_ns(1002 * MS) - 1000 * MS) < 2 * MS
    hour = 3_600_000 * MS
    assert clock.bound_ns(1002 * MS + hour) > 300 * MS  # an hour of drift at 100 ppm


def test_a_jump_of_the_venues_clock_forgets_what_was_before():
    clock = ClockOffset()
    for second in range(5):
        clock.add(second * 1000 * MS, second * 1000 * MS + 2 * MS, second * 1000 + 1)
    assert clock.n_jumps == 0
    clock.add(6000 * MS, 6002 * MS, 6001 + 5000)
    assert clock.n_jumps == 1
    assert abs(clock.offset_ns(6002 * MS) - 5000 * MS) < 2 * MS


def test_limits_are_judged_by_the_kindest_reading():
    clock = ClockOffset()
    assert clock.certainly_beyond(500 * MS, 0)  # nothing known
    clock.add(0, 1200 * MS, 600)
    assert clock.certainly_beyond(500 * MS, 1200 * MS)  # known too badly
    clock.add(2000 * MS, 2200 * MS, 2100 + 550)
    assert not clock.certainly_beyond(500 * MS, 2200 * MS)  # 550 ms, but perhaps only 450
    clock.add(3000 * MS, 3010 * MS, 3005 + 550)
    assert clock.certainly_beyond(500 * MS, 3010 * MS)
    assert clock.add(10, 9, 0) is None
