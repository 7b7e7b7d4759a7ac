"""The Kalman hedge ratio: a true slope is found, whatever the unit of the price; nothing is known before its time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.pairs.lookahead import check_lookahead
from research.stats.discovery.known_truth import known_pair
from research.stats.spread.hedge import kalman_hedge_ratios, ols_hedge_ratio
from research.stats.spread.kalman import kalman_hedge, kalman_regression
from tests.unit.research.shared_data import classic


def changing_pair(n: int = 6000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logs of lead and hedge, and the spread: the ratio is 0.8, from the middle on 1.2; half-life of the spread 60 bars."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=n)) * 5e-4
    ratio = np.where(np.arange(n) < n // 2, 0.8, 1.2)
    spread = np.zeros(n)
    for t in range(1, n):
        spread[t] = 0.9885 * spread[t - 1] + rng.normal() * 3e-4
    return 1.0 + np.cumsum(np.r_[0, np.diff(x)] * ratio) + spread, x, spread


def test_a_changing_ratio_is_found_at_any_price():
    """The figures of the fault: with the settings before, the slope stayed at 0.69 and the residual was 8e-7 of a true 2e-3."""
    y, x, spread = changing_pair()
    paths = [kalman_hedge(np.exp(y), np.exp(x + np.log(price))) for price in (1.0, 100.0, 60_000.0)]
    first = paths[0]
    assert first.slope[[1000, 2900, 4000, 5900]].tolist() == pytest.approx([0.8, 0.8, 1.2, 1.2], abs=0.1)
    assert np.std(first.forecast_error[600:]) == pytest.approx(np.std(spread[600:]), rel=0.4)
    for other in paths[1:]:
        np.testing.assert_allclose(other.slope, first.slope, rtol=1e-8)
        np.testing.assert_allclose(other.forecast_error, first.forecast_error, atol=1e-9)
    np.testing.assert_allclose(kalman_hedge(7.0 * np.exp(y), np.exp(x)).slope, first.slope, rtol=1e-8)


@pytest.mark.parametrize("half_life", [5.0, 20.0, 60.0])
def test_a_constant_ratio_is_found_over_many_seeds(half_life):
    """Median error of the slope at the end below five hundredths, and the z-scores have about the deviation one."""
    factor = 0.5 ** (1.0 / half_life)
    errors, scales = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x = np.cumsum(rng.normal(size=2000)) * 5e-4
        spread = np.zeros(2000)
        for t in range(1, 2000):
            spread[t] = factor * spread[t - 1] + rng.normal() * 2e-3 * np.sqrt(1.0 - factor**2)
        path = kalman_hedge(np.exp(0.8 * x + spread), np.exp(x))
        errors.append(path.slope[-1] - 0.8)
        scales.append(np.nanstd(path.zscore))
    assert abs(np.median(errors)) < 0.1
    assert np.median(np.abs(errors)) < 0.25
    assert 0.7 < np.median(scales) < 1.5


def test_a_bid_ask_bounce_does_not_pull_the_slope_to_zero():
    """Moves of 6 bps a bar, a bounce of 2 bps in either price: without the correction the slope is 0.67 of 0.8, with it within 0.04."""
    slopes = {True: [], False: []}
    for seed in range(6):
        pair = known_pair(seed, 4000, bounce=2e-4)
        for bounce, found in slopes.items():
            found.extend(kalman_hedge(pair["lead"], pair["hedge"], bounce=bounce).slope[[1500, 2700, 3999]])
    assert np.mean(slopes[False]) < 0.72
    assert np.mean(slopes[True]) == pytest.approx(0.8, abs=0.05)


def test_nothing_before_the_start_and_no_look_ahead():
    y, x, _ = changing_pair(900)
    data = pd.DataFrame({"lead": np.exp(y), "hedge": np.exp(x)}, index=pd.date_range("2025-01-01", periods=900, freq="1min", tz="UTC"))
    path = kalman_hedge_ratios(data["lead"], data["hedge"])
    assert np.isnan(path[:250]).all()
    assert np.isfinite(path[250:]).all()
    for signal in (
        lambda frame: kalman_hedge(frame["lead"], frame["hedge"]).frame,
        lambda frame: kalman_hedge(frame["lead"], frame["hedge"], log=False, start=40).frame,
        lambda frame: kalman_regression(frame["lead"], frame["hedge"]).frame,
    ):
        assert check_lookahead(signal, data, cuts=25).honest
    assert np.isnan(kalman_hedge(data["lead"].iloc[:250], data["hedge"].iloc[:250]).slope).all()


def test_residuals_are_forecasts():
    y, x, _ = changing_pair(900)
    path = kalman_hedge(np.exp(y), np.exp(x))
    rows = np.arange(251, 900)
    expected = y[rows] - path.intercept[rows - 1] - path.slope[rows - 1] * x[rows]
    np.testing.assert_allclose(path.forecast_error[rows], expected, atol=1e-12)


def test_without_drift_the_filter_is_generalised_least_squares():
    """Memories without end: the regression of quasi-differences over all rows, computed at once."""
    y, x, _ = changing_pair(600)
    path = kalman_hedge(np.exp(y), np.exp(x), memory=np.inf, level_memory=np.inf, half_life=60.0, bounce=False)
    factor = 0.5 ** (1.0 / 60.0)
    design = np.column_stack([np.full(599, 1.0 - factor), x[1:] - factor * x[:-1]])
    intercept, slope = np.linalg.lstsq(design, y[1:] - factor * y[:-1], rcond=None)[0]
    assert path.slope[-1] == pytest.approx(slope, rel=1e-8)
    assert path.intercept[-1] == pytest.approx(intercept, rel=1e-8)
    assert "half-life 60.0 bars" in str(path)


def plain_filter(y: np.ndarray, x: np.ndarray, drift: float, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chan's equations 3.7 to 3.12, written out without matrices."""
    b = a = 0.0
    p11 = p12 = p22 = 0.0
    walk = drift / (1.0 - drift)
    slopes, errors, variances = np.empty(y.size), np.empty(y.size), np.empty(y.size)
    for t in range(y.size):
        if t:
            p11, p22 = p11 + walk, p22 + walk
        errors[t] = y[t] - b * x[t] - a
        g1, g2 = p11 * x[t] + p12, p12 * x[t] + p22
        variances[t] = g1 * x[t] + g2 + noise
        b, a = b + g1 / variances[t] * errors[t], a + g2 / variances[t] * errors[t]
        p11, p12, p22 = p11 - g1 * g1 / variances[t], p12 - g1 * g2 / variances[t], p22 - g2 * g2 / variances[t]
        slopes[t] = b
    return slopes, errors, variances


def test_the_textbook_filter():
    rng = np.random.default_rng(3)
    x = 20.0 + np.cumsum(rng.normal(size=400)) * 0.2
    y = 3.0 + 0.9 * x + rng.normal(size=400) * 0.1
    slopes, errors, variances = plain_filter(y, x, 1e-4, 1e-3)
    path = kalman_regression(y, x)
    np.testing.assert_allclose(path.slope, slopes, rtol=1e-9)
    np.testing.assert_allclose(path.forecast_error, errors, atol=1e-9)
    np.testing.assert_allclose(path.forecast_deviation**2, variances, rtol=1e-9)


def test_real_prices_give_a_ratio_near_least_squares():
    data = classic("ewa_ewc_ige_daily_2006_2012.csv")
    path = kalman_hedge(data["EWC"], data["EWA"])
    assert path.slope[-1] == pytest.approx(ols_hedge_ratio(data["EWC"], data["EWA"]), abs=0.4)
    assert path.index.equals(data.index)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory": 1.0}, "memories of 1.0 and"),
        ({"start": 10}, "with a start of 10"),
        ({"half_life": -3.0}, "half-life of -3.0"),
    ],
)
def test_settings_that_make_no_filter_are_refused(settings, message):
    y, x, _ = changing_pair(400)
    with pytest.raises(DataError, match=message):
        kalman_hedge(np.exp(y), np.exp(x), **settings)


def test_series_that_make_no_filter_are_refused():
    y, x, _ = changing_pair(400)
    for lead, hedge, message in (
        (np.full(400, 3.0), np.exp(x), "lead is constant over the first 250 rows"),
        (np.exp(y), np.full(400, 3.0), "hedge is constant over the first 250 rows"),
        (np.exp(2.0 * x), np.exp(x), "follows the hedge exactly"),
        (np.exp(y), -np.exp(x), "not finite and positive"),
        (np.exp(y)[:300], np.exp(x), "shapes"),
    ):
        with pytest.raises(DataError, match=message):
            kalman_hedge(lead, hedge)
    with pytest.raises(DataError, match=r"a drift of 1\.0 with a noise of 0\.001"):
        kalman_regression(y, x, drift=1.0)
