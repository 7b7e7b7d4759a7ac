"""Commands of the notebooks: `hftkit notebook run`, `hftkit notebook open`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from hftkit.errors import DataError


@click.group()
def notebook() -> None:
    """Open or execute the notebooks.

    Example: hftkit notebook run notebooks/01_find_pairs.ipynb
    """


@notebook.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
def run(paths: tuple[Path, ...]) -> None:
    """Execute notebooks top to bottom, in place (all of notebooks/ by default).

    Example: hftkit notebook run notebooks/01_find_pairs.ipynb
    """
    from research.cli.notebooks import execute, notebook_paths
    from research.data.progress import progress

    for path in progress(list(paths) or notebook_paths(), "notebooks"):
        click.echo(f"{path}: executed in {execute(path):.0f} s")


@notebook.command(name="open", context_settings={"ignore_unknown_options": True})
@click.argument("path", type=click.Path(path_type=Path), default=Path("notebooks"))
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def open_(path: Path, options: tuple[str, ...]) -> None:
    """Open JupyterLab on a notebook or on the folder of them; Ctrl-C ends it. OPTIONS are JupyterLab's own.

    \b
    Examples:
      hftkit notebook open notebooks/00_tour.ipynb
      hftkit notebook open notebooks --no-browser --port 9999
    """
    if str(path).startswith("-"):
        path, options = Path("notebooks"), (str(path), *options)
    if not path.exists():
        raise DataError(f"there is no {path}", "Run this from the project's folder, or give a path")
    raise click.exceptions.Exit(subprocess.call([sys.executable, "-m", "jupyterlab", str(path), *options]))
