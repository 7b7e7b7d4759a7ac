"""`hftkit live` against a venue that misbehaves: what it must survive it survives flat and replayable; what it cannot ends in one clear line."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hftkit.exchange.config import load_config
from hftkit.exchange.faults.page import write_settings
from hftkit.exchange.faults.plan import FaultPlan, load_plan
from hftkit.params.format import FrozenParams, LegPlan, freeze
from hftkit.session.replay import replay
from tests.unit.exchange.running import HOST, simulator

SPEED = 60.0


def frozen_file(folder: Path) -> Path:
    """A pair with a short memory that trades all the time; what it earns does not matter here."""
    config = load_config()
    scales = {instrument.symbol: instrument for instrument in config.scales}
    plan = {"slippage_ticks": 40, "hedge_deadline_ns": 60_000_000_000, "retry_ns": 100_000_000, "residual_lots": 0}
    return freeze(
        FrozenParams(
            schema_version=1,
            name="fault-drill",
            strategy="pairs",
            strategy_version=1,
            instruments=(scales["ALFAUSD"], scales["BRAVUSD"]),
            legs=LegPlan(lead="ALFAUSD", hedge="BRAVUSD", unit_lead_lots=2000, unit_hedge_lots=-1000, **plan),
            parameters={
                "hedge_ratio": "0.8",
                "bar_ns": 1_000_000_000,
                "window": 10,
                "entry_z": "0.8",
                "exit_z": "0.1",
                "stop_z": "50",
                "max_holding_bars": 20,
            },
            arrays={},
            provenance={},
            valid_from_ns=0,
            valid_until_ns=2**62,
        ),
        folder,
    )


def live(
    tmp_path: Path, plan: FaultPlan, seconds: float = 3.0, at: str = "", settings: dict[str, float] | None = None, times: int = 1
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any], dict[str, Any]]:
    """(the process, its result, the venue's summary) of a session against a venue with this plan.

    Once the session's log has the word `at`, the venue gets `settings`, so many `times`, 3 s apart.
    """
    with simulator(load_config(), speed=SPEED, skip_minutes=10_080, plan=plan) as sim:
        ready = {"host": HOST, "order_port": sim.order_port, "market_port": sim.market_port}
        (tmp_path / "sim.json").write_text(json.dumps(ready))
        command = [sys.executable, "-m", "hftkit.cli", "live", "--params", str(frozen_file(tmp_path / "frozen")), "--wait", "block"]
        command += [
            "--ready-file",
            str(tmp_path / "sim.json"),
            "--duration",
            f"{seconds:g}",
            "--journal-dir",
            str(tmp_path),
            "--session-id",
            "session",
        ]
        log, ended = tmp_path / "session" / "session.log", threading.Event()

        def set_faults() -> None:
            while not (log.exists() and at in log.read_text()):
                if ended.wait(0.01):
                    return
            for _ in range(times):
                write_settings(sim.server.shell.faults.page, settings or {})
                if ended.wait(3.0):
                    return

        beside = threading.Thread(target=set_faults)
        beside.start()
        done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, timeout=120)
        ended.set()
        beside.join()
        sim.stop()
        result = json.loads((tmp_path / "session" / "result.json").read_text())
        return done, result, sim.server.summary()


def assert_flat_and_replayable(tmp_path: Path, result: dict[str, Any]) -> None:
    assert not any(result["end_positions"].values())
    assert result["orders_without_outcome"] == 0
    assert result["entries"] >= 1
    assert result["unknown_moves"] == 0
    assert replay(tmp_path / "session").identical


def test_gaps_duplicates_and_disorder_on_the_feed_are_survived(tmp_path: Path) -> None:
    """And bursts of loss, a clock that is wrong, frames that come in pieces."""
    feed = {"drop_ppm": 2000, "duplicate_ppm": 3000, "reorder_ppm": 1000, "gap_ppm": 500, "skew_us": -3e9, "bytes_per_s": 300_000}
    plan = FaultPlan(seed=5, feed={**feed, "burst_next": 2, "burst_frames": 20})
    done, result, venue = live(tmp_path, plan)
    assert done.returncode == 0, done.stderr[-500:]
    assert venue["faults"]["feed"]["drop"] > 0
    assert venue["faults"]["feed"]["duplicate"] > 0
    assert venue["faults"]["feed"]["burst"] == 2
    assert result["book_gaps"] > 0
    assert_flat_and_replayable(tmp_path, result)


def test_latency_everywhere_and_late_acknowledgements_are_survived(tmp_path: Path) -> None:
    done, result, venue = live(tmp_path, load_plan("rough_sea"))
    assert done.returncode == 0, done.stderr[-500:]
    assert venue["faults"]["response"]["delivered"] == venue["faults"]["response"]["offered"]
    assert result["latency_us"]["ack"]["p50"] > 4_000
    assert_flat_and_replayable(tmp_path, result)


def test_rejects_and_orders_lost_on_the_way_are_survived(tmp_path: Path) -> None:
    """And throttling, answers in pieces."""
    plan = FaultPlan(order_entry={"reject_next": 2, "lose_next": 1, "max_per_s": 100}, response={"bytes_per_s": 20_000, "skew_us": 1e6})
    done, result, venue = live(tmp_path, plan, seconds=5.0)
    assert done.returncode == 0, done.stderr[-500:]
    assert (venue["faults"]["order_entry"]["reject"], venue["faults"]["order_entry"]["lose"]) == (2, 1)
    assert_flat_and_replayable(tmp_path, result)


LOST = pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"order_entry.cut": 1}, "the venue closed the order entry connection"),
        ({"feed.cut": 2}, "the venue closed the market data connection"),
        ({"response.drop_next": 1}, "an answer of the venue is missing"),
        ({"feed.truncate_next": 1}, "the venue sent a market data frame of impossible length"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)


@LOST
def test_a_lost_line_is_opened_again_and_resumed(tmp_path: Path, settings: dict[str, float], line: str) -> None:
    """Whatever it was lost by, and where that comes more than once, each time; nothing is lost with it, and the replay goes through it all."""
    done, result, venue = live(tmp_path, FaultPlan(), 10.0, "trading", settings, times=3)
    assert done.returncode == 0, done.stderr[-800:]
    assert result["line_outages_ms"], line
    assert result["unknown_answers"] == result["illegal_transitions"] == 0
    assert_flat_and_replayable(tmp_path, result)
    assert venue["client_fills"] == result["fills"]
    log = [json.loads(text)["event"] for text in (tmp_path / "session" / "session.log").read_text().splitlines()]
    assert 0 < log.count("line_up") <= len(result["line_outages_ms"])  # of repeated lines the log has the first ones


def test_a_line_that_is_lost_between_logon_and_books_is_opened_again(tmp_path: Path) -> None:
    """The feed is late, so that the session is logged on and waits for its books; then the feed's connection is reset."""

    done, result, _ = live(tmp_path, FaultPlan(feed={"latency_us": 3_000_000}), at="synchronising", settings={"feed.cut": 2, "feed.latency_us": 0})
    assert done.returncode == 0, done.stderr[-800:]
    assert len(result["line_outages_ms"]) == 1
    assert_flat_and_replayable(tmp_path, result)


@LOST
def test_where_it_is_not_opened_again_the_session_ends_in_one_line(
    tmp_path: Path, settings: dict[str, float], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTKIT_RECOVERY__RECONNECT_S", "0")
    done, result, _ = live(tmp_path, FaultPlan(), 20.0, "trading", settings)
    assert done.returncode != 0
    assert line in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert result["status"] == "failed"
    assert result["left"] == {"positions": {}, "orders": [], "confirmed_by_venue": True, "switch": ""}, result["ended"]  # closed over a new session
    assert (result["exit_code"], done.returncode) == (5, 5)
    assert replay(tmp_path / "session").identical
