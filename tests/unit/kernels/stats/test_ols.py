"""Nested regressions by both roads against numpy's SVD least squares; detrending against a polynomial fit."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.kernels.stats.ols import (
    OLS_ILL_CONDITIONED,
    OLS_OK,
    OLS_SINGULAR,
    cholesky_nested,
    householder_nested,
    remove_trend,
    t_statistic,
)

RNG = np.random.default_rng(11)


def by_svd(design: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Residual sum of squares and t of the last column."""
    beta, *_ = np.linalg.lstsq(design, target, rcond=None)
    rest = target - design @ beta
    variance = rest @ rest / (len(target) - design.shape[1])
    return rest @ rest, beta[-1] / np.sqrt(variance * np.linalg.inv(design.T @ design)[-1, -1])


def both_roads(design: np.ndarray, target: np.ndarray):
    all_columns = np.column_stack([design, target])
    m = all_columns.shape[1]
    for name in ("cholesky", "householder"):
        z, rss = np.full(m, np.nan), np.full(m, np.nan)
        if name == "cholesky":
            verdict = cholesky_nested(all_columns.T @ all_columns, z, rss, m)
            unit = target @ target
        else:
            verdict = householder_nested(np.ascontiguousarray(all_columns.T), z, rss, m, len(target))
            unit = 1.0
        yield name, verdict, z * np.sqrt(unit), rss * unit


@pytest.mark.parametrize(("n", "k"), [(5, 1), (40, 4), (300, 12)])
def test_nested_regressions_equal_svd(n, k):
    design = RNG.normal(size=(n, k)) * 10.0 ** RNG.integers(-4, 5, size=k)
    target = design @ RNG.normal(size=k) / np.abs(design).max() + RNG.normal(size=n)
    for name, verdict, z, rss in both_roads(design, target):
        assert verdict == OLS_OK, name
        for q in range(k):
            expected_rss, expected_t = by_svd(design[:, : q + 1], target)
            assert rss[q] == pytest.approx(expected_rss, rel=1e-10), name
            assert t_statistic(z[q], rss[q], n - q - 1) == pytest.approx(expected_t, rel=1e-8), name


def test_nearly_collinear_columns_are_handed_to_the_careful_road():
    n = 200
    first = RNG.normal(size=n)
    design = np.column_stack([first, first + 1e-7 * RNG.normal(size=n)])
    target = RNG.normal(size=n)
    answers = {name: (verdict, z, rss) for name, verdict, z, rss in both_roads(design, target)}
    assert answers["cholesky"][0] == OLS_ILL_CONDITIONED
    verdict, z, rss = answers["householder"]
    assert verdict == OLS_OK
    expected_rss, _ = by_svd(design, target)
    assert rss[1] == pytest.approx(expected_rss, rel=1e-10)
    assert np.isfinite(t_statistic(z[1], rss[1], n - 2))


def test_a_zero_or_repeated_column_is_singular():
    target = RNG.normal(size=30)
    for design in (np.column_stack([np.ones(30), np.zeros(30)]), np.column_stack([target**2, 3 * target**2])):
        verdicts = {name: verdict for name, verdict, _, _ in both_roads(design, target)}
        assert verdicts["householder"] == OLS_SINGULAR
        assert verdicts["cholesky"] in (OLS_SINGULAR, OLS_ILL_CONDITIONED)


def test_no_degrees_of_freedom_no_statistic():
    assert np.isnan(t_statistic(1.0, 1.0, 0))
    assert np.isnan(t_statistic(1.0, 0.0, 5))


@pytest.mark.parametrize("trend", range(4))
@pytest.mark.parametrize("level", [0.0, 1e6])
def test_trend_is_removed_as_by_a_polynomial_fit(trend, level):
    n = 101
    values = level + np.linspace(0, 3, n) + RNG.normal(size=n)
    out, coefficients = np.full(n, np.nan), np.full(3, np.nan)
    left = remove_trend(values, out, coefficients, trend)
    tau = np.linspace(-1, 1, n)
    basis = np.column_stack([np.ones(n), tau, tau**2 - np.mean(tau**2)])[:, :trend]
    expected = values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0] if trend else values
    np.testing.assert_allclose(out, expected, atol=1e-8 if level else 1e-13)
    assert left == pytest.approx(out @ out, rel=1e-13)
    assert not coefficients[trend:].any()
    np.testing.assert_allclose(basis @ coefficients[:trend] + out, values, atol=1e-8 if level else 1e-13)
