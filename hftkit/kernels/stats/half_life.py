"""Half-life of mean reversion, from a first-order autoregression of the spread.

    s[t+1] - s[t] = a + b * s[t] + error,   half-life = -ln 2 / ln(1 + b) bars

(the discrete form of the Ornstein-Uhlenbeck half-life ln 2 / theta; E. Chan, Algorithmic Trading, 2013, chapter 2.)
"""

from __future__ import annotations

import math

import numpy as np

from hftkit.kernels.arrays import Float64Array
from hftkit.kernels.jit import kernel


@kernel
def reversion_slope(spread: Float64Array) -> float:
    """The b above, by least squares. `spread`: float64 (n,). NaN with fewer than three values or without variance."""
    n = spread.size - 1
    if n < 2:
        return np.nan
    shift = spread[0]
    mean_step = (spread[n] - shift) / n
    s0 = s1 = s2 = s3 = 0.0  # four running sums: see sums.py
    whole = n - n % 4
    for t in range(0, whole, 4):
        s0 += spread[t] - shift
        s1 += spread[t + 1] - shift
        s2 += spread[t + 2] - shift
        s3 += spread[t + 3] - shift
    for t in range(whole, n):
        s0 += spread[t] - shift
    mean_level = shift + ((s0 + s2) + (s1 + s3)) / n
    up0 = up1 = down0 = down1 = 0.0
    for t in range(0, n - 1, 2):
        even, odd = spread[t] - mean_level, spread[t + 1] - mean_level
        up0 += even * (spread[t + 1] - spread[t] - mean_step)
        up1 += odd * (spread[t + 2] - spread[t + 1] - mean_step)
        down0 += even * even
        down1 += odd * odd
    if n % 2 == 1:
        last = spread[n - 1] - mean_level
        up0 += last * (spread[n] - spread[n - 1] - mean_step)
        down0 += last * last
    down = down0 + down1
    return (up0 + up1) / down if down > 0.0 else np.nan


@kernel
def half_life(spread: Float64Array) -> float:
    """Half-life in bars. Infinite if the spread does not revert (b >= 0), 0 if it overshoots at once (b <= -1), NaN without variance."""
    slope = reversion_slope(spread)
    if math.isnan(slope):
        return np.nan
    if slope >= 0.0:
        return np.inf
    if slope <= -1.0:
        return 0.0
    return -math.log(2.0) / math.log1p(slope)
