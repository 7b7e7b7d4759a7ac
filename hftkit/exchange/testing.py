"""A plain client of the binary protocol: blocking sockets and struct, written from docs/protocol.md, no kernels.

For tests, and as the shortest complete example of a client. It shares no code with the venue, so that a mistake
in one cannot hide in the other.
"""

from __future__ import annotations

import hmac
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

VERSION = 1
NONE = 0xFFFFFFFF
LOGON, LOGOUT, HEARTBEAT, NEW_ORDER, CANCEL_ORDER, CANCEL_ALL, ORDER_QUERY, SUBSCRIBE, SNAPSHOT_REQUEST, REPLACE_ORDER = range(1, 11)
CONDITIONAL_ORDER, MASS_QUOTE, ACCOUNT_QUERY = 11, 12, 13

# name and body fields by type, from the tables of docs/protocol.md
FRAMES: dict[int, tuple[str, tuple[str, ...]]] = {
    32: ("LOGON_ACK", ("ts_event", "account", "next_seq_out")),
    33: ("LOGOUT_ACK", ("ts_event",)),
    34: ("VENUE_HEARTBEAT", ("ts_event", "ts_client")),
    35: ("ORDER_ACK", ("ts_event", "client_order_id", "order_id")),
    36: ("ORDER_REJECT", ("ts_event", "client_order_id", "reason")),
    37: (
        "ORDER_FILL",
        ("ts_event", "client_order_id", "order_id", "trade_id", "side", "maker", "price", "qty", "leaves_qty", "fee_e8"),
    ),
    38: ("ORDER_CANCELED", ("ts_event", "client_order_id", "order_id", "canceled_qty", "reason")),
    39: ("CANCEL_REJECT", ("ts_event", "client_order_id", "reason")),
    40: ("ORDER_STATUS", ("ts_event", "client_order_id", "order_id", "state", "filled_qty", "leaves_qty")),
    41: ("POSITION", ("ts_event", "position")),
    42: ("SESSION_REJECT", ("ts_event", "reason")),
    43: ("ORDER_TRIGGERED", ("ts_event", "client_order_id", "order_id")),
    44: ("ACCOUNT_STATUS", ("ts_event", "wallet_e8", "unrealised_e8", "initial_margin_e8", "maintenance_margin_e8")),
    45: ("FUNDING", ("ts_event", "position", "rate", "amount_e8")),
    64: ("INSTRUMENT", ("symbol0", "symbol1", "tick_size_e8", "lot_size_e8", "min_notional_e8", "maker_fee_ppm", "taker_fee_ppm", "count")),
    65: ("BBO", ("ts_event", "bid_price", "bid_qty", "ask_price", "ask_qty")),
    66: ("TRADE", ("ts_event", "trade_id", "side", "price", "qty")),
    67: ("DEPTH", ("ts_event", "side", "flags", "price", "qty")),
    68: ("SNAPSHOT_BEGIN", ("ts_event", "n_bid", "n_ask")),
    69: ("SNAPSHOT_END", ("ts_event",)),
    70: ("MARKET_STATUS", ("ts_event", "open")),
}


@dataclass(frozen=True)
class Message:
    """One frame received: `message.price` reads a body field by its name in docs/protocol.md."""

    name: str
    instrument: int
    seq: int
    body: dict[str, int]

    def __getattr__(self, name: str) -> int:
        try:
            return self.body[name]
        except KeyError:
            raise AttributeError(f"{self.name} has no field {name}") from None


def frame(message_type: int, seq: int, *body: int, instrument: int = NONE, version: int = VERSION) -> bytes:
    """The bytes of one frame."""
    return struct.pack(f"<HBBIq{len(body)}q", 16 + 8 * len(body), message_type, version, instrument, seq, *body)


def parse(buffer: bytes) -> tuple[list[Message], bytes]:
    """Whole frames at the front of `buffer`, and the bytes that are left."""
    messages = []
    while len(buffer) >= 16:
        length, message_type, version, instrument, seq = struct.unpack_from("<HBBIq", buffer)
        if len(buffer) < length:
            break
        name, fields = FRAMES[message_type]
        values = struct.unpack_from(f"<{len(fields)}q", buffer, 16)
        if version != VERSION or length != 16 + 8 * len(fields):
            raise ValueError(f"{name}: version {version}, {length} bytes")
        messages.append(Message(name, instrument, seq, dict(zip(fields, values, strict=True))))
        buffer = buffer[length:]
    return messages, buffer


class PlainClient:
    """One blocking connection to either port. Numbers what it sends."""

    def __init__(self, host: str, port: int, timeout_s: float = 10.0) -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seq = 0
        self._rest = b""
        self._inbox: list[Message] = []

    def send(self, message_type: int, *body: int, instrument: int = NONE) -> None:
        """Send one frame with the next sequence number."""
        self.seq += 1
        self.socket.sendall(frame(message_type, self.seq, *body, instrument=instrument))

    def receive(self) -> Message:
        """The next message. Raises EOFError when the venue has closed, TimeoutError when nothing comes."""
        while not self._inbox:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the venue closed the connection")
            self._inbox, self._rest = parse(self._rest + data)
        return self._inbox.pop(0)

    def until(self, *names: str) -> list[Message]:
        """Messages up to and including the first with one of these names."""
        messages = [self.receive()]
        while messages[-1].name not in names:
            messages.append(self.receive())
        return messages

    def logon(
        self,
        account: int,
        *,
        cancel_on_disconnect: bool = False,
        heartbeat_ns: int = 0,
        next_seq_in: int = 1,
        secret: bytes = b"",
        ts_client: int = 1,
    ) -> Message:
        """Log on; returns LOGON_ACK. Positions and open orders follow, or with `next_seq_in` > 1 the frames from there on again.

        `ts_client`: your time in ns; with a `secret` it must be later than at the account's last logon.
        """
        self.seq += 1
        words = (account, ts_client, int(cancel_on_disconnect), heartbeat_ns, next_seq_in)
        head = frame(LOGON, self.seq, *words, 0, 0, 0, 0)[:56]
        self.socket.sendall(head + (hmac.new(secret, head, "sha256").digest() if secret else bytes(32)))
        answer = self.receive()
        if answer.name == "LOGON_ACK":
            self.seq = answer.next_seq_out - 1
        return answer

    def order(self, client_order_id: int, instrument: int, side: int, price: int, qty: int, tif: int = 0, flags: int = 0, kind: int = 0) -> None:
        """Send a new order: side 0 buy 1 sell, price in ticks, qty in lots, tif 0 GTC 1 IOC 2 FOK, kind 0 limit 1 market."""
        self.send(NEW_ORDER, client_order_id, side, kind, tif, flags, price, qty, instrument=instrument)

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def __enter__(self) -> PlainClient:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


@dataclass
class FollowerBook:
    """A book kept from the DEPTH channel alone; `levels[side]` maps price to quantity."""

    levels: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))
    seq: int | None = None  # None: waiting for a snapshot
    loading: bool = False
    whole: bool = False  # between batches

    def apply(self, message: Message) -> None:
        """Follow one message. Raises ValueError at a gap or a crossed book."""
        if message.name == "SNAPSHOT_BEGIN":
            self.levels, self.seq, self.loading, self.whole = ({}, {}), message.seq, True, False
        elif message.name == "SNAPSHOT_END":
            self.loading, self.whole = False, True
        elif message.name == "DEPTH" and self.seq is not None:
            if not self.loading:
                if message.seq != self.seq + 1:
                    raise ValueError(f"gap: {message.seq} after {self.seq}")
                self.seq = message.seq
            if message.qty:
                self.levels[message.side][message.price] = message.qty
            else:
                self.levels[message.side].pop(message.price, None)
            self.whole = not self.loading and bool(message.flags & 1)
            if self.whole and self.levels[0] and self.levels[1] and max(self.levels[0]) >= min(self.levels[1]):
                raise ValueError(f"crossed: {max(self.levels[0])} >= {min(self.levels[1])}")
