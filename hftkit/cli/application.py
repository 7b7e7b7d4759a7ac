"""The command line: `hftkit NAME ...`. Each subcommand is an entry point, imported only when it is called.

A command is a click command or group in some `commands.py`. Errors meant for people (hftkit.errors) become one line on
standard error and a non-zero exit status; a broken pipe or Ctrl-C ends quietly.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import resource
import signal
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points, version

import click

from hftkit.errors import HftkitError
from hftkit.reading import printable

GROUP = "hftkit.commands"
_PIPED_COLUMNS = 200
_OWN = ("hftkit", "research", "live")
_SUMMARY = {
    "demo": "the whole story: find, calibrate, freeze, trade, replay, report",
    "data": "make, check and describe price data",
    "scan": "find cointegrated pairs",
    "calibrate": "calibrate one pair and check it out of sample",
    "freeze": "write one frozen parameter file",
    "backtest": "trade a frozen file over history, on the live step",
    "strategy": "make a strategy of your own, and check it",
    "check-lookahead": "does a signal use data of the future",
    "params": "show, verify, compare and reproduce frozen parameter files",
    "sim": "run the exchange simulator",
    "faults": "switch faults of a running simulator",
    "live": "trade frozen parameters",
    "replay": "re-run a session's journal and prove that every decision is the same",
    "journals": "list and remove the folders of finished sessions",
    "monitor": "watch a running engine",
    "sessions": "list the sessions that run, and what killed ones held",
    "stop": "stop a running session, flat",
    "pause": "no new entries in a running session",
    "resume": "let a paused session trade again",
    "reload": "give a running session new frozen files or limits",
    "flatten": "close everything: of a running session, or of an account without one",
    "soak": "does a session grow: memory, descriptors and journal over hours",
    "chaos": "kill the engine again and again; the venue's own record is the judge",
    "bench": "measure, beside a reference",
    "evidence": "every figure that hftkit can be held against",
    "doctor": "check this machine and installation",
    "warmup": "compile every kernel into the cache",
    "notebook": "open or execute the notebooks",
}


class _LazyGroup(click.Group):
    def _entries(self) -> dict[str, EntryPoint]:
        return {entry.name: entry for entry in entry_points(group=GROUP)}

    def _inner(self, group: click.Command | None, name: str) -> click.Command | None:
        """Commands that other packages add to a group: entry points named `group.command`."""
        added = {entry.name.split(".")[1]: entry for key, entry in self._entries().items() if key.startswith(f"{name}.")}
        if added and group is None:
            group = click.Group(name, help=_SUMMARY.get(name, "").capitalize() + ".")
        if isinstance(group, click.Group):
            for inner, entry in added.items():
                group.add_command(entry.load(), inner)
        return group

    def list_commands(self, ctx: click.Context) -> list[str]:
        known = [name for name in _SUMMARY if name in self._entries()]
        return known + sorted(name for name in self._entries() if name not in known and "." not in name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries().get(cmd_name)
        if entry is None or "." in cmd_name:
            return None
        try:
            return self._inner(entry.load(), cmd_name)
        except ModuleNotFoundError as error:
            if any(name.startswith(f"{cmd_name}.") for name in self._entries()):
                return self._inner(None, cmd_name)  # a trading host: what other packages add works without research
            raise _missing(error, f"`hftkit {cmd_name}`") from None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """click's, with a suggestion for a word that is nearly a command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=2, cutoff=0.6) if args else []
            cure = f"Did you mean {' or '.join(near)}?" if near else "hftkit --help lists them."
            raise click.UsageError(f"No such command {args[0]!r}. {cure}" if args else error.message, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _SUMMARY.get(name, "")) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _missing(error: ModuleNotFoundError, who: str) -> HftkitError:
    package = (error.name or "").split(".")[0]
    if package in _OWN:
        return HftkitError(f"{who} is not part of this installation: {error.name} is missing", "Reinstall hftkit")
    return HftkitError(f"{who} needs the package {package}", "Install it with: pip install 'hftkit[research]'")


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("hftkit"), prog_name="hftkit")
def app() -> None:
    """hftkit: from a notebook to a live, replayable trading session.

    Start with `hftkit demo`; each command has --help with an example.
    """


def _tell(line: str) -> None:
    """A line on standard error, if it can be written: the exit status says the same to whoever closed it. Foreign text in it steers no terminal."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(printable(" ".join(line.split())), file=sys.stderr, flush=True)


def _limited() -> str:
    """What to do where the address space of this process is limited, '' where it is not."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return "" if soft == resource.RLIM_INFINITY else f"The address space is limited to {soft >> 20:,} MB (ulimit -v): raise it to 4,000 or more"


def _keep_exit_status() -> None:
    """Ignore the signals that a command took over: its work is done, and a signal must not replace its exit status.

    Python gives them back to the system while it unwinds, which takes a second on a busy machine: a session that ended in order would count as
    killed.
    """
    for number in signal.valid_signals():
        if callable(handler := signal.getsignal(number)) and handler is not signal.default_int_handler:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_IGN)


def main() -> None:
    """Entry point of the console script: errors for people become one line and an exit status."""
    try:
        _run()
    finally:
        _keep_exit_status()


def _run() -> None:
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", str(_PIPED_COLUMNS))  # rich takes 80 where it cannot ask a terminal, and cuts tables
    # Without standalone mode click returns the status of `ctx.exit(n)` instead of raising it.
    _for_people(lambda: app(standalone_mode=False))


def for_people(action: Callable[[], object]) -> None:
    """Run an action of a process of its own as a command is run; what it returns is the exit status, where it is a number."""
    try:
        _for_people(action)
    finally:
        _keep_exit_status()


def _for_people(action: Callable[[], object]) -> None:
    try:
        status = action()
    except HftkitError as error:
        _tell(f"hftkit: {error}")
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:  # imported where it is used, inside a command
        _tell(f"hftkit: {_missing(error, 'this command')}")
        sys.exit(1)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(141)
    except MemoryError:
        _tell(f"hftkit: not enough memory. {_limited() or 'Free some, or ask for less'}")
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that may not be written: the system's own words, and where
        where = f"{error.filename}: " if error.filename else ""
        cure = _limited() or "Check the path, its permissions and the free space"
        _tell(f"hftkit: {where}{error.strerror or error or type(error).__name__}. {cure}")
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
