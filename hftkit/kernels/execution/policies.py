"""What the engine asks of an execution policy, whichever it is (codes.Policy): hftkit/kernels/execution/README.md says what each does."""

from __future__ import annotations

from hftkit.kernels.arrays import EngineState
from hftkit.kernels.jit import kernel
from hftkit.kernels.trading.attribution import held_correction, held_external
from hftkit.kernels.trading.strategy_risk import watch_strategy


@kernel
def share_external(rooms: EngineState, is_fill: bool) -> None:
    """The event has moved positions without an order of ours (trading/external.py): what the policies took over goes into their strategies' ledgers.

    `is_fill`: at the price and with the fee of the fill in EVENT; else a correction, at mark.
    """
    e = rooms.event[0]
    for i in range(rooms.watcher_start[e.instrument], rooms.watcher_start[e.instrument + 1]):
        slot, place = rooms.watchers[i, 0], rooms.watchers[i, 1]
        leg = rooms.legs[slot]
        position = leg.lead_position if place == 0 else leg.hedge_position
        lots = position - rooms.held[slot, place].position
        if lots == 0:
            continue
        if is_fill:
            held_external(slot, place, lots, rooms.event, rooms.instruments, rooms.held)
        else:
            held_correction(slot, place, lots, e.instrument, rooms.instruments, rooms.ledger, rooms.held)
        watch_strategy(slot, rooms.slots, rooms.held, rooms.watch)
