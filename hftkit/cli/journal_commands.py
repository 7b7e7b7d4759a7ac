"""Command line of the sessions on disk: `hftkit journals list`, `hftkit journals prune`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hftkit.clock import unix_ns
from hftkit.errors import ConfigError
from hftkit.system.space import bytes_in_words
from hftkit.units import iso_from_ns

_FOLDER = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path("data/journals"))


@click.group()
def journals() -> None:
    """List and remove the folders of finished sessions.

    Example: hftkit journals prune --keep-days 30
    """


@journals.command(name="list")
@_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print the sessions as JSON.")
def list_(folder: Path, as_json: bool) -> None:
    """Sessions in FOLDER, the oldest first: size, last write, whether the journal has its end record.

    Example: hftkit journals list data/journals
    """
    from hftkit.session.sessions import find_sessions

    found = find_sessions(folder)
    if as_json:
        rows = [
            {"session": one.path.name, "bytes": one.size, "ended": iso_from_ns(int(one.ended_s * 1e9)), "finished": one.finished} for one in found
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    for one in found:
        state = "finished" if one.finished else "no end record: it runs, or crashed"
        click.echo(f"{one.path.name:32} {bytes_in_words(one.size):>12}   {iso_from_ns(int(one.ended_s * 1e9))[:19]}   {state}")
    click.echo(f"{len(found)} sessions in {folder}, {bytes_in_words(sum(one.size for one in found))}")


@journals.command()
@_FOLDER
@click.option("--keep-days", type=click.FloatRange(min=0, min_open=True), help="Remove those whose last write is longer ago.")
@click.option("--keep-gb", type=click.FloatRange(min=0, min_open=True), help="Remove the oldest until all take no more.")
@click.option("--force", is_flag=True, help="Also those without an end record: crashed ones, and any that still runs.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
def prune(folder: Path, keep_days: float | None, keep_gb: float | None, force: bool, dry_run: bool) -> None:
    """Remove finished sessions in FOLDER: journal, log and result. Files that hftkit did not make stay.

    Example: hftkit journals prune --keep-days 30 --keep-gb 50 --dry-run
    """
    from hftkit.session.sessions import find_sessions, remove_session, to_prune

    if keep_days is None and keep_gb is None:
        raise ConfigError("it is not said which sessions may go", "Give --keep-days or --keep-gb, or both; --dry-run shows what would go")
    found = find_sessions(folder)
    freed = 0
    gone = to_prune(found, unix_ns() / 1e9, keep_days or 0.0, keep_gb or 0.0, force)
    for one in gone:
        size, stays = (one.size, []) if dry_run else remove_session(one)
        freed += size
        click.echo(
            f"{'would remove' if dry_run else 'removed'} {one.path} ({bytes_in_words(size)})" + (f"; stays: {', '.join(stays)}" if stays else "")
        )
    unfinished = sum(not one.finished for one in found if one not in gone)
    click.echo(
        f"{len(gone)} of {len(found)} sessions, {bytes_in_words(freed)}" + (f"; {unfinished} without an end record are left" if unfinished else "")
    )
