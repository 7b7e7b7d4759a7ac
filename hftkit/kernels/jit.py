"""The one compile policy: every compiled function of hftkit is decorated here and nowhere else.

Why one place. numba's disk cache stamps a compiled function with the modification time of *its own* file. It does not
see that a kernel or a constant imported from another file has changed: the caller silently stays stale. So each function is
kept under a digest of every source file that it can depend on (hftkit/compilation/kernel_cache.py), in a folder for numba's version and
the switches that change the generated code. Change one byte, and what can depend on it compiles afresh, once.

Policy: nopython, `nogil`, disk cache, no allocation, no fastmath (replay must be bit-exact), numpy error model (a division by zero gives
inf/nan or 0, never an exception; each kernel states its outcome for such input).
Run tests with NUMBA_BOUNDSCHECK=1 to check every index.
"""

from __future__ import annotations

import functools
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite
import numba
from numba import types

from hftkit.compilation import kernel_cache
from hftkit.compilation.kernel_programs import PIECE, PieceCompiler, ProgramCompiler

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("hftkit", "live", "research")
# No kernels inside, but kernels freeze their constants in.
_CONSTANT_ROOMS = (
    "hftkit/layout.py",
    "hftkit/codes.py",
    "hftkit/session/engine_state.py",
    "hftkit/units.py",
    "hftkit/exchange/core/books.py",
    "hftkit/exchange/core/layout.py",
    "hftkit/exchange/venue.py",
)
_SWITCHES = ("NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT", "NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")


def kernel_sources() -> list[Path]:
    """Files whose text takes part in the cache digest, sorted by path.

    Every module that imports this policy, everything in hftkit/kernels, and the constant rooms.
    """
    found: set[Path] = {_ROOT / name for name in _CONSTANT_ROOMS}
    for package in _PACKAGES:
        folder = _ROOT / package
        if not folder.is_dir():
            continue
        for path in folder.rglob("*.py"):
            if b"kernels.jit import" in path.read_bytes() or "kernels" in path.parent.parts:
                found.add(path)
    return sorted(path for path in found if path.is_file())


def module_of(path: Path) -> str:
    """The dotted name of one of those files."""
    return path.relative_to(_ROOT).with_suffix("").as_posix().replace("/", ".")


@functools.cache
def sources_digest() -> str:
    """SHA-256 (hex) over the names and bytes of all kernel sources: the identity of the compiled code."""
    digest = hashlib.sha256()
    for path in kernel_sources():
        digest.update(str(path.relative_to(_ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _cache_key() -> str:
    digest = hashlib.sha256(f"numba {numba.__version__} llvmlite {llvmlite.__version__} files {kernel_cache.FORMAT}".encode())
    for name in _SWITCHES:
        digest.update(f"{name}={os.environ.get(name, '')}".encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels are kept: $HFTKIT_CACHE, else $XDG_CACHE_HOME/hftkit, else ~/.cache/hftkit."""
    base = os.environ.get("HFTKIT_CACHE")
    if base is None:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hftkit")
    return Path(base) / "kernels" / _cache_key()


_numba_config: Any = numba.config
_FOLDER = kernel_cache.trusted_folder(cache_folder())
_numba_config.CACHE_DIR = str(_FOLDER)  # for kernels of a notebook's cells

# Strategies are first-class functions; numba calls that experimental, the tests show that it does what we ask of it.
warnings.filterwarnings("ignore", category=numba.NumbaExperimentalFeatureWarning)

_WITH_RUNTIME: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy"}
# Without numba's runtime there is no allocation and no reference counting: the compiler refuses a kernel that would allocate, and
# the whole decision costs an eighth (measured: 170 ns instead of 1380 ns, for the counts of arrays passed from room to room).
_WITHOUT_RUNTIME: dict[str, Any] = {**_WITH_RUNTIME, "_nrt": False}
_AS_PROGRAM: dict[str, Any] = {"pipeline_class": ProgramCompiler}
# No entry from Python: it costs more compile time than the function itself where an argument is a named tuple of many arrays.
_AS_PIECE: dict[str, Any] = {"pipeline_class": PieceCompiler, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def _kept(dispatcher: Any) -> Any:
    """Keep what is compiled on disk: one process at a time writes, and nobody but this user is trusted (hftkit/compilation/kernel_cache.py)."""
    return kernel_cache.keep(dispatcher, _FOLDER)


def _by_type_only(dispatcher: Any) -> Any:
    """Make calls from other kernels compile for int64, not for each constant that happens to be passed.

    numba would compile `encode(words, 0)` and `encode(words, at)` apart, and everything above them again: it halves the time to compile
    the larger loops. LLVM still folds constants where it inlines.
    """
    template_for = dispatcher.get_call_template

    def without_literals(args: Any, kws: Any) -> Any:
        return template_for([types.unliteral(a) for a in args], {name: types.unliteral(a) for name, a in kws.items()})

    dispatcher.get_call_template = without_literals
    return dispatcher


def _twin(function: Any, mark: str) -> Any:
    """The same function under another name: its own place in the disk cache."""
    twin: Any = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    twin.__qualname__, twin.__doc__, twin.__module__ = f"{function.__qualname__}.{mark}", function.__doc__, function.__module__
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def _piece(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    return _kept(_by_type_only(numba.njit(**options, **_AS_PIECE)(function)))


def _two_faces(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Called from Python: a program. Called from a kernel: a piece of the caller's program (hftkit/compilation/kernel_programs.py)."""
    outer = _kept(numba.njit(**options, **_AS_PROGRAM)(function))
    inner = _piece(_twin(function, PIECE), options)
    outer.get_call_template, outer.get_overload, outer.piece = inner.get_call_template, inner.get_overload, inner
    return outer


def kernel(function: Callable[..., Any]) -> Any:
    """Decorate a kernel; it compiles on first use, for the argument types it meets, and is cached on disk. It cannot allocate."""
    return _two_faces(function, _WITHOUT_RUNTIME)


def allocating_kernel(function: Callable[..., Any]) -> Any:
    """Like `kernel`, but may allocate arrays: for research scans and tests, never on the hot path."""
    return _two_faces(function, _WITH_RUNTIME)


def inlined_kernel(function: Callable[..., Any]) -> Any:
    """Like `kernel`, but LLVM always inlines it into its callers: for one-line helpers on the hot path."""
    return _two_faces(function, {**_WITHOUT_RUNTIME, "forceinline": True})


def inner_kernel(function: Callable[..., Any]) -> Any:
    """Like `kernel`, for functions that only other kernels call."""
    return _piece(function, _WITHOUT_RUNTIME)


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Like `kernel`, with `numba.prange` loops on several threads: for research scans only, never on the hot path."""
    return _kept(numba.njit(parallel=True, **_WITH_RUNTIME)(function))


def kernel_with_signature(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate with an explicit numba signature: compiled (or loaded from disk) at once.

    Needed where an argument is a first-class function (`types.FunctionType`), which cannot be cached otherwise. A program, as `kernel`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = _kept(numba.njit(**_WITHOUT_RUNTIME, **_AS_PROGRAM)(_twin(function, "outermost")))
        dispatcher.compile(signature)
        dispatcher.disable_compile()
        return dispatcher

    return decorate


_drivers: dict[Any, Any] = {}


def compiled_driver(function: Any, *arguments: Any) -> Any:
    """A kernel compiled once, or loaded from disk, for the types of these arguments (values, or numba types).

    For the outermost loops, which take named tuples of arrays and first-class functions: with an explicit signature they load
    from the disk cache in milliseconds. Which sizes the arrays have does not matter.
    """
    signature = tuple(a if isinstance(a, types.Type) else numba.typeof(a) for a in arguments)
    key = (function, signature)
    if key not in _drivers:
        _drivers[key] = kernel_with_signature(signature)(function.py_func)
    return _drivers[key]


def array_type(dtype: Any, ndim: int = 1) -> types.Array:
    """The numba type of a C-contiguous array of a numpy dtype (records included) with `ndim` axes."""
    return types.Array(numba.from_dtype(dtype), ndim, "C")
