"""One venue, two protocols: what is done in one shows in the other, and conditional orders fire on the trades of both."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hftkit.exchange.testing import CANCEL_ORDER, CONDITIONAL_ORDER, ORDER_QUERY
from tests.contract.binance.serving import BTC, Serving

ORDER, SYMBOL = "/fapi/v1/order", {"symbol": "BTCUSDT"}
BUY, SELL = 0, 1
OUR_ID = 4_242


def wait_for(venue: Serving, algo_id: int, status: str) -> dict[str, Any]:
    """A conditional order once it has come to a status; the venue looks after every slice."""
    for _ in range(2000):
        order = venue.signed("GET", "/fapi/v1/algoOrder", algoId=algo_id).body
        if order["algoStatus"] == status:
            return order
    pytest.fail(f"it never became {status}: {order}")


def best(venue: Serving) -> tuple[int, int]:
    """Best bid and ask, ticks."""
    ticker = venue.ask("GET", "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT").body
    return round(Decimal(ticker["bidPrice"]) * 10), round(Decimal(ticker["askPrice"]) * 10)


def test_a_binary_order_shows_and_can_be_cancelled_here(venue: Serving) -> None:
    with venue.trader(1) as client:
        client.order(OUR_ID, BTC, BUY, 110_000, 20)
        order_id = client.until("ORDER_ACK")[-1].order_id
        shown = venue.signed("GET", "/fapi/v1/openOrders", **SYMBOL).body
        assert [(row["orderId"], row["clientOrderId"], row["price"], row["origQty"]) for row in shown] == [
            (order_id, str(OUR_ID), "11000.0", "0.020")
        ]
        assert venue.signed("GET", ORDER, **SYMBOL, origClientOrderId=str(OUR_ID)).body["orderId"] == order_id
        assert venue.signed("DELETE", ORDER, **SYMBOL, orderId=order_id).body["status"] == "CANCELED"
        assert client.until("ORDER_CANCELED")[-1].client_order_id == OUR_ID
        assert venue.signed("GET", "/fapi/v1/openOrders").body == []


def test_an_order_of_here_is_acknowledged_filled_and_cancelled_there(venue: Serving) -> None:
    with venue.trader(1) as client:
        placed = venue.signed(
            "POST", ORDER, **SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.02", price="11000", newClientOrderId="x"
        )
        seen = client.until("ORDER_ACK")[-1]
        assert seen.order_id == placed.body["orderId"]
        client.send(ORDER_QUERY, seen.client_order_id, instrument=BTC)
        assert client.until("ORDER_STATUS")[-1].leaves_qty == 20
        client.send(CANCEL_ORDER, seen.client_order_id, instrument=BTC)
        client.until("ORDER_CANCELED")
        assert venue.signed("GET", ORDER, **SYMBOL, origClientOrderId="x").body["status"] == "CANCELED"


def test_both_dialects_trade_with_each_other_and_agree_on_positions(venue: Serving) -> None:
    _, ask = best(venue)
    resting = venue.signed(
        "POST", ORDER, 2, **SYMBOL, side="SELL", type="LIMIT", timeInForce="GTX", quantity="0.03", price=str(Decimal(ask - 5) / 10)
    ).body
    with venue.trader(1) as client:
        client.order(OUR_ID + 1, BTC, BUY, ask - 5, 30, tif=1)
        fill = client.until("ORDER_FILL")[-1]
        assert (fill.qty, fill.price) == (30, ask - 5)
        maker = venue.signed("GET", ORDER, 2, **SYMBOL, orderId=resting["orderId"]).body
        assert (maker["status"], maker["executedQty"]) == ("FILLED", "0.030")
        mine, other = (venue.signed("GET", "/fapi/v3/positionRisk", account).body[0]["positionAmt"] for account in (1, 2))
        assert (mine, other) == ("0.030", "-0.030")
        trade = venue.signed("GET", "/fapi/v1/userTrades", 1, **SYMBOL, limit=1).body[0]
        assert (trade["id"], trade["commission"]) == (fill.trade_id, f"{Decimal(fill.fee_e8) / 10**8:.8f}")
        public = venue.ask("GET", "/fapi/v1/trades?symbol=BTCUSDT&limit=1").body[0]
        assert (public["id"], public["qty"], public["isBuyerMaker"]) == (fill.trade_id, "0.030", False)
        wallets = [Decimal(venue.signed("GET", "/fapi/v3/account", account).body["totalWalletBalance"]) for account in (1, 2)]
        assert wallets == [Decimal(int(venue.on_venue(lambda a=a: venue.venue.venue.accounts[a]["wallet_e8"]))) / 10**8 for a in (2, 3)]
        client.order(OUR_ID + 2, BTC, SELL, ask - 500, 30, tif=1)
        client.until("ORDER_FILL")
    venue.signed("POST", ORDER, 2, **SYMBOL, side="BUY", type="MARKET", quantity="0.03", reduceOnly="true")


def test_a_stop_fires_on_a_trade_of_the_other_dialect(venue: Serving) -> None:
    bid, ask = best(venue)
    venue.signed("POST", ORDER, **SYMBOL, side="BUY", type="MARKET", quantity="0.05")
    rule = {"algoType": "CONDITIONAL", **SYMBOL, "side": "SELL"}
    stop = venue.signed("POST", "/fapi/v1/algoOrder", **rule, type="STOP_MARKET", triggerPrice=str(Decimal(bid) / 10), closePosition="true").body
    assert venue.signed("GET", "/fapi/v1/openAlgoOrders", **SYMBOL).body[0]["actualOrderId"] == ""
    assert venue.signed("GET", "/fapi/v1/openOrders").body == []
    with venue.trader(2) as client:
        client.order(OUR_ID + 3, BTC, SELL, bid, 10, tif=1)  # a trade at the trigger
        client.until("ORDER_FILL")
        client.order(OUR_ID + 4, BTC, BUY, ask, 10, tif=1)
        client.until("ORDER_FILL")
    order = wait_for(venue, stop["algoId"], "FINISHED")
    assert (order["actualQty"], order["actualType"]) == ("0.050", "MARKET")
    made = venue.signed("GET", ORDER, **SYMBOL, orderId=order["actualOrderId"]).body
    assert (made["status"], made["origType"], made["closePosition"]) == ("FILLED", "STOP_MARKET", True)
    assert venue.signed("GET", "/fapi/v3/positionRisk").body == []


def test_a_binary_conditional_order_is_an_algo_order_here(venue: Serving) -> None:
    """Shown, cancelled and followed through its trigger by the Algo service; cancelling all open orders leaves it alone."""
    bid, ask = best(venue)
    algo = "/fapi/v1/algoOrder"
    with venue.trader(1) as client, venue.trader(2) as other:
        client.order(OUR_ID + 20, BTC, BUY, ask, 40, tif=1)
        client.until("ORDER_FILL")
        for step, trigger in enumerate((bid - 500, bid - 600, bid)):  # stop market, stop limit, stop market
            kind, price = (3, bid - 700) if step == 1 else (2, 0)
            client.send(CONDITIONAL_ORDER, OUR_ID + 21 + step, SELL, kind, 0, 0, price, 20, trigger, 0, instrument=BTC)
            client.until("ORDER_ACK")
        assert venue.signed("GET", "/fapi/v1/openOrders").body == []
        waiting = venue.signed("GET", "/fapi/v1/openAlgoOrders", **SYMBOL).body
        assert [(row["clientAlgoId"], row["orderType"], row["side"], row["quantity"]) for row in waiting] == [
            (str(OUR_ID + 21), "STOP_MARKET", "SELL", "0.020"),
            (str(OUR_ID + 22), "STOP", "SELL", "0.020"),
            (str(OUR_ID + 23), "STOP_MARKET", "SELL", "0.020"),
        ]
        assert [round(Decimal(row["triggerPrice"]) * 10) for row in waiting] == [bid - 500, bid - 600, bid]
        assert venue.signed("DELETE", "/fapi/v1/allOpenOrders", **SYMBOL).status == 200
        assert len(venue.signed("GET", "/fapi/v1/openAlgoOrders").body) == 3
        assert venue.signed("DELETE", algo, algoId=waiting[0]["algoId"]).body["code"] == "200"
        assert client.until("ORDER_CANCELED")[-1].client_order_id == OUR_ID + 21
        assert venue.signed("DELETE", algo, algoId=waiting[0]["algoId"]).code == -2011
        client.send(CANCEL_ORDER, OUR_ID + 22, instrument=BTC)
        client.until("ORDER_CANCELED")
        assert venue.signed("GET", algo, clientAlgoId=str(OUR_ID + 22)).body["algoStatus"] == "CANCELED"
        other.order(OUR_ID + 24, BTC, SELL, bid, 10, tif=1)  # a trade at the trigger
        assert client.until("ORDER_TRIGGERED")[-1].client_order_id == OUR_ID + 23
        done = wait_for(venue, waiting[2]["algoId"], "FINISHED")
        assert (done["actualQty"], done["actualType"]) == ("0.020", "MARKET")
        assert venue.signed("GET", ORDER, **SYMBOL, orderId=done["actualOrderId"]).body["status"] == "FILLED"
        other.order(OUR_ID + 25, BTC, BUY, ask, 10, tif=1)
        other.until("ORDER_FILL")
    venue.signed("POST", ORDER, **SYMBOL, side="SELL", type="MARKET", quantity="9", reduceOnly="true")


def test_a_trailing_stop_follows_and_a_dead_one_is_rejected(venue: Serving) -> None:
    bid, ask = best(venue)
    venue.signed("POST", ORDER, **SYMBOL, side="BUY", type="MARKET", quantity="0.02")
    rule = {"algoType": "CONDITIONAL", **SYMBOL, "side": "SELL", "quantity": "0.02", "reduceOnly": "true"}
    trailing = venue.signed("POST", "/fapi/v1/algoOrder", **rule, type="TRAILING_STOP_MARKET", callbackRate="0.1").body
    limit = venue.signed("POST", "/fapi/v1/algoOrder", **rule, type="STOP", triggerPrice=str(Decimal(bid) / 10), price=str(Decimal(bid) / 10)).body
    assert (trailing["algoStatus"], limit["algoStatus"]) == ("NEW", "NEW")
    with venue.trader(2) as client:
        client.order(OUR_ID + 5, BTC, SELL, bid, 10, tif=1)  # half a percent below where it began: beyond the callback
        client.until("ORDER_FILL")
        client.order(OUR_ID + 6, BTC, BUY, ask, 10, tif=1)
        client.until("ORDER_FILL")
    assert wait_for(venue, trailing["algoId"], "FINISHED")["actualQty"] == "0.020"
    assert wait_for(venue, limit["algoId"], "REJECTED")["actualOrderId"] == ""  # the first one left nothing to reduce


ALGO = {"algoType": "CONDITIONAL", **SYMBOL, "side": "SELL", "type": "STOP_MARKET", "quantity": "0.02", "triggerPrice": "12000"}
REFUSED: list[tuple[dict[str, Any], int]] = [
    ({**ALGO, "algoType": "VP"}, -1130),
    ({**ALGO, "type": "LIMIT"}, -1116),
    ({**ALGO, "type": "STOP"}, -1102),
    ({**ALGO, "workingType": "LAST"}, -4031),
    ({**ALGO, "closePosition": "true"}, -4137),
    ({name: value for name, value in ALGO.items() if name != "triggerPrice"}, -1102),
    ({**ALGO, "triggerPrice": "0"}, -4001),
    ({**ALGO, "type": "TRAILING_STOP_MARKET"}, -1102),
    ({**ALGO, "type": "TRAILING_STOP_MARKET", "callbackRate": "21"}, -1130),
    ({**ALGO, "type": "TAKE_PROFIT_MARKET"}, -2021),
    ({**ALGO, "clientAlgoId": "a b"}, -1100),
]


@pytest.mark.parametrize(("params", "code"), REFUSED)
def test_conditional_orders_are_checked(venue: Serving, params: dict[str, Any], code: int) -> None:
    with venue.trader(2) as client:  # a last price, so that "immediately" means something
        client.order(venue.venue.client_orders.next_number() - 2**61, BTC, BUY, best(venue)[1], 10, tif=1)
        client.until("ORDER_FILL")
    assert venue.signed("POST", "/fapi/v1/algoOrder", **params).code == code
    assert venue.signed("GET", "/fapi/v1/openAlgoOrders").body == []
    venue.signed("POST", ORDER, 2, **SYMBOL, side="SELL", type="MARKET", quantity="9", reduceOnly="true")
