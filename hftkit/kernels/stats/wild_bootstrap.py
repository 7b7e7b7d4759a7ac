"""Engle-Granger statistics of a panel's own shocks with drawn signs: the null distribution where volatility changes (wild bootstrap).

    d*[t] = a_1 d*[t-1] + .. + a_p d*[t-p] + w[t] e[t],   walk*[0] = 0,   walk*[t+1] = walk*[t] + d*[t]

e: shocks of the observed changes; w: signs +1 or -1, the same for every series of the panel, so that the size of each moment and the correlation
between the series stay as they were. No bootstrap walk is cointegrated with another. With all signs +1 the observed changes come out again.

G. Cavaliere and A. M. R. Taylor (2008), "Bootstrap unit root tests for time series with nonstationary volatility", Econometric Theory 24.1, 43-71;
with the autoregressive filter: (2009), "Heteroskedastic time series with a unit root", Econometric Theory 25.5, 1228-1276.
"""

from __future__ import annotations

import numpy as np

from hftkit.kernels.arrays import Float64Array, Int64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.stats.engle_granger import STATISTIC, engle_granger_pair
from hftkit.kernels.stats.ols import remove_trend


@kernel
def signed_walk(shocks: Float64Array, signs: Float64Array, filters: Float64Array, changes: Float64Array, walk: Float64Array, order: int) -> int:
    """One bootstrap walk. `shocks`, `signs`: float64 (n - 1,); `filters`: float64 (>= order,), a_1 .. a_order; returns n.

    Scratch `changes` float64 (n - 1,); output `walk` float64 (n,). Changes before the first count as zero.
    """
    walk[0] = 0.0
    for t in range(shocks.size):
        change = signs[t] * shocks[t]
        for k in range(min(order, t)):
            change += filters[k] * changes[t - 1 - k]
        changes[t] = change
        walk[t + 1] = walk[t] + change
    return shocks.size + 1


@kernel
def signed_panel(
    shocks: Float64Array,
    orders: Int64Array,
    filters: Float64Array,
    wanted: Int64Array,
    signs: Float64Array,
    changes: Float64Array,
    walk: Float64Array,
    panel: Float64Array,
    totals: Float64Array,
    coefficients: Float64Array,
    trend: int,
) -> int:
    """The bootstrap walks of the series that are `wanted`, each freed of its trend 0..3. Returns how many.

    `shocks`: float64 (m, n - 1); `orders`: int64 (m,); `filters`: float64 (m, k); `wanted`: int64 (m,), a flag; `signs` (n - 1,), scratch `changes`
    (n - 1,) and `walk` (n,), `coefficients` (3,): float64. Output `panel` float64 (m, n), `totals` float64 (m,) as in `engle_granger_pairs`.
    """
    made = 0
    for i in range(shocks.shape[0]):
        if wanted[i] != 0:
            signed_walk(shocks[i], signs, filters[i], changes, walk, orders[i])
            totals[i] = remove_trend(walk, panel[i], coefficients, min(trend, 1))
            if trend > 1:
                remove_trend(walk, panel[i], coefficients, trend)
            made += 1
    return made


@kernel
def bootstrap_statistics(
    shocks: Float64Array,
    orders: Int64Array,
    filters: Float64Array,
    wanted: Int64Array,
    pairs: Int64Array,
    signs: Float64Array,
    changes: Float64Array,
    walk: Float64Array,
    panel: Float64Array,
    totals: Float64Array,
    coefficients: Float64Array,
    residual: Float64Array,
    d: Float64Array,
    rows: Float64Array,
    gram: Float64Array,
    final: Float64Array,
    row: Float64Array,
    out: Float64Array,
    trend: int,
    maxlag: int,
    autolag: int,
) -> int:
    """Engle-Granger statistics of the `pairs` int64 (k, 2) under each row of `signs` float64 (draws, n - 1). Returns the draws.

    Arrays as in `signed_panel` and `engle_granger_pair` (`row`: its float64 (FIELDS,)). Output `out` float64 (draws, k); NaN where there is none.
    """
    for b in range(signs.shape[0]):
        signed_panel(shocks, orders, filters, wanted, signs[b], changes, walk, panel, totals, coefficients, trend)
        for i in range(pairs.shape[0]):
            y = pairs[i, 0]
            x = pairs[i, 1]
            verdict = engle_granger_pair(panel[y], panel[x], residual, d, rows, gram, final, row, totals[y], trend, maxlag, autolag)
            out[b, i] = row[STATISTIC] if verdict == 0 else np.nan
    return signs.shape[0]
