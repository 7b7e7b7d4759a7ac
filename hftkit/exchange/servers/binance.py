"""The Binance dialect over HTTP/1.1 (and HTTPS): an aiohttp server on an asyncio loop in a thread of its own.

The shell only carries: a request becomes a router.Request, is answered on the venue's thread (`VenueHost.call`), and the answer goes out, late or
not at all if a fault says so. Keep-alive, any method, any path; nothing is decided here. Deadlines and what is no HTTP: http_guard.py.

WebSockets share the port. A request that asks for an upgrade goes to `on_websocket`, which servers/binance_ws.py sets:

    server = BinanceServer(host, venue)
    server.on_websocket = streams.serve       # async (aiohttp.web.BaseRequest) -> aiohttp.web.StreamResponse
    port = server.start("127.0.0.1", 0)

and which works on the venue only through `server.host.call`. `server.loop` is the asyncio loop, for call_soon_threadsafe from hooks of the
venue's thread.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from hftkit.clock import monotonic_ns
from hftkit.errors import ConfigError, VenueError
from hftkit.exchange.dialects.binance.rest.router import Response, RestRequest, handle
from hftkit.exchange.dialects.binance.venue import BinanceDialect
from hftkit.exchange.host import VenueHost
from hftkit.exchange.servers.http_guard import GuardedServer, is_readable, plain_answer, read_body

_log = logging.getLogger("hftkit.exchange.binance")
_FAILED = b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}'
WebSocketHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def request_of(request: web.BaseRequest, body: bytes) -> RestRequest:
    """An HTTP request as the router takes it: path and query exactly as they were sent."""
    path, _, query = request.raw_path.partition("?")
    headers = {name.lower(): value for name, value in request.headers.items()}
    return RestRequest(request.method, path, query, body, headers, request.remote or "")


def tls_context(certificate: str, private_key: str) -> ssl.SSLContext | None:
    """A server's TLS from two PEM files, None without them. Raises ConfigError if they cannot be read."""
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, private_key)
    except (OSError, ssl.SSLError) as error:
        problem = f"cannot use certificate {certificate} with key {private_key}: {error}"
        raise ConfigError(problem, "Give PEM files that belong together, or none") from None
    return context


class BinanceServer:
    """One port that speaks the dialect. `start` and `stop` are called from another thread than the loop's."""

    def __init__(self, host: VenueHost, venue: BinanceDialect) -> None:
        """`host`: runs the venue that `venue` stands in front of."""
        self.host = host
        self.venue = venue
        self.on_websocket: WebSocketHandler | None = None
        self.loop = asyncio.new_event_loop()
        self.n_requests = 0
        self._guard = GuardedServer(self._answer, venue.config.request_timeout_s, venue.config.idle_timeout_s, self.loop)
        self._runner: web.ServerRunner | None = None
        self._thread: threading.Thread | None = None

    # -- requests --------------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._guard.heard(request.protocol)
        if not is_readable(request.raw_path):
            return plain_answer(400)
        if self.on_websocket is not None and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.on_websocket(request)
        began = monotonic_ns()
        self.n_requests += 1
        body = await read_body(request, self.venue.config.request_timeout_s)
        if isinstance(body, web.Response):
            return body
        try:
            answer: Response = await self.host.call(handle, self.venue, request_of(request, body))
        except VenueError:
            return web.Response(status=503, body=_FAILED, content_type="application/json")
        except Exception:
            _log.exception("a request failed inside the simulator: %s %s", request.method, request.path)
            return web.Response(status=500, body=_FAILED, content_type="application/json")
        if answer.delay_s > 0:
            await asyncio.sleep(answer.delay_s)
        if answer.hang_up and request.transport is not None:
            request.transport.abort()
        headers = {**answer.headers, "x-response-time": f"{(monotonic_ns() - began) // 1_000_000}ms"}
        return web.Response(status=answer.status, headers=headers, body=answer.body)

    # -- life ------------------------------------------------------------------------------------------------------------

    async def _open(self, address: str, port: int, context: ssl.SSLContext | None) -> int:
        runner = web.ServerRunner(self._guard, handle_signals=False)
        await runner.setup()
        self._runner = runner
        await web.TCPSite(runner, address, port, ssl_context=context, backlog=1024).start()
        return int(runner.addresses[0][1])

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def _wait_for(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def start(self, address: str, port: int) -> int:
        """Listen (0 picks a free port). Returns the port. Raises VenueError if it is in use, ConfigError for a bad certificate."""
        config = self.venue.config
        context = tls_context(config.certificate, config.private_key)
        self._thread = threading.Thread(target=self._run, name="binance", daemon=True)
        self._thread.start()
        try:
            return int(self._wait_for(self._open(address, port, context)))
        except OSError as error:
            self.stop()
            if error.errno == errno.EADDRINUSE:
                raise VenueError(f"port {port} (binance) on {address} is in use", "Stop the other process, or choose a free port with 0") from None
            raise VenueError(f"cannot listen on {address}:{port} (binance): {error.strerror or error}", "Check --host and the port") from None

    def stop(self) -> None:
        """Close the port and every connection. The host must still be running, or have stopped answering."""
        if self._thread is None:
            return
        self._wait_for(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self._thread = None
