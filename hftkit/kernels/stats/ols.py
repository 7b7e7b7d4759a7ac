"""Least squares, twice: by scaled Cholesky of a Gram matrix (fast) and by Householder reflections (for ill-conditioned data).

Both solve *nested* regressions at once. With the columns in order and the target last, column i of the triangular factor gives
z[i], the part of the target that column i explains beyond the columns before it. So the residual sum of squares of the
regression on columns 0..q is the target's own less z[0]^2 .. z[q]^2, and the t statistic of its last column is z[q] / s.
(Golub and Van Loan, Matrix Computations, 4th ed., 5.3 and 4.2.)

Why two. The Gram matrix squares the condition number: with columns scaled to unit length, a pivot of d costs log10(1/d) digits.
Above MIN_PIVOT the answers keep ten digits; below it, Cholesky says so and the caller takes the Householder road.
"""

from __future__ import annotations

import math

import numpy as np

from hftkit.kernels.arrays import Float64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.stats.sums import dot, total

MIN_PIVOT = 1e-5  # of a unit-length column, or of the residual sum of squares relative to the target's
LARGE_LEVEL = 1e8  # (mean / deviation)^2 above which one round of removing the mean leaves more than 1e-11 deviations
SINGULAR = 1e-13  # relative length left of a column that the columns before it explain

OLS_OK = 0
OLS_ILL_CONDITIONED = 1  # take the Householder road
OLS_SINGULAR = 2  # a column is zero, or a combination of others


@kernel
def remove_trend(values: Float64Array, out: Float64Array, coefficients: Float64Array, trend: int) -> float:
    """Subtract the least-squares polynomial of degree trend - 1 (trend 0: nothing). Returns the remaining sum of squares.

    `values`, `out`: float64 (n,); `coefficients`: float64 (3,), in the orthogonal basis 1, tau, tau^2 - mean(tau^2) with tau from -1 to 1.
    A second round removes what rounding left, where the level is so large beside the deviations that it could be felt.
    """
    n = values.size
    scale = 1.0 / (n - 1)
    tau2 = (n + 1) / (3.0 * (n - 1))  # mean of tau^2 over n equally spaced points of [-1, 1]
    coefficients[:] = 0.0
    coefficients[0] = total(values) / n if trend >= 1 else 0.0
    shift = coefficients[0]
    for t in range(n):
        out[t] = values[t] - shift
    left = 0.0
    for again in range(2):
        if trend >= 1 and again == 1:
            mean = total(out) / n
            coefficients[0] += mean
            for t in range(n):
                out[t] -= mean
        if trend >= 2:
            up = down = 0.0
            for t in range(n):
                tau = (2 * t - n + 1) * scale
                up += tau * out[t]
                down += tau * tau
            coefficients[1] += up / down
            for t in range(n):
                out[t] -= up / down * (2 * t - n + 1) * scale
        if trend >= 3:
            up = down = 0.0
            for t in range(n):
                bend = ((2 * t - n + 1) * scale) ** 2 - tau2
                up += bend * out[t]
                down += bend * bend
            coefficients[2] += up / down
            for t in range(n):
                out[t] -= up / down * (((2 * t - n + 1) * scale) ** 2 - tau2)
        left = dot(out, out)
        if trend == 1 and n * coefficients[0] ** 2 < LARGE_LEVEL * left:
            break
    return left


@kernel
def cholesky_nested(gram: Float64Array, z: Float64Array, rss: Float64Array, m: int) -> int:
    """Nested regressions from a Gram matrix. Returns an OLS_* verdict.

    `gram`: float64 (>= m, >= m), upper triangle of the m columns' inner products, target last; overwritten by its factor. Outputs, in units of the
    target's length (they cancel in every ratio): `z` (>= m - 1,), `rss` (>= m - 1,), rss[q] after the columns 0..q.
    """
    for i in range(m):
        if not gram[i, i] > 0.0:
            return OLS_SINGULAR
        z[i] = 1.0 / math.sqrt(gram[i, i])
    for i in range(m):
        for j in range(i, m):
            gram[i, j] *= z[i] * z[j]
    for k in range(m - 1):
        if gram[k, k] < MIN_PIVOT:
            return OLS_ILL_CONDITIONED
        pivot = 1.0 / math.sqrt(gram[k, k])
        for j in range(k, m):
            gram[k, j] *= pivot
        for i in range(k + 1, m):
            factor = gram[k, i]
            for j in range(i, m):
                gram[i, j] -= factor * gram[k, j]
    left = 1.0
    for q in range(m - 1):
        z[q] = gram[q, m - 1]
        left -= z[q] * z[q]
        rss[q] = left
    return OLS_OK if left >= MIN_PIVOT else OLS_ILL_CONDITIONED


@kernel
def householder_nested(columns: Float64Array, z: Float64Array, rss: Float64Array, m: int, nobs: int) -> int:
    """Nested regressions from the columns themselves. Returns an OLS_* verdict.

    `columns`: float64 (>= m, >= nobs), one column of the regression a row, target last; overwritten. Outputs `z` and `rss` (>= m - 1,) as of
    `cholesky_nested`, in the target's own unit; the sum of squares is added up, never subtracted.
    """
    for k in range(m - 1):
        whole = left = 0.0
        for t in range(nobs):
            whole += columns[k, t] ** 2
            if t >= k:
                left += columns[k, t] ** 2
        if not left > (SINGULAR * SINGULAR) * whole:
            return OLS_SINGULAR
        alpha = -math.copysign(math.sqrt(left), columns[k, k])
        columns[k, k] -= alpha  # the row now holds the reflection's vector
        length2 = 2.0 * (left - alpha * (columns[k, k] + alpha))
        for j in range(k + 1, m):
            dot = 0.0
            for t in range(k, nobs):
                dot += columns[k, t] * columns[j, t]
            dot *= 2.0 / length2
            for t in range(k, nobs):
                columns[j, t] -= dot * columns[k, t]
        z[k] = math.copysign(1.0, alpha) * columns[m - 1, k]
    rest = 0.0
    for t in range(m - 1, nobs):
        rest += columns[m - 1, t] ** 2
    for q in range(m - 2, -1, -1):
        rss[q] = rest
        rest += columns[m - 1, q] ** 2
    return OLS_OK


@kernel
def t_statistic(z: float, rss: float, degrees: int) -> float:
    """t of the last column of a nested regression: z / s, with s^2 = rss / degrees. NaN without degrees of freedom or residual."""
    if degrees < 1 or not rss > 0.0:
        return np.nan
    return z / math.sqrt(rss / degrees)
