"""Rules of the kernel rooms: pure, allocation-free, one compile policy, short, documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from hftkit.kernels import jit
from tests.structure.sources import PACKAGES, ROOT, calls, code_lines, dotted, imports, kernel_functions, name, python_files, report, tree, within

MAX_LINES = 60
KERNELS = "hftkit/kernels"
ALLOWED = ("__future__", "typing", "math", "numpy", "hftkit.kernels", "hftkit.layout", "hftkit.codes")
# Rooms that may import more, each with its reason.
EXCEPTIONS = {
    "hftkit/kernels/jit.py": "the compile policy itself: talks to numba, reads the sources and the environment",
    "hftkit/kernels/hooks.py": "states the compiled type of a hook, and writes the machine code of its call",
    "hftkit/kernels/bits.py": "writes machine code: needs llvmlite and numba.extending",
    "hftkit/kernels/stats/vector.py": "writes machine code: needs llvmlite and numba.extending",
    "hftkit/kernels/memory/intrinsics.py": "writes machine code: needs llvmlite and numba.extending",
}
IMPURE = ("time", "random", "os", "datetime", "secrets", "socket", "numpy.random", "np.random", "uuid")
SHELLS = ("hftkit/system/syscalls.py",)  # compiled system calls: clock and sockets, for shells only
COMPILERS = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil", "jitclass", "generated_jit"}
ALLOCATES = {
    "zeros",
    "empty",
    "ones",
    "full",
    "array",
    "arange",
    "linspace",
    "concatenate",
    "zeros_like",
    "empty_like",
    "ones_like",
    "copy",
    "append",
}
UNITS = re.compile(
    r"\b(int64|float64|uint64|u?int(8|16|32)|ticks?|lots?|ns|e8|ppm|bps|bytes?|bits?|words?|bars?|slots?|index|counts?|seconds?|units?|"
    r"shape|log price|standard deviations?|ratio|levels?|degrees|records?|id|flag|number|codes?|frames?)\b|\((n|m|t|k|n_\w+|[A-Z_]{3,})(,|\))",
    re.IGNORECASE,
)


def compiled() -> list[tuple[Path, ast.FunctionDef, str]]:
    return [(path, function, how) for path in python_files(*PACKAGES) for function, how in kernel_functions(path)]


def test_kernel_rooms_import_only_what_kernels_need() -> None:
    violations = [
        f"{name(path)}:{line} imports {module}"
        for path in python_files(KERNELS)
        for module, line in imports(path)
        if name(path) not in EXCEPTIONS and not within(module, ALLOWED) and module != "hftkit"  # `from hftkit import layout`
    ]
    assert not violations, report(violations, f"Cure: kernels import only {', '.join(ALLOWED)}; hand everything else in as an argument.")


def test_kernel_exceptions_still_exist() -> None:
    gone = [path for path in EXCEPTIONS if not (ROOT / path).is_file()]
    assert not gone, f"{gone} no longer exist. Cure: remove their line from EXCEPTIONS."


def test_kernels_read_no_clock_no_randomness_no_system() -> None:
    violations = [
        f"{name(path)}:{line} {function.name} calls {called}"
        for path, function, _ in compiled()
        if name(path) not in SHELLS
        for called, line in calls(function)
        if within(called, IMPURE) or called in {"open", "input", "print"}
    ]
    assert not violations, report(violations, "Cure: time arrives inside the event, randomness as seeded state in an array; a kernel does neither.")


def test_pure_rooms_do_not_use_system_calls() -> None:
    violations = [
        f"{name(path)}:{line} imports hftkit.system.syscalls"
        for folder in (KERNELS, "hftkit/strategies", "hftkit/exchange")
        for path in python_files(folder)
        for module, line in imports(path)
        if within(module, ("hftkit.system.syscalls", "hftkit.clock")) and "servers" not in path.parts and path.name != "commands.py"
    ]
    assert not violations, report(violations, "Cure: sockets and clocks belong in a shell (live/hot_loop.py, hftkit/exchange/servers/).")


def test_only_the_compile_policy_names_a_compiler() -> None:
    violations: list[str] = []
    for path in python_files(*PACKAGES, "tests"):
        if name(path) == "hftkit/kernels/jit.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Attribute) and node.attr in COMPILERS and dotted(node.value) in {"numba", "nb"}
            imported = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("numba") and COMPILERS & {a.name for a in node.names}
            if named or imported:
                violations.append(f"{name(path)}:{node.lineno} names a numba compiler")
    assert not violations, report(violations, "Cure: decorate with `kernel` of hftkit/kernels/jit.py, so that the cache sees every source.")


def test_constants_that_kernels_freeze_in_are_part_of_the_cache_key() -> None:
    """A module whose constants a kernel uses must be among jit.kernel_sources, or an edit there leaves stale machine code."""
    keyed = set(jit.kernel_sources())
    violations: list[str] = []
    for path in keyed:
        if not any(kernel_functions(path)):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and within(node.module or "", PACKAGES):
                constants = [alias.name for alias in node.names if alias.name.strip("_").isupper()]
                source = (ROOT / (node.module or "").replace(".", "/")).with_suffix(".py")
                if constants and source.is_file() and source not in keyed:
                    violations.append(f"{name(path)}:{node.lineno} uses {', '.join(constants)} of {name(source)}")
    assert not violations, report(violations, "Cure: move the constant to hftkit/layout.py or a kernel file, or add the file to jit._CONSTANT_ROOMS.")


def test_no_fastmath() -> None:
    violations = [
        f"{name(path)}:{node.lineno}"
        for path in python_files(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "fastmath" and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert not violations, report(violations, "Cure: no fastmath: replay must give the same bits.")


def test_kernels_are_short() -> None:
    violations = [
        f"{name(path)}:{function.lineno} {function.name} has {code_lines(function)} lines"
        for path, function, _ in compiled()
        if code_lines(function) > MAX_LINES
    ]
    assert not violations, report(violations, f"Cure: split it at its steps; {MAX_LINES} lines is long for a kernel.")


def test_kernels_raise_nothing_and_speak_no_text() -> None:
    violations: list[str] = []
    for path, function, _ in compiled():
        if not name(path).startswith(KERNELS):
            continue
        documented = ast.get_docstring(function) is not None
        for statement in function.body[1 if documented else 0 :]:
            for node in ast.walk(statement):
                if isinstance(node, ast.Raise | ast.Try | ast.Assert | ast.JoinedStr):
                    violations.append(f"{name(path)}:{node.lineno} {function.name}: {type(node).__name__.lower()}")
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    violations.append(f"{name(path)}:{node.lineno} {function.name}: the text {node.value!r}")
    assert not violations, report(violations, "Cure: return an integer status with a name in hftkit/codes.py; the shell finds the words.")


def test_kernels_allocate_nothing() -> None:
    violations: list[str] = []
    for path, function, how in compiled():
        if not name(path).startswith(KERNELS) or how == "parallel_kernel":  # research scans give each thread its own scratch
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp | ast.GeneratorExp):
                violations.append(f"{name(path)}:{node.lineno} {function.name}: {type(node).__name__.lower()}")
        for called, line in calls(function):
            if (called.split(".")[0] in {"np", "numpy"} and called.split(".")[-1] in ALLOCATES) or called.endswith(".copy"):
                violations.append(f"{name(path)}:{line} {function.name}: {called}")
    assert not violations, report(violations, "Cure: take the scratch array as an argument; who owns the memory allocates it once.")


def test_public_kernels_state_units_or_shapes() -> None:
    violations: list[str] = []
    for path, function, _ in compiled():
        if function.name.startswith("_") or not function.args.args or not name(path).startswith((KERNELS, "hftkit/strategies")):
            continue
        text = f"{ast.get_docstring(function) or ''} {ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''}"
        if not UNITS.search(text):
            violations.append(f"{name(path)}:{function.lineno} {function.name}")
    assert not violations, report(violations, "Cure: say in the docstring what shape and unit each argument has, and what is returned.")
