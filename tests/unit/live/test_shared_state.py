"""What threads share, hammered: with a switch interval of microseconds a reader that meets a change in the middle fails here within a second.

The counts and the invariants after the storm are the judge; on the code of before (a deque read while another thread appends) this raises at once.
"""

from __future__ import annotations

import sys
import threading

import pytest

from hftkit.codes import BreakerState
from live.link.breaker import Breaker, BreakerConfig
from live.link.clock_offset import KEEP, ClockOffset
from live.link.rate_budget import Priority, RateBudget

ROUNDS = 4000


@pytest.fixture(autouse=True)
def often():
    """Threads take turns after some bytecodes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def storm(*works):
    """Run each `work(i)` ROUNDS times in a thread of its own, at once; raises what one of them raised."""
    failures, start = [], threading.Barrier(len(works))

    def run(work):
        start.wait()
        try:
            for i in range(ROUNDS):
                work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_the_clock_is_read_by_many_while_one_adds_and_jumps():
    clock = ClockOffset()

    def add(i):
        clock.add(i * 1000, i * 1000 + 500, i // 100 * 50)  # jumps now and then

    def read(i):
        best = clock.best(i)
        assert best is None or best.bound_ns >= 500_000
        clock.offset_ns(i)
        clock.bound_ns(i)

    storm(add, read, read, read)
    assert clock.n_samples == ROUNDS
    assert 0 < len(clock._samples) <= KEEP


def test_a_breaker_is_reported_to_and_asked_by_many():
    breaker = Breaker(BreakerConfig(failures=3, window_s=1e9, open_s=1e9, probes=2))
    opened = []

    def fail(i):
        breaker.fail(float(i))

    def ask(i):
        if not breaker.allow(float(i)):
            opened.append(i)
        assert breaker.tick(float(i)) in BreakerState

    storm(fail, fail, ask, ask)
    assert breaker.state is BreakerState.OPEN
    assert breaker.n_opened == 1


def test_the_budget_never_gives_out_more_than_it_has():
    row = {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 5000}
    budget, granted = RateBudget([row]), []

    def spend(i):
        if budget.wait_ms(Priority.CANCEL, 1, orders=1) == 0:
            granted.append(i)

    def watch(i):
        assert 0 <= budget.used()["ORDERS 86400 s"] <= 1

    storm(spend, spend, spend, watch)
    assert len(granted) == 5000


def test_a_pause_is_never_shortened_by_another_thread():
    budget = RateBudget()

    def limited(i):
        budget.limited(i, "10")

    def shorter(i):
        budget.limited(i, "1")

    storm(limited, shorter, lambda i: budget.closed_until_ms)
    assert budget.closed_until_ms == ROUNDS - 1 + 10_000
    assert budget.n_limited == 2 * ROUNDS
