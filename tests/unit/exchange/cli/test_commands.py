"""`hftkit sim` as its own process."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hftkit.errors import HftkitError
from hftkit.exchange.cli.commands import sim
from hftkit.exchange.cli.fault_commands import faults
from hftkit.exchange.faults import plan as faults_room
from hftkit.exchange.faults.plan import FaultControl
from hftkit.exchange.testing import PlainClient
from tests.unit.exchange.running import QUIET

SIM = [sys.executable, "-m", "hftkit.cli", "sim"]
FREE = ["--order-port", "0", "--market-port", "0"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any], Path]]:
    ready = tmp_path / "run" / "sim.json"
    command = [*SIM, *FREE, "--speed", "100", "--ready-file", str(ready), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = takewhile(lambda line: not line.startswith("simulator sample: 12 instruments"), process.stderr)
        assert all("compil" in line for line in said)  # then the ready file is there
        yield process, json.loads(ready.read_text()), ready
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_told_to_stop_and_sums_up(running: tuple[subprocess.Popen[str], dict[str, Any], Path], number: signal.Signals) -> None:
    process, ready, path = running
    assert ready["pid"] == process.pid
    assert ready["speed"] == 100.0
    assert ready["exchange_start_ns"] == 1_768_176_000_000_000_000  # 2026-01-12, where the sample ends
    with PlainClient(ready["host"], ready["order_port"]) as client:
        assert client.logon(1).name == "LOGON_ACK"
    process.send_signal(number)
    process.send_signal(number)  # by an impatient hand
    output, _ = process.communicate(timeout=30)
    summary = json.loads(output)
    assert process.returncode == 0
    assert summary["connections"] == 1
    assert summary["orders"] > 100
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--rate 5", "--rate says how a history is played, and there is none"),
        ("--queue neutral", "--queue says how"),
        ("--hold", "Leave out --hold, or give --history"),
        ("--participation 0.5", "--participation says how"),
        ("--history h.npz --speed 2", "a history has --rate. Leave out --speed, or --history"),
        ("--history h.npz --seed 2", "a seed makes a synthetic market, and a history is none"),
        ("--history h.npz --start-from-sample", "a history has its own time"),
        ("--history h.npz --scenario crash", "a scenario moves the synthetic market"),
        ("--history h.npz --binance-port 0 --hold", "a history must run at their pace"),
        ("--scenario feed_outage --faults rough_sea", "scenario feed_outage brings faults of its own"),
        ("--order-port 7000 --market-port 7000", "both have port 7000"),
        ("--faults rough_see", "there is no fault plan rough_see. Give a TOML file, or one of lossy_feed, lost_line, rough_sea"),
        ("--scenario crush", "there is no scenario crush"),
        ("--config nowhere.toml", "cannot read simulator configuration nowhere.toml: No such file or directory"),
        ("--binance-tls", "--binance-tls writes a certificate beside the ready file, and there is none"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_line(options: str, says: str) -> None:
    with pytest.raises(HftkitError) as raised:
        CliRunner().invoke(sim, options.split(), catch_exceptions=False)
    assert says in str(raised.value)


@pytest.mark.parametrize("options", ["--speed nan", "--speed 0", "--speed inf", "--duration nan", "--duration -1", "--seed -1", "--order-port 70000"])
def test_numbers_that_are_none_are_refused(options: str) -> None:
    done = CliRunner().invoke(sim, options.split())
    assert done.exit_code == 2
    assert "Invalid value for" in done.output


def test_a_ready_file_has_one_owner_and_a_dead_one_is_replaced(
    running: tuple[subprocess.Popen[str], dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults_room, "PATIENCE_S", 0.5)
    process, _, path = running
    control = FaultControl(path)
    with pytest.raises(HftkitError, match=f"belongs to a simulator that is running .process {process.pid}"):
        CliRunner().invoke(sim, ["--ready-file", str(path), *FREE], catch_exceptions=False)
    assert control.answers(5.0)  # it was not disturbed
    process.kill()
    process.wait()
    assert path.exists()
    invoked = CliRunner().invoke(faults, ["--sim", str(path), "show"])
    assert "does not answer: it has ended, or stands still" in str(invoked.exception)
    again = subprocess.run([*SIM, *FREE, "--ready-file", str(path), "--duration", "0.1"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert list(path.parent.iterdir()) == []


def _take_terminal() -> None:
    """In the child: the terminal on its standard input is its own, and what happens to it is heard (whoever runs the tests may ignore SIGHUP)."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_a_closed_terminal_ends_it_in_order(tmp_path: Path) -> None:
    """The page is being drawn, and then there is nothing to draw on: the ready file goes, the recording is whole."""
    master, slave = pty.openpty()
    command = [*SIM, *FREE, "--config", str(QUIET), "--ready-file", str(tmp_path / "sim.json"), "--record", str(tmp_path / "rec")]
    with open(tmp_path / "errors", "w") as errors:
        process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=errors,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
    os.close(slave)
    seen = b""
    while b"no clients" not in seen and select.select([master], [], [], 300.0)[0]:
        seen += os.read(master, 65536)
    os.close(master)
    assert process.wait(60) == 0
    assert (tmp_path / "errors").read_text() == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["errors", "rec"]


def test_a_port_in_use_is_one_line_and_a_failure(running: tuple[subprocess.Popen[str], dict[str, Any], Path]) -> None:
    _, ready, _ = running
    again = subprocess.run([*SIM, "--order-port", str(ready["order_port"]), "--market-port", "0"], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert f"port {ready['order_port']} (order entry) on 127.0.0.1 is in use" in again.stderr


def test_a_configuration_file_and_a_duration() -> None:
    done = subprocess.run([*SIM, *FREE, "--config", str(QUIET), "--duration", "0.2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "exchange time 2026-01-05T00:00:00Z" in done.stdout
    assert "stopped after" in done.stdout
