"""Calibrate thresholds: run the live trading rule over a grid of window, entry, exit and stop, and choose a stable region.

The rule and the rolling moments are the very kernels that trade live (hftkit/kernels/market), so a cell of the sweep is what the live strategy
would have done at the bar closes. The best single cell of a grid is mostly luck; the choice here is the cell whose *neighbours* do well too.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from hftkit.codes import SignalReason
from hftkit.errors import DataError
from hftkit.kernels.market import bar_backtest as kernel
from hftkit.kernels.market.moments import KINDS, held, trailing_moments
from hftkit.kernels.market.reversion_features import FEATURES, MEMORY, features_of_bars
from hftkit.kernels.stats.forest import tree_probabilities
from research.data.progress import progress
from research.pairs.costs import Costs
from research.pairs.performance import Trials, deflated_sharpe, mean_correlation
from research.pairs.walkforward import rolling
from research.stats.spread.hedge import level_spread, log_spread, unit_return

_AXES = ("window", "entry_z", "exit_z", "stop_z")
_YEAR_NS = 365.25 * 86_400e9  # these markets never close


@dataclass(frozen=True)
class Thresholds:
    """One parameter set of the rule. `window`, `max_holding_bars` in bars, the others in standard deviations; `zscore`: rolling, ewma or kalman."""

    window: int
    entry_z: float
    exit_z: float
    stop_z: float
    max_holding_bars: int
    zscore: str = "rolling"

    def __post_init__(self) -> None:
        if not (self.window >= 2 and 0 <= self.exit_z < self.entry_z < self.stop_z and self.max_holding_bars >= 1):
            raise DataError(f"{self} is not a usable parameter set", "Need window >= 2, 0 <= exit_z < entry_z < stop_z, max_holding_bars >= 1")
        _check_kind(self.zscore)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise DataError(f"there is no z-score {kind!r}", f"Choose {', '.join(KINDS)}")


@dataclass(frozen=True)
class Training:
    """How a reversion model was made, enough to make it again: arguments of reversion_model.train, `first` and `end` the bars of its span."""

    thresholds: Thresholds
    first: int
    end: int
    kind: Literal["forest", "boosting"]
    trees: int
    embargo: int
    seed: int
    samples: int


@dataclass(frozen=True)
class Gate:
    """A reversion model as a filter of entries. `table`: of kernels/stats/forest.py; an entry below `confidence` is not taken.

    `unseen`: float64 (n,), for every bar of the series the probability by a fold of the training that had not seen that bar, NaN where there is
    none; `training`: how the table was made. Both None for a table from elsewhere: then nobody knows what it has seen.
    """

    table: np.ndarray
    confidence: float = 0.8
    unseen: np.ndarray | None = field(default=None, repr=False)
    training: Training | None = None


@dataclass(frozen=True)
class Grid:
    """What is swept. Combinations with exit >= entry or entry >= stop are left out. Holding limit in bars, the same for all.

    `zscores`: kinds of z-score; each kind multiplies the number of trials.
    """

    windows: Sequence[int] = (60, 120, 240)
    entries: Sequence[float] = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75)
    exits: Sequence[float] = (0.0, 0.25, 0.5, 0.75)
    stops: Sequence[float] = (4.0, 5.0, 6.0)
    max_holding_bars: int = 240
    zscores: Sequence[str] = ("rolling",)

    @staticmethod
    def for_half_life(half_life: float, zscores: Sequence[str] = ("rolling",)) -> Grid:
        """Windows of 3 to 12 half-lives, a holding limit of 10: a spread that has not come back by then is not reverting as believed."""
        bars = max(2.0, min(half_life, 1000.0))
        windows = sorted({max(20, round(bars * multiple)) for multiple in (3, 5, 8, 12)})
        return Grid(windows=windows, max_holding_bars=max(10, round(10 * bars)), zscores=zscores)

    def cells(self) -> list[Thresholds]:
        """Every usable combination."""
        combinations = itertools.product(self.zscores, self.windows, self.entries, self.exits, self.stops)
        return [Thresholds(int(w), e, x, s, self.max_holding_bars, kind) for kind, w, e, x, s in combinations if x < e < s]


@dataclass(frozen=True)
class Run:
    """One parameter set over one span. `frame`: per bar z, target, reason, step (return of a unit), net, equity (running sum of net)."""

    thresholds: Thresholds
    frame: pd.DataFrame
    trades: int
    net: float
    sharpe: float
    max_drawdown: float
    turnover: float
    exposure: float

    def summary(self) -> dict[str, float | int]:
        """The figures without the bars: net and drawdown as fractions of the lead's notional, Sharpe annualised."""
        names = ("trades", "net", "sharpe", "max_drawdown", "turnover", "exposure")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Sweep:
    """A swept grid. `table`: one row a cell, thresholds and results, `score` = mean Sharpe of the cell and its neighbours.

    `tried`: what was tried before this choice, the pairs too; `returns`: float64 (n,), net of each bar under the chosen cell.
    """

    table: pd.DataFrame
    chosen: Thresholds
    tried: Trials
    returns: np.ndarray = field(repr=False)

    @property
    def trials(self) -> int:
        """Cells tried on this pair, every kind of z-score counted."""
        return self.tried.sets

    @property
    def deflated_sharpe(self) -> float:
        """Probability that the choice is better than the luckiest of all that was tried."""
        return deflated_sharpe(self.returns, self.tried)


class PairBars:
    """A pair's prices, prepared once: spread, unit returns, and z-scores by window (kept, because a sweep asks for them again and again).

    `ticks`: tick sizes of lead and hedge; with them spread and z-scores are the live strategy's to the bit. `log`: the spread is of log prices and
    the ratio money per money; without it of prices, and the ratio units per unit.
    """

    log: bool = True

    def __init__(
        self, lead: pd.Series, hedge: pd.Series, hedge_ratio: float, bar_ns: int, ticks: tuple[float, float] = (1.0, 1.0), log: bool = True
    ) -> None:
        if bar_ns < 1:
            raise DataError(f"bars of {bar_ns} ns have no length", "Give the nanoseconds between two bars")
        self.lead, self.hedge, self.hedge_ratio, self.bar_ns, self.ticks = lead, hedge, hedge_ratio, bar_ns, ticks
        self.index, self.log = lead.index, log
        self.spread = (log_spread if log else level_spread)(lead, hedge, hedge_ratio, ticks)
        self.step = unit_return(lead, hedge, hedge_ratio, log)
        self._z: dict[tuple[str, int], np.ndarray] = {}
        self._features: dict[tuple[str, int], np.ndarray] = {}

    def money_ratio(self, span: slice = slice(None)) -> float:
        """Notional of the hedge per notional of the lead in one unit, what costs are paid on; of levels its mean over the bars of `span`."""
        if self.log:
            return self.hedge_ratio
        return self.hedge_ratio * float(np.mean(self.hedge.to_numpy(np.float64)[span] / self.lead.to_numpy(np.float64)[span]))

    def z(self, window: int, kind: str = "rolling") -> np.ndarray:
        """z-scores float64 (n,) against the bars before each bar (`window`, or three times as many for ewma and kalman), NaN until there are so
        many."""
        key = (kind, window)
        if key not in self._z:
            _check_kind(kind)
            code = KINDS.index(kind)
            mean, std, z = (np.empty(self.spread.size) for _ in range(3))
            trailing_moments(self.spread, np.empty(held(code, window)), mean, std, code, window)
            kernel.zscores(self.spread, mean, std, z)
            self._z[key] = z
        return self._z[key]

    def features(self, window: int, kind: str = "rolling") -> np.ndarray:
        """What a reversion model may know at each bar, float64 (n, 5) in the order of FEATURES; NaN in bars without a whole memory of z-scores."""
        key = (kind, window)
        if key not in self._features:
            rows = np.empty((self.spread.size, len(FEATURES)))
            features_of_bars(self.z(window, kind), np.empty(MEMORY), rows)
            self._features[key] = rows
        return self._features[key]

    def belief(self, window: int, kind: str, gate: Gate | None) -> np.ndarray:
        """Probability of a return before the stop at each bar, float64 (n,); without a gate float64 (0,)."""
        if gate is None:
            return np.empty(0)
        belief = np.empty(self.spread.size)
        tree_probabilities(self.features(window, kind), gate.table, belief)
        return belief


def walk(
    bars: PairBars, thresholds: Thresholds, span: slice = slice(None), gate: Gate | None = None, *, unseen: bool = False
) -> tuple[np.ndarray, np.ndarray, int]:
    """Targets (-1, 0, 1) and reasons (codes.SignalReason) of the rule over `span`, int64 (n,) each, and the number of entries.

    `unseen`: entries are believed by the folds of the gate that had not seen the bar, instead of by its table.
    """
    z, belief = bars.z(thresholds.window, thresholds.zscore)[span], _belief(bars, thresholds, gate, unseen)[span]
    targets, reasons = np.empty(z.size, np.int64), np.empty(z.size, np.int64)
    limits = thresholds.entry_z, thresholds.exit_z, thresholds.stop_z, thresholds.max_holding_bars
    return targets, reasons, int(kernel.walk_rule(z, belief, targets, reasons, *limits, gate.confidence if gate else 0.0))


def _belief(bars: PairBars, thresholds: Thresholds, gate: Gate | None, unseen: bool) -> np.ndarray:
    """Probability of a return at each bar, float64 (n,); without a gate float64 (0,)."""
    if gate is None or not unseen:
        return bars.belief(thresholds.window, thresholds.zscore, gate)
    if gate.unseen is None or gate.unseen.size != bars.spread.size:
        has = 0 if gate.unseen is None else gate.unseen.size
        raise DataError(f"the gate has {has} probabilities of folds for {bars.spread.size} bars", "Train it on these bars (train_reversion)")
    return gate.unseen


def run_rule(
    bars: PairBars, thresholds: Thresholds, costs: Costs, span: slice = slice(None), gate: Gate | None = None, *, unseen: bool = False
) -> Run:
    """The rule over the bars of `span` (positions), starting and ending flat. Windows reach back before the span, never past a bar.

    `gate`: take only entries that this reversion model believes in; `unseen`: that those of its folds believe in which had not seen the bar.
    """
    z, step = bars.z(thresholds.window, thresholds.zscore)[span], bars.step[span].copy()
    if z.size < 2:
        raise DataError(f"{z.size} bars are no span to trade", "Use more data or a smaller embargo")
    step[:1] = 0.0  # flat at the start: the step into the first bar is not ours
    targets, reasons, entries = walk(bars, thresholds, span, gate, unseen=unseen)
    net = np.empty(z.size)
    ratio = bars.money_ratio(span)
    turnover = kernel.net_returns(targets, step, net, costs.per_unit(ratio), costs.carry(ratio, bars.bar_ns))
    out = np.zeros(kernel.RESULT_FIELDS)
    kernel.summarise(net, targets, out)
    frame = pd.DataFrame(
        {
            "z": z,
            "target": targets,
            "reason": [SignalReason(int(code)).text for code in reasons],
            "step": step,
            "net": net,
            "equity": np.cumsum(net),
        },
        index=bars.index[span],
    )
    return Run(
        thresholds=thresholds,
        frame=frame,
        trades=int(entries),
        net=float(out[kernel.NET]),
        sharpe=float(out[kernel.SHARPE] * np.sqrt(_YEAR_NS / bars.bar_ns)),
        max_drawdown=float(out[kernel.DRAWDOWN]),
        turnover=float(turnover),
        exposure=float(out[kernel.EXPOSURE]),
    )


def sweep(
    bars: PairBars,
    grid: Grid,
    costs: Costs,
    span: slice = slice(None),
    min_trades: int = 10,
    threads: int | None = None,
    gate: Gate | None = None,
    pairs_tested: int = 1,
) -> Sweep:
    """Run every cell of the grid over `span` and choose by stable region.

    `pairs_tested`: how many (ordered) pairs were tested before this one was taken; every one counts as trials.
    Raises DataError if no cell trades at least `min_trades` times. Memory: one z-score series a window plus three series a thread.
    """
    cells = grid.cells()
    if not cells:
        raise DataError("the grid has no usable cell", "Need exit_z < entry_z < stop_z in at least one combination")
    keys = [(kind, int(window)) for kind in grid.zscores for window in grid.windows]
    z = np.ascontiguousarray([bars.z(window, kind)[span] for kind, window in keys])
    belief = np.ascontiguousarray([bars.belief(window, kind, gate)[span] for kind, window in keys])
    step = bars.step[span].copy()
    step[:1] = 0.0
    rows = {key: i for i, key in enumerate(keys)}
    array = np.array([(rows[c.zscore, c.window], c.entry_z, c.exit_z, c.stop_z, c.max_holding_bars) for c in cells], np.float64)
    out = np.full((len(cells), kernel.RESULT_FIELDS), np.nan)
    n = step.size
    ratio = bars.money_ratio(span)
    cost, carry = costs.per_unit(ratio), costs.carry(ratio, bars.bar_ns)

    def block(start: int) -> tuple[np.ndarray, int]:
        part = slice(start, start + 32)
        scratch, alike = (np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)), np.zeros(n)
        varying = kernel.sweep_cells(z, belief, step, array[part], *scratch, alike, out[part], cost, carry, gate.confidence if gate else 0.0)
        return alike, int(varying)

    together, varying = np.zeros(n), 0
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        starts = range(0, len(cells), 32)
        for alike, count in progress(pool.map(block, starts), f"sweep, {len(cells)} parameter sets", len(starts)):
            together += alike  # in the order of the blocks: the same sum on any number of threads
            varying += count
    table = pd.DataFrame([{axis: getattr(cell, axis) for axis in ("zscore", *_AXES)} for cell in cells])
    table["sharpe"] = out[:, kernel.SHARPE] * np.sqrt(_YEAR_NS / bars.bar_ns)
    table["net"], table["max_drawdown"] = out[:, kernel.NET], out[:, kernel.DRAWDOWN]
    table["trades"], table["turnover"] = out[:, kernel.TRADES].astype(int), out[:, kernel.TURNOVER]
    table["score"] = _stable_score(table)
    eligible = table[table["trades"] >= min_trades]
    if eligible.empty:
        most = int(table["trades"].max())
        raise DataError(f"no parameter set trades {min_trades} times in {n} bars (most: {most})", "Use more data, lower entries or fewer min_trades")
    best = int(eligible["score"].idxmax())
    chosen = replace(cells[best])
    net = run_rule(bars, chosen, costs, span, gate).frame["net"].to_numpy()
    spread = float(np.std(out[:, kernel.SHARPE], ddof=1)) if len(cells) > 1 else 0.0
    return Sweep(table, chosen, Trials(pairs_tested, len(cells), mean_correlation(together, varying), spread, n), net)


def walk_forward(
    bars: PairBars, grid: Grid, costs: Costs, train: int, test: int, embargo: int = 0, min_trades: int = 10, pairs_tested: int = 1
) -> pd.DataFrame:
    """Calibrate on `train` bars, trade the next `test` bars after the embargo, step on by `test`: what a desk that recalibrates would have earned.

    One row a step, index its first traded bar: the thresholds chosen, train_sharpe, deflated_sharpe (train), trials and effective_trials that deflate
    it, then trades, net, sharpe, max_drawdown of the bars that had no part in the choice. `pairs_tested`: ordered pairs among which this one was
    found; each step's grid counts on every one. A train span without a usable cell gives a row with trades 0 and NaN thresholds: nothing was traded.
    """
    rows, index = [], []
    for learn, trade in progress(list(rolling(len(bars.index), train, test, embargo)), "walk forward"):
        index.append(bars.index[trade.start])
        try:
            swept = sweep(bars, grid, costs, learn, min_trades, pairs_tested=pairs_tested)
        except DataError:
            rows.append({"trades": 0, "net": 0.0, "sharpe": 0.0, "max_drawdown": 0.0})
            continue
        known, run = run_rule(bars, swept.chosen, costs, learn), run_rule(bars, swept.chosen, costs, trade)
        thresholds = {axis: getattr(swept.chosen, axis) for axis in ("zscore", *_AXES)}
        tried = {"trials": swept.tried.count, "effective_trials": swept.tried.effective}
        earned = {name: getattr(run, name) for name in ("trades", "net", "sharpe", "max_drawdown")}
        rows.append({**thresholds, "train_sharpe": known.sharpe, "deflated_sharpe": swept.deflated_sharpe, **tried, **earned})
    if not rows:
        raise DataError(f"{len(bars.index)} bars hold no step of {train} + {embargo} + {test}", "Use more data or shorter spans")
    columns = ["zscore", *_AXES, "train_sharpe", "deflated_sharpe", "trials", "effective_trials", "trades", "net", "sharpe", "max_drawdown"]
    return pd.DataFrame(rows, index=pd.Index(index, name="from")).reindex(columns=columns)


def _stable_score(table: pd.DataFrame) -> np.ndarray:
    """Mean Sharpe of each cell and the cells at most one grid step away along every axis; kinds of z-score are no neighbours."""
    places = np.column_stack([pd.Categorical(table[axis], ordered=True).codes.astype(np.int64) for axis in _AXES])
    kinds = table["zscore"].to_list()
    sharpe = table["sharpe"].to_numpy()
    at = {(kind, *place): value for kind, place, value in zip(kinds, places.tolist(), sharpe, strict=True)}
    steps = list(itertools.product((-1, 0, 1), repeat=len(_AXES)))
    scores = np.empty(len(table))
    for i, place in enumerate(places.tolist()):
        near = [at[key] for move in steps if (key := (kinds[i], *(p + m for p, m in zip(place, move, strict=True)))) in at]
        scores[i] = np.mean(near)
    return scores
