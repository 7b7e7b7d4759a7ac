"""History as the market: the compiled venue does what the readable twin does, and what the fill contract promises holds on any tape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.exchange.market.history.build import HistoryPlan
from hftkit.exchange.market.history.files import HistoryTape
from hftkit.exchange.market.history.market import CANDLES, DEPTH, QUOTES, TRADES
from hftkit.exchange.market.history.market_plain import rehearse_plainly
from hftkit.exchange.market.history.rehearsal import Rehearsal, rehearse
from hftkit.kernels.market.queue import ESTIMATES
from tests.unit.exchange.market.history.tapes import BUY, SELL, bbo, config, depth, history, requests, trade

CONFIG = config()
PPM = 1_000_000
# A market that mostly stays where it is, with prints smaller than what is shown, so that orders wait in queues
prices, sizes, shown, gaps = st.integers(98, 102), st.integers(1, 15), st.integers(1, 60), st.integers(0, 2)


@st.composite
def tapes(draw: Any, grade: int, n: int = 60) -> HistoryTape:
    """Prints and quotes (or levels) as they come, consistent with each other or not."""
    rows, t = [bbo(0, 99, 20, 101, 20)] if grade != DEPTH else [depth(0, BUY, 99, 20, False), depth(0, SELL, 101, 20)], 0
    for _ in range(draw(st.integers(20, n))):
        t += draw(gaps)
        if draw(st.booleans()):
            side = draw(st.integers(0, 1))
            rows.append(trade(t, side, draw(st.sampled_from([98, 99, 99, 100] if side == SELL else [100, 101, 101, 102])), draw(sizes)))
        elif grade == DEPTH:
            side = draw(st.integers(0, 1))
            price = draw(st.sampled_from([97, 98, 99, 99] if side == BUY else [101, 101, 102, 103])) + draw(st.sampled_from([0, 0, 0, 1, -1]))
            rows.append(depth(t, side, price, draw(st.one_of(shown, st.just(0))), draw(st.booleans())))
        else:
            bid = draw(st.sampled_from([98, 99, 99, 99, 100]))
            rows.append(bbo(t, bid, draw(shown), bid + draw(st.integers(1, 3)), draw(shown)))
    return history(rows, grade)


@st.composite
def asks(draw: Any, side: int | None = None, n: int = 8) -> np.ndarray:
    """Orders of one side (so that a client never meets itself), some of them cancelled later."""
    side = draw(st.integers(0, 1)) if side is None else side
    rows: list[dict[str, int]] = []
    for i in range(draw(st.integers(1, n))):
        t = draw(st.integers(0, 30))
        price = draw(st.sampled_from([98, 99, 99, 99, 100, 101] if side == BUY else [102, 101, 101, 101, 100, 99]))
        rows.append({"t": t, "client_order_id": i + 1, "side": side, "price": price, "qty": draw(shown), "tif": draw(st.sampled_from([0, 0, 0, 1]))})
        if draw(st.booleans()):
            rows.append({"t": t + draw(st.integers(1, 60)), "client_order_id": i + 1, "action": 1, "side": side})
    return requests(*sorted(rows, key=lambda row: row["t"]))


grades = st.sampled_from([TRADES, QUOTES, DEPTH])
cases = grades.flatmap(lambda grade: st.tuples(tapes(grade), asks()))


def run(tape: HistoryTape, wanted: np.ndarray, estimate: str, participation: float = 1.0) -> Rehearsal:
    return rehearse(HistoryPlan(tape, estimate, participation), wanted, config=CONFIG, max_fills=4096)


def fills(done: Rehearsal) -> list[tuple[int, int, int, int]]:
    return [(int(f[0]), int(f[1]), int(f[5]), int(f[6])) for f in done.fills]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases, st.sampled_from(range(3)), st.sampled_from([1.0, 0.25]))
def test_the_compiled_venue_and_the_plain_market_fill_alike(case: tuple[HistoryTape, np.ndarray], estimate: int, participation: float) -> None:
    tape, wanted = case
    done = run(tape, wanted, ESTIMATES[estimate], participation)
    (plain,) = rehearse_plainly(tape, wanted, estimate, round(participation * PPM))
    assert fills(done) == plain.fills


@pytest.mark.parametrize("estimate", range(3))
@pytest.mark.parametrize("grade", [TRADES, QUOTES, DEPTH])
def test_both_fill_alike_on_a_long_tape(grade: int, estimate: int) -> None:
    """Thousands of prints against long queues: what one print too much would show."""
    rng = np.random.default_rng(grade)
    rows, t = [bbo(0, 99, 400, 101, 400)] if grade != DEPTH else [depth(0, BUY, 99, 400, False), depth(0, SELL, 101, 400)], 0
    for _ in range(3000):
        t, side = t + int(rng.integers(0, 3)), int(rng.integers(2))
        touch = 99 if side == BUY else 101
        if rng.random() < 0.5:
            rows.append(trade(t, 1 - side, touch + int(rng.choice([0, 0, 0, 0, 1, -1])), int(rng.integers(1, 30))))
        elif grade == DEPTH:
            rows.append(depth(t, side, touch + int(rng.choice([0, 0, 0, 1 - 2 * side, 2 * side - 1])) - (1 - 2 * side), int(rng.integers(0, 500))))
            rows.append(depth(t, side, touch, int(rng.integers(1, 500))))
        else:
            rows.append(bbo(t, 99 - int(rng.random() < 0.1), int(rng.integers(1, 500)), 101 + int(rng.random() < 0.1), int(rng.integers(1, 500))))
    orders = [
        {
            "t": 15 * i,
            "client_order_id": i + 1,
            "side": i // 50 % 2,
            "price": (99 if i // 50 % 2 == BUY else 101) - int(rng.random() < 0.2),
            "qty": 40,
        }
        for i in range(200)
    ]
    cancels = [{"t": order["t"] + 700, "client_order_id": order["client_order_id"], "action": 1, "side": order["side"]} for order in orders]
    wanted = requests(*sorted(orders + cancels, key=lambda row: row["t"]))
    tape = history(rows, grade)
    done = run(tape, wanted, ESTIMATES[estimate])
    (plain,) = rehearse_plainly(tape, wanted, estimate, PPM)
    assert fills(done) == plain.fills
    assert (done.fills[:, 4] == 1).sum() > 40


@settings(max_examples=80, deadline=None, derandomize=True)
@given(cases, st.sampled_from(ESTIMATES), st.integers(1, 20))
def test_nothing_after_t_changes_what_was_filled_before_t(case: tuple[HistoryTape, np.ndarray], estimate: str, keep: int) -> None:
    tape, wanted = case
    head = HistoryTape(tape.name, tape.tape[:keep], tape.instruments, tape.grades)
    now = head.last_ns
    whole = [fill for fill in fills(run(tape, wanted, estimate)) if fill[0] < now]
    assert [fill for fill in fills(run(head, wanted[wanted["ts"] < now], estimate)) if fill[0] < now] == whole


@settings(max_examples=80, deadline=None, derandomize=True)
@given(grades.flatmap(lambda grade: st.tuples(tapes(grade), asks(n=1))))
def test_an_order_gets_most_by_the_optimistic_and_least_by_the_pessimistic_estimate(case: tuple[HistoryTape, np.ndarray]) -> None:
    tape, wanted = case
    by_run = [sum(fill[3] for fill in fills(run(tape, wanted, name))) for name in ESTIMATES]
    assert by_run[0] >= by_run[1] >= by_run[2]
    (row,) = run(tape, wanted, "pessimistic").report["queue"] or [dict.fromkeys([f"{name}_lots" for name in ESTIMATES], 0)]
    assert row["optimistic_lots"] >= row["neutral_lots"] >= row["pessimistic_lots"]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(tapes(CANDLES), asks(), st.sampled_from(ESTIMATES), st.sampled_from([1.0, 0.3]))
def test_where_only_prints_are_recorded_a_resting_order_never_gets_more_than_its_part_of_them(
    tape: HistoryTape, wanted: np.ndarray, estimate: str, participation: float
) -> None:
    kind = tape.tape[:, 0] >> 16 & 0xFF
    done = run(tape, wanted, estimate, participation)
    for ts in np.unique(done.fills[done.fills[:, 4] == 1][:, 0]):
        prints = tape.tape[(tape.tape[:, 2] == ts) & (kind == 66)][:, 6]
        as_maker = done.fills[(done.fills[:, 0] == ts) & (done.fills[:, 4] == 1)]
        assert as_maker[:, 6].sum() <= sum(int(volume * round(participation * PPM) // PPM) for volume in prints)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(cases, st.sampled_from(["neutral", "pessimistic"]))
def test_with_quotes_a_resting_order_gets_at_most_what_traded_or_was_offered_at_its_price(
    case: tuple[HistoryTape, np.ndarray], estimate: str
) -> None:
    tape, wanted = case
    kind = tape.tape[:, 0] >> 16 & 0xFF
    done = run(tape, wanted, estimate)
    for ts in np.unique(done.fills[done.fills[:, 4] == 1][:, 0]):
        rows = tape.tape[tape.tape[:, 2] == ts]
        kinds = kind[tape.tape[:, 2] == ts]
        evidence = rows[kinds == 66][:, 6].sum() + rows[kinds == 67][:, 6].sum() + rows[kinds == 65][:, 4].sum() + rows[kinds == 65][:, 6].sum()
        assert done.fills[(done.fills[:, 0] == ts) & (done.fills[:, 4] == 1)][:, 6].sum() <= evidence


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cases, st.sampled_from(ESTIMATES))
def test_money_and_lots_are_conserved(case: tuple[HistoryTape, np.ndarray], estimate: str) -> None:
    tape, wanted = case
    venue = run(tape, wanted, estimate).venue
    start = np.zeros(len(venue.accounts), np.int64)
    start[2:-2], start[-1] = 10_000_000 * 10**8, 1_000_000 * 10**8
    assert venue.holdings["position"].sum() == 0
    assert venue.holdings["cash_e8"].sum() == 0
    assert venue.accounts["wallet_e8"].sum() - venue.holdings["cost_e8"].sum() == start.sum()
    top = venue.books.tops[0]
    assert top["bid"] == 0 or top["ask"] == 0 or top["bid"] < top["ask"]
