"""What is known at an entry about whether the spread will come back: the features of the reversion model, one function for research and live.

| feature | meaning |
|---|---|
| size | how far out: absolute z-score |
| step_5, step_20 | how fast it came: change of z over 5 and 20 bars, in the direction of z |
| volatility | mean absolute change of z a bar, over 20 bars |
| crossings | sign changes of z over 60 bars: how often it has come back lately |

They depend on z-scores only: those at the close of the last MEMORY bars, from a ring, and the z-score of the moment, which counts as the newest.
"""

from __future__ import annotations

import math

import numpy as np

from hftkit.kernels.arrays import Float64Array
from hftkit.kernels.jit import kernel

FEATURES = ("size", "step_5", "step_20", "volatility", "crossings")
MEMORY = 60  # z-scores at closes that are held
_FAST, _SLOW = 5, 20


@kernel
def push_zscore(ring: Float64Array, head: int, count: int, z: float) -> tuple[int, int]:
    """Append the z-score of a closed bar, NaN included. Returns the new (head, count). `ring`: float64 (MEMORY,), oldest dropped."""
    ring[head] = z
    head += 1
    if head == ring.size:
        head = 0
    return head, min(count + 1, ring.size)


@kernel
def reversion_features(ring: Float64Array, head: int, count: int, z: float, out: Float64Array) -> bool:
    """Fill `out` float64 (5,), fields in the order of FEATURES. False, and NaN in all, if a z-score of the memory is missing or not finite.

    `ring`, `head`, `count`: as kept by `push_zscore`; `z`: of this moment, standard deviations.
    """
    for k in range(out.size):
        out[k] = np.nan
    if count < ring.size or not math.isfinite(z):
        return False
    sign = 1.0 if z > 0.0 else -1.0
    newer, steps, crossings = z, 0.0, 0
    fast, slow = 0.0, 0.0
    for age in range(1, ring.size + 1):
        older = ring[(head - age) % ring.size]
        if not math.isfinite(older):
            return False
        if age <= _SLOW:
            steps += abs(newer - older)
        if (older > 0.0) != (newer > 0.0):
            crossings += 1
        if age == _FAST:
            fast = sign * (z - older)
        if age == _SLOW:
            slow = sign * (z - older)
        newer = older
    out[0], out[1], out[2], out[3], out[4] = abs(z), fast, slow, steps / _SLOW, crossings
    return True


@kernel
def features_of_bars(z: Float64Array, ring: Float64Array, out: Float64Array) -> int:
    """`reversion_features` at the close of each bar. `z`: float64 (n,); `ring`: float64 (MEMORY,) scratch; `out`: float64 (n, 5). Returns the
    whole rows."""
    head, count, whole = 0, 0, 0
    for t in range(z.size):
        if reversion_features(ring, head, count, z[t], out[t]):
            whole += 1
        head, count = push_zscore(ring, head, count, z[t])
    return whole
