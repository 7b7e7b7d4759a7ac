"""Figures of a strategy against the reference library empyrical, and the bootstrap against a known distribution."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from research import performance

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
