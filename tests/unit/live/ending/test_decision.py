"""How a session ends, as a table: facts in, exit status and line out. No process, no thread, no clock."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hftkit import layout
from hftkit.codes import Reject, Trading
from live.ending.decision import ExitCode, Facts, Halt, Left, Step, Stopping, decide, halt_of
from live.hot_loop import LoopStatus

HALT = Halt(Reject.RISK_LOSS_LIMIT, "-20.5000", "-20.0000")
HELD = {"ETHUSDT": 1000}
GONE = Left(unknown="it wants silence for 60 s", switch="the dead man's switch stays armed")


def facts(**changes: object) -> Facts:
    return Facts(**{"started": True, "observing": False, "loop": LoopStatus.LOGGED_OUT, "why": "a signal", "venue": Left(), **changes})


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({}, ExitCode.FLAT, "stopped: a signal; no position and no order remains"),
        ({"venue": None}, ExitCode.FLAT, "no position and no order remains"),  # the binary dialect has no such question: the ledger counts
        ({"halt": HALT}, ExitCode.HALTED, "halted by risk loss limit: -20.5000, the bound is -20.0000"),
        ({"venue": Left({"ETHUSDT": -3})}, ExitCode.LEFT, "LEFT at the venue: ETHUSDT -3 lots"),
        ({"venue": Left({}, ("ETHUSDT buy 1.000 (x-1)",))}, ExitCode.LEFT, "LEFT at the venue: order ETHUSDT buy 1.000 (x-1)"),
        ({"positions": HELD}, ExitCode.FLAT, "no position"),  # the venue is the truth, and it was asked last
        ({"positions": HELD, "venue": GONE, "loop": LoopStatus.ABANDONED}, ExitCode.LEFT, "LEFT by its own ledger: ETHUSDT +1000 lots"),
        ({"venue": GONE}, ExitCode.UNCONFIRMED, "silence for 60 s"),
        ({"positions": HELD, "venue": None, "loop": LoopStatus.ORDER_ENTRY_LOST}, ExitCode.LEFT, "LEFT by its own ledger: ETHUSDT +1000 lots"),
        ({"loop": LoopStatus.MARKET_DATA_LOST}, ExitCode.BROKEN, "closed the market data connection"),
        ({"faults": {"notes": 3}, "first_fault": "notes failed (X)"}, ExitCode.BROKEN, "notes failed (X)"),
        ({"faults": {"notes": 3}, "first_fault": "notes failed (X)", "halt": HALT}, ExitCode.HALTED, "notes failed (X)"),
        ({"alive": True, "loop": LoopStatus.RUNNING, "positions": HELD, "venue": None}, ExitCode.LEFT, "does not end"),
        ({"observing": True, "loop": LoopStatus.ABANDONED, "venue": None}, ExitCode.FLAT, "no position"),
        ({"started": False, "refused": "no logon", "loop": LoopStatus.ABANDONED, "venue": GONE}, ExitCode.NOT_STARTED, "no logon"),
        ({"started": False, "stop_asked": True, "refused": "stopped", "loop": LoopStatus.RUNNING, "venue": None}, ExitCode.FLAT, "stopped"),
        ({"started": False, "refused": "no logon", "venue": Left(HELD)}, ExitCode.LEFT, "ETHUSDT +1000 lots"),
    ],
)
def test_the_table(changes, code, words):
    ending = decide(facts(**changes))
    assert (ending.code, words in ending.line) == (code, True), ending


def test_zero_is_said_of_nothing_but_a_flat_end_and_what_is_left_is_always_named():
    """Every combination: 0 only if nothing is left, halted, failed or unknown; what is left stands in the line, with the cure."""
    venues = [None, Left(), Left(HELD), Left({}, ("order-9",)), GONE]
    for loop, venue, halt, positions, orders, faults, alive in itertools.product(
        LoopStatus, venues, [None, HALT], [{}, HELD], [(), ("order-7",)], [{}, {"x": 1}], [False, True]
    ):
        given = facts(loop=loop, venue=venue, halt=halt, positions=positions, orders=orders, faults=faults, alive=alive, cure="CURE")
        ending = decide(given)
        believed = venue if venue is not None and not venue.unknown else Left(positions, orders)
        left = [*believed.positions, *believed.orders]
        assert all(what in ending.line for what in left)
        if ending.code is ExitCode.FLAT:
            assert not left
            assert halt is None
            assert not faults
            assert loop is LoopStatus.LOGGED_OUT
            assert venue is not GONE
            assert not alive
        assert (ending.code is ExitCode.LEFT) == bool(left)
        assert ("CURE" in ending.line) == (ending.code in (ExitCode.LEFT, ExitCode.UNCONFIRMED))
        assert ending.line.strip()
        assert "\n" not in ending.line


def test_a_stop_is_asked_for_again_until_it_is_taken_and_given_up_at_the_deadline():
    stopping = Stopping(float("inf"), 10.0, observing=False)
    assert stopping.next(0.0, "", False) is Step.GO_ON
    assert stopping.next(1.0, "a signal", False) is Step.SEND_STOP
    assert stopping.next(1.5, "", False) is Step.GO_ON
    assert stopping.next(2.1, "", False) is Step.SEND_STOP  # nobody has taken it
    assert stopping.next(2.2, "", True) is Step.GO_ON
    assert (stopping.why, stopping.left_s(2.0)) == ("a signal", 9.0)
    assert stopping.next(10.9, "", True) is Step.GO_ON
    assert stopping.next(11.1, "", True) is Step.GIVE_UP
    assert stopping.left_s(50.0) == 0.0


@pytest.mark.parametrize(("asked", "stopping", "why"), [("notes failed", False, "notes failed"), ("", True, "the operator asked")])
def test_the_first_reason_is_kept_and_a_hung_loop_is_given_up_all_the_same(asked, stopping, why):
    judge = Stopping(100.0, 10.0, observing=False)
    judge.next(1.0, asked, stopping)
    judge.next(2.0, "a signal", stopping)
    assert judge.why == why
    assert judge.next(11.5, "", False) is Step.GIVE_UP


def test_a_duration_ends_and_a_session_that_only_observes_just_ends():
    assert Stopping(5.0, 10.0, observing=False).next(5.0, "", False) is Step.SEND_STOP
    watching = Stopping(5.0, 10.0, observing=True)
    assert [watching.next(4.0, "", False), watching.next(5.0, "", False)] == [Step.GO_ON, Step.GIVE_UP]


def test_a_halt_is_told_with_its_limit_its_value_and_its_bound():
    risk = np.zeros(1, layout.RISK.dtype)[0]
    risk["trading"], risk["halt_reason"] = Trading.HALTED, Reject.RISK_LOSS_LIMIT
    risk["equity_e8"], risk["max_loss_e8"] = -2_050_000_000, 2_000_000_000
    assert halt_of(risk).text == "trading was halted by risk loss limit: -20.5000, the bound is -20.0000"
    risk["halt_reason"], risk["rejects_in_row"], risk["max_rejects"] = Reject.RISK_REJECTS_IN_ROW, 10, 10
    assert halt_of(risk).as_json() == {"limit": "risk_rejects_in_row", "value": "10", "bound": "10", "why": ""}
    risk["halt_reason"] = Reject.RISK_CLOCK_OFFSET
    assert "clock is too far" in halt_of(risk, "the venue's clock is too far from ours").text
