"""Refusals, external fills and corrections in the step, one at a time; and an old journal's rules."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from hftkit.codes import LegState, MessageType, Reject, Side, Trading
from hftkit.kernels.execution.policies import correct_positions
from hftkit.session.engine_state import Limits, SessionConfig, state_digest
from tests.support import AAA, CCC, Machine, frozen_pair, sealed

RETRY = 10_000_000


def opened(limits: Limits | None = None, **config: bool) -> Machine:
    """100 lots of the lead against -80 of the hedge."""
    machine = Machine(limits=limits, **config)
    machine.start()
    (lead,) = machine.bbo(0, 9999, 10_001) + machine.bbo(1, 1999, 2001)
    (hedge,) = machine.answer(MessageType.ORDER_FILL, 0, lead[3][0], 9, 5, Side.BUY, 0, 10_001, 100, 0, 0)
    machine.answer(MessageType.ORDER_FILL, 1, hedge[3][0], 9, 6, Side.SELL, 0, 1999, 80, 0, 0)
    assert machine.rooms.legs[0]["state"] == LegState.OPEN
    return machine


def test_a_forced_close_is_booked_at_its_price_with_its_fee_and_halts():
    machine = opened()
    (order,) = machine.answer(MessageType.EXTERNAL_FILL, 0, 77, 8, Side.SELL, 9000, 100, 123, Reject.VENUE_LIQUIDATION)
    row, leg, risk = machine.rooms.ledger[0], machine.rooms.legs[0], machine.rooms.risk[0]
    assert (row["position"], leg["lead_position"], row["fees_e8"]) == (0, 0, 123)
    assert int(row["realized_e8"]) == (9000 - 10_001) * 100 * 100_000
    assert (row["bought_qty"], row["sold_qty"], row["corrected_qty"], row["n_fills"]) == (100, 0, -100, 1)
    assert (risk["trading"], risk["halt_reason"]) == (Trading.HALTED, Reject.RISK_FORCED_CLOSE)
    kind, instrument, _, body = order
    assert (kind, instrument, body[1], body[6]) == (MessageType.NEW_ORDER, 1, Side.BUY, 80)  # the other leg, at once


def test_the_own_orders_of_a_liquidation_halt_too():
    machine = Machine()
    machine.start()
    (lead,) = machine.bbo(0, 9999, 10_001) + machine.bbo(1, 1999, 2001)
    machine.answer(MessageType.ORDER_CANCELED, 0, lead[3][0], 9, 100, Reject.VENUE_LIQUIDATION)
    assert machine.rooms.risk[0]["halt_reason"] == Reject.RISK_FORCED_CLOSE


def test_another_clients_close_leaves_the_pair_and_the_target_is_missed():
    machine = opened()
    (order,) = machine.answer(MessageType.EXTERNAL_FILL, 0, 77, 8, Side.SELL, 10_000, 100, 0, 0)
    assert machine.rooms.risk[0]["trading"] == Trading.ENABLED  # how much is too much, the account's keeper says
    machine.answer(MessageType.ORDER_FILL, 1, order[3][0], 9, 9, Side.BUY, 0, 2001, 80, 0, 0)
    assert machine.rooms.legs[0]["state"] == LegState.FLAT
    machine.now += 10**9
    assert machine.bbo(0, 9998, 10_001) == []  # the signal still wants it


def test_a_fill_that_a_correction_has_brought_in_is_left():
    machine = opened()
    machine.exchange_now += 5
    machine.answer(MessageType.POSITION_CORRECTION, 0, 60, 100)
    assert machine.rooms.ledger[0]["position"] == machine.rooms.legs[0]["lead_position"] == 60
    machine.answer(MessageType.EXTERNAL_FILL, 0, 77, 8, Side.SELL, 10_000, 40, 0, 0)
    assert (machine.rooms.ledger[0]["position"], machine.rooms.external[0]["n_old"]) == (60, 1)
    machine.exchange_now += 1
    machine.answer(MessageType.EXTERNAL_FILL, 0, 77, 9, Side.SELL, 10_000, 10, 0, 0)
    assert machine.rooms.ledger[0]["position"] == machine.rooms.legs[0]["lead_position"] == 50


def test_what_the_insurance_fund_takes_is_told_by_a_position_alone():
    """The binary dialect: POSITION stands in order with the fills."""
    machine = opened(positions_in_order=True)
    machine.answer(MessageType.POSITION, 1, -80)
    assert machine.rooms.risk[0]["trading"] == Trading.ENABLED
    (order,) = machine.answer(MessageType.POSITION, 1, 0)
    assert machine.rooms.legs[0]["hedge_position"] == machine.rooms.ledger[1]["position"] == 0
    assert machine.rooms.risk[0]["halt_reason"] == Reject.RISK_FORCED_CLOSE
    assert (order[1], order[3][1], order[3][6]) == (0, Side.SELL, 100)
    other = opened()  # a line's POSITION is a moment in the past: compared elsewhere, never taken over here
    other.answer(MessageType.POSITION, 1, 0)
    assert other.rooms.ledger[1]["position"] == -80


@pytest.mark.parametrize("how", ["rejected", "told by a query", "expired by the venue"])
def test_refusals_of_the_hedge_count_although_the_lead_is_taken(how):
    machine = Machine(limits=Limits(max_rejects=4))
    machine.start()
    (lead,) = machine.bbo(0, 9999, 10_001) + machine.bbo(1, 1999, 2001)
    orders = machine.answer(MessageType.ORDER_FILL, 0, lead[3][0], 9, 5, Side.BUY, 0, 10_001, 100, 0, 0)
    at = []
    while orders and machine.rooms.risk[0]["trading"] != Trading.HALTED:
        (order,) = orders
        assert order[1] == 1
        at.append(machine.now)
        machine.answer(MessageType.ORDER_ACK, 1, order[3][0], 9) if how != "rejected" else None
        if how == "rejected":
            machine.answer(MessageType.ORDER_REJECT, 1, order[3][0], Reject.VENUE_INSUFFICIENT_MARGIN)
        elif how == "told by a query":
            machine.answer(MessageType.ORDER_STATUS, 1, order[3][0], 9, 8, 0, 0)
        else:
            machine.answer(MessageType.ORDER_CANCELED, 1, order[3][0], 9, 80, Reject.VENUE_MARKET_CLOSED)
        orders = []
        for _ in range(20):
            orders = orders or machine.timer(RETRY)
    assert (machine.rooms.risk[0]["trading"], machine.rooms.risk[0]["halt_reason"]) == (Trading.HALTED, Reject.RISK_REJECTS_IN_ROW)
    assert machine.rooms.refused[0].tolist() == [0, 4]
    if how == "rejected":
        pauses = np.diff(at) // RETRY
        assert pauses.tolist() == [1, 2, 4] or pauses.tolist() == [2, 3, 5]  # each twice the last, seen at the next timer


def test_a_position_that_is_gone_is_not_sold_again_and_again():
    machine = opened()
    machine.rooms.params[0, 0] = 0
    (order,) = machine.bbo(0, 9998, 10_000)
    machine.answer(MessageType.ORDER_REJECT, 0, order[3][0], Reject.VENUE_REDUCE_ONLY)
    for _ in range(7):  # eight pauses, while the account is looked at
        assert machine.timer(RETRY) == []
    machine.answer(MessageType.POSITION_CORRECTION, 0, 0, 100)
    assert [frame[1] for frame in machine.sent if frame[0] == MessageType.NEW_ORDER][-1] == 1  # the other leg is what is left
    assert machine.rooms.legs[0]["lead_position"] == 0


def holding(*held: tuple[int, int]) -> Machine:
    """One strategy in AAAUSD alone and two pairs, OPEN at these lots; CCCUSD is traded by none."""
    single = frozen_pair(hedge="", unit_hedge_lots=0)
    names = ("single", "first", "second")
    made = [sealed(msgspec.structs.replace(one, name=name)) for name, one in zip(names, (single, frozen_pair(), frozen_pair()), strict=True)]
    machine = Machine((msgspec.structs.replace(made[0], instruments=(AAA, CCC), digest=""), *made[1:]))
    for row, mine, (lead, hedge) in zip(machine.rooms.legs, machine.rooms.held, held, strict=True):
        row["lead_position"], row["hedge_position"], row["state"], row["target"] = lead, hedge, LegState.OPEN, 1
        mine["position"] = lead, hedge
    machine.rooms.ledger["mark_price"] = 2000
    return machine


@pytest.mark.parametrize(
    ("instrument", "lots", "after"),
    [
        (0, -8, [(0, 0), (5, -7), (-3, 4)]),
        (0, -15, [(-2, 0), (0, -7), (-3, 4)]),
        (0, 4, [(9, 0), (5, -7), (0, 4)]),
        (1, 9, [(8, 0), (5, 2), (-3, 4)]),
        (1, -6, [(8, 0), (5, -9), (-3, 0)]),
        (2, 5, [(8, 0), (5, -7), (-3, 4)]),
    ],
)
def test_strategies_follow_what_the_account_is_corrected_by(instrument, lots, after):
    machine = holding((8, 0), (5, -7), (-3, 4))
    machine.rooms.event[0]["instrument"] = instrument
    correct_positions(machine.rooms, lots, False, 2)
    table = machine.rooms.legs
    assert [(int(row["lead_position"]), int(row["hedge_position"])) for row in table] == after
    assert [tuple(row) for row in machine.rooms.held["position"].tolist()] == after
    touched = [row["state"] == LegState.EXITING and row["skip"] == 1 for row in table]
    before = [(8, 0), (5, -7), (-3, 4)]
    assert touched == [was != now for was, now in zip(before, after, strict=True)]


def test_a_journal_from_before_keeps_its_rules():
    """Without `venue_is_final` in its configuration a correction is the ledger's alone, and the digest of the state knows nothing of new rooms."""
    machine = opened(venue_is_final=False)
    machine.answer(MessageType.POSITION_CORRECTION, 0, 60, 100)
    assert (machine.rooms.ledger[0]["position"], machine.rooms.legs[0]["lead_position"]) == (60, 100)
    before = state_digest(machine.rooms)
    machine.rooms.external["n_fills"] = 3
    assert state_digest(machine.rooms) == before
    text = json.loads(opened().config.to_bytes())
    assert SessionConfig.from_bytes(json.dumps(text).encode()).venue_is_final
    del text["venue_is_final"], text["positions_in_order"]
    old = SessionConfig.from_bytes(json.dumps(text).encode())
    assert (old.venue_is_final, old.positions_in_order) == (False, False)
