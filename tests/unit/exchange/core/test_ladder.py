"""The two indexes of the matching engine, beside sets and dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.exchange.core.ladder import (
    clear_level,
    find_key,
    highest_level,
    insert_key,
    level_above,
    level_below,
    lowest_level,
    mark_level,
    remove_key,
)
from hftkit.exchange.core.layout import BITMAP_WORDS, KEY, LADDER_TICKS
from hftkit.kernels.jit import kernel

CELLS = 1 << 16


@kernel
def set_level(bitmap: Any, level: int, alive: int) -> None:
    """One change of a bitmap, as an entry from Python."""
    if alive != 0:
        mark_level(bitmap, level)
    else:
        clear_level(bitmap, level)


edges = st.sampled_from([0, 63, 64, 4095, 4096, 4097, 131_071, 131_072, LADDER_TICKS - 64, LADDER_TICKS - 1])
levels = st.one_of(st.integers(0, 200), edges, st.integers(0, LADDER_TICKS - 1)).map(np.int64)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(levels, st.booleans()), max_size=60), levels)
def test_a_bitmap_is_a_sorted_set(changes: list[tuple[Any, bool]], place: Any) -> None:
    bitmap, alive = np.zeros(BITMAP_WORDS, np.int64), set[Any]()
    for level, is_alive in changes:
        if is_alive or level in alive:  # only what is alive dies
            set_level(bitmap, level, int(is_alive))
            (alive.add if is_alive else alive.discard)(level)
        assert highest_level(bitmap) == max(alive, default=-1)
        assert lowest_level(bitmap) == min(alive, default=-1)
        for at in (level, place):
            assert level_above(bitmap, at) == min((x for x in alive if x > at), default=-1)
            assert level_below(bitmap, at) == max((x for x in alive if x < at), default=-1)


IDS = {
    "counted": lambda k: 1 + k,
    "counted in a session": lambda k: (1_763_700_000 << 32) + k,
    "a counter above": lambda k: (k + 1) << 32,
    "a time above, ms << 22": lambda k: (1_763_700_000_000 + k) << 22,
    "microseconds as ns": lambda k: (1_763_700_000_000_000 + k) * 1000,
    "every eighth": lambda k: 8 * k,
    "blocks of 64, far apart": lambda k: (k >> 6 << 40) + (k & 63),
    "the dialect's": lambda k: (1 << 62) + k,
    "negative": lambda k: -1 - k,
    "random": lambda k: int(np.random.default_rng(k).integers(1, 2**63)),
}


@pytest.mark.parametrize("pattern", IDS)
def test_ids_of_any_pattern_are_found_and_do_not_cluster(pattern: str) -> None:
    """A table half full: a lookup walks to the end of a run of cells, so the longest run is what the slowest order pays."""
    table, rng = np.zeros(CELLS, KEY.dtype), np.random.default_rng(1)
    keys = [(k % 3, IDS[pattern](k)) for k in range(CELLS // 2)]
    for slot, (account, number) in enumerate(keys, 1):
        insert_key(table, account, number, slot)
    empty = np.flatnonzero(table["slot"] == 0)
    longest = int(np.diff(empty, append=empty[0] + CELLS).max()) - 1
    assert longest < 256, f"{longest} cells in a run"
    slots = {key: slot for slot, key in enumerate(keys, 1)}
    for k in rng.permutation(len(keys))[:2000]:
        remove_key(table, *keys[k])
        del slots[keys[k]]
    for k in rng.permutation(len(keys))[:4000]:
        assert find_key(table, *keys[k]) == slots.get(keys[k], 0)
    assert np.count_nonzero(table["slot"]) == len(slots)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, 2, 3, 1 << 32, 2 << 32, -1]), st.booleans()), max_size=60))
def test_a_table_is_a_dictionary(changes: list[tuple[int, int, bool]]) -> None:
    """The same ids in several accounts, in so few cells that they stand in each other's way."""
    table, slots = np.zeros(16, KEY.dtype), dict[tuple[int, int], int]()
    for k, (account, number, adds) in enumerate(changes, 1):
        key = account, number
        if adds and key not in slots and len(slots) < 8:
            insert_key(table, account, number, k)
            slots[key] = k
        elif not adds and key in slots:
            remove_key(table, account, number)
            del slots[key]
        for owner in range(4):
            for other in (1, 2, 3, 1 << 32, 2 << 32, -1):
                assert find_key(table, owner, other) == slots.get((owner, other), 0)
