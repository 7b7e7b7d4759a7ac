"""What the venue says is final, by every route: its own orders, other clients' fills, orders that it has cut. Payloads in the shapes of captures."""

from __future__ import annotations

from typing import Any

import pytest

from hftkit.binance.line import Kind, wrap_rest_answer
from hftkit.codes import MessageType, Reject, Side
from hftkit.kernels.wire.binance.state import Request
from tests.unit.kernels.binance_messages import COID, USER_TRADES, Frame, Hand, account_update, api_answer, api_error, fill, order_update, text

EXTERNAL, FILL, CANCELED = MessageType.EXTERNAL_FILL, MessageType.ORDER_FILL, MessageType.ORDER_CANCELED
POSITIONS = [Request.POSITIONS, 0, 0, 0]


def ready(**order: Any) -> Hand:
    """A line that is up, with one order of ten lots sent."""
    hand = Hand()
    for subject in (Kind.ORDER_API, Kind.USER):
        hand.give(b"x", Kind.LINE_UP, int(subject))
    hand.place(qty=10, **order)
    hand.requests()
    return hand


def user(hand: Hand, message: dict[str, Any]) -> list[Frame]:
    return hand.give(message, Kind.USER)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"c": "autoclose-1701234567890123456", "x": "CALCULATED", "o": "LIQUIDATION", "X": "FILLED"}, Reject.VENUE_LIQUIDATION),
        ({"c": "autoclose-1701234567890123456", "x": "CALCULATED", "o": "LIQUIDATION", "X": "NEW_INSURANCE"}, Reject.VENUE_LIQUIDATION),
        ({"c": "adl_autoclose", "x": "TRADE", "X": "FILLED", "o": "MARKET"}, Reject.VENUE_ADL),
        ({"c": "x-9", "x": "CALCULATED", "X": "NEW_ADL"}, Reject.VENUE_ADL),
        ({"c": "settlement_autoclose-7", "x": "TRADE", "X": "FILLED"}, Reject.VENUE_SETTLEMENT),
        ({"c": "x-9", "x": "CALCULATED", "X": "FILLED"}, Reject.VENUE_LIQUIDATION),
        ({"c": "web_Kq2", "x": "TRADE", "X": "FILLED"}, 0),
        ({"c": f"hk{(5 << 32) + 1:016x}", "x": "TRADE", "X": "FILLED"}, 0),  # of a dead session of ours
    ],
)
def test_a_fill_of_an_order_that_is_not_ours_is_told_once(changes: dict[str, Any], reason: int) -> None:
    hand = ready()
    message = fill("0.007", "0.007", 61, S="SELL", i=99, n="0.22400070")
    message["o"] |= changes
    (told,) = user(hand, message)
    assert (told.type, told.instrument, told.order_id, told.trade_id) == (EXTERNAL, 0, 99, 61)
    assert (told.side, told.price, told.qty, told.fee_e8, told.reason) == (Side.SELL, 640_002, 7, 22_400_070, reason)
    assert POSITIONS in hand.requests()
    assert user(hand, message) == []
    assert [hand.count(name) for name in ("external_fills", "external_repeated")] == [1, 1]
    assert hand.count("position_doubted") > 0


def test_partial_fills_of_a_forced_order_without_trade_ids() -> None:
    """Liquidations have been seen with t 0: what the order has filled so far tells them apart."""
    hand = ready()
    lots = []
    for last, total in (("0.002", "0.002"), ("0.002", "0.002"), ("0.003", "0.005"), ("0.002", "0.002")):
        message = fill(last, total, 0, c="autoclose-1", S="SELL", i=99)
        message["o"]["x"] = "CALCULATED"
        lots += [frame.qty for frame in user(hand, message)]
    assert lots == [2, 3]


@pytest.mark.parametrize("changes", [{"l": "0"}, {"L": "0"}, {"l": "0.0005"}, {"L": "1.23"}, {"T": "?"}, {"S": "?"}, {"n": "?"}, {"z": None}])
def test_a_forced_fill_that_cannot_be_read_makes_the_account_be_compared(changes: dict[str, Any]) -> None:
    hand = ready()
    assert user(hand, fill("0.007", "0.007", 61, **{"c": "adl_autoclose", "i": 99, **changes})) == []
    assert POSITIONS in hand.requests()
    assert hand.count("position_doubted") == 1


def test_orders_of_others_that_have_not_traded_change_nothing() -> None:
    hand = ready()
    assert user(hand, order_update(c="web_1")) == []
    assert user(hand, fill("0.007", "0.007", 61, c="web_1", s="DOGEUSDT")) == []
    assert {request[0] for request in hand.requests()} <= {Request.FOREIGN_ORDER}
    assert (hand.count("foreign_orders"), hand.count("position_doubted")) == (2, 0)


def test_a_position_that_changes_without_a_fill_is_asked_for() -> None:
    hand = ready()
    update = account_update("0")
    update["a"]["m"] = "INSURANCE_CLEAR"
    user(hand, update)
    assert hand.requests() == [POSITIONS]
    user(hand, account_update("0.002"))
    assert hand.requests() == []


CUT = {"status": "FILLED", "origQty": "0.004", "executedQty": "0.004"}


def by_stream(hand: Hand) -> list[Frame]:
    return user(hand, fill("0.004", "0.004", 61, "FILLED", q="0.004", R=True))


def by_stream_with_a_hole(hand: Hand) -> list[Frame]:
    return user(hand, fill("0.001", "0.004", 62, "FILLED", q="0.004", R=True)) + by_trades(hand)


def by_amendment(hand: Hand) -> list[Frame]:
    first = user(hand, fill("0.004", "0.004", 61, "PARTIALLY_FILLED"))
    return first + user(hand, order_update("AMENDMENT", "FILLED", z="0.004", q="0.004"))


def by_socket_answer(hand: Hand) -> list[Frame]:
    return hand.give(api_answer("n", **CUT), Kind.ORDER_API) + by_trades(hand)


def by_rest_answer(hand: Hand) -> list[Frame]:
    return hand.give(wrap_rest_answer("place", COID, 200, text(api_answer(**CUT)["result"])), Kind.REST_ORDER) + by_trades(hand)


def by_query(hand: Hand) -> list[Frame]:
    body = text(api_answer(**CUT)["result"])
    return hand.give(wrap_rest_answer("status", COID, 200, body), Kind.REST_ORDER) + by_trades(hand)


def by_cancel(hand: Hand) -> list[Frame]:
    hand.cancel()
    return hand.give(api_answer("c", **CUT), Kind.ORDER_API) + by_trades(hand)


def by_trades(hand: Hand) -> list[Frame]:
    assert [Request.TRADES, 0, COID, 700800901] in hand.requests()
    rows = [{**USER_TRADES[0], "qty": "0.003", "id": 61}, {**USER_TRADES[0], "qty": "0.001", "id": 62}]
    return hand.give(rows, Kind.REST_TRADES)


@pytest.mark.parametrize("route", [by_stream, by_stream_with_a_hole, by_amendment, by_socket_answer, by_rest_answer, by_query, by_cancel])
def test_an_order_cut_by_the_venue_is_over_whatever_says_so(route: Any) -> None:
    hand = ready()
    frames = [frame for frame in route(hand) if frame.type is not MessageType.ORDER_ACK]
    assert {frame.type for frame in frames[:-1]} == {FILL}
    assert sum(frame.qty for frame in frames[:-1]) == 4
    assert (frames[-1].type, frames[-1].canceled_qty, frames[-1].reason) == (CANCELED, 6, Reject.VENUE_REDUCE_ONLY)
    again = hand.give(wrap_rest_answer("status", COID, 200, text(api_answer(**CUT)["result"])), Kind.REST_ORDER)
    assert again == []


@pytest.mark.parametrize("kind", [Kind.ORDER_API, Kind.REST_ORDER])
def test_a_reduce_only_order_without_a_position_makes_the_account_be_compared(kind: Kind) -> None:
    hand = ready()
    (reject,) = hand.give(api_error(-2022), kind)
    assert (reject.type, reject.reason) == (MessageType.ORDER_REJECT, Reject.VENUE_REDUCE_ONLY)
    assert (hand.requests(), hand.count("position_doubted")) == ([POSITIONS], 1)
