"""The demo's page: one file that needs nothing else, and every number of it is the report's."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from research.data.data_loader import load_panel
from research.data.instruments import infer_instrument
from research.pairs.freezing.pipeline import find_and_freeze
from research.pairs.strategy_optimizer import Grid
from research.report.demo_report import truth_of_pair, write_report

HOP = {"p50": 11.5, "p95": 22.5, "p99": 33.5, "p999": 44.5, "max": 55.5, "n": 666}
PICTURES = ("pairs", "calibration", "out_of_sample", "spread", "equity", "latency")


@pytest.fixture(scope="module")
def found(data_folder, tmp_path_factory):
    panel = load_panel(data_folder)
    instruments = {symbol: infer_instrument(symbol, panel.closes[symbol], taker_fee_ppm=50) for symbol in panel.closes}
    grid = Grid(windows=(60, 120), entries=(1.5, 2.0), exits=(0.0,), stops=(5.0,))
    return find_and_freeze(panel, instruments, tmp_path_factory.mktemp("frozen"), grid=grid)


@pytest.fixture(scope="module")
def report(found):
    return {
        "pairs_found": [f"{row.lead}/{row.hedge}" for row in found.found.itertuples()],
        "pairs_true": ["A0USDT/B0USDT"],
        "pairs_tested": found.search.pairs_tested,
        "pair_traded": f"{found.chosen.lead}/{found.chosen.hedge}",
        "out_of_sample": found.chosen.test.summary(),
        "params_file": found.path.name,
        "params_digest": found.params.digest,
        "exchange_speed": 9000.0,
        "exchange_hours": 75.5,
        "seconds": 30.0,
        "orders_sent": 123,
        "orders_received_by_venue": 124,
        "orders_lost": 7,
        "orders_duplicated": 8,
        "fills": 345,
        "fills_at_venue": 346,
        "rejects": 9,
        "vetoes": 10,
        "entries": 12,
        "exits": 13,
        "unwinds": 14,
        "realized_pnl": "151.1234",
        "fees": "16.5678",
        "net_pnl": "-134.5556",
        "end_positions": {"A0USDT": 0, "B0USDT": -3},
        "tick_to_order_us": HOP,
        "latency_us": dict.fromkeys(("signal", "risk", "send", "tick_to_order", "ack", "tick"), HOP),
        "replay_identical": True,
        "replay_inputs": 98765,
        "replay_outputs": 4321,
        "wall_s": 61.0,
    }


@pytest.fixture(scope="module")
def page(found, report, tmp_path_factory):
    truth = [{"lead": "A0USDT", "hedge": "B0USDT", "until": None}, {"lead": "B1USDT", "hedge": "A1USDT", "until": "2026-01-06T00:00:00Z"}]
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, report, found, truth, {name: b"\x89PNG" + name.encode() for name in PICTURES}, ["hftkit params show <FILE>"])
    return path.read_text()


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def test_the_page_needs_nothing_else(page):
    assert re.findall(r"(?:src|href)\s*=\s*'(?!data:image/png;base64,)", page) == []
    assert not re.search(r"https?://|<script|@import|url\(", page)
    assert page.count("<img ") == len(PICTURES) == page.count("<figcaption>")
    assert "alt=''" not in page


def test_every_number_of_the_session_is_there(page, report):
    text = text_of(page)
    for number in (
        "123 sent",
        "124 received",
        "7 lost",
        "8 doubled",
        "9 rejected",
        "10 refused",
        "345 by our books",
        "346 by the venue's",
        "98,765 inputs",
    ):
        assert number in text, number
    assert "net -134.5556" in re.sub(r"\s+", " ", text)
    assert text.count("-134.56") == 2, "the card and the picture's caption say the same, rounded"
    assert "B0USDT -3" in text
    assert f"Sharpe {report['out_of_sample']['sharpe']:.2f}" in text


def test_the_truth_stands_beside_every_candidate(page, found):
    text = text_of(page)
    assert "tied until 2026-01-06" in text
    assert "1 are tied to this day, 1 no longer, 0 never were" in text
    truth = [{"lead": "X", "hedge": "Y"}]
    assert (truth_of_pair("Y", "X", truth), truth_of_pair("X", "Z", truth)) == ("tied", "not tied")
    assert "chosen, frozen, traded" in text
    assert f"{found.chosen.lead} / {found.chosen.hedge}" in text


def test_own_prices_have_no_truth_and_markup_in_names_stays_text(found, report, tmp_path):
    written = write_report(
        tmp_path / "r.html",
        {**report, "pairs_true": None, "params_file": "<b>x</b>"},
        found,
        None,
        dict.fromkeys(PICTURES, b"png"),
        ["run <script>"],
    ).read_text()
    assert "not tied" not in written
    assert "<b>x</b>" not in written
    assert "<script" not in written
    assert Path(tmp_path / "r.html").stat().st_size < 40_000
