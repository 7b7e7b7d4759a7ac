"""The ledger against exact fractions: money is conserved to the last unit under any sequence of fills and marks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hftkit import layout
from hftkit.instruments import instrument_array
from hftkit.kernels.trading.ledger import apply_fill, mark
from tests.support import AAA

FILLS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 10**6), st.integers(1, 10**4), st.integers(-500, 5000), st.booleans(), st.integers(2, 2 * 10**6)),
    min_size=1,
    max_size=40,
)


def book_fills(fills):
    ledger = np.zeros(1, layout.LEDGER.dtype)
    instruments = instrument_array([AAA])
    for side, price, qty, fee, maker, mark_price in fills:
        apply_fill(ledger, instruments, 0, side, price, qty, fee, int(maker))
        mark(ledger, instruments, 0, mark_price)
    return ledger[0], int(instruments["tick_lot_e8"][0])


@given(FILLS)
def test_realized_plus_unrealized_is_cash_flow_plus_position_at_mark(fills):
    row, value = book_fills(fills)
    cash = sum((1 if side else -1) * price * qty * value for side, price, qty, *_ in fills)
    at_mark = Fraction(int(row["position"]) * fills[-1][5] * value, 2)
    assert abs(int(row["realized_e8"]) + int(row["unrealized_e8"]) - (cash + at_mark)) < 1  # half a unit: the mark counts half ticks
    assert int(row["fees_e8"]) == sum(f[3] for f in fills)
    assert int(row["position"]) == sum(qty if side == 0 else -qty for side, _, qty, *_ in fills)
    assert int(row["turnover_e8"]) == sum(price * qty * value for _, price, qty, *_ in fills)


@given(FILLS)
def test_a_flat_position_has_no_cost_and_all_its_money_is_realized(fills):
    row, value = book_fills(fills)
    position = int(row["position"])
    if position:
        fills = [*fills, (1 if position > 0 else 0, 777, abs(position), 0, False, 2 * 777)]
        row, value = book_fills(fills)
    assert int(row["position"]) == 0
    assert int(row["cost_e8"]) == 0
    assert int(row["unrealized_e8"]) == 0
    assert int(row["realized_e8"]) == sum((1 if side else -1) * price * qty * value for side, price, qty, *_ in fills)


def test_average_cost_of_a_textbook_example():
    # buy 100 lots at 10.00, 100 at 11.00 (average 10.50), sell 50 at 12.00: realised 50 lots * 0.1 * 1.50 = 7.50
    row, _ = book_fills([(0, 1000, 100, 0, False, 2400), (0, 1100, 100, 0, False, 2400), (1, 1200, 50, 0, False, 2400)])
    assert int(row["realized_e8"]) == 750_000_000
    assert int(row["cost_e8"]) == 150 * 1050 * 100_000
    assert int(row["unrealized_e8"]) == 150 * (1200 - 1050) * 100_000
