"""Deframing against the websockets library: what its server serialises comes out whole, however it is cut; what breaks RFC 6455 is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from hftkit.binance.line import Kind
from hftkit.kernels.memory.byte_ring import VIEW_KIND, VIEW_WORDS, byte_ring_front, byte_ring_release
from live.link.raw_ring import payload, raw_ring
from live.link.wire_reader import BROKEN, CLOSED, FINE, RING_FULL, WireReader


def read_all(ring):
    said, found = np.zeros(VIEW_WORDS, np.int64), []
    while byte_ring_front(ring.words, said):
        assert said[VIEW_KIND] == Kind.MARKET
        found.append(payload(ring, said))
        byte_ring_release(ring.words, said)
    return found


def feed(reader, data, cuts=()):
    status, at = FINE, 0
    for cut in [*sorted(cuts), len(data)]:
        piece = data[at:cut]
        reader.space()[: len(piece)] = piece
        status = reader.received(len(piece), 1)
        at = cut
        if status != FINE:
            break
    return status


def pongs_in(wire):
    """Texts of the masked pong frames that a client sent, as the websockets library reads them."""
    stream, found = StreamReader(), []
    stream.feed_data(wire)
    stream.feed_eof()
    while not run(stream.at_eof()):
        frame = run(Frame.parse(stream.read_exact, mask=True))
        assert (frame.opcode, frame.fin) == (Opcode.PONG, True)
        found.append(frame.data)
    return found


def run(generator):
    """The value of a generator that has all its input."""
    try:
        next(generator)
    except StopIteration as end:
        return end.value
    raise AssertionError("the wire ends within a frame")


messages = st.lists(st.tuples(st.binary(max_size=400), st.integers(1, 4), st.booleans()), max_size=12)


@settings(max_examples=80)
@given(messages, st.data())
def test_whole_messages_come_out_however_they_are_fragmented_and_cut(script, data):
    wire, expected, pings = b"", [], []
    for text, fragments, ping in script:
        size = -(-max(len(text), 1) // fragments)
        pieces = [text[i : i + size] for i in range(0, max(len(text), 1), size)]
        for i, piece in enumerate(pieces):
            opcode = Opcode.TEXT if i == 0 else Opcode.CONT
            wire += Frame(opcode, piece, fin=i + 1 == len(pieces)).serialize(mask=False)
            if ping:  # control frames may stand between fragments
                wire += Frame(Opcode.PING, text[:125]).serialize(mask=False)
                pings.append(text[:125])
        expected.append(text)
    ring = raw_ring(4096)
    reader = WireReader(ring, Kind.MARKET)
    answers = b""
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=10))
    at = 0
    for cut in [*sorted(cuts), len(wire)]:
        piece, at = wire[at:cut], cut
        reader.space()[: len(piece)] = piece
        assert reader.received(len(piece), 1) == FINE
        answers += reader.pongs()
    assert read_all(ring) == expected
    assert pongs_in(answers) == pings
    assert reader.n_messages == len(expected)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 300_000])
def test_every_form_of_the_length(size):
    ring = raw_ring(65536)
    payload = bytes(i % 251 for i in range(size))
    assert feed(WireReader(ring, Kind.MARKET), Frame(Opcode.TEXT, payload).serialize(mask=False), range(0, size, 50_000)) == FINE
    assert read_all(ring) == [payload]


TEXT = Frame(Opcode.TEXT, b"x").serialize(mask=False)


@pytest.mark.parametrize(
    "wire",
    [
        b"\x81\x81\x01\x02\x03\x04y",  # a server must not mask
        b"\xc1\x01x",  # reserved bit: compression was never negotiated
        b"\x83\x01x",  # reserved opcode
        b"\x8b\x01x",  # reserved control opcode
        Frame(Opcode.CONT, b"x").serialize(mask=False),  # nothing to continue
        Frame(Opcode.TEXT, b"x", fin=False).serialize(mask=False) + TEXT,  # a new message within a fragmented one
        b"\x09\x00",  # fragmented control frame
        b"\x89\x7e\x00\x80" + b"x" * 128,  # control frame of more than 125 bytes
        b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",  # negative length
        b"\x81\x7f\x00\x00\x00\x00\x7f\x00\x00\x00",  # longer than any buffer
    ],
)
def test_what_breaks_the_protocol_is_told(wire):
    ring = raw_ring(64)
    assert feed(WireReader(ring, Kind.MARKET), wire) == BROKEN
    assert read_all(ring) == []


def test_a_goodbye_ends_the_connection_after_what_came_before_it():
    ring = raw_ring(64)
    wire = TEXT + Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False) + TEXT
    assert feed(WireReader(ring, Kind.MARKET), wire) == CLOSED
    assert read_all(ring) == [b"x"]


def test_a_full_ring_is_told():
    reader = WireReader(raw_ring(64), Kind.MARKET)
    assert feed(reader, Frame(Opcode.TEXT, bytes(300)).serialize(mask=False) * 2) == RING_FULL
    assert reader.ring_was_full


@settings(max_examples=150)
@given(st.binary(max_size=600), st.lists(st.integers(0, 600), max_size=4))
def test_noise_never_crashes_it(noise, cuts):
    reader = WireReader(raw_ring(4096), Kind.MARKET)
    assert feed(reader, noise, [cut for cut in cuts if cut < len(noise)]) in (FINE, BROKEN, CLOSED)
