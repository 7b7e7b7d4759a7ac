"""Resting orders of the backtest: the same fills as the simulator on history gives (its readable twin), and what the fill contract promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.backtest.run import Queue
from hftkit.codes import MessageType, Side
from hftkit.exchange.market.history.files import HistoryTape
from hftkit.exchange.market.history.market import QUOTES, TRADES
from hftkit.exchange.market.history.market_plain import rehearse_plainly
from hftkit.kernels import backtest_desk as words
from hftkit.kernels.market.queue import ESTIMATES
from tests.backtest_desk import DirectVenue
from tests.properties.test_history_market import asks, tapes
from tests.unit.exchange.market.history.tapes import INSTRUMENT, START, bbo, requests, trade

PPM = 1_000_000
KIND = {QUOTES: "recorded", TRADES: "made"}
grades = st.sampled_from([QUOTES, TRADES])
cases = grades.flatmap(lambda grade: st.tuples(tapes(grade), asks()))


def run(tape: HistoryTape, wanted: np.ndarray, estimate: str, participation: float = 1.0) -> DirectVenue:
    """The requests at their times, then the rest of the tape."""
    venue = DirectVenue.of(tape.tape, (INSTRUMENT,), Queue(estimate, participation, KIND[tape.grades[0]]))
    for row in wanted:
        ts, coid = int(row["ts"]), int(row["client_order_id"])
        if row["action"] == 0:
            venue.new(ts, coid, int(row["side"]), int(row["price"]), int(row["qty"]), int(row["tif"]))
        else:
            venue.cancel(ts, coid)
    venue.until(words.NEVER - 1)
    return venue


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases, st.sampled_from(range(3)), st.sampled_from([1.0, 0.25]))
def test_the_backtest_and_the_plain_market_fill_alike(case: tuple[HistoryTape, np.ndarray], estimate: int, participation: float) -> None:
    tape, wanted = case
    (plain,) = rehearse_plainly(tape, wanted, estimate, round(participation * PPM))
    assert run(tape, wanted, ESTIMATES[estimate], participation).fills == plain.fills


@pytest.mark.parametrize("estimate", range(3))
@pytest.mark.parametrize("grade", [QUOTES, TRADES])
def test_both_fill_alike_on_a_long_tape_with_hundreds_of_orders(grade: int, estimate: int) -> None:
    rng = np.random.default_rng(grade)
    rows, t = [bbo(0, 99, 400, 101, 400)], 0
    for _ in range(3000):
        t, side = t + int(rng.integers(0, 3)), int(rng.integers(2))
        if rng.random() < 0.5:
            rows.append(trade(t, 1 - side, (99 if side == Side.BUY else 101) + int(rng.choice([0, 0, 0, 0, 1, -1])), int(rng.integers(1, 30))))
        else:
            rows.append(bbo(t, 99 - int(rng.random() < 0.1), int(rng.integers(1, 500)), 101 + int(rng.random() < 0.1), int(rng.integers(1, 500))))
    orders = [
        {"t": 5 * i, "client_order_id": i + 1, "side": i % 2, "price": (99, 101)[i % 2] + int(rng.integers(-3, 2)) * (1, -1)[i % 2], "qty": 40}
        for i in range(600)
    ]
    cancels = [{"t": order["t"] + 700, "client_order_id": order["client_order_id"], "action": 1, "side": order["side"]} for order in orders]
    wanted = requests(*sorted(orders + cancels, key=lambda row: row["t"]))
    tape = HistoryTape("long", np.array(rows, np.int64), (INSTRUMENT,), (grade,))
    (plain,) = rehearse_plainly(tape, wanted, estimate, PPM)
    done = run(tape, wanted, ESTIMATES[estimate])
    assert done.fills == plain.fills
    assert sum(body[5] for kind, _, _, body in done.answers if kind == MessageType.ORDER_FILL) > 40


@settings(max_examples=80, deadline=None, derandomize=True)
@given(grades.flatmap(lambda grade: st.tuples(tapes(grade), asks(n=1))))
def test_an_order_gets_most_by_the_optimistic_and_least_by_the_pessimistic_estimate(case: tuple[HistoryTape, np.ndarray]) -> None:
    tape, wanted = case
    filled = [sum(fill[3] for fill in run(tape, wanted, name).fills) for name in ESTIMATES]
    assert filled[0] >= filled[1] >= filled[2]
    sums = run(tape, wanted, "pessimistic").desk.sums[0]
    assert sums[words.FILLS] >= sums[words.FILLS + 1] >= sums[words.FILLS + 2]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(cases, st.sampled_from(ESTIMATES))
def test_every_order_is_accounted_for(case: tuple[HistoryTape, np.ndarray], estimate: str) -> None:
    """Filled + cancelled + resting = ordered; no fill at a worse price than the limit, none at a better one as maker."""
    tape, wanted = case
    venue = run(tape, wanted, estimate)
    news = {int(row["client_order_id"]): row for row in wanted if row["action"] == 0}
    gone = dict.fromkeys(news, 0)
    for kind, _, _, body in venue.answers:
        if kind == MessageType.ORDER_FILL:
            order, sign = news[body[1]], 1 - 2 * body[4]
            assert sign * body[6] <= sign * int(order["price"])
            assert body[5] == 0 or body[6] == int(order["price"])
            gone[body[1]] += body[7]
            assert body[8] == int(order["qty"]) - gone[body[1]]
        elif kind == MessageType.ORDER_CANCELED:
            gone[body[1]] += body[3]
    rows = venue.desk.resting
    for row in rows[rows[:, words.OPEN] > 0]:
        gone[int(row[words.CLIENT])] += int(row[words.OPEN])
    assert gone == {coid: int(row["qty"]) for coid, row in news.items()}
    assert venue.desk.loop[0]["resting"] == (rows[:, words.OPEN] > 0).sum()


@st.composite
def moves(draw: Any) -> list[tuple[int, int, int, int]]:
    """(instrument, side, price, lots) to rest, or lots 0 to take the oldest order of that side and price out again."""
    return draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(1, 12), st.integers(0, 3)), max_size=80))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(moves())
def test_the_ladders_hold_every_order_in_the_order_of_its_priority(steps: list[tuple[int, int, int, int]]) -> None:
    """An empty market: nothing is taken, nothing filled. Against a sorted list."""
    tape = np.array([[trade(0, 0, 1, 1)[0] | (1 << 32), 0, START, 0, 0, 1, 1]], np.int64)
    venue = DirectVenue.of(tape, (INSTRUMENT, INSTRUMENT), Queue(), capacity=64)
    model: list[tuple[int, int, int, int]] = []  # (book, key, age, id)
    for age, (instrument, side, price, lots) in enumerate(steps):
        book, key = 2 * instrument + side, price if side == Side.BUY else -price
        if lots and len(model) < 60:
            taken = {one[3] % 64 for one in model}
            coid = next(i for i in range(1, 10_000) if i % 64 not in taken)
            venue.new(START, coid, side, price, lots, instrument=instrument)
            model.append((book, key, -age, coid))
        else:
            there = [one for one in model if one[:2] == (book, key)]
            if there:
                oldest = max(there, key=lambda one: one[2])
                venue.cancel(START, oldest[3], instrument)
                model.remove(oldest)
        for b in range(4):
            n = int(venue.desk.market[b >> 1, words.N_BUYS + (b & 1)])
            entries = [(int(k), int(venue.desk.resting[slot, words.CLIENT])) for k, slot in venue.desk.ladder[b, :n]]
            assert entries == [(one[1], one[3]) for one in sorted(model) if one[0] == b]
            best = int(venue.desk.market[b >> 1, words.BEST_BUY + (b & 1)])
            assert best == (abs(entries[-1][0]) if entries else (words.NEVER if b & 1 else 0))
