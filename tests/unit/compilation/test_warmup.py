"""`hftkit warmup`: what the rooms name is compiled once and found on disk afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hftkit.cli.commands import warmup as command
from hftkit.compilation import warmup
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
    done = CliRunner().invoke(command, ["--jobs", "1"], catch_exceptions=False)
    assert ran == ["one", "two"]
    assert "2 kernels ready" in done.stdout
    assert "c skipped: live is not installed" in done.stderr


def test_a_kernel_that_does_not_compile_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise TypeError("No implementation of\n function foo")

    install(monkeypatch, FakeEntry("a", [("fine", lambda: None), ("hot loop", broken)]))
    failed = CliRunner().invoke(command, ["--jobs", "1"])
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
    done = CliRunner().invoke(command, ["--quiet", "--jobs", "1"], catch_exceptions=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_second_warmup_compiles_nothing(tmp_path: Path) -> None:
    """The core's own list, in two real processes: after the first, every kernel comes from disk and no cache file is written."""
    code = "from hftkit.compilation.warmup_core import warm\nfor label, task in warm()[-3:]: task()"
    environment = {**os.environ, "HFTKIT_CACHE": str(tmp_path)}

    def run() -> dict[Path, int]:
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}

    first = run()
    assert len(first) > 4
    assert run() == first


def test_several_processes_compile_the_same_as_one(tmp_path: Path) -> None:
    """Two lines at once, each with two processes: whatever they write at the same time, a third finds everything and writes nothing."""
    labels = ("strategy pairs", "control page", "journal check")
    line = [str(Path(sys.executable).parent / "hftkit"), "warmup", "--jobs", "2", *(word for label in labels for word in ("--only", label))]
    environment = {**os.environ, "HFTKIT_CACHE": str(tmp_path)}
    both = [subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert all("3 kernels ready" in process.communicate()[0] and process.returncode == 0 for process in both)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}
    assert subprocess.run(line, env=environment, check=False, capture_output=True).returncode == 0
    assert before
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")} == before
