"""Regression whose coefficients drift, bar by bar: what a Kalman filter says of the hedge ratio, and nothing that it could not know.

Two filters with one result. `kalman_hedge` is the one to use: it depends neither on the unit of a price nor on its level.
`kalman_regression` is the textbook's, with variances in the units of the data, to repeat published figures.

Residuals are forecasts: each bar against the coefficients of the bar before. A filtered residual (against the coefficients that
have just been moved towards this bar) is smaller the faster the filter follows, whatever the data, and says nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hftkit.errors import DataError
from research.stats.spread.pair_values import checked_pair

START, MEMORY, LEVEL_MEMORY, NOISE_MEMORY = 250, 250, 1000, 5000


@dataclass(frozen=True)
class KalmanPath:
    """What the filter knew after each bar. Each float64 (n,), NaN before its start.

    Attributes
    ----------
    slope, intercept : ndarray
        lead = intercept + slope * hedge + spread, in logs or in levels, after the bar.
    forecast_error : ndarray
        The spread of the bar by the coefficients of the bar before.
    forecast_deviation : ndarray
        Standard deviation of that spread, known before the bar.
    index : Index
        Of the series.
    description : str
        Model and settings.
    """

    slope: np.ndarray
    intercept: np.ndarray
    forecast_error: np.ndarray
    forecast_deviation: np.ndarray
    index: pd.Index
    description: str

    @property
    def zscore(self) -> np.ndarray:
        """Forecast spread in units of its deviation, float64 (n,)."""
        return np.asarray(self.forecast_error / self.forecast_deviation)

    @property
    def frame(self) -> pd.DataFrame:
        """Everything as a table, one row a bar."""
        columns = {name: getattr(self, name) for name in ("slope", "intercept", "forecast_error", "forecast_deviation", "zscore")}
        return pd.DataFrame(columns, self.index)

    def report(self) -> str:
        """Settings, range of the slope, size of the spread, as text."""
        known = np.flatnonzero(np.isfinite(self.slope))
        if not known.size:
            return f"{self.description}\n  no bar yet: {self.slope.size} rows"
        slope, spread = self.slope[known], self.forecast_error[known]
        spread = spread[np.isfinite(spread)]
        lines = [
            self.description,
            f"  bars               {known.size} of {self.slope.size}, the first {self.index[known[0]]}",
            f"  slope              {slope[-1]:.6f} at the end, {slope.min():.6f} to {slope.max():.6f}",
            f"  intercept          {self.intercept[known[-1]]:.6f} at the end",
            f"  forecast spread    standard deviation {spread.std():.6g}" if spread.size else "  forecast spread    none yet",
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.report()


def kalman_regression(y: ArrayLike, x: ArrayLike, drift: float = 1e-4, noise: float = 1e-3) -> KalmanPath:
    """The textbook's filter: y = slope * x + intercept + noise, both coefficients random walks from zero.

    Parameters
    ----------
    y, x : array_like (n,)
        As they are: levels or logs are the caller's choice.
    drift : float
        0 <= drift < 1. Each coefficient moves by the variance drift / (1 - drift) a bar.
    noise : float
        Variance of the noise, in the squared unit of y.

    Notes
    -----
    E. Chan, Algorithmic Trading (2013), example 3.3 and equations 3.5 to 3.13. `forecast_error` and `forecast_deviation` are his e and sqrt(Q).
    Both variances have units: another currency, or logs, make another filter of the same settings. `kalman_hedge` has not that fault.
    """
    left, right, index = checked_pair(y, x, log=False, moving=False)
    if not 0.0 <= drift < 1.0 or not noise > 0.0:
        raise DataError(f"a drift of {drift} with a noise of {noise} makes no filter", "Use 0 <= drift < 1 and a positive noise")
    n = left.size
    weights, covariance, walk = np.zeros(2), np.zeros((2, 2)), np.eye(2) * drift / (1.0 - drift)
    path, errors, deviations = np.empty((n, 2)), np.empty(n), np.empty(n)
    for t in range(n):
        row = np.array([right[t], 1.0])
        if t:
            covariance = covariance + walk
        gain = covariance @ row
        scale = row @ gain + noise
        errors[t], deviations[t] = left[t] - row @ weights, np.sqrt(scale)
        weights = weights + gain * (errors[t] / scale)
        covariance = covariance - np.outer(gain, gain) / scale
        path[t] = weights
    return KalmanPath(
        path[:, 0], path[:, 1], errors, deviations, index, f"Kalman regression, drift {drift:g}, noise {noise:g} (in units of the data)"
    )


def kalman_hedge(
    lead: ArrayLike,
    hedge: ArrayLike,
    memory: float = MEMORY,
    level_memory: float = LEVEL_MEMORY,
    start: int = START,
    half_life: float | None = None,
    log: bool = True,
    bounce: bool = True,
) -> KalmanPath:
    """Hedge ratio bar by bar, with a spread that reverts: independent of the unit of either price.

    Parameters
    ----------
    lead, hedge : array_like (n,)
        Prices, positive where `log`.
    memory, level_memory : float
        Bars over which slope and level are remembered: the weight of a bar falls by e in that many. Infinite: they do not drift.
    start : int
        Rows for a first estimate, at least 30. All before this row is NaN, whatever comes later.
    half_life : float, optional
        Of the spread, in bars. Default: learnt from the first `start` rows.
    log : bool
        Logs of prices, or prices as they are.
    bounce : bool
        Take out what a bid-ask bounce of the hedge, and prices that come late, do to the slope.

    Returns
    -------
    KalmanPath
        `forecast_deviation` is that of the spread itself about its forecast level, so that `zscore` says how far it has strayed.

    Notes
    -----
    The spread is autoregressive, s[t] = f s[t-1] + w[t], so the filter takes quasi-differences (D. Cochrane and G. Orcutt 1949, J. Amer. Statist.
    Assoc. 44, 32-61). With m the level of the lead at the hedge's last price,

        y[t] - f y[t-1] = (1 - f) m + slope (x[t] - x[t-1]) + w[t].

    The regressor is centred at the last price: a change of the slope moves no level, and no constant added to x or y changes anything. m and
    slope are random walks with variances 1 / ((1 - f) level_memory)^2 and 1 / (memory^2 v) in units of the variance of w, v the mean square of
    the hedge's changes. Gains then do not depend on the variance of w, which is learnt from the forecast errors
    (M. West and J. Harrison, Bayesian Forecasting and Dynamic Models, 1997, 4.5).

    Noise in the hedge's price pulls any slope that is learnt from single bars towards zero, whatever the sample. It shows in the covariance of
    neighbouring changes, and so can be taken out of the normal equations: their square of changes loses, their product gains, what
    M. Scholes and J. Williams (1977), J. Financial Economics 5, 309-327, add to a beta. Both covariances are means over the last
    NOISE_MEMORY bars.
    """
    y, x, index = checked_pair(lead, hedge, log=log, moving=False)
    if start < 30 or not memory > 1.0 or not level_memory > 1.0 or (half_life is not None and not half_life > 0.0):
        raise DataError(
            f"memories of {memory} and {level_memory} bars with a start of {start} and a half-life of {half_life} make no filter",
            "Use memories above one bar, at least 30 rows, and a positive half-life",
        )
    n = y.size
    out = np.full((4, n), np.nan)
    described = f"Kalman hedge ratio of {'logs' if log else 'levels'}, memory {memory:g} and {level_memory:g} bars, from row {start}"
    if n <= start:
        return KalmanPath(out[0], out[1], out[2], out[3], index, described)
    factor, (level, slope), covariance, moved, variance = _first_estimate(y[:start], x[:start], half_life)
    described += f", half-life {np.log(0.5) / np.log(factor) if factor > 0.0 else 0.0:.1f} bars"
    back, forget = 1.0 - factor, 1.0 / memory
    own, cross = _covariances_of_neighbours(y[:start], x[:start])
    both = 1.0 + factor**2
    if bounce:
        information = np.linalg.inv(covariance)
        product = information @ (level, slope)
        free = information[1, 1] - information[0, 1] ** 2 / information[0, 0]
        information[1, 1] -= min(-both * own * (start - 1), 0.8 * free)
        product[1] += 0.5 * both * cross * (start - 1)
        covariance = np.linalg.inv(information)
        level, slope = (covariance @ product).tolist()
    level_walk, stationary = 1.0 / (back * level_memory) ** 2, 1.0 / (1.0 - factor**2)
    p, q, r = float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])  # of level and slope, over the variance of w
    lead_values, hedge_values = y.tolist(), x.tolist()
    for t in range(start, n):
        step = hedge_values[t] - hedge_values[t - 1]
        p, r = p + level_walk, r + forget**2 / moved
        out[2, t] = lead_values[t] - level - slope * step
        out[3, t] = math.sqrt(variance * (stationary + p + 2.0 * step * q + step * step * r))
        gain_level, gain_slope = p * back + q * step, q * back + r * step
        scale = back * gain_level + step * gain_slope + 1.0
        error = lead_values[t] - factor * lead_values[t - 1] - back * level - step * slope
        level, slope = level + gain_level * error / scale, slope + gain_slope * error / scale
        p, q, r = p - gain_level**2 / scale, q - gain_level * gain_slope / scale, r - gain_slope**2 / scale
        if bounce:
            excess = min(-both * own, 0.8 * moved, 0.5 / r)  # what noise adds to the moves of the hedge, at most four fifths
            pull = (excess * slope + 0.5 * both * cross) / (1.0 - excess * r)
            level, slope = level + q * pull, slope + r * pull
            wider = excess / (1.0 - excess * r)
            p, q, r = p + wider * q * q, q + wider * q * r, r + wider * r * r
        level += slope * step  # from here on at the new price
        p, q = p + 2.0 * step * q + step * step * r, q + step * r
        weight, slow = max(forget, 1.0 / (t + 1.0)), max(1.0 / NOISE_MEMORY, 1.0 / (t + 1.0))
        lead_step, before, lead_before = (
            lead_values[t] - lead_values[t - 1],
            hedge_values[t - 1] - hedge_values[t - 2],
            lead_values[t - 1] - lead_values[t - 2],
        )
        own += slow * (step * before - own)
        cross += slow * (lead_step * before + step * lead_before - cross)
        variance += weight * (error * error / scale - variance)
        moved += weight * (step * step - moved)
        out[0, t], out[1, t] = slope, level - slope * hedge_values[t]
    return KalmanPath(out[0], out[1], out[2], out[3], index, described)


def _covariances_of_neighbours(y: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """Covariance of a change of x with the one before, and that of changes of y and x a bar apart, both ways together."""
    dy, dx = np.diff(y), np.diff(x)
    return float(np.mean(dx[1:] * dx[:-1])), float(np.mean(dy[1:] * dx[:-1] + dx[1:] * dy[:-1]))


def _first_estimate(y: np.ndarray, x: np.ndarray, half_life: float | None) -> tuple[float, tuple[float, float], np.ndarray, float, float]:
    """Factor of the spread, (level, slope) at the last price, their covariance over the variance of w, mean square of the steps of x, variance of w.

    Two rounds of Cochrane and Orcutt; the factor freed of the bias of a short sample (M. G. Kendall 1954, Biometrika 41, 403-404).
    """
    rows = y.size
    for name, values in (("lead", y), ("hedge", x)):
        if np.ptp(values) <= 4 * np.spacing(np.abs(values).max()):
            raise DataError(f"{name} is constant over the first {rows} rows", "A constant has no hedge ratio: begin later")
    steps = np.diff(x)
    centred = x - x[-1]
    slope, level = np.polyfit(centred, y, 1)
    factor = 0.0
    for _ in range(2):
        spread = y - level - slope * centred
        before = spread[:-1] - spread[:-1].mean()
        total = before @ before
        factor = float(before @ (spread[1:] - spread[1:].mean()) / total) if total > 0.0 else 0.0
        factor = min(max(factor + (1.0 + 3.0 * factor) / rows, 0.0), 1.0 - 2.0 / rows)
        if half_life is not None:
            factor = 0.5 ** (1.0 / half_life)
        design = np.column_stack([np.full(rows - 1, 1.0 - factor), centred[1:] - factor * centred[:-1]])
        target = y[1:] - factor * y[:-1]
        level, slope = np.linalg.lstsq(design, target, rcond=None)[0]
    error = target - design @ (level, slope)
    variance = float(error @ error) / (rows - 3)
    if not variance > (64.0 * np.spacing(max(np.abs(y).max(), 1.0))) ** 2:  # logs of prices near one are that exact, no more
        raise DataError(f"the lead follows the hedge exactly over the first {rows} rows", "Such a pair has no spread to trade")
    return factor, (float(level), float(slope)), np.linalg.inv(design.T @ design), float(steps @ steps) / (rows - 1), variance
