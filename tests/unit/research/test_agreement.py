"""Hundreds of random and real series against statsmodels, to 1e-8: Engle-Granger, Dickey-Fuller, Johansen; all trends, lag rules, lengths."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.stattools import coint
from statsmodels.tsa.vector_ar.vecm import coint_johansen

from hftkit.kernels.stats.adf import LAG_AIC, LAG_BIC, LAG_FIXED, LAG_T, adf_columns
from hftkit.kernels.stats.mackinnon import TRENDS
from research.stats.cointegration import engle_granger
from research.stats.johansen import johansen
from tests.statsmodels_reference import adfuller
from tests.unit.research.shared_data import shared

RULES = {"aic": LAG_AIC, "bic": LAG_BIC, "t-stat": LAG_T, None: LAG_FIXED}


def random_series(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of every sort: cointegrated and not, prices of one and of 1e5, drifting, with moving-average noise, with jumps."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 420))
    x = np.cumsum(rng.normal(size=n)) * 10.0 ** rng.uniform(-3, 1) + 10.0 ** rng.uniform(0, 5)
    if seed % 3 == 0:
        x += 0.01 * np.arange(n)
    noise = rng.normal(size=n) + 0.6 * np.roll(rng.normal(size=n), 1)
    if seed % 4 == 0:
        noise[rng.integers(0, n)] *= 15.0
    spread = np.zeros(n)
    phi = 1.0 if seed % 2 else rng.uniform(0.0, 0.98)
    for t in range(1, n):
        spread[t] = phi * spread[t - 1] + noise[t]
    return rng.uniform(-2, 2) * x + spread * x.std() * rng.uniform(0.05, 1.0), x


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.CollinearityWarning")
@pytest.mark.parametrize("block", range(8))
def test_engle_granger_on_400_random_pairs(block):
    """A constant among the terms takes out any level, so statsmodels is asked about the series from their first value on: of a price of 1e5 moving by
    1e-3 its regression loses half the digits (ours does not; the next test states how many). Without a constant it is asked as they are.
    """
    for seed in range(50 * block, 50 * block + 50):
        y, x = random_series(seed)
        trend, autolag = TRENDS[seed % 4], list(RULES)[seed // 4 % 4]
        maxlag = None if seed % 5 else 4
        ours = engle_granger(y, x, trend, maxlag, autolag)
        start = (0.0, 0.0) if trend == "n" else (y[0], x[0])
        statistic, pvalue, critical = coint(y - start[0], x - start[1], trend=trend, maxlag=maxlag, autolag=autolag)
        np.testing.assert_allclose(tuple(ours)[2], critical, rtol=1e-12)
        if ours.verdict == "collinear":  # without a constant two high prices hardly differ: statsmodels answers -inf as well
            assert (ours.statistic, ours.pvalue) == (statistic, pvalue) == (-np.inf, 0.0)
            continue
        assert ours.verdict == "ok"
        assert ours.statistic == pytest.approx(statistic, abs=1e-8), (seed, trend, autolag)
        assert ours.pvalue == pytest.approx(pvalue, abs=1e-8), (seed, trend, autolag)
        _, _, lag, nobs, *_ = adfuller(ours.residual, maxlag, "n", autolag)
        assert (ours.lag, ours.nobs) == (lag, nobs), (seed, trend, autolag)


def exact_statistic(y: np.ndarray, x: np.ndarray) -> float:
    """Engle-Granger with a constant and one lag, in rational arithmetic but for the last square root: no rounding to blame."""
    left, right = [Fraction(value) for value in y], [Fraction(value) for value in x]
    n = len(left)
    mean_y, mean_x = sum(left) / n, sum(right) / n
    slope = sum((b - mean_x) * (a - mean_y) for a, b in zip(left, right, strict=True)) / sum((b - mean_x) ** 2 for b in right)
    u = [(a - mean_y) - slope * (b - mean_x) for a, b in zip(left, right, strict=True)]
    d = [b - a for a, b in itertools.pairwise(u)]
    target, level, lag = d[1:], u[1:-1], d[:-1]
    ll, kk, lk = sum(v * v for v in level), sum(v * v for v in lag), sum(a * b for a, b in zip(level, lag, strict=True))
    lt, kt = sum(a * b for a, b in zip(level, target, strict=True)), sum(a * b for a, b in zip(lag, target, strict=True))
    determinant = ll * kk - lk * lk
    rho, gamma = (kk * lt - lk * kt) / determinant, (ll * kt - lk * lt) / determinant
    rss = sum((t - rho * a - gamma * b) ** 2 for t, a, b in zip(target, level, lag, strict=True))
    variance = rss / (len(target) - 2) * kk / determinant
    return float(rho) / float(variance) ** 0.5


@pytest.mark.parametrize(("level", "theirs_beyond"), [(1.0, 0.0), (1e3, 1e-11), (1e5, 1e-6), (1e7, 1e-4)])
def test_deviations_on_ill_conditioned_data(level, theirs_beyond):
    """Prices that move by 1e-2 round `level`: ours stays within 1e-12 of the exact statistic, statsmodels is off by 2e-5 at 1e5 and 5e-3 at 1e7."""
    rng = np.random.default_rng(7)
    x = level + 1e-2 * np.cumsum(rng.normal(size=60))
    y = 0.7 * x + 1e-2 * rng.normal(size=60)
    exact = exact_statistic(y, x)
    ours = abs(engle_granger(y, x, maxlag=1, autolag=None).statistic - exact)
    theirs = abs(coint(y, x, maxlag=1, autolag=None)[0] - exact)
    assert ours <= 1e-12
    assert theirs >= theirs_beyond


@pytest.mark.parametrize(("trend", "autolag"), list(itertools.product(range(4), RULES)))
def test_dickey_fuller_on_320_random_series(trend, autolag):
    for seed in range(20):
        series = random_series(1000 + 20 * trend + seed)[0]
        maxlag = int(seed % 9)
        out = np.empty(3)
        columns, rows = np.empty((trend + maxlag + 2, series.size)), np.empty((2, trend + maxlag + 2))
        assert adf_columns(series, columns, rows, out, trend, maxlag, RULES[autolag]) == 0
        statistic, _, lag, nobs, *_ = adfuller(series, maxlag, TRENDS[trend], autolag)
        assert out[0] == pytest.approx(statistic, abs=1e-8), (seed, trend, autolag)
        assert (int(out[1]), int(out[2])) == (lag, nobs), (seed, trend, autolag)


@pytest.mark.parametrize("order", ["n", "c", "ct"])
def test_johansen_on_120_random_groups(order):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        m, lags = 2 + seed % 4, 1 + seed % 5
        common = np.cumsum(rng.normal(size=(int(rng.integers(90, 500)), m)), axis=0)
        mixing = rng.normal(size=(m, m)) if seed % 2 else np.diag(10.0 ** rng.uniform(-2, 2, m))
        levels = common @ mixing + rng.uniform(0, 100, m) + rng.normal(size=common.shape)
        ours = johansen(pd.DataFrame(levels, columns=list("abcde")[:m]), lags, order)
        theirs = coint_johansen(levels, {"n": -1, "c": 0, "ct": 1}[order], lags)
        np.testing.assert_allclose(ours.table["trace"], theirs.trace_stat, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(ours.table["max_eigen"], theirs.max_eig_stat, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(ours.table["eigenvalue"], theirs.eig, atol=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_engle_granger_on_recorded_prices(rule):
    folder = shared("candles/binance_spot_5m")
    files = sorted(folder.glob("*.parquet"))[::4]
    logs = [np.log(pd.read_parquet(path, columns=["close"])["close"].to_numpy()[::72]) for path in files]  # every six hours, 728 rows
    for (i, y), (j, x) in list(itertools.permutations(enumerate(logs), 2))[:: 6 if rule else 3]:
        ours = engle_granger(y, x, autolag=rule)
        statistic, pvalue, _ = coint(y, x, autolag=rule)
        assert ours.statistic == pytest.approx(statistic, abs=1e-8), (files[i].stem, files[j].stem)
        assert ours.pvalue == pytest.approx(pvalue, abs=1e-8)
