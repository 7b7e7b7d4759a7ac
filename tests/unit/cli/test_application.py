"""The command line: every command explains itself; every failure is one line and a status."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from hftkit.cli.application import _SUMMARY, GROUP, app
from hftkit.cli.application import main as cli_main
from hftkit.errors import DataError

COMMANDS = sorted(entry.name for entry in entry_points(group=GROUP))
TOP = [name for name in COMMANDS if "." not in name]  # `group.command` is added to a group by another package
RUN = "import sys\nfrom hftkit.cli.application import main\nsys.argv = ['hftkit', *sys.argv[1:]]\nmain()\n"


def hftkit(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", before + RUN, *arguments], capture_output=True, text=True, check=False)


def test_the_help_lists_every_command_without_importing_any() -> None:
    probe = "import atexit, sys\natexit.register(lambda: print('pandas' in sys.modules, 'numba' in sys.modules))\n"
    shown = hftkit("--help", before=probe)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[-1] == "False False"
    for name in TOP:
        assert f"  {name} " in shown.stdout


@pytest.mark.parametrize("name", TOP)
def test_every_command_has_a_summary_in_the_help(name: str) -> None:
    assert _SUMMARY.get(name), f"add a summary of {name} to hftkit/cli/application.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    words = name.split(".")
    shown = hftkit(*words, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"hftkit {' '.join(words)}" in shown.stdout.split("\n", 1)[1], f"`hftkit {name} --help` shows no example. Cure: add one to its docstring."


def test_an_unknown_command_is_named() -> None:
    failed = hftkit("levitate")
    assert failed.returncode == 2
    assert "No such command 'levitate'" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_missing_package_is_one_line_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text("import pandas\n")
    (tmp_path / "late.py").write_text("import click\n@click.command()\ndef scan():\n    import pandas\n")
    for module, who in (("early", "`hftkit scan`"), ("late", "this command")):
        before = (
            f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nsys.modules['pandas'] = None\n"
            "from importlib.metadata import EntryPoint\nfrom hftkit.cli import application as cli\n"
            f"cli._LazyGroup._entries = lambda self: {{'scan': EntryPoint('scan', '{module}:scan', cli.GROUP)}}\n"
        )
        failed = hftkit("scan", before=before)
        assert failed.returncode == 1
        assert failed.stderr.strip() == f"hftkit: {who} needs the package pandas. Install it with: pip install 'hftkit[research]'"


def test_a_missing_room_of_our_own_does_not_blame_an_extra() -> None:
    failed = hftkit("live", "--help", before="import sys\nsys.modules['live.commands'] = None\n")
    assert failed.returncode == 1
    assert failed.stderr.strip() == "hftkit: `hftkit live` is not part of this installation: live.commands is missing. Reinstall hftkit"


@click.command()
@click.argument("how")
def fail(how: str) -> None:
    """Fail in the stated way."""
    if how == "data":
        raise DataError("prices.csv line 7 is not a number", "Repair or remove the line")
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "pipe":
        raise BrokenPipeError
    click.get_current_context().exit(int(how))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["fail", "data"], 1, "hftkit: prices.csv line 7 is not a number. Repair or remove the line\n"),
        (["fail", "0"], 0, ""),
        (["fail", "3"], 3, ""),
        (["fail"], 2, "Missing argument 'HOW'"),
        (["fail", "interrupt"], 130, ""),
        (["--version"], 0, ""),
    ],
)
def test_every_end_has_its_status(
    arguments: list[str], status: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hftkit", *arguments])
    monkeypatch.setattr(type(app), "get_command", lambda self, ctx, name: fail if name == "fail" else None)
    with pytest.raises(SystemExit) as ended:
        cli_main()
    assert (ended.value.code or 0) == status
    assert message in capsys.readouterr().err


def test_a_signal_while_python_unwinds_does_not_replace_the_exit_status() -> None:
    """The command has ended with 3 and the interpreter takes its time: a SIGTERM then came to a status of -15."""
    program = (
        "import signal, sys, click\nfrom hftkit.cli import application\n"
        "class Slow:\n    def __del__(self, read=__import__('os').read, write=__import__('os').write):\n"
        "        write(1, b'unwinding\\n'); read(0, 1)\n"
        "def command(standalone_mode):\n    signal.signal(signal.SIGTERM, lambda number, frame: None)\n    raise click.exceptions.Exit(3)\n"
        "application.app = command\nsys.slow = Slow()\napplication.main()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "unwinding\n"
    process.send_signal(signal.SIGTERM)
    process.communicate("x")
    assert process.returncode == 3
