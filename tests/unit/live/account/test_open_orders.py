"""Whose an open order is, as a table; and how the venue's rows are read."""

from __future__ import annotations

import pytest

from hftkit.binance.line import client_order_id_text
from live.account.open_orders import OpenOrder, OpenOrders, Owner, engine_id, in_words, order_of

OURS, OTHER, BEGAN = 0x6B0D0001, 0x1234, 1_000_000


def order(epoch: int = 0, count: int = 1, created_ms: int = BEGAN + 1, client_id: str = "web_1", algo: bool = False) -> OpenOrder:
    name = client_order_id_text(epoch << 32 | count) if epoch else client_id
    return OpenOrder("ETHUSDT", name, 100 + count, created_ms, "BUY", "1.000", "1190.00", algo)


def judged(judge: OpenOrders, orders: list[OpenOrder], *open_counts: int) -> dict[Owner, list[OpenOrder]]:
    found = judge.judge(orders, lambda number: number in {OURS << 32 | count for count in open_counts})
    return {owner: rows for owner, rows in found.items() if rows}


@pytest.mark.parametrize(
    ("row", "owner"),
    [
        (order(OURS), Owner.OURS),
        (order(OTHER, created_ms=BEGAN - 1), Owner.ORPHAN),
        (order(OTHER, created_ms=BEGAN), Owner.TWIN),
        (order(), Owner.STRANGER),
        (order(client_id="hk6B0D000100000001"), Owner.STRANGER),
        (order(client_id="hk6b0d00010000001"), Owner.STRANGER),
        (order(client_id="hk" + "f" * 16), Owner.STRANGER),
        (order(OTHER, created_ms=1, algo=True), Owner.ORPHAN),
    ],
)
def test_each_order_has_one_owner(row, owner):
    assert judged(OpenOrders(OURS, BEGAN), [row], 1) == {owner: [row]}


def test_one_of_our_own_that_has_ended_is_given_up_only_when_the_next_answer_has_it_too():
    judge, row = OpenOrders(OURS, BEGAN), order(OURS, 5)
    assert judged(judge, [row], 5) == {Owner.OURS: [row]}
    assert judged(judge, [row]) == {Owner.OURS: [row]}  # it may have ended since the venue looked
    assert judged(judge, []) == {}
    assert judged(judge, [row]) == {Owner.OURS: [row]}  # not twice in a row
    assert judged(judge, [row]) == {Owner.GIVEN_UP: [row]}
    assert judged(judge, [row], 5) == {Owner.OURS: [row]}


@pytest.mark.parametrize(
    "text", ["", "hk", "hk0123", "hk" + "8" * 17, "HK" + "1" * 16, "hk" + "\u0661" * 16, "hk" + "1" * 16 + "\n", "hk" + "8" * 16]
)
def test_only_our_own_form_is_an_id(text):
    assert engine_id(text) == 0


def test_rows_of_both_kinds_are_read():
    plain = order_of({"symbol": "ETHUSDT", "clientOrderId": "a", "orderId": 5, "time": 7, "side": "SELL", "origQty": "2", "price": "3"})
    assert plain == OpenOrder("ETHUSDT", "a", 5, 7, "SELL", "2", "3")
    row = {"symbol": "ETHUSDT", "clientAlgoId": "b", "algoId": 6, "createTime": 8, "side": "BUY", "quantity": "4", "triggerPrice": "9"}
    assert order_of(row, True) == OpenOrder("ETHUSDT", "b", 6, 8, "BUY", "4", "9", True)
    for wrong in ({}, {"symbol": "E", "clientOrderId": "a", "orderId": "x", "time": 1}, "text", None):
        with pytest.raises((KeyError, ValueError, TypeError)):
            order_of(wrong)  # type: ignore[arg-type]


def test_words_are_short():
    assert in_words([order(OTHER)]) == "BUY 1.000 ETHUSDT at 1190.00 (hk0000123400000001, order 101)"
    assert in_words([order(OTHER, n) for n in range(1, 10)]).endswith("and 4 more")
