"""Texts by identity: keys, event names, symbols and enumerations become small integers without comparing texts one by one.

A text of at most 24 bytes is three int64 words (zero padded) and its length; an open hash table of these gives its number. Two texts
with the same words and length are the same text, so nothing is taken for something else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.kernels.arrays import Int64Array, OctetArray
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.memory.intrinsics import load_8

MAX_TEXT = 24
KEY_COLUMNS = 5  # three words, length, number
_K1, _K2, _K3 = 0x1E3779B97F4A7C15, 0x2545F4914F6CDD1D, 0x3C79AC492BA7B653
_FOLD = 40
_LOW_BYTES = np.array([*((1 << 8 * n) - 1 for n in range(8)), -1], np.int64)


def identity_words(text: bytes) -> tuple[int, int, int]:
    """The three int64 words of a text of at most MAX_TEXT bytes."""
    padded = text.ljust(MAX_TEXT, b"\0")
    return tuple(int.from_bytes(padded[i : i + 8], "little", signed=True) for i in (0, 8, 16))  # type: ignore[return-value]


def key_table(texts: list[str] | dict[str, int]) -> np.ndarray:
    """int64 (slots, KEY_COLUMNS): each text with its number (its place in a sequence). At most a quarter full."""
    numbers = dict(texts) if isinstance(texts, dict) else {text: i for i, text in enumerate(texts)}
    slots = 8
    while slots < 4 * len(numbers):
        slots *= 2
    table = np.zeros((slots, KEY_COLUMNS), np.int64)
    for text, number in numbers.items():
        raw = text.encode()
        if not 0 < len(raw) <= MAX_TEXT:
            raise ValueError(f"{text!r} must have 1 to {MAX_TEXT} bytes")
        words = identity_words(raw)
        at = _slot(words, len(raw)) & (slots - 1)
        while table[at, 3] != 0:
            at = (at + 1) & (slots - 1)
        table[at] = (*words, len(raw), number)
    return table


def _slot(words: tuple[int, int, int], length: int) -> int:
    mixed = (words[0] * _K1 + words[1] * _K2 + words[2] * _K3 + length) & (2**64 - 1)
    return mixed >> _FOLD


@inlined_kernel
def identify_words(w0: int, w1: int, w2: int, n_bytes: int, table: Int64Array) -> int:
    """Number of a text, given as its words and length, in a `key_table`; -1 if it is not there."""
    mask = table.shape[0] - 1
    at = ((w0 * _K1 + w1 * _K2 + w2 * _K3 + n_bytes) >> _FOLD) & mask
    while table[at, 3] != 0:
        if table[at, 0] == w0 and table[at, 1] == w1 and table[at, 2] == w2 and table[at, 3] == n_bytes:
            return table[at, 4]
        at = (at + 1) & mask
    return -1


@inlined_kernel
def _word(data: OctetArray, start: int, n_bytes: int) -> int:
    """The first eight of n_bytes bytes as an identity word, zero padded."""
    if start + 8 <= data.size:
        return load_8(data, start) & _LOW_BYTES[min(n_bytes, 8)]
    word: Any = 0
    for i in range(min(n_bytes, 8)):
        word |= np.int64(data[start + i]) << (8 * i)
    return word


@kernel
def identify(data: OctetArray, start: int, n_bytes: int, table: Int64Array) -> int:
    """Number of the text data[start:][:n_bytes] (uint8) in a `key_table`, -1 if it is not there."""
    if n_bytes <= 0 or n_bytes > MAX_TEXT:
        return -1
    w0 = _word(data, start, n_bytes)
    w1 = _word(data, start + 8, n_bytes - 8) if n_bytes > 8 else 0
    w2 = _word(data, start + 16, n_bytes - 16) if n_bytes > 16 else 0
    return identify_words(w0, w1, w2, n_bytes, table)
