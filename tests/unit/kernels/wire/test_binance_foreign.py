"""What the user stream says of orders that are nobody's here goes to the cold side, whose they are in it; and which listen key has expired."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.binance.line import Kind, client_order_id_text
from hftkit.kernels.memory.ring import ring_pop
from hftkit.kernels.wire.binance.state import (
    FOREIGN_CLIENT,
    FOREIGN_EXECUTION,
    FOREIGN_ID,
    FOREIGN_ORDER_ID,
    FOREIGN_SYMBOL,
    REQUEST_KIND,
    REQUEST_WORDS,
    Request,
)
from hftkit.kernels.wire.binance.user import text_code
from live.venues.binance.foreign_orders import EXECUTIONS
from live.venues.binance.stream_names import listen_key_code
from tests.unit.kernels.binance_messages import COID, EPOCH, MS, Hand, fill, order_update

OTHER = 0x1234 << 32


def told(hand: Hand) -> list[tuple[int, int, str, str, int]]:
    """(engine id, execution, symbol, head of the client id, order id) of everything that the line has found to be foreign."""
    found, slot = [], np.zeros(REQUEST_WORDS, np.int64)
    while ring_pop(hand.line.requests, slot, 0):
        if slot[REQUEST_KIND] == Request.POSITIONS:
            continue  # what others have done is compared at once: test_binance_external.py
        assert slot[REQUEST_KIND] == Request.FOREIGN_ORDER
        symbol, client = (slot[at : at + 2].tobytes().rstrip(b"\0").decode() for at in (FOREIGN_SYMBOL, FOREIGN_CLIENT))
        found.append((int(slot[FOREIGN_ID]), int(slot[FOREIGN_EXECUTION]), symbol, client, int(slot[FOREIGN_ORDER_ID])))
    return found


def placed() -> Hand:
    hand = Hand()
    hand.place()
    return hand


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (order_update(c="web_1"), (0, "new", "BTCUSDT", "web_1")),
        (order_update(c="x-15PC4ZJy-a-long-client-order-id-36c"), (0, "new", "BTCUSDT", "x-15PC4ZJy-a-lon")),
        (order_update("CANCELED", "CANCELED", c=f"hk{COID:016X}"), (0, "canceled", "BTCUSDT", f"hk{COID:016X}"[:16])),
        (order_update(coid=OTHER + 7), (OTHER + 7, "new", "BTCUSDT", client_order_id_text(OTHER + 7)[:16])),
        (fill("0.002", "0.002", 5, coid=OTHER + 7), (OTHER + 7, "trade", "BTCUSDT", client_order_id_text(OTHER + 7)[:16])),
        (order_update(coid=OTHER + 7, s="DOGEUSDT"), (OTHER + 7, "new", "DOGEUSDT", client_order_id_text(OTHER + 7)[:16])),
    ],
)
def test_an_order_of_others_is_told_with_what_names_it(message, expected) -> None:
    hand = placed()
    hand.give(message, Kind.USER)
    number, execution, symbol, client, order_id = next(one for one in told(hand) if one[0] == expected[0])
    assert (number, EXECUTIONS[execution], symbol, client) == expected
    assert order_id == 700800901


def test_our_own_orders_and_those_the_venue_forces_are_not_told() -> None:
    hand = placed()
    hand.give(order_update(), Kind.USER)
    hand.give(order_update("CALCULATED", "FILLED", c="autoclose-12"), Kind.USER)
    hand.give(order_update("NEW", "NEW", c="adl_autoclose"), Kind.USER)
    assert told(hand) == []


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64), st.integers(0, 8))
def test_the_code_of_a_text_is_that_of_its_plain_twin(key: str, before: int) -> None:
    data = np.frombuffer(b"x" * before + key.encode() + b"yy", np.uint8)
    code = int(text_code(data, before, before + len(key)))
    assert code == listen_key_code(key) > 0
    assert listen_key_code(key + "z") != code


def test_an_expired_listen_key_says_which_one() -> None:
    hand, slot = Hand(), np.zeros(REQUEST_WORDS, np.int64)
    for message, code in (
        ({"e": "listenKeyExpired", "E": MS, "listenKey": "ours"}, listen_key_code("ours")),
        ({"stream": "ours", "data": {"e": "listenKeyExpired", "E": MS, "listenKey": "another"}}, listen_key_code("another")),
        ({"e": "listenKeyExpired", "E": MS}, 0),
        ({"e": "listenKeyExpired", "E": MS, "listenKey": 5}, 0),
    ):
        hand.give(message, Kind.USER)
        assert ring_pop(hand.line.requests, slot, 0)
        assert slot[:4].tolist() == [Request.LISTEN_KEY, 0, code, 0]
    assert listen_key_code("") == 0
    assert EPOCH >> 32 != OTHER >> 32
