"""The trading rule, line by line of its table, and as properties over random walks of the z-score."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.codes import SignalReason as Why
from hftkit.kernels.market.reversion import next_target

ENTRY, EXIT, STOP, LIMIT = 2.0, 0.5, 4.0, 10


def rule(target: int, z: float, bars_held: int = 0, blocked: int = 0) -> tuple[int, int, int]:
    return next_target(target, z, bars_held, blocked, ENTRY, EXIT, STOP, LIMIT)


@pytest.mark.parametrize(
    ("target", "z", "held", "blocked", "expected"),
    [
        (0, 1.9, 0, 0, (0, 0, Why.INSIDE_BAND)),
        (0, 2.0, 0, 0, (-1, 0, Why.ENTRY)),
        (0, -2.0, 0, 0, (1, 0, Why.ENTRY)),
        (0, 4.0, 0, 0, (0, 1, Why.STOP)),
        (0, 4.5, 0, 1, (0, 1, Why.COOLDOWN)),
        (0, 3.0, 0, 1, (0, 1, Why.COOLDOWN)),
        (0, -1.99, 0, 1, (0, 0, Why.INSIDE_BAND)),
        (1, -1.0, 3, 0, (1, 0, Why.HOLD)),
        (1, -0.5, 3, 0, (0, 0, Why.EXIT)),
        (1, 3.0, 3, 0, (0, 0, Why.EXIT)),
        (1, -4.0, 3, 0, (0, 1, Why.STOP)),
        (-1, 1.0, 3, 0, (-1, 0, Why.HOLD)),
        (-1, 0.5, 3, 0, (0, 0, Why.EXIT)),
        (-1, -3.0, 3, 0, (0, 0, Why.EXIT)),
        (-1, 5.0, 3, 0, (0, 1, Why.STOP)),
        (-1, 1.0, 9, 0, (-1, 0, Why.HOLD)),
        (-1, 1.0, 10, 0, (0, 1, Why.HOLDING_LIMIT)),
        (-1, 0.1, 10, 0, (0, 0, Why.EXIT)),
        (-1, math.nan, 3, 0, (-1, 0, Why.NOT_FINITE)),
        (1, math.inf, 3, 0, (1, 0, Why.NOT_FINITE)),
        (1, math.nan, 10, 0, (0, 1, Why.HOLDING_LIMIT)),
        (0, math.nan, 0, 1, (0, 1, Why.NOT_FINITE)),
        (0, -math.inf, 0, 0, (0, 0, Why.NOT_FINITE)),
    ],
)
def test_each_line_of_the_table(target, z, held, blocked, expected):
    assert rule(target, z, held, blocked) == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-6, 6) | st.just(math.nan), min_size=1, max_size=80))
def test_properties_hold_along_any_path(path):
    target, blocked, held = 0, 0, 0
    for z in path:
        was, was_blocked = target, blocked
        held = held + 1 if target != 0 else 0
        target, blocked, reason = rule(target, z, held, blocked)
        if was == 0 and target != 0:
            held = 0
            assert was_blocked == 0
            assert ENTRY <= abs(z) < STOP
            assert target * z < 0
            assert reason == Why.ENTRY
        if was != 0:
            assert target in (was, 0)  # never turned round in one step
            assert held < LIMIT or target == 0
        if target != 0:
            assert blocked == 0
        if was_blocked and not blocked:
            assert abs(z) < ENTRY


def test_positive_and_negative_z_are_treated_alike():
    for z in np.linspace(-5, 5, 101):
        for target, blocked in ((0, 0), (0, 1), (1, 0), (-1, 0)):
            mirrored = rule(-target, -z, 3, blocked)
            assert rule(target, z, 3, blocked) == (-mirrored[0], *mirrored[1:])
