"""Whatever is dropped, repeated, reordered or late: the engine's book is the venue's at some update id, or it is empty.

A venue with one update id for book, bookTicker and snapshots is played through two connections with different batches. Each delivery goes through the
line into the engine's own replica, and the replica is compared with the venue's history.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from hftkit.binance.line import Kind
from tests.unit.kernels.binance_messages import Hand, Replica, depth, snapshot, text, ticker

Sides = tuple[dict[int, int], dict[int, int]]


def price(ticks: int) -> str:
    return str(Decimal(ticks).scaleb(-1))


def lots(n: int) -> str:
    return str(Decimal(n).scaleb(-3))


class Venue:
    """A book that changes, with its whole history by update id."""

    def __init__(self, rng: random.Random, crossing: bool = False) -> None:
        self.rng, self.crossing = rng, crossing
        self.id = 1000
        self.book: Sides = ({9990 - k: 5 for k in range(12)}, {10010 + k: 5 for k in range(12)})
        self.history: dict[int, Sides] = {}
        self.changes: list[tuple[int, int, int, int]] = []
        self.keep()

    def keep(self) -> None:
        self.history[self.id] = (dict(self.book[0]), dict(self.book[1]))

    def change(self) -> None:
        """One to three levels change under one new id."""
        rng = self.rng
        self.id += rng.choice((1, 1, 2, 7))
        for _ in range(rng.randint(1, 3)):
            side = rng.randrange(2)
            bids, asks = self.book
            qty = rng.choice((0, 0, rng.randint(1, 9)))
            if side == 0:
                at = rng.randint(9960, min(asks, default=10040) - (0 if self.crossing and rng.random() < 0.1 else 1))
            else:
                at = rng.randint(max(bids, default=9960) + (0 if self.crossing and rng.random() < 0.1 else 1), 10040)
            if qty:
                self.book[side][at] = qty
            else:
                self.book[side].pop(at, None)
            self.changes.append((self.id, side, at, qty))
        self.keep()

    def event(self, after: int) -> dict[str, Any] | None:
        """The diff of (after, now], as a stream whose last event ended at `after` sends it."""
        new = [change for change in self.changes if change[0] > after]
        if not new:
            return None
        touched = sorted({(side, at) for _, side, at, _ in new})
        levels = [[(price(at), lots(self.book[s].get(at, 0))) for s, at in touched if s == side] for side in (0, 1)]
        return depth(new[0][0], new[-1][0], after, levels[0], levels[1])

    def snapshot(self, update_id: int) -> dict[str, Any]:
        bids, asks = self.history[update_id]
        rows = sorted(bids.items(), reverse=True), sorted(asks.items())
        return snapshot(update_id, *([(price(p), lots(q)) for p, q in side] for side in rows))

    def ticker(self) -> dict[str, Any]:
        bids, asks = self.book
        b, a = max(bids, default=0), min(asks, default=0)
        return ticker(self.id, price(b), price(a), bq=lots(bids.get(b, 0)), aq=lots(asks.get(a, 0)))


def shown(truth: Sides, line: Any) -> Sides:
    """The book that the engine should hold: the truth, with a newer bookTicker over it (said once more, plainly)."""
    y = line.sync[0]
    if y["ticker_id"] <= y["update_id"]:
        return truth
    b, bq, a, aq = (int(y[name]) for name in ("ticker_bid", "ticker_bid_qty", "ticker_ask", "ticker_ask_qty"))
    bids = {p: q for p, q in truth[0].items() if p < b} | ({b: bq} if b else {})
    asks = {p: q for p, q in truth[1].items() if p > a > 0} | ({a: aq} if a else {})
    return bids, asks


class Play:
    """Deliveries in a hostile order, and what must hold after each."""

    def __init__(self, seed: int, *, tickers: bool, crossing: bool) -> None:
        self.rng = random.Random(seed)
        self.venue, self.hand, self.replica = Venue(self.rng, crossing), Hand(), Replica()
        self.tickers = tickers
        self.sent = [self.venue.id, self.venue.id]  # last id of each connection
        self.flying: list[tuple[bytes, Kind]] = []
        self.synced = self.empty = self.over = 0

    def deliver(self, payload: bytes, kind: Kind) -> None:
        self.replica.take(self.hand.give_bytes(payload, kind))
        self.check()

    def check(self) -> None:
        line, replica = self.hand.line, self.replica
        if not replica.is_synced():
            assert replica.sides() == ({}, {})
            assert replica.book[0]["best_bid"] == replica.book[0]["best_ask"] == 0
            self.empty += 1
            return
        y = line.sync[0]
        truth = self.venue.history[int(y["update_id"])]
        bids, asks = replica.sides()
        assert not bids or not asks or max(bids) < min(asks)
        is_over = y["ticker_id"] > y["update_id"]
        want = shown(truth, line)
        if (bids, asks) != want:
            assert is_over, "a bookTicker that would change too many levels is left"
            assert (bids, asks) == truth
            n_better = sum(p > y["ticker_bid"] for p in truth[0]) + sum(p < y["ticker_ask"] or y["ticker_ask"] == 0 for p in truth[1])
            assert n_better > 20
        elif is_over:
            newer = self.venue.history[int(y["ticker_id"])]
            assert (max(bids, default=0), min(asks, default=0)) == (max(newer[0], default=0), min(newer[1], default=0))
            self.over += 1
        self.synced += 1

    def some_messages(self) -> None:
        rng = self.rng
        for _ in range(rng.randint(1, 6)):
            self.venue.change()
            if self.tickers and rng.random() < 0.5:
                self.flying.append((text(self.venue.ticker()), Kind.MARKET))
        for i in range(2):
            event = self.venue.event(self.sent[i]) if rng.random() < 0.7 else None
            if event:
                self.sent[i] = event["u"]
                if rng.random() > 0.05 and (i == 0 or rng.random() < 0.3):
                    self.flying.append((text(event), Kind.MARKET))
        for request in self.hand.requests():
            assert request[:2] == [1, 0]
            if rng.random() < 0.8:  # a snapshot of now, or a stale one
                past = [update_id for update_id in self.venue.history if update_id > self.venue.id - rng.choice((1, 60))]
                self.flying.append((text(self.venue.snapshot(rng.choice(past))), Kind.REST_DEPTH))

    def go_on(self) -> None:
        rng = self.rng
        self.some_messages()
        while self.flying and rng.random() < 0.85:
            at = 0 if rng.random() < 0.9 else rng.randrange(len(self.flying))
            payload, kind = self.flying[at]
            if rng.random() > 0.05:
                del self.flying[at]
            self.deliver(payload, kind)
        if rng.random() < 0.005:
            self.replica.take(self.hand.give_bytes(b"", Kind.LINE_DOWN, Kind.MARKET))
            assert not self.replica.is_synced()

    def come_to_rest(self) -> None:
        """With everything delivered in order, the book becomes the venue's."""
        self.flying.clear()
        self.venue.crossing = False
        self.venue.book = ({9990: 1}, {10010: 1})
        self.venue.changes.extend((self.venue.id + 1, side, at, self.venue.book[side].get(at, 0)) for side in (0, 1) for at in range(9900, 10100))
        self.venue.id += 1
        self.venue.keep()
        for _ in range(3):
            self.venue.change()
            event = self.venue.event(self.sent[0])
            assert event
            self.sent[0] = event["u"]
            self.hand.now += 10**10
            self.deliver(text(event), Kind.MARKET)
            for _ in self.hand.requests():
                self.deliver(text(self.venue.snapshot(self.venue.id)), Kind.REST_DEPTH)
        assert self.replica.is_synced()
        assert self.replica.sides() == self.venue.book


@pytest.mark.parametrize("tickers", [False, True], ids=["depth alone", "with bookTicker"])
@pytest.mark.parametrize("crossing", [False, True], ids=["orderly", "crossed at times"])
def test_the_engines_book_is_the_venues_or_empty(tickers: bool, crossing: bool) -> None:
    totals = [0, 0, 0]
    counted = dict.fromkeys(("depth_gaps", "depth_stale", "snapshots_old", "depth_buffer_cleared", "crossed"), 0)
    for seed in range(40):
        play = Play(seed, tickers=tickers, crossing=crossing)
        for _ in range(150):
            play.go_on()
        play.come_to_rest()
        totals = [a + b for a, b in zip(totals, (play.synced, play.empty, play.over), strict=True)]
        for name in counted:
            counted[name] += play.hand.count(name)
    assert totals[0] > 1_000
    assert totals[1] > 1_000
    assert not tickers or totals[2] > 100
    assert all(count > 0 for name, count in counted.items() if name != "crossed" or crossing), counted
