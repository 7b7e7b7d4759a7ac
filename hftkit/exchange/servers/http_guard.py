"""What protects the HTTP port from clients that say nothing, say it slowly, or say what is no HTTP: deadlines, and answers in the venue's form.

A connection has a deadline for its first request's headers, each request one for its body, and one that is idle between two requests is closed after
a while. What cannot be read as a request is answered with 400 and one line in the log; a target with characters that no URL has, likewise.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hftkit.exchange.dialects.binance.rest.errors import MALFORMED, TEXTS, Refusal

_log = logging.getLogger("hftkit.exchange.binance")
LONGEST_LINE, LONGEST_FIELD = 32_768, 16_384  # bytes of a request line, and of a header
_TARGET = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")  # visible ASCII, with percent-encoding that is whole
_BODIES = {413: (-1130, "Request is too large."), 500: (-1001, TEXTS[-1001])}
LINGER_S = 1.0  # after an answer that did not wait for the body
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def is_readable(target: str) -> bool:
    """Is a request's target (path and query, as sent) plain ASCII, and UTF-8 without NUL once its percent-encoding is undone?"""
    if not _TARGET.fullmatch(target):
        return False
    try:
        return "\0" not in unquote_to_bytes(target).decode()
    except UnicodeDecodeError:
        return False


def plain_answer(status: int) -> web.Response:
    """An answer to what never became a request of the dialect; the connection is closed after it."""
    code, text = _BODIES.get(status, (-1100, MALFORMED))
    answer = web.Response(status=status, body=msgspec.json.encode(Refusal(code, text=text).body), content_type="application/json")
    answer.force_close()
    return answer


async def read_body(request: web.BaseRequest, timeout_s: float) -> bytes | web.Response:
    """The body, or the answer to give where it does not come in time, is too large, or is cut or malformed."""
    if not request.can_read_body:
        return b""
    try:
        return await asyncio.wait_for(request.read(), timeout_s)
    except TimeoutError:
        return plain_answer(408)
    except web.HTTPRequestEntityTooLarge:
        return plain_answer(413)
    except (web.RequestPayloadError, HttpProcessingError):
        return plain_answer(400)


class _Connection(web.RequestHandler):
    """One connection: what cannot be read is answered in the venue's form, with one line in the log and no traceback."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to bytes that are no request."""
        what = " ".join(str(message or exc or "").split())[:200].encode("ascii", "backslashreplace").decode()
        _log.warning("%s sent what is no HTTP request (%d): %s", request.remote or "a client", status, what or type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        return plain_answer(status)


class GuardedServer(web.Server):
    """An aiohttp server whose connections must say something: `heard` is called with each request that has come."""

    def __init__(self, handler: Handler, first_request_s: float, idle_s: float, loop: asyncio.AbstractEventLoop) -> None:
        self._limits: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": idle_s,
            "lingering_time": LINGER_S,
            "max_line_size": LONGEST_LINE,
            "max_field_size": LONGEST_FIELD,
        }
        super().__init__(handler, loop=loop, **self._limits)
        self._first_request_s = first_request_s
        self._deadlines: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def __call__(self) -> web.RequestHandler:
        """A new connection's protocol."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._limits)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """From now on it has so long for the headers of its first request."""
        super().connection_made(handler, transport)
        self._deadlines[handler] = asyncio.get_running_loop().call_later(self._first_request_s, transport.abort)

    def heard(self, handler: web.RequestHandler) -> None:
        """A request has come: the deadline of the first one is over."""
        if (deadline := self._deadlines.pop(handler, None)) is not None:
            deadline.cancel()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Gone."""
        self.heard(handler)
        super().connection_lost(handler, exc)
