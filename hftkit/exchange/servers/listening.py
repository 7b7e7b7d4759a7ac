"""A listening TCP socket, or one line that says why there is none."""

from __future__ import annotations

import errno as errors
import resource
import socket

from hftkit.errors import VenueError

BACKLOG = 1024  # connections that may wait to be accepted; the system may allow fewer
# A peer that has vanished without a word is noticed after IDLE + PROBES * INTERVAL seconds; while it owes an acknowledgement, after UNACKNOWLEDGED.
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 10, 5, 3
UNACKNOWLEDGED_MS = 20_000
SPARE_DESCRIPTORS = 256  # files, journals, other dialects


def allow_descriptors(n_clients: int) -> None:
    """Raise the process's limit of open files, as far as the system lets it, so that `n_clients` connections find a descriptor each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n_clients + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def listen(host: str, port: int, what: str, patient: bool = False) -> socket.socket:
    """Listen on a port, 0 for a free one, without blocking. `host`: IPv4, or IPv6 where it has a colon. `what`: the port's purpose, for the error.

    Connections inherit the options: TCP_NODELAY, keepalive, and unless `patient` an end to those who leave sent bytes unacknowledged, or their
    window shut. Raises VenueError if the port is in use or the address cannot be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S),
        (socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S),
        (socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
        (socket.TCP_USER_TIMEOUT, 0 if patient else UNACKNOWLEDGED_MS),
    ):
        listener.setsockopt(socket.IPPROTO_TCP, option, value)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errors.EADDRINUSE:
            raise VenueError(f"port {port} ({what}) on {host} is in use", "Stop the other process, or choose a free port with 0") from None
        raise VenueError(f"cannot listen on {host}:{port} ({what}): {error.strerror or error}", "Check --host and the port") from None
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
