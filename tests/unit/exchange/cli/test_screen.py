"""The page of `hftkit sim`: what it shows, that it fits, and that the terminal is given back."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from hftkit.exchange.cli.look import VenueSnapshot, look
from hftkit.exchange.cli.screen import Screen, draw
from hftkit.exchange.config import load_config
from hftkit.exchange.faults.page import write_settings
from hftkit.exchange.faults.plan import FaultPlan
from hftkit.exchange.market.history.build import HistoryPlan
from hftkit.exchange.market.history.files import save_history
from hftkit.exchange.market.history.market import DEPTH
from hftkit.exchange.testing import HEARTBEAT, SUBSCRIBE
from tests.unit.exchange.market.history.tapes import BUY, SELL, config, depth, history, trade
from tests.unit.exchange.running import Running, simulator


def page(running: Running, width: int, height: int, before: VenueSnapshot | None = None) -> list[str]:
    """The page as lines of text, from two looks a second apart."""
    before = before or look(running.server, 0)
    console = Console(file=io.StringIO(), width=width, height=height, record=True, color_system=None)
    console.print(draw(running.server, "title", before, look(running.server, 10**9), width, height, [1.0, 4.0, 8.0]))
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (132, 40), (60, 15)])
def test_books_clients_and_faults_fit_the_terminal(width: int, height: int) -> None:
    with simulator(load_config(), plan=FaultPlan(feed={"latency_us": 2000})) as running:
        before = look(running.server, 0)
        trader, data = running.trader(7), running.data(0)
        data.send(SUBSCRIBE, 1)
        trader.order(1, 0, 0, 1000, 10_000)
        data.receive()
        trader.receive()
        running.stop()
        lines = page(running, width, height, before)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
        text = "\n".join(lines)
        assert lines[0].startswith("sample  2026-01-05 00:0")
        assert "feed.latency_us=2000" in lines[-1]
        assert lines[1].startswith("in 3.0/s")
        assert lines[1].endswith("▁▄█") or width < 80
        shown = [one.symbol for one in load_config().scales if one.symbol in text]
        assert len(shown) == 12 if height >= 24 else len(shown) >= 2
        if width >= 80:
            (row,) = [line.split() for line in lines if " orders " in line and "logged on" in line]
            assert row[:3] == ["0", "orders", "7"]
            assert row[4:8] == ["on", "~", "2.0", "1"]  # through the fault lines; frames a second, open orders
            assert any(line.split()[1:4] == ["data", "-", "subscribed"] for line in lines)
            top = running.server.venue.books.tops[0]
            (book,) = [line.split() for line in lines if line.startswith("BRAVUSD")]
            assert book[2:4] == [f"{top['bid'] / 100:.2f}", f"{top['ask'] / 100:.2f}"]
        if width >= 96:
            left, _, right = next(line for line in lines if line.startswith("BRAVUSD")).partition("│")
            assert len(left.split()[-1]) == min(8, top["n_bid"])  # a bar for each level, the best ones in the middle
            assert len(right.split()[0]) == min(8, top["n_ask"])
            qty = [running.server.venue.books.levels[0]["qty"][top[side] - top["base"]] for side in ("bid", "ask")]
            assert (left[-1] > right[0]) == (qty[0] > qty[1]) or abs(qty[0] - qty[1]) * 7 < max(qty)
        trader.close()
        data.close()


def test_a_history_shows_where_it_stands() -> None:
    rows = [depth(0, BUY, 100, 50, False), depth(0, SELL, 101, 50), trade(5, SELL, 100, 5)]
    with simulator(config(), history=HistoryPlan(history(rows, DEPTH), rate=None)) as running:
        while not running.server.finished:
            running.stop()
            running.server.run_slice(1_000_000)
        lines = page(running, 80, 24)
    assert any("history 3 of 3 rows (100%)" in line for line in lines)
    assert "no clients" in lines
    assert lines[-1] == "no faults"


def test_ctrl_c_gives_the_terminal_back_and_reports(tmp_path: Path) -> None:
    rows = [depth(0, BUY, 100, 50, False), depth(0, SELL, 101, 50), trade(10**15, SELL, 100, 5)]
    path = save_history(history(rows, DEPTH), tmp_path / "h.npz")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "hftkit.cli", "sim", "--history", str(path), "--order-port", "0", "--market-port", "0"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"})
    os.close(slave)
    seen, asked = b"", False
    while select.select([master], [], [], 300.0)[0]:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        seen += part
        if b"no clients" in seen and not asked:
            asked = True
            process.send_signal(signal.SIGINT)
    os.close(master)
    assert process.wait(30) == 0
    assert seen.index(b"\x1b[?1049h") < seen.index(b"no clients") < seen.index(b"\x1b[?1049l") < seen.index(b"stopped after")
    assert b"Traceback" not in seen


def test_many_books_and_many_clients_are_cut_to_the_page_and_counted() -> None:
    with simulator(load_config()) as running:
        clients = [running.data(0) for _ in range(40)]
        for client in clients:
            client.send(HEARTBEAT, 1)
            client.receive()
        running.stop()
        for width, height in ((60, 15), (80, 24), (200, 30)):
            lines = page(running, width, height)
            assert len(lines) <= height
            assert max(map(len, lines)) <= width
            assert any(line == f"{40 - max(1, (height - 8) // 3)} more" for line in lines)
        for client in clients:
            client.close()


def test_what_the_faults_did_and_a_freeze_under_way_are_shown() -> None:
    with simulator(plan=FaultPlan(order_entry={"reject_next": 1})) as running:
        trader = running.trader(7)
        trader.order(1, 0, 0, 1000, 10_000)
        assert trader.receive().name == "ORDER_REJECT"
        write_settings(running.server.shell.faults.page, {"feed.freeze_ms": 60_000})
        trader.send(HEARTBEAT, 1)
        trader.receive()
        running.stop()
        lines = page(running, 100, 30)
        assert lines[-2].startswith("so far  ")
        assert "order entry: reject 1" in lines[-2]
        assert lines[-1].startswith("faults  ~  feed.freeze_ms=")
        trader.close()


def test_the_page_outlives_its_terminal() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    with simulator(load_config()) as running:
        screen = Screen(running.server, "title", lambda: 0, Console(file=io.StringIO(), force_terminal=True, width=80, height=24))
        screen._live.console.file = Gone()
        screen._thread.join(30)
        assert not screen._thread.is_alive()
        screen.close()
