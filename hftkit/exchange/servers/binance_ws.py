"""WebSockets of the Binance dialect: an aiohttp shell round stream_hub.py and ws_api.py.

The shell carries bytes and keeps time: it hands in what clients say, writes what the venue's thread has made (whole frames, many at once, straight
to the transport), answers pings, sends its own, ends connections that are silent, too old, or do not read. A slow consumer may leave so much unread
and is cut off beyond; nobody waits for it. What one slice of the venue made does not count against it, however late the venue was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

from hftkit.clock import monotonic_ns
from hftkit.errors import VenueError
from hftkit.exchange.dialects.binance.streams.stream_hub import LONGEST_MESSAGE, Where, where_of
from hftkit.exchange.dialects.binance.streams.streams import Streams
from hftkit.exchange.dialects.binance.streams.ws_api import PATH, Answer, WebSocketApi
from hftkit.exchange.servers.binance import BinanceServer
from hftkit.units import NS_PER_S

_log = logging.getLogger("hftkit.exchange.binance")
STREAM_SLICE_NS = 1_000_000  # while somebody listens: the longest that an event waits for its batch
CLOSE_TIMEOUT_S = 1.0  # for a client's answer to a close frame


@dataclass
class Peer:
    """One open WebSocket."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport
    opened_ns: int
    heard_ns: int  # last pong


class WebSocketShell:
    """Serves both kinds of WebSockets on the port of a BinanceServer."""

    def __init__(self, server: BinanceServer, streams: Streams) -> None:
        """Attach to a server; its host's hooks must run `after_slice` last."""
        self.server, self.streams, self.config = server, streams, server.venue.config
        self.api = WebSocketApi(server.venue)
        self.peers: dict[int, Peer] = {}
        self.n_opened = self.n_cut = 0
        self._quiet_slice_ns = server.host.slice_ns
        self._keeper: asyncio.Task[None] | None = None
        server.on_websocket = self.serve

    # -- on the venue's thread -------------------------------------------------------------------------------------------

    def after_slice(self) -> None:
        """A hook of the host: what has become due goes to the loop."""
        self.server.host.slice_ns = STREAM_SLICE_NS if self.streams.hub.connections else self._quiet_slice_ns
        outgoing = self.streams.after_slice()
        if outgoing and not self.server.loop.is_closed():
            self.server.loop.call_soon_threadsafe(self._deliver, outgoing)

    # -- on the loop -----------------------------------------------------------------------------------------------------

    def _deliver(self, outgoing: list[tuple[int, bytes, int]]) -> None:
        for number, data, code in outgoing:
            peer = self.peers.get(number)
            if peer is None or peer.transport.is_closing():
                continue
            if peer.transport.get_write_buffer_size() > self.config.stream_buffer_bytes:  # unread, whatever is new
                self.n_cut += 1
                peer.transport.abort()
                continue
            if data:
                peer.transport.write(data)
            if code == -1:
                peer.transport.abort()
            elif code > 0:
                self._end(peer, code)

    def _end(self, peer: Peer, code: int) -> None:
        task = self.server.loop.create_task(_close(peer, code))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """One WebSocket, from its handshake to its end."""
        path, _, query = request.raw_path.partition("?")
        where = where_of(path, query)
        if where is None and path.rstrip("/") != PATH:
            return web.Response(status=404)
        if self._keeper is None:
            self._keeper = self.server.loop.create_task(self._keep_alive())
        number = self.n_opened = self.n_opened + 1
        if where is None:
            refusal = await self.server.host.call(self.api.open, number, request.remote or "", query)
            if refusal is not None:
                return web.json_response(refusal.body, status=refusal.status, headers=refusal.headers)
        socket = web.WebSocketResponse(timeout=CLOSE_TIMEOUT_S, autoping=False, compress=False, max_msg_size=2 * LONGEST_MESSAGE)
        await socket.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):  # gone during the handshake
            return socket
        peer = self.peers[number] = Peer(socket, transport, monotonic_ns(), monotonic_ns())
        try:
            if where is None:
                await self._talk(number, peer)
            else:
                await self._stream(number, peer, where)
        except VenueError:
            await socket.close(code=WSCloseCode.GOING_AWAY)
        except ConnectionError:
            transport.abort()
        except Exception as error:
            self.server.host.internal_errors.note(f"WebSocket {path}", error)
            await _close(peer, WSCloseCode.INTERNAL_ERROR)
        finally:
            del self.peers[number]
            with contextlib.suppress(VenueError):
                self.server.host.submit(self.api.close if where is None else self.streams.hub.close, number)
        return socket

    @staticmethod
    def _invalid(error: object) -> None:
        """A frame that breaks the protocol: aiohttp has closed with the code that says so (1002, 1007 or 1009)."""
        _log.warning("a client sent an invalid WebSocket frame: %s; closed with %d", error, getattr(error, "code", WSCloseCode.PROTOCOL_ERROR))

    async def _heard(self, peer: Peer, message: object, kind: WSMsgType) -> None:
        """A control frame."""
        if kind == WSMsgType.PONG:
            peer.heard_ns = monotonic_ns()
        elif kind == WSMsgType.PING and not self.streams.faults.mutes_pongs:
            await peer.socket.pong(message if isinstance(message, bytes) else b"")

    async def _stream(self, number: int, peer: Peer, where: Where) -> None:
        hub = self.streams.hub
        await self.server.host.call(hub.open, number, where)
        async for message in peer.socket:
            if message.type == WSMsgType.ERROR:
                self._invalid(message.data)
                return
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await self.server.host.call(hub.receive, number, message.data)
            else:
                await self._heard(peer, bytes(message.data or b""), message.type)

    async def _talk(self, number: int, peer: Peer) -> None:
        async for message in peer.socket:
            if message.type == WSMsgType.ERROR:
                self._invalid(message.data)
                return
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                await self._heard(peer, bytes(message.data or b""), message.type)
                continue
            answer: Answer = await self.server.host.call(self.api.handle, number, message.data)
            if answer.hang_up:
                peer.transport.abort()
            elif answer.delay_s > 0:
                self.server.loop.call_later(answer.delay_s, self._answer_later, peer, answer.message)
            else:
                await peer.socket.send_str(answer.message.decode())

    def _answer_later(self, peer: Peer, message: bytes) -> None:
        if not peer.socket.closed:
            task = self.server.loop.create_task(peer.socket.send_str(message.decode()))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    # -- time ------------------------------------------------------------------------------------------------------------

    async def _keep_alive(self) -> None:
        """Pings at their interval; connections without a pong, or at the end of their life, are closed."""
        pause = min(self.config.ping_s, self.config.pong_timeout_s, self.config.connection_life_s) / 4
        last_ping = monotonic_ns()
        while True:
            await asyncio.sleep(min(pause, 1.0))
            now = monotonic_ns()
            pings = now - last_ping >= self.config.ping_s * NS_PER_S
            last_ping = now if pings else last_ping
            for peer in list(self.peers.values()):
                if now - peer.opened_ns > self.config.connection_life_s * NS_PER_S:
                    self._end(peer, WSCloseCode.GOING_AWAY)
                elif now - peer.heard_ns > self.config.pong_timeout_s * NS_PER_S:
                    self._end(peer, WSCloseCode.POLICY_VIOLATION)
                elif pings and not self.streams.faults.mutes_pongs and not peer.socket.closed:
                    with contextlib.suppress(ConnectionError):
                        await peer.socket.ping(str(self.server.venue.now_ms()).encode())

    async def _close_all(self) -> None:
        for peer in self.peers.values():
            self._end(peer, WSCloseCode.GOING_AWAY)
        for _ in range(20):  # a second for their answers, then they are cut
            if not self.peers:
                return
            await asyncio.sleep(0.05)
        for peer in self.peers.values():
            peer.transport.abort()

    def stop(self) -> None:
        """Tell every stream connection that the venue closes, then close all connections. The venue's thread must have ended."""
        if not self.server.loop.is_running():
            return
        outgoing = self.streams.shut_down()
        self.server.loop.call_soon_threadsafe(self._deliver, outgoing)
        asyncio.run_coroutine_threadsafe(self._close_all(), self.server.loop).result(5)


async def _close(peer: Peer, code: int) -> None:
    with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
        await asyncio.wait_for(peer.socket.close(code=code), 2 * CLOSE_TIMEOUT_S)
