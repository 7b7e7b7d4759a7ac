"""Resting orders that new limits forbid: looked at once, in the step that takes new limits up (Control.RELOAD).

The risk check looks at an order before it leaves, so what rests has passed the limits of that moment. Limits that are lowered while it rests may
forbid it: by its size, its value, or because the position or exposure that it may lead to is no longer allowed. An order that only brings a position
nearer to zero is forbidden by its size and value alone. What is forbidden is cancelled; its strategy then asks anew and gets what is allowed.
"""

from __future__ import annotations

from hftkit.codes import Action, Side
from hftkit.kernels.arrays import EngineState, OrderRecord
from hftkit.kernels.execution.resting import cancel_of
from hftkit.kernels.jit import kernel
from hftkit.kernels.trading.lot_value import lot_value
from hftkit.kernels.trading.orders import is_final
from hftkit.kernels.trading.risk import worst_exposure
from hftkit.kernels.trading.strategy_risk import UNLIMITED, worst_own_exposure
from hftkit.layout import BY_STRATEGY

_BUY, _CANCEL = int(Side.BUY), int(Action.CANCEL)


@kernel
def _account_forbids(o: OrderRecord, rooms: EngineState) -> bool:
    """Whether the account's limits would not have what this side of the instrument may lead to."""
    row, opened = rooms.ledger[o.instrument], rooms.open_qty[o.instrument]
    sign, same_side = (1, opened.buy_qty) if o.side == _BUY else (-1, opened.sell_qty)
    if same_side <= -sign * row.position:
        return False  # it only reduces
    n_open = 0
    for i in range(rooms.open_qty.size):
        n_open += rooms.open_qty[i].n_orders
    exposure = worst_exposure(rooms.ledger, rooms.open_qty, rooms.instruments)
    r, limit = rooms.risk[0], rooms.limit[o.instrument]
    return sign * row.position + same_side > limit.max_position or exposure > r.max_exposure_e8 or n_open > r.max_open_orders


@kernel
def _strategy_forbids(o: OrderRecord, rooms: EngineState) -> bool:
    """Likewise the limits of its strategy."""
    s, row, opened = rooms.slots[o.strategy], rooms.held[o.strategy, o.leg], rooms.open_held[o.strategy, o.leg]
    sign, same_side = (1, opened.buy_qty) if o.side == _BUY else (-1, opened.sell_qty)
    if same_side <= -sign * row.position:
        return False
    if sign * row.position + same_side > s.max_position:
        return True
    if s.max_open_orders < UNLIMITED:
        n_open = 0
        for place in range(rooms.watch.shape[1]):
            n_open += rooms.open_held[o.strategy, place].n_orders
        if n_open > s.max_open_orders:
            return True
    if s.max_exposure_e8 == UNLIMITED:
        return False
    return worst_own_exposure(o.strategy, rooms.watch, rooms.instruments, rooms.ledger, rooms.held, rooms.open_held) > s.max_exposure_e8


@kernel
def forbidden(o: OrderRecord, rooms: EngineState) -> bool:
    """Whether the resting order `o` (ORDER record) could not be sent under the limits of this moment."""
    leaves, limit = o.qty - o.filled_qty, rooms.limit[o.instrument]
    value = lot_value(max(o.price, 1), rooms.instruments[o.instrument].tick_lot_e8)
    if leaves > limit.max_order_qty or leaves > limit.max_order_notional_e8 // value or _account_forbids(o, rooms):
        return True
    return rooms.rules[0] & BY_STRATEGY != 0 and _strategy_forbids(o, rooms)


@kernel
def pull_forbidden(rooms: EngineState, n: int) -> int:
    """Append to WANT the cancel of each resting order that the limits forbid, unless it is among the `n` wants already. New number of wants."""
    planned = n
    for counter in range(rooms.session[0].first_open, rooms.session[0].next_order):
        o = rooms.orders[counter % rooms.orders.size]
        wanted = is_final(o.state) or not forbidden(o, rooms)
        for i in range(planned):
            wanted = wanted or (rooms.want[i].action == _CANCEL and rooms.want[i].client_order_id == o.client_order_id)
        if not wanted:
            n = cancel_of(o.strategy, o, rooms.want, n)
    return n
