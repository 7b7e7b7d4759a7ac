"""What would mislead a reader of a calibration, each in one line: weak evidence, luck, an edge, a size the market cannot carry.

Some only warn. Those with `refuses` keep a file from being frozen unless one insists, and stand in it if one does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from research.pairs.calibration import Calibration
from research.pairs.capacity import Capacity
from research.pairs.confirmation import Confirmation
from research.pairs.strategy_optimizer import Sweep

PVALUE = 0.05
TOO_GOOD = 5.0  # annualised: above it look for a mistake first
_EDGES = ("window", "entry_z", "stop_z")  # exit_z ends at 0 by its meaning


@dataclass(frozen=True)
class Caution:
    """`text`: one line; `refuses`: not to be frozen without insisting; `cure`: what to do instead; `of_test`: known from the test span alone."""

    text: str
    refuses: bool = False
    cure: str = ""
    of_test: bool = False


def cautions_of(
    found: Calibration, confirmation: Confirmation, carried: dict[str, Capacity | None], unit_notional: float | None = None
) -> tuple[Caution, ...]:
    """All that apply to a calibrated pair.

    `carried`: capacity by span (None: volumes are not known); `unit_notional`: value of the lead of one unit, quote currency, where one is chosen.
    """
    name = f"{found.lead}/{found.hedge}"
    listed = [
        _evidence(found, name),
        *_out_of_sample(found, confirmation, name),
        *edges(found.sweep),
        _luck(found, name),
        _too_good(found),
        _embargo(found),
    ]
    if unit_notional is not None:
        listed += [_size(carry, span, unit_notional) for span, carry in carried.items()]
    return tuple(one for one in listed if one is not None)


def _evidence(found: Calibration, name: str) -> Caution | None:
    p, source = found.test_of_train.pvalue_deciding, found.test_of_train.pvalue_source
    if p <= PVALUE:
        return None
    return Caution(f"{name} is not cointegrated at 5 % on the train span ({source} p {p:.3g}): its spread may never come back")


def _out_of_sample(found: Calibration, confirmation: Confirmation, name: str) -> list[Caution | None]:
    listed: list[Caution | None] = []
    if confirmation.dead:
        shown = ", ".join(f"{one.pvalue:.2g} {'on ' if one.span != 'together' else ''}{one.span}" for one in confirmation)
        text = f"the frozen spread of {name} reverts neither on validation nor on test (p of a unit root {shown})"
        listed.append(Caution(text, True, "Take another pair, or more data", of_test=True))
    else:
        for one in confirmation:
            if one.span != "together" and not one.holds:
                why = f"p {one.pvalue:.2g}, {one.half_lives:.0f} half-lives" if math.isfinite(one.pvalue) else "too short to be tested"
                listed.append(Caution(f"cointegration of {name} is not confirmed on {one.span} ({why})", of_test=one.span == "test"))
    for span, run in (("validation", found.validation), ("test", found.test)):
        if run.net <= 0.0:
            text = f"{name} does not earn its costs on {span} (net {run.net:.4%}, {run.trades} trades)"
            listed.append(Caution(text, span == "validation", "Do not trade it; use other symbols or cheaper execution", of_test=span == "test"))
        elif run.trades < 10:
            listed.append(Caution(f"{run.trades} trades on {span} say little: the result is a few accidents", of_test=span == "test"))
    return listed


def edges(swept: Sweep) -> list[Caution]:
    """Axes on whose edge the chosen cell lies while its score still rises towards it: the best may lie beyond what was tried."""
    table, chosen = swept.table, swept.chosen
    listed = []
    for axis in _EDGES:
        line = _line_through(table, chosen, axis)
        values = sorted(line[axis].unique())
        here = getattr(chosen, axis)
        if len(values) < 2 or here not in (values[0], values[-1]):
            continue
        inner = values[1] if here == values[0] else values[-2]
        rises = float(line.loc[line[axis] == here, "sharpe"].iloc[0]) > float(line.loc[line[axis] == inner, "sharpe"].iloc[0])
        if rises:
            end = "smallest" if here == values[0] else "largest"
            listed.append(Caution(f"the chosen {axis} of {here:g} is the {end} that was tried ({values[0]:g} to {values[-1]:g}): widen the grid"))
    return listed


def _line_through(table: pd.DataFrame, chosen: object, axis: str) -> pd.DataFrame:
    """Cells that differ from the chosen one in this axis alone."""
    same = pd.Series(True, index=table.index)
    for other in ("zscore", "window", "entry_z", "exit_z", "stop_z"):
        if other != axis:
            same &= table[other] == getattr(chosen, other)
    return table[same]


def _luck(found: Calibration, name: str) -> Caution | None:
    chance = found.sweep.deflated_sharpe
    if not chance < 0.5:
        return None
    what = f"{found.sweep.tried.count:,} trials"
    return Caution(f"what {name} earned on train is more likely the luck of {what} than skill (deflated Sharpe probability {chance:.2f})")


def _too_good(found: Calibration) -> Caution | None:
    best = max((found.train, found.validation, found.test), key=lambda run: run.sharpe if math.isfinite(run.sharpe) else -math.inf)
    if not best.sharpe > TOO_GOOD:
        return None
    why = "closes that nobody could trade at, costs too low, or a made-up market"
    known = any(run.sharpe > TOO_GOOD for run in (found.train, found.validation))
    return Caution(f"a Sharpe ratio of {best.sharpe:.1f} is hardly ever seen in a real market: look for {why}", of_test=not known)


def _embargo(found: Calibration) -> Caution | None:
    apart, held = found.split.embargo, found.sweep.chosen.max_holding_bars
    if apart >= held:
        return None
    return Caution(f"the embargo of {apart} bars is shorter than the holding limit of {held}: what began in one span may reach into the next")


def _size(carried: Capacity | None, span: str, unit_notional: float) -> Caution | None:
    if carried is None or math.isinf(carried.exhausted):
        return None
    if not carried.best > 0.0:
        return None  # earns nothing at any size: said of the span itself
    if unit_notional >= carried.exhausted:
        text = f"a unit of {unit_notional:,.0f} is above what the pair can carry on {span}: its impact leaves nothing at {carried.exhausted:,.0f}"
        return Caution(text, True, f"Use --unit-notional {carried.best:.0f} (most profit) or less", of_test=span == "test")
    if unit_notional > carried.best:
        text = f"a unit of {unit_notional:,.0f} earns less on {span} than one of {carried.best:,.0f}: impact grows faster than profit"
        return Caution(text, of_test=span == "test")
    return None
