"""The order part of a line: the WebSocket order API, kept like a stream, written by the hot thread.

Plain: the hot thread writes the socket itself. Its descriptor is handed over through two words of the shell and given back the same way, and it is
not closed before the hot thread has let go of it: a number that the system gave to another connection meanwhile would get our orders. TLS:
the hot thread fills a ring and rings an eventfd; this thread, which alone touches the TLS state, sends.
A connection that takes requests and answers none is given up after `answer_s`, whatever its pongs say.
With an Ed25519 key the session logs on once and orders need no signature; with HMAC every order carries one, made by the compiled encoder.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

import numpy as np

from hftkit import clock
from hftkit.errors import VenueError
from live.link.stream import Connection, Stream
from live.link.websocket import Opened, ask, open_websocket
from live.venues.binance.error_policy import reaction
from live.venues.binance.keys import ApiKey

_SEND_PATIENCE_S = 2.0


def open_order_api(url: str, key: ApiKey, now_ms: Callable[[], int], timeout_s: float, tls: ssl.SSLContext | None) -> Opened:
    """Connect; with an Ed25519 key also log on. Raises VenueError."""
    opened = open_websocket(url, timeout_s, tls)
    if not key.is_ed25519:
        return opened
    params = key.signed_params({"timestamp": now_ms(), "recvWindow": 5000})
    text, opened = ask(opened, json.dumps({"id": "logon", "method": "session.logon", "params": params}), timeout_s)
    try:
        answer = json.loads(text)
        status, error = int(answer["status"]), answer.get("error", {})
    except (ValueError, KeyError, TypeError):
        status, error = 0, {}
    if status != 200:
        opened.connection.close()
        code, words = int(error.get("code", 0)), str(error.get("msg", ""))
        raise VenueError(
            f"the venue refused session.logon: {code} {words} ({reaction(status, code, words).value})", "Check the key and its permissions"
        )
    return opened


class OrderStream(Stream):
    """Owner: the part's own thread.

    `loop`: the hot loop's LOOP record. The descriptor that it writes to is held_fd, the one it is to take offered_fd.
    """

    def __init__(
        self,
        *arguments: Any,
        loop: np.void,
        through_ring: int,
        out_bell: int,
        take_out: Callable[[], bytes],
        answer_s: float,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._loop = loop
        self._through_ring, self._out_bell, self._take_out = through_ring, out_bell, take_out
        self._answer_ns, self._asked_at, self._answered = int(answer_s * 1e9), 0, 0
        self._retired: list[socket.socket] = []

    def on_up(self, connection: Connection) -> None:
        """What lies in the ring was for a connection that is gone: too late to send, it is asked for instead."""
        self._take_out()
        self._offer(connection)

    def _offer(self, connection: Connection) -> None:
        """Offer the descriptor: the hot thread takes it when LINE_UP reaches it."""
        self._close_retired()
        self._answered, self._asked_at = int(self._loop["n_requests"]), 0
        self._loop["offered_fd"] = self._through_ring if isinstance(connection.socket, ssl.SSLSocket) else connection.fd

    def on_second(self, connection: Connection) -> None:
        """Orders go through the new connection from now on; the old one is read a little longer for its answers."""
        self._offer(connection)
        self.reader.announce(True, clock.monotonic_ns())

    def on_turn(self, connections: list[Connection], now: int, spoke: bool) -> None:
        """Watch that requests are answered."""
        requests = int(self._loop["n_requests"])
        if spoke or requests == self._answered:
            self._answered, self._asked_at = requests, 0
        elif self._asked_at == 0:
            self._asked_at = now
        elif now - self._asked_at > self._answer_ns:
            self.status["n_silent"] += 1
            raise VenueError(f"requests unanswered for {self._answer_ns / 1e9:g} s")

    def on_down(self) -> None:
        """No descriptor is on offer any more."""
        self._loop["offered_fd"] = -1

    def extra_descriptors(self) -> list[int]:
        """The bell that the hot thread rings."""
        return [self._out_bell]

    def on_extra(self, connection: Connection) -> None:
        """Send what the hot thread has put into the ring."""
        os.eventfd_read(self._out_bell)
        data = memoryview(self._take_out())
        deadline = clock.monotonic_s() + _SEND_PATIENCE_S
        while data:
            try:
                data = data[connection.socket.send(data) :]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if clock.monotonic_s() > deadline:
                    raise VenueError("the venue does not read its order connection") from None
                select.select([], [connection.fd], [], 0.01)

    def leave(self, connection: Connection) -> None:
        """Shut the connection; the descriptor stays ours until the hot thread no longer writes to it."""
        if isinstance(connection.socket, ssl.SSLSocket):
            super().leave(connection)
            return
        with contextlib.suppress(OSError):  # it may be lost already
            connection.socket.shutdown(socket.SHUT_RDWR)
        self._retired.append(connection.socket)

    def _close_retired(self) -> None:
        keep = [old for old in self._retired if old.fileno() == self._loop["held_fd"]]
        for old in self._retired:
            if old not in keep:
                old.close()
        self._retired = keep
