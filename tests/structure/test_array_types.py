"""hftkit/kernels/arrays.py names what kernels take: it says what the layouts say, and every kernel uses it."""

from __future__ import annotations

import ast
import re
from types import ModuleType

import pytest

from hftkit import layout
from hftkit.binance.line import Line
from hftkit.exchange.core import layout as core_layout
from hftkit.exchange.core import records as core_records
from hftkit.kernels import arrays
from hftkit.kernels.wire.binance.state import LINE_RECORDS
from hftkit.layout import Record
from hftkit.session.engine_state import EngineState
from tests.structure.sources import ROOT, name, python_files, report, tree

NAMED = ("hftkit/kernels", "hftkit/strategies", "hftkit/exchange/core", "live/link")
NAMED_FILES = ("live/hot_loop.py",)
# Functions whose arguments are objects of the compiler, for which numba and llvmlite ship no types.
EXCEPTIONS = {
    "hftkit/kernels/jit.py": "the compile policy: functions, signatures and dispatchers of numba",
    "hftkit/kernels/bits.py": "writes machine code: contexts and builders",
    "hftkit/kernels/hooks.py": "writes machine code: contexts and builders",
    "hftkit/kernels/stats/vector.py": "writes machine code: contexts and builders",
    "hftkit/kernels/memory/intrinsics.py": "writes machine code: contexts and builders",
}
CORE_RECORDS = [value for value in vars(core_layout).values() if isinstance(value, Record)]
RECORDS_OF = {arrays: (*layout.RECORDS, *LINE_RECORDS), core_records: CORE_RECORDS}
CLASSES = [
    (module, value)
    for module in RECORDS_OF
    for key, value in vars(module).items()
    if key.endswith("Record") and isinstance(value, type) and value.__module__ == module.__name__
]


def unnamed(path_tree: ast.AST) -> list[tuple[int, str]]:
    """Line and name of every parameter whose type is just `Any`."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(path_tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            found += [(a.lineno, f"{node.name}({a.arg})") for a in given if a.annotation is not None and ast.unparse(a.annotation) == "Any"]
    return found


def test_kernels_name_the_types_of_their_arguments() -> None:
    paths = [*python_files(*NAMED), *(ROOT / file for file in NAMED_FILES)]
    violations = [
        f"{name(path)}:{line} {what}"
        for path in paths
        if name(path) not in EXCEPTIONS and (name(path).startswith(NAMED[:2]) or "kernels.jit import" in path.read_text(encoding="utf-8"))
        for line, what in unnamed(tree(path))
    ]
    assert not violations, report(violations, "Cure: a name of hftkit/kernels/arrays.py; add one there if the array is new.")


def test_exceptions_are_needed() -> None:
    idle = [path for path in EXCEPTIONS if not (ROOT / path).is_file() or not unnamed(tree(ROOT / path))]
    assert not idle, f"{idle} need no exception any more. Cure: remove their line from EXCEPTIONS."


def test_an_unnamed_argument_would_be_found() -> None:
    assert unnamed(ast.parse("def f(rooms: Any, *, n: int, book: 'Any' = 0) -> int: ...")) == [(1, "f(rooms)")]


@pytest.mark.parametrize(("module", "stated"), CLASSES, ids=lambda one: one.__name__)
def test_a_record_has_the_fields_of_its_layout(module: ModuleType, stated: type) -> None:
    name_of_record = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stated.__name__.removesuffix("Record")).upper()
    (record,) = [one for one in RECORDS_OF[module] if one.name == name_of_record]
    wanted = {field.name: "float" if field.kind == "<f8" else "int" for field in record.fields}
    assert list(stated.__annotations__.items()) == list(wanted.items()), (
        f"{stated.__name__} is not {record.name}. Cure: its fields are\n" + "\n".join(f"    {field}: {kind}" for field, kind in wanted.items())
    )


@pytest.mark.parametrize(("stated", "owner"), [(arrays.EngineState, EngineState), (arrays.LineState, Line)])
def test_the_states_have_the_arrays_that_are_allocated(stated: type, owner: type) -> None:
    assert list(stated.__annotations__) == list(owner._fields), f"Cure: bring arrays.{stated.__name__} to the fields of {owner.__module__}."  # type: ignore[attr-defined]
