"""Options and answers that the research commands share: which folder, which decisions about its faults, JSON or text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pandas as pd

from research.data_loader import Panel, load_panel

SAMPLE = Path("data/sample/1m")
Command = Callable[..., Any]


def panel_options(command: Command) -> Command:
    """Options of a command that loads a panel: folder, symbols, and the two decisions."""
    for option in (
        click.argument("folder", type=click.Path(path_type=Path), default=SAMPLE),
        click.option("--symbols", help="Only these, separated by commas."),
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
    ):
        command = option(command)
    return command


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")


def load(folder: Path, symbols: str | None, on_gap: Any, span: Any) -> Panel:
    """The panel that these options ask for."""
    return load_panel(folder, symbols.split(",") if symbols else None, on_gap=on_gap, span=span)


def records(table: pd.DataFrame) -> Any:
    """A table as plain data, one mapping a row, times in ISO 8601."""
    return json.loads(table.to_json(orient="records", date_format="iso", double_precision=15))


def show(table: pd.DataFrame) -> str:
    """A table as text."""
    return table.to_string(index=False, float_format=lambda value: f"{value:.4g}")
