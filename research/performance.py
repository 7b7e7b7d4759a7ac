"""How good is a series of returns, and is it more than luck?

Figures of a strategy (PT-1), with the definitions of the reference library empyrical, which the tests compare them with; the probabilistic and
the deflated Sharpe ratio of D. H. Bailey and M. Lopez de Prado (2014), "The Deflated Sharpe Ratio", Journal of Portfolio Management 40.5,
94-107; bootstrap bands by the stationary bootstrap of D. N. Politis and J. P. Romano (1994), J. Amer. Statist. Assoc. 89, 1303-1313.
Sharpe ratios are per bar unless a function says annualised.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from hftkit.errors import DataError

_EULER = 0.5772156649015329
YEAR_NS = 365.25 * 86_400e9  # these markets never close


def periods_per_year(bar_ns: int) -> float:
    """Bars of this length in a year."""
    return YEAR_NS / bar_ns


def sharpe(returns: np.ndarray, periods: float) -> float:
    """Annualised Sharpe ratio: mean / sample standard deviation * sqrt(periods). NaN without variance."""
    spread = _deviation(returns)
    return float(np.mean(returns) / spread * np.sqrt(periods)) if spread > 0 else float("nan")


def _deviation(returns: np.ndarray) -> float:
    """Sample standard deviation; 0 for fewer than two values, and for a constant, of which arithmetic leaves a rounding error."""
    values = np.asarray(returns, np.float64)
    if values.size < 2 or not np.ptp(values) > 4.0 * np.spacing(np.abs(values).max()):
        return 0.0
    return float(np.std(values, ddof=1))


def sortino(returns: np.ndarray, periods: float) -> float:
    """Annualised Sortino ratio: mean over the root mean square of the losses (all bars counted). NaN without a loss."""
    downside = np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)) if len(returns) else 0.0
    return float(np.mean(returns) / downside * np.sqrt(periods)) if downside > 0 else float("nan")


def drawdowns(returns: np.ndarray) -> np.ndarray:
    """Fall from the running peak of compounded wealth, <= 0, float64 (n,); wealth starts at 1."""
    wealth = np.cumprod(1.0 + np.asarray(returns, np.float64))
    return wealth / np.maximum.accumulate(np.maximum(wealth, 1.0)) - 1.0


def annual_return(returns: np.ndarray, periods: float) -> float:
    """Compound annual growth rate."""
    return float(np.prod(1.0 + np.asarray(returns, np.float64)) ** (periods / len(returns)) - 1.0)


def calmar(returns: np.ndarray, periods: float) -> float:
    """Annual return over the largest drawdown. NaN without a drawdown."""
    worst = drawdowns(returns).min(initial=0.0)
    return annual_return(returns, periods) / -worst if worst < 0 else float("nan")


def value_at_risk(returns: np.ndarray, level: float = 0.05) -> float:
    """The `level` quantile of the returns (linear between order statistics): the loss exceeded in that share of bars."""
    return float(np.percentile(returns, 100 * level))


def expected_shortfall(returns: np.ndarray, level: float = 0.05) -> float:
    """Mean of the worst `level` of the returns, as many as the quantile's index and one."""
    count = int((len(returns) - 1) * level) + 1
    return float(np.mean(np.partition(np.asarray(returns, np.float64), count - 1)[:count]))


def summary(returns: pd.Series, trades: pd.DataFrame, bar_ns: int) -> pd.Series:
    """All figures of one run. `returns`: per bar on capital; `trades`: columns net (quote) and bars, as of event_backtest.PairBacktest.

    A run of less than a quarter has no annual return and no Calmar ratio (NaN): compounding a week to a year says nothing.
    """
    values, periods = returns.to_numpy(np.float64), periods_per_year(bar_ns)
    long_enough = len(values) >= periods / 4
    net = trades["net"].dropna().to_numpy(np.float64)
    wins, losses = net[net > 0].sum(), -net[net < 0].sum()
    return pd.Series(
        {
            "net_return": float(values.sum()),
            "annual_return": annual_return(values, periods) if long_enough else float("nan"),
            "sharpe": sharpe(values, periods),
            "sortino": sortino(values, periods),
            "calmar": calmar(values, periods) if long_enough else float("nan"),
            "max_drawdown": float(drawdowns(values).min(initial=0.0)),
            "var_95": value_at_risk(values),
            "expected_shortfall_95": expected_shortfall(values),
            "trades": float(len(net)),
            "win_rate": float((net > 0).mean()) if len(net) else float("nan"),
            "profit_factor": float(wins / losses) if losses > 0 else float("nan"),
            "average_bars": float(trades.loc[trades["net"].notna(), "bars"].mean()),
            "probabilistic_sharpe": probabilistic_sharpe(values),
        },
        name="figures",
    )


def probabilistic_sharpe(returns: np.ndarray, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark`, given skew and kurtosis of the returns (n,). NaN without variance."""
    returns = np.asarray(returns, np.float64)
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
