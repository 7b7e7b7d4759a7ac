"""The backtest's venue is a fast twin of the exchange: the same requests against the same tape get the same answers from both, in the same order.

The other side is the exchange itself (`rehearse`): filters, books, matching, fees and margin as clients of the simulator meet them, heard through its
drop copy. Compared is every answer whole: what is acknowledged, refused or cancelled and why, each fill's price, lots, leaves, side, role and fee.
What the backtest leaves out, by declaration: an account meeting its own orders, reduce-only, and ids that were used before.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.backtest.run import Queue
from hftkit.codes import MessageType, OrderFlag, OrderType, Reject, TimeInForce
from hftkit.exchange.core.layout import ExecutionKind
from hftkit.exchange.core.tap import Batch
from hftkit.exchange.market.history.build import HistoryPlan
from hftkit.exchange.market.history.files import HistoryTape
from hftkit.exchange.market.history.market import QUOTES, TRADES
from hftkit.exchange.market.history.rehearsal import rehearse
from hftkit.kernels import backtest_desk as words
from hftkit.kernels.market.queue import ESTIMATES
from tests.backtest_desk import DirectVenue
from tests.properties.test_history_market import CONFIG, gaps, shown, tapes
from tests.unit.exchange.market.history.tapes import BUY, INSTRUMENT, SELL, bbo, requests, trade

KIND = {QUOTES: "recorded", TRADES: "made"}
POST, LIMIT, MARKET = int(OrderFlag.POST_ONLY), int(OrderType.LIMIT), int(OrderType.MARKET)
GTC, IOC, FOK = int(TimeInForce.GTC), int(TimeInForce.IOC), int(TimeInForce.FOK)
# (order type, time in force, flags): every order that the backtest takes, and what neither venue takes
PATIENT = [(LIMIT, GTC, 0), (LIMIT, GTC, 0), (LIMIT, GTC, POST), (LIMIT, IOC, 0), (LIMIT, FOK, 0)]
WRONG = [(LIMIT, IOC, POST), (LIMIT, FOK, POST), (MARKET, IOC, POST), (LIMIT, 7, 0), (9, GTC, 0)]
EVERY = [*PATIENT, (MARKET, GTC, 0), (MARKET, IOC, 0), (MARKET, FOK, 0), *WRONG]
Answer = tuple[str | int, ...]


def asked(t: int, coid: int, side: int, price: int, qty: int, kind: tuple[int, int, int]) -> dict[str, int]:
    order_type, tif, flags = kind
    row = {"t": t, "client_order_id": coid, "side": side, "price": price, "qty": qty}
    return row | {"order_type": order_type, "tif": tif, "flags": flags}


def from_the_backtest(tape: HistoryTape, wanted: np.ndarray, estimate: str, participation: float) -> list[Answer]:
    venue = DirectVenue.of(tape.tape, (INSTRUMENT,), Queue(estimate, participation, KIND[tape.grades[0]]))
    for row in wanted:
        ts, coid = int(row["ts"]), int(row["client_order_id"])
        if row["action"] == 0:
            venue.order(ts, *(int(row[name]) for name in ("client_order_id", "side", "order_type", "tif", "flags", "price", "qty")))
        else:
            venue.cancel(ts, coid)
    venue.until(words.NEVER - 1)
    told: list[Answer] = []
    for kind, _, _, body in venue.answers:
        if kind == MessageType.ORDER_FILL:
            told.append(("fill", body[0], body[1], *body[4:]))
        elif kind == MessageType.ORDER_CANCELED:
            told.append(("cancelled", body[0], body[1], *body[3:]))
        elif kind == MessageType.ORDER_ACK:
            told.append(("acknowledged", body[0], body[1]))
        else:
            told.append(("refused" if kind == MessageType.ORDER_REJECT else "not cancelled", *body))
    return told


def from_the_exchange(tape: HistoryTape, wanted: np.ndarray, estimate: str, participation: float) -> list[Answer]:
    ring = rehearse(HistoryPlan(tape, estimate, participation), wanted, config=CONFIG).venue.tap
    head = int(ring.state[0]["head"])
    assert head < ring.ring.size  # all of it is still there
    told: list[Answer] = []
    for row in Batch(ring.ring[:head]).executions():
        kind, ts, coid = ExecutionKind(int(row["kind"])), int(row["ts"]), int(row["client_order_id"])
        if kind == ExecutionKind.TRADE:
            told.append(("fill", ts, coid, *(int(row[name]) for name in ("side", "maker", "last_price", "last_qty", "leaves", "fee_e8"))))
        elif kind == ExecutionKind.CANCELED:
            told.append(("cancelled", ts, coid, int(row["qty"] - row["filled"]), int(row["reason"])))
        elif kind == ExecutionKind.NEW:
            told.append(("acknowledged", ts, coid))
        else:
            told.append(("refused" if kind == ExecutionKind.REJECTED else "not cancelled", ts, coid, int(row["reason"])))
    return told


@st.composite
def asks(draw: Any, n: int = 10) -> np.ndarray:
    """Orders of every kind on one side, or of those with a price on both and never across; some cancelled later, some that never were."""
    both = draw(st.booleans())
    only = draw(st.integers(0, 1))
    rows: list[dict[str, int]] = []
    t = 0
    for coid in range(1, draw(st.integers(1, n)) + 1):
        t += 2 * draw(gaps)
        side = draw(st.integers(0, 1)) if both else only
        away = draw(st.sampled_from([2, 1, 1, 1, 0, 0] if both else [2, 1, 1, 0, -1, -1]))
        price = (100 - away if side == BUY else 101 + away) - (0 if both or side == BUY else 1)
        qty = draw(st.one_of(shown, shown, st.just(0))) if draw(st.integers(0, 9)) == 0 else draw(shown)
        price = price if draw(st.integers(0, 15)) else -1
        rows.append(asked(t, coid, side, price, qty, draw(st.sampled_from([*PATIENT, *WRONG] if both else EVERY))))
        if draw(st.booleans()):
            rows.append(
                {"t": t + draw(st.integers(1, 60)), "client_order_id": coid + 100 * (draw(st.integers(0, 5)) == 0), "action": 1, "side": side}
            )
    return requests(*sorted(rows, key=lambda row: row["t"]))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from([QUOTES, TRADES]).flatmap(lambda grade: st.tuples(tapes(grade), asks())), st.sampled_from(ESTIMATES), st.sampled_from([1.0, 0.25])
)
def test_both_venues_answer_alike(case: tuple[HistoryTape, np.ndarray], estimate: str, participation: float) -> None:
    tape, wanted = case
    assert from_the_backtest(tape, wanted, estimate, participation) == from_the_exchange(tape, wanted, estimate, participation)


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("grade", [QUOTES, TRADES])
def test_both_venues_answer_alike_through_a_long_tape(grade: int, estimate: str) -> None:
    """Hundreds of orders of every kind; and everything that can be answered is answered at least once."""
    rng = np.random.default_rng(100 + grade)
    rows, t = [bbo(0, 99, 40, 101, 40)], 0
    for _ in range(2500):
        t, side = t + int(rng.integers(0, 3)), int(rng.integers(2))
        if rng.random() < 0.5:
            rows.append(trade(t, 1 - side, (99 if side == BUY else 101) + int(rng.choice([0, 0, 0, 1, -1])), int(rng.integers(1, 30))))
        else:
            bid = 99 - int(rng.random() < 0.2)
            rows.append(bbo(t, bid, int(rng.integers(1, 60)), bid + int(rng.integers(1, 4)), int(rng.integers(1, 60))))
    wishes: list[dict[str, int]] = []
    for i in range(300):  # one side at a time, and every order has ended before the other has its turn: nobody meets himself
        side, at, kind = i // 30 % 2, 8 * i, EVERY[int(rng.integers(len(EVERY)))]
        price = (99 if side == BUY else 101) + (1 - 2 * side) * int(rng.integers(-1, 3)) if rng.random() > 0.03 else -1
        wishes.append(asked(at, i + 1, side, price, int(rng.integers(1, 80)) if rng.random() > 0.03 else 0, kind))
        end = (i // 30 + 1) * 240 - 1
        wishes.append({"t": min(end, at + int(rng.integers(1, 200))), "client_order_id": i + 1, "action": 1, "side": side})
    wanted = requests(*sorted(wishes, key=lambda row: row["t"]))
    tape = HistoryTape("long", np.array(rows, np.int64), (INSTRUMENT,), (grade,))
    told = from_the_backtest(tape, wanted, estimate, 1.0)
    assert told == from_the_exchange(tape, wanted, estimate, 1.0)
    reasons = Counter((kind, rest[-1]) for kind, *rest in told if kind in ("refused", "cancelled", "not cancelled"))
    wanted_reasons = {
        ("refused", Reject.VENUE_BAD_TYPE),
        ("refused", Reject.VENUE_BAD_QTY),
        ("refused", Reject.VENUE_BAD_PRICE),
        ("refused", Reject.BOOK_POST_ONLY_WOULD_TAKE),
        ("refused", Reject.BOOK_FOK_NOT_FILLABLE),
        ("cancelled", Reject.NONE),
        ("cancelled", Reject.BOOK_NO_LIQUIDITY),
        ("not cancelled", Reject.BOOK_UNKNOWN_ORDER),
    }
    assert set(reasons) == wanted_reasons
    fills = [answer for answer in told if answer[0] == "fill"]
    assert {(fill[3], fill[4]) for fill in fills} == {(side, maker) for side in (BUY, SELL) for maker in (0, 1)}
    assert {fill[7] > 0 for fill in fills} == {False, True}  # partial fills and last ones
