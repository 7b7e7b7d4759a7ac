"""What the drills of a Binance session share: a pair that trades all the time, the running venue and what it says, and the judgement at the end.

The judgement (`assert_whole`): flat, every order at the venue exactly as often as it was sent, or never if it was lost on the way; the ledger's lots
are those of the venue's own order list; the replay is identical.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hftkit import clock
from hftkit.binance.line import client_order_id_text
from hftkit.codes import MessageType, OrderState, RecordType
from hftkit.exchange.config import load_config
from hftkit.exchange.faults.plan import FaultControl
from hftkit.kernels.wire.frame import frame_type, frame_words
from hftkit.layout import FRAME
from hftkit.params.format import FrozenParams, LegPlan, freeze
from hftkit.session.child_process import LiveSession, Simulator
from hftkit.session.journal import JournalReader
from hftkit.session.replay import replay
from live.venues.binance.keys import load_key

SYMBOLS = ("ETHUSDT", "BTCUSDT")
PATIENCE_S = 120.0
CONFIG = """
[venue]
kind = "binance"
connect_timeout_s = 60.0
[venue.binance]
{extra}
clock_every_s = 0.2
first_pause_s = 0.1
recv_window_ms = 1000
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
        certificate = self.ready["binance"]["certificate"]
        self._tls = ssl.create_default_context(cafile=certificate) if certificate else None

    def fault(self, **settings: float) -> None:
        FaultControl(self.simulator.ready_file).set({f"binance.{name}": value for name, value in settings.items()})

    def ask(self, path: str, method: str = "GET", **params: object) -> Any:
        query = self.key.signed_query(urlencode({**params, "timestamp": clock.unix_ns() // 1_000_000, "recvWindow": 60_000}))
        url = f"{self.ready['binance']['url']}{path}?{query}"
        request = urllib.request.Request(url, headers={"X-MBX-APIKEY": self.key.api_key}, method=method)
        with urllib.request.urlopen(request, timeout=10, context=self._tls) as answer:
            return json.load(answer)

    def position(self, symbol: str) -> float:
        return sum(float(row["positionAmt"]) for row in self.ask("/fapi/v3/positionRisk", symbol=symbol))


def start(
    params: Path, venue: Venue, folder: Path, extra: str = "reconcile_s = 1.0", ready_file: Path | None = None, options: tuple[str, ...] = ()
) -> LiveSession:
    """A session of its own. `extra`: further lines of [venue.binance]."""
    (folder / "live.toml").write_text(CONFIG.format(extra=extra))
    config = ("--config", str(folder / "live.toml"))
    return LiveSession(params, ready_file or venue.simulator.ready_file, folder, "session", 600.0, (*config, *options))


def log_of(session: LiveSession) -> list[dict]:
    return [json.loads(line) for line in (session.folder / "session.log").read_text().splitlines()]


def wait_for(session: LiveSession, what: str, done) -> None:
    deadline = clock.monotonic_s() + PATIENCE_S
    while not done():
        with contextlib.suppress(subprocess.TimeoutExpired):  # a core is left to the two processes
            session.process.wait(0.02)
        assert session.running, session.messages()
        assert clock.monotonic_s() < deadline, f"{what} did not happen: {log_of(session)[-20:]}"


def said(session: LiveSession, event: str, **facts: object) -> list[dict]:
    """Log lines of this event with these facts."""
    return [line for line in log_of(session) if line["event"] == event and all(line.get(name) == value for name, value in facts.items())]


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


def assert_whole(session: LiveSession, venue: Venue, result: dict, lost: int = 0, strange: int = 0, perhaps: int = 0) -> None:
    """Flat here and there but for `strange` lots of the first symbol, no order without outcome, none doubled, replay identical.

    `lost` orders never came to the venue, `perhaps` some more, and the engine knows of each that it did not.
    """
    assert [result["end_positions"][symbol] for symbol in SYMBOLS] == [strange, 0]
    assert result["orders_without_outcome"] == result["illegal_transitions"] == result["malformed_frames"] == 0
    assert [venue.position(symbol) for symbol in SYMBOLS] == [strange / 1000, 0]
    sent = sent_ids(session.folder)
    assert len(sent) == len(set(sent)) == result["orders_sent"]
    mine = set(sent)
    listed = [order for symbol in SYMBOLS for order in venue.ask("/fapi/v1/allOrders", symbol=symbol, limit=1000) if order["clientOrderId"] in mine]
    ids = [order["clientOrderId"] for order in listed]
    assert len(ids) == len(set(ids)), "an order stands twice in the venue's list"
    missing = mine - set(ids)
    assert lost <= len(missing) <= lost + perhaps
    assert all(order["status"] in ("FILLED", "EXPIRED", "CANCELED", "REJECTED") for order in listed)
    replayed = replay(session.folder)
    assert replayed.identical, replayed.difference
    states = {client_order_id_text(int(row["client_order_id"])): (int(row["state"]), int(row["filled_qty"])) for row in replayed.rooms.orders}
    assert all(states[name] == (OrderState.REJECTED, 0) for name in missing)
    scales = {instrument.symbol: instrument for instrument in load_config("binance").scales}
    for i, symbol in enumerate(SYMBOLS):
        venue_lots = sum(round(float(order["executedQty"]) / float(scales[symbol].lot_size)) for order in listed if order["symbol"] == symbol)
        row = replayed.rooms.ledger[i]
        assert int(row["bought_qty"] + row["sold_qty"]) == venue_lots
        assert int(row["position"]) == int(row["bought_qty"] - row["sold_qty"] + row["corrected_qty"])
