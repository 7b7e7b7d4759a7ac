"""`hftkit strategy`: make a strategy of one's own, and have it checked before it may trade."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hftkit.errors import ParamsError
from hftkit.strategy_tools.check import check_strategy
from hftkit.strategy_tools.template import FILES
from hftkit.system import private_files


@click.group("strategy")
def strategy_group() -> None:
    """Make a strategy of one's own, and have it checked.

    Example: hftkit strategy new dips && hftkit strategy check dips/dips.py
    """


@strategy_group.command("new")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to put it.  [default: a folder of that name]")
def new(name: str, folder: Path | None) -> None:
    """Write a strategy that works, its test, and what pip needs to install it.

    Example: hftkit strategy new dips
    """
    if not name.isidentifier() or name.startswith("_") or not name.isascii() or name != name.lower():
        raise ParamsError(f"{name[:64]!r} cannot be the name of a strategy", "Use small letters, digits and underscores, a letter first")
    target = folder or Path(name)
    for file in FILES:
        if (target / file.replace("NAME", name)).exists():
            raise ParamsError(f"{target / file.replace('NAME', name)} exists", "Take another name, or another folder with --folder")
    target.mkdir(parents=True, exist_ok=True)
    for file, text in FILES.items():
        path = target / file.replace("NAME", name)
        private_files.write(path, text.replace("NAME", name), "strategy", mode=0o644)
        click.echo(f"wrote {path}")
    click.echo(f"next: hftkit strategy check {target / name}.py")


@strategy_group.command("check")
@click.argument("strategy")
@click.option("--params", default="", help="A frozen file to try it with.  [default: what its module offers as example()]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
def check(strategy: str, params: str, as_json: bool) -> None:
    """Check a strategy before it may trade. STRATEGY is a file, or the name of one that is installed.

    Schema and compilation, what its hooks write, whether they look ahead, whether a replay is bit-equal, whether every call ends. Exit status 1 if it
    may not trade.

    Example: hftkit strategy check dips/dips.py
    """
    report = check_strategy(strategy, params)
    if as_json:
        steps = [{"name": step.name, "passed": step.passed, "found": step.found} for step in report.steps]
        click.echo(json.dumps({"strategy": strategy, "passed": report.passed, "steps": steps}))
    else:
        click.echo("\n".join([*report.lines(), "it may trade" if report.passed else "it may not trade"]))
    if not report.passed:
        raise SystemExit(1)
