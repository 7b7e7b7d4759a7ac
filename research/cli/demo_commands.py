"""Command line of the demo: `hftkit demo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path("data/months/15m"), show_default=True, help="Folder of candle files."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("data/runs"), show_default=True, help="Where reports are kept.")
@click.option("--seconds", type=click.FloatRange(1, 3600), default=30.0, show_default=True, help="Wall time of the live session.")
@click.option(
    "--maker-patience",
    type=click.FloatRange(0, 60),
    default=0.0,
    show_default=True,
    help="Seconds that the lead rests at the touch before the rest is taken (docs/execution.md).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def demo(data: Path, out: Path, seconds: float, maker_patience: float, as_json: bool) -> None:
    """The whole story once: find pairs, calibrate, freeze, trade, replay, report.

    \b
    Examples:
      hftkit demo
      hftkit demo --data my/candles
    """
    from research.cli.demo import run_demo

    console = Console(stderr=as_json)
    result = run_demo(data, out, seconds, console, maker_patience)
    if as_json:
        click.echo(json.dumps(result.report, indent=2, sort_keys=True))
        return
    console.print(_summary(result.report))
    console.print(_latency(result.report))
    verdict = "[green]identical[/]" if result.report["replay_identical"] else "[red]DIFFERENT[/]"
    console.print(f"replay: {verdict}   took {result.report['wall_s']:.0f} s")
    console.print(f"report: {result.page}   (one page for a browser; report.json and the pictures lie beside it)")
    console.print("next: notebooks/00_tour.ipynb, then 01_find_pairs.ipynb   (hftkit notebook open)")


def _summary(report: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    rows = (
        ("pairs found", ", ".join(report["pairs_found"]) or "none"),
        ("traded", f"{report['pair_traded']}, parameters {report['params_digest'][:12]}"),
        (
            "orders",
            f"{report['orders_sent']} sent, {report['orders_lost']} lost, {report['orders_duplicated']} duplicated, {report['rejects']} rejected",
        ),
        ("fills", f"{report['fills']} (venue says {report['fills_at_venue']}), {report['entries']} entries, {report['exits']} exits"),
        *((("execution", execution),) if (execution := _execution(report["execution"])) else ()),
        ("P&L", f"realised {report['realized_pnl']}, fees {report['fees']}, net {report['net_pnl']} (quote currency)"),
        ("end positions", ", ".join(f"{symbol} {lots}" for symbol, lots in report["end_positions"].items()) + " lots"),
        ("engine", f"start-up {report['startup_s']:.2f} s, {report['resident_mb']:.0f} MB, {report['market_data_frames']:,} frames"),
    )
    for name, text in rows:
        table.add_row(f"[bold]{name}[/]", text)
    return table


def _execution(done: dict[str, Any]) -> str:
    if not done["maker_fills"]:
        return ""
    shares = "maker {maker_ratio:.0%} of fills, {value_ratio:.0%} of value, {lead_ratio:.0%} of the lead".format(**done)
    return f"{shares}; {done['posts']} posted, {done['pulls']} pulled, {done['posts_refused']} refused"


def _latency(report: dict[str, Any]) -> Table:
    table = Table(title="latency, µs", title_justify="left", box=None, pad_edge=False)
    for column in ("hop", "p50", "p95", "p99", "p99.9", "max", "n"):
        table.add_column(column, justify="left" if column == "hop" else "right")
    names = {
        "signal": "T1→T2 signal",
        "risk": "T2→T3 legs, risk",
        "send": "T3→T4 journal, send",
        "tick_to_order": "T1→T4 tick to order",
        "ack": "T4→T5 acknowledged",
        "tick": "T1→done, every message",
    }
    for hop, name in names.items():
        row = report["latency_us"][hop]
        table.add_row(name, *(f"{row[key]:,.1f}" for key in ("p50", "p95", "p99", "p999", "max")), f"{row['n']:,.0f}")
    return table
