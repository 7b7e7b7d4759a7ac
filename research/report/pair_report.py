"""All that is known about one pair, on one page: tests with their null hypotheses, and pictures of price, spread, memory and stability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.pairs.calibration import two_symbols
from research.report.figures import BLUE, GREEN, GREY, INK, ORANGE, Figure, legend, thin, time_axis
from research.stats.cointegration import EngleGranger, engle_granger
from research.stats.johansen import Johansen, johansen
from research.stats.phillips_ouliaris import phillips_ouliaris
from research.stats.spread.half_life import half_life
from research.stats.spread.hedge import dols_hedge_ratio, kalman_hedge_ratios, ols_hedge_ratio, tls_hedge_ratio
from research.stats.spread.kalman import START
from research.stats.spread_tests import (
    cusum,
    cusum_recursive,
    drift_test,
    gregory_hansen,
    hurst_exponent,
    rolling_stability,
    variance_ratio,
    zero_crossings,
)
from research.stats.test_result import TestResult

_BREAK_DATES = 200  # of Gregory and Hansen, in a long sample


@dataclass(frozen=True)
class PairReport:
    """Tests and pictures of log(lead) on log(hedge), or with `log` False of the prices as they are.

    `half_lives`: of the Engle-Granger residual, by definition (stats/spread/half_life.py); `hurst`: with the drift kept; `hurst_no_drift`: about the
    mean change; `drift`: whether there is one; `hedge_ratios`: by method; `rolling`: of spread_tests.rolling_stability.
    """

    lead: str
    hedge: str
    engle_granger: EngleGranger
    phillips_ouliaris: TestResult
    johansen: Johansen
    gregory_hansen: TestResult
    cusum: TestResult
    cusum_recursive: TestResult
    variance_ratio: TestResult
    half_lives: dict[str, float]
    hurst: float
    hurst_no_drift: float
    drift: TestResult
    crossings: int
    hedge_ratios: dict[str, float]
    rolling: pd.DataFrame
    log: bool
    figure: Figure

    def text(self) -> str:
        """Null hypotheses, sample, statistics."""
        ratios = ", ".join(f"{name} {value:.4f}" for name, value in self.hedge_ratios.items())
        first, last = self.rolling.index[0], self.rolling.index[-1]
        held, range_ = (self.rolling["pvalue"] < 0.05).mean(), self.rolling["hedge_ratio"].agg(["min", "max"])
        lines = [
            f"{self.lead} on {self.hedge}, {'logs' if self.log else 'levels'}",
            self.engle_granger.report(),
            self.phillips_ouliaris.report(),
            self.gregory_hansen.report(),
            self.cusum.report(),
            self.cusum_recursive.report(),
            self.variance_ratio.report(),
            self.johansen.report(),
            "half-life of the spread: "
            f"{self.half_lives['discrete']:.2f} bars by -ln 2 / ln(1 + b), {self.half_lives['continuous']:.2f} bars by -ln 2 / b",
            self._memory(),
            f"hedge ratio: {ratios}",
            f"rolling windows ending {first} to {last}: hedge ratio {range_['min']:.4f} to {range_['max']:.4f}, "
            f"cointegrated at 5 % in {held:.0%} of {len(self.rolling)} ({' and '.join(sorted(set(self.rolling['p_values'])))} p-values)",
        ]
        return "\n".join(lines)

    def _memory(self) -> str:
        """The Hurst exponent, and what a drift makes of it."""
        drifts = self.drift.pvalue < 0.05
        about = f"{self.hurst_no_drift:.3f} about it" + (", which forgets a trend" if drifts else "")
        found = f"{'a' if drifts else 'no'} drift (p-value {self.drift.pvalue:.3g})"
        return f"Hurst exponent {self.hurst:.3f} (a random walk 0.5), drift kept; {about}; {found}; {self.crossings} crossings of the mean"

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_png_(self) -> bytes:
        return self.figure._repr_png_()


def report(prices: pd.DataFrame, lead: str, hedge: str, windows: int = 12, log: bool = True) -> PairReport:
    """Test and draw one pair of a panel of prices.

    Parameters
    ----------
    prices : DataFrame
        One column a symbol, in time order. The whole sample is used: hand in the train span only.
    lead, hedge : str
        Two of its columns.
    windows : int
        How many rolling windows, each a third of the sample.
    log : bool
        Logs of prices, or prices as they are.

    Notes
    -----
    Of a sample of more than 400 rows Gregory and Hansen's test tries 200 break dates, then every row near the best one; the report says so. Every
    regression uses all rows, and rows and times are those of `prices`.
    """
    two_symbols(prices, lead, hedge)
    both = prices[[lead, hedge]]
    values = np.log(both) if log else both
    found = engle_granger(values[lead], values[hedge])
    residual = pd.Series(found.residual, both.index)
    n = len(both)
    window = max(n // 3, 50)
    rolling = rolling_stability(both, lead, hedge, window, max((n - window) // max(windows - 1, 1), 1), log)
    ratios = {
        "least squares": ols_hedge_ratio(both[lead], both[hedge], log),
        "total least squares": tls_hedge_ratio(both[lead], both[hedge], log),
        "dynamic least squares": dols_hedge_ratio(both[lead], both[hedge], log=log),
        "Kalman, last bar": float(kalman_hedge_ratios(both[lead], both[hedge], start=max(min(START, n // 4), 30), log=log)[-1, 0]),
    }
    return PairReport(
        lead=lead,
        hedge=hedge,
        engle_granger=found,
        phillips_ouliaris=phillips_ouliaris(values[lead], values[hedge]),
        johansen=johansen(values),
        gregory_hansen=gregory_hansen(values[lead], values[hedge], breaks=_BREAK_DATES if n > 2 * _BREAK_DATES else None),
        cusum=cusum(residual, max(found.lag, 1)),
        cusum_recursive=cusum_recursive(residual, max(found.lag, 1)),
        variance_ratio=variance_ratio(residual, 16),
        half_lives={"discrete": half_life(residual), "continuous": half_life(residual, "continuous")},
        hurst=hurst_exponent(residual),
        hurst_no_drift=hurst_exponent(residual, drift="remove"),
        drift=drift_test(residual),
        crossings=zero_crossings(residual),
        hedge_ratios=ratios,
        rolling=rolling,
        log=log,
        figure=_draw(both, found, rolling, log),
    )


def autocorrelation(values: np.ndarray, lags: int) -> np.ndarray:
    """Autocorrelation at lags 0 .. `lags`, float64 (lags + 1,)."""
    centred = values - values.mean()
    return np.array([centred[k:] @ centred[: centred.size - k] for k in range(lags + 1)]) / (centred @ centred)


def _draw(prices: pd.DataFrame, found: EngleGranger, rolling: pd.DataFrame, log: bool) -> Figure:
    lead, hedge = prices.columns
    figure = Figure(figsize=(9.6, 6.4), dpi=110, layout="constrained")
    (price, acf), (spread, ratio) = figure.subplots(2, 2, width_ratios=(3, 2))
    for series, color in ((prices[lead], BLUE), (prices[hedge], ORANGE)):
        shown = thin(series)
        price.plot(shown.index, 100 * shown / series.iloc[0], color=color, lw=1.0, label=series.name)
    price.set_title("prices")
    price.set_ylabel("first bar = 100", fontsize=8)
    residual = thin(pd.Series(found.residual, prices.index))
    spread.plot(residual.index, residual, color=INK, lw=0.7)
    deviation = float(np.std(found.residual))
    for k, style in ((1, "--"), (2, ":")):
        for sign in (-1, 1):
            spread.axhline(sign * k * deviation, color=GREY, lw=0.8, ls=style)
    spread.set_title(f"spread; lines at 1 and 2 std, half-life {found.half_life:.1f} bars")
    spread.set_ylabel("log price" if log else "price", fontsize=8)
    lags = int(min(len(prices) // 4, max(20, 6 * found.half_life if np.isfinite(found.half_life) else 100)))
    acf.plot(np.arange(lags + 1), autocorrelation(found.residual, lags), color=BLUE, lw=1.2, label="spread")
    if np.isfinite(found.half_life):
        acf.plot(
            np.arange(lags + 1), 0.5 ** (np.arange(lags + 1) / max(found.half_life, 1e-9)), color=GREEN, lw=1.0, ls="--", label="of this half-life"
        )
    acf.axhline(0, color=INK, lw=0.6)
    acf.axhspan(-1.96 / np.sqrt(len(prices)), 1.96 / np.sqrt(len(prices)), color=GREY, alpha=0.25, lw=0, label="95 % of noise")
    acf.set_title("autocorrelation of the spread")
    acf.set_xlabel("lag (bars)")
    ratio.plot(rolling.index, rolling["hedge_ratio"], color=ORANGE, marker="o", ms=3.5, lw=1.0, label="window")
    ratio.axhline(float(found.hedge_ratio), color=INK, lw=0.8, ls="--", label="whole sample")
    ratio.set_title(f"hedge ratio, {len(rolling)} rolling windows")
    for axes in (price, acf, spread, ratio):
        axes.title.set_fontsize(10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8)
        axes.grid(axis="y", color="#e3e8eb", lw=0.6)
    for axes, columns in ((price, 2), (acf, 3), (ratio, 2)):
        legend(axes, columns)
    for axes in (price, spread, ratio):
        time_axis(axes)
        axes.set_xlabel("")
    p = f"{found.pvalue_source} p-value of no cointegration {found.pvalue_deciding:.2g}"
    figure.suptitle(f"{lead} on {hedge}: {len(prices):,} bars, {p}", fontsize=11, color=INK)
    return figure
