"""Half-life of mean reversion by either of its two definitions, which differ by about half a bar.

    s[t+1] - s[t] = a + b s[t] + error

"discrete"     -ln 2 / ln(1 + b): the bars after which the forecast of this regression is half way back. The scan, the sweep and every
               half-life elsewhere in hftkit.
"continuous"   -ln 2 / b: that of an Ornstein-Uhlenbeck process whose speed is read off as -b. E. Chan, Algorithmic Trading (2013),
               chapter 2, and most tables printed since.

For slow reversion both agree: -ln(1 + b) = -b + b^2 / 2 - ..., so the continuous one is longer by ln(2) / 2 = 0.35 bars.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hftkit.errors import DataError
from hftkit.kernels.stats.half_life import half_life as discrete
from hftkit.kernels.stats.half_life import reversion_slope

Definition = Literal["discrete", "continuous"]


def half_life(spread: ArrayLike, definition: Definition = "discrete") -> float:
    """Half-life in bars.

    Parameters
    ----------
    spread : array_like (n,)
        Finite, at least three values, in time order.
    definition : str
        "discrete" or "continuous" (see the top of this file).

    Returns
    -------
    float
        Infinite where the spread does not revert (b >= 0). By "discrete" 0 where it overshoots at once (b <= -1).

    Raises
    ------
    DataError
        For a spread that is not finite, too short, or without variance.
    """
    values = np.ascontiguousarray(spread, np.float64)
    if values.ndim != 1 or values.size < 3:
        raise DataError(f"a spread of shape {values.shape} has no half-life", "Give one series of at least three values")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(f"the spread is {values[bad[0]]} at row {bad[0]}", "Drop or repair these rows first")
    if definition not in ("discrete", "continuous"):
        raise DataError(f"there is no half-life {definition!r}", 'Choose "discrete" or "continuous"')
    slope = float(reversion_slope(values))
    if math.isnan(slope):
        raise DataError("the spread is constant", "It has no variance to revert")
    if definition == "discrete":
        return float(discrete(values))
    return math.inf if slope >= 0.0 else -math.log(2.0) / slope
