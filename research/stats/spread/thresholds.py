"""Optimal thresholds of an Ornstein-Uhlenbeck spread in closed form: a reference for what a sweep finds.

W. K. Bertram (2010), "Analytic solutions for optimal statistical arbitrage trading", Physica A 389, 2234-2243. The spread follows
dX = -theta X dt + sigma dW. Enter at a, leave at -a (its section 4: the best exit is the mirror of the entry), earn 2 |a| - cost a cycle:

    expected cycle time   T(a) = (2 pi / theta) erfi(|a| sqrt(theta) / sigma)
    expected return per unit time   (2 |a| - cost) / T(a)

`best_entry` maximises it; `estimate_ou` reads theta and sigma off an autoregression of the spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from hftkit.errors import DataError
from hftkit.kernels.stats.half_life import reversion_slope


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """`theta` per bar, `sigma` per square root of a bar, in the unit of the spread."""

    theta: float
    sigma: float

    @property
    def deviation(self) -> float:
        """Stationary standard deviation sigma / sqrt(2 theta)."""
        return self.sigma / float(np.sqrt(2.0 * self.theta))

    @property
    def half_life(self) -> float:
        """ln 2 / theta, in bars."""
        return float(np.log(2.0)) / self.theta


@dataclass(frozen=True)
class BestEntry:
    """`entry`: distance from the mean in the spread's unit, `entry_z` in stationary deviations; `cycle`: expected bars; `rate`: return a bar."""

    entry: float
    entry_z: float
    cycle: float
    rate: float


def estimate_ou(spread: Any) -> OrnsteinUhlenbeck:
    """Exact discretisation: an AR(1) coefficient phi gives theta = -ln phi, the innovation variance gives sigma.

    Raises DataError for a spread that does not revert.
    """
    values = np.ascontiguousarray(spread, np.float64)
    phi = 1.0 + reversion_slope(values)
    if not 0.0 < phi < 1.0:
        raise DataError(f"the spread does not revert as an Ornstein-Uhlenbeck process does (autoregression {phi:.4f})", "Use another pair or span")
    centred = values - values.mean()
    error = centred[1:] - phi * centred[:-1]
    theta = -float(np.log(phi))
    return OrnsteinUhlenbeck(theta, float(np.sqrt(error @ error / (error.size - 2) * 2.0 * theta / (1.0 - phi**2))))


def cycle_time(process: OrnsteinUhlenbeck, entry: float) -> float:
    """Expected bars from `entry` to its mirror and back to `entry`."""
    return float(2.0 * np.pi / process.theta * special.erfi(entry * np.sqrt(process.theta) / process.sigma))


def best_entry(process: OrnsteinUhlenbeck, cost: float) -> BestEntry:
    """The entry that earns most per bar when a round trip costs `cost` (in the spread's unit). At no cost it shrinks to nothing: raises DataError."""
    if not cost > 0.0:
        raise DataError(f"a round trip that costs {cost} has no best entry: trade at every touch of the mean", "Give the costs")
    unit = process.deviation

    def negative_rate(z: float) -> float:
        return -(2.0 * z * unit - cost) / cycle_time(process, z * unit)

    least = cost / (2.0 * unit)
    found = optimize.minimize_scalar(negative_rate, bounds=(least, least + 8.0), method="bounded", options={"xatol": 1e-10})
    z = float(found.x)
    return BestEntry(z * unit, z, cycle_time(process, z * unit), -float(found.fun))
