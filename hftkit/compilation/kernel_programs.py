"""How compiled kernels are put together: pieces, each compiled once, and programs, which are made of pieces.

numba gives every compiled function a library of its own, with everything below it linked in, optimised and turned into machine code; its caller does
all of that again, and so does the caller's caller. Here a kernel that a kernel calls is a piece: its library keeps the code of that function alone,
in a file of the kernel cache, and no machine code is made of it. What Python calls is a program: the pieces that it can reach are linked into it
once, private to it, and optimised together.

Private, because numba passes an array as seven words, a named tuple of forty arrays as three hundred, at every call, and LLVM may not drop those
that the callee never reads as long as others could call it too (measured: matching 2.0 times as fast, 1,160 instructions a message before).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from llvmlite import binding as llvm
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, CompileResult, DefaultPassBuilder
from numba.core.compiler_lock import require_global_compiler_lock
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.environment import lookup_environment
from numba.core.typed_passes import NoPythonSupportedFeatureValidation

from hftkit.compilation import import_closure
from hftkit.system import private_files
from hftkit.system.private_files import FOLDER_MODE

_ENVIRONMENT = "_ZN08NumbaEnv"  # prefix of the symbols that lead to a function's Python objects
_NAME_HEX = 32
PIECE = "piece"  # the kind of a serialised library, beside numba's "object" and "bitcode"

_modules: dict[str, Any] = {}  # code of every part that this process has made or read, by name
_of_others: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # digests of libraries that numba made, such as those of its own functions


def place_of(module: str, source: Path) -> str:
    """The name of the folder, under the cache folder, for what is compiled of a module, for its sources as they are now."""
    return f"{module}-{import_closure.digest(source, module)[:16]}" if source.is_file() else "cells"  # of a notebook


def _shareable(module: Any) -> Any:
    """Let a module's functions be linked into several programs, and be dropped where nothing calls them."""
    for function in module.functions:
        if not function.is_declaration and function.linkage == llvm.Linkage.external:
            function.linkage = "linkonce_odr"
    return module


def _digest(module: Any) -> str:
    return hashlib.sha256(module.as_bitcode()).hexdigest()[:_NAME_HEX]


def _named(module: Any, place: str, digest: str) -> str:
    """Remember a part's code. Its name is place/digest: the folder in which its file belongs, and what it holds."""
    name = f"{place}/{digest}.bc"
    _modules.setdefault(name, module)
    return name


def _whole(base: Path, name: str) -> bytes | None:
    """The content of a part's file; None where it is missing, or is not what its name says."""
    try:
        with open(os.open(base / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
            bitcode = stream.read()
    except OSError:
        return None
    return bitcode if name.endswith(f"/{hashlib.sha256(bitcode).hexdigest()[:_NAME_HEX]}.bc") else None


def write_parts(base: Path, names: Iterable[str]) -> None:
    """Write parts that have no whole file yet, below the cache folder `base`. Raises OSError or HftkitError."""
    for name in names:
        path = base / name
        if _whole(base, name) is not None:
            continue
        path.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        private_files.write(path, _modules[name].as_bitcode(), "part of a compiled kernel", replace=True)


def read_parts(base: Path, names: Iterable[str]) -> bool:
    """Read parts that this process does not know yet. Whether all are there and whole."""
    for name in names:
        if name in _modules:
            continue
        bitcode = _whole(base, name)
        if bitcode is None:
            return False
        _modules[name] = llvm.parse_bitcode(bitcode)
    return True


class _WithoutEnvironments:
    """A code generator that has no place for a function's Python objects: a piece is never loaded, and no kernel reads them."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def set_env(self, name: str, environment: object) -> None:
        """Nothing to do."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)


class Piece(JITCodeLibrary):
    """The library of a kernel that kernels call: its own code, simplified function by function, and the names of the parts below.

    `parts`: names of everything that it needs, callees before callers, itself last. `place`: the folder of its module in the cache.
    """

    def __init__(self, codegen: Any, name: str, place: str) -> None:
        super().__init__(codegen, name)
        self.place, self.parts = place, dict[str, None]()

    @classmethod
    def loaded(cls, codegen: Any, name: str, parts: Iterable[str]) -> Piece:
        """A piece whose parts have been read."""
        self = cls(codegen, name, "")
        self.parts = dict.fromkeys(parts)
        self._finalized = True
        return self

    @property
    def codegen(self) -> Any:
        """numba's code generator, as far as it concerns a piece."""
        return _WithoutEnvironments(self._codegen)

    def finalize(self) -> None:
        """Close the piece: nothing is linked, no machine code is made."""
        self._raise_if_finalized()
        self._find_addresses()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._dynamic_globals += library._dynamic_globals  # a piece that holds an address is worthless in another process
            self.parts.update(dict.fromkeys(parts_of(library, self.place)))
        module = _shareable(self._final_module)
        self.parts[_named(module, self.place, _digest(module))] = None
        self._finalized = True

    def _find_addresses(self) -> None:
        """Note the addresses of this process that the code reads. numba writes one down for a mere mention of `int`; then nothing reads it."""
        self._finalize_dynamic_globals()
        if self._dynamic_globals:
            text = str(self._final_module)
            self._dynamic_globals = [name for name in self._dynamic_globals if text.count(name) > 1]  # once: its definition

    def get_pointer_to_function(self, name: str) -> int:
        """There is no machine code."""
        return 0

    def _get_module_for_linking(self) -> Any:
        """Everything in one module, for a library that numba made."""
        if self._shared_module is None:
            first, *others = reversed(self.parts)
            whole = _modules[first].clone()
            for name in others:
                whole.link_in(_modules[name], preserve=True)
            self._shared_module = _shareable(whole)
        return self._shared_module

    def serialize_using_object_code(self) -> tuple[str, str, tuple[str, ...]]:
        """What numba writes for this library: the parts' names. Their files: `write_parts`."""
        return self.name, PIECE, tuple(self.parts)


def parts_of(library: Any, place: str) -> Iterable[str]:
    """Names of a finished library's parts, callees before callers."""
    if isinstance(library, Piece):
        return library.parts
    module = library._get_module_for_linking()
    if library not in _of_others:
        _of_others[library] = _digest(module)
    return (_named(module, place, _of_others[library]),)


class Program(JITCodeLibrary):
    """The library of a function that Python calls: every part below it linked in once, private to it, and optimised together."""

    def finalize(self) -> None:
        """Link, optimise, make machine code."""
        require_global_compiler_lock()
        self._codegen._check_llvm_bugs()
        self._raise_if_finalized()
        parts: dict[str, None] = {}
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            parts.update(dict.fromkeys(parts_of(library, "program")))
        for name in reversed(parts):  # callers first: the linker drops what nothing calls yet
            self._final_module.link_in(_modules[name], preserve=True)
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.linkonce_odr:
                function.linkage = "private"  # not "internal": the loader would offer those to other modules under the old name
        self._optimize_final_module()
        self._final_module.verify()
        self._finalize_final_module()
        codegen: Any = self._codegen
        for variable in self._final_module.global_variables:
            if variable.name.startswith(_ENVIRONMENT) and (environment := lookup_environment(variable.name)) is not None:
                codegen.set_env(variable.name, environment)


def rebuild(target_context: Any, payload: Any, base: Path) -> Any:
    """What numba's CompileResult makes of a cached function, pieces included. None where a part is missing or damaged."""
    (name, kind, parts), fndesc, environment, signature, objectmode, lifted, annotation, reload_init, environments = payload
    if kind != PIECE:
        return CompileResult._rebuild(target_context, *payload)
    if not read_parts(base, parts):
        return None
    for again in reload_init:
        again()
    library = Piece.loaded(target_context.codegen(), name, parts)
    make: Any = CompileResult  # its fields differ between numba's versions
    return make(
        target_context=target_context,
        typing_context=target_context.typing_context,
        library=library,
        environment=environment,
        entry_point=target_context.get_executable(library, fndesc, environment),
        fndesc=fndesc,
        type_annotation=annotation,
        signature=signature,
        objectmode=objectmode,
        lifted=lifted,
        typing_error=None,
        call_helper=None,
        metadata=None,
        reload_init=reload_init,
        referenced_envs=environments,
    )


@register_pass(mutates_CFG=False, analysis_only=True)
class _AsProgram(FunctionPass):
    _name = "hftkit_program"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Make the library that numba's lowering will fill."""
        if state.library is None:
            state.library = Program(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return False


@register_pass(mutates_CFG=False, analysis_only=True)
class _AsPiece(FunctionPass):
    _name = "hftkit_piece"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Make the library that numba's lowering will fill."""
        if state.library is None:
            state.library = Piece(
                state.targetctx.codegen(),
                state.func_id.func_qualname,
                place_of(state.func_id.func.__module__, Path(state.func_id.func.__code__.co_filename)),
            )
            state.library.enable_object_caching()
        return False


def _pipeline(state: Any, first: Any) -> list[Any]:
    """numba's own pipeline, and the pass above in front of the lowering."""
    manager = DefaultPassBuilder.define_nopython_pipeline(state)
    manager.add_pass_after(first, NoPythonSupportedFeatureValidation)
    manager.finalize()
    return [manager]


class ProgramCompiler(CompilerBase):
    """Compiles a function that Python calls."""

    def define_pipelines(self) -> list[Any]:
        """The passes."""
        return _pipeline(self.state, _AsProgram)


class PieceCompiler(CompilerBase):
    """Compiles a function that kernels call."""

    def define_pipelines(self) -> list[Any]:
        """The passes."""
        return _pipeline(self.state, _AsPiece)
