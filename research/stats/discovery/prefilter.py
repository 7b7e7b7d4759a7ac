"""What is not worth testing: symbols too illiquid to trade, pairs whose changes hardly move together. Fewer tests, a lower price for each.

A filter may be used before a test only if it says nothing about the outcome where the null hypothesis holds. Turnover and the correlation of the
*changes* qualify: the null distribution of the Engle-Granger statistic does not depend on how the innovations are correlated (Phillips and
Ouliaris 1990), so the q-values over what is left keep their meaning (Bourgon, Gentleman and Huber 2010, PNAS 107.21). A filter on the
correlation of the *levels* would not. What was left out stays in the scan, with its reason, and is counted in the frozen file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hftkit.errors import DataError


@dataclass(frozen=True)
class Prefilter:
    """Limits; the defaults filter nothing. `min_turnover`: quote volume a day; `max_zero_volume`: share of bars without volume; `min_correlation`: of
    the changes of (log) prices, absolute value.
    """

    min_turnover: float = 0.0
    max_zero_volume: float = 1.0
    min_correlation: float = 0.0

    def __post_init__(self) -> None:
        if not (self.min_turnover >= 0 and 0 <= self.max_zero_volume <= 1 and 0 <= self.min_correlation < 1):
            raise DataError(f"{self} filters everything or nothing", "Turnover from 0, shares from 0 to 1, correlation from 0 to below 1")


def illiquid(quality: pd.DataFrame, limits: Prefilter) -> dict[str, str]:
    """Symbol -> why it is too illiquid, from the quality table of a panel (`Panel.quality`: rows, zero_volume, turnover_day).

    A symbol without volume data fails a turnover limit above zero: unknown is not liquid.
    """
    reasons: dict[str, str] = {}
    for symbol, row in quality.iterrows():
        share = float(row["zero_volume"]) / max(float(row["rows"]), 1.0)
        turnover = float(row["turnover_day"])
        if limits.min_turnover > 0 and not turnover >= limits.min_turnover:
            reasons[str(symbol)] = "no volume data" if np.isnan(turnover) else f"turnover {turnover:.3g} a day, below {limits.min_turnover:g}"
        elif share > limits.max_zero_volume:
            reasons[str(symbol)] = f"{share:.1%} of its bars without volume, above {limits.max_zero_volume:.1%}"
    return reasons


def tests_made(scan: pd.DataFrame) -> dict[str, int]:
    """How hard was looked: ordered pairs there are, those tested (a p-value exists), and those not, by verdict.

    What cannot be tested (collinear, constant, too short) is no test: neither counted here nor in any q-value.
    """
    tested = scan["pvalue"].notna()
    others = scan.loc[~tested, "verdict"].str.split(":").str[0].value_counts()
    return {"ordered_pairs": len(scan), "tested": int(tested.sum()), **{str(verdict): int(count) for verdict, count in others.items()}}


def pairs_in_words(scan: pd.DataFrame) -> str:
    """The same for people: "132 ordered pairs, 110 tested (not tested: 22 collinear)"."""
    made = tests_made(scan)
    skipped = ", ".join(f"{count} {verdict}" for verdict, count in made.items() if verdict not in ("ordered_pairs", "tested"))
    return f"{made['ordered_pairs']} ordered pairs, {made['tested']} tested" + (f" (not tested: {skipped})" if skipped else "")


def methods_used(scan: pd.DataFrame) -> dict[str, int]:
    """Where the p-values of a scan come from, and how many of each: finite sample, wild bootstrap and why, asymptotic."""
    used = scan.loc[scan["pvalue"].notna(), "method"].value_counts()
    return {str(method): int(count) for method, count in used.items()}
