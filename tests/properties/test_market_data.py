"""Followers of the feed against the venue's own books: from the start, joined in the middle, dropped to a snapshot, several symbols, deep books."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from hftkit.exchange.core.layout import Port
from hftkit.exchange.testing import CANCEL_ALL, CANCEL_ORDER, MASS_QUOTE, NEW_ORDER, REPLACE_ORDER, SUBSCRIBE, FollowerBook, Message, frame
from hftkit.exchange.venue import SNAPSHOT_LEVELS
from tests.unit.exchange.hand import Hand

N = 2  # symbols
Levels = tuple[dict[int, int], dict[int, int]]


def venue_levels(hand: Hand, instrument: int) -> Levels:
    """The venue's own book, from its orders."""
    books, sides = hand.venue.books, ({}, {})
    for index in books.levels[instrument]["head"].nonzero()[0]:
        level = books.levels[instrument][index]
        sides[int(books.orders[level["head"]]["side"])][int(books.tops[instrument]["base"] + index)] = int(level["qty"])
    return sides


def best_of(levels: Levels) -> tuple[int, int, int, int]:
    bid, ask = max(levels[0], default=0), min(levels[1], default=0)
    return bid, levels[0].get(bid, 0), ask, levels[1].get(ask, 0)


@dataclass
class Follower:
    """Everything a client knows from the feed, and the promises of docs/protocol.md checked as it reads."""

    hand: Hand
    index: int
    lossless: bool  # it reads often enough to miss nothing
    books: list[FollowerBook] = field(default_factory=lambda: [FollowerBook() for _ in range(N)])
    quotes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    last: dict[tuple[str, int], int] = field(default_factory=dict)
    status: dict[int, int] = field(default_factory=dict)
    snapshots: int = 0
    missed: int = 0
    pending_trades: dict[tuple[int, int, int], int] = field(default_factory=dict)  # (instrument, side, price): lots not yet taken off a level

    def read(self) -> None:
        for message in self.hand.take(self.index):
            self.hear(message)

    def hear(self, m: Message) -> None:
        if m.name in ("BBO", "TRADE"):
            last = self.last.get((m.name, m.instrument))
            if last is not None and m.seq != last + 1:
                assert not self.lossless
                assert m.seq > last or (m.name == "BBO" and m.seq == last)
                self.missed += 1
            self.last[m.name, m.instrument] = m.seq
        if m.name == "BBO":
            self.quotes[m.instrument] = (m.bid_price, m.bid_qty, m.ask_price, m.ask_qty)
            if self.lossless and self.books[m.instrument].whole:
                assert self.quotes[m.instrument] == best_of(self.books[m.instrument].levels)
        elif m.name == "TRADE":
            key = (m.instrument, 1 - m.side, m.price)
            self.pending_trades[key] = self.pending_trades.get(key, 0) + m.qty
        elif m.name == "MARKET_STATUS":
            self.status[m.instrument] = m.open
        elif m.name != "INSTRUMENT":
            if self.lossless and m.name == "DEPTH" and not self.books[m.instrument].loading:
                self.level(m)
            if m.name == "SNAPSHOT_BEGIN":
                self.snapshots += 1
                self.pending_trades = {key: qty for key, qty in self.pending_trades.items() if key[0] != m.instrument}
            self.books[m.instrument].apply(m)

    def level(self, m: Message) -> None:
        """A trade is told before the level that it changes: what was traded at a price comes off with the next change of that level."""
        traded = self.pending_trades.pop((m.instrument, m.side, m.price), 0)
        if traded:
            assert self.books[m.instrument].levels[m.side].get(m.price, 0) - m.qty >= traded

    def knows_everything(self) -> None:
        for i, book in enumerate(self.books):
            assert book.levels == venue_levels(self.hand, i)
            assert book.whole
            assert self.quotes[i] == best_of(book.levels)
            assert self.status[i] == self.hand.venue.limits[i]["open"]
        assert not self.lossless or not self.pending_trades


def join(hand: Hand, lossless: bool) -> Follower:
    follower = Follower(hand, hand.connect(Port.MARKET_DATA), lossless)
    hand.give(follower.index, frame(SUBSCRIBE, 1, 7))
    return follower


def trade_at_random(hand: Hand, rng: np.random.Generator, index: int, n: int, next_id: int) -> int:
    """`n` requests of one client. Returns the next free order id."""
    for _ in range(n):
        instrument, kind = int(rng.integers(N)), rng.random()
        price = (10_000, 100)[instrument] + int(rng.integers(-40, 41))
        some = next_id - int(rng.integers(1, 60))
        if kind < 0.6:
            hand.send(
                index, NEW_ORDER, next_id, int(rng.integers(2)), 0, int(rng.integers(2)), 0, price, int(rng.integers(100, 900)), instrument=instrument
            )
        elif kind < 0.75:
            hand.send(index, CANCEL_ORDER, some, instrument=instrument)
        elif kind < 0.88:
            hand.send(index, REPLACE_ORDER, some, price, int(rng.integers(100, 900)), instrument=instrument)
        elif kind < 0.99:
            hand.send(index, MASS_QUOTE, next_id, next_id + 1, price - 3, 300, price + 3, 300, instrument=instrument)
        else:
            hand.send(index, CANCEL_ALL, instrument=instrument)
        next_id += 2
    return next_id


@pytest.mark.parametrize("seed", range(3))
def test_every_follower_has_the_venues_book(seed: int) -> None:
    hand, rng = Hand(max_orders=4096, max_open_orders=400, initial_balance="10000000"), np.random.default_rng(seed)
    hand.at(0)
    traders = [hand.enter(1 + i) for i in range(3)]
    early, slow = join(hand, True), join(hand, False)
    followers, next_id = [early, slow], 100
    for turn in range(60):
        next_id = trade_at_random(hand, rng, traders[turn % 3], 25, next_id)
        hand.refill(early.index)
        early.read()
        if turn == 20:
            followers.append(join(hand, True))
        if turn == 30:
            hand.halt(1, 0)
        if len(followers) > 2:
            hand.refill(followers[2].index)
            followers[2].read()
    for follower in followers:
        for _ in range(4):
            hand.refill(follower.index)
            follower.read()
        follower.knows_everything()
    assert hand.venue.sequences[:, 1].min() > 20  # trades in both
    assert (slow.snapshots, early.snapshots) == (N, N)


def test_a_slow_follower_is_owed_what_it_missed() -> None:
    """Its buffer full, it misses quotes, levels, a halt; it reads, and has the present state of each; others have lost nothing."""
    hand, rng = Hand(max_orders=4096, max_open_orders=400), np.random.default_rng(9)
    hand.at(0)
    traders = [hand.enter(1 + i) for i in range(2)]
    quick, slow, quotes_only = join(hand, True), join(hand, False), Follower(hand, hand.connect(Port.MARKET_DATA), False)
    hand.give(quotes_only.index, frame(SUBSCRIBE, 1, 1))
    for follower in (quick, slow):
        hand.refill(follower.index)
        follower.read()
    next_id = 100
    for turn in range(160):
        next_id = trade_at_random(hand, rng, traders[turn % 2], 25, next_id)
        quick.read()
    assert hand.venue.clients[slow.index]["n_dropped"] >= 1
    assert hand.venue.clients[slow.index]["out_end"] <= hand.venue.send_buffers.shape[1] * 8
    hand.halt(0, 0)
    quick.read()
    for _ in range(8):
        for follower in (slow, quotes_only):
            hand.refill(follower.index)
            follower.read()
    for follower in (quick, slow):
        follower.knows_everything()
    assert slow.missed > 0
    assert quotes_only.quotes == {i: best_of(venue_levels(hand, i)) for i in range(N)}
    assert hand.venue.clients[slow.index]["n_pending"] == 0
    next_id = trade_at_random(hand, rng, traders[0], 100, next_id)
    hand.send(slow.index, SUBSCRIBE, 0)  # and what nobody wants any more is not owed
    assert hand.venue.clients[slow.index]["n_pending"] == 0


def test_a_book_deeper_than_a_snapshot_is_known_as_far_as_the_snapshot_goes() -> None:
    hand = Hand(max_orders=4096, max_open_orders=1500)
    hand.at(0)
    trader, early = hand.enter(1), join(hand, True)
    hand.refill(early.index)
    early.read()
    for i in range(SNAPSHOT_LEVELS + 100):
        hand.send(trader, NEW_ORDER, 1 + i, 0, 0, 0, 0, 9_000 - i, 200, instrument=0)
        early.read()
    late = join(hand, True)
    hand.refill(late.index)
    late.read()
    whole = venue_levels(hand, 0)
    assert early.books[0].levels == whole
    known = sorted(whole[0], reverse=True)[:SNAPSHOT_LEVELS]
    assert late.books[0].levels == ({price: whole[0][price] for price in known}, whole[1])
    for i in range(50):  # changes of the best are followed, and so is a deep level once it changes
        hand.send(trader, CANCEL_ORDER, 1 + i, instrument=0)
    hand.send(trader, CANCEL_ORDER, SNAPSHOT_LEVELS + 90, instrument=0)
    early.read()
    late.read()
    whole = venue_levels(hand, 0)
    assert early.books[0].levels == whole
    gone = [price for price in known if price not in whole[0]]
    assert late.books[0].levels[0] == {price: whole[0][price] for price in known if price not in gone}
