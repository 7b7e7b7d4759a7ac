"""The order table against a model: states move only along the table, open quantity is what is not final, nothing is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit import layout
from hftkit.codes import EventKind, OrderState
from hftkit.kernels.trading import orders as table
from hftkit.kernels.wire.decode import clear_event

LEGAL = {  # written from REQUIREMENTS GW-7, independently of the kernel's table
    (3, "ack"): 4, (3, "part"): 5, (3, "last"): 6, (3, "cancel"): 7, (3, "reject"): 8,
    (4, "ack"): 4, (4, "part"): 5, (4, "last"): 6, (4, "cancel"): 7, (4, "reject"): 8,
    (5, "ack"): 5, (5, "part"): 5, (5, "last"): 6, (5, "cancel"): 7,
}  # fmt: skip


class Model:
    def __init__(self):
        self.allowed = np.zeros(1, layout.ALLOWED.dtype)
        self.orders = np.zeros(8, layout.ORDER.dtype)
        self.open = np.zeros(2, layout.OPEN.dtype)
        self.session = np.zeros(1, layout.SESSION.dtype)
        self.session[0]["epoch"], self.session[0]["next_order"] = 3, 1
        self.event = np.zeros(1, layout.EVENT.dtype)
        self.twin = {}  # client_order_id -> [instrument, side, qty, filled, state]

    def create(self, instrument, side, qty):
        if not table.next_slot_free(self.orders, self.session):
            return
        a = self.allowed[0]
        a["instrument"], a["side"], a["qty"], a["price"] = instrument, side, qty, 100
        slot = table.create(self.allowed, 0, self.orders, self.open, self.session)
        order_id = int(self.orders[slot]["client_order_id"])
        assert order_id not in self.twin
        self.twin[order_id] = [instrument, side, qty, 0, 3]

    def apply(self, order_id, word, qty):
        known = self.twin.get(order_id)
        kind = {"ack": EventKind.ORDER_ACK, "fill": EventKind.ORDER_FILL, "cancel": EventKind.ORDER_CANCELED, "reject": EventKind.ORDER_REJECT}[word]
        clear_event(self.event, int(kind), known[0] if known else 0, 5, 6, 7)
        e = self.event[0]
        e["client_order_id"], e["qty"] = order_id, qty
        e["side"] = known[1] if known else 0
        answer = table.apply_order_event(self.event, self.orders, self.open)
        slot_taken_over = known and table.slot_of(self.orders, order_id) < 0
        if not known or slot_taken_over:
            assert answer == -1
            return
        move = ("last" if known[3] + qty == known[2] else "part") if word == "fill" else word
        next_state = LEGAL.get((known[4], move))
        if next_state is None or (word == "fill" and known[3] + qty > known[2]):
            assert answer == -2
            return
        assert answer >= 0
        known[4] = next_state
        if word == "fill":
            known[3] += qty

    def check(self):
        for instrument in range(2):
            live = [o for o in self.twin.values() if o[0] == instrument and o[4] < 6]
            row = self.open[instrument]
            assert int(row["buy_qty"]) == sum(o[2] - o[3] for o in live if o[1] == 0)
            assert int(row["sell_qty"]) == sum(o[2] - o[3] for o in live if o[1] == 1)
            assert int(row["n_orders"]) == len(live)
        for order_id, (_, _, _, filled, state) in self.twin.items():
            slot = table.slot_of(self.orders, order_id)
            if slot >= 0:
                assert int(self.orders[slot]["state"]) == state
                assert int(self.orders[slot]["filled_qty"]) == filled
            else:
                assert state >= 6  # only final orders may lose their slot


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("new"), st.integers(0, 1), st.integers(0, 1), st.integers(1, 20)),
        st.tuples(st.sampled_from(["ack", "fill", "cancel", "reject"]), st.integers(0, 12), st.integers(1, 20), st.just(0)),
    ),
    max_size=60,
)


@given(OPERATIONS)
def test_any_sequence_of_answers_follows_the_table(operations):
    model = Model()
    for name, a, b, c in operations:
        if name == "new":
            model.create(a, b, c)
        else:
            model.apply((3 << 32) | a if a else 0, name, b)
        model.check()


@pytest.mark.parametrize("state", [OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED])
def test_final_states_accept_nothing(state):
    assert (table.NEXT_STATE[int(state)] == -1).all()
    assert table.is_final(int(state))


@pytest.mark.parametrize(
    ("ended", "code", "filled", "accepted"),
    [
        ("fill", OrderState.FILLED, 7, True),
        ("fill", OrderState.CANCELED, 5, False),  # it knows of fewer fills
        ("fill", OrderState.PARTIALLY_FILLED, 7, False),  # order entry is one ordered session: nothing comes back to life
        ("cancel", OrderState.CANCELED, 0, True),
        ("cancel", OrderState.EXPIRED, 0, True),
        ("cancel", OrderState.CANCELED, 3, False),  # a fill that nobody told us
        ("cancel", OrderState.FREE, 0, True),  # the venue has forgotten it
    ],
)
def test_a_late_answer_to_a_query_must_agree_with_the_end(ended, code, filled, accepted):
    model = Model()
    model.create(0, 0, 7)
    model.apply((3 << 32) | 1, "ack", 0)
    model.apply((3 << 32) | 1, ended, 7)
    before = model.orders[1].copy()
    clear_event(model.event, int(EventKind.ORDER_STATUS), 0, 9, 9, 0)
    e = model.event[0]
    e["client_order_id"], e["code"], e["qty"] = (3 << 32) | 1, int(code), filled
    assert (table.apply_order_event(model.event, model.orders, model.open) >= 0) == accepted
    assert model.orders[1]["state"] == before["state"]
    model.check()


def test_ids_are_deterministic_and_never_reused():
    model = Model()
    for _ in range(5):
        model.create(0, 0, 1)
    assert list(model.twin) == [(3 << 32) | n for n in range(1, 6)]
