"""A TCP relay before the venue's order WebSocket, which can fail in ways that the venue has no switch for. Real sockets on both sides.

Client frames are unmasked to see what they carry (RFC 6455, 5.2), and go on as they came. Weather, set as attributes while it runs:

    refuse        new connections are closed at once
    cut           the next order.place ends its connection: "half" after half of its bytes, "sent" after all of them and before any answer
    mute          answers of the venue are lost; pongs pass, so the connection looks alive
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


def _frames(data: bytearray) -> list[tuple[int, bytes, bytes]]:
    """(opcode, frame as it came, payload) of every whole frame at the front of `data`, which loses them."""
    found = []
    while len(data) >= 2:
        masked, length, at = data[1] & 128, data[1] & 127, 2
        if length >= 126:
            width = 2 if length == 126 else 8
            if len(data) < at + width:
                break
            length, at = int.from_bytes(data[at : at + width], "big"), at + width
        mask = data[at : at + 4] if masked else b"\0\0\0\0"
        at += 4 if masked else 0
        if len(data) < at + length:
            break
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data[at : at + length]))
        found.append((data[0] & 15, bytes(data[: at + length]), payload))
        del data[: at + length]
    return found


class OrderProxy:
    """Relays `127.0.0.1:port` to the venue's port. Use as a context manager."""

    def __init__(self, venue_port: int) -> None:
        self.refuse, self.mute, self.cut = False, False, ""
        self.n_cut = self.n_orders = 0
        self._venue_port = venue_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self.refuse:
                    client.close()
                else:
                    threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._venue_port)) as venue:
            pair = (client, venue)
            self._open.update(pair)
            for end in pair:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._back, args=pair, daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                self._forth(client, venue)
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join()
            self._open.difference_update(pair)

    @staticmethod
    def _head(source: socket.socket, target: socket.socket) -> bytearray:
        """Pass the HTTP head on; what came behind it is returned."""
        data = bytearray()
        while b"\r\n\r\n" not in data:
            more = source.recv(4096)
            if not more:
                raise OSError
            data += more
        head, rest = bytes(data).split(b"\r\n\r\n", 1)
        target.sendall(head + b"\r\n\r\n")
        return bytearray(rest)

    def _forth(self, client: socket.socket, venue: socket.socket) -> None:
        data = self._head(client, venue)
        while True:
            for _, frame, payload in _frames(data):
                is_order = b'"order.place"' in payload
                self.n_orders += is_order
                if is_order and self.cut == "half":
                    venue.sendall(frame[: len(frame) // 2])
                else:
                    venue.sendall(frame)
                if is_order and self.cut:
                    self.cut = ""
                    self.n_cut += 1
                    return
            more = client.recv(65536)
            if not more:
                return
            data += more

    def _back(self, client: socket.socket, venue: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data = self._head(venue, client)
            while True:
                for opcode, frame, _ in _frames(data):
                    if not self.mute or opcode > 2:
                        client.sendall(frame)
                more = venue.recv(65536)
                if not more:
                    break
                data += more
            client.shutdown(socket.SHUT_RDWR)

    def cut_all(self) -> None:
        """End every connection now, without a close frame."""
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self.cut_all()
