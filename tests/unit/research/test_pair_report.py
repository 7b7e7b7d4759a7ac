"""The report of one pair: every test with its null hypothesis, the figure drawn, the memory of a known process."""

from __future__ import annotations

import numpy as np
import pytest

from research.pair_report import autocorrelation, report


def test_everything_is_in_it(prices):
    page = report(prices, "A0USDT", "B0USDT")
    text = page.text()
    for name in ("Engle-Granger", "Phillips-Ouliaris", "Gregory-Hansen", "CUSUM", "Johansen", "variance ratio", "Hurst", "dynamic least squares"):
        assert name in text
    assert text.count("null hypothesis") == 7
    assert page.engle_granger.pvalue < 1e-6
    assert page.johansen.rank == 1
    assert page.hurst < 0.45
    assert len(page.rolling) >= 12
    assert len(page.figure.axes) == 4
    assert page._repr_png_()[:4] == b"\x89PNG"


def test_autocorrelation_of_a_known_process():
    rng = np.random.default_rng(0)
    values = np.zeros(20_000)
    for t, noise in enumerate(rng.normal(size=values.size - 1)):
        values[t + 1] = 0.8 * values[t] + noise
    assert autocorrelation(values, 3).tolist() == pytest.approx([1.0, 0.8, 0.64, 0.512], abs=0.03)
