"""What the Engle-Granger and Dickey-Fuller statistics look like under their null hypotheses, for the sample and lag rule: finite-sample p-values.

MacKinnon's p-values are asymptotic. In short samples they reject too often, and choosing the lag length by AIC makes it worse: at 30 rows one
pair of independent walks in seven has p < 0.05. So the distribution is simulated: pairs of independent Gaussian walks, the same detrending,
the same lag rule, the same largest lag. (It does not depend on how the innovations of the two are correlated: P. C. B. Phillips and
S. Ouliaris 1990, Econometrica 58.1, 165-193.)

With the default largest lag the quantiles are a committed table for trend "c" by AIC, BIC and t-stat, and for "ct" by AIC
(engle_granger_null.csv, made by null_table.py). Any other rule is simulated when it is first asked for. Between two lengths quantiles are
interpolated in 1/n, beyond the longest towards MacKinnon's distribution, as in the response surfaces of J. G. MacKinnon (2010), Queen's Economics
Department Working Paper 1227.

The Dickey-Fuller test of one series has a table of its own (dickey_fuller_null.csv: trend "c" by AIC, what a
frozen spread is tested with). There the series are single Gaussian walks. No other rule is simulated for it.
"""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from hftkit.kernels.stats import engle_granger as kernel
from hftkit.kernels.stats.adf import LAG_AIC, LAG_BIC, LAG_FIXED, LAG_T, adf_columns
from hftkit.kernels.stats.mackinnon import TRENDS, p_value
from hftkit.kernels.stats.wild_bootstrap import signed_panel
from research.stats.discovery.pair_statistics import FIELDS, pair_statistics

TABLE = Path(__file__).with_name("engle_granger_null.csv")
UNIT_ROOT_TABLE = Path(__file__).with_name("dickey_fuller_null.csv")
LEVELS = np.array(
    [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999]
)
RULES: dict[str | None, int] = {None: LAG_FIXED, "aic": LAG_AIC, "bic": LAG_BIC, "t-stat": LAG_T}
DRAWS, SEED = 20_000, 2026  # of a simulation on demand
FEWEST_IN_TAIL = 40  # draws below a quantile: its level is then known to a sixth
_LONGEST = 500  # rows of a simulation on demand, beyond which the quantiles are taken on in 1/n
_ROOM = 40.0  # lags fit this often into the rows of a simulation on demand
_FLOOR = 12.0  # normal scores beyond it say nothing
_WORDS_A_BLOCK = 100_000  # a block stays in the cache of its core: four times as fast as blocks of 2,000,000


@dataclass(frozen=True)
class Null:
    """A null distribution: `levels` float64 (k,), increasing, and the asymptotic normal scores of the quantiles there; `origin`: where from."""

    levels: np.ndarray
    scores: np.ndarray
    origin: str

    def p_values(self, asymptotic: np.ndarray) -> np.ndarray:
        """Share of the null distribution at or below the statistics whose asymptotic p-values are given, float64 of the same shape; NaN stays.

        On the scale of normal scores, on which MacKinnon's distribution is the identity; beyond the lowest quantile along the chord of the
        lowest three (never steeper than MacKinnon's tail).
        """
        ours, theirs = ndtri(self.levels), self.scores
        asked = np.clip(ndtri(asymptotic), -_FLOOR, _FLOOR)
        slope = min((ours[2] - ours[0]) / (theirs[2] - theirs[0]), 1.0)
        inside = np.interp(asked, theirs, ours)
        below, above = ours[0] + slope * (asked - theirs[0]), ours[-1] + (asked - theirs[-1])
        return ndtr(np.where(asked < theirs[0], below, np.where(asked > theirs[-1], above, inside)))

    def towards_infinity(self, share: float) -> Null:
        """The distribution of a sample 1 / `share` times as long: the distance from MacKinnon's shrinks like 1/n."""
        known = ndtri(self.levels)
        return Null(self.levels, known + share * (self.scores - known), self.origin)


def asymptotic_scores(statistics: np.ndarray, degree: int, series: int = 2) -> np.ndarray:
    """Normal quantiles of MacKinnon's (1994) p-values of statistics float64 (k,), kept within -12 .. 12.

    `series`: 2 for Engle and Granger's test of a pair, 1 for the Dickey-Fuller test of one series.
    """
    return np.clip(ndtri(np.array([p_value(value, degree, series) for value in statistics])), -_FLOOR, _FLOOR)


@functools.lru_cache(maxsize=256)
def null_distribution(n: int, degree: int, lags: int, rule: int, default_lags: bool) -> Null:
    """The null distribution for samples of `n` rows: from the table where it holds this rule, else simulated now (about a second).

    `degree` 0 .. 3: the trend; `lags`: the largest lag, or the lag; `rule`: a LAG_* code; `default_lags`: whether `lags` is Schwert's default.
    """
    rows = _table(TABLE, 2).get((degree, rule)) if default_lags else None
    if rows is None or n < min(rows):
        m = min(n, max(_LONGEST, int(_ROOM * lags)))
        statistics = simulate(m, degree, lags, rule, DRAWS, SEED)
        null = quantiles(statistics, degree, f"finite, simulated: {DRAWS:,} draws, seed {SEED}")
        return null.towards_infinity(m / n)
    return _between(rows, n)


def unit_root_null(n: int, degree: int, rule: int) -> Null | None:
    """The null distribution of the Dickey-Fuller test of one series of `n` rows, with the default largest lag.

    `degree` 0 .. 3: the trend; `rule`: a LAG_* code. None where the table has neither this rule nor so short a sample.
    """
    rows = _table(UNIT_ROOT_TABLE, 1).get((degree, rule))
    return None if rows is None or n < min(rows) else _between(rows, n)


def _between(rows: dict[int, Null], n: int) -> Null:
    """The distribution for `n` rows, at least as many as the shortest of `rows`: between two lengths in 1/n."""
    if n in rows:
        return rows[n]
    if n > max(rows):
        return rows[max(rows)].towards_infinity(max(rows) / n)
    shorter, longer = max(k for k in rows if k < n), min(k for k in rows if k > n)
    weight = (1.0 / n - 1.0 / longer) / (1.0 / shorter - 1.0 / longer)
    both = min(rows[shorter].levels.size, rows[longer].levels.size)  # the levels of the smaller simulation are the larger ones
    a, b = rows[shorter], rows[longer]
    return Null(b.levels[-both:], weight * a.scores[-both:] + (1.0 - weight) * b.scores[-both:], b.origin)


def simulate(n: int, degree: int, lags: int, rule: int, draws: int, seed: int, threads: int | None = None) -> np.ndarray:
    """Statistics float64 (draws,) of pairs of independent Gaussian walks of `n` rows; the same for any number of threads.

    A draw without a statistic (no degree of freedom left) is NaN.
    """
    pairs_a_block = max(min(_WORDS_A_BLOCK // (2 * n), draws), 1)
    starts = range(0, draws, pairs_a_block)
    up, no_filter = np.ones(n - 1), np.zeros((2 * pairs_a_block, 1))

    def block(number: int) -> np.ndarray:
        size = min(pairs_a_block, draws - starts[number])
        rng = np.random.default_rng((seed, n, degree, rule, number))
        shocks, flat, totals = rng.standard_normal((2 * size, n - 1)), np.empty((2 * size, n)), np.empty(2 * size)
        orders, wanted = np.zeros(2 * size, np.int64), np.ones(2 * size, np.int64)
        signed_panel(shocks, orders, no_filter, wanted, up, np.empty(n - 1), np.empty(n), flat, totals, np.empty(3), degree)
        out = np.full((size, FIELDS), np.nan)
        pair_statistics(flat, totals, np.arange(2 * size).reshape(size, 2), out, degree, lags, rule)
        return out[:, kernel.STATISTIC]

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(block, range(len(starts)))))


def simulate_unit_root(n: int, degree: int, lags: int, rule: int, draws: int, seed: int, threads: int | None = None) -> np.ndarray:
    """Dickey-Fuller statistics float64 (draws,) of Gaussian walks of `n` rows; the same for any number of threads, NaN as in `simulate`."""
    walks_a_block = max(min(_WORDS_A_BLOCK // n, draws), 1)
    starts = range(0, draws, walks_a_block)

    def block(number: int) -> np.ndarray:
        rng = np.random.default_rng((seed, n, degree, rule, number))
        walks = rng.standard_normal((min(walks_a_block, draws - starts[number]), n)).cumsum(axis=1)
        columns, rows, one = np.empty((degree + lags + 2, n)), np.empty((2, degree + lags + 2)), np.empty(3)
        out = np.full(len(walks), np.nan)
        for i, walk in enumerate(walks):
            if adf_columns(walk, columns, rows, one, degree, lags, rule) == 0:
                out[i] = one[0]
        return out

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(block, range(len(starts)))))


def quantiles(statistics: np.ndarray, degree: int, origin: str) -> Null:
    """The null distribution that simulated statistics show, at those LEVELS that have enough draws below them."""
    known = statistics[~np.isnan(statistics)]
    levels = LEVELS[LEVELS * known.size >= FEWEST_IN_TAIL]
    return _null(levels, np.quantile(known, levels), degree, origin)


def _null(levels: np.ndarray, values: np.ndarray, degree: int, origin: str, series: int = 2) -> Null:
    """From quantiles to scores; those beyond what scores can tell apart (samples of hardly more rows than lags) are left out."""
    scores = asymptotic_scores(values, degree, series)
    kept = scores > -_FLOOR
    return Null(levels[kept], scores[kept], origin)


@functools.cache
def _table(path: Path, series: int) -> dict[tuple[int, int], dict[int, Null]]:
    """A committed table: (degree, rule) -> rows -> null distribution."""
    found: dict[tuple[int, int], dict[int, Null]] = {}
    for row in read_table(path):
        degree, rule = TRENDS.index(row["trend"]), RULES[row["autolag"]]
        known = [(level, float(text)) for level in LEVELS if (text := row[column(level)])]
        levels, values = np.array([level for level, _ in known]), np.array([value for _, value in known])
        found.setdefault((degree, rule), {})[int(row["n"])] = _null(levels, values, degree, "finite", series)
    return found


def read_table(path: Path = TABLE) -> Iterator[dict[str, str]]:
    """Rows of the table as text: trend, autolag, n, maxlag, draws, seed, and the quantiles by `column`, empty where too few draws lie below."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def column(level: float) -> str:
    """Name of the column of a quantile."""
    return f"q{level:g}"
