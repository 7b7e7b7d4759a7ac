"""How good is a series of returns, and is it more than luck?

Figures of a strategy (PT-1), with the definitions of the reference library empyrical, which the tests compare them with; the probabilistic and
the deflated Sharpe ratio of D. H. Bailey and M. Lopez de Prado (2014), "The Deflated Sharpe Ratio", Journal of Portfolio Management 40.5,
94-107; bootstrap bands by the stationary bootstrap of D. N. Politis and J. P. Romano (1994), J. Amer. Statist. Assoc. 89, 1303-1313.
Sharpe ratios are per bar unless a function says annualised. Profits of a stake of fixed size are added, those of a stake that grows are
compounded: each function says which, and a figure of a year counts the bars that the data's own calendar has. Returns that are missing or not
finite are refused everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from hftkit.errors import DataError
from research.data.calendars import infer_calendar

_EULER = 0.5772156649015329
YEAR_NS = 365.25 * 86_400e9


def periods_per_year(bar_ns: int, index: pd.Index | None = None) -> float:
    """Bars in a year: of the calendar that the bar times `index` follow (252 days of an exchange, its sessions; data/calendars.py), where they
    are given; else of a market that never closes (365.25 days). `bar_ns`: bar length.

    Raises DataError for bars without a length.
    """
    if not bar_ns > 0:
        raise DataError(f"bars of {bar_ns} ns have no number in a year", "Give the bar length, ns")
    if isinstance(index, pd.DatetimeIndex) and len(index) > 1:
        return infer_calendar(index if index.tz is not None else index.tz_localize("UTC")).bars_a_year
    return YEAR_NS / bar_ns


def _checked(returns: np.ndarray, periods: float = 1.0, least: int = 1) -> np.ndarray:
    """Returns as float64 (n,). Raises DataError for fewer than `least`, for one that is not finite, and for no number of bars a year."""
    values = np.asarray(returns, np.float64)
    if values.ndim != 1:
        raise DataError(f"returns of shape {values.shape} are no series", "Give one return a bar")
    if values.size < least:
        raise DataError(f"{values.size} returns are too few for this figure", f"Give at least {least}, one a bar")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(f"{bad.size} of {values.size} returns are not finite, the first at row {bad[0]}", "Leave out or repair those bars")
    if not (np.isfinite(periods) and periods > 0):
        raise DataError(f"{periods} bars a year are no number of bars", "Give that of periods_per_year")
    return values


def _level(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise DataError(f"a level of {level} is no share of the bars", "Give one between 0 and 1, as 0.05")
    return level


def sharpe(returns: np.ndarray, periods: float) -> float:
    """Annualised Sharpe ratio: mean / sample standard deviation * sqrt(periods). NaN without variance."""
    values = _checked(returns, periods)
    spread = _deviation(values)
    return float(np.mean(values) / spread * np.sqrt(periods)) if spread > 0 else float("nan")


def _deviation(returns: np.ndarray) -> float:
    """Sample standard deviation; 0 for fewer than two values, and for a constant, of which arithmetic leaves a rounding error."""
    values = np.asarray(returns, np.float64)
    if values.size < 2 or not np.ptp(values) > 4.0 * np.spacing(np.abs(values).max()):
        return 0.0
    return float(np.std(values, ddof=1))


def sortino(returns: np.ndarray, periods: float) -> float:
    """Annualised Sortino ratio: mean over the root mean square of the losses (all bars counted). NaN without a loss."""
    values = _checked(returns, periods)
    downside = np.sqrt(np.mean(np.minimum(values, 0.0) ** 2))
    return float(np.mean(values) / downside * np.sqrt(periods)) if downside > 0 else float("nan")


def drawdowns(returns: np.ndarray, *, compounded: bool = True) -> np.ndarray:
    """Fall from the running peak of wealth that starts at 1, <= 0, float64 (n,).

    `compounded`: every bar's profit is put to work (a share of the peak); else each bar stakes the same capital, profits are added, and the fall is
    a share of that capital.
    """
    values = _checked(returns)
    wealth = np.cumprod(1.0 + values) if compounded else 1.0 + np.cumsum(values)
    peak = np.maximum.accumulate(np.maximum(wealth, 1.0))
    return wealth / peak - 1.0 if compounded else wealth - peak


def annual_return(returns: np.ndarray, periods: float, *, compounded: bool = True) -> float:
    """Return of a year. `compounded`: the growth rate that compounds to the whole (-1 if all was lost); else the mean times `periods`, which is what
    a stake of fixed size earns.
    """
    values = _checked(returns, periods)
    if not compounded:
        return float(np.mean(values) * periods)
    wealth = float(np.prod(1.0 + values))
    return wealth ** (periods / values.size) - 1.0 if wealth > 0 and (values > -1.0).all() else -1.0


def calmar(returns: np.ndarray, periods: float, *, compounded: bool = True) -> float:
    """Annual return over the largest drawdown, both compounded or both not. NaN without a drawdown."""
    worst = drawdowns(returns, compounded=compounded).min()
    return annual_return(returns, periods, compounded=compounded) / -worst if worst < 0 else float("nan")


def value_at_risk(returns: np.ndarray, level: float = 0.05) -> float:
    """The `level` quantile of the returns (linear between order statistics): the loss exceeded in that share of bars."""
    return float(np.percentile(_checked(returns), 100 * _level(level)))


def expected_shortfall(returns: np.ndarray, level: float = 0.05) -> float:
    """Mean of the worst `level` of the returns, as many as the quantile's index and one."""
    values = _checked(returns)
    count = int((values.size - 1) * _level(level)) + 1
    return float(np.mean(np.partition(values, count - 1)[:count]))


def summary(returns: pd.Series, trades: pd.DataFrame, bar_ns: int, *, compounded: bool = False) -> pd.Series:
    """All figures of one run. `returns`: per bar on capital; `trades`: columns net (quote) and bars, as of event_backtest.PairBacktest.

    A run stakes units of one size, so its profits are added and never compounded; `compounded` for a run that stakes all it has. Bars a year are
    those of the calendar that the index of `returns` follows (`bars_a_year` among the figures). A run of less than a quarter has no annual return
    and no Calmar ratio (NaN): a week says nothing of a year. Raises DataError for no returns, or one that is not finite.
    """
    values, periods = _checked(returns.to_numpy(np.float64)), periods_per_year(bar_ns, returns.index)
    long_enough = len(values) >= periods / 4
    net = trades["net"].dropna().to_numpy(np.float64)
    wins, losses = net[net > 0].sum(), -net[net < 0].sum()
    return pd.Series(
        {
            "net_return": float(np.prod(1.0 + values) - 1.0) if compounded else float(values.sum()),
            "annual_return": annual_return(values, periods, compounded=compounded) if long_enough else float("nan"),
            "sharpe": sharpe(values, periods),
            "sortino": sortino(values, periods),
            "calmar": calmar(values, periods, compounded=compounded) if long_enough else float("nan"),
            "max_drawdown": float(drawdowns(values, compounded=compounded).min()),
            "var_95": value_at_risk(values),
            "expected_shortfall_95": expected_shortfall(values),
            "trades": float(len(net)),
            "win_rate": float((net > 0).mean()) if len(net) else float("nan"),
            "profit_factor": float(wins / losses) if losses > 0 else float("nan"),
            "average_bars": float(trades.loc[trades["net"].notna(), "bars"].mean()),
            "probabilistic_sharpe": probabilistic_sharpe(values),
            "bars_a_year": periods,
        },
        name="figures",
    )


def probabilistic_sharpe(returns: np.ndarray, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark`, given skew and kurtosis of the returns (n,). NaN without variance."""
    returns = _checked(returns)
    spread = _deviation(returns) if returns.size > 2 else 0.0
    if not spread > 0.0:
        return float("nan")
    ratio = returns.mean() / spread
    return sharpe_probability(ratio, benchmark, returns.size, stats.skew(returns), stats.kurtosis(returns, fisher=False))


def sharpe_probability(ratio: float, benchmark: float, n: int, skew: float, kurtosis: float) -> float:
    """The same from the moments of `n` returns: Sharpe ratio and benchmark per bar, kurtosis 3 for a normal distribution."""
    variance = 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    return float(stats.norm.cdf((ratio - benchmark) * np.sqrt(n - 1) / np.sqrt(variance)))


@dataclass(frozen=True)
class Trials:
    """How much was tried before one result was shown.

    `pairs`: pairs tested, of which one was taken (both directions of a pair count); `sets`: parameter sets tried on a pair, z-score kinds included;
    `correlation`: mean correlation between the returns of those sets; `deviation`: standard deviation of their Sharpe ratios; `bars`: rows of the
    returns. Sharpe ratios are per bar.
    """

    pairs: int
    sets: int
    correlation: float
    deviation: float
    bars: int

    def __post_init__(self) -> None:
        if min(self.pairs, self.sets) < 1:
            raise DataError(f"{self.pairs} pairs with {self.sets} parameter sets are no trials", "Count at least the pair and the set that were run")

    @property
    def count(self) -> int:
        """All that was tried: every set on every pair."""
        return self.pairs * self.sets

    @property
    def effective(self) -> float:
        """Independent trials among them: rho + (1 - rho) M sets a pair (the paper's appendix on their number), pairs in full."""
        return self.pairs * (self.correlation + (1.0 - self.correlation) * self.sets)

    def best_by_luck(self) -> float:
        """Sharpe ratio that the best of them would show if none had skill (see expected_best_sharpe).

        The deviation is that of the sets tried, and never below 1 / sqrt(bars - 1), which the Sharpe ratio of returns without skill has (Lo 2002):
        sets that resemble each other vary less among themselves than independent ones would, and only one pair's sets are at hand.
        """
        least = 1.0 / math.sqrt(self.bars - 1.0) if self.bars > 1 else 0.0
        return expected_best_sharpe(max(self.deviation, least), self.effective)


def mean_correlation(together: np.ndarray, series: int) -> float:
    """Mean correlation between all twos of `series` return series, of which `together` is the sum, each in units of its own deviation.

    The variance of the sum is series + series (series - 1) rho. Not below 0: trials that cancel each other are not more than they are.
    """
    if series < 2:
        return 0.0
    return float(np.clip((np.var(together, ddof=1) - series) / (series * (series - 1.0)), 0.0, 1.0))


def expected_best_sharpe(deviation: float, trials: float) -> float:
    """Mean of the largest of `trials` independent Sharpe ratios without skill that have this standard deviation: their false strategy theorem.

    `trials` need not be whole; between one (0: nothing was chosen) and two a straight line.
    """
    if trials <= 2.0:
        return (trials - 1.0) * expected_best_sharpe(deviation, 2.0 + 1e-9) if trials > 1.0 else 0.0
    quantile = (1.0 - _EULER) * stats.norm.ppf(1.0 - 1.0 / trials) + _EULER * stats.norm.ppf(1.0 - 1.0 / (trials * np.e))
    return float(deviation * quantile)


def deflated_sharpe(returns: np.ndarray, trials: Trials) -> float:
    """Probability that the chosen strategy's Sharpe ratio is above what the best of all trials would show by luck."""
    return probabilistic_sharpe(returns, trials.best_by_luck())


def bootstrap_draws(
    returns: np.ndarray, statistic: Callable[[np.ndarray], float] = np.sum, block: float = 50.0, draws: int = 1000, seed: int = 0
) -> np.ndarray:
    """A statistic of dependent returns over resamples of them, float64 (draws,): stationary bootstrap with blocks of mean length `block` bars.

    D. N. Politis and J. P. Romano (1994), J. Amer. Statist. Assoc. 89, 1303-1313.
    """
    values = np.asarray(returns, np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size or not values.size:
        raise DataError(
            f"{bad.size} of {values.size} returns are not finite, the first at row {bad[0] if bad.size else 0}", "Resample whole returns only"
        )
    rng = np.random.default_rng(seed)
    results = np.empty(draws)
    for i in range(draws):
        fresh = rng.random(values.size) < 1.0 / block
        fresh[:1] = True
        starts = np.flatnonzero(fresh)
        lengths = np.diff(np.append(starts, values.size))
        offsets = np.arange(values.size) - np.repeat(starts, lengths)
        places = np.repeat(rng.integers(0, values.size, starts.size), lengths) + offsets
        results[i] = statistic(values[places % values.size])
    return results


def bootstrap_band(
    returns: np.ndarray,
    statistic: Callable[[np.ndarray], float] = np.sum,
    block: float = 50.0,
    draws: int = 1000,
    level: float = 0.9,
    seed: int = 0,
) -> tuple[float, float]:
    """Confidence band of a statistic of dependent returns: the middle `level` of its bootstrap draws."""
    results = bootstrap_draws(returns, statistic, block, draws, seed)
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(results, [tail, 100.0 - tail])
    return float(low), float(high)
