"""`hftkit backtest`: a frozen file over a folder of candles, event by event, on the step that trades live."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hftkit.errors import DataError
from hftkit.params import load
from research.data_loader import load_panel


@click.command()
@click.argument("frozen", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path), default=Path("data/sample/1m"))
@click.option("--start", help="First bar (ISO date or time, UTC).")
@click.option("--end", help="Bars before this only (ISO date or time, UTC).")
@click.option("--on-gap", type=click.Choice(["refuse", "drop", "fill"]), default="refuse", show_default=True, help="What to do with missing bars.")
@click.option("--half-spread-ticks", type=click.IntRange(min=1), default=1, show_default=True, help="Half the bid-ask spread of both legs.")
@click.option("--lots", type=click.IntRange(min=1), help="Quantity shown at the touch of each bar [default: no limit].")
@click.option("--order-latency-us", type=click.FloatRange(min=0), default=0.0, show_default=True, help="To the venue, and the answer back.")
@click.option("--journal", type=click.Path(path_type=Path, file_okay=False), help="Write a journal here, for `hftkit replay --verify`.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the tear sheet (one HTML file) here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def backtest(
    frozen: Path, folder: Path, start: str | None, end: str | None, on_gap: str, half_spread_ticks: int, lots: int | None,
    order_latency_us: float, journal: Path | None, report: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Trade a FROZEN file over the candles in FOLDER with a simulated venue, and print what came of it.

    The spread window starts empty: the first trades come after `window` bars. Prices the parameters were calibrated on flatter them.

    Example: hftkit backtest data/frozen/FILE.json data/sample/1m --report data/runs/tear_sheet.html
    """
    from hftkit.backtest import BAR_LOTS, Latency
    from research.event_backtest import backtest_bars
    from research.tear_sheet import cost_split, figures_of, write_tear_sheet

    params = load(frozen)
    panel = load_panel(folder, [params.legs.lead, params.legs.hedge], on_gap=on_gap)  # type: ignore[arg-type]
    if panel.bar_ns != params.parameters["bar_ns"]:
        raise DataError(
            f"{folder} has bars of {panel.bar_ns} ns, {frozen} was made for {params.parameters['bar_ns']} ns", "Use the bars it was made for"
        )
    closes = panel.closes.loc[start:end] if end is None else panel.closes.loc[start:end].loc[lambda part: part.index < _utc(end)]
    if len(closes) < 2:
        raise DataError(f"{len(closes)} bars between {start} and {end}", f"The data go from {panel.closes.index[0]} to {panel.closes.index[-1]}")
    away = round(order_latency_us * 1000)
    run = backtest_bars(
        params,
        closes,
        half_spread_ticks=(half_spread_ticks, half_spread_ticks),
        lots=lots or BAR_LOTS,
        latency=Latency(order_ns=away, answer_ns=away),
        journal=journal,
    )
    figures, split, engine = figures_of(run), cost_split(run), run.engine
    written = str(write_tear_sheet(run, report)) if report else None
    if as_json:
        numbers = {key: value if value == value else None for key, value in {**figures, **split}.items()}
        body = {"bars": len(closes), "events": engine.events, "orders": engine.orders, "fills": len(run.fills), "vetoes": engine.vetoes}
        click.echo(json.dumps({**body, **numbers, "state": engine.digest, "report": written}, indent=1))
        return
    click.echo(f"{params.name}: {len(closes)} bars, {engine.events} events, {engine.orders} orders, {len(run.fills)} fills, {engine.vetoes} vetoes")
    for name, value in figures.items():
        click.echo(f"  {name:24} {value:.6g}")
    click.echo("  " + ", ".join(f"{name} {value:.2f}" for name, value in split.items()) + " (quote currency)")
    if written:
        click.echo(f"tear sheet: {written}")
    if journal:
        click.echo(f"journal: {journal} (prove it with: hftkit replay {journal} --verify)")


def _utc(text: str) -> object:
    import pandas as pd

    moment = pd.Timestamp(text)
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
