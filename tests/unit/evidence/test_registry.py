"""Rows of the evidence: what holds, what is written, what is recorded."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from hftkit.errors import DataError, HftkitError
from hftkit.evidence.commands import evidence, page
from hftkit.evidence.registry import NotHere, Row, difference, recorded, sources

ROOT = Path(__file__).resolve().parents[3]
GOOD = Row("a figure", "1.0", "1.0", "a table", "1e-6", True, "hftkit evidence")


def test_a_difference_that_is_no_number_does_not_hold() -> None:
    assert difference("x", 1e-9, "s", 1e-8).holds
    assert not difference("x", 1e-7, "s", 1e-8).holds
    assert not difference("x", math.nan, "s", 1e-8).holds


def test_an_unknown_source_is_named_with_those_there_are() -> None:
    with pytest.raises(HftkitError, match="no evidence called nothing") as caught:
        sources(("nothing",))
    assert "statistics" in str(caught.value) + caught.value.cure


def test_recorded_rows_are_checked(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(msgspec.json.encode([GOOD]))
    assert recorded(tmp_path / "r.json") == [GOOD]
    (tmp_path / "r.json").write_text('[{"subject": 1}]')
    with pytest.raises(DataError, match="holds no rows of evidence"):
        recorded(tmp_path / "r.json")


def test_what_does_not_hold_ends_in_an_error_and_stands_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Row("another", "2.0", "1.0", "a table", "1e-6", False, "hftkit evidence")

    def absent() -> list[Row]:
        raise NotHere("no such package")

    monkeypatch.setattr("hftkit.evidence.commands.sources", lambda names: ({"one": lambda: [GOOD, bad], "two": absent}, []))
    run = CliRunner().invoke(evidence, ["--out", str(tmp_path / "page.md"), "--json", str(tmp_path / "rows.json")])
    assert isinstance(run.exception, HftkitError)
    assert "1 of 2 rows do not hold: another" in str(run.exception)
    text = (tmp_path / "page.md").read_text()
    assert "| another | 2.0 | 1.0 | a table | 1e-6 | **no** | `hftkit evidence` |" in text
    assert "two left out: no such package" in text
    assert msgspec.json.decode((tmp_path / "rows.json").read_bytes(), type=list[Row]) == [GOOD, bad]


def test_the_committed_page_has_every_recorded_row_and_all_hold() -> None:
    text = (ROOT / "docs/evidence.md").read_text()
    files = sorted((ROOT / "docs/evidence").glob("*.json"))
    assert files
    for file in files:
        rows = recorded(file)
        assert all(row.holds and row.when for row in rows)
        missing = [line for line in page({file.stem: rows}, []).splitlines() if line.startswith("| ") and line not in text]
        assert not missing, f"docs/evidence.md lacks {missing}: hftkit evidence --recorded docs/evidence --out docs/evidence.md"
    for name in sources(())[0]:
        assert f"## {name.capitalize()}" in text
    assert "**no**" not in text
