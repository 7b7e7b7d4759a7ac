"""`hftkit data`: fetch history into the cache, ask it in SQL, check and describe what is on disk."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pandas as pd

from research.cli.command_options import SAMPLE, as_json_option, how_to_read, load, panel_options, reading_options, records, show
from research.cli.instrument_commands import instruments
from research.data.files.file_names import symbols_of
from research.data.remote.archive import BINANCE, Archive, fetch, periods_between
from research.data.remote.archive_kinds import INTERVAL_NS, KINDS

CACHE = Path("data/cache")


@click.group()
def data() -> None:
    """Check and describe price data.

    Example: hftkit data check data/sample/1m
    """


@data.command()
@click.argument("folder", type=click.Path(path_type=Path), default=SAMPLE)
@click.option("--symbols", help="Only these, separated by commas, in any spelling.")
@reading_options
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Write the picture of what is there and what is not (PNG).")
@as_json_option
def check(folder: Path, symbols: str | None, figure: Path | None, as_json: bool) -> None:
    """Examine every file of a folder, or one file: how it was read, faults that forbid its use, calendar, gaps, zero volume, stale stretches,
    outliers, listing and delisting.

    Exit status 1 if any file must not be used as it is.

    Example: hftkit data check data/sample/1m --figure quality.png
    """
    from research.report.quality_report import quality_report

    report = quality_report(folder, symbols_of(symbols), **how_to_read())
    if figure is not None:
        report.figure().savefig(figure)
    if as_json:
        table, gaps = report.table.reset_index(), report.gaps
        click.echo(
            json.dumps({"files": records(table), "gaps": records(gaps), "faults": report.faults, "general": report.general}, indent=1, default=str)
        )
    else:
        columns = ["rows", "first", "last", "bar_s", "missing_bars", "gaps", "zero_volume", "longest_stale", "outliers", "spikes"]
        if not report.table.empty:
            click.echo(show(report.table[columns].reset_index()))
            click.echo(report.text())
        click.echo("\n".join(report.faults) or f"{len(report.table)} files, no faults")
    if report.faults:
        raise click.exceptions.Exit(1)


@data.command()
@panel_options
@as_json_option
def describe(folder: Path, symbols: str | None, on_gap: str, span: str, as_json: bool) -> None:
    """Load a folder as research would and say what came of it: span, bars, decisions, digest of each file.

    Example: hftkit data describe data/sample/1m --span longest
    """
    panel = load(folder, symbols, on_gap, span)
    files = pd.DataFrame([asdict(file) for file in panel.files])
    index = panel.closes.index
    calendar = panel.calendar
    body = {
        "symbols": list(panel.closes),
        "bars": len(index),
        "bar_s": panel.bar_ns / 1e9,
        "first": str(index[0]),
        "last": str(index[-1]),
        "calendar": calendar.words if calendar is not None else "",
        "bars_a_year": panel.bars_a_year,
        "decisions": list(panel.decisions),
        "excluded": dict(panel.excluded),
    }
    if as_json:
        click.echo(json.dumps({**body, "files": records(files)}, indent=1))
        return
    click.echo("\n".join(f"{key:10} {', '.join(value) if isinstance(value, list) else value}" for key, value in body.items() if value))
    click.echo(show(files[["symbol", "name", "rows", "sha256"]]))


@data.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sample(arguments: tuple[str, ...]) -> None:
    """Make the sample data again with the exchange simulator (see `hftkit data sample --help`)."""
    maker = importlib.import_module("research.market.sample_data").sample  # late: it loads the simulator
    maker.main(args=list(arguments), prog_name="hftkit data sample", standalone_mode=False)


@data.command(name="fetch")
@click.option("--base", default=BINANCE, show_default=True, help="Address of a bulk archive, or a folder of the same layout.")
@click.option("--market", type=click.Choice(["spot", "futures/um", "futures/cm"]), default="spot", show_default=True)
@click.option("--kind", type=click.Choice(list(KINDS)), default="klines", show_default=True)
@click.option("--interval", type=click.Choice([*INTERVAL_NS, "1mo"]), default="1m", show_default=True, help="Bar length, for kinds of bars.")
@click.option("--symbols", required=True, help="Separated by commas.")
@click.option("--from", "first", required=True, help="First month (2024-01: monthly files) or day (2024-01-31: daily files).")
@click.option("--to", "last", help="Last month or day, included [default: that of --from].")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), default=CACHE, show_default=True)
@click.option("--workers", type=click.IntRange(1, 32), default=4, show_default=True, help="Downloads at a time.")
@click.option("--refresh", is_flag=True, help="Ask again for what is there: takes in re-issued files, as a new revision.")
@click.option(
    "--on-missing",
    type=click.Choice(["refuse", "record"]),
    default="refuse",
    show_default=True,
    help="Files that the archive lacks: an error, or an entry in the gap ledger.",
)
@as_json_option
def fetch_(
    base: str, market: str, kind: str, interval: str, symbols: str, first: str, last: str | None, cache: Path, workers: int, refresh: bool,
    on_missing: Any, as_json: bool,
) -> None:  # fmt: skip
    """Bring history from a Binance bulk archive into the cache, verified; what is there already is not asked for again.

    Example: hftkit data fetch --symbols BTCUSDT,ETHUSDT --interval 5m --from 2024-01 --to 2024-03
    """
    wanted = symbols_of(symbols) or []
    archive = Archive(base, cache, market)
    done = fetch(archive, wanted, periods_between(first, last or first), kind, interval, refresh=refresh, on_missing=on_missing, workers=workers)
    if as_json:
        click.echo(json.dumps([{**asdict(one), "path": str(one.path)} for one in done], indent=1))
        return
    columns = ["symbol", "rows", "first", "last", "fetched", "reused", "revised"]
    table = pd.DataFrame([asdict(one) for one in done])
    table["gaps"], table["missing files"] = table["gaps"].map(len), table["missing"].map(len)
    click.echo(show(table[[*columns, "gaps", "missing files"]]))
    click.echo(f"in {done[0].path.parent}; gaps: {cache / 'gaps.json'}")


@data.command(name="market-like")
@panel_options
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Write the simulator's configuration here (TOML).")
@click.option("--trades-per-s", type=click.FloatRange(0.01, 5), default=0.3, show_default=True, help="Of a symbol whose candles have no count.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the made market.")
@click.option("--params", "frozen", type=click.Path(path_type=Path, dir_okay=False), help="Make the pair of this frozen file cointegrated, as found.")
@click.option("--speed", type=click.FloatRange(1, 10_000), default=600.0, show_default=True, help="With --params: at what speed it will be run.")
@as_json_option
def market_like_(
    folder: Path, symbols: str | None, on_gap: str, span: str, out: Path, trades_per_s: float, seed: int, frozen: Path | None, speed: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Measure the market in a folder of candles and write a simulated one like it, for `hftkit sim --config`.

    With --params the pair of a frozen file is made cointegrated in it, with the hedge ratio, half-life and deviation that research found: a market
    to rehearse the file in. It starts where the candles end.

    Example: hftkit data market-like data/sample/1m -o sim.toml
    """
    if frozen is not None:
        from research.cli.market_commands import market_with_pair

        click.echo(market_with_pair(folder, frozen, out, speed, seed), err=as_json)
        return
    from research.cli.market_commands import market_like_report

    body = market_like_report(folder, symbols_of(symbols), on_gap, span, out, trades_per_s, seed)
    if as_json:
        click.echo(json.dumps({**body, "table": records(body["table"])}, indent=1))
        return
    click.echo(show(body["table"]))
    click.echo(f"{body['volatility']}\nwritten: {out}; run it with: hftkit sim --config {out}")


@data.command()
@click.argument("statement")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), default=CACHE, show_default=True)
@as_json_option
def sql(statement: str, cache: Path, as_json: bool) -> None:
    """Ask the cache a question in SQL (DuckDB). One view a kind: klines, aggTrades, fundingRate, ...

    Example: hftkit data sql "SELECT symbol, count(*) AS bars, max(high) AS top FROM klines GROUP BY symbol"
    """
    from research.data.remote.data_sql import query

    answer = query(cache, statement)
    click.echo(json.dumps(records(answer)) if as_json else show(answer))


@data.command(name="history")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--symbols", help="Only these, separated by commas; of one file of candles or ticks: its symbol, if its name does not say.")
@click.option("--start", help="From this time on (ISO, UTC).")
@click.option("--end", help="Before this time (ISO, UTC).")
@click.option(
    "--grade", type=click.Choice(["depth", "quotes"]), default="depth", show_default=True, help="Of recorded streams: quotes leaves the depth out."
)
@click.option("--instruments", type=click.Path(path_type=Path, dir_okay=False), help="JSON list of scales. [default: beside the data, else guessed]")
@click.option("--half-spread-ticks", type=click.IntRange(min=1), default=1, show_default=True, help="Of candles: half the spread of the quotes.")
@as_json_option
def history_(
    source: Path, target: Path, symbols: str | None, start: str | None, end: str | None, grade: str, instruments: Path | None,
    half_spread_ticks: int, as_json: bool,
) -> None:  # fmt: skip
    """Make a history of candles, trades, book tickers or recorded streams, for `hftkit sim --history`.

    Example: hftkit data history data/sample/1m data/cache/sample.npz --start 2026-01-05 --end 2026-01-06
    """
    from hftkit.exchange.market.history.files import GRADES, save_history
    from hftkit.units import iso_from_ns
    from research.market.history import read_history

    wanted = symbols_of(symbols)
    made = read_history(source, symbols=wanted, start=start, end=end, grade=grade, instruments=instruments, half_spread=half_spread_ticks)
    save_history(made, target)
    scales = [
        {"symbol": one.symbol, "grade": GRADES[number], "tick": one.tick_size, "lot": one.lot_size}
        for one, number in zip(made.instruments, made.grades, strict=True)
    ]
    span = {"first": iso_from_ns(made.first_ns), "last": iso_from_ns(made.last_ns)}
    left_out, remarks = made.origin.get("left_out", {}), made.origin.get("remarks", [])
    body = {
        "file": str(target),
        "digest": made.digest,
        "rows": len(made.tape),
        **span,
        "instruments": scales,
        "left_out": left_out,
        "remarks": remarks,
    }
    if as_json:
        click.echo(json.dumps(body, indent=1))
        return
    click.echo(f"{target}: {len(made.tape):,} rows, {body['first']} .. {body['last']}, digest {made.digest[:12]}")
    for row in scales:
        click.echo(f"  {row['symbol']:<14} {row['grade']:<8} tick {row['tick']}, lot {row['lot']}")
    for reason, count in left_out.items():
        click.echo(f"  left out {count:,} rows: {reason}")
    for remark in remarks:
        click.echo(f"  {remark}")
    click.echo(f"play it with: hftkit sim --history {target} --rate max --hold")


data.add_command(instruments)
