"""What a benchmark is: a name, a function that measures, and results that always stand beside a reference.

A room of benchmarks is a module with a list `BENCHMARKS`, registered in pyproject.toml under the entry point group
`hftkit.benchmarks`. `run` checks its answers before it times anything and raises `WrongAnswer` if they are wrong: a
fast wrong number is worth nothing, so `hftkit bench` then exits non-zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hftkit.errors import HftkitError


class WrongAnswer(HftkitError):
    """The thing to be timed gave a wrong answer: nothing was timed."""


class NotHere(HftkitError):
    """The benchmark cannot run on this machine (no compiler, no extra): skipped with its reason."""


@dataclass(frozen=True)
class Result:
    """One measured figure.

    `value` in `unit`; `percentiles` in the same unit, keyed "p50", "p99" ... "max"; `reference` names what it is held
    against and `reference_value` is that figure from the same run, in the same unit; `ratio` is how many times better
    than the reference (above 1 is better) unless `config` says otherwise; `goal` is a plain comparison such as
    "< 50", "> 2e6" or "ratio >= 100" (see `goal_met`).
    """

    name: str
    unit: str
    value: float
    percentiles: dict[str, float] = field(default_factory=dict)
    reference: str = ""
    reference_value: float | None = None
    ratio: float | None = None
    config: dict[str, Any] = field(default_factory=dict)
    goal: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """A named measurement. `run()` returns its results, answers already checked."""

    name: str
    run: Callable[[], list[Result]]


_FIGURE = re.compile(r"value|ratio|max|p\d+")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}


def goal_met(result: Result) -> bool | None:
    """Whether the goal holds; None if there is no goal or the figure it speaks of is missing.

    A goal is `[FIGURE] COMPARISON NUMBER`; the figure is `value` (default), `ratio` or a percentile such as `p99`.
    Several goals are joined by " and ". Raises ValueError for a goal that cannot be read.
    """
    if result.goal is None:
        return None
    verdicts: list[bool] = []
    for part in result.goal.split(" and "):
        words = part.split()
        if len(words) == 2:
            words = ["value", *words]
        if len(words) != 3 or words[1] not in _COMPARE or not _FIGURE.fullmatch(words[0]):
            raise ValueError(f"goal {result.goal!r} of {result.name} is not like '< 50', 'p99 < 200' or 'ratio >= 100'")
        figures = {"value": result.value, "ratio": result.ratio, **result.percentiles}
        figure = figures.get(words[0])
        if figure is None:
            return None
        verdicts.append(_COMPARE[words[1]](figure, float(words[2])))
    return all(verdicts)
