"""Sums and products in a fixed order that a processor can work on side by side: blocks of 32 running sums (vector.py), then the rest one by one.

One running sum waits for each addition before the next can begin. As the order is written down (no fastmath), the result is the same on every
machine.
"""

from __future__ import annotations

from hftkit.kernels.arrays import Float64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.stats.vector import BLOCK, dot_of_blocks, sum_of_blocks


@kernel
def total(a: Float64Array) -> float:
    """Sum of float64 (n,)."""
    blocks = a.size // BLOCK
    rest = 0.0
    for i in range(blocks * BLOCK, a.size):
        rest += a[i]
    return sum_of_blocks(a, blocks) + rest


@kernel
def dot(a: Float64Array, b: Float64Array) -> float:
    """Sum of a[i] * b[i]; float64 (n,) each, `b` at least as long as `a`."""
    blocks = a.size // BLOCK
    rest = 0.0
    for i in range(blocks * BLOCK, a.size):
        rest += a[i] * b[i]
    return dot_of_blocks(a, b, blocks) + rest
