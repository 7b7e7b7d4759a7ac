"""Money is conserved to the last unit, whatever clients do: trades, fees, rebates, funding, liquidation, the insurance fund."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hftkit.codes import Reject
from hftkit.exchange.testing import ACCOUNT_QUERY, CANCEL_ALL, CONDITIONAL_ORDER, MASS_QUOTE, NEW_ORDER, REPLACE_ORDER, Message
from hftkit.exchange.venue import Venue
from tests.unit.exchange.hand import SECOND, Hand

CLIENTS = 4
TICK_LOT = (1000, 50_000_000)  # 1e-8 quote, of the two instruments of quiet.toml
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


def check_conservation(venue: Venue, deposits: int) -> None:
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


class Ledger:
    """One account's books kept from its own ORDER_FILL and FUNDING frames alone, with fractions: position, average entry, profit, fees, funding."""

    def __init__(self) -> None:
        self.position, self.entry = [0, 0], [Fraction(0), Fraction(0)]
        self.realised, self.fees, self.funding = Fraction(0), 0, 0

    def fill(self, m: Message) -> None:
        i, signed = m.instrument, m.qty if m.side == 0 else -m.qty
        self.fees += m.fee_e8
        held = self.position[i]
        if held * signed < 0:
            closed = min(abs(held), abs(signed))
            self.realised += (m.price - self.entry[i]) * closed * (1 if held > 0 else -1) * TICK_LOT[i]
        if held * signed >= 0:
            self.entry[i] = (self.entry[i] * abs(held) + m.price * m.qty) / (abs(held) + m.qty)
        elif abs(signed) > abs(held):
            self.entry[i] = Fraction(m.price)
        self.position[i] = held + signed


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


@pytest.mark.parametrize(("seed", "balance"), [(1, "3000"), (2, "8000"), (3, "10000000")])
def test_money_is_conserved(seed: int, balance: str) -> None:
    """The poor are liquidated, two of them with isolated positions; the rich trade to the end, and agree with books kept from their fills."""
    rng, hand = np.random.default_rng(seed), Hand(**{**RULES, "initial_balance": balance})
    venue = hand.venue
    deposits = int(venue.accounts["wallet_e8"].sum())
    hand.at(0)
    clients = [hand.enter(1 + i) for i in range(CLIENTS)]
    if seed < 3:
        venue.holdings["is_isolated"][2, 0] = venue.holdings["is_isolated"][3] = 1
    ledgers = [Ledger() for _ in clients]
    liquidated: set[int] = set()
    for step in range(4_000):
        drift = 0.12 * np.sin(step / 300.0)
        who = int(rng.integers(CLIENTS))
        kind, body, instrument = random_frame(rng, 10 + 2 * step, drift)
        answers = hand.send(clients[who], kind, *body, instrument=instrument)
        hand.at(step * SECOND)
        for k, client in enumerate(clients):
            for message in (answers if k == who else []) + hand.take(client):
                if message.name == "ORDER_FILL":
                    ledgers[k].fill(message)
                elif message.name == "FUNDING":
                    ledgers[k].funding += message.amount_e8
                    assert message.rate == 13_700
            if venue.accounts[2 + k]["n_liquidations"]:
                liquidated.add(k)
        check_conservation(venue, deposits)
    for k, ledger in enumerate(ledgers):
        assert int(venue.holdings["fees_e8"][2 + k].sum()) == ledger.fees
        assert int(venue.holdings["funding_e8"][2 + k].sum()) == ledger.funding
        if k not in liquidated:  # what the fund takes over is no ORDER_FILL
            assert venue.holdings["position"][2 + k].tolist() == ledger.position
            assert abs(int(venue.holdings["realised_e8"][2 + k].sum()) - ledger.realised) < 100_000  # rounding of average entries, 0.001 in all
    assert (venue.state["n_liquidations"][0] > 0) == (seed < 3)
    assert np.abs(venue.holdings["funding_e8"]).sum() > 0
    assert venue.books.counters["n_trades"][0] > (100 if seed < 3 else 1000)


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
