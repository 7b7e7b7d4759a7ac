"""The panel without a browser: buttons reach the control page, a second panel closes the first, errors are shown."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hftkit.codes import Control, Reject, SessionStatus, Trading
from hftkit.errors import HftkitError
from hftkit.kernels.memory.control import OPEN, PID
from live.panels.widgets import EnginePanel
from tests.panel_session import PageSession

NEVER_S = 3600.0  # the test refreshes by hand


@pytest.fixture
def session(tmp_path: Path) -> PageSession:
    made = PageSession(tmp_path)
    made.trade()
    made.publish()
    return made


@pytest.fixture
def panel(session: PageSession) -> Iterator[EnginePanel]:
    made = EnginePanel(session.folder, refresh_s=NEVER_S)
    yield made
    made.close()


@pytest.fixture
def obeyed(session: PageSession) -> Iterator[None]:
    """An engine that takes commands: a thread that answers them, start-up complete."""
    session.control.words[OPEN] = 1
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(0.001):
            session.obey()

    engine = threading.Thread(target=run)
    engine.start()
    yield
    ended.set()
    engine.join()


def test_the_buttons_write_commands_in_order(panel: EnginePanel, session: PageSession, obeyed: None) -> None:
    session.rooms.risk[0]["trading"], session.rooms.session[0]["stop_requested"] = int(Trading.STOPPING), 1
    for button in panel._buttons:
        button.click()
    assert session.commands() == [Control.PAUSE, Control.RESUME, Control.FLATTEN, Control.STOP]
    assert "stop done: trading is stopping (command 4)" in panel._message.value


def test_a_refused_command_says_why(panel: EnginePanel, session: PageSession, obeyed: None) -> None:
    session.rooms.risk[0]["trading"], session.rooms.risk[0]["halt_reason"] = int(Trading.HALTED), int(Reject.RISK_CLOCK_OFFSET)
    panel.send(Control.RESUME)
    assert "resume refused: trading is halted (risk clock offset)" in panel._message.value


def test_a_dead_engine_is_told_with_what_it_held_and_what_to_do(panel: EnginePanel, session: PageSession) -> None:
    """The engine was killed: its pages are there, and nobody reads them."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    session.control.words[PID] = gone.pid
    panel.send(Control.FLATTEN)
    assert session.commands() == []
    for words in ("nobody received this", "+250 lots of AAA", "-300 lots of BBB", "hftkit flatten"):
        assert words in panel._message.value


def test_a_command_that_nobody_answers_is_taken_back_or_said_to_wait(panel: EnginePanel, session: PageSession, monkeypatch) -> None:
    monkeypatch.setattr("live.panels.widgets.ANSWER_S", 0.01)
    panel.send(Control.RESUME)
    assert "taken back" in panel._message.value
    panel.send(Control.FLATTEN)
    assert "stands in its queue" in panel._message.value
    assert session.commands() == [Control.NONE, Control.FLATTEN]


def test_a_refresh_updates_the_same_widgets(panel: EnginePanel, session: PageSession) -> None:
    before, chart = panel.widget.children, panel._charts[0]
    session.signal(500, 3.21)
    session.rooms.session[0]["n_orders"] = 4321
    session.publish()
    panel.refresh()
    assert panel.widget.children == before
    assert "+3.21" in chart.value
    assert "4,321" in panel._figures.value


def test_a_second_panel_on_the_session_closes_the_first(panel: EnginePanel, session: PageSession) -> None:
    second = EnginePanel(session.page_path, refresh_s=NEVER_S)
    assert not panel._thread.is_alive()
    assert panel.widget.comm is None
    assert second._thread.is_alive()
    second.close()
    second.close()
    assert not second._thread.is_alive()


def test_a_command_that_cannot_be_sent_is_shown(panel: EnginePanel, session: PageSession) -> None:
    (session.folder / "control.page").unlink()
    panel._buttons[0].click()
    assert "nobody received this: no engine runs (no control page" in panel._message.value


def test_the_refreshing_ends_with_the_session_and_the_buttons_with_it(session: PageSession) -> None:
    session.status(SessionStatus.STOPPED)
    panel = EnginePanel(session.folder, refresh_s=0.001)
    panel._thread.join(timeout=30)
    assert not panel._thread.is_alive()
    assert all(button.disabled for button in panel._buttons)
    panel.close()


def test_the_static_form_has_no_need_of_widgets(panel: EnginePanel) -> None:
    bundle = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "<svg" in bundle["text/html"]
    assert "8.75" in bundle["text/html"]
    assert "net P&L 8.75" in bundle["text/plain"]


def test_no_session_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HftkitError, match="has no running session"):
        EnginePanel(tmp_path)
    with pytest.raises(HftkitError, match="no telemetry page"):
        EnginePanel(tmp_path / "absent.page")
