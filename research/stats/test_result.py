"""The result of one test: what was asked, what came out, and at which levels that rejects. The base of every test's result."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pandas as pd

Detail = float | int | str | bool
Tail = Literal["lower", "upper", "both"]
LEVELS = ("1 %", "5 %", "10 %")


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """One test of hypotheses.

    Attributes
    ----------
    name : str
        Of the test and its statistic.
    null_hypothesis, alternative : str
        What is rejected, and in favour of what.
    statistic : float
    pvalue : float
        NaN where only critical values exist.
    critical_values : dict
        By level ("1 %", "5 %", "10 %"); empty where only a p-value exists.
    details : dict
        Settings and by-products, by name. Rows are rows of the series that was given, times are of its index.
    tail : str
        Where the test rejects: "lower", "upper" or "both" (then critical values are of the absolute statistic).
    """

    __test__: ClassVar[bool] = False  # pytest takes a class of this name for a group of tests

    name: str
    null_hypothesis: str
    alternative: str
    statistic: float
    pvalue: float
    critical_values: dict[str, float] = field(default_factory=dict)
    details: dict[str, Detail] = field(default_factory=dict)
    tail: Tail = "lower"

    @property
    def pvalue_finite(self) -> float:
        """p-value for this sample size; NaN where its distribution is not known (`pvalue` is asymptotic in every test)."""
        return math.nan

    @property
    def pvalue_deciding(self) -> float:
        """The p-value to decide by: `pvalue_finite` where it is known, else `pvalue`."""
        return self.pvalue if math.isnan(self.pvalue_finite) else self.pvalue_finite

    @property
    def pvalue_source(self) -> str:
        """What `pvalue_deciding` is: "finite" or "asymptotic"."""
        return "asymptotic" if math.isnan(self.pvalue_finite) else "finite"

    @property
    def rejected_at(self) -> tuple[str, ...]:
        """Levels at which the null hypothesis is rejected: by the finite p-value, else by the critical values, else by the p-value."""
        if not self.critical_values or not math.isnan(self.pvalue_finite):
            return tuple(level for level in LEVELS if self.pvalue_deciding <= float(level[:-2]) / 100.0)
        if self.tail == "lower":
            return tuple(level for level, value in self.critical_values.items() if self.statistic < value)
        reached = abs(self.statistic) if self.tail == "both" else self.statistic
        return tuple(level for level, value in self.critical_values.items() if reached > value)

    def report(self) -> str:
        """Hypotheses, statistic, levels and details as text."""
        lines = [
            f"{self.name}: {self.statistic:.4f}{self._place()}",
            f"  null hypothesis    {self.null_hypothesis}",
            f"  alternative        {self.alternative}",
            "  p-value            " + (f"{self.pvalue:.6g}   (asymptotic)" if math.isfinite(self.pvalue) else "none known, critical values only"),
        ]
        if not math.isnan(self.pvalue_finite):
            lines.append(f"  finite p-value     {self.pvalue_finite:.6g}   (this sample size and lag rule: it decides)")
        if self.critical_values:
            values = "  ".join(f"{value:.4g} ({level})" for level, value in self.critical_values.items())
            lines.append(f"  critical values    {values}")
        lines.append(f"  null rejected at   {', '.join(self.rejected_at) or 'none of these levels'}")
        if self.details:
            shown = (f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in self.details.items())
            lines.append(f"  details            {', '.join(shown)}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.report()

    def _place(self) -> str:
        """Where it happened, for tests that name a row."""
        for kind, words in (("break", ", break at row"), ("farthest", ", farthest at row")):
            if f"{kind}_row" in self.details:
                time = self.details.get(f"{kind}_time")
                return f"{words} {self.details[f'{kind}_row']}" + (f" ({time})" if time is not None else "")
        return ""


def row_and_time(series: object, row: int, name: str) -> dict[str, Detail]:
    """Details of a row of a series: its number, and its time where the series has an index of times."""
    found: dict[str, Detail] = {f"{name}_row": row}
    if isinstance(series, pd.Series) and isinstance(series.index, pd.DatetimeIndex):
        found[f"{name}_time"] = str(series.index[row])
    return found
