"""The Python of README.md, executed as it stands."""

from __future__ import annotations

import re

from tests.examples.test_examples import run
from tests.structure.sources import ROOT

BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_ten_lines_find_the_pairs() -> None:
    assert len(BLOCKS) == 1
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 10
    told = run("-c", BLOCKS[0]).splitlines()
    tests, pairs = re.fullmatch(r"(\d+) tests, (\d+) pairs", told[0]).groups()  # type: ignore[union-attr]
    assert (int(tests), int(pairs)) == (12, len(told) - 1)
    tied = {frozenset(re.findall(r"[A-Z]{4}USD", line)) for line in told[1:]}
    assert tied == {frozenset({"ALFAUSD", "BRAVUSD"}), frozenset({"JULIUSD", "KILOUSD"})}  # data/months/truth.json
