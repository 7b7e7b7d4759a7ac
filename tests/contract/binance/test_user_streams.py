"""User data events over real sockets: what happens to an account in any dialect, against REST and the venue's own accounts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
import websockets

from tests.contract.binance.serving import BTC, Serving

OTU = "ORDER_TRADE_UPDATE"
ORDER_KEYS = [*list("scSofqp"), "ap", "sp", *list("xXilzLnNTtbamR"), "wt", "ot", "ps", "cp", "rp", "pP", "si", "ss", "V", "pm", "gtd", "er"]
ALGO_KEYS = ["caid", "aid", "at", *"osS", "ps", *"fqX", "ai", "ap", "aq", "act", "tp", *"pV", "wt", "pm", "cp", "pP", "R", "tt", "gtd", "rm"]


def listen(venue: Serving, play: Callable[[Any], Awaitable[None]], account: int = 1, address: str = "/private/ws?listenKey={key}") -> list[Any]:
    """Run `play` beside an open user stream; it gets a function that waits for the next event. Returns all events heard."""
    heard: list[Any] = []

    async def run() -> None:
        key = venue.ask("POST", "/fapi/v1/listenKey", headers={"X-MBX-APIKEY": venue.key(account)["key"]}).body["listenKey"]
        async with websockets.connect(venue.ws_url + address.format(key=key)) as socket:

            async def next_event(timeout: float = 10) -> Any:
                heard.append(json.loads(await asyncio.wait_for(socket.recv(), timeout)))
                return heard[-1]

            await play(next_event)

    asyncio.run(run())
    return heard


async def signed(venue: Serving, method: str, path: str, account: int = 1, **params: Any) -> Any:
    answer = await asyncio.to_thread(lambda: venue.signed(method, path, account, **params))
    assert answer.status == 200, answer.body
    return answer.body


async def until(next_event: Any, name: str, kind: str = "") -> Any:
    while True:
        event = await next_event()
        if event["e"] == name and (not kind or event["o"]["x"] == kind):
            return event


def limit(side: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
    return {"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "quantity": quantity, "price": price, **more}


def test_a_conditional_order_that_is_refused_never_names_an_order(venue: Serving) -> None:
    """Stands first in this file: nobody holds anything yet."""

    async def play(next_event: Any) -> None:
        last = float(venue.ask("GET", "/fapi/v2/ticker/price?symbol=BTCUSDT").body["price"])
        stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "BUY", "type": "STOP_MARKET", "triggerPrice": f"{last + 0.1:.1f}"}
        await signed(venue, "POST", "/fapi/v1/algoOrder", **stop, quantity="0.010", reduceOnly="true")
        await signed(venue, "POST", "/fapi/v1/algoOrder", **stop, closePosition="true")
        await signed(venue, "POST", "/fapi/v1/order", 2, **limit("SELL", "0.010", f"{last + 1:.1f}"))
        await signed(venue, "POST", "/fapi/v1/order", 2, **limit("BUY", "0.010", f"{last + 1:.1f}", selfTradePreventionMode="NONE"))
        for _ in range(6):
            await next_event()

    events = listen(venue, play)
    assert sorted(what(event) for event in events) == ["EXPIRED", "NEW", "NEW", "REJECTED", "TRIGGERING", "TRIGGERING"]
    assert {event["o"]["ai"] for event in events} == {""}
    assert next(event["o"]["rm"] for event in events if what(event) == "REJECTED") == "ReduceOnly Order is rejected."


def test_a_resting_order_is_placed_changed_and_cancelled(venue: Serving) -> None:
    answers: list[Any] = []

    async def play(next_event: Any) -> None:
        answers.append(await signed(venue, "POST", "/fapi/v1/order", **limit("BUY", "0.020", "12000.0", newClientOrderId="rest-1")))
        await next_event()
        await signed(venue, "PUT", "/fapi/v1/order", **limit("BUY", "0.030", "12001.0", origClientOrderId="rest-1", modifyId=77))
        await next_event()
        answers.append(await signed(venue, "DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="rest-1"))
        await next_event()

    new, amended, canceled = listen(venue, play)
    assert list(new) == ["e", "T", "E", "o"]
    assert [event["o"]["x"] for event in (new, amended, canceled)] == ["NEW", "AMENDMENT", "CANCELED"]
    assert [event["o"]["X"] for event in (new, amended, canceled)] == ["NEW", "NEW", "CANCELED"]
    assert list(new["o"]) == ORDER_KEYS
    assert list(amended["o"]) == [*ORDER_KEYS, "M"]
    assert amended["o"]["M"] == 77
    assert (amended["o"]["q"], amended["o"]["p"], amended["o"]["b"]) == ("0.030", "12001.0", "360.03000")
    for event, answer in ((new, answers[0]), (canceled, answers[1])):
        order = event["o"]
        assert (order["i"], order["c"], order["T"]) == (answer["orderId"], answer["clientOrderId"], answer["updateTime"])
        assert (order["q"], order["p"], order["V"], order["f"]) == (
            answer["origQty"], answer["price"], answer["selfTradePreventionMode"], answer["timeInForce"],
        )  # fmt: skip


def test_an_order_that_trades_at_once_tells_its_fills_in_the_venues_order(venue: Serving) -> None:
    async def play(next_event: Any) -> None:
        for k in range(2):
            await signed(venue, "POST", "/fapi/v1/order", 2, **limit("SELL", "0.010", f"{12801 + k}.0"))
        await signed(venue, "POST", "/fapi/v1/order", **limit("BUY", "0.020", "12802.0", newClientOrderId="taker-1"))
        await until(next_event, OTU, "TRADE")
        await until(next_event, OTU, "TRADE")

    events = listen(venue, play)
    kinds = [event["e"] if event["e"] != OTU else event["o"]["x"] for event in events]
    assert kinds == ["TRADE_LITE", "NEW", "ACCOUNT_UPDATE", "TRADE", "TRADE_LITE", "ACCOUNT_UPDATE", "TRADE"]
    lite, _, update, first, _, last_update, last = events
    assert list(lite) == ["e", "E", "T", "s", "q", "p", "m", "c", "S", "L", "l", "t", "i"]
    assert (first["o"]["X"], last["o"]["X"]) == ("PARTIALLY_FILLED", "FILLED")
    assert (first["o"]["z"], last["o"]["z"], last["o"]["ap"]) == ("0.010", "0.020", "12801.50000")
    assert (lite["t"], lite["L"], lite["l"]) == (first["o"]["t"], first["o"]["L"], first["o"]["l"])
    trades = venue.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", orderId=first["o"]["i"]).body
    assert [(t["id"], t["price"], t["qty"], t["commission"], t["maker"]) for t in trades] == [
        (e["o"]["t"], e["o"]["L"], e["o"]["l"], e["o"]["n"], e["o"]["m"]) for e in (first, last)
    ]
    account = venue.signed("GET", "/fapi/v3/account").body
    assert last_update["a"]["m"] == "ORDER"
    assert last_update["a"]["B"] == [{"a": "USDT", "wb": account["totalWalletBalance"], "cw": account["totalWalletBalance"], "bc": "0"}]
    assert list(update["a"]["P"][0]) == ["s", "pa", "ep", "cr", "up", "mt", "iw", "ps", "ma", "bep"]
    risk = venue.signed("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT").body[0]
    assert (last_update["a"]["P"][0]["pa"], last_update["a"]["P"][0]["ep"]) == (risk["positionAmt"], risk["entryPrice"])
    assert Decimal(update["a"]["B"][0]["wb"]) - Decimal(last["o"]["n"]) == Decimal(last_update["a"]["B"][0]["wb"])


def test_orders_of_the_binary_dialect_show_with_their_number(venue: Serving) -> None:
    async def play(next_event: Any) -> None:
        def act() -> None:
            with venue.trader(1) as client:
                client.order(4242, BTC, 0, 119_000, 10)
                client.until("ORDER_ACK")
                client.send(5, 4242, instrument=BTC)
                client.until("ORDER_CANCELED")

        await asyncio.to_thread(act)
        await until(next_event, OTU, "CANCELED")

    new, canceled = listen(venue, play)
    assert (new["o"]["c"], new["o"]["p"], new["o"]["q"], new["o"]["x"]) == ("4242", "11900.0", "0.010", "NEW")
    assert (canceled["o"]["c"], canceled["o"]["i"]) == ("4242", new["o"]["i"])


def test_endings_say_why(venue: Serving) -> None:
    async def play(next_event: Any) -> None:
        await signed(venue, "POST", "/fapi/v1/order", **limit("BUY", "0.010", "12000.0") | {"timeInForce": "IOC"})
        await until(next_event, OTU, "EXPIRED")
        await signed(venue, "POST", "/fapi/v1/order", **limit("BUY", "0.010", "12799.0", newClientOrderId="own"))
        await signed(venue, "POST", "/fapi/v1/order", **limit("SELL", "0.010", "12799.0", selfTradePreventionMode="EXPIRE_MAKER"))
        await until(next_event, OTU, "EXPIRED")

    expired = [event["o"] for event in listen(venue, play) if event["e"] == OTU and event["o"]["x"] == "EXPIRED"]
    assert [(order["X"], order["er"]) for order in expired] == [("EXPIRED", "2"), ("EXPIRED_IN_MATCH", "1")]
    assert expired[1]["c"] == "own"


def test_leverage_conditional_orders_and_the_end_of_a_key(venue: Serving) -> None:
    async def play(next_event: Any) -> None:
        await signed(venue, "POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=25)
        stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.010", "triggerPrice": "11000.0"}
        await signed(venue, "POST", "/fapi/v1/algoOrder", **stop, clientAlgoId="stop-1")
        await signed(venue, "DELETE", "/fapi/v1/algoOrder", clientAlgoId="stop-1")
        for _ in range(3):
            await next_event()
        venue.faults(expire_listen_keys=1)
        await until(next_event, "listenKeyExpired")
        await signed(venue, "POST", "/fapi/v1/order", **limit("BUY", "0.010", "12000.0"))
        with pytest.raises(TimeoutError):
            await next_event(0.5)

    config, placed, ended, expired = listen(venue, play)
    assert config["ac"] == {"s": "BTCUSDT", "l": 25}
    assert [event["e"] for event in (config, placed, ended)] == ["ACCOUNT_CONFIG_UPDATE", "ALGO_UPDATE", "ALGO_UPDATE"]
    assert list(placed["o"]) == ALGO_KEYS
    assert [event["o"]["X"] for event in (placed, ended)] == ["NEW", "CANCELED"]
    assert (placed["o"]["caid"], placed["o"]["tp"]) == ("stop-1", "11000.0")
    assert list(expired) == ["e", "E", "listenKey"]


def test_a_conditional_order_that_fires_is_told_to_its_end(venue: Serving) -> None:
    async def play(next_event: Any) -> None:
        last = float(venue.ask("GET", "/fapi/v2/ticker/price?symbol=BTCUSDT").body["price"])
        stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "BUY", "type": "STOP_MARKET", "quantity": "0.010"}
        await signed(venue, "POST", "/fapi/v1/algoOrder", **stop, triggerPrice=f"{last + 0.1:.1f}")
        await signed(venue, "POST", "/fapi/v1/order", 2, **limit("SELL", "0.030", f"{last + 1:.1f}"))
        await signed(venue, "POST", "/fapi/v1/order", **limit("BUY", "0.010", f"{last + 1:.1f}"))
        while True:
            event = await next_event()
            if event["e"] == "ALGO_UPDATE" and event["o"]["X"] == "FINISHED":
                return

    events = listen(venue, play)
    states = [event["o"] for event in events if event["e"] == "ALGO_UPDATE"]
    assert [state["X"] for state in states] == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]
    fired = next(event["o"] for event in events if event["e"] == OTU and event["o"]["ot"] == "STOP_MARKET")
    assert list(states[1]) == [key for key in ALGO_KEYS if key not in ("ap", "aq", "act")]  # as recorded: the matching engine has nothing yet
    assert states[1]["ai"] == ""
    assert [(state["ai"], state["act"], state["aq"]) for state in states[2:]] == [(str(fired["i"]), "MARKET", qty) for qty in ("0", "0.010")]
    story = [what(event) for event in events]
    story = [step for step in story[story.index("TRIGGERING") :] if step != "TRADE_LITE"]
    assert story == [
        "TRIGGERING",
        "STOP_MARKET NEW",
        "TRIGGERED",
        "ACCOUNT_UPDATE",
        "STOP_MARKET TRADE",
        "FINISHED",
    ]


def what(event: Any) -> str:
    """One event in a word or two."""
    if event["e"] == "ALGO_UPDATE":
        return str(event["o"]["X"])
    return f"{event['o']['ot']} {event['o']['x']}" if event["e"] == OTU else str(event["e"])


def test_the_order_of_a_stop_limit_rests_and_is_cancelled_by_its_own_id(venue: Serving) -> None:
    """As nautilus_trader works: it takes the order's id from TRIGGERED, cancels by that, and must not be told of a fill that never was."""

    async def play(next_event: Any) -> None:
        last = float(venue.ask("GET", "/fapi/v2/ticker/price?symbol=BTCUSDT").body["price"])
        stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "BUY", "type": "STOP", "quantity": "0.010"}
        await signed(venue, "POST", "/fapi/v1/algoOrder", **stop, triggerPrice=f"{last + 0.1:.1f}", price="12700.0", clientAlgoId="rests")
        await signed(venue, "POST", "/fapi/v1/order", 2, **limit("SELL", "0.010", f"{last + 1:.1f}"))
        await signed(venue, "POST", "/fapi/v1/order", 2, **limit("BUY", "0.010", f"{last + 1:.1f}", selfTradePreventionMode="NONE"))
        while what(triggered := await next_event()) != "TRIGGERED":
            pass
        (open_order,) = await signed(venue, "GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
        assert (str(open_order["orderId"]), open_order["clientOrderId"], open_order["status"]) == (triggered["o"]["ai"], "rests", "NEW")
        asked = await signed(venue, "GET", "/fapi/v1/algoOrder", clientAlgoId="rests")
        assert (asked["algoStatus"], asked["actualOrderId"], asked["actualType"]) == ("TRIGGERED", triggered["o"]["ai"], "LIMIT")
        await signed(venue, "DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=triggered["o"]["ai"])
        while what(await next_event()) != "FINISHED":
            pass

    events = listen(venue, play)
    assert [what(event) for event in events] == ["NEW", "TRIGGERING", "STOP NEW", "TRIGGERED", "STOP CANCELED", "FINISHED"]
    assert (events[-1]["o"]["act"], events[-1]["o"]["aq"], events[-1]["o"]["ap"]) == ("LIMIT", "0", "0")


def test_addresses_and_filters(venue: Serving) -> None:
    async def play(next_event: Any) -> None:
        await signed(venue, "POST", "/fapi/v1/order", 2, **limit("SELL", "0.010", "12801.0"))
        await signed(venue, "POST", "/fapi/v1/order", **limit("BUY", "0.010", "12801.0"))
        await next_event()

    only = listen(venue, play, address="/private/ws?listenKey={key}&events=ACCOUNT_UPDATE")
    assert [event["e"] for event in only] == ["ACCOUNT_UPDATE"]
    wrapped = listen(venue, play, address="/private/stream?listenKey={key}&events=TRADE_LITE")
    assert [event["data"]["e"] for event in wrapped] == ["TRADE_LITE"]
    by_path = listen(venue, play, address="/private/ws/{key}")
    assert by_path[0]["e"] == "TRADE_LITE"
    assert wrapped[0]["stream"] == venue.ask("POST", "/fapi/v1/listenKey", headers={"X-MBX-APIKEY": venue.key()["key"]}).body["listenKey"]


def test_a_false_key_connects_and_stays_silent(venue: Serving) -> None:
    async def run() -> None:
        async with websockets.connect(f"{venue.ws_url}/private/ws?listenKey={'x' * 64}") as socket:
            await signed(venue, "POST", "/fapi/v1/order", **limit("BUY", "0.010", "12000.0"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.5)

    asyncio.run(run())


def test_late_swapped_and_lost_events(venue: Serving) -> None:
    async def place_two(next_event: Any) -> None:
        for name in ("one", "two"):
            await signed(venue, "POST", "/fapi/v1/order", **limit("BUY", "0.010", "12000.0", newClientOrderId=name))

    async def swapped(next_event: Any) -> None:
        venue.faults(swap_user_next=1)
        await place_two(next_event)
        await next_event()
        await next_event()

    async def lost(next_event: Any) -> None:
        venue.faults(lose_user_next=1)
        await place_two(next_event)
        await next_event()

    async def late(next_event: Any) -> None:
        venue.faults(user_delay_us=300_000)
        await place_two(next_event)
        began = asyncio.get_running_loop().time()
        await next_event()
        assert asyncio.get_running_loop().time() - began > 0.1
        await next_event()

    def cancel() -> None:
        venue.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")

    try:
        assert [event["o"]["c"] for event in listen(venue, swapped)] == ["two", "one"]
        cancel()
        assert [event["o"]["c"] for event in listen(venue, lost)] == ["two"]
        cancel()
        assert [event["o"]["c"] for event in listen(venue, late)] == ["one", "two"]
    finally:
        venue.faults(user_delay_us=0)
        cancel()


def test_margin_type_and_isolated_margin(venue: Serving) -> None:
    """MARGIN_TYPE_CHANGE, the wallet of the position after a fill, MARGIN_TRANSFER, and the way back."""
    eth = {"symbol": "ETHUSDT"}
    market = {**eth, "type": "MARKET", "quantity": "1"}

    async def play(next_event: Any) -> None:
        for kind in ("ISOLATED", "CROSSED"):
            await signed(venue, "POST", "/fapi/v1/marginType", **eth, marginType=kind)
            await until(next_event, "ACCOUNT_UPDATE")
            if kind == "ISOLATED":
                await signed(venue, "POST", "/fapi/v1/order", **market, side="BUY")
                await until(next_event, OTU, "TRADE")
                await signed(venue, "POST", "/fapi/v1/positionMargin", **eth, amount="25", type=1)
                await until(next_event, "ACCOUNT_UPDATE")
                await signed(venue, "POST", "/fapi/v1/order", **market, side="SELL")
                await until(next_event, OTU, "TRADE")

    heard = listen(venue, play)
    updates = [event["a"] for event in heard if event["e"] == "ACCOUNT_UPDATE"]
    assert [update["m"] for update in updates] == ["MARGIN_TYPE_CHANGE", "ORDER", "MARGIN_TRANSFER", "ORDER", "MARGIN_TYPE_CHANGE"]
    assert [update["P"][0]["mt"] for update in updates] == ["isolated"] * 4 + ["cross"]
    opened = Decimal(updates[1]["P"][0]["ep"]) / 20
    assert [Decimal(update["P"][0]["iw"]) for update in updates] == [0, opened, opened + 25, 0, 0]
    for update in updates:
        assert Decimal(update["B"][0]["cw"]) == Decimal(update["B"][0]["wb"]) - Decimal(update["P"][0]["iw"])
    order = [event["e"] + event.get("o", {}).get("x", "") for event in heard]
    assert order[1:5] == ["TRADE_LITE", OTU + "NEW", "ACCOUNT_UPDATE", OTU + "TRADE"]
