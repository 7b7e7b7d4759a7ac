"""`hftkit monitor`: the panel's figures as text, once or until the session ends; the reason of a veto among them."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from hftkit.codes import Reject, SessionStatus
from hftkit.errors import HftkitError
from hftkit.kernels.memory import telemetry as page_kernel
from hftkit.session.telemetry import write_veto
from live.commands import monitor
from live.watch import watch
from tests.panel_session import PageSession


def test_the_figures_of_a_session_are_printed(tmp_path: Path) -> None:
    session = PageSession(tmp_path)
    session.trade()
    session.publish()
    done = CliRunner().invoke(monitor, [str(tmp_path), "--once"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "net P&L 8.75" in done.stdout
    assert "AAA/BBB" in done.stdout


def test_it_watches_until_the_session_has_ended(tmp_path: Path, capsys) -> None:
    session = PageSession(tmp_path)
    session.trade()
    session.publish()
    looks: list[float] = []

    def wait(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            session.page.head[page_kernel.STATUS] = int(SessionStatus.STOPPED)

    watch(str(tmp_path), False, 0.5, wait)
    assert looks == [0.5, 0.5]
    assert capsys.readouterr().out.count("net P&L 8.75") == 3


def test_the_reason_of_the_last_veto_is_shown(tmp_path: Path) -> None:
    session = PageSession(tmp_path)
    session.publish()
    assert "last:" not in CliRunner().invoke(monitor, [str(tmp_path), "--once"]).stdout
    write_veto(session.page.head, int(Reject.RISK_EXPOSURE_LIMIT), 1)
    shown = CliRunner().invoke(monitor, [str(tmp_path), "--once"]).stdout
    assert f"(last: {Reject.RISK_EXPOSURE_LIMIT.text}, BBB)" in shown


def test_a_folder_without_a_session_is_one_line(tmp_path: Path) -> None:
    failed = CliRunner().invoke(monitor, [str(tmp_path)])
    assert isinstance(failed.exception, HftkitError)
    assert "has no running session" in str(failed.exception)
