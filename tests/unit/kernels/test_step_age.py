"""The step over books that age: a pair is not entered on a stale leg, a naked leg is left in time, a stall of our own is journalled and decides."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np

from hftkit import layout
from hftkit.codes import Control, EventKind, MessageType, OrderType, Reject, Side, Trading
from hftkit.session.engine_state import LATER_ROOMS, STATE_ROOMS, Limits, build_engine_state, state_digest
from tests.support import Machine, frozen_pair

MS = 1_000_000
LIMITS = Limits(max_quote_age_ms=1000, max_orders_per_s=10_000_000, order_burst=1000)


def quoting(**leg: int) -> Machine:
    machine = Machine(frozen_pair(**leg), LIMITS)
    machine.start()
    return machine


def quote(machine: Machine, *which: int, after_ns: int = 0) -> list[Any]:
    machine.now += after_ns
    machine.exchange_now += after_ns + 1
    sent: list[Any] = []
    for i in which:
        sent += machine.bbo(i, *((1000, 1002), (400, 401))[i])
    return sent


def orders(sent: list[Any]) -> list[tuple[int, OrderType, Side, int]]:
    return [(i, OrderType(body[2]), Side(body[1]), body[6]) for kind, i, _, body in sent if kind == MessageType.NEW_ORDER]


def test_a_pair_is_not_entered_while_one_of_its_books_is_stale() -> None:
    machine = quoting()
    quote(machine, 1)
    assert quote(machine, 0, after_ns=1001 * MS) == []  # the lead moves, the hedge is silent
    assert orders(machine.timer()) == []
    assert machine.rooms.legs[0]["n_entries"] == machine.rooms.risk[0]["n_vetoes"] == 0
    assert [order[:3] for order in orders(quote(machine, 1))] == [(0, OrderType.LIMIT, Side.BUY)]


def test_a_leg_whose_hedge_has_gone_stale_is_left_at_market_at_its_deadline() -> None:
    machine = quoting(hedge_deadline_ns=500 * MS, retry_ns=10 * MS)
    quote(machine, 1)
    ((lead, _, _, qty),) = orders(quote(machine, 0))
    order_id = machine.sent[-1][3][0]
    machine.now += 1001 * MS  # by the time it fills, both books are old
    machine.answer(MessageType.ORDER_ACK, lead, order_id, 5)
    assert orders(machine.answer(MessageType.ORDER_FILL, lead, order_id, 5, 6, 0, 0, 1001, qty, 0, 0)) == []
    assert machine.rooms.allowed[0]["reason"] == Reject.RISK_STALE_QUOTE
    assert machine.rooms.risk[0]["n_vetoes"] == 1
    assert orders(machine.timer(400 * MS)) == []
    assert orders(machine.timer(200 * MS)) == [(0, OrderType.MARKET, Side.SELL, qty)]  # unwound, quotes or not


def test_a_stall_stands_in_the_journal_and_no_book_counts_before_it_is_over() -> None:
    machine = quoting()
    quote(machine, 1)
    machine.now += 20_000 * MS
    machine.own(EventKind.CONTROL, int(Control.STALL))
    assert quote(machine, 0, 1) == []
    machine.own(EventKind.CONTROL, int(Control.CAUGHT_UP))
    assert quote(machine, 0, 1, after_ns=999 * MS) == []
    assert len(orders(quote(machine, 0, 1, after_ns=2 * MS))) == 1


def test_a_position_in_a_stale_book_is_left_when_told_so() -> None:
    machine = quoting()
    machine.own(EventKind.CONTROL, int(Control.HALT_STALE))
    assert (machine.rooms.risk[0]["trading"], machine.rooms.risk[0]["halt_reason"]) == (Trading.HALTED, Reject.RISK_STALE_QUOTE)


def test_a_session_without_an_age_limit_ends_in_the_digest_it_always_had() -> None:
    """Journals of before there was a limit hold no such fields: what they ended in must still be what a replay ends in."""
    machine = Machine()
    machine.start()
    machine.own(EventKind.CONTROL, int(Control.STALL))
    later = {"book": "max_age_ns", "signal": "unit_hedge", "risk": "max_drawdown_e8"}  # the first field that came later
    digest = hashlib.sha256()
    for name in STATE_ROOMS + (LATER_ROOMS if machine.rooms.rules[0] & layout.VENUE_IS_FINAL else ()):
        room = getattr(machine.rooms, name)
        if name in later:
            room = room.view(np.int64).reshape(room.size, -1)[:, : room.dtype.names.index(later[name])]
        digest.update(np.ascontiguousarray(room).tobytes())
    assert digest.digest() == state_digest(machine.rooms)
    assert state_digest(build_engine_state(msgspec.structs.replace(machine.config, limits=LIMITS))) != state_digest(
        build_engine_state(machine.config)
    )
