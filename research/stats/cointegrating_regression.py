"""Estimators of a cointegrating regression with standard errors that may be believed: fully modified, canonical, dynamic.

    y[t] = d[t]' c + x[t]' b + u[t]

Least squares finds b, but its standard errors are wrong where u is autocorrelated or moves with the changes of x, and it is biased in
short samples. All three estimators here take that out, each in its own way:

fully_modified   corrects y, and the bias of the sum: P. C. B. Phillips and B. E. Hansen (1990), Rev. Econ. Studies 57, 99-125
canonical        corrects y and x: J. Y. Park (1992), Econometrica 60, 119-143
dynamic          adds leads and lags of the changes of x: P. Saikkonen (1991), Econometric Theory 7, 1-21; J. H. Stock and M. W. Watson (1993),
                 Econometrica 61, 783-820
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from hftkit.errors import DataError
from research.stats.long_run import Kernel, LongRunCovariance, long_run_covariance
from research.stats.validation import checked_series, same_rows, whole

TRENDS = {"n": "no constant", "c": "constant", "ct": "constant and trend", "ctt": "constant, trend and squared trend"}
_TERMS = ("constant", "trend", "squared trend")


@dataclass(frozen=True)
class CointegratingRegression:
    """One estimated regression.

    Attributes
    ----------
    method : str
    table : DataFrame
        One row a coefficient (the series first): coefficient, std_error, t, pvalue (two-sided, normal; null hypothesis: it is zero).
    covariance : DataFrame
        Of the coefficients.
    residual : Series (n,)
        y less the relation, over all rows.
    long_run_variance : float
        Of the error, given the changes of x; behind the standard errors.
    bandwidth, kernel
        Of the long-run covariance.
    trend : str
        A key of TRENDS.
    nobs : int
        Rows in the final regression.
    details : str
        Leads and lags of `dynamic`; empty otherwise.
    """

    method: str
    table: pd.DataFrame
    covariance: pd.DataFrame
    residual: pd.Series
    long_run_variance: float
    bandwidth: float
    kernel: str
    trend: str
    nobs: int
    details: str = ""

    @property
    def hedge_ratio(self) -> float:
        """Coefficient of the first (or only) x."""
        return float(self.table["coefficient"].iloc[0])

    def t_against(self, value: float, name: str | None = None) -> tuple[float, float]:
        """t and two-sided p-value of the null hypothesis that a coefficient (default: the first) is `value`."""
        row = self.table.index[0] if name is None else name
        if row not in self.table.index:
            raise DataError(f"there is no coefficient {row}", f"Choose of {', '.join(map(str, self.table.index))}")
        t = float((self.table.loc[row, "coefficient"] - value) / self.table.loc[row, "std_error"])
        return t, float(2.0 * stats.norm.sf(abs(t)))

    def report(self) -> str:
        """Method, settings and coefficients as text."""
        lines = [
            f"cointegrating regression, {self.method}",
            "  null hypothesis    of each row: its coefficient is 0; alternative: it is not (presumes that the series are cointegrated)",
            f"  sample             {self.nobs} rows used of {len(self.residual)}, {TRENDS[self.trend]}{self.details}",
            f"  long-run variance  {self.long_run_variance:.6g} of the error ({self.kernel}, bandwidth {self.bandwidth:.4g})",
            self.table.to_string(float_format=lambda value: f"{value:.6g}"),
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.report()


def fully_modified(
    y: ArrayLike,
    x: ArrayLike,
    trend: str = "c",
    kernel: Kernel = "bartlett",
    bandwidth: float | None = None,
) -> CointegratingRegression:
    """Fully modified least squares of y on x.

    Parameters
    ----------
    y : array_like (n,)
        Levels or logs, finite, in time order.
    x : array_like (n,) or (n, k)
        Of the same rows.
    trend : str
        A key of TRENDS.
    kernel : str
        Of the long-run covariance: "bartlett", "parzen", "quadratic-spectral".
    bandwidth : float, optional
        Default: Newey and West's, rounded up.

    Raises
    ------
    DataError
        For series of other lengths or times, constant, not finite, or too short.
    """
    setup = _setup(y, x, trend)
    errors = _errors(setup, kernel, bandwidth)
    one_sided = errors.long_run.one_sided
    bias = np.zeros(setup.design.shape[1])
    bias[: setup.k] = one_sided[0, 1:] - errors.pull @ one_sided[1:, 1:]
    method = "fully modified least squares (Phillips and Hansen 1990)"
    return _corrected(method, setup, errors, setup.design[1:], setup.y[1:], bias)


def canonical(
    y: ArrayLike,
    x: ArrayLike,
    trend: str = "c",
    kernel: Kernel = "bartlett",
    bandwidth: float | None = None,
) -> CointegratingRegression:
    """Canonical cointegrating regression of y on x: arguments as in `fully_modified`."""
    setup = _setup(y, x, trend)
    errors = _errors(setup, kernel, bandwidth)
    past = np.linalg.solve(errors.long_run.short, errors.long_run.one_sided[:, 1:])
    design = setup.design[1:].copy()
    design[:, : setup.k] -= errors.eta @ past
    target = setup.y[1:] - errors.eta @ (past @ errors.first[: setup.k])
    return _corrected("canonical (Park 1992)", setup, errors, design, target, np.zeros(design.shape[1]))


def dynamic(
    y: ArrayLike,
    x: ArrayLike,
    trend: str = "c",
    leads: int = 2,
    lags: int = 2,
    kernel: Kernel = "bartlett",
    bandwidth: float | None = None,
) -> CointegratingRegression:
    """Dynamic least squares of y on x, with `leads` and `lags` of the changes of x beside the change of the row itself.

    Other arguments as in `fully_modified`, but that the default bandwidth is not rounded. The covariance is that of least squares with the
    long-run variance of the residual in place of its variance.
    """
    setup = _setup(y, x, trend)
    before, after = whole(lags, "lags"), whole(leads, "leads")
    n = setup.y.size
    steps = np.diff(setup.design[:, : setup.k], axis=0)
    rows = np.arange(before + 1, n - after)
    if rows.size < 2 * (setup.design.shape[1] + (before + after + 1) * setup.k):
        raise DataError(f"{n} rows are too few for {after} leads and {before} lags of {setup.k} series", "Use a longer sample or fewer of them")
    design = np.column_stack([setup.design[rows], *(steps[rows - 1 + j] for j in range(-before, after + 1))])
    coefficients = np.linalg.lstsq(design, setup.y[rows], rcond=None)[0]
    error = setup.y[rows] - design @ coefficients
    long_run = long_run_covariance(error[:, None], kernel, bandwidth)
    variance = float(long_run.two_sided[0, 0])
    m = setup.design.shape[1]
    covariance = (variance * _inverse(design))[:m, :m]
    words = f", {after} leads and {before} lags"
    return _result("dynamic least squares (Stock and Watson 1993)", setup, coefficients[:m], covariance, variance, long_run, rows.size, words)


@dataclass(frozen=True)
class _Setup:
    """Checked input: y (n,), design (n, k + terms) with the k series first, names of its columns, index of y."""

    y: np.ndarray
    design: np.ndarray
    k: int
    names: list[str]
    trend: str
    index: pd.Index


def _setup(y: ArrayLike, x: ArrayLike, trend: str) -> _Setup:
    if trend not in TRENDS:
        raise DataError(f"trend {trend!r} is not offered", f"Choose of {list(TRENDS)}")
    same_rows(y, x)
    left = checked_series(y, "y")
    columns = np.atleast_2d(np.asarray(x, np.float64).T)
    names = [str(name) for name in x.columns] if isinstance(x, pd.DataFrame) else [f"x{i + 1}" for i in range(len(columns))]
    if isinstance(x, pd.Series) and x.name is not None:
        names = [str(x.name)]
    right = [checked_series(column, name) for name, column in zip(names, columns, strict=True)]
    if any(column.size != left.size for column in right):
        raise DataError(f"y has {left.size} observations, x has {right[0].size}", "Align the two series on one index first")
    terms = 0 if trend == "n" else len(trend)
    n, k = left.size, len(right)
    if n < 10 + 4 * (k + terms):
        raise DataError(f"{n} observations are too few for {k} series with {TRENDS[trend]}", "Use a longer sample")
    for name, column in zip(["y", *names], [left, *right], strict=True):
        if np.ptp(column) <= 4 * np.spacing(np.abs(column).max()):
            raise DataError(f"{name} is constant", "A constant cannot be cointegrated with anything: leave it out")
    powers = [np.arange(1.0, n + 1.0) ** power for power in range(terms)]
    design = np.column_stack([*right, *powers])
    if np.linalg.matrix_rank(design / np.sqrt((design**2).sum(axis=0))) < design.shape[1]:
        raise DataError("the regressors are one combination of each other", "Leave one of them out")
    index = y.index if isinstance(y, pd.Series) else pd.RangeIndex(n)
    return _Setup(left, design, k, [*names, *_TERMS[:terms]], trend, index)


@dataclass(frozen=True)
class _Errors:
    """Of a first fit by least squares: its coefficients `first`; `eta` (n - 1, 1 + k), u and the changes of x without their trend.

    `long_run`: their covariance; `pull` (k,): how u moves with the changes of x in the long run; `variance`: of u given these changes.
    """

    first: np.ndarray
    eta: np.ndarray
    long_run: LongRunCovariance
    pull: np.ndarray
    variance: float


def _errors(setup: _Setup, kernel: Kernel, bandwidth: float | None) -> _Errors:
    first = np.linalg.lstsq(setup.design, setup.y, rcond=None)[0]
    error = setup.y - setup.design @ first
    series, terms = setup.design[:, : setup.k], setup.design[:, setup.k :]
    if terms.shape[1]:
        series = series - terms @ np.linalg.lstsq(terms, series, rcond=None)[0]
    eta = np.column_stack([error[1:], np.diff(series, axis=0)])
    if not error @ error > error.size * (64.0 * np.spacing(np.abs(setup.y).max())) ** 2:
        raise DataError("y is a multiple of x", "Leave one of them out: their spread has no variance")
    long_run = long_run_covariance(eta, kernel, bandwidth, whole_bandwidth=True)
    omega = long_run.two_sided
    pull = np.linalg.solve(omega[1:, 1:], omega[1:, 0])
    return _Errors(first, eta, long_run, pull, float(omega[0, 0] - omega[0, 1:] @ pull))


def _corrected(method: str, setup: _Setup, errors: _Errors, design: np.ndarray, target: np.ndarray, bias: np.ndarray) -> CointegratingRegression:
    """Least squares of `target` (n - 1,) on `design` (n - 1, k + terms), after what the changes of x explain of u, and `bias` a row, leave it."""
    inverse = _inverse(design)
    moments = design.T @ (target - errors.eta[:, 1:] @ errors.pull) - len(design) * bias
    return _result(method, setup, inverse @ moments, errors.variance * inverse, errors.variance, errors.long_run)


def _inverse(design: np.ndarray) -> np.ndarray:
    """(X'X)^-1, by columns of length one: powers of time have other sizes than prices."""
    scale = np.sqrt((design**2).sum(axis=0))
    return np.asarray(np.linalg.inv((design / scale).T @ (design / scale)) / np.outer(scale, scale))


def _result(
    method: str,
    setup: _Setup,
    coefficients: np.ndarray,
    covariance: np.ndarray,
    variance: float,
    long_run: LongRunCovariance,
    nobs: int | None = None,
    details: str = "",
) -> CointegratingRegression:
    errors = np.sqrt(np.diag(covariance))
    t = coefficients / errors
    table = pd.DataFrame({"coefficient": coefficients, "std_error": errors, "t": t, "pvalue": 2.0 * stats.norm.sf(np.abs(t))}, setup.names)
    return CointegratingRegression(
        method=method,
        table=table,
        covariance=pd.DataFrame(covariance, setup.names, setup.names),
        residual=pd.Series(setup.y - setup.design @ coefficients, setup.index, name="residual"),
        long_run_variance=variance,
        bandwidth=long_run.bandwidth,
        kernel=long_run.kernel,
        trend=setup.trend,
        nobs=setup.y.size - 1 if nobs is None else nobs,
        details=details,
    )
