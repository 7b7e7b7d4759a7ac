"""The panel in JupyterLab: it appears, it moves, its buttons reach the engine's control page, re-running a cell leaves one panel."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from hftkit.codes import Control, Trading
from hftkit.kernels.memory import control as queue
from tests.panel_session import PageSession, zscores

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 120_000  # a failed test takes this long; a passing one never waits for it

# JupyterLab starts its extensions one by one; a cell that runs before these two do shows the panel's static form for good
WIDGETS = ("@jupyter-widgets/jupyterlab-manager:plugin", "@jupyter-widgets/jupyterlab-manager:controls-2.0.0")
STARTED = f"{list(WIDGETS)}.every(name => window.jupyterapp?.isPluginActivated(name))"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture
def session(tmp_path: Path) -> PageSession:
    made = PageSession(tmp_path / "session-0001")
    made.trade()
    made.publish()
    return made


@pytest.fixture
def lab(tmp_path: Path, session: PageSession) -> Iterator[str]:
    """Address of a JupyterLab showing one notebook with a panel in it."""
    cell = f"from live.panels.widgets import EnginePanel\nEnginePanel({str(session.folder)!r}, refresh_s=0.1)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "panel.ipynb")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    environment["HFTKIT_CACHE"] = os.environ.get("HFTKIT_CACHE", os.path.expanduser("~/.cache/hftkit"))
    options = ["--no-browser", "--allow-root", "--IdentityProvider.token=", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    options += [
        f"--ServerApp.root_dir={tmp_path}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.expose_app_in_browser=True",
    ]
    command = [sys.executable, "-m", "jupyterlab", *options]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if "is running at" in line:
                break
        else:
            pytest.fail("JupyterLab did not start")
        yield f"http://127.0.0.1:{port}/lab/tree/panel.ipynb"
        server.terminate()
        server.stderr.read()


@pytest.fixture
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()


def answer_next(session: PageSession, code: Control) -> None:
    """Stand for the engine: take the next command as soon as it comes, and answer from the state that it leads to."""
    number, turn = session.obeyed + 1, threading.Event()
    for _ in range(PATIENCE_MS // 5):
        if session.control.command(number) is not None:
            break
        turn.wait(0.005)
    session.control.words[queue.OPEN] = 1
    session.rooms.risk[0]["trading"] = int(Trading.ENABLED if code is Control.RESUME else Trading.PAUSED)
    session.rooms.session[0]["stop_requested"] = int(code is Control.STOP)
    session.obey()


def run_cell(page: Any) -> None:
    page.locator(".jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")


def test_the_panel_lives_in_jupyterlab(lab: str, session: PageSession, browser: Any, tmp_path: Path) -> None:
    expect = playwright.expect
    expect.set_options(timeout=PATIENCE_MS)
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(lab)
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
    page.wait_for_function(STARTED)
    run_cell(page)
    status = page.locator(".jupyter-widgets .hftkit-status")  # not the static form
    expect(status).to_be_visible()
    session.publish()
    expect(status).to_have_text("trading")
    expect(page.locator("svg[role=img]")).to_contain_text("entry")

    for minute, zscore in enumerate(zscores(240), 200):  # the engine goes on: the chart follows, in place
        session.signal(minute, float(zscore))
        session.publish()
        if minute % 6 == 0:
            expect(page.locator("svg[role=img] circle")).to_have_count(1)
    session.signal(500, 2.22)
    session.publish()
    expect(page.locator("svg[role=img]")).to_contain_text("+2.22")

    for name, code in (("Pause", Control.PAUSE), ("Resume", Control.RESUME), ("Flatten", Control.FLATTEN), ("Stop", Control.STOP)):
        page.locator("button.jupyter-button", has_text=name).click()
        answer_next(session, code)
        expect(page.locator(".hftkit-message")).to_contain_text(f"{code.text} done")
    assert session.commands() == [Control.PAUSE, Control.RESUME, Control.FLATTEN, Control.STOP]

    session.rooms.risk[0]["trading"] = int(Trading.PAUSED)
    session.publish()
    expect(status).to_have_text("paused")

    (session.folder / "control.page").rename(session.folder / "away")  # an error is shown where the operator looks
    page.locator("button.jupyter-button", has_text="Pause").click()
    expect(page.locator(".hftkit-message")).to_contain_text("nobody received this")
    (session.folder / "away").rename(session.folder / "control.page")
    if folder := os.environ.get("HFTKIT_SCREENSHOTS"):
        page.locator(".jp-OutputArea").first.screenshot(path=str(Path(folder) / "panel.png"))

    run_cell(page)
    expect(status).to_have_count(1)
    expect(page.locator("svg[role=img]")).to_have_count(1)


def test_the_static_form_renders_without_a_kernel(session: PageSession, browser: Any, tmp_path: Path) -> None:
    from live.panels.widgets import EnginePanel

    panel = EnginePanel(session.folder, refresh_s=3600)
    for minute, zscore in enumerate(zscores(240), 200):
        session.signal(minute, float(zscore))
        session.publish()
        panel.refresh()
    (tmp_path / "static.html").write_text(f"<meta charset=utf-8>{panel._repr_mimebundle_()['text/html']}")
    panel.close()
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.set_content((tmp_path / "static.html").read_text())
    playwright.expect(page.locator("svg[role=img]")).to_be_visible()
    playwright.expect(page.get_by_role("cell", name="101.500", exact=True)).to_be_visible()
    if folder := os.environ.get("HFTKIT_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / "static.png"))
