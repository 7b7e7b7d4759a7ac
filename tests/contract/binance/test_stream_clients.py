"""Sockets of Binance's own SDK and connector and of python-binance, unchanged but for their base URLs."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from binance import AsyncClient, BinanceSocketManager
from binance.websocket.um_futures.websocket_client import UMFuturesWebsocketClient
from binance_common.configuration import ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import DerivativesTradingUsdsFutures

from tests.contract.binance.serving import Serving, serving

BUSY = Path(__file__).parent / "busy.toml"
OFFER = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "14000.0"}


@pytest.fixture(scope="module")
def lively() -> Iterator[Serving]:
    with serving(config_path=BUSY, weight_per_minute=1_000_000) as venue:
        yield venue


def test_the_sdk_on_its_three_connections(lively: Serving) -> None:
    async def run() -> dict[str, Any]:
        sdk = DerivativesTradingUsdsFutures(config_ws_streams=ConfigurationWebSocketStreams(stream_url=lively.ws_url))
        connection = await sdk.websocket_streams.create_connection()
        heard: dict[str, Any] = {}
        arrived = asyncio.Event()

        def keep(name: str) -> Any:
            def hear(message: Any) -> None:
                heard[name] = message
                if len(heard) == 6:
                    arrived.set()

            return hear

        key = lively.ask("POST", "/fapi/v1/listenKey", headers={"X-MBX-APIKEY": lively.key()["key"]}).body["listenKey"]
        for name, stream in {
            "ticker": await connection.individual_symbol_book_ticker_streams(symbol="btcusdt"),
            "depth": await connection.diff_book_depth_streams(symbol="btcusdt", update_speed="100ms"),
            "trade": await connection.aggregate_trade_streams(symbol="btcusdt"),
            "mark": await connection.mark_price_stream(symbol="btcusdt", update_speed="1s"),
            "candle": await connection.kline_candlestick_streams(symbol="btcusdt", interval="1m"),
            "user": await connection.user_data(key),
        }.items():
            stream.on("message", keep(name))
        await asyncio.to_thread(lambda: lively.signed("POST", "/fapi/v1/order", **OFFER))
        await asyncio.wait_for(arrived.wait(), 20)
        await sdk.websocket_streams.close_connection()
        return heard

    heard = asyncio.run(run())
    assert float(heard["ticker"].b) < float(heard["ticker"].a)
    assert heard["depth"].pu < heard["depth"].u
    assert heard["trade"].e == "aggTrade"
    assert heard["candle"].k.i == "1m"
    assert heard["user"].actual_instance.o.S == "SELL"


def test_the_sdks_websocket_api(lively: Serving) -> None:
    async def run() -> Any:
        key = lively.key()
        config = ConfigurationWebSocketAPI(api_key=key["key"], api_secret=key["secret"], stream_url=f"{lively.ws_url}/ws-fapi/v1")
        sdk = DerivativesTradingUsdsFutures(config_ws_api=config)
        connection = await sdk.websocket_api.create_connection()
        placed = await connection.new_order(symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.02, price=12000)
        order = placed.data().result
        canceled = await connection.cancel_order(symbol="BTCUSDT", order_id=order.order_id)
        balance = await connection.futures_account_balance_v2()
        await sdk.websocket_api.close_connection()
        return order, canceled.data().result, balance.data().result, placed.rate_limits

    order, canceled, balance, limits = asyncio.run(run())
    assert (order.status, canceled.status, canceled.order_id) == ("NEW", "CANCELED", order.order_id)
    assert balance[0].asset == "USDT"
    assert len(limits) == 3


def test_python_binance_sockets(lively: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncClient, "WS_FUTURES_URL", f"{lively.ws_url}/ws-fapi/v1")  # read when a client is made

    async def run() -> list[Any]:
        key = lively.key()
        client = AsyncClient(key["key"], key["secret"])
        client.API_URL, client.FUTURES_URL = f"{lively.url}/api", f"{lively.url}/fapi"
        sockets = BinanceSocketManager(client)
        sockets.FSTREAM_URL = f"{lively.ws_url}/"
        heard = []
        for socket in (
            sockets.symbol_ticker_futures_socket("BTCUSDT"),
            sockets.aggtrade_futures_socket("BTCUSDT"),
            sockets.futures_depth_socket("BTCUSDT"),
            sockets.futures_multiplex_socket(["btcusdt@bookTicker", "ethusdt@markPrice@1s"]),
        ):
            async with socket as stream:
                heard.append(await asyncio.wait_for(stream.recv(), 10))
        async with sockets.futures_user_socket() as stream:
            order = await client.ws_futures_create_order(**OFFER)
            heard.append(await asyncio.wait_for(stream.recv(), 10))
            await client.ws_futures_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            heard.append(await asyncio.wait_for(stream.recv(), 10))
        heard.append(await client.ws_futures_account_balance())
        await client.close_connection()
        return heard

    ticker, trade, depth, several, placed, canceled, balance = asyncio.run(run())
    assert (ticker["data"]["e"], trade["data"]["e"]) == ("bookTicker", "aggTrade")
    assert len(depth["data"]["b"]) == 10
    assert several["stream"] in ("btcusdt@bookTicker", "ethusdt@markPrice@1s")
    assert (placed["o"]["X"], canceled["o"]["X"]) == ("NEW", "CANCELED")
    assert balance[0]["asset"] == "USDT"


@pytest.mark.parametrize(("route", "combined"), [("/public", False), ("/market", True), ("", True)])
def test_the_old_connector(lively: Serving, route: str, combined: bool) -> None:
    heard: queue.Queue[Any] = queue.Queue()
    client = UMFuturesWebsocketClient(
        stream_url=lively.ws_url + route, is_combined=combined, on_message=lambda _, message: heard.put(json.loads(message))
    )
    try:
        client.book_ticker("btcusdt")
        client.agg_trade("btcusdt")
        client.list_subscribe()
        seen: set[str] = set()
        while seen < {"answer", "bookTicker", "aggTrade"}:
            message = heard.get(timeout=10)
            data = message.get("data", message)
            seen.add(data.get("e", "answer"))
            assert ("stream" in message) == (combined and "e" in data)
    finally:
        client.stop()
