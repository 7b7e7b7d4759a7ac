"""Half-life of mean reversion, from a first-order autoregression of the spread.

    s[t+1] - s[t] = a + b * s[t] + error,   half-life = -ln 2 / ln(1 + b) bars

(the discrete form of the Ornstein-Uhlenbeck half-life ln 2 / theta; E. Chan, Algorithmic Trading, 2013, chapter 2.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hftkit.kernels.jit import kernel


@kernel
def reversion_slope(spread: Any) -> float:
    """The b above, by least squares. `spread`: float64 (n,). NaN with fewer than three values or without variance."""
    n = spread.size - 1
    if n < 2:
        return np.nan
    shift = spread[0]
    mean_level = mean_step = 0.0
    for t in range(n):
        mean_level += spread[t] - shift
        mean_step += spread[t + 1] - spread[t]
    mean_level = shift + mean_level / n
    mean_step /= n
    up = down = 0.0
    for t in range(n):
        level = spread[t] - mean_level
        up += level * (spread[t + 1] - spread[t] - mean_step)
        down += level * level
    return up / down if down > 0.0 else np.nan


@kernel
def half_life(spread: Any) -> float:
    """Half-life in bars. Infinite if the spread does not revert (b >= 0), 0 if it overshoots at once (b <= -1), NaN without variance."""
    slope = reversion_slope(spread)
    if math.isnan(slope):
        return np.nan
    if slope >= 0.0:
        return np.inf
    if slope <= -1.0:
        return 0.0
    return -math.log(2.0) / math.log1p(slope)
