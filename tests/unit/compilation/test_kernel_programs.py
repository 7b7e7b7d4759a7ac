"""Pieces and programs: what several programs call is compiled once, and what lies damaged or missing is compiled again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KERNELS = """
import numpy as np
from hftkit.kernels.jit import allocating_kernel, inner_kernel, kernel

LARGE = np.arange(300_000)  # numba does not copy it into the code: it writes down its address

@inner_kernel
def squared(x):
    return x * x

@kernel
def norm(x, y):
    return squared(x) + squared(y)

@kernel
def first(x):
    return norm(x, 1) + 1

@kernel
def second(x):
    return norm(x, 2) + 2

@kernel
def large(i):
    return LARGE[i]

@kernel
def above_large(i):
    return large(i) + 1

@allocating_kernel
def doubled(values):
    return np.concatenate((values, values))

@allocating_kernel
def total(values):
    return doubled(values).sum() + norm(1, 2)
"""
RUN = """
import json, sys
import numpy as np
import mine
values = {"first": mine.first(3), "second": mine.second(3), "norm": mine.norm(3, 4)}
values |= {"large": mine.above_large(7), "total": mine.total(np.arange(4))}
compiled = {name: sum(getattr(mine, name).stats.cache_misses.values()) for name in ("first", "second", "norm", "above_large", "total")}
faces = {name: getattr(mine, name) for name in ("squared", "norm", "doubled")}
pieces = {name: sum(getattr(face, "piece", face).stats.cache_misses.values()) for name, face in faces.items()}
print(json.dumps({"values": {k: int(v) for k, v in values.items()}, "compiled": compiled, "pieces": pieces}))
"""
VALUES = {"first": 11, "second": 15, "norm": 25, "large": 8, "total": 17}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(KERNELS)
    return tmp_path


def run(folder: Path) -> dict[str, dict[str, int]]:
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "HFTKIT_CACHE": str(folder / "cache"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=True)
    result: dict[str, dict[str, int]] = json.loads(done.stdout)
    return result


def test_a_piece_is_compiled_once_for_all_programs_and_a_second_process_compiles_nothing(folder: Path) -> None:
    cold = run(folder)
    assert cold["values"] == VALUES
    assert cold["pieces"] == {"squared": 1, "norm": 1, "doubled": 1}
    warm = run(folder)
    assert warm["values"] == VALUES
    assert {name: n for name, n in warm["compiled"].items() if n} == {"above_large": 1}  # holds an address of its own process
    assert warm["pieces"] == {"squared": 0, "norm": 0, "doubled": 0}


def test_an_edited_program_finds_the_pieces_of_modules_that_stayed(folder: Path) -> None:
    (folder / "below.py").write_text("from hftkit.kernels.jit import kernel\n@kernel\ndef inc(x):\n    return x + 1\n")
    (folder / "mine.py").write_text(
        KERNELS.replace("import numpy as np", "import numpy as np\nfrom below import inc", 1).replace("+ 1\n", "+ inc(0)\n", 1)
    )
    assert run(folder)["values"] == VALUES
    text = (folder / "mine.py").read_text()
    (folder / "mine.py").write_text(text.replace("norm(x, 1) +", "10 + norm(x, 1) +"))
    code = "import below, mine; print(mine.first(3), below.inc.piece.stats.cache_hits.total(), below.inc.piece.stats.cache_misses.total())"
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "HFTKIT_CACHE": str(folder / "cache")}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout == "21 1 0\n"


@pytest.mark.parametrize("harm", ["missing", "empty", "cut", "changed"])
def test_parts_that_are_missing_or_damaged_are_compiled_again(folder: Path, harm: str) -> None:
    run(folder)
    parts = sorted((folder / "cache").rglob("*.bc"))
    assert parts
    for part in parts:
        text = part.read_bytes()
        if harm == "missing":
            part.unlink()
        else:
            part.write_bytes({"empty": b"", "cut": text[: len(text) // 2], "changed": text[:-1] + bytes([text[-1] ^ 1])}[harm])
    for program in (folder / "cache").rglob("first-*.nb?"):
        program.unlink()  # so that it must be made of its pieces again
    again = run(folder)
    assert again["values"] == VALUES
    assert (again["pieces"]["norm"], again["compiled"]["first"], again["compiled"]["second"]) == (1, 1, 0)
    for program in (folder / "cache").rglob("first-*.nb?"):
        program.unlink()
    healed = run(folder)
    assert (healed["values"], healed["pieces"]["norm"], healed["compiled"]["first"]) == (VALUES, 0, 1)
