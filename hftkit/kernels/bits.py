"""Bit scans that Python has no operator for, as one machine instruction each.

Words are int64; the sign bit is an ordinary bit. A zero word gives 64 from both.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_ZERO_IS_DEFINED = ir.Constant(ir.IntType(1), 0)


def _trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Number of zero bits below the lowest set bit of an int64 (LLVM `cttz`)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], _ZERO_IS_DEFINED)

    return types.int64(types.int64), generate


trailing_zeros: Any = intrinsic(_trailing_zeros)


def _leading_zeros(typing_context: Any, word: Any) -> Any:
    """Number of zero bits above the highest set bit of an int64 (LLVM `ctlz`)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], _ZERO_IS_DEFINED)

    return types.int64(types.int64), generate


leading_zeros: Any = intrinsic(_leading_zeros)
