"""What the drill of hostile clients stands on: a real `hftkit sim` process, two honest clients, and ways to wait for what the venue notices."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hftkit.codes import Reject
from hftkit.exchange.testing import CANCEL_ORDER, HEARTBEAT, SUBSCRIBE, FollowerBook, Message, PlainClient

SECRET = b"a secret"
BUY, ONE = 0, 0
GONE = (EOFError, ConnectionError)


class Honest(threading.Thread):
    """A client that places and cancels orders all the time and checks every answer."""

    def __init__(self, port: int, account: int) -> None:
        super().__init__(daemon=True)
        self.client = entered(port, account)
        self.pairs, self.stopping, self.failure = 0, False, ""

    def run(self) -> None:
        """Pairs of an order and its cancel, four at a time; the venue's sequence must have no gap."""
        seq, order = 2, 1
        try:
            while not self.stopping:
                for i in range(4):
                    self.client.order(order + i, ONE, BUY, 9000 + i, 200)
                    self.client.send(CANCEL_ORDER, order + i, instrument=ONE)
                for i in range(4):
                    for name in ("ORDER_ACK", "ORDER_CANCELED"):
                        message, seq = self.client.receive(), seq + 1
                        assert (message.name, message.client_order_id, message.seq) == (name, order + i, seq), message
                order += 4
                self.pairs += 4
        except Exception as error:  # whatever it is, the test's own thread tells
            self.failure = repr(error)


@dataclass
class Drill:
    """The venue's process, its ports, the honest clients."""

    process: subprocess.Popen[str]
    order_port: int
    market_port: int
    accounts: Iterator[int] = field(default_factory=lambda: iter(range(3, 30)))
    honest: list[Honest] = field(default_factory=list)

    def orders(self) -> PlainClient:
        return PlainClient("127.0.0.1", self.order_port)

    def market(self) -> PlainClient:
        return PlainClient("127.0.0.1", self.market_port)

    def enter(self, account: int = 2, **options: Any) -> PlainClient:
        return entered(self.order_port, account, **options)

    def unharmed(self) -> None:
        """Both honest clients go on: twenty more orders each, acknowledged and cancelled."""
        goal = [client.pairs + 20 for client in self.honest]
        wait_until(lambda: any(c.failure for c in self.honest) or all(c.pairs >= n for c, n in zip(self.honest, goal, strict=True)))
        assert [client.failure for client in self.honest] == ["", ""]

    def level(self, price: int, there: bool) -> None:
        """Wait until the venue's book has that bid, or has not."""
        book = FollowerBook()
        with self.market() as watcher:
            watcher.send(SUBSCRIBE, 4)
            while not (book.whole and (price in book.levels[BUY]) is there):
                message = watcher.receive()
                if message.name != "INSTRUMENT":
                    book.apply(message)

    def free_places(self, n: int) -> None:
        """Wait until the venue has noticed who is gone, so that `n` places are free."""

        def fit() -> bool:
            clients = [self.market() for _ in range(n)]
            for client in clients:
                client.send(HEARTBEAT, 1)
            names = {answer_of(client).name for client in clients}
            for client in clients:
                client.close()
            return names == {"VENUE_HEARTBEAT"}

        wait_until(fit)


def entered(port: int, account: int, **options: Any) -> PlainClient:
    """A client logged on, its welcome read. A venue may be slow to see that the account's last connection has gone."""
    client = PlainClient("127.0.0.1", port)

    def accepted() -> bool:
        nonlocal client
        answer = client.logon(account, secret=SECRET, ts_client=time.time_ns(), **options)
        if answer.name == "LOGON_ACK":
            return True
        assert answer.reason in (Reject.SESSION_DUPLICATE_LOGON, Reject.SESSION_VENUE_FULL)
        client.close()
        client = PlainClient("127.0.0.1", port)
        return False

    wait_until(accepted)
    client.until("POSITION")
    return client


def wait_until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll a real process."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        threading.Event().wait(0.005)


def answer_of(client: PlainClient) -> Message:
    """The next message, an empty one if the connection is gone."""
    try:
        return client.receive()
    except GONE:
        return Message("", 0, 0, {})


def reason_at_the_end(client: PlainClient) -> int:
    """Read until the connection is gone. Returns the reason told, 0 if none."""
    reason = 0
    try:
        while True:
            message = client.receive()
            reason = message.reason if message.name == "SESSION_REJECT" else reason
    except GONE:
        return reason
    finally:
        client.close()


def reset(client: PlainClient) -> None:
    """Close with RST."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
