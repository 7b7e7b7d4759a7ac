"""Binance's own connector and SDK, and python-binance, unchanged but for their base URLs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from binance.client import Client
from binance.error import ClientError
from binance.exceptions import BinanceAPIException
from binance.um_futures import UMFutures

from tests.contract.binance.serving import Serving

S = "BTCUSDT"
LIMIT = {"symbol": S, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02", "price": "11000"}


@pytest.fixture(scope="module")
def connector(running: Serving) -> UMFutures:
    key = running.key()
    return UMFutures(key["key"], key["secret"], base_url=running.url)


@pytest.fixture(scope="module")
def python_binance(running: Serving) -> Client:
    client = Client(running.key()["key"], running.key()["secret"], ping=False)
    client.API_URL, client.FUTURES_URL, client.FUTURES_DATA_URL = f"{running.url}/api", f"{running.url}/fapi", f"{running.url}/futures/data"
    client.ping()
    return client


# -- binance-futures-connector ---------------------------------------------------------------------------------------


def test_connector_reads_the_market(connector: UMFutures, venue: Serving) -> None:
    info = connector.exchange_info()
    assert [row["symbol"] for row in info["symbols"]] == [S, "ETHUSDT"]
    depth, ticker = connector.depth(S, limit=5), connector.book_ticker(S)
    assert depth["bids"][0] == [ticker["bidPrice"], ticker["bidQty"]]
    assert depth["lastUpdateId"] == ticker["lastUpdateId"] > 0
    assert connector.mark_price(S)["nextFundingTime"] > connector.time()["serverTime"]
    for answer in (
        connector.klines(S, "1m"),
        connector.continuous_klines(S, "PERPETUAL", "5m"),
        connector.index_price_klines(S, "1h"),
        connector.mark_price_klines(S, "1d"),
        connector.trades(S),
        connector.agg_trades(S),
        connector.historical_trades(S),
        connector.funding_rate(S),
        connector.open_interest_hist(S, "5m"),
        connector.ticker_24hr_price_change(),
    ):
        assert isinstance(answer, list)
    with pytest.raises(ClientError) as refused:
        connector.depth(S, limit=7)
    assert (refused.value.status_code, refused.value.error_code) == (400, -4021)


def test_connector_places_changes_and_cancels(connector: UMFutures, venue: Serving) -> None:
    order = connector.new_order(**LIMIT, newClientOrderId="first")
    assert (order["status"], order["clientOrderId"], order["price"], order["origQty"]) == ("NEW", "first", "11000.0", "0.020")
    with pytest.raises(ClientError) as refused:
        connector.new_order(**LIMIT, newClientOrderId="first")
    assert refused.value.error_code == -4116
    changed = connector.modify_order(symbol=S, side="BUY", quantity=0.03, price=11001, orderId=order["orderId"])
    assert (changed["origQty"], changed["price"], changed["pair"]) == ("0.030", "11001.0", S)
    with pytest.raises(ClientError) as refused:
        connector.modify_order(symbol=S, side="BUY", quantity=0.03, price=11001, orderId=order["orderId"])
    assert refused.value.error_code == -5027
    assert connector.query_order(S, origClientOrderId="first")["price"] == "11001.0"
    assert connector.get_open_orders(S, orderId=order["orderId"])["clientOrderId"] == "first"
    assert connector.cancel_order(S, origClientOrderId="first")["status"] == "CANCELED"
    assert connector.new_order(**LIMIT, newClientOrderId="first")["orderId"] > order["orderId"]  # free again
    batch = connector.new_batch_order([{**LIMIT, "newClientOrderId": "b"}, {**LIMIT, "quantity": "0.0205"}, {**LIMIT, "type": "STOP"}])
    assert [row.get("code", 0) for row in batch] == [0, -1111, -4120]
    assert [row.get("status", row.get("code")) for row in connector.cancel_batch_order(S, [], ["b", "nobody"])] == ["CANCELED", -2011]
    assert connector.cancel_open_orders(S)["code"] == 200
    assert connector.get_orders() == []


def test_connector_reads_the_account(connector: UMFutures, venue: Serving) -> None:
    connector.new_order(symbol=S, side="SELL", type="MARKET", quantity=0.02)
    account, position = connector.account(), connector.get_position_risk()[0]
    assert position["positionAmt"] == "-0.020"
    assert float(position["notional"]) < 0
    assert account["totalWalletBalance"] == connector.balance()[0]["balance"]
    assert account["positions"][0]["notional"] == position["notional"]
    assert float(account["totalInitialMargin"]) == pytest.approx(-float(position["notional"]) / 20)
    trade = connector.get_account_trades(S, limit=1)[0]
    assert (trade["side"], trade["qty"], trade["maker"]) == ("SELL", "0.020", False)
    assert connector.get_income_history(incomeType="COMMISSION", limit=1)[0]["income"] == f"-{trade['commission']}"
    assert connector.leverage_brackets(symbol=S)[0]["brackets"][0]["initialLeverage"] == 125
    assert connector.change_leverage(S, 5)["leverage"] == 5
    assert float(connector.account()["totalInitialMargin"]) == pytest.approx(-float(position["notional"]) / 5)
    connector.change_leverage(S, 20)
    connector.new_order(symbol=S, side="BUY", type="MARKET", quantity=0.02, reduceOnly="true")


def test_connector_keeps_a_listen_key(connector: UMFutures, venue: Serving) -> None:
    key = connector.new_listen_key()["listenKey"]
    assert len(key) == 64
    assert connector.new_listen_key()["listenKey"] == key
    assert connector.renew_listen_key(key)["listenKey"] == key
    assert connector.close_listen_key(key) == {}
    with pytest.raises(ClientError) as refused:
        connector.renew_listen_key(key)
    assert refused.value.error_code == -1125


# -- python-binance --------------------------------------------------------------------------------------------------


def test_python_binance_trades(python_binance: Client, venue: Serving) -> None:
    client = python_binance
    order = client.futures_create_order(symbol=S, side="BUY", type="LIMIT", timeInForce="GTX", quantity=0.02, price=11000)
    assert (order["status"], order["timeInForce"]) == ("NEW", "GTX")
    assert client.futures_get_order(symbol=S, orderId=order["orderId"])["status"] == "NEW"
    assert client.futures_cancel_order(symbol=S, orderId=order["orderId"])["status"] == "CANCELED"  # a form body on DELETE
    placed = client.futures_place_batch_order(batchOrders=[dict(LIMIT), dict(LIMIT)])
    ids = [row["orderId"] for row in placed]
    assert [row["status"] for row in client.futures_cancel_orders(symbol=S, orderIdList=ids)] == ["CANCELED"] * 2  # signed over the decoded text
    market = client.futures_create_order(symbol=S, side="BUY", type="MARKET", quantity=0.02, newOrderRespType="RESULT")
    assert market["status"] == "FILLED"
    stop = client.futures_create_order(symbol=S, side="SELL", type="STOP_MARKET", stopPrice=12000, closePosition=True)
    assert stop["algoStatus"] == "NEW"
    assert [row["algoId"] for row in client.futures_get_open_algo_orders(symbol=S)] == [stop["algoId"]]
    assert client.futures_account()["positions"][0]["positionAmt"] == "0.020"
    assert client.futures_position_information(symbol=S)[0]["positionAmt"] == "0.020"
    assert client.futures_account_balance()[0]["asset"] == "USDT"
    client.futures_create_order(symbol=S, side="SELL", type="MARKET", quantity=0.02, reduceOnly=True)
    with pytest.raises(BinanceAPIException) as refused:
        client.futures_create_order(symbol="NOSUCH", side="BUY", type="MARKET", quantity=1)
    assert refused.value.code == -1121


def test_ed25519_keys_work_too(venue: Serving) -> None:
    key = venue.key(kind="ED25519")
    client = Client(key["key"], private_key=key["private_key"], ping=False)
    client.FUTURES_URL = f"{venue.url}/fapi"
    assert client.futures_account_balance()[0]["asset"] == "USDT"
    assert client.futures_create_order(**LIMIT)["status"] == "NEW"


def test_python_binance_async(venue: Serving) -> None:
    from binance.async_client import AsyncClient

    class Aimed(AsyncClient):
        API_URL, FUTURES_URL = f"{venue.url}/api", f"{venue.url}/fapi"

    async def trade() -> tuple[str, int]:
        client = await Aimed.create(venue.key(2)["key"], venue.key(2)["secret"])
        try:
            order = await client.futures_create_order(**LIMIT)
            return order["status"], (await client.futures_cancel_all_open_orders(symbol=S))["code"]
        finally:
            await client.close_connection()

    assert asyncio.run(trade()) == ("NEW", 200)


# -- the official SDK ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sdk(running: Serving) -> Any:
    usds = pytest.importorskip(
        "binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures", reason="the official SDK is not installed"
    )
    key = running.key(2)
    config = usds.ConfigurationRestAPI(api_key=key["key"], api_secret=key["secret"], base_path=running.url)
    return usds.DerivativesTradingUsdsFutures(config_rest_api=config).rest_api


def test_sdk_trades(sdk: Any, venue: Serving) -> None:
    assert sdk.exchange_information().data().symbols[0].symbol == S
    order = sdk.new_order(symbol=S, side="BUY", type="LIMIT", quantity=0.02, price=11000.0, time_in_force="GTC").data()
    assert (order.status, order.orig_qty) == ("NEW", "0.020")
    changed = sdk.modify_order(symbol=S, side="BUY", quantity=0.03, price=11000.0, order_id=order.order_id).data()
    assert changed.orig_qty == "0.030"
    assert sdk.query_order(symbol=S, order_id=order.order_id).data().status == "NEW"
    algo = sdk.new_algo_order(algo_type="CONDITIONAL", symbol=S, side="SELL", type="STOP_MARKET", quantity=0.02, trigger_price=12000.0).data()
    assert [row.algo_id for row in sdk.current_all_algo_open_orders().data()] == [algo.algo_id]
    assert sdk.cancel_all_algo_open_orders(symbol=S).data().code == 200
    assert sdk.cancel_order(symbol=S, order_id=order.order_id).data().status == "CANCELED"
    assert sdk.futures_account_balance_v3().data()[0].asset == "USDT"
    assert sdk.position_information_v2(symbol=S).data()[0].position_amt == "0.000"
    assert sdk.account_information_v2().data().can_trade is True
    assert sdk.query_user_rate_limit().data()[0].rate_limit_type == "ORDERS"
    with pytest.raises(Exception, match="-1121"):
        sdk.order_book(symbol="NOSUCH")
