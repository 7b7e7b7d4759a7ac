"""Options of the commands that calibrate: spans, limits, costs of holding, scales; and what they print in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hftkit.errors import DataError
from research.cli.command_options import Command

if TYPE_CHECKING:
    from research.data.data_loader import Panel
    from research.pairs.calibration import Calibration  # loads kernels
    from research.pairs.capacity import Capacity
    from research.pairs.freezing.cautions import Caution
    from research.pairs.freezing.trial_ledger import TrialLedger


def split_options(command: Command) -> Command:
    """Embargo between train, validation and test, and the funding that a position pays."""
    for option in (
        click.option(
            "--embargo", type=click.IntRange(0), help="Bars left out before validation and before test [default: the holding limit, at least 240]."
        ),
        click.option("--funding-bps", type=click.FloatRange(0), default=0.0, show_default=True, help="Paid on each leg for eight hours of holding."),
        click.option(
            "--instruments",
            "scales_file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Ticks, lots, minima, fees (hftkit data instruments). [default: instruments.json beside the data, else guessed from the prices]",
        ),
    ):
        command = option(command)
    return command


def ledger_options(command: Command) -> Command:
    """Where trials and looks at test spans are kept."""
    for option in (
        click.option("--no-ledger", is_flag=True, help="Keep no record of this trial."),
        click.option(
            "--ledger",
            "ledger_file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="File of the trials that were made. [default: $HFTKIT_TRIALS, else data/trials.duckdb]",
        ),
    ):
        command = option(command)
    return command


def ledger_of(given: Path | None, none: bool) -> TrialLedger | None:
    """The ledger that these options ask for; None, and a line, where its package is missing and no file was named."""
    from research.pairs.freezing.trial_ledger import TrialLedger, ledger_path

    if none:
        return None
    try:
        import duckdb  # noqa: F401
    except ModuleNotFoundError:
        if given is not None:
            raise
        click.echo("trials are not recorded: the package duckdb is missing (pip install 'hftkit[research]')", err=True)
        return None
    return TrialLedger(ledger_path(given))


def opened(ledger: TrialLedger | None, panel: Panel, found: Calibration, made_by: str, again: bool) -> int | None:
    """Open the test span of a calibration: how many other trials looked at it before, None where nobody counts.

    Raises DataError for a span that others have opened, unless `again`.
    """
    if ledger is None:
        return None
    before = ledger.looks(panel, found)
    if before and not again:
        ledger.note(panel, found, made_by)
        raise DataError(
            f"the test span of {found.lead}/{found.hedge} was opened by {before} other trials before: what it shows is not out of sample any more",
            "Leave it closed, use newer data, or look all the same with --again (it is counted)",
        )
    return ledger.open(panel, found, made_by)


def limit_options(command: Command) -> Command:
    """What a pair must be like to be taken."""
    for option in (
        click.option(
            "--max-half-life", type=click.FloatRange(0, min_open=True), default=480.0, show_default=True, help="Longest half-life taken, in bars."
        ),
        unit_root_rule_option,
        unit_root_option,
    ):
        command = option(command)
    return command


unit_root_option = click.option(
    "--unit-root-level",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="A symbol whose own unit root is rejected at this level is left out; 0: test all.",
)
unit_root_rule_option = click.option(
    "--unit-root-rule",
    type=click.Choice(["each", "fdr"]),
    default="each",
    show_default=True,
    help="That level is of every symbol's test, or a false-discovery rate over all symbols: fewer true pairs are lost.",
)


levels_option = click.option("--levels", is_flag=True, help="Spreads of prices as they are instead of their logarithms.")


def lines_of(found: Calibration, cautions: Sequence[Caution], carried: dict[str, Capacity | None]) -> list[str]:
    """What is said of every calibrated pair, of the spans in `carried`: costs, cointegration again, capacity, warnings."""
    lines = [f"costs of a fill: {found.costs.in_words()}"]
    lines += [f"cointegration again, {one.in_words()}" for one in found.confirmation() if one.span in carried or "test" in carried]
    lines += [f"capacity on {span}: {carry or 'not estimated, these candles have no volume'}" for span, carry in carried.items()]
    return [*lines, *(f"warning: {caution.text}" for caution in cautions)]
