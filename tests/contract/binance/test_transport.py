"""How requests may be written, who may send them, how many, and what goes wrong on purpose: by hand over plain HTTP."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import numpy as np
import pytest
from binance.um_futures import UMFutures
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from hftkit.exchange.cli.commands import sim
from hftkit.exchange.dialects.binance.rest import router
from hftkit.exchange.dialects.binance.streams import market_streams, user_streams
from hftkit.exchange.dialects.binance.streams import stream_names as names
from hftkit.exchange.faults.plan import FaultPlan
from hftkit.exchange.market.history.files import HistoryTape, save_history
from hftkit.exchange.market.history.market import QUOTES
from hftkit.exchange.servers.certificates import self_signed
from tests.contract.binance.serving import HOST, Answer, Serving, serving
from tests.unit.exchange.market.history.tapes import BUY, INSTRUMENT, bbo, trade

ORDER = "/fapi/v1/order"
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02", "price": "11000"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def now() -> int:
    return time.time_ns() // 1_000_000


def sign(venue: Serving, payload: str) -> str:
    return hmac.new(venue.key()["secret"].encode(), payload.encode(), hashlib.sha256).hexdigest()


def header(venue: Serving) -> dict[str, str]:
    return {"x-mbx-APIKEY": venue.key()["key"]}


# -- parameters and signatures ---------------------------------------------------------------------------------------


def test_query_body_and_both(venue: Serving) -> None:
    fields = {**LIMIT, "timestamp": now()}
    in_body = urlencode(fields)
    assert venue.ask("POST", ORDER, f"{in_body}&signature={sign(venue, in_body)}", {**header(venue), **FORM}).status == 200
    query, body = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC", f"quantity=0.02&price=11000&timestamp={now()}"
    mixed = sign(venue, query + body)  # no separator between the two
    assert venue.ask("POST", f"{ORDER}?{query}", f"{body}&signature={mixed}", {**header(venue), **FORM}).status == 200
    assert venue.ask("POST", f"{ORDER}?{query}&signature={mixed}", body, {**header(venue), **FORM}).status == 200
    assert venue.ask("POST", f"{ORDER}?{query}", f"{body}&signature={sign(venue, f'{query}&{body}')}", {**header(venue), **FORM}).code == -1022
    both = f"symbol=NOSUCH&timestamp={now()}"
    signature = sign(venue, f"symbol=BTCUSDT{both}")
    assert venue.ask("DELETE", "/fapi/v1/allOpenOrders?symbol=BTCUSDT", f"{both}&signature={signature}", header(venue)).status == 200  # query wins


def test_any_content_type_and_unescaped_json(venue: Serving) -> None:
    query = urlencode({**LIMIT, "timestamp": now()})
    kinds = {**header(venue), "Content-Type": "application/json;charset=utf-8"}
    assert venue.ask("POST", f"{ORDER}?{query}&signature={sign(venue, query)}", "", kinds).status == 200
    for written in (json.dumps([LIMIT]), quote(json.dumps([LIMIT]))):
        body = f"batchOrders={written}&timestamp={now()}"
        answer = venue.ask("POST", "/fapi/v1/batchOrders", f"{body}&signature={sign(venue, body)}", {**header(venue), **FORM})
        assert answer.body[0]["status"] == "NEW"


def test_repeated_names_and_unknown_paths(venue: Serving) -> None:
    assert venue.ask("GET", "/fapi/v1/depth?symbol=BTCUSDT&symbol=ETHUSDT").code == -1101
    nowhere = venue.ask("GET", "/fapi/v1/nowhere")
    assert (nowhere.status, nowhere.body) == (404, {"code": -5000, "msg": "Path /fapi/v1/nowhere, Method GET is invalid"})
    assert venue.ask("PATCH", ORDER).body["msg"] == "Path /fapi/v1/order, Method PATCH is invalid"
    assert venue.ask("GET", "/fapi/v1/depth?symbol=BTCUSDT&unknown=1").status == 200


def test_keys_times_and_signatures_are_checked_in_that_order(venue: Serving) -> None:
    assert [venue.ask("GET", "/fapi/v2/account", headers=h).code for h in ({}, {"X-MBX-APIKEY": ""}, {"X-MBX-APIKEY": "a b"})] == [-2014] * 3
    unknown = venue.ask("GET", "/fapi/v2/account", headers={"X-MBX-APIKEY": "x" * 64})
    assert (unknown.status, unknown.code) == (401, -2015)
    assert venue.ask("GET", "/fapi/v2/account", headers=header(venue)).code == -1102
    assert venue.ask("GET", f"/fapi/v2/account?timestamp={now()}", headers=header(venue)).code == -1102
    assert venue.ask("GET", f"/fapi/v2/account?timestamp={now() - 9000}&signature=00", headers=header(venue)).code == -1021
    assert venue.ask("GET", f"/fapi/v2/account?timestamp={now()}&signature=00", headers=header(venue)).code == -1022
    early = venue.signed("GET", "/fapi/v2/account", timestamp=now() + 5000)
    assert (early.code, early.body["msg"]) == (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    assert venue.signed("GET", "/fapi/v2/account", timestamp=now() - 9000, recvWindow=20_000).status == 200
    assert venue.signed("GET", "/fapi/v2/account", recvWindow=60_001).code == -1130
    assert venue.ask("POST", "/fapi/v1/listenKey", headers=header(venue)).status == 200  # no signature, no time


def test_one_connection_carries_many_requests(venue: Serving) -> None:
    connection = http.client.HTTPConnection(HOST, venue.port, timeout=10)
    sockets = set()
    for _ in range(20):
        connection.request("GET", "/fapi/v1/ping")
        assert Answer(connection.getresponse()).body == {}
        sockets.add(connection.sock)
    assert len(sockets) == 1
    connection.close()


# -- limits ----------------------------------------------------------------------------------------------------------


def test_weights_are_told_and_charged(venue: Serving) -> None:
    def used() -> int:
        return int(venue.ask("GET", "/fapi/v1/ping").headers["X-MBX-USED-WEIGHT-1M"])

    before = used()
    venue.ask("GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=1000")
    assert used() - before in (21, 1 - before)  # or a new minute has begun
    placed = venue.signed("POST", ORDER, **LIMIT)
    assert int(placed.headers["X-MBX-ORDER-COUNT-10S"]) >= 1
    assert int(placed.headers["X-MBX-ORDER-COUNT-1M"]) >= 1


def test_over_the_limit_then_banned() -> None:
    with serving(weight_per_minute=30, requests_until_ban=5, orders_per_10s=2) as venue:
        answers = [venue.signed("POST", ORDER, **LIMIT) for _ in range(3)]
        if [answer.code for answer in answers] != [0, 0, -1015]:  # a new window of ten seconds began in between
            answers = [venue.signed("POST", ORDER, **LIMIT) for _ in range(3)]
        assert (answers[2].status, answers[2].body["msg"]) == (429, "Too many new orders; current limit is 2 orders per TEN_SECONDS.")
        asked = [venue.ask("GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=1000") for _ in range(9)]
        seen = [answer.status for answer in asked]
        assert seen[-1] == 418
        assert 429 in seen
        limited = asked[seen.index(429)]
        assert limited.code == -1003
        assert 1 <= int(limited.headers["Retry-After"]) <= 60
        assert asked[-1].body["msg"].startswith("Way too many requests; IP(127.0.0.1) banned until ")
        assert 60 < int(asked[-1].headers["Retry-After"]) <= 120
        assert venue.ask("GET", "/fapi/v1/ping").status == 418


# -- faults ----------------------------------------------------------------------------------------------------------


def open_ids(venue: Serving) -> list[str]:
    return [row["clientOrderId"] for row in venue.signed("GET", "/fapi/v1/openOrders").body]


@pytest.mark.parametrize(
    ("fault", "status", "code", "carried_out"),
    [
        ("unknown_next", 503, -1000, True),
        ("lost_next", 503, -1000, False),
        ("unavailable_next", 503, -1001, False),
        ("throttle_next", 503, -1008, False),
        ("timeout_next", 408, -1007, True),
        ("too_many_next", 429, -1003, False),
    ],
)
def test_answers_go_wrong_as_asked(venue: Serving, fault: str, status: int, code: int, carried_out: bool) -> None:
    venue.faults(**{fault: 1})
    answer = venue.signed("POST", ORDER, **LIMIT, newClientOrderId=f"f{status}")
    assert (answer.status, answer.code) == (status, code)
    assert (f"f{status}" in open_ids(venue)) is carried_out
    again = venue.signed("POST", ORDER, **LIMIT, newClientOrderId=f"f{status}")
    assert again.code == (-4116 if carried_out else 0)  # what a client that resends blindly would meet
    if fault in ("unknown_next", "lost_next"):
        assert answer.body["msg"] == "Unknown error, please check your request or try again later."


def test_protection_lets_reducing_orders_through(venue: Serving) -> None:
    venue.faults(throttle_next=1)
    reducing = venue.signed("POST", ORDER, symbol="BTCUSDT", side="SELL", type="MARKET", quantity="1", reduceOnly="true")
    assert reducing.code == -2022  # it came as far as the position
    assert venue.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT").status == 200
    assert venue.signed("POST", ORDER, **LIMIT).code == -1008


def test_a_connection_hangs_up_though_the_order_was_placed(venue: Serving) -> None:
    venue.faults(hang_up_next=1)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        venue.signed("POST", ORDER, **LIMIT, newClientOrderId="cut")
    assert open_ids(venue) == ["cut"]


def test_delay_skew_and_ban() -> None:
    with serving(plan=FaultPlan(binance={"delay_us": 50_000})) as venue:
        began = time.monotonic_ns()
        venue.ask("GET", "/fapi/v1/ping")
        assert time.monotonic_ns() - began >= 50_000_000
        venue.faults(delay_us=0, skew_ms=-8000)
        assert abs(venue.ask("GET", "/fapi/v1/time").body["serverTime"] + 8000 - now()) < 1000
        assert venue.signed("POST", ORDER, **LIMIT).code == -1021
        venue.faults(skew_ms=0, ban_s=5)
        assert [venue.ask("GET", "/fapi/v1/ping").status for _ in range(2)] == [418, 418]


# -- HTTPS and the process -------------------------------------------------------------------------------------------


def test_https_with_a_self_signed_certificate(tmp_path: Path) -> None:
    certificate, private_key = self_signed(tmp_path)
    assert stat.S_IMODE(private_key.stat().st_mode) == 0o600
    with serving(certificate=str(certificate), private_key=str(private_key)) as venue:
        context = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection(HOST, venue.port, timeout=10, context=context)
        connection.request("GET", "/fapi/v1/ping")
        assert Answer(connection.getresponse()).body == {}
        connection.close()
        assert venue.url.startswith("https://")


def test_hftkit_sim_serves_it_and_keeps_its_keys_to_itself(tmp_path: Path) -> None:
    ready = tmp_path / "sim.json"
    command = [sys.executable, "-m", "hftkit.cli", "sim", "--config", "binance", "--binance-port", "0", "--binance-tls"]
    command += ["--order-port", "0", "--market-port", "0", "--ready-file", str(ready)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        told = json.loads(ready.read_text())["binance"]
        assert stat.S_IMODE(ready.stat().st_mode) == 0o600
        assert told["url"] in line
        context = ssl.create_default_context(cafile=told["certificate"])
        connection = http.client.HTTPSConnection(HOST, told["port"], timeout=10, context=context)
        connection.request("GET", "/fapi/v1/time")
        assert abs(Answer(connection.getresponse()).body["serverTime"] - now()) < 1000
        connection.close()
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
        assert "stopped after" in output
        secrets = [key.get("secret", key.get("private_key", "")) for key in told["keys"]]
        assert not any(secret in line + output + errors for secret in secrets)
    finally:
        process.kill()
        process.communicate()


def test_a_history_is_served_at_the_present_time(tmp_path: Path) -> None:
    """An hour recorded in 2023, moved to now by whole minutes: the clients' clock, its prices, an order taken from its book."""
    rows = [
        word for s in range(3600) for word in (bbo(s * 10**9, 300_000 + s, 5_000, 300_002 + s, 5_000), trade(s * 10**9 + 1, BUY, 300_002 + s, 700))
    ]
    instrument = msgspec.structs.replace(INSTRUMENT, symbol="BTCUSDT", tick_size="0.1")
    tape = save_history(HistoryTape("an hour", np.array(rows, np.int64), (instrument,), (QUOTES,)), tmp_path / "hour.npz")
    ready = tmp_path / "sim.json"
    command = [sys.executable, "-m", "hftkit.cli", "sim", "--history", str(tape), "--binance-port", "0", "--quiet"]
    command += ["--order-port", "0", "--market-port", "0", "--ready-file", str(ready)]
    refused = CliRunner().invoke(sim, [*command[4:], "--rate", "10"])
    assert refused.exit_code != 0
    assert "must run at their pace" in str(refused.exception)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        assert process.stdout is not None
        assert "binance" in process.stdout.readline()
        told = json.loads(ready.read_text())["binance"]
        client = UMFutures(told["keys"][0]["key"], told["keys"][0]["secret"], base_url=told["url"])
        assert abs(client.time()["serverTime"] - now()) < 1000
        last = int(client.klines("BTCUSDT", "1m")[-1][0])
        assert last % 60_000 == 0
        assert now() - last < 120_000
        bought = client.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.5, newOrderRespType="RESULT")
        assert 30_000 < float(bought["avgPrice"]) < 30_020
        assert client.get_position_risk(symbol="BTCUSDT")[0]["positionAmt"] == "0.500"
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors


# -- defects of the simulator itself ---------------------------------------------------------------------------------


def test_an_error_inside_meets_its_own_client_only(venue: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers, stream producers and hooks that raise: -1000 or a close with 1011, counted; everybody else is served on."""
    before = venue.host.internal_errors.count

    def broken(*_: Any) -> Any:
        raise KeyError("a defect")

    route = router.ROUTES["GET", "/fapi/v1/openInterest"]
    monkeypatch.setitem(router.ROUTES, ("GET", "/fapi/v1/openInterest"), route._replace(handler=broken))
    monkeypatch.setitem(market_streams._PRODUCERS, names.MARK_PRICE, broken)
    answer = venue.ask("GET", "/fapi/v1/openInterest?symbol=BTCUSDT")
    assert (answer.status, answer.code) == (500, -1000)
    with connect(venue.ws_url + "/public/ws/btcusdt@depth5@100ms") as well:
        with connect(venue.ws_url + "/market/ws/btcusdt@markPrice@1s") as ill:
            with pytest.raises(ConnectionClosedError) as closed:
                ill.recv(timeout=10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011
        assert json.loads(well.recv(timeout=10))["e"] == "depthUpdate"
    monkeypatch.setattr(user_streams.UserStreams, "_order_event", broken)
    key = venue.ask("POST", "/fapi/v1/listenKey", headers=header(venue)).body["listenKey"]
    with connect(f"{venue.ws_url}/private/ws?listenKey={key}") as ill:
        assert venue.signed("POST", ORDER, **LIMIT).status == 200
        with pytest.raises(ConnectionClosedError) as closed:
            ill.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
    venue.host.hooks.append(broken)
    for _ in range(2):  # the hooks run after the first one's slice
        assert venue.ask("GET", "/fapi/v1/time").status == 200
    venue.host.hooks.remove(broken)
    with connect(venue.ws_url + "/ws-fapi/v1") as api:
        monkeypatch.setitem(router.ROUTES, ("GET", "/fapi/v1/time"), router.ROUTES["GET", "/fapi/v1/time"]._replace(handler=broken))
        api.send('{"id": 1, "method": "time"}')
        answered = json.loads(api.recv(timeout=10))
        assert (answered["id"], answered["status"], answered["error"]["code"]) == (1, 500, -1000)
        api.send('{"id": 2, "method": "ping"}')
        assert json.loads(api.recv(timeout=10))["status"] == 200
    assert venue.host.internal_errors.count >= before + 5
    assert venue.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDT").status == 200
