"""CRC-32C (Castagnoli) over int64 words, eight bytes a step (slicing-by-8).

Polynomial 0x1EDC6F41, reflected 0x82F63B78, initial value and final xor 0xFFFFFFFF: RFC 3720, appendix B.4. The tables are built here
at import from the polynomial.
"""

from __future__ import annotations

import numpy as np

from hftkit.kernels.arrays import Int64Array
from hftkit.kernels.jit import kernel

_POLYNOMIAL = 0x82F63B78


def _tables() -> np.ndarray:
    tables = np.zeros((8, 256), np.int64)
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        tables[0, byte] = value
    for k in range(1, 8):
        tables[k] = (tables[k - 1] >> 8) ^ tables[0, tables[k - 1] & 0xFF]
    return tables


_TABLES = _tables()


@kernel
def crc32c_words(words: Int64Array, start: int, count: int, crc: int) -> int:
    """CRC-32C of words[start : start + count] (int64, as little-endian bytes), continuing from `crc` (0 to begin)."""
    state = crc ^ 0xFFFFFFFF
    for i in range(start, start + count):
        word = words[i]
        low = (word & 0xFFFFFFFF) ^ state
        high = (word >> 32) & 0xFFFFFFFF
        state = (
            _TABLES[7, low & 0xFF]
            ^ _TABLES[6, (low >> 8) & 0xFF]
            ^ _TABLES[5, (low >> 16) & 0xFF]
            ^ _TABLES[4, (low >> 24) & 0xFF]
            ^ _TABLES[3, high & 0xFF]
            ^ _TABLES[2, (high >> 8) & 0xFF]
            ^ _TABLES[1, (high >> 16) & 0xFF]
            ^ _TABLES[0, (high >> 24) & 0xFF]
        )
    return state ^ 0xFFFFFFFF
