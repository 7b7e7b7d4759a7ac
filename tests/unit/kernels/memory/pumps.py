"""Compiled ends of a ring, for the test with two threads."""

from __future__ import annotations

from typing import Any

from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.ring import ring_pop, ring_push


@kernel
def produce(ring: Any, message: Any, n: int) -> None:
    """Push the numbers 0..n-1, waiting when full."""
    i = 0
    while i < n:
        message[0] = i
        message[7] = -i
        i += ring_push(ring, message, 0)


@kernel
def consume(ring: Any, message: Any, n: int) -> int:
    """Pop n messages; how many were wrong."""
    i, wrong = 0, 0
    while i < n:
        if ring_pop(ring, message, 0):
            wrong += 1 if message[0] != i or message[7] != -i else 0
            i += 1
    return wrong
