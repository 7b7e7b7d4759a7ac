"""The documented synchronisation of a local book, by a plain WebSocket client: equal to the venue's own after thousands of updates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.contract.binance.serving import Serving, serving

BUSY = Path(__file__).parent / "busy.toml"


@pytest.fixture(scope="module")
def lively() -> Iterator[Serving]:
    with serving(config_path=BUSY, weight_per_minute=1_000_000) as venue:
        yield venue


class LocalBook:
    """Steps 2 to 7 of "How to manage a local order book correctly" of the USD-M futures documentation, word for word."""

    def __init__(self, venue: Serving, symbol: str) -> None:
        self.venue, self.symbol = venue, symbol
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.last_u = self.snapshot_id = 0
        self.buffer: list[dict[str, Any]] = []
        self.n_gaps = self.n_seen = self.n_applied = self.n_stale = self.n_snapshots = 0
        self.synced = False

    async def event(self, event: dict[str, Any]) -> None:
        self.buffer.append(event)
        self.n_seen += 1
        if not self.synced:
            snapshot = (await asyncio.to_thread(self.venue.ask, "GET", f"/fapi/v1/depth?symbol={self.symbol}&limit=1000")).body
            self.snapshot_id, self.n_snapshots = snapshot["lastUpdateId"], self.n_snapshots + 1
            self.bids, self.asks = dict(snapshot["bids"]), dict(snapshot["asks"])
            self.synced, self.last_u = True, 0
        for queued in self.buffer:
            self.apply(queued)
        self.buffer.clear()

    def apply(self, event: dict[str, Any]) -> None:
        if event["u"] < self.snapshot_id or not self.synced:
            self.n_stale += 1
            return
        if self.last_u == 0:
            if not event["U"] <= self.snapshot_id <= event["u"]:
                self.synced = False
                return
        elif event["pu"] != self.last_u:
            self.n_gaps += 1
            self.synced = False
            return
        self.last_u, self.n_applied = event["u"], self.n_applied + 1
        for side, changes in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, qty in changes:
                if float(qty) == 0:
                    side.pop(price, None)
                else:
                    side[price] = qty


async def drain(socket: Any) -> None:
    """Read until the connection is gone."""
    while True:
        await asyncio.wait_for(socket.recv(), 10)


def true_book(venue: Serving, index: int) -> tuple[int, dict[str, str], dict[str, str]]:
    """The venue's own book, from its arrays, as texts; and the id of its last change."""

    def read() -> Any:
        symbol, desk = venue.venue.symbols.all[index], venue.venue.order_api
        sides = [{symbol.price(p): symbol.qty(q) for p, q in desk.read_side(index, side, 5000)} for side in (0, 1)]
        return venue.service.streams.market.update_id(index), sides[0], sides[1]

    return venue.on_venue(read)


async def follow(venue: Serving, speed: str, n_events: int, gap_at: int = 0) -> LocalBook:
    """A book after so many events were applied; then it goes on until it stands exactly where the venue's own book was read."""
    book, truths = LocalBook(venue, "BTCUSDT"), {}
    async with websockets.connect(f"{venue.ws_url}/public/ws/btcusdt@depth{speed}") as socket:
        for n in range(100_000):
            if gap_at and n == gap_at:
                venue.faults(drop_depth_next=1)
            await book.event(json.loads(await asyncio.wait_for(socket.recv(), 10)))
            if book.n_applied >= n_events:
                truth = await asyncio.to_thread(true_book, venue, 0)
                truths[truth[0]] = truth
                if book.synced and book.last_u in truths:
                    _, bids, asks = truths[book.last_u]
                    assert (book.bids, book.asks) == (bids, asks)
                    return book
    raise AssertionError("never met")


@pytest.mark.parametrize(("speed", "n_events"), [("@0ms", 1500), ("@100ms", 15), ("", 4)])
def test_a_local_book_is_the_venues_book(lively: Serving, speed: str, n_events: int) -> None:
    book = asyncio.run(follow(lively, speed, n_events))
    assert book.n_gaps == 0
    assert book.n_applied + book.n_stale == book.n_seen, "only what is older than the snapshot is left out"
    assert book.n_snapshots == 1, "the first event after a snapshot always fits"


def test_a_lost_event_is_seen_in_pu_and_healed_by_a_snapshot(lively: Serving) -> None:
    book = asyncio.run(follow(lively, "@0ms", 600, gap_at=200))
    assert book.n_gaps == 1
    assert book.n_snapshots == 2


def test_depth_partial_book_and_ticker_agree(lively: Serving) -> None:
    async def listen() -> tuple[dict[int, Any], dict[int, Any], LocalBook, list[Any]]:
        partial, tickers, book, tops = {}, {}, LocalBook(lively, "ETHUSDT"), []
        names = "ethusdt@depth@0ms/ethusdt@depth5@0ms/ethusdt@bookTicker"
        async with websockets.connect(f"{lively.ws_url}/public/stream?streams={names}") as socket:
            while len(tops) < 300:
                message = json.loads(await asyncio.wait_for(socket.recv(), 10))
                data = message["data"]
                if message["stream"] == "ethusdt@bookTicker":
                    tickers[data["u"]] = data
                elif message["stream"] == "ethusdt@depth5@0ms":
                    partial[data["u"]] = data
                else:
                    await book.event(data)
                    if book.synced and book.last_u == data["u"]:
                        best = max(book.bids, key=float), min(book.asks, key=float)
                        tops.append((data["u"], best[0], book.bids[best[0]], best[1], book.asks[best[1]]))
        return partial, tickers, book, tops

    partial, tickers, _, tops = asyncio.run(listen())
    met = [0, 0]
    for u, *top in tops:
        if u in tickers:
            met[0] += 1
            assert [tickers[u][k] for k in "bBaA"] == top
        if u in partial:
            met[1] += 1
            assert [*partial[u]["b"][0], *partial[u]["a"][0]] == top
            assert len(partial[u]["b"]) == 5
    assert min(met) > 20


def test_trades_are_joined_and_ids_are_those_of_rest(lively: Serving) -> None:
    async def listen() -> tuple[list[Any], list[Any]]:
        trades, joined = [], []
        async with websockets.connect(f"{lively.ws_url}/stream?streams=btcusdt@trade/btcusdt@aggTrade") as socket:
            while len(joined) < 60:
                data = json.loads(await asyncio.wait_for(socket.recv(), 10))["data"]
                (trades if data["e"] == "trade" else joined).append(data)
        return trades, joined

    trades, joined = asyncio.run(listen())
    by_id = {trade["t"]: trade for trade in trades}
    for row in joined[2:]:
        parts = [by_id[i] for i in range(row["f"], row["l"] + 1) if i in by_id]
        if len(parts) < row["l"] - row["f"] + 1:
            continue
        assert sum(round(float(part["q"]) * 1000) for part in parts) == round(float(row["q"]) * 1000)
        assert {part["p"] for part in parts} == {row["p"]}
    rest = {row["a"]: row for row in lively.ask("GET", "/fapi/v1/aggTrades?symbol=BTCUSDT&limit=1000").body}
    for row in joined:
        assert {k: row[k] for k in "apqflTm"} == {k: rest[row["a"]][k] for k in "apqflTm"}
    of_rest = {row["id"]: row for row in lively.ask("GET", "/fapi/v1/trades?symbol=BTCUSDT&limit=1000").body}
    assert all(of_rest[t]["price"] == trade["p"] and of_rest[t]["isBuyerMaker"] == trade["m"] for t, trade in by_id.items())


def test_a_slow_consumer_is_cut_off_and_nobody_else_is_hurt() -> None:
    async def listen(venue: Serving) -> None:
        names = "/".join(f"{s}@{k}" for s in ("btcusdt", "ethusdt") for k in ("bookTicker", "depth@0ms", "depth20@0ms", "trade", "aggTrade"))
        reader, writer = await asyncio.open_connection("127.0.0.1", venue.port, limit=2**16)
        writer.write(
            f"GET /stream?streams={names} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with websockets.connect(f"{venue.ws_url}/stream?streams={names}") as socket:
            last, n = 0, 0
            while venue.service.sockets.n_cut == 0 or n <= 50:
                event = json.loads(await asyncio.wait_for(socket.recv(), 10))
                if event["stream"] == "btcusdt@depth@0ms":
                    assert last in (0, event["data"]["pu"])
                    last, n = event["data"]["u"], n + 1
        assert venue.service.sockets.n_cut == 1  # the other one
        del reader
        writer.close()

    with serving(config_path=BUSY, stream_buffer_bytes=65_536) as venue:
        asyncio.run(listen(venue))


def test_cut_frozen_and_silent_streams(lively: Serving) -> None:
    async def listen() -> None:
        address = f"{lively.ws_url}/stream?streams=btcusdt@bookTicker/btcusdt@depth@0ms"
        async with websockets.connect(address) as socket:
            await asyncio.wait_for(socket.recv(), 10)
            lively.faults(silent_stream=1)
            seen = [json.loads(await asyncio.wait_for(socket.recv(), 10))["stream"] for _ in range(400)]
            assert set(seen[200:]) == {"btcusdt@depth@0ms"}
            lively.faults(silent_stream=0, freeze_streams=1)
            quiet = False
            while not quiet:
                try:
                    await asyncio.wait_for(socket.recv(), 0.5)
                except TimeoutError:
                    quiet = True
            await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            assert json.loads(await asyncio.wait_for(socket.recv(), 10))["id"] == 1
            lively.faults(freeze_streams=0)
            await asyncio.wait_for(socket.recv(), 10)
            lively.faults(cut_streams=1)
            with pytest.raises(websockets.ConnectionClosedError):
                await drain(socket)

    try:
        asyncio.run(listen())
    finally:
        lively.faults(silent_stream=0, freeze_streams=0)
