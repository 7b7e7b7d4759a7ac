"""Make an executed notebook fit to be committed: small static pictures, and nothing of the machine or the moment that executed it.

Re-running an unchanged notebook should change only what really differs: so time stamps, widget state, memory addresses, process
paths and the pieces in which output arrived are taken out.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import nbformat

MAX_PICTURE_WIDTH = 1100  # pixels
COLOURS = 96  # of a plot's palette: invisible, and a third of the bytes
WIDGET = "application/vnd.jupyter.widget-view+json"
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
_METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}


def normalise(book: Any, root: Path) -> None:
    """Clean a notebook (nbformat 4) in place. `root`: the project's folder, whose absolute path becomes relative in every output."""
    book.metadata = nbformat.from_dict(_METADATA)
    book.nbformat, book.nbformat_minor = 4, 5
    for number, cell in enumerate(book.cells, 1):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict({key: value for key, value in cell.metadata.items() if key == "tags"})
        if cell.cell_type != "code":
            continue
        cell.outputs = _merged([output for output in cell.outputs if not _is_noise(output)])
        for output in cell.outputs:
            _clean(output, root)


def _is_noise(output: Any) -> bool:
    """Progress bars that were drawn for somebody watching, and figures announced in words beside their picture."""
    if output.output_type == "stream":
        return not output.text.rsplit("\r", 1)[-1].strip()
    data = output.get("data", {})
    return set(data) == {"text/plain"} and str(data["text/plain"]).startswith("<Figure size")


def _merged(outputs: list[Any]) -> list[Any]:
    """Neighbouring pieces of one stream become one: in how many pieces it arrived depends on the machine's load."""
    merged: list[Any] = []
    for output in outputs:
        if merged and output.output_type == "stream" and merged[-1].output_type == "stream" and merged[-1].name == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def _clean(output: Any, root: Path) -> None:
    if output.output_type == "stream":
        lines = [line.rsplit("\r", 1)[-1] for line in output.text.split("\n")]  # what a line finally said
        output.text = text_without_machine("\n".join(lines), root)
        return
    output.get("metadata", {}).clear()
    data = output.get("data", {})
    if WIDGET in data and len(data) > 1:
        del data[WIDGET]  # its state is not kept; the static fallback beside it is what a reader sees
    for kind, value in data.items():
        if kind == "image/png":
            data[kind] = small_picture(value)
        elif isinstance(value, str):
            data[kind] = text_without_machine(value, root)
    if any(kind.startswith("image/") for kind in data):
        data.pop("text/plain", None)


def text_without_machine(text: str, root: Path) -> str:
    """Paths inside the project become relative, the home folder `~`, memory addresses 0x..."""
    project = str(root.resolve())
    text = text.replace(project + "/", "").replace(project, ".")
    home = str(Path.home())
    if home != "/":
        text = text.replace(home + "/", "~/")
    return _ADDRESS.sub("0x...", text)


def small_picture(encoded: str) -> str:
    """A PNG (base64) with at most MAX_PICTURE_WIDTH pixels and COLOURS colours; the picture as it was if that is smaller."""
    from PIL import Image

    raw = base64.b64decode(encoded)
    picture: Any = Image.open(io.BytesIO(raw))
    if picture.width > MAX_PICTURE_WIDTH:
        height = round(picture.height * MAX_PICTURE_WIDTH / picture.width)
        picture = picture.resize((MAX_PICTURE_WIDTH, height), Image.Resampling.LANCZOS)
    flat = Image.new("RGB", picture.size, "white")
    flat.paste(picture, mask=picture.getchannel("A") if picture.mode == "RGBA" else None)
    target = io.BytesIO()
    flat.quantize(COLOURS, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
    smaller = min(raw, target.getvalue(), key=len) if flat.size == Image.open(io.BytesIO(raw)).size else target.getvalue()
    return base64.b64encode(smaller).decode() + "\n"
