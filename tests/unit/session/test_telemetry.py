"""Reading a page whose writer is interrupted in the middle of an update: it is waited for while it lives, and given up when it is dead."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hftkit.errors import HftkitError
from hftkit.kernels.memory import telemetry as page_kernel
from hftkit.session.telemetry import TelemetryReader
from tests.panel_session import PageSession


@pytest.fixture
def session(tmp_path: Path) -> PageSession:
    return PageSession(tmp_path)


def test_an_engine_that_lost_the_processor_in_an_update_is_waited_for(session: PageSession) -> None:
    reader = TelemetryReader(session.page_path)
    before = reader.read().n_published
    session.page.head[page_kernel.SEQUENCE] += 1  # the scheduler took the processor away here
    ended = threading.Event()

    def the_rest_of_the_update() -> None:
        ended.set()
        session.page.head[page_kernel.SEQUENCE] += 1

    timer = threading.Timer(0.1, the_rest_of_the_update)
    timer.start()
    assert reader.read(patience_s=60.0).n_published == before
    assert ended.is_set()  # not before the update ended
    timer.join()


def test_an_engine_that_died_in_an_update_is_told_apart_from_one_that_stands_still(session: PageSession) -> None:
    reader = TelemetryReader(session.page_path)
    session.page.head[page_kernel.SEQUENCE] += 1
    with pytest.raises(HftkitError, match=r"has stood still for 0\.01 s in the middle of an update"):
        reader.read(patience_s=0.01)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    session.page.head[page_kernel.PID] = dead.pid
    with pytest.raises(HftkitError, match="died in the middle of an update"):
        reader.read(patience_s=60.0)


def test_a_page_that_changes_under_the_copy_is_copied_again(session: PageSession, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = TelemetryReader(session.page_path)
    fills, again = reader._recent_fills, []

    def fills_while_the_engine_publishes() -> object:
        if not again:
            again.append(1)
            session.rooms.session[0]["n_orders"] = 77
            session.publish()
        return fills()

    monkeypatch.setattr(reader, "_recent_fills", fills_while_the_engine_publishes)
    assert int(reader.read().session["n_orders"]) == 77
    assert again
