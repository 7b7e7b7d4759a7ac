"""Frozen files of earlier versions still load, trade and show: a file outlives the code that wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hftkit.params.format import load
from hftkit.params.text import describe
from hftkit.strategies.pairs import pack_params, pack_state

FILES = sorted((Path(__file__).parent / "frozen").glob("*.json"))


def test_there_are_old_files() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_old_file_is_read_as_it_was_meant(path: Path) -> None:
    frozen = load(path)
    assert frozen.digest.startswith(path.stem.split("-")[-1])
    assert pack_params(frozen).size > 0
    assert pack_state(frozen).size > 0
    text = describe(frozen)
    assert "42 ordered pairs of 7 symbols tested" in text
    assert "out of sample" in text
    assert "confidence" not in text  # what the file does not hold is not made up


def test_the_first_form_of_provenance_keeps_its_figures() -> None:
    """Written at schema 1 before provenance held bands, seeds and library versions."""
    frozen = load(Path(__file__).parent / "frozen" / "pairs-a1usdt-b1usdt-33f58952b138.json")
    assert (frozen.legs.lead, frozen.legs.hedge, frozen.parameters["window"]) == ("A1USDT", "B1USDT", 60)
    assert set(frozen.provenance["code"]) == {"hftkit", "kernels_sha256"}
