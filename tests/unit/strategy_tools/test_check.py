"""`hftkit strategy`: what it writes works, and what may not trade is refused, with its step and its hook named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hftkit.errors import ParamsError
from hftkit.strategy_tools import trial
from hftkit.strategy_tools.check import Report, check_strategy
from hftkit.strategy_tools.commands import strategy_group
from hftkit.strategy_tools.find import find_strategy, parameters_for
from hftkit.strategy_tools.template import FILES, STRATEGY

WRONG = {
    "endless": ("    mid = mid_ticks(", "    while params[WEIGHT] > 0.0:\n        state[MEAN] += 1.0\n    mid = mid_ticks("),
    "beyond": ("    state[TARGET] = target\n", "    state[TARGET + 7] = target\n"),
    "foreign": ("    state[TARGET] = target\n", "    state[TARGET] = target\n    held[slot, 0].position = 0\n"),
    "greedy": ("    state[TARGET] = target\n", "    state[TARGET] = target\n    params[ENTRY] = 0.5\n"),
    "neighbour": ("    s.target, s.reason = target, reason\n", "    s.target, s.reason = target, reason\n    signal[slot + 1].target = 1\n"),
    "allocates": ("    state[TARGET] = target\n", "    state[TARGET] = np.zeros(3)[0] + target\n"),
    "loose": ("    entry_ticks: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]\n", "    entry_ticks: str\n"),
    "unsteady": ("    return np.zeros(2, np.float64)\n", "    return np.random.default_rng().normal(size=2)\n"),
}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A strategy whose file is written here, in this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(name: str) -> str:
        text = STRATEGY.replace("NAME", name)
        if name in WRONG:
            old, new = WRONG[name]
            assert old in text, "the template has changed"
            text = text.replace(old, new)
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return str(tmp_path / f"{name}.py")

    return write


@pytest.mark.parametrize(
    ("name", "step", "words"),
    [
        ("foreign", "writes", "on_book writes into `held`, which is not its own"),
        ("greedy", "writes", "on_book writes into `params`, which is frozen"),
        ("neighbour", "writes", "on_book writes into the signal of another strategy"),
        ("unsteady", "look-ahead", "gives other bits when it is made again"),
    ],
)
def test_what_reaches_too_far_is_refused(written, name: str, step: str, words: str) -> None:
    found = find_strategy(written(name))
    with pytest.raises(trial.Refused, match=words):
        trial.STEPS[step](found, parameters_for(found, ""))


@pytest.mark.parametrize(("name", "words"), [("allocates", "does not compile"), ("loose", "parameter entry_ticks may be 'nan'")])
def test_what_is_no_kernel_or_has_no_ranges_is_refused(written, name: str, words: str) -> None:
    found = find_strategy(written(name))
    with pytest.raises((trial.Refused, ParamsError), match=words):
        trial.check_schema(found, parameters_for(found, ""))


def test_a_hook_that_writes_beyond_its_state_is_refused(written) -> None:
    """Without bounds checks by the words beside its memory; with them, as the check runs it, by the index."""
    found = find_strategy(written("beyond"))
    with pytest.raises(trial.Refused, match=r"on_book (writes beyond its state of 2 words|reaches beyond an array)"):
        trial.check_writes(found, parameters_for(found, ""))


def test_a_hook_that_loops_for_ever_is_ended_and_named(written) -> None:
    path = written("endless")
    report = _only(path, "writes", call_s=3.0)
    assert not report.passed
    assert report.steps[-1].found == "on_book does not come back within 3 s: it loops for ever, or takes far too long"


def _only(path: str, step: str, call_s: float) -> Report:
    from hftkit.strategy_tools import check

    return Report(path, (check._run(path, "", step, 300.0, call_s),))


def test_a_file_that_is_none_is_told() -> None:
    with pytest.raises(ParamsError, match=r"there is no file .*nothing\.py"):
        find_strategy("nothing.py")
    with pytest.raises(ParamsError, match="there is no strategy"):
        find_strategy("nothing_like_this")
    with pytest.raises(ParamsError, match="there are no parameters to try pairs with"):
        parameters_for(find_strategy("pairs"), "")


def test_new_writes_what_it_says_and_overwrites_nothing(tmp_path: Path) -> None:
    told = CliRunner().invoke(strategy_group, ["new", "dips", "--folder", str(tmp_path / "dips")])
    assert told.exit_code == 0, told.output
    assert {path.name for path in (tmp_path / "dips").iterdir()} == {file.replace("NAME", "dips") for file in FILES}
    again = CliRunner().invoke(strategy_group, ["new", "dips", "--folder", str(tmp_path / "dips")])
    assert isinstance(again.exception, ParamsError)
    for name in ("Dips", "9dips", "_dips", "di-ps"):
        assert isinstance(CliRunner().invoke(strategy_group, ["new", name]).exception, ParamsError)


def test_a_strategy_of_nobody_else_passes_every_step_in_this_process(written) -> None:
    found = find_strategy(written("good"))
    frozen = parameters_for(found, "")
    said = [trial.STEPS[step](found, frozen) for step in ("schema", "writes", "look-ahead", "replay")]
    assert said[0] == "on_book"
    assert "orders" in said[3]


@pytest.mark.slow
def test_the_whole_check_in_its_processes(tmp_path: Path) -> None:
    CliRunner().invoke(strategy_group, ["new", "dips", "--folder", str(tmp_path)])
    report = check_strategy(str(tmp_path / "dips.py"))
    assert report.passed, report.lines()
    told = CliRunner().invoke(strategy_group, ["check", str(tmp_path / "dips.py"), "--json"])
    assert json.loads(told.output)["passed"]
