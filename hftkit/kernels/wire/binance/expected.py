"""The short way through messages in the documented order: a template of literal pieces and values, walked once, no key looked up.

A template is made from a documented message (`template`); walking it gives the same tokens as `json.scan_object`, or BROKEN at the first byte that is
otherwise: then the general scanner reads the message again. So it is only ever a matter of speed (tests/parity proves the tokens equal).
"""

from __future__ import annotations

import numpy as np

from hftkit.kernels.arrays import Int64Array, OctetArray
from hftkit.kernels.bits import trailing_zeros
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.memory.intrinsics import load_8
from hftkit.kernels.wire.binance.json import ABSENT, ARRAY, BROKEN, FALSE, NUMBER, STRING, TRUE, skip_value

DIGITS, TEXT, LEVELS, FLAG, NOTHING = range(5)  # what follows a literal piece
ROW = 5  # words of a row: start and length of the literal, what follows, its slot, whether the member may be missing
_QUOTE, _BACKSLASH, _ZERO, _NINE, _CLOSE_ARRAY, _OPEN_ARRAY = 34, 92, 48, 57, 93, 91
_TEXTS = bytearray()
_LOW_BYTES = np.array([(1 << 8 * n) - 1 for n in range(8)], np.int64)


def _eight(byte: int) -> int:
    """One byte eight times, as an int64."""
    return int.from_bytes(bytes([byte]) * 8, "little", signed=True)


_ONES, _HIGHS, _LOW_SEVEN = _eight(1), _eight(128), _eight(127)
_QUOTES, _BACKSLASHES, _BLANKS, _ZEROS, _ABOVE_NINE = _eight(_QUOTE), _eight(_BACKSLASH), _eight(32), _eight(_ZERO), _eight(127 - 9)
_WORD_TRUE, _WORD_FALSE = int.from_bytes(b"true", "little"), int.from_bytes(b"false", "little")


def template(pieces: str, slots: dict[str, int]) -> np.ndarray:
    """int64 (rows, ROW) from lines like `{"e":"trade","E":#` (# number, $ text, @ levels, ! true or false); `?` in front: may be missing.

    The slot of a row is that of the last key of its literal piece.
    """
    rows = []
    for piece in pieces.split():
        optional, piece = int(piece.startswith("?")), piece.lstrip("?")
        follows = {"#": DIGITS, "$": TEXT, "@": LEVELS, "!": FLAG}.get(piece[-1], NOTHING)
        literal = piece[:-1] if follows != NOTHING else piece
        literal += '"' if follows == TEXT else ""
        keys = [part for part in literal.replace(":", "").split('"') if part.isalnum()]
        rows.append((len(_TEXTS), len(literal), follows, slots.get(keys[-1], -1) if follows != NOTHING else -1, optional))
        _TEXTS.extend(literal.encode())
    return np.array(rows, np.int64)


def texts() -> np.ndarray:
    """uint8: the literal pieces of all templates made so far."""
    return np.frombuffer(bytes(_TEXTS) + bytes(8), np.uint8)  # the last piece, too, can be compared eight bytes at a time


@inlined_kernel
def _end_of_text(data: OctetArray, at: int, end: int) -> int:
    """First byte from `at` that is a quote, a backslash or a control character; `end` or more if there is none. Eight bytes at a time.

    The lowest bit found is right, those above it need not be: H. Warren, Hacker's Delight, 6-1.
    """
    while at < end and at + 8 <= data.size:
        word = load_8(data, at)
        quote, backslash = word ^ _QUOTES, word ^ _BACKSLASHES
        found = (((quote - _ONES) & ~quote) | ((backslash - _ONES) & ~backslash) | ((word - _BLANKS) & ~word)) & _HIGHS
        if found != 0:
            return at + (trailing_zeros(found) >> 3)
        at += 8
    while at < end and data[at] != _QUOTE and data[at] != _BACKSLASH and data[at] >= 32:
        at += 1
    return at


@inlined_kernel
def _end_of_digits(data: OctetArray, at: int, end: int) -> int:
    """First byte from `at` that is no digit, at most `end`."""
    while at < end and at + 8 <= data.size:
        word = load_8(data, at) ^ _ZEROS
        other = (((word & _LOW_SEVEN) + _ABOVE_NINE) | word) & _HIGHS
        if other != 0:
            return min(at + (trailing_zeros(other) >> 3), end)
        at += 8
    while at < end and _ZERO <= data[at] <= _NINE:
        at += 1
    return min(at, end)


@inlined_kernel
def _end_of_flag(data: OctetArray, at: int, end: int) -> int:
    """First byte after a true or false, BROKEN for anything else."""
    if at + 8 > data.size:
        after = skip_value(data, at, end)
        return after if after > 0 and (data[at] == 116 or data[at] == 102) else BROKEN
    word = load_8(data, at)
    if word & 0xFFFFFFFF == _WORD_TRUE:
        return at + 4
    return at + 5 if word & 0xFFFFFFFFFF == _WORD_FALSE else BROKEN


@inlined_kernel
def _value(data: OctetArray, at: int, end: int, follows: int) -> int:
    """First byte after the value that begins at `at`, without its closing quote; BROKEN if it is not plain."""
    start = at
    if follows == DIGITS:
        at = _end_of_digits(data, at, end)
        return BROKEN if at == start or (data[start] == _ZERO and at > start + 1) else at
    if follows == TEXT:
        at = _end_of_text(data, at, end)
        return at if at < end and data[at] == _QUOTE else BROKEN
    if follows == FLAG:
        return _end_of_flag(data, at, end) if at < end else BROKEN
    if at >= end or data[at] != _OPEN_ARRAY:
        return BROKEN
    while at + 1 < end and not (data[at] == _CLOSE_ARRAY and (data[at + 1] == _CLOSE_ARRAY or at == start + 1)):
        at += 1
    return at + (1 if at == start + 1 else 2)


@inlined_kernel
def _is_literal(data: OctetArray, at: int, end: int, literals: OctetArray, literal: int, n: int) -> bool:
    """Whether data[at : at + n] is the literal piece; eight bytes at a time as long as they belong to the message."""
    if at + n > end:
        return False
    i = 0
    while i < n and at + i + 8 <= end:
        different = load_8(data, at + i) ^ load_8(literals, literal + i)
        if n - i < 8:
            return different & _LOW_BYTES[n - i] == 0
        if different != 0:
            return False
        i += 8
    while i < n:
        if data[at + i] != literals[literal + i]:
            return False
        i += 1
    return True


@kernel
def scan_expected(data: OctetArray, at: int, end: int, rows: Int64Array, literals: OctetArray, tokens: Int64Array, n_slots: int) -> int:
    """Tokens of the object at `at` if it is as the template `rows` says, else BROKEN. Position after it.

    A LEVELS span is only bracketed here: who reads it (market.read_levels) checks every byte of it.
    """
    for i in range(n_slots):
        tokens[i, 0] = ABSENT
    for r in range(rows.shape[0]):
        literal, n, follows, slot = rows[r, 0], rows[r, 1], rows[r, 2], rows[r, 3]
        if not _is_literal(data, at, end, literals, literal, n):
            if rows[r, 4] != 0:
                continue
            return BROKEN
        at += n
        if follows == NOTHING:
            continue
        after = _value(data, at, end, follows)
        if after < 0 or after > end:
            return BROKEN
        kind = STRING
        if follows == DIGITS:
            kind = NUMBER
        elif follows == LEVELS:
            kind = ARRAY
        elif follows == FLAG:
            kind = TRUE if data[at] == 116 else FALSE
        if slot >= 0:
            tokens[slot, 0], tokens[slot, 1], tokens[slot, 2] = kind, at, after
        at = after + 1 if follows == TEXT else after
    return at
