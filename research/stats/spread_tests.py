"""More ways to ask whether a spread reverts: each states its null hypothesis, its source, and what it does with data it cannot judge."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from hftkit.errors import DataError
from hftkit.kernels.stats.adf import LAG_FIXED, adf_gram
from research.stats.cointegration import engle_granger
from research.stats.long_run import long_run_covariance
from research.stats.test_result import TestResult, row_and_time
from research.stats.validation import same_rows

# A. W. Gregory and B. E. Hansen (1996), J. Econometrics 70, 99-126, table 1, one regressor: 1 %, 5 %, 10 %
_BREAK_CRITICAL = {"C": (-5.13, -4.61, -4.34), "C/T": (-5.45, -4.99, -4.72), "C/S": (-5.47, -4.95, -4.68)}


def hurst_exponent(spread: Any, max_lag: int = 100, drift: Literal["keep", "remove"] = "keep") -> float:
    """H of the size of changes over k bars, k^H, by least squares in logs over lags 2 .. max_lag. 0.5 a random walk, below it reverts.

    Parameters
    ----------
    spread : array_like (n,)
        At least 40 finite values.
    max_lag : int
        Longest change, at most a quarter of the sample.
    drift : str
        "keep": the size is the root mean square of the changes, so a spread that trends persists (H towards 1). "remove": their standard
        deviation, which forgets the mean change and calls noise round a trend "reverting". `drift_test` says whether there is one.

    Returns
    -------
    float
        NaN without variance.

    References
    ----------
    E. Chan, Algorithmic Trading (2013), chapter 2; after H. E. Hurst (1951), Trans. Amer. Soc. Civil Eng. 116, 770-799.
    """
    values = _finite(spread, "the spread")
    if drift not in ("keep", "remove"):
        raise DataError(f"there is no way {drift!r} to treat a drift", 'Choose "keep" or "remove"')
    lags = np.unique(np.geomspace(2, min(max_lag, values.size // 4), 20).astype(int)) if values.size >= 8 else np.empty(0)
    if lags.size < 3:
        raise DataError(f"{values.size} observations are too few for a Hurst exponent", "Use at least 40")
    changes = (values[k:] - values[:-k] for k in lags)
    sizes = np.array([np.std(change) if drift == "remove" else np.sqrt(np.mean(change**2)) for change in changes])
    if not (sizes > 0).all():
        return float("nan")
    return float(np.polyfit(np.log(lags), np.log(sizes), 1)[0])


def drift_test(spread: Any) -> TestResult:
    """Does the spread drift? The mean change over its standard error, by the long-run variance of the changes (Newey and West 1987)."""
    values = _finite(spread, "the spread")
    steps = np.diff(values)
    if steps.size < 20:
        raise DataError(f"{values.size} observations are too few for a test of drift", "Use at least 21")
    width = int(4.0 * (steps.size / 100.0) ** (2.0 / 9.0))
    variance = float(long_run_covariance((steps - steps.mean())[:, None], "bartlett", width).two_sided[0, 0])
    if not variance > 0.0:
        raise DataError("the spread changes by the same amount in every row", "It has no variance to compare")
    statistic = float(steps.mean() / np.sqrt(variance / steps.size))
    return TestResult(
        name="drift of the spread, t",
        null_hypothesis="no drift: changes have the mean zero",
        alternative="the spread drifts",
        statistic=statistic,
        pvalue=float(2.0 * stats.norm.sf(abs(statistic))),
        details={"mean_change": float(steps.mean()), "bandwidth": width, "nobs": steps.size},
        tail="both",
    )


def variance_ratio(spread: Any, lags: int = 2) -> TestResult:
    """Ratio of the variance of `lags`-step changes to `lags` times that of one-step changes: below 1 reverts.

    Overlapping, unbiased, with the statistic that allows for changing variance: A. W. Lo and A. C. MacKinlay (1988), Rev. Financial Studies 1.1,
    41-66.
    """
    values = _finite(spread, "the spread")
    steps = np.diff(values)
    n = steps.size
    if lags < 2 or n < 2 * lags:
        raise DataError(f"{n} changes are too few for a variance ratio over {lags}", "Use lags >= 2 and a longer sample")
    drift = steps.mean()
    centred = steps - drift
    one = centred @ centred / (n - 1)
    if not one > 0.0:
        raise DataError("the spread changes by the same amount in every row", "It has no variance to compare")
    many = values[lags:] - values[:-lags] - lags * drift
    ratio = (many @ many / (lags * (n - lags + 1) * (1.0 - lags / n))) / one
    squares = centred**2
    total = squares.sum() ** 2
    theta = sum((2.0 * (lags - k) / lags) ** 2 * n * (squares[k:] @ squares[:-k]) / total for k in range(1, lags))
    statistic = float(np.sqrt(n) * (ratio - 1.0) / np.sqrt(theta))
    p = float(2.0 * stats.norm.sf(abs(statistic)))
    return TestResult(
        name="Lo-MacKinlay variance ratio, z",
        null_hypothesis="uncorrelated changes (a random walk)",
        alternative="changes that reverse (ratio below 1) or persist (above 1)",
        statistic=statistic,
        pvalue=p,
        details={"ratio": float(ratio), "lags": lags},
        tail="both",
    )


def zero_crossings(spread: Any) -> int:
    """How often the spread crosses its mean."""
    values = _finite(spread, "the spread")
    above = values > values.mean()
    return int(np.count_nonzero(above[1:] != above[:-1]))


def gregory_hansen(y: Any, x: Any, model: str = "C", lag: int | None = None, trim: float = 0.15, breaks: int | None = None) -> TestResult:
    """ADF* of Gregory and Hansen (1996): the smallest Dickey-Fuller t over all break dates.

    Below the critical value the pair is cointegrated, with a break or without.

    Parameters
    ----------
    y, x : array_like (n,)
        Levels or logs, finite, of the same times.
    model : str
        "C" shift of level, "C/T" with a trend, "C/S" shift of level and slope.
    lag : int, optional
        Of the Dickey-Fuller regressions; default what Engle-Granger's AIC chooses without a break.
    trim : float
        Share left out at either end, above 0 and below 0.5.
    breaks : int, optional
        Break dates to try: that many, evenly spaced, then every row between the neighbours of the best. Every regression uses all rows.
        Default: every row, which takes n regressions of n rows. A search of few dates finds no smaller minimum, so it rejects no more often.

    Returns
    -------
    TestResult
        Details: break_row (and break_time, where y has times), the first row after the break; how the dates were searched.
    """
    same_rows(y, x)
    if model not in _BREAK_CRITICAL:
        raise DataError(f"model {model!r} is not offered", f"Choose of {list(_BREAK_CRITICAL)}")
    if not 0.0 < trim < 0.5 or (breaks is not None and breaks < 3):
        raise DataError(f"a trim of {trim} with {breaks} break dates leaves nothing to search", "Use 0 < trim < 0.5 and at least 3 break dates")
    left, right = _finite(y, "y"), _finite(x, "x")
    whole = engle_granger(left, right)
    lags = whole.lag if lag is None else lag
    n, m = left.size, lags + 2
    time = np.linspace(0.0, 1.0, n)
    scratch = np.empty(n), np.empty((2, max(m, 3))), np.empty((m, m)), np.empty((m, m)), np.empty(3)
    scale = np.std(right)

    def statistic(cut: int) -> float:
        after = (np.arange(n) >= cut).astype(np.float64)
        columns = [np.ones(n), after, right / scale]
        if model == "C/T":
            columns.append(time)
        if model == "C/S":
            columns.append(after * right / scale)
        design = np.column_stack(columns)
        residual = left - design @ np.linalg.solve(design.T @ design, design.T @ left)
        return float(scratch[-1][0]) if adf_gram(residual, *scratch, lags, LAG_FIXED) == 0 else np.inf

    first, last = int(n * trim), int(n * (1.0 - trim)) - 1
    step = 1 if breaks is None else max((last - first) // (breaks - 1), 1)
    found = {cut: statistic(cut) for cut in (*range(first, last, step), last)}
    searched = "every row"
    if step > 1:
        best = min(found, key=lambda cut: found[cut])
        near = range(max(best - step + 1, first), min(best + step, last + 1))
        found |= {cut: statistic(cut) for cut in near if cut not in found}
        searched = f"one row in {step}, then every row from {near[0]} to {near[-1]}"
    at = min(found, key=lambda cut: found[cut])
    if not np.isfinite(found[at]):
        raise DataError("no break date leaves a residual that can be tested", "Use a longer sample or fewer lags")
    return TestResult(
        name="Gregory-Hansen ADF*",
        null_hypothesis="no cointegration, whatever break there is",
        alternative="cointegration, with one break or without",
        statistic=found[at],
        pvalue=float("nan"),
        critical_values=dict(zip(("1 %", "5 %", "10 %"), _BREAK_CRITICAL[model], strict=True)),
        details={"model": model, **row_and_time(y, at, "break"), "searched": searched, "lag": lags, "nobs": n},
    )


def cusum(spread: Any, lags: int = 1) -> TestResult:
    """CUSUM test of Ploberger and Kraemer (1992), Econometrica 60, 271-285: do level and speed of the spread's reversion stay the same?

    The spread is regressed on a constant and `lags` lags of itself; the cumulated residuals, over sigma sqrt(n), wander like a Brownian bridge where
    nothing changes (also for such dynamic regressions: Kraemer, Ploberger and Alt 1988). Rejects where they stray too far; the details say at
    which row they are farthest. A complement of `gregory_hansen`: there the null is no cointegration, here a stable relation.
    """
    path = cusum_path(spread, lags)
    row = int(np.abs(path).argmax())
    statistic = float(abs(path[row]))
    return TestResult(
        name="CUSUM of least-squares residuals",
        null_hypothesis="the spread reverts to one level at one speed",
        alternative="level or speed change",
        statistic=statistic,
        pvalue=float(stats.kstwobign.sf(statistic)),
        critical_values={"1 %": 1.63, "5 %": 1.36, "10 %": 1.22},
        details={**row_and_time(spread, row + lags, "farthest"), "lags": lags},
        tail="upper",
    )


def cusum_recursive(spread: Any, lags: int = 1) -> TestResult:
    """CUSUM test on recursive residuals of R. L. Brown, J. Durbin and J. M. Evans (1975), J. R. Statist. Soc. B 37, 149-192.

    The regression of `cusum`, but each row is predicted from the rows before it only; the cumulated errors W stay within the lines
    +-a (sqrt(m) + 2 r / sqrt(m)), r = 1 .. m, where nothing changes (in dynamic regressions too: Kraemer, Ploberger and Alt 1988). The statistic is
    the largest |W(r)| / (sqrt(m) + 2 r / sqrt(m)), its p-value the crossing probability. Strong against early changes, where `cusum` is weak; weak
    against late ones: few rows are left for the errors to pile up.
    """
    path = cusum_recursive_path(spread, lags)
    m = path.size
    reach = np.sqrt(m) + 2.0 * np.arange(1, m + 1) / np.sqrt(m)
    row = int((np.abs(path) / reach).argmax())
    statistic = float(abs(path[row]) / reach[row])
    first = len(np.asarray(spread)) - m
    return TestResult(
        name="CUSUM of recursive residuals",
        null_hypothesis="the spread reverts to one level at one speed",
        alternative="level or speed change",
        statistic=statistic,
        pvalue=_crossing_probability(statistic),
        critical_values={"1 %": 1.143, "5 %": 0.948, "10 %": 0.850},
        details={**row_and_time(spread, row + first, "farthest"), "lags": lags},
        tail="upper",
    )


def _crossing_probability(a: float) -> float:
    """Chance that a Brownian motion leaves +-a (1 + 2 t) in 0 .. 1: that it meets either line, less that it meets both.

    Below 0.3, where paths meet them more often than twice, a straight line to 1.
    """
    if a < 0.3:
        return 1.0 - (1.0 - _crossing_probability(0.3)) * a / 0.3
    either = stats.norm.sf(3.0 * a) + np.exp(-4.0 * a * a) * stats.norm.cdf(a)
    both = np.exp(-4.0 * a * a) * stats.norm.sf(5.0 * a) + np.exp(-16.0 * a * a) * stats.norm.sf(a)
    return float(2.0 * (either - both))


def recursive_residuals(target: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Errors of predicting each row from the rows before it, over their standard deviation factor: float64 (n - s,).

    `target` (n,), `design` (n, k), of full rank; s rows are needed until its coefficients are determined, k where nothing stands still at the
    beginning. Uncorrelated and of one variance where the regression does not change.
    """
    n, k = design.shape
    start = next(rows for rows in range(k, n + 1) if np.linalg.matrix_rank(design[:rows]) == k)
    inverse = np.linalg.pinv(design[:start])
    products, weights = inverse @ inverse.T, inverse @ target[:start]  # (X'X)^-1 and the coefficients, brought forward row by row
    errors = np.empty(n - start)
    for i in range(start, n):
        row = design[i]
        gain = products @ row
        scale = 1.0 + row @ gain
        error = target[i] - row @ weights
        products = products - np.outer(gain, gain) / scale
        weights = weights + gain * (error / scale)
        errors[i - start] = error / np.sqrt(scale)
    return errors


def cusum_recursive_path(spread: Any, lags: int = 1) -> np.ndarray:
    """The cumulated, scaled errors behind `cusum_recursive`, float64 (n - 2 lags - 1,) where the spread moves from its first row on.

    The last element belongs to the last row.
    """
    target, design = _own_past(spread, lags)
    errors = recursive_residuals(target, design)
    return np.cumsum(errors) / np.std(errors, ddof=1)


def cusum_path(spread: Any, lags: int = 1) -> np.ndarray:
    """The cumulated, scaled residuals behind `cusum`, float64 (n - lags,): element k belongs to row k + lags."""
    target, design = _own_past(spread, lags)
    n = target.size
    residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return np.cumsum(residual) / np.sqrt(residual @ residual / (n - lags - 1) * n)


def _own_past(spread: Any, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """The spread from row `lags` on, and the columns that explain it: a constant and its last `lags` values."""
    values = _finite(spread, "the spread")
    n = values.size - lags
    if lags < 1 or n < 10 * (lags + 2):
        raise DataError(f"{values.size} observations are too few for a CUSUM test with {lags} lags", "Use a longer sample")
    design = np.column_stack([np.ones(n), *(values[lags - k : values.size - k] for k in range(1, lags + 1))])
    target = values[lags:]
    residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    if not residual @ residual > n * (64.0 * np.spacing(np.abs(values).max())) ** 2:
        raise DataError("the spread is constant (or follows its own past exactly)", "It has no variance to test")
    return target, design


def rolling_stability(prices: pd.DataFrame, lead: str, hedge: str, window: int, step: int, log: bool = True) -> pd.DataFrame:
    """Engle-Granger of log prices (`log=False`: of prices) on windows of `window` rows, every `step` rows.

    Columns hedge_ratio, statistic, pvalue (to decide by: for windows of this size, where that is known), half_life (bars), pvalue_asymptotic
    (MacKinnon's) and p_values ("finite" or "asymptotic"); index the last row of each window.
    """
    both = prices[[lead, hedge]].to_numpy(np.float64)
    values = np.log(both) if log else both
    if window < 4 or step < 1:
        raise DataError(f"windows of {window} rows every {step} rows are none", "Use at least 4 rows, and a step of at least 1")
    rows = []
    ends = range(window, len(values) + 1, step)
    for end in ends:
        found = engle_granger(values[end - window : end, 0], values[end - window : end, 1])
        p_values = found.pvalue_deciding, found.half_life, found.pvalue, found.pvalue_source
        rows.append((float(found.hedge_ratio), found.statistic, *p_values))
    if not rows:
        raise DataError(f"{len(values)} rows hold no window of {window}", "Use a shorter window")
    index = prices.index[[end - 1 for end in ends]]
    columns = ["hedge_ratio", "statistic", "pvalue", "half_life", "pvalue_asymptotic", "p_values"]
    return pd.DataFrame(rows, columns=columns, index=index)


def _finite(values: Any, name: str) -> np.ndarray:
    series = np.ascontiguousarray(values, np.float64)
    bad = np.flatnonzero(~np.isfinite(series))
    if bad.size:
        raise DataError(f"{name} has {bad.size} values that are not finite, the first at row {bad[0]}", "Drop or repair these rows first")
    return series
