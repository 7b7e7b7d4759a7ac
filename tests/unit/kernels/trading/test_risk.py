"""Risk: each limit refuses or shrinks with its own reason, and no sequence of orders and fills can breach a limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit import layout
from hftkit.codes import Action, OrderType, Reject, Side, Sync, Trading
from hftkit.instruments import instrument_array
from hftkit.kernels.trading import orders as table
from hftkit.kernels.trading import risk as gate
from hftkit.kernels.trading.ledger import apply_fill, mark_to_book
from tests.support import AAA, BBB, no_limits


class Desk:
    """Two instruments, their books, and everything the gate looks at."""

    def __init__(self, max_position=1000, max_order_qty=400, max_order_notional=10**13, max_exposure=10**15, rate=10**6, burst=10**6, max_open=10**6):
        self.instruments = instrument_array([AAA, BBB])
        self.book = np.zeros(2, layout.BOOK.dtype)
        for row, (bid, ask) in zip(self.book, [(1000, 1002), (400, 401)], strict=True):
            row["sync"], row["best_bid"], row["best_ask"], row["best_bid_qty"], row["best_ask_qty"] = int(Sync.SYNCED), bid, ask, 50, 50
        self.ledger = np.zeros(2, layout.LEDGER.dtype)
        self.open = np.zeros(2, layout.OPEN.dtype)
        self.limit = np.zeros(2, layout.LIMIT.dtype)
        self.limit["max_position"], self.limit["max_order_qty"] = max_position, max_order_qty
        self.limit["max_order_notional_e8"], self.limit["price_band_ticks"] = max_order_notional, 10
        self.risk = np.zeros(1, layout.RISK.dtype)
        r = self.risk[0]
        r["max_exposure_e8"], r["max_orders_per_s"], r["order_burst"], r["max_open_orders"] = max_exposure, rate, burst, max_open
        r["max_loss_e8"], r["max_rejects"], r["trading"] = 10**14, 5, int(Trading.ENABLED)
        self.want = np.zeros(1, layout.WANT.dtype)
        self.allowed = np.zeros(1, layout.ALLOWED.dtype)
        self.orders = np.zeros(64, layout.ORDER.dtype)
        self.session = np.zeros(1, layout.SESSION.dtype)
        self.session[0]["epoch"], self.session[0]["next_order"] = 1, 1
        self.strategies = no_limits(2)
        self.now = 10**9
        for i in range(2):
            mark_to_book(self.ledger, self.instruments, self.book, i)

    def ask(self, side, qty, price=None, instrument=0, market=False):
        w = self.want[0]
        w["action"], w["instrument"], w["side"], w["qty"] = int(Action.NEW), instrument, side, qty
        w["order_type"] = int(OrderType.MARKET if market else OrderType.LIMIT)
        touch = self.book[instrument]["best_ask" if side == Side.BUY else "best_bid"]
        w["price"] = 0 if market else (touch if price is None else price)
        account = (self.book, self.instruments, self.ledger, self.open, self.limit, self.allowed, self.risk)
        reason = gate.check_want(self.want, 0, *account, *self.strategies, self.now)
        return Reject(int(reason)), int(self.allowed[0]["qty"])

    def send(self):
        return table.create(self.allowed, 0, self.orders, self.open, self.session)


def test_a_good_order_passes_whole():
    assert Desk().ask(Side.BUY, 100) == (Reject.NONE, 100)


@pytest.mark.parametrize(
    ("desk", "order", "reason"),
    [
        ({}, {"qty": 0}, Reject.RISK_BAD_ORDER),
        ({}, {"qty": 10, "price": -5}, Reject.RISK_BAD_ORDER),
        ({}, {"qty": 10, "price": 1013}, Reject.RISK_PRICE_BAND),
        ({"max_order_qty": 0}, {"qty": 10}, Reject.RISK_ORDER_SIZE),
        ({"max_position": 0}, {"qty": 10}, Reject.RISK_POSITION_LIMIT),
        ({"max_order_notional": 10**8}, {"qty": 10}, Reject.RISK_ORDER_NOTIONAL),
        ({}, {"qty": 4}, Reject.RISK_MIN_NOTIONAL),  # 4 * 0.1 * 10.02 = 4.008 < 5
        ({"max_exposure": 10**8}, {"qty": 10}, Reject.RISK_EXPOSURE_LIMIT),
        ({"max_open": 0}, {"qty": 10}, Reject.RISK_OPEN_ORDERS),
    ],
)
def test_each_limit_refuses_with_its_own_reason(desk, order, reason):
    assert Desk(**desk).ask(Side.BUY, **order)[0] == reason


def test_no_order_without_a_trusted_book():
    desk = Desk()
    desk.book[0]["sync"] = int(Sync.EMPTY)
    assert desk.ask(Side.BUY, 10)[0] == Reject.RISK_NO_MARKET
    desk.book[0]["sync"], desk.book[0]["best_bid"] = int(Sync.SYNCED), 1002  # locked
    assert desk.ask(Side.BUY, 10)[0] == Reject.RISK_NO_MARKET


def test_size_is_shrunk_to_what_the_position_limit_leaves():
    desk = Desk(max_position=150)
    assert desk.ask(Side.BUY, 100) == (Reject.NONE, 100)
    desk.send()
    assert desk.ask(Side.BUY, 100) == (Reject.NONE, 50)  # the open order counts as filled
    assert desk.risk[0]["n_shrunk"] == 1


@pytest.mark.parametrize("state", [Trading.PAUSED, Trading.FLATTENING, Trading.STOPPING, Trading.HALTED])
def test_when_not_enabled_only_reducing_orders_pass(state):
    desk = Desk()
    apply_fill(desk.ledger, desk.instruments, 0, int(Side.BUY), 1001, 100, 0, 0)
    desk.risk[0]["trading"] = int(state)
    assert desk.ask(Side.BUY, 10)[0] == Reject.RISK_NOT_TRADING
    assert desk.ask(Side.SELL, 150) == (Reject.NONE, 100)  # to zero, not past it
    desk.send()
    assert desk.ask(Side.SELL, 10)[0] == Reject.RISK_NOT_TRADING  # the working order already brings it to zero


def test_the_rate_bucket_empties_and_refills_with_time():
    desk = Desk(rate=10, burst=2)
    assert [desk.ask(Side.BUY, 10)[0] for _ in range(3)] == [Reject.NONE, Reject.NONE, Reject.RISK_ORDER_RATE]
    desk.now += 100_000_000
    assert [desk.ask(Side.BUY, 10)[0] for _ in range(2)] == [Reject.NONE, Reject.RISK_ORDER_RATE]


def test_the_loss_limit_halts_and_stays():
    desk = Desk()
    apply_fill(desk.ledger, desk.instruments, 0, int(Side.BUY), 1001, 100, 10**14, 0)  # a fee as large as the limit
    gate.watch_equity(desk.ledger, desk.instruments, desk.risk)
    assert desk.risk[0]["trading"] == Trading.HALTED
    assert desk.risk[0]["halt_reason"] == Reject.RISK_LOSS_LIMIT


def test_rejects_in_a_row_halt_and_an_acknowledgement_resets_them():
    desk = Desk()
    for _ in range(4):
        gate.watch_rejects(1, desk.risk)
    gate.watch_rejects(0, desk.risk)
    for _ in range(4):
        gate.watch_rejects(1, desk.risk)
    assert desk.risk[0]["trading"] == Trading.ENABLED
    gate.watch_rejects(1, desk.risk)
    assert desk.risk[0]["halt_reason"] == Reject.RISK_REJECTS_IN_ROW


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.integers(0, 1), st.integers(-5, 600), st.integers(0, 1), st.booleans()),
        st.tuples(st.just("fill"), st.integers(0, 63), st.integers(1, 400), st.just(0), st.just(False)),
        st.tuples(st.just("cancel"), st.integers(0, 63), st.just(0), st.just(0), st.just(False)),
        st.tuples(st.just("quote"), st.integers(0, 1), st.integers(300, 3000), st.just(0), st.just(False)),
        st.tuples(st.just("wait"), st.integers(0, 10**8), st.just(0), st.just(0), st.just(False)),
    ),
    max_size=80,
)


@given(MOVES)
def test_no_sequence_breaches_a_limit(moves):
    """Every open order may fill at any time: positions, sizes, open orders and rate must hold in the worst case."""
    desk = Desk(max_position=500, max_order_qty=300, max_order_notional=3 * 10**11, max_exposure=10**12, rate=100, burst=20, max_open=6)
    sent_at = []
    for name, a, b, c, market in moves:
        if name == "order":
            before = desk.open.copy()
            reason, qty = desk.ask(Side(a), b, instrument=c, market=market)
            if reason == Reject.NONE and table.next_slot_free(desk.orders, desk.session):
                assert 0 < qty <= min(b, 300)
                touch = int(desk.book[c]["best_ask" if a == 0 else "best_bid"])
                assert qty * touch * int(desk.instruments[c]["tick_lot_e8"]) <= 3 * 10**11
                desk.send()
                sent_at.append(desk.now)
            else:
                assert (desk.open == before).all()
        elif name in ("fill", "cancel"):
            o = desk.orders[a]
            if not table.is_final(int(o["state"])):
                qty = min(b, int(o["qty"] - o["filled_qty"]))
                if name == "cancel":
                    table.move(o, desk.open, table.WAS_CANCELED, 0)
                elif qty > 0:
                    last = qty == o["qty"] - o["filled_qty"]
                    table.move(o, desk.open, table.FILLED_LAST if last else table.FILLED_PART, qty)
                    apply_fill(desk.ledger, desk.instruments, int(o["instrument"]), int(o["side"]), int(o["price"]) or 1000, qty, 10, 0)
        elif name == "quote":
            desk.book[a]["best_bid"], desk.book[a]["best_ask"] = b, b + 2
            mark_to_book(desk.ledger, desk.instruments, desk.book, a)
        else:
            desk.now += a
        for i in range(2):
            position, o = int(desk.ledger[i]["position"]), desk.open[i]
            assert position + int(o["buy_qty"]) <= 500
            assert position - int(o["sell_qty"]) >= -500
        assert int(desk.open["n_orders"].sum()) <= 6
        recent = [t for t in sent_at if t > desk.now - 10**9]
        assert len(recent) <= 20 + 100
