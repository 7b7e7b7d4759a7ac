"""The one compile policy: every compiled function of hftkit is decorated here and nowhere else.

Why one place. numba's disk cache stamps a compiled function with the modification time of *its own* file. It does not
see that a kernel or a constant imported from another file has changed: the caller silently stays stale. So each function is
kept under a digest of every source file that it can depend on (hftkit/kernel_cache.py), in a folder for numba's version and
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
from llvmlite.binding import Linkage
from numba import types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import NoPythonSupportedFeatureValidation

from hftkit import kernel_cache

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("hftkit", "live", "research")
# No kernels inside, but kernels freeze their constants in.
_CONSTANT_ROOMS = (
    "hftkit/layout.py",
    "hftkit/codes.py",
    "hftkit/rooms.py",
    "hftkit/units.py",
    "hftkit/exchange/books.py",
    "hftkit/exchange/layout.py",
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

_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy"}
# Without numba's runtime there is no allocation and no reference counting: the compiler refuses a kernel that would allocate, and
# the whole decision costs an eighth (measured: 170 ns instead of 1380 ns, for the counts of arrays passed from room to room).
_WITHOUT_RUNTIME: dict[str, Any] = {**_OPTIONS, "_nrt": False}
_INNER: dict[str, Any] = {**_WITHOUT_RUNTIME, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def _optimise_whole(library: Any) -> None:
    """What LLVM does to the module of an outermost function: first everything below it becomes private to it."""
    for function in library._final_module.functions:
        if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
            function.linkage = "private"  # not "internal": the loader would offer those to other modules under the old name
    type(library)._optimize_final_module(library)


@register_pass(mutates_CFG=False, analysis_only=True)
class _WholeProgram(FunctionPass):
    """Compile an outermost function as a whole program.

    numba passes an array as seven words, a named tuple of forty arrays as three hundred, at every call, and LLVM may not drop those that the
    callee never reads as long as others could call it too. Once the callees are private it drops them, and inlines what is called once (measured:
    matching 2.0 times as fast, 1,160 instructions a message before). Only for outermost functions: inside others the copies would multiply.
    """

    _name = "hftkit_whole_program"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Make the library that numba's lowering will fill, with the optimisation above in place of its own."""
        if state.library is None:
            state.library = state.targetctx.codegen().create_library(state.func_id.func_qualname)
            state.library.enable_object_caching()
        state.library._optimize_final_module = functools.partial(_optimise_whole, state.library)
        return False


class _WholeProgramCompiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        """numba's own pipeline and the pass above."""
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.add_pass_after(_WholeProgram, NoPythonSupportedFeatureValidation)
        manager.finalize()
        return [manager]


_OUTERMOST: dict[str, Any] = {**_WITHOUT_RUNTIME, "pipeline_class": _WholeProgramCompiler}


def _kept(dispatcher: Any) -> Any:
    """Keep what is compiled on disk: one process at a time writes, and nobody but this user is trusted (hftkit/kernel_cache.py)."""
    return kernel_cache.keep(dispatcher, _FOLDER)


def _by_type_only(dispatcher: Any) -> Any:
    """Make calls from other kernels compile for int64, not for each constant that happens to be passed.

    numba would compile `encode(words, 0)` and `encode(words, at)` apart, and everything above them again: it halves the time to compile
    the larger loops. LLVM still folds constants where it inlines.
    """
    _kept(dispatcher)
    template_for = dispatcher.get_call_template

    def without_literals(args: Any, kws: Any) -> Any:
        return template_for([types.unliteral(a) for a in args], {name: types.unliteral(a) for name, a in kws.items()})

    dispatcher.get_call_template = without_literals
    return dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Decorate a kernel; it compiles on first use, for the argument types it meets, and is cached on disk. It cannot allocate."""
    return _by_type_only(numba.njit(**_WITHOUT_RUNTIME)(function))


def outer_kernel(function: Callable[..., Any]) -> Any:
    """Like `kernel`, for loops that only Python calls: everything below is compiled into it as one program, which halves the cost of its calls."""
    return _by_type_only(numba.njit(**_OUTERMOST)(function))


def allocating_kernel(function: Callable[..., Any]) -> Any:
    """Like `kernel`, but may allocate arrays: for research scans and tests, never on the hot path."""
    return _by_type_only(numba.njit(**_OPTIONS)(function))


def inlined_kernel(function: Callable[..., Any]) -> Any:
    """Like `kernel`, but LLVM always inlines it into its callers: for one-line helpers on the hot path."""
    return _by_type_only(numba.njit(forceinline=True, **_WITHOUT_RUNTIME)(function))


def inner_kernel(function: Callable[..., Any]) -> Any:
    """Like `kernel`, for functions that only other kernels call: no entry from Python is generated.

    That entry costs more compile time than the function itself where an argument is a named tuple of many arrays.
    """
    return _by_type_only(numba.njit(**_INNER)(function))


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Like `kernel`, with `numba.prange` loops on several threads: for research scans only, never on the hot path."""
    return _kept(numba.njit(parallel=True, **_OPTIONS)(function))


def kernel_with_signature(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate with an explicit numba signature: compiled (or loaded from disk) at once.

    Needed where an argument is a first-class function (`types.FunctionType`), which cannot be cached otherwise. Outermost, as `outer_kernel`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        twin: Any = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
        twin.__qualname__, twin.__doc__ = f"{function.__qualname__}.outermost", function.__doc__  # its own place in the disk cache
        dispatcher = _kept(numba.njit(**_OUTERMOST)(twin))
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
