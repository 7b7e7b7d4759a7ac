"""Engle-Granger two-step test of one pair, and of many: the compiled form of statsmodels' `coint`.

Step 1: y = intercept + hedge_ratio * x (+ trend) + u by least squares. Step 2: a Dickey-Fuller regression of u without deterministic terms.
Null hypothesis: no cointegration (u has a unit root). R. F. Engle and C. W. J. Granger (1987), Econometrica 55.2, 251-276.

Each series is freed of its trend once (`ols.remove_trend`); by the theorem of Frisch, Waugh and Lovell the slope of a pair is
then one dot product, so a scan costs O(n * maxlag) a pair.
"""

from __future__ import annotations

import math

import numpy as np

from hftkit.kernels.arrays import Float64Array, Int64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.stats.adf import OUT_LAG, OUT_NOBS, OUT_STATISTIC, adf_gram
from hftkit.kernels.stats.half_life import half_life
from hftkit.kernels.stats.mackinnon import p_value
from hftkit.kernels.stats.sums import dot

# Fields of a result row, float64
HEDGE_RATIO, STATISTIC, P_VALUE, LAG, NOBS, HALF_LIFE, VERDICT = range(7)
FIELDS = 7

PAIR_OK = 0  # 1..3 are the verdicts of ols.py and adf.py
PAIR_COLLINEAR = 4  # step 1 leaves nothing to test: statistic -inf, as statsmodels answers
PAIR_CONSTANT = 5  # one of the two has no variance
MAX_R_SQUARED = 1.0 - 100.0 * math.sqrt(2.0**-52)


@kernel
def hedge_residual(y: Float64Array, x: Float64Array, residual: Float64Array) -> float:
    """Slope of y on x, both free of their trend; writes y - slope * x. All float64 (n,). NaN if x has no variance."""
    xx = dot(x, x)
    xy = dot(x, y)
    if not xx > 0.0:
        return np.nan
    slope = xy / xx
    for t in range(x.size):
        residual[t] = y[t] - slope * x[t]
    return slope


@kernel
def engle_granger_pair(
    y: Float64Array,
    x: Float64Array,
    residual: Float64Array,
    d: Float64Array,
    rows: Float64Array,
    gram: Float64Array,
    final: Float64Array,
    out: Float64Array,
    total: float,
    trend: int,
    maxlag: int,
    autolag: int,
) -> int:
    """One ordered pair. Returns a PAIR_*, ADF_* or OLS_* verdict, also written into `out`.

    `y`, `x`: float64 (n,), free of trend; scratch `residual` (n,) and as in `adf_gram`; `out`: float64 (FIELDS,) but HALF_LIFE, NaN where there is no
    answer. `total`: sum of squares of y about its mean (about zero for trend 0); `trend` 0..3; `autolag`: an adf.LAG_* code.
    """
    out[:] = np.nan
    slope = hedge_residual(y, x, residual)
    if math.isnan(slope) or not total > 0.0:
        out[VERDICT] = PAIR_CONSTANT
        return PAIR_CONSTANT
    out[HEDGE_RATIO] = slope
    left = dot(residual, residual)
    if not 1.0 - left / total < MAX_R_SQUARED:
        out[STATISTIC] = -np.inf  # and no p-value: what cannot be tested is no test
        out[VERDICT] = PAIR_COLLINEAR
        return PAIR_COLLINEAR
    answer = rows[0, :3]  # scratch that adf_gram has done with when it writes its answer
    verdict = adf_gram(residual, d, rows, gram, final, answer, maxlag, autolag)
    out[VERDICT] = verdict
    if verdict != PAIR_OK:
        return verdict
    out[STATISTIC] = answer[OUT_STATISTIC]
    out[LAG] = answer[OUT_LAG]
    out[NOBS] = answer[OUT_NOBS]
    out[P_VALUE] = p_value(answer[OUT_STATISTIC], trend, 2)
    return verdict


@kernel
def engle_granger_pairs(
    panel: Float64Array,
    totals: Float64Array,
    pairs: Int64Array,
    residual: Float64Array,
    d: Float64Array,
    rows: Float64Array,
    gram: Float64Array,
    final: Float64Array,
    out: Float64Array,
    trend: int,
    maxlag: int,
    autolag: int,
) -> int:
    """Many ordered pairs, one after the other; releases the interpreter, so a scan runs one call a thread. Returns pairs with verdict 0.

    `panel`: float64 (symbols, n), each free of trend; `totals`: float64 (symbols,), see `engle_granger_pair`; `pairs`: int64 (m, 2), rows (y, x);
    scratch of its own for each thread; `out`: float64 (m, FIELDS).
    """
    good = 0
    for i in range(pairs.shape[0]):
        y = pairs[i, 0]
        x = pairs[i, 1]
        verdict = engle_granger_pair(panel[y], panel[x], residual, d, rows, gram, final, out[i], totals[y], trend, maxlag, autolag)
        if verdict == PAIR_OK:
            out[i, HALF_LIFE] = half_life(residual)
            good += 1
    return good
