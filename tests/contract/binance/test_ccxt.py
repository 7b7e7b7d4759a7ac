"""ccxt, sync and async, unchanged but for its base URLs."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from tests.contract.binance.serving import Serving

S, E = "BTC/USDT:USDT", "ETH/USDT:USDT"


def point(exchange: Any, url: str) -> Any:
    """Aim an exchange object at the simulator (docs/binance-dialect.md shows the same)."""
    api = exchange.urls["api"]
    for version in ("", "V2", "V3"):
        number = version.lower() or "v1"
        api[f"fapiPublic{version}"] = api[f"fapiPrivate{version}"] = f"{url}/fapi/{number}"
    api["fapiData"], api["sapi"] = f"{url}/futures/data", f"{url}/sapi/v1"
    exchange.enableRateLimit = False
    return exchange


@pytest.fixture(scope="module")
def client(running: Serving) -> Any:
    key = running.key()
    exchange = point(ccxt.binanceusdm({"apiKey": key["key"], "secret": key["secret"]}), running.url)
    exchange.load_markets()
    return exchange


def test_markets_carry_the_venues_scales(client: Any) -> None:
    market = client.market(S)
    assert set(client.markets) == {S, "ETH/USDT:USDT"}
    assert (market["linear"], market["swap"], market["settle"]) == (True, True, "USDT")
    assert market["precision"]["price"] == pytest.approx(0.1)
    assert market["precision"]["amount"] == pytest.approx(0.001)
    assert market["limits"]["cost"]["min"] == 100
    assert client.market("ETH/USDT:USDT")["precision"]["price"] == pytest.approx(0.05)


def test_book_and_tickers_agree_with_the_venues_arrays(client: Any, venue: Serving) -> None:
    book = client.fetch_order_book(S, 5)
    levels = venue.on_venue(lambda: [venue.venue.order_api.read_side(0, side, 5) for side in (0, 1)])
    assert [[round(price * 10), round(qty * 1000)] for price, qty in book["bids"]] == [list(level) for level in levels[0]]
    assert [[round(price * 10), round(qty * 1000)] for price, qty in book["asks"]] == [list(level) for level in levels[1]]
    best = client.fetch_bids_asks([S])[S]
    assert (best["bid"], best["ask"]) == (book["bids"][0][0], book["asks"][0][0])
    assert client.fetch_last_prices([S])[S]["price"] > 0
    assert client.fetch_funding_rate(S)["markPrice"] > 0


def test_an_order_rests_is_changed_and_cancelled(client: Any, venue: Serving) -> None:
    order = client.create_order(S, "limit", "buy", 0.02, 11500.0)
    assert (order["status"], order["price"], order["amount"], order["filled"]) == ("open", 11500.0, 0.02, 0.0)
    assert [row["id"] for row in client.fetch_open_orders(S)] == [order["id"]]
    changed = client.edit_order(order["id"], S, "limit", "buy", 0.03, 11600.0)
    assert (changed["id"], changed["price"], changed["amount"]) == (order["id"], 11600.0, 0.03)
    assert client.fetch_order(order["id"], S)["price"] == 11600.0
    assert client.cancel_order(order["id"], S)["status"] == "canceled"
    assert client.fetch_order(order["id"], S)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        client.cancel_order(order["id"], S)
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        client.fetch_order("987654321", S)


def test_a_market_order_moves_position_wallet_and_history(client: Any, venue: Serving) -> None:
    before = client.fetch_balance()["USDT"]["total"]
    ask = client.fetch_order_book(S, 5)["asks"][0][0]
    order = client.create_order(S, "market", "buy", 0.05)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.05, ask)
    trade = client.fetch_my_trades(S, params={"orderId": order["id"]})[0]
    assert (trade["price"], trade["amount"], trade["takerOrMaker"]) == (ask, 0.05, "taker")
    assert trade["fee"]["cost"] == pytest.approx(ask * 0.05 * 0.0005)
    position = client.fetch_positions([S])[0]
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 0.05, ask)
    assert client.fetch_balance()["USDT"]["total"] == pytest.approx(before - trade["fee"]["cost"] + position["unrealizedPnl"] * 0)
    closing = client.create_order(S, "market", "sell", 0.5, None, {"reduceOnly": True})
    assert (closing["status"], closing["filled"]) == ("closed", 0.05)
    assert client.fetch_positions([S]) == []
    with pytest.raises(ccxt.ExchangeError, match="-2022"):
        client.create_order(S, "market", "sell", 0.05, None, {"reduceOnly": True})
    kinds = [row["type"] for row in client.fetch_ledger(limit=3)]
    assert "commission" in kinds or "fee" in kinds


def test_times_in_force(client: Any, venue: Serving) -> None:
    ask = client.fetch_order_book(S, 5)["asks"][0][0]
    with pytest.raises(ccxt.InvalidOrder, match="-5022"):
        client.create_order(S, "limit", "buy", 0.02, ask, {"postOnly": True})
    resting = client.create_order(S, "limit", "buy", 0.02, 12000.0, {"postOnly": True})
    assert (resting["status"], resting["postOnly"]) == ("open", True)
    assert client.create_order(S, "limit", "buy", 0.02, 12000.0, {"timeInForce": "IOC"})["status"] == "expired"
    with pytest.raises(ccxt.InvalidOrder, match="-5021"):
        client.create_order(S, "limit", "buy", 0.02, 12000.0, {"timeInForce": "FOK"})


def test_batches_and_cancels_of_many(client: Any, venue: Serving) -> None:
    orders = [{"symbol": S, "type": "limit", "side": "buy", "amount": 0.02, "price": 11000.0 + step} for step in range(4)]
    orders.append({"symbol": S, "type": "limit", "side": "buy", "amount": 0.02, "price": 20000.0})
    answers = client.create_orders(orders)  # which ccxt sorts by time: the refused one, which has none, comes first
    placed = [row for row in answers if row["status"] == "open"]
    assert len(placed) == 4
    assert [row["info"]["code"] for row in answers if row["status"] != "open"] == [-4016]
    ids = [row["id"] for row in placed[:2]]
    assert [row["status"] for row in client.cancel_orders(ids, S)] == ["canceled"] * 2
    assert len(client.fetch_open_orders(S)) == 2
    client.cancel_all_orders(S)
    assert client.fetch_open_orders(S) == []
    assert {row["id"] for row in client.fetch_orders(S)} >= {row["id"] for row in placed[:4]}


def test_conditional_orders_live_in_the_algo_service(client: Any, venue: Serving) -> None:
    book = client.fetch_order_book(S, 5)
    client.create_order(S, "market", "buy", 0.05)  # there is a last price now, and a position to protect
    stop = client.create_order(S, "market", "sell", 0.05, None, {"stopLossPrice": 12000.0, "reduceOnly": True})
    profit = client.create_order(S, "limit", "sell", 0.05, 13100.0, {"takeProfitPrice": 13000.0})
    trailing = client.create_order(S, "market", "sell", 0.05, None, {"trailingPercent": 1.0})
    waiting = {row["id"]: row for row in client.fetch_open_orders(S, params={"trigger": True})}
    assert set(waiting) == {stop["id"], profit["id"], trailing["id"]}
    assert waiting[stop["id"]]["triggerPrice"] == 12000.0
    assert client.fetch_open_orders(S) == []
    with pytest.raises(ccxt.ExchangeError, match="-2021"):
        client.create_order(S, "market", "sell", 0.05, None, {"stopLossPrice": book["asks"][0][0] + 100})
    client.cancel_order(stop["id"], S, {"trigger": True})
    assert client.fetch_order(stop["id"], S, {"trigger": True})["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(stop["id"], S, {"trigger": True})
    client.create_order(S, "market", "sell", 0.05, None, {"reduceOnly": True})


def test_refusals_become_the_clients_errors(client: Any, venue: Serving) -> None:
    with pytest.raises(ccxt.ExchangeError, match="-2019"):
        client.create_order(S, "limit", "buy", 500, 12700.0)
    with pytest.raises(ccxt.ExchangeError, match="-4164"):
        client.create_order(S, "limit", "buy", 0.001, 12000.0)
    with pytest.raises(ccxt.BadSymbol):
        client.fapiPublicGetDepth({"symbol": "NOSUCH"})
    with pytest.raises(ccxt.MarginModeAlreadySet):
        client.fapiPrivatePostMarginType({"symbol": "BTCUSDT", "marginType": "CROSSED"})
    wrong = point(ccxt.binanceusdm({"apiKey": venue.key()["key"], "secret": "wrong"}), venue.url)
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        wrong.fapiPrivateV3GetAccount()


def test_statistics(client: Any, venue: Serving) -> None:
    client.create_order(S, "market", "buy", 0.05)
    venue.on_venue(lambda: venue.venue.statistics.advance(venue.venue, venue.venue.now_ms() + 300_000))
    history = client.fetch_open_interest_history(S, "5m")
    assert history[-1]["openInterestAmount"] == client.fetch_open_interest(S)["openInterestAmount"] > 0
    mark = client.fetch_mark_price(S)["markPrice"]
    assert history[-1]["openInterestValue"] == pytest.approx(history[-1]["openInterestAmount"] * mark)
    ratio = client.fetch_long_short_ratio_history(S, "5m")[-1]["longShortRatio"]
    positions = venue.on_venue(lambda: venue.venue.venue.holdings["position"][:-2, 0].copy())
    assert ratio == pytest.approx((positions > 0).sum() / (positions < 0).sum(), abs=1e-4)
    takers = client.fapiDataGetTakerlongshortRatio({"symbol": "BTCUSDT", "period": "5m", "limit": 1})[0]
    candle = client.fapiPublicGetKlines({"symbol": "BTCUSDT", "interval": "5m", "limit": 1})[0]
    assert (float(takers["buyVol"]), takers["timestamp"]) == (float(candle[9]), candle[0])
    for call in ("TopLongShortAccountRatio", "TopLongShortPositionRatio", "GlobalLongShortAccountRatio"):
        assert set(getattr(client, f"fapiDataGet{call}")({"symbol": "BTCUSDT", "period": "1h"})[0]) >= {
            "longShortRatio",
            "longAccount",
            "shortAccount",
        }
    assert client.fapiDataGetBasis({"pair": "BTCUSDT", "contractType": "PERPETUAL", "period": "5m"})[0]["basis"] == "0"
    client.create_order(S, "market", "sell", 0.05, None, {"reduceOnly": True})


def test_settings(client: Any, venue: Serving) -> None:
    assert client.set_leverage(10, S)["leverage"] == 10
    assert client.fetch_leverages([S])[S]["longLeverage"] == 10
    with pytest.raises(ccxt.ExchangeError, match="-4028"):
        client.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 126})  # set_leverage would not even ask
    assert client.fetch_position_mode()["hedged"] is False
    assert client.fetch_trading_fee(S)["taker"] == 0.0005
    assert client.fetch_leverage_tiers([S])[S][0]["maxLeverage"] == 125
    client.set_leverage(20, S)


def test_isolated_margin(client: Any, venue: Serving) -> None:
    """Margin type, a position with a wallet of its own, margin moved to it and back; what is shown agrees with the published formulas."""
    client.set_margin_mode("isolated", E)
    with pytest.raises(ccxt.MarginModeAlreadySet, match="-4046"):  # the unified call takes it for a success in some versions
        client.fapiPrivatePostMarginType({"symbol": client.market_id(E), "marginType": "ISOLATED"})
    assert client.fetch_margin_mode(E)["marginMode"] == "isolated"
    with pytest.raises(ccxt.ExchangeError, match="-4054"):
        client.add_margin(E, 5)
    resting = client.create_order(E, "limit", "buy", 0.5, round(client.fetch_order_book(E, 5)["bids"][0][0] * 0.97, 0))
    with pytest.raises(ccxt.ExchangeError, match="-4047"):
        client.set_margin_mode("cross", E)
    client.cancel_order(resting["id"], E)
    before, price = client.fetch_balance()["info"], client.create_order(E, "market", "buy", 2)["average"]
    position, leverage = client.fetch_positions([E])[0], 20
    info = position["info"]
    assert (position["marginMode"], float(info["isolatedWallet"])) == ("isolated", pytest.approx(2 * price / leverage))
    assert float(info["isolatedMargin"]) == pytest.approx(float(info["isolatedWallet"]) + position["unrealizedPnl"])
    with pytest.raises(ccxt.ExchangeError, match="-4048"):
        client.set_margin_mode("cross", E)
    with pytest.raises(ccxt.ExchangeError, match="-4161"):
        client.set_leverage(5, E)
    with pytest.raises(ccxt.ExchangeError, match="-4051"):
        client.reduce_margin(E, 50)
    with pytest.raises(ccxt.ExchangeError, match="-4050"):
        client.add_margin(E, 10_000_000)
    assert client.add_margin(E, 100)["amount"] == 100
    client.reduce_margin(E, 40.5)
    after, position = client.fetch_balance()["info"], client.fetch_positions([E])[0]
    wallet = float(position["info"]["isolatedWallet"])
    assert wallet == pytest.approx(2 * price / leverage + 59.5)
    assert float(after["totalWalletBalance"]) == pytest.approx(float(before["totalWalletBalance"]) - 2 * price * 0.0005)
    assert float(after["totalCrossWalletBalance"]) == pytest.approx(float(after["totalWalletBalance"]) - wallet)
    assert float(after["totalCrossUnPnl"]) == 0
    assert float(after["availableBalance"]) == pytest.approx(float(after["totalCrossWalletBalance"]))
    rate = float(client.fetch_leverage_tiers([E])[E][0]["maintenanceMarginRate"])
    assert position["liquidationPrice"] == pytest.approx(
        (2 * price - wallet) / (2 - 2 * rate), abs=0.01
    )  # its own wallet against its own maintenance
    assert [(row["type"], row["amount"]) for row in client.fetch_margin_adjustment_history(E)[-2:]] == [("add", 100), ("reduce", 40.5)]
    client.create_order(E, "market", "sell", 2, None, {"reduceOnly": True})
    closed = client.fetch_balance()["info"]
    assert closed["totalWalletBalance"] == closed["totalCrossWalletBalance"]
    client.set_margin_mode("cross", E)


def test_the_async_client_does_the_same(venue: Serving) -> None:
    async def trade() -> tuple[str, str, float, list[Any]]:
        key = venue.key(2)
        exchange = point(ccxt.async_support.binanceusdm({"apiKey": key["key"], "secret": key["secret"]}), venue.url)
        try:
            await exchange.load_markets()
            orders = await asyncio.gather(*(exchange.create_order(S, "limit", "buy", 0.02, 11000.0 + i) for i in range(8)))
            gone = await asyncio.gather(*(exchange.cancel_order(order["id"], S) for order in orders))
            market = await exchange.create_order(S, "market", "buy", 0.02)
            closed = await exchange.create_order(S, "market", "sell", 0.02, None, {"reduceOnly": True})
            return orders[0]["status"], gone[-1]["status"], market["filled"] - closed["filled"], await exchange.fetch_positions([S])
        finally:
            await exchange.close()

    assert asyncio.run(trade()) == ("open", "canceled", 0.0, [])
