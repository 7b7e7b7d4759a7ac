"""What the venue says unasked: funding reaches ledger, equity and loss limit; words that change nothing do not break the session."""

from __future__ import annotations

from hftkit.codes import EventKind, MessageType, Reject, Side, Trading
from hftkit.session.engine_state import Limits
from tests.support import NOBODY, Machine


def test_funding_is_booked_once_and_stands_beside_fees():
    machine = Machine()
    machine.start()
    machine.answer(MessageType.FUNDING, 0, 40, 10_000, 250)
    machine.answer(MessageType.FUNDING, 1, -3, 10_000, -90)
    assert machine.rooms.event[0]["kind"] == EventKind.FUNDING
    assert (machine.rooms.event[0]["qty"], machine.rooms.event[0]["fee_e8"]) == (-3, -90)
    machine.order_seq -= 1  # the same frame again, as after a resumed session
    machine.answer(MessageType.FUNDING, 1, -3, 10_000, -90)
    assert machine.rooms.ledger["funding_e8"].tolist() == [250, -90]
    assert machine.rooms.risk[0]["equity_e8"] == -160
    assert machine.rooms.session[0]["n_malformed"] == 0


def test_funding_counts_towards_the_loss_limit_and_the_drawdown():
    machine = Machine(limits=Limits(max_loss=5))
    machine.start()
    machine.answer(MessageType.FUNDING, 0, 40, 10_000, -200_000_000)
    machine.answer(MessageType.FUNDING, 0, 40, 10_000, 699_999_999)
    assert machine.rooms.risk[0]["trading"] == Trading.ENABLED
    assert machine.rooms.risk[0]["drawdown_e8"] == 699_999_999
    machine.answer(MessageType.FUNDING, 0, 40, 10_000, 1)
    assert (machine.rooms.risk[0]["trading"], machine.rooms.risk[0]["halt_reason"]) == (Trading.HALTED, Reject.RISK_LOSS_LIMIT)


def test_words_that_change_nothing_are_followed():
    """A trigger or an account status counts in the sequence: what comes after it is no gap."""
    machine = Machine()
    machine.start()
    before = machine.rooms.ledger.copy()
    assert machine.answer(MessageType.ORDER_TRIGGERED, 0, 77, 5) == []
    assert machine.rooms.event[0]["kind"] == EventKind.ORDER_TRIGGERED
    assert machine.answer(MessageType.ACCOUNT_STATUS, NOBODY, 10**12, 0, 0, 0) == []
    assert machine.rooms.event[0]["kind"] == EventKind.ACCOUNT_STATUS
    machine.answer(MessageType.FUNDING, NOBODY, 0, 0, 1)  # of no instrument: there is no row to book it in
    session = machine.rooms.session[0]
    assert (session["n_malformed"], session["n_sequence_gaps"], session["n_unknown"]) == (1, 0, 0)
    assert (machine.rooms.ledger == before).all()
    machine.order_seq -= 1
    orders = machine.bbo(0, 9999, 10_001) + machine.bbo(1, 1999, 2001)
    assert [(kind, body[1]) for kind, _, _, body in orders] == [(MessageType.NEW_ORDER, Side.BUY)]
