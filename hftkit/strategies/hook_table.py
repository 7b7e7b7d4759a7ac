"""The table of addresses through which the engine calls strategies (kernels/hooks.py): made of compiled kernels only, which it keeps alive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numba import types
from numba.core.dispatcher import Dispatcher

from hftkit.codes import Hook
from hftkit.kernels.hooks import HOOK_SIGNATURE

_alive: dict[int, Any] = {}  # by address: machine code is freed with the kernel that it belongs to


def hook_table(strategies: Iterable[Mapping[Hook, Any]]) -> np.ndarray:
    """Addresses int64 (k, hooks) of the hooks of each strategy, 0 where it has none. Compiles what is not compiled yet."""
    rows = [[address_of(hooks[hook]) if hook in hooks else 0 for hook in Hook] for hooks in strategies]
    return np.array(rows, np.int64)


def address_of(kernel: Dispatcher) -> int:
    """Where the machine code of a kernel of `HOOK_SIGNATURE` lies. Raises what numba raises where it does not compile."""
    kernel.compile(HOOK_SIGNATURE.args)
    made: Any = kernel.overloads[HOOK_SIGNATURE.args]
    if types.unliteral(made.signature.return_type) != HOOK_SIGNATURE.return_type:  # a constant is a literal type, and an int64 all the same
        raise TypeError(f"{kernel.py_func.__qualname__} returns {made.signature.return_type}, a hook returns an int64")
    address = int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))
    _alive[address] = kernel
    return address
