"""Maker first, with a plain twin of a venue that answers when it likes: requests wait, are lost, cross fills; answers wait, overtake, are lost.

What must hold after every event, from outside: positions are the sum of the fills told; a leg never has two orders that could fill; an order is
posted only at the touch; a naked leg never waits on a resting order; after a halt only orders that reduce leave; a stop ends flat, nothing resting.
"""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, EventKind, LegState, MessageType, OrderFlag, OrderState, Reject, Side, SignalReason, TimeInForce
from hftkit.kernels.trading.legs import nearest_ratio
from hftkit.rooms import Limits
from tests.support import Machine, frame, frozen_pair

DEADLINE, RETRY, PATIENCE, TIMEOUT = 1_000_000_000, 10_000_000, 300_000_000, 500_000_000
UNIT_LEAD, UNIT_HEDGE = 100, -80
LOSABLE = (MessageType.ORDER_ACK, MessageType.CANCEL_REJECT)


class Twin:
    """The engine, and a venue whose every move the test chooses. `orders`: id -> the venue's own record of it."""

    def __init__(self, **leg: int) -> None:
        limits = Limits(max_orders_per_s=10_000_000, order_burst=1000, max_rejects=3, max_open_orders=2)
        plan = {"hedge_deadline_ns": DEADLINE, "retry_ns": RETRY, "maker_patience_ns": PATIENCE, **leg}
        self.machine = Machine(frozen_pair(**plan), limits, order_timeout_ns=TIMEOUT)
        self.requests: deque = deque()
        self.answers: deque = deque()
        self.orders: dict[int, dict] = {}
        self.position, self.naked_since, self.halted = [0, 0], None, False
        self.touch = [(1000, 1002), (400, 401)]
        self.machine.start()
        self.quote(0)

    # -- what the engine sends -------------------------------------------------------------------------------------------
    def take(self, frames) -> None:
        for kind, instrument, _, body in frames:
            if kind == MessageType.NEW_ORDER:
                self._new(instrument, *body)
            elif kind in (MessageType.CANCEL_ORDER, MessageType.ORDER_QUERY):
                self.requests.append((kind, body[0]))

    def _new(self, instrument, order_id, side, _type, tif, flags, price, qty) -> None:
        assert order_id not in self.orders
        assert not [o for o in self.orders.values() if o["instrument"] == instrument and not o["told"]], "two working orders on a leg"
        rests = bool(flags & OrderFlag.POST_ONLY)
        assert rests == (tif == TimeInForce.GTC)
        if rests:
            assert instrument == 0, "only the lead is posted"
            assert price == self.touch[0][side], "posted elsewhere than at the touch"
            assert not self.halted
        if self.halted:
            held = self.position[instrument]
            assert held * (1 - 2 * side) < 0, "after a halt only what reduces"
            assert qty <= abs(held)
        record = {"instrument": instrument, "side": side, "qty": qty, "price": price, "rests": rests, "filled": 0, "heard": 0, "told": False}
        self.orders[order_id] = {**record, "state": OrderState.NEW}
        self.requests.append((MessageType.NEW_ORDER, order_id))

    # -- what the venue does ---------------------------------------------------------------------------------------------
    def say(self, kind, order_id, *body, early=False) -> None:
        (self.answers.appendleft if early else self.answers.append)((kind, order_id, body))

    def process(self, mood: str, part: int = 0, early: bool = False) -> None:
        """Handle the oldest request. `mood`: of orders that take: fill, part, none, reject."""
        if not self.requests:
            return
        kind, order_id = self.requests.popleft()
        o = self.orders[order_id]
        if kind == MessageType.NEW_ORDER:
            self._arrive(order_id, o, mood, part)
        elif kind == MessageType.ORDER_QUERY:
            state = OrderState.FREE if o["state"] == OrderState.NEW else o["state"]
            self.say(MessageType.ORDER_STATUS, order_id, 9, int(state), o["filled"], o["qty"] - o["filled"], early=early)
        elif o["state"] in (OrderState.SUBMITTED, OrderState.PARTIALLY_FILLED):
            self.end(order_id)
        else:
            self.say(MessageType.CANCEL_REJECT, order_id, int(Reject.BOOK_UNKNOWN_ORDER), early=early)

    def _arrive(self, order_id, o, mood, part) -> None:
        bid, ask = self.touch[o["instrument"]]
        would_take = o["price"] >= ask if o["side"] == Side.BUY else o["price"] <= bid
        if mood == "reject" or (o["rests"] and would_take):
            reason = Reject.BOOK_POST_ONLY_WOULD_TAKE if o["rests"] else Reject.BOOK_NO_LIQUIDITY
            o["state"] = OrderState.REJECTED
            self.say(MessageType.ORDER_REJECT, order_id, int(reason))
            return
        o["state"] = OrderState.SUBMITTED
        self.say(MessageType.ORDER_ACK, order_id, 9)
        if not o["rests"]:
            self.trade(order_id, {"fill": o["qty"], "part": part}.get(mood, 0))
            if o["state"] != OrderState.FILLED:
                self.end(order_id)

    def trade(self, order_id, lots) -> None:
        o = self.orders[order_id]
        lots = min(lots, o["qty"] - o["filled"])
        if lots > 0:
            o["filled"] += lots
            o["state"] = OrderState.FILLED if o["filled"] == o["qty"] else OrderState.PARTIALLY_FILLED
            price = o["price"] or self.touch[o["instrument"]][1 - o["side"]]
            self.say(MessageType.ORDER_FILL, order_id, 9, 5, o["side"], int(o["rests"]), price, lots, o["qty"] - o["filled"], 0)

    def end(self, order_id) -> None:
        o = self.orders[order_id]
        o["state"] = OrderState.CANCELED
        self.say(MessageType.ORDER_CANCELED, order_id, 9, o["qty"] - o["filled"], 0)

    def resting(self) -> list[int]:
        return [i for i, o in self.orders.items() if o["rests"] and o["state"] in (OrderState.SUBMITTED, OrderState.PARTIALLY_FILLED)]

    # -- what the engine hears -------------------------------------------------------------------------------------------
    def deliver(self) -> None:
        """The oldest answer. As a line does, nothing is told of an order after its end, and no end before the fills that it counts."""
        if not self.answers:
            return
        kind, order_id, body = self.answers.popleft()
        o = self.orders[order_id]
        if o["told"]:
            return
        if kind == MessageType.ORDER_FILL:
            o["heard"] += body[5]
            self.position[o["instrument"]] += body[5] if o["side"] == Side.BUY else -body[5]
        ended = kind in (MessageType.ORDER_REJECT, MessageType.ORDER_CANCELED) or o["heard"] == o["qty"]
        if kind == MessageType.ORDER_STATUS:
            gone = (OrderState.FREE, OrderState.REJECTED, OrderState.CANCELED, OrderState.FILLED)
            ended = body[1] in gone and body[2] == o["heard"]
            if body[1] == OrderState.FREE:
                o["state"] = OrderState.REJECTED  # never arrived, and never will
        o["told"] = ended
        self.take(self.machine.answer(kind, o["instrument"], order_id, *body))

    def drop(self) -> None:
        """The oldest answer is lost, if it is one that may be: an acknowledgement, or what a cancel led to."""
        if not self.answers:
            return
        kind, order_id, _ = self.answers[0]
        cancelled = kind == MessageType.ORDER_CANCELED and self.machine.rooms.orders[order_id & 0xFFFF]["ts_cancel"] > 1
        if (kind in LOSABLE and self.orders[order_id]["rests"]) or cancelled:
            self.answers.popleft()

    def lose(self) -> None:
        if self.requests and self.requests[0][0] != MessageType.ORDER_QUERY:
            self.requests.popleft()

    # -- market and time -------------------------------------------------------------------------------------------------
    def quote(self, move, hedge_ask=True) -> None:
        self.touch = [(1000 + move, 1002 + move), (400 + move, 401 + move)]
        self.take(self.machine.bbo(0, *self.touch[0]))
        self.take(self.machine.bbo(1, self.touch[1][0], self.touch[1][1] if hedge_ask else 0))

    def control(self, code: Control) -> None:
        self.halted |= code in (Control.HALT_VENUE, Control.STOP)
        self.take(self.machine.own(EventKind.CONTROL, int(code)))

    def flip(self, target) -> None:
        self.machine.rooms.params[0, 0] = target
        self.quote(self.touch[0][0] - 1000)

    def settle(self, rounds: int = 12) -> None:
        """From now on an honest, prompt venue: what takes is filled, every answer arrives; unanswered requests run into their time-out."""
        for _ in range(rounds):
            self.take(self.machine.timer(TIMEOUT + 1))
            while self.requests or self.answers:
                self.process("fill")
                self.deliver()
                self.check()

    @property
    def leg(self):
        return self.machine.rooms.legs[0]

    @property
    def naked(self) -> bool:
        tolerance = 25 if self.position[0] else 0  # below the minimum notional of the hedge: 5 / (400 * 0.05 * 0.01) lots
        return abs(self.position[1] - nearest_ratio(self.position[0], UNIT_HEDGE, UNIT_LEAD)) > tolerance

    def check(self) -> None:
        rooms = self.machine.rooms
        assert [int(self.leg["lead_position"]), int(self.leg["hedge_position"])] == self.position
        assert rooms.ledger["position"].tolist() == self.position
        assert abs(self.position[0]) <= UNIT_LEAD
        assert rooms.session[0]["n_illegal"] == rooms.session[0]["n_unknown"] == 0
        open_ids = [i for i, o in self.orders.items() if not o["told"]]
        assert int(rooms.open_qty["n_orders"].sum()) == len(open_ids)
        assert sum(int(rooms.open_qty[side].sum()) for side in ("buy_qty", "sell_qty")) == sum(
            self.orders[i]["qty"] - self.orders[i]["heard"] for i in open_ids
        )
        if not self.naked:
            self.naked_since = None
        elif self.naked_since is None:
            self.naked_since = self.machine.now

    def act_or_fail(self) -> None:
        """Naked past the deadline: with prompt answers from here on the pair must be whole within a few of them, whatever the market of the lead."""
        if self.naked_since is None or self.machine.now - self.naked_since <= DEADLINE:
            return
        self.quote(0)
        self.settle(6)
        assert not self.naked, "naked past the deadline, and the engine does not bring it to an end"


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
        show()
        assert true_ahead <= twin.leg["queue_ahead"] <= true_ahead + behind + ours
    assert twin.leg["queue_ahead"] < 1000
    sell(999, 1)  # through our price: nothing can stand before us any more
    assert twin.leg["queue_ahead"] == 0
    twin.trade(order_id, 100), twin.deliver()
    assert twin.leg["queue_ahead"] == 0
