"""All that is known about one pair, on one page: tests with their null hypotheses, and pictures of price, spread, memory and stability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from research.calibration import two_symbols
from research.cointegration import EngleGranger, engle_granger
from research.figures import BLUE, GREEN, GREY, INK, ORANGE, Figure, legend, thin, time_axis
from research.hedge import dols_hedge_ratio, kalman_hedge_ratios, ols_hedge_ratio, tls_hedge_ratio
from research.johansen import Johansen, johansen
from research.spread_tests import (
    SpreadTest,
    cusum,
    cusum_recursive,
    gregory_hansen,
    hurst_exponent,
    phillips_ouliaris,
    rolling_stability,
    variance_ratio,
    zero_crossings,
)


@dataclass(frozen=True)
class PairReport:
    """Tests and pictures of log(lead) on log(hedge). `hedge_ratios`: by method; `rolling`: of spread_tests.rolling_stability."""

    lead: str
    hedge: str
    engle_granger: EngleGranger
    phillips_ouliaris: SpreadTest
    johansen: Johansen
    gregory_hansen: SpreadTest
    cusum: SpreadTest
    cusum_recursive: SpreadTest
    variance_ratio: SpreadTest
    hurst: float
    crossings: int
    hedge_ratios: dict[str, float]
    rolling: pd.DataFrame
    figure: Figure

    def text(self) -> str:
        """Null hypotheses, sample, statistics."""
        ratios = ", ".join(f"{name} {value:.4f}" for name, value in self.hedge_ratios.items())
        first, last = self.rolling.index[0], self.rolling.index[-1]
        held, range_ = (self.rolling["pvalue"] < 0.05).mean(), self.rolling["hedge_ratio"].agg(["min", "max"])
        lines = [
            f"{self.lead} on {self.hedge}",
            self.engle_granger.report(),
            self.phillips_ouliaris.report(),
            self.gregory_hansen.report(),
            self.cusum.report(),
            self.cusum_recursive.report(),
            self.variance_ratio.report(),
            self.johansen.report(),
            f"Hurst exponent {self.hurst:.3f} (a random walk 0.5), {self.crossings} crossings of the mean",
            f"hedge ratio: {ratios}",
            f"rolling windows ending {first} to {last}: hedge ratio {range_['min']:.4f} to {range_['max']:.4f}, "
            f"cointegrated at 5 % in {held:.0%} of {len(self.rolling)}",
        ]
        return "\n".join(lines)

    def _repr_png_(self) -> bytes:
        return self.figure._repr_png_()


def report(prices: pd.DataFrame, lead: str, hedge: str, windows: int = 12) -> PairReport:
    """Test and draw one pair of a panel of prices (one column a symbol). `windows`: how many rolling windows, each a third of the sample.

    Uses the whole sample given: hand in the train span only.
    """
    two_symbols(prices, lead, hedge)
    both = prices[[lead, hedge]]
    logs = np.log(both)
    found = engle_granger(logs[lead], logs[hedge])
    n = len(both)
    window = max(n // 3, 50)
    rolling = rolling_stability(both, lead, hedge, window, max((n - window) // max(windows - 1, 1), 1))
    ratios = {
        "least squares": ols_hedge_ratio(both[lead], both[hedge]),
        "total least squares": tls_hedge_ratio(both[lead], both[hedge]),
        "dynamic least squares": dols_hedge_ratio(both[lead], both[hedge]),
        "Kalman, last bar": float(kalman_hedge_ratios(both[lead], both[hedge])[-1, 0]),
    }
    return PairReport(
        lead=lead,
        hedge=hedge,
        engle_granger=found,
        phillips_ouliaris=phillips_ouliaris(logs[lead], logs[hedge]),
        johansen=johansen(logs),
        gregory_hansen=gregory_hansen(*_thinned(logs, 400)),
        cusum=cusum(found.residual, max(found.lag, 1)),
        cusum_recursive=cusum_recursive(found.residual, max(found.lag, 1)),
        variance_ratio=variance_ratio(found.residual, 16),
        hurst=hurst_exponent(found.residual),
        crossings=zero_crossings(found.residual),
        hedge_ratios=ratios,
        rolling=rolling,
        figure=_draw(both, found, rolling),
    )


def autocorrelation(values: np.ndarray, lags: int) -> np.ndarray:
    """Autocorrelation at lags 0 .. `lags`, float64 (lags + 1,)."""
    centred = values - values.mean()
    return np.array([centred[k:] @ centred[: centred.size - k] for k in range(lags + 1)]) / (centred @ centred)


def _thinned(logs: pd.DataFrame, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """At most some `rows` rows, evenly spaced: a break of the level is seen as well, and every break date is a regression."""
    part = logs.iloc[:: max(len(logs) // rows, 1)].to_numpy()
    return part[:, 0], part[:, 1]


def _draw(prices: pd.DataFrame, found: EngleGranger, rolling: pd.DataFrame) -> Figure:
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
    spread.set_ylabel("log price", fontsize=8)
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
    figure.suptitle(f"{lead} on {hedge}: {len(prices):,} bars, p-value of no cointegration {found.pvalue:.2g}", fontsize=11, color=INK)
    return figure
