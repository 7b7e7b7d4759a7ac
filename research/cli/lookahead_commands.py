"""`hftkit check-lookahead`: does my signal use data of the future?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from research.cli.command_options import as_json_option, load, panel_options, records


@click.command("check-lookahead")
@click.argument("signal")
@panel_options
@click.option("--cuts", type=click.IntRange(min=1), default=100, show_default=True, help="How many times the data end early.")
@click.option("--warmup", type=click.IntRange(min=1), default=100, show_default=True, help="Rows the signal needs at the least.")
@as_json_option
def check_lookahead(signal: str, folder: Path, symbols: str | None, on_gap: str, span: str, cuts: int, warmup: int, as_json: bool) -> None:
    """Recompute a signal with the data up to t only, and compare every value up to t bit for bit.

    SIGNAL is module:function or file.py:function; it gets the closes (a DataFrame, one column a symbol) and returns a value a row. Ends with status 1
    if it looks ahead.

    Example: hftkit check-lookahead my_signals.py:zscore data/sample/1m --symbols CHARUSD,DELTUSD
    """
    from research.pairs import lookahead

    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # modules of the current folder, as `python -m` finds them
    panel = load(folder, symbols, on_gap, span)
    report = lookahead.check_lookahead(lookahead.load_signal(signal), panel.closes, cuts, min(warmup, len(panel.closes) - 1), signal)
    if as_json:
        first = None if report.honest else report.first.isoformat()
        answer = {"signal": signal, "honest": report.honest, "rows": report.rows, "cuts": report.cuts, "first": first, "leaks": records(report.leaks)}
        click.echo(json.dumps(answer))
    else:
        click.echo(str(report))
    if not report.honest:
        raise SystemExit(1)
