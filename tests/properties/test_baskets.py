"""No sequence of fills, rejects, cancels, silence and market moves leaves a leg of a basket alone past its deadline without action.

The whole step runs; the venue is random: it fills in parts, rejects, cancels, answers late or only when asked. After every event the basket is
checked from the outside, from fills alone.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, EventKind, LegState, MessageType, Side
from hftkit.session.engine_state import Limits
from tests.support import Machine, frozen_basket

DEADLINE, RETRY = 1_000_000_000, 10_000_000
UNITS = (100, -80, 60)
SMALLEST = (6, 26, 26)  # lots that reach the minimum notional of 5: what is missing below this counts as filled


class Market:
    """A machine and a venue whose moods the test chooses."""

    def __init__(self) -> None:
        limits = Limits(max_orders_per_s=10_000_000, order_burst=1000, max_rejects=10_000)
        self.machine = Machine(frozen_basket(UNITS, deadline_ns=DEADLINE, retry_ns=RETRY), limits)
        self.working: dict[int, list] = {}
        self.position, self.uneven_since = [0, 0, 0], None
        self.machine.start()
        self.quote(0)

    def take(self, frames) -> None:
        for kind, instrument, _, body in frames:
            if kind == MessageType.NEW_ORDER:
                assert not [o for o in self.working.values() if o[0] == instrument], "one working order a leg"
                self.working[body[0]] = [instrument, body[1], body[6], 0]

    def quote(self, move) -> None:
        for instrument, (bid, ask) in enumerate(((1000, 1002), (400, 401), (410, 411))):
            self.take(self.machine.bbo(instrument, bid + move, ask + move))

    def venue(self, choice, part) -> None:
        if not self.working:
            return
        order_id = list(self.working)[part % len(self.working)]
        instrument, side, qty, filled = order = self.working[order_id]
        if choice == "reject" and filled == 0:
            del self.working[order_id]
            self.take(self.machine.answer(MessageType.ORDER_REJECT, instrument, order_id, 504))
        elif choice in ("cancel", "reject"):
            del self.working[order_id]
            self.take(self.machine.answer(MessageType.ORDER_CANCELED, instrument, order_id, 9, qty - filled, 0))
        else:
            traded = qty - filled if choice == "fill" else min(part, qty - filled)
            order[3] += traded
            self.position[instrument] += traded if side == Side.BUY else -traded
            if order[3] == qty:
                del self.working[order_id]
            price = (1001, 400, 410)[instrument]
            self.take(self.machine.answer(MessageType.ORDER_FILL, instrument, order_id, 9, 5, side, 0, price, traded, qty - order[3], 0))

    def outside(self, number) -> None:
        """Another client of the account trades in the first leg."""
        self.machine.exchange_now += 1
        side = Side.SELL if self.position[0] > 0 else Side.BUY
        lots = min(number, max(abs(self.position[0]), 1))
        self.position[0] += lots if side == Side.BUY else -lots
        self.take(self.machine.answer(MessageType.EXTERNAL_FILL, 0, 77, 5, int(side), 1000, lots, 0, 0))

    def check(self) -> None:
        rooms = self.machine.rooms
        assert rooms.held["position"][0].tolist() == rooms.ledger["position"].tolist() == self.position
        for held, unit in zip(self.position, UNITS, strict=True):
            assert abs(held) <= abs(unit)
        target = int(rooms.baskets[0]["target"])
        whole = all(
            held == target * unit or (held != 0 and target != 0 and abs(target * unit - held) < least)
            for held, unit, least in zip(self.position, UNITS, SMALLEST, strict=True)
        )
        if whole or not any(self.position):
            self.uneven_since = None
        elif self.uneven_since is None:
            self.uneven_since = self.machine.now

    def act_or_fail(self) -> None:
        if self.uneven_since is None or self.machine.now - self.uneven_since <= DEADLINE:
            return
        if not self.working:
            for _ in range(3):
                self.take(self.machine.timer(RETRY))
        assert self.working, "a leg alone past the deadline, and nothing is being done"


KINDS = ["fill", "fill", "part", "cancel", "reject", "quote", "timer", "long", "flip", "pause", "resume", "flatten"]
EVENTS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 120)), max_size=60)


def act(market: Market, name: str, number: int) -> None:
    if name in ("fill", "part", "cancel", "reject"):
        market.venue(name, number)
    elif name == "quote":
        market.quote(number % 7 - 3)
    elif name == "external":
        market.outside(number)
    elif name == "timer":
        market.take(market.machine.timer(RETRY))
    elif name == "long":
        market.take(market.machine.timer(DEADLINE + 1))
    elif name == "flip":
        market.machine.rooms.params[0, 0] = number % 3 - 1
        market.quote(0)
    else:
        code = {"pause": Control.PAUSE, "resume": Control.RESUME, "flatten": Control.FLATTEN}[name]
        market.take(market.machine.own(EventKind.CONTROL, int(code)))


@settings(max_examples=300)
@given(EVENTS)
def test_no_leg_stays_alone_without_action(events):
    market = Market()
    for name, number in events:
        act(market, name, number)
        market.check()
        market.act_or_fail()


@settings(max_examples=200)
@given(EVENTS)
def test_a_stop_always_ends_flat_with_a_venue_that_fills(events):
    market = Market()
    for name, number in events:
        act(market, name, number)
    market.take(market.machine.own(EventKind.CONTROL, int(Control.STOP)))
    for _ in range(60):
        market.venue("fill", 0)
        market.take(market.machine.timer(RETRY))
    assert market.position == [0, 0, 0]
    assert market.machine.sent[-1][0] == MessageType.LOGOUT


def test_a_leg_that_never_fills_has_the_others_unwound():
    market = Market()
    assert sorted(o[:3] for o in market.working.values()) == [[0, 0, 100], [1, 1, 80], [2, 0, 60]]
    for _ in range(400):
        for order_id, order in list(market.working.items()):
            market.venue("cancel" if order[0] == 2 and not market.position[2] else "fill", list(market.working).index(order_id))
        market.take(market.machine.timer(RETRY))
    basket = market.machine.rooms.baskets[0]
    assert basket["n_unwinds"] == 1
    assert market.position == [0, 0, 0]
    assert basket["state"] == LegState.FLAT
    assert basket["skip"] == 1


def test_what_comes_from_outside_has_the_basket_left():
    market = Market()
    while market.working:
        market.venue("fill", 0)
    assert market.machine.rooms.baskets[0]["state"] == LegState.OPEN
    market.outside(40)
    while market.working:
        market.venue("fill", 0)
        market.check()
    assert market.position == [0, 0, 0]
    assert market.machine.rooms.baskets[0]["skip"] == 1
