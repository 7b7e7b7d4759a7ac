"""A basket held by one relation (a Johansen vector, say), backtested like a pair: the same rule, sweep, costs and accounting.

    spread = w_1 log(p_1) + ... + w_k log(p_k),  w_1 = 1

One unit holds the notional 1 in the first series and w_i in each other (negative: short), rebalanced to that at every bar, as the sweep of a pair
does. Returns, costs and drawdowns are fractions of the notional of the first series; costs are paid on all |w_i|. A basket of two is the pair
with the hedge ratio -w_2. Policy `basket` of a frozen file trades 2 to 8 legs (hftkit/strategies/basket_reversion.py).

In levels (weights in shares) the accounting is another: research/pairs/dynamic_hedge.py, `run_book`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hftkit.errors import DataError
from research.pairs.costs import Costs
from research.pairs.strategy_optimizer import Grid, PairBars, Run, Sweep, run_rule, sweep
from research.pairs.walkforward import Split, three_way
from research.stats.johansen import Johansen, johansen
from research.stats.spread.half_life import half_life


class BasketBars(PairBars):
    """A basket's prices, prepared once: what `sweep`, `run_rule` and `walk_forward` take in place of a pair's.

    `weights` (k,): of log prices, first 1. `lead` is the first series. `hedge_ratio` is the notional of all others together, which is what costs
    and funding are paid on beside the first.
    """

    def __init__(self, prices: pd.DataFrame, weights: ArrayLike, bar_ns: int) -> None:
        """Take prices.

        Parameters
        ----------
        prices : DataFrame (n, k)
            Positive, in time order, one column a series; at least two.
        weights : array_like (k,)
            Of the log prices; divided by the first, which must not be zero. A Series is taken by its names.
        bar_ns : int
            Bar length in ns.
        """
        if bar_ns < 1:
            raise DataError(f"bars of {bar_ns} ns have no length", "Give the nanoseconds between two bars")
        values = prices.to_numpy(np.float64)
        if isinstance(weights, pd.Series):
            missing = [str(name) for name in prices if name not in weights.index]
            if missing:
                raise DataError(f"there is no weight of {', '.join(missing)}", "Give one weight a column of the prices")
            weights = weights.reindex(prices.columns)
        shares = np.asarray(weights, np.float64)
        if shares.shape != (values.shape[1],) or shares.size < 2:
            raise DataError(f"{shares.size} weights do not fit {values.shape[1]} series", "Give one weight a series, for at least two")
        if not np.isfinite(shares).all() or not abs(shares[0]) > 1e-9 * np.abs(shares).max():
            raise DataError(f"weights {shares.tolist()} cannot be read per unit of {prices.columns[0]}", "Put a series with a weight first")
        bad = np.argwhere(~(np.isfinite(values) & (values > 0.0)))
        if bad.size:
            row, column = bad[0]
            raise DataError(f"{prices.columns[column]} is {values[row, column]} at row {row}", "Repair or drop these rows first")
        self.prices, self.weights = prices, pd.Series(shares / shares[0], prices.columns, name="weight")
        self.lead, self.hedge = prices.iloc[:, 0], prices.iloc[:, 1]
        self.hedge_ratio = float(np.abs(self.weights.to_numpy()[1:]).sum())
        self.bar_ns, self.ticks, self.index = bar_ns, (1.0, 1.0), prices.index
        self.spread = np.log(values) @ self.weights.to_numpy()
        self.step = np.zeros(len(values))
        self.step[1:] = (values[1:] / values[:-1] - 1.0) @ self.weights.to_numpy()
        self._z: dict[tuple[str, int], np.ndarray] = {}
        self._features: dict[tuple[str, int], np.ndarray] = {}


@dataclass(frozen=True)
class BasketBacktest:
    """A basket calibrated on train, judged on validation, looked at once on test.

    `tested`: Johansen's test of the train span; `half_life`: of the train span's spread, bars.
    """

    tested: Johansen
    bars: BasketBars
    half_life: float
    split: Split
    costs: Costs
    sweep: Sweep
    train: Run
    validation: Run
    test: Run

    def table(self) -> pd.DataFrame:
        """The three spans side by side: trades, net return, annualised Sharpe, drawdown, turnover, exposure."""
        runs = {"train": self.train, "validation": self.validation, "test": self.test}
        return pd.DataFrame({name: run.summary() for name, run in runs.items()}).T.astype({"trades": int})

    def report(self) -> str:
        """Test, weights, thresholds and results as text."""
        chosen = self.sweep.chosen
        weights = ", ".join(f"{name} {value:+.6f}" for name, value in self.bars.weights.items())
        lines = [
            f"basket: {weights} (notional per unit of {self.bars.weights.index[0]})",
            f"  relations          {self.tested.rank} on train (trace, 5 %), p-value of none {self.tested.table['trace_p'].iloc[0]:.4g}",
            f"  half-life          {self.half_life:.2f} bars on train",
            f"  thresholds         window {chosen.window}, entry {chosen.entry_z:g}, exit {chosen.exit_z:g}, stop {chosen.stop_z:g}, holding at most "
            f"{chosen.max_holding_bars} bars, {self.sweep.trials} sets tried",
            f"  costs              {self.costs.per_unit(self.bars.hedge_ratio):.6f} of the notional per unit traded, all legs",
            self.table().to_string(float_format=lambda value: f"{value:.6g}"),
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.report()


def backtest_basket(
    prices: pd.DataFrame,
    bar_ns: int,
    costs: Costs,
    split: Split | None = None,
    relation: int = 1,
    lags: int = 1,
    deterministic: str = "rc",
    grid: Grid | None = None,
    min_trades: int = 10,
    insist: bool = False,
) -> BasketBacktest:
    """Johansen's test on train, one of its relations as weights, thresholds swept on train, the rule run on validation and test.

    Parameters
    ----------
    prices : DataFrame (n, k)
        Positive, in time order, one column a series.
    bar_ns : int
        Bar length in ns.
    costs : Costs
        Of one fill of one leg; paid on every leg.
    split : Split, optional
        Default half, a quarter, a quarter.
    relation : int
        Which of Johansen's relations, from 1, the strongest first.
    lags, deterministic
        As in `johansen`, which gets the logs of the train span.
    grid : Grid, optional
        Default in proportion to the half-life of the train span.
    min_trades : int
        Fewest trades on train of a parameter set that may be chosen.
    insist : bool
        Go on where the test finds fewer relations than `relation`.

    Raises
    ------
    DataError
        Where train shows no such relation, or no parameter set trades often enough.
    """
    spans = split or three_way(len(prices))
    logs = np.log(prices.iloc[spans.train])
    tested = johansen(logs, lags, deterministic)
    if not 1 <= relation <= prices.shape[1]:
        raise DataError(f"there is no relation {relation} among {prices.shape[1]} series", f"Choose 1 to {prices.shape[1]}")
    if tested.rank < relation and not insist:
        p = tested.table["trace_p"].iloc[relation - 1]
        raise DataError(
            f"the train span shows {tested.rank} relations at 5 %, not {relation} (p-value of at most {relation - 1}: {p:.3g})",
            "Choose other series, a longer span, or insist",
        )
    weights = tested.vectors[f"relation {relation}"].to_numpy()[: prices.shape[1]]
    bars = BasketBars(prices, weights, bar_ns)
    life = half_life(bars.spread[spans.train])
    swept = sweep(bars, grid or Grid.for_half_life(life), costs, spans.train, min_trades)
    runs = [run_rule(bars, swept.chosen, costs, span) for span in (spans.train, spans.validation, spans.test)]
    return BasketBacktest(tested, bars, life, spans, costs, swept, runs[0], runs[1], runs[2])
