"""Freeze a strategy whose parameters come from its author, not from a calibration: one symbol or two, any entry of hftkit/strategies.

The file says so: its provenance has the data it was made beside, and no statistics, for there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from hftkit.errors import DataError, ParamsError
from hftkit.params import format as params
from hftkit.params.format import FrozenParams, LegPlan
from hftkit.strategies import strategy
from research.data.data_loader import Panel
from research.data.instruments import Scales
from research.pairs.freezing.freeze import FROZEN_FOLDER
from research.pairs.freezing.provenance import code_of, data_of
from research.pairs.freezing.settings import Execution, as_text

_DAY_NS = 86_400_000_000_000
BY_HAND = "the parameters were given by hand: nothing was calibrated, nothing was tested out of sample"


def freeze_strategy(
    panel: Panel,
    scales: Scales,
    name: str,
    lead: str,
    hedge: str = "",
    values: Mapping[str, str] | None = None,
    folder: Path | str = FROZEN_FOLDER,
    execution: Execution | None = None,
    made_by: str = "research.freeze_strategy",
) -> Path:
    """Build and write the frozen file of the strategy `name`; returns its path.

    `lead`, `hedge`: symbols of the panel (hedge "": one symbol). `values`: parameters as decimal text; `bar_ns` is the panel's where the strategy
    has such a parameter and none is given. A unit is `execution.unit_notional` of the lead; of the hedge `hedge_ratio` times as much, opposite,
    where there is such a parameter, else as much. With the parameter `spread` "levels" the ratio is of quantities, not of money.

    Raises DataError for symbols that are not there, ParamsError for a parameter that the strategy does not take.
    """
    execution, values = execution or Execution(), dict(values or {})
    arguments = {"route": "freeze_strategy", "values": dict(values), "execution": asdict(execution)}
    found = strategy(name)
    symbols = [symbol for symbol in (lead, hedge) if symbol]
    if missing := [symbol for symbol in symbols if symbol not in panel.closes]:
        raise DataError(f"there are no prices of {' and '.join(missing)}", f"The data have {', '.join(map(str, panel.closes))}")
    parameters = _parameters(found.schema, found.name, values, panel.bar_ns)
    ratio = abs(float(parameters.get("hedge_ratio", 1.0)))
    if hedge and parameters.get("spread") == "levels":
        ratio *= float(panel.closes[hedge].iloc[-1] / panel.closes[lead].iloc[-1])
    lots = {symbol: _lots(panel, scales, symbol, execution.unit_notional * share) for symbol, share in zip(symbols, (1.0, ratio), strict=False)}
    end_ns = panel.end_ns
    frozen = FrozenParams(
        schema_version=params.SCHEMA_VERSION,
        name="-".join([found.name.replace("_", "-"), *symbols]).lower(),
        strategy=found.name,
        strategy_version=found.version,
        instruments=tuple(scales.instruments[symbol] for symbol in symbols),
        legs=LegPlan(
            lead=lead,
            hedge=hedge,
            unit_lead_lots=lots[lead],
            unit_hedge_lots=-lots[hedge] if hedge else 0,
            slippage_ticks=execution.slippage_ticks,
            hedge_deadline_ns=execution.hedge_deadline_ns,
            retry_ns=execution.retry_ns,
            residual_lots=execution.residual_lots,
            maker_patience_ns=execution.maker_patience_ns,
            reprice_ticks=execution.reprice_ticks,
        ),
        parameters=parameters,
        arrays={},
        provenance=_provenance(panel, scales, symbols, execution, made_by, arguments),
        valid_from_ns=end_ns,
        valid_until_ns=end_ns + execution.valid_days * _DAY_NS,
    )
    return params.freeze(frozen, folder)


def _parameters(schema: type[msgspec.Struct], name: str, values: dict[str, str], bar_ns: int) -> dict[str, int | str]:
    fields = {field.name: field for field in msgspec.structs.fields(schema)}
    if unknown := sorted(set(values) - set(fields)):
        raise ParamsError(f"the strategy {name} has no parameter {unknown[0]}", f"It takes {', '.join(fields) or 'none'}")
    if "bar_ns" in fields:
        values.setdefault("bar_ns", str(bar_ns))
    if lacking := [field.name for field in fields.values() if field.required and field.name not in values]:
        raise ParamsError(f"the strategy {name} needs {', '.join(lacking)}", " ".join(f"--set {one}=..." for one in lacking))
    return {key: int(text) if _is_whole(text) else text for key, text in values.items()}


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdecimal() and text.isascii()


def _lots(panel: Panel, scales: Scales, symbol: str, notional: float) -> int:
    """Whole lots of that value at the last close. Raises ParamsError below one lot or below the smallest order."""
    instrument = scales.instruments[symbol]
    lot_value = float(panel.closes[symbol].iloc[-1]) * float(instrument.lot_size)
    lots = round(notional / lot_value)
    if lots < 1 or lots * lot_value * 0.9 < float(instrument.min_notional):
        raise ParamsError(
            f"{notional:.2f} of {symbol} is less than one lot ({lot_value:.2f}) or than its minimum notional ({instrument.min_notional})",
            "Use a larger unit_notional (--unit-notional)",
        )
    return lots


def _provenance(panel: Panel, scales: Scales, symbols: list[str], execution: Execution, made_by: str, arguments: dict[str, Any]) -> dict[str, Any]:
    guessed = {symbol: list(scales.guessed[symbol]) for symbol in symbols if scales.guessed.get(symbol)}
    body = {
        **data_of(panel, symbols),
        "code": code_of(),
        "made_by": made_by,
        "arguments": arguments,
        "capacity": {"unit_notional": execution.unit_notional},
        "warnings": [BY_HAND],
        **({"guessed": guessed} if guessed else {}),
    }
    return dict(as_text(body))
