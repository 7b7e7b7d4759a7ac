"""The figures of a frozen file belong to the rule in it: everything is computed again from the prices and the rule when it is frozen.

A calibration is an object that anyone may alter between its runs and its freezing. So nothing that it says is copied: the sweep, the runs and,
where a reversion model filters entries, its training are repeated, and a figure that comes out otherwise refuses the freezing by its name.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hftkit.errors import ParamsError
from research.data.data_loader import Panel
from research.pairs.calibration import Calibration, calibrate_pair
from research.pairs.reversion_model import train

SPANS = ("train", "validation", "test")


def recomputed(panel: Panel, given: Calibration) -> Calibration:
    """The calibration of the rule in `given`, made anew from the closes of `panel`.

    Raises
    ------
    ParamsError
        In one line, the first figure of `given` that the rule does not give on these prices, or the model that its training does not make.
    """
    chosen, gate, bars = given.sweep.chosen, given.gate, given.bars
    made = calibrate_pair(
        panel, given.lead, given.hedge, given.split, given.costs, given.grid, given.min_trades, bars.ticks,
        (chosen.zscore,), pairs_tested=given.sweep.tried.pairs, log=bars.log,
    )  # fmt: skip
    if given.by_hand or made.sweep.chosen != chosen:
        made = made.with_rule(chosen)
    if gate is not None:
        _same_model(made, given)
        made = made.gated(gate)
    named = f"{given.lead}/{given.hedge}"
    _same(named, "the hedge ratio", given.hedge_ratio, made.hedge_ratio)
    for span in SPANS:
        for figure, value in getattr(made, span).summary().items():
            _same(named, f"{figure} on {span}", getattr(given, span).summary()[figure], value)
    _same(named, "the deflated Sharpe ratio", given.sweep.deflated_sharpe, made.sweep.deflated_sharpe)
    return made


def _same(named: str, figure: str, said: float, found: float) -> None:
    if said == found or (math.isnan(said) and math.isnan(found)):
        return
    raise ParamsError(
        f"{figure} of {named} is {said:.6g} in the calibration, and {found:.6g} by the rule that would be frozen",
        "Set thresholds with calibration.with_rule(...) and a model with .gated(...): they run the spans again",
    )


def _same_model(made: Calibration, given: Calibration) -> None:
    """Refuse a gate that has seen bars after train, or whose table or folds its own training does not make."""
    gate, split = given.gate, given.split
    if gate is None or gate.training is None:
        if gate is not None and gate.unseen is not None:
            raise ParamsError("the gate has probabilities of folds and no training that made them", "Take it from train_reversion(...).gate(...)")
        return
    how = gate.training
    if how.end > split.train.stop:
        raise ParamsError(
            f"the reversion model was trained on bars up to {how.end}, the train span ends at {split.train.stop}",
            "Train it on split.train: it may not have seen validation or test",
        )
    again = train(made.bars, how.thresholds, slice(how.first, how.end), how.kind, how.trees, how.embargo, how.seed)
    if again.table.tobytes() != gate.table.tobytes():
        raise ParamsError("the trees of the gate are not those that its training makes", "Train it again on these prices (train_reversion)")
    if gate.unseen is None or again.unseen is None or again.unseen.tobytes() != gate.unseen.tobytes():
        raise ParamsError("the probabilities of the gate's folds are not those that its training makes", "Train it again (train_reversion)")


def believed(calibration: Calibration) -> str:
    """What the figures of the train span are of, where a reversion model filters entries; "" without one."""
    gate = calibration.gate
    if gate is None:
        return ""
    if gate.unseen is None:
        return "in-sample: the model may have seen these bars"
    return "out of sample for the model: entries believed by purged folds that had not seen them"


def deflated(calibration: Calibration, pairs: int) -> tuple[Calibration, float]:
    """The calibration with at least `pairs` pairs counted, and its deflated Sharpe ratio; NaN where train is in-sample for a model."""
    tried = replace(calibration.sweep.tried, pairs=max(calibration.sweep.tried.pairs, pairs))
    counted = replace(calibration, sweep=replace(calibration.sweep, tried=tried))
    in_sample = calibration.gate is not None and calibration.gate.unseen is None
    return counted, math.nan if in_sample else counted.sweep.deflated_sharpe
