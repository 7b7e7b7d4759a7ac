"""The reader of one connection: a buffer that the socket fills, and the compiled deframer that empties it into the part's ring."""

from __future__ import annotations

import os

import numpy as np

from hftkit import clock
from hftkit.kernels.arrays import Int64Array, OctetArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.memory.byte_ring import byte_ring_push
from hftkit.kernels.wire.link import Kind, kind_of
from hftkit.kernels.wire.websocket import (
    WS_CLOSED,
    WS_ERROR,
    WS_INCOMPLETE,
    WS_JOINED,
    WS_LENGTH,
    WS_MASK,
    WS_MESSAGE,
    WS_NEXT,
    WS_PONG_LENGTH,
    WS_START,
    WS_WORDS,
    deframe,
)
from live.link.raw_ring import RawRing

BUFFER_BYTES = 1024 * 1024
PONG_BYTES = 4096
FINE, CLOSED, BROKEN, RING_FULL = range(4)
FILL, N_MESSAGES = 12, 13  # words of the reader's state beyond those of the deframer
_NOTHING = np.zeros(8, np.uint8)
_PATIENCE_S = 5.0


@kernel
def empty_buffer(buffer: OctetArray, joined: OctetArray, pongs: OctetArray, ws: Int64Array, ring: RawRing, kind: int, t_recv: int) -> int:
    """Push every whole message of buffer[:ws[FILL]] (uint8) into the raw ring; what is left moves to the front. FINE, or why it is over.

    `joined`: uint8, fragments of a message; `pongs`: uint8, answers to pings; `ws`: int64 (WS_WORDS,).
    """
    position, end, status = 0, ws[FILL], FINE
    while status == FINE:
        verdict = deframe(buffer, position, end, ws, joined, pongs)
        if verdict == WS_INCOMPLETE:
            break
        if verdict == WS_ERROR:
            status = BROKEN
        elif verdict == WS_CLOSED:
            status = CLOSED
        else:
            position = ws[WS_NEXT]
            if verdict == WS_MESSAGE:
                ws[N_MESSAGES] += 1
                data = joined if ws[WS_JOINED] != 0 else buffer
                if byte_ring_push(ring.words, ring.octets, data, ws[WS_START], ws[WS_LENGTH], kind, t_recv) == 0:
                    status = RING_FULL
    for i in range(end - position):
        buffer[i] = buffer[position + i]
    ws[FILL] = end - position
    return status


class WireReader:
    """`kind`: what the messages of this connection are, as the line names it."""

    def __init__(self, ring: RawRing, kind: Kind) -> None:
        self._ring, self._kind = ring, kind
        self._buffer, self._joined = np.zeros(BUFFER_BYTES + 16, np.uint8), np.zeros(BUFFER_BYTES, np.uint8)
        self._pongs, self._ws = np.zeros(PONG_BYTES, np.uint8), np.zeros(WS_WORDS, np.int64)
        self._ws[WS_MASK] = int.from_bytes(os.urandom(8), "little", signed=True) or 1
        self._view = memoryview(self._buffer.data)
        self._primed = 0
        self.ring_was_full = False

    @property
    def primed(self) -> bool:
        """Whether bytes lie in the buffer that no descriptor will announce."""
        return self._primed > 0

    @property
    def n_messages(self) -> int:
        """Whole messages so far."""
        return int(self._ws[N_MESSAGES])

    def prime(self, data: bytes) -> None:
        """Bytes that came with the handshake."""
        self._view[: len(data)] = data
        self._primed = len(data)

    def take_primed(self) -> int:
        """Their number, once."""
        n, self._primed = self._primed, 0
        return n

    def space(self) -> memoryview:
        """Where the socket may write."""
        return self._view[int(self._ws[FILL]) :]

    def received(self, n_bytes: int, t_recv: int) -> int:
        """The socket has written so many bytes. FINE, BROKEN, CLOSED or RING_FULL."""
        self._ws[FILL] += n_bytes
        status = int(empty_buffer(self._buffer, self._joined, self._pongs, self._ws, self._ring, int(self._kind), t_recv))
        self.ring_was_full = status == RING_FULL
        return status

    def pongs(self) -> bytes:
        """Answers to the pings since the last call, ready to send."""
        n = int(self._ws[WS_PONG_LENGTH])
        self._ws[WS_PONG_LENGTH] = 0
        return self._pongs[:n].tobytes()

    def announce(self, up: bool, t_recv: int) -> None:
        """LINE_UP or LINE_DOWN, in its place among the messages. Room is found as long as the hot thread empties the ring; at its end nobody does."""
        kind, end = kind_of(Kind.LINE_UP if up else Kind.LINE_DOWN, self._kind), clock.monotonic_s() + _PATIENCE_S
        while byte_ring_push(self._ring.words, self._ring.octets, _NOTHING, 0, 0, kind, t_recv) == 0 and clock.monotonic_s() < end:
            pass
