"""Pictures of studies: the price of many tests, estimators against a known truth, a break, a bootstrap band."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from research.report.figures import BLUE, GREEN, GREY, INK, ORANGE, RED, Figure, legend, time_axis
from research.stats.test_result import TestResult

_COLORS = {"OLS": BLUE, "TLS": ORANGE, "DOLS": GREEN, "Kalman": RED}
_NAMES = {"p_value": "p-value alone", "bh": "Benjamini-Hochberg", "by": "Benjamini-Yekutieli", "bonferroni": "Bonferroni"}


def price_of_many_tests(counts: pd.DataFrame, level: float) -> Figure:
    """Of known_truth.false_discoveries: how many false pairs a universe shows by p-value; how often it shows any, by correction."""
    figure, (left, right) = _two(f"{len(counts)} universes of random walks: every pair found is false")
    bins = [k - 0.5 for k in range(int(counts["p_value"].max()) + 2)]
    left.hist(counts["p_value"], bins=bins, color=BLUE, alpha=0.8, rwidth=0.85)
    left.axvline(counts["p_value"].mean(), color=INK, lw=1, ls="--", label=f"mean {counts['p_value'].mean():.1f}")
    left.set_xlabel(f"false pairs at p ≤ {level:g}")
    left.set_ylabel("universes")
    legend(left, 1)
    shares = (counts > 0).mean()
    error = 1.96 * np.sqrt(shares * (1 - shares) / len(counts))
    rows = np.arange(len(shares))[::-1]
    right.barh(rows, shares, xerr=error, color=[RED, BLUE, BLUE, BLUE], alpha=0.8, height=0.6, error_kw={"ecolor": INK, "lw": 1})
    right.set_yticks(rows, [_NAMES[str(name)] for name in shares.index])
    right.axvline(level, color=INK, lw=1, ls="--", label=f"stated level {level:g}")
    for row, share, width in zip(rows, shares, error, strict=True):
        right.annotate(f"{share:.1%}", (max(share + width, level) + 0.02, row), va="center", fontsize=8, color=INK)
    right.set_xlim(0, 1.15)
    right.set_xlabel("share of universes with any false pair (95 % bars)")
    legend(right, 1)
    return figure


def against_truth(
    estimated: pd.DataFrame, hedge_ratio: float, half_life: float, title: str = "estimates over many pairs whose truth is known"
) -> Figure:
    """Of known_truth.estimates: spread of the hedge ratios (left) and of the half-life (right) by sample length; dashed: the truth."""
    lengths = sorted(estimated["rows"].unique())
    figure, (left, right) = _two(f"{title} ({len(estimated) // len(lengths)} a length)")
    for k, (name, color) in enumerate(_COLORS.items()):
        _boxes(left, [estimated.loc[estimated["rows"] == n, name] for n in lengths], np.arange(len(lengths)) + 0.18 * (k - 1.5), color, 0.14)
        left.plot([], [], color=color, lw=5, label=name)
    left.axhline(hedge_ratio, color=INK, lw=1, ls="--")
    left.set_ylabel("hedge ratio")
    _boxes(right, [estimated.loc[estimated["rows"] == n, "half_life"] for n in lengths], np.arange(len(lengths)), BLUE, 0.4)
    right.axhline(half_life, color=INK, lw=1, ls="--", label=f"truth {half_life:g}")
    right.set_ylabel("half-life (bars)")
    for axes in (left, right):
        axes.set_xticks(range(len(lengths)), [f"{n:,}" for n in lengths])
        axes.set_xlabel("bars in the sample")
        axes.set_xlim(-0.55, len(lengths) - 0.45)
    legend(left, 4)
    legend(right, 1)
    return figure


def cusum_path(spread: pd.Series, test: TestResult, path: np.ndarray) -> Figure:
    """The spread (top) and its CUSUM with the 5 % bounds (bottom); the row where it strays farthest.

    `test`, `path`: of spread_tests.cusum and cusum_path, or of cusum_recursive and cusum_recursive_path, whose bounds open with time.
    """
    figure = Figure(figsize=(9.6, 4.2), dpi=110, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.plot(spread.index, spread, color=INK, lw=0.7)
    above.set_ylabel("spread (log price)")
    below.plot(spread.index[-path.size :], path, color=BLUE, lw=1)
    m = path.size
    opening = np.sqrt(m) + 2.0 * np.arange(1, m + 1) / np.sqrt(m) if "recursive" in test.name else np.ones(m)
    for sign in (-1, 1):
        bound = sign * test.critical_values["5 %"] * opening
        below.plot(spread.index[-m:], bound, color=RED, lw=0.9, ls="--", label="5 % bounds" if sign == 1 else None)
    above.set_title(f"{test.name}: {m:,} bars, p-value {test.pvalue:.3g}", fontsize=11)
    for axes in (above, below):
        axes.axvline(spread.index[test.details["farthest_row"]], color=ORANGE, lw=1, label="farthest" if axes is below else None)
        _plain(axes)
    below.set_ylabel("CUSUM (std)")
    legend(below, 3)
    time_axis(below)
    below.set_xlabel("")
    return figure


def band(draws: np.ndarray, observed: float, low: float, high: float, label: str) -> Figure:
    """What chance makes of a result: bootstrap draws, the observed figure, the band."""
    figure = Figure(figsize=(9.6, 2.9), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.hist(draws, bins=50, color=BLUE, alpha=0.7)
    axes.axvspan(low, high, color=GREY, alpha=0.25, lw=0, label=f"band {low:.3g} .. {high:.3g}")
    axes.axvline(observed, color=INK, lw=1.2, label=f"observed {observed:.3g}")
    axes.axvline(0.0, color=RED, lw=1, ls="--", label="nothing earned")
    axes.set_xlabel(label)
    axes.set_ylabel("draws")
    axes.set_title(f"What chance makes of the result: {len(draws):,} bootstrap draws", fontsize=11)
    _plain(axes)
    legend(axes, 3)
    return figure


def _two(title: str) -> tuple[Figure, tuple[Axes, Axes]]:
    figure = Figure(figsize=(9.6, 3.3), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    figure.suptitle(title, fontsize=10, color=INK)
    for axes in (left, right):
        _plain(axes)
    return figure, (left, right)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(axis="y", color="#e3e8eb", lw=0.6)
    axes.set_axisbelow(True)


def _boxes(axes: Axes, groups: list[pd.Series], places: np.ndarray, color: str, width: float) -> None:
    """Median, quartiles, and 5 .. 95 %."""
    drawn = axes.boxplot(groups, positions=list(places), widths=width, whis=(5, 95), showfliers=False, patch_artist=True, manage_ticks=False)
    for box in drawn["boxes"]:
        box.set(facecolor=color, alpha=0.75, linewidth=0)
    for part in ("whiskers", "caps"):
        for line in drawn[part]:
            line.set(color=color, linewidth=1)
    for line in drawn["medians"]:
        line.set(color="white", linewidth=1.4)
