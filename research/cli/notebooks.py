"""Execute the notebooks in place, as `make notebooks` commits them: top to bottom, fresh kernel, nothing in them that depends on the machine."""

from __future__ import annotations

import re
from pathlib import Path

from hftkit.clock import monotonic_ns
from hftkit.errors import DataError

FOLDER = Path("notebooks")
TIMEOUT_S = 300


def notebook_paths(folder: Path = FOLDER) -> list[Path]:
    """The numbered chapters, in reading order. Raises DataError if there are none."""
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise DataError(f"there are no notebooks in {folder.resolve().name}/", "Run this from the project's folder")
    return paths


def execute(path: Path) -> float:
    """Run one notebook in the project's folder (the parent of its own) and save it. Returns seconds. Raises DataError naming the failing cell."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    from research.cli.notebook_normalise import normalise

    if not path.is_file():
        raise DataError(f"there is no notebook {path}", "See notebooks/README.md")
    began = monotonic_ns()
    book = nbformat.read(path, as_version=4)
    client = NotebookClient(book, timeout=TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": str(path.resolve().parent)}})
    try:
        client.execute()
    except CellExecutionError as error:
        last = re.sub(r"\x1b\[[0-9;]*m", "", str(error).strip().splitlines()[-1])  # IPython colours its messages
        raise DataError(f"{path} failed: {last}", "Open it and run its cells in order") from None
    normalise(book, path.resolve().parent.parent)
    nbformat.write(book, path)
    return (monotonic_ns() - began) / 1e9
