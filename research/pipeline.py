"""From a panel of prices to one frozen file: scan, calibrate the discoveries, choose on validation, report the test span, freeze.

What each span is for: pairs and thresholds come from train only; validation chooses among the discovered pairs; test is looked at once, after
everything is chosen, and its result travels in the frozen file whatever it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from hftkit.instruments import Instrument
from hftkit.params import FrozenParams, load
from research.calibration import Calibration, calibrate_pair
from research.cointegration import discoveries, scan_pairs
from research.costs import Costs
from research.data_loader import Panel
from research.freeze import FROZEN_FOLDER, Execution, Search, freeze_pair, search_of
from research.performance import Trials, deflated_sharpe, sharpe
from research.prefilter import Prefilter, illiquid, tests_made
from research.progress import progress
from research.strategy_optimizer import Grid
from research.walkforward import Split, three_way


@dataclass(frozen=True)
class PipelineResult:
    """Everything a report needs. `scan`: all ordered pairs (train span); `found`: discoveries; `candidates`: calibrated, best validation first."""

    panel: Panel
    scan: pd.DataFrame
    found: pd.DataFrame
    split: Split
    candidates: tuple[Calibration, ...]
    chosen: Calibration
    search: Search
    params: FrozenParams
    path: Path
    warnings: tuple[str, ...]


def find_and_freeze(
    panel: Panel,
    instruments: dict[str, Instrument],
    out_dir: Path | str = FROZEN_FOLDER,
    *,
    fdr: float = 0.05,
    costs: Costs | None = None,
    fractions: tuple[float, float, float] = (0.5, 0.25, 0.25),
    embargo: int = 240,
    grid: Grid | None = None,
    max_half_life: float = 480.0,
    execution: Execution | None = None,
    pair: tuple[str, str] | None = None,
    insist: bool = False,
    max_candidates: int = 5,
    prefilter: Prefilter | None = None,
    made_by: str = "research.pipeline.find_and_freeze",
    zscores: Sequence[str] = ("rolling",),
    confidence: float | None = None,
) -> PipelineResult:
    """Run the whole research half.

    `pair` (lead, hedge) restricts the choice to one pair, not the search that its q-value comes from.
    `costs` default to the instruments' own taker fees. `prefilter`: what is not worth testing (research/prefilter.py). `made_by`: notebook or
    command, for the provenance. `zscores`, `confidence`: see calibrate_pair. With no discovery, or none that earns its costs on validation,
    DataError is raised: not trading is a result.
    `insist=True` freezes the best of what there is all the same and says so in `warnings` (for trying the machinery out).
    """
    split = three_way(len(panel.closes), fractions, embargo)
    limits = prefilter or Prefilter()
    scan = scan_pairs(panel.closes.iloc[split.train], min_correlation=limits.min_correlation, leave_out=illiquid(panel.quality, limits))
    found = discoveries(scan, fdr, max_half_life=max_half_life)
    warnings: list[str] = []
    significant = scan[(scan["verdict"] == "ok") & (scan["q_bh"] <= fdr)]
    pool = tradable(found if pair is None else _only(significant, pair), max_half_life)
    if pool.empty:
        if not insist:
            count = int((scan["verdict"] == "ok").sum())
            which = "no tradable pair" if pair is None else f"{'/'.join(pair)} is no tradable discovery"
            raise DataError(f"{which} among {count} tested at a false-discovery rate of {fdr:g}", "Use more data or other symbols")
        warnings.append(f"no discovery at a false-discovery rate of {fdr:g}: these are the best pairs that chance offers")
        tested = scan[scan["verdict"] == "ok"]
        pool = tradable(tested if pair is None else _only(tested, pair), max_half_life=float("inf"))
    candidates, noted, made = [], len(warnings), tests_made(scan)["tested"]
    for row in progress(list(pool.head(max_candidates).itertuples()), "calibrating candidates"):
        missing = [symbol for symbol in (row.lead, row.hedge) if symbol not in instruments]
        if missing:
            raise DataError(f"the instruments lack {', '.join(missing)}", "Give tick, lot and fees of every symbol of the panel")
        pair_costs = costs or costs_of(instruments, row.lead, row.hedge)
        try:
            ticks = float(instruments[row.lead].tick_size), float(instruments[row.hedge].tick_size)
            candidates.append(calibrate_pair(panel, row.lead, row.hedge, split, pair_costs, grid, 10, ticks, zscores, confidence, made))
        except DataError as reason:  # a pair that never trades enough is no candidate, and no reason to stop
            warnings.append(f"{row.lead}/{row.hedge}: {reason.problem}")
    if not candidates:
        raise DataError(f"none of the pairs found can be calibrated ({'; '.join(warnings[noted:])})", "Use more data, a wider grid or other symbols")
    candidates.sort(key=lambda candidate: candidate.validation.sharpe, reverse=True)
    chosen = candidates[0]
    if chosen.validation.net <= 0.0:
        loss = f"{chosen.lead}/{chosen.hedge} does not earn its costs on validation (net {chosen.validation.net:.4%})"
        if not insist:
            raise DataError(f"no pair found earns its costs: the best, {loss}", "Do not trade these; use other symbols or cheaper execution")
        warnings.append(loss)
    if chosen.sweep.deflated_sharpe < 0.5:
        what = f"{chosen.sweep.tried.count:,} trials"
        warnings.append(
            f"what {chosen.lead}/{chosen.hedge} earned on train is more likely the luck of {what} than skill ({chosen.sweep.deflated_sharpe:.2f})"
        )
    this = scan[(scan["lead"] == chosen.lead) & (scan["hedge"] == chosen.hedge)].iloc[0]
    search = replace(search_of(scan, this, len(found), fdr), candidates=len(candidates), validation_deflated_sharpe=best_of(candidates))
    path = freeze_pair(panel, instruments, chosen, search, out_dir, execution, made_by)
    return PipelineResult(panel, scan, found, split, tuple(candidates), chosen, search, load(path), path, tuple(warnings))


def best_of(candidates: Sequence[Calibration]) -> float:
    """Deflated Sharpe ratio, on validation, of the first of these candidates: the choice among them is the only one made there."""
    returns = [candidate.validation.frame["net"].to_numpy() for candidate in candidates]
    ratios = [sharpe(one, 1.0) for one in returns]
    spread = float(np.nanstd(ratios, ddof=1)) if np.isfinite(ratios).sum() > 1 else 0.0
    return deflated_sharpe(returns[0], Trials(len(candidates), 1, 0.0, spread, returns[0].size))


def _only(pairs: pd.DataFrame, pair: tuple[str, str]) -> pd.DataFrame:
    return pairs[(pairs["lead"] == pair[0]) & (pairs["hedge"] == pair[1])]


def tradable(pairs: pd.DataFrame, max_half_life: float) -> pd.DataFrame:
    """Rows that a unit of one long and one short leg can trade: positive hedge ratio of ordinary size, a half-life short enough to wait for."""
    return pairs[pairs["hedge_ratio"].between(0.2, 5.0) & (pairs["half_life"] <= max_half_life)]


def costs_of(instruments: dict[str, Instrument], lead: str, hedge: str) -> Costs:
    """The dearer taker fee of the two legs, with the default spread and slippage."""
    return Costs(fee_ppm=float(max(instruments[lead].taker_fee_ppm, instruments[hedge].taker_fee_ppm)))
