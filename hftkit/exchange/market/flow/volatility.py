"""Stochastic volatility of the fundamentals: what gives returns their fat tails and makes quiet and wild hours follow each other.

A two-factor log-normal model (Taylor 1986; Alizadeh, Brandt, Diebold, Journal of Finance 2002). Every random stream j of the fundamentals (each
instrument's own noise, and the market factor) has a fast and a slow Ornstein-Uhlenbeck factor z, stationary with standard deviations d_fast, d_slow:

    z(t) = f z(t-1) + d sqrt(1 - f^2) e                         f = 2 ** (-1 second / half-life), e standard normal, sampled exactly
    v_j  = sqrt(c) (z_fast + z_slow of the market) + sqrt(1 - c) (z_fast + z_slow of j)       the market's own v has c = 1
    factor on the volatility = exp(v_j - V),   V = d_fast^2 + d_slow^2

The mean of the squared factor is 1: the configured volatilities stay what they are on average. A step's excess kurtosis is 3 (exp(4 V) - 1), and the
covariance of log |r| at a lag is the sum of d^2 * f^lag: that is how research calibrates it. Without it (both d 0) every factor is exactly 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hftkit.exchange.market.flow.random import exponential_function, normal
from hftkit.kernels.jit import kernel

FAST, SLOW = 0, 1
# Places of Volatility.setting
ON, F_FAST, F_SLOW, NOISE_FAST, NOISE_SLOW, OWN, COMMON, MEAN = range(8)


class Volatility(NamedTuple):
    """Setting and state for n instruments; row n is the market factor's."""

    setting: np.ndarray  # float64 (8,): see the places above
    z: np.ndarray  # float64 (n + 1, 2): fast and slow factor of each stream
    factors: np.ndarray  # float64 (n + 1,): on the volatility of each stream
    streams: np.ndarray  # uint64 (n + 1,): random streams


@kernel
def _refresh(volatility: Volatility) -> None:
    setting, z, n = volatility.setting, volatility.z, volatility.z.shape[0] - 1
    market = z[n, FAST] + z[n, SLOW]
    for j in range(n):
        own = z[j, FAST] + z[j, SLOW]
        volatility.factors[j] = exponential_function(setting[COMMON] * market + setting[OWN] * own - setting[MEAN])
    volatility.factors[n] = exponential_function(market - setting[MEAN])


@kernel
def start_volatility(volatility: Volatility, fast_sd: float, slow_sd: float) -> None:
    """Draw the stationary state, so that the first hour is like any other."""
    for j in range(volatility.z.shape[0]):
        volatility.z[j, FAST] = fast_sd * normal(volatility.streams, j)
        volatility.z[j, SLOW] = slow_sd * normal(volatility.streams, j)
    _refresh(volatility)


@kernel
def step_volatility(volatility: Volatility) -> None:
    """One second of the model; nothing if it is off."""
    setting, z = volatility.setting, volatility.z
    if setting[ON] == 0.0:
        return
    for j in range(z.shape[0]):
        z[j, FAST] = setting[F_FAST] * z[j, FAST] + setting[NOISE_FAST] * normal(volatility.streams, j)
        z[j, SLOW] = setting[F_SLOW] * z[j, SLOW] + setting[NOISE_SLOW] * normal(volatility.streams, j)
    _refresh(volatility)


def new_volatility(config: Any, streams: np.ndarray, persistence: Any) -> Volatility:
    """From a config.VolatilityConfig. `streams`: uint64 (n + 1,); `persistence`: AR(1) coefficient per second of a half-life in seconds."""
    n, sds = len(streams), (config.fast_sd, config.slow_sd)
    f = [persistence(60.0 * minutes) for minutes in (config.fast_half_life_minutes, config.slow_half_life_minutes)]
    noise = [sd * np.sqrt(1.0 - x * x) for sd, x in zip(sds, f, strict=True)]
    common = config.common_share
    setting = np.array([float(any(sds)), *f, *noise, np.sqrt(1.0 - common), np.sqrt(common), sum(sd * sd for sd in sds)])
    volatility = Volatility(setting, np.zeros((n, 2)), np.ones(n), streams)
    if setting[ON]:
        start_volatility(volatility, *sds)
    return volatility
