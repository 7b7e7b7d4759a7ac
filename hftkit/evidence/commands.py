"""`hftkit evidence`: every figure that hftkit can be held against, ours beside theirs, as a page and as JSON."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Console

from hftkit.clock import unix_ns
from hftkit.errors import HftkitError
from hftkit.evidence.registry import NotHere, Row, recorded, sources
from hftkit.units import iso_from_ns

_HEAD = """# Evidence

Figures of hftkit beside independent ones: other packages, printed tables, a venue's own ledger. `hftkit evidence`
computes them again and writes this page; what takes hours is recorded with its date, and its command stands beside it.
"""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the page here, as Markdown.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows here, as a JSON list.")
@click.option("--recorded", "folder", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Add the recorded rows of this folder.")
def evidence(names: tuple[str, ...], out: Path | None, file: Path | None, folder: Path | None) -> None:
    """Compute what hftkit can be held against, and say what does not hold.

    NAME is a source of rows; without one, all are asked (under two minutes). Exits with 1 if a row does not hold.

    \b
    Examples:
      hftkit evidence
      hftkit evidence statistics --json rows.json
      hftkit evidence --recorded docs/evidence --out docs/evidence.md
    """
    console = Console(stderr=True, highlight=False)
    asked, skipped = sources(names)
    parts: dict[str, list[Row]] = {}
    for name, source in asked.items():
        with console.status(name):
            try:
                parts[name] = source()
            except NotHere as reason:
                skipped.append(f"{name} left out: {reason}")
    for path in sorted(folder.glob("*.json")) if folder is not None else ():
        parts[path.stem] = recorded(path)
    rows = [row for part in parts.values() for row in part]
    for name, part in parts.items():
        for row in part:
            click.echo(f"{'holds' if row.holds else 'FAILS'}  {name}: {row.subject}: {row.ours}; {row.source}: {row.theirs} (within {row.tolerance})")
    for line in skipped:
        console.print(line, markup=False)
    if out is not None:
        out.write_text(page(parts, skipped), encoding="utf-8")
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    if failed := [row.subject for row in rows if not row.holds]:
        raise HftkitError(f"{len(failed)} of {len(rows)} rows do not hold: {'; '.join(failed)}", "The page names the command of each row")


def page(parts: dict[str, list[Row]], skipped: list[str]) -> str:
    """The rows as Markdown, a table for each source."""
    lines = [_HEAD, f"Computed on {iso_from_ns(unix_ns())[:10]}.", ""]
    for name, rows in parts.items():
        lines += [f"## {name[0].upper()}{name[1:].replace('_', ' ')}", ""]
        lines += ["| what | ours | theirs | whose | may differ by | holds | made by |", "|---|---|---|---|---|---|---|"]
        for row in rows:
            made = f"`{row.command}`" + (f", {row.when}" if row.when else "")
            cells = (row.subject, row.ours, row.theirs, row.source, row.tolerance, "yes" if row.holds else "**no**", made)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    if skipped:
        lines += ["Left out on the machine that made this page:", "", *(f"- {line}" for line in skipped), ""]
    return "\n".join(lines)
