"""The chart: valid SVG, bounded, with its thresholds at the right height."""

from __future__ import annotations

import dataclasses
import math
import xml.etree.ElementTree as ET

import pytest

from live.panels.draw import MAX_POINTS, DrawnSeries, zscore_svg
from live.panels.view import StrategyView
from tests.panel_session import zscores

STRATEGY = StrategyView("s", "0" * 12, "AAA/BBB", "flat", 0, 0.5, 2.0, 0.5, 4.0, "inside band", 1, "60", 0, 0, 0, "")
SVG = "{http://www.w3.org/2000/svg}"


def at(moment: int, zscore: float) -> StrategyView:
    return dataclasses.replace(STRATEGY, ts_event=moment, zscore=zscore)


def history(values: list[float]) -> DrawnSeries:
    kept = DrawnSeries()
    for i, value in enumerate(values, 1):
        kept.add(at(i * 10**9, value))
    return kept


def test_the_history_is_bounded_and_each_moment_is_kept_once() -> None:
    kept = history([0.1] * (3 * MAX_POINTS))
    assert len(kept.points) == MAX_POINTS
    kept.add(at(5, 9.0))  # older than the newest: a page read twice
    assert kept.points[-1] == (3 * MAX_POINTS * 10**9, 0.1)


def test_nothing_is_drawn_before_the_first_signal() -> None:
    kept = DrawnSeries()
    kept.add(at(0, math.nan))
    root = ET.fromstring(zscore_svg(kept, at(0, math.nan)))
    assert not root.findall(f"{SVG}polyline")
    assert any("no z-score yet: inside band" in (text.text or "") for text in root.findall(f"{SVG}text"))


def test_the_line_has_a_point_for_every_value_and_a_gap_for_every_gap() -> None:
    values = [0.5, 1.0, math.nan, math.nan, -1.0, 0.25, 0.5]
    root = ET.fromstring(zscore_svg(history(values), at(7 * 10**9, 0.5)))
    runs = [len(line.attrib["points"].split()) for line in root.findall(f"{SVG}polyline")]
    assert runs == [2, 3]


def test_a_value_on_a_threshold_is_drawn_on_its_line() -> None:
    root = ET.fromstring(zscore_svg(history([0.0, 2.0]), at(2 * 10**9, 2.0)))
    circle = root.find(f"{SVG}circle")
    assert circle is not None
    heights = [line.attrib["y1"] for line in root.findall(f"{SVG}line")]
    assert circle.attrib["cy"] in heights
    assert len(heights) == 7  # zero, and exit, entry, stop on both sides


@pytest.mark.parametrize("values", [[0.0], [1e6, -1e6], [math.nan], list(zscores(2000))])
def test_every_coordinate_is_finite_and_inside(values: list[float]) -> None:
    text = zscore_svg(history(values), at(len(values) * 10**9, values[-1]))
    root = ET.fromstring(text)
    assert "nan" not in text.replace("dominant", "")
    for line in root.findall(f"{SVG}polyline"):
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 760
            assert 0 <= y <= 220


def test_a_strategy_without_thresholds_is_drawn_without_lines() -> None:
    plain = dataclasses.replace(at(10**9, 1.0), entry_z=None, exit_z=None, stop_z=None)
    root = ET.fromstring(zscore_svg(history([1.0]), plain))
    assert len(root.findall(f"{SVG}line")) == 1
