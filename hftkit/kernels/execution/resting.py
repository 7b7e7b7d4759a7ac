"""The lead as a resting order: whether it may stay, and what stands before it in the queue (GW-8). Writes LEGS and WANT for legs.py.

A lead order worked with patience is post-only at the touch. It is pulled (a CANCEL want) when

    the rest of it is no longer wanted   the signal has changed its mind, entries are paused
    it is urgent                         patience is over, a stop, trading is flattening or halted, the hedge does not fill
    nobody watches                       a book of the pair is not whole, or not two-sided: it could be filled and not hedged
    the touch has moved away             by `reprice_ticks` or more; it is posted again at the new touch

and only once the venue has acknowledged it: a cancel that arrives before its order would be refused. Until the venue has said what became of it, the
order counts as working: the remainder is neither posted nor taken, so a fill that crosses the cancel is booked and nothing is sent twice.

The queue ahead is an estimate from above, of the quantity at our price that was there first. Posting sets it to what the book shows; until the
acknowledgement it follows the book, since others may arrive before us; then it only shrinks: by each trade at our price, and to what the book still
shows there. A cancelled quantity is thus taken to have stood behind us until the whole level is smaller than the estimate. (Rigtorp 2013,
"Estimating order queue position", the assumption most against us; Moallemi and Yuan 2017, "A model for queue position valuation in a limit
order book".) What the book shows includes our own order, so the estimate is never too low for that.
"""

from __future__ import annotations

from hftkit.codes import Action, EventKind, Side, TimeInForce
from hftkit.kernels.arrays import BookArray, EventRecord, LegsRecord, OrderArray, OrderRecord, WantArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.signals import tradable
from hftkit.kernels.trading.orders import slot_of

_BUY, _GTC, _CANCEL = int(Side.BUY), int(TimeInForce.GTC), int(Action.CANCEL)
_TRADE, _DEPTH, _BBO = int(EventKind.TRADE), int(EventKind.DEPTH), int(EventKind.BBO)


@kernel
def _shown_at(e: EventRecord, side: int, price: int) -> int:
    """Lots that a market data event (EVENT record) shows at `price` (ticks) of one side, -1 if it does not say."""
    if e.kind == _DEPTH:
        return e.qty if e.side == side and e.price == price else -1
    if e.kind != _BBO:
        return -1
    best, qty = (e.price, e.qty) if side == _BUY else (e.price2, e.qty2)
    if best == price:
        return qty
    behind = best < price if side == _BUY else best > price
    return 0 if behind or best == 0 else -1


@kernel
def queue_after(ahead: int, e: EventRecord, o: OrderRecord) -> int:
    """Lots before the resting order `o` (ORDER record) after a market data event (EVENT record) of its instrument; `ahead`: before it."""
    if e.kind == _TRADE and e.side != o.side:
        through = e.price < o.price if o.side == _BUY else e.price > o.price
        gone = ahead if through else (e.qty if e.price == o.price else 0)
        return max(ahead - gone, 0)
    shown = _shown_at(e, o.side, o.price)
    if shown < 0:
        return ahead
    return shown if o.ts_ack == 0 else min(ahead, shown)


@kernel
def watch_queue(leg: LegsRecord, e: EventRecord, orders: OrderArray) -> None:
    """Take one market data event (EVENT record) into the estimate of a strategy (LEGS record) whose lead order rests in that instrument."""
    slot = slot_of(orders, leg.lead_order) if leg.lead == e.instrument else -1
    if slot >= 0 and orders[slot].time_in_force == _GTC:
        leg.queue_ahead = queue_after(leg.queue_ahead, e, orders[slot])


@kernel
def watched(leg: LegsRecord, book: BookArray) -> bool:
    """Whether every book of the pair can be traded on: only then may an order rest."""
    return tradable(book[leg.lead]) and (leg.hedge < 0 or tradable(book[leg.hedge]))


@kernel
def may_stay(leg: LegsRecord, o: OrderRecord, book: BookArray, lead_lots: int, urgent: bool) -> bool:
    """Whether the working lead order `o` (ORDER record) may rest on. `lead_lots`: signed lots still wanted."""
    wanted = lead_lots if o.side == _BUY else -lead_lots
    if urgent or o.qty - o.filled_qty > wanted or not watched(leg, book):
        return False
    b = book[leg.lead]
    away = b.best_bid - o.price if o.side == _BUY else o.price - b.best_ask
    return away < leg.reprice_ticks


@kernel
def cancel_of(slot: int, o: OrderRecord, want: WantArray, n: int) -> int:
    """Ask for the cancel of the resting order `o` of strategy `slot`, once, and not before it is acknowledged. The new number of wants."""
    if o.time_in_force != _GTC or o.ts_ack == 0 or o.ts_cancel != 0 or n >= want.size:
        return n
    w = want[n]
    w.action = _CANCEL
    w.strategy = slot
    w.leg = o.leg
    w.instrument = o.instrument
    w.side = o.side
    w.order_type = o.order_type
    w.time_in_force = o.time_in_force
    w.flags = o.flags
    w.price = o.price
    w.qty = o.qty - o.filled_qty
    w.client_order_id = o.client_order_id
    w.reason = 0
    return n + 1


@kernel
def pull(leg: LegsRecord, slot: int, o: OrderRecord, want: WantArray, n: int) -> int:
    """Ask for the cancel of the resting lead order `o` of strategy `slot`. The new number of wants."""
    after = cancel_of(slot, o, want, n)
    leg.n_pulls += after - n
    return after
