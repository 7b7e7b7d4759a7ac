"""`hftkit live` against `hftkit sim --binance-port`: real processes, real sockets, and the venue's own order list as the judge.

One session trades undisturbed, then meets a gap, a cut of every stream, orders of unknown outcome and an order that is lost, lost user events and an
expired listen key, one after the other, and has to trade again after each; one has an order socket that is cut, falls silent and stays away; one
shares its account with a stranger; one meets a ban, and a venue whose clock jumps. What each must come to: `assert_whole` in binance_drill.py.
"""

from __future__ import annotations

import gzip
import itertools
import json
import signal
import subprocess
from pathlib import Path

import pytest
from binance.error import ClientError
from binance.um_futures import UMFutures

from hftkit import clock
from hftkit.codes import Control, OrderRoute, Reject, Trading
from hftkit.session.child_process import HFTKIT, LiveSession, Simulator
from hftkit.session.replay import replay
from live.ending.decision import ExitCode
from tests.faults.binance_drill import PATIENCE_S, SYMBOLS, Venue, assert_whole, frozen_file, log_of, said, start, trades_on, wait_for
from tests.faults.order_proxy import OrderProxy


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("venue"), 1.0, Path("binance"), ("--binance-port", "0")) as simulator:
        yield Venue(simulator)


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    return frozen_file(tmp_path_factory.mktemp("frozen"))


def test_gaps_cuts_unknown_outcomes_lost_orders_and_an_expired_key_are_survived(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        trades_on(session, 8)  # undisturbed, both legs
        assert all(int(row["n_messages"]) > 0 for row in session.telemetry().line)
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
        venue.fault(lost_next=1)  # it never arrives, and is asked for until the venue has said so
        wait_for(session, "a lost order", lambda: any(line["code"] == -2013 for line in said(session, "order_api_error")))
        trades_on(session)
        session.send(Control.STOP)
        result = session.wait(PATIENCE_S)
    counters = result["line"]["counters"]
    assert counters["depth_gaps"] >= 1
    assert counters["unknown_outcomes"] >= 1
    assert counters["listen_key_expired"] >= 1
    assert all(part["n_failures"] >= 1 for name, part in result["line"]["parts"].items() if name in ("public", "private"))
    assert result["status"] == "stopped"
    assert result["entries"] > 0
    assert result["queries"] >= 1
    assert counters["synced"] >= len(SYMBOLS)
    assert_whole(session, venue, result, lost=1)
    text = (session.folder / "session.log").read_text() + json.dumps(result) + "".join(session.messages())
    assert not [secret for secret in venue.key.secrets() if secret in text]
    segments = b"".join(path.read_bytes() for path in session.folder.glob("segment-*"))
    assert not [secret for secret in venue.key.secrets() if secret.encode() in segments]


def flatten(session: LiveSession) -> None:
    """Flat and paused, so that a stranger's lots are the only ones."""
    session.send(Control.FLATTEN)
    wait_for(session, "flat and paused", lambda: session.telemetry().risk["trading"] == Trading.PAUSED)


def a_stranger(venue: Venue) -> UMFutures:
    """The official connector on the same account."""
    return UMFutures(key=venue.key.api_key, secret=venue.key.hmac_secret.decode(), base_url=venue.ready["binance"]["url"])


def test_a_strangers_trades_reach_the_pair_and_halt_beyond_the_limit(venue, params, tmp_path):
    """20 lots are 2 % of a unit, 200 are 20 %; the limit is 5 %."""
    stranger = a_stranger(venue)
    with start(params, venue, tmp_path) as session:

        def corrected() -> int:
            return int(session.telemetry().ledger[0]["corrected_qty"])

        def held() -> list[int]:
            state = session.telemetry()
            return [int(state.ledger[0]["position"]), int(state.legs[0]["lead_position"])]

        trades_on(session)
        flatten(session)
        stranger.new_order(symbol="ETHUSDT", side="BUY", type="MARKET", quantity="0.020")
        wait_for(session, "the stranger's lots, traded away", lambda: corrected() == 20 and held() == [0, 0])
        assert session.telemetry().risk["trading"] == Trading.PAUSED
        session.send(Control.RESUME)
        trades_on(session)
        stranger.new_order(symbol="ETHUSDT", side="SELL", type="MARKET", quantity="0.020")
        wait_for(session, "those of a session that trades", lambda: corrected() == 0)
        trades_on(session)
        flatten(session)
        stranger.new_order(symbol="ETHUSDT", side="BUY", type="MARKET", quantity="0.200")
        halted = "the halt, and nothing left"
        wait_for(session, halted, lambda: session.telemetry().risk["trading"] == Trading.HALTED and corrected() == 200 and held() == [0, 0])
        session.send(Control.STOP)
        result = session.wait(PATIENCE_S, accept=(ExitCode.HALTED,))
    assert result["halt_reason"] == Reject.RISK_ACCOUNT_MISMATCH
    assert result["corrected_lots"] == {"ETHUSDT": 200}
    assert sum(line["qty_lots"] for line in said(session, "fill of another client")) == 240
    assert_whole(session, venue, result)


def test_a_forced_close_unwinds_the_other_leg_and_halts(venue, params, tmp_path):
    """The lead is closed under the client id that the venue uses for auto-deleveraging."""
    stranger = a_stranger(venue)
    with start(params, venue, tmp_path) as session:

        def closed() -> bool:
            amount = venue.position("ETHUSDT")
            order = {"symbol": "ETHUSDT", "side": "SELL" if amount > 0 else "BUY", "type": "MARKET", "quantity": f"{abs(amount):.3f}"}
            try:
                return bool(amount) and bool(stranger.new_order(**order, reduceOnly="true", newClientOrderId="adl_autoclose"))
            except ClientError:  # the session has left it meanwhile
                return False

        trades_on(session)
        wait_for(session, "a forced close", closed)
        wait_for(session, "the halt", lambda: session.telemetry().risk["trading"] == Trading.HALTED)
        wait_for(session, "nothing left", lambda: not session.telemetry().ledger["position"].any())
        session.send(Control.STOP)
        result = session.wait(PATIENCE_S, accept=(ExitCode.HALTED,))
    assert result["halt_reason"] == Reject.RISK_FORCED_CLOSE
    assert {line["reason"] for line in said(session, "forced close")} == {"venue adl"}
    assert result["rejects"] <= 2  # what was in flight when the position went
    assert_whole(session, venue, result, perhaps=result["rejects"])  # one that is refused is in no list of the venue


def test_an_order_socket_that_is_cut_hangs_and_stays_away_costs_no_order(venue, params, tmp_path):
    with OrderProxy(venue.ready["binance"]["port"]) as proxy:
        extra = f"""order_url = "ws://127.0.0.1:{proxy.port}/ws-fapi/v1"
answer_s = 2.0
rest_after_s = 1.0
reconcile_s = 1.0
breaker.open_s = 1.0
"""
        with start(params, venue, tmp_path, extra) as session:
            trades_on(session)
            for n, where in enumerate(("half", "sent"), 1):
                proxy.cut = where
                wait_for(session, f"an order cut ({where})", lambda n=n: proxy.n_cut == n)
                trades_on(session)
            proxy.mute = True
            wait_for(session, "the silence noticed", lambda: any("unanswered" in line["why"] for line in said(session, "line_lost", part="orders")))
            proxy.mute = False
            trades_on(session)

            proxy.refuse = True
            proxy.cut_all()
            wait_for(session, "orders by REST", lambda: session.telemetry().account["order_way"] == OrderRoute.REST)
            by_socket = proxy.n_orders
            trades_on(session)
            venue.fault(unknown_next=1, timeout_next=1)
            wait_for(session, "REST orders of unknown outcome", lambda: len(said(session, "rest_order_failed", reaction="query")) == 2)
            trades_on(session)
            venue.fault(lost_next=1)
            wait_for(session, "a lost REST order", lambda: len(said(session, "rest_order_failed", reaction="query")) == 3)
            trades_on(session)
            assert proxy.n_orders == by_socket
            proxy.refuse = False
            wait_for(session, "orders by the socket again", lambda: session.telemetry().account["order_way"] == OrderRoute.SOCKET)
            trades_on(session)
            assert proxy.n_orders > by_socket

            venue.fault(unavailable_next=9)  # a breaker opens, of calls or of orders, and the operator has a pause of his own meanwhile
            wait_for(session, "the pause", lambda: any("breaker" in line["why"] for line in said(session, "paused")))
            session.send(Control.PAUSE)
            wait_for(session, "the end of the pause", lambda: said(session, "stays_paused"))
            assert session.telemetry().risk["trading"] == Trading.PAUSED
            session.send(Control.RESUME)
            trades_on(session)
            session.send(Control.STOP)
            result = session.wait(PATIENCE_S)
    assert result["line"]["parts"]["orders"]["n_silent"] >= 1
    assert result["line"]["rest_orders"] >= 6
    assert result["line"]["changes_to_rest"] >= 1
    assert result["line"]["task_failures"] == 0
    # half an order is none, nor is the one that the venue lost; one may have flown when every connection was cut, others have met the 503s
    assert_whole(session, venue, result, lost=2, perhaps=10)


def test_a_ban_is_respected_and_a_venue_whose_clock_jumps_halts_trading(venue, params, tmp_path):
    with start(params, venue, tmp_path) as session:
        trades_on(session)
        venue.fault(ban_s=3)
        wait_for(session, "the pause", lambda: said(session, "paused", why="rate limit"))
        before = session.telemetry()
        wait_for(session, "the end of the pause", lambda: said(session, "resumed", why="rate limit"))
        trades_on(session)
        assert int(before.account["order_way"]) == OrderRoute.CLOSED
        venue.fault(skew_ms=5000)
        try:
            wait_for(session, "the halt", lambda: said(session, "halt"))
            session.send(Control.STOP)
            result = session.wait(PATIENCE_S, accept=(ExitCode.HALTED,))
        finally:
            venue.fault(skew_ms=0)
    assert result["line"]["rate_limited"] >= 1
    assert result["halt_reason"] == Reject.RISK_CLOCK_OFFSET
    assert_whole(session, venue, result, perhaps=10)  # what the venue found too old in the moment before the halt


def test_observe_mode_watches_without_a_key_and_sends_nothing(venue, params, tmp_path):
    with start(params, venue, tmp_path, options=("--mode", "observe")) as session:
        session.telemetry()
        wait_for(session, "a signal", lambda: any(e["event"] == "signal" for e in log_of(session)))
        session.send(Control.RESUME)  # not even an operator can make it trade
        frames = int(session.telemetry().session["n_market_data"])
        wait_for(session, "the market", lambda: int(session.telemetry().session["n_market_data"]) > frames + 100)
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
