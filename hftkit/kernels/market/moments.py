"""Mean and standard deviation of the last `window` values, from a ring: one arithmetic for the live engine and for research.

Why no running sums. A bar closes rarely (seconds), so the window is summed afresh at each close: O(window), no drift, and
the answer depends only on the values in the window, never on how the ring is rotated or how long it has run. That makes a
research sweep and a live session agree bit for bit, even when the live ring was seeded from a frozen file.

Arithmetic: two passes in time order (oldest value first), shifted by the oldest value, with the correction term of Chan,
Golub and LeVeque (1983, "Algorithms for computing the sample variance"), eq. 1.7. A constant window has the std 0.0 exactly.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hftkit.kernels.jit import kernel


@kernel
def push(ring: Any, head: int, count: int, value: float) -> tuple[int, int]:
    """Append one value, dropping the oldest when full. Returns the new (head, count).

    `ring`: float64 (window,); `head`: index that is written next, starts at 0; `count`: values held, starts at 0. A value that is
    not finite is not pushed: the window then holds the last `window` finite values.
    """
    if not math.isfinite(value):
        return head, count
    ring[head] = value
    head += 1
    if head == ring.size:
        head = 0
    if count < ring.size:
        count += 1
    return head, count


@kernel
def mean_std(ring: Any, head: int, count: int) -> tuple[float, float]:
    """Mean and sample standard deviation (ddof = 1) of the values held, in the values' own unit.

    `ring`, `head`, `count` as kept by `push`. The mean is NaN with no value, the std is NaN with fewer than two, 0.0 without variance.
    """
    if count == 0:
        return np.nan, np.nan
    oldest = head - count
    if oldest < 0:
        oldest += ring.size
    shift = ring[oldest]
    total = 0.0
    j = oldest
    for _ in range(count):
        total += ring[j] - shift
        j += 1
        if j == ring.size:
            j = 0
    mean = shift + total / count
    if count < 2:
        return mean, np.nan
    squares = 0.0
    rest = 0.0
    j = oldest
    for _ in range(count):
        deviation = ring[j] - mean
        squares += deviation * deviation
        rest += deviation
        j += 1
        if j == ring.size:
            j = 0
    variance = (squares - rest * rest / count) / (count - 1)
    return mean, math.sqrt(max(variance, 0.0))


@kernel
def trailing_moments(values: Any, ring: Any, mean: Any, std: Any) -> int:
    """For each bar, mean and std of the `window` values *before* it: what a decision at that bar may know.

    `values`: float64 (n,), one a bar; `ring`: float64 (window,) scratch; outputs `mean`, `std`: float64 (n,), NaN until the window is
    full. Returns the number of bars with a full window.
    """
    head = 0
    count = 0
    ready = 0
    for t in range(values.size):
        mean[t] = np.nan
        std[t] = np.nan
        if count == ring.size:
            mean[t], std[t] = mean_std(ring, head, count)
            ready += 1
        head, count = push(ring, head, count, values[t])
    return ready
