"""Fully modified, canonical and dynamic least squares against the package arch, its printed figures, and a simulation of their size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.stats.cointegrating_regression import TRENDS, CointegratingRegression, canonical, dynamic, fully_modified
from research.stats.long_run import KERNELS, kernel_weights, long_run_covariance, optimal_bandwidth
from tests.unit.research.shared_data import classic

ARCH = {"bartlett": "bartlett", "parzen": "parzen", "quadratic-spectral": "quadraticspectral"}


def system(seed: int, n: int = 300, k: int = 1) -> tuple[pd.Series, pd.DataFrame]:
    """y on k walks, the coefficients 1, -0.5, 0.25: errors autocorrelated, and moved by the changes of x."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n, k))
    x = 5.0 + np.cumsum(steps, axis=0)
    u = np.zeros(n)
    for t in range(1, n):
        u[t] = 0.6 * u[t - 1] + rng.normal() + 0.5 * steps[t, 0]
    y = 2.0 + x @ np.array([1.0, -0.5, 0.25])[:k] + u
    return pd.Series(y, name="y"), pd.DataFrame(x, columns=[f"x{i + 1}" for i in range(k)])


def counted_from(later: int, found: CointegratingRegression) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors with the time counted from `later` rows later, as arch does where it loses rows."""
    terms = 0 if found.trend == "n" else len(found.trend)
    k = len(found.table) - terms
    move = np.eye(len(found.table))
    shift = np.array([[1.0, later, later**2], [0.0, 1.0, 2.0 * later], [0.0, 0.0, 1.0]])
    move[k:, k:] = shift[:terms, :terms]
    return move @ found.table["coefficient"], np.sqrt(np.diag(move @ found.covariance.to_numpy() @ move.T))


@pytest.mark.usefixtures("arch_without_compiling")
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("trend", TRENDS)
@pytest.mark.parametrize("bandwidth", [None, 4.0])
def test_equals_arch(kernel, trend, bandwidth):
    """Coefficients, standard errors, bandwidth, long-run variance. arch counts time from the first row that a regression keeps, we from the first."""
    reference = pytest.importorskip("arch.unitroot.cointegration", reason="arch is a development dependency")
    y, x = system(len(kernel), 150, 2)
    cases = (
        (fully_modified(y, x, trend, kernel, bandwidth), reference.FullyModifiedOLS(y, x, trend), 0),
        (canonical(y, x, trend, kernel, bandwidth), reference.CanonicalCointegratingReg(y, x, trend), 1),
        (dynamic(y, x, trend, 3, 2, kernel, bandwidth), reference.DynamicOLS(y, x, trend, lags=2, leads=3), 3),
    )
    for found, model, later in cases:
        expected = model.fit(kernel=ARCH[kernel], bandwidth=bandwidth)
        coefficients, errors = counted_from(later, found)
        np.testing.assert_allclose(coefficients, expected.params.iloc[: len(coefficients)], rtol=1e-6, err_msg=found.method)
        np.testing.assert_allclose(errors, expected.std_errors.iloc[: len(errors)], rtol=1e-6, err_msg=found.method)
        assert found.bandwidth == pytest.approx(expected.bandwidth)
        assert found.long_run_variance == pytest.approx(expected.long_run_variance, rel=1e-6)


@pytest.mark.usefixtures("arch_without_compiling")
@pytest.mark.parametrize("kernel", KERNELS)
def test_long_run_covariance_equals_arch(kernel):
    reference = pytest.importorskip("arch.covariance.kernel", reason="arch is a development dependency")
    name = {"bartlett": "Bartlett", "parzen": "Parzen", "quadratic-spectral": "QuadraticSpectral"}[kernel]
    values = np.column_stack(system(3, 200, 2)).astype(float)
    steps = np.diff(values, axis=0)
    for bandwidth in (None, 0.0, 6.0):
        ours, theirs = long_run_covariance(steps, kernel, bandwidth), getattr(reference, name)(steps, bandwidth, center=False)
        assert ours.bandwidth == pytest.approx(theirs.bandwidth)
        np.testing.assert_allclose(ours.two_sided, theirs.cov.long_run, rtol=1e-10)
        np.testing.assert_allclose(ours.one_sided, theirs.cov.one_sided, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.short, theirs.cov.short_run, rtol=1e-10)


def test_a_plain_sum_is_the_bartlett_estimate():
    rng = np.random.default_rng(0)
    u = rng.normal(size=(100, 2))
    expected = u.T @ u / 100
    for h in range(1, 4):
        cross = sum(np.outer(u[t], u[t - h]) for t in range(h, 100)) / 100
        expected = expected + (1.0 - h / 4.0) * (cross + cross.T)
    np.testing.assert_allclose(long_run_covariance(u, "bartlett", 3.0).two_sided, expected)
    assert kernel_weights("bartlett", 3.0, 100).tolist() == [1.0, 0.75, 0.5, 0.25]
    for call, message in (
        (lambda: long_run_covariance(u, "flat"), "no kernel 'flat'"),
        (lambda: long_run_covariance(u, "bartlett", -1.0), "a bandwidth of -1.0"),
        (lambda: optimal_bandwidth(np.zeros((50, 1))), "without variance"),
    ):
        with pytest.raises(DataError, match=message):
            call()


def test_the_bias_goes_and_the_t_values_have_their_size():
    """60 systems: least squares is off by more than either estimator, and the truth is rejected at 5 % no more than twice as often as said."""
    ols, errors, rejected = [], {f: [] for f in (fully_modified, canonical, dynamic)}, dict.fromkeys((fully_modified, canonical, dynamic), 0)
    for seed in range(60):
        y, x = system(seed, 200)
        ols.append(np.polyfit(x["x1"], y, 1)[0] - 1.0)
        for method in errors:
            found = method(y, x)
            errors[method].append(found.hedge_ratio - 1.0)
            rejected[method] += found.t_against(1.0)[1] < 0.05
    for method, values in errors.items():
        assert abs(np.mean(values)) < 0.6 * abs(np.mean(ols)), method
        assert rejected[method] / 60 < 0.25, (method, rejected[method])


def test_crude_oil():
    """Logs of WTI on Brent, the example of the package arch; the figures are those of its release 8.0.0."""
    logs = np.log(classic("crude_wti_brent_monthly.csv"))
    for method, coefficients, errors, bandwidth in (
        (fully_modified, (0.9049013897003649, 0.35617882152719027), (0.010506625063694021, 0.038505285871267385), 13.0),
        (canonical, (0.9049112110091971, 0.3561355173532342), (0.01047001429343615, 0.038339931567336547), 13.0),
        (dynamic, (0.9067532058008185, 0.35065780368117966), (0.011565090130166482, 0.04235911970166534), 16.423342815558687),
    ):
        found = method(logs["WTI"], logs["Brent"])
        assert list(found.table.index) == ["Brent", "constant"]
        assert found.table["coefficient"].tolist() == pytest.approx(coefficients, rel=1e-9)
        assert found.table["std_error"].tolist() == pytest.approx(errors, rel=1e-9)
        assert found.bandwidth == pytest.approx(bandwidth)
    text = str(fully_modified(logs["WTI"], logs["Brent"]))
    for word in ("null hypothesis", "Phillips and Hansen 1990", "bartlett", "std_error", "constant"):
        assert word in text


@pytest.mark.parametrize("method", [fully_modified, canonical, dynamic])
def test_what_cannot_be_estimated_says_why(method):
    y, x = system(0, 200, 2)
    for call, message in (
        (lambda: method(y, x, "q"), "trend 'q' is not offered"),
        (lambda: method(y.iloc[:150], x), "other times|observations"),
        (lambda: method(y.iloc[:12], x.iloc[:12]), "too few"),
        (lambda: method(y, x.assign(x2=2.0 * x["x1"])), "one combination"),
        (lambda: method(y, x.assign(x2=1.0)), "constant"),
        (lambda: method(y.where(y.index != 3), x), "not finite"),
    ):
        with pytest.raises(DataError, match=message):
            call()
    with pytest.raises(DataError, match="there is no coefficient q"):
        method(y, x).t_against(0.0, "q")
