"""Rows of the evidence on statistics: against statsmodels, arch, vectorbt and printed tables. Seeded samples; under two minutes."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd

from hftkit.evidence.registry import Row, difference
from hftkit.kernels.stats.mackinnon import critical_values
from research.stats.cointegrating_regression import canonical, dynamic, fully_modified
from research.stats.cointegration import engle_granger
from research.stats.johansen import johansen
from research.stats.phillips_ouliaris import phillips_ouliaris
from research.stats.unit_root import dickey_fuller

SEED = 20_261_130
_PAIRS = 40
# J. G. MacKinnon (2010), Queen's Economics Department Working Paper 1227, table 2, N = 2, constant, infinite sample
_MACKINNON_2010 = (-3.89644, -3.33613, -3.04445)


def walks(n: int, k: int, generator: np.random.Generator) -> np.ndarray:
    """Independent random walks, float64 (n, k)."""
    return 100.0 + np.cumsum(generator.standard_normal((n, k)), axis=0)


def pairs(count: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Half of them cointegrated, of 60 to 2,000 rows: float64 (n, 2) each."""
    found = []
    for i in range(count):
        both = walks(int(generator.integers(60, 2_000)), 2, generator)
        if i % 2:
            both[:, 0] = 1.3 * both[:, 1] + generator.standard_normal(len(both))
        found.append(both)
    return found


def statistics() -> list[Row]:
    """Tests and estimators beside statsmodels' and arch's, and critical values beside printed ones."""
    from statsmodels.tsa.stattools import adfuller, coint
    from statsmodels.tsa.vector_ar.vecm import coint_johansen

    generator = np.random.default_rng(SEED)
    name = f"statsmodels {version('statsmodels')}"
    sample = pairs(_PAIRS, generator)
    ours = [engle_granger(pair[:, 0], pair[:, 1]) for pair in sample]
    theirs = [coint(pair[:, 0], pair[:, 1]) for pair in sample]
    of = f"{_PAIRS} pairs of 60 to 2,000 rows, lags by AIC"
    rows = [
        difference(f"Engle-Granger statistic, {of}", _apart([o.statistic for o in ours], [t[0] for t in theirs]), f"{name} coint", 1e-8),
        difference(f"Engle-Granger p-value, {of}", _apart([o.pvalue for o in ours], [t[1] for t in theirs]), f"{name} coint", 1e-8),
    ]
    singles = [pair[:, 0] for pair in sample]
    found = [dickey_fuller(one) for one in singles]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # on what it will return some day
        expected = [adfuller(one) for one in singles]
    apart = _apart([(o.statistic, o.pvalue, o.lag) for o in found], [(t[0], t[1], t[2]) for t in expected])
    rows.append(difference(f"Dickey-Fuller statistic, p-value and lag, {_PAIRS} series", apart, f"{name} adfuller", 1e-8))
    groups = [walks(int(generator.integers(100, 800)), int(generator.integers(2, 6)), generator) for _ in range(20)]
    traces = [johansen(pd.DataFrame(group), lags=1, deterministic="c").table["trace"].to_numpy() for group in groups]
    apart = max(_apart(trace, coint_johansen(group, 0, 1).lr1) for trace, group in zip(traces, groups, strict=True))
    rows.append(difference("Johansen trace statistics, 20 groups of 2 to 5 series", apart, f"{name} coint_johansen", 1e-6))
    return [*rows, *_arch(sample[1::2][:10]), *printed()]


def _arch(sample: list[np.ndarray]) -> list[Row]:
    """Beside arch, where it is installed."""
    try:
        from arch.unitroot import cointegration as arch
    except ModuleNotFoundError:
        return []
    name = f"arch {version('arch')}"
    frames = [(pd.Series(pair[:, 0], name="y"), pd.DataFrame({"x": pair[:, 1]})) for pair in sample]
    rows = []
    for what, mine, other in (
        ("fully modified", fully_modified, arch.FullyModifiedOLS),
        ("canonical", canonical, arch.CanonicalCointegratingReg),
    ):
        slopes = [mine(y, x["x"], bandwidth=8.0).table["coefficient"].iloc[0] for y, x in frames]
        expected = [other(y, x).fit(bandwidth=8.0).params.iloc[0] for y, x in frames]
        rows.append(difference(f"slope by {what} least squares, {len(sample)} pairs", _apart(slopes, expected), name, 1e-6))
    slopes = [dynamic(y, x["x"], leads=2, lags=2).table["coefficient"].iloc[0] for y, x in frames]
    expected = [arch.DynamicOLS(y, x, leads=2, lags=2).fit().params.iloc[0] for y, x in frames]
    rows.append(difference(f"slope by dynamic least squares, {len(sample)} pairs", _apart(slopes, expected), name, 1e-6))
    for statistic in ("Za", "Zt", "Pu", "Pz"):
        apart = max(
            _apart(
                phillips_ouliaris(y, x["x"], statistic=statistic, bandwidth=8).statistic,
                arch.phillips_ouliaris(y, x, test_type=statistic, bandwidth=8).stat,
                relative=True,
            )
            for y, x in frames
        )
        rows.append(difference(f"Phillips-Ouliaris {statistic}, {len(sample)} pairs, relative", apart, name, 1e-6))
    return rows


def printed() -> list[Row]:
    """Critical values beside the tables that print them."""
    table = np.empty(3)
    critical_values(table, 1, 2, 10**9)
    rows = []
    for level, value, shown in zip((1, 5, 10), table.tolist(), _MACKINNON_2010, strict=True):
        what = f"Engle-Granger critical value at {level} %, no limit of rows"
        where = "MacKinnon 2010, table 2, N = 2, constant"
        rows.append(Row(what, f"{value:.5f}", f"{shown:.5f}", where, "1e-5", abs(value - shown) < 1e-5, "hftkit evidence"))
    return rows


def _apart(ours: object, theirs: object, relative: bool = False) -> float:
    """The largest difference; of the size of theirs where `relative`."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float((np.abs(a - b) / (np.abs(b) if relative else 1.0)).max())
