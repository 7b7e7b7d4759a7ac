"""A JSON scanner over bytes (RFC 8259): one object to tokens, everything else skipped but checked.

`data` is uint8; positions are byte indexes, `end` the first byte that does not belong to the message. A token is one row (type, start, end) of
an int64 array, at the number that a `key_table` gives its key; the span of a string lies inside its quotes, of an object or array over its
brackets. Members whose key is not in the table are skipped. The whole object is checked: a text that is not JSON gives BROKEN, whoever
asked for which members.
Two deviations, both on the strict side: a known key that comes twice is refused, and nesting beyond MAX_DEPTH.
What is not checked is UTF-8 within strings: no text leaves the scanner.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.kernels.arrays import Int64Array, OctetArray
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.wire.binance.names import MAX_TEXT, identify, identify_words

ABSENT, STRING, ESCAPED, NUMBER, OBJECT, ARRAY, TRUE, FALSE, NULL = range(9)
BROKEN = -1
MAX_DEPTH = 60

_QUOTE, _BACKSLASH, _COMMA, _COLON = 34, 92, 44, 58
_OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_ARRAY, _CLOSE_ARRAY = 123, 125, 91, 93
_MINUS, _PLUS, _POINT, _ZERO, _NINE = 45, 43, 46, 48, 57
_E, _e, _u = 69, 101, 117
_TRUE, _FALSE, _NULL = (np.frombuffer(word, np.uint8) for word in (b"true", b"false", b"null"))
_ESCAPES = np.zeros(256, np.int64)  # what may follow a backslash, and the byte it stands for
for _letter, _byte in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _ESCAPES[_letter] = _byte


@inlined_kernel
def skip_space(data: OctetArray, at: int, end: int) -> int:
    """First byte at or after `at` that is not white space."""
    while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


@kernel
def _hex_digit(byte: int) -> int:
    if _ZERO <= byte <= _NINE:
        return byte - _ZERO
    byte |= 32
    return byte - 87 if 97 <= byte <= 102 else -1


@kernel
def _escape(data: OctetArray, at: int, end: int) -> int:
    """Position after the escape whose backslash is at `at`, or BROKEN."""
    if at + 1 >= end:
        return BROKEN
    if data[at + 1] != _u:
        return at + 2 if _ESCAPES[data[at + 1]] != 0 else BROKEN
    if at + 6 > end:
        return BROKEN
    for i in range(at + 2, at + 6):
        if _hex_digit(np.int64(data[i])) < 0:
            return BROKEN
    return at + 6


@kernel
def skip_string(data: OctetArray, at: int, end: int) -> int:
    """Position after the string whose opening quote is at `at`, BROKEN, or for one with escapes: -2 - position."""
    at += 1
    escaped = False
    while at < end:
        byte = data[at]
        if byte == _QUOTE:
            return -3 - at if escaped else at + 1
        if byte < 32:
            return BROKEN
        if byte == _BACKSLASH:
            escaped = True
            at = _escape(data, at, end)
            if at < 0:
                return BROKEN
        else:
            at += 1
    return BROKEN


@kernel
def _skip_digits(data: OctetArray, at: int, end: int) -> int:
    while at < end and _ZERO <= data[at] <= _NINE:
        at += 1
    return at


@kernel
def skip_number(data: OctetArray, at: int, end: int) -> int:
    """Position after the number that begins at `at`, or BROKEN."""
    if at < end and data[at] == _MINUS:
        at += 1
    first = at
    at = _skip_digits(data, at, end)
    if at == first or (data[first] == _ZERO and at > first + 1):
        return BROKEN
    if at < end and data[at] == _POINT:
        first = at + 1
        at = _skip_digits(data, first, end)
        if at == first:
            return BROKEN
    if at < end and (data[at] == _e or data[at] == _E):
        at += 1
        if at < end and (data[at] == _MINUS or data[at] == _PLUS):
            at += 1
        first = at
        at = _skip_digits(data, first, end)
        if at == first:
            return BROKEN
    return at


@kernel
def _skip_word(data: OctetArray, at: int, end: int, word: OctetArray) -> int:
    if at + word.size > end:
        return BROKEN
    for i in range(word.size):
        if data[at + i] != word[i]:
            return BROKEN
    return at + word.size


@kernel
def _skip_scalar(data: OctetArray, at: int, end: int) -> int:
    """Position after a string, number or word, or BROKEN. `at` is within the message."""
    byte = data[at]
    if byte == _QUOTE:
        after = skip_string(data, at, end)
        return -2 - after if after < BROKEN else after
    if byte == 116:
        return _skip_word(data, at, end, _TRUE)
    if byte == 102:
        return _skip_word(data, at, end, _FALSE)
    if byte == 110:
        return _skip_word(data, at, end, _NULL)
    return skip_number(data, at, end)


@kernel
def _skip_key(data: OctetArray, at: int, end: int) -> int:
    """Position after a key and its colon, or BROKEN."""
    at = skip_space(data, at, end)
    if at >= end or data[at] != _QUOTE:
        return BROKEN
    at = skip_string(data, at, end)
    if at < BROKEN:
        at = -2 - at
    if at < 0:
        return BROKEN
    at = skip_space(data, at, end)
    return at + 1 if at < end and data[at] == _COLON else BROKEN


@kernel
def skip_value(data: OctetArray, at: int, end: int) -> int:
    """Position after the value that begins at or after `at` (white space first), or BROKEN. All of it is checked; open brackets are bits."""
    depth, objects = 0, 0
    while True:
        at = skip_space(data, at, end)
        if at >= end:
            return BROKEN
        byte = data[at]
        if byte == _OPEN_OBJECT or byte == _OPEN_ARRAY:
            if depth == MAX_DEPTH:
                return BROKEN
            is_object = 1 if byte == _OPEN_OBJECT else 0
            depth += 1
            objects = (objects << 1) | is_object
            at = skip_space(data, at + 1, end)
            if at >= end:
                return BROKEN
            if data[at] != byte + 2:  # both closing brackets stand two places after the opening ones
                if is_object:
                    at = _skip_key(data, at, end)
                    if at < 0:
                        return BROKEN
                continue
        else:
            at = _skip_scalar(data, at, end)
            if at < 0:
                return BROKEN
        while depth > 0:
            at = skip_space(data, at, end)
            if at >= end:
                return BROKEN
            byte = data[at]
            at += 1
            if byte == _COMMA:
                if objects & 1:
                    at = _skip_key(data, at, end)
                    if at < 0:
                        return BROKEN
                break
            if byte != (_CLOSE_OBJECT if objects & 1 else _CLOSE_ARRAY):
                return BROKEN
            depth -= 1
            objects >>= 1
        else:
            return at


@kernel
def put_token(data: OctetArray, at: int, end: int, tokens: Int64Array, slot: int) -> int:
    """The value that begins at `at` as row `slot` of `tokens` (int64 (TOKENS, 3)). Position after it, or BROKEN."""
    byte = data[at]
    if byte == _QUOTE:
        after = skip_string(data, at, end)
        kind = STRING
        if after < BROKEN:
            after, kind = -2 - after, ESCAPED
        if after < 0:
            return BROKEN
        tokens[slot, 0], tokens[slot, 1], tokens[slot, 2] = kind, at + 1, after - 1
        return after
    after = skip_value(data, at, end)
    if after < 0:
        return BROKEN
    kind = NUMBER
    if byte == _OPEN_OBJECT:
        kind = OBJECT
    elif byte == _OPEN_ARRAY:
        kind = ARRAY
    elif byte == 116:
        kind = TRUE
    elif byte == 102:
        kind = FALSE
    elif byte == 110:
        kind = NULL
    tokens[slot, 0], tokens[slot, 1], tokens[slot, 2] = kind, at, after
    return after


@kernel
def identify_escaped(data: OctetArray, start: int, end: int, table: Int64Array) -> int:
    """`identify` of a string with escapes, checked before: what it stands for. -1 for a text that is not there, or not ASCII."""
    w0: Any = 0
    w1: Any = 0
    w2: Any = 0
    n = 0
    while start < end:
        byte: Any = np.int64(data[start])
        start += 1
        if byte == _BACKSLASH:
            byte = np.int64(data[start])
            start += 1
            if byte == _u:
                byte = 0
                for i in range(4):
                    byte = byte * 16 + _hex_digit(np.int64(data[start + i]))
                start += 4
            else:
                byte = _ESCAPES[byte]
        if byte > 127 or byte == 0 or n == MAX_TEXT:
            return -1
        if n < 8:
            w0 |= byte << (8 * n)
        elif n < 16:
            w1 |= byte << (8 * (n - 8))
        else:
            w2 |= byte << (8 * (n - 16))
        n += 1
    return identify_words(w0, w1, w2, n, table)


@inlined_kernel
def text_number(data: OctetArray, tokens: Int64Array, slot: int, table: Int64Array) -> int:
    """Number of a string token in a `key_table`, -1 if it is not there or no string."""
    kind = tokens[slot, 0]
    if kind == STRING:
        return identify(data, tokens[slot, 1], tokens[slot, 2] - tokens[slot, 1], table)
    return identify_escaped(data, tokens[slot, 1], tokens[slot, 2], table) if kind == ESCAPED else -1


@kernel
def scan_object(data: OctetArray, at: int, end: int, table: Int64Array, tokens: Int64Array, n_slots: int) -> int:
    """Tokens of the object that begins at or after `at`. Position after it, or BROKEN. Rows 0 .. n_slots - 1 of `tokens` are written."""
    for i in range(n_slots):
        tokens[i, 0] = ABSENT
    at = skip_space(data, at, end)
    if at >= end or data[at] != _OPEN_OBJECT:
        return BROKEN
    at = skip_space(data, at + 1, end)
    if at < end and data[at] == _CLOSE_OBJECT:
        return at + 1
    while True:
        at = skip_space(data, at, end)
        if at >= end or data[at] != _QUOTE:
            return BROKEN
        after = skip_string(data, at, end)
        if after == BROKEN:
            return BROKEN
        if after < 0:
            after = -2 - after
            slot = identify_escaped(data, at + 1, after - 1, table)
        else:
            slot = identify(data, at + 1, after - at - 2, table)
        at = skip_space(data, after, end)
        if at >= end or data[at] != _COLON:
            return BROKEN
        at = skip_space(data, at + 1, end)
        if at >= end or (slot >= 0 and tokens[slot, 0] != ABSENT):
            return BROKEN
        at = put_token(data, at, end, tokens, slot) if slot >= 0 else skip_value(data, at, end)
        if at < 0:
            return BROKEN
        at = skip_space(data, at, end)
        if at >= end:
            return BROKEN
        if data[at] == _CLOSE_OBJECT:
            return at + 1
        if data[at] != _COMMA:
            return BROKEN
        at += 1


@inlined_kernel
def next_item(data: OctetArray, at: int, end: int) -> int:
    """Of an array that was checked: `at` is after its opening bracket or after an item. Start of the next item, BROKEN if there is none."""
    at = skip_space(data, at, end)
    if at < end and data[at] == _COMMA:
        at = skip_space(data, at + 1, end)
    return BROKEN if at >= end or data[at] == _CLOSE_ARRAY else at
