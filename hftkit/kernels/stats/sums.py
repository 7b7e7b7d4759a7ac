"""Sums and products in a fixed order that a processor can pipeline: eight running sums, folded at the end.

One running sum waits for each addition before the next can begin. Eight do not, and as their order is written down here (no fastmath), the
result is the same on every machine.
"""

from __future__ import annotations

from typing import Any

from hftkit.kernels.jit import kernel


@kernel
def total(a: Any) -> float:
    """Sum of float64 (n,)."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = a.size - a.size % 8
    for i in range(0, whole, 8):
        s0 += a[i]
        s1 += a[i + 1]
        s2 += a[i + 2]
        s3 += a[i + 3]
        s4 += a[i + 4]
        s5 += a[i + 5]
        s6 += a[i + 6]
        s7 += a[i + 7]
    rest = 0.0
    for i in range(whole, a.size):
        rest += a[i]
    return (((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))) + rest


@kernel
def dot(a: Any, b: Any) -> float:
    """Sum of a[i] * b[i]; float64 (n,) each, `b` at least as long as `a`."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = a.size - a.size % 8
    for i in range(0, whole, 8):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        s4 += a[i + 4] * b[i + 4]
        s5 += a[i + 5] * b[i + 5]
        s6 += a[i + 6] * b[i + 6]
        s7 += a[i + 7] * b[i + 7]
    rest = 0.0
    for i in range(whole, a.size):
        rest += a[i] * b[i]
    return (((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))) + rest
