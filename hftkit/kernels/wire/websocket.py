"""WebSocket framing, client side (RFC 6455): frames out of received bytes, masked frames for sending. The handshake is the shell's.

`deframe` takes one frame at a time out of `data` (uint8) and keeps what it must remember in `ws` (int64 (WS_WORDS,)); fragments of a
message are joined in `message` (uint8). Answers to pings are appended to `pongs` (uint8) as masked frames, ready to send. Extensions are not
negotiated, so a reserved bit is an error. An error is final: the shell closes the connection with the code in ws[WS_CLOSE_CODE].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.kernels.arrays import Int64Array, OctetArray
from hftkit.kernels.jit import kernel

# Words of `ws`
WS_NEXT = 0  # first byte after the frame that was taken
WS_START, WS_LENGTH = 1, 2  # the message: in `data`, or in `message` if WS_JOINED
WS_JOINED = 3
WS_OPCODE = 4  # of the message
WS_FRAGMENTS = 5  # opcode of the message whose fragments are being joined, 0 if none
WS_JOINED_LENGTH = 6
WS_MASK = 7  # state of the generator of masking keys; the shell seeds it from the system
WS_CLOSE_CODE = 8  # of the peer's close frame, or of our error
WS_PONG_LENGTH = 9  # bytes in `pongs`
WS_PINGS, WS_PONGS = 10, 11  # control frames received
WS_WORDS = 16

# Verdicts of deframe
WS_INCOMPLETE, WS_MESSAGE, WS_CONTROL, WS_CLOSED = range(4)
WS_ERROR = -1

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PROTOCOL_ERROR, TOO_BIG, NO_STATUS = 1002, 1009, 1005
MAX_HEADER = 14  # bytes, of a masked frame
_RESERVED_BITS, _FINAL, _MASKED = 0x70, 0x80, 0x80


@kernel
def next_mask(state: Int64Array, slot: int) -> int:
    """A masking key of 32 bits; state[slot] (int64, not 0) is a xorshift64 generator."""
    x = state[slot]
    x ^= x << 13
    x ^= (x >> 7) & 0x01FFFFFFFFFFFFFF
    x ^= x << 17
    state[slot] = x
    return (x >> 16) & 0xFFFFFFFF


@kernel
def _put_header(out: OctetArray, at: int, opcode: int, n: int) -> int:
    """Header of a final masked frame with `n` bytes, before its key. The new end."""
    out[at] = _FINAL | opcode
    if n < 126:
        out[at + 1] = _MASKED | n
        return at + 2
    wide = 2 if n < 65536 else 8
    out[at + 1] = _MASKED | (126 if wide == 2 else 127)
    for i in range(wide):
        out[at + 2 + i] = (n >> (8 * (wide - 1 - i))) & 255
    return at + 2 + wide


@kernel
def put_frame(out: OctetArray, at: int, payload: OctetArray, start: int, n: int, opcode: int, state: Int64Array, slot: int) -> int:
    """Append a masked frame with payload[start:start + n] (uint8) to out[at:]; n + MAX_HEADER bytes must be free. The new end."""
    at = _put_header(out, at, opcode, n)
    mask = next_mask(state, slot)
    for i in range(4):
        out[at + i] = (mask >> (8 * i)) & 255
    at += 4
    for i in range(n):
        out[at + i] = payload[start + i] ^ ((mask >> (8 * (i & 3))) & 255)
    return at + n


@kernel
def seal_frame(out: OctetArray, at: int, n: int, opcode: int, state: Int64Array, slot: int) -> int:
    """Make out[at + MAX_HEADER :][:n] (uint8) the payload of a masked frame that begins at `at`. The new end (payload moved forward)."""
    return put_frame(out, at, out, at + MAX_HEADER, n, opcode, state, slot)


@kernel
def _fail(ws: Int64Array, code: int) -> int:
    ws[WS_CLOSE_CODE] = code
    return WS_ERROR


@kernel
def _control(data: OctetArray, at: int, n: int, opcode: int, ws: Int64Array, pongs: OctetArray) -> int:
    if opcode == PING:
        ws[WS_PINGS] += 1
        if ws[WS_PONG_LENGTH] + n + MAX_HEADER <= pongs.size:  # only the last of many pings must be answered (RFC 6455, 5.5.3)
            ws[WS_PONG_LENGTH] = put_frame(pongs, ws[WS_PONG_LENGTH], data, at, n, PONG, ws, WS_MASK)
        return WS_CONTROL
    if opcode == PONG:
        ws[WS_PONGS] += 1
        return WS_CONTROL
    if n == 1:
        return _fail(ws, PROTOCOL_ERROR)
    code: Any = NO_STATUS
    if n >= 2:
        code = np.int64(data[at]) * 256 + np.int64(data[at + 1])
        known = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
        if not known:
            return _fail(ws, PROTOCOL_ERROR)
    ws[WS_CLOSE_CODE] = code
    return WS_CLOSED


@kernel
def _join(data: OctetArray, at: int, n: int, final: bool, opcode: int, ws: Int64Array, message: OctetArray) -> int:
    """One fragment of a message."""
    if (opcode == CONTINUATION) != (ws[WS_FRAGMENTS] != 0):
        return _fail(ws, PROTOCOL_ERROR)
    if opcode != CONTINUATION:
        ws[WS_FRAGMENTS] = opcode
        ws[WS_JOINED_LENGTH] = 0
    used = ws[WS_JOINED_LENGTH]
    if used + n > message.size:
        return _fail(ws, TOO_BIG)
    for i in range(n):
        message[used + i] = data[at + i]
    ws[WS_JOINED_LENGTH] = used + n
    if not final:
        return WS_CONTROL
    ws[WS_OPCODE], ws[WS_FRAGMENTS] = ws[WS_FRAGMENTS], 0
    ws[WS_JOINED], ws[WS_START], ws[WS_LENGTH] = 1, 0, used + n
    return WS_MESSAGE


@kernel
def deframe(data: OctetArray, start: int, end: int, ws: Int64Array, message: OctetArray, pongs: OctetArray) -> int:
    """Take the frame at data[start:end]. A WS_ verdict: WS_MESSAGE (at ws[WS_START], ws[WS_LENGTH] bytes, in `message` if ws[WS_JOINED]),
    WS_CONTROL (nothing to read; also a fragment that is not the last), WS_CLOSED (by the peer), WS_INCOMPLETE, WS_ERROR.

    Go on at ws[WS_NEXT], except after the last three. A message may have as many bytes as `message`.
    """
    if end - start < 2:
        return WS_INCOMPLETE
    first, second = np.int64(data[start]), np.int64(data[start + 1])
    n: Any = second & 127
    opcode, final, at = first & 15, first & _FINAL != 0, start + 2
    if first & _RESERVED_BITS or second & _MASKED or 3 <= opcode <= 7 or opcode > PONG:
        return _fail(ws, PROTOCOL_ERROR)
    if opcode >= CLOSE and (not final or n > 125):
        return _fail(ws, PROTOCOL_ERROR)
    if n > 125:
        wide = 2 if n == 126 else 8
        if end - at < wide:
            return WS_INCOMPLETE
        n = 0
        for i in range(wide):
            n = (n << 8) | np.int64(data[at + i])
        at += wide
        if n < 0 or n > message.size:
            return _fail(ws, TOO_BIG)
    if end - at < n:
        return WS_INCOMPLETE
    ws[WS_NEXT] = at + n
    if opcode >= CLOSE:
        return _control(data, at, n, opcode, ws, pongs)
    if not final or ws[WS_FRAGMENTS] != 0 or opcode == CONTINUATION:
        return _join(data, at, n, final, opcode, ws, message)
    ws[WS_JOINED], ws[WS_START], ws[WS_LENGTH], ws[WS_OPCODE] = 0, at, n, opcode
    return WS_MESSAGE
