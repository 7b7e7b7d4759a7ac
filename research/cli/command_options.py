"""Options and answers that the research commands share: which folder, which decisions about its faults, JSON or text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pandas as pd

from research.data.calendars import CHOICES
from research.data.data_loader import Panel, Reading, load_panel
from research.data.files.file_names import symbols_of, timeframe_ns

SAMPLE = Path("data/sample/1m")
Command = Callable[..., Any]


_HOW = "research.cli.command_options.how_to_read"


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Options of reading are the same for every command: they travel in the context, not in each command's arguments."""
    context.meta.setdefault(_HOW, {})[parameter.name] = value


def _bar_length(context: click.Context, parameter: click.Parameter, value: str) -> None:
    if value:
        timeframe_ns(value)
    _keep(context, parameter, value)


def reading_options(command: Command) -> Command:
    """Options of a command that reads candles: what the files do not say themselves (docs/data.md)."""
    for option in (
        click.option("--timeframe", default="", metavar="5m", expose_value=False, callback=_bar_length, help="Only bars of this length."),
        click.option(
            "--calendar", type=click.Choice(list(CHOICES)), default="infer", show_default=True, expose_value=False, callback=_keep,
            help="When the market is open: as the bars show it, always, or in sessions.",
        ),
        click.option("--snap", is_flag=True, expose_value=False, callback=_keep, help="Move stamps that lie beside the grid of their bars to it."),
        click.option(
            "--stamps", type=click.Choice(["open", "close"]), default="open", show_default=True, expose_value=False, callback=_keep,
            help="What the times of bars are.",
        ),
        click.option("--time-zone", default="", metavar="ZONE", expose_value=False, callback=_keep, help="Of times without one [default: UTC]."),
        click.option(
            "--date-order", type=click.Choice(["day-first", "month-first"]), expose_value=False, callback=_keep, help="Of dates like 01/02/2024.",
        ),
        click.option("--decimal", type=click.Choice([".", ","]), expose_value=False, callback=_keep, help="Of numbers like 1,234."),
    ):  # fmt: skip
        command = option(command)
    return command


def how_to_read() -> dict[str, Any]:
    """What the options of the running command say: arguments timeframe, calendar and reading of load_panel and quality_report."""
    context = click.get_current_context(silent=True)
    said = dict(context.meta.get(_HOW, {})) if context is not None else {}
    order = said.get("date_order")
    reading = Reading(
        time_zone=said.get("time_zone") or "",
        day_first=None if order is None else order == "day-first",
        decimal=said.get("decimal") or "",
        stamps=said.get("stamps") or "open",
        snap=bool(said.get("snap")),
    )
    return {"timeframe": said.get("timeframe") or "", "calendar": said.get("calendar") or "infer", "reading": reading}


def resample_asked() -> str:
    """The bar length that --resample of the running command asks for, or ""."""
    context = click.get_current_context(silent=True)
    return str(context.meta.get(_HOW, {}).get("resample") or "") if context is not None else ""


def panel_options(command: Command) -> Command:
    """Options of a command that loads a panel: folder (or file), symbols, the two decisions, longer bars, and how the files are read."""
    for option in (
        click.argument("folder", type=click.Path(path_type=Path), default=SAMPLE),
        click.option("--symbols", help="Only these, separated by commas, in any spelling."),
        click.option(
            "--on-gap", type=click.Choice(["refuse", "drop", "fill"]), default="refuse", show_default=True, help="What to do with missing bars."
        ),
        click.option(
            "--span",
            type=click.Choice(["common", "longest"]),
            default="common",
            show_default=True,
            help="Symbols of different spans: cut all, or leave short ones out.",
        ),
        click.option("--resample", default="", metavar="1h", expose_value=False, callback=_bar_length, help="Make bars of this length."),
    ):
        command = option(command)
    return reading_options(command)


def p_value_options(command: Command) -> Command:
    """Options of a command that scans: where its p-values come from."""
    for option in (
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the wild bootstrap."),
        click.option("--draws", type=click.IntRange(1), help="Most draws of the wild bootstrap a pair [default: 9,999]."),
        click.option(
            "--p-values",
            type=click.Choice(["auto", "finite", "bootstrap", "asymptotic"]),
            default="auto",
            show_default=True,
            help="For this sample size and lag rule (finite), from a wild bootstrap, each where it holds (auto), or statsmodels' (asymptotic).",
        ),
    ):
        command = option(command)
    return command


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")


def load(folder: Path, symbols: str | None, on_gap: Any, span: Any) -> Panel:
    """The panel that these options ask for."""
    return load_panel(folder, symbols_of(symbols), on_gap=on_gap, span=span, resample=resample_asked(), **how_to_read())


def records(table: pd.DataFrame) -> Any:
    """A table as plain data, one mapping a row, times in ISO 8601."""
    return json.loads(table.to_json(orient="records", date_format="iso", double_precision=15))


def show(table: pd.DataFrame) -> str:
    """A table as text."""
    return table.to_string(index=False, float_format=lambda value: f"{value:.4g}")
