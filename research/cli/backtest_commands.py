"""`hftkit backtest`: a frozen file over a folder of candles, event by event, on the step that trades live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hftkit.compilation.compile_progress import says_compilation
from hftkit.errors import DataError
from hftkit.params.format import FrozenParams, load
from hftkit.session import fill_stats as execution
from research.data.data_loader import load_panel

if TYPE_CHECKING:
    from hftkit.backtest.run import BacktestResult, Latency  # loads kernels

ESTIMATES = ("optimistic", "neutral", "pessimistic")  # kernels/market/queue.py, which loads the compiler


@click.command()
@click.argument("frozen", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path), default=Path("data/sample/1m"))
@click.option("--start", help="First bar (ISO date or time, UTC).")
@click.option("--end", help="Bars before this only (ISO date or time, UTC).")
@click.option("--on-gap", type=click.Choice(["refuse", "drop", "fill"]), default="refuse", show_default=True, help="What to do with missing bars.")
@click.option("--half-spread-ticks", type=click.IntRange(min=1), default=1, show_default=True, help="Half the bid-ask spread of both legs.")
@click.option("--lots", type=click.IntRange(min=1), help="Quantity shown at the touch of each bar [default: no limit].")
@click.option(
    "--levels", type=click.IntRange(1, 16), default=1, show_default=True, help="Price levels at and behind the touch, growing by the square-root law."
)
@click.option(
    "--queue",
    type=click.Choice([*ESTIMATES, "all"]),
    default="neutral",
    show_default=True,
    help="Estimate that resting orders fill by; all: three runs side by side.",
)
@click.option("--order-latency-us", type=click.FloatRange(min=0), default=0.0, show_default=True, help="To the venue, and the answer back.")
@click.option("--journal", type=click.Path(path_type=Path, file_okay=False), help="Write a journal here, for `hftkit replay --verify`.")
@click.option("--history", type=click.Path(path_type=Path), help="A history or a recorded journal in place of candles: quote by quote.")
@click.option(
    "--post-seconds", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Of a history: had the orders been posted for so long."
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the tear sheet (one HTML file) here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
@says_compilation
def backtest(
    frozen: Path, folder: Path, start: str | None, end: str | None, on_gap: str, half_spread_ticks: int, lots: int | None, levels: int,
    queue: str, order_latency_us: float, journal: Path | None, history: Path | None, post_seconds: float, report: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Trade a FROZEN file over the candles in FOLDER with a simulated venue, and print what came of it.

    A pair, or a strategy of one symbol. The spread window starts empty: the first trades come after `window` bars. Prices the parameters were
    calibrated on flatter them.

    \b
    Examples:
      hftkit backtest data/frozen/FILE.json data/sample/1m --report data/runs/tear_sheet.html
      hftkit backtest data/frozen/FILE.json --history data/journals/calm
      hftkit backtest data/frozen/FILE.json --history day.npz --queue all
    """
    from hftkit.backtest.run import BAR_LOTS, Depth, Latency
    from research.backtest.event_backtest import backtest_bars, legs_of
    from research.report.tear_sheet import cost_split, figures_of, write_tear_sheet

    params = load(frozen)
    if queue == "all" and (journal or report):
        raise DataError("--queue all makes three runs: a journal or a report holds one", f"Choose one of {', '.join(ESTIMATES)}")
    away = round(order_latency_us * 1000)
    latency = Latency(order_ns=away, answer_ns=away)
    if history is not None:
        _over_history(params, history, latency, queue, round(post_seconds * 1e9), journal, as_json)
        return
    panel = load_panel(folder, legs_of(params), on_gap=on_gap)  # type: ignore[arg-type]
    made_for = int(params.parameters.get("bar_ns", panel.bar_ns))
    if panel.bar_ns != made_for:
        raise DataError(f"{folder} has bars of {panel.bar_ns / 1e9:g} s, {frozen} was made for {made_for / 1e9:g} s", "Use the bars it was made for")
    first, last = _utc(start, "--start"), _utc(end, "--end")
    closes = panel.closes
    if first is not None:
        closes = closes[closes.index >= first]
    if last is not None:
        closes = closes[closes.index < last]
    if params.legs.maker_patience_ns:
        click.echo("note: bars say nothing of queues: what is posted is pulled before each close, then taken; use --history", err=True)
    if len(closes) < 2:
        asked = " and ".join(f"{name} {text}" for name, text in (("--start", start), ("--end", end)) if text)
        raise DataError(f"{len(closes)} bars with {asked}", f"The data go from {panel.closes.index[0]} to {panel.closes.index[-1]}")
    options: dict[str, Any] = {"half_spread_ticks": (half_spread_ticks, half_spread_ticks), "lots": lots or BAR_LOTS, "depth": Depth(levels)}
    if queue == "all":
        _side_by_side(params, {name: backtest_bars(params, closes, latency=latency, queue=name, **options).engine for name in ESTIMATES}, as_json)
        return
    run = backtest_bars(params, closes, latency=latency, queue=queue, journal=journal, **options)
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


def _side_by_side(params: FrozenParams, runs: dict[str, BacktestResult], as_json: bool) -> None:
    """Three whole runs, one an estimate of the queue."""
    from hftkit.backtest.run import estimates_table

    if as_json:
        body = {
            name: {
                "orders": run.orders,
                "cancels": run.cancels,
                "fills": len(run.fills),
                "maker_share": run.maker_share if len(run.fills) else None,
                "fees": int(run.rooms.ledger["fees_e8"].sum()) / 1e8,
                "net": run.net_e8 / 1e8,
                "state": run.digest,
            }
            for name, run in runs.items()
        }
        click.echo(json.dumps({"estimates": body}, indent=1))
        return
    click.echo(f"{params.name}: three runs, one an estimate of the place in the queue (docs/backtest.md)")
    for line in estimates_table(runs):
        click.echo(f"  {line}")


def _over_history(params: FrozenParams, path: Path, latency: Latency, queue: str, post_ns: int, journal: Path | None, as_json: bool) -> None:
    from hftkit.exchange.market.history.files import load_history
    from research.backtest.history_backtest import backtest_history, backtest_history_estimates

    if queue == "all":
        runs = backtest_history_estimates(params, load_history(path), latency=latency, post_ns=post_ns)
        _side_by_side(params, {name: run.engine for name, run in runs.items()}, as_json)
        return
    run = backtest_history(params, load_history(path), latency=latency, queue=queue, post_ns=post_ns, journal=journal)
    engine, net = run.engine, run.engine.net_e8 / 1e8
    done = execution.filled(engine.rooms.ledger, engine.rooms.legs, engine.rooms.session[0])
    counts = {"events": engine.events, "orders": engine.orders, "fills": len(run.fills), "rejects": engine.rejects, "vetoes": engine.vetoes}
    if as_json:
        money = {"net": net, "fees": float(run.fills["fee"].sum())}
        more = {"execution": execution.as_json(done), "posted": json.loads(run.posted.to_json(orient="index"))}
        click.echo(json.dumps({**counts, **money, **more, "state": engine.digest}, indent=1))
        return
    click.echo(
        f"{params.name}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()) + f"; net {net:.2f}, fees {run.fills['fee'].sum():.2f}"
    )
    if done.posts:
        click.echo(f"{queue} queue: {execution.in_words(done)}")
    if len(run.posted):
        click.echo(f"the same orders, had they been posted for {post_ns / 1e9:g} s (gains against taking, of what was filled):")
        click.echo(f"  {'':12}{'filled':>10}{'price gain':>14}{'fee gain':>12}")
        for name, row in run.posted.iterrows():
            click.echo(f"  {name:<12}{row['filled_share']:>10.1%}{row['price_gain']:>14.2f}{row['fee_gain']:>12.2f}")
    if journal:
        click.echo(f"journal: {journal} (prove it with: hftkit replay {journal} --verify)")


def _utc(text: str | None, option: str) -> Any:
    """A point in time, UTC where no zone is named; None for None. Raises DataError for what is none: dates are ISO 8601, not words."""
    import pandas as pd

    if text is None:
        return None
    try:
        if not text[:4].isdigit():
            raise ValueError
        moment = pd.Timestamp(text)
    except ValueError:
        raise DataError(f"{option} {text!r} is no date", "Write it like 2026-01-05 or 2026-01-05T12:30:00Z (UTC)") from None
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
