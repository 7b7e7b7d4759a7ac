"""What the engine asks of an execution policy, whichever it is (codes.Policy): hftkit/kernels/execution/README.md says what each does.

What changes the account without an order of ours (trading/external.py) changes what strategies hold too (`correct_positions`), so that they sum to
the account: what closes is taken from those that hold it, in the order of their slots; what is left, or opens, goes to the first strategy that
trades the instrument, which then trades it away. A pair or a basket that was touched is left. Without such a strategy it stays with the account.
"""

from __future__ import annotations

from hftkit.codes import OrderType, Policy
from hftkit.kernels.arrays import BasketArray, BasketLegArray, EngineState, LegsArray, OrderRecord, QuotesArray, WantArray, WantRecord
from hftkit.kernels.execution.basket import end_basket_order, has_basket_orders, leave_basket, leg_at, plan_basket
from hftkit.kernels.execution.pair import count_refusal, end_order, fill_leg, is_flat, note_refused, note_sent, pause_after, plan_legs, shift_leg
from hftkit.kernels.execution.quotes import end_quote, has_quotes, note_quote_sent, pause_quote, plan_quotes, quote_order, watch_quotes
from hftkit.kernels.execution.resting import watch_queue
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.trading.attribution import held_correction, held_external
from hftkit.kernels.trading.strategy_risk import watch_strategy
from hftkit.kernels.trading.validity import expire_basket, expire_legs, expire_quotes
from hftkit.layout import BY_STRATEGY

_PAIR, _QUOTES = int(Policy.PAIR), int(Policy.QUOTES)
_MARKET = int(OrderType.MARKET)


@kernel
def plan_other(
    slot: int,
    rooms: EngineState,
    quotes: QuotesArray,
    baskets: BasketArray,
    basket_legs: BasketLegArray,
    want: WantArray,
    n: int,
    trading: int,
    now: int,
) -> int:
    """`plan` of what is no pair."""
    if rooms.slots[slot].policy == _QUOTES:
        return plan_quotes(slot, rooms.signal, rooms.book, quotes, rooms.held, rooms.orders, want, n, trading, now)
    return plan_basket(slot, rooms.signal, rooms.book, rooms.instruments, rooms.units, baskets, basket_legs, rooms.held, want, n, trading, now)


@inlined_kernel
def plan(
    slot: int,
    rooms: EngineState,
    legs: LegsArray,
    quotes: QuotesArray,
    baskets: BasketArray,
    basket_legs: BasketLegArray,
    want: WantArray,
    n: int,
    trading: int,
    now: int,
) -> int:
    """Have one strategy's policy append to WANT what it wants. The new number of wants.

    `legs`, `quotes`, `baskets`, `basket_legs`: the policies' records, or copies of them (kernels/due.py); `trading`: codes.Trading; `now`: ns
    monotonic.
    """
    if rooms.slots[slot].policy == _PAIR:
        return plan_legs(slot, rooms.signal, rooms.book, rooms.instruments, rooms.units, legs, rooms.orders, want, n, trading, now)
    return plan_other(slot, rooms, quotes, baskets, basket_legs, want, n, trading, now)


@kernel
def expire(slot: int, rooms: EngineState) -> None:
    """The validity of the strategy's frozen file is over: cut its SIGNAL to what may still be wanted (trading/validity.py)."""
    policy = rooms.slots[slot].policy
    if policy == _PAIR:
        expire_legs(slot, rooms.legs, rooms.signal)
    elif policy == _QUOTES:
        expire_quotes(slot, rooms.signal)
    else:
        expire_basket(slot, rooms.baskets, rooms.signal)


@kernel
def watch_queue_of(slot: int, rooms: EngineState) -> None:
    """Take the market data event into what is known of the queues before the strategy's resting orders."""
    policy = rooms.slots[slot].policy
    if policy == _PAIR:
        watch_queue(rooms.legs[slot], rooms.event[0], rooms.orders)
    elif policy == _QUOTES and rooms.quotes[slot].instrument == rooms.event[0].instrument:
        watch_quotes(rooms.quotes[slot], rooms.event[0], rooms.orders)


@kernel
def take_fill(rooms: EngineState, o: OrderRecord) -> None:
    """The fill in EVENT is of the order `o` (ORDER record): policies that count for themselves do so."""
    if rooms.slots[o.strategy].policy == _PAIR:
        fill_leg(rooms.legs[o.strategy], o.leg, rooms.event[0].side, rooms.event[0].qty)


@kernel
def works_on(rooms: EngineState, o: OrderRecord) -> bool:
    """Whether the order `o` is the one that its policy is working now."""
    slot, policy = o.strategy, rooms.slots[o.strategy].policy
    if policy == _PAIR:
        return o.client_order_id == (rooms.legs[slot].lead_order if o.leg == 0 else rooms.legs[slot].hedge_order)
    if policy == _QUOTES:
        q = rooms.quotes[slot]
        return o.client_order_id == quote_order(q, o.side) or o.client_order_id == q.close_order
    return o.client_order_id == rooms.basket_legs[leg_at(slot, o.leg)].order


@kernel
def end(rooms: EngineState, o: OrderRecord, now: int) -> None:
    """The order `o` is final: its policy forgets it."""
    slot, policy = o.strategy, rooms.slots[o.strategy].policy
    if policy == _PAIR:
        end_order(rooms.legs[slot], o, now)
    elif policy == _QUOTES:
        end_quote(rooms.quotes[slot], o, now)
    else:
        end_basket_order(rooms.baskets[slot], rooms.basket_legs[leg_at(slot, o.leg)], o, now)


@kernel
def refused_by_venue(rooms: EngineState, o: OrderRecord, reason: int, now: int) -> int:
    """The venue has refused the order `o`: a longer pause each time (codes.Reject `reason`). How many in a row in its place."""
    slot, policy = o.strategy, rooms.slots[o.strategy].policy
    if policy == _PAIR:
        return count_refusal(rooms.legs[slot], o.leg, rooms.refused, slot, reason, now)
    rooms.refused[slot, o.leg] += 1
    if policy == _QUOTES:
        at = pause_after(rooms.quotes[slot].retry_ns, rooms.refused[slot, o.leg], reason, now)
        pause_quote(rooms.quotes[slot], o.order_type == _MARKET, o.side, at)
    else:
        leg = rooms.basket_legs[leg_at(slot, o.leg)]
        leg.retry_at = max(leg.retry_at, pause_after(rooms.baskets[slot].retry_ns, rooms.refused[slot, o.leg], reason, now))
    return rooms.refused[slot, o.leg]


@inlined_kernel
def sent(rooms: EngineState, a: WantRecord) -> None:
    """The approved want `a` (ALLOWED record) has its id: its policy remembers the order."""
    policy = rooms.slots[a.strategy].policy
    if policy == _PAIR:
        note_sent(rooms.legs[a.strategy], a.leg, a.client_order_id)
    elif policy == _QUOTES:
        note_quote_sent(rooms.quotes[a.strategy], a)
    else:
        rooms.basket_legs[leg_at(a.strategy, a.leg)].order = a.client_order_id


@kernel
def refused_by_risk(rooms: EngineState, a: WantRecord, now: int) -> None:
    """Risk has refused the want `a` (ALLOWED record): it is asked again after a pause, not on every tick."""
    policy = rooms.slots[a.strategy].policy
    if policy == _PAIR:
        note_refused(rooms.legs[a.strategy], a.leg, now)
    elif policy == _QUOTES:
        pause_quote(rooms.quotes[a.strategy], a.order_type == _MARKET, a.side, now + rooms.quotes[a.strategy].retry_ns)
    else:
        rooms.basket_legs[leg_at(a.strategy, a.leg)].retry_at = now + rooms.baskets[a.strategy].retry_ns


@kernel
def all_flat(rooms: EngineState) -> bool:
    """Whether no strategy holds a position or has a working order."""
    for slot in range(rooms.slots.size):
        policy = rooms.slots[slot].policy
        if policy == _PAIR:
            if not is_flat(rooms.legs[slot], rooms.orders):
                return False
            continue
        for place in range(rooms.slots[slot].n_traded):
            if rooms.held[slot, place].position != 0:
                return False
        if policy == _QUOTES:
            if has_quotes(rooms.quotes[slot], rooms.orders):
                return False
        elif has_basket_orders(slot, rooms.baskets[slot], rooms.basket_legs, rooms.orders):
            return False
    return True


@kernel
def _position_of(rooms: EngineState, slot: int, place: int) -> int:
    """Lots that a strategy holds, as its policy knows it."""
    if rooms.slots[slot].policy == _PAIR:
        return rooms.legs[slot].lead_position if place == 0 else rooms.legs[slot].hedge_position
    return rooms.held[slot, place].position


@kernel
def _correct(rooms: EngineState, slot: int, place: int, lots: int, is_fill: bool, now: int) -> None:
    """What a strategy holds changes by signed `lots` from outside."""
    e, policy = rooms.event[0], rooms.slots[slot].policy
    if policy == _PAIR:
        shift_leg(rooms.legs[slot], place, lots, e.ts_event, now)
    elif policy != _QUOTES:
        leave_basket(rooms.baskets[slot], e.ts_event, now)
    if rooms.rules[0] & BY_STRATEGY == 0:
        return
    if is_fill:
        held_external(slot, place, lots, rooms.event, rooms.instruments, rooms.ledger, rooms.held)
    else:
        held_correction(slot, place, lots, e.instrument, rooms.instruments, rooms.ledger, rooms.held)
    watch_strategy(slot, rooms.slots, rooms.held, rooms.watch)


@kernel
def correct_positions(rooms: EngineState, lots: int, is_fill: bool, now: int) -> None:
    """The account's position in the instrument of EVENT has changed by signed `lots` without an order of ours: the rule above.

    `is_fill`: at the price and with the fee of the fill in EVENT; else a correction, at mark. `now`: ns monotonic.
    """
    instrument, left = rooms.event[0].instrument, lots
    first, last = rooms.watcher_start[instrument], rooms.watcher_start[instrument + 1]
    for i in range(first, last):
        slot, place = rooms.watchers[i, 0], rooms.watchers[i, 1]
        position = _position_of(rooms, slot, place)
        if left * position < 0:
            part = min(abs(position), abs(left)) * (1 if left > 0 else -1)
            _correct(rooms, slot, place, part, is_fill, now)
            left -= part
    for i in range(first, last):
        slot, place = rooms.watchers[i, 0], rooms.watchers[i, 1]
        if left != 0 and place < rooms.slots[slot].n_traded:
            _correct(rooms, slot, place, left, is_fill, now)
            left = 0
