"""Real processes that are ended by kill -9: a session goes on with another one, by hand and by its supervisor; the venue's record is the judge."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from hftkit import clock
from hftkit.codes import Control
from hftkit.errors import HftkitError, VenueError
from hftkit.session.child_process import HFTKIT, LiveSession, Simulator
from hftkit.session.control import CONTROL_PAGE, ControlPage
from hftkit.session.find_session import find_session
from hftkit.session.replay import LAST_SNAPSHOT, replay
from hftkit.system.process_handle import AttachedProcess
from live.proof.chaos import chaos
from tests.faults.test_live_session import frozen_for_sample
from tests.faults.test_live_under_faults import frozen_file as always_trading

SETTINGS = '[loop]\nwait = "block"\n[session]\nsegment_mb = 1\nstop_timeout_s = 60.0\n'


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("venue"), 300.0) as simulator:
        simulator.wait_ready()
        yield simulator


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    return frozen_for_sample(tmp_path_factory.mktemp("frozen"))


_account = iter(range(200, 300))


def start(params: Path, venue: Simulator, folder: Path, *options: str, settings: str = "") -> LiveSession:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "live.toml").write_text(SETTINGS + settings)
    return LiveSession(params, venue.ready_file, folder / "j", "session", 0.0, ("--config", str(folder / "live.toml"), *options))


def engine_of(folder: Path) -> AttachedProcess:
    return AttachedProcess(ControlPage.attach(folder / CONTROL_PAGE).owner)


def resume(venue: Simulator, folder: Path, account: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["live", "--ready-file", str(venue.ready_file), "--resume", str(folder), "--journal-dir", str(folder.parent), "--json"]
    command += ["--account", account, "--wait", "block", *options]
    return subprocess.run([*HFTKIT, *command], capture_output=True, text=True, check=False, timeout=120)


def wait_until(happened, patience_s: float = 60.0) -> None:
    deadline = clock.monotonic_s() + patience_s
    while not happened():
        assert clock.monotonic_s() < deadline, "it did not happen"
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["true"], check=True, timeout=1)


def test_a_killed_session_is_gone_on_with_by_hand(venue, params, tmp_path):
    account = str(next(_account))
    with start(params, venue, tmp_path, "--account", account) as session:
        session.wait_until(lambda now: now.session["n_fills"] >= 3 and now.ledger["position"].any())
        session.kill()
    dead = replay(session.folder)
    assert dead.identical
    assert not dead.ended
    done = resume(venue, session.folder, account, "--duration", "3")
    assert done.returncode == 0, done.stderr[-800:]
    result = json.loads(done.stdout)
    assert result["continues"] == "session"
    assert set(result["end_positions"].values()) == {0}
    assert result["fills"] > int(dead.rooms.session[0]["n_fills"]), "its counts go on"
    assert result["orders_without_outcome"] == result["unknown_answers"] == result["illegal_transitions"] == 0
    following = replay(result["journal"])
    assert following.identical
    assert following.ended
    assert following.continues == "session"
    epochs = {int(number) >> 32 for number in following.rooms.orders["client_order_id"] if number}
    assert len(epochs) == 2, "no new id is an old one"
    again = resume(venue, session.folder, account)
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith("hftkit: session session was taken over by ")
    other = resume(venue, Path(result["journal"]), "9")
    assert "traded account" in other.stderr.splitlines()[-1]


def test_it_gets_flat_and_stops_where_that_is_asked_for(venue, params, tmp_path, monkeypatch):
    account = str(next(_account))
    with start(params, venue, tmp_path, "--account", account) as session:
        session.wait_until(lambda now: bool(now.ledger["position"].any()))
        session.kill()
    monkeypatch.setenv("HFTKIT_RECOVERY__THEN", "flatten")
    done = resume(venue, session.folder, account)
    result = json.loads(done.stdout)
    assert (done.returncode, set(result["end_positions"].values())) == (0, {0})
    assert "recovered" in result["ended"]


def test_a_session_that_runs_is_not_gone_on_with(venue, params, tmp_path):
    account = str(next(_account))
    with start(params, venue, tmp_path, "--account", account) as session:
        session.wait_until(lambda now: now.session["n_orders"] > 0)
        done = resume(venue, session.folder, account)
        session.send(Control.STOP)
        session.wait(60)
    assert done.returncode == 1
    assert "still runs" in done.stderr.splitlines()[-1]


def test_what_the_account_holds_is_adopted(venue, params, tmp_path):
    account = str(next(_account))
    with start(params, venue, tmp_path, "--account", account) as session:
        session.wait_until(lambda now: bool(now.ledger["position"].any()))
        session.kill()
    with start(params, venue, tmp_path / "again", "--account", account, "--adopt") as second:
        second.wait_until(lambda now: now.session["n_fills"] >= 2)
        second.send(Control.STOP)
        result = second.wait(60)
    assert set(result["end_positions"].values()) == {0}
    assert sum(abs(lots) for lots in result["corrected_lots"].values()) > 0
    assert any(line.startswith("adopted: ") for line in second.messages())
    assert replay(second.folder).identical


def test_without_it_a_session_does_not_start_on_what_the_dead_one_held(venue, params, tmp_path):
    account = str(next(_account))
    with start(params, venue, tmp_path, "--account", account) as session:
        session.wait_until(lambda now: bool(now.ledger["position"].any()))
        session.kill()
    with start(params, venue, tmp_path / "again", "--account", account) as second, pytest.raises(VenueError, match="--resume SESSION"):
        second.wait(60)
    late = resume(venue, session.folder, account, "--duration", "0.5")
    assert late.returncode == 4, "what the dead one held is still there"
    assert "LEFT by its own ledger" in late.stderr.splitlines()[-1]
    flat = subprocess.run([*HFTKIT, "flatten", "--ready-file", str(venue.ready_file), "--account", account], capture_output=True, check=False)
    assert flat.returncode == 0


# -- the supervisor ---------------------------------------------------------------------------------------------------


@pytest.fixture
def supervised(monkeypatch):
    monkeypatch.setenv("HFTKIT_RECOVERY__SUPERVISOR", "true")


def test_kills_at_random_moments(tmp_path):
    report = chaos(tmp_path / "chaos", 2, 7)
    assert report.problems == ()
    assert report.holds
    assert (report.kills, report.recovery_ms.n, report.sessions) == (2, 2, 3)
    assert report.fills > 10


def test_kills_of_a_pair_whose_orders_leave_no_silence(tmp_path):
    """The heartbeat whose echo ends a recovery must not wait for a silence: this pair always has an order to send."""
    report = chaos(tmp_path / "chaos", 2, 3, params=always_trading(tmp_path / "frozen"), speed=60.0)
    assert report.problems == ()
    assert report.holds
    assert (report.kills, report.recovery_ms.n) == (2, 2)


@pytest.mark.slow
def test_kills_at_each_boundary(tmp_path):
    report = chaos(tmp_path / "chaos", 20, 8, at_boundaries=True)
    assert report.problems == ()
    assert report.holds
    assert set(report.at_boundaries.values()) == {3}


def test_a_supervisor_that_is_killed_leaves_a_flat_account(venue, params, tmp_path, supervised):
    account = str(next(_account))
    session = start(params, venue, tmp_path, "--account", account)
    session.wait_until(lambda now: bool(now.ledger["position"].any()))
    engine = engine_of(session.folder)
    session.process.kill()
    session.process.wait()
    engine.wait(60)
    result = json.loads((session.folder / "result.json").read_text())
    assert (result["exit_code"], set(result["end_positions"].values())) == (0, {0})
    assert "its supervisor is gone" in result["ended"]


def test_a_crash_loop_is_broken_flat(venue, params, tmp_path, supervised):
    account = str(next(_account))
    session = start(params, venue, tmp_path, "--account", account)
    for name in ("session", "session-r1", "session-r2"):
        folder = session.folder.parent / name
        wait_until(lambda folder=folder: (folder / "session.log").exists() and '"trading enabled"' in (folder / "session.log").read_text())
        engine_of(folder).kill()
    assert session.process.wait(60) == 5
    line = session.messages()[-1]
    assert re.search(r"ended by SIGKILL, death 3 in 60 s: no other one is started; the account is flat", line), line


def test_a_second_supervisor_of_the_account_is_refused_and_signals_are_passed_on(venue, params, tmp_path, supervised):
    account = str(next(_account))
    session = start(params, venue, tmp_path, "--account", account)
    session.wait_until(lambda now: now.session["n_fills"] > 0)
    second = start(params, venue, tmp_path / "second", "--account", account)
    with pytest.raises(VenueError, match="is traded already"):
        second.wait(60)
    found = find_session(session.folder, session.folder.parent)
    assert found.process is not None
    assert found.process.pid != session.process.pid
    session.process.send_signal(signal.SIGTERM)
    assert session.wait(60)["exit_code"] == 0
    assert any("SIGTERM: stopping" in line for line in session.messages())
    with pytest.raises(HftkitError):
        ControlPage.attach(session.folder.parent / "session-r1" / CONTROL_PAGE)
    assert replay(session.folder, from_snapshot=LAST_SNAPSHOT).identical
    assert os.path.exists(session.folder / "result.json")
