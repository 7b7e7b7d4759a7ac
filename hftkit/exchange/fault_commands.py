"""`hftkit faults`: switch the faults of a running simulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from hftkit.errors import ConfigError

if TYPE_CHECKING:
    from hftkit.exchange.faults import FaultControl


def parse_settings(texts: tuple[str, ...]) -> dict[str, float]:
    """Texts like feed.latency_us=500, as numbers. Raises ConfigError naming the text that is none."""
    settings: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            settings[name] = float(value)
        except ValueError:
            raise ConfigError(f"{text!r} is not a setting", "Write NAME=NUMBER, like feed.latency_us=500") from None
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
    from hftkit.exchange.faults import FaultControl

    return FaultControl(ready_file)


@faults.command(name="set")
@click.argument("settings", nargs=-1, required=True, metavar="DIRECTION.NAME=NUMBER...")
@click.pass_obj
def set_(ready_file: str, settings: tuple[str, ...]) -> None:
    """Change settings at once; what is not named stays. `hftkit faults names` lists them.

    \b
    Example:
      hftkit faults --sim sim.json set feed.drop_next=3 order_entry.cut=1
    """
    _control(ready_file).set(parse_settings(settings))


@faults.command()
@click.pass_obj
def clear(ready_file: str) -> None:
    """Fair weather again."""
    _control(ready_file).clear()


@faults.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def show(ready_file: str, as_json: bool) -> None:
    """What is switched on, and what has happened so far."""
    control = _control(ready_file)
    settings, counts = control.settings, control.counts
    if as_json:
        click.echo(json.dumps({"settings": settings, "counts": counts}))
        return
    click.echo("switched on: " + (", ".join(f"{name}={value:g}" for name, value in settings.items()) or "nothing"))
    for direction, row in counts.items():
        click.echo(f"{direction}: " + ", ".join(f"{what} {n:,}" for what, n in row.items()))


@faults.command()
def names() -> None:
    """Every setting and what it does; each belongs to feed, order_entry or response, or it is one of the Binance dialect's."""
    from hftkit.exchange.faults import BINANCE, DIALECT_SETTINGS, SETTINGS

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, setting in SETTINGS.items():
        table.add_row(name, setting.doc)
    for name, setting in DIALECT_SETTINGS.items():
        table.add_row(f"{BINANCE}.{name}", setting.doc)
    Console().print(table)
