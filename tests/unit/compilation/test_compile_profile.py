"""Seconds of compilations: a function's own, without those of what it calls."""

from __future__ import annotations

import importlib
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner

from hftkit.cli.commands import warmup
from hftkit.compilation.compile_profile import Compiled, Profile, profiled, summed


def test_a_caller_is_not_charged_for_what_it_calls() -> None:
    profile = Profile()
    profile.started("m", "outer", 0)
    profile.started("m", "inner", 1_000_000_000)
    profile.ended(4_000_000_000)
    profile.started("m", "inner", 4_000_000_000)
    profile.ended(5_000_000_000)
    profile.ended(7_000_000_000)
    profile.ended(8_000_000_000)  # of one that began before: nothing to say
    assert profile.done == [Compiled("m", "inner", 3.0), Compiled("m", "inner", 1.0), Compiled("m", "outer", 3.0)]
    assert summed(profile.done) == [(Compiled("m", "inner", 4.0), 2), (Compiled("m", "outer", 3.0), 1)]


def test_what_numba_compiles_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        f"# {uuid.uuid4()}: kernels are kept by the text of their module, and this run must compile",
        "from hftkit.kernels.jit import kernel",
        "@kernel\ndef twice(x):\n    return 2 * x",
        "@kernel\ndef thrice(x):\n    return twice(x) + x",
    ]
    (tmp_path / "compiled_here.py").write_text("\n\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    thrice = importlib.import_module("compiled_here").thrice
    with profiled() as profile:
        assert thrice(2) == 6
    assert {one.name.split(".")[0] for one in profile.done} >= {"twice", "thrice"}
    assert all(one.seconds > 0 for one in profile.done)
    with profiled() as again:
        thrice(3)
    assert not again.done


def test_the_command_says_what_took_how_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hftkit.compilation.warmup.find_tasks", lambda: ([("a task", lambda: None)], []))
    result = CliRunner().invoke(warmup, ["--profile", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert "a task" in result.output
    assert "0 functions, 0.0 s of compiling" in result.output
