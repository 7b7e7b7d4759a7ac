"""Johansen's test: how many cointegrating relations hold a group of series together, and which.

Null hypotheses, one after the other: at most r relations, r = 0, 1, ...; the trace statistic against more than r, the maximal eigenvalue against
exactly r + 1. S. Johansen (1988), J. Econ. Dyn. Control 12, 231-254; S. Johansen and K. Juselius (1990), Oxford Bull. Econ. Stat. 52, 169-210.
Critical values: for "n", "c", "ct" MacKinnon, Haug and Michelis as statsmodels tabulates them; for "rc" M. Osterwald-Lenum (1992), Oxford Bull.
Econ. Stat. 54, 461-472, table 1*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.tsa.coint_tables import c_sja, c_sjt

from hftkit.errors import DataError
from research.cointegration import whole

DETERMINISTIC = {"n": "no constant", "rc": "constant in the relations only", "c": "constant", "ct": "linear trend removed, constant"}
_ORDER = {"n": -1, "c": 0, "ct": 1}  # statsmodels' det_order
# Restricted constant: 90 %, 95 %, 99 % for 1 .. 5 series less relations
_RESTRICTED_MAX = [(7.52, 9.24, 12.97), (13.75, 15.67, 20.20), (19.77, 22.00, 26.81), (25.56, 28.14, 33.24), (31.66, 34.40, 39.79)]
_RESTRICTED_TRACE = [(7.52, 9.24, 12.97), (17.85, 19.96, 24.60), (32.00, 34.91, 41.07), (49.65, 53.12, 60.16), (71.86, 76.07, 84.45)]
_COLLINEAR = 1e-12  # smallest eigenvalue of a correlation matrix that is still full rank


@dataclass(frozen=True)
class Johansen:
    """`table`: one row a null hypothesis r <= index: eigenvalue, trace, trace_90/95/99, max_eigen, max_eigen_90/95/99.

    `vectors`: column k is the k-th relation (largest eigenvalue first), the first series' weight 1; rows the series (and "constant" for "rc").
    `loadings`: how much each series' next change takes back of each relation (alpha of the error correction), rows the series.
    """

    table: pd.DataFrame
    vectors: pd.DataFrame
    loadings: pd.DataFrame
    nobs: int
    lags: int
    deterministic: str

    @property
    def rank(self) -> int:
        """Relations found by the trace statistic at 5 %: the first null hypothesis that is not rejected."""
        accepted = np.flatnonzero(~(self.table["trace"] > self.table["trace_95"]).to_numpy())
        return int(accepted[0]) if accepted.size else len(self.table)

    def report(self) -> str:
        """Null hypotheses, sample, statistics as text."""
        head = f"Johansen test, {DETERMINISTIC[self.deterministic]}, {self.lags} lagged differences, {self.nobs} rows used"
        return f"{head}\nnull hypothesis: at most r relations\n{self.table.round(4).to_string()}\nrelations at 5 % (trace): {self.rank}"


def johansen(series: pd.DataFrame, lags: int = 1, deterministic: str | int = "rc", season: int | None = None) -> Johansen:
    """Johansen's test of the columns of `series` (levels, finite, in time order).

    `deterministic`: a key of DETERMINISTIC, or statsmodels' det_order: -1, 0, 1 are "n", "c", "ct". The critical values of "c" and "ct" presume a
    drift in the levels and find too many relations where there is none (one walk in three instead of one in twenty), so the default is "rc", to
    five series.
    `lags`: lagged differences (an autoregression of order lags + 1), statsmodels' k_ar_diff; `season`: centred seasonal dummies of this period.
    Without lags statsmodels' `coint_johansen` regresses a change on the level *after* it; here as in Johansen's papers (and statsmodels' VECM) it is
    the level before, so the two agree from one lag on.
    Raises DataError for constant or collinear series, naming them, and for too few rows.
    """
    if not isinstance(deterministic, str):
        deterministic = {order: name for name, order in _ORDER.items()}.get(deterministic, str(deterministic))
    if deterministic not in DETERMINISTIC:
        raise DataError(f"deterministic {deterministic!r} is not offered", f"Choose of {list(DETERMINISTIC)}")
    lags = whole(lags, "lags")
    levels, names = _checked(series), [str(column) for column in series.columns]
    n, m = levels.shape
    rows = n - lags - 1
    if rows < m * (lags + 1) + (season or 0) + 2:
        raise DataError(f"{n} rows are too few for {m} series with {lags} lags", "Use a longer sample, fewer series or fewer lags")
    if deterministic == "ct":
        time = np.vander(np.linspace(-1.0, 1.0, n), 2)
        levels = levels - time @ np.linalg.lstsq(time, levels, rcond=None)[0]
    steps = np.diff(levels, axis=0)
    target, before = steps[lags:], levels[lags:-1]
    short = [steps[lags - k : n - 1 - k] for k in range(1, lags + 1)]
    if season:
        places = np.arange(n)[lags + 1 :] % season
        short.append((places[:, None] == np.arange(season - 1)) - 1.0 / season)
    if deterministic in ("c", "ct"):
        short.append(np.ones((rows, 1)))
    if deterministic == "rc":
        before = np.column_stack([before, np.ones(rows)])
        names = [*names, "constant"]
    changes, past = _without(target, short), _without(before, short)
    eigenvalues, vectors = _reduced_rank(changes, past)
    eigenvalues, vectors = eigenvalues[:m], vectors[:, :m] / vectors[0, :m]
    loadings = np.linalg.lstsq(past @ vectors, changes, rcond=None)[0].T
    terms = -rows * np.log1p(-eigenvalues)
    table = pd.DataFrame({"eigenvalue": eigenvalues, "trace": np.cumsum(terms[::-1])[::-1], "max_eigen": terms})
    table.index.name = "r"
    for name, values in (("trace", _critical(m, deterministic, True)), ("max_eigen", _critical(m, deterministic, False))):
        for level, column in zip((90, 95, 99), values.T, strict=True):
            table[f"{name}_{level}"] = column
    order = ["eigenvalue", *(f"{name}{tail}" for name in ("trace", "max_eigen") for tail in ("", "_90", "_95", "_99"))]
    relations = [f"relation {k + 1}" for k in range(m)]
    frame, weights = pd.DataFrame(vectors, names, relations), pd.DataFrame(loadings, names[:m], relations)
    return Johansen(table[order], frame, weights, rows, lags, deterministic)


def _checked(series: pd.DataFrame) -> np.ndarray:
    levels = np.ascontiguousarray(series.to_numpy(np.float64))
    if levels.shape[1] < 2:
        raise DataError(f"{levels.shape[1]} series make no group", "Give at least two columns")
    for name, column in zip(series.columns, levels.T, strict=True):
        bad = np.flatnonzero(~np.isfinite(column))
        if bad.size:
            raise DataError(f"{name} is not finite at row {bad[0]}", "Drop or repair these rows first")
        if np.ptp(column) <= 4 * np.spacing(np.abs(column).max()):
            raise DataError(f"{name} is constant", "A constant cannot be cointegrated with anything: leave it out")
    correlation = np.corrcoef(levels.T)
    weights, directions = np.linalg.eigh(correlation)
    if weights[0] < _COLLINEAR:
        involved = [str(name) for name, part in zip(series.columns, directions[:, 0], strict=True) if abs(part) > 0.1]
        raise DataError(f"{', '.join(involved)} are one combination of each other", "Leave one of them out: their spread has no variance")
    return levels


def _without(target: np.ndarray, short: list[np.ndarray]) -> np.ndarray:
    """What regressors leave of each column."""
    if not short:
        return target
    basis, _ = np.linalg.qr(np.column_stack(short))
    return target - basis @ (basis.T @ target)


def _reduced_rank(target: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared canonical correlations (largest first) and the directions in `before`, by two QR factorings: no product matrix is inverted."""
    q0, _ = np.linalg.qr(target)
    q1, r1 = np.linalg.qr(before)
    _, correlations, rotation = np.linalg.svd(q0.T @ q1, full_matrices=True)
    return correlations**2, np.linalg.solve(r1, rotation.T)


def _critical(m: int, deterministic: str, trace: bool) -> np.ndarray:
    """Critical values (m, 3) at 90, 95, 99 %, row r for at most r relations; NaN beyond the tables."""
    values = np.full((m, 3), np.nan)
    for r in range(m):
        left = m - r
        if deterministic == "rc":
            table: Any = _RESTRICTED_TRACE if trace else _RESTRICTED_MAX
            values[r] = table[left - 1] if left <= len(table) else np.nan
        else:
            found = (c_sjt if trace else c_sja)(left, _ORDER[deterministic])
            values[r] = found if np.all(np.asarray(found) > 0) else np.nan
    return values
