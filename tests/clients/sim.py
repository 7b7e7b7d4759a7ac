"""A simulator as a process, asked by hand; and bots as processes that are waited for."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[2]
MARKET = Path(__file__).with_name("market.toml")
CLIENTS = ROOT / ".venv-clients"


class Venue:
    """What the ready file tells."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.url, self.ws_url = ready["url"], ready["ws_url"]
        self.key = next(key for key in ready["keys"] if (key["account"], key["kind"]) == (1, "HMAC"))

    def signed(self, path: str, **params: Any) -> Any:
        """A signed GET of account 1."""
        query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000, "recvWindow": 60_000})
        signature = hmac.new(self.key["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(f"{self.url}{path}?{query}&signature={signature}", headers={"X-MBX-APIKEY": self.key["key"]})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def wallet(self) -> str:
        """The wallet balance of account 1."""
        return str(next(row["balance"] for row in self.signed("/fapi/v3/balance") if row["asset"] == "USDT"))


def wait_for(condition: Callable[[], Any], what: str, seconds: float, alive: subprocess.Popen[bytes]) -> Any:
    """Its first true value; fails when the time is over, or the process ends before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the process ended with {alive.wait(0.5)} before {what}")
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def stop(process: subprocess.Popen[bytes], seconds: float = 120) -> int:
    """Ask it to end, and wait."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def simulator(folder: Path) -> Iterator[Venue]:
    """A running simulator of tests/clients/market.toml."""
    ready = folder / "sim.json"
    command = [sys.executable, "-m", "hftkit.cli", "sim", "--config", str(MARKET), "--start-from-sample", "--ready-file", str(ready), "--quiet"]
    command += ["--binance-port", "0", "--order-port", "0", "--market-port", "0"]
    with (folder / "sim.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=dict(os.environ))
        try:
            wait_for(ready.exists, "the simulator's ready file", 900, process)
            yield Venue(json.loads(ready.read_text())["binance"])
        finally:
            stop(process)
    text = (folder / "sim.log").read_text()
    assert "Traceback" not in text, text[-3000:]
