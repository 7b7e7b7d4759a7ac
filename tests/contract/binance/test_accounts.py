"""Margins, leverage, liquidation and funding as clients of the Binance dialect see them, beside the venue's own arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hftkit.clock import monotonic_s
from hftkit.exchange.dialects.binance.account.accounts import Portfolio
from tests.contract.binance.serving import BTC, Serving, serving

ORDER, SYMBOL = "/fapi/v1/order", {"symbol": "BTCUSDT"}
MARKET = {**SYMBOL, "type": "MARKET", "newOrderRespType": "RESULT"}


def account(venue: Serving, number: int = 1) -> dict[str, Any]:
    return venue.signed("GET", "/fapi/v3/account", number).body


def test_margins_follow_the_published_formulas(venue: Serving) -> None:
    venue.signed("POST", "/fapi/v1/leverage", **SYMBOL, leverage=25)
    bought = venue.signed("POST", ORDER, **MARKET, side="BUY", quantity="0.5").body
    resting = {**SYMBOL, "type": "LIMIT", "timeInForce": "GTC", "side": "BUY", "quantity": "0.1", "price": "12000"}
    venue.signed("POST", ORDER, **resting)
    row, whole = venue.signed("GET", "/fapi/v3/positionRisk").body[0], account(venue)
    mark, entry, amount = Decimal(row["markPrice"]), Decimal(row["entryPrice"]), Decimal(row["positionAmt"])
    assert (amount, entry) == (Decimal("0.5"), Decimal(bought["avgPrice"]))
    assert Decimal(row["unRealizedProfit"]) == (mark - entry) * amount
    assert Decimal(row["positionInitialMargin"]) == mark * amount / 25
    assert Decimal(row["openOrderInitialMargin"]) == Decimal(12000) * Decimal("0.1") / 25
    assert Decimal(row["maintMargin"]) == mark * amount * Decimal("0.004")
    wallet, profit = Decimal(whole["totalWalletBalance"]), Decimal(row["unRealizedProfit"])
    assert Decimal(whole["availableBalance"]) == wallet + profit - Decimal(row["initialMargin"])
    unrealised, initial, maintenance, _ = venue.on_venue(
        lambda: venue.venue.order_api.margins(venue.venue.account_of(1))
    )  # what orders are checked with
    shown = [Decimal(whole[name]) for name in ("totalUnrealizedProfit", "totalInitialMargin", "totalMaintMargin")]
    assert shown == [Decimal(figure) / 10**8 for figure in (unrealised, initial, maintenance)]
    liquidation = Decimal(row["liquidationPrice"])
    if liquidation > 0:  # there the equity is the maintenance margin
        assert wallet + (liquidation - entry) * amount == pytest.approx(liquidation * amount * Decimal("0.004"), abs=Decimal("0.1"))
    risk = venue.signed("GET", "/fapi/v2/positionRisk", **SYMBOL).body[0]
    assert (risk["leverage"], risk["marginType"], risk["liquidationPrice"]) == ("25", "cross", row["liquidationPrice"])
    assert {row["symbol"] for row in venue.signed("GET", "/fapi/v2/positionRisk").body} == {"BTCUSDT", "ETHUSDT"}
    venue.signed("POST", ORDER, **MARKET, side="SELL", quantity="0.5", reduceOnly="true")
    venue.signed("POST", "/fapi/v1/leverage", **SYMBOL, leverage=20)


def test_what_the_orders_of_an_isolated_position_bind_is_what_the_venue_checks(venue: Serving) -> None:
    """With a position on one side, orders that add to it, close it, and turn it round: two implementations of the same rule."""
    number = venue.on_venue(venue.venue.account_of, 1)

    def bound() -> tuple[int, int]:
        return Portfolio(venue.venue, number).total("cross_need"), venue.venue.order_api.margins(number)[1]

    assert venue.signed("POST", "/fapi/v1/marginType", **SYMBOL, marginType="ISOLATED").status == 200
    seen = []
    for side, other in (("BUY", "SELL"), ("SELL", "BUY")):
        venue.signed("POST", ORDER, **MARKET, side=side, quantity="0.2")
        mark = Decimal(venue.signed("GET", "/fapi/v1/premiumIndex", **SYMBOL).body["markPrice"])
        for direction, quantity in ((side, "0.1"), (other, "0.2"), (other, "0.5")):
            price = (mark * (Decimal("0.97") if direction == "BUY" else Decimal("1.03"))).quantize(Decimal(1))
            answer = venue.signed("POST", ORDER, **SYMBOL, type="LIMIT", timeInForce="GTC", side=direction, quantity=quantity, price=price)
            assert answer.body["status"] == "NEW"
            shown, checked = venue.on_venue(bound)
            assert shown == checked
            seen.append(shown)
        venue.signed("DELETE", "/fapi/v1/allOpenOrders", **SYMBOL)
        venue.signed("POST", ORDER, **MARKET, side=other, quantity="0.2", reduceOnly="true")
    assert venue.signed("POST", "/fapi/v1/marginType", **SYMBOL, marginType="CROSSED").status == 200
    assert seen[0] == seen[1] > 0 < seen[3] == seen[4]  # what only closes binds nothing
    assert min(seen[2] - seen[1], seen[5] - seen[4]) > 0  # what turns the position round does


def test_leverage_decides_what_can_be_opened(venue: Serving) -> None:
    big = {**SYMBOL, "type": "LIMIT", "timeInForce": "GTC", "side": "BUY", "quantity": "200", "price": "12000"}  # 2.4 million; the wallet holds 0.1
    assert venue.signed("POST", ORDER, **big).code == -2019
    assert venue.signed("POST", "/fapi/v1/leverage", **SYMBOL, leverage=50).body["leverage"] == 50
    assert venue.signed("POST", ORDER, **big).body["status"] == "NEW"
    assert venue.signed("POST", "/fapi/v1/leverage", **SYMBOL, leverage=20).code == -2028  # the order needs the margin
    assert venue.signed("GET", "/fapi/v1/symbolConfig", **SYMBOL).body[0]["leverage"] == 50
    venue.signed("DELETE", "/fapi/v1/allOpenOrders", **SYMBOL)
    assert venue.signed("POST", "/fapi/v1/leverage", **SYMBOL, leverage=20).status == 200


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/fapi/v1/marginType", {**SYMBOL, "marginType": "CROSSED"}, -4046),
        ("/fapi/v1/marginType", {**SYMBOL, "marginType": "OTHER"}, -1130),
        ("/fapi/v1/positionSide/dual", {"dualSidePosition": "False"}, -4059),
        ("/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}, -1020),
        ("/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": "false"}, -4171),
        ("/fapi/v1/positionMargin", {**SYMBOL, "amount": "10", "type": "1"}, -4049),
        ("/fapi/v1/positionMargin", {**SYMBOL, "amount": "0", "type": "1"}, -4055),
        ("/fapi/v1/leverage", {**SYMBOL, "leverage": "0"}, -4028),
    ],
)
def test_settings_that_the_venue_does_not_have(venue: Serving, path: str, params: dict[str, str], code: int) -> None:
    assert venue.signed("POST", path, **params).code == code


def test_a_liquidation_shows_as_one() -> None:
    """Account 1 buys all it can; account 2 empties the bids and trades far below with account 3: the venue takes account 1 over."""
    with serving() as venue, venue.trader(3) as other, venue.trader(2) as seller:
        for number in (1, 2):
            venue.signed("POST", "/fapi/v1/leverage", number, **SYMBOL, leverage=125)
        depth = venue.ask("GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=20").body
        asks, bids = (sum(Decimal(qty) for _, qty in depth[side]) for side in ("asks", "bids"))
        assert venue.signed("POST", ORDER, 1, **MARKET, side="BUY", quantity=str(min(asks, Decimal(150)))).body["status"] == "FILLED"
        emptied = {**SYMBOL, "type": "LIMIT", "timeInForce": "IOC", "side": "SELL", "quantity": str(bids), "price": "12300"}
        assert venue.signed("POST", ORDER, 2, **emptied).status == 200
        other.order(1, BTC, 0, 119_000, 20)
        other.until("ORDER_ACK")
        seller.order(1, BTC, 1, 119_000, 10, tif=1)
        seller.until("ORDER_FILL")
        deadline = monotonic_s() + 20.0  # margins are looked at once a second
        while venue.server.summary()["liquidations"] == 0:  # not by requests: they are limited
            assert monotonic_s() < deadline, "account 1 was never taken over"
        forced = venue.signed("GET", "/fapi/v1/forceOrders", 1, **SYMBOL).body
        assert [row["clientOrderId"].startswith("autoclose-") for row in forced] == [True]
        assert (forced[0]["side"], Decimal(forced[0]["executedQty"])) == ("SELL", Decimal("0.010"))  # the fund took the rest
        assert account(venue, 1)["totalWalletBalance"] == "0.00000000"
        kinds = {row["incomeType"] for row in venue.signed("GET", "/fapi/v1/income", 1, limit=1000).body}
        assert {"REALIZED_PNL", "COMMISSION", "INSURANCE_CLEAR"} <= kinds
