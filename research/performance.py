"""Is a Sharpe ratio more than luck? The probabilistic and the deflated Sharpe ratio.

D. H. Bailey and M. Lopez de Prado (2014), "The Deflated Sharpe Ratio", Journal of Portfolio Management 40.5, 94-107. Sharpe ratios here are per bar.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

_EULER = 0.5772156649015329


def probabilistic_sharpe(returns: np.ndarray, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark`, given skew and kurtosis of the returns (n,). NaN without variance."""
    returns = np.asarray(returns, np.float64)
    spread = returns.std(ddof=1) if returns.size > 2 else 0.0
    if not spread > 0.0:
        return float("nan")
    sharpe = returns.mean() / spread
    skew, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    return float(stats.norm.cdf((sharpe - benchmark) * np.sqrt(returns.size - 1) / np.sqrt(variance)))


def expected_best_sharpe(trials: np.ndarray) -> float:
    """Sharpe ratio that the best of these trials would have by luck alone, if none had skill. `trials`: Sharpe ratios of all trials (m,)."""
    m = len(trials)
    if m < 2:
        return 0.0
    quantile = (1.0 - _EULER) * stats.norm.ppf(1.0 - 1.0 / m) + _EULER * stats.norm.ppf(1.0 - 1.0 / (m * np.e))
    return float(np.std(trials, ddof=1) * quantile)


def deflated_sharpe(returns: np.ndarray, trials: np.ndarray) -> float:
    """Probability that the chosen strategy's Sharpe ratio is above what the best of all trials would show by luck."""
    return probabilistic_sharpe(returns, expected_best_sharpe(trials))
