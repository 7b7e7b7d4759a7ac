"""Rolling moments against pandas, against exact fractions, and streaming against batch after every value."""

from __future__ import annotations

import statistics
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.kernels.market.moments import EWMA, KALMAN, ROLLING, ewma_mean_std, held, local_level, mean_std, moments, push, trailing_moments

FINITE = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))


def stream(values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    ring, head, count = np.full(window, np.nan), 0, 0
    answers = []
    for value in values:
        head, count = push(ring, head, count, value)
        answers.append(mean_std(ring, head, count))
    mean, std = np.array(answers).T
    return mean, std


@pytest.mark.parametrize("window", [2, 3, 60])
def test_equals_pandas_after_every_value(window):
    values = np.log(100 + np.cumsum(np.random.default_rng(5).normal(size=400)))
    mean, std = stream(values, window)
    rolling = pd.Series(values).rolling(window, min_periods=2)
    np.testing.assert_allclose(mean[1:], rolling.mean()[1:], rtol=1e-12)
    two_pass = rolling.apply(lambda held: np.std(held, ddof=1), raw=True)  # rolling.std keeps running sums and loses digits
    np.testing.assert_allclose(std[1:], two_pass[1:], rtol=1e-12, atol=1e-15)
    exact = [statistics.stdev(map(Fraction, values[max(0, t - window + 1) : t + 1])) for t in range(1, len(values))]
    np.testing.assert_allclose(std[1:], exact, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(FINITE, min_size=2, max_size=40), st.integers(2, 12))
def test_rotation_of_the_ring_does_not_change_a_bit(values, window):
    tail = values[-window:]
    fresh = np.full(window, np.nan)
    head = count = 0
    for value in tail:
        head, count = push(fresh, head, count, value)
    mean, std = stream(np.array(values), window)
    assert mean_std(fresh, head, count) == (mean[-1], std[-1])


@settings(max_examples=60, deadline=None)
@given(st.lists(FINITE | st.sampled_from([np.nan, np.inf, -np.inf]), min_size=1, max_size=40), st.integers(2, 8))
def test_trailing_moments_are_the_stream_one_bar_late(values, window):
    series = np.array(values, np.float64)
    mean, std = np.full(series.size, 7.0), np.full(series.size, 7.0)
    ready = trailing_moments(series, np.empty(window), mean, std, ROLLING, window)
    assert ready == np.count_nonzero(~np.isnan(mean))
    for t in range(series.size):
        known = series[:t][np.isfinite(series[:t])]
        if known.size < window:
            assert np.isnan(mean[t])
            assert np.isnan(std[t])
        else:
            before = stream(known, window)
            assert (mean[t], std[t]) == (before[0][-1], before[1][-1])


@pytest.mark.parametrize("value", [0.1, 1e-9, 123456.789, 1e15 + 0.3])
def test_constant_window_has_exactly_zero_std(value):
    mean, std = stream(np.full(37, value), 7)
    assert (mean == value).all()
    assert (std[1:] == 0.0).all()


def test_a_large_level_does_not_swallow_a_small_variance():
    noise = np.random.default_rng(1).normal(size=50) * 1e-6
    values = noise + 1e6
    _, std = stream(values, 50)
    assert std[-1] == pytest.approx(float(statistics.stdev(map(Fraction, values))), rel=1e-12)


def test_values_that_are_not_finite_are_not_pushed():
    ring = np.full(3, np.nan)
    assert push(ring, 0, 0, np.nan) == (0, 0)
    assert push(ring, 0, 0, np.inf) == (0, 0)
    assert np.isnan(ring).all()


def test_too_few_values_have_no_moments():
    ring = np.zeros(3)
    assert np.isnan(mean_std(ring, 0, 0)).all()
    head, count = push(ring, 0, 0, 5.0)
    mean, std = mean_std(ring, head, count)
    assert mean == 5.0
    assert np.isnan(std)


@pytest.mark.parametrize("window", [2, 5, 30])
def test_ewma_equals_pandas_over_the_values_held(window):
    values = np.log(100 + np.cumsum(np.random.default_rng(6).normal(size=300)))
    size = held(EWMA, window)
    mean, std = np.empty(300), np.empty(300)
    assert trailing_moments(values, np.empty(size), mean, std, EWMA, window) == 300 - size
    for t in range(size, 300, 7):
        weighted = pd.Series(values[t - size : t]).ewm(span=window)
        assert mean[t] == pytest.approx(weighted.mean().iloc[-1], rel=1e-12)
        assert std[t] == pytest.approx(weighted.std().iloc[-1], rel=1e-9)


@pytest.mark.parametrize("window", [3, 20])
def test_the_local_level_is_the_kalman_filter_of_statsmodels(window):
    """Known ratio of variances, first value known with the variance of one observation: predictions, and the scale from the one-step errors."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    values = np.cumsum(np.random.default_rng(7).normal(size=200)) * 0.01 + 3.0
    gain = 2 / (window + 1)
    size = held(KALMAN, window)
    for t in (size, 150, 200):
        part = values[t - size : t]
        model = UnobservedComponents(part[1:], "llevel")
        model.ssm.initialize_known(np.array([part[0]]), np.array([[1.0 + gain**2 / (1 - gain)]]))
        kalman = model.filter([1.0, gain**2 / (1 - gain)])
        scale = np.mean(kalman.forecasts_error[0] ** 2 / kalman.forecasts_error_cov[0, 0])
        mean, std = local_level(part, 0, size, window)
        assert mean == pytest.approx(float(kalman.predicted_state[0, -1]), rel=1e-10)
        assert std == pytest.approx(float(np.sqrt(scale * (kalman.predicted_state_cov[0, 0, -1] + 1.0))), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=60), st.integers(2, 6), st.sampled_from([ROLLING, EWMA, KALMAN]))
def test_every_kind_streams_as_it_batches_whatever_the_rotation(values, window, kind):
    size = held(kind, window)
    series = np.array(values)
    mean, std = np.empty(series.size), np.empty(series.size)
    trailing_moments(series, np.empty(size), mean, std, kind, window)
    for t in range(size, series.size):
        fresh, head, count = np.empty(size), 0, 0
        for value in series[t - size : t]:
            head, count = push(fresh, head, count, value)
        assert moments(kind, window, fresh, head, count) == (mean[t], std[t])


@pytest.mark.parametrize("moment", [ewma_mean_std, local_level])
def test_every_kind_says_what_it_does_not_know(moment):
    ring = np.full(6, 0.1)
    assert np.isnan(moment(ring, 0, 0, 2)).all()
    mean, std = moment(ring, 1, 1, 2)
    assert mean == 0.1
    assert np.isnan(std)
    assert moment(ring, 0, 6, 2) == (0.1, 0.0)
