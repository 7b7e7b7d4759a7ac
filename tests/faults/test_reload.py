"""`hftkit reload` against real sessions: what changes trades, what is refused, and that replay, snapshots and a resumed session go through it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hftkit.codes import Control
from hftkit.params.format import freeze, load
from hftkit.session.child_process import HFTKIT, LiveSession, Simulator
from hftkit.session.replay import LAST_SNAPSHOT, replay
from live.operate.reload_files import REQUEST
from tests.faults import binance_drill
from tests.faults.test_live_session import frozen_for_sample
from tests.faults.test_recovery import engine_of, resume, start

_account = iter(range(300, 400))
_RULE = {"hedge_ratio": "1.0", "bar_ns": 60_000_000_000, "window": 10, "exit_z": "0.1", "stop_z": "50.0", "max_holding_bars": 20}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Simulator(tmp_path_factory.mktemp("venue"), 300.0) as simulator:
        simulator.wait_ready()
        yield simulator


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same pair twice: one that never enters, one that does so often."""
    folder = tmp_path_factory.mktemp("frozen")
    return tuple(frozen_for_sample(folder, parameters={**_RULE, "entry_z": entry}) for entry in ("40.0", "0.5"))  # type: ignore[return-value]


def ask(session: LiveSession, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HFTKIT, "reload", str(session.folder), *options], capture_output=True, text=True, check=False, timeout=60)


def reloaded(session: LiveSession, *options: str) -> dict[str, Any]:
    done = ask(session, *options, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def events(session: LiveSession, name: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in (session.folder / "session.log").read_text().splitlines())
    return [line for line in lines if line["event"] == name]


def test_other_thresholds_bring_the_trade_that_the_first_ones_would_not_have(venue: Simulator, files: tuple[Path, Path], tmp_path: Path) -> None:
    calm, eager = files
    with start(calm, venue, tmp_path, "--account", str(next(_account))) as session:
        quiet = session.wait_until(lambda now: now.signal["n_bars"][0] >= 10 and now.session["n_signals"] > 5_000)
        assert quiet.session["n_orders"] == 0
        told = reloaded(session, "--params", str(eager))
        session.wait_until(lambda now: now.session["n_fills"] >= 4)
        wider = tmp_path / "wider.toml"
        wider.write_text("[limits]\nmax_loss = 4000\n[limits.strategy.drill]\nmax_loss = 3000\n")
        limits = reloaded(session, "--limits", str(wider))
        fills = int(session.telemetry().session["n_fills"])
        session.wait_until(lambda now: now.session["n_fills"] >= fills + 2)
    result = json.loads((session.folder / "result.json").read_text())
    old, new = load(calm).digest, load(eager).digest
    assert told["params"] == [{"strategy": "drill", "before": old, "after": new, "file": eager.name}]
    assert told["text"] == f"reload done: drill {old[:12]} -> {new[:12]}"
    assert limits["limits"] == {"max_loss": [5_000, 4_000], "strategy.drill.max_loss": [None, 3_000]}
    assert result["exit_code"] == 0
    assert result["params_digest"] == [new]
    assert [one["text"] for one in result["reloads"]] == [told["text"].removeprefix("reload "), limits["text"].removeprefix("reload ")]
    assert [one["params"] for one in events(session, "reload")] == [told["params"], []]
    whole = replay(session.folder)
    assert whole.identical, whole.difference
    assert (whole.ended, whole.reloads, whole.config.strategies[0].digest, whole.config.limits.max_loss) == (True, 2, new, 4_000)
    part = replay(session.folder, from_snapshot=LAST_SNAPSHOT)
    assert part.identical, part.difference
    assert part.config == whole.config


def test_limits_below_what_is_held_or_lost_count_at_once(venue: Simulator, files: tuple[Path, Path], tmp_path: Path) -> None:
    tight = tmp_path / "tight.toml"
    tight.write_text("[limits]\nmax_loss = 0\n[limits.strategy.drill]\nmax_position_lots = 10\n")
    with start(files[1], venue, tmp_path, "--account", str(next(_account))) as session:
        session.wait_until(lambda now: bool(now.ledger["position"].any()) and int(now.risk["equity_e8"]) <= 0)
        reloaded(session, "--limits", str(tight))
        session.wait_until(lambda now: int(now.risk["halt_reason"]) != 0 and not now.ledger["position"].any())
        session.process.terminate()
        result = session.wait(60, accept=(3,))
    assert result["halt"]["limit"] == "risk loss limit" or "loss" in result["halt"]["limit"]
    assert replay(session.folder).identical


def test_what_is_refused_says_why_and_changes_nothing(venue: Simulator, files: tuple[Path, Path], tmp_path: Path) -> None:
    calm, eager = files
    other = freeze(msgspec.structs.replace(load(eager), name="other"), tmp_path)
    foreign = freeze(msgspec.structs.replace(load(eager), legs=msgspec.structs.replace(load(eager).legs, lead="DELTUSD", hedge="CHARUSD")), tmp_path)
    expired = freeze(msgspec.structs.replace(load(eager), valid_until_ns=1), tmp_path)
    altered = tmp_path / "altered.json"
    altered.write_text(eager.read_text().replace('"0.5"', '"0.6"'))
    bad = {name: tmp_path / f"{name}.toml" for name in ("broken", "unknown", "tables", "small", "nobody")}
    bad["broken"].write_text("[limits\n")
    bad["unknown"].write_text("[limits]\nmax_los = 1\n")
    bad["tables"].write_text("[limits]\nmax_loss = 1\n[venue]\naccount = 2\n")
    bad["small"].write_text("[limits]\nmax_position_lots = 10\n")
    bad["nobody"].write_text("[limits.strategy.nobody]\nmax_loss = 1\n")
    with start(calm, venue, tmp_path, "--account", str(next(_account))) as session:
        session.wait_until(lambda now: now.session["n_signals"] > 0)
        session.wait_until(lambda now: int(now.risk["trading"]) == 0)
        for options, why in (
            (("--params", str(other)), "is of other, the session runs strategies: drill"),
            (("--params", str(foreign)), "its instruments traded differ: DELTUSD, CHARUSD, the session runs CHARUSD, DELTUSD"),
            (("--params", str(expired)), "expired at"),
            (("--params", str(altered)), "was altered"),
            (("--params", str(calm)), "is what the session runs already"),
            (("--params", str(eager), "--params", str(eager)), "are both of drill"),
            (("--params", str(tmp_path / "none.json")), "cannot read frozen parameters"),
            (("--limits", str(bad["broken"])), "is not TOML"),
            (("--limits", str(bad["unknown"])), "perhaps max_loss was meant"),
            (("--limits", str(bad["tables"])), "holds [venue] too"),
            (("--limits", str(bad["small"])), "the limits are below one unit"),
            (("--limits", str(bad["nobody"])), "limits.strategy names nobody"),
        ):
            done = ask(session, *options)
            assert (done.returncode, len(done.stdout.splitlines())) == (3, 1), done.stdout + done.stderr
            assert "reload refused: " in done.stdout
            assert why in done.stdout
        assert ask(session).returncode == 1
        descriptor = os.open(session.folder / REQUEST, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.fchmod(descriptor, 0o666)
        os.write(descriptor, b'{"number": 1, "params": []}')
        os.close(descriptor)
        session.wait_until(lambda now: not (session.folder / REQUEST).exists())
        refused = events(session, "reload_refused")
    assert "is not a private file" in refused[-1]["why"] or "is no request" in refused[-1]["why"]
    assert ask(session, "--params", str(eager)).returncode == 4, "nobody listens any more"
    assert json.loads((session.folder / "result.json").read_text())["reloads"] == []
    found = replay(session.folder)
    assert (found.identical, found.reloads) == (True, 0)


def test_a_killed_session_is_gone_on_with_as_it_was_reloaded(venue: Simulator, files: tuple[Path, Path], tmp_path: Path) -> None:
    calm, eager = files
    account = str(next(_account))
    tight = tmp_path / "tight.toml"
    tight.write_text("[limits]\nmax_loss = 4321\n")
    with start(calm, venue, tmp_path, "--account", account) as session:
        session.wait_until(lambda now: now.signal["n_bars"][0] >= 10 and now.session["n_signals"] > 500)
        reloaded(session, "--params", str(eager), "--limits", str(tight))
        session.wait_until(lambda now: bool(now.ledger["position"].any()))
        session.kill()
    done = resume(venue, session.folder, account, "--duration", "3")
    assert done.returncode == 0, done.stderr[-800:]
    result = json.loads(done.stdout)
    assert result["params_digest"] == [load(eager).digest]
    following = replay(result["journal"])
    assert (following.identical, following.config.limits.max_loss, following.limits_reloaded) == (True, 4321, True)


def test_the_one_that_takes_over_has_the_reloaded_files(
    venue: Simulator, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTKIT_RECOVERY__SUPERVISOR", "true")
    calm, eager = files
    with start(calm, venue, tmp_path, "--account", str(next(_account))) as session:
        session.wait_until(lambda now: now.signal["n_bars"][0] >= 10 and now.session["n_signals"] > 500)
        reloaded(session, "--params", str(eager))
        session.wait_until(lambda now: now.session["n_fills"] >= 2)
        engine_of(session.folder).kill()
        second = session.folder.parent / "session-r1"
        after = LiveSession.__new__(LiveSession)
        after.__dict__.update(session.__dict__)
        after.folder, after._reader = second, None
        after.wait_until(lambda now: int(now.risk["trading"]) == 0 and now.session["n_fills"] >= 4)
        session.process.terminate()
        assert session.process.wait(60) == 0
    assert json.loads((second / "result.json").read_text())["params_digest"] == [load(eager).digest]
    assert replay(second).identical


def test_a_session_on_binance_s_protocol_is_reloaded_too(tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text("[limits]\nmax_loss = 4500\nmax_orders_per_s = 50\n")
    (tmp_path / "venue").mkdir()
    with Simulator(tmp_path / "venue", 1.0, Path("binance"), ("--binance-port", "0")) as simulator:
        venue = binance_drill.Venue(simulator)
        params = binance_drill.frozen_file(tmp_path)
        before = load(params)
        calm = freeze(msgspec.structs.replace(before, parameters={**before.parameters, "entry_z": "40"}), tmp_path)
        with binance_drill.start(calm, venue, tmp_path) as session:
            session.wait_until(lambda now: now.signal["n_bars"][0] >= 10 and int(now.risk["trading"]) == 0)
            assert session.telemetry().session["n_orders"] == 0
            told = reloaded(session, "--params", str(params), "--limits", str(limits))
            binance_drill.trades_on(session, 4)
            session.send(Control.STOP)
            result = session.wait(binance_drill.PATIENCE_S)
        assert told["limits"]["max_loss"] == [5_000, 4_500]
        assert result["params_digest"] == [before.digest]
        assert len(result["reloads"]) == 1
        binance_drill.assert_whole(session, venue, result)
