"""What cannot be read is a hole: the book is empty at once, a snapshot mends it, the scales are doubted, and requests do not flood the venue."""

from __future__ import annotations

from typing import Any

import pytest

from hftkit.binance.line import Kind, Trades
from hftkit.codes import MessageType
from hftkit.kernels.wire.binance import state as words_of
from hftkit.kernels.wire.binance.state import Request
from tests.unit.kernels.binance_messages import MS, Hand, Replica, agg_trade, depth, snapshot, text, ticker

S = 1_000_000_000
BIDS, ASKS = [("64000.00", "1")], [("64000.50", "1")]


class Feed:
    """A line whose book is whole, the engine's replica behind it, and a stream of update ids."""

    def __init__(self, **options: Any) -> None:
        self.hand, self.replica, self.id = Hand(**options), Replica(), 100
        self.mend()

    def take(self, message: Any, kind: Kind = Kind.MARKET) -> None:
        self.replica.take(self.hand.give_bytes(text(message), kind))

    def event(self, bids: Any = (("64000.00", "2"),), asks: Any = (), **changes: Any) -> None:
        self.id += 1
        self.take({**depth(self.id, self.id, self.id - 1, bids, asks), **changes})

    def mend(self) -> None:
        """A snapshot of now, and the event after it."""
        self.take(depth(self.id, self.id, self.id - 1, [], []))
        self.take(snapshot(self.id, BIDS, ASKS), Kind.REST_DEPTH)
        self.event()
        self.hand.requests()

    def asked(self) -> list[Request]:
        return [Request(request[0]) for request in self.hand.requests()]


UNREADABLE: dict[str, dict[str, Any]] = {
    "no whole tick": {"b": [["63999.95", "1"]]},
    "no whole lot": {"b": [["63999.90", "0.0005"]]},
    "beyond an integer": {"a": [["9" * 30, "1"]]},
    "negative": {"a": [["-64001.00", "1"]]},
    "a level of another form": {"a": [["64001.00"]]},
    "no levels": {"a": None},
    "ids that cannot be": {"U": 500, "u": 400},
    "no time": {"T": "yesterday"},
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_event_that_cannot_be_read_empties_the_book_at_once(name: str) -> None:
    feed = Feed()
    assert feed.replica.is_synced()
    feed.event(**UNREADABLE[name])
    assert not feed.replica.is_synced()
    assert feed.replica.sides() == ({}, {})
    assert feed.hand.count("books_lost") == 1
    feed.event()  # a good one does not bring it back: what the hole said is not known
    assert not feed.replica.is_synced()
    assert feed.asked() == [Request.SNAPSHOT]
    feed.mend()
    assert feed.replica.is_synced()
    assert not [frame for frame in feed.hand.give({**ticker(900), "b": "1.234"}) if frame.type == MessageType.SNAPSHOT_BEGIN]


def test_holes_without_end_are_asked_about_ever_less_often_and_the_scales_are_doubted() -> None:
    feed = Feed()
    asked: list[Request] = []
    for _ in range(600):  # a minute of a stream that cannot be read, each snapshot answered at once
        feed.event(**UNREADABLE["no whole tick"])
        assert not feed.replica.is_synced()
        feed.hand.now += 99_000_000
        new = feed.asked()
        if Request.SNAPSHOT in new:
            feed.take(snapshot(feed.id, BIDS, ASKS), Kind.REST_DEPTH)
            assert not feed.replica.is_synced()
        asked += new
    assert 4 <= asked.count(Request.SNAPSHOT) <= 8
    assert 3 <= asked.count(Request.INSTRUMENTS) <= 12
    feed.hand.now += 130 * S
    feed.mend()
    feed.mend()
    assert feed.replica.is_synced()
    feed.hand.requests()
    feed.event(**UNREADABLE["no whole tick"])  # long afterwards: a first one again
    assert feed.asked() == [Request.SNAPSHOT]


def test_a_snapshot_that_cannot_be_read_doubts_the_scales() -> None:
    feed = Feed()
    feed.event(**UNREADABLE["no whole tick"])
    assert feed.asked() == [Request.SNAPSHOT]
    feed.take(snapshot(feed.id, [("64000.05", "1")], ASKS), Kind.REST_DEPTH)
    assert feed.asked() == [Request.INSTRUMENTS]
    assert not feed.replica.is_synced()


def test_a_trade_at_no_whole_tick_doubts_the_scales_and_another_symbols_hole_is_its_own() -> None:
    feed = Feed(trades=Trades.AGG_TRADE)
    feed.take({**agg_trade(), "p": "64000.123"})
    assert feed.asked() == [Request.INSTRUMENTS]
    feed.take({**depth(5, 5, 4, [["1.00001", "1"]], []), "s": "ETHUSDT"})
    assert feed.replica.is_synced()


def test_a_quote_that_cannot_be_read_empties_a_book_made_of_quotes() -> None:
    hand, replica = Hand(depth=False), Replica()
    replica.take(hand.give_bytes(text(ticker(300))))
    assert replica.is_synced()
    replica.take(hand.give_bytes(text({**ticker(301), "b": "64000.123"})))
    assert not replica.is_synced()
    replica.take(hand.give_bytes(text(ticker(302))))
    assert replica.is_synced()


def test_an_event_that_comes_too_late_is_taken_and_not_shown() -> None:
    feed = Feed()
    state = feed.hand.line.state
    feed.event(E=MS, T=MS)
    assert feed.replica.is_synced(), "how late is not known without the venue's clock"
    state[words_of.MAX_LATE] = 2 * S
    state[words_of.VENUE_OFFSET] = MS * 1_000_000 - feed.hand.now
    feed.event(E=MS - 1990, T=MS - 1990)
    assert feed.replica.is_synced()
    feed.event(E=MS - 2100, T=MS - 2100)
    assert not feed.replica.is_synced()
    feed.event(bids=(("63999.90", "7"),), E=MS, T=MS)  # in time again: the book is whole, with all that came late
    assert feed.replica.is_synced()
    assert feed.replica.sides()[0] == {640000: 2000, 639999: 7000}
    assert (feed.hand.count("late"), feed.asked()) == (1, [])
