"""Commands of the research half: `hftkit scan`, `calibrate`, `freeze`, `notebook`. They read files and print; the work is done elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pandas as pd

from hftkit.errors import DataError
from hftkit.units import NS_PER_S
from research.command_options import Command, as_json_option, load, panel_options, records, show
from research.costs import Costs
from research.data_loader import Panel
from research.prefilter import Prefilter, illiquid, tests_made


def _cost_options(command: Command) -> Command:
    for option in (
        click.option("--fee-ppm", type=float, help="Fee of a fill, millionths of its value [default: the instruments' taker fee]."),
        click.option("--half-spread-bps", type=float, default=0.5, show_default=True, help="Half the bid-ask spread."),
        click.option("--slippage-bps", type=float, default=0.25, show_default=True, help="Slippage of a fill."),
    ):
        command = option(command)
    return command


def _rule_options(command: Command) -> Command:
    for option in (
        click.option("--zscore", "zscores", default="rolling", show_default=True, help="Kinds to try, separated by commas: rolling, ewma, kalman."),
        click.option(
            "--confidence",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            help="Take entries only above this probability of a return before the stop (model of the train span; often 0.8) [default: no gate].",
        ),
    ):
        command = option(command)
    return command


def _prefilter_options(command: Command) -> Command:
    for option in (
        click.option(
            "--min-correlation", type=click.FloatRange(0, 1, max_open=True), default=0.0, help="Do not test pairs whose changes correlate less."
        ),
        click.option(
            "--max-zero-volume", type=click.FloatRange(0, 1), default=1.0, help="Leave out symbols with a larger share of bars without volume."
        ),
        click.option("--min-turnover", type=click.FloatRange(0), default=0.0, help="Leave out symbols with less quote volume a day."),
    ):
        command = option(command)
    return command


@click.command()
@panel_options
@_prefilter_options
@click.option("--fdr", type=click.FloatRange(0, 1, min_open=True), default=0.05, show_default=True, help="False-discovery rate (Benjamini-Hochberg).")
@click.option(
    "--trend", type=click.Choice(["n", "c", "ct", "ctt"]), default="c", show_default=True, help="Deterministic terms of the cointegrating regression."
)
@click.option("--autolag", type=click.Choice(["aic", "bic", "t-stat", "none"]), default="aic", show_default=True, help="How lags are chosen.")
@click.option("--maxlag", type=int, help="Largest (or the) number of lags [default: Schwert's rule].")
@click.option("--top", type=int, default=15, show_default=True, help="Rows to print.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the whole table here (.csv or .parquet).")
@as_json_option
def scan(
    folder: Path,
    symbols: str | None,
    on_gap: str,
    span: str,
    fdr: float,
    trend: str,
    autolag: str,
    maxlag: int | None,
    top: int,
    out: Path | None,
    min_turnover: float,
    max_zero_volume: float,
    min_correlation: float,
    as_json: bool,
) -> None:
    """Test all ordered pairs of a folder of prices for cointegration, with q-values.

    Example: hftkit scan data/sample/1m --fdr 0.05
    """
    from research.cointegration import discoveries, scan_pairs

    panel = load(folder, symbols, on_gap, span)
    limits = Prefilter(min_turnover, max_zero_volume, min_correlation)
    rule = None if autolag == "none" else autolag
    table = scan_pairs(
        panel.closes, trend=trend, maxlag=maxlag, autolag=rule, min_correlation=min_correlation, leave_out=illiquid(panel.quality, limits)
    )
    found = discoveries(table, fdr)
    if out is not None:
        _write_whole(table, out)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "fdr": fdr,
                    "bars": len(panel.closes),
                    "tests": tests_made(table),
                    "decisions": list(panel.decisions),
                    "found": records(found),
                    "pairs": records(table),
                }
            )
        )
        return
    columns = ["lead", "hedge", "hedge_ratio", "statistic", "pvalue", "q_bh", "q_bonferroni", "lag", "half_life", "correlation", "verdict"]
    click.echo(show(table[columns].head(top)))
    made = tests_made(table)
    skipped = ", ".join(f"{count} {verdict}" for verdict, count in made.items() if verdict not in ("ordered_pairs", "tested"))
    click.echo("".join(f"{decision}\n" for decision in panel.decisions), nl=False)
    left = f" (not tested: {skipped})" if skipped else ""
    click.echo(
        f"{made['ordered_pairs']} ordered pairs over {len(panel.closes)} bars, {made['tested']} tested{left}; "
        f"{len(found)} pairs found at a false-discovery rate of {fdr:g}: "
        + (", ".join(f"{a}/{b}" for a, b in zip(found["lead"], found["hedge"], strict=True)) or "none")
    )


@click.command()
@click.argument("lead")
@click.argument("hedge")
@panel_options
@_cost_options
@_rule_options
@click.option(
    "--pairs-tested",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Ordered pairs among which this one was found (hftkit scan says how many): they deflate its Sharpe ratio.",
)
@click.option("--figures", type=click.Path(path_type=Path, file_okay=False), help="Write the pictures into this folder.")
@as_json_option
def calibrate(
    lead: str, hedge: str, folder: Path, symbols: str | None, on_gap: str, span: str,
    fee_ppm: float | None, half_spread_bps: float, slippage_bps: float, zscores: str, confidence: float | None, figures: Path | None,
    pairs_tested: int, as_json: bool,
) -> None:  # fmt: skip
    """Calibrate one pair on a train span; show how it does on validation and test.

    Example: hftkit calibrate CHARUSD DELTUSD data/sample/1m --figures data/runs/calibration
    """
    from research.calibration import calibrate_pair
    from research.capacity import capacity, impacts_in
    from research.instruments import find_instruments
    from research.pipeline import costs_of
    from research.walkforward import three_way

    panel = load(folder, symbols or f"{lead},{hedge}", on_gap, span)
    instruments, _ = find_instruments(folder, panel.closes)
    fee = fee_ppm if fee_ppm is not None else costs_of(instruments, lead, hedge).fee_ppm
    ticks = float(instruments[lead].tick_size), float(instruments[hedge].tick_size)
    costs = Costs(fee, half_spread_bps, slippage_bps)
    split = three_way(len(panel.closes), embargo=240)
    result = calibrate_pair(panel, lead, hedge, split, costs, None, 10, ticks, zscores.split(","), confidence, pairs_tested)
    tried = result.sweep.tried
    laws = impacts_in(folder, lead, hedge)
    carried = capacity(result.test, result.hedge_ratio, *laws) if laws else None
    written = _write_figures(result, panel, figures, carried) if figures else []
    if as_json:
        body = {
            "lead": lead,
            "hedge": hedge,
            "hedge_ratio": result.hedge_ratio,
            "thresholds": asdict(result.sweep.chosen),
            "costs": asdict(result.costs),
        }
        body |= {
            "parameter_sets": result.sweep.trials,
            "trials": tried.count,
            "effective_trials": tried.effective,
            "deflated_sharpe": result.sweep.deflated_sharpe,
            "spans": json.loads(result.table().to_json(orient="index")),
        }
        known = carried is not None and carried.best > 0
        body |= {f"capacity_{name}": getattr(carried, name) if known else None for name in ("best", "halves", "exhausted")}
        click.echo(json.dumps({**body, "figures": [str(path) for path in written]}, indent=1))
        return
    click.echo(result.test_of_train.report())
    click.echo(
        f"chosen of {tried.sets} parameter sets: {result.sweep.chosen}, deflated Sharpe probability {result.sweep.deflated_sharpe:.3f} "
        f"({tried.count} trials with the pairs, like {tried.effective:.0f} independent ones)"
    )
    click.echo(f"costs of a fill: {result.costs}")
    click.echo(result.table().to_string(float_format=lambda value: f"{value:.4g}"))
    click.echo("capacity on the test span: " + (str(carried) if carried else "not estimated, these candles have no volume"))
    for path in written:
        click.echo(f"wrote {path}")


def _write_whole(table: pd.DataFrame, out: Path) -> None:
    """Write beside the place and move there: a full disk leaves no half a table."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        table.to_parquet(partial, index=False) if out.suffix == ".parquet" else table.to_csv(partial, index=False)
        partial.replace(out)
    except OSError as reason:
        partial.unlink(missing_ok=True)
        raise DataError(f"cannot write {out}: {reason.strerror or reason}", "Check the folder and its free space") from None


def _write_figures(result: Any, panel: Panel, folder: Path, carried: Any) -> list[Path]:
    from research import figures

    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "prices": figures.price_pair(panel.closes[result.lead], panel.closes[result.hedge]),
        "spread_test": figures.spread_with_trades(result.test, "Spread on the test span"),
        "stability": figures.stability_map(result.sweep),
        "equity": figures.equity(result),
        "out_of_sample": figures.out_of_sample(result),
        **({"capacity": figures.capacity_curve(carried)} if carried else {}),
    }
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]


@click.command()
@panel_options
@_cost_options
@_rule_options
@_prefilter_options
@click.option("--pair", help="LEAD/HEDGE: freeze this pair [default: the best discovery on the validation span].")
@click.option("--fdr", type=click.FloatRange(0, 1, min_open=True), default=0.05, show_default=True, help="False-discovery rate (Benjamini-Hochberg).")
@click.option(
    "--unit-notional",
    type=click.FloatRange(0, min_open=True),
    default=1000.0,
    show_default=True,
    help="Value of one unit of the lead leg, quote currency.",
)
@click.option(
    "--maker-patience",
    type=click.FloatRange(0, 3600),
    default=0.0,
    show_default=True,
    help="Seconds that the lead is posted at the touch before the rest is taken; 0: taken at once.",
)
@click.option(
    "--reprice-ticks", type=click.IntRange(1), default=1, show_default=True, help="A posted order follows the touch once it is so far away."
)
@click.option("--valid-days", type=click.IntRange(1), default=30, show_default=True, help="Days of exchange time that the file may be traded.")
@click.option("--insist", is_flag=True, help="Freeze the best there is even without a discovery or a profit (to try the machinery).")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("data/frozen"), show_default=True, help="Folder of frozen files."
)
@as_json_option
def freeze(
    folder: Path, symbols: str | None, on_gap: str, span: str, fee_ppm: float | None, half_spread_bps: float, slippage_bps: float, pair: str | None,
    fdr: float, unit_notional: float, maker_patience: float, reprice_ticks: int, valid_days: int, insist: bool, out: Path, min_turnover: float,
    max_zero_volume: float, min_correlation: float, zscores: str, confidence: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Scan, calibrate, choose, and write one frozen parameter file for `hftkit live`.

    Example: hftkit freeze data/sample/1m --out data/frozen
    """
    from research.freeze import Execution
    from research.instruments import find_instruments
    from research.pipeline import find_and_freeze

    panel = load(folder, symbols, on_gap, span)
    instruments, _ = find_instruments(folder, panel.closes)
    if pair is not None and len(pair.split("/")) != 2:
        raise DataError(f"--pair {pair!r} is not LEAD/HEDGE", "Write it like CHARUSD/DELTUSD")
    execution = Execution(
        unit_notional=unit_notional, valid_days=valid_days, maker_patience_ns=round(maker_patience * NS_PER_S), reprice_ticks=reprice_ticks
    )
    fee = fee_ppm if fee_ppm is not None else float(max(instruments[symbol].taker_fee_ppm for symbol in panel.closes))
    result = find_and_freeze(
        panel, instruments, out, fdr=fdr, costs=Costs(fee, half_spread_bps, slippage_bps), insist=insist,
        pair=(pair.split("/")[0], pair.split("/")[1]) if pair else None, execution=execution,
        prefilter=Prefilter(min_turnover, max_zero_volume, min_correlation), made_by="hftkit freeze",
        zscores=zscores.split(","), confidence=confidence,
    )  # fmt: skip
    chosen = result.chosen
    if as_json:
        body = {
            "path": str(result.path),
            "digest": result.params.digest,
            "lead": chosen.lead,
            "hedge": chosen.hedge,
            "warnings": list(result.warnings),
        }
        click.echo(json.dumps({**body, "found": records(result.found), "out_of_sample": chosen.test.summary()}, indent=1))
        return
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{result.search.pairs_tested} ordered pairs tested, {len(result.found)} found")
    click.echo(f"chosen {chosen.lead}/{chosen.hedge}, q-value {result.search.q_value:.3g}")
    click.echo(chosen.table().to_string(float_format=lambda value: f"{value:.4g}"))
    click.echo(f"wrote {result.path}")


@click.group()
def notebook() -> None:
    """Open or execute the notebooks.

    Example: hftkit notebook run notebooks/01_find_pairs.ipynb
    """


@notebook.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
def run(paths: tuple[Path, ...]) -> None:
    """Execute notebooks top to bottom, in place (all of notebooks/ by default).

    Example: hftkit notebook run notebooks/01_find_pairs.ipynb
    """
    from research.notebooks import execute, notebook_paths
    from research.progress import progress

    for path in progress(list(paths) or notebook_paths(), "notebooks"):
        click.echo(f"{path}: executed in {execute(path):.0f} s")


@notebook.command(name="open")
@click.argument("path", type=click.Path(path_type=Path), default=Path("notebooks"))
def open_(path: Path) -> None:
    """Open JupyterLab on a notebook or on the folder of them; Ctrl-C ends it.

    Example: hftkit notebook open notebooks/00_tour.ipynb
    """
    import subprocess
    import sys

    if not path.exists():
        raise DataError(f"there is no {path}", "Run this from the project's folder, or give a path")
    raise click.exceptions.Exit(subprocess.call([sys.executable, "-m", "jupyterlab", str(path)]))
