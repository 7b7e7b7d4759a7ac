"""Client framing beside the sans-I/O protocol of the websockets library: what its server frames, we read; what we frame, its server reads."""

from __future__ import annotations

import random

import numpy as np
import pytest
from websockets.extensions import Extension
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol, State

from hftkit.kernels.wire import websocket as ws

BIG = 70_000


def library_bytes(frames: list[tuple[int, bytes, bool]]) -> bytes:
    extensions: list[Extension] = []
    return b"".join(Frame(Opcode(opcode), data, fin).serialize(mask=False, extensions=extensions) for opcode, data, fin in frames)


class Client:
    """The receiving side of a client over the kernels, fed in pieces."""

    def __init__(self, largest: int = BIG + 100) -> None:
        self.ws = np.zeros(ws.WS_WORDS, np.int64)
        self.ws[ws.WS_MASK] = 12345
        self.message, self.pongs = np.zeros(largest, np.uint8), np.zeros(4096, np.uint8)
        self.buffer = np.zeros(1 << 18, np.uint8)
        self.end = 0
        self.messages: list[tuple[int, bytes]] = []
        self.verdict = ws.WS_INCOMPLETE

    def feed(self, piece: bytes) -> None:
        self.buffer[self.end : self.end + len(piece)] = np.frombuffer(piece, np.uint8)
        self.end += len(piece)
        at = 0
        while self.verdict not in (ws.WS_CLOSED, ws.WS_ERROR):
            verdict = ws.deframe(self.buffer, at, self.end, self.ws, self.message, self.pongs)
            if verdict == ws.WS_INCOMPLETE:
                break
            if verdict in (ws.WS_CLOSED, ws.WS_ERROR):
                self.verdict = verdict
                return
            if verdict == ws.WS_MESSAGE:
                source = self.message if self.ws[ws.WS_JOINED] else self.buffer
                start, n = int(self.ws[ws.WS_START]), int(self.ws[ws.WS_LENGTH])
                self.messages.append((int(self.ws[ws.WS_OPCODE]), source[start : start + n].tobytes()))
            at = int(self.ws[ws.WS_NEXT])
        self.buffer[: self.end - at] = self.buffer[at : self.end].copy()
        self.end -= at

    def sent(self) -> bytes:
        return self.pongs[: self.ws[ws.WS_PONG_LENGTH]].tobytes()


SMALL = [
    (Opcode.TEXT, b'{"e":"trade"}', True),
    (Opcode.PING, b"1790000000000", True),
    (Opcode.TEXT, b"first ", False),
    (Opcode.PING, b"", True),
    (Opcode.CONT, b"second ", False),
    (Opcode.CONT, b"third", True),
    (Opcode.TEXT, b"", True),
    (Opcode.TEXT, b"x" * 125, True),
    (Opcode.TEXT, b"y" * 126, True),
    (Opcode.TEXT, bytes(range(256)) * 2, True),
]
WANTED = [b'{"e":"trade"}', b"first second third", b"", b"x" * 125, b"y" * 126, bytes(range(256)) * 2]


def test_every_way_to_cut_the_stream_gives_the_same_messages() -> None:
    stream = library_bytes(SMALL)
    for cut in range(len(stream) + 1):
        client = Client()
        client.feed(stream[:cut])
        client.feed(stream[cut:])
        assert [data for _, data in client.messages] == WANTED
    client = Client()
    for i in range(len(stream)):
        client.feed(stream[i : i + 1])
    assert [data for _, data in client.messages] == WANTED
    assert client.ws[ws.WS_PINGS] == 2


def test_all_three_lengths_and_random_pieces() -> None:
    rng = random.Random(3)
    frames = [(Opcode.TEXT, rng.randbytes(n), True) for n in (0, 1, 125, 126, 127, 65535, 65536, BIG)]
    stream, client = library_bytes(frames), Client()
    while stream:
        n = rng.choice((1, 2, 3, 100, 5000))
        client.feed(stream[:n])
        stream = stream[n:]
    assert client.messages == [(ws.TEXT, data) for _, data, _ in frames]


def test_the_librarys_server_reads_what_we_send() -> None:
    rng, state, out = random.Random(4), np.array([99], np.int64), np.zeros(200_000, np.uint8)
    payloads = [rng.randbytes(n) for n in (0, 1, 4, 125, 126, 65535, 65536)]
    end = 0
    for payload in payloads:
        end = ws.put_frame(out, end, np.frombuffer(payload, np.uint8), 0, len(payload), ws.BINARY, state, 0)
    server = Protocol(SERVER, state=State.OPEN, max_size=None)
    server.receive_data(out[:end].tobytes())
    assert [event.data for event in server.events_received() if isinstance(event, Frame)] == payloads


def test_a_pong_carries_the_pings_payload_masked() -> None:
    client = Client()
    client.feed(library_bytes([(Opcode.PING, b"1790000000000", True)]))
    server = Protocol(SERVER, state=State.OPEN)
    server.send_ping(b"1790000000000")
    server.data_to_send()
    server.receive_data(client.sent())
    (pong,) = server.events_received()
    assert isinstance(pong, Frame)
    assert (pong.opcode, pong.data) == (ws.PONG, b"1790000000000")


def test_a_frame_sealed_in_place_is_the_frame() -> None:
    out, payload = np.zeros(1000, np.uint8), b'{"id":1}' * 40
    out[10 + ws.MAX_HEADER : 10 + ws.MAX_HEADER + len(payload)] = np.frombuffer(payload, np.uint8)
    end = ws.seal_frame(out, 10, len(payload), ws.TEXT, np.array([5], np.int64), 0)
    server = Protocol(SERVER, state=State.OPEN)
    server.receive_data(out[10:end].tobytes())
    (frame,) = server.events_received()
    assert isinstance(frame, Frame)
    assert frame.data == payload


def test_masking_keys_differ() -> None:
    state = np.array([1], np.int64)
    keys = {int(ws.next_mask(state, 0)) for _ in range(10_000)}
    assert len(keys) > 9_990
    assert all(0 <= key < 2**32 for key in keys)


BROKEN = {
    "reserved bit": b"\xc1\x01x",
    "unknown opcode": b"\x83\x00",
    "masked by the server": b"\x81\x81\0\0\0\0x",
    "fragmented ping": b"\x09\x00",
    "long ping": b"\x89\x7e\x00\x7e" + b"x" * 126,
    "continuation of nothing": b"\x80\x01x",
    "new message within fragments": b"\x01\x01x\x81\x01x",
    "close with one byte": b"\x88\x01x",
    "close with an invalid code": b"\x88\x02\x00\x00",
    "length with the highest bit": b"\x81\x7f\x80\0\0\0\0\0\0\0",
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_the_protocol_forbids_is_an_error(what: str) -> None:
    client = Client()
    client.feed(BROKEN[what])
    assert client.verdict == ws.WS_ERROR
    assert client.ws[ws.WS_CLOSE_CODE] in (ws.PROTOCOL_ERROR, ws.TOO_BIG)
    library = Protocol(CLIENT, state=State.OPEN)
    library.receive_data(BROKEN[what])
    assert library.parser_exc is not None, "the library takes it"


def test_a_message_larger_than_our_memory_is_refused() -> None:
    whole, parts = Client(largest=10), Client(largest=10)
    whole.feed(library_bytes([(Opcode.TEXT, b"x" * 11, False)]))
    parts.feed(library_bytes([(Opcode.TEXT, b"x" * 6, False), (Opcode.CONT, b"x" * 6, True)]))
    assert (parts.verdict, parts.ws[ws.WS_CLOSE_CODE]) == (ws.WS_ERROR, ws.TOO_BIG)
    assert (whole.verdict, whole.ws[ws.WS_CLOSE_CODE]) == (ws.WS_ERROR, ws.TOO_BIG)


def test_the_peers_close_is_told_with_its_code() -> None:
    client = Client()
    client.feed(library_bytes([(8, Close(1001, "24 hours").serialize(), True)]))
    assert (client.verdict, client.ws[ws.WS_CLOSE_CODE]) == (ws.WS_CLOSED, 1001)


def test_random_bytes_never_leave_the_buffers() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        client = Client(largest=300)
        client.feed(rng.randbytes(rng.randrange(1, 400)))
        assert client.verdict in (ws.WS_INCOMPLETE, ws.WS_CLOSED, ws.WS_ERROR)
