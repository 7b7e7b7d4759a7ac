"""Whether a timer event would do anything: asked before one is made, so that idle timers cost neither a step nor a journal record.

The shells look once a millisecond. A timer event that changes nothing but its own count is not made: what the step never saw cannot matter to a
replay. The answer is exact, not a guess: the policies plan for that time on a copy of their records (`tried_*` of the state), and what
`_commit_timer` of step.py would do is asked condition by condition. Whoever adds to what a timer does adds it here; what is forgotten happens late,
by at most the shells' own longest pause between two timers, and never differs between a session and its replay. Writes the tried_* arrays only.
"""

from __future__ import annotations

from hftkit.codes import Trading
from hftkit.kernels.arrays import EngineState
from hftkit.kernels.execution.policies import all_flat, plan
from hftkit.kernels.jit import kernel
from hftkit.kernels.step import STOP_WANTED
from hftkit.kernels.trading.orders import is_final, wants_query

_FLATTENING = int(Trading.FLATTENING)


@kernel
def _orders_due(rooms: EngineState, now: int) -> bool:
    """Whether `_commit_timer` would ask for an order, move its first_open on, or log out. `now`: ns monotonic."""
    s = rooms.session[0]
    n_open = 0
    for i in range(rooms.open_qty.size):
        n_open += rooms.open_qty[i].n_orders
    if n_open == 0:
        return s.stop_requested == STOP_WANTED and all_flat(rooms)
    due = s.first_open < s.next_order and is_final(rooms.orders[s.first_open % rooms.orders.size].state)
    for counter in range(s.first_open, s.next_order):
        due = due or wants_query(rooms.orders[counter % rooms.orders.size], now, s.order_timeout_ns)
    return due


@kernel
def _legs_due(rooms: EngineState, now: int) -> bool:
    """Whether planning the legs at `now` (ns monotonic) would want an order or change what a policy keeps: tried on a copy of it."""
    trading = rooms.risk[0].trading
    for i in range(rooms.legs_words.size):
        rooms.tried_words[i] = rooms.legs_words[i]
    for slot in range(rooms.slots.size):
        allowed = max(trading, rooms.slots[slot].trading)
        n = plan(
            slot,
            rooms,
            rooms.tried_legs,
            rooms.tried_quotes,
            rooms.tried_baskets,
            rooms.tried_basket_legs,
            rooms.tried_want,
            0,
            allowed,
            now,
        )
        if n > 0:
            return True
    for i in range(rooms.legs_words.size):
        if rooms.tried_words[i] != rooms.legs_words[i]:
            return True
    return trading == _FLATTENING and all_flat(rooms)


@kernel
def timer_due(rooms: EngineState, now: int) -> bool:
    """Whether a timer event at `now` (ns monotonic) would change more than SESSION's ts_now and n_timers.

    `rooms`: hftkit.session.engine_state.EngineState.
    """
    s = rooms.session[0]
    if s.logged_on == 0:
        return False
    at = max(s.ts_now, now)
    if at - s.ts_last_sent >= s.heartbeat_ns or _orders_due(rooms, at):
        return True
    return s.stop_requested <= STOP_WANTED and _legs_due(rooms, at)
