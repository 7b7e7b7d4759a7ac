"""The project's files and their syntax trees, for the tests that execute the rules of the house."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hftkit", "research", "live")
KERNEL_DECORATORS = {"kernel", "inner_kernel", "inlined_kernel", "parallel_kernel", "kernel_with_signature"}
_NEVER_COMMITTED = {".venv", ".git", "build", "dist", "cache", "journals", "runs", "__pycache__", ".hypothesis", ".ipynb_checkpoints"}


def name(path: Path) -> str:
    """The path as people write it, from the project's root."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """All Python files under these folders of the project, sorted."""
    return tuple(sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts))


@functools.cache
def committed_files() -> tuple[Path, ...]:
    """What the repository holds; in an unpacked archive, everything that would not be ignored."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = (ROOT / line for line in listed.stdout.splitlines())
    else:
        paths = (path for path in ROOT.rglob("*") if not _NEVER_COMMITTED & set(path.relative_to(ROOT).parts) and "egg-info" not in str(path))
    return tuple(sorted(path for path in paths if path.is_file()))


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file names in an import, anywhere in it, with the line. `from a import b` gives `a` and `a.b`."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield module, node.lineno
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def within(module: str, packages: set[str] | tuple[str, ...]) -> bool:
    """Whether a dotted module name is one of `packages` or inside one."""
    return any(module == package or module.startswith(package + ".") for package in packages)


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute expression, '' for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def calls(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted name and line of every call under a node."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and dotted(inner.func):
            yield dotted(inner.func), inner.lineno


def kernel_functions(path: Path) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Functions that a file compiles, with the name of the decorator of kernels/jit.py."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                called = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator).split(".")[-1]
                if called in KERNEL_DECORATORS:
                    yield node, called


def code_lines(node: ast.FunctionDef) -> int:
    """Lines of a function, its docstring and decorators not counted."""
    first = node.body[1] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or first.lineno) - first.lineno + 1


def report(violations: list[str], cure: str) -> str:
    """The message of a failed rule: where, and what to do."""
    return "\n  " + "\n  ".join(violations) + f"\n{cure}"
