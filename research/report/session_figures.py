"""Figures of a live session: spread with entries and exits, equity, latency. Same style as figures.py."""

from __future__ import annotations

from pathlib import Path

import matplotlib.dates as dates
import numpy as np
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from hftkit.kernels.memory.histogram import HIGHEST_NS, SIGNIFICANT_DIGITS
from research.report.figures import BLUE, GREEN, GREY, INK, ORANGE, RED, Figure, legend
from research.report.session import Session

_HOPS = {
    "tick_to_order": ("tick to order (T1→T4)", BLUE),
    "signal": ("signal (T1→T2)", GREEN),
    "risk": ("legs, risk, orders (T2→T3)", ORANGE),
    "send": ("journal, send (T3→T4)", GREY),
    "ack": ("acknowledged (T4→T5)", RED),
}


def session_spread(session: Session) -> Figure:
    """z-score with its thresholds, entries and exits where the lead position changed; the position of the legs below.

    Thresholds are drawn where the strategy has them: `entry_z`, `exit_z`, `stop_z`.
    """
    signal, limits = session.signal, session.parameters
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    axes.plot(signal.index, signal["zscore"], color=INK, lw=0.8)
    for name, color, style in (("entry_z", BLUE, "--"), ("exit_z", GREEN, "--"), ("stop_z", RED, ":")):
        if name not in limits:
            continue
        for sign in (1, -1):
            label = f"{name.removesuffix('_z')} ±{limits[name]:g}" if sign == 1 else None
            axes.axhline(sign * limits[name], color=color, ls=style, lw=0.9, label=label)
    unit_lots = session.replayed.config.strategies[0].legs.unit_lead_lots
    position = (signal["lead_position"] / unit_lots).round()  # what is in between is an order filling in parts
    change = position.diff().fillna(0.0)
    for chosen, marker, color, name in (
        ((change != 0) & (position > 0), "^", GREEN, "long the spread"),
        ((change != 0) & (position < 0), "v", RED, "short the spread"),
        ((change != 0) & (position == 0), "o", GREY, "flat"),
    ):
        axes.plot(signal.index[chosen], signal["zscore"][chosen], ls="", marker=marker, ms=7, color=color, mec="white", mew=0.5, label=name, zorder=3)
    reach = 1.1 * max(float(np.nanmax(np.abs(signal["zscore"]))) if signal["zscore"].notna().any() else 1.0, limits.get("entry_z", 1.0))
    axes.set_ylim(-reach, reach)
    axes.set_ylabel("z-score (std)")
    axes.set_title(f"{' / '.join(filter(None, session.legs))}: spread and trades of the live session", pad=22)
    axes.legend(ncols=6, fontsize=8, loc="lower center", frameon=False, bbox_to_anchor=(0.5, 1.0))
    for name, color, symbol in (("lead_position", BLUE, session.legs[0]), ("hedge_position", ORANGE, session.legs[1])):
        if not symbol:
            continue
        unit = max(1.0, float(signal[name].abs().max()))
        below.plot(signal.index, signal[name] / unit, color=color, lw=1.0, drawstyle="steps-post", label=f"{symbol} (1 = {unit:,.0f} lots)")
    below.set_ylabel("position\n(units)")
    below.set_yticks([-1, 0, 1])
    below.set_ylim(-1.3, 1.3)
    below.legend(ncols=2, fontsize=8, loc="lower center", frameon=False, bbox_to_anchor=(0.5, 0.98))
    return _finish(figure, below, session)


def session_equity(session: Session) -> Figure:
    """P&L of the session after fees, at the mid, with its drawdown."""
    equity = session.signal["equity"]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(equity.index, equity, color=BLUE, lw=1.2, label="P&L after fees")
    axes.fill_between(equity.index, equity, equity.cummax(), color=RED, alpha=0.15, lw=0, label="drawdown")
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set_ylabel("P&L (quote currency)")
    last = float(equity.iloc[-1]) if len(equity) else 0.0
    axes.set_title(f"Equity of the live session: {last:+,.2f} after fees, {len(session.fills)} fills")
    legend(axes, 2)
    return _finish(figure, axes, session)


def latency_by_percentile(folder: Path | str) -> Figure:
    """Latency of each hop by percentile, from the session's latency.hlog, in microseconds on logarithmic axes."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots()
    reader = HistogramLogReader(str(Path(folder) / "latency.hlog"), HdrHistogram(1, HIGHEST_NS, SIGNIFICANT_DIGITS))
    levels = 1 - np.logspace(0, -4, 200)
    while (histogram := reader.get_next_interval_histogram()) is not None:
        hop = histogram.get_tag()
        if hop not in _HOPS or histogram.get_total_count() == 0:
            continue
        label, color = _HOPS[hop]
        values = [histogram.get_value_at_percentile(100 * level) / 1000 for level in levels]
        axes.plot(1 / (1 - levels), values, color=color, lw=1.4, drawstyle="steps-post", label=f"{label}, n={histogram.get_total_count():,}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1, 10_000)
    axes.set_xticks([1, 10, 100, 1000, 10_000], ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"])
    axes.set_xlabel("percentile")
    axes.set_ylabel("latency (µs)")
    axes.set_title("Latency by percentile, monotonic clock")
    axes.legend(fontsize=8, frameon=False, ncols=2)
    _plain(axes)
    axes.grid(alpha=0.25, lw=0.5)
    return figure


def _finish(figure: Figure, axes: object, session: Session) -> Figure:
    for each in figure.axes:
        _plain(each)
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)  # type: ignore[attr-defined]
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[attr-defined]
    axes.set_xlabel("exchange time (UTC)")  # type: ignore[attr-defined]
    return figure


def _plain(axes: object) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)  # type: ignore[attr-defined]
