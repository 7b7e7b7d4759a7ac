"""`hftkit bench`: run the rooms of benchmarks that are installed, show each figure beside its reference, write them as JSON."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hftkit.benchmarks.machine import in_words, machine
from hftkit.benchmarks.registry import Benchmark, NotHere, Result, goal_met
from hftkit.errors import HftkitError

GROUP = "hftkit.benchmarks"
WIDTH = 150  # of the table when the output is not a terminal


def find_rooms() -> tuple[dict[str, list[Benchmark]], list[str]]:
    """Benchmarks of every installed room, and a line for each room that cannot be loaded here."""
    found: dict[str, list[Benchmark]] = {}
    skipped: list[str] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            found[entry.name] = list(entry.load().BENCHMARKS)
        except ModuleNotFoundError as error:
            skipped.append(f"room {entry.name} skipped: {error.name} is not installed")
    return found, skipped


def choose(rooms: dict[str, list[Benchmark]], names: tuple[str, ...]) -> list[Benchmark]:
    """The benchmarks named, by their own name or their room's; all of them if none is named. Raises HftkitError for an unknown name."""
    every = [benchmark for room in rooms.values() for benchmark in room]
    if not names:
        return every
    known = {*rooms, *(benchmark.name for benchmark in every)}
    unknown = sorted(set(names) - known)
    if unknown:
        raise HftkitError(f"there is no benchmark {', '.join(unknown)}", f"Choose among: {', '.join(sorted(known))}")
    wanted = {benchmark.name for name in names for benchmark in rooms.get(name, [])} | set(names)
    return [benchmark for benchmark in every if benchmark.name in wanted]


def as_json(results: list[Result], facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Plain data for the file: one object a figure, its goal's verdict and the machine with it."""
    rows: list[dict[str, Any]] = []
    for result in results:
        row = msgspec.to_builtins(result)
        row["goal_met"] = goal_met(result)
        row["config"] = {**row["config"], "machine": facts}
        rows.append(row)
    return rows


def number(value: float | None) -> str:
    """Four significant digits, thousands with a comma; a dash for none."""
    if value is None:
        return "-"
    if value != 0 and (abs(value) < 0.001 or abs(value) >= 1e9):
        return f"{value:.3g}"
    digits = max(0, 3 - len(str(int(abs(value))))) if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def table_of(results: list[Result]) -> Table:
    """The figures for people."""
    table = Table(title="hftkit bench", title_justify="left", box=SIMPLE_HEAD)
    for heading, justify in (("benchmark", "left"), ("value", "right"), ("unit", "left"), ("p50 / p95 / p99 / p99.9 / max", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for heading, justify in (("reference", "left"), ("ref. value", "right"), ("ratio", "right"), ("goal", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for result in results:
        spread = " / ".join(number(result.percentiles.get(name)) for name in ("p50", "p95", "p99", "p999", "max")) if result.percentiles else "-"
        verdict = {True: "[green]met[/] ", False: "[red]missed[/] ", None: ""}[goal_met(result)]
        table.add_row(
            escape(result.name),
            number(result.value),
            escape(result.unit),
            spread,
            escape(result.reference) or "-",
            number(result.reference_value),
            "-" if result.ratio is None else f"{number(result.ratio)}x",
            f"{verdict}{escape(result.goal or '-')}",
        )
    return table


def measure(benchmarks: list[Benchmark], console: Console) -> tuple[list[Result], list[str], list[str]]:
    """Run them one after the other: results, lines on what was skipped, lines on what gave a wrong answer."""
    results: list[Result] = []
    skipped: list[str] = []
    wrong: list[str] = []
    for i, benchmark in enumerate(benchmarks, 1):
        with console.status(f"{i}/{len(benchmarks)} {benchmark.name}"):
            try:
                results += benchmark.run()
            except NotHere as reason:
                skipped.append(f"{benchmark.name} skipped: {reason}")
            except HftkitError as error:
                wrong.append(f"{benchmark.name} failed: {error}")
    return results, skipped, wrong


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here as a JSON list.")
@click.option("--list", "only_list", is_flag=True, help="List the benchmarks and stop.")
def bench(names: tuple[str, ...], file: Path | None, only_list: bool) -> None:
    """Measure, beside a reference, after checking the answers.

    NAME is a benchmark or a room of them; without one, all run (some minutes; leave the machine alone meanwhile).

    \b
    Examples:
      hftkit bench --list
      hftkit bench wire_to_wire decision
      hftkit bench --json bench.json
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    notes = Console(stderr=True, highlight=False)
    rooms, absent = find_rooms()
    if only_list:
        for room, benchmarks in rooms.items():
            for benchmark in benchmarks:
                console.print(f"{benchmark.name:28} {room}", highlight=False)
    for line in absent:
        notes.print(line, markup=False)
    if only_list:
        return
    chosen = choose(rooms, names)
    if file is not None:  # before the minutes of measuring, not after
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("[]\n")
        except OSError as error:
            raise HftkitError(f"cannot write {file}: {error.strerror}", "Name another file with --json") from None
    facts = machine()
    console.print(in_words(facts), highlight=False, markup=False)
    results, skipped, wrong = measure(chosen, notes)
    console.print(table_of(results))
    for line in skipped:
        notes.print(line, markup=False)
    if file is not None:
        file.write_text(json.dumps(as_json(results, facts), indent=1) + "\n")
    if wrong:
        raise HftkitError("; ".join(wrong), "A figure is only worth something when the answer is right: see the benchmark's check")
