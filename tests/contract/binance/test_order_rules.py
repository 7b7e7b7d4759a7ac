"""Every filter with its code, and what orders do in the books, asked by hand: plain HTTP, parameters in the query."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.contract.binance.serving import BTC, Answer, Serving

ORDER = "/fapi/v1/order"
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02", "price": "11000"}
MARKET: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.02", "newOrderRespType": "RESULT"}
FLAT = {"reduceOnly": "true", "type": "MARKET", "symbol": "BTCUSDT", "quantity": "9"}


def without(base: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in base.items() if name not in names}


def flatten(venue: Serving, account: int = 1) -> None:
    """Close whatever position the test has made."""
    for side in ("BUY", "SELL"):
        venue.signed("POST", ORDER, account, side=side, **FLAT)


REFUSED: list[tuple[str, dict[str, Any], int]] = [
    ("no such symbol", {**LIMIT, "symbol": "NOSUCH"}, -1121),
    ("no symbol", without(LIMIT, "symbol"), -1102),
    ("a side that is none", {**LIMIT, "side": "UP"}, -1117),
    ("a type that is none", {**LIMIT, "type": "ICEBERG"}, -1116),
    ("conditional on the old path", {**LIMIT, "type": "STOP_MARKET", "stopPrice": "12000"}, -4120),
    ("trailing on the old path", {**LIMIT, "type": "TRAILING_STOP_MARKET"}, -4120),
    ("no time in force", without(LIMIT, "timeInForce"), -1102),
    ("a time in force that is none", {**LIMIT, "timeInForce": "DAY"}, -1115),
    ("no quantity", without(LIMIT, "quantity"), -1102),
    ("no price", without(LIMIT, "price"), -1102),
    ("not a number", {**LIMIT, "quantity": "1e-2x"}, -1100),
    ("not finite", {**LIMIT, "price": "NaN"}, -1100),
    ("too many decimals of quantity", {**LIMIT, "quantity": "0.0205"}, -1111),
    ("too many decimals of price", {**LIMIT, "price": "11000.01"}, -1111),
    ("between two ticks", {**LIMIT, "symbol": "ETHUSDT", "quantity": "1", "price": "1100.02"}, -4014),
    ("zero quantity", {**LIMIT, "quantity": "0"}, -4003),
    ("negative quantity", {**LIMIT, "quantity": "-1"}, -1100),
    ("too large a quantity", {**LIMIT, "quantity": "99999999"}, -4005),
    ("zero price", {**LIMIT, "price": "0"}, -4001),
    ("beyond the highest price", {**LIMIT, "side": "SELL", "price": "999999"}, -4002),
    ("too far above the mark", {**LIMIT, "price": "13500"}, -4016),
    ("too far below the mark", {**LIMIT, "side": "SELL", "price": "12000"}, -4024),
    ("too small a notional", {**LIMIT, "quantity": "0.009"}, -4164),
    ("market notional", {**MARKET, "quantity": "0.001"}, -4164),
    ("more than the margin permits", {**LIMIT, "quantity": "500"}, -2019),
    ("nothing to reduce", {**LIMIT, "reduceOnly": "TRUE"}, -2022),
    ("a boolean that is none", {**LIMIT, "reduceOnly": "perhaps"}, -1130),
    ("a position side of hedge mode", {**LIMIT, "positionSide": "LONG"}, -4061),
    ("a position side that is none", {**LIMIT, "positionSide": "UP"}, -4060),
    ("a client id with other characters", {**LIMIT, "newClientOrderId": "a b"}, -1100),
    ("a client id too long", {**LIMIT, "newClientOrderId": "x" * 37}, -4015),
    ("an answer type that is none", {**LIMIT, "newOrderRespType": "FULL"}, -1136),
    ("prevention mode that is none", {**LIMIT, "selfTradePreventionMode": "ALWAYS"}, -5039),
    ("a date too soon", {**LIMIT, "timeInForce": "GTD", "goodTillDate": "1"}, -5040),
    ("no date", {**LIMIT, "timeInForce": "GTD"}, -1102),
    ("a price and a price match", {**LIMIT, "priceMatch": "QUEUE"}, -1106),
    ("a suspended price match", {**without(LIMIT, "price"), "priceMatch": "OPPONENT_10"}, -5037),
    ("price match of a market order", {**MARKET, "priceMatch": "QUEUE"}, -5038),
    ("a level that is not there", {**without(LIMIT, "price"), "priceMatch": "QUEUE_20"}, -5041),
    ("post-only that would take", {**LIMIT, "timeInForce": "GTX", "price": "13000"}, -5022),
    ("fill or kill that cannot be filled", {**LIMIT, "timeInForce": "FOK"}, -5021),
]


@pytest.mark.parametrize(("params", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_every_filter_has_its_code(venue: Serving, params: dict[str, Any], code: int) -> None:
    answer = venue.signed("POST", ORDER, **params)
    assert (answer.code, answer.status) == (code, 400), answer.body
    assert venue.signed("GET", "/fapi/v1/openOrders").body == []


def test_the_test_endpoint_checks_and_places_nothing(venue: Serving) -> None:
    assert venue.signed("POST", f"{ORDER}/test", **LIMIT).body["status"] == "NEW"
    assert venue.signed("POST", f"{ORDER}/test", **{**LIMIT, "price": "11000.01"}).code == -1111
    assert venue.signed("GET", "/fapi/v1/openOrders").body == []


def test_ack_says_new_and_result_says_what_became_of_it(venue: Serving) -> None:
    ack = venue.signed("POST", ORDER, **{**MARKET, "newOrderRespType": "ACK"}).body
    assert (ack["status"], ack["executedQty"]) == ("NEW", "0.000")
    assert venue.signed("GET", ORDER, symbol="BTCUSDT", orderId=ack["orderId"]).body["status"] == "FILLED"
    result = venue.signed("POST", ORDER, **MARKET).body
    assert (result["status"], result["executedQty"]) == ("FILLED", "0.020")
    assert Decimal(result["cumQuote"]) == Decimal(result["avgPrice"]) * Decimal("0.02")
    assert result["price"] == "0.0"
    flatten(venue)


def test_the_largest_number_of_open_orders() -> None:
    from tests.contract.binance.serving import serving

    with serving(max_open_orders=3) as venue:
        for i in range(3):
            assert venue.signed("POST", ORDER, **LIMIT, newClientOrderId=f"o{i}").status == 200
        assert venue.signed("POST", ORDER, **LIMIT).code == -2025
        other = {**LIMIT, "symbol": "ETHUSDT", "price": "1000", "quantity": "1"}
        assert venue.signed("POST", ORDER, **other).status == 200  # the limit is per symbol


def test_self_trade_prevention_is_the_takers_wish(venue: Serving) -> None:
    best = venue.ask("GET", "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT").body
    price = str(Decimal(best["askPrice"]) - Decimal("1"))
    ends = {}
    for mode in ("EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH"):
        resting = venue.signed("POST", ORDER, **{**LIMIT, "side": "SELL", "price": price}).body
        taking = venue.signed("POST", ORDER, **{**LIMIT, "price": price}, selfTradePreventionMode=mode).body
        ends[mode] = tuple(venue.signed("GET", ORDER, symbol="BTCUSDT", orderId=row["orderId"]).body["status"] for row in (resting, taking))
        venue.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert ends == {
        "EXPIRE_MAKER": ("EXPIRED_IN_MATCH", "NEW"),
        "EXPIRE_TAKER": ("NEW", "EXPIRED_IN_MATCH"),
        "EXPIRE_BOTH": ("EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
    }
    assert venue.signed("GET", "/fapi/v3/positionRisk").body == []


def test_price_match_takes_the_price_of_a_level(venue: Serving) -> None:
    depth = venue.ask("GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=5").body
    order = venue.signed("POST", ORDER, **without(LIMIT, "price"), priceMatch="QUEUE_5").body
    assert (order["price"], order["priceMatch"]) == (depth["bids"][4][0], "QUEUE_5")
    taker = venue.signed("POST", ORDER, **{**without(LIMIT, "price"), "timeInForce": "IOC"}, priceMatch="OPPONENT", newOrderRespType="RESULT").body
    assert (taker["status"], Decimal(taker["avgPrice"])) == ("FILLED", Decimal(depth["asks"][0][0]))
    flatten(venue)


def test_a_dated_order_tells_its_date_in_whole_seconds(venue: Serving) -> None:
    date = venue.ask("GET", "/fapi/v1/time").body["serverTime"] + 700_123
    order = venue.signed("POST", ORDER, **{**LIMIT, "timeInForce": "GTD"}, goodTillDate=date).body
    assert (order["timeInForce"], order["goodTillDate"]) == ("GTD", date // 1000 * 1000)


def test_changing_an_order(venue: Serving) -> None:
    order = venue.signed("POST", ORDER, **LIMIT).body

    def change(**params: Any) -> Answer:
        return venue.signed("PUT", ORDER, **{"symbol": "BTCUSDT", "side": "BUY", "orderId": order["orderId"], **params})

    changed = change(quantity="0.03", price="11100", modifyId=77)
    assert (changed.body["origQty"], changed.body["price"], changed.body["modifyId"]) == ("0.030", "11100.0", 77)
    assert change(quantity="0.03", price="11100").code == -5027
    assert change(quantity="0.03", price="11100.05").code == -1111
    assert change(quantity="0.001", price="11100").code == -5029
    assert change(quantity="0.03", price="11101", reduceOnly="true").code == -5047
    assert change(quantity="0.03", price="11101", side="SELL").code == -1117
    assert change(quantity="0.03", price="11101", orderId=1).code == -2013
    history = venue.signed("GET", "/fapi/v1/orderAmendment", symbol="BTCUSDT", orderId=order["orderId"]).body
    assert [row["amendment"]["price"] for row in history] == [{"before": "11000.0", "after": "11100.0"}]
    assert history[0]["amendment"]["modifyId"] == 77


def test_a_change_below_what_has_traded_ends_the_order(venue: Serving) -> None:
    best = venue.ask("GET", "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT").body
    order = venue.signed("POST", ORDER, **{**LIMIT, "price": str(Decimal(best["askPrice"]) - 1), "quantity": "0.05"}).body
    with venue.trader(2) as other:
        other.order(venue.server.start_ts, BTC, 1, round(Decimal(order["price"]) * 10), 20, tif=1)
        other.until("ORDER_FILL")
    ended = venue.signed("PUT", ORDER, symbol="BTCUSDT", side="BUY", orderId=order["orderId"], quantity="0.02", price=order["price"])
    assert (ended.body["status"], ended.body["executedQty"]) == ("CANCELED", "0.020")
    flatten(venue)
    flatten(venue, 2)


def test_a_post_only_order_changed_to_cross_ends(venue: Serving) -> None:
    order = venue.signed("POST", ORDER, **{**LIMIT, "timeInForce": "GTX"}).body
    ended = venue.signed("PUT", ORDER, symbol="BTCUSDT", side="BUY", orderId=order["orderId"], quantity="0.02", price="13000")
    assert ended.body["status"] == "CANCELED"
    assert venue.signed("GET", "/fapi/v3/positionRisk").body == []


def test_the_countdown_cancels_unless_told_again(venue: Serving) -> None:
    order = venue.signed("POST", ORDER, **LIMIT).body
    assert venue.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=30).body["countdownTime"] == "30"
    for _ in range(2000):
        if venue.signed("GET", ORDER, symbol="BTCUSDT", orderId=order["orderId"]).body["status"] == "CANCELED":
            break
    else:
        pytest.fail("the countdown never ended")
    other = venue.signed("POST", ORDER, **LIMIT).body
    venue.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=60_000)
    assert venue.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=0).status == 200
    assert venue.signed("GET", ORDER, symbol="BTCUSDT", orderId=other["orderId"]).body["status"] == "NEW"


def test_histories_are_cut_by_time_id_and_number(venue: Serving) -> None:
    first = venue.signed("POST", ORDER, **LIMIT).body
    second = venue.signed("POST", ORDER, **LIMIT).body
    rows = venue.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT", orderId=first["orderId"], limit=2).body
    assert [row["orderId"] for row in rows] == [first["orderId"], second["orderId"]]
    now = venue.ask("GET", "/fapi/v1/time").body["serverTime"]
    assert venue.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT", startTime=now + 1000).body == []
    assert venue.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT", startTime=1, endTime=now).code == -4165
    assert venue.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT", startTime=now, endTime=now - 1).code == -1023
    assert venue.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=1, startTime=now).code == -1128
    venue.signed("POST", ORDER, **MARKET)
    flatten(venue)
    fills = venue.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=1).body
    assert [row["id"] for row in fills] == sorted(row["id"] for row in fills)
    assert venue.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=fills[-1]["id"]).body == fills[-1:]
