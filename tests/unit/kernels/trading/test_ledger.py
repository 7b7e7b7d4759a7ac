"""The ledger against exact fractions: money is conserved to the last unit under any sequence of fills and marks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hftkit import layout
from hftkit.instruments import instrument_array
from hftkit.kernels.trading.ledger import apply_fill, apply_funding, correct_position, mark
from tests.support import AAA

FILLS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 10**6), st.integers(1, 10**4), st.integers(-500, 5000), st.booleans(), st.integers(2, 2 * 10**6)),
    min_size=1,
    max_size=40,
)
FUNDING = st.lists(st.integers(-(10**12), 10**12), max_size=10)


def book_fills(fills, funding=()):
    ledger = np.zeros(1, layout.LEDGER.dtype)
    instruments = instrument_array([AAA])
    paid = list(funding)
    for side, price, qty, fee, maker, mark_price in fills:
        apply_fill(ledger, instruments, 0, side, price, qty, fee, int(maker))
        mark(ledger, instruments, 0, mark_price)
        if paid:
            apply_funding(ledger, 0, paid.pop())
    for amount in paid:
        apply_funding(ledger, 0, amount)
    return ledger[0], int(instruments["tick_lot_e8"][0])


@given(FILLS, FUNDING)
def test_equity_is_cash_flow_plus_position_at_mark(fills, funding):
    """realized + unrealized - fees - funding, under any sequence of fills and payments."""
    row, value = book_fills(fills, funding)
    cash = sum((1 if side else -1) * price * qty * value - fee for side, price, qty, fee, *_ in fills) - sum(funding)
    at_mark = Fraction(int(row["position"]) * fills[-1][5] * value, 2)
    equity = int(row["realized_e8"]) + int(row["unrealized_e8"]) - int(row["fees_e8"]) - int(row["funding_e8"])
    assert abs(equity - (cash + at_mark)) < 1  # half a unit: the mark counts half ticks
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


@given(FILLS, st.integers(-(10**5), 10**5))
def test_a_correction_moves_the_position_and_no_money(fills, venue_lots):
    """As if a stranger's lots had come in at mark: equity before and after is the same, and a fill at mark books the same."""
    ledger, twin = np.zeros(1, layout.LEDGER.dtype), np.zeros(1, layout.LEDGER.dtype)
    instruments = instrument_array([AAA])
    for side, price, qty, fee, maker, mark_price in fills:
        for book in (ledger, twin):
            apply_fill(book, instruments, 0, side, price, qty, fee, int(maker))
            mark(book, instruments, 0, mark_price // 2 * 2)  # a whole tick, so that a fill can have its price
    before = ledger[0].copy()
    held, lots = int(before["position"]), venue_lots - int(before["position"])
    assert not correct_position(ledger, instruments, 0, venue_lots, held + 1)  # the ledger has moved on since the comparison
    assert ledger[0] == before
    assert correct_position(ledger, instruments, 0, venue_lots, held) == (lots != 0)
    row = ledger[0]
    assert int(row["position"]) == venue_lots == int(row["bought_qty"] - row["sold_qty"] + row["corrected_qty"])
    assert int(row["realized_e8"] + row["unrealized_e8"]) == int(before["realized_e8"] + before["unrealized_e8"])
    assert all(row[name] == before[name] for name in ("fees_e8", "turnover_e8", "n_fills", "bought_qty", "sold_qty"))
    if lots:
        apply_fill(twin, instruments, 0, 0 if lots > 0 else 1, fills[-1][5] // 2, abs(lots), 0, 0)
        assert all(row[name] == twin[0][name] for name in ("cost_e8", "realized_e8", "unrealized_e8"))
        assert int(row["n_corrections"]) == 1


def test_a_correction_without_a_mark_is_left():
    ledger = np.zeros(1, layout.LEDGER.dtype)
    assert not correct_position(ledger, instrument_array([AAA]), 0, 5, 0)
    assert int(ledger["position"][0]) == 0
