"""`hftkit sim` as its own process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    assert process.stderr.readline().startswith("simulator sample: 12 instruments")  # printed once the ready file is there
    yield process, json.loads(ready.read_text()), ready
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
    output, _ = process.communicate(timeout=30)
    summary = json.loads(output)
    assert process.returncode == 0
    assert summary["connections"] == 1
    assert summary["orders"] > 100
    assert not path.exists()


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
