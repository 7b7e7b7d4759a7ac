"""`hftkit live` against `hftkit sim --binance-port`: real processes, real sockets, and the venue's own order list as the judge.

One session trades undisturbed; one meets a gap, a cut of every stream, orders of unknown outcome and orders that were lost, lost user events and an
expired listen key, one after the other, and has to trade again after each; others meet a ban, and a venue whose clock jumps. Each must end flat,
every order at the venue exactly as often as it was sent: once, or never if it was lost on the way; and its replay must be identical.
"""

from __future__ import annotations

import gzip
import itertools
import json
import signal
import subprocess
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest

from hftkit import clock
from hftkit.binance_line import client_order_id_text
from hftkit.codes import Control, MessageType, RecordType, Reject
from hftkit.exchange.config import load_config
from hftkit.exchange.faults import FaultControl
from hftkit.journal import JournalReader
from hftkit.kernels.wire.frame import frame_type, frame_words
from hftkit.layout import FRAME
from hftkit.params import FrozenParams, LegPlan, freeze
from hftkit.processes import HFTKIT, LiveSession, Simulator
from hftkit.replay import replay
from live.gateways.keys import load_key

SYMBOLS = ("ETHUSDT", "BTCUSDT")
PATIENCE_S = 120.0
CONFIG = """
[venue]
kind = "binance"
connect_timeout_s = 60.0
[venue.binance]
clock_every_s = 0.2
reconcile_s = 1.0
first_pause_s = 0.1
dead_man_s = 120.0
[loop]
wait = "block"
order_timeout_ms = 500
"""


def frozen_file(folder: Path) -> Path:
    """A pair with a short memory that trades all the time; what it earns does not matter here."""
    scales = {instrument.symbol: instrument for instrument in load_config("binance").scales}
    legs = LegPlan(
        lead="ETHUSDT", hedge="BTCUSDT", unit_lead_lots=1000, unit_hedge_lots=-100, slippage_ticks=200, hedge_deadline_ns=5 * 10**9, retry_ns=10**8,
        residual_lots=0,
    )  # fmt: skip
    parameters = {
        "hedge_ratio": "1.1",
        "bar_ns": 100_000_000,
        "window": 10,
        "entry_z": "0.3",
        "exit_z": "0.1",
        "stop_z": "50",
        "max_holding_bars": 10,
    }
    body = {
        "schema_version": 1, "name": "drill", "strategy": "pairs", "strategy_version": 1, "legs": legs, "parameters": parameters, "arrays": {},
        "instruments": tuple(scales[symbol] for symbol in SYMBOLS), "provenance": {}, "valid_from_ns": 0, "valid_until_ns": 2**62,
    }  # fmt: skip
    return freeze(FrozenParams(**body), folder)


class Venue:
    """The running simulator: its faults, and what it says about orders and positions."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator, self.ready = simulator, simulator.wait_ready()
        self.key = load_key(ready=self.ready["binance"], env={})

    def fault(self, **settings: float) -> None:
        FaultControl(self.simulator.ready_file).set({f"binance.{name}": value for name, value in settings.items()})

    def ask(self, path: str, **params: object) -> list[dict]:
        query = self.key.signed_query(urlencode({**params, "timestamp": clock.unix_ns() // 1_000_000, "recvWindow": 60_000}))
        request = urllib.request.Request(f"{self.ready['binance']['url']}{path}?{query}", headers={"X-MBX-APIKEY": self.key.api_key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("venue"), 1.0, Path("binance"), ("--binance-port", "0")) as simulator:
        yield Venue(simulator)


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    return frozen_file(tmp_path_factory.mktemp("frozen"))


def start(params: Path, venue: Venue, folder: Path, seconds: float = 600.0) -> LiveSession:
    (folder / "live.toml").write_text(CONFIG)
    return LiveSession(params, venue.simulator.ready_file, folder, "session", seconds, ("--config", str(folder / "live.toml")))


def log_of(session: LiveSession) -> list[dict]:
    return [json.loads(line) for line in (session.folder / "session.log").read_text().splitlines()]


def wait_for(session: LiveSession, what: str, done) -> None:
    deadline = clock.monotonic_s() + PATIENCE_S
    while not done():
        assert session.running, session.messages()
        assert clock.monotonic_s() < deadline, f"{what} did not happen: {log_of(session)[-20:]}"


def fills(session: LiveSession) -> int:
    return int(session.telemetry().session["n_fills"])


def trades_on(session: LiveSession, at_least: int = 2) -> None:
    before = fills(session)
    wait_for(session, "trading", lambda: fills(session) >= before + at_least)


def sent_ids(folder: Path) -> list[str]:
    """Client order ids of every NEW_ORDER in the journal, in order."""
    found = []
    word = FRAME[MessageType.NEW_ORDER].word("client_order_id")
    for record in JournalReader(folder):
        at = 0
        while record.type == RecordType.ORDER_ENTRY_OUT and at < record.payload.size:
            if frame_type(record.payload[at]) == MessageType.NEW_ORDER:
                found.append(client_order_id_text(int(record.payload[at + word])))
            at += int(frame_words(record.payload[at]))
    return found


def assert_whole(session: LiveSession, venue: Venue, result: dict, lost: int = 0) -> None:
    """Flat here and there, no order without outcome, none lost and none doubled, replay identical."""
    assert set(result["end_positions"].values()) == {0}
    assert result["orders_without_outcome"] == result["illegal_transitions"] == result["malformed_frames"] == 0
    assert not [row for row in venue.ask("/fapi/v3/positionRisk") if float(row["positionAmt"])]
    sent = sent_ids(session.folder)
    assert len(sent) == len(set(sent)) == result["orders_sent"]
    mine = set(sent)
    listed = [order for symbol in SYMBOLS for order in venue.ask("/fapi/v1/allOrders", symbol=symbol, limit=1000) if order["clientOrderId"] in mine]
    ids = [order["clientOrderId"] for order in listed]
    assert len(ids) == len(set(ids)), "an order stands twice in the venue's list"
    assert len(mine - set(ids)) == lost
    assert all(order["status"] in ("FILLED", "EXPIRED", "CANCELED", "REJECTED") for order in listed)
    replayed = replay(session.folder)
    assert replayed.identical, replayed.difference
    scales = {instrument.symbol: instrument for instrument in load_config("binance").scales}
    for i, symbol in enumerate(SYMBOLS):
        venue_lots = sum(round(float(order["executedQty"]) / float(scales[symbol].lot_size)) for order in listed if order["symbol"] == symbol)
        row = replayed.rooms.ledger[i]
        assert int(row["bought_qty"] + row["sold_qty"]) == venue_lots


def test_a_session_trades_both_legs_and_ends_flat(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        trades_on(session, 8)
        state = session.telemetry().line
        assert all(int(row["n_messages"]) > 0 for row in state)
        session.send(Control.STOP)
        result = session.wait(PATIENCE_S)
    assert result["status"] == "stopped"
    assert result["entries"] > 0
    assert result["line"]["counters"]["synced"] >= len(SYMBOLS)
    assert_whole(session, venue, result)
    text = (session.folder / "session.log").read_text() + json.dumps(result) + "".join(session.messages())
    assert not [secret for secret in venue.key.secrets() if secret in text]
    segments = b"".join(path.read_bytes() for path in session.folder.glob("segment-*"))
    assert not [secret for secret in venue.key.secrets() if secret.encode() in segments]


def test_a_gap_cuts_unknown_outcomes_lost_orders_and_an_expired_key_are_survived(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        trades_on(session)
        venue.fault(drop_depth_next=2)
        trades_on(session)
        for fault, part in (("cut_streams", "public"), ("expire_listen_keys", "private")):
            venue.fault(**{fault: 1})
            wait_for(session, fault, lambda part=part: any(e["event"] == "line_lost" and e["part"] == part for e in log_of(session)))
            trades_on(session)
        venue.fault(unknown_next=1)
        wait_for(session, "an order of unknown outcome", lambda: any(e["event"] == "order_api_error" for e in log_of(session)))
        trades_on(session)
        venue.fault(lose_user_next=2)
        trades_on(session, 4)
        venue.fault(swap_user_next=3)
        trades_on(session, 4)
        session.send(Control.STOP)
        result = session.wait(PATIENCE_S)
    counters = result["line"]["counters"]
    assert counters["depth_gaps"] >= 1
    assert counters["unknown_outcomes"] >= 1
    assert counters["listen_key_expired"] >= 1
    assert all(part["n_failures"] >= 1 for name, part in result["line"]["parts"].items() if name in ("public", "private"))
    assert_whole(session, venue, result)


def test_an_order_that_never_arrived_is_asked_for_until_the_venue_has_said_so(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        trades_on(session)
        venue.fault(lost_next=1)
        wait_for(session, "a lost order", lambda: any(e["event"] == "order_api_error" for e in log_of(session)))
        trades_on(session)
        session.send(Control.STOP)
        result = session.wait(PATIENCE_S)
    assert result["queries"] >= 1
    assert_whole(session, venue, result, lost=1)


def test_a_ban_is_respected_and_trading_goes_on_after_it(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        trades_on(session)
        venue.fault(ban_s=3)
        wait_for(session, "the pause", lambda: any(e["event"] == "paused" for e in log_of(session)))
        wait_for(session, "the end of the pause", lambda: any(e["event"] == "resumed" for e in log_of(session)))
        trades_on(session)
        session.send(Control.STOP)
        result = session.wait(PATIENCE_S)
    assert result["line"]["rate_limited"] >= 1
    assert_whole(session, venue, result)


def test_a_venue_whose_clock_jumps_halts_trading(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        trades_on(session)
        venue.fault(skew_ms=5000)
        try:
            wait_for(session, "the halt", lambda: any(e["event"] == "halt" for e in log_of(session)))
            session.send(Control.STOP)
            result = session.wait(PATIENCE_S)
        finally:
            venue.fault(skew_ms=0)
    assert result["halt_reason"] == Reject.RISK_CLOCK_OFFSET
    assert_whole(session, venue, result)


def test_observe_mode_watches_without_a_key_and_sends_nothing(venue, params, tmp_path):
    (tmp_path / "live.toml").write_text(CONFIG)
    options = ("--config", str(tmp_path / "live.toml"), "--mode", "observe")
    with LiveSession(params, venue.simulator.ready_file, tmp_path, "session", 600.0, options) as session:
        session.telemetry()
        wait_for(session, "a signal", lambda: any(e["event"] == "signal" for e in log_of(session)))
        session.send(Control.RESUME)  # not even an operator can make it trade
        frames = int(session.telemetry().session["n_market_data"])
        wait_for(session, "the market", lambda: int(session.telemetry().session["n_market_data"]) > frames + 300)
        session.process.send_signal(signal.SIGTERM)
        result = session.wait(PATIENCE_S)
    assert result["status"] == "stopped"
    assert result["orders_sent"] == 0
    assert set(result["line"]["parts"]) == {"public", "market"}
    assert replay(session.folder).identical


def test_recorded_streams_can_be_followed_from_the_file_alone(venue, tmp_path):
    command = [*HFTKIT, "data", "record", "--symbols", ",".join(SYMBOLS), "--out", str(tmp_path), "--duration", "4", "--json"]
    run = subprocess.run([*command, "--ready-file", str(venue.simulator.ready_file)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert summary["unreadable"] == summary["breaks"] == summary["lost"] == 0
    for symbol in SYMBOLS:
        with gzip.open(summary["files"][symbol], "rb") as lines:
            messages = [(int(line.split(b" ", 1)[0]), json.loads(line.split(b" ", 1)[1])) for line in lines]
        assert len(messages) == summary["messages"][symbol] + sum(m["stream"].endswith("@snapshot") for _, m in messages)
        depth = [m["data"] for _, m in messages if "@depth" in m["stream"]]
        assert len(depth) > 5
        assert all(later["pu"] == earlier["u"] for earlier, later in itertools.pairwise(depth))
        snapshots = [m["data"]["lastUpdateId"] for _, m in messages if m["stream"].endswith("@snapshot")]
        assert depth[0]["U"] <= snapshots[0] <= depth[-1]["u"]
        assert abs(messages[-1][0] - clock.unix_ns()) < 60 * 10**9
