"""Commands about the installation itself: `hftkit warmup` and `hftkit doctor`."""

from __future__ import annotations

import json
import os

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from hftkit.clock import monotonic_ns
from hftkit.compilation.warmup import Warmed
from hftkit.errors import HftkitError

_PROFILE_ROWS = 25


@click.command()
@click.option("--quiet", is_flag=True, help="Say nothing unless something fails.")
@click.option("--only", multiple=True, metavar="LABEL", help="Only this one of the kernels that it lists while it works; may be given again.")
@click.option("--jobs", type=click.IntRange(1, 64), default=lambda: os.cpu_count() or 1, show_default="one for each core", help="Processes at work.")
@click.option("--profile", is_flag=True, help="Say what was compiled, how long each took by itself, and what was compiled more than once.")
def warmup(quiet: bool, only: tuple[str, ...], jobs: int, profile: bool) -> None:
    """Compile every kernel that live, simulator and replay use into the cache.

    The first time on a machine takes some two minutes on two cores; later runs find everything on disk. The cache is keyed by a digest of the
    kernel sources, so an update needs one more warmup, never a clean.

    \b
    Examples:
      hftkit warmup
      HFTKIT_CACHE=$(mktemp -d) hftkit warmup --profile
    """
    from hftkit.compilation.warmup import find_tasks, warm_all
    from hftkit.kernels.jit import cache_folder

    tasks, skipped = find_tasks()
    if unknown := set(only) - {label for label, _ in tasks}:
        raise HftkitError(f"no kernel is called {', '.join(sorted(unknown))}", f"Choose among: {', '.join(label for label, _ in tasks)}")
    if only:
        tasks = [(label, task) for label, task in tasks if label in only]
    for line in skipped:
        click.echo(line, err=True)
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("compiling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        bar = progress.add_task(escape(tasks[0][0]) if tasks else "", total=len(tasks))
        running = warm_all(tasks, jobs)
        begun = monotonic_ns()
        warmed: list[Warmed] = []
        for i, (label, _) in enumerate(tasks):
            progress.update(bar, description=escape(label), completed=i)
            try:
                warmed.append(next(running))
            except Exception as error:
                raise HftkitError(f"{label} does not compile: {' '.join(str(error).split())[:300]}", "Run `hftkit doctor`") from error
    if not quiet:
        click.echo(f"{len(tasks)} kernels ready in {(monotonic_ns() - begun) / 1e9:.1f} s, kept in {cache_folder()}")
    if profile:
        _print_profile(warmed)


def _print_profile(warmed: list[Warmed]) -> None:
    """Tasks, then functions, the costliest first; what was compiled more than once is marked."""
    from hftkit.compilation.compile_profile import summed

    console = Console(highlight=False)
    tasks = Table("task", Column("s", justify="right"), Column("functions", justify="right"), title="what was asked for")
    for one in warmed:
        tasks.add_row(one.label, f"{one.seconds:.1f}", str(len(one.compiled)))
    rows = summed(compiled for one in warmed for compiled in one.compiled)
    functions = Table("function", "module", Column("s", justify="right"), Column("times", justify="right"), title="what was compiled, by itself")
    for found, times in rows[:_PROFILE_ROWS]:
        functions.add_row(found.name, found.module, f"{found.seconds:.2f}", str(times))
    total, again = sum(found.seconds for found, _ in rows), sum(found.seconds * (times - 1) / times for found, times in rows)
    console.print(tasks, functions)
    console.print(f"{len(rows)} functions, {total:.1f} s of compiling; {again:.1f} s of it for other types, or compiled already elsewhere")


@click.command()
@click.option("--clean", is_flag=True, help="First remove the kernel caches of other versions, and what dead engines left in shared memory.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(clean: bool, as_json: bool) -> None:
    """Check this machine and installation; every warning comes with its cure.

    Exits non-zero only if something is wrong that nothing works without.

    \b
    Examples:
      hftkit doctor
      hftkit doctor --clean
    """
    from hftkit.cli.doctor import clean_stale_caches, examine
    from hftkit.session.pages import find_left, remove_left

    if clean:
        freed = clean_stale_caches()
        click.echo(f"removed stale kernel caches: {freed / 1e6:.1f} MB", err=as_json)
        left = find_left()
        click.echo(f"removed {len(left)} telemetry pages of dead engines: {remove_left(left) / 1e6:.1f} MB", err=as_json)
    findings = examine()
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(findings), indent=2))
    else:
        console = Console(highlight=False)
        for finding in findings:
            verdict = "[green]ok  [/]" if finding.ok else "[red]FAIL[/]" if finding.fatal else "[yellow]warn[/]"
            console.print(f"{verdict} {finding.subject:14} {escape(finding.seen)}", soft_wrap=True)
            if not finding.ok:
                console.print(f"     {'':14} cure: {escape(finding.cure)}", soft_wrap=True)
    broken = [finding for finding in findings if finding.fatal and not finding.ok]
    if broken:
        raise HftkitError(f"{', '.join(finding.subject for finding in broken)} not fit", broken[0].cure)
