"""Calibrate one pair: hedge ratio and thresholds from the train span, judged on the validation span, reported once on the test span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data.data_loader import Panel
from research.pairs.confirmation import Confirmation, confirm
from research.pairs.costs import Costs
from research.pairs.reversion_model import train
from research.pairs.strategy_optimizer import Gate, Grid, PairBars, Run, Sweep, Thresholds, run_rule, sweep
from research.pairs.walkforward import Split, three_way
from research.stats.cointegration import EngleGranger, engle_granger

LEAST_EMBARGO = 240


@dataclass(frozen=True)
class Calibration:
    """A pair, ready to be frozen. `test_of_train`: Engle-Granger on the train span; runs of `sweep.chosen` on the three spans.

    `grid`, `min_trades`: what was swept; `by_hand`: the thresholds were set after the sweep (`with_rule`). With a gate the run on train takes the
    entries that folds believed in which had not seen them, where the gate has such folds.
    """

    lead: str
    hedge: str
    hedge_ratio: float
    test_of_train: EngleGranger
    bars: PairBars
    split: Split
    costs: Costs
    sweep: Sweep
    train: Run
    validation: Run
    test: Run
    gate: Gate | None = None
    grid: Grid | None = None
    min_trades: int = 10
    by_hand: bool = False

    def decisions(self, prices: pd.DataFrame) -> np.ndarray:
        """Targets int64 (n,) of the chosen rule over other prices, or a part of them (what lookahead.check_lookahead recomputes)."""
        bars = PairBars(prices[self.lead], prices[self.hedge], self.hedge_ratio, self.bars.bar_ns, self.bars.ticks, self.bars.log)
        return run_rule(bars, self.sweep.chosen, self.costs, gate=self.gate).frame["target"].to_numpy()

    def gated(self, gate: Gate) -> Calibration:
        """The same thresholds, entries filtered by a reversion model (train it on the train span): the three spans run again.

        What it earned on train, and the deflated Sharpe ratio of that, are of entries believed by folds that had not seen them (`Gate.unseen`); of a
        gate without folds they are in-sample.
        """
        known = run_rule(self.bars, self.sweep.chosen, self.costs, self.split.train, gate, unseen=gate.unseen is not None)
        validation, test = (run_rule(self.bars, self.sweep.chosen, self.costs, span, gate) for span in (self.split.validation, self.split.test))
        swept = replace(self.sweep, returns=known.frame["net"].to_numpy())
        return replace(self, sweep=swept, train=known, validation=validation, test=test, gate=gate)

    def with_rule(self, thresholds: Thresholds) -> Calibration:
        """Other thresholds, set by hand after the sweep: the three spans run again, one more trial counted, no gate (train one, `gated`)."""
        runs = [run_rule(self.bars, thresholds, self.costs, span) for span in (self.split.train, self.split.validation, self.split.test)]
        tried = self.sweep.tried if self.by_hand else replace(self.sweep.tried, sets=self.sweep.tried.sets + 1)
        swept = replace(self.sweep, chosen=thresholds, tried=tried, returns=runs[0].frame["net"].to_numpy())
        return replace(self, sweep=swept, train=runs[0], validation=runs[1], test=runs[2], gate=None, by_hand=True)

    def confirmation(self) -> Confirmation:
        """Cointegration tested again where nothing was chosen: the spread with the train span's hedge ratio on the later spans."""
        prices = [series.to_numpy(np.float64) for series in (self.bars.lead, self.bars.hedge)]
        lead, hedge = [np.log(values) for values in prices] if self.bars.log else prices
        return confirm(lead, hedge, self.hedge_ratio, self.split, float(self.test_of_train.half_life))

    def table(self) -> pd.DataFrame:
        """The three spans side by side: trades, net return, annualised Sharpe, drawdown, turnover, exposure."""
        runs = {"train": self.train, "validation": self.validation, "test": self.test}
        return pd.DataFrame({name: run.summary() for name, run in runs.items()}).T.astype({"trades": int})


def split_for(
    panel: Panel,
    lead: str,
    hedge: str,
    fractions: tuple[float, float, float] = (0.5, 0.25, 0.25),
    embargo: int | None = None,
    grid: Grid | None = None,
    log: bool = True,
) -> Split:
    """The three spans of a pair. `embargo` in bars; by default as many as the rule may hold a position, at least LEAST_EMBARGO: what began in one
    span is over before the next. `grid`, `log`: as of calibrate_pair.

    Raises DataError where that leaves no span.
    """
    if embargo is not None:
        return three_way(len(panel.closes), fractions, embargo)
    if grid is None:
        two_symbols(panel.closes, lead, hedge)
        known = panel.closes[[lead, hedge]].iloc[three_way(len(panel.closes), fractions).train].to_numpy(np.float64)
        values = np.log(known) if log else known
        grid = Grid.for_half_life(engle_granger(values[:, 0], values[:, 1]).half_life)
    return three_way(len(panel.closes), fractions, max(LEAST_EMBARGO, grid.max_holding_bars))


def two_symbols(prices: pd.DataFrame, lead: str, hedge: str) -> None:
    """Refuse a pair that the panel does not have, or that is one symbol twice."""
    missing = [symbol for symbol in (lead, hedge) if symbol not in prices]
    if missing:
        raise DataError(f"the panel has no {' and no '.join(missing)}", f"It has {', '.join(map(str, prices))}")
    if lead == hedge:
        raise DataError(f"{lead} with itself is no pair", "Name two symbols")


def calibrate_pair(
    panel: Panel,
    lead: str,
    hedge: str,
    split: Split,
    costs: Costs,
    grid: Grid | None = None,
    min_trades: int = 10,
    ticks: tuple[float, float] = (1.0, 1.0),
    zscores: Sequence[str] = ("rolling",),
    confidence: float | None = None,
    pairs_tested: int = 1,
    log: bool = True,
) -> Calibration:
    """Estimate on `split.train`, choose thresholds there by stable region, then run them on validation and test.

    The grid defaults to windows in proportion to the half-life found on the train span, for each kind of `zscores` (every one counts as trials).
    `ticks`: tick sizes of lead and hedge (see PairBars). `confidence`: filter entries by a reversion model trained on the train span.
    `pairs_tested`: ordered pairs that were tested before this one was taken: they deflate its Sharpe ratio. `log`: the spread of log prices, or of
    prices as they are.
    """
    two_symbols(panel.closes, lead, hedge)
    closes = panel.closes[[lead, hedge]]
    known = closes.iloc[split.train].to_numpy(np.float64)
    values = np.log(known) if log else known
    found = engle_granger(values[:, 0], values[:, 1])
    hedge_ratio = float(found.hedge_ratio)
    bars = PairBars(closes[lead], closes[hedge], hedge_ratio, panel.bar_ns, ticks, log)
    grid = grid or Grid.for_half_life(found.half_life, zscores)
    swept = sweep(bars, grid, costs, split.train, min_trades, pairs_tested=pairs_tested)
    runs = [run_rule(bars, swept.chosen, costs, span) for span in (split.train, split.validation, split.test)]
    calibrated = Calibration(lead, hedge, hedge_ratio, found, bars, split, costs, swept, runs[0], runs[1], runs[2], grid=grid, min_trades=min_trades)
    return calibrated if confidence is None else calibrated.gated(train(bars, swept.chosen, split.train).gate(confidence))
