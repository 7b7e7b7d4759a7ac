"""Stylised facts of prices and order flow, as figures to lay beside a real market's (Cont, Quantitative Finance 2001).

Fat tails: excess kurtosis and the Hill tail index. Volatility clustering: autocorrelation of absolute returns that stays positive while that of
returns is about zero. Order flow: autocorrelation of trade signs. Spread and depth: their distributions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def autocorrelation(values: np.ndarray, n_lags: int) -> np.ndarray:
    """Sample autocorrelation at lags 1 .. n_lags, float64 (n_lags,); NaN where the values do not vary."""
    centred = np.asarray(values, float) - np.mean(values)
    total = float(centred @ centred)
    if total == 0.0:
        return np.full(n_lags, np.nan)
    # no dot product: on long series BLAS shares each of these small sums out to threads, which on a busy machine costs a hundred times their work
    return np.array([float(np.sum(centred[lag:] * centred[:-lag])) / total for lag in range(1, n_lags + 1)])


def excess_kurtosis(returns: np.ndarray) -> float:
    """Fourth standardised moment minus 3: 0 for a normal distribution; NaN where the returns do not vary."""
    centred = np.asarray(returns, float) - np.mean(returns)
    variance = float(np.mean(centred**2))
    return float(np.mean(centred**4)) / variance**2 - 3.0 if variance > 0 else float("nan")


def hill_index(returns: np.ndarray, tail: float = 0.05) -> float:
    """Hill's estimate of the tail exponent of |returns| from its largest share `tail` (Annals of Statistics 1975). Real minutes give about 3."""
    sizes = np.sort(np.abs(np.asarray(returns, float)))[::-1]
    k = max(2, int(tail * sizes.size))
    if k >= sizes.size or sizes[k] <= 0.0:
        return float("nan")
    return 1.0 / float(np.mean(np.log(sizes[:k] / sizes[k])))


def roll_spread(log_prices: np.ndarray) -> float:
    """Roll's effective spread as a share of the price: 2 sqrt(-cov(r_t, r_t-1)) (Journal of Finance 1984); 0 where that covariance is positive."""
    returns = np.diff(np.asarray(log_prices, float))
    covariance = float(np.cov(returns[1:], returns[:-1])[0, 1])
    return 2.0 * float(np.sqrt(-covariance)) if covariance < 0 else 0.0


@dataclass(frozen=True)
class StylisedFacts:
    """`acf_returns`, `acf_absolute`: lags 1 .. n, float64 (n,). `volatility`: standard deviation of one bar's log return."""

    volatility: float
    excess_kurtosis: float
    hill_index: float
    roll_spread_bps: float
    acf_returns: np.ndarray
    acf_absolute: np.ndarray

    @property
    def clustering(self) -> float:
        """Mean autocorrelation of absolute returns over the lags."""
        return float(np.mean(self.acf_absolute))


def facts_of_prices(prices: np.ndarray, n_lags: int = 30) -> StylisedFacts:
    """Facts of a series of positive prices, one a bar."""
    logs = np.log(np.asarray(prices, float))
    returns = np.diff(logs)
    return StylisedFacts(
        volatility=float(np.std(returns)),
        excess_kurtosis=excess_kurtosis(returns),
        hill_index=hill_index(returns),
        roll_spread_bps=1e4 * roll_spread(logs),
        acf_returns=autocorrelation(returns, n_lags),
        acf_absolute=autocorrelation(np.abs(returns), n_lags),
    )


def order_flow_autocorrelation(sides: np.ndarray, n_lags: int = 30) -> np.ndarray:
    """Autocorrelation of trade signs from codes.Side (0 buy, 1 sell), float64 (n_lags,)."""
    return autocorrelation(1 - 2 * np.asarray(sides), n_lags)


def distribution(values: np.ndarray) -> dict[str, float]:
    """Mean and quantiles of spreads or depths."""
    places = {"p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95}
    return {"mean": float(np.mean(values)), **{name: float(np.percentile(values, place)) for name, place in places.items()}}


def lagged_correlation(values: np.ndarray, others: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Correlation of values(t) with others(t + k) for each k of `lags`, of either sign; float64, the shape of `lags`."""
    n = len(values)
    return np.array([np.corrcoef(values[max(0, -k) : n - max(0, k)], others[max(0, k) : n - max(0, -k)])[0, 1] for k in lags.tolist()])


@dataclass(frozen=True)
class OrderFlow:
    """Taking orders: `times_s` and `signs` (1 buy, -1 sell), (n,); quantity at the best bid, once a second, (m,), may be empty."""

    times_s: np.ndarray
    signs: np.ndarray
    best_quantities: np.ndarray

    def fano(self, window_s: float) -> float:
        """Variance over mean of the number of orders in windows of this length: 1 for a Poisson process."""
        counts = np.bincount(((self.times_s - self.times_s[0]) / window_s).astype(int))[:-1]
        return float(counts.var() / counts.mean())


def order_flow(ts_ns: np.ndarray, sides: np.ndarray, best_quantities: np.ndarray) -> OrderFlow:
    """From trades, in time order: those of one time and side (codes.Side) are one taking order that met several."""
    first = np.ones(len(ts_ns), bool)
    first[1:] = (np.diff(ts_ns) != 0) | (np.diff(sides) != 0)
    return OrderFlow((ts_ns[first] - ts_ns[0]) / 1e9, 1 - 2 * np.asarray(sides)[first], np.asarray(best_quantities, float))
