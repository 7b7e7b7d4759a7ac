"""Random numbers and elementary functions: against the published generator, the C library and statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hftkit.exchange.market.flow.random import exponential_function, natural_log, next_u64, normal, uniform, waiting_time_ns
from hftkit.kernels.jit import kernel


@kernel
def draw(states: Any, bits: Any, units: Any, normals: Any, waits: Any) -> None:
    for i in range(bits.size):
        bits[i] = next_u64(states, 0)
    for i in range(units.size):
        units[i] = uniform(states, 0)
        normals[i] = normal(states, 0)
        waits[i] = waiting_time_ns(states, 0, 2.0)


def sample(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    outputs = np.zeros(5, np.uint64), np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    draw(np.array([seed], np.uint64), *outputs)
    return outputs


def splitmix64(state: int) -> int:
    """The reference algorithm in Python integers."""
    z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_the_generator_is_splitmix64() -> None:
    seed = 1234567
    expected = [splitmix64((seed + (i + 1) * 0x9E3779B97F4A7C15) % 2**64) for i in range(5)]
    assert sample(seed, 1)[0].tolist() == expected
    assert expected[0] == 6457827717110365317  # the value that other implementations print for this seed


def test_moments() -> None:
    _, units, normals, waits = sample(7, 200_000)
    assert units.mean() == pytest.approx(0.5, abs=0.003)
    assert (units.min() >= 0, units.max() < 1) == (True, True)
    assert normals.mean() == pytest.approx(0.0, abs=0.01)
    assert normals.std() == pytest.approx(1.0, abs=0.01)
    assert waits.mean() == pytest.approx(0.5e9, rel=0.01)
    assert waits.std() == pytest.approx(0.5e9, rel=0.02)
    assert waits.min() >= 1


@pytest.mark.parametrize("x", [1.0, 0.9999999, 0.75, 0.5, 0.3333, 1e-3, 1e-9, 2.0**-53])
def test_logarithm(x: float) -> None:
    assert natural_log(x) == pytest.approx(math.log(x), abs=1e-9)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.3, -0.7, 2.0, -5.0, 12.5, -30.0])
def test_exponential(x: float) -> None:
    assert exponential_function(x) == pytest.approx(math.exp(x), rel=1e-12)


def test_logarithm_of_nothing_is_finite() -> None:
    assert natural_log(0.0) == -43.0
