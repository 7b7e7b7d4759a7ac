"""Hostile journals with fitting checksums: no crash of the interpreter, no hang, one line for whatever is refused. In a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def campaign(seed: int, count: int, folder: Path) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.journal_fuzz", str(seed), str(count), str(folder / "journal")]
    with open(folder / "numbers", "w+") as numbers:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=numbers, text=True, check=False)
        numbers.seek(0)
        last = "\n".join(numbers.read().splitlines()[-12:])
    assert done.returncode == 0, f"status {done.returncode}; last words: {last}"
    return dict(json.loads(done.stdout))


def test_hostile_journals(tmp_path: Path) -> None:
    found = campaign(0, 1_000, tmp_path)
    assert sum(found.values()) == 1_000
    assert found["refused"] > 150, "the readers see what does not fit"
    assert found["differs"] > 150, "and the step is run over much of it"


@pytest.mark.slow
def test_a_hundred_thousand_hostile_journals(tmp_path: Path) -> None:
    assert sum(campaign(1_000_000, 100_000, tmp_path).values()) == 100_000
