"""`hftkit bench`: the figures beside their reference, and a wrong answer is a failed command."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from hftkit.benchmarks import commands
from hftkit.benchmarks.commands import bench, number
from hftkit.benchmarks.registry import Benchmark, NotHere, Result, WrongAnswer
from hftkit.errors import HftkitError

FAST = Result("fast", "us", 5.7, {"p50": 5.7, "p99": 9.25, "max": 80.0}, "C loop", 5.6, 0.98, {"messages": 1000}, "< 50 and ratio >= 0.8")
SLOW = Result("slow", "orders/s", 1.2e6, goal="> 2e6")


def refuse(error: HftkitError) -> list[Result]:
    raise error


class FakeEntry:
    """An entry point that gives a module with these benchmarks, or lacks a package."""

    def __init__(self, name: str, benchmarks: list[Benchmark] | None) -> None:
        self.name = name
        self._benchmarks = benchmarks

    def load(self) -> SimpleNamespace:
        if self._benchmarks is None:
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
        return SimpleNamespace(BENCHMARKS=self._benchmarks)


@pytest.fixture(autouse=True)
def rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        FakeEntry("core", [Benchmark("fast", lambda: [FAST]), Benchmark("slow", lambda: [SLOW])]),
        FakeEntry("broken", [Benchmark("liar", lambda: refuse(WrongAnswer("the book was crossed")))]),
        FakeEntry("picky", [Benchmark("needs_c", lambda: refuse(NotHere("there is no C compiler")))]),
        FakeEntry("research", None),
    ]
    monkeypatch.setattr(commands, "entry_points", lambda group: entries)


def test_the_file_is_a_list_with_machine_and_verdict(tmp_path: Path) -> None:
    file = tmp_path / "new" / "bench.json"
    done = CliRunner().invoke(bench, ["core", "--json", str(file)], catch_exceptions=False)
    assert done.exit_code == 0
    fast, slow = json.loads(file.read_text())
    wanted = {"name": "fast", "unit": "us", "value": 5.7, "reference": "C loop", "reference_value": 5.6, "ratio": 0.98, "goal_met": True}
    assert wanted.items() <= fast.items()
    assert fast["percentiles"] == {"p50": 5.7, "p99": 9.25, "max": 80.0}
    assert fast["config"]["messages"] == 1000
    assert {"cpu", "cores", "kernel", "python", "versions"} <= set(fast["config"]["machine"])
    assert (slow["goal_met"], slow["reference_value"], slow["ratio"]) == (False, None, None)


def test_the_table_shows_value_reference_ratio_and_goal() -> None:
    out = CliRunner().invoke(bench, ["fast", "slow"], catch_exceptions=False).stdout
    row = next(line for line in out.splitlines() if "fast" in line)
    for text in ("5.70", "C loop", "5.60", "0.980x", "met < 50"):
        assert text in row
    assert "missed > 2e6" in out
    assert "1,200,000" in out


def test_a_wrong_answer_fails_the_command_and_keeps_the_right_figures(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = CliRunner().invoke(bench, ["--json", str(file)])
    assert isinstance(done.exception, HftkitError)
    assert "liar failed: the book was crossed" in str(done.exception)
    assert [row["name"] for row in json.loads(file.read_text())] == ["fast", "slow"]


def test_what_cannot_run_here_is_skipped_with_a_line() -> None:
    done = CliRunner().invoke(bench, ["picky", "fast"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "needs_c skipped: there is no C compiler" in done.stderr
    assert "room research skipped: pandas is not installed" in done.stderr


def test_the_list_runs_nothing() -> None:
    done = CliRunner().invoke(bench, ["--list"], catch_exceptions=False)
    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines()] == [["liar", "broken"], ["fast", "core"], ["slow", "core"], ["needs_c", "picky"]]


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    done = CliRunner().invoke(bench, ["warp"])
    assert isinstance(done.exception, HftkitError)
    assert "there is no benchmark warp. Choose among: broken, core, fast, liar" in str(done.exception)


def test_a_file_that_cannot_be_written_is_refused_before_measuring(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = CliRunner().invoke(bench, ["liar", "--json", str(tmp_path / "taken" / "bench.json")])
    assert "cannot write" in str(done.exception)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "0.000"), (5.678, "5.68"), (123.4, "123"), (1234567.0, "1,234,567"), (1.6e9, "1.6e+09"), (1e-5, "1e-05")]
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text
