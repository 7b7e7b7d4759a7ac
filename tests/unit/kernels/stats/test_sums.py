"""Pipelined sums against exact fractions, at every length up to four blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hftkit.kernels.stats.sums import dot, total


@pytest.mark.parametrize("n", range(130))
def test_equals_the_exact_sum(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n), rng.normal(size=n)
    assert total(a) == pytest.approx(math.fsum(a), rel=1e-13, abs=1e-14)
    assert dot(a, b) == pytest.approx(math.fsum(a * b), rel=1e-13, abs=1e-14)
