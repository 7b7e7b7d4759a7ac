"""The z-score of one strategy against its thresholds, as SVG text. Small, no library, drawn anew at each refresh."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from live.panels.view import StrategyView

MAX_POINTS = 600
WIDTH, HEIGHT = 760, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 60, 12, 24
_INK = "var(--jp-ui-font-color1, #333)"
_LINES = (("stop", "#c0392b"), ("entry", "#d68910"), ("exit", "#2e86c1"))


@dataclass
class DrawnSeries:
    """The last MAX_POINTS z-scores of one strategy, by exchange time in ns. Bounded, so a panel may stay open."""

    points: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=MAX_POINTS))

    def add(self, strategy: StrategyView) -> None:
        """Keep the newest signal, once; a z-score that is not finite is kept as a gap in the line."""
        if strategy.ts_event and (not self.points or strategy.ts_event > self.points[-1][0]):
            self.points.append((strategy.ts_event, strategy.zscore))


def zscore_svg(history: DrawnSeries, strategy: StrategyView, width: int = WIDTH, height: int = HEIGHT) -> str:
    """The chart: bands of entry, exit and stop, the line of z-scores, the newest value beside its end."""
    thresholds = {"stop": strategy.stop_z, "entry": strategy.entry_z, "exit": strategy.exit_z}
    finite = [(t, z) for t, z in history.points if math.isfinite(z)]
    top = 1.1 * max([1.0, *(abs(z) for _, z in finite), *(level for level in thresholds.values() if level is not None)])
    start, end = (finite[0][0], finite[-1][0]) if finite else (0, 1)
    inner_w, inner_h = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM

    def x(t: int) -> float:
        return _LEFT + inner_w * ((t - start) / (end - start) if end > start else 1.0)

    def y(z: float) -> float:
        return _TOP + inner_h * (top - z) / (2 * top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="100%" style="max-width:{width}px" '
        f'font-family="sans-serif" font-size="11" fill="{_INK}" role="img" aria-label="z-score of {strategy.pair}">'
    ]
    if strategy.exit_z is not None:
        parts.append(_band(y(strategy.exit_z), y(-strategy.exit_z), inner_w))
    parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + inner_w}" y1="{y(0):.1f}" y2="{y(0):.1f}" stroke="{_INK}" stroke-opacity="0.35"/>')
    for name, colour in _LINES:
        level = thresholds[name]
        for value in () if level is None else (level, -level):
            parts.append(_threshold_line(y(value), inner_w, colour, f"{value:+.2g}", name if value > 0 else ""))
    parts += [_polyline(piece, x, y) for piece in _pieces(list(history.points))]
    if finite and math.isfinite(strategy.zscore):
        last_t, last_z = finite[-1]
        parts.append(f'<circle cx="{x(last_t):.1f}" cy="{y(last_z):.1f}" r="3.5" fill="#6c3483"/>')
        parts.append(f'<text x="{x(last_t) + 8:.1f}" y="{y(last_z) + 4:.1f}" font-size="13" font-weight="bold" fill="#6c3483">{last_z:+.2f}</text>')
    else:
        parts.append(f'<text x="{width / 2}" y="{height / 2 - 6}" text-anchor="middle" fill-opacity="0.6">no z-score yet: {strategy.reason}</text>')
    span = (end - start) / 1e9 if finite else 0.0
    parts.append(f'<text x="{_LEFT}" y="{height - 7}">z-score of {strategy.pair}, last {_duration(span)} of exchange time</text></svg>')
    return "".join(parts)


def _band(upper: float, lower: float, inner_w: float) -> str:
    return f'<rect x="{_LEFT}" y="{upper:.1f}" width="{inner_w}" height="{lower - upper:.1f}" fill="#2e86c1" fill-opacity="0.08"/>'


def _threshold_line(at: float, inner_w: float, colour: str, label: str, name: str) -> str:
    right = f'<text x="{_LEFT + 4}" y="{at - 3:.1f}" fill="{colour}">{name}</text>' if name else ""
    return (
        f'<line x1="{_LEFT}" x2="{_LEFT + inner_w}" y1="{at:.1f}" y2="{at:.1f}" stroke="{colour}" stroke-dasharray="5 4" stroke-opacity="0.8"/>'
        f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end" fill="{colour}">{label}</text>{right}'
    )


def _pieces(points: list[tuple[int, float]]) -> list[list[tuple[int, float]]]:
    """Runs of finite points: a gap is shown as a gap."""
    runs: list[list[tuple[int, float]]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _polyline(points: list[tuple[int, float]], x: Callable[[int], float], y: Callable[[float], float]) -> str:
    text = " ".join(f"{x(t):.1f},{y(z):.1f}" for t, z in points)
    return f'<polyline points="{text}" fill="none" stroke="#6c3483" stroke-width="1.6" stroke-linejoin="round"/>'


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
