"""The compiled filters and their plain twin refuse the same orders for the same reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Reject
from hftkit.exchange.core.filters import filter_order
from hftkit.exchange.core.filters_plain import plain_filter
from hftkit.exchange.core.layout import COMMAND, LIMITS, TOP

HIGHEST = 5_000
SEEN: set[Reject] = set()


def record(dtype: np.dtype, values: dict[str, int]) -> np.ndarray:
    row = np.zeros(1, dtype)
    for name, value in values.items():
        row[0][name] = value
    return row


edge = st.sampled_from([-(2**62), -1, 0, 1, 2, 10, 999, 1000, 1010, 1200, 6000, 2**40, 2**62])
commands = st.fixed_dictionaries(
    {
        "side": st.sampled_from([0, 0, 1, 1, 2]),
        "order_type": st.integers(-1, 6),
        "time_in_force": st.sampled_from([0, 0, 1, 2, 3, 4]),
        "flags": st.sampled_from([0, 0, 1, 2, 15, 16, -1]),
        "price": st.one_of(st.integers(900, 1100), edge),
        "qty": st.one_of(st.integers(1, 60), edge),
        "trigger_price": st.one_of(st.integers(900, 1100), edge),
    }
)
limits = st.fixed_dictionaries(
    {
        "tick_lot_e8": st.sampled_from([1, 1000, 10**8]),
        "min_qty": st.just(3),
        "max_qty": st.sampled_from([50, 2**40]),
        "min_notional_e8": st.sampled_from([0, 10_000, 10**10]),
        "band_ppm": st.sampled_from([0, 10_000, 50_000]),
        "max_open": st.just(5),
        "open": st.sampled_from([1, 1, 1, 1, 0]),
    }
)
tops = st.sampled_from([(0, 0, 0), (995, 1005, 0), (995, 1005, 1001), (995, 1005, 900), (0, 1005, 0), (0, 0, 1003), (995, 0, 0)])


@settings(max_examples=3000, deadline=None)
@given(commands, limits, tops, st.sampled_from([0, 4, 5]))
def test_filters_agree(command: dict[str, int], limit: dict[str, int], prices: tuple[int, int, int], n_open: int) -> None:
    top = dict(zip(("bid", "ask", "last"), prices, strict=True))
    expected = plain_filter(command, limit, top, n_open, HIGHEST)
    got = filter_order(record(COMMAND.dtype, command)[0], record(LIMITS.dtype, limit)[0], record(TOP.dtype, top)[0], n_open, HIGHEST)
    assert got == expected
    SEEN.add(expected)


def test_every_filter_was_met() -> None:
    names = ("NONE", "VENUE_BAD_TYPE", "VENUE_MARKET_CLOSED", "VENUE_BAD_QTY", "VENUE_BAD_PRICE", "VENUE_TOO_MANY_ORDERS", "VENUE_MIN_NOTIONAL")
    assert {Reject[name] for name in (*names, "VENUE_PRICE_BAND")} <= SEEN


@pytest.mark.parametrize(
    ("order", "prices", "expected"),
    [
        ({"qty": 10, "price": 1000}, (0, 0, 0), Reject.NONE),  # just the minimum
        ({"qty": 9, "price": 1000}, (0, 0, 0), Reject.VENUE_MIN_NOTIONAL),
        ({"qty": 10, "order_type": 1, "side": 0}, (500, 1500, 0), Reject.NONE),  # a market order is worth what it meets
        ({"qty": 10, "order_type": 1, "side": 1}, (500, 1500, 0), Reject.VENUE_MIN_NOTIONAL),
        ({"qty": 30, "price": 1010}, (990, 1010, 0), Reject.NONE),  # the mark is the middle, the band 10 wide on both sides
        ({"qty": 30, "price": 990}, (990, 1010, 0), Reject.NONE),
        ({"qty": 30, "price": 1011}, (990, 1010, 0), Reject.VENUE_PRICE_BAND),
        ({"qty": 30, "price": 989}, (990, 1010, 0), Reject.VENUE_PRICE_BAND),
    ],
)
def test_the_edges_of_the_filters(order: dict[str, int], prices: tuple[int, int, int], expected: Reject) -> None:
    limit = {"tick_lot_e8": 1000, "min_qty": 1, "max_qty": 50, "min_notional_e8": 10_000_000, "band_ppm": 10_000, "max_open": 5, "open": 1}
    top = dict(zip(("bid", "ask", "last"), prices, strict=True))
    got = filter_order(record(COMMAND.dtype, order)[0], record(LIMITS.dtype, limit)[0], record(TOP.dtype, top)[0], 0, HIGHEST)
    assert got == expected
