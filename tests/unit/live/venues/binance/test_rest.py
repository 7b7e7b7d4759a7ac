"""The REST client against a scripted HTTP server on a real socket: signatures, limits, breakers, and orders that are never sent twice."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json

import pytest
from aiohttp import web

from live.link.breaker import Breaker, BreakerConfig
from live.link.rate_budget import RateBudget
from live.venues.binance.error_policy import Reaction
from live.venues.binance.keys import ApiKey
from live.venues.binance.rest import BinanceRest, RestError

NOW_MS = 1_790_000_000_000
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "9000", "newClientOrderId": "hk-1"}
UNKNOWN = (503, {"code": -1000, "msg": "Unknown error, please check your request or try again later."})
NO_SUCH = (400, {"code": -2013, "msg": "Order does not exist."})
FOUND = (200, {"orderId": 7, "clientOrderId": "hk-1", "status": "FILLED"})


class Scripted:
    """Answers in the order of its script; remembers what it was asked."""

    def __init__(self, *script):
        self.script, self.asked, self.peers = list(script), [], set()

    async def handle(self, request):
        self.asked.append((request.method, request.path, request.raw_path.partition("?")[2], dict(request.headers)))
        self.peers.add(request.transport.get_extra_info("peername"))
        step = self.script.pop(0)
        if step == "hang up":
            request.transport.abort()
            return web.Response()
        status, body, *headers = step
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body), headers=headers[0] if headers else None)


def talk(server, act, breaker=None, limits=()):
    """Run `act(client)` against the script; returns (its outcome, the pauses it made)."""
    pauses, clock = [], [NOW_MS]

    async def sleep(seconds):
        pauses.append(seconds)
        clock[0] += round(seconds * 1000)

    async def run():
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", server.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        client = BinanceRest(
            f"http://127.0.0.1:{port}", ApiKey("the-key", "the-secret"), RateBudget(limits), breaker or Breaker(), lambda: clock[0],
            lambda: clock[0] / 1000, sleep=sleep,
        )  # fmt: skip
        await client.open()
        try:
            return await act(client)
        finally:
            await client.close()
            await runner.cleanup()

    return asyncio.run(run()), pauses


def test_a_signed_call_carries_key_time_and_a_signature_of_exactly_what_was_sent():
    server = Scripted((200, []))
    talk(server, lambda client: client.read("/fapi/v3/positionRisk", {"symbol": "A/B"}, signed=True))
    method, path, query, headers = server.asked[0]
    payload, _, signature = query.rpartition("&signature=")
    assert (method, path) == ("GET", "/fapi/v3/positionRisk")
    assert payload == f"symbol=A%2FB&recvWindow=5000&timestamp={NOW_MS}"
    assert signature == hmac.new(b"the-secret", payload.encode(), hashlib.sha256).hexdigest()
    assert headers["X-MBX-APIKEY"] == "the-key"


def test_calls_share_one_connection():
    server = Scripted(*[(200, {})] * 5)

    async def act(client):
        for _ in range(5):
            await client.read("/fapi/v1/ping")

    talk(server, act)
    assert len(server.peers) == 1


@pytest.mark.parametrize("lost", [UNKNOWN, "hang up", (408, {"code": -1007, "msg": "Timeout"}), (502, "<html>")])
def test_a_submit_of_unknown_outcome_is_asked_for_and_never_sent_again(lost):
    server = Scripted(lost, UNKNOWN, NO_SUCH, FOUND)
    order, pauses = talk(server, lambda client: client.submit(ORDER))
    assert order == FOUND[1]
    assert [method for method, *_ in server.asked] == ["POST", "GET", "GET", "GET"]
    assert all("origClientOrderId=hk-1" in query for _, _, query, _ in server.asked[1:])
    assert pauses == sorted(pauses)


def test_an_order_that_never_arrived_is_certain_only_after_several_answers():
    server = Scripted("hang up", NO_SUCH, NO_SUCH, NO_SUCH)
    order, _ = talk(server, lambda client: client.submit(ORDER))
    assert order is None
    assert [method for method, *_ in server.asked] == ["POST", "GET", "GET", "GET"]


@pytest.mark.parametrize("refusal", [(400, {"code": -2019, "msg": "Margin is insufficient."}), (503, "Service Unavailable.")])
def test_a_submit_that_certainly_failed_is_told_and_not_sent_again(refusal):
    server = Scripted(refusal)
    with pytest.raises(RestError) as raised:
        talk(server, lambda client: client.submit(ORDER))
    assert raised.value.reaction in (Reaction.NEVER, Reaction.RETRY_LATER)
    assert len(server.asked) == 1


def test_a_read_is_tried_again_after_200_400_800_ms():
    down = (503, "Service Unavailable.")
    server = Scripted(down, down, down, (200, {"serverTime": 1}))
    body, pauses = talk(server, lambda client: client.read("/fapi/v1/time"))
    assert json.loads(body) == {"serverTime": 1}
    assert [round(pause, 1) for pause in pauses] == pytest.approx([0.2, 0.4, 0.8], rel=0.12)


def test_a_ban_stops_every_call_until_it_is_over():
    banned = (418, {"code": -1003, "msg": f"Way too many requests; IP(1.2.3.4) banned until {NOW_MS + 120_000}."})
    server = Scripted(banned, (200, {}))

    async def act(client):
        with pytest.raises(RestError) as raised:
            await client.read("/fapi/v1/ping")
        assert raised.value.reaction is Reaction.BACK_OFF
        await client.read("/fapi/v1/ping")

    _, pauses = talk(server, act)
    assert pauses == [120.0]
    assert len(server.asked) == 2


def test_retry_after_of_a_429_is_respected():
    server = Scripted((429, {"code": -1003, "msg": "Too many requests"}, {"Retry-After": "3"}), (200, {}))

    async def act(client):
        with pytest.raises(RestError):
            await client.read("/fapi/v1/ping")
        await client.read("/fapi/v1/ping")

    assert talk(server, act)[1] == [3.0]


def test_an_open_breaker_sends_nothing():
    breaker = Breaker(BreakerConfig(failures=2))
    server = Scripted((500, ""), (500, ""))

    async def act(client):
        for _ in range(5):
            with pytest.raises(RestError):
                await client.once("GET", "/fapi/v1/ping")

    talk(server, act, breaker)
    assert len(server.asked) == 2
    assert breaker.n_opened == 1


def test_a_refusal_is_no_failure_of_the_way():
    breaker = Breaker(BreakerConfig(failures=1))
    server = Scripted(NO_SUCH, (200, {}))

    async def act(client):
        with pytest.raises(RestError):
            await client.once("GET", "/fapi/v1/order")
        await client.once("GET", "/fapi/v1/ping")

    talk(server, act, breaker)
    assert breaker.n_opened == 0
