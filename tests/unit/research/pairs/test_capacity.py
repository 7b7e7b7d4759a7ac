"""Capacity: the closed form of the square-root law, and a run's trades priced one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.pairs.capacity import Impact, capacity, impact_of
from research.pairs.costs import Costs
from research.pairs.strategy_optimizer import PairBars, Run, Thresholds, run_rule
from research.report.figures import capacity_curve

LEAD, HEDGE = Impact(0.03, 4e7), Impact(0.05, 1e7)


@pytest.fixture
def run() -> Run:
    rng = np.random.default_rng(2)
    n, spread = 6000, np.zeros(6000)
    for i in range(1, n):
        spread[i] = 0.95 * spread[i - 1] + rng.normal(0, 1.5e-3)
    base = np.cumsum(rng.normal(0, 1e-3, n))
    index = pd.date_range("2026-01-01", periods=n, freq="min", tz="UTC")
    bars = PairBars(pd.Series(100 * np.exp(0.7 * base + spread), index), pd.Series(50 * np.exp(base), index), 0.7, 60_000_000_000)
    return run_rule(bars, Thresholds(120, 1.5, 0.25, 6.0, 600), Costs(100.0, 0.5, 0.25))


def test_the_curve_is_the_sum_over_the_trades(run: Run) -> None:
    """Plain twin: walk over the bars, price each trade of each leg by the law, in quote currency."""
    found = capacity(run, 0.7, LEAD, HEDGE, notionals=[1e4, 1e6])
    years = len(run.frame) / (365.25 * 1440)
    for notional, row in zip((1e4, 1e6), found.table.itertuples(), strict=True):
        earned, paid, before = 0.0, 0.0, 0
        for target, net in zip(run.frame["target"], run.frame["net"], strict=True):
            earned += notional * net
            for law, share in ((LEAD, 1.0), (HEDGE, 0.7)):
                q = abs(target - before) * notional * share
                paid += q * 2 / 3 * law.coefficient * law.daily_volatility * (q / law.daily_notional) ** 0.5
            before = target
        assert row.before_impact == pytest.approx(earned / years)
        assert row.impact == pytest.approx(paid / years)
        assert row.net == pytest.approx((earned - paid) / years)


def test_best_half_and_end_are_those_of_the_curve(run: Run) -> None:
    found = capacity(run, 0.7, LEAD, HEDGE)
    assert run.net > 0
    fine = capacity(run, 0.7, LEAD, HEDGE, notionals=np.linspace(found.exhausted / 1e4, found.exhausted, 20_001)).table
    assert fine["notional"][fine["net"].idxmax()] == pytest.approx(found.best, rel=1e-3)
    small = fine["before_impact"] / fine["notional"]
    assert fine["notional"][(fine["net_return"] - small / 2).abs().idxmin()] == pytest.approx(found.halves, rel=1e-3)
    assert fine["net"].iloc[-1] == pytest.approx(0.0, abs=1e-6 * fine["before_impact"].iloc[-1])
    assert found.halves < found.best < found.exhausted
    assert found.exhausted_band[0] < found.exhausted < found.exhausted_band[1]
    assert "half the return" in str(found)


def test_ten_times_the_turnover_carries_ten_times_the_size(run: Run) -> None:
    deep = capacity(run, 0.7, replace(LEAD, daily_notional=4e8), replace(HEDGE, daily_notional=1e8))
    assert deep.exhausted == pytest.approx(10 * capacity(run, 0.7, LEAD, HEDGE).exhausted)


def test_a_strategy_that_loses_has_no_capacity(run: Run) -> None:
    losing = replace(run, frame=run.frame.assign(net=-run.frame["net"].abs()))
    found = capacity(losing, 0.7, LEAD, HEDGE)
    assert np.isnan(found.best)
    assert (found.table["net"] < 0).all()
    assert "no capacity" in str(found)


def test_the_law_is_read_off_candles() -> None:
    rng = np.random.default_rng(4)
    n = 5 * 1440
    index = pd.date_range("2026-01-01", periods=n, freq="min", tz="UTC")
    candles = pd.DataFrame({"close": 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n))), "volume": 20.0}, index)
    law = impact_of(candles)
    assert law.daily_volatility == pytest.approx(1e-3 * np.sqrt(1440), rel=0.03)
    turnover = (candles["volume"] * candles["close"]).groupby(index.date).sum()
    assert law.daily_notional == pytest.approx(turnover.iloc[1:-1].median())
    assert impact_of(pd.read_parquet(Path("data/sample/1m/CHARUSD.parquet"))).daily_notional > 0
    with pytest.raises(DataError, match="none"):
        impact_of(candles[["close"]])
    with pytest.raises(DataError, match="less than a day"):
        impact_of(candles.iloc[:100])
    with pytest.raises(DataError, match="daily_notional"):
        Impact(0.02, 0.0)


def test_the_picture_has_the_curve_and_its_marks(run: Run) -> None:
    found = capacity(run, 0.7, LEAD, HEDGE)
    figure = capacity_curve(found, "quote")
    money, share = figure.axes
    assert money.get_xscale() == "log"
    assert "quote" in money.get_ylabel()
    assert share.get_ylabel().startswith("return")
