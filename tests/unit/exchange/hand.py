"""The venue without sockets, driven by hand: a shell made of method calls, with a clock of its own."""

from __future__ import annotations

import hmac
from typing import Any

import msgspec
import numpy as np

from hftkit.exchange.config import load_config
from hftkit.exchange.core.layout import ClientState, Port
from hftkit.exchange.dialects.binary.market_data import refill
from hftkit.exchange.dialects.binary.secrets import load_keys
from hftkit.exchange.dialects.binary.send_buffer import sent
from hftkit.exchange.dialects.binary.sessions import connect, disconnect, receive, set_time, supervise
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.testing import LOGON, NONE, Message, frame, parse
from hftkit.exchange.trading.publication import set_market
from hftkit.exchange.venue import Exchange, new_venue
from hftkit.kernels.jit import kernel
from tests.unit.exchange.running import QUIET

SECOND = 1_000_000_000


@kernel
def drive(venue: Exchange, what: int, index: int, a: int, b: int) -> int:
    """The calls of a shell, as one entry from Python: 0 time, 1 connect, 2 receive, 3 sent, 4 supervise, 5 disconnect, 6 market status, 7 refill."""
    if what == 0:
        set_time(venue, a, b)
    elif what == 1:
        return connect(venue, a)
    elif what == 2:
        receive(venue, index, a)
    elif what == 3:
        sent(venue, index, a)
    elif what == 4:
        supervise(venue)
    elif what == 6:
        set_market(venue, index, a)
    elif what == 7:
        refill(venue, index)
    else:
        disconnect(venue, index)
    return 0


class Hand:
    """A shell made of method calls. `start_price`: of the first instrument; the rest are keys of [venue]."""

    def __init__(self, start_price: str = "100.00", **options: Any) -> None:
        config = load_config(QUIET)
        first, *others = config.instruments
        instruments = (msgspec.structs.replace(first, start_price=start_price), *others)
        config = msgspec.structs.replace(config, instruments=instruments, venue=msgspec.structs.replace(config.venue, **options))
        self.venue = new_venue(config, new_market(config)[1], load_keys(config.venue))

    def at(self, ns: int) -> None:
        drive(self.venue, 0, 0, ns, ns)

    def connect(self, port: Port) -> int:
        return drive(self.venue, 1, 0, int(port), 0)

    def give(self, index: int, data: bytes) -> None:
        """As many bytes as fit at a time, as recv would."""
        while data and self.venue.clients[index]["state"] != ClientState.CLOSING:
            inbox = self.venue.inboxes[index].view(np.uint8)
            start = int(self.venue.clients[index]["in_bytes"])
            part, data = data[: inbox.size - start], data[inbox.size - start :]
            inbox[start : start + len(part)] = np.frombuffer(part, np.uint8)
            drive(self.venue, 2, index, len(part), 0)

    def enter(self, account: int) -> int:
        """A client logged on, its welcome read."""
        index = self.connect(Port.ORDER_ENTRY)
        self.give(index, logon(account))
        assert self.take(index)[0].name == "LOGON_ACK"
        return index

    def send(self, index: int, kind: int, *body: int, instrument: int = NONE) -> list[Message]:
        """One frame with the right sequence; returns the answers."""
        self.give(index, frame(kind, int(self.venue.clients[index]["seq_in"]) + 1, *body, instrument=instrument))
        return self.take(index)

    def take(self, index: int) -> list[Message]:
        client = self.venue.clients[index]
        start, end = int(client["out_start"]), int(client["out_end"])
        data = self.venue.send_buffers[index].view(np.uint8)[start:end].tobytes()
        drive(self.venue, 3, index, end - start, 0)
        messages, rest = parse(data)
        assert rest == b""
        return messages

    def drain(self, index: int) -> None:
        """Read everything and look at nothing."""
        client = self.venue.clients[index]
        drive(self.venue, 3, index, int(client["out_end"]) - int(client["out_start"]), 0)

    def halt(self, instrument: int, is_open: int) -> None:
        drive(self.venue, 6, instrument, is_open, 0)

    def refill(self, index: int) -> None:
        """What it is owed, as a shell writes it before it sends."""
        drive(self.venue, 7, index, 0, 0)

    def supervise(self) -> None:
        drive(self.venue, 4, 0, 0, 0)

    def disconnect(self, index: int) -> None:
        drive(self.venue, 5, index, 0, 0)


def logon(account: int, heartbeat_ns: int = 0, next_seq_in: int = 1, secret: bytes = b"", ts_client: int = 1, seq: int = 1) -> bytes:
    head = frame(LOGON, seq, account, ts_client, 0, heartbeat_ns, next_seq_in, 0, 0, 0, 0)[:56]
    return head + (hmac.new(secret, head, "sha256").digest() if secret else bytes(32))
