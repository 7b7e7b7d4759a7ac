"""The sweep and vectorbt's portfolios make the same trades and the same money."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.errors import DataError
from research.pairs.costs import NO_COSTS
from research.pairs.strategy_optimizer import PairBars, Thresholds, run_rule
from research.pairs.vectorbt_check import vectorbt_portfolio


def test_equal_trades(prices):
    pytest.importorskip("vectorbt", reason="vectorbt is in the research extra")
    bars = PairBars(prices["A0USDT"], prices["B0USDT"], 0.8, 60_000_000_000)
    cells = [Thresholds(window, entry, leave, 1e6, 10**9) for window in (60, 120) for entry in (1.5, 2.5) for leave in (0.0, 0.5)]
    portfolio = vectorbt_portfolio(bars, cells)
    positions = portfolio.assets().to_numpy()
    for column, cell in enumerate(cells):
        run = run_rule(bars, cell, NO_COSTS)
        assert (np.round(positions[:, column]) == run.frame["target"].to_numpy()).all()
        assert portfolio.trades.count().iloc[column] == run.trades > 20
        assert portfolio.total_profit().iloc[column] == pytest.approx(run.net, abs=1e-7)
    with pytest.raises(DataError, match="may stop out"):
        vectorbt_portfolio(bars, [Thresholds(60, 1.5, 0.0, 3.0, 10**9)])
