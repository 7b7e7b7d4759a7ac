"""`hftkit params reproduce`: a frozen file made again from its provenance. Loads research only when it is called: `hftkit params` runs without it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hftkit.compilation.compile_progress import says_compilation
from hftkit.reading import printable

_SHOWN = 40


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder (or file) of the prices that it was made from.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Keep the file made again in this folder. [default: not kept]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
@says_compilation
def reproduce(path: Path, data: Path, out: Path | None, as_json: bool) -> None:
    """Make a frozen file again from its provenance and compare the bytes. Exit status 0 if they are the same, 1 with what differs.

    Prices that have changed by a byte are refused with the name of their file; a version that differs is named.

    \b
    Example:
      hftkit params reproduce data/frozen/FILE.json --data data/sample/1m
    """
    import tempfile

    from research.pairs.freezing.reproduce import reproduce as make_again

    with tempfile.TemporaryDirectory() as place:
        made = make_again(path, data, out or Path(place), (lambda line: None) if as_json else (lambda line: click.echo(printable(line), err=True)))
        if as_json:
            body = {"same": made.same, "code": made.code, "taken_over": made.taken_over, "differences": made.differences}
            click.echo(json.dumps(body | {"path": str(made.path) if out else None}, indent=1))
        else:
            for key, (old, new) in list(made.differences.items())[:_SHOWN]:
                click.echo(printable(f"{key}: {_told(old)} -> {_told(new)}"))
            if len(made.differences) > _SHOWN:
                click.echo(f"... and {len(made.differences) - _SHOWN} more (--json shows all)")
            if made.taken_over:
                click.echo(f"taken over from the file, not computed: {', '.join(made.taken_over)}")
            same = "the same bytes" if made.same else f"not the same: {len(made.differences)} keys differ"
            click.echo(f"{path}: {same}" + (f"; made again: {made.path}" if out else ""))
    if not made.same:
        raise click.exceptions.Exit(1)


def _told(value: object) -> str:
    return "(not there)" if value is None else str(value)
