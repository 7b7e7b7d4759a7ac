"""A market whose true queue is known: orders of a client rest among the synthetic traders, then the client is taken out of the recording.

What remains is a history as anybody would have recorded it. The same orders against that history give the three estimates, and the venue's own
executions say what each of them was worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from hftkit.codes import DepthFlag, MessageType, OrderFlag, Side
from hftkit.exchange.config import load_config
from hftkit.exchange.core.layout import EXECUTION, ExecutionKind, TapKind
from hftkit.exchange.core.tap import Batch, Tap
from hftkit.exchange.market.flow.build import new_market
from hftkit.exchange.market.history.files import HistoryTape, with_grades
from hftkit.exchange.market.history.market import DEPTH, QUOTES, TRADES
from hftkit.exchange.market.history.rehearsal import CANCEL, NEW, REQUEST
from hftkit.exchange.trading.order_entry_api import OrderEntryApi
from hftkit.exchange.trading.orders import open_books
from hftkit.exchange.venue import new_venue
from hftkit.kernels.jit import compiled_driver
from hftkit.kernels.wire.frame import header
from tests.unit.exchange.core.test_tap import flow_driver

S = 1_000_000_000
_TRADE, _BBO, _DEPTH, _EXECUTION = int(MessageType.TRADE), int(MessageType.BBO), int(MessageType.DEPTH), int(TapKind.EXECUTION)


@dataclass(frozen=True)
class TrueRun:
    """`history`: the market without the client, every level; `requests`: what it asked; `fills`: what it got, int64 (n, 3): time, order, lots."""

    history: HistoryTape
    requests: np.ndarray
    fills: np.ndarray


def true_run(seconds: int, *, seed: int, life_s: int = 3, deepest: int = 0, lots: int = 20) -> TrueRun:
    """Two instruments of the sample universe, 20 times as busy, with ticks so coarse that queues are long.

    Every `life_s` + 1 seconds a post-only order in each, at the touch or up to `deepest` ticks behind it, cancelled after `life_s`. Never two
    at a time: what a print gave to the one would be missing in the queue of the other.
    """
    config = load_config()
    flow_config = msgspec.structs.replace(config.flow, arrivals_per_s=config.flow.arrivals_per_s * 20)
    coarse = tuple(msgspec.structs.replace(one, tick_size=tick) for one, tick in zip(config.instruments[:2], ("0.1", "0.05"), strict=True))
    config = msgspec.structs.replace(config, flow=flow_config, instruments=coarse)
    flow, books = new_market(config, seed)
    venue = new_venue(config, books)
    tap, desk = Tap(venue.tap), OrderEntryApi(venue)
    tap.open()
    run = compiled_driver(flow_driver, venue, flow, 0, 0)
    compiled_driver(open_books, venue, flow, 0)(venue, flow, config.start_ns)
    rng, account = np.random.default_rng(seed), desk.open_account(1)
    words, requests, number = [tap.drain()], [], 0
    for second in range(5, seconds):
        now = config.start_ns + second * S
        run(venue, flow, now, 10**9)
        for request in [row for row in requests if row[0] == now - life_s * S and row[1] == NEW]:
            desk.cancel(account, request[3], request[2])
            requests.append((now, CANCEL, *request[2:5], 0, 0, 0, 0, 0))
        for instrument in range(2) if second % (life_s + 1) == 0 and second < seconds - life_s else ():
            side, top = int(rng.integers(2)), venue.books.tops[instrument]
            touch = int(top["bid"] if side == Side.BUY else top["ask"])
            price = touch + int(rng.integers(deepest + 1)) * (-1 if side == Side.BUY else 1)
            number += 1
            if desk.place(account, instrument, number, side, 0, 0, int(OrderFlag.POST_ONLY), price, lots) == 0:
                requests.append((now, NEW, number, instrument, side, 0, 0, 0, price, lots))
        words.append(tap.drain())
    batch = Batch(np.concatenate(words))
    executions = batch.executions()
    executions = executions[executions["kind"] == int(ExecutionKind.TRADE)]
    assert (executions["maker"] == 1).all()
    fills = np.column_stack([executions[name] for name in ("ts", "client_order_id", "last_qty")])
    asked = np.array(requests, REQUEST)
    tape = with_grades("true queue", without_clients(batch), tuple(one.instrument for one in config.instruments), {})
    return TrueRun(tape, asked[np.argsort(asked["ts"], kind="stable")], fills)


def without_clients(batch: Batch) -> np.ndarray:
    """Rows of a tape, int64 (n, 7): trades, and levels less what a client had there. The drop copy names first the order, then its level."""
    rows, orders = [], {}
    resting: dict[tuple[int, int, int], int] = {}
    for at, kind, instrument in zip(batch.starts.tolist(), batch.kinds.tolist(), batch.instruments.tolist(), strict=True):
        if kind == _EXECUTION:
            record = batch.words[at : at + EXECUTION.dtype.itemsize // 8].view(EXECUTION.dtype)[0]
            if record["kind"] == int(ExecutionKind.NEW):
                orders[int(record["client_order_id"])] = ((instrument, int(record["side"]), int(record["price"])), 0)
            elif int(record["client_order_id"]) not in orders:
                continue  # refused
            place, before = orders[int(record["client_order_id"])]
            resting[place] = resting.get(place, 0) + int(record["leaves"]) - before
            orders[int(record["client_order_id"])] = (place, int(record["leaves"]))
        elif kind in (_TRADE, _DEPTH):
            row = batch.words[at : at + 7].copy()
            if kind == _DEPTH:
                row[6] -= resting.get((instrument, int(row[3]), int(row[5])), 0)
                assert row[6] >= 0
            rows.append(row)
    return np.array(rows)


def coarser(history: HistoryTape, grade: int) -> HistoryTape:
    """The same market with less of it recorded: best quotes and trades, or trades alone."""
    books: dict[int, tuple[dict[int, int], dict[int, int]]] = {i: ({}, {}) for i in range(len(history.instruments))}
    shown: dict[int, tuple[int, int, int, int]] = {}
    rows = []
    for row in history.tape.tolist():
        number = row[0] >> 32
        if row[0] >> 16 & 0xFF == _TRADE:
            rows.append(row)
            continue
        book = books[number][row[3]]
        if row[6]:
            book[row[5]] = row[6]
        else:
            book.pop(row[5], None)
        bid, ask = max(books[number][0], default=0), min(books[number][1], default=0)
        quote = (bid, books[number][0].get(bid, 0), ask, books[number][1].get(ask, 0))
        if grade == QUOTES and row[4] & int(DepthFlag.END_OF_BATCH) and quote != shown.get(number):
            shown[number] = quote
            rows.append([header(_BBO, 7, number), 0, row[2], *quote])
    return HistoryTape(history.name, np.array(rows), history.instruments, (grade,) * len(history.instruments), {})


GRADES = {DEPTH: lambda history: history, QUOTES: lambda history: coarser(history, QUOTES), TRADES: lambda history: coarser(history, TRADES)}
