"""The estimates against the truth: a market whose queues are known, recorded without the client, and the same orders played against that history.

Docs/simulator.md states the figures of ten such half hours (`true_run(1800, seed=1 .. 10)`); here are ten minutes, and what must hold for each order.
"""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.exchange.market.history.build import HistoryPlan
from hftkit.exchange.market.history.market import DEPTH, QUOTES, TRADES
from hftkit.exchange.market.history.rehearsal import NEW, rehearse_all
from tests.unit.exchange.market.history.true_queue import TrueRun, coarser, true_run

ORDERS = 290


@pytest.fixture(scope="module")
def run() -> TrueRun:
    """Orders of 8,000 lots, about what a maker of this market quotes: many are filled in parts."""
    return true_run(600, seed=1, lots=8000)


def times(fills: np.ndarray, order: int, lots: int) -> np.ndarray:
    """When each lot of an order was filled, never where it was not."""
    rows = fills[fills[:, 1] == order]
    filled = np.repeat(rows[:, 0], rows[:, 2])
    return np.concatenate([filled, np.full(lots - filled.size, np.iinfo(np.int64).max)])


@pytest.mark.parametrize("grade", [DEPTH, QUOTES, TRADES])
def test_every_lot_is_filled_between_the_optimistic_and_the_pessimistic_time(run: TrueRun, grade: int) -> None:
    done = rehearse_all(HistoryPlan(run.history if grade == DEPTH else coarser(run.history, grade)), run.requests)
    optimistic, neutral, pessimistic = (done[name].fills[:, [0, 1, 6]] for name in ("optimistic", "neutral", "pessimistic"))
    asked = run.requests[run.requests["action"] == NEW]
    assert len(asked) > ORDERS
    for order, lots in zip(asked["client_order_id"].tolist(), asked["qty"].tolist(), strict=True):
        first, real, last = (times(fills, order, lots) for fills in (optimistic, run.fills, pessimistic))
        assert (first <= real).all(), (order, "is filled before the optimistic estimate says so")
        assert (real <= last).all(), (order, "is filled after the pessimistic estimate says so")
    share, wanted = {name: fills[:, 2].sum() / asked["qty"].sum() for name, fills in (("o", optimistic), ("n", neutral), ("p", pessimistic))}, 0.0
    wanted = run.fills[:, 2].sum() / asked["qty"].sum()
    assert share["p"] < wanted < share["o"]
    assert share["o"] - share["p"] > 0.1  # the queue matters here
    if grade >= QUOTES:
        assert abs(share["n"] - wanted) < 0.03
    if grade == DEPTH:
        in_part = [len(run.fills[run.fills[:, 1] == order]) for order in asked["client_order_id"]]
        assert max(in_part) > 1


def test_the_neutral_place_is_no_bound_but_right_on_average(run: TrueRun) -> None:
    """Some orders are filled earlier than it says, some later: it is an estimate, and an even one."""
    neutral = rehearse_all(HistoryPlan(run.history), run.requests)["neutral"].fills[:, [0, 1, 6]]
    asked = run.requests[run.requests["action"] == NEW]
    sooner = later = 0
    for order, lots in zip(asked["client_order_id"].tolist(), asked["qty"].tolist(), strict=True):
        estimate, real = times(neutral, order, lots), times(run.fills, order, lots)
        sooner, later = sooner + bool((estimate < real).any()), later + bool((estimate > real).any())
    assert 0.3 < sooner / later < 3.0
