"""A simulator running in a thread of the test, on free ports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hftkit.exchange.config import SimConfig, load_config
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.testing import SUBSCRIBE, FollowerBook, PlainClient

HOST = "127.0.0.1"
QUIET = Path(__file__).parent / "quiet.toml"


class Running:
    """The server and its ports; `stop` ends the thread, after which the venue's arrays may be read."""

    def __init__(self, config: SimConfig, **options: Any) -> None:
        self.server = BinaryServer(config, **options)
        self.order_port, self.market_port = self.server.start(HOST, 0, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self.server.run_slice(5_000_000)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def orders(self) -> PlainClient:
        return PlainClient(HOST, self.order_port)

    def trader(self, account: int, **options: Any) -> PlainClient:
        """A client logged on, its welcome read."""
        client = self.orders()
        assert client.logon(account, **options).name == "LOGON_ACK"
        for _ in range(len(self.server.venue.instruments)):
            assert client.receive().name == "POSITION"
        return client

    def data(self, channels: int = 7) -> PlainClient:
        client = PlainClient(HOST, self.market_port)
        if channels:
            client.send(SUBSCRIBE, channels)
        return client

    def book(self, instrument: int) -> tuple[dict[int, int], dict[int, int]]:
        """The venue's own levels, read from its arrays (stop the server first)."""
        books = self.server.venue.books
        sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for index in books.levels[instrument]["head"].nonzero()[0]:
            level = books.levels[instrument][index]
            sides[int(books.orders[level["head"]]["side"])][int(books.tops[instrument]["base"] + index)] = int(level["qty"])
        return sides


@contextmanager
def simulator(config: SimConfig | None = None, **options: Any) -> Iterator[Running]:
    running = Running(config or load_config(QUIET), **options)
    try:
        yield running
    finally:
        running.stop()
        running.server.close()


def follow(client: PlainClient, books: dict[int, FollowerBook], n: int) -> None:
    """Apply n messages to the books they belong to."""
    for _ in range(n):
        message = client.receive()
        books.setdefault(message.instrument, FollowerBook()).apply(message)
