"""Pings, pongs, the longest life of a connection, the goodbye: with short times, over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import websockets

from tests.contract.binance.serving import Serving, serving

STREAM = "/public/ws/btcusdt@bookTicker"


@pytest.fixture(scope="module")
def hasty() -> Iterator[Serving]:
    with serving(ping_s=0.2, pong_timeout_s=1.0, connection_life_s=3.0) as venue:
        yield venue


async def raw(venue: Serving, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that answers nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", venue.port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


@pytest.mark.parametrize("path", [STREAM, "/ws-fapi/v1"])
def test_who_does_not_answer_pings_is_closed(hasty: Serving, path: str) -> None:
    async def run() -> tuple[bytes, float]:
        reader, writer = await raw(hasty, path)
        began, data = time.monotonic(), b""
        while chunk := await asyncio.wait_for(reader.read(4096), 10):
            data += chunk
            if b"\x88" in chunk:  # a close frame
                break
        writer.close()
        return data, time.monotonic() - began

    data, lived = asyncio.run(run())
    assert data.count(b"\x89\x0d") >= 2, "pings with the time as payload"
    assert int(data[data.index(b"\x89\x0d") + 2 :][:13]) > 1_700_000_000_000
    assert int.from_bytes(data[-2:], "big") == 1008
    assert lived > 0.9


@pytest.mark.parametrize("path", [STREAM, "/ws-fapi/v1"])
def test_who_answers_lives_to_the_end_of_a_connections_life(hasty: Serving, path: str) -> None:
    async def run() -> tuple[int, float]:
        began = time.monotonic()
        async with websockets.connect(hasty.ws_url + path, ping_interval=None) as socket:
            await asyncio.wait_for(await socket.ping(b"hello"), 5)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await drain(socket)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, time.monotonic() - began

    code, lived = asyncio.run(run())
    assert code == 1001
    assert lived > 2.5


def test_a_missing_pong(hasty: Serving) -> None:
    async def run() -> None:
        async with websockets.connect(hasty.ws_url + STREAM, ping_interval=None) as socket:
            hasty.faults(mute_pongs=1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(await socket.ping(), 0.5)
            hasty.faults(mute_pongs=0)
            await asyncio.wait_for(await socket.ping(), 5)

    try:
        asyncio.run(run())
    finally:
        hasty.faults(mute_pongs=0)


async def drain(socket: Any) -> list[Any]:
    """Everything until the connection is gone."""
    heard = []
    while True:
        heard.append(json.loads(await asyncio.wait_for(socket.recv(), 20)))


def test_the_goodbye_of_a_venue_that_stops() -> None:
    async def run() -> tuple[Any, int]:
        venue = Serving()
        async with websockets.connect(venue.ws_url + STREAM) as socket, websockets.connect(venue.ws_url + "/ws-fapi/v1") as api:
            await api.send('{"id":1,"method":"ping"}')
            await asyncio.wait_for(api.recv(), 10)
            stopping = asyncio.ensure_future(asyncio.to_thread(venue.close))
            event = json.loads(await asyncio.wait_for(socket.recv(), 10))
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await drain(socket)
            await asyncio.wait_for(stopping, 10)
        assert closed.value.rcvd is not None
        return event, closed.value.rcvd.code

    event, code = asyncio.run(run())
    assert event["e"] == "serverShutdown"
    assert abs(event["E"] - time.time() * 1000) < 60_000
    assert code == 1001
