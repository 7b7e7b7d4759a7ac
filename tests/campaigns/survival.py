"""One round of the survival campaign: a session against a venue that serves all rounds, what is done to it, and the judgement.

The judgement: the journal is readable, its replay identical, the orders in it are the venue's, none lost and none doubled. Then the account is flat
without an open order, or a line names what is left and `hftkit flatten --config` gets it flat.
"""

from __future__ import annotations

import json
import random
import subprocess
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hftkit.binance.line import client_order_id_text
from hftkit.clock import monotonic_s, unix_ns
from hftkit.codes import MessageType, RecordType
from hftkit.evidence.registry import Row
from hftkit.exchange.testing import ORDER_QUERY, PlainClient
from hftkit.kernels.wire.frame import frame_instrument, frame_type, frame_words
from hftkit.layout import FRAME
from hftkit.session.child_process import HFTKIT, LiveSession, Simulator
from hftkit.session.journal import JournalReader
from hftkit.session.replay import replay
from live.venues.binance.keys import load_key

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
[venue]
kind = "{kind}"
connect_timeout_s = 60.0
account = {account}
[venue.binance]
reconcile_s = 1.0
clock_every_s = 0.5
dead_man_s = 30.0
first_pause_s = 0.1
[loop]
wait = "block"
order_timeout_ms = 1000
heartbeat_ms = 5000
[session]
stop_timeout_s = 60.0
segment_mb = {segment_mb}
"""
NAMED = ("position", "remain", "left", "hold", "open")  # a line that names what is left has one of these


def venue_config(folder: Path, accounts: int) -> Path:
    """The Binance universe with so many demo accounts."""
    text = (ROOT / "hftkit/exchange/configs/binance_universe.toml").read_text()
    path = folder / "venue.toml"
    path.write_text(text.replace("[binance]\n", f"[binance]\ndemo_accounts = {list(range(1, accounts + 1))}\n"))
    return path


@dataclass
class Found:
    """What a round came to."""

    what: str
    kind: str
    orders: int = 0
    lost: int = 0
    doubled: int = 0
    flat: bool = False
    named: bool = False
    flattened: bool = False
    exit_status: int | None = None
    problems: list[str] = field(default_factory=list)


class Round:
    """A session on an account of its own. `end()` judges it."""

    def __init__(self, simulator: Simulator, params: Path, folder: Path, number: int, kind: str, what: str, seed: int) -> None:
        self.simulator, self.kind, self.account, self.what = simulator, kind, number, what
        self.random = random.Random(f"{seed} {what} {number}")
        self.folder = folder / f"{what}-{number}"
        self.folder.mkdir(parents=True)
        self.config = self.folder / "live.toml"
        self.config.write_text(CONFIG.format(kind=kind, account=number, segment_mb=1 if what == "disk" else 16))
        self.params, self.session = params, None  # type: LiveSession | None
        self.journals = self.folder / "j"

    def start(self) -> LiveSession:
        """Start it, and wait until it trades and a random number of orders has been sent."""
        self.session = LiveSession(self.params, self.simulator.ready_file, self.journals, "session", 600.0, ("--config", str(self.config)))
        at_least = self.random.randint(1, 8)
        self.session.wait_until(lambda now: now.session["n_orders"] >= at_least)
        self.linger(self.random.random())
        return self.session

    def linger(self, seconds: float) -> None:
        """A random moment: let the session go on for a while."""
        assert self.session is not None
        try:
            self.session.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def options(self) -> tuple[str, ...]:
        """Of `hftkit flatten` for this account."""
        return ("--config", str(self.config), "--ready-file", str(self.simulator.ready_file))

    def end(self, timeout_s: float = 180.0) -> Found:
        """Wait for the end of the session and judge it."""
        assert self.session is not None
        found, session = Found(self.what, self.kind), self.session
        try:
            session.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            found.problems.append(f"still runs after {timeout_s:g} s")
            session.kill()
        found.exit_status = session.process.returncode
        self._journal(found)
        held, resting = self.left()
        found.flat = not held and not resting
        if not found.flat:
            told = self._told()
            found.named = any(word in told for word in NAMED)
            found.flattened = self._flatten(found)
            if not found.named:
                found.problems.append(f"not flat ({held} {resting}) and no line names it: {told[-200:]!r}")
        return found

    def _told(self) -> str:
        """What people were told: the session's own last lines; of one that was killed, what `hftkit stop` says."""
        assert self.session is not None
        lines = "\n".join(self.session.messages()[-3:])
        asked = subprocess.run([*HFTKIT, "stop", str(self.session.folder)], capture_output=True, text=True, check=False)
        return f"{lines}\n{asked.stdout}" if self.session.process.returncode else lines

    def _journal(self, found: Found) -> None:
        assert self.session is not None
        try:
            sent = orders_in(self.session.folder)
            result = replay(self.session.folder)
        except Exception as error:  # whatever it is, the round has failed by it
            found.problems.append(f"journal: {error!r}")
            return
        if not result.identical:
            found.problems.append(f"replay differs: {result.difference}")
        ids = [client_order_id for client_order_id, _ in sent]
        found.orders, found.doubled = len(ids), len(ids) - len(set(ids))
        known = self._known(sent)
        answered = {int(row["client_order_id"]): int(row["order_id"]) for row in result.rooms.orders if row["client_order_id"]}
        # lost: the engine was told that it is at the venue, and the venue does not know it
        found.lost = sum(1 for i in ids if answered.get(i, 0) and known.get(i, 0) == 0)
        found.doubled += sum(1 for n in known.values() if n > 1)
        if found.lost or found.doubled:
            found.problems.append(f"{found.lost} lost, {found.doubled} doubled")

    def _known(self, sent: list[tuple[int, int]]) -> dict[int, int]:
        """How often the venue knows each order."""
        if self.kind == "binance":
            listed = [row["clientOrderId"] for s in ("ETHUSDT", "BTCUSDT") for row in self.ask("/fapi/v1/allOrders", symbol=s, limit=1000)]
            return {i: listed.count(client_order_id_text(i)) for i, _ in sent}
        known = {}
        with self._client() as client:
            for client_order_id, instrument in sent:
                client.send(ORDER_QUERY, client_order_id, instrument=instrument)
                known[client_order_id] = int(client.until("ORDER_STATUS")[-1].state != 0)
        return known

    def left(self) -> tuple[dict[str, Any], list[Any]]:
        """Positions and open orders, as the venue has them."""
        if self.kind == "binance":
            rows = self.ask("/fapi/v3/positionRisk")
            return {r["symbol"]: r["positionAmt"] for r in rows if float(r["positionAmt"])}, self.ask("/fapi/v1/openOrders")
        n = len(self.simulator.wait_ready()["symbols"])
        held, resting = {}, []
        with self._client() as client:
            for _ in range(n):
                message = client.until("POSITION")[-1]
                if message.position:
                    held[str(message.instrument)] = message.position
            client.socket.settimeout(0.3)
            try:
                while (message := client.receive()).name == "ORDER_STATUS":
                    resting.append(message.client_order_id)
            except TimeoutError:
                pass
        return held, resting

    def _client(self) -> PlainClient:
        ready, deadline = self.simulator.wait_ready(), monotonic_s() + 40
        while True:
            client = PlainClient(ready["host"], ready["order_port"])
            if client.logon(self.account).name == "LOGON_ACK":
                return client
            client.close()
            assert monotonic_s() < deadline, "the venue keeps the dead session"

    def ask(self, path: str, method: str = "GET", **params: object) -> Any:
        """A signed call of this account."""
        ready = self.simulator.wait_ready()["binance"]
        key = load_key(ready=ready, env={}, account=self.account)
        query = key.signed_query(urlencode({**params, "timestamp": unix_ns() // 1_000_000, "recvWindow": 60_000}))
        request = urllib.request.Request(f"{ready['url']}{path}?{query}", headers={"X-MBX-APIKEY": key.api_key}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _flatten(self, found: Found) -> bool:
        run = subprocess.run([*HFTKIT, "flatten", *self.options()], capture_output=True, text=True, check=False)
        if run.returncode:
            found.problems.append(f"flatten: {run.stdout}{run.stderr}")
        return run.returncode == 0 and self.left() == ({}, [])


def orders_in(folder: Path) -> list[tuple[int, int]]:
    """(client order id, instrument) of every NEW_ORDER in a journal, in order."""
    found, word = [], FRAME[MessageType.NEW_ORDER].word("client_order_id")
    for record in JournalReader(folder):
        at = 0
        while record.type == RecordType.ORDER_ENTRY_OUT and at < record.payload.size:
            if frame_type(record.payload[at]) == MessageType.NEW_ORDER:
                found.append((int(record.payload[at + word]), int(frame_instrument(record.payload[at]))))
            at += int(frame_words(record.payload[at]))
    return found


def table(rows: list[Found]) -> str:
    """The campaign in lines, one a kind."""
    lines = [f"{'what':10} {'rounds':>6} {'orders':>7} {'lost':>5} {'doubled':>8} {'flat':>5} {'named':>6} {'flattened':>10} {'problems':>9}"]
    for what in dict.fromkeys(row.what for row in rows):
        of = [row for row in rows if row.what == what]
        lines.append(
            f"{what:10} {len(of):6} {sum(r.orders for r in of):7} {sum(r.lost for r in of):5} {sum(r.doubled for r in of):8} "
            f"{sum(r.flat for r in of):5} {sum(r.named for r in of):6} {sum(r.flattened for r in of):10} {sum(bool(r.problems) for r in of):9}"
        )
    return "\n".join(lines)


COUNTED = {
    "kill": "SIGKILL at a random moment, then `hftkit flatten --config`",
    "hup": "the terminal closes (SIGHUP)",
    "stopcont": "SIGSTOP for 2 to 20 s, SIGCONT",
    "disk": "the journal's disk is full",
    "shm": "shared memory is full",
    "kernel": "the notebook's kernel is killed or restarted",
}


def evidence(rows: Sequence[Found], when: str) -> list[Row]:
    """A row of the evidence for each kind of end: the session's orders beside the venue's own ledger."""
    found = []
    for what in dict.fromkeys(row.what for row in rows):
        of = [row for row in rows if row.what == what]
        lost, doubled = sum(row.lost for row in of), sum(row.doubled for row in of)
        ours = f"{sum(row.orders for row in of):,} orders in {len(of)} sessions: {lost} lost, {doubled} doubled"
        bad = sum(bool(row.problems) for row in of)
        theirs = f"flat, or what is left is named: {len(of) - bad} of {len(of)}"
        holds = not (lost or doubled or bad)
        found.append(Row(f"{COUNTED[what]}, both dialects", ours, theirs, "the venue's own ledger", "none", holds, "make survive", when))
    return found
