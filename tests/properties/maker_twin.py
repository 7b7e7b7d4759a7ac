"""A plain twin of a venue for orders that rest: it answers when it likes. Requests wait, are lost, cross fills; answers wait, overtake, are lost.

It keeps its own record of every order and checks what the engine sends; tests/properties/test_maker_first.py makes its moves.
"""

from __future__ import annotations

from collections import deque

from hftkit.codes import Control, EventKind, MessageType, OrderFlag, OrderState, Reject, Side, TimeInForce
from hftkit.kernels.execution.pair import nearest_ratio
from hftkit.session.engine_state import Limits
from tests.support import Machine, frozen_pair

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
