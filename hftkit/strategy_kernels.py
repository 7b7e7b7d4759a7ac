"""Strategies are compiled, or loaded from the cache, before anything else is: what is wrong with one is said in a line, with its file and line.

A strategy is somebody's file. Compiled within the engine's thread it would fail with a traceback of numba, minutes later, or never start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from numba.core import types
from numba.core.errors import NumbaError

from hftkit.errors import ParamsError
from hftkit.kernels.step import STRATEGY_SIGNATURE
from hftkit.strategies import Strategy, strategy

_PLACE = re.compile(r'File "([^"\n]+)", line (\d+)')
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_GENERIC = re.compile(r"^(Failed in nopython mode pipeline|During:|Compilation is falling back|Cannot resolve|This error may have been caused)")
_CURE = "Mend it there: a kernel takes arrays and numbers and returns an integer (hftkit/strategies/README.md)"


def compile_strategies(names: Iterable[str]) -> None:
    """Compile the kernel of each of these strategies for the engine's signature. Raises ParamsError: which, file, line, what is wrong."""
    for name in dict.fromkeys(names):
        _compile(strategy(name))


def _compile(found: Strategy) -> None:
    try:
        kernel = found.kernel()
    except AttributeError:
        raise ParamsError(f"strategy {found.name}: {found.module} has no kernel on_book", "Name it so; see hftkit/strategies/README.md") from None
    except ImportError as error:
        raise ParamsError(
            f"strategy {found.name}: {found.module} cannot be imported ({error})", "Mend its imports, or install what it needs"
        ) from None
    except SyntaxError as error:
        raise ParamsError(f"strategy {found.name}: {error.filename}:{error.lineno}: {error.msg}", "Mend it there") from None
    if not hasattr(kernel, "compile") or not hasattr(kernel, "py_func"):
        raise ParamsError(f"strategy {found.name}: on_book of {found.module} is not a kernel", "Decorate it with hftkit.kernels.jit.kernel")
    try:
        kernel.compile(STRATEGY_SIGNATURE.args)
    except NumbaError as error:
        place, what = _read(error, kernel)
        raise ParamsError(f"strategy {found.name} does not compile: {place}: {what}", _CURE) from None
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:  # what numba's own passes let through
        code = kernel.py_func.__code__
        raise ParamsError(f"strategy {found.name} does not compile: {code.co_filename}:{code.co_firstlineno}: {error}", _CURE) from None
    made = kernel.overloads[STRATEGY_SIGNATURE.args].signature.return_type
    if not isinstance(made, types.Integer | types.Boolean):
        code = kernel.py_func.__code__
        where = f"{code.co_filename}:{code.co_firstlineno}"
        raise ParamsError(f"strategy {found.name}: {where}: on_book returns {made}, not an integer", "Return the SignalReason as a number")


def _read(error: NumbaError, kernel: Any) -> tuple[str, str]:
    """`file:line` and what is wrong there, from numba's many words: its innermost place, and its first sentence that says something."""
    text = _COLOUR.sub("", str(error))
    code = kernel.py_func.__code__
    places = _PLACE.findall(text)
    ours = [place for place in places if place[0] == code.co_filename or code.co_filename.endswith(place[0].lstrip("./"))]
    file, line = (ours or places or [(code.co_filename, str(code.co_firstlineno))])[-1]
    if ours:
        file = code.co_filename
    lines = [one.strip(" -\t") for one in text.splitlines()]
    told = [one for one in lines if one and not _GENERIC.match(one) and not _PLACE.search(one) and not one.startswith(("^", "<source"))]
    what = " ".join((told or [str(error)])[:2])
    return f"{file}:{line}", what[:240]
