"""The smallest venue a line can trade against, as a process of its own: two symbols, each order filled at once at its price. For measuring, where the
venue's own work must be small and the same each time; what is tested is tested against `hftkit sim --binance-port`.

    python -m live.benchmarks.small_venue READY_FILE [--pace S] [--burst N] [--flood RATE] [--tls CERTIFICATE KEY]

The mid of AAAUSDT swings against that of BBBUSDT, so that a pair strategy with a short window always has something to do. Market data go out as diff
depth and as book ticker, to whoever asks for which.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import ssl
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from hftkit import clock

SYMBOLS = ("AAAUSDT", "BBBUSDT")
KEY, SECRET = "smallVenueKey0123456789", "smallVenueSecret0123456789"
_TICK, _LOT = 100, 1000  # ticks and lots per unit
_LEVELS = 10
_PERIOD = 40  # ticks of the market in one swing
_SWING = 60  # price ticks


class SmallVenue:
    """Books, orders and sockets. Prices in ticks, quantities in lots."""

    def __init__(self) -> None:
        self.mid = {"AAAUSDT": 10_000, "BBBUSDT": 20_000}
        self.books: dict[str, dict[str, dict[int, int]]] = {symbol: {"b": {}, "a": {}} for symbol in SYMBOLS}
        self.update_id = 1000
        self.last_u = dict.fromkeys(SYMBOLS, 1000)
        self.orders: dict[str, dict[str, Any]] = {}
        self.trades: list[dict[str, Any]] = []
        self.position = dict.fromkeys(SYMBOLS, 0)
        self.sockets: dict[str, set[web.WebSocketResponse]] = {name: set() for name in ("depth", "bookTicker", "market", "private", "orders")}
        self.transports: dict[web.WebSocketResponse, asyncio.WriteTransport] = {}
        self.n_placed = 0

    # -- market -----------------------------------------------------------------------------------------------------
    def move(self, n: int) -> tuple[str, str]:
        """One change of one book; returns its diff depth and its book ticker message."""
        symbol = SYMBOLS[n % 2]
        swing = round(_SWING * math.sin(2 * math.pi * n / _PERIOD)) if symbol == "AAAUSDT" else n // 2 % 3
        mid = self.mid[symbol] + swing
        fresh = {"b": {mid - 1 - i: 5000 + n % 7 for i in range(_LEVELS)}, "a": {mid + 1 + i: 5000 + n % 5 for i in range(_LEVELS)}}
        first = self.update_id + 1
        changes: dict[str, list[list[str]]] = {}
        for side, levels in fresh.items():
            old = self.books[symbol][side]
            new = {price: levels.get(price, 0) for price in {*old, *levels} if old.get(price) != levels.get(price)}
            changes[side] = [[f"{price / _TICK:.2f}", f"{lots / _LOT:.3f}"] for price, lots in new.items()]
            self.books[symbol][side] = levels
            self.update_id += len(new)
        now = clock.unix_ns() // 1_000_000
        depth = {"e": "depthUpdate", "E": now, "T": now, "s": symbol, "U": first, "u": self.update_id, "pu": self.last_u[symbol], **changes}
        self.last_u[symbol] = self.update_id
        touch = {"b": f"{(mid - 1) / _TICK:.2f}", "B": "5.000", "a": f"{(mid + 1) / _TICK:.2f}", "A": "5.000"}
        ticker = {"e": "bookTicker", "u": self.update_id, "s": symbol, **touch, "T": now, "E": now}
        return json.dumps(depth, separators=(",", ":")), json.dumps(ticker, separators=(",", ":"))

    async def run_market(self, pace_s: float, burst: int) -> None:
        """For ever: `burst` changes, then a pause."""
        n = 0
        while True:
            await asyncio.sleep(pace_s)
            for _ in range(burst):
                n += 1
                depth, ticker = self.move(n)
                for route, text in (("depth", depth), ("bookTicker", ticker)):
                    for socket in list(self.sockets[route]):
                        if not socket.closed:
                            await socket.send_str(text)
            if n % 20 < burst:
                now = clock.unix_ns() // 1_000_000
                mark = json.dumps({"e": "markPriceUpdate", "E": now, "s": "AAAUSDT", "p": "100.00", "i": "100.00", "r": "0.0001", "T": now})
                for socket in list(self.sockets["market"]):
                    await socket.send_str(mark)

    async def flood(self, rate: int) -> None:
        """Book tickers in the fastest way: whole frames written to the transports, a hundredth of a second's worth at a time."""
        start, sent = clock.monotonic_s(), 0
        while True:
            await asyncio.sleep(0.01)
            n = min(int((clock.monotonic_s() - start) * rate) - sent, rate // 10)
            frames = []
            for i in range(sent, sent + n):
                self.update_id += 1
                mid = self.mid[SYMBOLS[i % 2]] + i // 50_000 % 3
                body = b'{"e":"bookTicker","u":%d,"s":"%s","b":"%d.%02d","B":"5.000","a":"%d.%02d","A":"%d.000","T":%d,"E":%d}' % (
                    self.update_id, SYMBOLS[i % 2].encode(), *divmod(mid - 1, 100), *divmod(mid + 1, 100), i % 9 + 1, 10**12 + i, 10**12 + i,
                )  # fmt: skip
                frames.append(b"\x81\x7e" + len(body).to_bytes(2, "big") + body if len(body) > 125 else b"\x81" + bytes([len(body)]) + body)
            sent += n
            data = b"".join(frames)
            for socket in list(self.sockets["bookTicker"]):
                if (transport := self.transports.get(socket)) is not None:
                    transport.write(data)

    # -- orders -----------------------------------------------------------------------------------------------------
    async def place(self, p: dict[str, Any]) -> dict[str, Any]:
        """Accept and fill an order; tells the user stream."""
        self.n_placed += 1
        order_id = 700_000 + self.n_placed
        symbol, lots = p["symbol"], round(float(p["quantity"]) * _LOT)
        price = p.get("price") or f"{self.mid[symbol] / _TICK:.2f}"
        now = clock.unix_ns() // 1_000_000
        self.position[symbol] += lots if p["side"] == "BUY" else -lots
        order = {
            "orderId": order_id, "symbol": symbol, "status": "FILLED", "clientOrderId": p["newClientOrderId"], "price": price, "avgPrice": price,
            "origQty": p["quantity"], "executedQty": p["quantity"], "cumQty": p["quantity"], "timeInForce": p.get("timeInForce", "GTC"),
            "type": p["type"], "side": p["side"], "positionSide": "BOTH", "reduceOnly": False, "time": now, "updateTime": now,
        }  # fmt: skip
        self.orders[p["newClientOrderId"]] = order
        trade = {
            "symbol": symbol, "id": 900_000 + self.n_placed, "orderId": order_id, "side": p["side"], "price": price, "qty": p["quantity"],
            "commission": "0.00010000", "commissionAsset": "USDT", "time": now, "buyer": p["side"] == "BUY", "maker": False, "positionSide": "BOTH",
        }  # fmt: skip
        self.trades.append(trade)
        for x, status, last, total in (("NEW", "NEW", "0", "0"), ("TRADE", "FILLED", p["quantity"], p["quantity"])):
            o = {
                "s": symbol, "c": p["newClientOrderId"], "S": p["side"], "o": p["type"], "f": p.get("timeInForce", "GTC"), "q": p["quantity"],
                "p": price, "ap": price, "sp": "0", "x": x, "X": status, "i": order_id, "l": last, "z": total, "L": price if x == "TRADE" else "0",
                "n": "0.00010000" if x == "TRADE" else "0", "N": "USDT", "T": now, "t": trade["id"] if x == "TRADE" else 0, "m": False, "R": False,
                "ps": "BOTH", "rp": "0", "er": "0",
            }  # fmt: skip
            await self.tell("private", {"e": "ORDER_TRADE_UPDATE", "T": now, "E": now, "o": o})
        return {**order, "status": "NEW", "executedQty": "0.000", "cumQty": "0.000"}

    async def tell(self, route: str, message: dict[str, Any]) -> None:
        """One message to every socket of a route."""
        for socket in list(self.sockets[route]):
            if not socket.closed:
                await socket.send_str(json.dumps(message, separators=(",", ":")))

    async def rest(self, request: web.Request) -> web.Response:
        """Everything a line asks by REST."""
        query, path = request.query, request.path
        if path == "/fapi/v1/order":
            found = self.orders.get(query.get("origClientOrderId", ""))
            return web.json_response(found or {"code": -2013, "msg": "Order does not exist."}, status=200 if found else 400)
        answers: dict[str, Any] = {
            "/fapi/v1/time": lambda: {"serverTime": clock.unix_ns() // 1_000_000},
            "/fapi/v1/exchangeInfo": lambda: {"rateLimits": _RATE_LIMITS, "symbols": [_listed(symbol) for symbol in SYMBOLS]},
            "/fapi/v1/commissionRate": lambda: {"symbol": query["symbol"], "makerCommissionRate": "0.0002", "takerCommissionRate": "0.0005"},
            "/fapi/v1/depth": lambda: self._depth(query["symbol"]),
            "/fapi/v1/listenKey": lambda: {"listenKey": "smallListenKey"},
            "/fapi/v1/countdownCancelAll": lambda: {"symbol": query["symbol"], "countdownTime": query["countdownTime"]},
            "/fapi/v1/userTrades": lambda: [t for t in self.trades if str(t["orderId"]) == query.get("orderId")],
            "/fapi/v1/openOrders": lambda: [],
            "/fapi/v1/openAlgoOrders": lambda: [],
            "/fapi/v2/balance": lambda: [{"accountAlias": "small", "asset": "USDT"}],
            "/fapi/v3/positionRisk": self._positions,
            "/fapi/v3/account": lambda: {"totalWalletBalance": "1000.0", "positions": self._positions()},
        }
        if path not in answers:
            return web.json_response({"code": -5000, "msg": f"Path {path} is invalid"}, status=404)
        return web.json_response(answers[path]())

    def _positions(self) -> list[dict[str, Any]]:
        return [_position(symbol, lots) for symbol, lots in self.position.items() if lots]

    def _depth(self, symbol: str) -> dict[str, Any]:
        book = self.books[symbol]
        bids, asks = ([[f"{price / _TICK:.2f}", f"{lots / _LOT:.3f}"] for price, lots in sorted(book[side].items())] for side in ("b", "a"))
        return {"lastUpdateId": self.last_u[symbol], "E": 1, "T": 1, "bids": bids[::-1], "asks": asks}

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        """A market, user or order connection."""
        socket = web.WebSocketResponse(compress=False, autoping=True)
        await socket.prepare(request)
        path = request.path
        route = "orders" if "ws-fapi" in path else path.split("/")[1]
        if route == "public":
            route = "depth" if "@depth" in path else "bookTicker"
        self.sockets[route].add(socket)
        if isinstance(request.transport, asyncio.WriteTransport):
            self.transports[socket] = request.transport
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and route == "orders":
                    await self._order_call(socket, json.loads(message.data))
        finally:
            self.sockets[route].discard(socket)
            self.transports.pop(socket, None)
        return socket

    async def _order_call(self, socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": call["id"], "status": 200, "result": {}}
        params = call["params"]
        if call["method"] == "order.place":
            answer["result"] = await self.place(params)
        elif call["method"] == "order.status":
            found = self.orders.get(params["origClientOrderId"])
            answer["result"] = found
            if found is None:
                answer = {"id": call["id"], "status": 400, "error": {"code": -2013, "msg": "Order does not exist."}}
        await socket.send_str(json.dumps(answer, separators=(",", ":")))


_RATE_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100_000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100_000},
]


def _listed(symbol: str) -> dict[str, Any]:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "100000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ]
    return {"symbol": symbol, "status": "TRADING", "filters": filters}


def _position(symbol: str, lots: int) -> dict[str, Any]:
    return {"symbol": symbol, "positionSide": "BOTH", "positionAmt": f"{lots / _LOT:.3f}", "entryPrice": "1", "markPrice": "1"}


async def serve(ready: Path, pace_s: float, burst: int, flood: int, tls: ssl.SSLContext | None, certificate: str) -> None:
    """Until the process is ended."""
    venue = SmallVenue()
    venue.move(1), venue.move(2)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        return await (venue.stream(request) if request.headers.get("Upgrade") else venue.rest(request))

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port, s = runner.addresses[0][1], "s" if tls else ""
    keys = [{"account": 1, "kind": "HMAC", "key": KEY, "secret": SECRET}]
    told = {"url": f"http{s}://127.0.0.1:{port}", "ws_url": f"ws{s}://127.0.0.1:{port}", "certificate": certificate or None, "keys": keys}
    partial = ready.with_suffix(".partial")
    partial.write_text(json.dumps({"binance": told, "pid": os.getpid()}))
    partial.replace(ready)
    await (venue.flood(flood) if flood else venue.run_market(pace_s, burst))


def main() -> None:
    """Command line of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("ready", type=Path)
    parser.add_argument("--pace", type=float, default=0.01)
    parser.add_argument("--burst", type=int, default=2)
    parser.add_argument("--flood", type=int, default=0)
    parser.add_argument("--tls", nargs=2, default=None)
    given = parser.parse_args()
    context = None
    if given.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*given.tls)
    asyncio.run(serve(given.ready, given.pace, given.burst, given.flood, context, given.tls[0] if given.tls else ""))


if __name__ == "__main__":
    main()
