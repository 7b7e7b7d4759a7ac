"""Quotes and baskets over a tape: the same session twice is the same bits, its journal replays, and no file writes what is not its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hftkit.backtest.run import Latency, backtest, quotes_to_tape, session_of, trades_to_tape
from hftkit.params.execution import BasketLeg, BasketPlan
from hftkit.params.format import FrozenParams, freeze, load
from hftkit.session.attribution import by_strategy
from hftkit.session.replay import replay
from tests.support import AAA, BBB, CCC, frozen_basket, frozen_by, frozen_pair, frozen_quotes

ROWS = 3000


def tape() -> np.ndarray:
    """Quotes and prints of three instruments; the spread of the basket comes back."""
    rng = np.random.default_rng(5)
    ts = 10**18 + np.cumsum(rng.integers(10**6, 10**8, ROWS))
    names = np.arange(ROWS) % 3
    middle = np.array([1000, 400, 410])[names] + np.rint(8 * np.sin(np.arange(ROWS) / 90) + rng.normal(0, 2, ROWS)).astype(np.int64) * (names == 0)
    lots = rng.integers(50, 400, ROWS)
    prints = trades_to_tape(ts + 1, names, rng.integers(0, 2, ROWS), middle + rng.integers(-4, 5, ROWS), lots)
    both = np.concatenate([quotes_to_tape(ts, names, middle - 3, lots, middle + 3, lots), prints])
    return both[np.argsort(both[:, 2], kind="stable")]


def reverting_basket() -> FrozenParams:
    legs = tuple(BasketLeg(symbol=one.symbol, unit_lots=n) for one, n in ((AAA, 100), (BBB, -80), (CCC, -60)))
    rule = {"mean": "-2.67", "std": "0.004", "entry_z": "0.6", "exit_z": "0.1", "stop_z": "50.0", "bar_ns": 10**9, "max_holding_bars": 10**6}
    plan = BasketPlan(legs=legs, slippage_ticks=5, deadline_ns=10**9, retry_ns=10**7)
    weights = {"weights": ("1.0", "-0.9", "-0.8")}
    mean = np.log(10.0) - 0.9 * np.log(20.0) - 0.8 * np.log(20.5)
    return frozen_by(plan, "basket_reversion", {**rule, "mean": repr(float(mean))}, (AAA, BBB, CCC), arrays=weights)


SESSIONS = {"quotes": (frozen_quotes(),), "basket": (reverting_basket(),), "all": (frozen_pair(), frozen_quotes(), reverting_basket())}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_backtest_is_repeated_bit_for_bit_and_its_journal_replays(name: str, tmp_path: Path) -> None:
    config = session_of(SESSIONS[name])
    rows = tape()
    rows = rows[rows[:, 0] >> 32 < len(config.instruments)]
    one = backtest(config, rows, latency=Latency(1000, 1000, 1000), timer_ns=10**8, journal=tmp_path / "one")
    two = backtest(config, rows, latency=Latency(1000, 1000, 1000), timer_ns=10**8)
    assert one.digest == two.digest
    assert len(one.fills) > 20
    again = replay(tmp_path / "one")
    assert again.identical, again.difference
    shares = by_strategy(config, one.rooms)
    assert sum(share["orders"] for share in shares) == one.orders
    assert all(share["fills"] > 0 for share in shares)
    if name == "basket":
        assert one.rooms.baskets[0]["n_exits"] > 2
        assert one.rooms.baskets[0]["n_unwinds"] == 0
    if name == "quotes":
        assert one.maker_share == 1.0
        assert one.cancels > 10


def test_a_file_names_its_policy_and_reads_back(tmp_path: Path) -> None:
    for frozen in (frozen_quotes(), frozen_basket(), reverting_basket()):
        assert load(freeze(frozen, tmp_path)) == frozen
