"""Random numbers and elementary functions that give the same bits on every machine.

The tape of the simulator is promised byte for byte, so nothing here calls the C library's `exp` or `log` (their last bit
differs between versions and processors) nor numpy's generators. Only integers, + - * / and square root are used: IEEE 754
fixes the result of each.

Generator: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): one uint64 of
state per stream, `states[stream]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.kernels.bits import leading_zeros
from hftkit.kernels.jit import inlined_kernel, kernel

LN2 = 0.6931471805599453
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11, _S16 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11), np.uint64(16)
_MASK16 = np.uint64(0xFFFF)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2**-53


@inlined_kernel
def next_u64(states: Any, stream: int) -> Any:
    """Next 64 random bits of a stream. `states`: uint64 (n_streams,)."""
    states[stream] += _GOLDEN
    z = states[stream]
    z = (z ^ (z >> _S30)) * _MIX1
    z = (z ^ (z >> _S27)) * _MIX2
    return z ^ (z >> _S31)


@inlined_kernel
def uniform(states: Any, stream: int) -> float:
    """Uniform in [0, 1), 53 bits."""
    return np.float64(np.int64(next_u64(states, stream) >> _S11)) * _TO_UNIT


@inlined_kernel
def below(states: Any, stream: int, n: int) -> int:
    """Integer in [0, n), n small against 2**53."""
    return int(uniform(states, stream) * n)


@kernel
def normal(states: Any, stream: int) -> float:
    """Standard normal as the centred sum of twelve 16-bit uniforms (Irwin-Hall): mean 0, variance 1, |value| < 6."""
    total = np.int64(0)
    for _ in range(3):
        bits = next_u64(states, stream)
        for _ in range(4):
            total += np.int64(bits & _MASK16)
            bits = bits >> _S16
    return (np.float64(total) - 393210.0) / 65536.0  # 12 * 65535 / 2


@kernel
def natural_log(x: float) -> float:
    """Logarithm of x in (0, 1], absolute error below 1e-9: x = m * 2**-k, then the series of 2 * atanh((m - 1) / (m + 1))."""
    scaled = np.int64(x * 4611686018427387904.0)  # 2**62
    if scaled <= 0:
        return -43.0  # below 2**-62: the smallest value `uniform` steps over is 2**-53
    k = leading_zeros(scaled) - 1
    m = np.float64(scaled << k) / 4611686018427387904.0  # in [1, 2)
    t = (m - 1.0) / (m + 1.0)
    square = t * t
    series = 0.0
    for i in range(23, 0, -2):
        series = series * square + 1.0 / i
    return 2.0 * t * series - k * LN2


@kernel
def exponential_function(x: float) -> float:
    """e**x for |x| < 40, relative error below 1e-12: Taylor at x / 1024 (nine terms), then ten squarings."""
    y = x / 1024.0
    series = 1.0
    for i in range(9, 0, -1):
        series = 1.0 + y * series / i
    for _ in range(10):
        series *= series
    return series


@kernel
def waiting_time_ns(states: Any, stream: int, rate_per_s: float) -> int:
    """Time to the next arrival of a Poisson process, in ns, at least 1, at most 32 years."""
    return int(min(1e18, -natural_log(1.0 - uniform(states, stream)) / rate_per_s * 1e9)) + 1
