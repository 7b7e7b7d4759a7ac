"""`hftkit monitor`: the panel's figures as text, once."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from hftkit.errors import HftkitError
from live.commands import monitor
from tests.panel_session import PageSession


def test_the_figures_of_a_session_are_printed(tmp_path: Path) -> None:
    session = PageSession(tmp_path)
    session.trade()
    session.publish()
    done = CliRunner().invoke(monitor, [str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "net P&L 8.75" in done.stdout
    assert "AAA/BBB" in done.stdout


def test_a_folder_without_a_session_is_one_line(tmp_path: Path) -> None:
    failed = CliRunner().invoke(monitor, [str(tmp_path)])
    assert isinstance(failed.exception, HftkitError)
    assert "has no running session" in str(failed.exception)
