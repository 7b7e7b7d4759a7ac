"""Views as HTML and text: escaped, and every figure of the view is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hftkit.clock import monotonic_ns
from hftkit.session.telemetry import TelemetryReader
from live.panels.render import page_html, text_lines
from live.panels.view import View, view
from tests.panel_session import PageSession


@pytest.fixture
def seen(tmp_path: Path) -> View:
    session = PageSession(tmp_path, session="<script>alert(1)</script>")
    session.trade()
    session.publish()
    reader = TelemetryReader(session.page_path)
    return view(reader.read(), reader.info, monotonic_ns())


def test_what_comes_from_outside_is_escaped(seen: View) -> None:
    html = page_html(seen, [])
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_page_holds_every_figure(seen: View) -> None:
    html = page_html(seen, ["<svg></svg>"])
    for figure in ("8.75", "AAA", "2.50", "101.500", "102.000", "pairs-AAA-BBB", "0123456789ab", "tick to order", "maker", "<svg></svg>"):
        assert figure in html


def test_the_text_says_the_same(seen: View) -> None:
    text = "\n".join(text_lines(seen))
    for figure in ("trading", "net P&L 8.75", "2.50", "101.500", "AAA/BBB", "entry 2.0", "tick to order", "p99"):
        assert figure in text
