"""The reader of one connection: a buffer that the socket fills, and the compiled deframer that empties it into the part's ring."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hftkit.binance_line import Kind, kind_of
from live.feeds.deframe import CONTROL_ROW, FILL, FINE, MAX_CONTROLS, N_CONTROLS, N_MESSAGES, STATE_WORDS, WS_BROKEN, WS_CLOSED, WS_RING_FULL, deframe
from live.raw_ring import RawRing, raw_push

BUFFER_BYTES = 1024 * 1024
BROKEN, CLOSED, RING_FULL = WS_BROKEN, WS_CLOSED, WS_RING_FULL
_NOTHING = np.zeros(8, np.uint8)


class WireReader:
    """`kind`: what the messages of this connection are, as the line names it."""

    def __init__(self, ring: RawRing, kind: Kind) -> None:
        self._ring, self._kind = ring, kind
        self._buffer, self._parts = np.zeros(BUFFER_BYTES, np.uint8), np.zeros(BUFFER_BYTES, np.uint8)
        self._controls, self._state = np.zeros(MAX_CONTROLS * CONTROL_ROW, np.uint8), np.zeros(STATE_WORDS, np.int64)
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
        return int(self._state[N_MESSAGES])

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
        return self._view[int(self._state[FILL]) :]

    def received(self, n_bytes: int, t_recv: int) -> int:
        """The socket has written so many bytes. FINE, BROKEN, CLOSED or RING_FULL."""
        self._state[FILL] += n_bytes
        status = int(deframe(self._buffer, self._parts, self._controls, self._state, self._ring, int(self._kind), t_recv))
        self.ring_was_full = status == RING_FULL
        return status

    def controls(self) -> Iterator[tuple[int, bytes]]:
        """Control frames since the last call: opcode and payload."""
        for i in range(min(int(self._state[N_CONTROLS]), MAX_CONTROLS)):
            row = self._controls[i * CONTROL_ROW : (i + 1) * CONTROL_ROW]
            yield int(row[0]), row[2 : 2 + int(row[1])].tobytes()
        self._state[N_CONTROLS] = 0

    def announce(self, up: bool, t_recv: int) -> None:
        """LINE_UP or LINE_DOWN, in its place among the messages. Room for it is always found: the hot thread empties the ring."""
        kind = kind_of(Kind.LINE_UP if up else Kind.LINE_DOWN, self._kind)
        while raw_push(self._ring, _NOTHING, 0, 0, kind, t_recv) == 0:
            pass


__all__ = ["BROKEN", "CLOSED", "FINE", "RING_FULL", "WireReader"]
