"""Strategies are compiled, or loaded from the cache, before anything else is: what is wrong with one is said in a line, with its file and line.

A strategy is somebody's file. Compiled within the engine's thread it would fail with a traceback of numba, minutes later, or never start.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

from numba.core import types
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError

from hftkit.codes import Hook
from hftkit.errors import ParamsError
from hftkit.kernels.hooks import HOOK_SIGNATURE
from hftkit.strategies import Strategy, strategy

_PLACE = re.compile(r'File "([^"\n]+)", line (\d+)')
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_GENERIC = re.compile(r"^(Failed in nopython mode pipeline|During:|Compilation is falling back|Cannot resolve|This error may have been caused)")
_CURE = "Mend it there: a kernel takes arrays and numbers and returns an integer (hftkit/strategies/README.md)"


def compile_strategies(names: Iterable[str]) -> None:
    """Compile the hooks of each of these strategies for the engine's signature. Raises ParamsError: which, file, line, what is wrong."""
    for name in dict.fromkeys(names):
        _compile(strategy(name))


def _compile(found: Strategy) -> None:
    try:
        hooks = found.hooks()
    except ImportError as error:
        raise ParamsError(
            f"strategy {found.name}: {found.module} cannot be imported ({error})", "Mend its imports, or install what it needs"
        ) from None
    except SyntaxError as error:
        raise ParamsError(f"strategy {found.name}: {error.filename}:{error.lineno}: {error.msg}", "Mend it there") from None
    if not hooks:
        names = ", ".join(hook.name.lower() for hook in Hook)
        raise ParamsError(f"strategy {found.name}: {found.module} has no kernel {names}", "Name it so; see hftkit/strategies/README.md")
    for hook, kernel in hooks.items():
        _compile_hook(found, hook.name.lower(), kernel)


def _compile_hook(found: Strategy, name: str, kernel: Any) -> None:
    if not _is_compiled(kernel):
        raise ParamsError(f"strategy {found.name}: {name} of {found.module} is not a kernel", "Decorate it with hftkit.kernels.jit.kernel")
    try:
        kernel.compile(HOOK_SIGNATURE.args)
    except NumbaError as error:
        place, what = _read(error, kernel)
        raise ParamsError(f"strategy {found.name} does not compile: {place}: {what}", _CURE) from None
    except Exception as error:  # numba lets some through as they are: of a field that a record has not, a KeyError
        place, what = _guess(error, kernel)
        raise ParamsError(f"strategy {found.name} does not compile: {place}: {what}", _CURE) from None
    made = kernel.overloads[HOOK_SIGNATURE.args].signature.return_type
    if types.unliteral(made) != types.int64:
        code = kernel.py_func.__code__
        where = f"{code.co_filename}:{code.co_firstlineno}"
        raise ParamsError(f"strategy {found.name}: {where}: {name} returns {made}, not an int64", "Return the SignalReason as a number")


def _is_compiled(found: object) -> bool:
    return isinstance(found, Dispatcher)


def _read(error: NumbaError, kernel: Any) -> tuple[str, str]:
    """`file:line` and what is wrong there, from numba's many words: its innermost place, and its first sentence that says something."""
    text = _COLOUR.sub("", str(error))
    code = kernel.py_func.__code__
    lines = [one.strip(" -\t") for one in text.splitlines()]
    told = [one for one in lines if one and not _GENERIC.match(one) and not _PLACE.search(one) and not one.startswith(("^", "<source"))]
    what = " ".join((told or [str(error)])[:2])[:240]
    ours = [line for file, line in _PLACE.findall(text) if code.co_filename.endswith(file.lstrip("./"))]
    return f"{code.co_filename}:{ours[-1] if ours else _line_of(what, kernel)}", what


def _guess(error: Exception, kernel: Any) -> tuple[str, str]:
    """The same of an error without a place."""
    what = f"there is no field {str(error.args[0])!r}" if isinstance(error, KeyError) and error.args else f"{type(error).__name__}: {error}"
    what = what.splitlines()[0][:240]
    return f"{kernel.py_func.__code__.co_filename}:{_line_of(what, kernel)}", what


def _line_of(what: str, kernel: Any) -> int:
    """The first line of the kernel with a word that the message quotes, else the line where the kernel begins."""
    lines, first = inspect.getsourcelines(kernel.py_func)
    for word in re.findall(r"['(](\w+)[')]", what):
        for i, line in enumerate(lines):
            if re.search(rf"\b{word}\b", line):
                return first + i
    return first
