"""Johansen's test: how many cointegrating relations hold a group of series together, and which.

Null hypotheses, one after the other: at most r relations, r = 0, 1, ...; the trace statistic against more than r, the maximal eigenvalue against
exactly r + 1. S. Johansen (1988), J. Econ. Dyn. Control 12, 231-254; S. Johansen and K. Juselius (1990), Oxford Bull. Econ. Stat. 52, 169-210.
Critical values and p-values: research/stats/johansen_tables.py. Standard errors of loadings and relations: research/stats/vecm.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.stats import johansen_tables as tables
from research.stats.test_result import LEVELS, Detail, Tail, TestResult
from research.stats.validation import whole

DETERMINISTIC = {
    "n": "no constant",
    "rc": "constant in the relations only",
    "c": "constant",
    "rt": "constant, linear trend in the relations only",
    "ct": "linear trend removed, constant",
}
_ORDER = {"n": -1, "c": 0, "ct": 1}  # statsmodels' det_order
_COLLINEAR = 1e-12  # smallest eigenvalue of a correlation matrix that is still full rank
STATISTICS = ("trace", "max_eigen")
_NAMES = {"trace": "trace", "max_eigen": "maximal eigenvalue"}


@dataclass(frozen=True, kw_only=True)
class Johansen(TestResult):
    """Result of one group: as one test, trace of "no relation" against "at least one"; the other null hypotheses by `test` and in `table`.

    `table`: one row a null hypothesis r <= index: eigenvalue, trace, trace_90/95/99, trace_p, max_eigen, max_eigen_90/95/99, max_eigen_p.
    `vectors`: column k is the k-th relation (largest eigenvalue first), the first series' weight 1; rows the series (and "constant" for "rc",
    "trend" for "rt").
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
        return self.rank_at()

    def rank_at(self, level: int = 95, statistic: str = "trace") -> int:
        """Relations found by "trace" or "max_eigen" with the critical values of `level` 90, 95 or 99 %."""
        if level not in tables.LEVELS or statistic not in STATISTICS:
            raise DataError(f"no critical values of {statistic!r} at {level} %", f"Choose {' or '.join(STATISTICS)}, {tables.LEVELS}")
        values, critical = self.table[statistic].to_numpy(), self.table[f"{statistic}_{level}"].to_numpy()
        if not np.isfinite(critical).all():
            raise DataError("without critical values there is no rank", f"Test at most {tables.MOST_SERIES} series at once")
        accepted = np.flatnonzero(values <= critical)
        return int(accepted[0]) if accepted.size else len(self.table)

    def test(self, r: int, statistic: str = "trace") -> TestResult:
        """The test of "at most `r` relations", r from 0: by "trace" against more, by "max_eigen" against exactly r + 1."""
        if statistic not in STATISTICS or not 0 <= r < len(self.table):
            raise DataError(f"there is no test of {statistic!r} at r = {r}", f"Choose {' or '.join(STATISTICS)}, r from 0 to {len(self.table) - 1}")
        return TestResult(**_one_test(self.table, r, statistic))

    def report(self) -> str:
        """The test of no relation, then the table of all null hypotheses, as text."""
        lines = [
            super().report(),
            "  of each row        at most r relations, against more (trace) or exactly one more (maximal eigenvalue)",
            f"  critical at 90, 95, 99 %: {tables.source(len(self.table), self.deterministic)}; p-values: {tables.APPROXIMATION}",
            self.table.round(4).to_string(),
            f"relations at 5 % (trace): {self.rank}, (maximal eigenvalue): {self.rank_at(95, 'max_eigen')}",
        ]
        return "\n".join(lines)


class _Fields(TypedDict):
    name: str
    null_hypothesis: str
    alternative: str
    statistic: float
    pvalue: float
    critical_values: dict[str, float]
    tail: Tail


def _one_test(table: pd.DataFrame, r: int, statistic: str) -> _Fields:
    """What `table` says of one null hypothesis."""
    row, known = table.iloc[r], f"at most {r} cointegrating relation{'' if r == 1 else 's'}" if r else "no cointegrating relation"
    return {
        "name": f"Johansen, {_NAMES[statistic]}",
        "null_hypothesis": known,
        "alternative": f"{'at least' if statistic == 'trace' else 'exactly'} {r + 1}",
        "statistic": float(row[statistic]),
        "pvalue": float(row[f"{statistic}_p"]),
        "critical_values": {level: float(row[f"{statistic}_{place}"]) for level, place in zip(LEVELS, (99, 95, 90), strict=True)},
        "tail": "upper",
    }


def johansen(series: pd.DataFrame | np.ndarray, lags: int = 1, deterministic: str | int = "rc", season: int | None = None) -> Johansen:
    """Johansen's test of the columns of `series`.

    Parameters
    ----------
    series : DataFrame or ndarray (n, m)
        Levels (prices or their logs), finite, in time order; 2 to 30 columns.
    lags : int
        Lagged differences (an autoregression of order lags + 1), statsmodels' k_ar_diff.
    deterministic : str or int
        A key of DETERMINISTIC, or statsmodels' det_order: -1, 0, 1 are "n", "c", "ct". The critical values of "c" and "ct" presume a drift
        in the levels and find too many relations where there is none (one walk in three instead of one in twenty), so the default is "rc".
    season : int, optional
        Centred seasonal dummies of this period.

    Notes
    -----
    Without lags statsmodels' `coint_johansen` regresses a change on the level *after* it. Here, as in Johansen's papers and in statsmodels' VECM,
    it is the level before, so the two agree from one lag on.

    Raises
    ------
    DataError
        For constant or collinear series, naming them, for too few rows, and for more series than there are critical values for.
    """
    if not isinstance(deterministic, str):
        deterministic = {order: name for name, order in _ORDER.items()}.get(deterministic, str(deterministic))
    if deterministic not in DETERMINISTIC:
        raise DataError(f"deterministic {deterministic!r} is not offered", f"Choose of {list(DETERMINISTIC)}")
    lags = whole(lags, "lags")
    frame = as_frame(series)
    levels, names = _checked(frame), [str(column) for column in frame.columns]
    n, m = levels.shape
    if m > tables.MOST_SERIES:
        raise DataError(f"{m} series are more than critical values exist for", f"Test at most {tables.MOST_SERIES} at once")
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
    if deterministic in ("c", "rt", "ct"):
        short.append(np.ones((rows, 1)))
    if deterministic == "rc":
        before = np.column_stack([before, np.ones(rows)])
        names = [*names, "constant"]
    if deterministic == "rt":
        before = np.column_stack([before, np.arange(lags + 1.0, n)])
        names = [*names, "trend"]
    changes, past = _without(target, short), _without(before, short)
    eigenvalues, vectors = _reduced_rank(changes, past)
    eigenvalues, vectors = eigenvalues[:m], vectors[:, :m] / vectors[0, :m]
    loadings = np.linalg.lstsq(past @ vectors, changes, rcond=None)[0].T
    terms = -rows * np.log1p(-eigenvalues)
    table = pd.DataFrame({"eigenvalue": eigenvalues, "trace": np.cumsum(terms[::-1])[::-1], "max_eigen": terms})
    table.index.name = "r"
    for name in STATISTICS:
        values = np.array([tables.critical_values(m - r, deterministic, name == "trace") for r in range(m)])
        for level, column in zip(tables.LEVELS, values.T, strict=True):
            table[f"{name}_{level}"] = column
        table[f"{name}_p"] = [tables.p_value(table[name].iloc[r], m - r, deterministic, name == "trace") for r in range(m)]
    order = ["eigenvalue", *(f"{name}{tail}" for name in STATISTICS for tail in ("", "_90", "_95", "_99", "_p"))]
    relations = [f"relation {k + 1}" for k in range(m)]
    weights, speeds = pd.DataFrame(vectors, names, relations), pd.DataFrame(loadings, names[:m], relations)
    details: dict[str, Detail] = {"deterministic": DETERMINISTIC[deterministic], "lags": lags, "nobs": rows, "series": m}
    return Johansen(
        **_one_test(table, 0, "trace"),
        details=details,
        table=table[order],
        vectors=weights,
        loadings=speeds,
        nobs=rows,
        lags=lags,
        deterministic=deterministic,
    )


def as_frame(series: pd.DataFrame | np.ndarray) -> pd.DataFrame:
    """The group as a table: a DataFrame as it is, an array (n, m) with the columns "series 1" to "series m"."""
    if isinstance(series, pd.DataFrame):
        return series
    values = np.asarray(series)
    if values.ndim != 2:
        raise DataError(f"a group of shape {values.shape} is none", "Give a DataFrame or an array (n, m), one column a series")
    return pd.DataFrame(values, columns=[f"series {k + 1}" for k in range(values.shape[1])])


def _checked(series: pd.DataFrame) -> np.ndarray:
    try:
        levels = np.ascontiguousarray(series.to_numpy(np.float64))
    except (TypeError, ValueError):
        raise DataError("a column of the group is not made of numbers", "Pass levels only, the times as index") from None
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
