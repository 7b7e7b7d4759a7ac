"""One end for every session: parts that fail, a full disk and a ban at the stop, against `hftkit sim --binance-port`, with the venue as the judge.

What each must come to (`judge`): flat with nothing open at the venue, or a last line that names what is left; the journal replays
identically; every order at the venue is one that was journalled, and none is there twice. A limit on the size of files stands for the
full disk: like it, it takes a part of a line, lets no segment be made, and leaves alone what is mapped.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hftkit import clock
from hftkit.errors import HftkitError
from hftkit.session.child_process import HFTKIT, LiveSession, Simulator
from hftkit.session.replay import replay
from hftkit.session.telemetry import Snapshot
from live.ending import failpoints
from live.ending.decision import ExitCode
from tests.faults.binance_drill import PATIENCE_S, SYMBOLS, Venue, fills, frozen_file, log_of, said, sent_ids, start, trades_on, wait_for

FLAT = (ExitCode.FLAT, ExitCode.HALTED, ExitCode.BROKEN)


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("venue"), 1.0, Path("binance"), ("--binance-port", "0")) as simulator:
        yield Venue(simulator)


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    return frozen_file(tmp_path_factory.mktemp("frozen"))


@pytest.fixture
def account(venue):
    """The account flat before and after, whatever a session has left."""
    flatten(venue)
    yield
    flatten(venue)


def flatten(venue: Venue) -> None:
    for symbol in SYMBOLS:
        venue.ask("/fapi/v1/allOpenOrders", "DELETE", symbol=symbol)
        held = venue.position(symbol)
        if held:
            side = "SELL" if held > 0 else "BUY"
            venue.ask("/fapi/v1/order", "POST", symbol=symbol, side=side, type="MARKET", quantity=f"{abs(held):.3f}", reduceOnly="true")


def holds(now: Snapshot) -> bool:
    return bool(now.ledger["position"].any())


def has_traded(session: LiveSession) -> bool:
    """Whether the page, where there is one, shows a fill."""
    with contextlib.suppress(HftkitError):
        return int(session.telemetry(0.1).session["n_fills"]) > 0
    return False


def wait_until_ended_or(session: LiveSession, happened: Callable[[], bool], seconds: float) -> None:
    deadline = clock.monotonic_s() + seconds
    while session.running and not happened() and clock.monotonic_s() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            session.process.wait(0.1)


def ended(session: LiveSession) -> tuple[int, str]:
    """Exit status and last line."""
    session.process.wait(PATIENCE_S)
    return session.process.returncode, session.messages()[-1]


def judge(session: LiveSession, venue: Venue) -> int:
    code, line = ended(session)
    opened = venue.ask("/fapi/v1/openOrders")
    held = {symbol: venue.position(symbol) for symbol in SYMBOLS if venue.position(symbol)}
    if code in FLAT:
        assert (opened, held) == ([], {}), line
    elif code == ExitCode.LEFT:
        assert "LEFT" in line
        assert all(symbol in line for symbol in held), (line, held)
    elif code == ExitCode.UNCONFIRMED:
        assert "could not be asked" in line, line
    else:
        assert code == ExitCode.NOT_STARTED, (code, line)
        assert (opened, held) == ([], {}), line
    assert "Traceback" not in "\n".join(session.messages())
    replayed = replay(session.folder)
    assert replayed.identical, replayed.difference
    sent = sent_ids(session.folder)
    assert len(sent) == len(set(sent))
    ids = [order["clientOrderId"] for symbol in SYMBOLS for order in venue.ask("/fapi/v1/allOrders", symbol=symbol, limit=1000)]
    ours = sent[0][:10] if sent else "no session"  # hk and the session's epoch
    mine = [name for name in ids if name in set(sent)]
    assert len(mine) == len(set(mine)), "an order stands twice in the venue's list"
    assert not [name for name in ids if name.startswith(ours) and name not in set(sent)], "an order at the venue is not in the journal"
    return code


def test_a_full_disk_ends_flat_in_the_journals_reserve_and_says_so(venue, params, account, tmp_path):
    with start(params, venue, tmp_path) as session:
        trades_on(session, 2)
        wait_for(session, "a log of some length", lambda: (session.folder / "session.log").stat().st_size > 12_000)
        session.wait_until(holds)
        resource.prlimit(session.process.pid, resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        code = judge(session, venue)
        result = json.loads((session.folder / "result.json").read_text())
    assert code == ExitCode.BROKEN
    assert result["exit_code"] == ExitCode.BROKEN
    assert set(result["faults"]) & {"log file", "journal prepare", "journal roll"}
    assert result["left"] == {"positions": {}, "orders": [], "confirmed_by_venue": True, "switch": ""}
    assert any("fault" in line and "{" in line for line in session.messages())  # lines that could not be written were shown


def test_a_stop_during_a_ban_is_flat_or_names_what_is_left_and_leaves_the_switch_armed(venue, params, account, tmp_path):
    with start(params, venue, tmp_path) as session:
        trades_on(session, 2)
        session.wait_until(holds)
        venue.fault(ban_s=30)
        wait_for(session, "the pause", lambda: said(session, "paused", why="rate limit"))
        session.process.send_signal(signal.SIGTERM)
        code, line = ended(session)
        result = json.loads((session.folder / "result.json").read_text())
    deadline = clock.monotonic_s() + PATIENCE_S
    while clock.monotonic_s() < deadline:  # until the ban is over and the venue talks to us again
        with contextlib.suppress(OSError):
            venue.ask("/fapi/v1/openOrders")
            break
    assert judge(session, venue) == code
    assert code in (ExitCode.UNCONFIRMED, ExitCode.LEFT), line  # LEFT: where the socket was the one that was told of the ban
    assert "switch stays armed" in line
    assert result["ended"] in line
    assert code is not ExitCode.UNCONFIRMED or "silence" in line


@pytest.mark.slow
@pytest.mark.parametrize("after", ["0", "40", "40,exit"])
@pytest.mark.parametrize("name", failpoints.NAMES)
def test_every_part_that_fails_leaves_nothing_unsaid(venue, params, account, tmp_path, monkeypatch, name, after):
    """Each part fails from the start on, and in the middle of trading, with an Exception and with a SystemExit."""
    monkeypatch.setenv(failpoints.VARIABLE, f"{name},{after}")
    with start(params, venue, tmp_path) as session:
        wait_until_ended_or(session, lambda: (session.folder / "segment-000001.hftj").exists(), PATIENCE_S)
        wait_until_ended_or(session, lambda: has_traded(session), 30)
        wait_until_ended_or(session, lambda: False, 5)
        if session.running:
            session.process.send_signal(signal.SIGTERM)
        judge(session, venue)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(40))
def test_forty_full_disks_at_any_moment(venue, params, account, tmp_path, number):
    with start(params, venue, tmp_path) as session:
        trades_on(session, 2)
        at_least = fills(session) + number % 7
        session.wait_until(lambda now: now.session["n_fills"] >= at_least)
        n_bytes = (1, 4096, 10_000, os.path.getsize(session.folder / "session.log"))[number % 4]
        resource.prlimit(session.process.pid, resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))
        assert judge(session, venue) in FLAT
        assert log_of(session) is not None


@pytest.mark.parametrize("kind", ["binary", "binance"])
def test_a_stop_before_trading_ends_at_once_though_the_venue_is_silent(params, tmp_path, kind):
    """It takes connections and says nothing; the session would wait for it far longer than this test waits for the session."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = f"127.0.0.1:{port}"
        urls = f'rest_url = "http://{address}"\nstream_url = "ws://{address}"\norder_url = "ws://{address}"'
        lines = f'[venue]\nkind = "{kind}"\nmarket_port = {port}\nconnect_timeout_s = 600.0\n[venue.binance]\n{urls}\n'
        (tmp_path / "live.toml").write_text(lines)
        options = ["--config", str(tmp_path / "live.toml"), "--mode", "observe", "--journal-dir", str(tmp_path), "--session-id", "s", "--json"]
        with subprocess.Popen([*HFTKIT, "live", "--params", str(params), *options], stderr=subprocess.PIPE, text=True) as process:
            try:
                silent.settimeout(PATIENCE_S)
                connection, _ = silent.accept()
                process.send_signal(signal.SIGTERM)
                _, told = process.communicate(timeout=PATIENCE_S)
                connection.close()
            finally:
                process.kill()
    assert process.returncode == 0, told
    assert "stopped before trading began" in told.splitlines()[-1]
    assert [path.name for path in (tmp_path / "s").glob("*.hftj")] == ["segment-000001.hftj"]
