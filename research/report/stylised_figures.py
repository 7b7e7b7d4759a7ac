"""Stylised facts as figures: several markets over each other, with confidence bands, on the scales on which the facts are known.

Reference values: tail index 2 to 5, autocorrelation of absolute returns about lag^-0.2 to lag^-0.4, none of returns, kurtosis that falls with the
horizon, volume that goes with volatility, leverage effect (Cont, Quantitative Finance 1, 2001); signs of orders about lag^-0.5 (Lillo, Farmer,
Studies in Nonlinear Dynamics & Econometrics 8, 2004; Bouchaud, Gefen, Potters, Wyart, Quantitative Finance 4, 2004).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.stats import norm

from research.market.stylised_facts import OrderFlow, autocorrelation, excess_kurtosis, hill_index, lagged_correlation
from research.report.figures import BLUE, GREEN, GREY, INK, ORANGE, RED, Figure

COLORS = (INK, ORANGE, BLUE, GREEN, RED)
HORIZONS = (1, 2, 5, 10, 30, 60, 120, 240)  # bars
TAIL = 0.05


def _panels(rows: int, columns: int, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(10.0, height), dpi=110, layout="constrained")
    return figure, figure.subplots(rows, columns).ravel()


def _finish(figure: Figure, panels: Any, labels: list[str]) -> Figure:
    """One look for all panels, and one legend of the markets below them."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8)
        axes.xaxis.label.set_size(8.5)
        axes.yaxis.label.set_size(8.5)
        axes.title.set_size(9.5)
    lines = [Line2D([], [], color=color, lw=2) for color, _ in zip(COLORS, labels, strict=False)]
    columns = len(labels) if sum(len(label) for label in labels) < 90 else 2
    figure.legend(lines, labels, loc="outside lower center", ncols=columns, fontsize=8.5, frameon=False)
    return figure


def _noise(axes: Axes, n: int) -> None:
    """The 95 % band of an autocorrelation of n independent values."""
    edge = 1.96 / np.sqrt(n)
    axes.axhspan(-edge, edge, color=GREY, alpha=0.25, lw=0, label="95 % band of noise")


def _guide(axes: Axes, x: np.ndarray, anchor: float, exponent: float) -> None:
    axes.plot(x, anchor * (x / x[0]) ** exponent, color=GREY, ls="--", lw=1.0, label=f"slope {exponent:g}")


def _tail(axes: Axes, returns: Mapping[str, np.ndarray]) -> None:
    for (_, values), color in zip(returns.items(), COLORS, strict=False):
        sizes = np.sort(np.abs(values - values.mean()) / values.std())[::-1]
        k = max(2, int(TAIL * sizes.size))
        index = hill_index(values - values.mean(), TAIL)
        ranks = np.unique(np.geomspace(1, sizes.size, 400).astype(int)) - 1
        axes.plot(sizes[ranks], (ranks + 1) / sizes.size, color=color, lw=1.2)
        row = f"{index:.1f} ± {1.96 * index / np.sqrt(k):.1f}"
        axes.text(0.98, 0.98 - 0.08 * len(axes.texts), row, color=color, fontsize=8, ha="right", va="top", transform=axes.transAxes)
    grid = np.linspace(0.5, 5.0, 100)
    axes.plot(grid, 2 * norm.sf(grid), color=GREY, ls=":", lw=1.2, label="normal")
    n = max(v.size for v in returns.values())
    axes.set(xscale="log", yscale="log", xlim=(0.5, 40), ylim=(0.5 / n, 1.2))
    axes.set(xlabel="|return|, standard deviations", ylabel="share that is larger", title="fat tails; Hill index ± 1.96 s.e., largest 5 %")
    axes.legend(fontsize=7.5, frameon=False, loc="lower left")


def _clustering(axes: Axes, returns: Mapping[str, np.ndarray], lags: int) -> None:
    x = np.unique(np.geomspace(1, lags, 40).astype(int))
    for (_, values), color in zip(returns.items(), COLORS, strict=False):
        found = autocorrelation(np.abs(values - values.mean()), lags)[x - 1]
        axes.plot(x, np.where(found > 0, found, np.nan), color=color, lw=1.2, marker=".", ms=3)
    _guide(axes, np.array([1.0, float(lags)]), 0.4, -0.3)
    edge = 1.96 / np.sqrt(min(v.size for v in returns.values()))
    axes.axhspan(1e-4, edge, color=GREY, alpha=0.25, lw=0, label="95 % band of noise")
    axes.set(xscale="log", yscale="log", ylim=(2e-3, 1), xlabel="lag, bars", ylabel="autocorrelation of |return|", title="volatility clustering")
    axes.legend(fontsize=7.5, frameon=False, loc="lower left")


def _returns(axes: Axes, returns: Mapping[str, np.ndarray], lags: int = 15) -> None:
    _noise(axes, min(v.size for v in returns.values()))
    for (_, values), color in zip(returns.items(), COLORS, strict=False):
        axes.plot(range(1, lags + 1), autocorrelation(values, lags), color=color, lw=0.8, marker=".", ms=5)
    axes.set(xlabel="lag, bars", ylabel="autocorrelation of returns", title="direction: no memory", ylim=(-0.1, 0.1))
    axes.legend(fontsize=7.5, frameon=False, loc="lower right")


def _aggregation(axes: Axes, logs: Mapping[str, np.ndarray]) -> None:
    x = np.array(HORIZONS)
    for (_, values), color in zip(logs.items(), COLORS, strict=False):
        axes.plot(x, [excess_kurtosis(np.diff(values[::step])) for step in HORIZONS], color=color, lw=1.2, marker=".", ms=5)
    edge = 1.96 * np.sqrt(24.0 / (min(v.size for v in logs.values()) / x))
    axes.fill_between(x, -edge, edge, color=GREY, alpha=0.25, lw=0, label="95 % band of a normal")
    axes.set(xscale="log", xlabel="horizon, bars", ylabel="excess kurtosis", title="aggregational Gaussianity")
    axes.set_yscale("symlog", linthresh=1.0)
    axes.legend(fontsize=7.5, frameon=False, loc="lower left")


def _leverage(axes: Axes, returns: Mapping[str, np.ndarray], reach: int = 30) -> None:
    lags = np.arange(-reach, reach + 1)
    _noise(axes, min(v.size for v in returns.values()))
    for (_, values), color in zip(returns.items(), COLORS, strict=False):
        axes.plot(lags, lagged_correlation(values, np.abs(values - values.mean()), lags), color=color, lw=0.9)
    axes.axvline(0, color=GREY, lw=0.6)
    axes.set(xlabel="lag k, bars", ylabel="corr(r(t), |r(t + k)|)", title="leverage effect: below 0 at k > 0", ylim=(-0.15, 0.15))


def _volume(axes: Axes, bars: Mapping[str, pd.DataFrame], reach: int = 30) -> None:
    lags = np.arange(-reach, reach + 1)
    _noise(axes, min(len(frame) for frame in bars.values()))
    for (_, frame), color in zip(bars.items(), COLORS, strict=False):
        sizes, volumes = np.abs(np.diff(np.log(frame["close"].to_numpy(float)))), np.log1p(frame["volume"].to_numpy(float)[1:])
        axes.plot(lags, lagged_correlation(sizes, volumes, lags), color=color, lw=0.9)
    axes.axvline(0, color=GREY, lw=0.6)
    axes.set(xlabel="lag k, bars", ylabel="corr(|r(t)|, log volume(t + k))", title="volume goes with volatility")


def price_facts(bars: Mapping[str, pd.DataFrame], lags: int = 480) -> Figure:
    """Six facts of prices. `bars`: by name, the real market first: columns `close` and `volume`, one row a bar, all of the same length of bar."""
    logs = {name: np.log(frame["close"].to_numpy(float)) for name, frame in bars.items()}
    returns = {name: np.diff(values) for name, values in logs.items()}
    figure, panels = _panels(2, 3, 6.2)
    _tail(panels[0], returns)
    _clustering(panels[1], returns, lags)
    _returns(panels[2], returns)
    _aggregation(panels[3], logs)
    _leverage(panels[4], returns)
    _volume(panels[5], bars)
    return _finish(figure, panels, [f"{name} ({len(frame):,} bars)" for name, frame in bars.items()])


def _signs(axes: Axes, flows: Mapping[str, OrderFlow], lags: int) -> None:
    x = np.unique(np.geomspace(1, lags, 30).astype(int))
    for (_, flow), color in zip(flows.items(), COLORS, strict=False):
        found = autocorrelation(flow.signs, lags)[x - 1]
        axes.plot(x, np.where(found > 0, found, np.nan), color=color, lw=1.2, marker=".", ms=4)
    _guide(axes, np.array([1.0, float(lags)]), 0.5, -0.5)
    edge = 1.96 / np.sqrt(min(flow.signs.size for flow in flows.values()))
    axes.axhspan(1e-4, edge, color=GREY, alpha=0.25, lw=0, label="95 % band of noise")
    axes.set(xscale="log", yscale="log", ylim=(5e-3, 1), xlabel="lag, taking orders", ylabel="autocorrelation of signs", title="memory of order flow")
    axes.legend(fontsize=7.5, frameon=False, loc="lower left")


def _counts(axes: Axes, flows: Mapping[str, OrderFlow]) -> None:
    for (_, flow), color in zip(flows.items(), COLORS, strict=False):
        gap = float(np.diff(flow.times_s).mean())
        windows = np.geomspace(1, min(1000.0, flow.times_s.size / 30), 12)  # in mean waiting times
        axes.plot(windows, [flow.fano(gap * window) for window in windows], color=color, lw=1.2, marker=".", ms=4)
    axes.axhline(1.0, color=GREY, ls=":", lw=1.2, label="Poisson")
    axes.set(xscale="log", yscale="log", xlabel="window, mean waiting times", ylabel="variance / mean of the number", title="bursts of taking orders")
    axes.legend(fontsize=7.5, frameon=False, loc="upper left")


def _quantities(axes: Axes, flows: Mapping[str, OrderFlow]) -> None:
    for (_, flow), color in zip(flows.items(), COLORS, strict=False):
        if flow.best_quantities.size:
            sizes = np.sort(flow.best_quantities / flow.best_quantities.mean())[::-1]
            ranks = np.unique(np.geomspace(1, sizes.size, 300).astype(int)) - 1
            axes.plot(sizes[ranks], (ranks + 1) / sizes.size, color=color, lw=1.2)
    grid = np.geomspace(0.05, 12, 100)
    axes.plot(grid, np.exp(-grid), color=GREY, ls=":", lw=1.2, label="exponential")
    axes.set(xscale="log", yscale="log", xlim=(0.05, 20), ylim=(1e-4, 1.2))
    axes.set(xlabel="quantity at the best bid, its mean = 1", ylabel="share of the seconds above", title="quantity at the touch, once a second")
    axes.legend(fontsize=7.5, frameon=False, loc="lower left")


def flow_facts(flows: Mapping[str, OrderFlow], lags: int = 300) -> Figure:
    """Memory of signs, bursts, and depth at the touch. `flows`: by name, the real market first."""
    figure, panels = _panels(1, 3, 3.4)
    _signs(panels[0], flows, lags)
    _counts(panels[1], flows)
    _quantities(panels[2], flows)
    return _finish(figure, panels, [f"{name} ({flow.signs.size:,} orders)" for name, flow in flows.items()])
