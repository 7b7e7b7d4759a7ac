"""The shocks behind a series' changes, and whether they are what a p-value presumes: of one size, and none the shadow of the one before.

The null distribution of a unit root test is simulated with shocks of constant variance. Volatility that drifts or jumps, and volatility that
clusters, widen it; changes that take each other back (bid-ask bounce) do so in short samples, where the lag rule cannot follow them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, kolmogorov

LEVEL = 0.05  # of the two tests of volatility below
_ARCH_LAGS = 5


@dataclass(frozen=True)
class Shocks:
    """Changes of one series as an autoregression: `shocks` float64 (n - 1,), changes before the first counted as zero; `filters` float64 (order,).

    `coloured`: whether the Bayesian criterion too prefers some autoregression to none.
    """

    shocks: np.ndarray
    filters: np.ndarray
    coloured: bool


def shocks_of(series: np.ndarray, most: int) -> Shocks:
    """Fit an autoregression of up to `most` lags, chosen by AIC, to the centred changes of `series` float64 (n,).

    By Burg's method, whose autoregressions are always stationary (J. P. Burg 1975; S. M. Kay, Modern Spectral Estimation, 1988, chapter 7).
    """
    changes = np.diff(series)
    changes = changes - changes.mean()
    fits, variances = burg(changes, min(most, changes.size // 4))
    orders = np.arange(len(variances))
    with np.errstate(divide="ignore"):
        likelihood = changes.size * np.log(variances)
    chosen = fits[int(np.argmin(likelihood + 2.0 * orders))]
    coloured = bool(np.argmin(likelihood + np.log(changes.size) * orders) > 0)
    shocks = changes.copy()
    for k, weight in enumerate(chosen, 1):
        shocks[k:] -= weight * changes[:-k]
    return Shocks(shocks, chosen, coloured)


def burg(values: np.ndarray, most: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Autoregressions of orders 0 .. `most`: values[t] = a_1 values[t-1] + .. ; and their residual variances, float64 (most + 1,)."""
    forward, backward = values[1:].copy(), values[:-1].copy()
    fits, variances = [np.zeros(0)], [float(values @ values) / values.size]
    for _ in range(most):
        energy = float(forward @ forward + backward @ backward)
        reflection = 2.0 * float(forward @ backward) / energy if energy > 0.0 else 0.0
        last = fits[-1]
        fits.append(np.append(last - reflection * last[::-1], reflection))
        variances.append(variances[-1] * (1.0 - reflection**2))
        forward, backward = (forward - reflection * backward)[1:], (backward - reflection * forward)[:-1]
    return fits, np.array(variances)


def constant_variance(squares: np.ndarray) -> float:
    """p-value of constant unconditional variance, by the cumulated squares float64 (n,) of the shocks: sup |C_k - k/n C_n| / sqrt(n omega).

    C. Inclan and G. C. Tiao (1994), J. Amer. Statist. Assoc. 89, 913-923, with the long-run variance of the squares in place of that of the normal
    distribution (A. Sanso, V. Arago and J. L. Carrion 2004, Revista de Economia Financiera 4, 32-53: kappa 2; Bartlett weights), so that
    heavy tails and clusters do not count as changes. Limit: the supremum of a Brownian bridge.
    """
    n = squares.size
    centred = squares - squares.mean()
    width = int(4.0 * (n / 100.0) ** (2.0 / 9.0))
    omega = float(centred @ centred) / n
    for k in range(1, width + 1):
        omega += 2.0 * (1.0 - k / (width + 1.0)) * float(centred[k:] @ centred[:-k]) / n
    if not omega > 0.0:
        return 1.0
    return float(kolmogorov(np.abs(np.cumsum(centred)).max() / np.sqrt(n * omega)))


def no_clusters(squares: np.ndarray) -> float:
    """p-value of no clusters of volatility: n R^2 of the squares of the shocks float64 (n,) on their last five.

    R. F. Engle (1982), Econometrica 50.4, 987-1007: the Lagrange multiplier test of autoregressive conditional heteroskedasticity.
    """
    n = squares.size - _ARCH_LAGS
    if n < 3 * _ARCH_LAGS:
        return 1.0
    design = np.column_stack([np.ones(n), *(squares[_ARCH_LAGS - k : squares.size - k] for k in range(1, _ARCH_LAGS + 1))])
    target = squares[_ARCH_LAGS:]
    rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    centred = target - target.mean()
    whole = float(centred @ centred)
    return float(chdtrc(_ARCH_LAGS, n * (1.0 - float(rest @ rest) / whole))) if whole > 0.0 else 1.0


@dataclass(frozen=True)
class Diagnosis:
    """Per series, bool (symbols,): `changing`: its own volatility changes or clusters; `coloured`: its changes depend on those before.

    `together`: the volatility that the series share changes (bool).
    """

    changing: np.ndarray
    coloured: np.ndarray
    together: bool


def diagnose(panel: list[Shocks]) -> Diagnosis:
    """What the p-values of a constant volatility do not presume, each at 5 % (LEVEL). Series without any change count for nothing."""
    squares = [one.shocks**2 for one in panel]
    moving = [part / part.mean() for part in squares if part.mean() > 0.0]
    changing = np.array([min(constant_variance(part), no_clusters(part)) < LEVEL / 2.0 for part in squares], bool)
    together = bool(moving) and constant_variance(np.mean(moving, axis=0)) < LEVEL
    return Diagnosis(changing, np.array([one.coloured for one in panel], bool), together)
