"""One account, one engine: what an earlier session has left, a second engine, and one on another machine, with real processes on one simulator.

Another machine is played by another state folder: there the first one's lock is not seen, and the venue has to show that there are two.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from hftkit.binance.line import client_order_id_text
from hftkit.codes import Control, Reject, Trading
from hftkit.exchange.config import load_config
from hftkit.params.format import LegPlan, freeze, load
from hftkit.session.child_process import HFTKIT, LiveSession, Simulator
from hftkit.session.replay import replay
from live.account.open_orders import engine_id, epoch_of
from tests.faults.binance_drill import CONFIG, PATIENCE_S, SYMBOLS, Venue, frozen_file, said, sent_ids, trades_on, wait_for

OLD = client_order_id_text(0x6B0D << 32 | 7)  # of a session that is long gone


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("venue"), 1.0, Path("binance"), ("--binance-port", "0")) as simulator:
        yield Venue(simulator)


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    return frozen_file(tmp_path_factory.mktemp("frozen"))


@pytest.fixture(scope="module")
def other_pair(tmp_path_factory):
    """Another pair of the same account: the two engines share no symbol and no position."""
    scales = {instrument.symbol: instrument for instrument in load_config("binance").scales}
    legs = LegPlan(
        lead="SOLUSDT", hedge="BNBUSDT", unit_lead_lots=800, unit_hedge_lots=-200, slippage_ticks=200, hedge_deadline_ns=5 * 10**9, retry_ns=10**8,
        residual_lots=0,
    )  # fmt: skip
    mine = load(frozen_file(tmp_path_factory.mktemp("first")))
    instruments = (scales["SOLUSDT"], scales["BNBUSDT"])
    return freeze(msgspec.structs.replace(mine, name="other", legs=legs, instruments=instruments), tmp_path_factory.mktemp("other"))


def start(params: Path, venue: Venue, folder: Path, name: str, monkeypatch, machine: str = "here", rules: str = "") -> LiveSession:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / machine))
    config = folder / f"{name}.toml"
    config.write_text(CONFIG.format(extra="reconcile_s = 0.5") + f"[session]\n{rules}\n")
    return LiveSession(params, venue.simulator.ready_file, folder, name, 600.0, ("--config", str(config)))


def rest_an_order(venue: Venue, client_id: str, symbol: str = "ETHUSDT", share: float = 0.9) -> int:
    """A bid far below the market that nobody takes."""
    price = float(venue.ask("/fapi/v1/ticker/price", symbol=symbol)["price"])
    order = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1.000", "price": f"{price * share:.1f}"}
    return venue.ask("/fapi/v1/order", "POST", **order, newClientOrderId=client_id)["orderId"]


def open_ids(venue: Venue) -> set[str]:
    return {order["clientOrderId"] for order in venue.ask("/fapi/v1/openOrders")}


def cancel_all(venue: Venue) -> None:
    for symbol in SYMBOLS:
        venue.ask("/fapi/v1/allOpenOrders", "DELETE", symbol=symbol)


def test_orders_of_a_dead_session_go_a_strangers_stay_and_the_account_has_one_engine(venue, params, tmp_path, monkeypatch):
    rest_an_order(venue, OLD)
    rest_an_order(venue, "web_mine", "BTCUSDT")
    with start(params, venue, tmp_path, "first", monkeypatch) as first:
        trades_on(first)
        assert open_ids(venue) == {"web_mine"}
        (line,) = said(first, "orphans_cancelled")
        assert OLD in line["orders"]
        (named,) = said(first, "strangers_orders")
        assert "web_mine" in named["orders"]
        assert "BTCUSDT would cancel them too" in named["dead_man"]
        late = client_order_id_text(0x6B0D << 32 | 8)
        rest_an_order(venue, late)  # made while we run: somebody is alive there, and it is not for us to cancel
        wait_for(first, "the alarm", lambda: said(first, "foreign_order", session_number="00006b0d"))
        wait_for(first, "the halt", lambda: first.telemetry().risk["trading"] == Trading.HALTED)
        assert late in open_ids(venue)
        assert int(first.telemetry().account["n_orphans"]) == 1

        with start(params, venue, tmp_path, "second", monkeypatch) as second:
            second.process.wait(PATIENCE_S)
            assert second.process.returncode != 0
            words = second.messages()[-1]
            assert "is traded already: session 'first'" in words
            assert str(first.process.pid) in words
        first.send(Control.STOP)
        first.process.wait(PATIENCE_S)
    cancel_all(venue)
    sent = sent_ids(first.folder)
    assert len({epoch_of(engine_id(text)) for text in sent}) == 1
    assert abs(epoch_of(engine_id(sent[0])) - int(first.folder.stat().st_mtime)) > 10**5, "the number is the time"
    assert replay(first.folder).identical


def test_two_machines_on_one_account_are_noticed_and_halt(venue, params, other_pair, tmp_path, monkeypatch):
    cancel_all(venue)
    with start(params, venue, tmp_path, "here", monkeypatch) as here, start(other_pair, venue, tmp_path, "there", monkeypatch, "elsewhere") as there:
        wait_for(here, "a halt", lambda: any(one.telemetry().risk["trading"] == Trading.HALTED for one in (here, there)))
        for session in (here, there):  # the first to notice is flat and silent from then on: the other may have nothing left to notice
            if session.telemetry().risk["trading"] == Trading.HALTED:
                assert said(session, "foreign_order")
                assert int(session.telemetry().risk["halt_reason"]) == Reject.RISK_ACCOUNT_MISMATCH
        for session in (here, there):
            session.send(Control.STOP)
            session.process.wait(PATIENCE_S)
    ids = [*sent_ids(here.folder), *sent_ids(there.folder)]
    assert len(ids) == len(set(ids))


def test_an_account_that_holds_positions_is_refused_with_lots_and_the_cure(venue, params, tmp_path):
    cancel_all(venue)
    venue.ask("/fapi/v1/order", "POST", symbol="ETHUSDT", side="SELL", type="MARKET", quantity="0.020")
    try:
        (tmp_path / "live.toml").write_text(CONFIG.format(extra=""))
        command = [*HFTKIT, "live", "--params", str(params), "--ready-file", str(venue.simulator.ready_file), "--journal-dir", str(tmp_path)]
        run = subprocess.run([*command, "--config", str(tmp_path / "live.toml")], capture_output=True, text=True, check=False, env={**os.environ})
        assert run.returncode != 0
        last = run.stderr.splitlines()[-1]
        assert "the account already holds ETHUSDT -20 lots" in last
        assert "hftkit flatten --config FILE" in last
    finally:
        venue.ask("/fapi/v1/order", "POST", symbol="ETHUSDT", side="BUY", type="MARKET", quantity="0.020", reduceOnly="true")
