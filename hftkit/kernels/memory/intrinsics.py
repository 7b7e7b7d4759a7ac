"""Machine operations that numba does not offer: atomic load, store and exchange on int64 arrays, block copy, count of leading zeros.

The ring, the telemetry page and the control page are shared between threads and processes; their indices are read with
acquire and written with release order (the C11 memory model), so that data written before an index is seen by whoever sees the index.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic  # its decorated functions are called without the typing context


def _element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    struct = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, struct, [index])


@intrinsic
def load_acquire(typing_context: Any, array: Any, index: Any) -> Any:
    """`array[index]` (int64, 1-d) read with acquire order. No bounds check."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(pointer, ordering="acquire", align=8)

    return types.int64(array, types.int64), generate


@intrinsic
def store_release(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """`array[index] = value` (int64, 1-d) written with release order. No bounds check."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], pointer, ordering="release", align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@intrinsic
def fence_release(typing_context: Any) -> Any:
    """No write after this one is seen before a write that precedes it: what a store_release alone does not promise. Free on x86."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("release")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def leading_zeros(typing_context: Any, value: Any) -> Any:
    """Leading zero bits of an int64; 64 for 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


@intrinsic
def copy_words(typing_context: Any, target: Any, target_start: Any, source: Any, source_start: Any, count: Any) -> Any:
    """memcpy of `count` words between int64 arrays that do not overlap. No bounds check: the caller has made sure."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        origin = _element_pointer(context, builder, signature.args[2], args[2], args[3])
        cgutils.raw_memcpy(builder, to, origin, args[4], ir.Constant(ir.IntType(64), 8))
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, types.int64), generate


@intrinsic
def copy_bytes(typing_context: Any, target: Any, target_start: Any, source: Any, source_start: Any, count: Any) -> Any:
    """memcpy of `count` bytes between uint8 arrays that do not overlap. No bounds check: the caller has made sure."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        origin = _element_pointer(context, builder, signature.args[2], args[2], args[3])
        cgutils.raw_memcpy(builder, to, origin, args[4], ir.Constant(ir.IntType(64), 1))
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, types.int64), generate


@intrinsic
def load_8(typing_context: Any, array: Any, index: Any) -> Any:
    """The eight bytes of a uint8 array from `index` as one little-endian int64. No bounds check: the caller has made sure."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()), align=1)

    return types.int64(array, types.int64), generate


@intrinsic
def compare_exchange(typing_context: Any, array: Any, index: Any, expected: Any, value: Any) -> Any:
    """`array[index] = value` (int64, 1-d) if it is `expected`, in one indivisible operation. True if it was. No bounds check."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        outcome = builder.cmpxchg(pointer, args[2], args[3], ordering="acq_rel", failordering="acquire")
        return builder.extract_value(outcome, 1)

    return types.boolean(array, types.int64, types.int64, types.int64), generate
