"""Committed notebooks: executed in order, without errors, without a machine's paths, small, each ending with asserts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(?<![\w.~<])/(home|root|Users|work|tmp|usr|opt|var|private)/[\w.-]+")
MAX_BYTES = 1_500_000
MAX_PICTURE_BYTES = 250_000
CURE = "Cure: repair the cell, then `make notebooks`."


def pieces(output: Any) -> dict[str, str]:
    """Text of an output by kind."""
    if output.output_type == "stream":
        return {output.name: output.text}
    return {kind: value if isinstance(value, str) else json.dumps(value) for kind, value in output.get("data", {}).items()}


def faults(book: Any) -> list[str]:
    """What a notebook may not be committed with."""
    found: list[str] = []
    counts = []
    for number, cell in enumerate(book.cells, 1):
        where = f"cell {number}"
        if MACHINE_PATH.search(cell.source):
            found.append(f"{where} names the path {MACHINE_PATH.search(cell.source)[0]}")  # type: ignore[index]
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        counts.append(cell.execution_count)
        if set(cell.metadata) - {"tags"}:
            found.append(f"{where} has the metadata {sorted(cell.metadata)}")
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"{where} ended in {output.ename}: {output.evalue[:80]}")
                continue
            for kind, text in pieces(output).items():
                if kind.startswith("image/"):
                    if len(text) * 3 / 4 > MAX_PICTURE_BYTES:
                        found.append(f"{where} has a picture of {len(text) * 3 // 4:,} bytes")
                elif path := MACHINE_PATH.search(text):
                    found.append(f"{where} shows the path {path[0]}")
                elif "Traceback (most recent call last)" in text:
                    found.append(f"{where} shows a traceback")
                elif kind == "stderr" and "Warning" in text:
                    found.append(f"{where} shows a warning: {text[:80]!r}")
    if counts != list(range(1, len(counts) + 1)):
        found.append(f"cells were executed in the order {counts}, not 1 to {len(counts)}")
    if "widgets" in book.metadata:
        found.append("widget state is stored")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_fit_to_be_committed(path: Path) -> None:
    found = faults(nbformat.read(path, as_version=4))
    if path.stat().st_size > MAX_BYTES:
        found.append(f"it has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}")
    assert not found, f"{path.name}:\n  " + "\n  ".join(found) + f"\n{CURE}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_opens_with_a_title_and_closes_with_asserts(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.source.strip()]
    assert cells[0].cell_type == "markdown", "the first cell says what the chapter shows"
    assert cells[0].source.startswith("# "), "the first cell is the title"
    last = [cell for cell in cells if cell.cell_type == "code"][-1]
    assert re.search(r"^assert ", last.source, re.MULTILINE), "the last code cell asserts what the chapter showed"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_defines_nothing_that_belongs_in_a_package(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert not re.search(r"^(def|class|async def) ", cell.source, re.MULTILINE), f"Cure: move it to a package:\n{cell.source}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_in_the_reading_order(path: Path) -> None:
    readme = (ROOT / "notebooks" / "README.md").read_text()
    assert f"]({path.name})" in readme, f"Cure: give {path.name} a row in notebooks/README.md"


def notebook(source: str = "1 + 1", count: int | None = 1, outputs: list[Any] | None = None, **metadata: Any) -> Any:
    cell = nbformat.v4.new_code_cell(source, execution_count=count, outputs=[nbformat.from_dict(o) for o in outputs or []], metadata=metadata)
    return nbformat.v4.new_notebook(cells=[cell])


@pytest.mark.parametrize(
    ("book", "fault"),
    [
        (notebook(count=2), "executed in the order"),
        (notebook(count=None), "executed in the order"),
        (notebook(outputs=[{"output_type": "error", "ename": "ValueError", "evalue": "x", "traceback": []}]), "ended in ValueError"),
        (notebook("open('/usr/prices.csv')"), "names the path /usr/prices.csv"),
        (notebook(outputs=[{"output_type": "stream", "name": "stdout", "text": "wrote /tmp/x.json\n"}]), "shows the path /tmp/x.json"),
        (notebook(outputs=[{"output_type": "display_data", "data": {"text/html": "<a href='/usr/x'>"}, "metadata": {}}]), "shows the path /usr/x"),
        (notebook(outputs=[{"output_type": "stream", "name": "stderr", "text": "FutureWarning: old"}]), "shows a warning"),
        (notebook(outputs=[{"output_type": "display_data", "data": {"image/png": "A" * 400_000}, "metadata": {}}]), "picture of 300,000 bytes"),
        (notebook(execution={"iopub.status.busy": "now"}), "has the metadata"),
    ],
)
def test_each_fault_is_found(book: Any, fault: str) -> None:
    assert [line for line in faults(book) if fault in line]


def test_a_clean_notebook_has_no_fault() -> None:
    assert (
        faults(notebook("print(1/3, './data', 'https://a.b/home/x')", outputs=[{"output_type": "stream", "name": "stdout", "text": "1/tmp/x\n"}]))
        == []
    )
