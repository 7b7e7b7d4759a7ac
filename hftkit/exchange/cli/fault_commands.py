"""`hftkit faults`: switch the faults of a running simulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from hftkit.errors import ConfigError

if TYPE_CHECKING:
    from hftkit.exchange.faults.plan import FaultControl


def parse_settings(texts: tuple[str, ...]) -> dict[str, float | str]:
    """Texts like feed.latency_us=500, as numbers (feed.latency_from=FILE stays text). Raises ConfigError naming the text that is none."""
    settings: dict[str, float | str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            settings[name] = value if name.endswith(".latency_from") else float(value)
        except ValueError:
            raise ConfigError(f"{text!r} is not a setting", "Write NAME=NUMBER without a unit, like feed.latency_us=500") from None
    return settings


@click.group()
@click.option(
    "--sim",
    "ready_file",
    type=click.Path(dir_okay=False),
    default="sim.json",
    show_default=True,
    help="The file that `hftkit sim --ready-file` wrote.",
)
@click.pass_context
def faults(context: click.Context, ready_file: str) -> None:
    """Switch faults of a running simulator on and off: latency, loss, disconnects and the rest.

    \b
    Example:
      hftkit sim --ready-file sim.json &
      hftkit faults --sim sim.json set feed.latency_us=500 response.late_next=1
      hftkit faults --sim sim.json show
      hftkit faults --sim sim.json clear
    """
    context.obj = ready_file


def _control(ready_file: str) -> FaultControl:
    from hftkit.exchange.faults.plan import FaultControl

    return FaultControl(ready_file)


@faults.command(name="set")
@click.argument("settings", nargs=-1, required=True, metavar="DIRECTION.NAME=NUMBER...")
@click.pass_obj
def set_(ready_file: str, settings: tuple[str, ...]) -> None:
    """Change settings at once; what is not named stays. `hftkit faults names` lists them.

    \b
    Example:
      hftkit faults --sim sim.json set feed.drop_next=3 order_entry.cut=1
      hftkit faults --sim sim.json set response.latency_from=data/journals/1763700000/latency.hlog#ack
    """
    wanted = parse_settings(settings)
    _control(ready_file).set(wanted)


@faults.command()
@click.pass_obj
def clear(ready_file: str) -> None:
    """Fair weather again: every setting off. What is under way still arrives when it is due.

    \b
    Example:
      hftkit faults --sim sim.json clear
    """
    _control(ready_file).clear()


@faults.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def show(ready_file: str, as_json: bool) -> None:
    """What is switched on, and what has happened so far.

    \b
    Example:
      hftkit faults --sim sim.json show --json
    """
    control = _control(ready_file)
    counts, settings = control.counts, control.settings
    if as_json:
        click.echo(json.dumps({"settings": settings, "counts": counts}))
        return
    click.echo("switched on: " + (", ".join(f"{name}={value:g}" for name, value in settings.items()) or "nothing"))
    for direction, row in counts.items():
        click.echo(f"{direction}: " + ", ".join(f"{what} {n:,}" for what, n in row.items()))


@faults.command()
def names() -> None:
    """Every setting, where it applies, what is allowed, what it does.

    \b
    Example:
      hftkit faults names
    """
    from hftkit.exchange.faults.page import DIRECTIONS, FAULT_SETTINGS, KINDS, LATENCY_FROM, SETTINGS, all_settings

    possible = all_settings()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "of", "allowed", "what it does"):
        table.add_column(title, no_wrap=title != "what it does", overflow="fold")
    table.add_row(LATENCY_FROM, " ".join(DIRECTIONS), "FILE.hlog#TAG", "delays are drawn from a recorded histogram, as `hftkit live` writes them")
    for name, setting in SETTINGS.items():
        kind, _, how = name.rpartition("_")
        if kind in KINDS and how == "next":
            continue
        where = " ".join(direction for direction in DIRECTIONS if f"{direction}.{name}" in possible)
        if kind in KINDS and how == "ppm":
            table.add_row(f"{kind}_ppm, {kind}_next", where, "0 to 1000000, 1e9", f"a frame {KINDS[kind]}")
        else:
            table.add_row(name, where, f"{setting.lowest:.12g} to {setting.highest:.12g}", setting.doc)
    for dialect, settings in FAULT_SETTINGS.items():
        for name, setting in settings.items():
            table.add_row(name, dialect, f"{setting.lowest:.12g} to {setting.highest:.12g}", setting.doc)
    Console().print(table)
    click.echo(
        "\nKIND_ppm: probability in millionths of the frames. KIND_next: for certain, so many of the next frames. Write DIRECTION.NAME=NUMBER."
    )
