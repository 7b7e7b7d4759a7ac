"""Accounts of each strategy add up to the account, and no sequence of events breaches a limit, of a strategy or of the account (RK-1..5).

Three strategies share two instruments: two pairs that are opposite, so that they net, and one that trades a leg of both alone. The venue is random.
The oracle is plain arithmetic over the frames: which strategy asked is read off the order table when an order leaves, its fills are summed here.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import Control, EventKind, MessageType, OrderType, Side, Trading
from hftkit.layout import MONEY_SCALE
from hftkit.session.engine_state import Limits, StrategyLimits
from tests.support import AAA, BBB, Machine, frozen_pair, sealed

RETRY = 10_000_000
NAMES = ("long", "short", "single")
LIMITS = Limits(
    max_position_lots=250,
    max_order_lots=120,
    max_exposure=5_000,
    max_drawdown=60,
    price_collar_bps=137,  # the hedge asks for 5.5 ticks: too far from a middle of 400, not from one of 405
    max_rejects=10_000,
    strategy={
        "long": StrategyLimits(max_position_lots=80, max_open_orders=1),
        "short": StrategyLimits(max_loss=2, on_loss="pause"),
        "single": StrategyLimits(max_exposure=30, max_loss=3),
    },
)


def strategies():
    long, short = frozen_pair(retry_ns=RETRY), frozen_pair(parameters={"target": -1}, retry_ns=RETRY)
    alone = frozen_pair(lead="BBBUSD", hedge="", unit_hedge_lots=0, unit_lead_lots=120, retry_ns=RETRY)
    return tuple(sealed(msgspec.structs.replace(one, name=name)) for name, one in zip(NAMES, (long, short, alone), strict=True))


class Venue:
    """The engine, a venue whose moods the test chooses, and what each strategy has traded, in plain numbers."""

    def __init__(self, limits: Limits) -> None:
        self.machine, self.collar = Machine(strategies(), limits), limits.price_collar_bps
        self.orders: dict[int, list] = {}
        self.lots, self.cash, self.fees = defaultdict(int), defaultdict(int), defaultdict(int)  # by strategy and instrument
        self.outside, self.outside_cash = defaultdict(int), defaultdict(int)  # of the account, by instrument
        self.move, self.funding = 0, defaultdict(int)
        self.machine.start()
        self.quote(0)

    def take(self, frames) -> None:
        rooms = self.machine.rooms
        for kind, instrument, _, body in frames:
            if kind == MessageType.NEW_ORDER:
                strategy = int(rooms.orders[(body[0] & 0xFFFFFFFF) % rooms.orders.size]["strategy"])
                self.orders[body[0]] = [strategy, instrument, body[1], body[6], 0]
                if body[2] == OrderType.LIMIT and self.collar:
                    bid, ask = int(rooms.book[instrument]["best_bid"]), int(rooms.book[instrument]["best_ask"])
                    assert abs(2 * body[5] - bid - ask) * 10_000 <= (bid + ask) * self.collar, "priced beyond the collar"
                if rooms.slots[strategy]["trading"] != Trading.ENABLED or rooms.risk[0]["trading"] != Trading.ENABLED:
                    held = sum(n for (who, what), n in self.lots.items() if what == instrument and who == strategy)
                    account = int(rooms.ledger["position"][instrument])
                    sign = 1 - 2 * body[1]
                    assert body[6] <= max(-sign * held, -sign * account), "a stopped strategy adds to what it holds"

    def quote(self, move: int) -> None:
        self.move = move
        self.take(self.machine.bbo(0, 1000 + move, 1002 + move))
        self.take(self.machine.bbo(1, 400 + move, 401 + move))

    def answer(self, choice: str, number: int) -> None:
        if not self.orders:
            return
        order_id = list(self.orders)[number % len(self.orders)]
        strategy, instrument, side, qty, filled = self.orders[order_id]
        if choice == "cancel" or (choice == "reject" and filled):
            del self.orders[order_id]
            self.take(self.machine.answer(MessageType.ORDER_CANCELED, instrument, order_id, 9, qty - filled, 0))
        elif choice == "reject":
            del self.orders[order_id]
            self.take(self.machine.answer(MessageType.ORDER_REJECT, instrument, order_id, 504))
        else:
            lots, fee = qty - filled if choice == "fill" else min(number, qty - filled), number * 1000
            self.orders[order_id][4] += lots
            if self.orders[order_id][4] == qty:
                del self.orders[order_id]
            price, sign = (1001, 400)[instrument] + self.move, 1 - 2 * side
            self.lots[strategy, instrument] += sign * lots
            self.cash[strategy, instrument] -= sign * lots * price * (AAA, BBB)[instrument].tick_lot_e8
            self.fees[strategy, instrument] += fee
            left = qty - filled - lots
            self.take(self.machine.answer(MessageType.ORDER_FILL, instrument, order_id, 9, 5, side, 0, price, lots, left, fee))

    def external(self, number: int) -> None:
        """Another client of the account trades."""
        instrument, side, price = number % 2, number % 3 % 2, (1001, 400)[number % 2] + self.move
        self.machine.exchange_now += 1
        self.outside[instrument] += number * (1 - 2 * side)
        self.outside_cash[instrument] -= number * (1 - 2 * side) * price * (AAA, BBB)[instrument].tick_lot_e8
        self.take(self.machine.answer(MessageType.EXTERNAL_FILL, instrument, 77, 5, side, price, number, 12_345, 0))

    def fund(self, number: int) -> None:
        instrument, amount = number % 2, (number - 60) * 777
        self.funding[instrument] += amount
        self.take(self.machine.answer(MessageType.FUNDING, instrument, int(self.machine.rooms.ledger["position"][instrument]), 100, amount))

    def check_sums(self) -> None:
        rooms = self.machine.rooms
        held, watch = rooms.held, rooms.watch
        for i in range(2):
            mine = held[watch == i]
            account = rooms.ledger[i]
            of_strategies = sum(n for (_, what), n in self.lots.items() if what == i)
            assert int(account["position"]) == of_strategies + self.outside[i]
            cash = int(account["realized_e8"]) - int(account["cost_e8"])
            assert cash == sum(n for (_, what), n in self.cash.items() if what == i) + self.outside_cash[i]
            assert int(mine["position"].sum()) == int(account["position"]), "every strategy here trades both: nothing stays with nobody"
            assert int(mine["realized_e8"].sum() - mine["cost_e8"].sum()) == cash
            assert abs(int(account["fees_e8"] - mine["fees_e8"].sum())) < 10**6, "what rounding leaves of the fees of external fills"
            assert int(account["funding_e8"]) == self.funding[i]
            for name in ("bought_qty", "sold_qty", "n_fills", "turnover_e8"):
                assert int(mine[name].sum()) == int(account[name]), name
            open_held = rooms.open_held[watch == i]
            for name in ("buy_qty", "sell_qty", "n_orders"):
                assert int(open_held[name].sum()) == int(rooms.open_qty[name][i]), name
        if not any(self.outside.values()):
            for (strategy, i), lots in self.lots.items():
                (row,) = held[strategy][watch[strategy] == i]
                assert int(row["position"]) == lots
                assert int(row["realized_e8"]) - int(row["cost_e8"]) == self.cash[strategy, i]
                assert int(row["fees_e8"]) == self.fees[strategy, i]

    def check_limits(self) -> None:
        """Only without external fills: those are no orders of ours, and no check of ours could refuse them."""
        rooms = self.machine.rooms
        held, open_held = rooms.held, rooms.open_held
        worst = [
            max(abs(int(h["position"] + o["buy_qty"])), abs(int(h["position"] - o["sell_qty"]))) for h, o in zip(held[0], open_held[0], strict=True)
        ]
        assert max(worst) <= 80
        assert int(open_held["n_orders"][0].sum()) <= 1
        for i in range(2):
            position, o = int(rooms.ledger["position"][i]), rooms.open_qty[i]
            assert max(abs(position + int(o["buy_qty"])), abs(position - int(o["sell_qty"]))) <= 250
        for slot, name in enumerate(NAMES):
            limit = LIMITS.strategy[name].max_loss
            if limit is not None and rooms.slots[slot]["equity_e8"] <= -limit * MONEY_SCALE:
                assert rooms.slots[slot]["trading"] == (Trading.PAUSED if name == "short" else Trading.FLATTENING)
        if rooms.risk[0]["drawdown_e8"] >= LIMITS.max_drawdown * MONEY_SCALE:
            assert rooms.risk[0]["trading"] == Trading.HALTED


KINDS = ["fill", "fill", "part", "cancel", "reject", "quote", "timer", "fund", "flip"]
EVENTS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 120)), max_size=50)
OUTSIDE = st.lists(st.tuples(st.sampled_from([*KINDS, "external", "external"]), st.integers(1, 120)), max_size=50)


def act(venue: Venue, kind: str, number: int) -> None:
    if kind in ("fill", "part", "cancel", "reject"):
        venue.answer(kind, number)
    elif kind == "quote":
        venue.quote(number % 41 - 20)
    elif kind == "timer":
        venue.take(venue.machine.timer(RETRY * (1 + number % 200)))
    elif kind == "fund":
        venue.fund(number)
    elif kind == "flip":
        venue.machine.rooms.params[number % 3, 0] = number % 2 if number % 3 != 1 else -(number % 2)
        venue.quote(venue.move)
    else:
        venue.external(number)


@settings(max_examples=200)
@given(EVENTS)
def test_no_sequence_breaches_a_limit(events):
    venue = Venue(LIMITS)
    for kind, number in events:
        act(venue, kind, number)
        venue.check_sums()
        venue.check_limits()


@settings(max_examples=200)
@given(OUTSIDE)
def test_strategies_add_up_to_the_account(events):
    venue = Venue(Limits(max_loss=10**6, max_rejects=10_000))
    for kind, number in events:
        act(venue, kind, number)
        venue.check_sums()


@settings(max_examples=100)
@given(EVENTS)
def test_opposite_strategies_can_both_be_left(events):
    """A flat account may hide two strategies that are opposite: STOP leaves each of them, with a venue that fills."""
    venue = Venue(Limits(max_rejects=10_000))
    for kind, number in events:
        act(venue, kind, number)
    venue.take(venue.machine.own(EventKind.CONTROL, int(Control.STOP)))
    for _ in range(60):
        venue.answer("fill", 0)
        venue.take(venue.machine.timer(RETRY))
    assert not venue.machine.rooms.held["position"].any()
    assert not venue.machine.rooms.ledger["position"].any()
    assert venue.machine.rooms.session[0]["stop_requested"] == 2


def test_a_pair_alone_is_stopped_at_its_loss_and_the_others_go_on():
    venue = Venue(Limits(max_loss=10**6, strategy={"long": StrategyLimits(max_loss=1)}))
    for _ in range(20):
        venue.answer("fill", 0)
        venue.take(venue.machine.timer(RETRY))
    assert (venue.lots[0, 0], venue.lots[1, 0]) == (100, -100)
    venue.quote(-30)  # the long pair loses on its lead, the short one earns as much
    slots = venue.machine.rooms.slots
    assert [int(one) for one in slots["trading"]] == [Trading.FLATTENING, Trading.ENABLED, Trading.ENABLED]
    sides = [order[2] for order in venue.orders.values() if order[0] == 0]
    assert sides[:1] == [Side.SELL]
    for _ in range(20):
        venue.answer("fill", 0)
        venue.take(venue.machine.timer(RETRY))
    assert venue.machine.rooms.held["position"].tolist()[0] == [0, 0]
    assert venue.machine.rooms.held["position"].tolist()[1][0] == -100
