"""The breaker: its table is whole, and it behaves as the defaults of RK-6 say; checked against a plain twin over random histories."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hftkit.codes import BreakerState
from live.link.breaker import NEXT, Breaker, BreakerConfig


def test_the_table_has_every_state_input_and_condition():
    assert set(NEXT) == set(itertools.product(BreakerState, range(3), (False, True)))


def test_five_failures_in_thirty_seconds_open_it_for_thirty_and_three_probes_close_it():
    breaker = Breaker()
    for second in (0, 10, 20, 29):
        breaker.fail(second)
        assert breaker.state is BreakerState.CLOSED
    breaker.fail(29.5)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.allow(59.4)
    assert [breaker.allow(59.6) for _ in range(4)] == [True, True, True, False]  # three probes are out
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.succeed(60)
    breaker.succeed(60)
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.succeed(60)
    assert breaker.state is BreakerState.CLOSED


def test_failures_further_apart_than_the_window_do_not_open_it():
    breaker = Breaker()
    for n in range(100):
        breaker.fail(n * 7.6)  # the fifth is 30.4 s after the first
    assert breaker.state is BreakerState.CLOSED
    assert breaker.n_opened == 0


def test_a_failed_probe_opens_it_again_for_the_whole_time():
    breaker = Breaker(BreakerConfig(failures=1))
    breaker.fail(0)
    assert breaker.allow(30)
    breaker.fail(31)
    assert breaker.state is BreakerState.OPEN
    assert breaker.tick(60.9) is BreakerState.OPEN
    assert breaker.tick(61) is BreakerState.HALF_OPEN
    assert breaker.n_opened == 2


@given(st.lists(st.tuples(st.sampled_from(["ok", "fail", "ask"]), st.floats(0, 20)), max_size=120))
def test_it_is_never_closed_by_less_than_the_probes_nor_opened_by_less_than_the_limit(history):
    """Plain twin: remember everything, derive the state from the whole history each time."""
    breaker, now = Breaker(BreakerConfig(failures=3, window_s=10, open_s=15, probes=2)), 0.0
    state, failures, opened, good = "closed", [], 0.0, 0
    for what, pause in history:
        now += pause
        breaker.tick(now)
        if state == "open" and now - opened >= 15:
            state, good = "half", 0
        if what == "ask":
            assert breaker.allow(now) or state != "closed"
        elif what == "ok":
            breaker.succeed(now)
            good += 1
            if state == "half" and good >= 2:
                state, failures = "closed", []
        else:
            breaker.fail(now)
            failures.append(now)
            recent = [t for t in failures if now - t <= 10]
            if state == "half" or (state == "closed" and len(recent) >= 3):
                state, opened, failures = "open", now, []
            elif state == "open":
                failures = []
        assert breaker.state.name.lower().split("_")[0] == state
