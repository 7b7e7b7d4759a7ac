"""Header word of a binary frame, packed and unpacked (hftkit/layout.py draws it; docs/protocol.md tells it to C programmers).

Buffers are int64 arrays: every frame is a whole number of words, so a field is one load and an index out of range is
caught by NUMBA_BOUNDSCHECK=1.
"""

from __future__ import annotations

import numpy as np

from hftkit.kernels.arrays import Int64Array
from hftkit.kernels.jit import kernel
from hftkit.layout import FRAMES, HEADER_WORDS, MAX_FRAME_WORDS, PROTOCOL_VERSION, WORD

_WORDS_OF_TYPE = np.zeros(256, np.int64)  # expected length by type, 0 for types that do not exist
for _frame in FRAMES:
    _WORDS_OF_TYPE[int(_frame.type)] = _frame.words

# Verdicts of check_frame
FRAME_OK = 0
FRAME_INCOMPLETE = 1  # more bytes must arrive
FRAME_UNKNOWN = 2  # length is plausible, type or version is not: count it, skip it
FRAME_BROKEN = -1  # the length cannot be right: the stream cannot be followed any further


@kernel
def header(message_type: int, words: int, instrument: int) -> int:
    """Header word 0. `words`: whole frame, header included; `instrument`: id, or 0xFFFFFFFF for all / none."""
    return (words * WORD) | (message_type << 16) | (PROTOCOL_VERSION << 24) | ((instrument & 0xFFFFFFFF) << 32)


@kernel
def frame_type(word0: int) -> int:
    """Message type of a header word."""
    return (word0 >> 16) & 0xFF


@kernel
def frame_words(word0: int) -> int:
    """Length of the frame in words."""
    return (word0 & 0xFFFF) >> 3


@kernel
def frame_instrument(word0: int) -> int:
    """Instrument id, -1 for all / none."""
    instrument = (word0 >> 32) & 0xFFFFFFFF
    return -1 if instrument == 0xFFFFFFFF else instrument


@kernel
def check_frame(words: Int64Array, start: int, end: int) -> int:
    """Is there a whole, plausible frame at word `start` of the received words[:end]? Returns a FRAME_* verdict."""
    if end - start < 1:
        return FRAME_INCOMPLETE
    word0 = words[start]
    length = word0 & 0xFFFF
    if length % WORD != 0 or length < HEADER_WORDS * WORD or length > MAX_FRAME_WORDS * WORD:
        return FRAME_BROKEN
    n_words = length >> 3
    if end - start < n_words:
        return FRAME_INCOMPLETE
    if (word0 >> 24) & 0xFF != PROTOCOL_VERSION or _WORDS_OF_TYPE[frame_type(word0)] != n_words:
        return FRAME_UNKNOWN
    return FRAME_OK
