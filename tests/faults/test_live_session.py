"""Real processes, real sockets, real files: the engine against the simulator, well and badly.

Each test starts `hftkit live` (and where it breaks the venue, its own `hftkit sim`) and looks at what a user would see: exit status, the one line of
error, the journal, the replay.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from hftkit.cli.replay_commands import replay as replay_command
from hftkit.codes import Control, MessageType, Outcome, RecordType, Trading
from hftkit.errors import VenueError
from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams, LegPlan, freeze
from hftkit.session.child_process import HFTKIT, LiveSession, Simulator
from hftkit.session.journal import JournalReader
from hftkit.session.replay import replay
from hftkit.strategies import strategy
from hftkit.strategies.hook_table import hook_table
from hftkit.units import from_e8

ROOT = Path(__file__).resolve().parents[2]
BAR = 60_000_000_000


def frozen_for_sample(folder: Path, **changes: object) -> Path:
    """A pair that trades often: a window of ten bars collected afresh, low thresholds."""
    listed = {row["symbol"]: row for row in json.loads((ROOT / "data/sample/instruments.json").read_text())}
    instruments = tuple(msgspec.convert(listed[symbol], Instrument) for symbol in ("CHARUSD", "DELTUSD"))
    legs = LegPlan(
        lead="CHARUSD", hedge="DELTUSD", unit_lead_lots=1500, unit_hedge_lots=-5000, slippage_ticks=10,
        hedge_deadline_ns=10**9, retry_ns=10**6, residual_lots=0,
    )  # fmt: skip
    parameters = {"hedge_ratio": "1.0", "bar_ns": BAR, "window": 10, "entry_z": "0.5", "exit_z": "0.1", "stop_z": "50.0", "max_holding_bars": 20}
    body = {
        "schema_version": 1, "name": "drill", "strategy": "pairs", "strategy_version": 1, "instruments": instruments, "legs": legs,
        "parameters": parameters, "arrays": {}, "provenance": {}, "valid_from_ns": 0, "valid_until_ns": 2**62,
    }  # fmt: skip
    return freeze(FrozenParams(**{**body, **changes}), folder)


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    """The sample universe, which settles funding every minute of its own time."""
    folder = tmp_path_factory.mktemp("venue")
    text = (ROOT / "hftkit/exchange/configs/sample_universe.toml").read_text()
    (folder / "venue.toml").write_text(text.replace("[venue]\n", "[venue]\nfunding_interval_minutes = 1\nfunding_rate_ppm = 30\n"))
    with Simulator(folder, 600.0, folder / "venue.toml") as simulator:
        simulator.wait_ready()
        yield simulator


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    return frozen_for_sample(tmp_path_factory.mktemp("frozen"))


_account = iter(range(10, 100))


def start(params: Path, venue: Simulator, folder: Path, seconds: float = 60.0, *options: str) -> LiveSession:
    return LiveSession(params, venue.ready_file, folder, "session", seconds, ("--account", str(next(_account)), *options))


def wait_for_fills(session: LiveSession, at_least: int) -> None:
    session.wait_until(lambda now: now.session["n_fills"] >= at_least)


@pytest.fixture(scope="module")
def ended(venue, params, tmp_path_factory):
    """A session that ran its course, shared by the tests that only look at it."""
    with start(params, venue, tmp_path_factory.mktemp("ended"), 5.0) as session:
        return session, session.wait()


def test_a_session_goes_through_its_phases_trades_and_stops_flat(ended):
    session, result = ended
    phases = [line.split(":")[0] for line in session.messages() if line.startswith("[")]
    assert phases == ["[1/5] configuration", "[2/5] infrastructure", "[3/5] components", "[4/5] connections", "[5/5] trading enabled"]
    assert result["status"] == "stopped"
    assert result["fills"] > 0
    assert result["entries"] > 0
    assert set(result["end_positions"].values()) == {0}
    assert result["orders_without_outcome"] == result["unknown_answers"] == result["illegal_transitions"] == result["malformed_frames"] == 0
    assert result["latency_us"]["tick_to_order"]["n"] > 0
    log = [json.loads(line) for line in (session.folder / "session.log").read_text().splitlines()]
    assert sum(entry["event"] == "order fill" for entry in log) == result["fills"]


def test_its_replay_is_identical_to_the_last_byte(ended):
    session, result = ended
    replayed = replay(session.folder)
    assert replayed.identical
    assert replayed.ended
    assert int(replayed.rooms.session[0]["n_orders"]) == result["orders_sent"]
    assert subprocess.run([*HFTKIT, "replay", str(session.folder), "--verify"], capture_output=True, check=False).returncode == 0


def test_the_venue_s_funding_is_in_the_ledger_and_in_the_result(ended):
    """Every FUNDING frame of the journal: on the position that the fills before it had left, and all of them in the result's net P&L."""
    session, result = ended
    position, paid, settled = dict.fromkeys(range(12), 0), 0, 0
    for record in JournalReader(session.folder):
        if record.type != RecordType.ORDER_ENTRY_IN:
            continue
        kind, instrument, body = int(record.payload[0]) >> 16 & 0xFF, int(record.payload[0]) >> 32, record.payload[2:]
        if kind == MessageType.ORDER_FILL:
            position[instrument] += int(body[7]) * (1 - 2 * int(body[4]))
        elif kind == MessageType.FUNDING:
            assert (int(body[1]), int(body[2])) == (position[instrument], 3000)
            assert int(body[3]) * position[instrument] > 0  # the rate is positive: who is long pays
            paid, settled = paid + int(body[3]), settled + 1
    assert settled > 0
    assert result["funding"] == from_e8(paid, 4)
    money = [Decimal(result[name]) for name in ("realized_pnl", "unrealized_pnl", "fees", "funding", "net_pnl")]
    assert abs(money[0] + money[1] - money[2] - money[3] - money[4]) < Decimal("0.0003")


@pytest.mark.parametrize("place", [0.0003, 0.4, 0.9])
def test_one_flipped_bit_fails_the_replay_and_is_placed(ended, tmp_path, place):
    session, _ = ended
    copy = Path(shutil.copytree(session.folder, tmp_path / "copy"))
    path = sorted(copy.glob("segment-*.hftj"))[0]
    data = bytearray(path.read_bytes())
    used = len(bytes(data).rstrip(b"\0"))
    data[int(used * place)] ^= 4
    path.write_bytes(bytes(data))
    run = subprocess.run([*HFTKIT, "replay", str(copy), "--verify"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "byte" in run.stderr


def test_a_changed_strategy_is_caught_by_the_replay(ended, tmp_path):
    """Not only damage: if the step decided otherwise than the journal says, the replay must notice. Here an entry threshold is changed."""
    from hftkit.codes import RecordType
    from hftkit.params.format import digest_of
    from hftkit.session.engine_state import SessionConfig
    from hftkit.session.journal import JournalReader, JournalWriter, bytes_of, words_of

    session, _ = ended
    writer = JournalWriter(tmp_path / "other", 1, 1)
    for record in JournalReader(session.folder):
        payload = record.payload
        if record.type == RecordType.CONFIG:
            config = SessionConfig.from_bytes(bytes_of(payload))
            frozen = msgspec.structs.replace(config.strategies[0], parameters={**config.strategies[0].parameters, "entry_z": "0.9"})
            frozen = msgspec.structs.replace(frozen, digest=digest_of(msgspec.to_builtins(frozen)))
            payload = words_of(msgspec.structs.replace(config, strategies=(frozen,)).to_bytes())
        writer.append(record.type, record.time_ns, payload)
    writer.close()
    replayed = replay(tmp_path / "other")
    assert not replayed.identical
    assert "byte" in replayed.difference


def test_a_terminated_engine_stops_flat(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        wait_for_fills(session, 1)
        session.process.send_signal(signal.SIGTERM)
        result = session.wait(60)
    assert result["status"] == "stopped"
    assert set(result["end_positions"].values()) == {0}


def test_the_operator_pauses_resumes_flattens_and_stops(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        wait_for_fills(session, 1)
        session.send(Control.FLATTEN)
        flat = session.wait_until(lambda now: now.risk["trading"] == Trading.PAUSED and not now.ledger["position"].any())
        before, frames = int(flat.session["n_orders"]), int(flat.session["n_market_data"])
        later = session.wait_until(lambda now: now.session["n_market_data"] >= frames + 3000)
        assert int(later.session["n_orders"]) == before  # paused: the market goes on, no order leaves
        session.send(Control.RESUME)
        session.wait_until(lambda now: now.session["n_orders"] > before)
        session.send(Control.STOP)
        result = session.wait(60)
    assert set(result["end_positions"].values()) == {0}
    assert replay(session.folder).identical


def test_a_killed_engine_loses_nothing_that_was_journalled(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        wait_for_fills(session, 2)
        session.kill()
    replayed = replay(session.folder)
    assert replayed.identical
    assert not replayed.ended
    assert int(replayed.rooms.session[0]["n_fills"]) >= 2


def test_a_venue_that_dies_ends_the_session_with_one_line_and_a_whole_journal(params, tmp_path, monkeypatch):
    monkeypatch.setenv("HFTKIT_RECOVERY__RECONNECT_S", "1")  # it does not come back
    with Simulator(tmp_path / "venue", speed=600.0) as simulator, start(params, simulator, tmp_path / "j") as session:
        wait_for_fills(session, 1)
        simulator.process.kill()
        with pytest.raises(VenueError, match="the venue closed the"):
            session.wait(60)
        assert session.messages()[-1].count("the journal is complete") == 1
    replayed = replay(session.folder)
    assert replayed.identical
    assert replayed.ended


def test_a_session_that_the_venue_has_given_up_is_resumed(params, tmp_path, monkeypatch):
    """The engine stood still for longer than the venue waits for heartbeats, with a position: its session goes on over another connection."""
    monkeypatch.setenv("HFTKIT_LOOP__HEARTBEAT_MS", "300")
    with Simulator(tmp_path / "venue", speed=600.0) as simulator:
        simulator.wait_ready()
        session = LiveSession(params, simulator.ready_file, tmp_path / "j", "session", 300.0, ("--account", "7"))
        session.wait_until(lambda now: now.ledger["position"].any())
        os.kill(session.process.pid, signal.SIGSTOP)
        with contextlib.suppress(subprocess.TimeoutExpired):  # ten heartbeats
            session.process.wait(3)
        os.kill(session.process.pid, signal.SIGCONT)
        before = int(session.telemetry().session["n_fills"])
        session.wait_until(lambda now: now.session["n_fills"] >= before + 4)
        session.send(Control.STOP)
        result = session.wait(60)
        venue = simulator.stop()
    assert len(result["line_outages_ms"]) >= 1
    assert set(result["end_positions"].values()) == {0}
    assert venue["client_fills"] == result["fills"]
    never_arrived = result["orders_sent"] - venue["client_orders"]  # sent into the connection that the venue had closed
    assert 0 <= never_arrived <= 2 * len(result["line_outages_ms"])
    assert result["orders_without_outcome"] == 0  # asked for, and known not to exist
    assert replay(session.folder).identical


def test_a_session_that_the_venue_has_given_up_is_closed_over_a_new_one(params, tmp_path, monkeypatch):
    """The same where a lost line is not to be opened again."""
    monkeypatch.setenv("HFTKIT_RECOVERY__RECONNECT_S", "0")
    monkeypatch.setenv("HFTKIT_LOOP__HEARTBEAT_MS", "300")
    with Simulator(tmp_path / "venue", speed=600.0) as simulator:
        simulator.wait_ready()
        session = LiveSession(params, simulator.ready_file, tmp_path / "j", "session", 300.0, ("--account", "7"))
        session.wait_until(lambda now: now.ledger["position"].any())
        os.kill(session.process.pid, signal.SIGSTOP)
        with contextlib.suppress(subprocess.TimeoutExpired):  # ten heartbeats
            session.process.wait(3)
        os.kill(session.process.pid, signal.SIGCONT)
        with pytest.raises(VenueError, match=r"a new session closed what was held, with [1-9]"):
            session.wait(60)
        assert session.process.returncode == 5
        line = [*HFTKIT, "flatten", "--ready-file", str(simulator.ready_file), "--account", "7", "--json"]
        closed = subprocess.run(line, capture_output=True, text=True, check=True)
        assert json.loads(closed.stdout)["closing_orders"] == 0
    result = json.loads((session.folder / "result.json").read_text())
    assert result["left"]["confirmed_by_venue"]
    assert result["left"]["positions"] == {}
    assert replay(session.folder).identical


def test_no_venue_and_no_ready_file_are_told_in_one_line(params, tmp_path):
    run = subprocess.run(
        [*HFTKIT, "live", "--params", str(params), "--journal-dir", str(tmp_path)],
        env={"PATH": "/usr/bin", "HOME": str(Path.home()), "HFTKIT_VENUE__CONNECT_TIMEOUT_S": "0.5", "HFTKIT_VENUE__MARKET_PORT": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "cannot reach the market data port 127.0.0.1:1" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("scales", "words"),
    [
        ({"tick_size": "0.005"}, "tick_size of CHARUSD was 0.005 in research, the venue says 0.0005"),
        ({"symbol": "NOPEUSD"}, "the venue has no NOPEUSD"),
    ],
)
def test_scales_that_are_not_the_venues_are_refused(venue, tmp_path, scales, words):
    lead = {"symbol": "CHARUSD", "tick_size": "0.0005", "lot_size": "0.1", "min_notional": "5", "maker_fee_ppm": 20, "taker_fee_ppm": 100, **scales}
    listed = {row["symbol"]: row for row in json.loads((ROOT / "data/sample/instruments.json").read_text())}
    legs = LegPlan(
        lead=lead["symbol"], hedge="DELTUSD", unit_lead_lots=1, unit_hedge_lots=-1, slippage_ticks=1, hedge_deadline_ns=1, retry_ns=1, residual_lots=0
    )  # fmt: skip
    path = frozen_for_sample(tmp_path, instruments=(msgspec.convert(lead, Instrument), msgspec.convert(listed["DELTUSD"], Instrument)), legs=legs)
    with start(path, venue, tmp_path / "j") as session, pytest.raises(VenueError, match=words):
        session.wait(60)


@pytest.mark.parametrize(
    ("period", "words"),
    [((0, 1_600_000_000_000_000_000), "expired at 2020-09-13"), ((4_000_000_000_000_000_000, 2**62), "is not valid before 2096-10-02")],
)
def test_parameters_outside_their_validity_are_refused(venue, tmp_path, period, words):
    path = frozen_for_sample(tmp_path, valid_from_ns=period[0], valid_until_ns=period[1])
    with start(path, venue, tmp_path / "j") as session, pytest.raises(VenueError, match=words):
        session.wait(60)


def test_an_altered_frozen_file_is_refused(venue, params, tmp_path):
    altered = tmp_path / params.name
    altered.write_bytes(params.read_bytes().replace(b'"entry_z":"0.5"', b'"entry_z":"0.6"'))
    with start(altered, venue, tmp_path / "j") as session, pytest.raises(VenueError, match="was altered"):
        session.wait(60)


def test_a_second_engine_on_the_same_session_folder_is_refused(ended, venue, params):
    session, _ = ended
    again = LiveSession(params, venue.ready_file, session.folder.parent, session.folder.name, 1.0)
    with pytest.raises(VenueError, match="already holds a journal"):
        again.wait(60)


def test_maker_first_ends_flat_with_nothing_lost_and_a_replay_that_is_identical(params, tmp_path):
    """Orders that rest, follow the touch, are pulled and taken; the operator's pause and stop find some of them in the venue's books."""
    from hftkit.params.format import load

    frozen = load(params)
    legs = msgspec.structs.replace(frozen.legs, maker_patience_ns=100_000_000, reprice_ticks=2)
    path = frozen_for_sample(tmp_path, legs=legs)
    with Simulator(tmp_path / "venue", speed=600.0) as simulator:
        simulator.wait_ready()
        with start(path, simulator, tmp_path / "j") as session:
            wait_for_fills(session, 20)
            for code, state in ((Control.PAUSE, Trading.PAUSED), (Control.RESUME, Trading.ENABLED)):
                session.send(code)
                session.wait_until(lambda now, state=state: now.risk["trading"] == state)
            wait_for_fills(session, 60)
            session.send(Control.STOP)
            result = session.wait(60)
        venue = simulator.stop()
    done = result["execution"]
    assert done["lead_ratio"] > 0.2
    assert 0 < done["value_ratio"] < 1
    assert done["cancels_sent"] == done["pulls"] > 0
    assert result["rejects"] == result["illegal_transitions"] == result["unknown_answers"] == result["orders_without_outcome"] == 0
    assert set(result["end_positions"].values()) == {0}
    assert (venue["client_orders"], venue["client_fills"]) == (result["orders_sent"], result["fills"])
    assert replay(session.folder).identical


def test_a_replay_with_other_code_says_so_and_still_knows_that_the_session_ended(ended, monkeypatch):
    """Another strategy's kernel in the place of the session's: the replay differs, and the line names the source, not a crash."""
    session, _ = ended
    monkeypatch.setattr("hftkit.session.replay.strategy_kernels", lambda config: hook_table([strategy("fixed_target").hooks()]))
    monkeypatch.setattr("hftkit.session.code_identity.source_digest", lambda name: "0" * 64)
    replayed = replay(session.folder)
    assert not replayed.identical
    assert replayed.ended
    assert "the source of strategy pairs differs from the session's" in replayed.code_differs
    told = CliRunner().invoke(replay_command, [str(session.folder), "--verify"])
    assert "the source of strategy pairs differs" in str(told.exception)
    assert "no end record" not in told.output


def test_commands_from_the_shell_are_answered_by_the_engine(venue, params, tmp_path, monkeypatch):
    """pause, resume, flatten, stop of a running session; then nobody listens. Another process attaches to it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def shell(command: str, *more: str) -> tuple[int, dict]:
        run = subprocess.run([*HFTKIT, command, *more, "--json"], capture_output=True, text=True, check=False)
        return run.returncode, json.loads(run.stdout)

    session = start(params, venue, tmp_path / "j", 300.0)
    try:
        wait_for_fills(session, 2)
        assert shell("sessions")[1][0]["session"] == "session"
        for command, state in (("pause", "paused"), ("resume", "enabled"), ("flatten", "flattening")):
            status, told = shell(command, "session")
            assert (status, told["outcome"]) == (0, "done"), told
            assert told["trading"] == state or (command == "flatten" and told["trading"] == "paused")
        attached = LiveSession.attach("session")
        assert attached.process.pid == session.process.pid
        attached.wait_until(lambda now: not now.ledger["position"].any())
        assert attached.command(Control.PAUSE).outcome == Outcome.DONE
        status, told = shell("stop", str(session.folder))
        assert (status, told["outcome"]) == (0, "done"), told
        assert session.wait(120)["status"] == attached.wait(120)["status"] == "stopped"
    finally:
        session.__exit__(None, None, None)
    status, told = shell("flatten", str(session.folder))
    assert (status, told["outcome"]) == (4, "nobody")
    assert told["held"] == {"positions": {}, "known": True, "final": True}
    assert replay(session.folder).identical


def test_a_killed_session_is_told_and_its_account_flattened(params, tmp_path, monkeypatch):
    """The position of a killed engine: `stop` says that nobody listens and what it held; `flatten` with the venue's ready file closes it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Simulator(tmp_path / "venue", speed=600.0) as simulator:
        simulator.wait_ready()
        session = LiveSession(params, simulator.ready_file, tmp_path / "j", "session", 300.0, ("--account", "7"))
        session.wait_until(lambda now: now.ledger["position"].any())
        options = ("--ready-file", str(simulator.ready_file), "--account", "7")
        refused = subprocess.run([*HFTKIT, "flatten", *options], capture_output=True, text=True, check=False)
        assert refused.returncode == 1
        assert "session session (process" in refused.stderr
        session.kill()
        told = subprocess.run([*HFTKIT, "stop", "session"], capture_output=True, text=True, check=False)
        assert told.returncode == 4
        assert "nobody received this" in told.stdout
        assert f"hftkit flatten --ready-file {simulator.ready_file} --account 7" in told.stdout
        done = subprocess.run([*HFTKIT, "flatten", *options, "--json"], capture_output=True, text=True, check=False)
        report = json.loads(done.stdout)
        assert (done.returncode, report["flat"], report["positions"], report["orders"]) == (0, True, {}, [])
        again = subprocess.run([*HFTKIT, "flatten", *options, "--json"], capture_output=True, text=True, check=False)
        assert json.loads(again.stdout)["closing_orders"] == 0
