"""Once a frozen file has expired by the venue's clock nothing new is entered; what is open is led to its end, hedges go on."""

from __future__ import annotations

import msgspec
import pytest

from hftkit.codes import LegState, MessageType, Side, SignalReason
from hftkit.kernels.trading.orders import is_final
from hftkit.params.format import digest_of
from tests.support import Machine, frozen_pair

END = 1_700_000_000_000_000_000 + 1_000_000_000  # a second after the machine's exchange time
NEW = MessageType.NEW_ORDER


def machine(watch: bool = True) -> Machine:
    frozen = msgspec.structs.replace(frozen_pair(), valid_until_ns=END, digest="")
    frozen = msgspec.structs.replace(frozen, digest=digest_of(msgspec.to_builtins(frozen)))
    made = Machine(frozen, watch_validity=watch)
    made.start()
    return made


def quote(one: Machine) -> list[tuple[int, int, int]]:
    """Both books again; the orders that follow: (instrument, side, lots)."""
    frames = one.bbo(0, 9_999, 10_001) + one.bbo(1, 1_999, 2_001) + one.timer(10**9)
    return [(instrument, body[1], body[6]) for kind, instrument, _, body in frames if kind == NEW]


def fill(one: Machine, lots: int | None = None) -> list[tuple[int, int, int]]:
    """The venue fills the first open order (or `lots` of it, and cancels the rest); the orders that follow."""
    row = next(order for order in one.rooms.orders if not is_final(int(order["state"])))
    order_id, instrument, side, qty = (int(row[name]) for name in ("client_order_id", "instrument", "side", "qty"))
    traded = qty if lots is None else lots
    price = 10_001 if instrument == 0 else 1_999
    frames = one.answer(MessageType.ORDER_FILL, instrument, order_id, 9, 5, side, 0, price, traded, qty - traded, 0)
    if traded < qty:
        frames += one.answer(MessageType.ORDER_CANCELED, instrument, order_id, 9, qty - traded, 0)
    return [(instrument, body[1], body[6]) for kind, instrument, _, body in frames if kind == NEW]


def expire(one: Machine) -> None:
    one.exchange_now = END


@pytest.mark.parametrize("watch", [True, False])
def test_nothing_is_entered_after_the_end(watch):
    one = machine(watch)
    expire(one)
    orders = quote(one)
    signal = one.rooms.signal[0]
    if watch:
        assert orders == []
        assert (signal["target"], signal["reason"]) == (0, SignalReason.EXPIRED)
    else:  # a journal of before the rule replays as it was
        assert [(instrument, side) for instrument, side, _ in orders] == [(0, Side.BUY)]


def test_a_nanosecond_before_the_end_is_valid():
    one = machine()
    one.exchange_now = END - 1
    assert [(instrument, side) for instrument, side, _ in quote(one)] == [(0, Side.BUY)]


def test_an_open_pair_is_kept_and_its_reason_shown():
    one = machine()
    quote(one)
    assert [instrument for instrument, _, _ in fill(one)] == [1], "the hedge follows"
    fill(one)
    quote(one)
    leg = one.rooms.legs[0]
    assert leg["state"] == LegState.OPEN
    held = [int(leg["lead_position"]), int(leg["hedge_position"])]
    expire(one)
    assert quote(one) == quote(one) == []
    assert (one.rooms.signal[0]["target"], one.rooms.signal[0]["reason"]) == (1, SignalReason.EXPIRED)
    assert [int(leg["lead_position"]), int(leg["hedge_position"])] == held


def test_an_entry_under_way_is_led_back_and_its_hedge_goes_on():
    one = machine()
    lots = quote(one)[0][2]
    expire(one)
    orders = fill(one, lots // 2)
    for _ in range(20):
        orders += quote(one)
        for _ in range(int(one.rooms.open_qty["n_orders"].sum())):
            orders += fill(one)
    leg = one.rooms.legs[0]
    assert (leg["state"], leg["lead_position"], leg["hedge_position"]) == (LegState.FLAT, 0, 0)
    assert all(side == Side.SELL for instrument, side, _ in orders if instrument == 0), "nothing is added to the lead"
