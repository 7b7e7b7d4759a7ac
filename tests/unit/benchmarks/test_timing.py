"""Helpers of the benchmarks: percentiles that occurred, contestants that take turns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit.benchmarks.timing import Rounds, alternate, call_ns, elapsed_ns, percentiles


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300))
def test_a_percentile_is_the_smallest_sample_that_covers_its_share(samples: list[int]) -> None:
    found = percentiles(samples)
    for name, share in (("p50", 500), ("p95", 950), ("p99", 990), ("p999", 999)):
        covering = [x for x in sorted(samples) if 1000 * sum(y <= x for y in samples) >= share * len(samples)]
        assert found[name] == covering[0]
    assert found["max"] == max(samples)


def test_percentiles_are_scaled() -> None:
    assert percentiles(np.array([1000.0, 3000.0]), 1e-3) == {"p50": 1.0, "p95": 3.0, "p99": 3.0, "p999": 3.0, "max": 3.0}


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")], [float("inf")]])
def test_percentiles_of_nothing_are_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="finite samples"):
        percentiles(samples)


def test_contestants_take_turns_and_the_start_moves() -> None:
    order: list[str] = []
    rounds = alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3, warm_up=1)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"
    assert {name: len(times.ns) for name, times in rounds.items()} == {"a": 3, "b": 3}


def test_rounds_quote_the_median_and_their_spread() -> None:
    rounds = Rounds((100, 300, 200))
    assert rounds.median_ns == 200
    assert rounds.spread == 1.0


def test_time_is_counted_per_call() -> None:
    calls: list[int] = []
    assert call_ns(lambda: calls.append(1), 5).shape == (5,)
    assert len(calls) == 5
    assert elapsed_ns(lambda: None) >= 0
