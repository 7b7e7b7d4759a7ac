"""What the venue says is final: whatever fills, closes, cuts, corrects and refuses, the pair's own state is the ledger's, and nothing is left alone.

The whole step runs against a random venue that closes positions by itself, lets a stranger trade, cuts and refuses reduce-only orders by its own
position, and loses what it should have told (then a correction follows, as the account's keeper would send it). Two routes: as a Binance line tells
it (EXTERNAL_FILL, POSITION_CORRECTION), and as the binary dialect does (fills of orders that are not ours, POSITION in order with them).
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, EventKind, LegState, MessageType, OrderFlag, Reject, Side, Trading
from hftkit.kernels.execution.pair import nearest_ratio
from hftkit.session.engine_state import Limits
from tests.support import Machine, frozen_pair

DEADLINE = 1_000_000_000
RETRY = 10_000_000
LONGEST_PAUSE = RETRY << 5
UNIT_LEAD, UNIT_HEDGE = 100, -80
PRICES = (1001, 400)


class Account:
    """A machine, and the account at the venue as it is."""

    def __init__(self, route):
        self.binary = route == "binary"
        frozen = frozen_pair(hedge_deadline_ns=DEADLINE, retry_ns=RETRY)
        limits = Limits(max_orders_per_s=10_000_000, order_burst=1000, max_rejects=6)
        self.machine = Machine(frozen, limits, positions_in_order=self.binary)
        self.working = {}  # client_order_id -> [instrument, side, qty, filled, reduce only]
        self.held, self.untold = [0, 0], [0, 0]
        self.naked_since, self.trade = None, 0
        self.machine.start()
        self.quote(0)

    @property
    def rooms(self):
        return self.machine.rooms

    @property
    def halted(self):
        return self.rooms.risk[0]["trading"] == Trading.HALTED

    def take(self, frames):
        for kind, instrument, _, body in frames:
            if kind != MessageType.NEW_ORDER:
                continue
            sign, known = 1 if body[1] == Side.BUY else -1, int(self.rooms.ledger["position"][instrument])
            assert not [o for o in self.working.values() if o[0] == instrument], "one working order a leg"
            reduces = bool(body[4] & OrderFlag.REDUCE_ONLY)
            assert not reduces or known * sign < 0, "a reduce-only order for a position that is gone"
            assert not self.halted or (reduces and body[6] <= abs(known)), "a halted session enters"
            self.working[body[0]] = [instrument, body[1], body[6], 0, reduces]

    def tell(self, kind, instrument, *body):
        self.machine.exchange_now += 1
        self.machine.now += 1000
        self.take(self.machine.answer(kind, instrument, *body))

    def quote(self, move):
        self.take(self.machine.bbo(0, 1000 + move, 1002 + move))
        self.take(self.machine.bbo(1, 400 + move, 401 + move))

    def outside(self, instrument, lots, reason, lost):
        """Somebody else changes the position by signed lots."""
        if lots == 0:
            return
        self.held[instrument] += lots
        self.trade += 1
        side, price = Side.BUY if lots > 0 else Side.SELL, PRICES[instrument]
        if lost and not self.binary:
            self.untold[instrument] += lots
        elif lost:
            self.tell(MessageType.POSITION, instrument, self.held[instrument])
        elif self.binary:
            order_id = -self.trade if reason else (9 << 32) + self.trade
            self.tell(MessageType.ORDER_FILL, instrument, order_id, 9, self.trade, side, 0, price, abs(lots), 0, 7)
        else:
            self.tell(MessageType.EXTERNAL_FILL, instrument, 9, self.trade, side, price, abs(lots), 7, reason)

    def correct(self):
        """What the keeper of the account finds where no order flies."""
        for i in (0, 1):
            if self.untold[i] and not [o for o in self.working.values() if o[0] == i]:
                self.untold[i] = 0
                self.tell(MessageType.POSITION_CORRECTION, i, self.held[i], int(self.rooms.ledger["position"][i]))

    def venue(self, choice, part):
        """Answer the oldest working order; a reduce-only one as far as there is a position to reduce."""
        if not self.working:
            return
        order_id = next(iter(self.working))
        instrument, side, qty, filled, reduce_only = order = self.working[order_id]
        sign = 1 if side == Side.BUY else -1
        room = max(-sign * self.held[instrument], 0) if reduce_only else qty
        if choice == "reject" or room == 0:
            if filled == 0:
                del self.working[order_id]
                self.tell(MessageType.ORDER_REJECT, instrument, order_id, Reject.VENUE_REDUCE_ONLY if room == 0 else Reject.VENUE_BAD_QTY)
                return
            choice = "cancel"
        if choice == "cancel":
            del self.working[order_id]
            self.tell(MessageType.ORDER_CANCELED, instrument, order_id, 9, qty - filled, Reject.VENUE_REDUCE_ONLY if room == 0 else 0)
            return
        traded = min(qty - filled if choice == "fill" else min(part, qty - filled), room)
        order[3] += traded
        self.held[instrument] += sign * traded
        cut = traded == room and order[3] < qty and reduce_only
        if order[3] == qty or cut:
            del self.working[order_id]
        self.tell(MessageType.ORDER_FILL, instrument, order_id, 9, 5, side, 0, PRICES[instrument], traded, qty - order[3], 0)
        if cut:
            self.tell(MessageType.ORDER_CANCELED, instrument, order_id, 9, qty - order[3], Reject.VENUE_REDUCE_ONLY)

    def check(self):
        leg, ledger = self.rooms.legs[0], [int(lots) for lots in self.rooms.ledger["position"]]
        assert [int(leg["lead_position"]), int(leg["hedge_position"])] == ledger
        assert ledger == [held - untold for held, untold in zip(self.held, self.untold, strict=True)]
        row = self.rooms.ledger[0]
        assert int(row["position"]) == int(row["bought_qty"] - row["sold_qty"] + row["corrected_qty"])
        residual = ledger[1] - nearest_ratio(ledger[0], UNIT_HEDGE, UNIT_LEAD)
        if abs(residual) <= (25 if ledger[0] else 0):
            self.naked_since = None
        elif self.naked_since is None:
            self.naked_since = self.machine.now
        if self.naked_since is not None and self.machine.now - self.naked_since > DEADLINE and not self.working and not self.halted:
            self.take(self.machine.timer(LONGEST_PAUSE))
            self.take(self.machine.timer(RETRY))
            assert self.working or self.halted, "naked past the deadline, no order and no halt"

    def act(self, name, number, instrument):
        if name in ("fill", "part", "cancel", "reject"):
            self.venue(name, number)
        elif name == "quote":
            self.quote(number % 7 - 3)
        elif name in ("timer", "long"):
            self.take(self.machine.timer(RETRY if name == "timer" else DEADLINE + 1))
        elif name == "flip":
            self.rooms.params[0, 0] = number % 3 - 1
            self.quote(0)
        elif name == "correct":
            self.correct()
        elif name in ("forced", "forced lost", "partly"):
            held = self.held[instrument]
            lots = held if name != "partly" else (min(number, abs(held)) if held > 0 else -min(number, abs(held)))
            self.outside(instrument, -lots, Reject.VENUE_ADL, name == "forced lost")
        elif name in ("stranger", "stranger lost"):
            self.outside(instrument, number - 60, 0, name == "stranger lost" and not self.binary)
        self.check()


NAMES = ["fill", "fill", "fill", "part", "cancel", "reject", "quote", "timer", "long", "flip"]
NAMES += ["correct", "forced", "forced lost", "partly", "stranger", "stranger lost"]
EVENTS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 120), st.integers(0, 1)), max_size=50)


@pytest.mark.parametrize("route", ["binance", "binary"])
@settings(max_examples=250)
@given(events=EVENTS)
def test_the_pair_is_the_ledger_and_nothing_is_left_alone(route, events):
    account = Account(route)
    for event in events:
        account.act(*event)
    external = account.rooms.external
    if external["n_forced"].any():
        assert account.halted
    # from wherever that has led: once orders fill and the keeper has looked, STOP ends flat, logged out, and the venue agrees
    account.take(account.machine.own(EventKind.CONTROL, int(Control.STOP)))
    for _ in range(60):
        account.venue("fill", 1)
        account.correct()
        account.act("long", 1, 0)
        if account.rooms.session[0]["stop_requested"] > 1:
            break
    assert account.held == [0, 0]
    assert account.rooms.session[0]["stop_requested"] > 1
    assert account.rooms.open_qty["n_orders"].tolist() == [0, 0]


@pytest.mark.parametrize("route", ["binance", "binary"])
@pytest.mark.parametrize("closed", [0, 1])
@pytest.mark.parametrize("moment", ["held", "lead in flight", "hedge in flight", "leaving"])
def test_a_forced_close_of_either_leg_at_any_moment(route, closed, moment):
    account = Account(route)
    orders = {"held": 2, "lead in flight": 0, "hedge in flight": 1, "leaving": 2}[moment]
    for _ in range(orders):
        account.act("fill", 0, 0)
    if moment == "leaving":
        account.act("flip", 0, 0)
        account.rooms.params[0, 0] = -1
        account.quote(0)
    if account.held[closed] == 0:
        return
    account.act("forced", 0, closed)
    assert (account.rooms.risk[0]["trading"], account.rooms.risk[0]["halt_reason"]) == (Trading.HALTED, Reject.RISK_FORCED_CLOSE)
    for _ in range(6):
        account.act("fill", 0, 0)
        account.act("timer", 0, 0)
    assert account.held == [0, 0]
    assert account.rooms.legs[0]["state"] == LegState.FLAT
    sent = account.rooms.session[0]["n_orders"]
    for _ in range(20):
        account.act("long", 0, 0)
    assert account.rooms.session[0]["n_orders"] == sent  # a liquidated account does not enter again
