"""Shared state has one owner: a class of the live side that keeps a container says whose it is, and one that is shared is written as it says.

Owner: THREAD          one thread alone changes and reads it (others may take a reference to what is never changed)
Shared: lock           every attribute that changes is touched under `with self._lock`, in methods; `*_locked` methods are called under it
Shared: handed over    nothing is changed in place: attributes are bound to new values, which readers take as a whole
"""

from __future__ import annotations

import ast
import re

import pytest

from tests.structure.sources import name, python_files, report, tree

OTHER_PROCESSES = ("live/panels/", "live/benchmarks/", "live/record")  # one thread each
MAKES_CONTAINER = {"deque", "dict", "list", "set", "defaultdict", "OrderedDict", "Counter", "bytearray"}
CHANGES = {
    *("append", "appendleft", "extend", "insert", "pop", "popleft", "popitem", "remove", "clear", "update", "setdefault", "add", "discard"),
    *("sort", "reverse", "rotate", "__setitem__"),
}
THREAD_SAFE = re.compile(r"Lock$|RLock$|Event$|SimpleQueue$|Queue$|Condition$|Semaphore$")


def of_self(node: ast.AST) -> str:
    """The attribute's name if the node is `self.name`."""
    return node.attr if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self" else ""


def called(node: ast.AST) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Subscript):
        function = function.value
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def is_container(value: ast.AST | None) -> bool:
    if isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)):
        return True
    return isinstance(value, ast.Call) and called(value) in MAKES_CONTAINER


def made(function: ast.FunctionDef) -> dict[str, ast.AST | None]:
    """Attributes that a method binds, with their values where they stand one by one."""
    found: dict[str, ast.AST | None] = {}
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign)) else []
        value = getattr(node, "value", None)
        for target in targets:
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple):
                values = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else [None] * len(target.elts)
                pairs = list(zip(target.elts, values, strict=True))
            for one, what in pairs:
                if attribute := of_self(one):
                    found.setdefault(attribute, what)
    return found


def methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [item for item in node.body if isinstance(item, ast.FunctionDef)]


def violations(module: ast.Module, where: str) -> list[str]:
    """What breaks the rule in one file."""
    found = []
    for node in (item for item in ast.walk(module) if isinstance(item, ast.ClassDef)):
        start = next((method for method in methods(node) if method.name == "__init__"), None)
        if start is None:
            continue
        doc, born = ast.get_docstring(node) or "", made(start)
        containers = {attribute for attribute, value in born.items() if is_container(value)}
        place = f"{where}:{node.lineno} {node.name}"
        if containers and "Owner:" not in doc and "Shared:" not in doc:
            found.append(f"{place} keeps {', '.join(sorted(containers))} and does not say whose it is")
        if "Shared: lock" in doc:
            found += _outside_lock(node, born, containers, place)
        elif "Shared: handed over" in doc:
            found += _changed_in_place(node, place) + [f"{place} keeps the container {attribute}" for attribute in sorted(containers)]
    return found


def _outside_lock(node: ast.ClassDef, born: dict[str, ast.AST | None], containers: set[str], place: str) -> list[str]:
    safe = {attribute for attribute, value in born.items() if value is not None and THREAD_SAFE.search(called(value))}
    if "_lock" not in safe:
        return [f"{place} has no self._lock"]
    later = {attribute for method in methods(node) if method.name != "__init__" for attribute in made(method)}
    guarded = (later | containers) - safe
    names = {method.name for method in methods(node)}
    found = []
    for method in methods(node):
        if method.name == "__init__" or method.name.endswith("_locked"):
            continue
        for attribute, line in _bare(method, guarded | {other for other in names if other.endswith("_locked")}):
            found.append(f"{place}.{method.name} touches self.{attribute} outside its lock (line {line})")
    return found


def _bare(node: ast.AST, guarded: set[str]) -> list[tuple[str, int]]:
    """Attributes touched under a node, but for what stands in `with self._lock`."""
    if isinstance(node, ast.With) and any(of_self(item.context_expr) == "_lock" for item in node.items):
        return []
    found = [(of_self(node), node.lineno)] if of_self(node) in guarded else []
    return found + [touched for child in ast.iter_child_nodes(node) for touched in _bare(child, guarded)]


def _changed_in_place(node: ast.ClassDef, place: str) -> list[str]:
    found = []
    for method in methods(node):
        for inner in ast.walk(method):
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr in CHANGES and of_self(inner.func.value):
                found.append(f"{place}.{method.name} changes self.{of_self(inner.func.value)} in place (line {inner.lineno})")
            targets = inner.targets if isinstance(inner, (ast.Assign, ast.Delete)) else [inner.target] if isinstance(inner, ast.AugAssign) else []
            for target in targets:
                if isinstance(target, ast.Subscript) and of_self(target.value):
                    found.append(f"{place}.{method.name} changes self.{of_self(target.value)} in place (line {inner.lineno})")
    return found


def test_every_container_of_the_live_side_says_whose_it_is_and_shared_ones_keep_their_word() -> None:
    found = []
    for path in python_files("live"):
        if not name(path).startswith(OTHER_PROCESSES):
            found += violations(tree(path), name(path))
    found += violations(tree(next(path for path in python_files("hftkit") if name(path) == "hftkit/session/journal.py")), "hftkit/session/journal.py")
    cure = "Cure: say `Owner: ...` or `Shared: lock` or `Shared: handed over` in the class's docstring, and keep to it (live/README.md)."
    assert not found, report(found, cure)


SILENT = "class A:\n    def __init__(self):\n        self.seen = deque()\n"
BARE = '''class A:
    """Shared: lock."""
    def __init__(self):
        self._lock, self.seen, self.n = threading.Lock(), deque(), 0
    def add(self, x):
        with self._lock:
            self.seen.append(x)
            self.n += 1
    def best(self):
        return {BEST}
'''
IN_PLACE = '''class A:
    """Shared: handed over."""
    def __init__(self):
        self.seen = ()
    def add(self, x):
        {ADD}
'''


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (SILENT, "does not say whose"),
        (BARE.format(BEST="min(self.seen)"), "touches self.seen outside"),
        (BARE.format(BEST="self.n"), "touches self.n outside"),
        (BARE.format(BEST="[x for x in self.seen]"), "touches self.seen outside"),
        (BARE.replace("_lock, ", "_key, ").format(BEST="0"), "no self._lock"),
        (IN_PLACE.format(ADD="self.seen.append(x)"), "in place"),
        (IN_PLACE.format(ADD="self.seen[0] = x"), "in place"),
        (IN_PLACE.replace("= ()", "= []").format(ADD="pass"), "keeps the container"),
    ],
)
def test_the_rule_finds_what_breaks_it(source: str, what: str) -> None:
    assert any(what in line for line in violations(ast.parse(source), "sample"))


@pytest.mark.parametrize("source", [BARE.format(BEST="0"), IN_PLACE.format(ADD="self.seen = (*self.seen, x)"), SILENT.replace("deque()", "()")])
def test_the_rule_passes_what_keeps_it(source: str) -> None:
    assert violations(ast.parse(source), "sample") == []
