"""Freeze a calibration into the one file that live trading reads (docs/frozen-parameters.md).

Same inputs, same bytes: nothing here reads a clock. The file is valid from the end of its data, for a stated number of days of
exchange time. Numbers are decimal text that reads back as the same float64.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hftkit.errors import DataError, ParamsError
from hftkit.instruments import Instrument
from hftkit.kernels.jit import sources_digest
from hftkit.params import format as params
from hftkit.params.format import FrozenParams, LegPlan
from hftkit.strategies import strategy
from hftkit.strategies.pairs import TREES_ARRAY, tail_bars
from hftkit.units import NS_PER_S, iso_from_ns
from research.data.data_loader import Panel
from research.pairs.calibration import Calibration
from research.pairs.capacity import Capacity, capacity, impacts_of
from research.pairs.freezing.cautions import Caution, cautions_of
from research.pairs.performance import bootstrap_band, deflated_sharpe, probabilistic_sharpe, sharpe
from research.stats.discovery.prefilter import tests_made

FROZEN_FOLDER = Path("data/frozen")
BOOTSTRAP_SEED, BOOTSTRAP_DRAWS, CONFIDENCE = 0, 1000, 0.9
_VERSIONS = ("hftkit", "numba", "numpy", "pandas", "scipy")
_DAY_NS = 86_400 * NS_PER_S


@dataclass(frozen=True)
class Execution:
    """How a unit becomes orders. `unit_notional`: value of the lead leg in quote currency; the others as in LegPlan and PairsParams."""

    unit_notional: float = 1000.0
    slippage_ticks: int = 10
    hedge_deadline_ns: int = 2 * NS_PER_S
    retry_ns: int = NS_PER_S // 10
    residual_lots: int = 0
    maker_patience_ns: int = 0
    reprice_ticks: int = 1
    max_imbalance: float = 1.0
    valid_days: int = 30


@dataclass(frozen=True)
class Search:
    """How hard was looked: symbols, ordered pairs tested and not tested (why: how many), discoveries at `fdr`, q-values of this pair by
    Benjamini-Hochberg, Benjamini-Yekutieli and Bonferroni; how many calibrated candidates were compared on validation, and the Sharpe ratio of the
    best of them there, deflated by their number.
    """

    symbols: int
    pairs_tested: int
    discoveries: int
    fdr: float
    q_value: float
    q_by: float = math.nan
    q_bonferroni: float = math.nan
    not_tested: dict[str, int] = field(default_factory=dict)
    candidates: int = 1
    validation_deflated_sharpe: float = math.nan


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
) -> FrozenParams:
    """The frozen parameters of a calibrated pair, not yet written. `made_by`: the notebook or command, for the provenance. `guessed`: symbol ->
    fields of its scales that no venue has told. What would mislead a reader stands in the provenance, after what was `said` of the search; it
    refuses nothing here.

    Raises ParamsError if they cannot be traded (negative hedge ratio, too small).
    """
    execution = execution or Execution()
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
        provenance=_provenance(panel, calibration, search, execution, made_by, guessed or {}, said),
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
) -> Path:
    """Build and write the frozen file; returns its path. Writing the same inputs again gives the same file.

    Raises DataError for a pair that is dead out of sample, earns nothing on validation, or cannot carry its unit, unless one insists.
    """
    execution = execution or Execution()
    if not insist:
        refuse([caution for caution in cautions_for(panel, calibration, execution) if caution.refuses])
    return params.freeze(build_params(panel, instruments, calibration, search, execution, made_by, guessed, said), folder)


def carried_by(panel: Panel, calibration: Calibration) -> dict[str, Capacity | None]:
    """How much money the pair can carry, on validation and on test; None where volumes are not known."""
    laws = impacts_of(panel, calibration.lead, calibration.hedge)
    runs = {"validation": calibration.validation, "test": calibration.test}
    ratios = {name: calibration.bars.money_ratio(getattr(calibration.split, name)) for name in runs}
    return {name: capacity(run, ratios[name], *laws) if laws else None for name, run in runs.items()}


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


def _provenance(
    panel: Panel,
    calibration: Calibration,
    search: Search,
    execution: Execution,
    made_by: str,
    guessed: dict[str, tuple[str, ...]],
    said: Sequence[str],
) -> dict[str, Any]:
    """Birth certificate: which data, which code, how many were tried, what was found, how it did on data it had not seen."""
    found = calibration.test_of_train
    tried = replace(calibration.sweep.tried, pairs=max(calibration.sweep.tried.pairs, search.pairs_tested))  # whatever calibrate was told
    index = panel.closes.index
    spans = {name: getattr(calibration.split, name) for name in ("train", "validation", "test")}
    unseen = calibration.test.frame["net"].to_numpy()
    confirmation, carried = calibration.confirmation(), carried_by(panel, calibration)
    cautions = cautions_of(calibration, confirmation, carried, execution.unit_notional)
    ours = {symbol: list(guessed[symbol]) for symbol in (calibration.lead, calibration.hedge) if guessed.get(symbol)}
    body = {
        **data_of(panel, (calibration.lead, calibration.hedge)),
        "embargo_bars": calibration.split.embargo,
        "spans": {
            name: {"first": iso_from_ns(index[part.start].value), "last": iso_from_ns(index[part.stop - 1].value)} for name, part in spans.items()
        },
        "code": code_of(),
        "made_by": made_by,
        "seeds": {"bootstrap": BOOTSTRAP_SEED},
        "search": asdict(search),
        "engle_granger": {
            "null_hypothesis": found.null_hypothesis,
            "statistic": found.statistic,
            "pvalue": found.pvalue,
            "pvalue_finite": found.pvalue_finite,
            "lag": found.lag,
            "nobs": found.nobs,
            "trend": found.trend,
            "autolag": found.autolag or "none",
            "half_life_bars": found.half_life,
        },
        "calibration": {
            "parameter_sets_tried": tried.sets,
            "pairs_tested": tried.pairs,
            "trials": tried.count,
            "effective_trials": tried.effective,
            "mean_correlation": tried.correlation,
            "sharpe_by_luck": tried.best_by_luck() * math.sqrt(panel.bars_a_year),
            "chosen_by": "mean Sharpe ratio of the cell and its grid neighbours, train span",
            "deflated_sharpe": deflated_sharpe(calibration.sweep.returns, tried),
            "train": calibration.train.summary(),
            "validation": calibration.validation.summary(),
        },
        "out_of_sample": {
            **calibration.test.summary(),
            "probabilistic_sharpe": probabilistic_sharpe(unseen),
            "confidence": _confidence(calibration, panel.bars_a_year),
        },
        "cointegration_again": confirmation.as_plain(),
        "capacity": {"unit_notional": execution.unit_notional, **{name: _amounts(carry) for name, carry in carried.items()}},
        "warnings": [*said, *(caution.text for caution in cautions)],
        "costs": asdict(calibration.costs),
        **({"guessed": ours} if ours else {}),
    }
    return as_text(body)


def data_of(panel: Panel, symbols: Sequence[str]) -> dict[str, Any]:
    """Which files, which decisions about them, which span: the provenance's keys `data`, `data_decisions` and `span`."""
    index = panel.closes.index
    return {
        "data": [
            {"symbol": f.symbol, "file": f.name, "sha256": f.sha256, "rows": f.rows, "first": iso_from_ns(f.first_ns), "last": iso_from_ns(f.last_ns)}
            for f in panel.files
            if f.symbol in symbols
        ],
        "data_decisions": list(panel.decisions),
        "span": {"first": iso_from_ns(index[0].value), "end": iso_from_ns(panel.end_ns), "bars": len(index)},
    }


def code_of() -> dict[str, str]:
    """Versions and the digest of the kernel sources."""
    return {"python": platform.python_version(), **{name: version(name) for name in _VERSIONS}, "kernels_sha256": sources_digest()}


def _amounts(carried: Capacity | None) -> dict[str, float] | str:
    """Notionals of the lead leg of a unit."""
    if carried is None:
        return "not estimated: no volumes"
    return {"most_profit": carried.best, "half_the_return": carried.halves, "nothing_left": carried.exhausted}


def _confidence(calibration: Calibration, year: float) -> dict[str, Any]:
    """Bands of the test span's result by the stationary bootstrap: what chance makes of so few trades."""
    returns = calibration.test.frame["net"].to_numpy()
    block = min(max(2.0 * calibration.test_of_train.half_life, 10.0), returns.size / 4.0)
    bands = {
        name: bootstrap_band(returns, statistic, block=block, draws=BOOTSTRAP_DRAWS, level=CONFIDENCE, seed=BOOTSTRAP_SEED)
        for name, statistic in (("net", _total), ("sharpe", lambda part: sharpe(part, year)))
    }
    head = {"level": CONFIDENCE, "draws": BOOTSTRAP_DRAWS, "mean_block_bars": block, "seed": BOOTSTRAP_SEED, "method": "stationary bootstrap"}
    return {**head, **{name: {"low": low, "high": high} for name, (low, high) in bands.items()}}


def _total(returns: np.ndarray) -> float:
    return float(returns.sum())


def as_text(value: Any) -> Any:
    """Plain data with floats as decimal text; a figure that does not exist (NaN, infinity) becomes "none"."""
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_text(item) for item in value]
    if isinstance(value, float):
        return params.text_of(value) if math.isfinite(value) else "none"
    return value
