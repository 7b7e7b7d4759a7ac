"""The age of a book: what makes it good for a while, what shortens that, and that risk lets no order through on one that is too old.

`Age` is the rule once more in plain Python, from its description; a random stream of changes, trades, holes and pauses goes through both.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from hftkit import layout
from hftkit.codes import Action, DepthFlag, EventKind, OrderType, Reject, Side, Sync
from hftkit.instruments import instrument_array
from hftkit.kernels.market.book import BOOK_LOST, apply_to_book, hold_books
from hftkit.kernels.market.signals import stale
from hftkit.kernels.trading.risk import check_want
from tests.support import AAA, no_limits

MS = 1_000_000
AGE, BEHIND = 1000 * MS, 400 * MS


class Desk:
    """One book, the gate behind it, and a clock of each side."""

    def __init__(self, age: int = AGE, position: int = 0) -> None:
        self.event, self.book = np.zeros(1, layout.EVENT.dtype), np.zeros(1, layout.BOOK.dtype)
        self.book["max_age_ns"], self.book["max_behind_ns"] = age, min(age, BEHIND)
        self.levels = np.zeros((1, 2, layout.BOOK_DEPTH, 2), np.int64)
        self.instruments = instrument_array([AAA])
        self.ledger, self.open = np.zeros(1, layout.LEDGER.dtype), np.zeros(1, layout.OPEN.dtype)
        self.ledger["position"], self.ledger["mark_price"] = position, 2001
        self.strategies = no_limits(1)
        self.limit, self.risk = np.zeros(1, layout.LIMIT.dtype), np.zeros(1, layout.RISK.dtype)
        self.limit["max_position"] = self.limit["max_order_qty"] = 10**6
        self.limit["max_order_notional_e8"], self.limit["price_band_ticks"] = 10**16, 1000
        self.risk["max_exposure_e8"], self.risk["max_orders_per_s"], self.risk["order_burst"] = 10**18, 10**6, 10**6
        self.risk["max_open_orders"], self.risk["max_loss_e8"] = 10**6, 10**18
        self.want, self.allowed = np.zeros(1, layout.WANT.dtype), np.zeros(1, layout.ALLOWED.dtype)
        self.now, self.venue_now, self.depth_seq, self.trade_seq = 10**12, 17 * 10**17, 0, 0

    def _take(self, kind: EventKind, ts: int, **fields: int) -> int:
        self.event[:] = 0
        e = self.event[0]
        e["kind"], e["ts_recv"], e["ts_event"] = int(kind), self.now, ts
        for name, value in fields.items():
            e[name] = value
        return int(apply_to_book(self.event, self.book, self.levels))

    def snapshot(self, ts: int | None = None) -> None:
        ts = self.venue_now if ts is None else ts
        self._take(EventKind.SNAPSHOT_BEGIN, ts, seq=self.depth_seq)
        for side, price in ((0, 1000), (1, 1001)):
            self._take(EventKind.DEPTH, ts, seq=self.depth_seq, flags=int(DepthFlag.SNAPSHOT), side=side, price=price, qty=50)
        self._take(EventKind.SNAPSHOT_END, ts, seq=self.depth_seq)

    def depth(self, ts: int | None = None, missing: int = 0) -> int:
        self.depth_seq += 1 + missing
        at = self.venue_now if ts is None else ts
        return self._take(EventKind.DEPTH, at, seq=self.depth_seq, flags=int(DepthFlag.END_OF_BATCH), side=0, price=1000, qty=60)

    def trade(self, ts: int | None = None) -> None:
        self.trade_seq += 1
        self._take(EventKind.TRADE, self.venue_now if ts is None else ts, seq=self.trade_seq, price=1001, qty=1)

    def wait(self, ns: int) -> None:
        self.now += ns
        self.venue_now += ns

    def ask(self, side: Side = Side.BUY, qty: int = 100, market: bool = False) -> tuple[Reject, int]:
        w = self.want[0]
        w["action"], w["side"], w["qty"], w["price"] = int(Action.NEW), int(side), qty, 0 if market else 1001
        w["order_type"] = int(OrderType.MARKET if market else OrderType.LIMIT)
        account = (self.book, self.instruments, self.ledger, self.open, self.limit, self.allowed, self.risk)
        reason = check_want(self.want, 0, *account, *self.strategies, self.now)
        return Reject(int(reason)), int(self.allowed[0]["qty"])


def test_a_quote_is_traded_on_until_its_age_and_not_beyond() -> None:
    desk = Desk()
    desk.snapshot()
    desk.wait(AGE)
    assert desk.ask() == (Reject.NONE, 100)
    desk.wait(1)
    assert desk.ask()[0] == Reject.RISK_STALE_QUOTE
    assert desk.risk[0]["n_vetoes"] == 1
    desk.depth()
    assert desk.ask()[0] == Reject.NONE


def test_without_a_limit_any_age_is_good_and_nothing_is_kept() -> None:
    desk = Desk(age=0)
    desk.snapshot()
    desk.wait(10**15)
    desk.trade()
    hold_books(desk.book, desk.now, True)
    assert desk.ask()[0] == Reject.NONE
    assert [int(desk.book[0][name]) for name in ("good_until", "hold_until", "behind_ts", "behind_since")] == [0, 0, 0, 0]


def test_a_trade_that_the_book_does_not_follow_ends_it_early() -> None:
    desk = Desk()
    desk.snapshot()
    desk.wait(10 * MS)
    desk.trade()
    desk.wait(BEHIND)
    assert desk.ask()[0] == Reject.NONE
    desk.wait(1)
    assert desk.ask()[0] == Reject.RISK_STALE_QUOTE
    desk.depth(desk.venue_now - 600 * MS)  # it moves, but as it was before the trade
    assert desk.ask()[0] == Reject.RISK_STALE_QUOTE
    desk.depth()
    assert desk.ask()[0] == Reject.NONE


def test_a_book_that_keeps_up_with_its_trades_stays_good() -> None:
    desk = Desk()
    desk.snapshot()
    for _ in range(100):
        desk.wait(100 * MS)
        desk.trade()
        desk.wait(1 * MS)
        desk.depth(desk.venue_now - 50 * MS)  # always some way behind, never for long
        assert desk.ask()[0] == Reject.NONE


def test_a_copy_of_what_was_there_makes_nothing_younger() -> None:
    desk = Desk()
    desk.snapshot()
    seen = desk.venue_now
    desk.wait(AGE + 1)
    desk.snapshot(seen)
    assert desk.ask()[0] == Reject.RISK_STALE_QUOTE
    desk.snapshot()
    assert desk.ask()[0] == Reject.NONE


def test_after_a_stall_only_what_comes_later_counts() -> None:
    desk = Desk()
    desk.snapshot()
    desk.now += 20 * 10**9  # SIGSTOP; what waits in the socket is from before
    hold_books(desk.book, desk.now, True)
    for k in range(50):
        desk.depth(desk.venue_now + k)
        assert desk.ask()[0] == Reject.RISK_STALE_QUOTE
    hold_books(desk.book, desk.now, False)
    desk.wait(BEHIND - 1)
    desk.depth()
    assert desk.ask()[0] == Reject.RISK_STALE_QUOTE
    desk.wait(1)
    assert desk.ask()[0] == Reject.RISK_STALE_QUOTE
    desk.depth()
    assert desk.ask()[0] == Reject.NONE


@pytest.mark.parametrize("lost", [False, True], ids=["stale", "no book"])
def test_a_position_can_be_left_at_market_without_a_quote_and_nothing_else_passes(lost: bool) -> None:
    desk = Desk(position=70)
    desk.snapshot()
    desk.wait(AGE + 1)
    if lost:
        assert desk.depth(missing=1) == BOOK_LOST
    refused = Reject.RISK_NO_MARKET if lost else Reject.RISK_STALE_QUOTE
    assert desk.ask(Side.SELL, 70)[0] == refused  # it would be priced on the quote
    assert desk.ask(Side.BUY, 70, market=True)[0] == refused
    assert desk.ask(Side.SELL, 100, market=True) == (Reject.NONE, 70)  # to zero, not past it


class Age:
    """The rule of kernels/market/book.py over a list of what happened, said once more."""

    def __init__(self) -> None:
        self.synced, self.shown, self.renewed, self.held = False, 0, -AGE, 0
        self.trade: tuple[int, int] | None = None

    def fresh(self, now: int) -> bool:
        if not self.synced or now < self.held or self.renewed < self.held:
            return False
        return now - self.renewed <= AGE and (self.trade is None or now - self.trade[1] <= BEHIND)

    def change(self, now: int, ts: int) -> None:
        self.shown = ts
        if now >= self.held:
            self.renewed = now
            if self.trade is not None and ts >= self.trade[0]:
                self.trade = None

    def traded(self, now: int, ts: int) -> None:
        if self.synced and self.trade is None and ts > self.shown:
            self.trade = (ts, now)


def _one(rng: random.Random, desk: Desk, age: Age) -> str:
    """Something happens, to both. What it was."""
    what = rng.choice(("depth", "depth", "depth", "late depth", "trade", "hole", "snapshot", "copy", "stall", "caught up", "quiet"))
    if what in ("depth", "late depth"):
        ts = desk.venue_now - (rng.randrange(900 * MS) if what == "late depth" else 0)
        desk.depth(ts)
        if age.synced:
            age.change(desk.now, ts)
    elif what == "trade":
        ts = desk.venue_now - rng.randrange(100 * MS)
        desk.trade(ts)
        age.traded(desk.now, ts)
    elif what == "hole":
        lost = desk.depth(missing=1) == BOOK_LOST
        assert lost == age.synced
        age.synced = False
    elif what in ("snapshot", "copy"):
        ts = desk.venue_now if what == "snapshot" else age.shown
        desk.snapshot(ts)
        age.synced = True
        if ts > age.shown:
            age.change(desk.now, ts)
    elif what in ("stall", "caught up"):
        hold_books(desk.book, desk.now, what == "stall")
        age.held = 2**62 if what == "stall" else desk.now + BEHIND
        age.renewed = -AGE - 1
    return what


@pytest.mark.parametrize("seed", range(20))
def test_no_order_passes_on_a_book_older_than_the_limit_or_after_a_missed_event(seed: int) -> None:
    rng, desk, age = random.Random(seed), Desk(), Age()
    counted: dict[Any, int] = {}
    for _ in range(1500):
        desk.wait(rng.choice((0, 1, 50 * MS, 150 * MS, rng.randrange(2 * AGE) if rng.random() < 0.1 else 20 * MS)))
        what = _one(rng, desk, age)
        expected = Reject.NONE if age.fresh(desk.now) else Reject.RISK_STALE_QUOTE if age.synced else Reject.RISK_NO_MARKET
        assert desk.ask()[0] == expected, what
        assert bool(stale(desk.book[0], desk.now)) == (expected == Reject.RISK_STALE_QUOTE) or desk.book[0]["sync"] != Sync.SYNCED
        counted[expected] = counted.get(expected, 0) + 1
    assert all(counted.get(reason, 0) > 50 for reason in (Reject.NONE, Reject.RISK_STALE_QUOTE, Reject.RISK_NO_MARKET)), counted
