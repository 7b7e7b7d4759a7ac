"""The two indexes of the matching engine: which price levels are alive, and which slot holds an order.

**Bitmap.** One bit for each price of the window, and two summaries (one bit for each non-empty word below), so that the best, the
next higher and the next lower level are found in three instructions each, however sparse the book. A bitmap is an int64
array (layout.BITMAP_WORDS,); a level is its price minus the window's base.

**Keys.** Open addressing with linear probing; removal shifts the following cells back, so there are no tombstones and the
table never needs rebuilding (Knuth, TAOCP 3, 6.4, algorithm R). The table is at least twice the number of slots.
"""

from __future__ import annotations

from hftkit.exchange.core.layout import SUMMARY1, SUMMARY2
from hftkit.exchange.core.records import KeyArray
from hftkit.kernels.arrays import Int64Array
from hftkit.kernels.bits import leading_zeros, trailing_zeros
from hftkit.kernels.jit import inlined_kernel, kernel

_MIX1 = 0x1E3779B97F4A7C15  # odd; the golden ratio's bits, a usual multiplicative hash
_MIX2 = 0x3F58476D1CE4E5B9


@inlined_kernel
def mark_level(bitmap: Int64Array, level: int) -> None:
    """Level is alive now."""
    bitmap[level >> 6] |= 1 << (level & 63)
    bitmap[SUMMARY1 + (level >> 12)] |= 1 << ((level >> 6) & 63)
    bitmap[SUMMARY2] |= 1 << (level >> 12)


@inlined_kernel
def clear_level(bitmap: Int64Array, level: int) -> None:
    """Level is empty now."""
    bitmap[level >> 6] &= ~(1 << (level & 63))
    if bitmap[level >> 6] == 0:
        bitmap[SUMMARY1 + (level >> 12)] &= ~(1 << ((level >> 6) & 63))
        if bitmap[SUMMARY1 + (level >> 12)] == 0:
            bitmap[SUMMARY2] &= ~(1 << (level >> 12))


@kernel
def highest_level(bitmap: Int64Array) -> int:
    """Highest level alive, -1 if there is none."""
    if bitmap[SUMMARY2] == 0:
        return -1
    high = 63 - leading_zeros(bitmap[SUMMARY2])
    middle = (high << 6) | (63 - leading_zeros(bitmap[SUMMARY1 + high]))
    return (middle << 6) | (63 - leading_zeros(bitmap[middle]))


@kernel
def lowest_level(bitmap: Int64Array) -> int:
    """Lowest level alive, -1 if there is none."""
    if bitmap[SUMMARY2] == 0:
        return -1
    high = trailing_zeros(bitmap[SUMMARY2])
    middle = (high << 6) | trailing_zeros(bitmap[SUMMARY1 + high])
    return (middle << 6) | trailing_zeros(bitmap[middle])


@kernel
def level_below(bitmap: Int64Array, level: int) -> int:
    """Highest level alive strictly below `level`, -1 if there is none."""
    word = bitmap[level >> 6] & ((1 << (level & 63)) - 1)
    if word != 0:
        return (level >> 6 << 6) | (63 - leading_zeros(word))
    middle = level >> 6
    word = bitmap[SUMMARY1 + (middle >> 6)] & ((1 << (middle & 63)) - 1)
    if word == 0:
        high = middle >> 6
        word = bitmap[SUMMARY2] & ((1 << high) - 1)
        if word == 0:
            return -1
        high = 63 - leading_zeros(word)
        word = bitmap[SUMMARY1 + high]
        middle = high << 6
    middle = (middle >> 6 << 6) | (63 - leading_zeros(word))
    return (middle << 6) | (63 - leading_zeros(bitmap[middle]))


@kernel
def level_above(bitmap: Int64Array, level: int) -> int:
    """Lowest level alive strictly above `level`, -1 if there is none."""
    word = bitmap[level >> 6] & (-2 << (level & 63))
    if word != 0:
        return (level >> 6 << 6) | trailing_zeros(word)
    middle = level >> 6
    word = bitmap[SUMMARY1 + (middle >> 6)] & (-2 << (middle & 63))
    if word == 0:
        word = bitmap[SUMMARY2] & (-2 << (middle >> 6))
        if word == 0:
            return -1
        high = trailing_zeros(word)
        word = bitmap[SUMMARY1 + high]
        middle = high << 6
    middle = (middle >> 6 << 6) | trailing_zeros(word)
    return (middle << 6) | trailing_zeros(bitmap[middle])


@inlined_kernel
def _home(account: int, client_order_id: int, mask: int) -> int:
    """Where a key would like to be: 64 ids in a row lie in a row (their cells share cache lines), such runs are scattered.

    Longer runs would grow together into clusters of thousands, and a removal walks to the end of its cluster. The upper bits of the products
    scatter them: the lower ones depend on the lower bits of the id alone, and there are ids that differ only above (a time << 22, a counter << 32).
    """
    return (client_order_id + (((client_order_id >> 6) * _MIX1 + account * _MIX2) >> 37)) & mask


@kernel
def find_key(table: KeyArray, account: int, client_order_id: int) -> int:
    """Slot of an open order, 0 if there is none. `table`: layout.KEY (a power of two,)."""
    mask = table.size - 1
    i = _home(account, client_order_id, mask)
    while table[i].slot != 0:
        if table[i].client_order_id == client_order_id and table[i].account == account:
            return table[i].slot
        i = (i + 1) & mask
    return 0


@kernel
def insert_key(table: KeyArray, account: int, client_order_id: int, slot: int) -> None:
    """Remember where an order is. The caller has checked that the key is new."""
    mask = table.size - 1
    i = _home(account, client_order_id, mask)
    while table[i].slot != 0:
        i = (i + 1) & mask
    table[i].client_order_id = client_order_id
    table[i].account = account
    table[i].slot = slot


@kernel
def remove_key(table: KeyArray, account: int, client_order_id: int) -> None:
    """Forget an order. The caller has checked that the key is there."""
    mask = table.size - 1
    hole = _home(account, client_order_id, mask)
    while table[hole].client_order_id != client_order_id or table[hole].account != account or table[hole].slot == 0:
        hole = (hole + 1) & mask
    i = (hole + 1) & mask
    while table[i].slot != 0:
        home = _home(table[i].account, table[i].client_order_id, mask)
        if ((i - home) & mask) >= ((i - hole) & mask):  # its home is at or before the hole: it may move there
            table[hole].client_order_id = table[i].client_order_id
            table[hole].account = table[i].account
            table[hole].slot = table[i].slot
            hole = i
        i = (i + 1) & mask
    table[hole].slot = 0
    table[hole].client_order_id = 0
    table[hole].account = 0
