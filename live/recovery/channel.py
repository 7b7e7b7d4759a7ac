"""What a supervisor and its processes tell each other: one JSON object a message, over a pair of sockets; who is gone is the other's end of file."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

_MOST_BYTES = 1 << 18


class Channel:
    """One end. `send` never raises and never waits for a reader."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends; each message stays whole."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        """For a selector."""
        return self.end.fileno()

    def send(self, at: str, **facts: Any) -> None:
        """A message: what it is about, and facts."""
        with contextlib.suppress(OSError):
            self.end.send(json.dumps({"at": at, **facts}).encode(), socket.MSG_NOSIGNAL)

    def send_with(self, end: socket.socket, at: str, **facts: Any) -> None:
        """A message, and a socket that becomes the receiver's, too."""
        with contextlib.suppress(OSError):
            socket.send_fds(self.end, [json.dumps({"at": at, **facts}).encode()], [end.fileno()], socket.MSG_NOSIGNAL)

    def receive(self) -> dict[str, Any] | None:
        """The next message, waited for; None once the other end is gone. `descriptor`: of the socket that came with it."""
        try:
            text, descriptors, _, _ = socket.recv_fds(self.end, _MOST_BYTES, 1)
        except OSError:
            return None
        return json.loads(text) | ({"descriptor": descriptors[0]} if descriptors else {}) if text else None

    def close(self) -> None:
        """Our end."""
        self.end.close()
