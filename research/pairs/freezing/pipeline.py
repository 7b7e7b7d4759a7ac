"""From a panel of prices to one frozen file: scan, calibrate the discoveries, choose on validation, report the test span, freeze.

What each span is for: pairs and thresholds come from train only; validation chooses among the discovered pairs; test is looked at once, after
everything is chosen, and its result travels in the frozen file whatever it says. What would mislead a reader (cautions.py) is a warning;
a pair that is dead out of sample, earns nothing, or cannot carry the unit is refused unless one insists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from hftkit.errors import DataError
from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams, load
from research.data.data_loader import Panel
from research.data.progress import progress
from research.pairs.calibration import Calibration, calibrate_pair, split_for, two_symbols
from research.pairs.costs import Costs
from research.pairs.freezing.cautions import Caution
from research.pairs.freezing.freeze import FROZEN_FOLDER, cautions_for, freeze_pair, refuse, search_of
from research.pairs.freezing.settings import Arguments, Execution, Search
from research.pairs.freezing.trial_ledger import Looks
from research.pairs.performance import Trials, deflated_sharpe, sharpe
from research.pairs.strategy_optimizer import Grid
from research.pairs.walkforward import Split, three_way
from research.stats.discovery.pair_scan import UnitRootRule, discoveries, scan_pairs
from research.stats.discovery.prefilter import Prefilter, illiquid, methods_used, tests_made
from research.stats.discovery.scan_p_values import Source
from research.stats.discovery.wild_bootstrap import DRAWS
from research.stats.validation import default_maxlag

HEDGE_RATIOS = (0.2, 5.0)  # a unit of one long and one short leg of ordinary size
_MONEY_RATIO = "money_ratio"  # column of a scan of levels
WIDEST_RATIOS = (0.05, 20.0)  # what can be frozen at all, for one who insists


@dataclass(frozen=True)
class PipelineResult:
    """Everything a report needs. `scan`: all ordered pairs (train span); `found`: discoveries; `candidates`: calibrated, best validation first.

    `warnings`: what would mislead a reader; `notes`: what was decided on the way.
    """

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
    notes: tuple[str, ...] = ()


def find_and_freeze(
    panel: Panel,
    instruments: dict[str, Instrument],
    out_dir: Path | str = FROZEN_FOLDER,
    *,
    fdr: float = 0.05,
    costs: Costs | None = None,
    fractions: tuple[float, float, float] = (0.5, 0.25, 0.25),
    embargo: int | None = None,
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
    unit_root_level: float | None = 0.01,
    unit_root_rule: UnitRootRule = "each",
    guessed: dict[str, tuple[str, ...]] | None = None,
    log: bool = True,
    p_values: Source = "auto",
    draws: int | None = None,
    seed: int = 0,
    ledger: Looks | None = None,
) -> PipelineResult:
    """Run the whole research half: the best pair of `find_and_freeze_many`."""
    return find_and_freeze_many(
        panel, instruments, out_dir, fdr=fdr, costs=costs, fractions=fractions, embargo=embargo, grid=grid, max_half_life=max_half_life,
        execution=execution, pairs=[pair] if pair else None, insist=insist, max_candidates=max_candidates, prefilter=prefilter, made_by=made_by,
        zscores=zscores, confidence=confidence, unit_root_level=unit_root_level,
        unit_root_rule=unit_root_rule, guessed=guessed, log=log, p_values=p_values, draws=draws, seed=seed,
        ledger=ledger,
    )[0]  # fmt: skip


def find_and_freeze_many(
    panel: Panel,
    instruments: dict[str, Instrument],
    out_dir: Path | str = FROZEN_FOLDER,
    *,
    count: int = 1,
    pairs: Sequence[tuple[str, str]] | None = None,
    fdr: float = 0.05,
    costs: Costs | None = None,
    fractions: tuple[float, float, float] = (0.5, 0.25, 0.25),
    embargo: int | None = None,
    grid: Grid | None = None,
    max_half_life: float = 480.0,
    execution: Execution | None = None,
    insist: bool = False,
    max_candidates: int = 5,
    prefilter: Prefilter | None = None,
    made_by: str = "research.pipeline.find_and_freeze_many",
    zscores: Sequence[str] = ("rolling",),
    confidence: float | None = None,
    unit_root_level: float | None = 0.01,
    unit_root_rule: UnitRootRule = "each",
    guessed: dict[str, tuple[str, ...]] | None = None,
    log: bool = True,
    p_values: Source = "auto",
    draws: int | None = None,
    seed: int = 0,
    ledger: Looks | None = None,
) -> list[PipelineResult]:
    """Scan once, calibrate, and freeze the `count` best pairs, or each of `pairs` (lead, hedge): one frozen file a pair, best validation first.

    `pairs` restricts the choice, not the search that the q-values come from. `costs` default to the
    instruments' own taker fees; half a tick is the floor of their half spread. `prefilter`: what is
    not worth testing (prefilter.py). `made_by`: notebook or command, for the provenance. `zscores`,
    `confidence`: see calibrate_pair; `unit_root_level`, `unit_root_rule`, `p_values`, `draws`, `seed`: see
    scan_pairs. `guessed`: symbol -> fields of its scales that no venue has told, for the file.
    `embargo`: bars left out before validation and before test; by default as many as the rule of the candidate may hold a position, at least 240.
    `max_candidates`: of those found, how many are calibrated. `log`: spreads of log prices, or of
    prices as they are, in the scan, the calibration and the rule that is frozen. `ledger`: where trials and looks at test spans are kept
    (trial_ledger.TrialLedger); the file says how often its test span was looked at before, or that nobody counted.

    Pairs with a symbol in common are not frozen together unless named: they are one risk, and one position at the venue. With fewer than `count`
    that may be frozen there are fewer; with none DataError is raised: not trading is a result. `insist=True` freezes the best of what there is
    all the same and says so in `warnings` and in the file (for trying the machinery out).
    """
    execution = execution or Execution()
    asked = Arguments(
        fdr, fractions, embargo, max_half_life, max_candidates, count, pairs, insist, zscores, confidence, unit_root_level,
        unit_root_rule, log, p_values, draws,
        seed, grid, costs, prefilter or Prefilter(), execution,
    )  # fmt: skip
    for pair in pairs or ():
        two_symbols(panel.closes, *pair)
    split = three_way(len(panel.closes), fractions, embargo or 0)  # the spans of a candidate: split_for
    limits = prefilter or Prefilter()
    scan = scan_pairs(
        panel.closes.iloc[split.train],
        min_correlation=limits.min_correlation,
        leave_out=illiquid(panel.quality, limits),
        unit_root_level=unit_root_level,
        unit_root_rule=unit_root_rule,
        log=log,
        p_values=p_values,
        draws=draws,
        seed=seed,
    )
    if not log:
        last = panel.closes.iloc[split.train].iloc[-1]
        scan[_MONEY_RATIO] = scan["hedge_ratio"] * last[scan["hedge"]].to_numpy() / last[scan["lead"]].to_numpy()
    found = discoveries(scan, fdr, max_half_life=max_half_life)
    chances: list[str] = []
    if p_values == "asymptotic":
        chances.append("the q-values are of asymptotic p-values, which reject too often in short samples and under changing volatility")
    pool = _pool(scan, found, fdr, max_half_life, pairs, insist, chances)
    made, notes = tests_made(scan)["tested"], list[str]()
    candidates, lost = [], list[dict[str, str]]()
    for row in progress(list(pool.head(max_candidates if pairs is None else len(pool)).itertuples()), "calibrating candidates"):
        missing = [symbol for symbol in (row.lead, row.hedge) if symbol not in instruments]
        if missing:
            raise DataError(f"the instruments lack {', '.join(missing)}", "Give tick, lot and fees of every symbol of the panel")
        try:
            own = split_for(panel, row.lead, row.hedge, fractions, embargo, grid, log)
        except DataError as reason:
            lost.append({"lead": row.lead, "hedge": row.hedge, "left_out": reason.problem})
            notes.append(f"{row.lead}/{row.hedge}: {reason.problem} (as long as a position may be held)")
            continue
        pair_costs, raised = costs_with_ticks(costs or costs_of(instruments, row.lead, row.hedge), instruments, panel, split, row.lead, row.hedge)
        try:
            ticks = float(instruments[row.lead].tick_size), float(instruments[row.hedge].tick_size)
            candidates.append(calibrate_pair(panel, row.lead, row.hedge, own, pair_costs, grid, 10, ticks, zscores, confidence, made, log))
            notes += [raised] if raised else []
        except DataError as reason:  # a pair that never trades enough is no candidate, and no reason to stop
            lost.append({"lead": row.lead, "hedge": row.hedge, "left_out": reason.problem})
            notes.append(f"{row.lead}/{row.hedge}: {reason.problem}")
    if not candidates:
        raise DataError(f"none of the pairs found can be calibrated ({'; '.join(notes)})", "Use more data, a wider grid or other symbols")
    candidates.sort(key=lambda candidate: candidate.validation.sharpe, reverse=True)
    record = {
        "arguments": {"route": "find_and_freeze", **asked.as_plain(), "instruments": _scales(instruments, candidates, lost)},
        "scan": _scanned(scan, split, asked),
        "candidates": [*(_candidate(one) for one in candidates), *lost],
    }
    results: list[PipelineResult] = []
    refused: list[Caution] = []
    for chosen in candidates:
        if pairs is None and any({chosen.lead, chosen.hedge} & {other.chosen.lead, other.chosen.hedge} for other in results):
            continue  # one symbol in two pairs is one risk, and one position at the venue
        said, record["test_span"] = list(chances), {"looks_before": "not recorded"}
        if ledger is not None:
            before = ledger.open(panel, chosen, made_by)
            record["test_span"] = {"looks_before": before}
            said += [looked_at(chosen, before)] if before else []
        cautions = cautions_for(panel, chosen, execution)
        objections = [caution for caution in cautions if caution.refuses]
        if objections and not insist:
            refused += objections
            notes += [f"not frozen: {caution.text}" for caution in objections]
            if all(caution.of_test for caution in objections) and count == 1 and pairs is None:
                break  # the next one would be chosen by what test says
            continue
        this = scan[(scan["lead"] == chosen.lead) & (scan["hedge"] == chosen.hedge)].iloc[0]
        others = [chosen, *(other for other in candidates if other is not chosen)]
        search = replace(search_of(scan, this, len(found), fdr), candidates=len(candidates), validation_deflated_sharpe=best_of(others))
        path = freeze_pair(panel, instruments, chosen, search, out_dir, execution, made_by, insist=insist, guessed=guessed, said=said, record=record)
        warnings = (*said, *(caution.text for caution in cautions))
        results.append(PipelineResult(panel, scan, found, chosen.split, tuple(candidates), chosen, search, load(path), path, warnings, tuple(notes)))
        if pairs is None and len(results) == count:
            break
    if ledger is not None:
        for one in candidates:  # those that were opened are there already
            ledger.note(panel, one, made_by)
    if not results:
        refuse(refused, "none of the pairs found may be frozen: " if len(candidates) > 1 else "")
    return results


def looked_at(chosen: Calibration, before: int) -> str:
    """That a test span is no longer unseen, in words."""
    return f"the test span of {chosen.lead}/{chosen.hedge} was looked at by {before} other trials before: it is not out of sample any more"


def _scales(instruments: dict[str, Instrument], candidates: Sequence[Calibration], lost: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Scales of the symbols of all candidates: ticks and fees of each had a part in the choice."""
    names = {name for one in candidates for name in (one.lead, one.hedge)} | {one[key] for one in lost for key in ("lead", "hedge")}
    return [msgspec.to_builtins(instruments[name]) for name in sorted(names)]


def _scanned(scan: pd.DataFrame, split: Split, asked: Arguments) -> dict[str, Any]:
    """Settings of the scan that stand in no argument, and where its p-values come from."""
    rows = split.train.stop - split.train.start
    return {
        "trend": "c",
        "autolag": "aic",
        "maxlag": default_maxlag(rows),
        "rows": rows,
        "most_draws": asked.draws or DRAWS,
        "p_values": methods_used(scan),
    }


def _candidate(one: Calibration) -> dict[str, Any]:
    """What the choice on validation looked at."""
    return {
        "lead": one.lead,
        "hedge": one.hedge,
        **asdict(one.sweep.chosen),
        "validation_sharpe": one.validation.sharpe,
        "embargo_bars": one.split.embargo,
    }


def _pool(
    scan: pd.DataFrame,
    found: pd.DataFrame,
    fdr: float,
    max_half_life: float,
    pairs: Sequence[tuple[str, str]] | None,
    insist: bool,
    chances: list[str],
) -> pd.DataFrame:
    """The rows to calibrate. Raises DataError with the limits that removed the others; for one who insists the best that chance offers."""
    tested = scan[scan["verdict"] == "ok"]
    significant = tested[tested["q_bh"] <= fdr]
    wanted = [_only(significant, pair) for pair in pairs] if pairs is not None else [found]
    pool = tradable(pd.concat(wanted), max_half_life)
    if not pool.empty and (pairs is None or len(pool) == len(pairs)):
        return pool
    count = tests_made(scan)["tested"]
    if pairs is None:
        lost, one = "no tradable pair", None
    else:
        one = next(pair for pair in pairs if tradable(_only(significant, pair), max_half_life).empty)
        lost = f"{'/'.join(one)} is no tradable discovery"
    why = _removed(scan if one is None else _only(scan, one), fdr, max_half_life)
    if not insist:
        raise DataError(
            f"{lost} among {count} tested at a false-discovery rate of {fdr:g}: {why}",
            "Use more data, other symbols or other limits; --insist (insist=True) freezes the best there is, to try the machinery",
        )
    chances.append(f"no discovery at a false-discovery rate of {fdr:g}: these are the best pairs that chance offers ({why})")
    ours = tested if pairs is None else pd.concat([_only(tested, pair) for pair in pairs])
    pool = tradable(ours, float("inf"), WIDEST_RATIOS)
    if pool.empty:
        what = "no pair" if one is None else "/".join(one)
        raise DataError(
            f"{what} can be frozen even if one insists: {_removed(scan if one is None else _only(scan, one), 1.0, float('inf'), WIDEST_RATIOS)}",
            "A unit is long one leg and short the other: it needs a tested pair with a positive hedge ratio",
        )
    return pool


def _removed(scan: pd.DataFrame, fdr: float, max_half_life: float, ratios: tuple[float, float] = HEDGE_RATIOS) -> str:
    """Which limit removed how many of these ordered pairs, one after the other. Of a single pair: its figure."""
    untested = scan[scan["verdict"] != "ok"]
    tested = scan[scan["verdict"] == "ok"]
    strong = tested[tested["q_bh"] <= fdr]
    sized = strong[_ratios(strong).between(*ratios)]
    if len(scan) == 1:
        row = scan.iloc[0]
        if len(untested):
            return f"not tested, {row['verdict']}"
        if not len(strong):
            return f"its q-value is {row['q_bh']:.3g}"
        if not len(sized):
            return f"its hedge ratio {_ratios(scan).iloc[0]:.3g} is outside {ratios[0]:g} to {ratios[1]:g}"
        return f"its half-life of {row['half_life']:.0f} bars is above {max_half_life:g} (--max-half-life)"
    parts = [
        (len(untested), "not tested"),
        (len(tested) - len(strong), f"q-value above {fdr:g}"),
        (len(strong) - len(sized), f"hedge ratio outside {ratios[0]:g} to {ratios[1]:g}"),
        (int((sized["half_life"] > max_half_life).sum()), f"half-life above {max_half_life:g} bars"),
    ]
    return f"of {len(scan)} ordered pairs " + ", ".join(f"{count} {reason}" for count, reason in parts if count)


def best_of(candidates: Sequence[Calibration]) -> float:
    """Deflated Sharpe ratio, on validation, of the first of these candidates: the choice among them is the only one made there."""
    returns = [candidate.validation.frame["net"].to_numpy() for candidate in candidates]
    ratios = [sharpe(one, 1.0) for one in returns]
    spread = float(np.nanstd(ratios, ddof=1)) if np.isfinite(ratios).sum() > 1 else 0.0
    return deflated_sharpe(returns[0], Trials(len(candidates), 1, 0.0, spread, returns[0].size))


def _only(pairs: pd.DataFrame, pair: tuple[str, str]) -> pd.DataFrame:
    return pairs[(pairs["lead"] == pair[0]) & (pairs["hedge"] == pair[1])]


def tradable(pairs: pd.DataFrame, max_half_life: float, ratios: tuple[float, float] = HEDGE_RATIOS) -> pd.DataFrame:
    """Rows that a unit of one long and one short leg can trade: positive hedge ratio of ordinary size, a half-life short enough to wait for."""
    return pairs[_ratios(pairs).between(*ratios) & (pairs["half_life"] <= max_half_life)]


def _ratios(pairs: pd.DataFrame) -> pd.Series:
    """Notional of the hedge per notional of the lead: the ratio of logs, or that of levels at the last close of train."""
    return pairs[_MONEY_RATIO if _MONEY_RATIO in pairs else "hedge_ratio"]


def costs_of(instruments: dict[str, Instrument], lead: str, hedge: str) -> Costs:
    """The dearer taker fee of the two legs, with the default spread and slippage."""
    return Costs(fee_ppm=float(max(instruments[lead].taker_fee_ppm, instruments[hedge].taker_fee_ppm)))


def costs_with_ticks(costs: Costs, instruments: dict[str, Instrument], panel: Panel, split: Split, lead: str, hedge: str) -> tuple[Costs, str]:
    """These costs with half a tick as the floor of the half spread, at the median prices of the train span; and what that raised, in words."""
    train = panel.closes.iloc[split.train]
    ticks = float(instruments[lead].tick_size), float(instruments[hedge].tick_size)
    floored = costs.with_ticks(ticks, (float(train[lead].median()), float(train[hedge].median())))
    return floored, floored.raised((lead, hedge))
