"""ccxt.pro, unchanged but for its base URLs: books, trades, tickers, candles, fills, balance, positions, orders over both APIs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import ccxt.pro
import pytest

from tests.contract.binance.serving import Serving, serving
from tests.contract.binance.test_ccxt import point

BUSY = Path(__file__).parent / "busy.toml"
S, E = "BTC/USDT:USDT", "ETH/USDT:USDT"


@pytest.fixture(scope="module")
def lively() -> Iterator[Serving]:
    with serving(config_path=BUSY, weight_per_minute=1_000_000) as venue:
        yield venue


async def until(condition: Callable[[], Any]) -> None:
    """Bounded by the caller's timeout: look at a condition that a client's own task brings about."""
    never = asyncio.Event()
    while not condition():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(never.wait(), 0.02)


def watch(venue: Serving, play: Callable[[Any], Awaitable[Any]]) -> Any:
    """Run `play` with a ccxt.pro exchange aimed at the simulator."""

    async def run() -> Any:
        key = venue.key()
        exchange = point(ccxt.pro.binanceusdm({"apiKey": key["key"], "secret": key["secret"]}), venue.url)
        for name in ("linear", "future"):  # its name in newer versions, and in older ones
            exchange.urls["api"]["ws"][name] = f"{venue.ws_url}/ws"
            exchange.urls["api"]["ws"]["ws-api"][name] = f"{venue.ws_url}/ws-fapi/v1"
        try:
            await exchange.load_markets()
            return await asyncio.wait_for(play(exchange), 40)
        finally:
            await exchange.close()

    return asyncio.run(run())


def true_sides(venue: Serving) -> tuple[list[list[float]], list[list[float]]]:
    """The venue's own best levels, as numbers."""

    def read() -> Any:
        symbol = venue.venue.symbols.all[0]
        sides = [venue.venue.order_api.read_side(0, side, 20) for side in (0, 1)]
        return tuple([[float(symbol.price(p)), float(symbol.qty(q))] for p, q in side] for side in sides)

    return venue.on_venue(read)


def test_order_book_follows_the_venue(lively: Serving) -> None:
    async def play(exchange: Any) -> Any:
        nonces, met = [], 0
        for _ in range(400):
            book = await exchange.watch_order_book(S)
            nonces.append(book["nonce"])
            assert book["bids"][0][0] < book["asks"][0][0]
            bids, asks = await asyncio.to_thread(true_sides, lively)
            met += book["bids"][:20] == bids and book["asks"][:20] == asks
            if met > 5 and len(nonces) > 20:
                break
        return nonces, met

    nonces, met = watch(lively, play)
    assert nonces == sorted(nonces)
    assert met > 5, "between two events the book it keeps is the venue's own"


def test_trades_tickers_and_candles(lively: Serving) -> None:
    async def play(exchange: Any) -> Any:
        trades = await exchange.watch_trades(S)
        several = await exchange.watch_trades_for_symbols([S, E])
        ticker = await exchange.watch_ticker(S)
        tickers = await exchange.watch_tickers([S, E])
        best = await exchange.watch_bids_asks([S, E])
        candles = await exchange.watch_ohlcv(S, "1m")
        mark = await exchange.watch_mark_price(S)
        return trades, several, ticker, tickers, best, candles, mark

    trades, several, ticker, tickers, best, candles, mark = watch(lively, play)
    assert trades[0]["symbol"] == S
    assert trades[0]["side"] in ("buy", "sell")
    assert several[0]["price"] > 0
    assert ticker["last"] > 0
    assert ticker["high"] >= ticker["low"] > 0
    assert set(tickers) <= {S, E}
    assert all(row["bid"] < row["ask"] for row in best.values())
    assert candles[-1][2] >= candles[-1][3] > 0
    assert mark["info"]["e"] == "markPriceUpdate"


def test_orders_fills_balance_and_positions(venue: Serving) -> None:
    offer = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "12801.0"}

    async def play(exchange: Any) -> Any:
        watching = [asyncio.ensure_future(watch) for watch in (exchange.watch_orders(S), exchange.watch_balance(), exchange.watch_my_trades(S))]
        await until(lambda: venue.service.streams.hub.subscriber_groups)
        await asyncio.to_thread(lambda: venue.signed("POST", "/fapi/v1/order", 2, **offer))
        order = await exchange.create_order(S, "limit", "buy", 0.01, 12801.0)
        _, balance, trades = await asyncio.gather(*watching)
        await until(lambda: {row["id"]: row["status"] for row in exchange.orders}.get(order["id"]) == "closed")
        return order, balance, trades, await exchange.fetch_balance()

    order, balance, trades, of_rest = watch(venue, play)
    assert trades[-1]["order"] == order["id"]
    assert balance["USDT"]["total"] == pytest.approx(of_rest["USDT"]["total"])


def test_positions_follow_fills(venue: Serving) -> None:
    offer = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "12801.0"}

    async def play(exchange: Any) -> Any:
        await exchange.watch_positions([S])  # by REST; from then on by the stream
        watching = asyncio.ensure_future(exchange.watch_positions([S]))
        await until(lambda: venue.service.streams.hub.subscriber_groups)
        await asyncio.to_thread(lambda: venue.signed("POST", "/fapi/v1/order", 2, **offer))
        await exchange.create_order(S, "limit", "buy", 0.01, 12801.0)
        return (await watching)[-1], (await exchange.fetch_positions([S]))[0]

    followed, held = watch(venue, play)
    assert (followed["contracts"], followed["side"]) == (held["contracts"], held["side"])
    assert followed["entryPrice"] == pytest.approx(held["entryPrice"])


def test_orders_over_the_websocket_api(venue: Serving) -> None:
    async def play(exchange: Any) -> Any:
        order = await exchange.create_order_ws(S, "limit", "buy", 0.02, 12000.0)
        fetched = await exchange.fetch_order_ws(order["id"], S)
        edited = await exchange.edit_order_ws(order["id"], S, "limit", "buy", 0.03, 12001.0)
        canceled = await exchange.cancel_order_ws(order["id"], S)
        balance = await exchange.fetch_balance_ws()
        positions = await exchange.fetch_positions_ws()
        return order, fetched, edited, canceled, balance, positions

    order, fetched, edited, canceled, balance, positions = watch(venue, play)
    assert order["id"] == fetched["id"] == edited["id"] == canceled["id"]
    assert (fetched["status"], edited["amount"], canceled["status"]) == ("open", 0.03, "canceled")
    assert balance["USDT"]["total"] > 0
    assert isinstance(positions, list)
