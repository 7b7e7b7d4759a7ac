"""The order table: every order from the moment it is decided to its final state. Owns ORDERS and OPEN.

Legal moves (GW-7); what is not in the table is an illegal transition: counted, and the state stays.

    state \\ event      SENT       ACK        FILL(part)  FILL(last)  CANCELED  REJECTED  EXPIRED
    PENDING_SUBMIT     SUBMITTED  SUBMITTED  PARTIALLY   FILLED      CANCELED  REJECTED  EXPIRED
    SUBMITTED          -          SUBMITTED  PARTIALLY   FILLED      CANCELED  REJECTED  EXPIRED
    PARTIALLY_FILLED   -          PARTIALLY  PARTIALLY   FILLED      CANCELED  -         EXPIRED
    FILLED, CANCELED, REJECTED, EXPIRED: final

NEW and VALIDATING are passed within one step, before the order exists for anyone else. The id of an order is session
epoch * 2**32 + counter: deterministic, so that a replay makes the same, and never reused, so that a resend cannot double it.
Its slot is the counter modulo the capacity; a slot whose order is not final is never overwritten.

A cancel is a request about an order, not a state of it: the order stays what it is until the venue has said what became of it. `ts_cancel` says
that one is under way. No answer in time: the order is queried, nothing is assumed. CANCEL_REJECT means that the venue has nothing to cancel: the
fill or the end that says why is on its way, so the order is queried too. A query, sent after the cancel, that finds the order open clears
`ts_cancel`: whoever wanted the cancel asks again.
"""

from __future__ import annotations

import numpy as np

from hftkit.codes import EventKind, OrderState, Reject, Side
from hftkit.kernels.arrays import EventArray, EventRecord, OpenArray, OrderArray, OrderRecord, SessionArray, WantArray
from hftkit.kernels.jit import kernel

_FREE, _PENDING, _SUBMITTED = int(OrderState.FREE), int(OrderState.PENDING_SUBMIT), int(OrderState.SUBMITTED)
_PARTIAL, _FILLED, _CANCELED = int(OrderState.PARTIALLY_FILLED), int(OrderState.FILLED), int(OrderState.CANCELED)
_REJECTED, _EXPIRED = int(OrderState.REJECTED), int(OrderState.EXPIRED)
_BUY = int(Side.BUY)
_UNKNOWN, _ILLEGAL = int(Reject.ORDERS_UNKNOWN), int(Reject.ORDERS_ILLEGAL_TRANSITION)

SENT, ACKED, FILLED_PART, FILLED_LAST, WAS_CANCELED, WAS_REJECTED, WAS_EXPIRED = range(7)

NEXT_STATE = np.full((10, 7), -1, np.int64)
NEXT_STATE[_PENDING] = (_SUBMITTED, _SUBMITTED, _PARTIAL, _FILLED, _CANCELED, _REJECTED, _EXPIRED)
NEXT_STATE[_SUBMITTED] = (-1, _SUBMITTED, _PARTIAL, _FILLED, _CANCELED, _REJECTED, _EXPIRED)
NEXT_STATE[_PARTIAL] = (-1, _PARTIAL, _PARTIAL, _FILLED, _CANCELED, -1, _EXPIRED)

_ORDER_ACK, _ORDER_REJECT = int(EventKind.ORDER_ACK), int(EventKind.ORDER_REJECT)
_ORDER_FILL, _ORDER_CANCELED = int(EventKind.ORDER_FILL), int(EventKind.ORDER_CANCELED)
_CANCEL_REJECT, _ORDER_STATUS = int(EventKind.CANCEL_REJECT), int(EventKind.ORDER_STATUS)

COUNTER_BITS = 32
CANCEL_REFUSED = 1  # of ts_cancel: so long ago that the order is queried at the next timer


@kernel
def is_final(state: int) -> bool:
    """Whether an order in this state can no longer change (a free slot counts as final)."""
    return state == _FREE or state >= _FILLED


@kernel
def slot_of(orders: OrderArray, client_order_id: int) -> int:
    """Slot of an order, -1 if the table does not know the id."""
    slot = (client_order_id & ((1 << COUNTER_BITS) - 1)) % orders.size
    return slot if client_order_id > 0 and orders[slot].client_order_id == client_order_id else -1


@kernel
def working(orders: OrderArray, client_order_id: int) -> bool:
    """Whether the id is a known order that is not final."""
    slot = slot_of(orders, client_order_id)
    return slot >= 0 and not is_final(orders[slot].state)


@kernel
def next_slot_free(orders: OrderArray, session: SessionArray) -> bool:
    """Whether the slot of the next order may be taken."""
    return is_final(orders[(session[0].next_order) % orders.size].state)


@kernel
def create(allowed: WantArray, index: int, orders: OrderArray, open_qty: OpenArray, session: SessionArray) -> int:
    """Enter ALLOWED[index] as PENDING_SUBMIT; the caller has seen that the slot is free. Returns its slot."""
    a = allowed[index]
    counter = session[0].next_order
    session[0].next_order = counter + 1
    slot = counter % orders.size
    o = orders[slot]
    o.client_order_id = (session[0].epoch << COUNTER_BITS) | counter
    o.order_id = 0
    o.state = _PENDING
    o.strategy = a.strategy
    o.leg = a.leg
    o.instrument = a.instrument
    o.side = a.side
    o.order_type = a.order_type
    o.time_in_force = a.time_in_force
    o.flags = a.flags
    o.price = a.price
    o.qty = a.qty
    o.filled_qty = 0
    o.ts_cancel = 0
    o.ts_sent = session[0].ts_now
    o.ts_ack = 0
    o.ts_query = 0
    o.reason = 0
    _open(open_qty, o.instrument, o.side, o.qty, 1)
    return slot


@kernel
def _open(open_qty: OpenArray, instrument: int, side: int, qty: int, n: int) -> None:
    row = open_qty[instrument]
    if side == _BUY:
        row.buy_qty += qty
    else:
        row.sell_qty += qty
    row.n_orders += n


@kernel
def move(o: OrderRecord, open_qty: OpenArray, event: int, filled: int) -> int:
    """Move an order by one event of the table above; `filled` lots for the fill events. 0, or the Reject code of an illegal move."""
    state = NEXT_STATE[o.state, event]
    if state < 0 or filled < 0 or o.filled_qty + filled > o.qty:
        return _ILLEGAL
    if filled > 0:
        o.filled_qty += filled
        _open(open_qty, o.instrument, o.side, -filled, 0)
    o.state = state
    if is_final(state):
        _open(open_qty, o.instrument, o.side, -(o.qty - o.filled_qty), -1)
    return 0


@kernel
def _by_status(e: EventRecord, o: OrderRecord, open_qty: OpenArray) -> int:
    """ORDER_STATUS settles an unknown outcome: what the venue says is the truth, except for fills it still has to report.

    The answer to a query may come after the order's end: then it must know the same fills, or say that the venue has forgotten the order.
    """
    if is_final(o.state):
        return 0 if e.code == _FREE or (is_final(e.code) and e.qty == o.filled_qty) else _ILLEGAL
    if e.code == _FREE or e.code == _REJECTED:
        return move(o, open_qty, WAS_REJECTED, 0)
    if e.qty != o.filled_qty:
        return 0  # fills are on their way in the same ordered session: wait for them
    if e.code == _CANCELED:
        return move(o, open_qty, WAS_CANCELED, 0)
    if e.code == _EXPIRED:
        return move(o, open_qty, WAS_EXPIRED, 0)
    if o.ts_query > o.ts_cancel:
        o.ts_cancel = 0
    return move(o, open_qty, ACKED, 0)


@kernel
def note_cancel(orders: OrderArray, client_order_id: int, now: int) -> None:
    """A cancel of this order leaves now (ns monotonic)."""
    slot = slot_of(orders, client_order_id)
    if slot >= 0:
        orders[slot].ts_cancel = now


@kernel
def wants_query(o: OrderRecord, now: int, timeout_ns: int) -> bool:
    """Whether an open order must be asked for: no answer to it, or to its cancel, within `timeout_ns`. Times ns monotonic."""
    if is_final(o.state):
        return False
    unanswered = o.ts_ack == 0
    asked = max(o.ts_sent if unanswered else o.ts_cancel, o.ts_query)
    return (unanswered or o.ts_cancel != 0) and now - asked > timeout_ns


@kernel
def apply_order_event(event: EventArray, orders: OrderArray, open_qty: OpenArray) -> int:
    """Apply one order entry answer (EVENT (1,)). Returns the slot of the order, -1 unknown id, -2 illegal transition."""
    e = event[0]
    slot = slot_of(orders, e.client_order_id)
    if slot < 0:
        return -1
    o = orders[slot]
    if e.order_id != 0:
        o.order_id = e.order_id
    if o.ts_ack == 0:
        o.ts_ack = e.ts_recv
    status = 0
    if e.kind == _ORDER_FILL:
        last = o.filled_qty + e.qty == o.qty
        status = _ILLEGAL if e.side != o.side or e.instrument != o.instrument else move(o, open_qty, FILLED_LAST if last else FILLED_PART, e.qty)
    elif e.kind == _ORDER_ACK:
        status = move(o, open_qty, ACKED, 0)
    elif e.kind == _ORDER_CANCELED:
        status = move(o, open_qty, WAS_CANCELED, 0)
    elif e.kind == _ORDER_REJECT:
        o.reason = e.code
        status = move(o, open_qty, WAS_REJECTED, 0)
    elif e.kind == _CANCEL_REJECT:
        if o.ts_cancel != 0 and not is_final(o.state):
            o.ts_cancel = CANCEL_REFUSED
    elif e.kind == _ORDER_STATUS:
        status = _by_status(e, o, open_qty)
    return slot if status == 0 else -2
