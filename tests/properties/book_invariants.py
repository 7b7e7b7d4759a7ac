"""What the memory of the matching engine must look like at any moment, read cell by cell, whatever its twin says."""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import OrderFlag
from hftkit.exchange.core.ladder import find_key
from hftkit.exchange.core.layout import SUMMARY1, SUMMARY2, TIMED, WAITING
from hftkit.exchange.core.matching import Books


def chain(books: Books, level: Any) -> list[int]:
    """Slots of one queue, link by link; checks the links and the total on the way."""
    slots, slot, before = [], int(level["head"]), 0
    while slot:
        order = books.orders[slot]
        assert order["prev"] == before
        slots.append(slot)
        before, slot = slot, int(order["next"])
    assert level["tail"] == before
    assert level["qty"] == sum(int(books.orders[s]["leaves"]) for s in slots)
    return slots


def _bits(bitmap: Any) -> list[int]:
    """Levels alive in a bitmap, whose summaries must say the same."""
    words = bitmap.view(np.uint64)
    alive = np.unpackbits(words[:SUMMARY1].view(np.uint8), bitorder="little")
    middle = np.unpackbits(words[SUMMARY1:SUMMARY2].view(np.uint8), bitorder="little")
    top = np.unpackbits(words[SUMMARY2:].view(np.uint8), bitorder="little")
    assert (middle == (words[:SUMMARY1] != 0)).all()
    assert (top == (words[SUMMARY1:SUMMARY2] != 0)).all()
    return [int(level) for level in np.flatnonzero(alive)]


def check_memory(books: Books) -> None:
    """Slots, queues, bitmaps, best prices, keys, dates, account chains and exposures fit together, and no book is crossed."""
    orders, counters = books.orders, books.counters[0]
    queued: list[int] = []
    for instrument, top in enumerate(books.tops):
        base, levels = int(top["base"]), books.levels[instrument]
        sides: list[list[int]] = [[], []]
        reducing = resting = 0
        for index in np.flatnonzero(levels["head"]):
            slots = chain(books, levels[index])
            (side,) = {int(orders[s]["side"]) for s in slots}  # a price holds bids or asks, never both
            sides[side].append(int(index))
            for s in slots:
                assert (orders[s]["price"], orders[s]["instrument"], orders[s]["flags"] & WAITING) == (base + index, instrument, 0)
                assert orders[s]["leaves"] > 0
            reducing += sum(bool(orders[s]["flags"] & OrderFlag.REDUCE_ONLY) for s in slots)
            resting += len(slots)
            queued += slots
        assert (levels["qty"][levels["head"] == 0] == 0).all()
        assert (top["n_orders"], top["n_reducing"], top["n_bid"], top["n_ask"]) == (resting, reducing, len(sides[0]), len(sides[1]))
        assert [_bits(books.bitmaps[instrument, side]) for side in (0, 1)] == sides
        assert top["bid"] == (base + sides[0][-1] if sides[0] else 0)
        assert top["ask"] == (base + sides[1][0] if sides[1] else 0)
        assert not (sides[0] and sides[1]) or top["bid"] < top["ask"]
        for row in (0, 1):
            alive = [int(index) for index in np.flatnonzero(books.triggers[instrument, row]["head"])]
            assert _bits(books.bitmaps[instrument, 2 + row]) == alive
            assert top[("up", "down")[row]] == (base + alive[-row] if alive else 0)  # the lowest of the rises, the highest of the falls
            for index in alive:
                slots = chain(books, books.triggers[instrument, row, index])
                assert all(orders[s]["flags"] & WAITING and orders[s]["price"] == base + index for s in slots)
                queued += slots
    _check_slots(books, queued)
    _check_dates(books, queued)
    assert counters["n_open"] == len(queued) == np.count_nonzero(books.table["slot"])
    for s in queued:
        assert find_key(books.table, int(orders[s]["account"]), int(orders[s]["client_order_id"])) == s


def _check_slots(books: Books, queued: list[int]) -> None:
    """Every slot ever used is either in one queue and in its owner's chain, or free, and only once."""
    free, slot = [], int(books.counters[0]["free"])
    while slot:
        free.append(slot)
        assert books.orders[slot]["leaves"] == 0
        slot = int(books.orders[slot]["next"])
    assert sorted(queued + free) == list(range(1, int(books.counters[0]["high_water"]) + 1))
    owned: list[int] = []
    expected, reducing = np.zeros((2, *books.exposures.shape, 2), np.int64)
    for account, owner in enumerate(books.owners):
        slot, before = int(owner["first"]), 0
        while slot:
            order = books.orders[slot]
            assert (order["own_prev"], order["account"]) == (before, account)
            owned.append(slot)
            if not order["flags"] & (WAITING | OrderFlag.REDUCE_ONLY):
                expected[account, order["instrument"], order["side"]] += int(order["leaves"]) * int(order["price"])
            elif not order["flags"] & WAITING:
                reducing[account, order["instrument"], order["side"]] += int(order["leaves"])
            before, slot = slot, int(order["own_next"])
        assert owner["last"] == before
    assert sorted(owned) == sorted(queued)
    assert (expected[:, :, 0] == books.exposures["open_bid"]).all()
    assert (expected[:, :, 1] == books.exposures["open_ask"]).all()
    assert (reducing[:, :, 0] == books.exposures["reducing_bid"]).all()
    assert (reducing[:, :, 1] == books.exposures["reducing_ask"]).all()
    assert (reducing[:, :, 0] <= np.maximum(0, -books.exposures["position"])).all()  # never more than the position
    assert (reducing[:, :, 1] <= np.maximum(0, books.exposures["position"])).all()
    assert (books.exposures["position"].sum(axis=0) == 0).all()


def _check_dates(books: Books, queued: list[int]) -> None:
    """The dated orders are a heap, the earliest date on top, and each knows its place."""
    heap = [int(slot) for slot in books.dates[: int(books.counters[0]["n_dates"])]]
    assert sorted(heap) == sorted(s for s in queued if books.orders[s]["flags"] & TIMED)
    keys = [(int(books.conditions[s]["expire_ts"]), int(books.orders[s]["order_id"])) for s in heap]
    assert [int(books.conditions[s]["place"]) for s in heap] == list(range(len(heap)))
    assert all(keys[(place - 1) // 2] < keys[place] for place in range(1, len(heap)))
