"""Calling a strategy's hooks. A strategy is somebody's file: the engine is compiled once, and calls what it finds in a table of addresses.

The table is int64 (k, hooks): the address of the compiled function for each slot and codes.Hook, 0 where the strategy has none, so that nothing is
called in vain. Made by hftkit/strategies/hook_table.py, which knows that each address is a function of `HOOK_SIGNATURE`, compiled, and alive.
All hooks have one signature (docs/own-strategy.md):

    hook(slot, event, book, watch, held, params, state, signal) -> int

`slot`: the strategy's own row; `event` EVENT (1,); `book` BOOK (n,); `watch` int64 (k, w) instrument ids, -1 beyond those it watches; `held` LEDGER
(k, w) what each strategy holds in them; `params` float64 (p,), `state` float64 (s,): its own; `signal` SIGNAL (k,): it writes its own row.
"""

from __future__ import annotations

from typing import Any

from numba import extending, types
from numba.core import cgutils

from hftkit import layout
from hftkit.kernels.jit import array_type

intrinsic: Any = extending.intrinsic  # its decorated functions are called without the typing context

HOOK_SIGNATURE = types.int64(
    types.int64,
    array_type(layout.EVENT.dtype),
    array_type(layout.BOOK.dtype),
    types.Array(types.int64, 2, "C"),
    array_type(layout.LEDGER.dtype, 2),
    types.Array(types.float64, 1, "C"),
    types.Array(types.float64, 1, "C"),
    array_type(layout.SIGNAL.dtype),
)
HOOKS_TYPE = types.Array(types.int64, 2, "C")


@intrinsic
def call_hook(
    typing_context: Any, address: Any, slot: Any, event: Any, book: Any, watch: Any, held: Any, params: Any, state: Any, signal: Any
) -> Any:
    """Call the function at `address` (int64, of `HOOK_SIGNATURE`, numba's calling convention) with what follows. Returns what it returns."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        convention, made, wanted = context.call_conv, HOOK_SIGNATURE.return_type, HOOK_SIGNATURE.args
        function = builder.inttoptr(args[0], convention.get_function_type(made, wanted).as_pointer())
        status, result = convention.call_function(builder, function, made, wanted, args[1:])
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    return HOOK_SIGNATURE.return_type(types.int64, *HOOK_SIGNATURE.args), generate
