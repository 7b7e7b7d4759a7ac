"""The p-values that a scan decides by: of the finite sample, or of a wild bootstrap where the sample is not what the first presumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hftkit.kernels.stats import engle_granger as kernel
from research.stats.discovery.innovations import diagnose, shocks_of
from research.stats.discovery.null_distribution import null_distribution
from research.stats.discovery.wild_bootstrap import DRAWS, wild_bootstrap

Source = Literal["auto", "finite", "bootstrap", "asymptotic"]
SOURCES = ("auto", "finite", "bootstrap", "asymptotic")
WHY = ("", "asked for", "changes that depend on those before", "changing volatility")  # a wild bootstrap; the later reason is the one told
_ASKED, _COLOURED, _CHANGING = 1, 2, 3


@dataclass(frozen=True)
class Rule:
    """How a scan tests: `degree` 0 .. 3 of the trend, largest `lags`, a LAG_* code, whether `lags` is the default; where p-values come from."""

    degree: int
    lags: int
    code: int
    default_lags: bool
    source: Source
    draws: int | None
    seed: int
    threads: int | None


@dataclass(frozen=True)
class Decided:
    """Per pair: `p_values` float64 (m,), NaN where there was no test; `methods` object (m,), text; `draws` float64 (m,), NaN without a bootstrap."""

    p_values: np.ndarray
    methods: np.ndarray
    draws: np.ndarray


def decide(values: np.ndarray, pairs: np.ndarray, results: np.ndarray, rule: Rule) -> Decided:
    """p-values of the rows of `results` float64 (m, FIELDS), whose ordered `pairs` int64 (m, 2) are rows of `values` float64 (symbols, n)."""
    asymptotic = results[:, kernel.P_VALUE]
    tested = ~np.isnan(asymptotic)
    methods, drawn = np.full(len(pairs), "", object), np.full(len(pairs), np.nan)
    if rule.source == "asymptotic":
        methods[tested] = "asymptotic"
        return Decided(asymptotic, methods, drawn)
    panel = [shocks_of(series, rule.lags) for series in values] if rule.source != "finite" else []
    why = np.zeros(len(pairs), np.int8)
    if rule.source == "bootstrap":
        why[:] = _ASKED
    elif rule.source == "auto" and tested.any():
        used = np.unique(pairs[tested])
        found = diagnose([panel[i] for i in used])
        changing, coloured = np.zeros(len(values), bool), np.zeros(len(values), bool)
        changing[used], coloured[used] = found.changing, found.coloured
        why[coloured[pairs].any(axis=1)] = _COLOURED
        why[changing[pairs].any(axis=1) | found.together] = _CHANGING
    again = tested & (why > 0)
    plain = tested & ~again
    p_values = np.full(len(pairs), np.nan)
    if plain.any():
        null = null_distribution(values.shape[1], rule.degree, rule.lags, rule.code, rule.default_lags)
        p_values[plain], methods[plain] = null.p_values(asymptotic[plain]), null.origin
    if again.any():
        most = rule.draws or DRAWS
        statistics, how = results[again, kernel.STATISTIC], (rule.degree, rule.lags, rule.code)
        boot = wild_bootstrap(panel, pairs[again], statistics, how, most, rule.seed, rule.threads)
        p_values[again], drawn[again] = boot.p_values, boot.draws
        for reason in np.unique(why[again]):
            methods[again & (why == reason)] = f"wild bootstrap ({WHY[reason]}), up to {most:,} draws, seed {rule.seed}"
    return Decided(p_values, methods, drawn)
