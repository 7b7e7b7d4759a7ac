"""Positions with a hedge ratio that moves, and what they earn: rolling regressions, two rules, one accounting.

The accounting is that of a book of shares: the position decided at the close of a bar earns the return of the next bar, and the
return of the book is its profit over the gross value that was held. E. Chan, Algorithmic Trading (2013), chapters 2 and 3, whose
printed figures are tests. Examples 3.2 and 3.3 can be frozen: hftkit/strategies/moving_hedge.py is the same rule, compiled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hftkit.errors import DataError
from research.pairs.costs import NO_COSTS, Costs
from research.pairs.performance import annual_return, drawdowns, sharpe
from research.stats.spread.pair_values import checked_pair


def rolling_hedge_ratios(lead: ArrayLike, hedge: ArrayLike, window: int, log: bool = True) -> np.ndarray:
    """Slope and intercept of least squares over the last `window` bars, this one included.

    Parameters
    ----------
    lead, hedge : array_like (n,)
        Prices, positive where `log`.
    window : int
        At least 3 bars.
    log : bool
        Logs of prices, or prices as they are.

    Returns
    -------
    ndarray (n, 2)
        NaN in the first window - 1 rows, and where the hedge stood still over the whole window.
    """
    y, x, _ = checked_pair(lead, hedge, log=log, moving=False)
    if window < 3:
        raise DataError(f"a window of {window} bars determines no line", "Use at least 3 bars")
    out = np.full((y.size, 2), np.nan)
    if y.size < window:
        return out
    left, right = (np.lib.stride_tricks.sliding_window_view(values, window) for values in (y, x))
    for first in range(0, len(left), 4096):  # bounds the memory
        part = slice(first, first + 4096)
        y_mean, x_mean = left[part].mean(axis=1), right[part].mean(axis=1)
        away = right[part] - x_mean[:, None]
        square = (away**2).sum(axis=1)
        moves = square > window * (4.0 * np.spacing(np.abs(x_mean))) ** 2
        slope = np.full(y_mean.size, np.nan)
        np.divide((away * (left[part] - y_mean[:, None])).sum(axis=1), square, out=slope, where=moves)
        out[window - 1 + first : window - 1 + first + slope.size] = np.column_stack([slope, y_mean - slope * x_mean])
    return out


def rolling_zscore(spread: ArrayLike, window: int) -> np.ndarray:
    """Spread less its mean over the last `window` bars, this one included, over their sample standard deviation: float64 (n,).

    NaN until the window is full of finite values, and where it has no variance.
    """
    moving = pd.Series(np.asarray(spread, np.float64)).rolling(window)
    deviation = moving.std()
    return ((pd.Series(np.asarray(spread, np.float64)) - moving.mean()) / deviation.where(deviation > 0)).to_numpy()


def band_units(zscore: ArrayLike, entry_z: float, exit_z: float = 0.0) -> np.ndarray:
    """Units of the spread by a band: long below -entry_z until z is above -exit_z, short above entry_z until below exit_z. float64 (n,).

    A bar without a z-score changes nothing. exit_z = entry_z holds only outside the band.
    """
    if not 0.0 <= exit_z <= entry_z:
        raise DataError(f"an exit at {exit_z} with an entry at {entry_z} is no band", "Need 0 <= exit_z <= entry_z")
    z = np.asarray(zscore, np.float64)
    units = np.zeros(z.size)
    long = short = 0.0
    with np.errstate(invalid="ignore"):
        for t, value in enumerate(z):
            long = 1.0 if value < -entry_z else 0.0 if value > -exit_z else long
            short = 1.0 if value > entry_z else 0.0 if value < exit_z else short
            units[t] = long - short
    return units


@dataclass(frozen=True)
class Book:
    """A book of shares, bar by bar. `returns`: of each bar on the gross value held, after costs; `shares` (n, k): held from the close of the bar on.

    `periods`: bars a year of the annual figures; `trades`: bars in which a position is opened or turned.
    """

    returns: pd.Series
    shares: pd.DataFrame
    periods: float
    trades: int

    @property
    def annual_return(self) -> float:
        """Compounded, a year."""
        return annual_return(self.returns.to_numpy(), self.periods)

    @property
    def sharpe(self) -> float:
        """Annualised."""
        return sharpe(self.returns.to_numpy(), self.periods)

    @property
    def max_drawdown(self) -> float:
        """Largest fall of compounded wealth, <= 0."""
        return float(drawdowns(self.returns.to_numpy()).min(initial=0.0))

    def report(self) -> str:
        """Figures as text."""
        lines = [
            f"book of {', '.join(map(str, self.shares.columns))}: {len(self.returns)} bars, {self.trades} entries",
            f"  annual return      {self.annual_return:.6f} (compounded, {self.periods:g} bars a year)",
            f"  Sharpe ratio       {self.sharpe:.6f}",
            f"  largest drawdown   {self.max_drawdown:.6f}",
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.report()


def run_book(units: ArrayLike, weights: ArrayLike, prices: pd.DataFrame, periods: float, money: bool = False, costs: Costs = NO_COSTS) -> Book:
    """Hold `units` of a portfolio of `weights`, decided at each close, and earn the return of the next bar.

    Parameters
    ----------
    units : array_like (n,)
        Units of the portfolio from this close on. NaN is nothing.
    weights : array_like (k,) or (n, k)
        Shares of each column in one unit; with `money` the money in each column.
    prices : DataFrame (n, k)
        Positive.
    periods : float
        Bars a year: 252 for days of a stock exchange.
    costs : Costs
        Paid on the value traded, at the close at which it is traded. Shares that the weights move are traded too.

    Returns
    -------
    Book
        Its return of a bar is the profit over the gross value at the close before, 0 while nothing is held. Costs of opening from nothing are
        over the gross value opened.
    """
    held, value = np.asarray(units, np.float64), prices.to_numpy(np.float64)
    n, k = value.shape
    portfolio = np.broadcast_to(np.asarray(weights, np.float64), (n, k))
    if held.shape != (n,):
        raise DataError(f"{held.shape} units do not fit {n} rows of prices", "Give one number a row")
    bad = np.argwhere(~(np.isfinite(value) & (value > 0.0)))
    if bad.size:
        row, column = bad[0]
        raise DataError(f"{prices.columns[column]} is {value[row, column]} at row {row}", "Repair or drop these rows first")
    if not periods > 0.0:
        raise DataError(f"{periods} bars a year are none", "Give how many bars a year has")
    shares = np.nan_to_num(held[:, None] * portfolio)
    if money:
        shares = shares / value
    gross = np.abs(shares * value).sum(axis=1)
    returns = np.zeros(n)
    before = gross[:-1]
    profit = (shares[:-1] * np.diff(value, axis=0)).sum(axis=1)
    np.divide(profit, before, out=returns[1:], where=before > 0.0)
    traded = np.abs(np.diff(shares, axis=0, prepend=np.zeros((1, k)))) * value
    base = np.concatenate([[0.0], before])
    base = np.where(base > 0.0, base, gross)
    paid = np.zeros(n)
    np.divide(costs.per_fill() * traded.sum(axis=1), base, out=paid, where=base > 0.0)
    sign = np.sign(np.nan_to_num(held))
    entries = int(np.count_nonzero((sign != 0) & (sign != np.concatenate([[0.0], sign[:-1]]))))
    return Book(pd.Series(returns - paid, prices.index, name="return"), pd.DataFrame(shares, prices.index, prices.columns), periods, entries)
