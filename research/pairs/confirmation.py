"""Is the pair still cointegrated where nothing was chosen? The spread that will trade, tested on the spans after train.

The pair was picked because its train span looked cointegrated; the picking flatters that span, not the
later ones. Two tests a span:

* of the *frozen spread*, lead minus the train span's hedge ratio times hedge, of logs or of levels. Its coefficient is
  known, not estimated on the span, so an ordinary Dickey-Fuller test applies (null hypothesis: a unit root).
  This is the one that decides: a relation with another hedge ratio is of no use to the frozen file.
* of a relation *estimated anew* on that span alone (Engle-Granger; null hypothesis: no cointegration).

Both decide by the p-value for the rows of the span, where it is known (from 28 and from 4 rows on); else by the
asymptotic one, which says "asymptotic". Of 10,000 walks of 60, 100 and 250 rows the asymptotic test of a unit
root at 5 % rejects 8.4, 6.6 and 5.2 %, the finite one 5.1, 4.7 and 4.7 % (at 10 %: 13.7, 12.3, 10.4 against
10.2, 10.3, 9.6).

A span of a few half-lives has little power: a true pair fails there too. So validation and test are also
taken together, from the first bar of the one to the last of the other, and a pair counts as dead only if
none of the three rejects.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.pairs.walkforward import Split
from research.stats.cointegration import engle_granger
from research.stats.unit_root import dickey_fuller

LEVEL = 0.10
SPANS = ("validation", "test", "together")


@dataclass(frozen=True)
class SpanTest:
    """One span. `pvalue` (of a unit root in the frozen spread) and `lag`; `pvalue_anew`, `hedge_ratio_anew`: estimated on this span alone;
    `half_lives`: how many of the train span's half-lives it lasts. NaN where a span is too short to be tested.

    `p_values`: what `pvalue` is, "finite" or "asymptotic" (no distribution for so few rows); the asymptotic ones beside both.
    """

    span: str
    bars: int
    half_lives: float
    pvalue: float
    lag: int
    pvalue_anew: float
    hedge_ratio_anew: float
    p_values: str = "asymptotic"
    pvalue_asymptotic: float = math.nan
    pvalue_anew_asymptotic: float = math.nan

    @property
    def holds(self) -> bool:
        """Whether a unit root of the frozen spread is rejected here."""
        return self.pvalue <= LEVEL

    def in_words(self) -> str:
        """One line for people."""
        if math.isnan(self.pvalue):
            return f"{self.span}: too short to be tested ({self.bars} bars)"
        verdict = "reverts" if self.holds else "not confirmed"
        anew = f"estimated anew: hedge ratio {self.hedge_ratio_anew:.4g}, p {self.pvalue_anew:.3g}"
        p = f"{self.p_values} p {self.pvalue:.3g}"
        return f"{self.span}: {p} of a unit root in the frozen spread, {verdict} ({self.half_lives:.0f} half-lives; {anew})"


@dataclass(frozen=True)
class Confirmation:
    """The three spans, in the order of SPANS."""

    spans: tuple[SpanTest, ...]

    def __iter__(self) -> Iterator[SpanTest]:
        return iter(self.spans)

    @property
    def dead(self) -> bool:
        """Whether the frozen spread reverts in none of them, as far as can be told."""
        return not any(one.holds for one in self.spans)

    def as_plain(self) -> dict[str, Any]:
        """For the frozen file."""
        rows = {one.span: {key: value for key, value in asdict(one).items() if key != "span"} for one in self.spans}
        return {"null_hypothesis": "a unit root in the frozen spread", "level": LEVEL, **rows}

    def table(self) -> pd.DataFrame:
        """One row a span."""
        return pd.DataFrame([asdict(one) for one in self.spans]).set_index("span")


def confirm(lead: np.ndarray, hedge: np.ndarray, hedge_ratio: float, split: Split, half_life: float) -> Confirmation:
    """Test the spread with this hedge ratio on validation, test and both together.

    `lead`, `hedge` float64 (n,): log prices, or prices, of the whole panel; `hedge_ratio`, `half_life` (bars): of the train span.
    """
    parts = {"validation": split.validation, "test": split.test, "together": slice(split.validation.start, split.test.stop)}
    return Confirmation(tuple(_tested(name, lead[part], hedge[part], hedge_ratio, half_life) for name, part in parts.items()))


def _tested(span: str, lead: np.ndarray, hedge: np.ndarray, hedge_ratio: float, half_life: float) -> SpanTest:
    lives = lead.size / half_life if half_life > 0 else math.nan
    tested = SpanTest(span, int(lead.size), lives, math.nan, 0, math.nan, math.nan)
    try:
        root = dickey_fuller(lead - hedge_ratio * hedge)
        tested = replace(tested, pvalue=root.pvalue_deciding, lag=root.lag, p_values=root.pvalue_source, pvalue_asymptotic=root.pvalue)
        anew = engle_granger(lead, hedge)
        return replace(tested, pvalue_anew=anew.pvalue_deciding, hedge_ratio_anew=float(anew.hedge_ratio), pvalue_anew_asymptotic=float(anew.pvalue))
    except DataError:
        return tested  # too short, or a price that stands still: no verdict is no confirmation
