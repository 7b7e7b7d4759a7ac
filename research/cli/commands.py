"""Commands of the research half: `hftkit scan`, `calibrate`, `freeze`. They read files and print; the work is done elsewhere."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from hftkit.compilation.compile_progress import says_compilation
from hftkit.errors import DataError
from hftkit.units import NS_PER_S
from research.cli.command_options import Command, as_json_option, load, p_value_options, panel_options, records, show
from research.cli.study_options import (
    ledger_of,
    ledger_options,
    levels_option,
    limit_options,
    lines_of,
    opened,
    split_options,
    unit_root_option,
    unit_root_rule_option,
)
from research.data.data_loader import Panel
from research.pairs.costs import Costs
from research.stats.discovery.prefilter import Prefilter, illiquid, methods_used, pairs_in_words, tests_made

if TYPE_CHECKING:
    from research.data.instruments import Scales
    from research.pairs.freezing.pipeline import PipelineResult
    from research.pairs.freezing.settings import Execution


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
@click.option("--max-half-life", type=click.FloatRange(0, min_open=True), help="Longest half-life of a discovery, in bars [default: any].")
@unit_root_rule_option
@unit_root_option
@click.option("--levels", is_flag=True, help="Test prices as they are instead of their logarithms.")
@p_value_options
@click.option("--top", type=int, default=15, show_default=True, help="Rows to print.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the whole table here (.csv or .parquet).")
@as_json_option
@says_compilation
def scan(
    folder: Path,
    symbols: str | None,
    on_gap: str,
    span: str,
    fdr: float,
    trend: str,
    autolag: str,
    maxlag: int | None,
    max_half_life: float | None,
    unit_root_level: float,
    unit_root_rule: Any,
    levels: bool,
    p_values: Any,
    draws: int | None,
    seed: int,
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
    from research.stats.discovery.pair_scan import discoveries, scan_pairs

    panel = load(folder, symbols, on_gap, span)
    limits = Prefilter(min_turnover, max_zero_volume, min_correlation)
    rule = None if autolag == "none" else autolag
    table = scan_pairs(
        panel.closes, log=not levels, trend=trend, maxlag=maxlag, autolag=rule, unit_root_level=unit_root_level or None,
        unit_root_rule=unit_root_rule, min_correlation=min_correlation, leave_out=illiquid(panel.quality, limits), p_values=p_values,
        draws=draws, seed=seed,
    )  # fmt: skip
    found = discoveries(table, fdr, max_half_life=max_half_life or math.inf)
    if out is not None:
        _write_whole(table, out)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "fdr": fdr,
                    "bars": len(panel.closes),
                    "tests": tests_made(table),
                    "p_values": methods_used(table),
                    "decisions": list(panel.decisions),
                    "found": records(found),
                    "pairs": records(table),
                }
            )
        )
        return
    columns = ["lead", "hedge", "hedge_ratio", "statistic", "pvalue", "q_bh", "q_bonferroni", "lag", "half_life", "correlation", "verdict"]
    click.echo(show(table[columns].head(top)))
    click.echo("".join(f"{decision}\n" for decision in panel.decisions), nl=False)
    click.echo("p-values: " + (", ".join(f"{count} {method}" for method, count in methods_used(table).items()) or "none, nothing was tested"))
    click.echo(
        f"{pairs_in_words(table)} over all {len(panel.closes)} bars (hftkit freeze tests the train span alone); "
        f"{len(found)} pairs found at a false-discovery rate of {fdr:g}: "
        + (", ".join(f"{a}/{b}" for a, b in zip(found["lead"], found["hedge"], strict=True)) or "none")
    )


@click.command()
@click.argument("lead")
@click.argument("hedge")
@panel_options
@_cost_options
@_rule_options
@split_options
@click.option(
    "--pairs-tested",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Ordered pairs among which this one was found (hftkit scan says how many): they deflate its Sharpe ratio.",
)
@levels_option
@click.option("--open-test", is_flag=True, help="Show the test span too: once, and the ledger of trials keeps it.")
@click.option("--again", is_flag=True, help="With --open-test: also where other trials have looked at it before.")
@ledger_options
@click.option("--figures", type=click.Path(path_type=Path, file_okay=False), help="Write the pictures into this folder.")
@as_json_option
@says_compilation
def calibrate(
    lead: str, hedge: str, folder: Path, symbols: str | None, on_gap: str, span: str,
    fee_ppm: float | None, half_spread_bps: float, slippage_bps: float, zscores: str, confidence: float | None, figures: Path | None,
    pairs_tested: int, embargo: int | None, funding_bps: float, scales_file: Path | None, levels: bool, as_json: bool,
    open_test: bool, again: bool, ledger_file: Path | None, no_ledger: bool,
) -> None:  # fmt: skip
    """Calibrate one pair on a train span; show how it does on validation and, once, on test.

    The test span stays closed until --open-test. Every trial is kept in the ledger of trials; a span that other trials have opened is refused
    without --again.

    Example: hftkit calibrate CHARUSD DELTUSD data/sample/1m --figures data/runs/calibration
    """
    from research.data.instruments import find_scales
    from research.pairs.calibration import calibrate_pair, split_for, two_symbols
    from research.pairs.freezing.cautions import Caution, cautions_of
    from research.pairs.freezing.freeze import carried_by
    from research.pairs.freezing.pipeline import costs_of, costs_with_ticks, looked_at

    panel = load(folder, symbols or f"{lead},{hedge}", on_gap, span)
    two_symbols(panel.closes, lead, hedge)
    scales = find_scales(folder, panel.closes, scales_file)
    instruments = scales.instruments
    fee = fee_ppm if fee_ppm is not None else costs_of(instruments, lead, hedge).fee_ppm
    ticks = float(instruments[lead].tick_size), float(instruments[hedge].tick_size)
    split = split_for(panel, lead, hedge, embargo=embargo, log=not levels)
    asked = Costs(fee, half_spread_bps, slippage_bps, funding_bps=funding_bps)
    costs, raised = costs_with_ticks(asked, instruments, panel, split, lead, hedge)
    result = calibrate_pair(panel, lead, hedge, split, costs, None, 10, ticks, zscores.split(","), confidence, pairs_tested, not levels)
    tried, ledger = result.sweep.tried, ledger_of(ledger_file, no_ledger)
    before = opened(ledger, panel, result, "hftkit calibrate", again) if open_test else None
    if ledger is not None and not open_test:
        ledger.note(panel, result, "hftkit calibrate")
    capacities = carried_by(panel, result)
    cautions = [one for one in cautions_of(result, result.confirmation(), capacities) if open_test or not one.of_test]
    if before:
        cautions.insert(0, Caution(looked_at(result, before)))
    if not open_test:
        del capacities["test"]
    spans, carried = result.table(), capacities["test" if open_test else "validation"]
    spans = spans if open_test else spans.drop(index="test")
    again_tested = result.confirmation().table().reset_index()
    again_tested = again_tested if open_test else again_tested[again_tested["span"] == "validation"]
    written = _write_figures(result, panel, figures, carried, open_test) if figures else []
    if as_json:
        body = {
            "lead": lead,
            "hedge": hedge,
            "hedge_ratio": result.hedge_ratio,
            "spread": "levels" if levels else "logs",
            "thresholds": asdict(result.sweep.chosen),
            "costs": asdict(result.costs),
        }
        body |= {
            "parameter_sets": result.sweep.trials,
            "trials": tried.count,
            "effective_trials": tried.effective,
            "deflated_sharpe": result.sweep.deflated_sharpe,
            "spans": json.loads(spans.to_json(orient="index")),
            "test_span": {"looks_before": "not recorded" if before is None else before} if open_test else "closed",
        }
        body |= {"cointegration_again": records(again_tested), "warnings": [one.text for one in cautions]}
        body |= {"guessed": {symbol: list(names) for symbol, names in scales.guessed.items() if symbol in (lead, hedge)}}
        known = carried is not None and carried.best > 0
        body |= {f"capacity_{name}": getattr(carried, name) if known else None for name in ("best", "halves", "exhausted")}
        click.echo(json.dumps({**body, "figures": [str(path) for path in written]}, indent=1))
        return
    click.echo(result.test_of_train.report())
    chosen = result.sweep.chosen
    rule = ", ".join(f"{name} {value:g}" if not isinstance(value, str) else f"{name} {value}" for name, value in asdict(chosen).items())
    click.echo(f"chosen of {tried.sets} parameter sets: {rule}")
    click.echo(
        f"deflated Sharpe probability {result.sweep.deflated_sharpe:.3f} ({tried.count} trials with the pairs, like {tried.effective:.0f} "
        "independent ones)"
    )
    click.echo(spans.to_string(float_format=lambda value: f"{value:.4g}"))
    if not open_test:
        click.echo("the test span is closed: --open-test shows it, once")
    for line in [*lines_of(result, cautions, capacities), *(note for note in (raised, scales.in_words((lead, hedge))) if note)]:
        click.echo(line)
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


def _write_figures(result: Any, panel: Panel, folder: Path, carried: Any, open_test: bool) -> list[Path]:
    from research.report import figures

    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "prices": figures.price_pair(panel.closes[result.lead], panel.closes[result.hedge]),
        "spread_validation": figures.spread_with_trades(result.validation, "Spread on the validation span"),
        "stability": figures.stability_map(result.sweep),
        **({"capacity": figures.capacity_curve(carried)} if carried else {}),
    }
    if open_test:
        drawn["spread_test"] = figures.spread_with_trades(result.test, "Spread on the test span")
        drawn |= {"equity": figures.equity(result), "out_of_sample": figures.out_of_sample(result)}
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]


@click.command()
@panel_options
@_cost_options
@_rule_options
@_prefilter_options
@split_options
@limit_options
@click.option("--pair", "pair_names", multiple=True, help="LEAD/HEDGE: freeze this pair; may be given again. [default: the best on validation]")
@click.option("--strategy", "by_hand", help="Freeze this strategy with parameters of your own instead of a calibrated pair; with --lead and --set.")
@click.option("--lead", help="With --strategy: the symbol traded, or the first of two.")
@click.option("--hedge", default="", help="With --strategy: the second symbol, if there is one.")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="With --strategy: a parameter; may be given again.")
@levels_option
@p_value_options
@click.option("--best", type=click.IntRange(1, 64), default=1, show_default=True, help="Freeze so many pairs, one file each, no symbol in two.")
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
@ledger_options
@click.option("--insist", is_flag=True, help="Freeze the best there is even without a discovery or a profit (to try the machinery).")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("data/frozen"), show_default=True, help="Folder of frozen files."
)
@as_json_option
@says_compilation
def freeze(
    folder: Path, symbols: str | None, on_gap: str, span: str, fee_ppm: float | None, half_spread_bps: float, slippage_bps: float,
    pair_names: tuple[str, ...], by_hand: str | None, lead: str | None, hedge: str, values: tuple[str, ...], best: int,
    fdr: float, unit_notional: float, maker_patience: float, reprice_ticks: int, valid_days: int,
    insist: bool, out: Path, min_turnover: float, max_zero_volume: float, min_correlation: float, zscores: str, confidence: float | None,
    embargo: int | None, funding_bps: float, scales_file: Path | None, max_half_life: float, unit_root_level: float, unit_root_rule: Any,
    levels: bool,
    p_values: Any, draws: int | None, seed: int, as_json: bool, ledger_file: Path | None, no_ledger: bool,
) -> None:  # fmt: skip
    """Scan, calibrate, choose, and write one frozen parameter file a pair for `hftkit live`.

    The test span of what is frozen is opened; the file says how many other trials looked at it before.

    A pair that is dead out of sample, earns nothing on validation or cannot carry the unit is refused without --insist.

    \b
    Examples:
      hftkit freeze data/sample/1m --out data/frozen
      hftkit freeze my/candles --instruments my/instruments.json --best 3 --out data/frozen
      hftkit freeze my/candles --strategy fixed_target --lead BTCUSDT --set target=1
    """
    from research.data.instruments import find_scales
    from research.pairs.freezing.pipeline import find_and_freeze_many
    from research.pairs.freezing.settings import Execution

    pairs = [_pair(text) for text in pair_names]
    panel = load(folder, symbols, on_gap, span)
    scales = find_scales(folder, panel.closes, scales_file)
    execution = Execution(
        unit_notional=unit_notional, valid_days=valid_days, maker_patience_ns=round(maker_patience * NS_PER_S), reprice_ticks=reprice_ticks
    )
    if by_hand is not None:
        if levels:
            raise DataError("--levels is of a calibrated pair", "With --strategy pairs write --set spread=levels")
        _freeze_by_hand(panel, scales, by_hand, lead, hedge, values, out, execution, as_json)
        return
    fee = fee_ppm if fee_ppm is not None else float(max(scales.instruments[symbol].taker_fee_ppm for symbol in panel.closes))
    results = find_and_freeze_many(
        panel, scales.instruments, out, count=best, fdr=fdr, costs=Costs(fee, half_spread_bps, slippage_bps, funding_bps=funding_bps),
        insist=insist, pairs=pairs or None, execution=execution, embargo=embargo, max_half_life=max_half_life, max_candidates=max(5, 2 * best),
        prefilter=Prefilter(min_turnover, max_zero_volume, min_correlation), made_by="hftkit freeze", unit_root_level=unit_root_level or None,
        unit_root_rule=unit_root_rule, zscores=zscores.split(","), confidence=confidence, guessed=scales.guessed, log=not levels,
        p_values=p_values, draws=draws, seed=seed,
        ledger=ledger_of(ledger_file, no_ledger),
    )  # fmt: skip
    if as_json:
        bodies = [_frozen_as_plain(result) for result in results]
        click.echo(json.dumps({**bodies[0], "files": bodies} if len(bodies) > 1 else bodies[0], indent=1))
        return
    first = results[0]
    for note in first.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{pairs_in_words(first.scan)} on the train span ({first.split.train.stop} bars); {len(first.found)} found")
    for result in results:
        chosen = result.chosen
        click.echo(f"chosen {chosen.lead}/{chosen.hedge}, q-value {result.search.q_value:.3g}")
        click.echo(chosen.table().to_string(float_format=lambda value: f"{value:.4g}"))
        for one in chosen.confirmation():
            click.echo(f"cointegration again, {one.in_words()}")
        for warning in result.warnings:
            click.echo(f"warning: {warning}", err=True)
        if guess := scales.in_words((chosen.lead, chosen.hedge)):
            click.echo(f"warning: {guess}", err=True)
        click.echo(f"wrote {result.path}")
    if len(results) < max(best, len(pairs)):
        click.echo(f"{len(results)} of {max(best, len(pairs))} pairs could be frozen", err=True)
    if len(results) > 1:
        click.echo("trade them together: hftkit live " + " ".join(f"--params {result.path}" for result in results))


def _freeze_by_hand(
    panel: Panel, scales: Scales, name: str, lead: str | None, hedge: str, values: tuple[str, ...], out: Path, execution: Execution, as_json: bool
) -> None:
    """A strategy of the user's, with parameters of the user's."""
    from research.pairs.freezing.freeze_strategy import BY_HAND, freeze_strategy

    if not lead:
        raise DataError(f"--strategy {name} needs the symbol to trade", f"Name it with --lead, one of {', '.join(map(str, panel.closes))}")
    if wrong := [text for text in values if not text.partition("=")[2]]:
        raise DataError(f"--set {wrong[0]!r} is not NAME=VALUE", "Write it like window=60")
    given = {text.partition("=")[0].strip(): text.partition("=")[2].strip() for text in values}
    path = freeze_strategy(panel, scales, name, lead, hedge, given, out, execution, "hftkit freeze --strategy")
    if as_json:
        click.echo(json.dumps({"path": str(path), "warnings": [BY_HAND], "guessed": scales.guessed}, indent=1))
        return
    for line in (BY_HAND, scales.in_words([symbol for symbol in (lead, hedge) if symbol])):
        if line:
            click.echo(f"warning: {line}", err=True)
    click.echo(f"wrote {path}")


def _pair(text: str) -> tuple[str, str]:
    names = text.split("/")
    if len(names) != 2 or not all(names):
        raise DataError(f"--pair {text!r} is not LEAD/HEDGE", "Write it like CHARUSD/DELTUSD")
    return names[0], names[1]


def _frozen_as_plain(result: PipelineResult) -> dict[str, Any]:
    """One frozen pair for a program to read."""
    chosen = result.chosen
    return {
        "path": str(result.path),
        "digest": result.params.digest,
        "lead": chosen.lead,
        "hedge": chosen.hedge,
        "warnings": list(result.warnings),
        "notes": list(result.notes),
        "guessed": result.params.provenance.get("guessed", {}),
        "cointegration_again": records(chosen.confirmation().table().reset_index()),
        "found": records(result.found),
        "out_of_sample": chosen.test.summary(),
    }
