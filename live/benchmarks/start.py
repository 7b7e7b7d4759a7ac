"""Cold and warm start of `hftkit live` as a user sees it: process start to trading enabled, against a real simulator process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.benchmarks.registry import Result, WrongAnswer
from hftkit.clock import monotonic_s
from hftkit.params.format import FrozenParams, LegPlan, freeze
from live.venues.binary.discovery import discover

_HFTKIT = [sys.executable, "-m", "hftkit.cli"]


def _frozen(folder: Path, host: str, port: int) -> Path:
    offered = discover(host, port, 10.0)[:2]
    plan = bench_config().strategies[0].legs
    legs = LegPlan(
        lead=offered[0].symbol,
        hedge=offered[1].symbol,
        unit_lead_lots=plan.unit_lead_lots,
        unit_hedge_lots=plan.unit_hedge_lots,
        slippage_ticks=5,
        hedge_deadline_ns=10**9,
        retry_ns=10**7,
        residual_lots=0,
    )
    body = FrozenParams(
        schema_version=1,
        name="start",
        strategy="pairs",
        strategy_version=1,
        instruments=offered,
        legs=legs,
        parameters={
            "hedge_ratio": "1.0",
            "bar_ns": 60 * 10**9,
            "window": 60,
            "entry_z": "2.0",
            "exit_z": "0.5",
            "stop_z": "4.0",
            "max_holding_bars": 60,
        },
        arrays={},
        provenance={},
        valid_from_ns=0,
        valid_until_ns=2**62,
    )
    return freeze(body, folder)


def _start(params: Path, ready: Path, folder: Path, cache: Path) -> tuple[float, dict[str, Any]]:
    """Seconds from the start of the process to "trading enabled", and the session's result."""
    command = [*_HFTKIT, "live", "--params", str(params), "--ready-file", str(ready), "--duration", "1", "--journal-dir", str(folder), "--json"]
    started = monotonic_s()
    with subprocess.Popen(
        command, env={**os.environ, "HFTKIT_CACHE": str(cache)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        seconds = 0.0
        for line in process.stderr:
            if re.match(r"\[5/5\]", line):
                seconds = monotonic_s() - started
        text = process.stdout.read()
    if process.returncode or not seconds:
        raise WrongAnswer(f"hftkit live did not reach trading enabled (exit {process.returncode})")
    return seconds, json.loads(text)


def start() -> list[Result]:
    """cold_start (empty kernel cache), warm_start, and the resident memory of the engine process (NF-5 in part)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ready = folder / "sim.json"
        command = [*_HFTKIT, "sim", "--speed", "60", "--order-port", "0", "--market-port", "0", "--ready-file", str(ready)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as simulator:
            try:
                deadline = monotonic_s() + 180
                while not ready.exists():
                    if simulator.poll() is not None or monotonic_s() > deadline:
                        raise WrongAnswer("the simulator did not start")
                address = json.loads(ready.read_text())
                params = _frozen(folder / "frozen", address["host"], address["market_port"])
                cold, _ = _start(params, ready, folder / "journals-cold", folder / "cache")
                warm_runs = [_start(params, ready, folder / f"journals-{i}", folder / "cache") for i in range(3)]
            finally:
                simulator.terminate()
    warm = sorted(seconds for seconds, _ in warm_runs)[1]
    resident = max(result["resident_mb"] for _, result in warm_runs)
    config = {"from": "process start", "to": "trading enabled", "simulator": "a process of its own, already running"}
    return [
        Result("cold_start", "s", cold, config={**config, "kernel_cache": "empty"}, goal="< 60"),
        Result("warm_start", "s", warm, reference="cold_start", reference_value=cold, ratio=cold / warm, config={**config, "runs": 3}, goal="< 3"),
        Result("resident_memory", "MB", resident, config={"what": "peak resident set of hftkit live"}, goal="< 350"),
    ]
