"""Rules for all code: one reader of time, integers for prices, tests that do not sleep, files of one subject."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from hftkit import layout, units
from hftkit.errors import UnitError
from tests.structure.sources import PACKAGES, calls, imports, name, python_files, report, tree

LONG = 450
CLOCK_READERS = ("hftkit/clock.py", "hftkit/system/syscalls.py")
CLOCKS = {
    *(f"time.{call}{ns}" for call in ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime") for ns in ("", "_ns")),
    *("time.localtime", "time.gmtime", "time.strftime"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"),
    *("pd.Timestamp.now", "pd.Timestamp.utcnow", "pandas.Timestamp.now"),
}
INTEGER_UNITS = ("tick", "lot", "1e-8", "ns", "count", "index", "id")


def test_one_reader_of_time() -> None:
    violations = [
        f"{name(path)}:{line} calls {called}"
        for path in python_files(*PACKAGES)
        if name(path) not in CLOCK_READERS
        for called, line in calls(ast.parse(path.read_text(encoding="utf-8")))
        if called in CLOCKS
    ]
    violations += [
        f"{name(path)}:{line} imports {module}"
        for path in python_files(*PACKAGES)
        if name(path) not in CLOCK_READERS
        for module, line in imports(path)
        if module in CLOCKS
    ]
    assert not violations, report(violations, "Cure: call hftkit.clock, or better: take the time as an argument.")


def test_a_float_never_becomes_a_price() -> None:
    for value in (0.1, 1.0, np.float64(2.5), float("nan")):
        with pytest.raises(UnitError, match="float"):
            units.decimal(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("record", layout.RECORDS, ids=lambda record: record.name)
def test_every_record_field_has_a_unit_and_a_meaning(record: layout.Record) -> None:
    assert record.writer, f"{record.name} names no writer. Cure: name the one room that may write it."
    assert record.doc, f"{record.name} has no doc"
    for field in record.fields:
        missing = [what for what in ("unit", "doc") if not getattr(field, what)]
        assert not missing, f"{record.name}.{field.name} has no {missing}. Cure: fill it in, in hftkit/layout.py."


@pytest.mark.parametrize("record", layout.RECORDS, ids=lambda record: record.name)
def test_prices_quantities_money_and_times_are_int64(record: layout.Record) -> None:
    wrong = [f"{record.name}.{field.name}" for field in record.fields if field.unit.startswith(INTEGER_UNITS) and field.kind != "<i8"]
    assert not wrong, f"{wrong} must be int64. Cure: floats are for statistics; prices are ticks, quantities lots, money 1e-8, time ns."


@pytest.mark.parametrize("frame", layout.FRAMES, ids=lambda frame: frame.name)
def test_every_wire_field_is_one_integer_word_with_a_unit(frame: layout.Frame) -> None:
    for field in frame.fields:
        assert (field.kind, field.count) == ("<i8", 1), f"{frame.name}.{field.name}: the wire carries int64 words only"
        assert field.unit, f"{frame.name}.{field.name} has no unit"


def test_long_files_say_why() -> None:
    violations: list[str] = []
    for path in python_files(*PACKAGES, "tests"):
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LONG and "Long because" not in (ast.get_docstring(ast.parse(text)) or ""):
            violations.append(f"{name(path)} has {text.count(chr(10))} lines")
    assert not violations, report(violations, f"Cure: split it by subject, or say 'Long because ...' in its docstring (limit {LONG}).")


def test_tests_do_not_sleep() -> None:
    violations = [
        f"{name(path)}:{node.lineno}"
        for path in python_files("tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) in {"sleep", "wait_for_timeout"}
    ]
    assert not violations, report(violations, "Cure: wait for the condition itself (a file, an event, a socket), or own the clock.")


def test_nothing_is_probed_for() -> None:
    """What an object has not yet is None, a flag of its life cycle, or another class: a misspelt name in `hasattr` is just False for ever."""
    violations = [
        f"{name(path)}:{line}" for path in python_files(*PACKAGES) for called, line in calls(tree(path)) if called in {"hasattr", "builtins.hasattr"}
    ]
    assert not violations, report(violations, "Cure: set the attribute in __init__ (None until it is there), or ask isinstance.")


def test_no_unfinished_work_is_committed() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    violations = [
        f"{name(path)}:{number} {mark}"
        for path in python_files(*PACKAGES, "tests")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for mark in marks
        if mark in line
    ]
    assert not violations, report(violations, "Cure: finish it, or write it down as an issue.")
