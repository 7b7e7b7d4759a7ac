"""A listening TCP socket, or one line that says why there is none."""

from __future__ import annotations

import errno as errors
import socket

from hftkit.errors import VenueError


def listen(host: str, port: int, what: str) -> socket.socket:
    """Listen on a port, 0 for a free one, without blocking; connections inherit TCP_NODELAY. `what`: the port's purpose, for the error.

    Raises VenueError if the port is in use or the address cannot be had.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errors.EADDRINUSE:
            raise VenueError(f"port {port} ({what}) on {host} is in use", "Stop the other process, or choose a free port with 0") from None
        raise VenueError(f"cannot listen on {host}:{port} ({what}): {error.strerror or error}", "Check --host and the port") from None
    listener.listen(128)
    listener.setblocking(False)
    return listener
