"""Vector error correction: how fast each series of a group takes back a relation, with standard errors and t-values.

    dx[t] = alpha (beta' x[t-1]) + gamma_1 dx[t-1] + ... + gamma_k dx[t-k] + deterministic terms + e[t]

Estimated by statsmodels' VECM, which is Johansen's maximum likelihood; checked, named and printed here. H. Luetkepohl, New Introduction to
Multiple Time Series Analysis (2005), 7.2. beta is identified by its first rows, an identity: its standard errors are of the other rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.tsa.vector_ar.vecm import VECM

from hftkit.errors import DataError
from research.stats.johansen import DETERMINISTIC, as_frame, johansen
from research.stats.validation import whole

_STATSMODELS = {"n": "n", "rc": "ci", "c": "co", "rt": "coli", "ct": "colo"}


@dataclass(frozen=True)
class ErrorCorrection:
    """Estimates, each a table with the columns coefficient, std_error, t, pvalue (two-sided, normal; null hypothesis: it is zero).

    Attributes
    ----------
    loadings : DataFrame
        alpha; rows (series, relation): how much of the relation the series' next change takes back.
    relations : DataFrame
        beta; rows (relation, series or term). Rows that identify it are 1 or 0, without standard error (NaN).
    short_run : DataFrame
        gamma; rows (series, lag, series that is lagged).
    residual_covariance : DataFrame
        Of the errors e.
    rank, lags, deterministic, nobs
        Settings, and rows used.
    """

    loadings: pd.DataFrame
    relations: pd.DataFrame
    short_run: pd.DataFrame
    residual_covariance: pd.DataFrame
    rank: int
    lags: int
    deterministic: str
    nobs: int

    @property
    def half_lives(self) -> pd.Series:
        """Bars after which half of each relation is taken back by all series together: -ln 2 / ln(1 + d), d the diagonal of beta' alpha."""
        alpha = self.loadings["coefficient"].unstack(sort=False)
        values = {}
        for name in alpha.columns:
            weights = self.relations.loc[name, "coefficient"].reindex(alpha.index)
            speed = float(weights @ alpha[name])
            values[name] = np.inf if speed >= 0.0 else 0.0 if speed <= -1.0 else float(-np.log(2.0) / np.log1p(speed))
        return pd.Series(values, name="half_life")

    def report(self) -> str:
        """Settings, loadings, relations as text."""
        lines = [
            f"vector error correction, {self.rank} relation{'s' if self.rank > 1 else ''}, {DETERMINISTIC[self.deterministic]}, {self.lags} lagged "
            f"differences, {self.nobs} rows used",
            "null hypothesis of each row: its coefficient is 0; alternative: it is not (normal distribution)",
            "loadings: how much of the relation the next change takes back",
            self.loadings.round(6).to_string(),
            "relations",
            self.relations.round(6).to_string(),
            "half-lives of the relations (bars): " + ", ".join(f"{name} {value:.2f}" for name, value in self.half_lives.items()),
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.report()


def error_correction(
    series: pd.DataFrame | np.ndarray, rank: int | None = None, lags: int = 1, deterministic: str = "rc", season: int | None = None
) -> ErrorCorrection:
    """Estimate the error correction of a group.

    Parameters
    ----------
    series : DataFrame or ndarray (n, m)
        Levels or logs, finite, in time order.
    rank : int, optional
        Relations, 1 to m - 1. Default: what Johansen's trace test finds at 5 %.
    lags : int
        Lagged differences.
    deterministic : str
        A key of johansen.DETERMINISTIC. "ct" has its trend outside the relations here, where `johansen` takes it out beforehand.
    season : int, optional
        Period of centred seasonal dummies.

    Raises
    ------
    DataError
        As `johansen`, and where no relation is left to estimate.
    """
    frame = as_frame(series)
    tested = johansen(frame, lags, deterministic, season)
    m = frame.shape[1]
    relations = tested.rank if rank is None else whole(rank, "rank")
    if not 1 <= relations < m:
        found = f"Johansen's test finds {relations} relations among {m} series" if rank is None else f"{relations} relations among {m} series"
        raise DataError(f"{found}: there is no error correction to estimate", f"Give a rank of 1 to {m - 1}, or model the changes or the levels")
    fit = VECM(frame.to_numpy(np.float64), k_ar_diff=lags, coint_rank=relations, deterministic=_STATSMODELS[deterministic], seasons=season or 0).fit()
    names = [str(column) for column in frame.columns]
    ranks = [f"relation {k + 1}" for k in range(relations)]
    loadings = _table(fit.alpha, fit.stderr_alpha, fit.tvalues_alpha, fit.pvalues_alpha)
    loadings.index = pd.MultiIndex.from_product([names, ranks], names=["series", "relation"])
    terms = [*names, *{"rc": ["constant"], "rt": ["trend"]}.get(deterministic, [])]
    parts = [(fit.beta, fit.stderr_beta, fit.tvalues_beta, fit.pvalues_beta)]
    if len(terms) > m:
        parts.append((fit.det_coef_coint, fit.stderr_det_coef_coint, fit.tvalues_det_coef_coint, fit.pvalues_det_coef_coint))
    beta, error, t, p = (np.vstack([part[j] for part in parts]).T.copy() for j in range(4))
    for values in (error, t, p):
        values[:, :relations] = np.nan
    relation = _table(beta, error, t, p)
    relation.index = pd.MultiIndex.from_product([ranks, terms], names=["relation", "series"])
    short = _table(fit.gamma, fit.stderr_gamma, fit.tvalues_gamma, fit.pvalues_gamma)
    short.index = pd.MultiIndex.from_product([names, range(1, lags + 1), names], names=["series", "lag", "of"])
    covariance = pd.DataFrame(fit.sigma_u, names, names)
    return ErrorCorrection(loadings, relation, short, covariance, relations, lags, deterministic, len(frame) - lags - 1)


def _table(coefficient: np.ndarray, error: np.ndarray, t: np.ndarray, p: np.ndarray) -> pd.DataFrame:
    values = {"coefficient": coefficient, "std_error": error, "t": t, "pvalue": p}
    return pd.DataFrame({name: np.asarray(column, np.float64).ravel() for name, column in values.items()})
