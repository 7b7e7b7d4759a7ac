"""Opening a WebSocket to a venue: TCP, TLS, the HTTP upgrade by the websockets library's sans-I/O protocol. Afterwards the bytes are the caller's.

The library does what happens once a connection; what happens once a message is compiled (hftkit/kernels/wire/websocket.py).
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidMessage, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from hftkit import clock
from hftkit.errors import VenueError
from live.link.connection_faults import explain

_RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes the kernel may hold for us while the interpreter is busy
_LONGEST_HEADER = 65536


class Opened(NamedTuple):
    """A connection past its handshake; `rest`: bytes that came after it."""

    connection: socket.socket
    rest: bytes


def tls_context(ca_file: str) -> ssl.SSLContext:
    """The system's authorities, or those of `ca_file` (a simulator's own certificate)."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise VenueError(f"cannot read the certificates of venue.ca_file {ca_file}: {error}", "Give a PEM file") from None


def open_websocket(url: str, timeout_s: float, tls: ssl.SSLContext | None) -> Opened:
    """Connect and upgrade. Raises VenueError with the reason: not reachable, no certificate, no WebSocket, time over."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise VenueError(f"{_shown(url)} is not a ws:// or wss:// address", "Correct the URLs in [venue.binance]")
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    deadline = clock.monotonic_s() + timeout_s
    connection: socket.socket | None = None
    try:
        connection = socket.create_connection((parts.hostname, port), timeout=timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if parts.scheme == "wss":
            connection = (tls or ssl.create_default_context()).wrap_socket(connection, server_hostname=parts.hostname)
        return Opened(connection, _upgrade(connection, url, deadline))
    except (OSError, ssl.SSLError, WebSocketException) as error:
        if connection is not None:
            connection.close()
        cause, cure = explain(error)
        raise VenueError(f"cannot open {_shown(url)}: {cause}", cure) from None


def _upgrade(connection: socket.socket, url: str, deadline: float) -> bytes:
    protocol = ClientProtocol(parse_uri(url), max_size=None)  # no extensions: compression costs more than it saves here
    protocol.send_request(protocol.connect())
    connection.sendall(b"".join(protocol.data_to_send()))
    answer = b""
    while b"\r\n\r\n" not in answer:
        connection.settimeout(max(0.001, deadline - clock.monotonic_s()))
        data = connection.recv(4096)
        if not data or len(answer) > _LONGEST_HEADER:
            raise ConnectionResetError("the venue closed during the handshake")
        answer += data
        if not answer.startswith(b"HTTP/"[: len(answer)]):
            raise InvalidMessage("not HTTP")
    head, rest = answer.split(b"\r\n\r\n", 1)
    protocol.receive_data(head + b"\r\n\r\n")
    if protocol.handshake_exc is not None:
        raise protocol.handshake_exc
    if protocol.state is not State.OPEN:
        status = head.split(b"\r\n", 1)[0].decode("latin-1")[9:40]
        raise InvalidHandshake(f"it answers HTTP {status} instead of a WebSocket")
    return rest


def text_frame(text: str) -> bytes:
    """A masked text frame of a client."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=True)


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """A masked ping, pong or close frame of a client."""
    return Frame(Opcode(opcode), payload).serialize(mask=True)


def ask(opened: Opened, text: str, timeout_s: float) -> tuple[str, Opened]:
    """Send one text message and wait for the next one: for logons, before the compiled path takes over. Raises VenueError if none comes."""
    protocol = ClientProtocol(parse_uri("ws://after.handshake/"), max_size=None, state=State.OPEN)
    opened.connection.sendall(text_frame(text))
    deadline, data = clock.monotonic_s() + timeout_s, opened.rest
    try:
        while True:
            for i in range(len(data)):  # byte by byte: what follows the answer is the caller's
                protocol.receive_data(data[i : i + 1])
                for event in protocol.events_received():
                    if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                        return bytes(event.data).decode("utf-8", "replace"), Opened(opened.connection, data[i + 1 :])
            if answer := b"".join(protocol.data_to_send()):
                opened.connection.sendall(answer)
            opened.connection.settimeout(max(0.001, deadline - clock.monotonic_s()))
            data = opened.connection.recv(4096)
            if not data:
                raise OSError("the venue closed")
    except OSError as error:
        raise VenueError(f"the venue did not answer the logon ({error})", "See the venue's state, then start again") from None


def random_mask_seed() -> int:
    """Entropy for the masks of compiled frames: RFC 6455 asks that a mask cannot be foreseen by whoever made the payload."""
    return int.from_bytes(os.urandom(8), "little") or 1


def _shown(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/..." if parts.path.count("/") > 1 or parts.query else url
