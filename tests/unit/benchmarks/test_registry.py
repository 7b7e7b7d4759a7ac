"""Goals are plain comparisons with the figures of the result."""

from __future__ import annotations

import pytest

from hftkit.benchmarks.registry import Result, goal_met


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (None, None),
        ("< 50", True),
        ("< 40", False),
        ("<= 40", True),
        ("> 2e6", False),
        ("p99 < 200", True),
        ("p99 < 100", False),
        ("ratio >= 4", True),
        ("ratio >= 4.1", False),
        ("< 50 and p99 < 100", False),
        ("< 50 and p99 < 200 and ratio >= 4", True),
        ("p999 < 1", None),  # not measured: no verdict
    ],
)
def test_a_goal_is_compared_with_the_figure_it_names(goal: str | None, met: bool | None) -> None:
    assert goal_met(Result("wire_to_wire", "us", 40.0, {"p99": 150.0}, "asyncio", 160.0, 4.0, {}, goal)) is met


@pytest.mark.parametrize("goal", ["fast", "p50 = 3", "< < 3", "p50 < many"])
def test_a_goal_that_cannot_be_read_is_an_error(goal: str) -> None:
    with pytest.raises(ValueError, match=r"goal|float"):
        goal_met(Result("x", "us", 1.0, {"p50": 1.0}, goal=goal))
