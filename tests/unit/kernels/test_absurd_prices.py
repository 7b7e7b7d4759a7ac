"""Prices and units beyond all reason, from a venue or a journal, never end the process: no order comes of them (kernels/trading/lot_value.py)."""

from __future__ import annotations

import itertools

import pytest

from hftkit.codes import MessageType
from hftkit.kernels.execution.pair import nearest_ratio
from tests.support import Machine

ABSURD = (2**53, 2**60, 2**62, 2**63 - 2)  # ticks; 2**60 times the 50,000 of BBBUSD is 0 in 64 bits


@pytest.mark.parametrize(("instrument", "price", "both"), list(itertools.product((0, 1), ABSURD, (False, True))))
def test_a_book_at_an_absurd_price(instrument: int, price: int, both: bool):
    """The lead is filled, so that a hedge is wanted; then one book, or the other, jumps beyond what 63 bits can value."""
    machine = Machine()
    machine.start()
    machine.bbo(0, 1000, 1002)
    machine.bbo(1, 400, 401)
    (order,) = (one for one in machine.sent if one[0] is MessageType.NEW_ORDER)
    machine.bbo(instrument, price if both else 100, price + 1)
    found = machine.answer(MessageType.ORDER_FILL, 0, order[3][0], 9, 5, 0, 0, 1002, order[3][6], 0, 12)
    for _ in range(3):
        found += machine.timer(600_000_000)
    assert not [one for one in found if one[0] is MessageType.NEW_ORDER and one[3][5] >= 2**50]


@pytest.mark.parametrize("lots", [0, 1, -1, 7, -8, 2**40, -(2**62), 2**63 - 1])
@pytest.mark.parametrize("denominator", [1, -1, 3, -4, 2**62, 2**63 - 1, -(2**63)])
def test_the_nearest_ratio_of_any_two_units(lots: int, denominator: int):
    exact = (2 * abs(lots) + abs(denominator)) // (2 * abs(denominator)) * (1 if (lots >= 0) == (denominator > 0) else -1)
    found = nearest_ratio(lots, 1, denominator)
    assert found == exact or abs(denominator) == 2**63
