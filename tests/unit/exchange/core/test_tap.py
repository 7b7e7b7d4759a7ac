"""The drop copy: a book and accounts rebuilt from it equal the venue's; it is the same bytes for the same seed; a full ring is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hftkit.codes import MessageType
from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.core.layout import BalanceKind, ExecutionKind, TapKind
from hftkit.exchange.core.tap import Batch, Tap, new_tap
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.testing import CANCEL_ALL, CANCEL_ORDER, CONDITIONAL_ORDER, NEW_ORDER, REPLACE_ORDER, FollowerBook, parse
from hftkit.exchange.trading.orders import open_books, run_flow
from hftkit.exchange.venue import Exchange, new_venue
from hftkit.kernels.jit import compiled_driver, kernel
from hftkit.layout import FRAME
from tests.unit.exchange.hand import SECOND, Hand

CLIENTS = 4
DEPTH, TRADE, BBO = (int(MessageType[name]) for name in ("DEPTH", "TRADE", "BBO"))


@kernel
def flow_driver(venue: Any, flow: Any, until: int, limit: int) -> int:
    """The synthetic market, as one entry from Python."""
    return run_flow(venue, flow, until, limit)


def market(seed: int, arrivals: int, n_words: int | None = None) -> tuple[Exchange, np.ndarray, SimConfig]:
    """A venue with its synthetic market after so many arrivals, and everything its drop copy said."""
    config = load_config()
    flow, books = new_market(config, seed)
    venue = new_venue(config, books)
    if n_words is not None:
        venue = venue._replace(tap=new_tap(n_words))
    tap = Tap(venue.tap)
    tap.open()
    run = compiled_driver(flow_driver, venue, flow, 0, 0)
    compiled_driver(open_books, venue, flow, 0)(venue, flow, config.start_ns)
    words = [tap.drain()]
    for _ in range(arrivals // 500):
        assert run(venue, flow, 2**62, 500) == 500
        words.append(tap.drain())
    return venue, np.concatenate(words), config


def levels_of(venue: Exchange, instrument: int) -> tuple[dict[int, int], dict[int, int]]:
    """The venue's own levels, from its order queues."""
    books = venue.books
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for index in books.levels[instrument]["head"].nonzero()[0]:
        level = books.levels[instrument][index]
        sides[int(books.orders[level["head"]]["side"])][int(books.tops[instrument]["base"] + index)] = int(level["qty"])
    return sides


def test_a_follower_of_the_drop_copy_holds_the_venues_books() -> None:
    venue, words, config = market(7, 20_000)
    messages, rest = parse(words.tobytes())  # the plain client's own decoder
    assert rest == b""
    books = [FollowerBook(seq=0, whole=True) for _ in config.instruments]
    quotes: dict[int, tuple[int, ...]] = {}
    for message in messages:
        if message.name == "DEPTH":
            books[message.instrument].apply(message)
        elif message.name == "BBO":
            book = books[message.instrument]
            assert book.whole
            quotes[message.instrument] = (message.bid_price, message.bid_qty, message.ask_price, message.ask_qty)
            assert (max(book.levels[0], default=0), min(book.levels[1], default=0)) == (message.bid_price, message.ask_price)
    assert sum(message.name == "TRADE" for message in messages) == venue.books.counters[0]["n_trades"] > 500
    for i, book in enumerate(books):
        assert book.levels == levels_of(venue, i)
        assert book.seq == venue.sequences[i, 2]
        assert quotes[i] == tuple(venue.quotes[i].tolist())


def test_same_seed_same_bytes() -> None:
    first, again, other = market(3, 3000)[1], market(3, 3000)[1], market(4, 3000)[1]
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_a_full_ring_is_told_and_nobody_waits() -> None:
    venue, words, _ = market(7, 20_000, 4096)
    unbothered, everything, _ = market(7, 20_000)
    assert venue.books.counters.tobytes() == unbothered.books.counters.tobytes()
    lost, batch, whole = int(venue.tap.state[0]["n_lost"]), Batch(words), Batch(everything)
    assert lost > 0
    told = batch.n_lost
    assert told + int(venue.tap.state[0]["n_missing"]) == lost
    assert batch.kinds.size - (batch.kinds == int(TapKind.LOST)).sum() == whole.kinds.size - lost


def test_nothing_is_written_while_it_is_off() -> None:
    hand = Hand()
    hand.at(0)
    hand.send(hand.enter(1), NEW_ORDER, 1, 0, 0, 0, 0, 9_000, 10, instrument=0)
    assert hand.venue.tap.state[0]["head"] == 0
    assert Tap(hand.venue.tap).drain().size == 0


class Follower:
    """Accounts and open orders kept from the drop copy alone."""

    def __init__(self, venue: Exchange) -> None:
        self.wallet = {i: int(wallet) for i, wallet in enumerate(venue.accounts["wallet_e8"])}
        self.position: dict[tuple[int, int], int] = {}
        self.realised: dict[tuple[int, int], int] = {}
        self.fees: dict[tuple[int, int], int] = {}
        self.open: dict[int, int] = {}
        self.seq, self.counts = 0, {kind: 0 for kind in ExecutionKind}
        self.balances = {kind: 0 for kind in BalanceKind}

    def feed(self, batch: Batch) -> None:
        rows = [*batch.executions(), *batch.balances()]
        for row in sorted(rows, key=lambda row: int(row["seq"])):
            self.seq += 1
            assert row["seq"] == self.seq
            if "order_id" in row.dtype.names:
                self.execution(row)
            else:
                self.balance(row)

    def execution(self, row: Any) -> None:
        account, place, kind = int(row["account"]), (int(row["account"]), int(row["instrument"])), ExecutionKind(int(row["kind"]))
        self.counts[kind] += 1
        order = int(row["order_id"])
        if kind == ExecutionKind.TRADE:
            self.wallet[account] += int(row["realised_e8"]) - int(row["fee_e8"])
            self.realised[place] = self.realised.get(place, 0) + int(row["realised_e8"])
            self.fees[place] = self.fees.get(place, 0) + int(row["fee_e8"])
            self.position[place] = self.position.get(place, 0) + int(row["last_qty"]) * (1 - 2 * int(row["side"]))
        if kind in (ExecutionKind.NEW, ExecutionKind.REPLACED):
            assert row["order_type"] >= 0
            assert row["qty"] == row["filled"] + row["leaves"]
            assert (order in self.open) == (kind == ExecutionKind.REPLACED)
        if kind in (ExecutionKind.TRADE, ExecutionKind.CANCELED):
            assert order in self.open
        if row["leaves"]:
            self.open[order] = int(row["leaves"])
        else:
            self.open.pop(order, None)
        self.check(row)

    def balance(self, row: Any) -> None:
        self.balances[BalanceKind(int(row["kind"]))] += 1
        if row["account"] < 0:
            return
        self.wallet[int(row["account"])] += int(row["amount_e8"])
        if row["moved"]:
            self.position[int(row["account"]), int(row["instrument"])] += int(row["moved"])
        self.check(row)

    def check(self, row: Any) -> None:
        """The account as the record tells it is the account as the records before it make it."""
        assert row["wallet_e8"] == self.wallet[int(row["account"])]
        if 0 <= row["instrument"] < 2:
            assert row["position"] == self.position.get((int(row["account"]), int(row["instrument"])), 0)


RULES = {
    "initial_balance": "3000",
    "insurance_fund": "50",
    "leverage": 50,
    "maintenance_margin_ppm": 15_000,
    "funding_interval_minutes": 1,
    "funding_rate_ppm": 137,
    "max_open_orders": 20,
}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_sum_of_what_it_tells_is_the_accounts(seed: int) -> None:
    rng, hand = np.random.default_rng(seed), Hand(**RULES)
    venue, tap = hand.venue, Tap(hand.venue.tap)
    tap.open()
    hand.at(0)
    follower = Follower(venue)
    tap.consumers.append(follower.feed)
    clients = [hand.enter(i + 1) for i in range(CLIENTS)]
    first = int(venue.clients[clients[0]]["account"])
    next_id = 1
    for step in range(1500):
        client, price = clients[rng.integers(CLIENTS)], int(10_000 + rng.integers(-60, 60) + 90 * np.sin(step / 100))
        kind, side, qty = rng.integers(10), int(rng.integers(2)), int(rng.integers(1, 400)) * 10
        if kind < 7:
            hand.send(client, NEW_ORDER, next_id, side, 0, int(rng.integers(3)), int(rng.choice([0, 0, 1, 2, 4, 8])), price, qty, instrument=0)
        elif kind == 7:
            known = max(1, next_id - int(rng.integers(1, 20)))
            hand.send(client, REPLACE_ORDER, known, price, qty, instrument=0)
        elif kind == 8:
            trigger = price + 30 - 60 * side
            hand.send(client, CONDITIONAL_ORDER, next_id, side, 2, 0, 0, 0, qty, trigger, 0, instrument=0)
        elif rng.random() < 0.1:
            hand.send(client, CANCEL_ALL, instrument=0)
        else:
            hand.send(client, CANCEL_ORDER, max(1, next_id - int(rng.integers(1, 20))), instrument=0)
        next_id += 1
        hand.at(step * SECOND // 4)
        for other in clients:
            hand.drain(other)
        tap.pump()
    for account in range(first, first + CLIENTS):
        assert follower.wallet[account] == venue.accounts[account]["wallet_e8"]
        for i in range(2):
            holding = venue.holdings[account, i]
            assert follower.position.get((account, i), 0) == holding["position"]
            assert follower.fees.get((account, i), 0) == holding["fees_e8"]
    still_open = {int(o["order_id"]): int(o["leaves"]) for o in venue.books.orders if o["leaves"] and o["account"] >= first}
    assert follower.open == still_open
    wanted = (ExecutionKind.NEW, ExecutionKind.TRADE, ExecutionKind.CANCELED, ExecutionKind.REPLACED, ExecutionKind.REJECTED, ExecutionKind.TRIGGERED)
    assert all(follower.counts[kind] > 0 for kind in wanted), follower.counts
    assert follower.balances[BalanceKind.FUNDING_RATE] > 0
    assert follower.balances[BalanceKind.FUNDING] > 0


def test_a_liquidation_is_told_from_its_beginning() -> None:
    hand = Hand(initial_balance="100", leverage=50, maintenance_margin_ppm=15_000)
    venue, tap = hand.venue, Tap(hand.venue.tap)
    tap.open()
    hand.at(0)
    follower = Follower(venue)
    seller, poor = hand.enter(1), hand.enter(2)
    account = int(venue.clients[poor]["account"])
    hand.send(seller, NEW_ORDER, 1, 1, 0, 0, 0, 10_000, 300, instrument=0)
    hand.send(poor, NEW_ORDER, 2, 0, 0, 0, 0, 10_000, 300, instrument=0)
    hand.send(poor, NEW_ORDER, 3, 0, 0, 0, 0, 9_000, 100, instrument=0)
    hand.send(seller, NEW_ORDER, 4, 0, 0, 0, 0, 9_990, 100, instrument=0)  # a buyer for a third of it
    follower.feed(Batch(tap.drain()))
    venue.accounts["wallet_e8"][account] = follower.wallet[account] = 10**6  # a loss elsewhere
    hand.at(10 * SECOND)
    batch = Batch(tap.drain())
    closing = batch.executions()
    assert batch.balances()["kind"].tolist() == [BalanceKind.LIQUIDATION, BalanceKind.TAKEN_OVER, BalanceKind.INSURED]
    of_poor = closing[closing["account"] == account]
    assert of_poor["kind"].tolist() == [ExecutionKind.CANCELED, ExecutionKind.NEW, ExecutionKind.TRADE, ExecutionKind.CANCELED]
    assert of_poor["client_order_id"][0] == 3
    assert (of_poor["client_order_id"][1:] < 0).all()
    follower.feed(batch)
    assert follower.wallet[account] == venue.accounts["wallet_e8"][account] == 0
    assert follower.position[account, 0] == venue.holdings[account, 0]["position"] == 0


def test_frames_of_one_kind_are_found() -> None:
    batch = Batch(market(5, 1000)[1])
    depth, trades = batch.frames(DEPTH, FRAME[MessageType.DEPTH].words), batch.frames(TRADE, FRAME[MessageType.TRADE].words)
    assert depth.shape[0] == (batch.kinds == DEPTH).sum()
    assert depth.shape[1] == 7
    assert (trades[:, 3] == np.arange(1, trades.shape[0] + 1)).all()
