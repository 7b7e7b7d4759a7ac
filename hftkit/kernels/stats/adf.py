"""Augmented Dickey-Fuller regression: is there a unit root in u?

    d[j] = rho * u[j] + gamma_1 * d[j-1] + .. + gamma_p * d[j-p] (+ deterministic terms) + error,   d[j] = u[j+1] - u[j]

Null hypothesis: rho = 0, a unit root. The statistic is the t of rho. Lags are chosen as statsmodels' `adfuller` chooses them: every lag
length 0..maxlag on the one sample that maxlag leaves, then the chosen regression again on its own, longer sample.

Two roads, one answer. `adf_gram`: no deterministic terms (what Engle-Granger needs for its residuals), by one Gram matrix whose lag products are
shared along its diagonals: O(n * maxlag) instead of O(n * maxlag^2). `adf_columns`: any terms, any conditioning, by reflections on
the columns. Only additions build the Gram matrix, so an outlier at the edge of the sample costs no digits.
"""

from __future__ import annotations

import math

import numpy as np

from hftkit.kernels.arrays import Float64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.stats.ols import OLS_OK, cholesky_nested, householder_nested, t_statistic
from hftkit.kernels.stats.sums import dot

LAG_FIXED, LAG_AIC, LAG_BIC, LAG_T = 0, 1, 2, 3
T_STOP = 1.6448536269514722  # two-sided 10 % normal quantile: the last lag kept must reach it
OUT_STATISTIC, OUT_LAG, OUT_NOBS = 0, 1, 2

ADF_TOO_SHORT = 3  # no degree of freedom left; 0..2 are the verdicts of ols.py


@kernel
def differences(u: Float64Array, d: Float64Array) -> int:
    """d[j] = u[j+1] - u[j]. `u`: float64 (n,); `d`: float64 (>= n - 1,). Returns N = n - 1."""
    n = u.size - 1
    for j in range(n):
        d[j] = u[j + 1] - u[j]
    return n


@kernel
def lag_gram(u: Float64Array, d: Float64Array, gram: Float64Array, p: int) -> int:
    """Gram matrix of the columns level, lag 1 .. lag p, target over the rows j = p .. N-1. Returns the number of rows.

    `u`: float64 (n,); `d`: from `differences`; `gram`: float64 (>= p+2, >= p+2), upper triangle out.
    A product sum of lags i and i+k runs over s = p-i .. N-1-i of d[s] d[s-k]: the part common to all i is summed once.
    """
    n = u.size - 1
    levels = u[p:n]
    gram[0, 0] = dot(levels, levels)
    gram[0, p + 1] = dot(levels, d[p:n])
    for i in range(1, p + 1):
        gram[0, i] = dot(levels, d[p - i : n - i])
    for k in range(p + 1):
        common = dot(d[p : n - p], d[p - k : n - p - k]) if n > 2 * p else 0.0
        edge = 0.0
        for i in range(p + 1 - k):  # rows before the common part
            if i > 0:
                edge += d[p - i] * d[p - i - k]
            _put(gram, common + edge, i, i + k, p)
        edge = 0.0
        for i in range(p, -1, -1):  # rows after it
            if i < p:
                edge += d[n - 1 - i] * d[n - 1 - i - k]
            if i + k <= p:
                _add(gram, edge, i, i + k, p)
    return n - p


@kernel
def _put(gram: Float64Array, value: float, i: int, j: int, p: int) -> None:
    """Store the product of lags i <= j; lag 0 is the target, in the last column."""
    if i > 0:
        gram[i, j] = value
    elif j > 0:
        gram[j, p + 1] = value
    else:
        gram[p + 1, p + 1] = value


@kernel
def _add(gram: Float64Array, value: float, i: int, j: int, p: int) -> None:
    if i > 0:
        gram[i, j] += value
    elif j > 0:
        gram[j, p + 1] += value
    else:
        gram[p + 1, p + 1] += value


@kernel
def final_gram(u: Float64Array, d: Float64Array, gram: Float64Array, final: Float64Array, p: int, lag: int) -> int:
    """Columns lag 1 .. lag `lag`, level, target over the rows j = lag .. N-1, from the Gram matrix over j = p .. N-1. Returns the number of rows.

    The level comes last of the regressors, so that its t is read off. `final`: float64 (>= lag+2, >= lag+2), upper triangle out.
    """
    n = u.size - 1
    for i in range(1, lag + 1):
        for j in range(i, lag + 1):
            final[i - 1, j - 1] = gram[i, j]
        final[i - 1, lag] = gram[0, i]
        final[i - 1, lag + 1] = gram[i, p + 1]
    final[lag, lag] = gram[0, 0]
    final[lag, lag + 1] = gram[0, p + 1]
    final[lag + 1, lag + 1] = gram[p + 1, p + 1]
    for j in range(lag, p):  # the rows that the lag search left out
        for a in range(lag):
            left = d[j - a - 1]
            for b in range(a, lag):
                final[a, b] += left * d[j - b - 1]
            final[a, lag] += left * u[j]
            final[a, lag + 1] += left * d[j]
        final[lag, lag] += u[j] * u[j]
        final[lag, lag + 1] += u[j] * d[j]
        final[lag + 1, lag + 1] += d[j] * d[j]
    return n - lag


@kernel
def choose_lag(z: Float64Array, rss: Float64Array, nobs: int, level: int, maxlag: int, autolag: int) -> int:
    """The lag length among 0..maxlag, from the nested regressions on columns 0..level+lag. `autolag`: a LAG_* code.

    AIC and BIC of a Gaussian regression, constants dropped; the first of equals wins. LAG_T: longest lag whose last t reaches T_STOP, else 0.
    """
    if autolag == LAG_FIXED:
        return maxlag
    if autolag == LAG_T:
        for lag in range(maxlag, 0, -1):
            q = level + lag
            if abs(t_statistic(z[q], rss[q], nobs - q - 1)) >= T_STOP:
                return lag
        return 0
    penalty = 2.0 if autolag == LAG_AIC else math.log(nobs)
    best = 0
    least = np.inf
    for lag in range(maxlag + 1):
        q = level + lag
        criterion = nobs * math.log(rss[q]) + penalty * (q + 1)
        if criterion < least:
            least = criterion
            best = lag
    return best


@kernel
def adf_gram(
    u: Float64Array, d: Float64Array, rows: Float64Array, gram: Float64Array, final: Float64Array, out: Float64Array, maxlag: int, autolag: int
) -> int:
    """Dickey-Fuller t without deterministic terms. Returns 0, or a verdict of ols.py, or ADF_TOO_SHORT.

    `u`: float64 (n,); scratch `d` (>= n - 1,), `rows` (2, >= maxlag+2), `gram` and `final` (>= maxlag+2, >= maxlag+2).
    `out`: float64 (3,): statistic, lag, rows used.
    OLS_ILL_CONDITIONED means: ask `adf_columns`.
    """
    n = differences(u, d)
    if n - maxlag - (maxlag + 1) < 1:
        return ADF_TOO_SHORT
    nobs = lag_gram(u, d, gram, maxlag)
    lag = maxlag
    if autolag != LAG_FIXED:
        for i in range(maxlag + 2):
            for j in range(maxlag + 2):
                final[i, j] = gram[i, j]
        verdict = cholesky_nested(final, rows[0], rows[1], maxlag + 2)
        if verdict != OLS_OK:
            return verdict
        lag = choose_lag(rows[0], rows[1], nobs, 0, maxlag, autolag)
    nobs = final_gram(u, d, gram, final, maxlag, lag)
    verdict = cholesky_nested(final, rows[0], rows[1], lag + 2)
    if verdict != OLS_OK:
        return verdict
    out[OUT_STATISTIC] = t_statistic(rows[0, lag], rows[1, lag], nobs - lag - 1)
    out[OUT_LAG] = lag
    out[OUT_NOBS] = nobs
    return OLS_OK


@kernel
def fill_columns(u: Float64Array, columns: Float64Array, trend: int, lag: int, sample_lag: int, level_last: bool) -> int:
    """Columns of the regression over the rows j = sample_lag .. N-1, one a row of `columns` (>= trend+lag+2, >= rows). Returns the rows."""
    n = u.size - 1
    nobs = n - sample_lag
    level = trend + (lag if level_last else 0)
    first_lag = trend + (0 if level_last else 1)
    for t in range(nobs):
        j = t + sample_lag
        tau = (2 * t - nobs + 1) / max(nobs - 1, 1)
        power = 1.0
        for i in range(trend):
            columns[i, t] = power
            power *= tau
        columns[level, t] = u[j]
        for i in range(lag):
            columns[first_lag + i, t] = u[j - i] - u[j - i - 1]
        columns[trend + lag + 1, t] = u[j + 1] - u[j]
    return nobs


@kernel
def adf_columns(u: Float64Array, columns: Float64Array, rows: Float64Array, out: Float64Array, trend: int, maxlag: int, autolag: int) -> int:
    """Dickey-Fuller t with `trend` deterministic terms (0..3), for data of any conditioning. Returns 0, OLS_SINGULAR or ADF_TOO_SHORT.

    `u`: float64 (n,); scratch `columns` (>= trend+maxlag+2, >= n - 1), `rows` (2, >= trend+maxlag+2); `out`: float64 (3,): statistic, lag, rows used.
    """
    if u.size - 1 - maxlag - (maxlag + 1 + trend) < 1:
        return ADF_TOO_SHORT
    lag = maxlag
    if autolag != LAG_FIXED:
        nobs = fill_columns(u, columns, trend, maxlag, maxlag, False)
        verdict = householder_nested(columns, rows[0], rows[1], trend + maxlag + 2, nobs)
        if verdict != OLS_OK:
            return verdict
        lag = choose_lag(rows[0], rows[1], nobs, trend, maxlag, autolag)
    nobs = fill_columns(u, columns, trend, lag, lag, True)
    verdict = householder_nested(columns, rows[0], rows[1], trend + lag + 2, nobs)
    if verdict != OLS_OK:
        return verdict
    q = trend + lag
    out[OUT_STATISTIC] = t_statistic(rows[0, q], rows[1, q], nobs - q - 1)
    out[OUT_LAG] = lag
    out[OUT_NOBS] = nobs
    return OLS_OK
