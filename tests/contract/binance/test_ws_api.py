"""The WebSocket API for orders: signatures of all three kinds, sessions, limits, the same answers as REST; and whatever else a socket may carry."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import websockets
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.contract.binance.serving import Serving


class Api:
    """One connection, by hand."""

    def __init__(self, venue: Serving, socket: Any) -> None:
        self.venue, self.socket, self.n = venue, socket, 0

    async def ask(self, method: str, number: Any = None, **params: Any) -> Any:
        """One request; returns the whole answer."""
        self.n += 1
        await self.socket.send(json.dumps({"id": number if number is not None else self.n, "method": method, "params": params}))
        return json.loads(await asyncio.wait_for(self.socket.recv(), 10))

    async def signed(self, method: str, kind: str = "HMAC", account: int = 1, **params: Any) -> Any:
        """One request signed as documented: sorted, nothing escaped, apiKey included."""
        key = self.venue.key(account, kind)
        params |= {"apiKey": key["key"], "timestamp": time.time_ns() // 1_000_000}
        payload = "&".join(f"{k}={json.dumps(v) if not isinstance(v, str) else v}" for k, v in sorted(params.items()))
        if kind == "HMAC":
            signature = hmac.new(key["secret"].encode(), payload.encode(), hashlib.sha256).hexdigest()
        else:
            private: Any = load_pem_private_key(key["private_key"].encode(), None)
            signature = base64.b64encode(private.sign(payload.encode())).decode()
        return await self.ask(method, **params, signature=signature)


def talk(venue: Serving, play: Callable[[Api], Awaitable[Any]], query: str = "") -> Any:
    async def run() -> Any:
        async with websockets.connect(f"{venue.ws_url}/ws-fapi/v1{query}") as socket:
            return await play(Api(venue, socket))

    return asyncio.run(run())


ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.020", "price": "12000.0"}


def test_orders_live_as_they_do_over_rest(venue: Serving) -> None:
    async def play(api: Api) -> None:
        placed = await api.signed("order.place", **ORDER)
        assert placed["status"] == 200
        assert placed["id"] == 1
        order_id = placed["result"]["orderId"]
        over_rest = venue.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=order_id).body
        status = await api.signed("order.status", symbol="BTCUSDT", orderId=order_id)
        assert status["result"] == over_rest
        change = {k: ORDER[k] for k in ("symbol", "side", "quantity")}
        changed = await api.signed("order.modify", **change, price=12010.5, orderId=order_id)
        assert (changed["result"]["price"], changed["result"]["pair"]) == ("12010.5", "BTCUSDT")
        canceled = await api.signed("order.cancel", symbol="BTCUSDT", origClientOrderId=placed["result"]["clientOrderId"])
        assert canceled["result"]["status"] == "CANCELED"
        gone = await api.signed("order.cancel", symbol="BTCUSDT", orderId=order_id)
        assert (gone["status"], gone["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})

    talk(venue, play)


def test_rate_limits_are_told_unless_unwanted(venue: Serving) -> None:
    async def play(api: Api) -> None:
        answer = await api.signed("order.place", **ORDER)
        kinds = [(row["rateLimitType"], row["interval"], row["intervalNum"]) for row in answer["rateLimits"]]
        assert sorted(kinds) == [("ORDERS", "MINUTE", 1), ("ORDERS", "SECOND", 10), ("REQUEST_WEIGHT", "MINUTE", 1)]
        assert all(row["count"] >= 1 and row["limit"] > 0 for row in answer["rateLimits"])
        assert "rateLimits" not in await api.ask("time", returnRateLimits=False)

    async def quiet(api: Api) -> None:
        assert "rateLimits" not in await api.ask("ping")

    talk(venue, play)
    talk(venue, quiet, "?returnRateLimits=false")


def test_ed25519_by_request_and_by_session(venue: Serving) -> None:
    async def play(api: Api) -> None:
        assert (await api.signed("v2/account.balance", "ED25519"))["status"] == 200
        refused = await api.ask("account.status", timestamp=time.time_ns() // 1_000_000)
        assert (refused["status"], refused["error"]["code"]) == (401, -2014)
        assert (await api.signed("session.logon", "HMAC"))["status"] == 400
        logged_on = await api.signed("session.logon", "ED25519")
        assert logged_on["result"]["apiKey"] == venue.key(1, "ED25519")["key"]
        now = time.time_ns() // 1_000_000
        assert (await api.ask("session.status"))["result"]["authorizedSince"] == logged_on["result"]["authorizedSince"]
        balance = await api.ask("account.balance", timestamp=now)
        assert balance["result"][0]["asset"] == "USDT"
        assert (await api.ask("account.balance"))["error"]["code"] == -1102
        placed = await api.ask("order.place", **ORDER, timestamp=now)
        assert placed["result"]["status"] == "NEW"
        other = await api.signed("order.cancel", account=2, symbol="BTCUSDT", orderId=placed["result"]["orderId"])
        assert other["error"]["code"] == -2011, "explicit credentials override the session"
        out = await api.ask("session.logout")
        assert (out["result"]["apiKey"], out["result"]["authorizedSince"]) == (None, None)
        assert (await api.ask("account.balance", timestamp=now))["status"] == 401

    talk(venue, play)


def test_a_wrong_signature_time_and_key(venue: Serving) -> None:
    async def play(api: Api) -> None:
        key, now = venue.key(), time.time_ns() // 1_000_000
        wrong = await api.ask("account.status", apiKey=key["key"], timestamp=now, signature="00")
        assert (wrong["status"], wrong["error"]["code"]) == (400, -1022)
        nobody = await api.ask("account.status", apiKey="x" * 64, timestamp=now, signature="00")
        assert (nobody["status"], nobody["error"]["code"]) == (401, -2015)
        late = await api.ask("account.status", apiKey=key["key"], timestamp=now - 60_000, signature="00")
        assert late["error"]["code"] == -1021

    talk(venue, play)


def test_market_methods_and_listen_keys(venue: Serving) -> None:
    async def play(api: Api) -> None:
        depth = await api.ask("depth", symbol="BTCUSDT", limit=5)
        assert depth["result"]["bids"] == venue.ask("GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=5").body["bids"]
        assert {"lastUpdateId", "bidPrice", "askQty"} <= set((await api.ask("ticker.book", symbol="BTCUSDT"))["result"])
        assert len((await api.ask("ticker.price"))["result"]) == 2
        started = await api.ask("userDataStream.start", apiKey=venue.key()["key"])
        again = await api.ask("userDataStream.ping", apiKey=venue.key()["key"])
        assert started["result"]["listenKey"] == again["result"]["listenKey"]
        assert (await api.ask("userDataStream.stop", apiKey=venue.key()["key"]))["result"] == {}
        assert (await api.ask("no.such.method"))["status"] == 400
        position = await api.signed("v2/account.position", symbol="BTCUSDT")
        assert position["result"] == venue.signed("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT").body

    talk(venue, play)


def test_conditional_orders(venue: Serving) -> None:
    async def play(api: Api) -> None:
        stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.010", "triggerPrice": "11000.0"}
        placed = await api.signed("algoOrder.place", **stop)
        assert placed["result"]["algoStatus"] == "NEW"
        assert (await api.signed("algoOrder.cancel", algoId=placed["result"]["algoId"]))["result"]["code"] == "200"
        old = await api.signed("order.place", **{**ORDER, "type": "STOP_MARKET", "stopPrice": "11000.0"})
        assert old["error"]["code"] == -4120

    talk(venue, play)


def test_faults_meet_it_too(venue: Serving) -> None:
    async def play(api: Api) -> None:
        venue.faults(unknown_next=1)
        unknown = await api.signed("order.place", **ORDER, newClientOrderId="who-knows")
        assert unknown["status"] == 503
        found = await api.signed("order.status", symbol="BTCUSDT", origClientOrderId="who-knows")
        assert found["result"]["status"] == "NEW", "it was carried out"
        venue.faults(throttle_next=1)
        assert (await api.signed("order.place", **ORDER))["error"]["code"] == -1008

    talk(venue, play)


def test_any_id_is_echoed_and_nonsense_is_answered(venue: Serving) -> None:
    async def play(api: Api) -> None:
        for number in (0, 2**62, "abc", -1):
            assert (await api.ask("ping", number))["id"] == number
        rng = random.Random(1)
        for message in ("", "[]", "null", '{"method":1}', "{" * 5000, '{"id":[],"method":"ping"}', '{"id":1,"method":"order.place","params":[]}'):
            await api.socket.send(message)
            assert json.loads(await asyncio.wait_for(api.socket.recv(), 10))["status"] in (200, 400)
        for _ in range(200):
            await api.socket.send(rng.randbytes(rng.randrange(1, 60)))
            assert json.loads(await asyncio.wait_for(api.socket.recv(), 10))["status"] == 400
        values = [1, -1.5, 1e300, True, None, "x", "1e9", [], {}, "0" * 5000]
        for _ in range(200):
            params = {name: rng.choice(values) for name in (*ORDER, "apiKey", "timestamp", "signature", "recvWindow")}
            await api.socket.send(json.dumps({"id": 7, "method": rng.choice(["order.place", "depth", "session.logon"]), "params": params}))
            assert json.loads(await asyncio.wait_for(api.socket.recv(), 10))["status"] in (400, 401)
        assert (await api.ask("ping"))["status"] == 200

    talk(venue, play)
