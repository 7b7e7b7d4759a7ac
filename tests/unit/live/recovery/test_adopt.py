"""What an account holds becomes the session's (live/recovery/adopt.py): money, legs, and what the legs then do."""

from __future__ import annotations

import pytest

from hftkit.codes import LegState, MessageType
from hftkit.errors import VenueError
from live.recovery.adopt import Holding, take_over
from tests.support import AAA, BBB, Machine, frozen_pair

BOTH = (AAA, BBB)
MARKS = (20_001, 4_001)  # half ticks


def machine(lead: int, hedge: int, target: int = 1) -> Machine:
    found = Machine(frozen_pair("fixed_target", {"target": target}))
    lots = {i: Holding(n, MARKS[i]) for i, n in enumerate((lead, hedge)) if n}
    take_over(found.rooms, BOTH, lots)
    return found


def test_it_has_earned_nothing_yet():
    """At the mark of that moment: position, cost and counts, in the account and in the strategy's own."""
    rooms = machine(100, -80).rooms
    for row in (rooms.ledger[0], rooms.held[0, 0]):
        assert (row["position"], row["corrected_qty"], row["n_corrections"]) == (100, 100, 1)
        assert row["cost_e8"] == 100 * 20_001 * 100_000_000 * 0.001 / 2  # tick 0.01, lot 0.1
        assert row["realized_e8"] == row["unrealized_e8"] == row["bought_qty"] == 0
    assert rooms.ledger[1]["cost_e8"] == -80 * 4_001 * 100_000_000 * 0.0005 / 2


@pytest.mark.parametrize(
    ("lots", "state", "target"),
    [
        ((100, -80), LegState.OPEN, 1),
        ((-100, 80), LegState.OPEN, -1),
        ((100, 0), LegState.OPEN, 1),
        ((0, -80), LegState.EXITING, 0),
        ((37, -80), LegState.EXITING, 0),
        ((0, 0), LegState.FLAT, 0),
    ],
)
def test_a_whole_unit_is_held_and_the_rest_is_left(lots, state, target):
    leg = machine(*lots).rooms.legs[0]
    assert (leg["state"], leg["target"]) == (state, target)
    assert (leg["lead_position"], leg["hedge_position"]) == lots


def orders(found: Machine) -> list[tuple[int, int, int]]:
    """(instrument, side, lots) of what it sends once it trades."""
    found.start()
    sent = []
    for _ in range(2):
        for i, mark in enumerate(MARKS):
            found.now += 20_000_000
            sent += found.bbo(i, mark // 2, mark // 2 + 1)
    return [(instrument, body[1], body[6]) for kind, instrument, _, body in sent if kind == MessageType.NEW_ORDER]


def test_a_leg_without_its_hedge_is_hedged():
    assert orders(machine(100, 0))[:1] == [(1, 1, 80)]


def test_what_is_no_unit_is_closed():
    assert (0, 1, 37) in orders(machine(37, 0))


def test_what_is_held_as_wanted_stays():
    assert orders(machine(100, -80)) == []


def test_a_symbol_that_no_strategy_watches_is_named_with_the_cure():
    found = Machine(frozen_pair())
    found.rooms.watch[0, 1] = -1
    with pytest.raises(VenueError, match=r"holds BBBUSD \+5 lots, which no strategy of this session watches.*add a frozen file"):
        take_over(found.rooms, BOTH, {1: Holding(5, 4_001)})
