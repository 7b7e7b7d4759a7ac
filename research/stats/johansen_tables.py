"""Critical values and p-values of Johansen's tests, for every deterministic case and up to 30 series.

Where statsmodels or M. Osterwald-Lenum print a critical value, that is it. Everywhere else, and for every p-value, the gamma
distribution with the asymptotic mean and variance of J. A. Doornik (1998), J. Economic Surveys 12, 573-593, tables 7 and 8.
His polynomials were fitted to at most 15 series. tests/unit/research/stats/test_johansen_tables.py holds them against the printed
values of MacKinnon, Haug and Michelis (1999) to 12 series, and against a simulation of the limit beyond.
"""

from __future__ import annotations

import numpy as np
from scipy import stats
from statsmodels.tsa.coint_tables import c_sja, c_sjt

from hftkit.errors import DataError

LEVELS = (90, 95, 99)
MOST_SERIES = 30  # to which the approximation was checked
SOURCES = {
    "n": "MacKinnon, Haug and Michelis (1999)",
    "rc": "Osterwald-Lenum (1992)",
    "c": "MacKinnon, Haug and Michelis (1999)",
    "rt": "",
    "ct": "MacKinnon, Haug and Michelis (1999)",
}
APPROXIMATION = "gamma approximation of Doornik (1998)"
_ORDER = {"n": -1, "c": 0, "ct": 1}  # statsmodels' det_order
# Osterwald-Lenum (1992), Oxford Bull. Econ. Stat. 54, 461-472, table 1*, restricted constant: 90, 95, 99 % for 1 .. 5 series less relations
_RESTRICTED_MAX = [(7.52, 9.24, 12.97), (13.75, 15.67, 20.20), (19.77, 22.00, 26.81), (25.56, 28.14, 33.24), (31.66, 34.40, 39.79)]
_RESTRICTED_TRACE = [(7.52, 9.24, 12.97), (17.85, 19.96, 24.60), (32.00, 34.91, 41.07), (49.65, 53.12, 60.16), (71.86, 76.07, 84.45)]
# Doornik's table 7, trace: coefficients of k^2, k, 1, [k = 1], [k = 2], sqrt(k); of the mean, then of the variance (without the root)
_TRACE = {
    "n": ((2.0, -1.0, 0.07, 0.07, 0.0, 0.0), (3.0, -0.33, -0.55, 0.0, 0.0)),
    "rc": ((2.0, 2.01, 0.0, 0.06, 0.05, 0.0), (3.0, 3.6, 0.75, -0.4, -0.3)),
    "c": ((2.0, 1.05, -1.55, -0.5, -0.23, 0.0), (3.0, 1.8, 0.0, -2.8, -1.1)),
    "rt": ((2.0, 4.05, 0.5, -0.23, -0.07, 0.0), (3.0, 5.7, 3.2, -1.3, -0.5)),
    "ct": ((2.0, 2.85, -5.1, -0.1, -0.06, 1.35), (3.0, 4.0, 0.8, -5.8, -2.66)),
}
# Doornik's table 8, maximal eigenvalue: coefficients of k, 1, [k = 1], [k = 2], sqrt(k)
_MAX_EIGEN = {
    "n": ((6.0019, -2.7558, 0.67185, 0.1149, -2.7764), (1.8806, -15.499, 1.1136, 0.070508, 14.714)),
    "rc": ((5.9498, 0.43402, 0.04836, 0.018198, -2.3669), (2.2231, -7.9064, 0.58592, -0.034324, 12.058)),
    "c": ((5.8271, -1.6487, -1.6118, -0.25949, -1.5666), (2.0785, -9.7846, -3.368, -0.24528, 13.074)),
    "rt": ((5.8658, 2.5595, -0.34443, -0.077991, -1.7552), (1.9955, -5.5428, 1.2425, 0.41949, 12.841)),
    "ct": ((5.6364, -0.90531, -3.5166, -0.47966, -0.21447), (2.0899, -5.3303, -7.1523, -0.2526, 12.393)),
}


def gamma_moments(left: int, deterministic: str, trace: bool) -> tuple[float, float]:
    """Mean and variance of the asymptotic distribution.

    Parameters
    ----------
    left : int
        Series less relations under the null hypothesis, 1 to MOST_SERIES.
    deterministic : str
        "n", "rc", "c", "rt" or "ct" (research/stats/johansen.py).
    trace : bool
        The trace statistic; otherwise the maximal eigenvalue.

    Raises
    ------
    DataError
        For more series than the approximation was checked for.
    """
    if not 1 <= left <= MOST_SERIES:
        raise DataError(f"{left} series less relations have no critical values", f"Test 2 to {MOST_SERIES} series at once")
    k, root = float(left), np.sqrt(left)
    special = (1.0, float(left == 1), float(left == 2))
    if trace:
        of_mean, of_variance = _TRACE[deterministic]
        return float(np.dot(of_mean, (k * k, k, *special, root))), float(np.dot(of_variance, (k * k, k, *special)))
    of_eigen_mean, of_eigen_variance = _MAX_EIGEN[deterministic]
    return float(np.dot(of_eigen_mean, (k, *special, root))), float(np.dot(of_eigen_variance, (k, *special, root)))


def p_value(statistic: float, left: int, deterministic: str, trace: bool) -> float:
    """Chance of a statistic this large under the null hypothesis. Arguments as in `gamma_moments`."""
    mean, variance = gamma_moments(left, deterministic, trace)
    return float(stats.gamma.sf(statistic, mean**2 / variance, scale=variance / mean))


def tabulated(left: int, deterministic: str, trace: bool) -> bool:
    """Whether the critical values of this case are printed ones."""
    if deterministic == "rc":
        return left <= len(_RESTRICTED_TRACE)
    return deterministic in _ORDER and bool(np.all(np.asarray((c_sjt if trace else c_sja)(left, _ORDER[deterministic])) > 0))


def critical_values(left: int, deterministic: str, trace: bool) -> np.ndarray:
    """Critical values float64 (3,) at 90, 95 and 99 %. Arguments as in `gamma_moments`."""
    if tabulated(left, deterministic, trace):
        if deterministic == "rc":
            return np.array((_RESTRICTED_TRACE if trace else _RESTRICTED_MAX)[left - 1])
        return np.asarray((c_sjt if trace else c_sja)(left, _ORDER[deterministic]), np.float64)
    mean, variance = gamma_moments(left, deterministic, trace)
    return np.asarray(stats.gamma.ppf(np.array(LEVELS) / 100.0, mean**2 / variance, scale=variance / mean))


def source(series: int, deterministic: str) -> str:
    """Where the critical values of a group of `series` come from, as a sentence for a report."""
    printed = [left for left in range(1, series + 1) if tabulated(left, deterministic, True) and tabulated(left, deterministic, False)]
    if len(printed) == series:
        return SOURCES[deterministic]
    if not printed:
        return APPROXIMATION
    return f"{SOURCES[deterministic]}; {APPROXIMATION} for more than {max(printed)} series less relations"


def simulate(left: int, deterministic: str, draws: int, steps: int = 1000, seed: int = 0) -> np.ndarray:
    """Draws from the limit of both statistics, by Brownian motions of `steps` steps: float64 (draws, 2), trace and maximal eigenvalue.

    The statistics are trace and largest eigenvalue of A' B^-1 A, A = sum F dW', B = sum F F', with dW of `left` dimensions and F, by
    case, W ("n"), W and 1 ("rc"), W without its mean but for one dimension, which is a trend ("c"), the same about a constant and
    with a trend added ("rt": W and t, without their means), or W without its trend but for one dimension, a square ("ct").
    S. Johansen (1995), Likelihood-Based Inference in Cointegrated Vector Autoregressive Models, 11.2 and 15.1.

    Discretisation makes the statistics too small, by some left / steps of them: subtract it by two values of `steps`.
    """
    rng = np.random.default_rng(seed)
    out = np.empty((draws, 2))
    time = np.arange(steps) / steps
    for i in range(draws):
        increments = rng.normal(size=(steps, left)) / np.sqrt(steps)
        walk = np.zeros((steps, left))
        np.cumsum(increments[:-1], axis=0, out=walk[1:])
        if deterministic == "rc":
            walk = np.column_stack([walk, np.ones(steps)])
        elif deterministic == "c":
            walk[:, -1] = time
        elif deterministic == "rt":
            walk = np.column_stack([walk, time])
        elif deterministic == "ct":
            walk[:, -1] = time**2
        if deterministic in ("c", "rt"):
            walk = walk - walk.mean(axis=0)
        if deterministic == "ct":
            base, _ = np.linalg.qr(np.column_stack([np.ones(steps), time]))
            walk = walk - base @ (base.T @ walk)
        cross = walk.T @ increments
        eigenvalues = np.linalg.eigvalsh(cross.T @ np.linalg.solve(walk.T @ walk / steps, cross))
        out[i] = eigenvalues.sum(), eigenvalues[-1]
    return out
