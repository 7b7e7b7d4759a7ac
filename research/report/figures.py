"""Figures of the research half: matplotlib Figure objects without pyplot state, one style, units on every axis.

Each function returns a Figure; save it with `figure.savefig(path)` or let a notebook show it.
"""

from __future__ import annotations

import io
from typing import Any

import matplotlib.dates as dates
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure as _Figure
from matplotlib.ticker import PercentFormatter

from research.pairs.calibration import Calibration
from research.pairs.capacity import Capacity
from research.pairs.reversion_model import ReversionModel
from research.pairs.strategy_optimizer import Run, Sweep

INK, BLUE, ORANGE, GREEN, RED, GREY = "#22313f", "#2f6690", "#d1720f", "#2a9d6f", "#c0392b", "#9aa5ad"
_DPI = 90  # of what a notebook shows: committed notebooks stay small
_BAND_COLORS = {"train": "#eef3f7", "validation": "#fdf3e3", "test": "#eaf6ef"}


class Figure(_Figure):
    """A matplotlib figure that a notebook shows as a picture, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_DPI)
        return buffer.getvalue()


def price_pair(lead: pd.Series, hedge: pd.Series) -> Figure:
    """Both prices, rebased to 100 at the first bar, on one axis."""
    figure, (axes,) = stacked(1, 3.0)
    for series, color in ((lead, BLUE), (hedge, ORANGE)):
        shown = thin(series)
        axes.plot(shown.index, 100 * shown / series.iloc[0], color=color, lw=1.0, label=series.name)
    axes.set_ylabel("price, first bar = 100")
    axes.set_title(f"Prices of {lead.name} and {hedge.name}, {len(lead):,} bars")
    legend(axes, 2)
    time_axis(axes)
    return figure


def spread_with_trades(run: Run, title: str = "") -> Figure:
    """z-score of the spread with the entry, exit and stop levels, entries and exits marked; the position below."""
    frame, limits = run.frame, run.thresholds
    figure, (axes, below) = stacked(2, 4.4, ratios=(4, 1))
    axes.plot(frame.index, frame["z"], color=INK, lw=0.7)
    for level, color, style, name in (
        (limits.entry_z, BLUE, "--", "entry"),
        (limits.stop_z, RED, ":", "stop"),
        (limits.exit_z, GREEN, "--", "exit"),
    ):
        for sign in (1, -1):
            axes.axhline(sign * level, color=color, lw=0.9, ls=style, label=f"{name} ±{level:g}" if sign == 1 else None)
    change = frame["target"].diff().fillna(frame["target"])
    for chosen, marker, color, name in (
        ((change > 0) & (frame["target"] == 1), "^", GREEN, "buy the spread"),
        ((change < 0) & (frame["target"] == -1), "v", RED, "sell the spread"),
        ((change != 0) & (frame["target"] == 0), "o", GREY, "leave"),
    ):
        axes.plot(frame.index[chosen], frame["z"][chosen], ls="", marker=marker, ms=6, color=color, mec="white", mew=0.4, label=name, zorder=3)
    axes.set_ylabel("z-score (std)")
    axes.set_ylim(-limits.stop_z - 0.6, limits.stop_z + 0.6)
    axes.set_title(f"{title or 'z-score of the spread'}: {len(frame):,} bars, {run.trades} trades")
    axes.tick_params(labelbottom=False)
    legend(axes, 6)
    below.fill_between(frame.index, frame["target"], step="post", color=BLUE, alpha=0.55, lw=0)
    below.set_ylabel("position\n(units)")
    below.set_yticks([-1, 0, 1])
    below.set_ylim(-1.25, 1.25)
    time_axis(below)
    return figure


def pair_heat_map(scan: pd.DataFrame, truth: list[tuple[str, str]] | None = None, column: str = "q_bh") -> Figure:
    """q-values of all ordered pairs, dark where cointegration is found; a frame round each truly cointegrated pair (`truth`: lead, hedge)."""
    symbols = sorted(set(scan["lead"]) | set(scan["hedge"]))
    grid = scan.pivot(index="lead", columns="hedge", values=column).reindex(index=symbols, columns=symbols)
    strength = -np.log10(np.clip(grid.to_numpy(np.float64), 1e-6, 1.0))
    size = min(9.0, 2.6 + 0.34 * len(symbols))
    figure = Figure(figsize=(size + 0.6, size), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(strength, cmap=colormaps["Blues"].with_extremes(bad="#dfe3e6"), vmin=0, vmax=6)
    places = range(len(symbols))
    axes.set_xticks(places, symbols, rotation=90, fontsize=8)
    axes.set_yticks(places, symbols, fontsize=8)
    axes.set_xlabel("hedge (regressor)")
    axes.set_ylabel("lead (regressand)")
    for lead, hedge in truth or []:
        for row, col in ((symbols.index(lead), symbols.index(hedge)), (symbols.index(hedge), symbols.index(lead))):
            axes.plot(*_square(col, row), color=ORANGE, lw=2.0)
    tested = int(grid.notna().to_numpy().sum())
    against = ", truth framed" if truth else ""
    axes.set_title(f"Cointegration found (dark) in {tested:,} ordered pairs{against}; grey: not tested", fontsize=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.75, label="q-value (Benjamini-Hochberg)")
    bar.set_ticks([0, 1.3, 2, 4, 6], labels=["1", "0.05", "0.01", "0.0001", "≤ 1e-6"])
    bare(axes)
    return figure


def stability_map(sweep: Sweep) -> Figure:
    """Sharpe of the sweep over window and entry at the chosen exit and stop: the single cells, and the mean with their neighbours."""
    chosen = sweep.chosen
    table = sweep.table[(sweep.table["exit_z"] == chosen.exit_z) & (sweep.table["stop_z"] == chosen.stop_z)]
    table = table[table["zscore"] == chosen.zscore]
    figure = Figure(figsize=(9.0, 3.6), dpi=110, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    grids = [table.pivot(index="window", columns="entry_z", values=column) for column in ("sharpe", "score")]
    largest = max(abs(grid.to_numpy()).max() for grid in grids) or 1.0
    for axes, grid, title in zip(panels, grids, ("each cell", "mean with grid neighbours"), strict=True):
        image = axes.imshow(grid, cmap="RdBu", vmin=-largest, vmax=largest, aspect="auto", origin="lower")
        axes.set_xticks(range(grid.shape[1]), [f"{value:g}" for value in grid.columns])
        axes.set_yticks(range(grid.shape[0]), [str(value) for value in grid.index])
        axes.set_xlabel("entry (std)")
        axes.set_title(title)
        place = grid.columns.get_loc(chosen.entry_z), grid.index.get_loc(chosen.window)
        axes.plot(*_square(*place), color=INK, lw=2.0)
        bare(axes)
    panels[0].set_ylabel("window (bars)")
    figure.colorbar(image, ax=panels, label="Sharpe ratio (annualised)")
    what = f"{len(sweep.returns):,} bars, exit {chosen.exit_z:g}, stop {chosen.stop_z:g}; framed: chosen of {sweep.trials} parameter sets"
    figure.suptitle(f"Is the choice a region or a point? {what}", fontsize=11, color=INK)
    return figure


def equity(calibration: Calibration) -> Figure:
    """Running net return over the three spans (each started from the end of the one before), gross of costs beside it, drawdown below."""
    figure, (axes, below) = stacked(2, 4.2, ratios=(3, 1))
    base = gross_base = 0.0
    runs = {"train": calibration.train, "validation": calibration.validation, "test": calibration.test}
    for name, run in runs.items():
        frame = run.frame
        gross = gross_base + (frame["target"].shift(fill_value=0) * frame["step"]).cumsum()
        net = base + frame["equity"]
        for panel in (axes, below):
            panel.axvspan(frame.index[0], frame.index[-1], color=_BAND_COLORS[name], lw=0, zorder=0)
        axes.plot(frame.index, gross, color=GREY, lw=0.9, label="before costs" if name == "train" else None)
        axes.plot(frame.index, net, color=BLUE, lw=1.3, label="after costs" if name == "train" else None)
        axes.text(
            frame.index[len(frame) // 2],
            0.03,
            f"{name}, {run.trades} trades",
            transform=axes.get_xaxis_transform(),
            ha="center",
            fontsize=8.5,
            color=INK,
        )
        running = frame["equity"].to_numpy()
        below.fill_between(frame.index, running - np.maximum.accumulate(np.maximum(running, 0.0)), color=RED, alpha=0.5, lw=0)
        base, gross_base = net.iloc[-1], gross.iloc[-1]
    for panel, label in ((axes, "return on the\nlead's notional"), (below, "drawdown")):
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        panel.set_ylabel(label)
    axes.tick_params(labelbottom=False)
    axes.set_title(f"{calibration.lead} / {calibration.hedge}: what was found on train, on data it had not seen")
    legend(axes, 2)
    time_axis(below)
    return figure


def out_of_sample(calibration: Calibration) -> Figure:
    """Sharpe ratio and return per day of each span: how much of the calibration survives."""
    figure = Figure(figsize=(8.0, 3.2), dpi=110, layout="constrained")
    panels = figure.subplots(1, 2)
    table = calibration.table()
    days = [len(run.frame) * calibration.bars.bar_ns / 86_400e9 for run in (calibration.train, calibration.validation, calibration.test)]
    for axes, values, title in (
        (panels[0], table["sharpe"], "Sharpe ratio (annualised)"),
        (panels[1], table["net"] / days, "net return a day, on the lead's notional"),
    ):
        bars = axes.bar(
            [f"{name}\n{count} trades" for name, count in zip(table.index, table["trades"], strict=True)],
            values,
            color=[BLUE, ORANGE, GREEN],
            width=0.6,
        )
        axes.bar_label(bars, labels=[f"{v:.1f}" if axes is panels[0] else f"{v:.2%}" for v in values], fontsize=9, color=INK, padding=2)
        axes.axhline(0, color=INK, lw=0.6)
        axes.margins(y=0.2)
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
    panels[1].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    figure.suptitle(f"{calibration.lead} / {calibration.hedge}: what is left of the calibration on bars it had not seen", fontsize=11, color=INK)
    return figure


def capacity_curve(found: Capacity, currency: str = "quote currency") -> Figure:
    """Profit a year against the notional of one unit, with its band; below, the return on it. Marked: half the return, most profit, nothing left."""
    table = found.table
    figure, (axes, below) = stacked(2, 4.6, ratios=(3, 2))
    axes.fill_between(table["notional"], table["low"], table["high"], color=BLUE, alpha=0.12, lw=0, label="90 % band")
    axes.plot(table["notional"], table["before_impact"], color=GREY, lw=1.0, ls="--", label="without impact")
    axes.plot(table["notional"], table["net"], color=BLUE, lw=1.6, label="net of impact")
    below.plot(table["notional"], table["net_return"], color=INK, lw=1.4)
    for place, color, name in ((found.halves, GREEN, "half the return"), (found.best, ORANGE, "most profit"), (found.exhausted, RED, "nothing left")):
        if np.isfinite(place):
            for panel in (axes, below):
                panel.axvline(place, color=color, lw=1.0, ls=":", label=f"{name}: {place:,.0f}" if panel is axes else None)
    for panel in (axes, below):
        panel.set_xscale("log")
        panel.axhline(0.0, color=GREY, lw=0.8)
    if np.isfinite(found.best):
        top = float(table["high"].max())
        axes.set_ylim(-0.4 * top, 1.15 * top)
    axes.set_ylabel(f"profit a year, {currency}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    below.set_ylabel("return a year")
    below.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    below.set_xlabel(f"notional of the lead leg of one unit, {currency}")
    axes.set_title("Capacity: profit a year against size, after square-root impact")
    legend(axes, 2)
    return figure


def stacked(rows: int, height: float, ratios: tuple[float, ...] | None = None) -> tuple[Figure, Any]:
    """A figure of `rows` panels over one time axis, heights in `ratios`. Returns figure and axes (rows,)."""
    figure = Figure(figsize=(9.0, height), dpi=110, layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, 1, sharex=True, height_ratios=ratios))
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
        axes.grid(axis="y", color="#e3e8eb", lw=0.6)
        axes.set_axisbelow(True)
    return figure, panels


def legend(axes: Axes, columns: int) -> None:
    """A frameless legend of one row, with room made for it above the lines."""
    axes.legend(ncols=columns, fontsize=8, frameon=False, loc="upper left", handlelength=1.6, columnspacing=1.2)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.14 * (high - low))  # room for the legend above the lines


def time_axis(axes: Axes) -> None:
    """UTC dates that do not crowd."""
    locator = dates.AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.set_xlabel("time (UTC)")
    axes.margins(x=0.01)


def thin(series: pd.Series, points: int = 4000) -> pd.Series:
    """At most `points` of a long series: more cannot be seen and makes the file large."""
    return series.iloc[:: max(1, len(series) // points)]


def _square(x: float, y: float) -> tuple[list[float], list[float]]:
    return [x - 0.5, x + 0.5, x + 0.5, x - 0.5, x - 0.5], [y - 0.5, y - 0.5, y + 0.5, y + 0.5, y - 0.5]


def bare(axes: Axes) -> None:
    """No spines, no ticks: for maps."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK)


def reliability(model: ReversionModel, bins: int = 8) -> Figure:
    """Calibration curve of a reversion model on moments it had not seen: what it said against what happened, and how often it says so."""
    figure = Figure(figsize=(9.0, 3.6), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    curve = model.calibration(bins)
    error = np.sqrt(curve["happened"] * (1 - curve["happened"]) / curve["samples"])
    left.plot([0, 1], [0, 1], color=GREY, lw=1.0, ls="--", label="what is said happens")
    left.errorbar(
        curve["said"], curve["happened"], yerr=error, color=BLUE, marker="o", ms=5, lw=1.3, capsize=2, label="purged folds, one standard error"
    )
    left.set_xlabel("probability said")
    left.set_ylabel("share that reverted")
    low = max(0.0, min(curve["said"].min(), curve["happened"].min()) - 0.1)
    left.set_xlim(low, 1.0)
    left.set_ylim(low, 1.0)
    left.legend(fontsize=8, frameon=False, loc="upper left")
    for outcome, color, name in ((1, GREEN, "reverted"), (0, RED, "stopped, or took too long")):
        part = model.judged.loc[model.judged["reverted"] == outcome, "probability"]
        right.hist(part, bins=np.linspace(low, 1, 30), color=color, alpha=0.6, label=f"{name}: {len(part)}")
    right.set_xlabel("probability said")
    right.set_ylabel("moments of entry")
    right.legend(fontsize=8, frameon=False, loc="upper left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
    figure.suptitle(f"Does the model keep its word? {len(model.judged):,} moments of entry it had not seen", fontsize=11, color=INK)
    return figure
