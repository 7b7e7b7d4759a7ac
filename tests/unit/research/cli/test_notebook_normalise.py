"""What a notebook is committed with does not depend on the machine or the moment."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image

from research.cli.notebook_normalise import MAX_PICTURE_WIDTH, WIDGET, normalise, small_picture, text_without_machine


def png(width: int, height: int) -> str:
    target = io.BytesIO()
    Image.effect_noise((width, height), 50).convert("RGBA").save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()


def executed(tmp_path: Path, moment: str) -> Any:
    cell = nbformat.v4.new_code_cell("x", execution_count=1, metadata={"execution": {"started": moment}, "tags": ["slow"]})
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text="one\n"),
        nbformat.v4.new_output("stream", name="stdout", text=f"wrote {tmp_path}/data/run.json\n"),
        nbformat.v4.new_output("stream", name="stderr", text="\r 10%\r 100%\r"),
        nbformat.v4.new_output("display_data", {"text/plain": f"<Axes at 0x7f{moment}ab10>", "image/png": png(64, 48)}, metadata={"needs": moment}),
        nbformat.v4.new_output("display_data", {WIDGET: {"model_id": moment}, "text/html": "<b>static</b>", "text/plain": "Panel()"}),
        nbformat.v4.new_output("display_data", {"text/plain": "<Figure size 640x480 with 1 Axes>"}),
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T"), cell], metadata={"widgets": {"state": moment}})


def test_two_executions_give_the_same_file(tmp_path: Path) -> None:
    texts = []
    noise = png(64, 48)
    for moment in ("1111", "2222"):
        book = executed(tmp_path, moment)
        book.cells[1].outputs[3].data["image/png"] = noise
        normalise(book, tmp_path)
        nbformat.validate(book)
        texts.append(nbformat.writes(book))
    assert texts[0] == texts[1]


def test_what_a_reader_sees_is_kept(tmp_path: Path) -> None:
    book = executed(tmp_path, "1111")
    normalise(book, tmp_path)
    cell = book.cells[1]
    assert cell.metadata == {"tags": ["slow"]}
    assert cell.execution_count == 1
    stream, picture, panel = cell.outputs
    assert stream.text == "one\nwrote data/run.json\n"
    assert set(picture.data) == {"image/png"}
    assert set(panel.data) == {"text/html", "text/plain"}


def test_an_error_is_not_hidden(tmp_path: Path) -> None:
    book = executed(tmp_path, "1111")
    book.cells[1].outputs.append(nbformat.v4.new_output("error", ename="ValueError", evalue="x", traceback=["x"]))
    normalise(book, tmp_path)
    assert book.cells[1].outputs[-1].output_type == "error"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("{root}/data/x", "data/x"),
        ("in {root}", "in ."),
        ("{home}/notes", "~/notes"),
        ("<A at 0x7f12ab34cd56>", "<A at 0x...>"),
        ("0x1f", "0x1f"),
    ],
)
def test_the_machine_is_taken_out_of_text(tmp_path: Path, text: str, clean: str) -> None:
    assert text_without_machine(text.format(root=tmp_path, home=Path.home()), tmp_path) == clean


def test_a_large_picture_becomes_small_and_stays_a_picture() -> None:
    before = png(2200, 400)
    after = small_picture(before)
    assert len(after) < len(before) / 3
    picture = Image.open(io.BytesIO(base64.b64decode(after)))
    assert picture.size == (MAX_PICTURE_WIDTH, 200)
