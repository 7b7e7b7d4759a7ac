"""A field of a shared record that is named in text exists: the type checker cannot see `rooms.orders["ts_ack"]`, and a renamed field would only be
found by the session that needs it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from hftkit import layout
from tests.structure.sources import name as place_of
from tests.structure.sources import python_files, tree

RECORD_OF = {
    "instruments": layout.INSTRUMENT, "event": layout.EVENT, "book": layout.BOOK, "signal": layout.SIGNAL, "legs": layout.LEGS, "want": layout.WANT,
    "allowed": layout.ALLOWED, "orders": layout.ORDER, "open_qty": layout.OPEN, "ledger": layout.LEDGER, "limit": layout.LIMIT, "risk": layout.RISK,
    "session": layout.SESSION,
}  # fmt: skip
SHELLS = [path for path in python_files("live", "hftkit") if "exchange" not in path.parts]


def record_of(node: ast.expr, names: dict[str, str]) -> str | None:
    """The room an expression reads: `rooms.orders`, an element or a copy of it, or a name that was given one of these."""
    while True:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute | ast.Call) and node.attr in RECORD_OF:
            return node.attr
        if isinstance(node, ast.Name):
            return names.get(node.id)
        if isinstance(node, ast.Subscript):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                return None
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "copy":
            node = node.func.value
        else:
            return None


def named_fields(function: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, room, field) of each field named in text within a function."""
    names: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            pairs = [(node.targets[0], node.value)]
            if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(node.targets[0].elts, node.value.elts, strict=False))
            for target, value in pairs:
                if isinstance(target, ast.Name) and (room := record_of(value, names)):
                    names[target.id] = room
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            room = record_of(node.value, names)
            if room:
                yield node.lineno, room, node.slice.value


def all_named() -> list[tuple[str, str, str]]:
    """(place, room, field) over all shells."""
    found = []
    for path in SHELLS:
        for function in ast.walk(tree(path)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found += [(f"{place_of(path)}:{line}", room, name) for line, room, name in named_fields(function)]
    return found


def test_fields_named_in_text_exist() -> None:
    named = all_named()
    assert len(named) > 100  # the walk still sees them
    wrong = sorted({f"{place}: {room} has no field {name!r}" for place, room, name in named if name not in RECORD_OF[room].dtype.names})
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("line", ["rooms.orders['cancel_sent']", "rooms.orders[0]['cancel_sent']", "o = rooms.orders.copy(); o['cancel_sent']"])
def test_a_field_that_is_gone_would_be_found(line: str) -> None:
    function = ast.parse(f"def f(rooms):\n    {line}").body[0]
    assert [(room, name) for _, room, name in named_fields(function)] == [("orders", "cancel_sent")]
