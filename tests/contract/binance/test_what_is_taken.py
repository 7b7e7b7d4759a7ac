"""How numbers must be written, what reduce-only orders may do together, keys that are absent, other bases, headers: asked by hand."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
import websockets

from tests.contract.binance.serving import BTC, Serving

ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02", "price": "12000"}
STOP: dict[str, Any] = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP", "quantity": "0.02", "triggerPrice": "12000"}
ILL_WRITTEN = ["1.2e4", "2e-2", "+0.020", ".02", "12000.", "0." + "1" * 22, "1" * 21, "-1", " 1", "1_0", "0x10", "\u0661", "1,0", "1 "]
ILL_WHOLE = ["1e3", "+5", ".5", "5.", "5.00", "-5", "1" * 21, "\u0661", "five", "0x5", "5 "]


def test_decimals_are_written_as_the_pattern_says(venue: Serving) -> None:
    asked: list[tuple[str, str, dict[str, Any]]] = [("POST", ORDER, LIMIT), ("POST", f"{ORDER}/test", LIMIT)]
    asked += [("POST", ALGO, {**STOP, "price": "12000"})]
    asked += [("POST", "/fapi/v1/positionMargin", {"symbol": "BTCUSDT", "amount": "1", "type": 1})]
    for method, path, params in asked:
        for name in [name for name in ("quantity", "price", "triggerPrice", "amount") if name in params]:
            for text in ILL_WRITTEN:
                answer = venue.signed(method, path, **{**params, name: text})
                expected = f"Illegal characters found in parameter '{name}'; legal range is '^([0-9]{{1,20}})(\\.[0-9]{{1,20}})?$'."
                assert (answer.status, answer.body) == (400, {"code": -1100, "msg": expected}), (path, name, text)
    trailing = {**STOP, "type": "TRAILING_STOP_MARKET", "callbackRate": "1e0"}
    assert venue.signed("POST", ALGO, **trailing).code == -1100
    assert venue.signed("POST", ORDER, **{**LIMIT, "type": "MARKET", "price": "1e4"}).code == -1100  # nobody asks for it, and still
    assert venue.signed("GET", "/fapi/v1/openOrders").body == []


def test_whole_numbers_likewise(venue: Serving) -> None:
    for path, params, name in (
        (ORDER, {"symbol": "BTCUSDT", "orderId": "1"}, "orderId"),
        ("/fapi/v1/allOrders", {"symbol": "BTCUSDT", "limit": "5"}, "limit"),
        ("/fapi/v1/userTrades", {"symbol": "BTCUSDT", "startTime": "5"}, "startTime"),
        (ALGO, {"algoId": "5"}, "algoId"),
        (ORDER, {"symbol": "BTCUSDT", "orderId": "1", "recvWindow": "5000"}, "recvWindow"),
    ):
        for text in ILL_WHOLE:
            answer = venue.signed("GET", path, **{**params, name: text})
            assert answer.body == {"code": -1100, "msg": f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."}, (
                path,
                text,
            )
    assert venue.signed("GET", ORDER, symbol="BTCUSDT", orderId="1", recvWindow="5000.0").code == -2013  # as the official SDK writes it
    assert venue.ask("GET", "/fapi/v1/trades?symbol=BTCUSDT&limit=%2B5").code == -1100


def test_batches_and_the_websocket_api_are_as_strict(venue: Serving) -> None:
    items = [{**LIMIT, "price": text} for text in ("1.2e4", "12000.", "+12000", "12000")]
    answers = venue.signed("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(items)).body
    assert [answer.get("code", 0) for answer in answers] == [-1100, -1100, -1100, 0]

    async def place(texts: list[str]) -> list[Any]:
        found = []
        async with websockets.connect(f"{venue.ws_url}/ws-fapi/v1") as socket:
            for text in texts:
                await socket.send(json.dumps(signed_message(venue, {**LIMIT, "quantity": text})))
                found.append(json.loads(await asyncio.wait_for(socket.recv(), 10)))
        return found

    answers = asyncio.run(place(["2e-2", ".02", "+0.02", "0.02"]))
    assert [answer.get("error", {}).get("code", 0) for answer in answers] == [-1100, -1100, -1100, 0]


def signed_message(venue: Serving, params: dict[str, Any]) -> dict[str, Any]:
    """An order.place of account 1."""
    import hashlib
    import hmac
    import time

    key = venue.key()
    fields = {**params, "apiKey": key["key"], "timestamp": str(time.time_ns() // 1_000_000)}
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    fields["signature"] = hmac.new(key["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"id": "1", "method": "order.place", "params": fields}


# -- reduce-only -------------------------------------------------------------------------------------------------------


def hold(venue: Serving, lots: int) -> None:
    """Account 1 long so many lots of 0.001, nothing open."""
    venue.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    position = int(venue.on_venue(lambda: venue.venue.venue.books.exposures[venue.venue.account_of(1), BTC]["position"]))
    if position != lots:
        side, quantity = ("BUY", lots - position) if lots > position else ("SELL", position - lots)
        answer = venue.signed("POST", ORDER, symbol="BTCUSDT", side=side, type="MARKET", quantity=f"{quantity / 1000:.3f}", newOrderRespType="RESULT")
        assert answer.body.get("status") == "FILLED", answer.body


def reduce(venue: Serving, quantity: str, price: str, **more: Any) -> Any:
    """A reduce-only sell of account 1."""
    return venue.signed("POST", ORDER, **{**LIMIT, "side": "SELL", "quantity": quantity, "price": price, "reduceOnly": "true", **more})


def status(venue: Serving, order: Any) -> tuple[str, str]:
    """Status and original quantity of an order of account 1."""
    body = venue.signed("GET", ORDER, symbol="BTCUSDT", orderId=order.body["orderId"]).body
    return body["status"], body["origQty"]


def test_reduce_only_orders_together_never_exceed_the_position(venue: Serving) -> None:
    hold(venue, 0)
    assert reduce(venue, "0.020", "13000").code == -2022  # nothing to reduce
    hold(venue, 50)
    assert reduce(venue, "0.020", "12500", side="BUY").code == -2022  # would make it larger
    first = reduce(venue, "0.050", "13000")
    worse = reduce(venue, "0.010", "13100")
    assert (worse.code, worse.body["msg"]) == (-4118, "ReduceOnly order failed. Please check your existing position and open orders.")
    better = reduce(venue, "0.010", "12950")
    assert (status(venue, first), status(venue, better)) == (("EXPIRED", "0.050"), ("NEW", "0.010"))
    rest = reduce(venue, "0.040", "13000")
    assert status(venue, rest)[0] == "NEW"
    changed = venue.signed("PUT", ORDER, symbol="BTCUSDT", side="SELL", orderId=rest.body["orderId"], quantity="0.041", price="13000")
    assert changed.code == -4118
    large = reduce(venue, "9", "12900")  # cut to the position as it is placed; the others have no room
    assert (large.body["origQty"], status(venue, better)[0], status(venue, rest)[0]) == ("0.050", "EXPIRED", "EXPIRED")
    hold(venue, 0)


def test_reduce_only_orders_follow_a_position_that_shrinks_or_turns(venue: Serving) -> None:
    hold(venue, 60)
    near, far = reduce(venue, "0.030", "12950"), reduce(venue, "0.030", "13000")
    market = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET"}
    assert venue.signed("POST", ORDER, **market, quantity="0.020").status == 200
    assert (status(venue, near)[0], status(venue, far)[0]) == ("NEW", "EXPIRED")
    assert venue.signed("POST", ORDER, **market, quantity="0.060").status == 200
    assert status(venue, near)[0] == "EXPIRED"
    assert reduce(venue, "0.010", "12950").code == -2022  # short by now
    hold(venue, 0)


def test_closing_at_the_market_comes_before_every_resting_exit(venue: Serving) -> None:
    hold(venue, 30)
    exit_ = reduce(venue, "0.030", "13000")
    closing = venue.signed(
        "POST", ORDER, symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.030", reduceOnly="true", newOrderRespType="RESULT"
    )
    assert (closing.body["status"], closing.body["executedQty"], status(venue, exit_)[0]) == ("FILLED", "0.030", "EXPIRED")


# -- keys, other bases, headers ------------------------------------------------------------------------------------------


def test_keys_of_conditional_orders_are_there_where_they_mean_something(venue: Serving) -> None:
    plain = venue.signed("POST", ALGO, **{**STOP, "type": "STOP_MARKET"}).body
    whole = venue.signed("POST", ALGO, **{k: v for k, v in STOP.items() if k != "quantity"} | {"type": "STOP_MARKET", "closePosition": "true"}).body
    trailing = venue.signed("POST", ALGO, **STOP | {"type": "TRAILING_STOP_MARKET", "callbackRate": "5", "triggerPrice": ""}).body
    rows = {row["algoId"]: row for path in ("openAlgoOrders", "allAlgoOrders") for row in venue.signed("GET", f"/fapi/v1/{path}").body}
    for order in (plain, whole, trailing, *(rows[order["algoId"]] for order in (plain, whole, trailing))):
        assert ("activatePrice" in order, "callbackRate" in order) == ((order["orderType"] == "TRAILING_STOP_MARKET",) * 2)
        assert ("quantity" in order) != order["closePosition"]
        for name in ("quantity", "activatePrice", "callbackRate", "triggerPrice", "price"):
            assert name not in order or Decimal(order[name]) >= 0
    assert rows[plain["algoId"]]["actualOrderId"] == ""
    for order in (plain, whole, trailing):
        assert venue.signed("DELETE", ALGO, algoId=order["algoId"]).status == 200


@pytest.mark.parametrize("base", ["/api/v3", "/dapi/v1", "/eapi/v1"])
def test_other_bases_are_there_and_have_no_market(venue: Serving, base: str) -> None:
    assert venue.ask("GET", f"{base}/ping").body == {}
    assert venue.ask("GET", f"{base}/time").body["serverTime"] > 1_700_000_000_000
    info = venue.ask("GET", f"{base}/exchangeInfo")
    assert info.body["optionSymbols" if base == "/eapi/v1" else "symbols"] == []
    assert info.body["timezone"] == "UTC"
    assert {row["rateLimitType"] for row in info.body["rateLimits"]} == {"REQUEST_WEIGHT", "ORDERS"}
    unknown = venue.ask("GET", f"{base}/nosuch")
    assert (unknown.status, unknown.body) == (404, {"code": -5000, "msg": f"Path {base}/nosuch, Method GET is invalid"})


def test_weights_stand_under_both_names(venue: Serving) -> None:
    for path in ("/api/v3/ping", "/fapi/v1/ping", "/dapi/v1/ping", "/fapi/v1/depth?symbol=NOSUCH"):
        headers = venue.ask("GET", path).headers
        assert headers["X-MBX-USED-WEIGHT"] == headers["X-MBX-USED-WEIGHT-1M"]
        assert int(headers["X-MBX-USED-WEIGHT"]) > 0
    placed = venue.signed("POST", ORDER, **LIMIT)
    assert int(placed.headers["X-MBX-ORDER-COUNT-10S"]) > 0 < int(placed.headers["X-MBX-ORDER-COUNT-1M"])


def test_every_client_of_ccxt_loads_its_markets(venue: Serving) -> None:
    """ccxt.binance asks spot, linear and inverse."""
    import ccxt

    exchange = ccxt.binance({"apiKey": venue.key()["key"], "secret": venue.key()["secret"], "options": {"defaultType": "swap"}})
    for name, address in exchange.urls["api"].items():
        if isinstance(address, str) and "binance.com" in address:
            exchange.urls["api"][name] = venue.url + "/" + address.split("binance.com/", 1)[1]
    markets = exchange.load_markets()
    assert {market["symbol"] for market in markets.values()} == {"BTC/USDT:USDT", "ETH/USDT:USDT"}
    assert exchange.fetch_balance({"type": "spot"})["total"] == {}
    assert exchange.fetch_ticker("BTC/USDT:USDT")["symbol"] == "BTC/USDT:USDT"
