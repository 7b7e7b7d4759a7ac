"""The report of one pair: every test with its null hypothesis, the figure drawn, the memory of a known process."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from research.report.pair_report import autocorrelation, report
from research.stats.cointegration import engle_granger
from tests.unit.research.stats.test_spread_tests import broken_pair


def test_everything_is_in_it(prices):
    page = report(prices, "A0USDT", "B0USDT")
    text = page.text()
    for name in ("Engle-Granger", "Phillips-Ouliaris", "Gregory-Hansen", "CUSUM", "Johansen", "variance ratio", "Hurst", "dynamic least squares"):
        assert name in text
    assert str(page) == repr(page) == text
    assert text.count("null hypothesis") == 7
    assert page.engle_granger.pvalue < 1e-6
    assert page.johansen.rank == 1
    assert page.hurst < 0.45
    assert len(page.rolling) >= 12
    assert len(page.figure.axes) == 4
    assert page._repr_png_()[:4] == b"\x89PNG"


def test_rows_and_times_are_those_of_the_data():
    """A long sample is not thinned: every regression has all rows, and the break is named by row and time."""
    y, x = broken_pair(2400, 1600)
    page = report(pd.DataFrame({"Y": np.exp(y), "X": np.exp(x)}), "Y", "X", windows=3)
    found = page.gregory_hansen
    assert found.details["nobs"] == 2400
    assert abs(int(found.details["break_row"]) - 1600) <= 2
    assert found.details["break_time"] == str(y.index[found.details["break_row"]])
    line = next(line for line in page.text().splitlines() if line.startswith("Gregory-Hansen"))
    assert f"break at row {found.details['break_row']} (2025-01-02" in line
    assert "one row in 8, then every row from" in page.text()


def test_levels_are_a_choice(prices):
    part = prices.iloc[:600]
    page = report(part, "A0USDT", "B0USDT", windows=3, log=False)
    assert page.text().startswith("A0USDT on B0USDT, levels")
    assert page.engle_granger.pvalue == engle_granger(part["A0USDT"], part["B0USDT"]).pvalue
    assert page.hedge_ratios["least squares"] == pytest.approx(float(page.engle_granger.hedge_ratio))
    assert page.half_lives["continuous"] > page.half_lives["discrete"] == pytest.approx(page.engle_granger.half_life)


def test_autocorrelation_of_a_known_process():
    rng = np.random.default_rng(0)
    values = np.zeros(20_000)
    for t, noise in enumerate(rng.normal(size=values.size - 1)):
        values[t + 1] = 0.8 * values[t] + noise
    assert autocorrelation(values, 3).tolist() == pytest.approx([1.0, 0.8, 0.64, 0.512], abs=0.03)
