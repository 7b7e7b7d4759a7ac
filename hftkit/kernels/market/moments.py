"""Level and deviation of a spread from the last values in a ring: one arithmetic for the live engine and for research.

| kind | values held | mean | std |
|---|---|---|---|
| ROLLING | window | their mean | their sample standard deviation |
| EWMA | 3 * window | exponentially weighted, span = window | weighted, without bias |
| KALMAN | 3 * window | level of a random walk seen through noise, predicted for the next bar | of the next bar round that prediction |

Why no running sums and no running filters. A bar closes rarely (seconds), so what is held is gone through afresh at each close: O(values held), no
drift, and
the answer depends only on the values in the ring, never on how it is rotated or how long it has run. That makes a research sweep and a live
session agree
bit for bit, even when the live ring was seeded from a frozen file. Three spans hold 99.75 % of the weight of an endless exponential average.

Arithmetic: in time order (oldest value first), shifted by the oldest value. ROLLING: two passes with the correction term of Chan, Golub and
LeVeque (1983,
"Algorithms for computing the sample variance"), eq. 1.7. EWMA: sums by Horner's rule; the unbiased variance divides by 1 - sum of squared weights.
KALMAN: local
level model, M. West and J. Harrison, Bayesian Forecasting and Dynamic Models (1997), 2.2 and 4.5: the noise is learnt from the one-step errors,
the ratio of
drift to noise is such that the gain settles at 2 / (window + 1), that of the average with span `window`. A constant ring has the std 0.0 exactly.
"""

from __future__ import annotations

import math

import numpy as np

from hftkit.kernels.arrays import Float64Array
from hftkit.kernels.jit import kernel

ROLLING, EWMA, KALMAN = range(3)
KINDS = ("rolling", "ewma", "kalman")
SPANS_HELD = 3  # windows that EWMA and KALMAN look back


@kernel
def push(ring: Float64Array, head: int, count: int, value: float) -> tuple[int, int]:
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
def mean_std(ring: Float64Array, head: int, count: int) -> tuple[float, float]:
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
def ewma_mean_std(ring: Float64Array, head: int, count: int, window: int) -> tuple[float, float]:
    """Exponentially weighted mean and standard deviation of the values held; weight (1 - 2 / (window + 1)) ** age, age in bars.

    `ring`, `head`, `count` as kept by `push`. NaN as for `mean_std`. Equals pandas' ewm(span=window) over the values held.
    """
    if count == 0:
        return np.nan, np.nan
    decay = 1.0 - 2.0 / (window + 1.0)
    oldest = head - count
    if oldest < 0:
        oldest += ring.size
    shift = ring[oldest]
    total, weight, weights_squared = 0.0, 0.0, 0.0
    j = oldest
    for _ in range(count):
        total = total * decay + (ring[j] - shift)
        weight = weight * decay + 1.0
        weights_squared = weights_squared * decay * decay + 1.0
        j += 1
        if j == ring.size:
            j = 0
    mean = shift + total / weight
    if count < 2:
        return mean, np.nan
    squares, rest = 0.0, 0.0
    j = oldest
    for _ in range(count):
        deviation = ring[j] - mean
        squares = squares * decay + deviation * deviation
        rest = rest * decay + deviation
        j += 1
        if j == ring.size:
            j = 0
    variance = (squares - rest * rest / weight) / (weight - weights_squared / weight)
    return mean, math.sqrt(max(variance, 0.0))


@kernel
def local_level(ring: Float64Array, head: int, count: int, window: int) -> tuple[float, float]:
    """Predicted level of the next bar and the standard deviation round it, by the Kalman filter of the local level model over the values held.

    `ring`, `head`, `count` as kept by `push`; `window` (bars) sets the gain 2 / (window + 1) at which the filter settles. The filter starts at the
    oldest value,
    known with the variance of one observation. NaN as for `mean_std`.
    """
    if count == 0:
        return np.nan, np.nan
    gain = 2.0 / (window + 1.0)
    drift = gain * gain / (1.0 - gain)  # variance of the level's step, in units of the observation's
    j = head - count
    if j < 0:
        j += ring.size
    level, certainty, squares = ring[j], 1.0, 0.0
    for _ in range(1, count):
        j += 1
        if j == ring.size:
            j = 0
        prior = certainty + drift
        error = ring[j] - level
        squares += error * error / (prior + 1.0)
        certainty = prior / (prior + 1.0)
        level += certainty * error
    if count < 2:
        return level, np.nan
    return level, math.sqrt(squares / (count - 1) * (certainty + drift + 1.0))


@kernel
def held(kind: int, window: int) -> int:
    """Values that a ring of this kind (ROLLING, EWMA, KALMAN) and `window` (bars) holds."""
    return window if kind == ROLLING else SPANS_HELD * window


@kernel
def moments(kind: int, window: int, ring: Float64Array, head: int, count: int) -> tuple[float, float]:
    """Mean and standard deviation of one kind from `ring` float64 (held(kind, window),), in the values' own unit."""
    if kind == EWMA:
        return ewma_mean_std(ring, head, count, window)
    if kind == KALMAN:
        return local_level(ring, head, count, window)
    return mean_std(ring, head, count)


@kernel
def trailing_moments(values: Float64Array, ring: Float64Array, mean: Float64Array, std: Float64Array, kind: int, window: int) -> int:
    """For each bar, mean and std from the values *before* it: what a decision at that bar may know.

    `values`: float64 (n,), one a bar; `ring`: float64 (held(kind, window),) scratch; outputs `mean`, `std`: float64 (n,), NaN until the ring
    is full. Returns the number of bars with a full ring.
    """
    head = 0
    count = 0
    ready = 0
    for t in range(values.size):
        mean[t] = np.nan
        std[t] = np.nan
        if count == ring.size:
            mean[t], std[t] = moments(kind, window, ring, head, count)
            ready += 1
        head, count = push(ring, head, count, values[t])
    return ready
