"""Long-run covariance: the covariance of a series with itself at all lags together, by kernel weights.

Kernels and their automatic bandwidth: D. W. K. Andrews (1991), Econometrica 59, 817-858; W. K. Newey and K. D. West (1994), Rev. Econ. Studies
61, 631-653.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hftkit.errors import DataError

Kernel = Literal["bartlett", "parzen", "quadratic-spectral"]
# constant of the optimal bandwidth, order of the kernel, power of the lags that estimate it (Newey and West 1994, tables I and II)
_RULES = {"bartlett": (1.1447, 1, 2.0 / 9.0), "parzen": (2.6614, 2, 4.0 / 25.0), "quadratic-spectral": (1.3221, 2, 2.0 / 25.0)}
KERNELS = tuple(_RULES)


@dataclass(frozen=True)
class LongRunCovariance:
    """Each float64 (k, k). `one_sided`: sum over h >= 0 of E[u(t) u(t - h)'], h = 0 included; `two_sided`: over all h; `short`: h = 0."""

    short: np.ndarray
    one_sided: np.ndarray
    two_sided: np.ndarray
    bandwidth: float
    kernel: str


def optimal_bandwidth(values: np.ndarray, kernel: Kernel = "bartlett") -> float:
    """Newey and West's (1994) bandwidth for float64 (n, k), from the sum of the columns; at most n - 1."""
    constant, order, power = _rule(kernel)
    total = values.sum(axis=1)
    n = total.size
    lags = int(np.ceil(4.0 * (n / 100.0) ** power))
    covariances = np.array([total[h:] @ total[: n - h] / n for h in range(lags + 1)])
    weights = np.where(np.arange(lags + 1) > 0, 2.0, 1.0)
    level = weights @ covariances
    if not abs(level) > 0.0:
        raise DataError("a series without variance has no long-run variance", "Leave it out")
    ratio = (weights @ (np.arange(lags + 1.0) ** order * covariances) / level) ** 2
    return float(min(constant * (ratio * n) ** (1.0 / (2 * order + 1)), n - 1.0))


def kernel_weights(kernel: Kernel, bandwidth: float, n: int) -> np.ndarray:
    """Weight of each lag from 0 on. Bartlett and Parzen are zero from bandwidth + 1 on, the quadratic spectral kernel never is."""
    _rule(kernel)
    if not 0.0 <= bandwidth < n:
        raise DataError(f"a bandwidth of {bandwidth} does not fit {n} rows", "Use 0 up to the number of rows less one")
    if kernel == "quadratic-spectral":
        weights = np.ones(n)
        if bandwidth > 0.0:
            z = 6.0 * np.pi * np.arange(1, n) / (5.0 * bandwidth)
            weights[1:] = 3.0 / z**2 * (np.sin(z) / z - np.cos(z))
        else:
            weights[1:] = 0.0
        return weights
    z = np.arange(int(bandwidth) + 1) / (bandwidth + 1.0)
    if kernel == "bartlett":
        return 1.0 - z
    return np.where(z <= 0.5, 1.0 - 6.0 * z**2 * (1.0 - z), 2.0 * (1.0 - z) ** 3)


def long_run_covariance(
    values: np.ndarray, kernel: Kernel = "bartlett", bandwidth: float | None = None, whole_bandwidth: bool = False
) -> LongRunCovariance:
    """Of float64 (n, k), not centred here.

    Parameters
    ----------
    kernel : str
        "bartlett", "parzen" or "quadratic-spectral".
    bandwidth : float, optional
        Default `optimal_bandwidth`.
    whole_bandwidth : bool
        Round the bandwidth up to a whole number.
    """
    n = len(values)
    width = optimal_bandwidth(values, kernel) if bandwidth is None else float(bandwidth)
    if whole_bandwidth:
        width = float(np.ceil(width))
    short = values.T @ values / n
    one_sided = short.copy()
    for h, weight in enumerate(kernel_weights(kernel, width, n)):
        if h:
            one_sided += weight * (values[h:].T @ values[:-h]) / n
    return LongRunCovariance(short, one_sided, one_sided + one_sided.T - short, width, kernel)


def _rule(kernel: str) -> tuple[float, int, float]:
    if kernel not in _RULES:
        raise DataError(f"there is no kernel {kernel!r}", f"Choose of {', '.join(KERNELS)}")
    return _RULES[kernel]
