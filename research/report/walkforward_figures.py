"""Pictures of costs and of honest repetition: the best entry against the cost, walk-forward steps, the paths of cross-validation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from research.report.figures import BLUE, GREEN, GREY, INK, ORANGE, RED, Figure, legend, stacked, time_axis
from research.stats.spread.thresholds import OrnsteinUhlenbeck, best_entry


def entry_against_cost(process: OrnsteinUhlenbeck, costs_bps: np.ndarray, here_bps: float, bars_a_day: float = 1440.0) -> Figure:
    """Bertram's best entry and what it earns against the cost of a round trip (1e-4 of the lead's notional); `here_bps` is marked.

    `bars_a_day`: of the bars that `process` was estimated on; the default is for minutes.
    """
    found = [best_entry(process, cost * 1e-4) for cost in costs_bps]
    figure, (axes, below) = stacked(2, 4.2)
    axes.plot(costs_bps, [best.entry_z for best in found], color=BLUE, lw=1.6, label="best entry")
    axes.plot(costs_bps, costs_bps * 1e-4 / 2.0 / process.deviation, color=GREY, lw=1.0, ls="--", label="break-even")
    axes.set_ylabel("entry, standard deviations")
    below.plot(costs_bps, [1e4 * best.rate * bars_a_day for best in found], color=GREEN, lw=1.6)
    below.set_ylabel("earned, bps a day")
    below.set_xlabel("cost of a round trip, bps of the lead leg's notional")
    for panel in (axes, below):
        panel.axvline(here_bps, color=ORANGE, lw=1.0, ls=":", label=f"these costs: {here_bps:.1f} bps" if panel is axes else None)
    axes.set_title("What costs do to the best entry of an Ornstein-Uhlenbeck spread")
    legend(axes, 3)
    return figure


def walk_forward_steps(table: pd.DataFrame) -> Figure:
    """Of strategy_optimizer.walk_forward: what each step earned on bars that had no part in its choice, their sum, and the thresholds chosen."""
    figure, (axes, below) = stacked(2, 4.4, ratios=(3, 2))
    width = (table.index[1] - table.index[0]) * 0.8 if len(table) > 1 else pd.Timedelta(hours=1)
    colors = [GREEN if net > 0 else RED for net in table["net"]]
    axes.bar(table.index, table["net"], width=width, align="edge", color=colors, alpha=0.65, label="each step, out of sample")
    ends = table.index.append(pd.Index([table.index[-1] + width / 0.8]))  # a step holds until the next begins, the last as long as the others
    axes.step(ends, _held(table["net"].cumsum()), where="post", color=INK, lw=1.4, label="sum")
    axes.axhline(0.0, color=GREY, lw=0.8)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    axes.set_ylabel("net of costs")
    axes.set_title(f"Walk forward, {len(table)} steps, {int(table['trades'].sum())} trades: calibrate, wait out the embargo, trade, step on")
    legend(axes, 2)
    for name, color in (("entry_z", BLUE), ("exit_z", ORANGE)):
        below.step(ends, _held(table[name]), where="post", color=color, lw=1.4, label=name.replace("_z", ", standard deviations"))
    below.set_ylim(0, 1.45 * float(table["entry_z"].max()))
    legend(below, 2)
    time_axis(below)
    return figure


def _held(values: pd.Series) -> np.ndarray:
    return np.append(values.to_numpy(), values.iloc[-1])


def cross_validated(train: np.ndarray, test: np.ndarray) -> Figure:
    """Annualised Sharpe ratio of each split of combinatorial purged cross-validation, where thresholds were chosen and where they were judged."""
    figure, (axes,) = stacked(1, 3.2)
    low, high = min(train.min(), test.min(), 0.0), max(train.max(), test.max())
    bins = np.linspace(low, high, 24)
    axes.hist(train, bins=list(bins), color=GREY, alpha=0.6, label=f"train, mean {train.mean():.1f}")
    axes.hist(test, bins=list(bins), color=BLUE, alpha=0.6, label=f"held out, mean {test.mean():.1f}")
    axes.axvline(0.0, color=RED, lw=1.0, ls=":")
    axes.set_xlabel("annualised Sharpe ratio")
    axes.set_ylabel("splits")
    axes.set_title(f"What {len(test)} splits of combinatorial purged cross-validation earn, chosen on train and held out")
    legend(axes, 2)
    return figure
