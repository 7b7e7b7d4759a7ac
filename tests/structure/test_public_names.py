"""The public names of hftkit, research and live: listed once, real, described; notebooks, examples and documents import nothing else."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure.sources import PACKAGES, ROOT, name, report

KERNELS = "hftkit.kernels"  # what strategies of one's own are made of (docs/own-strategy.md)


def declared(package: str) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Of a package's `__init__.py`: what `_PUBLIC` says, what the type checker is told, `__all__`."""
    body = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8")).body
    assigned = {target.id: node.value for node in body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}
    told: dict[str, str] = {}
    for node in ast.walk(next(node for node in body if isinstance(node, ast.If))):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                told[str(alias.asname)] = f"{node.module}:{alias.name}"
    return ast.literal_eval(assigned["_PUBLIC"]), told, ast.literal_eval(assigned["__all__"])


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_names_are_listed_alike(package: str) -> None:
    public, told, names = declared(package)
    places = {key: where if ":" in where else ":".join(where.rsplit(".", 1)) for key, where in public.items()}
    assert places == told, "Cure: the same line in _PUBLIC and under TYPE_CHECKING."
    assert sorted(names) == sorted(public), "Cure: __all__ lists the keys of _PUBLIC."


@pytest.mark.parametrize("package", PACKAGES)
def test_each_public_name_is_there_and_described(package: str) -> None:
    module = importlib.import_module(package)
    public, _, names = declared(package)
    for one in names:
        found = getattr(module, one)
        assert type(found).__module__.split(".")[0] != "numba", f"{package}.{one} is a kernel: kernels are imported from their modules"
        if callable(found):
            assert (found.__doc__ or "").strip(), f"{package}.{one} ({public[one]}) has no docstring"
    with pytest.raises(AttributeError, match="no public name 'nonsense'"):
        module.nonsense  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_imports_nothing_else(package: str) -> None:
    code = f"import {package}, sys; print(sorted(m for m in sys.modules if m.split('.')[0] in {(*PACKAGES, 'numpy', 'pandas', 'numba')!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['{package}']"


def python_in(path: Path) -> Iterator[str]:
    """The Python that a notebook, a document or a script holds."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        yield from ("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    elif path.suffix == ".md":
        yield text
    else:
        yield text


def readers() -> list[Path]:
    found = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "examples").rglob("*.py")]
    return sorted(found)


@pytest.mark.parametrize("path", readers(), ids=name)
def test_readers_import_public_names_only(path: Path) -> None:
    names = {package: set(declared(package)[2]) for package in PACKAGES}
    violations: list[str] = []
    for text in python_in(path):
        for module, imported in re.findall(rf"^ *from ((?:{'|'.join(PACKAGES)})[\w.]*) import (\([^)]*\)|[^\n#]+)", text, re.MULTILINE):
            if module.startswith(KERNELS):
                continue
            wanted = [one.split(" as ")[0].strip() for one in imported.strip("()").replace("\n", ",").split(",") if one.strip()]
            violations += [f"from {module} import {one}" for one in wanted if module not in names or one not in names[module]]
    assert not violations, report(violations, f"Cure: {', '.join(f'{package}.__all__' for package in PACKAGES)} are what others may import.")
