"""Ranges of whole numbers that reach a kernel: what is outside would not fit 63 bits once it is scaled, or would ask for memory without end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hftkit.units import E8, INT64_MAX

MOST_MONEY = INT64_MAX // E8 // 2  # whole quote units: twice that many, in 1e-8 units, still fit into 63 bits
MOST_LOTS = 2**53  # exact as a float, too
Range = tuple[int, int]


def check_range(name: str, value: Any, allowed: Range) -> None:
    """Raise ValueError, in words, unless `value` is a whole number within `allowed`, both ends included."""
    low, high = allowed
    try:
        whole = int(value) == value and not isinstance(value, bool | str)
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise ValueError(f"{name} is {value!r}: must be a whole number")
    if value < 0 <= low:
        raise ValueError(f"{name} is {shown(value)}: must not be negative")
    if not low <= value <= high:
        raise ValueError(f"{name} is {shown(value)}: allowed are {low} to {high}")


def check_ranges(struct: Any, ranges: Mapping[str, Range]) -> None:
    """`check_range` for each attribute named."""
    for name, allowed in ranges.items():
        check_range(name, getattr(struct, name), allowed)


def shown(value: Any) -> str:
    """A number for a message: one of thousands of digits would be no line, and Python refuses to print it."""
    if isinstance(value, int) and abs(value) > 10**30:
        return "a number of more than 30 digits"
    return str(value)
