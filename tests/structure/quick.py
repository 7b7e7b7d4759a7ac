"""The unit tests of `make check`: those that neither compile an engine nor start a command, and are quick. Prints their files.

An engine is a program of many kernels that `compiled_driver` makes: minutes from an empty cache. Whether a test file can reach one is
read off the imports of everything that it imports (hftkit/compilation/import_closure.py). So a new test is in as soon as it is written.
"""

from __future__ import annotations

import re
from pathlib import Path

from hftkit.compilation.import_closure import sources
from tests.structure.sources import PACKAGES, ROOT, name

ENGINE = "compiled_driver("
COMMAND = re.compile(r"\bsubprocess\b|\bCliRunner\b|\bchild_process\b|\bHFTKIT\b")  # what a command imports is not seen here
SLOW: dict[str, str] = {}


def reaches_an_engine(path: Path) -> str:
    """The first file by which a test file can compile an engine, "" if none."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for source in sources(path, module):
        inside = source.is_relative_to(ROOT) and (name(source).split("/")[0] in PACKAGES or name(source).startswith("tests/"))
        if inside and source.name != "jit.py" and source != Path(__file__) and ENGINE in source.read_text(encoding="utf-8"):
            return name(source)
    return ""


def candidates() -> list[Path]:
    """Unit tests that need no engine and start no command."""
    found = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
    return [path for path in found if not COMMAND.search(path.read_text(encoding="utf-8")) and not reaches_an_engine(path)]


def quick_tests() -> list[str]:
    """Those of them that are quick."""
    return [name(path) for path in candidates() if name(path) not in SLOW]


if __name__ == "__main__":
    print("\n".join(quick_tests()))
