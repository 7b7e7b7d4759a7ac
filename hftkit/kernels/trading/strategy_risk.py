"""Limits of one strategy, beside those of the account: checked in the same step, before them. Owns SLOT.

Positions are those of the strategy's own ledger (attribution.py), whatever others hold in the same instruments; its open orders count as filled. A
strategy that reaches its loss limit is stopped alone: PAUSED enters nothing new and leaves what it holds by its own exits; FLATTENING leaves at once.
It stays stopped for the rest of the session: only new limits start it again (session/reload.py).
"""

from __future__ import annotations

from hftkit.codes import Reject, Side, Trading
from hftkit.kernels.arrays import HeldArray, InstrumentArray, Int64Array, LedgerArray, OpenHeldArray, SlotArray, SlotRecord, WantRecord
from hftkit.kernels.jit import inlined_kernel, kernel

_BUY = int(Side.BUY)
_ENABLED = int(Trading.ENABLED)
_POSITION, _EXPOSURE, _LOSS = int(Reject.RISK_STRATEGY_POSITION), int(Reject.RISK_STRATEGY_EXPOSURE), int(Reject.RISK_STRATEGY_LOSS)
_ORDERS, _STOPPED = int(Reject.RISK_STRATEGY_ORDERS), int(Reject.RISK_STRATEGY_STOPPED)
UNLIMITED = 2**62


@inlined_kernel
def own_reducible(a: WantRecord, held: HeldArray, open_held: OpenHeldArray) -> int:
    """Lots by which the order `a` (ALLOWED record) could bring its strategy's own position to zero, not past it, if every open order filled."""
    row, o = held[a.strategy, a.leg], open_held[a.strategy, a.leg]
    return -row.position - o.buy_qty if a.side == _BUY else row.position - o.sell_qty


@kernel
def worst_own_exposure(
    slot: int, watch: Int64Array, instruments: InstrumentArray, ledger: LedgerArray, held: HeldArray, open_held: OpenHeldArray
) -> int:
    """Sum over the strategy's instruments of the largest |position| that its open orders could lead to, at mark, in 1e-8 quote."""
    total = 0
    for place in range(watch.shape[1]):
        instrument = watch[slot, place]
        if instrument < 0:
            break
        row, o = held[slot, place], open_held[slot, place]
        worst = max(abs(row.position + o.buy_qty), abs(row.position - o.sell_qty))
        total += worst * ledger[instrument].mark_price * instruments[instrument].tick_lot_e8 // 2
    return total


@inlined_kernel
def check_strategy(
    a: WantRecord,
    price: int,
    instruments: InstrumentArray,
    ledger: LedgerArray,
    slots: SlotArray,
    held: HeldArray,
    open_held: OpenHeldArray,
    watch: Int64Array,
) -> int:
    """Check the order `a` (ALLOWED record, a NEW) in place against its strategy's limits: 0, maybe with a smaller quantity, or the codes.Reject.

    `price`: ticks at which it counts.
    """
    s = slots[a.strategy]
    reducible = own_reducible(a, held, open_held)
    if s.trading != _ENABLED:
        if reducible <= 0:
            return _STOPPED
        a.qty = min(a.qty, reducible)
    if s.max_open_orders < UNLIMITED:
        n_open = 0
        for place in range(watch.shape[1]):
            n_open += open_held[a.strategy, place].n_orders
        if n_open >= s.max_open_orders:
            return _ORDERS
    if a.qty <= reducible:
        return 0
    if s.max_position < UNLIMITED:
        a.qty = min(a.qty, reducible + s.max_position)
        if a.qty <= 0:
            return _POSITION
    if s.max_exposure_e8 < UNLIMITED:
        value = a.qty * price * instruments[a.instrument].tick_lot_e8
        if worst_own_exposure(a.strategy, watch, instruments, ledger, held, open_held) + value > s.max_exposure_e8:
            return _EXPOSURE
    return 0


@kernel
def stop_strategy(s: SlotRecord, trading: int, reason: int) -> None:
    """Allow a strategy (SLOT record) no more than `trading` (codes.Trading) from now on."""
    if s.trading < trading:
        s.trading = trading
        s.reason = reason


@kernel
def watch_strategy(slot: int, slots: SlotArray, held: HeldArray, watch: Int64Array) -> bool:
    """A strategy's P&L after a change of what it holds; stops it at its loss limit. Whether it was stopped now."""
    equity = 0
    for place in range(watch.shape[1]):
        if watch[slot, place] < 0:
            break
        row = held[slot, place]
        equity += row.realized_e8 + row.unrealized_e8 - row.fees_e8 - row.funding_e8
    s = slots[slot]
    s.equity_e8 = equity
    s.peak_equity_e8 = max(s.peak_equity_e8, equity)
    if equity > -s.max_loss_e8 or s.trading >= s.on_loss:
        return False
    stop_strategy(s, s.on_loss, _LOSS)
    return True
