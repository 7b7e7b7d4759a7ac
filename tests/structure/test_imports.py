"""Import arrows: research -> hftkit <- live, and a trading path that never meets pandas."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.sources import ROOT, imports, name, python_files, report, tree, within

ARROWS = {
    # package: (what it must not import, why)
    "hftkit": (
        ("research", "live", "pandas", "polars", "statsmodels", "vectorbt", "matplotlib", "plotly", "aiohttp", "websockets", "requests", "httpx"),
        "the core is what both sides agree on: standard library, numpy, numba, validation",
    ),
    "research": (("live", "asyncio"), "research finds, calibrates and freezes; the frozen file is the only bridge to live"),
    "live": (
        ("research", "pandas", "polars", "plotly", "vectorbt", "statsmodels"),
        "live runs what was frozen; a trading host has no research packages",
    ),
}
# Beside a thing it is measured against, a benchmark may import what the thing itself may not.
MAY_COMPARE = ("hftkit/benchmarks/", "live/benchmarks", "research/cli/benchmarks")
SHELLS = ("hftkit/exchange/servers/",)  # they carry bytes: network libraries are their business
NETWORK = ("aiohttp", "websockets")
NOT_WHILE_TRADING = ("pandas", "plotly", "vectorbt", "matplotlib", "statsmodels", "ipywidgets", "IPython", "research")
WATCHERS = ("live.panels", "live.dashboard", "live.benchmarks")  # other processes than the engine

IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys, live
watchers = tuple(sys.argv[1].split(","))
names = [m.name for m in pkgutil.walk_packages(live.__path__, "live.") if not m.name.startswith(watchers) and not m.name.endswith("__main__")]
for module in names:
    importlib.import_module(module)
print(json.dumps({"imported": names, "loaded": sorted({module.split(".")[0] for module in sys.modules})}))
"""


@pytest.mark.parametrize("package", sorted(ARROWS))
def test_import_arrows(package: str) -> None:
    forbidden, why = ARROWS[package]
    violations = sorted(
        {
            f"{name(path)}:{line} imports {module.split('.')[0]}"
            for path in python_files(package)
            for module, line in imports(path)
            if within(module, forbidden) and not name(path).startswith(MAY_COMPARE)
            if not (name(path).startswith(SHELLS) and within(module, NETWORK))
        }
    )
    assert not violations, report(violations, f"Cure: move the code to the package it belongs to; {why}.")


def test_benchmarks_of_the_core_and_live_do_not_cross_over() -> None:
    crossings = {"hftkit": ("research", "live"), "live": ("research",), "research": ("live",)}
    violations = [
        f"{name(path)}:{line} imports {module}"
        for package, forbidden in crossings.items()
        for path in python_files(package)
        for module, line in imports(path)
        if name(path).startswith(MAY_COMPARE) and within(module, forbidden)
    ]
    assert not violations, report(violations, "Cure: a benchmark lives in the package that it measures.")


def test_the_trading_path_loads_no_research_package() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_EVERYTHING, ",".join(WATCHERS)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    met = sorted(set(seen["loaded"]) & set(NOT_WHILE_TRADING))
    assert not met, f"importing {seen['imported']} loads {met}. Cure: find the import with `python -X importtime`, move it out of the trading path."


def test_live_help_starts_without_research_packages() -> None:
    code = (
        "import sys\nfrom hftkit.cli.application import app\n"
        "try:\n    app(['live', '--help'], standalone_mode=False)\nfinally:\n"
        "    print('LOADED', *sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    loaded = set(done.stdout.splitlines()[-1].split()[1:]) if done.stdout else set()
    assert done.returncode == 0, done.stderr
    assert not loaded & set(NOT_WHILE_TRADING), f"`hftkit live` loads {sorted(loaded & set(NOT_WHILE_TRADING))}. Cure: import it where it is used."


WINGS = {  # of research: what each may import beside itself and its own folders
    "data": (),
    "stats": ("data",),
    "pairs": ("data", "stats"),
    "market": ("data", "stats", "pairs"),
    "backtest": ("data", "stats", "pairs"),
    "report": ("data", "stats", "pairs", "market", "backtest"),
    "cli": ("data", "stats", "pairs", "market", "backtest", "report"),
}


def test_wings_of_research() -> None:
    folders = {path.parent.relative_to(ROOT / "research").parts[0] for path in python_files("research") if path.parent != ROOT / "research"}
    assert folders == set(WINGS), "a wing of research without its row in WINGS"
    violations = [
        f"{name(path)}:{line} imports {module}"
        for path in python_files("research")
        if path.parent != ROOT / "research"
        for module, line in imports(path)
        for wing in [path.relative_to(ROOT / "research").parts[0]]
        if module.startswith("research.") and module.split(".")[1] not in (wing, *WINGS[wing])
    ]
    assert not violations, report(violations, "Cure: move the function to the wing it belongs to; research/README.md says which may import which.")


def test_what_every_venue_shares_knows_none() -> None:
    """A venue is a folder of live/venues (or a package of others): what all links need imports no adapter."""
    shared = ("live/link/", "live/account/", "live/ending/", "live/log/", "live/hot_loop.py", "live/engine.py", "live/venue.py", "live/operate/")
    violations = [
        f"{name(path)}:{line} imports {module}"
        for path in python_files("live")
        if name(path).startswith(shared)
        for module, line in imports(path)
        if within(module, ("live.venues", "hftkit.binance", "hftkit.kernels.wire.binance"))
    ]
    assert not violations, report(violations, "Cure: a method of `Adapter` or `Venue` (live/venue.py), or the neutral part into live/link.")


CORE = "hftkit/exchange/core/"
BESIDE_THE_CORE = ("dialects", "servers", "market", "faults", "cli", "trading", "sinks")


def test_the_core_of_the_exchange_knows_no_dialect() -> None:
    violations = [
        f"{name(path)}:{line} imports {module}"
        for path in python_files("hftkit")
        if name(path).startswith(CORE)
        for module, line in imports(path)
        if within(module, tuple(f"hftkit.exchange.{folder}" for folder in BESIDE_THE_CORE))
    ]
    assert not violations, report(violations, "Cure: the core emits records; dialects, servers and markets read them.")


DIALECTS = ("hftkit.exchange.dialects.binary", "hftkit.exchange.dialects.binance")
MEET_DIALECTS = (  # of the exchange: themselves, what carries their bytes, what starts them, and the one place that calls their kernels
    "hftkit/exchange/dialects/",
    "hftkit/exchange/servers/",
    "hftkit/exchange/cli/",
    "hftkit/exchange/sinks.py",
)


def test_dialects_are_of_equal_rank() -> None:
    """Orders, margin, markets and faults are said in nobody's words: a dialect is added without a change there."""
    violations = [
        f"{name(path)}:{line} imports {module}"
        for path in python_files("hftkit")
        if name(path).startswith("hftkit/exchange/") and not name(path).startswith(MEET_DIALECTS)
        for module, line in imports(path)
        if within(module, DIALECTS)
    ]
    assert not violations, report(violations, "Cure: make a record (trading/records.py) or a frame (trading/publication.py); sinks.py hands it on.")


def test_no_dialect_knows_another() -> None:
    violations = [
        f"{name(path)}:{line} imports {module}"
        for path in python_files("hftkit")
        for own in DIALECTS
        if name(path).startswith(own.replace(".", "/") + "/")
        for module, line in imports(path)
        if within(module, tuple(other for other in DIALECTS if other != own))
    ]
    assert not violations, report(violations, "Cure: what two dialects need belongs into core/, trading/ or venue.py.")


def circles(package: str) -> list[str]:
    """Circles of imports that run when a module is loaded, each as `a -> b -> a`."""
    known = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in python_files(package)}
    arrows = {module: {m for m in loaded_with(path) if m in known and m != module} for module, path in known.items()}
    found: list[str] = []
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> None:
        if module in way:
            found.append(" -> ".join([*way[way.index(module) :], module]))
        elif module not in done:
            for nearest in sorted(arrows[module]):
                walk(nearest, [*way, module])
            done.add(module)

    for module in sorted(known):
        walk(module, [])
    return found


def loaded_with(path: Path) -> set[str]:
    """What loading a file imports: not what its functions import when called, nor what only the type checker reads."""
    met: set[str] = set()
    pending: list[ast.AST] = [*tree(path).body]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            continue
        if isinstance(node, ast.Import):
            met |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            met |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        pending += ast.iter_child_nodes(node)
    return met


@pytest.mark.parametrize("package", ["hftkit", "research", "live"])
def test_no_circles(package: str) -> None:
    assert not circles(package), report(circles(package), "Cure: move what both need into a module that needs neither.")


def test_nothing_imports_a_notebook_or_a_test() -> None:
    violations = [
        f"{name(path)}:{line} imports {module}"
        for path in python_files("hftkit", "research", "live")
        for module, line in imports(path)
        if within(module, ("notebooks", "tests"))
    ]
    assert not violations, report(violations, "Cure: what a notebook defines and others need belongs in a package.")
