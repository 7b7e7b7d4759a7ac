"""WebSocket frames of a server (RFC 6455, section 5) out of a receive buffer into a raw ring: compiled, one call a recv.

Fragments are put together; control frames are laid aside for the thread to answer; what breaks the protocol is told, never guessed. Frames of a
server are not masked; extensions are never negotiated, so reserved bits must be zero.
"""

from __future__ import annotations

from typing import Any

from hftkit.kernels.jit import kernel
from live.raw_ring import raw_push

FILL, PARTS, PART_OPCODE, N_MESSAGES, N_CONTROLS = range(5)  # words of the reader's state
STATE_WORDS = 8
CONTROL_ROW = 128  # bytes a control frame takes in `controls`: opcode, length, payload
MAX_CONTROLS = 32

FINE, WS_BROKEN, WS_CLOSED, WS_RING_FULL = range(4)
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PONG = 0, 1, 2, 8, 10


@kernel
def _take(buffer: Any, start: int, n: int, opcode: int, fin: bool, parts: Any, state: Any, ring: Any, kind: int, t_recv: int) -> int:
    """One data frame: a whole message goes to the ring, a fragment to `parts`."""
    if opcode == _CONTINUATION:
        if state[PART_OPCODE] == 0:
            return WS_BROKEN
    elif state[PART_OPCODE] != 0 or opcode > _BINARY:
        return WS_BROKEN
    if opcode != _CONTINUATION and fin:
        state[N_MESSAGES] += 1
        return FINE if raw_push(ring, buffer, start, n, kind, t_recv) == 1 else WS_RING_FULL
    if state[PARTS] + n > parts.size:
        return WS_BROKEN
    for i in range(n):
        parts[state[PARTS] + i] = buffer[start + i]
    state[PARTS] += n
    if opcode != _CONTINUATION:
        state[PART_OPCODE] = opcode
    if not fin:
        return FINE
    n, state[PARTS], state[PART_OPCODE] = state[PARTS], 0, 0
    state[N_MESSAGES] += 1
    return FINE if raw_push(ring, parts, 0, n, kind, t_recv) == 1 else WS_RING_FULL


@kernel
def _control(buffer: Any, start: int, n: int, opcode: int, controls: Any, state: Any) -> int:
    if opcode > _PONG or n > 125:
        return WS_BROKEN
    row = state[N_CONTROLS] % MAX_CONTROLS * CONTROL_ROW
    controls[row] = opcode
    controls[row + 1] = n
    for i in range(n):
        controls[row + 2 + i] = buffer[start + i]
    state[N_CONTROLS] += 1
    return WS_CLOSED if opcode == _CLOSE else FINE


@kernel
def deframe(buffer: Any, parts: Any, controls: Any, state: Any, ring: Any, kind: int, t_recv: int) -> int:
    """Take every whole frame off the front of buffer[:state[FILL]] (uint8); the rest moves to the front. FINE, or why the connection is over.

    `parts`: uint8, the fragments so far; `controls`: uint8 (MAX_CONTROLS * CONTROL_ROW,), control frames laid aside; `kind`: of the records.
    """
    position, end, status = 0, state[FILL], FINE
    while status == FINE and end - position >= 2:
        first, second = buffer[position], buffer[position + 1]
        n, start = second & 0x7F, position + 2
        if n >= 126:
            size = 2 if n == 126 else 8
            if end - start < size:
                break
            n = 0
            for i in range(size):
                n = (n << 8) | buffer[start + i]
            start += size
        opcode, fin = first & 0x0F, first & 0x80 != 0
        if first & 0x70 != 0 or second & 0x80 != 0 or n < 0 or n > buffer.size - 16 or (opcode >= _CLOSE and not fin):
            status = WS_BROKEN
        elif end - start < n:
            break
        elif opcode >= _CLOSE:
            status = _control(buffer, start, n, opcode, controls, state)
        else:
            status = _take(buffer, start, n, opcode, fin, parts, state, ring, kind, t_recv)
        position = start + n
    if position > 0:
        for i in range(end - position):
            buffer[i] = buffer[position + i]
    state[FILL] = max(end - position, 0)
    return status
