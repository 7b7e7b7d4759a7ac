"""A client of the simulator in plain asyncio: quotes, one order that rests and is cancelled, one that trades.

    python examples/simulator_client.py

It starts a simulator of its own, and ends it. Frames, fields and codes: docs/protocol.md. Nothing but the standard
library speaks to the venue; the public names start the simulator and name the messages.
"""

from __future__ import annotations

import asyncio
import struct
import tempfile
from typing import NamedTuple

from hftkit import MessageType, Simulator, from_e8

HEADER = struct.Struct("<HBBIq")  # length, type, version, instrument, sequence; then int64 words
VERSION, ALL = 1, 0xFFFFFFFF
BUY, LIMIT, MARKET, GOOD_TILL_CANCELLED, IMMEDIATE_OR_CANCEL, POST_ONLY = 0, 0, 1, 0, 1, 1
BBO_CHANNEL = 1


class Frame(NamedTuple):
    """One message of the venue: its type, its instrument, its words as docs/protocol.md lists them."""

    type: MessageType
    instrument: int
    words: tuple[int, ...]


class Connection:
    """One TCP connection: frames that are sent are numbered 1, 2, 3, ..., as the protocol wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.sequence = reader, writer, 0

    async def send(self, kind: MessageType, *words: int, instrument: int = ALL) -> None:
        """Write one frame."""
        self.sequence += 1
        length = HEADER.size + 8 * len(words)
        self.writer.write(HEADER.pack(length, kind, VERSION, instrument, self.sequence) + struct.pack(f"<{len(words)}q", *words))
        await self.writer.drain()

    async def receive(self) -> Frame:
        """The next frame. Raises asyncio.IncompleteReadError when the venue has closed."""
        length, kind, _, instrument, _ = HEADER.unpack(await self.reader.readexactly(HEADER.size))
        words = (length - HEADER.size) // 8
        return Frame(MessageType(kind), instrument, struct.unpack(f"<{words}q", await self.reader.readexactly(8 * words)))

    async def until(self, *kinds: MessageType) -> Frame:
        """The next frame of one of these types; others are passed over."""
        while (frame := await self.receive()).type not in kinds:
            pass
        return frame


async def connect(host: str, port: int) -> Connection:
    """A connection to one of the two ports of the venue."""
    return Connection(*await asyncio.open_connection(host, port))


async def trade(host: str, order_port: int, market_port: int) -> int:
    """Place, cancel, buy; prints what the venue says. Returns the lots bought."""
    market, orders = await connect(host, market_port), await connect(host, order_port)
    await market.send(MessageType.SUBSCRIBE, BBO_CHANNEL, instrument=0)
    scales = await market.until(MessageType.INSTRUMENT)
    symbol = struct.pack("<2q", *scales.words[:2]).rstrip(b"\0").decode()
    tick_e8, lot_e8 = scales.words[2:4]

    # account 1; orders are cancelled with the connection; no heartbeats; a fresh session; no signature
    await orders.send(MessageType.LOGON, 1, 0, 1, 0, 1, 0, 0, 0, 0)
    print("logged on, account", (await orders.until(MessageType.LOGON_ACK, MessageType.SESSION_REJECT)).words[1])

    _, bid, _, ask, _ = (await market.until(MessageType.BBO)).words
    print(f"{symbol}: bid {from_e8(bid * tick_e8)}, ask {from_e8(ask * tick_e8)}")
    qty = 1 + 20 * 10**16 // (ask * tick_e8 * lot_e8)  # about 20 of the quote currency
    far = bid - bid // 100  # one per cent below the market: it rests

    await orders.send(MessageType.NEW_ORDER, 1, BUY, LIMIT, GOOD_TILL_CANCELLED, POST_ONLY, far, qty, instrument=0)
    print("order 1 rests:", (await orders.until(MessageType.ORDER_ACK, MessageType.ORDER_REJECT)).type.name)
    await orders.send(MessageType.CANCEL_ORDER, 1, instrument=0)
    gone = await orders.until(MessageType.ORDER_CANCELED, MessageType.CANCEL_REJECT)
    print(f"order 1 is gone: {gone.type.name}, {gone.words[3]} lots")

    await orders.send(MessageType.NEW_ORDER, 2, BUY, MARKET, IMMEDIATE_OR_CANCEL, 0, 0, qty, instrument=0)
    left = qty
    while left:
        told = await orders.until(MessageType.ORDER_FILL, MessageType.ORDER_CANCELED, MessageType.ORDER_REJECT)
        if told.type != MessageType.ORDER_FILL:  # nothing left to trade with, or refused
            print(f"order 2: {told.type.name}, {left} lots not bought")
            break
        price, lots, left, fee_e8 = told.words[6:10]
        print(f"order 2: bought {from_e8(lots * lot_e8)} at {from_e8(price * tick_e8)}, fee {from_e8(fee_e8)}")

    await orders.send(MessageType.LOGOUT)
    await orders.until(MessageType.LOGOUT_ACK)
    for connection in (orders, market):
        connection.writer.close()
    return qty - left


def main() -> None:
    """Start a simulator, trade, end it."""
    with tempfile.TemporaryDirectory() as folder, Simulator(folder) as simulator:
        venue = simulator.wait_ready()
        asyncio.run(trade(venue["host"], venue["order_port"], venue["market_port"]))
        counted = simulator.stop()
        print(f"the venue counted {counted['client_orders']} orders and {counted['client_fills']} fills of this client")


if __name__ == "__main__":
    main()
