"""The closure of imports: every way to write an import leads to its file, and what is not ours is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from hftkit.compilation import import_closure
from hftkit.compilation.import_closure import ROOT, digest, sources


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def names(folder: Path, module: str) -> set[str]:
    found = sources(folder / f"{module.replace('.', '/')}.py", module)
    return {path.relative_to(folder).as_posix() for path in found if path.is_relative_to(folder)}


@pytest.mark.parametrize(
    "statement",
    [
        "import pack.inner",
        "import os, pack.inner as other  # and more",
        "from pack import inner",
        "from pack import (\n    outer,  # first\n    inner,\n)",
        "from pack.inner import CONSTANT",
        "from . import inner",
        "from .inner import CONSTANT",
        "if True:\n    from pack.inner import CONSTANT",
        "def late():\n    import pack.inner",
        "from pack import outer",  # outer imports it
    ],
)
def test_every_form_of_import_leads_there(tmp_path: Path, statement: str) -> None:
    write(tmp_path, pack__inner="CONSTANT = 1", pack__outer="from pack.inner import CONSTANT", pack__user=statement)
    (tmp_path / "pack" / "__init__.py").write_text("")
    assert {"pack/user.py", "pack/inner.py", "pack/__init__.py"} - names(tmp_path, "pack.user") <= {"pack/__init__.py"}
    assert "pack/inner.py" in names(tmp_path, "pack.user")


def test_what_a_package_runs_when_it_is_imported_counts(tmp_path: Path) -> None:
    write(tmp_path, pack__hidden="VALUE = 2", pack__user="from pack.inner import CONSTANT", pack__inner="CONSTANT = 1")
    (tmp_path / "pack" / "__init__.py").write_text("from pack import hidden")
    assert names(tmp_path, "pack.user") == {"pack/__init__.py", "pack/hidden.py", "pack/inner.py", "pack/user.py"}


def test_a_script_and_the_modules_beside_it(tmp_path: Path) -> None:
    write(tmp_path, strategy="import helper\nimport numpy", helper="from hftkit.layout import PROTOCOL_VERSION")
    found = sources(tmp_path / "strategy.py", "strategy")
    assert {tmp_path / "strategy.py", tmp_path / "helper.py", ROOT / "hftkit" / "layout.py"} <= set(found)
    assert not [path for path in found if "numpy" in path.parts]


def test_one_byte_anywhere_below_changes_the_digest(tmp_path: Path) -> None:
    write(tmp_path, top="import middle", middle="import bottom", bottom="A = 1", aside="B = 1")

    def now() -> str:
        for cached in (digest, sources, import_closure._read, import_closure._files_of):
            cached.cache_clear()
        return digest(tmp_path / "top.py", "top")

    first = now()
    write(tmp_path, aside="B = 2")
    assert now() == first
    write(tmp_path, bottom="A = 2")
    assert now() != first


def test_a_circle_ends(tmp_path: Path) -> None:
    write(tmp_path, one="import two", two="import one")
    assert names(tmp_path, "one") == {"one.py", "two.py"}


def test_the_closure_of_a_real_kernel_holds_what_it_imports_at_run_time() -> None:
    """Held against Python itself: each module of ours that importing the kernel module brings into a fresh interpreter."""
    import json
    import subprocess
    import sys

    code = (
        "import sys, json, hftkit.kernels.step; "
        "print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in ('hftkit', 'live', 'research') and m.__file__]))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    policy = {ROOT / "hftkit" / name for name in ("errors.py", "__init__.py", "compilation/__init__.py", "system/__init__.py")}
    policy |= {ROOT / "hftkit" / name for name in ("compilation/kernel_cache.py", "compilation/import_closure.py", "system/private_files.py")}
    assert {Path(path) for path in loaded} - policy <= set(sources(ROOT / "hftkit" / "kernels" / "step.py", "hftkit.kernels.step"))


def test_a_public_name_leads_to_the_module_that_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from hftkit import (\n    SignalReason,\n    Strategy,\n)\n")
    found = {path.relative_to(ROOT).as_posix() for path in sources(tmp_path / "mine.py", "mine") if path.is_relative_to(ROOT)}
    assert {"hftkit/codes.py", "hftkit/strategies/__init__.py"} <= found
    assert "hftkit/__init__.py" not in found
