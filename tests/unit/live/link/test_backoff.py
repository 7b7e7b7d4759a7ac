"""Back-off and progress clocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from live.link.backoff import Backoff, ProgressClock


@given(st.integers(0, 2**32))
def test_pauses_double_to_a_minute_with_up_to_a_tenth_of_jitter(seed):
    backoff = Backoff(seed)
    for expected in (1, 2, 4, 8, 16, 32, 60, 60, 60):
        assert expected <= backoff.next_s() <= expected * 1.1
    backoff.reset()
    assert backoff.next_s() <= 1.1


def test_two_clients_of_one_outage_do_not_come_back_in_step():
    pauses = {seed: [Backoff(seed).next_s() for _ in range(3)][-1] for seed in range(50)}
    assert len(set(pauses.values())) == 50


def test_a_silent_stream_is_noticed():
    clock = ProgressClock(1_000, 0)
    assert not clock.silent(1_000)
    assert clock.silent(1_001)
    clock.progress(1_500)
    clock.progress(900)  # an older time changes nothing
    assert not clock.silent(2_500)
    assert clock.silent(2_501)
    assert not ProgressClock(0, 0).silent(10**18)
