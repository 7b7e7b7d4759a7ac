"""No sequence of fills, rejects, cancels, silence and market moves leaves a leg naked past its deadline without action (ST-9).

The whole step runs (book, legs, risk, order table, encode); the venue is random: it acknowledges, fills in parts, rejects, cancels, answers late
or only when asked. After every event the pair is checked from the outside, from fills alone.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, EventKind, LegState, MessageType, Side, Trading
from hftkit.kernels.execution.pair import nearest_ratio
from hftkit.session.engine_state import Limits
from tests.support import Machine, frozen_pair

DEADLINE = 1_000_000_000
RETRY = 10_000_000
UNIT_LEAD, UNIT_HEDGE = 100, -80


class Market:
    """A machine and a venue whose moods the test chooses."""

    def __init__(self):
        self.machine = Machine(
            frozen_pair(hedge_deadline_ns=DEADLINE, retry_ns=RETRY), Limits(max_orders_per_s=10_000_000, order_burst=1000, max_rejects=10_000)
        )
        self.working = {}  # client_order_id -> [instrument, side, qty, filled]
        self.position = [0, 0]
        self.naked_since = None
        self.machine.start()
        self.quote(0)

    def take(self, frames):
        for kind, instrument, _, body in frames:
            if kind == MessageType.NEW_ORDER:
                assert body[0] not in self.working
                mine = [o for o in self.working.values() if o[0] == instrument]
                assert not mine, "one working order a leg"
                self.working[body[0]] = [instrument, body[1], body[6], 0]

    def quote(self, move):
        self.take(self.machine.bbo(0, 1000 + move, 1002 + move))
        self.take(self.machine.bbo(1, 400 + move, 401 + move))

    def venue(self, choice, part):
        """Answer the oldest working order in some way."""
        if not self.working:
            return
        order_id = next(iter(self.working))
        instrument, side, qty, filled = order = self.working[order_id]
        if choice == "reject":
            if filled == 0:
                del self.working[order_id]
                self.take(self.machine.answer(MessageType.ORDER_REJECT, instrument, order_id, 504))
        elif choice == "cancel":
            del self.working[order_id]
            self.take(self.machine.answer(MessageType.ORDER_CANCELED, instrument, order_id, 9, qty - filled, 0))
        else:
            traded = qty - filled if choice == "fill" else min(part, qty - filled)
            order[3] += traded
            self.position[instrument] += traded if side == Side.BUY else -traded
            if order[3] == qty:
                del self.working[order_id]
            price = 1001 if instrument == 0 else 400
            self.take(self.machine.answer(MessageType.ORDER_FILL, instrument, order_id, 9, 5, side, 0, price, traded, qty - order[3], 0))

    @property
    def residual(self):
        unit = int(self.machine.rooms.legs[0]["unit_hedge"])  # it follows the signal while the pair is flat or open
        return self.position[1] - nearest_ratio(self.position[0], unit, UNIT_LEAD)

    def move_ratio(self, lots):
        """The strategy's hedge ratio moves (SIGNAL.unit_hedge)."""
        leg = self.machine.rooms.legs[0]
        before, free = int(leg["unit_hedge"]), int(leg["state"]) in (LegState.FLAT, LegState.OPEN)
        self.machine.rooms.signal["unit_hedge"][0] = lots
        self.quote(0)
        assert int(leg["unit_hedge"]) == lots or not free, before

    def check(self):
        leg = self.machine.rooms.legs[0]
        assert [int(leg["lead_position"]), int(leg["hedge_position"])] == self.position
        assert [int(p) for p in self.machine.rooms.ledger["position"]] == self.position
        assert abs(self.position[0]) <= UNIT_LEAD
        # lots below the venue's minimum notional cannot be hedged: 5 / (400 * 0.05 * 0.01) = 25 lots
        tolerance = 25 if self.position[0] else 0
        if abs(self.residual) <= tolerance:
            self.naked_since = None
        elif self.naked_since is None:
            self.naked_since = self.machine.now

    def act_or_fail(self):
        """Past the deadline the machine must be doing something about it: an order at work, or one at the next timer after a pause."""
        if self.naked_since is None or self.machine.now - self.naked_since <= DEADLINE:
            return
        if not self.working:
            for _ in range(3):
                self.take(self.machine.timer(RETRY))
        assert self.working, "naked past the deadline, and nothing is being done"


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["fill", "fill", "part", "cancel", "reject", "quote", "timer", "long", "flip", "ratio", "pause", "resume", "flatten"]),
        st.integers(1, 120),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(EVENTS)
def test_no_leg_stays_naked_without_action(events):
    market = Market()
    for name, number in events:
        if name in ("fill", "part", "cancel", "reject"):
            market.venue(name, number)
        elif name == "quote":
            market.quote(number % 7 - 3)
        elif name == "timer":
            market.take(market.machine.timer(RETRY))
        elif name == "long":
            market.take(market.machine.timer(DEADLINE + 1))
        elif name == "flip":
            market.machine.rooms.params[0, 0] = number % 3 - 1
            market.quote(0)
        elif name == "ratio":
            market.move_ratio(-20 - number)
        else:
            code = {"pause": Control.PAUSE, "resume": Control.RESUME, "flatten": Control.FLATTEN}[name]
            market.take(market.machine.own(EventKind.CONTROL, int(code)))
        market.check()
        market.act_or_fail()


@settings(max_examples=200)
@given(EVENTS)
def test_a_stop_always_ends_flat_with_a_venue_that_fills(events):
    """From wherever the random venue has left the pair: once orders fill, STOP leads to zero on both legs and a logout."""
    market = Market()
    for name, number in events:
        if name in ("fill", "part", "cancel", "reject"):
            market.venue(name, number)
        elif name == "timer":
            market.take(market.machine.timer(RETRY))
        elif name == "flip":
            market.machine.rooms.params[0, 0] = number % 3 - 1
            market.quote(0)
        elif name == "ratio":
            market.move_ratio(-20 - number)
    market.take(market.machine.own(EventKind.CONTROL, int(Control.STOP)))
    for _ in range(40):
        market.venue("fill", 0)
        market.take(market.machine.timer(RETRY))
    assert market.position == [0, 0]
    assert market.machine.rooms.session[0]["stop_requested"] == 2
    assert market.machine.sent[-1][0] == MessageType.LOGOUT


def test_a_hedge_that_never_fills_is_unwound():
    market = Market()
    market.venue("fill", 0)  # the lead fills, the hedge is sent
    for _ in range(200):
        if market.working and next(iter(market.working.values()))[0] == 1:
            market.venue("cancel", 0)
        elif market.working:
            market.venue("fill", 0)
        market.take(market.machine.timer(RETRY))
    leg = market.machine.rooms.legs[0]
    assert leg["n_unwinds"] == 1
    assert market.position == [0, 0]
    assert leg["state"] == LegState.FLAT


def test_a_paused_engine_does_not_enter_late():
    market = Market()
    machine = Machine(frozen_pair())
    machine.start()
    machine.own(EventKind.CONTROL, int(Control.PAUSE))
    machine.bbo(0, 1000, 1002)
    machine.bbo(1, 400, 401)
    machine.own(EventKind.CONTROL, int(Control.RESUME))
    machine.bbo(0, 1001, 1003)
    assert machine.sent == []  # the signal was missed while paused
    machine.rooms.params[0, 0] = 0
    machine.bbo(0, 1000, 1002)
    machine.rooms.params[0, 0] = 1
    assert [f[0] for f in machine.bbo(0, 1001, 1003)] == [MessageType.NEW_ORDER]
    assert market.machine.rooms.risk[0]["trading"] == Trading.ENABLED
