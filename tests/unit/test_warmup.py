"""`hftkit warmup`: what the rooms name is compiled once and found on disk afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hftkit import warmup
from hftkit.commands import warmup as command
from hftkit.errors import HftkitError


class FakeEntry:
    def __init__(self, name: str, tasks: list[warmup.Task] | None) -> None:
        self.name = name
        self._tasks = tasks

    def load(self) -> object:
        if self._tasks is None:
            raise ModuleNotFoundError("No module named 'live'", name="live")
        return lambda: self._tasks


def install(monkeypatch: pytest.MonkeyPatch, *entries: FakeEntry) -> None:
    monkeypatch.setattr(warmup, "entry_points", lambda group: entries)


def test_every_task_of_every_room_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    install(
        monkeypatch, FakeEntry("b", [("two", lambda: ran.append("two"))]), FakeEntry("a", [("one", lambda: ran.append("one"))]), FakeEntry("c", None)
    )
    done = CliRunner().invoke(command, [], catch_exceptions=False)
    assert ran == ["one", "two"]
    assert "2 kernels ready" in done.stdout
    assert "c skipped: live is not installed" in done.stderr


def test_a_kernel_that_does_not_compile_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise TypeError("No implementation of\n function foo")

    install(monkeypatch, FakeEntry("a", [("fine", lambda: None), ("hot loop", broken)]))
    failed = CliRunner().invoke(command, [])
    assert isinstance(failed.exception, HftkitError)
    assert str(failed.exception) == "hot loop does not compile: No implementation of function foo. Run `hftkit doctor`"


def test_only_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    install(monkeypatch, FakeEntry("a", [("one", lambda: ran.append("one")), ("two", lambda: ran.append("two"))]))
    assert "1 kernels ready" in CliRunner().invoke(command, ["--only", "two"], catch_exceptions=False).stdout
    assert ran == ["two"]
    refused = CliRunner().invoke(command, ["--only", "three"])
    assert str(refused.exception) == "no kernel is called three. Choose among: one, two"


def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeEntry("a", [("fine", lambda: None)]))
    done = CliRunner().invoke(command, ["--quiet"], catch_exceptions=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_second_warmup_compiles_nothing(tmp_path: Path) -> None:
    """The core's own list, in two real processes: after the first, every kernel comes from disk and no cache file is written."""
    code = "from hftkit.warmup_core import warm\nfor label, task in warm()[:3]: task()"
    environment = {**os.environ, "HFTKIT_CACHE": str(tmp_path)}

    def run() -> dict[Path, int]:
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}

    first = run()
    assert len(first) > 4
    assert run() == first
