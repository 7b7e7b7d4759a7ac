"""Policy `quotes` against a plain twin of a venue that answers when it likes: what is live, and what must never be.

Never more than one live quote a side, one cancel under way for each, no quote sent on a book that is stale or broken, none that would take or meet
our own other one; the position limit holds whatever fills; a flatten, a stop and a halt end flat. The twin keeps its own record of every order.
"""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, EventKind, MessageType, OrderFlag, OrderType, Side, TimeInForce, Trading
from hftkit.session.engine_state import Limits
from tests.support import Machine, frozen_quotes

RETRY, REST, TIMEOUT, MOST = 10_000_000, 50_000_000, 500_000_000, 150
AGE_MS = 400


class Twin:
    """The engine, and a venue whose every move the test chooses. `orders`: id -> the venue's own record of it."""

    def __init__(self) -> None:
        limits = Limits(max_orders_per_s=10_000_000, order_burst=1000, max_rejects=10_000, max_quote_age_ms=AGE_MS)
        frozen = frozen_quotes(max_position_lots=MOST, retry_ns=RETRY, min_rest_ns=REST, requote_ticks=2)
        self.machine = Machine(frozen, limits, order_timeout_ns=TIMEOUT)
        self.requests: deque = deque()
        self.answers: deque = deque()
        self.orders: dict[int, dict] = {}
        self.position, self.touch, self.whole, self.quoted_at, self.may_quote = 0, (1000, 1010), True, 0, True
        self.machine.start()
        self.quote(0)

    # -- what the engine sends -------------------------------------------------------------------------------------------
    def take(self, frames) -> None:
        for kind, _, _, body in frames:
            if kind == MessageType.NEW_ORDER:
                self._new(*body)
            elif kind == MessageType.CANCEL_ORDER:
                assert not self.orders[body[0]]["cancelled"], "two cancels of one order under way"
                self.orders[body[0]]["cancelled"] = True
                self.requests.append((kind, body[0]))
            elif kind == MessageType.ORDER_QUERY:
                self.requests.append((kind, body[0]))

    def _new(self, order_id, side, order_type, tif, flags, price, qty, *_) -> None:
        live = [o for o in self.orders.values() if not o["told"]]
        if order_type == OrderType.MARKET:
            assert not live, "closed while a quote is live"
            assert qty <= abs(self.position)
            assert self.position * (1 - 2 * side) < 0
        else:
            assert (flags, tif) == (OrderFlag.POST_ONLY, TimeInForce.GTC)
            assert not [o for o in live if o["side"] == side], "two live quotes on a side"
            assert self.whole, "a quote on a broken book"
            assert self.machine.now - self.quoted_at <= AGE_MS * 1_000_000, "a quote on a stale book"
            assert self.may_quote, "a quote while trading is not enabled"
            assert price < self.touch[1] if side == Side.BUY else price > self.touch[0], "a quote that would take"
            for other in live:
                assert price < other["price"] if side == Side.BUY else price > other["price"], "it would meet our own"
        self.orders[order_id] = {
            "side": side, "price": price, "qty": qty, "filled": 0, "heard": 0, "open": False, "over": False, "told": False, "cancelled": False,
        }  # fmt: skip
        self.requests.append((MessageType.NEW_ORDER, order_id))
        self.check()

    # -- what the venue does ---------------------------------------------------------------------------------------------
    def process(self, refuse: bool = False) -> None:
        if not self.requests:
            return
        kind, order_id = self.requests.popleft()
        o = self.orders[order_id]
        if kind == MessageType.NEW_ORDER and refuse:
            o["over"] = True
            self.answers.append((MessageType.ORDER_REJECT, order_id, (502,)))
        elif kind == MessageType.NEW_ORDER:
            o["open"] = True
            self.answers.append((MessageType.ORDER_ACK, order_id, (9,)))
            if o["price"] == 0:
                self.fill(order_id, o["qty"])
        elif kind == MessageType.ORDER_QUERY:
            state = 7 if o["over"] else (5 if o["filled"] else 4) if o["open"] else 0
            self.answers.append((MessageType.ORDER_STATUS, order_id, (9, state, o["filled"], o["qty"] - o["filled"])))
        elif not o["over"]:
            o["over"] = True
            self.answers.append((MessageType.ORDER_CANCELED, order_id, (9, o["qty"] - o["filled"], 0)))
        else:
            self.answers.append((MessageType.CANCEL_REJECT, order_id, (503,)))

    def fill(self, order_id, lots) -> None:
        o = self.orders[order_id]
        lots = min(lots, o["qty"] - o["filled"])
        if not o["open"] or o["over"] or lots <= 0:
            return
        o["filled"] += lots
        o["over"] = o["filled"] == o["qty"]
        price = o["price"] or self.touch[1 - o["side"]]
        self.answers.append((MessageType.ORDER_FILL, order_id, (9, 5, o["side"], 1, price, lots, o["qty"] - o["filled"], 0)))

    def trade(self, number) -> None:
        resting = [i for i, o in self.orders.items() if o["open"] and not o["over"] and o["price"]]
        if resting:
            self.fill(resting[number % len(resting)], number)

    def deliver(self) -> None:
        if not self.answers:
            return
        kind, order_id, body = self.answers.popleft()
        o = self.orders[order_id]
        if o["told"]:
            return
        if kind == MessageType.ORDER_FILL:
            o["heard"] += body[5]
            self.position += body[5] if o["side"] == Side.BUY else -body[5]
        ended = kind in (MessageType.ORDER_REJECT, MessageType.ORDER_CANCELED) or o["heard"] == o["qty"]
        if kind == MessageType.ORDER_STATUS:
            ended = body[1] in (0, 7) and body[2] == o["heard"]
            o["over"] |= body[1] == 0
            o["cancelled"] = False  # whoever wanted the cancel may ask again
        if kind == MessageType.CANCEL_REJECT:
            o["cancelled"] = False
        o["told"] = ended
        self.take(self.machine.answer(kind, 0, order_id, *body))

    def lose(self) -> None:
        if self.requests and self.requests[0][0] == MessageType.CANCEL_ORDER:
            self.requests.popleft()

    # -- market, time, operator ------------------------------------------------------------------------------------------
    def quote(self, move, whole=True) -> None:
        self.touch, self.whole, self.quoted_at = (1000 + move, 1010 + move), whole, self.machine.now
        self.take(self.machine.bbo(0, self.touch[0], self.touch[1] if whole else 0))

    def control(self, code: Control) -> None:
        self.may_quote = code in (Control.RESUME, Control.ENABLE)
        self.take(self.machine.own(EventKind.CONTROL, int(code)))
        self.may_quote = self.machine.rooms.risk[0]["trading"] == Trading.ENABLED

    def check(self) -> None:
        rooms = self.machine.rooms
        assert int(rooms.held[0, 0]["position"]) == int(rooms.ledger[0]["position"]) == self.position
        worst = {side: sum(o["qty"] - o["heard"] for o in self.orders.values() if not o["told"] and o["side"] == side) for side in (0, 1)}
        assert self.position + worst[0] <= MOST
        assert -self.position + worst[1] <= MOST
        assert rooms.session[0]["n_illegal"] == rooms.session[0]["n_unknown"] == 0

    def settle(self) -> None:
        """From now on a prompt venue."""
        for _ in range(12):
            self.take(self.machine.timer(TIMEOUT + 1))
            while self.requests or self.answers:
                self.process()
                self.deliver()
                self.check()


KINDS = [
    "process",
    "process",
    "deliver",
    "deliver",
    "deliver",
    "trade",
    "trade",
    "quote",
    "quote",
    "timer",
    "refuse",
    "lose",
    "broken",
    "old",
    "pause",
    "resume",
]
EVENTS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 90)), max_size=80)


def act(twin: Twin, kind: str, number: int) -> None:
    if kind == "process":
        twin.process()
    elif kind == "refuse":
        twin.process(refuse=True)
    elif kind in ("deliver", "lose"):
        getattr(twin, kind)()
    elif kind == "trade":
        twin.trade(number)
    elif kind in ("quote", "broken"):
        twin.quote(number % 13 - 6, whole=kind == "quote")
    elif kind == "timer":
        twin.take(twin.machine.timer(number * 1_000_000))
    elif kind == "old":
        twin.take(twin.machine.timer((AGE_MS + number) * 1_000_000))
    else:
        twin.control(Control.PAUSE if kind == "pause" else Control.RESUME)
    twin.check()


@settings(max_examples=250)
@given(EVENTS)
def test_what_is_live_is_what_may_be(events):
    twin = Twin()
    for kind, number in events:
        act(twin, kind, number)


@settings(max_examples=150)
@given(EVENTS, st.sampled_from([Control.FLATTEN, Control.STOP, Control.HALT_VENUE]))
def test_a_flatten_a_stop_and_a_halt_end_flat(events, code):
    twin = Twin()
    for kind, number in events:
        act(twin, kind, number)
    twin.quote(0)
    twin.control(code)
    twin.may_quote = False
    twin.quote(0)
    twin.settle()
    assert twin.position == 0
    assert not [o for o in twin.orders.values() if not o["told"]]


def test_it_quotes_both_sides_moves_after_its_rest_and_leans_against_what_it_holds():
    twin = Twin()
    prices = {o["side"]: o["price"] for o in twin.orders.values()}
    assert prices == {0: 1001, 1: 1009}  # middle 1005, half spread 4
    for _ in range(4):
        twin.process(), twin.deliver()
    twin.quote(3)
    assert twin.machine.rooms.session[0]["n_cancels"] == 0  # not before it has rested
    twin.machine.now += REST
    twin.quote(3)
    assert twin.machine.rooms.session[0]["n_cancels"] == 2
    for _ in range(8):
        twin.process(), twin.deliver()
    live = {o["side"]: (i, o["price"]) for i, o in twin.orders.items() if not o["told"]}
    assert {side: price for side, (_, price) in live.items()} == {0: 1004, 1: 1012}
    twin.fill(live[0][0], 60)
    twin.deliver()
    twin.machine.now += REST
    twin.quote(3)
    for _ in range(8):
        twin.process(), twin.deliver()
    live = {o["side"]: o["price"] for o in twin.orders.values() if not o["told"]}
    assert live[1] <= 1010  # 60 of 150 lots held, skew 5: the centre is 2 ticks lower
    assert twin.position == 60


def test_it_stays_at_the_front_of_its_queue():
    limits = Limits(max_rejects=10_000)
    moved = []
    for ahead in (0, 5000):
        machine = Machine(frozen_quotes(requote_ticks=1, front_ticks=4), limits)
        machine.start()
        sent = machine.bbo(0, 1000, 1010)
        for _, instrument, _, body in sent:
            machine.answer(MessageType.ORDER_ACK, instrument, body[0], 9)
        machine.rooms.quotes["bid_ahead"] = machine.rooms.quotes["ask_ahead"] = ahead
        machine.bbo(0, 1002, 1012)
        moved.append(int(machine.rooms.session[0]["n_cancels"]))
    assert moved == [0, 1]  # the ask is alone before the new touch: nothing stands before it, whatever was thought
