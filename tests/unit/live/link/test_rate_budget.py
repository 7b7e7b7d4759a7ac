"""The rate budget: never beyond the venue's limits, cancels and hedges before new orders, 429 and 418 respected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit.errors import VenueError
from live.link.rate_budget import DEFAULT_PAUSE_MS, Priority, RateBudget

LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
]
T0 = 1_790_000_000_000 // 60_000 * 60_000


def test_new_orders_leave_head_room_for_hedges_and_cancels():
    budget = RateBudget(LIMITS)
    sent = sum(budget.wait_ms(Priority.NEW, T0, orders=1) == 0 for _ in range(400))
    assert sent == 240  # 80 % of 300 in ten seconds
    assert budget.wait_ms(Priority.NEW, T0 + 1, orders=1) == 9_999
    assert sum(budget.wait_ms(Priority.HEDGE, T0 + 2, orders=1) == 0 for _ in range(400)) == 45
    assert budget.wait_ms(Priority.CANCEL, T0 + 3, weight=1) == 0  # cancels cost weight, no order count
    assert budget.wait_ms(Priority.NEW, T0 + 10_000, orders=1) == 0


def test_what_the_venue_says_it_has_counted_is_believed_when_it_is_more():
    budget = RateBudget(LIMITS)
    budget.observe_headers({"X-MBX-USED-WEIGHT-1M": "2399", "x-mbx-order-count-10s": "240", "X-Other": "5"}, T0)
    assert budget.wait_ms(Priority.QUERY, T0, weight=5) == 60_000
    assert budget.wait_ms(Priority.CANCEL, T0, weight=1) == 0
    assert budget.wait_ms(Priority.NEW, T0, orders=1) == 10_000
    budget.observe_limits([{**LIMITS[2], "count": 299}], T0 + 10_000)
    assert budget.wait_ms(Priority.HEDGE, T0 + 10_000, orders=1) == 10_000
    budget.observe_limits([{**LIMITS[2], "count": 3}], T0 + 10_000)  # an older answer, arriving late, frees nothing
    assert budget.wait_ms(Priority.HEDGE, T0 + 10_000, orders=1) == 10_000


@pytest.mark.parametrize(
    ("retry_after", "text", "until"),
    [
        ("7", "Too many requests", T0 + 7_000),
        ("", "Too many requests", T0 + DEFAULT_PAUSE_MS),
        ("1", f"Way too many requests; IP(1.2.3.4) banned until {T0 + 120_000}. Please use the websocket", T0 + 120_000),
    ],
)
def test_after_429_or_418_nothing_goes_until_the_pause_is_over(retry_after, text, until):
    budget = RateBudget(LIMITS)
    assert budget.limited(T0, retry_after, text) == until
    for priority in Priority:
        assert budget.wait_ms(priority, T0, weight=1) == until - T0
        assert budget.wait_ms(priority, until - 1, weight=1) == 1
    assert budget.wait_ms(Priority.NEW, until, orders=1) == 0


def test_an_unreadable_limit_is_refused():
    with pytest.raises(VenueError, match="rate limit that cannot be read"):
        RateBudget([{"rateLimitType": "ORDERS", "interval": "FORTNIGHT", "intervalNum": 1, "limit": 5}])


@given(st.lists(st.tuples(st.sampled_from(list(Priority)), st.integers(0, 400), st.integers(0, 6)), max_size=300))
def test_no_window_is_ever_broken(requests):
    budget, now = RateBudget([{**LIMITS[0], "limit": 60}, {**LIMITS[2], "limit": 20}]), T0
    sent: list[tuple[int, int, int]] = []
    for priority, pause, size in requests:
        now += pause
        if budget.wait_ms(priority, now, weight=size, orders=1) == 0:
            sent.append((now, size, 1))
    for length, limit, column in ((60_000, 60, 1), (10_000, 20, 2)):
        for window in {entry[0] // length for entry in sent}:
            assert sum(entry[column] for entry in sent if entry[0] // length == window) <= limit


@given(st.integers(20, 5_000), st.integers(40, 20_000))
def test_the_token_bucket_for_the_engine_breaks_no_order_window(ten_seconds, minute):
    budget = RateBudget([{**LIMITS[2], "limit": ten_seconds}, {**LIMITS[1], "limit": minute}])
    rate, burst = budget.order_rate()
    for length, limit in ((10, ten_seconds), (60, minute)):
        assert burst + rate * length <= limit or rate == 1
