"""Freeze a calibration into the one file that live trading reads (docs/frozen-parameters.md).

Same inputs, same bytes: nothing here reads a clock. The file is valid from the end of its data, for a stated number of days of
exchange time. Numbers are decimal text that reads back as the same float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from hftkit.errors import DataError, ParamsError
from hftkit.instruments import Instrument
from hftkit.params import format as params
from hftkit.params.format import FrozenParams, LegPlan
from hftkit.strategies import strategy
from hftkit.strategies.pairs import TREES_ARRAY, tail_bars
from hftkit.units import NS_PER_S
from research.data.data_loader import Panel
from research.pairs.calibration import Calibration
from research.pairs.freezing.cautions import Caution, cautions_of
from research.pairs.freezing.certificate import recomputed
from research.pairs.freezing.provenance import carried_by, provenance_of
from research.pairs.freezing.settings import Execution, Search
from research.stats.discovery.prefilter import tests_made

FROZEN_FOLDER = Path("data/frozen")
_DAY_NS = 86_400 * NS_PER_S


def search_of(scan: pd.DataFrame, row: pd.Series, discoveries: int, fdr: float) -> Search:
    """The search that a row of `scan_pairs` comes from."""
    made = tests_made(scan)
    tested = made.pop("tested")
    made.pop("ordered_pairs")
    return Search(scan["lead"].nunique(), tested, discoveries, fdr, float(row["q_bh"]), float(row["q_by"]), float(row["q_bonferroni"]), made)


def build_params(
    panel: Panel,
    instruments: dict[str, Instrument],
    calibration: Calibration,
    search: Search,
    execution: Execution | None = None,
    made_by: str = "research.freeze",
    guessed: dict[str, tuple[str, ...]] | None = None,
    said: Sequence[str] = (),
    record: dict[str, Any] | None = None,
) -> FrozenParams:
    """The frozen parameters of a calibrated pair, not yet written. `made_by`: the notebook or command, for the provenance. `guessed`: symbol ->
    fields of its scales that no venue has told. What would mislead a reader stands in the provenance, after what was `said` of the search; it
    refuses nothing here. `record`: the arguments of the search with their `route`, and what else it has to tell; by
    default the arguments of this function.

    Every figure is computed again from the rule that is frozen and the closes of `panel` (certificate.py).
    Raises ParamsError if they cannot be traded (negative hedge ratio, too small), or if the calibration's figures are not those of its rule.
    """
    execution = execution or Execution()
    calibration = recomputed(panel, calibration)
    if record is None:
        record = {"arguments": {"route": "build_params", "execution": asdict(execution), "said": list(said)}}
    chosen = calibration.sweep.chosen
    symbols = (calibration.lead, calibration.hedge)
    ratio = _last_ratio(panel, calibration)
    if not 0.05 <= ratio <= 20.0:
        raise ParamsError(
            f"the hedge ratio of {'/'.join(symbols)} is {ratio:.4f}{'' if calibration.bars.log else ' in money'}: "
            "a unit would not be long one leg and short the other",
            "Choose a pair with a hedge ratio from 0.05 to 20",
        )
    end_ns = panel.end_ns
    gate, tail = calibration.gate, tail_bars(chosen.zscore, chosen.window, calibration.gate is not None)
    return FrozenParams(
        schema_version=params.SCHEMA_VERSION,
        name=f"pairs-{calibration.lead}-{calibration.hedge}".lower(),
        strategy="pairs",
        strategy_version=strategy("pairs").version,
        instruments=tuple(instruments[symbol] for symbol in symbols),
        legs=_leg_plan(panel, instruments, calibration, execution),
        parameters={
            "hedge_ratio": params.text_of(calibration.hedge_ratio),
            "bar_ns": panel.bar_ns,
            "window": chosen.window,
            "entry_z": params.text_of(chosen.entry_z),
            "exit_z": params.text_of(chosen.exit_z),
            "stop_z": params.text_of(chosen.stop_z),
            "max_holding_bars": chosen.max_holding_bars,
            "max_imbalance": params.text_of(execution.max_imbalance),
            "tail_end_ns": end_ns,
            **({} if calibration.bars.log else {"spread": "levels"}),
            **({"zscore": chosen.zscore} if chosen.zscore != "rolling" else {}),
            **({"confidence": params.text_of(gate.confidence)} if gate else {}),
        },
        arrays={
            "spread_tail": tuple(params.text_of(value) for value in calibration.bars.spread[-tail:]),
            **({TREES_ARRAY: tuple(params.text_of(value) for value in gate.table)} if gate else {}),
        },
        provenance=provenance_of(panel, calibration, search, execution, made_by, guessed or {}, said, record),
        valid_from_ns=end_ns,
        valid_until_ns=end_ns + execution.valid_days * _DAY_NS,
    )


def freeze_pair(
    panel: Panel,
    instruments: dict[str, Instrument],
    calibration: Calibration,
    search: Search,
    folder: Path | str = FROZEN_FOLDER,
    execution: Execution | None = None,
    made_by: str = "research.freeze",
    *,
    insist: bool = False,
    guessed: dict[str, tuple[str, ...]] | None = None,
    said: Sequence[str] = (),
    record: dict[str, Any] | None = None,
) -> Path:
    """Build and write the frozen file; returns its path. Writing the same inputs again gives the same file.

    Raises DataError for a pair that is dead out of sample, earns nothing on validation, or cannot carry its unit, unless one insists.
    """
    execution = execution or Execution()
    if not insist:
        refuse([caution for caution in cautions_for(panel, calibration, execution) if caution.refuses])
    return params.freeze(build_params(panel, instruments, calibration, search, execution, made_by, guessed, said, record), folder)


def cautions_for(panel: Panel, calibration: Calibration, execution: Execution) -> tuple[Caution, ...]:
    """What would mislead a reader of the file that these make."""
    return cautions_of(calibration, calibration.confirmation(), carried_by(panel, calibration), execution.unit_notional)


def refuse(cautions: Sequence[Caution], before: str = "") -> None:
    """Raise DataError with what these say, if there are any."""
    if cautions:
        text = "; ".join(dict.fromkeys(caution.text for caution in cautions))
        raise DataError(before + text, f"{cautions[0].cure}; --insist freezes all the same, and the file says so")


def _last_ratio(panel: Panel, calibration: Calibration) -> float:
    """Notional of the hedge per notional of the lead in one unit: the ratio of logs, or that of levels at the last close."""
    return calibration.hedge_ratio if calibration.bars.log else calibration.bars.money_ratio(slice(len(panel.closes) - 1, None))


def _leg_plan(panel: Panel, instruments: dict[str, Instrument], calibration: Calibration, execution: Execution) -> LegPlan:
    lots = {}
    for symbol, share in ((calibration.lead, 1.0), (calibration.hedge, _last_ratio(panel, calibration))):
        instrument = instruments[symbol]
        lot_value = float(panel.closes[symbol].iloc[-1]) * float(instrument.lot_size)
        notional = execution.unit_notional * share
        lots[symbol] = round(notional / lot_value)
        # Room for the price to fall by a tenth before a unit is below the venue's minimum: no leg may be left naked for being too small
        if lots[symbol] < 1 or lots[symbol] * lot_value * 0.9 < float(instrument.min_notional):
            raise ParamsError(
                f"{notional:.2f} of {symbol} is less than one lot ({lot_value:.2f}) or than its minimum notional ({instrument.min_notional})",
                "Use a larger unit_notional (--unit-notional)",
            )
    return LegPlan(
        lead=calibration.lead,
        hedge=calibration.hedge,
        unit_lead_lots=lots[calibration.lead],
        unit_hedge_lots=-lots[calibration.hedge],  # the legs stand against each other
        slippage_ticks=execution.slippage_ticks,
        hedge_deadline_ns=execution.hedge_deadline_ns,
        retry_ns=execution.retry_ns,
        residual_lots=execution.residual_lots,
        maker_patience_ns=execution.maker_patience_ns,
        reprice_ticks=execution.reprice_ticks,
    )
