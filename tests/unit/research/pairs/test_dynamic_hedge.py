"""Rolling hedge ratios, bands and books: against pandas, plain loops, and the printed figures of Chan's examples 3.1 to 3.3."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.pairs.costs import Costs
from research.pairs.dynamic_hedge import band_units, rolling_hedge_ratios, rolling_zscore, run_book
from research.pairs.lookahead import check_lookahead
from research.stats.johansen import johansen
from research.stats.spread.half_life import half_life
from research.stats.spread.kalman import kalman_regression
from tests.unit.research.shared_data import classic

DAYS = 252.0
ETF = "ewa_ewc_ige_daily_2006_2012.csv"
GOLD_OIL = "gld_uso_daily_2006_2012.csv"


def prices(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n, 2)) * 0.01
    return pd.DataFrame(50.0 * np.exp(np.cumsum(steps, axis=0)), columns=["A", "B"])


def test_chan_example_3_3_the_kalman_filter():
    """EWC on EWA in levels: APR 0.262252, Sharpe 2.361162 (KF_beta_EWA_EWC.m), through public functions."""
    data = classic(ETF)
    path = kalman_regression(data["EWC"], data["EWA"], drift=1e-4, noise=1e-3)
    units = band_units(path.zscore, entry_z=1.0, exit_z=1.0)
    book = run_book(units, np.column_stack([-path.slope, np.ones(len(data))]), data[["EWA", "EWC"]], DAYS)
    assert book.annual_return == pytest.approx(0.262252, abs=5e-7)
    assert book.sharpe == pytest.approx(2.361162, abs=5e-7)
    assert "0.262252" in str(book)
    assert "2.361162" in str(book)


def test_chan_example_2_8_the_linear_rule_on_a_johansen_portfolio():
    """EWC, EWA, IGE: half-life 22.662578 by -ln 2 / b, APR 0.125739, Sharpe 1.391310 (cointegrationTests.m)."""
    data = classic(ETF)[["EWC", "EWA", "IGE"]]
    weights = johansen(data, 1, "c").vectors["relation 1"].to_numpy()
    portfolio = data @ weights
    life = half_life(portfolio, "continuous")
    assert life == pytest.approx(22.662578, abs=5e-7)
    assert half_life(portfolio) == pytest.approx(22.314, abs=5e-4)
    book = run_book(-rolling_zscore(portfolio, round(life)), weights, data, DAYS)
    assert book.annual_return == pytest.approx(0.125739, abs=5e-7)
    assert book.sharpe == pytest.approx(1.391310, abs=5e-7)


@pytest.mark.parametrize(
    ("rule", "log", "apr", "ratio"),
    [("bollinger", False, 0.178249, 0.964673), ("linear", False, 0.108335, 0.589651), ("linear", True, 0.088863, 0.504153)],
)
def test_chan_examples_3_1_and_3_2_rolling_hedge(rule, log, apr, ratio):
    """USO on GLD, ratio over the last 20 days (bollinger.m, PriceSpread.m, LogPriceSpread.m), where the file is at hand."""
    data = classic(GOLD_OIL)[["GLD", "USO"]]
    window = 20
    slope = rolling_hedge_ratios(data["USO"], data["GLD"], window, log=log)[window:, 0]
    data = data.iloc[window:]
    values = np.log(data) if log else data
    z = rolling_zscore(values["USO"] - slope * values["GLD"], window)
    units = band_units(z, 1.0, 0.0) if rule == "bollinger" else -z
    book = run_book(units, np.column_stack([-slope, np.ones(slope.size)]), data, DAYS, money=log)
    assert book.annual_return == pytest.approx(apr, abs=5e-7)
    assert book.sharpe == pytest.approx(ratio, abs=5e-7)


@pytest.mark.parametrize("log", [True, False])
def test_rolling_ratios_are_least_squares_of_each_window(log):
    data = prices()
    found = rolling_hedge_ratios(data["A"], data["B"], 30, log)
    values = np.log(data) if log else data
    for row in (29, 120, 299):
        part = values.iloc[row - 29 : row + 1]
        np.testing.assert_allclose(found[row], np.polyfit(part["B"], part["A"], 1), rtol=1e-9)
    assert np.isnan(found[:29]).all()
    assert check_lookahead(lambda frame: rolling_hedge_ratios(frame["A"], frame["B"], 30, log), data, cuts=30).honest
    still = data.assign(B=7.0)
    assert np.isnan(rolling_hedge_ratios(still["A"], still["B"], 30, log)).all()
    with pytest.raises(DataError, match="a window of 2 bars"):
        rolling_hedge_ratios(data["A"], data["B"], 2)


def test_a_band_is_held_from_entry_to_exit():
    z = [np.nan, -1.5, -0.5, np.nan, 0.1, 1.2, 0.4, -0.1, -2.0, 2.0, 0.5]
    assert band_units(z, 1.0, 0.0).tolist() == [0, 1, 1, 1, 0, -1, -1, 0, 1, -1, -1]
    assert band_units(z, 1.0, 1.0).tolist() == [0, 1, 0, 0, 0, -1, 0, 0, 1, -1, 0]
    with pytest.raises(DataError, match="is no band"):
        band_units(z, 1.0, 2.0)


def test_a_book_by_hand():
    data = pd.DataFrame({"A": [100.0, 110.0, 99.0, 99.0], "B": [50.0, 50.0, 55.0, 44.0]})
    book = run_book([0.0, 1.0, 1.0, 0.0], [1.0, -2.0], data, DAYS)
    assert book.returns.tolist() == pytest.approx([0.0, 0.0, (-11.0 - 10.0) / 210.0, 22.0 / 209.0])
    assert book.trades == 1
    money = run_book([0.0, 1.0, 1.0, 0.0], [1.0, -1.0], data, DAYS, money=True)
    assert money.returns.tolist() == pytest.approx([0.0, 0.0, (-0.1 - 0.1) / 2.0, (0.0 + 0.2) / 2.0])
    paid = run_book([0.0, 1.0, 1.0, 0.0], [1.0, -2.0], data, DAYS, costs=Costs(1000.0, 0.0, 0.0))
    expected = [0.0, -1e-3, -21.0 / 210.0, 22.0 / 209.0 - 1e-3 * (99.0 + 88.0) / 209.0]
    assert paid.returns.tolist() == pytest.approx(expected)


def test_a_turn_costs_both_ways_and_a_moving_weight_is_traded():
    flat = pd.DataFrame({"A": [100.0] * 3, "B": [100.0] * 3})
    costs = Costs(1000.0, 0.0, 0.0)
    turned = run_book([1.0, -1.0, -1.0], [1.0, -1.0], flat, DAYS, costs=costs)
    assert turned.returns.tolist() == pytest.approx([-1e-3, -2e-3, 0.0])
    assert turned.trades == 2
    moved = run_book([1.0, 1.0, 1.0], [[1.0, -1.0], [1.0, -1.5], [1.0, -1.5]], flat, DAYS, costs=costs)
    assert moved.returns.tolist() == pytest.approx([-1e-3, -1e-3 * 50.0 / 200.0, 0.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: run_book([1.0], [1.0, -1.0], p, DAYS), "do not fit 300 rows"),
        (lambda p: run_book(np.ones(300), [1.0, -1.0], p.assign(A=p["A"].where(p.index != 7)), DAYS), "A is nan at row 7"),
        (lambda p: run_book(np.ones(300), [1.0, -1.0], -p, DAYS), "A is -"),
        (lambda p: run_book(np.ones(300), [1.0, -1.0], p, 0.0), "0.0 bars a year"),
    ],
)
def test_books_that_make_no_sense_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call(prices())


def test_half_lives_of_both_definitions():
    rng = np.random.default_rng(0)
    spread = np.zeros(5000)
    for t, noise in enumerate(rng.normal(size=4999)):
        spread[t + 1] = 0.9 * spread[t] + noise
    slope = np.polyfit(spread[:-1], np.diff(spread), 1)[0]
    assert half_life(spread) == pytest.approx(-np.log(2) / np.log1p(slope), rel=1e-9)
    assert half_life(spread, "continuous") == pytest.approx(-np.log(2) / slope, rel=1e-9)
    assert half_life(np.exp(np.arange(50.0) / 10), "continuous") == np.inf
    for bad, message in ((np.full(20, 3.0), "constant"), ([1.0, np.nan, 2.0, 3.0], "nan at row 1"), ([1.0, 2.0], "no half-life")):
        with pytest.raises(DataError, match=message):
            half_life(bad)
    with pytest.raises(DataError, match="no half-life 'other'"):
        half_life(spread, "other")
