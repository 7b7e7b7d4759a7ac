"""The compiled matching engine and its plain twin, driven with the same operations: every report and the full books agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.exchange.layout import COMMAND, Op, ReportKind
from hftkit.exchange.matching import Books, apply, expire, fire_trigger, new_books, new_commands, new_reports
from hftkit.exchange.matching_plain import PlainExchange
from hftkit.kernels.jit import compiled_driver

LADDER = 128
REFERENCE = (1000, 40)  # the second window starts at tick 1
COMPARED = {
    ReportKind.ACK: ("account", "client_order_id", "order_id", "qty"),
    ReportKind.REJECT: ("account", "client_order_id", "reason"),
    ReportKind.CANCELED: ("account", "client_order_id", "order_id", "qty", "filled", "reason"),
    ReportKind.CANCEL_REJECT: ("account", "client_order_id", "reason"),
    ReportKind.LEVEL: ("side", "price", "qty"),
    ReportKind.TRIGGERED: ("account", "client_order_id", "order_id", "qty"),
    ReportKind.TRADE: (
        *("account", "client_order_id", "order_id", "side", "price", "qty", "leaves", "filled", "trade_id"),
        *("maker_account", "maker_client_order_id", "maker_order_id", "maker_leaves", "maker_filled"),
    ),
}


def chain(books: Books, level: Any) -> list[tuple[int, int, int]]:
    """[(order_id, leaves, filled)] of one queue, link by link; checks the links and the total on the way."""
    queue, slot, before = [], int(level["head"]), 0
    while slot:
        order = books.orders[slot]
        assert order["prev"] == before
        queue.append((int(order["order_id"]), int(order["leaves"]), int(order["filled"])))
        before, slot = slot, int(order["next"])
    assert level["tail"] == before
    assert level["qty"] == sum(leaves for _, leaves, _ in queue)
    return queue


def queues(books: Books, instrument: int, side: int) -> dict[int, list[tuple[int, int, int]]]:
    """Price -> [(order_id, leaves, filled)] in queue order, read link by link; checks the links and totals on the way."""
    found = {}
    base = int(books.tops[instrument]["base"])
    for index in np.flatnonzero(books.levels[instrument]["head"]):
        level = books.levels[instrument][index]
        if books.orders[level["head"]]["side"] != side:
            continue
        found[base + int(index)] = chain(books, level)
    return found


def check_books(books: Books, plain: PlainExchange) -> None:
    for instrument, book in enumerate(plain.books):
        top = books.tops[instrument]
        assert (top["bid"], top["ask"]) == (book.best(0), book.best(1))
        assert top["bid"] == 0 or top["ask"] == 0 or top["bid"] < top["ask"]
        assert (top["n_bid"], top["n_ask"]) == (len(book.queues[0]), len(book.queues[1]))
        for side in (0, 1):
            expected = {price: [(o.order_id, o.leaves, o.filled) for o in queue] for price, queue in book.queues[side].items()}
            assert queues(books, instrument, side) == expected
        assert top["last"] == book.last
        waiting = [{}, {}]
        for order in book.waiting:
            waiting[0 if order.waits_for_rise else 1].setdefault(order.trigger_price, []).append((order.order_id, order.leaves, 0))
        for row in (0, 1):
            found = {}
            for index in np.flatnonzero(books.triggers[instrument, row]["head"]):
                found[int(top["base"]) + int(index)] = chain(books, books.triggers[instrument, row, index])
            assert found == waiting[row]
        assert (top["up"], top["down"]) == (min(waiting[0], default=0), max(waiting[1], default=0))
    assert books.counters[0]["n_open"] == len(plain.orders)
    check_owners(books, plain)


def check_owners(books: Books, plain: PlainExchange) -> None:
    """Every account's chain, positions and open value."""
    for account, owner in enumerate(books.owners):
        own, slot = [], int(owner["first"])
        while slot:
            own.append(int(books.orders[slot]["client_order_id"]))
            slot = int(books.orders[slot]["own_next"])
        assert own == [id_ for a, id_ in plain.orders if a == account]
        assert owner["n_open"] == len(own)
        for instrument in range(len(plain.books)):
            exposure = books.exposures[account, instrument]
            assert exposure["position"] == plain.positions[account, instrument]
            for side, name in enumerate(("open_bid", "open_ask")):
                queues = plain.books[instrument].queues[side].values()
                assert exposure[name] == sum(o.leaves * o.price for queue in queues for o in queue if o.account == account)
    dated = sum(o.time_in_force == 3 for o in plain.orders.values())
    assert books.counters[0]["n_dates"] == dated


def compare(reports: Any, n: int, expected: list[dict[str, int]], seen: dict[str, int], what: Any) -> None:
    """Every report of one event, field by field; `seen` counts the kinds and reasons."""
    assert n == len(expected), (what, expected)
    for got, want in zip(reports[:n], expected, strict=True):
        kind = ReportKind(want["kind"])
        assert got["kind"] == kind, (what, expected)
        assert {f: int(got[f]) for f in COMPARED[kind]} == {f: want[f] for f in COMPARED[kind]}, what
        seen[kind.name] = seen.get(kind.name, 0) + 1
        if "reason" in COMPARED[kind]:
            key = f"{kind.name} {want['reason']}"
            seen[key] = seen.get(key, 0) + 1


def drive(commands: list[dict[str, int]], capacity: int, check_every: int, as_served: bool = False) -> dict[str, int]:
    """Both implementations through the same commands, triggers and dates; returns how often each kind of report was seen.

    `as_served`: the compiled engine as one whole program (jit.py), as the servers run it.
    """
    books = new_books(REFERENCE, capacity, LADDER)
    reports, row = new_reports(books), new_commands(1)
    carry_out, wake, end = apply, fire_trigger, expire
    if as_served:
        carry_out, wake = compiled_driver(apply, row[0], books, reports, 0), compiled_driver(fire_trigger, books, reports, 0)
        end = compiled_driver(expire, books, reports, 0)
    windows = [(int(top["base"]), int(top["base"]) + LADDER - 1) for top in books.tops]
    plain = PlainExchange(windows, capacity)
    seen: dict[str, int] = {}
    for i, command in enumerate(commands):
        reports[:64]["kind"] = -1  # poison
        while expected := plain.expire(i):
            compare(reports, end(books, reports, i), expected, seen, (i, "expire"))
        assert end(books, reports, i) == 0
        row[0] = tuple(command[name] for name in COMMAND.dtype.names or ())
        compare(reports, carry_out(row[0], books, reports, i), plain.apply(command, i), seen, (i, command))
        for instrument in (0, 1):
            while expected := plain.fire_trigger(instrument):
                compare(reports, wake(books, reports, instrument), expected, seen, (i, "trigger"))
            assert wake(books, reports, instrument) == 0
        if i % check_every == 0:
            check_books(books, plain)
    check_books(books, plain)
    return seen


def random_commands(seed: int, n: int, limits_only: bool = False) -> list[dict[str, int]]:
    """A mix that keeps the books full and crossing: adds near the middle, takers, stops, quotes, cancels and replaces of recent ids."""
    rng = np.random.default_rng(seed)
    commands, ids = [], 0
    for i in range(n):
        op = int(rng.choice([1, 2, 3, 4, 5], p=[0.6, 0.16, 0.16, 0.002, 0.078]))
        instrument = int(rng.integers(2))
        if op in (Op.NEW, Op.QUOTE) and rng.random() > 0.02:
            ids += 1
            client_order_id = ids
        else:
            client_order_id = int(rng.integers(max(1, ids - 60), ids + 2))
        kinds = [0.85, 0.05, 0.025, 0.025, 0.025, 0.025]
        commands.append(
            {
                "op": op,
                "instrument": instrument if op != Op.CANCEL_ALL else int(rng.integers(-1, 2)),
                "account": client_order_id % 3 if rng.random() > 0.02 else 5,
                "client_order_id": client_order_id,
                "side": int(rng.integers(2)),
                "order_type": int(rng.choice(6, p=kinds)) if op != Op.QUOTE and not limits_only else 0,
                "time_in_force": int(rng.choice(4, p=[0.72, 0.12, 0.08, 0.08])),
                "flags": int(rng.choice(16, p=[0.6, 0.1, 0.1] + [0.2 / 13] * 13)),
                "price": int(REFERENCE[instrument] + rng.normal() * 12) if rng.random() > 0.01 else 10**6,
                "qty": int(rng.integers(1, 40)) if rng.random() > 0.01 else 0,
                "trigger_price": int(REFERENCE[instrument] + rng.normal() * 14),
                "expire_ts": i + int(rng.integers(-2, 400)),
            }
        )
    return commands


EVERY = {"REJECT 403", "REJECT 406", "REJECT 409", "REJECT 411", "REJECT 412", "REJECT 502", "REJECT 503", "REJECT 505", "REJECT 507"} | {
    *("CANCELED 0", "CANCELED 409", "CANCELED 412", "CANCELED 502", "CANCELED 504", "CANCELED 505", "CANCELED 506", "CANCEL_REJECT 503"),
}


@pytest.mark.parametrize(("seed", "capacity", "as_served"), [(1, 4096, True), (2, 40, False)])
def test_random_streams_agree(seed: int, capacity: int, as_served: bool) -> None:
    seen = drive(random_commands(seed, 12_000), capacity, 50, as_served)
    assert set(ReportKind.__members__) <= set(seen)
    assert set(seen) >= EVERY
    assert ("REJECT 501" in seen) == (capacity == 40)


@pytest.mark.slow
def test_millions_of_operations_agree() -> None:
    for seed in range(100, 140):
        drive(random_commands(seed, 50_000), 4096 if seed % 2 else 60, 1000, as_served=seed % 4 < 2)


@st.composite
def command_lists(draw: Any) -> list[dict[str, int]]:
    one = st.fixed_dictionaries(
        {
            "op": st.sampled_from([1, 1, 1, 2, 3, 4, 5]),
            "instrument": st.integers(0, 1),
            "account": st.integers(0, 1),
            "client_order_id": st.integers(1, 8),
            "side": st.integers(0, 1),
            "order_type": st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5]),
            "time_in_force": st.sampled_from([0, 0, 0, 1, 2, 3]),
            "flags": st.sampled_from([0, 0, 1, 2, 4, 8, 12, 6, 10]),
            "price": st.integers(38, 42),
            "qty": st.integers(0, 6),
            "trigger_price": st.integers(38, 42),
            "expire_ts": st.integers(0, 40),
        }
    )
    commands = draw(st.lists(one, max_size=40))
    for command in commands:
        command["price"] += REFERENCE[command["instrument"]] - 40
        command["trigger_price"] += REFERENCE[command["instrument"]] - 40
    return commands


@settings(max_examples=200, deadline=None)
@given(command_lists(), st.integers(1, 6))
def test_any_short_history_agrees(commands: list[dict[str, int]], capacity: int) -> None:
    drive(commands, capacity, check_every=1)


def test_quantity_is_conserved() -> None:
    """What was ordered is filled, cancelled, or still resting."""
    books = new_books(REFERENCE, 4096, LADDER)
    reports, row = new_reports(books), new_commands(1)
    ordered = traded = canceled = 0
    for i, command in enumerate(c for c in random_commands(3, 5_000, limits_only=True) if c["op"] != Op.REPLACE):
        row[0] = tuple(command[name] for name in COMMAND.dtype.names or ())
        for report in reports[: apply(row[0], books, reports, i)]:
            kind = report["kind"]
            ordered += int(report["qty"]) if kind == ReportKind.ACK else 0
            traded += int(report["qty"]) if kind == ReportKind.TRADE else 0
            canceled += int(report["qty"]) if kind == ReportKind.CANCELED else 0
    assert traded > 0
    assert ordered == 2 * traded + canceled + int(books.orders["leaves"].sum())
