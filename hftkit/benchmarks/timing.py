"""Helpers to measure honestly: percentiles, alternating runs, medians. All times in ns, monotonic.

Two things are compared by taking turns in one run: a machine that slows down then slows both. The median of several rounds is
quoted, because an interruption can only make a round longer, and the spread of rounds is kept beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hftkit.clock import monotonic_ns

PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


def percentiles(samples: Sequence[float] | np.ndarray, scale: float = 1.0) -> dict[str, float]:
    """p50, p95, p99, p999 and max of the samples times `scale`. A percentile is a sample that occurred, never between two.

    Raises ValueError if there is no sample or one is not finite.
    """
    values = np.asarray(samples, np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"percentiles need finite samples, have {values.size} samples, {int((~np.isfinite(values)).sum())} not finite")
    found = {name: float(np.percentile(values, q, method="inverted_cdf")) * scale for name, q in PERCENTILES.items()}
    return {**found, "max": float(values.max()) * scale}


def elapsed_ns(function: Callable[[], object]) -> int:
    """Wall time of one call."""
    start = monotonic_ns()
    function()
    return monotonic_ns() - start


def call_ns(function: Callable[[], object], calls: int) -> np.ndarray:
    """Wall time of each of `calls` calls: float64 (calls,). Includes one reading of the clock (some 0.1 us): not for what is faster."""
    samples = np.empty(calls, np.float64)
    for i in range(calls):
        start = monotonic_ns()
        function()
        samples[i] = monotonic_ns() - start
    return samples


@dataclass(frozen=True)
class Rounds:
    """Wall times of the rounds of one contestant, ns."""

    ns: tuple[int, ...]

    @property
    def median_ns(self) -> float:
        """Median round."""
        return statistics.median(self.ns)

    @property
    def spread(self) -> float:
        """(slowest - fastest) / median: how far the figure can be trusted."""
        return (max(self.ns) - min(self.ns)) / self.median_ns


def alternate(contestants: dict[str, Callable[[], object]], rounds: int = 5, warm_up: int = 1) -> dict[str, Rounds]:
    """Run the contestants in turns, `rounds` times each after `warm_up` unmeasured turns; who starts changes every turn."""
    names = list(contestants)
    for _ in range(warm_up):
        for name in names:
            contestants[name]()
    times: dict[str, list[int]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(elapsed_ns(contestants[name]))
    return {name: Rounds(tuple(values)) for name, values in times.items()}
