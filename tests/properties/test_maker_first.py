"""Maker first, against a venue that answers in any order (maker_twin.py).

What must hold after every event, from outside: positions are the sum of the fills told; a leg never has two orders that could fill; an order is
posted only at the touch; a naked leg never waits on a resting order; after a halt only orders that reduce leave; a stop ends flat, nothing resting.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, LegState, MessageType, OrderState, Side, SignalReason
from tests.properties.maker_twin import DEADLINE, PATIENCE, RETRY, TIMEOUT, Twin
from tests.support import frame

MOVES = ("process", "process", "deliver", "deliver", "serve", "serve", "trade", "trade", "quote", "timer", "patience")
RARE = ("lose", "drop", "early", "expire", "blind", "flip", "long", "pause", "resume", "flatten")
EVENTS = st.lists(st.tuples(st.sampled_from(MOVES + MOVES + RARE), st.integers(0, 120)), min_size=20, max_size=100)


def play(twin: Twin, events) -> None:
    for name, number in events:
        if name in ("process", "early"):
            twin.process(("fill", "part", "none", "reject")[number % 4], number, name == "early")
        elif name == "serve":
            while twin.requests or twin.answers:
                twin.process("fill")
                twin.deliver()
        elif name in ("deliver", "drop", "lose"):
            getattr(twin, name)()
        elif name in ("trade", "expire") and twin.resting():
            twin.trade(twin.resting()[0], number) if name == "trade" else twin.end(twin.resting()[0])
        elif name in ("quote", "blind"):
            twin.quote(number % 7 - 3, hedge_ask=name == "quote")
        elif name in ("timer", "patience", "long"):
            twin.take(twin.machine.timer({"timer": RETRY, "patience": PATIENCE // 2, "long": DEADLINE + 1}[name]))
        elif name == "flip":
            twin.flip(number % 3 - 1)
        elif name in ("pause", "resume", "flatten"):
            twin.control(Control[name.upper()])
        twin.check()
        twin.act_or_fail()


@settings(max_examples=150)
@given(EVENTS)
def test_every_order_of_events_leaves_one_order_a_leg_and_no_leg_naked(events):
    play(Twin(), events)


@settings(max_examples=150)
@given(EVENTS, st.sampled_from([Control.STOP, Control.HALT_VENUE]))
def test_a_stop_or_halt_cancels_what_rests_and_ends_flat(events, last):
    twin = Twin()
    play(twin, events)
    twin.quote(0)
    twin.control(last)
    twin.settle()
    assert not twin.resting()
    assert twin.position == [0, 0]
    if last == Control.STOP:
        assert twin.machine.rooms.session[0]["stop_requested"] == 2
        assert MessageType.LOGOUT in kinds(twin.machine.sent)


def kinds(frames) -> list[MessageType]:
    return [frame[0] for frame in frames]


def resting_entry(**leg: int) -> tuple[Twin, int]:
    """A twin whose entry rests at the venue, acknowledged; and the id of that order."""
    twin = Twin(**leg)
    twin.process("fill")
    twin.deliver()
    (order_id,) = twin.resting()
    return twin, order_id


def test_the_lead_is_posted_its_fill_hedged_and_the_pair_open_without_a_taker_lead():
    twin, order_id = resting_entry()
    twin.trade(order_id, 100)
    twin.deliver()
    twin.settle(1)
    assert twin.position == [100, -80]
    assert twin.leg["state"] == LegState.OPEN
    assert [o["rests"] for o in twin.orders.values()] == [True, False]
    assert twin.machine.rooms.ledger["n_maker"].tolist() == [1, 0]
    assert twin.machine.rooms.ledger["maker_turnover_e8"].tolist() == [100 * 1000 * 100_000, 0]  # a lot moving a tick: 0.01 * 0.1


def test_what_patience_leaves_is_taken():
    twin, order_id = resting_entry()
    twin.trade(order_id, 30)
    twin.deliver()
    twin.process("fill"), twin.deliver(), twin.deliver()  # its hedge
    twin.take(twin.machine.timer(PATIENCE))
    assert kinds(twin.machine.sent)[-1] == MessageType.CANCEL_ORDER
    twin.process("fill"), twin.deliver()
    assert twin.orders[order_id]["told"]
    twin.settle(2)
    assert [(o["qty"], o["rests"]) for o in twin.orders.values() if o["instrument"] == 0] == [(100, True), (70, False)]
    assert twin.position == [100, -80]


def test_a_fill_that_crosses_the_cancel_is_booked_once_and_nothing_is_sent_twice():
    twin, order_id = resting_entry()
    twin.quote(3)  # the touch runs away: the order is pulled
    assert twin.requests[-1] == (MessageType.CANCEL_ORDER, order_id)
    twin.trade(order_id, 100)
    twin.process("fill", early=True)  # the refusal of the cancel comes before the fill
    twin.deliver()
    assert len(twin.orders) == 1
    assert not twin.requests  # nothing is assumed, and the cancel is not repeated blindly:
    twin.take(twin.machine.timer(RETRY))
    assert list(twin.requests) == [(MessageType.ORDER_QUERY, order_id)]
    twin.deliver()
    twin.settle(1)
    assert twin.position == [100, -80]
    assert len(twin.orders) == 2


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_cancel_without_an_answer_is_queried_never_assumed(lost):
    twin, order_id = resting_entry()
    twin.quote(3)
    if lost == "request":
        twin.lose()
    else:
        twin.process("fill")
        twin.drop()
    before = len(twin.machine.sent)
    twin.take(twin.machine.timer(TIMEOUT // 2))
    assert len(twin.machine.sent) == before
    twin.take(twin.machine.timer(TIMEOUT))
    assert twin.requests[-1] == (MessageType.ORDER_QUERY, order_id)
    twin.process("fill"), twin.deliver()
    again = [(m, i) for m, i in twin.requests if i == order_id]
    assert again == ([(MessageType.CANCEL_ORDER, order_id)] if lost == "request" else [])
    assert twin.orders[order_id]["told"] == (lost == "answer")


def test_the_order_follows_the_touch_by_reprice_ticks():
    twin, _ = resting_entry(reprice_ticks=3)
    twin.quote(2)
    twin.quote(-2)  # the market comes towards it: it stays
    assert not twin.requests
    twin.quote(3)
    twin.process("fill"), twin.deliver()
    posted = list(twin.orders.values())
    assert [o["price"] for o in posted] == [1000, 1003]
    assert twin.leg["n_posts"] == 2
    assert twin.leg["n_pulls"] == 1


def test_a_refused_post_is_no_failure_and_is_posted_again_then_taken():
    twin = Twin()
    for _ in range(8):  # more than max_rejects
        twin.touch[0] = (1, 2)  # the venue's book has run away from what the engine sees
        twin.process("fill"), twin.deliver()
        twin.touch[0] = (1000, 1002)
        twin.take(twin.machine.timer(RETRY))
    session, risk = twin.machine.rooms.session[0], twin.machine.rooms.risk[0]
    assert session["n_post_refused"] == 8
    assert session["n_rejects"] == risk["rejects_in_row"] == 0
    assert all(o["rests"] for o in twin.orders.values())
    twin.touch[0] = (1, 2)
    twin.process("fill"), twin.deliver()
    twin.touch[0] = (1000, 1002)
    twin.take(twin.machine.timer(PATIENCE))
    assert not list(twin.orders.values())[-1]["rests"]


def test_an_order_is_not_cancelled_before_it_is_acknowledged():
    twin = Twin()
    twin.quote(3)
    assert [kind for kind, _ in twin.requests] == [MessageType.NEW_ORDER]
    twin.process("fill"), twin.deliver()
    twin.take(twin.machine.timer(RETRY))
    assert [kind for kind, _ in twin.requests] == [MessageType.CANCEL_ORDER]


def test_pause_pulls_the_entry_and_resume_posts_it_again():
    twin, order_id = resting_entry()
    twin.control(Control.PAUSE)
    assert twin.requests[-1] == (MessageType.CANCEL_ORDER, order_id)
    twin.process("fill"), twin.deliver()
    twin.take(twin.machine.timer(RETRY))
    assert len(twin.orders) == 1
    assert twin.machine.rooms.risk[0]["n_vetoes"] == 0
    twin.control(Control.RESUME)
    assert [o["rests"] for o in twin.orders.values()] == [True, True]


def test_a_changed_mind_cancels_and_a_stop_takes():
    twin, order_id = resting_entry()
    twin.trade(order_id, 100), twin.deliver()
    twin.settle(1)
    twin.flip(0)
    twin.process("fill"), twin.deliver()
    (exit_id,) = twin.resting()
    assert twin.orders[exit_id]["side"] == Side.SELL
    twin.machine.rooms.signal[0]["reason"] = int(SignalReason.STOP)
    twin.take(twin.machine.timer(RETRY))
    assert twin.requests[-1] == (MessageType.CANCEL_ORDER, exit_id)
    twin.settle(2)
    assert twin.position == [0, 0]
    assert [o["rests"] for o in twin.orders.values() if o["instrument"] == 0] == [True, True, False]


def test_nothing_rests_unwatched():
    twin, order_id = resting_entry()
    twin.quote(0, hedge_ask=False)
    assert twin.requests[-1] == (MessageType.CANCEL_ORDER, order_id)


def test_a_hedge_that_fills_nothing_pulls_the_resting_lead():
    twin, order_id = resting_entry()
    twin.trade(order_id, 60), twin.deliver()
    twin.process("none"), twin.deliver()
    assert not [r for r in twin.requests if r[0] == MessageType.CANCEL_ORDER]
    twin.deliver()
    assert (MessageType.CANCEL_ORDER, order_id) in twin.requests


def test_a_remainder_too_small_for_the_venue_counts_as_entered():
    twin, order_id = resting_entry()
    twin.trade(order_id, 97), twin.deliver()  # three lots of 0.1 at 10: under the minimum notional of 5
    twin.process("fill"), twin.deliver(), twin.deliver()
    twin.take(twin.machine.timer(PATIENCE))
    twin.settle(2)
    assert twin.leg["state"] == LegState.OPEN
    assert twin.position == [97, -78]
    assert twin.machine.rooms.risk[0]["n_vetoes"] == 0


def test_the_queue_ahead_is_an_estimate_from_above():
    """Against a queue that is known: others' lots before and behind our order, of which the engine sees totals and trades only."""
    twin, order_id = resting_entry()
    assert twin.leg["queue_ahead"] == 1000
    true_ahead, behind, ours = 1000, 0, 100
    trades = 0

    def show() -> None:
        twin.machine.bbo(0, 1000, 1002, true_ahead + behind + ours)

    def sell(price: int, lots: int) -> None:
        nonlocal trades
        trades += 1
        twin.machine.feed(frame(MessageType.TRADE, 0, trades, twin.machine.exchange_now, trades, int(Side.SELL), price, lots), False)

    steps = [("arrive", 500), ("trade", 300), ("leave_ahead", 200), ("leave_behind", 450), ("trade", 400), ("leave_ahead", 60)]
    for name, lots in steps:
        if name == "arrive":
            behind += lots
        elif name == "leave_behind":
            behind -= lots
        else:
            true_ahead -= lots
            if name == "trade":
                sell(1000, lots)
        before = int(twin.leg["queue_ahead"])
        show()
        assert twin.leg["queue_ahead"] <= before, "nobody overtakes"
        assert true_ahead <= twin.leg["queue_ahead"] <= true_ahead + behind + ours
    assert twin.leg["queue_ahead"] < 1000
    sell(999, 1)  # through our price: nothing can stand before us any more
    assert twin.leg["queue_ahead"] == 0
    twin.trade(order_id, 100), twin.deliver()
    assert twin.leg["queue_ahead"] == 0


def test_a_late_word_about_an_order_that_has_ended_does_not_make_the_leg_forget_the_next_one():
    twin, order_id = resting_entry()
    twin.quote(3)
    twin.take(twin.machine.timer(TIMEOUT + 1))  # no answer to the cancel: queried
    twin.process("fill")
    twin.deliver()  # the cancel is confirmed: posted again
    (next_id,) = [i for i, o in twin.orders.items() if not o["told"]]
    twin.machine.answer(MessageType.ORDER_STATUS, 0, order_id, 9, int(OrderState.CANCELED), 0, 100)
    assert int(twin.leg["lead_order"]) == next_id
