"""Decimal text to integers, exactly or not at all: prices to ticks, quantities to lots, money to 1e-8, without a float in between.

The grammar is JSON's number (RFC 8259, 6), also inside a string, and leading zeros do not matter. A value that is not a whole number of steps,
does not fit in 63 bits counted in units of the step's last decimal, or is not a number gives REFUSED. Oracle in the tests: hftkit/units.py
(Python's Decimal).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.kernels.arrays import Int64Array, OctetArray
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.wire.binance.json import ESCAPED, NUMBER, STRING

REFUSED = -(2**63)
_MAX = 2**63 - 1
_LIMIT = _MAX // 10
_POWERS = np.array([10**k for k in range(19)], np.int64)
_MINUS, _PLUS, _POINT, _ZERO = 45, 43, 46, 48
MAX_EXPONENT = 60


@kernel
def _digits(data: OctetArray, start: int, end: int, decimals: int) -> int:
    """Digits with at most one point, times 10 ** decimals; REFUSED if that is not whole or too large. No sign, no exponent."""
    value: Any = 0
    point, seen = -1, 0
    for at in range(start, end):
        digit = np.int64(data[at]) - _ZERO
        if digit == _POINT - _ZERO and point < 0 and seen > 0 and at + 1 < end:
            point = at
            continue
        if digit < 0 or digit > 9:
            return REFUSED
        seen += 1
        if point >= 0:
            if decimals <= 0:
                if digit != 0:
                    return REFUSED
                continue
            decimals -= 1
        if value > _LIMIT or (value == _LIMIT and digit > 7):
            return REFUSED
        value = value * 10 + digit
    if seen == 0:
        return REFUSED
    if value == 0:
        return 0
    if decimals > 18 or decimals < -18:
        return REFUSED
    if decimals >= 0:
        return value * _POWERS[decimals] if value <= _MAX // _POWERS[decimals] else REFUSED
    return value // _POWERS[-decimals] if value % _POWERS[-decimals] == 0 else REFUSED


@kernel
def _with_exponent(data: OctetArray, start: int, end: int, decimals: int) -> int:
    """`_digits` of a number that may have an exponent."""
    at = start
    while at < end and data[at] != 69 and data[at] != 101:
        at += 1
    if at == end:
        return _digits(data, start, end, decimals)
    mark = at
    at += 1
    down = at < end and data[at] == _MINUS
    if at < end and (data[at] == _MINUS or data[at] == _PLUS):
        at += 1
    if at == end:
        return REFUSED
    exponent: Any = 0
    for i in range(at, end):
        digit = np.int64(data[i]) - _ZERO
        if digit < 0 or digit > 9:
            return REFUSED
        exponent = min(exponent * 10 + digit, MAX_EXPONENT)
    return _digits(data, start, mark, decimals - exponent if down else decimals + exponent)


@kernel
def parse_steps(data: OctetArray, start: int, end: int, mantissa: int, decimals: int) -> int:
    """Steps of mantissa / 10 ** decimals in the decimal data[start:end] (uint8), or REFUSED. `decimals` <= 18."""
    at = start
    negative = at < end and data[at] == _MINUS
    if negative:
        at += 1
    value: Any = 0
    first, left = at, decimals
    stop = min(end, at + 17)  # up to here nothing overflows
    while at < stop:
        digit = np.int64(data[at]) - _ZERO
        if digit < 0 or digit > 9:
            break
        value = value * 10 + digit
        at += 1
    plain = at > first
    if plain and at + 1 < stop and data[at] == _POINT:
        at += 1
        while at < stop:
            digit = np.int64(data[at]) - _ZERO
            if digit < 0 or digit > 9 or left == 0:
                break
            value = value * 10 + digit
            left -= 1
            at += 1
        while at < end and left == 0 and data[at] == _ZERO:
            at += 1
    if plain and at == end and (value == 0 or (left <= 18 and value <= _MAX // _POWERS[left])):
        value *= _POWERS[left] if value != 0 else 1
    else:
        value = _with_exponent(data, first, end, decimals)
        if value < 0:
            return REFUSED
    if mantissa != 1:
        if value % mantissa != 0:
            return REFUSED
        value //= mantissa
    return -value if negative else value


@kernel
def steps_of(data: OctetArray, tokens: Int64Array, slot: int, mantissa: int, decimals: int) -> int:
    """`parse_steps` of a string or number token; REFUSED for any other."""
    kind = tokens[slot, 0]
    if kind != STRING and kind != NUMBER:
        return REFUSED
    return parse_steps(data, tokens[slot, 1], tokens[slot, 2], mantissa, decimals)


@kernel
def integer_of(data: OctetArray, tokens: Int64Array, slot: int) -> int:
    """A whole number token (ids, times: JSON numbers without fraction or exponent), or REFUSED."""
    if tokens[slot, 0] != NUMBER:
        return REFUSED
    value: Any = 0
    at, end = tokens[slot, 1], tokens[slot, 2]
    negative = data[at] == _MINUS
    if negative:
        at += 1
    for i in range(at, end):
        digit = np.int64(data[i]) - _ZERO
        if digit < 0 or digit > 9 or value > _LIMIT or (value == _LIMIT and digit > 7):
            return REFUSED
        value = value * 10 + digit
    return -value if negative else value


@inlined_kernel
def is_text(tokens: Int64Array, slot: int) -> bool:
    """Whether a token is a string."""
    return tokens[slot, 0] == STRING or tokens[slot, 0] == ESCAPED
