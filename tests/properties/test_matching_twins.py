"""The compiled matching engine and its plain twin, driven with the same operations: every report and the full books agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.exchange.layout import COMMAND, Op, ReportKind
from hftkit.exchange.matching import Books, apply, new_books, new_commands, new_reports
from hftkit.exchange.matching_plain import PlainExchange

LADDER = 128
REFERENCE = (1000, 40)  # the second window starts at tick 1
COMPARED = {
    ReportKind.ACK: ("account", "client_order_id", "order_id", "qty"),
    ReportKind.REJECT: ("account", "client_order_id", "reason"),
    ReportKind.CANCELED: ("account", "client_order_id", "order_id", "qty", "filled", "reason"),
    ReportKind.CANCEL_REJECT: ("account", "client_order_id", "reason"),
    ReportKind.LEVEL: ("side", "price", "qty"),
    ReportKind.TRADE: (
        *("account", "client_order_id", "order_id", "side", "price", "qty", "leaves", "filled", "trade_id"),
        *("maker_account", "maker_client_order_id", "maker_order_id", "maker_leaves", "maker_filled"),
    ),
}


def queues(books: Books, instrument: int, side: int) -> dict[int, list[tuple[int, int, int]]]:
    """Price -> [(order_id, leaves, filled)] in queue order, read link by link; checks the links and totals on the way."""
    found = {}
    base = int(books.tops[instrument]["base"])
    for index in np.flatnonzero(books.levels[instrument]["head"]):
        level = books.levels[instrument][index]
        if books.orders[level["head"]]["side"] != side:
            continue
        queue, slot, before = [], int(level["head"]), 0
        while slot:
            order = books.orders[slot]
            assert order["prev"] == before
            queue.append((int(order["order_id"]), int(order["leaves"]), int(order["filled"])))
            before, slot = slot, int(order["next"])
        assert level["tail"] == before
        assert level["qty"] == sum(leaves for _, leaves, _ in queue)
        found[base + int(index)] = queue
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
    assert books.counters[0]["n_open"] == len(plain.orders)


def drive(commands: list[dict[str, int]], capacity: int, check_every: int) -> dict[str, int]:
    """Both implementations through the same commands; returns how often each kind of report was seen."""
    books = new_books(REFERENCE, capacity, LADDER)
    reports, row = new_reports(books), new_commands(1)
    windows = [(int(top["base"]), int(top["base"]) + LADDER - 1) for top in books.tops]
    plain = PlainExchange(windows, capacity)
    seen: dict[str, int] = {}
    for i, command in enumerate(commands):
        row[0] = tuple(command[name] for name in COMMAND.dtype.names or ())
        reports[:64]["kind"] = -1  # poison
        n = apply(row[0], books, reports, i)
        expected = plain.apply(command)
        assert n == len(expected), (command, expected)
        for got, want in zip(reports[:n], expected, strict=True):
            kind = ReportKind(want["kind"])
            assert got["kind"] == kind
            assert {f: int(got[f]) for f in COMPARED[kind]} == {f: want[f] for f in COMPARED[kind]}, (i, command)
            seen[kind.name] = seen.get(kind.name, 0) + 1
            if kind in (ReportKind.REJECT, ReportKind.CANCEL_REJECT):
                seen[f"reason {want['reason']}"] = seen.get(f"reason {want['reason']}", 0) + 1
        if i % check_every == 0:
            check_books(books, plain)
    check_books(books, plain)
    return seen


def random_commands(seed: int, n: int) -> list[dict[str, int]]:
    """A mix that keeps the books full and crossing: adds near the middle, takers, cancels and replaces of recent ids."""
    rng = np.random.default_rng(seed)
    commands, ids = [], 0
    for _ in range(n):
        draw = rng.random()
        op = Op.NEW if draw < 0.6 else Op.CANCEL if draw < 0.8 else Op.REPLACE
        instrument = int(rng.integers(2))
        if op == Op.NEW and rng.random() > 0.02:
            ids += 1
            client_order_id = ids
        else:
            client_order_id = int(rng.integers(max(1, ids - 60), ids + 2))
        commands.append(
            {
                "op": int(op),
                "instrument": instrument,
                "account": client_order_id % 3 if rng.random() > 0.02 else 5,
                "client_order_id": client_order_id,
                "side": int(rng.integers(2)),
                "order_type": int(rng.random() < 0.05),
                "time_in_force": int(rng.choice(3, p=[0.8, 0.12, 0.08])),
                "flags": int(rng.random() < 0.15),
                "price": int(REFERENCE[instrument] + rng.normal() * 12) if rng.random() > 0.01 else 10**6,
                "qty": int(rng.integers(1, 40)) if rng.random() > 0.01 else 0,
            }
        )
    return commands


@pytest.mark.parametrize(("seed", "capacity"), [(1, 4096), (2, 40)])
def test_random_streams_agree(seed: int, capacity: int) -> None:
    seen = drive(random_commands(seed, 12_000), capacity, check_every=50)
    assert set(ReportKind.__members__) <= set(seen)
    assert {"reason 403", "reason 406", "reason 502", "reason 503", "reason 505", "reason 507"} <= set(seen)
    assert ("reason 501" in seen) == (capacity == 40)


@st.composite
def command_lists(draw: Any) -> list[dict[str, int]]:
    one = st.fixed_dictionaries(
        {
            "op": st.sampled_from([1, 1, 1, 2, 3]),
            "instrument": st.integers(0, 1),
            "account": st.integers(0, 1),
            "client_order_id": st.integers(1, 8),
            "side": st.integers(0, 1),
            "order_type": st.sampled_from([0, 0, 0, 1]),
            "time_in_force": st.sampled_from([0, 0, 0, 1, 2]),
            "flags": st.sampled_from([0, 0, 1]),
            "price": st.integers(38, 42),
            "qty": st.integers(0, 6),
        }
    )
    commands = draw(st.lists(one, max_size=40))
    for command in commands:
        command["price"] += REFERENCE[command["instrument"]] - 40
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
    for i, command in enumerate(c for c in random_commands(3, 5_000) if c["op"] != Op.REPLACE):
        row[0] = tuple(command[name] for name in COMMAND.dtype.names or ())
        for report in reports[: apply(row[0], books, reports, i)]:
            kind = report["kind"]
            ordered += int(report["qty"]) if kind == ReportKind.ACK else 0
            traded += int(report["qty"]) if kind == ReportKind.TRADE else 0
            canceled += int(report["qty"]) if kind == ReportKind.CANCELED else 0
    assert traded > 0
    assert ordered == 2 * traded + canceled + int(books.orders["leaves"].sum())
