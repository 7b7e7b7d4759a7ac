"""The WebSocket path: bytes of a book ticker received -> decision -> order bytes handed to the socket, plain and TLS; and a flood of book tickers.

`binance_wire` runs the real command `hftkit live` against a small venue in a process of its own, and then a plain loop of the `websockets` library
(its sans-I/O protocol, which is its fastest form), `json` and `hmac` against the same venue. Both begin when recv has returned and end when send
has. `binance_burst` lets the venue send as many book tickers as a busy day has, and shows the backlog.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from hftkit import clock
from hftkit.benchmarks.registry import Result, WrongAnswer
from hftkit.codes import Control, LinePart, SessionStatus
from hftkit.instruments import Instrument
from hftkit.params.format import FrozenParams, LegPlan, freeze
from hftkit.session.child_process import HFTKIT, LiveSession
from hftkit.session.replay import replay
from live.benchmarks.small_venue import KEY, SECRET
from live.link.websocket import Opened, open_websocket, tls_context
from live.ready_file import read_ready_file

SECONDS = 8.0
BURST_RATE, BURST_SECONDS = 110_000, 3.0  # offered: a tenth above what is to be taken
_INSTRUMENTS = tuple(
    Instrument(symbol=symbol, tick_size="0.01", lot_size="0.001", min_notional="5", maker_fee_ppm=200, taker_fee_ppm=500)
    for symbol in ("AAAUSDT", "BBBUSDT")
)


def frozen_for_small_venue(folder: Path) -> Path:
    """A pair that the small venue's market moves all the time."""
    legs = LegPlan(
        lead="AAAUSDT", hedge="BBBUSDT", unit_lead_lots=100, unit_hedge_lots=-50, slippage_ticks=10, hedge_deadline_ns=10**9, retry_ns=10**7,
        residual_lots=0,
    )  # fmt: skip
    parameters = {"hedge_ratio": "1.0", "bar_ns": 50_000_000, "window": 10, "entry_z": "0.5", "exit_z": "0.1", "stop_z": "50", "max_holding_bars": 20}
    body: dict[str, Any] = {
        "schema_version": 1, "name": "small", "strategy": "pairs", "strategy_version": 1, "instruments": _INSTRUMENTS, "legs": legs,
        "parameters": parameters, "arrays": {}, "provenance": {}, "valid_from_ns": 0, "valid_until_ns": 2**62,
    }  # fmt: skip
    return freeze(FrozenParams(**body), folder)


@contextmanager
def small_venue(folder: Path, secure: bool, options: tuple[str, ...] = ()) -> Iterator[Path]:
    """The small venue as a process; gives its ready file."""
    ready = folder / "small.json"
    command = [sys.executable, "-c", "from live.benchmarks.small_venue import main; main()", str(ready), "--pace", "0.005", "--burst", "1", *options]
    if secure:
        from hftkit.exchange.servers.certificates import self_signed

        command += ["--tls", *map(str, self_signed(folder))]
    process = subprocess.Popen(command)
    try:
        read_ready_file(ready, 20.0, threading.Event().wait)
        yield ready
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _config(folder: Path) -> Path:
    path = folder / "live.toml"
    path.write_text('[venue]\nkind = "binance"\n[venue.binance]\nfeed = "book_ticker"\n[loop]\nwait = "yield"\n')
    return path


def _engine(folder: Path, ready: Path, seconds: float) -> dict[str, Any]:
    command = [
        *HFTKIT,
        "live",
        "--config",
        str(_config(folder)),
        "--params",
        str(frozen_for_small_venue(folder)),
        "--ready-file",
        str(ready),
        "--json",
    ]
    command += ["--duration", f"{seconds:g}", "--journal-dir", str(folder), "--session-id", "bench"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise WrongAnswer(f"the session failed: {run.stderr.splitlines()[-1] if run.stderr else run.returncode}")
    result: dict[str, Any] = json.loads(run.stdout)
    if any(result["end_positions"].values()) or result["orders_sent"] < 20 or not replay(folder / "bench").identical:
        raise WrongAnswer(f"the session did not end as it must: {result['orders_sent']} orders, positions {result['end_positions']}")
    return result


def _plain_loop(ready: Path, seconds: float) -> np.ndarray:
    """Microseconds from recv's return to send's return, for each order of a loop of websockets + json."""
    told = json.loads(ready.read_text())["binance"]
    tls = tls_context(told["certificate"]) if told["certificate"] else None
    feed = open_websocket(f"{told['ws_url']}/public/ws/aaausdt@bookTicker", 5.0, tls)
    orders = open_websocket(f"{told['ws_url']}/ws-fapi/v1", 5.0, tls)
    protocol = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=None)
    out = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=None)
    protocol.receive_data(feed.rest)
    feed.connection.settimeout(5.0)
    times, mids, n = [], [0.0] * 20, 0
    end = clock.monotonic_s() + seconds
    while clock.monotonic_s() < end:
        data = feed.connection.recv(65536)
        t1 = clock.monotonic_ns()
        protocol.receive_data(data)
        for event in protocol.events_received():
            if not isinstance(event, Frame) or event.opcode is not Opcode.TEXT:
                continue
            ticker = json.loads(bytes(event.data))
            n += 1
            mids[n % 20] = (float(ticker["b"]) + float(ticker["a"])) / 2
            mean = sum(mids) / 20
            if n % 5 == 0:
                out.send_text(_order(n, "BUY" if mids[n % 20] < mean else "SELL", ticker).encode())
                orders.connection.sendall(b"".join(out.data_to_send()))
                times.append((clock.monotonic_ns() - t1) / 1000)
        _drain(orders)
    for opened in (feed, orders):
        opened.connection.close()
    if len(times) < 20:
        raise WrongAnswer(f"the plain loop sent {len(times)} orders only")
    return np.array(times)


def _order(n: int, side: str, ticker: dict[str, Any]) -> str:
    price = ticker["a"] if side == "BUY" else ticker["b"]
    params = {
        "apiKey": KEY, "newClientOrderId": f"plain{n:016x}", "price": price, "quantity": "0.100", "recvWindow": 5000, "side": side,
        "symbol": ticker["s"], "timeInForce": "IOC", "timestamp": clock.unix_ns() // 1_000_000, "type": "LIMIT",
    }  # fmt: skip
    text = "&".join(f"{name}={value}" for name, value in params.items())
    params["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    return json.dumps({"id": f"p{n}", "method": "order.place", "params": params}, separators=(",", ":"))


def _drain(orders: Opened) -> None:
    orders.connection.setblocking(False)
    with suppress(BlockingIOError, ssl.SSLWantReadError):
        orders.connection.recv(65536)
    orders.connection.setblocking(True)


def binance_wire(seconds: float = SECONDS) -> list[Result]:
    """p50 of book ticker received to order sent, plain and TLS, beside the plain loop."""
    results = []
    for secure, goal in ((False, "p50 < 50"), (True, "p50 < 100")):
        with tempfile.TemporaryDirectory() as text, small_venue(Path(text), secure) as ready:
            engine = _engine(Path(text), ready, seconds)
            reference = float(np.median(_plain_loop(ready, seconds / 2)))
        figures = {name: float(value) for name, value in engine["latency_us"]["tick_to_order"].items() if name != "n"}
        config = {"orders": engine["orders_sent"], "seconds": seconds, "wait": "yield", "transport": "TLS" if secure else "plain"}
        name = f"binance_wire_{'tls' if secure else 'plain'}"
        results.append(Result(name, "us", figures["p50"], figures, "websockets + json + hmac", reference, reference / figures["p50"], config, goal))
    return results


def binance_burst(rate: int = BURST_RATE, seconds: float = BURST_SECONDS) -> list[Result]:
    """Book tickers a second through socket, deframer, ring, translation, journal and step of a running engine: does the backlog grow?"""
    with tempfile.TemporaryDirectory() as text, small_venue(Path(text), False, ("--flood", str(rate))) as ready:
        folder = Path(text)
        options = ("--config", str(_config(folder)))
        with LiveSession(frozen_for_small_venue(folder), ready, folder, "bench", 600.0, options) as session:
            session.wait_until(lambda now: now.status == SessionStatus.TRADING)
            first, started, backlogs = _public(session), clock.monotonic_s(), []
            while clock.monotonic_s() < started + seconds:
                backlogs.append(int(_public(session)["backlog"]))
            last, took = _public(session), clock.monotonic_s() - started
            session.send(Control.STOP)
            result = session.wait(60)
    parts = result["line"]["parts"]["public"]
    if parts["n_dropped"] or any(result["end_positions"].values()):
        raise WrongAnswer(f"{parts['n_dropped']} messages found the ring full, positions {result['end_positions']}")
    per_s = (int(last["n_messages"]) - int(first["n_messages"])) / took
    half = len(backlogs) // 2
    config = {
        "offered_per_s": rate, "seconds": seconds, "backlog_median_bytes": [int(np.median(backlogs[:half])), int(np.median(backlogs[half:]))],
        "backlog_largest_bytes": max(backlogs), "backlog_at_end_bytes": backlogs[-1],
    }  # fmt: skip
    return [Result("binance_burst", "messages/s", per_s, config=config, goal=">= 100000")]


def _public(session: LiveSession) -> Any:
    return session.telemetry().line[int(LinePart.PUBLIC)]
