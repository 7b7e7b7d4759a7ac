"""Money is conserved to the last unit, whatever clients do, and every account is what its books in exact fractions say.

Trades, fees, rebates, funding of both signs, cross and isolated liquidation, the insurance fund: each must have happened.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hftkit.codes import OrderFlag, Reject
from hftkit.exchange.core.layout import WAITING, BalanceKind, ExecutionKind
from hftkit.exchange.core.tap import Batch, Tap
from hftkit.exchange.testing import ACCOUNT_QUERY, CANCEL_ALL, CONDITIONAL_ORDER, MASS_QUOTE, NEW_ORDER, REPLACE_ORDER
from hftkit.exchange.venue import Exchange
from tests.properties.plain_accounts import PlainAccount, Rules
from tests.unit.exchange.hand import SECOND, Hand

CLIENTS = 4
FIRST = 2  # record of the first client's account
MIDDLE = (10_000, 100)
RULES = {
    "initial_balance": "3000",
    "insurance_fund": "50",
    "leverage": 50,
    "maintenance_margin_ppm": 15_000,
    "funding_interval_minutes": 1,
    "funding_rate_ppm": 137,
    "max_open_orders": 20,
}
CHARGES = Rules(unit=(1000, 50_000_000), maker_ppm=(-25, 0), taker_ppm=(300, 0), maintenance_ppm=15_000)  # of quiet.toml, and of the above


def check_conservation(venue: Exchange, deposits: int) -> None:
    """Everything that must hold at any moment."""
    holdings = venue.holdings
    assert holdings["position"].sum(axis=0).tolist() == [0, 0]
    assert holdings["cash_e8"].sum(axis=0).tolist() == [0, 0]
    assert int(venue.accounts["wallet_e8"].sum()) - int(holdings["cost_e8"].sum()) == deposits
    assert (holdings["position"] == venue.books.exposures["position"]).all()
    assert (holdings["cost_e8"][holdings["position"] == 0] == 0).all()
    assert (holdings["isolated_e8"].sum(axis=1) == venue.accounts["isolated_e8"]).all()
    assert (holdings["isolated_e8"][(holdings["position"] == 0) | (holdings["is_isolated"] == 0)] == 0).all()
    assert int(venue.accounts["wallet_e8"][-2]) == int(holdings["fees_e8"].sum())


class Auditor:
    """Keeps the books of all clients from the drop copy, fill by fill, and compares each record with them."""

    def __init__(self, venue: Exchange, leverages: list[int], isolated: list[list[bool]]) -> None:
        self.venue, self.tap, self.met = venue, Tap(venue.tap), Counter[str]()
        self.tap.open()
        deposit = Fraction(int(venue.accounts["wallet_e8"][FIRST]))
        self.books = [PlainAccount(CHARGES, deposit, leverage, list(own)) for leverage, own in zip(leverages, isolated, strict=True)]
        self.floors: dict[int, Fraction] = {}

    @property
    def marks(self) -> list[int]:
        """Last price, kept within the spread."""
        tops = self.venue.books.tops
        return [sorted((int(t["bid"]), int(t["last"]), int(t["ask"])))[1] if t["bid"] and t["ask"] and t["last"] else _only(t) for t in tops]

    def orders_of(self, who: int) -> list[list[int]]:
        """[bids, asks] in ticks * lots of each instrument, order by order: what rests and may open something."""
        sums, books = [[0, 0], [0, 0]], self.venue.books
        slot = int(books.owners["first"][FIRST + who])
        while slot:
            order = books.orders[slot]
            if not order["flags"] & (WAITING | OrderFlag.REDUCE_ONLY):
                sums[order["instrument"]][order["side"]] += int(order["price"]) * int(order["leaves"])
            slot = int(order["own_next"])
        return sums

    def catch_up(self) -> None:
        """Everything that has been written since the last time."""
        batch = Batch(self.tap.drain())
        records: list[Any] = sorted([*batch.executions(), *batch.balances()], key=lambda row: int(row["seq"]))
        for row in records:
            if row["account"] >= FIRST:
                self._take(row, self.books[row["account"] - FIRST], "last_qty" in row.dtype.names)
        for who, least in self.floors.items():
            assert self.books[who].cross >= least - self.books[who].roundings - 1
        self.floors.clear()

    def _take(self, row: Any, book: PlainAccount, is_execution: bool) -> None:
        i, who = int(row["instrument"]), int(row["account"]) - FIRST
        if is_execution:
            if row["kind"] == ExecutionKind.TRADE:
                price, qty, maker = int(row["last_price"]), int(row["last_qty"]), bool(row["maker"])
                fee = book.fee(i, price, qty, maker)
                assert row["fee_e8"] == fee
                profit = book.trade(i, qty if row["side"] == 0 else -qty, price, fee)
                assert abs(profit - int(row["realised_e8"])) <= book.roundings
                self.met["rebate" if fee < 0 else "fee" if fee else "free"] += 1
                self.met["forced fill"] += row["client_order_id"] < 0
            else:
                self.met[f"{ExecutionKind(row['kind']).name} {row['reason']}"] += 1
        elif row["kind"] == BalanceKind.FUNDING:
            paid = book.fund(i, int(row["price"]), int(row["rate_ppm"]))
            assert row["amount_e8"] == -paid
            self.met["funding paid" if paid > 0 else "funding received"] += 1
        elif row["kind"] == BalanceKind.LIQUIDATION:
            self.floors[who] = book.cross if i >= 0 else Fraction(0)
            self.met["liquidation isolated" if i >= 0 else "liquidation cross"] += 1
        elif row["kind"] == BalanceKind.TAKEN_OVER:
            assert row["moved"] == -book.position[i]
            book.trade(i, int(row["moved"]), int(row["price"]))
            self.met["taken over"] += 1
        elif row["kind"] == BalanceKind.INSURED:
            assert abs(self.floors[who] - book.cross - int(row["amount_e8"])) <= book.roundings
            book.cross += int(row["amount_e8"])
            self.met["insured"] += 1
        else:
            assert row["kind"] == BalanceKind.ISOLATED

    def compare(self) -> None:
        """Wallets, positions, costs and isolated wallets are the venue's, but for what rounding moves; exact where all is closed."""
        for who, book in enumerate(self.books):
            holdings = self.venue.holdings[FIRST + who]
            assert holdings["position"].tolist() == book.position
            gap = int(self.venue.accounts["wallet_e8"][FIRST + who]) - book.wallet
            assert abs(gap) <= book.roundings
            assert gap == 0 or any(book.position)
            for i in (0, 1):
                assert abs(int(holdings["cost_e8"][i]) - book.cost(i)) <= book.roundings
                assert abs(int(holdings["isolated_e8"][i]) - book.pockets[i]) <= book.roundings


def _only(top: Any) -> int:
    return int(top["last"]) or (int(top["bid"]) + int(top["ask"])) // (2 if top["bid"] and top["ask"] else 1)


def random_frame(rng: np.random.Generator, ids: int, drift: float) -> tuple[int, tuple[int, ...], int]:
    """(type, body, instrument) of a frame that a client might send."""
    i = ids // 2 % 2  # so that a replace finds an order of the same instrument
    price = max(1, int(MIDDLE[i] * (1 + drift) * (1 + rng.normal() * 0.004)))
    qty, side = int(rng.integers(1, 2000) * (100, 1)[i]), int(rng.integers(2))
    kind = rng.choice([NEW_ORDER, NEW_ORDER, NEW_ORDER, NEW_ORDER, CONDITIONAL_ORDER, MASS_QUOTE, REPLACE_ORDER, CANCEL_ALL])
    flags = int(rng.choice([0, 0, 0, 1, 2, 4, 8, 12]))
    if kind == NEW_ORDER:
        return NEW_ORDER, (ids, side, int(rng.random() < 0.1), int(rng.choice([0, 0, 1])), flags, price, qty), i
    if kind == CONDITIONAL_ORDER:
        trigger = max(1, int(price * (1 + rng.normal() * 0.003)))
        return CONDITIONAL_ORDER, (ids, side, int(rng.integers(2, 6)), 0, flags & 2, price, qty, trigger, 0), i
    if kind == MASS_QUOTE:
        return MASS_QUOTE, (ids, ids + 1, price, qty, price + 2, qty), i
    if kind == REPLACE_ORDER:
        return REPLACE_ORDER, (max(1, ids - 4 * int(rng.integers(1, 12))), price, qty), i
    return CANCEL_ALL, (), i


def check_margin(auditor: Auditor, who: int, frame: tuple[int, tuple[int, ...], int], before: tuple[Any, ...], answer: Any) -> None:
    """Was a new order taken or refused for its margin as the books say? `before`: marks, own orders and best bid when it was sent."""
    kind, body, i = frame
    if kind != NEW_ORDER or body[4] & OrderFlag.REDUCE_ONLY or (answer.name == "ORDER_REJECT" and 400 <= answer.reason < 408):
        return
    marks, orders, (bid, ask) = before
    _, side, order_type, _, _, price, qty = body
    price = (ask, bid)[side] if order_type == 1 else max(price, bid) if side == 1 else price
    lacks = auditor.books[who].lacks(marks, orders, i, side, price * qty)
    slack = auditor.books[who].roundings + 4
    if lacks is None or abs(lacks) > slack:
        refused = answer.name == "ORDER_REJECT" and answer.reason == Reject.VENUE_INSUFFICIENT_MARGIN
        assert refused == (lacks is not None and lacks > 0)
        auditor.met["margin refused" if refused else "margin given"] += 1


def check_liquidations(auditor: Auditor, shorts: list[Fraction], taken: list[int]) -> None:
    """Who was short when the venue looked was taken over; nobody else, but for those whose marks the first of them has moved."""
    first = next((who for who, lacks in enumerate(shorts) if lacks > -auditor.books[who].roundings), None)
    for who, lacks in enumerate(shorts):
        if lacks > auditor.books[who].roundings and who == first:
            assert taken[who] > 0
        elif first is None or who < first:
            assert taken[who] == 0


@pytest.mark.parametrize(("seed", "balance", "rate"), [(1, "3000", 137), (2, "8000", -137), (3, "10000000", 137)])
def test_money_is_conserved(seed: int, balance: str, rate: int) -> None:
    """The poor are liquidated, two of them with isolated positions, one with a leverage of its own; the rich trade to the end."""
    rng, hand = np.random.default_rng(seed), Hand(**{**RULES, "initial_balance": balance, "funding_rate_ppm": rate})
    venue = hand.venue
    deposits = int(venue.accounts["wallet_e8"].sum())
    hand.at(0)
    clients = [hand.enter(1 + i) for i in range(CLIENTS)]
    isolated = [[seed < 3, False], [seed < 3, seed < 3], [False, False], [False, False]]
    venue.holdings["is_isolated"][FIRST : FIRST + CLIENTS] = isolated
    venue.holdings["initial_ppm"][FIRST + 3] = 1_000_000 // 20
    auditor = Auditor(venue, [50, 50, 50, 20], isolated)
    paid = np.zeros((CLIENTS, 2), np.int64)  # fees and funding that the owners were told
    lowest = 0
    for step in range(3_000):
        who = int(rng.integers(CLIENTS))
        frame = random_frame(rng, 10 + 2 * step, 0.12 * np.sin(step / 300.0))
        kind, body, instrument = frame
        before = auditor.marks, auditor.orders_of(who), venue.books.tops[["bid", "ask"]][instrument].tolist()
        answers = hand.send(clients[who], kind, *body, instrument=instrument)
        if answers:
            check_margin(auditor, who, frame, before, answers[0])
        auditor.catch_up()
        shorts, n = [book.short(auditor.marks) for book in auditor.books], venue.accounts["n_liquidations"].copy()
        hand.at(step * SECOND)
        auditor.catch_up()
        if step % 4 == 0:
            auditor.compare()
        if step % 60:  # at the others funding comes first
            check_liquidations(auditor, shorts, (venue.accounts["n_liquidations"] - n)[FIRST : FIRST + CLIENTS].tolist())
        for k, client in enumerate(clients):
            for message in (answers if k == who else []) + hand.take(client):
                paid[k, 0] += message.fee_e8 if message.name == "ORDER_FILL" else 0
                paid[k, 1] += message.amount_e8 if message.name == "FUNDING" else 0
        check_conservation(venue, deposits)
        lowest = min(lowest, int(venue.accounts["wallet_e8"][-1]))
    assert (paid[:, 0] == venue.holdings["fees_e8"][FIRST : FIRST + CLIENTS].sum(axis=1)).all()
    assert (paid[:, 1] == venue.holdings["funding_e8"][FIRST : FIRST + CLIENTS].sum(axis=1)).all()
    wanted = {"rebate", "fee", "free", "funding paid", "funding received", "margin given"}
    if seed < 3:
        wanted |= {"margin refused", "liquidation cross", "liquidation isolated", "forced fill", "taken over", "insured", "CANCELED 413"}
        assert lowest < 0  # the fund pays beyond what it has
    assert not wanted - set(auditor.met), auditor.met
    assert venue.books.counters["n_trades"][0] > (100 if seed < 3 else 500)


def test_an_account_without_margin_is_closed_at_the_market_and_the_fund_takes_the_rest() -> None:
    hand = Hand(**{**RULES, "initial_balance": "200", "funding_rate_ppm": 0})
    venue = hand.venue
    deposits = int(venue.accounts["wallet_e8"].sum())
    hand.at(0)
    long, short, taker = (hand.enter(1 + i) for i in range(3))
    fund = int(venue.accounts[-1]["wallet_e8"])
    hand.send(short, NEW_ORDER, 1, 1, 0, 0, 0, 10_000, 60_000, instrument=0)  # 60 at 100.00: 6000, margin 120
    hand.send(long, NEW_ORDER, 1, 0, 0, 0, 0, 10_000, 60_000, instrument=0)
    hand.send(long, NEW_ORDER, 2, 0, 0, 0, 0, 9_000, 100, instrument=0)
    hand.send(taker, NEW_ORDER, 1, 0, 0, 0, 0, 9_500, 10_000, instrument=0)
    hand.send(taker, NEW_ORDER, 2, 0, 0, 0, 0, 9_400, 10_000, instrument=0)
    hand.send(short, NEW_ORDER, 2, 1, 0, 1, 0, 9_500, 1_000, instrument=0)  # the last price falls to 95.00: a loss of 300
    hand.take(long)
    hand.at(SECOND)
    canceled, *told = hand.take(long)
    assert (canceled.name, canceled.client_order_id, canceled.reason) == ("ORDER_CANCELED", 2, Reject.VENUE_LIQUIDATION)
    assert [m.name for m in told] == ["ORDER_ACK", "ORDER_FILL", "ORDER_FILL", "ORDER_CANCELED", "POSITION", "POSITION"]
    assert all(m.client_order_id < 0 for m in told[:4])
    assert [m.position for m in told[4:]] == [0, 0]
    assert (venue.accounts[2]["wallet_e8"], venue.accounts[2]["n_liquidations"]) == (0, 1)
    assert venue.holdings["position"][-1, 0] == 60_000 - 19_000
    assert int(venue.accounts[-1]["wallet_e8"]) < fund
    check_conservation(venue, deposits)


def test_an_isolated_position_is_liquidated_alone() -> None:
    """Its wallet is all that it costs its owner; the other position and the rest of the money stay."""
    hand = Hand(**{**RULES, "initial_balance": "1000", "funding_rate_ppm": 0})
    venue = hand.venue
    deposits = int(venue.accounts["wallet_e8"].sum())
    hand.at(0)
    long, short, taker = (hand.enter(1 + i) for i in range(3))
    venue.holdings["is_isolated"][2, 0] = 1
    hand.send(short, NEW_ORDER, 9, 1, 0, 0, 0, 100, 100, instrument=1)
    hand.send(long, NEW_ORDER, 9, 0, 0, 0, 0, 100, 100, instrument=1)
    hand.send(short, NEW_ORDER, 1, 1, 0, 0, 0, 10_000, 60_000, instrument=0)
    hand.send(long, NEW_ORDER, 1, 0, 0, 0, 0, 10_000, 60_000, instrument=0)  # 6000 at leverage 50
    assert int(venue.holdings["isolated_e8"][2, 0]) == 120 * 10**8
    status = hand.send(long, ACCOUNT_QUERY)[0]
    assert status.initial_margin_e8 >= 120 * 10**8
    hand.send(taker, NEW_ORDER, 1, 0, 0, 0, 0, 9_500, 70_000, instrument=0)
    cross = int(venue.accounts["wallet_e8"][2] - venue.accounts["isolated_e8"][2])
    fund = int(venue.accounts[-1]["wallet_e8"])
    hand.send(short, NEW_ORDER, 2, 1, 0, 1, 0, 9_500, 1_000, instrument=0)  # the last price falls to 95.00: a loss of 300, with 120 to lose
    hand.at(SECOND)
    assert venue.holdings["position"][2].tolist() == [0, 100]
    assert int(venue.accounts["wallet_e8"][2]) == cross
    assert venue.accounts["isolated_e8"][2] == 0
    assert int(venue.accounts[-1]["wallet_e8"]) < fund - 180 * 10**8  # what 120 did not cover, and the fee
    check_conservation(venue, deposits)
