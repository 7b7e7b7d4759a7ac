"""Figures of a strategy against the reference library empyrical, and the bootstrap against a known distribution."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.pairs import performance

BAR_NS = 3_600_000_000_000
PERIODS = performance.periods_per_year(BAR_NS)


@pytest.fixture(params=range(20))
def returns(request) -> np.ndarray:
    rng = np.random.default_rng(request.param)
    return rng.standard_t(4, size=rng.integers(50, 900)) * 0.003 + 1e-4


def test_equals_empyrical(returns):
    empyrical = pytest.importorskip("empyrical", reason="empyrical-reloaded is a development dependency")
    assert performance.sharpe(returns, PERIODS) == pytest.approx(empyrical.sharpe_ratio(returns, annualization=PERIODS), rel=1e-10)
    assert performance.sortino(returns, PERIODS) == pytest.approx(empyrical.sortino_ratio(returns, annualization=PERIODS), rel=1e-10)
    assert performance.calmar(returns, PERIODS) == pytest.approx(empyrical.calmar_ratio(returns, annualization=PERIODS), rel=1e-9)
    assert performance.annual_return(returns, PERIODS) == pytest.approx(empyrical.annual_return(returns, annualization=PERIODS), rel=1e-9)
    assert performance.drawdowns(returns).min() == pytest.approx(empyrical.max_drawdown(returns), rel=1e-10)
    assert performance.value_at_risk(returns) == pytest.approx(empyrical.value_at_risk(returns), rel=1e-12)
    assert performance.expected_shortfall(returns) == pytest.approx(empyrical.conditional_value_at_risk(returns), rel=1e-12)


def test_equals_the_formulas_written_out(returns):
    """The same by hand, arithmetic and compounded, without a library."""
    n, wealth, peak, falls, total, high, plain = len(returns), 1.0, 1.0, [], 1.0, 1.0, []
    for value in returns.tolist():
        wealth *= 1.0 + value
        peak = max(peak, wealth)
        falls.append(wealth / peak - 1.0)
        total += value
        high = max(high, total)
        plain.append(total - high)
    mean = sum(returns) / n
    assert performance.annual_return(returns, 252.0) == pytest.approx(wealth ** (252.0 / n) - 1.0, rel=1e-10)
    assert performance.annual_return(returns, 252.0, compounded=False) == pytest.approx(252.0 * mean, rel=1e-10)
    np.testing.assert_allclose(performance.drawdowns(returns), falls, atol=1e-12)
    np.testing.assert_allclose(performance.drawdowns(returns, compounded=False), plain, atol=1e-12)
    assert performance.calmar(returns, 252.0, compounded=False) == pytest.approx(252.0 * mean / -min(plain), rel=1e-9)
    deviation = (sum((value - mean) ** 2 for value in returns) / (n - 1)) ** 0.5
    assert performance.sharpe(returns, 252.0) == pytest.approx(mean / deviation * 252.0**0.5, rel=1e-10)
    worst = sorted(returns)[: int((n - 1) * 0.05) + 1]
    assert performance.expected_shortfall(returns) == pytest.approx(sum(worst) / len(worst), rel=1e-12)


def test_profits_of_a_fixed_size_are_added():
    """A unit that earns 1 % of its capital every day of an exchange's year earns 252 %, whatever compounding would make of it (1,127 %)."""
    days = pd.bdate_range("2023-01-02", periods=520, tz="UTC")
    trades = pd.DataFrame({"net": [1.0], "bars": [1]})
    day = 86_400_000_000_000
    figures = performance.summary(pd.Series(0.01, days), trades, day)
    assert (figures["bars_a_year"], figures["net_return"]) == (pytest.approx(260.9, abs=1.0), pytest.approx(5.2))  # no holidays: 5 of 7 days
    assert figures["annual_return"] == pytest.approx(0.01 * figures["bars_a_year"])
    assert performance.summary(pd.Series(0.01, days), trades, day, compounded=True)["annual_return"] > 10.0
    crypto = pd.date_range("2023-01-01", periods=520, tz="UTC")
    assert performance.summary(pd.Series(0.01, crypto), trades, day)["annual_return"] == pytest.approx(3.6525)
    assert performance.periods_per_year(day) == 365.25


@pytest.mark.parametrize(
    "name", ["sharpe", "sortino", "drawdowns", "annual_return", "calmar", "value_at_risk", "expected_shortfall", "probabilistic_sharpe"]
)
@pytest.mark.parametrize(
    ("bad", "says"), [([], "0 returns are too few"), ([0.1, np.nan], "1 of 2 .* row 1"), ([np.inf, 0.1], "row 0"), ([[0.1]], "no series")]
)
def test_what_is_no_series_of_returns_is_refused_everywhere(name, bad, says):
    more = (252.0,) if name in ("sharpe", "sortino", "annual_return", "calmar") else ()
    with pytest.raises(DataError, match=says):
        getattr(performance, name)(np.array(bad, float), *more)


def test_figures_without_meaning_are_refused():
    good = np.array([0.1, -0.1, 0.2])
    for periods in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(DataError, match="bars a year"):
            performance.annual_return(good, periods)
    for level in (0.0, 1.0, np.nan):
        with pytest.raises(DataError, match="level"):
            performance.value_at_risk(good, level)
    with pytest.raises(DataError, match="bars of 0 ns"):
        performance.periods_per_year(0)
    with pytest.raises(DataError, match="0 returns"):
        performance.summary(pd.Series([], dtype=float), pd.DataFrame({"net": [], "bars": []}), BAR_NS)
    assert performance.annual_return(np.array([0.1, -1.5, 0.2]), 252.0) == -1.0  # nothing is left to compound


def test_trades_by_hand():
    trades = pd.DataFrame({"net": [3.0, -1.0, 2.0, -1.0, np.nan], "bars": [4, 2, 6, 8, 99]})
    figures = performance.summary(pd.Series([0.01, -0.02, 0.015, 0.0, 0.002]), trades, BAR_NS)
    assert figures["trades"] == 4
    assert figures["win_rate"] == 0.5
    assert figures["profit_factor"] == 2.5
    assert figures["average_bars"] == 5.0
    assert figures["net_return"] == pytest.approx(0.007)


def test_without_variance_nothing_is_claimed():
    still = np.zeros(10)
    for figure in (performance.sharpe(still, 1.0), performance.sortino(still, 1.0), performance.calmar(still, 1.0)):
        assert np.isnan(figure)


def test_bootstrap_band_covers_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for i in range(60):
        low, high = performance.bootstrap_band(rng.normal(0.1, 1.0, 300), np.mean, block=5.0, draws=200, level=0.9, seed=i)
        hits += low <= 0.1 <= high
    assert 44 <= hits <= 60
    sample = rng.normal(size=50)
    assert performance.bootstrap_band(sample, seed=2, draws=50) == performance.bootstrap_band(sample, seed=2, draws=50)
