"""The pair as one position: lead first, hedge what filled, by a deadline or unwind (ST-9). Owns LEGS and WANT.

    FLAT      -> ENTERING    the signal wants a position (and it is not one that was missed, see `skip`)
    ENTERING  -> OPEN        the lead is filled and the hedge matches it
    ENTERING  -> EXITING     the signal has changed its mind
    OPEN      -> EXITING     the signal wants something else (a flip goes through FLAT)
    EXITING   -> FLAT        both legs are zero
    ENTERING, OPEN, EXITING -> UNWINDING    the residual is older than the hedge deadline
    UNWINDING -> EXITING     the lead has been brought back to what is hedged

The *residual* is the hedge position minus what the lead position asks for: lead * unit_hedge / unit_lead, to the nearest lot. A leg
is naked while the residual is beyond tolerance; then nothing is added on the lead, the hedge is worked, and the clock runs.
Both legs can be traded now, each in a size that the venue takes, or the pair is not entered; a hedge is rounded up to that size, so that
it is never refused for being small (risk looks at what was rounded).
While a book of the pair is stale (kernels/market/book.py) nothing is entered and nothing rests: the lead is not added to, a resting order is pulled.
A hedge and an exit wait for fresh quotes, the hedge until its deadline; unwinding and forced exits are market orders that need no quote.
Each leg has at most one working order, so a late answer can never double it. Entries and hedges are IOC limits
`slippage_ticks` through the touch; unwinding and forced exits are market orders. A single-instrument strategy has hedge -1.

Maker first (`maker_patience_ns` > 0): the lead is posted at the touch and rests (resting.py) until `take_at`; what is left then is taken. Taken at
once: what leaves an entry that was not finished, a stop, whatever is forced, an exit whose hedge does not fill; and the hedge, always. The hedge
follows each partial fill as it comes; a hedge attempt that fills nothing pulls the resting lead, so a naked leg never waits on a maker order.

A unit that a new frozen file makes larger or smaller (session/reload.py) is taken over while the pair is flat: what is held keeps the unit that it
was entered with.

Where a strategy's hedge ratio moves, SIGNAL.unit_hedge says how many hedge lots a unit has from now on. It is taken over while the pair is
flat or open: the difference is then a residual like any other, hedged at once, by the same deadline.

What changes the account without an order of ours changes the legs too (policies.py, `correct_positions`), and the pair is left: what remains of the
other leg is closed, and the target that was held is missed (`skip`).
"""

from __future__ import annotations

from hftkit.codes import Action, LegState, OrderFlag, OrderType, Reject, Side, SignalReason, TimeInForce, Trading
from hftkit.kernels.arrays import (
    BookArray,
    BookRecord,
    InstrumentArray,
    InstrumentRecord,
    Int64Array,
    LegsArray,
    LegsRecord,
    OrderArray,
    OrderRecord,
    SignalArray,
    WantArray,
)
from hftkit.kernels.execution.resting import may_stay, pull, watched
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.signals import stale, tradable
from hftkit.kernels.trading.lot_value import lot_value
from hftkit.kernels.trading.orders import slot_of, working

_FLAT, _ENTERING, _OPEN = int(LegState.FLAT), int(LegState.ENTERING), int(LegState.OPEN)
_EXITING, _UNWINDING = int(LegState.EXITING), int(LegState.UNWINDING)
_ENABLED, _PAUSED = int(Trading.ENABLED), int(Trading.PAUSED)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_LIMIT, _MARKET, _IOC = int(OrderType.LIMIT), int(OrderType.MARKET), int(TimeInForce.IOC)
_GTC, _POST_ONLY, _STOP = int(TimeInForce.GTC), int(OrderFlag.POST_ONLY), int(SignalReason.STOP)
_NEW = int(Action.NEW)
_NOTHING_TO_REDUCE, _BOOK_REASONS = int(Reject.VENUE_REDUCE_ONLY), 500
_REDUCE_ONLY_DOUBLINGS, _MOST_DOUBLINGS = 3, 5  # of the pause between two attempts on a leg


@kernel
def nearest_ratio(lots: int, numerator: int, denominator: int) -> int:
    """lots * numerator / denominator to the nearest integer, halves away from zero."""
    product = lots * numerator
    by = abs(denominator)
    rest = abs(product) % by
    size = abs(product) // by + (1 if rest >= by - rest else 0)  # twice either of them may pass 63 bits: see trading/lot_value.py
    return size if (product >= 0) == (denominator > 0) else -size


@kernel
def residual_of(leg: LegsRecord) -> int:
    """Hedge lots too many (positive) or missing (negative); 0 for a single instrument."""
    if leg.hedge < 0:
        return 0
    if leg.lead_position == 0:
        return leg.hedge_position
    return leg.hedge_position - nearest_ratio(leg.lead_position, leg.unit_hedge, leg.unit_lead)


@kernel
def fill_leg(leg: LegsRecord, leg_index: int, side: int, qty: int) -> None:
    """Book a fill of `qty` lots on leg 0 (lead) or 1 (hedge)."""
    signed = qty if side == _BUY else -qty
    if leg_index == 0:
        leg.lead_position += signed
    else:
        leg.hedge_position += signed


@kernel
def end_order(leg: LegsRecord, o: OrderRecord, now: int) -> None:
    """Forget the working order of a leg once it is final (ORDER record `o`); an attempt that filled nothing is retried only after `retry_ns`.

    One that was cancelled on our wish is no failed attempt. An order that the leg no longer works on changes nothing.
    """
    pause = now + leg.retry_ns if o.filled_qty == 0 and o.ts_cancel == 0 else 0
    if o.leg == 0 and leg.lead_order == o.client_order_id:
        leg.lead_order = 0
        leg.lead_retry_at = pause
        leg.queue_ahead = 0
    elif o.leg == 1 and leg.hedge_order == o.client_order_id:
        leg.hedge_order = 0
        leg.hedge_retry_at = pause


@kernel
def smallest_order(ins: InstrumentRecord, price: int) -> int:
    """Lots of the smallest order that reaches the venue's minimum notional at this price (ticks), rounded up; at least 1."""
    lot_notional = lot_value(max(price, 1), ins.tick_lot_e8)
    return max((ins.min_notional_e8 + lot_notional - 1) // lot_notional, 1)


@kernel
def _leg_possible(b: BookRecord, ins: InstrumentRecord, unit: int, slippage: int) -> bool:
    """Whether a unit of one leg could be sent now, at the worst price it may ask for."""
    return tradable(b) and abs(unit) >= smallest_order(ins, b.best_bid - slippage)


@kernel
def _unit_possible(leg: LegsRecord, book: BookArray, instruments: InstrumentArray) -> bool:
    """Whether a unit of both legs could be sent now."""
    if not _leg_possible(book[leg.lead], instruments[leg.lead], leg.unit_lead, leg.slippage_ticks):
        return False
    return leg.hedge < 0 or _leg_possible(book[leg.hedge], instruments[leg.hedge], leg.unit_hedge, leg.slippage_ticks)


@kernel
def _tolerance(leg: LegsRecord, book: BookArray, instruments: InstrumentArray) -> int:
    """Residual lots that need no action: the configured ones, or what the venue would not take as an order. None when flat."""
    if leg.lead_position == 0:
        return 0
    ins, b = instruments[leg.hedge], book[leg.hedge]
    smallest = 0
    if b.best_bid > 0:
        smallest = ins.min_notional_e8 // lot_value(b.best_bid, ins.tick_lot_e8)
    return max(leg.residual_lots, smallest)


@kernel
def _enter_state(leg: LegsRecord, state: int, ts_event: int, now: int) -> None:
    if state == _ENTERING or leg.state == _ENTERING or leg.state == _OPEN:
        if state == _OPEN:
            leg.entering_ns += now - leg.ts_since
        leg.ts_since = now
        patient = state == _ENTERING or (state == _EXITING and leg.state == _OPEN)
        leg.take_at = now + (leg.maker_patience_ns if patient else 0)
    leg.state = state
    leg.ts_state = ts_event
    if state == _OPEN:
        leg.n_entries += 1
    elif state == _FLAT:
        leg.n_exits += 1
        leg.target = 0
        leg.exiting_ns += now - leg.ts_since
    elif state == _UNWINDING:
        leg.n_unwinds += 1


@kernel
def _entered(leg: LegsRecord, book: BookArray, instruments: InstrumentArray) -> bool:
    """Whether the lead is filled, or as far as the venue would take another order: what a resting order leaves may be too small to be sent."""
    missing = abs(leg.target * leg.unit_lead - leg.lead_position)
    if missing == 0 or leg.maker_patience_ns == 0 or leg.lead_order != 0 or leg.lead_position == 0:
        return missing == 0
    return book[leg.lead].best_bid > 0 and missing < smallest_order(instruments[leg.lead], book[leg.lead].best_bid)


@kernel
def _transition(
    leg: LegsRecord,
    book: BookArray,
    instruments: InstrumentArray,
    wanted: int,
    trading: int,
    naked: bool,
    late: bool,
    possible: bool,
    ts_event: int,
    now: int,
) -> None:
    """One move of the table above. `wanted`: the signal's target in units, already 0 where positions are to be left; `possible`: both legs are."""
    if wanted == 0:
        leg.skip = 0
    if late and leg.state != _UNWINDING and leg.state != _FLAT:
        _enter_state(leg, _UNWINDING, ts_event, now)
        leg.skip = leg.target
    if leg.state == _FLAT:
        if wanted != 0 and trading != _ENABLED:
            leg.skip = wanted
        if wanted != 0 and wanted != leg.skip and possible:
            leg.target = wanted
            _enter_state(leg, _ENTERING, ts_event, now)
    elif leg.state == _ENTERING:
        if wanted != leg.target:
            _enter_state(leg, _EXITING, ts_event, now)
        elif not naked and _entered(leg, book, instruments):
            _enter_state(leg, _OPEN, ts_event, now)
    elif leg.state == _OPEN:
        if wanted != leg.target:
            _enter_state(leg, _EXITING, ts_event, now)
    elif leg.state == _UNWINDING:
        if not naked and leg.lead_order == 0:
            _enter_state(leg, _EXITING, ts_event, now)
    if leg.state == _EXITING and leg.lead_position == 0 and leg.hedge_position == 0 and leg.lead_order == 0 and leg.hedge_order == 0:
        _enter_state(leg, _FLAT, ts_event, now)


@kernel
def ask_for(
    want: WantArray, n: int, slot: int, leg_index: int, instrument: int, lots: int, least: int, book: BookArray, slippage: int, market: bool
) -> int:
    """Append an order for signed `lots`, not less than `least` (rounding up); returns the new number of wants. Without a trusted book only a
    market order goes out."""
    b = book[instrument]
    if n >= want.size or (not tradable(b) and not market):
        return n
    w = want[n]
    w.action = _NEW
    w.strategy = slot
    w.leg = leg_index
    w.instrument = instrument
    w.side = _BUY if lots > 0 else _SELL
    w.order_type = _MARKET if market else _LIMIT
    w.time_in_force = _IOC
    w.flags = 0
    w.price = 0
    if not market:
        w.price = b.best_ask + slippage if lots > 0 else max(b.best_bid - slippage, 1)
    w.qty = max(abs(lots), least)
    w.client_order_id = 0
    w.reason = 0
    return n + 1


@kernel
def _lead_goal(leg: LegsRecord) -> int:
    if leg.state == _ENTERING or leg.state == _OPEN:
        return leg.target * leg.unit_lead
    if leg.state == _UNWINDING and leg.hedge >= 0:
        hedged = nearest_ratio(leg.hedge_position, leg.unit_lead, leg.unit_hedge)
        # towards what is hedged, never beyond what is held: unwinding only makes positions smaller
        return max(0, min(hedged, leg.lead_position)) if leg.lead_position > 0 else min(0, max(hedged, leg.lead_position))
    return 0


@kernel
def _post(leg: LegsRecord, want: WantArray, n: int, slot: int, lots: int, book: BookArray) -> int:
    """Append a post-only order for signed `lots` of the lead at the touch: its own side of the quoted spread, not the other. New number of wants."""
    b = book[leg.lead]
    if not watched(leg, book):
        return n
    after = ask_for(want, n, slot, 0, leg.lead, lots, 0, book, b.best_bid - b.best_ask, False)
    if after > n:
        want[n].time_in_force = _GTC
        want[n].flags = _POST_ONLY
        leg.queue_ahead = b.best_bid_qty if lots > 0 else b.best_ask_qty
        leg.n_posts += 1
    return after


@kernel
def _plan_patient_lead(
    slot: int,
    leg: LegsRecord,
    lead_lots: int,
    naked: bool,
    trading: int,
    forced: bool,
    book: BookArray,
    orders: OrderArray,
    want: WantArray,
    n: int,
    now: int,
) -> int:
    """What the lead wants where it is worked with patience: let rest, pull, post or take. Returns the number of wants."""
    if trading == _PAUSED and leg.state == _ENTERING:
        lead_lots = 0
    hedge_failed = naked and leg.hedge_retry_at != 0 and leg.hedge_retry_at - leg.retry_ns >= leg.ts_naked
    urgent = forced or now >= leg.take_at or hedge_failed
    if leg.lead_order != 0:
        at = slot_of(orders, leg.lead_order)
        return n if at < 0 or may_stay(leg, orders[at], book, lead_lots, urgent) else pull(leg, slot, orders[at], want, n)
    if lead_lots == 0 or now < leg.lead_retry_at:
        return n
    if not urgent:
        return n if naked else _post(leg, want, n, slot, lead_lots, book)
    if naked and leg.state == _ENTERING:
        return n
    return ask_for(want, n, slot, 0, leg.lead, lead_lots, 0, book, leg.slippage_ticks, forced)


@kernel
def _take_unit(leg: LegsRecord, unit_lead: int, unit_hedge: int, moving_hedge: int) -> None:
    """While the pair is flat: the unit of the newest frozen file, signed lots; `moving_hedge`: those of the signal where its ratio moves, else 0."""
    if leg.state == _FLAT and leg.unit_lead != unit_lead:
        leg.unit_lead = unit_lead
    if leg.hedge < 0:
        return
    if leg.state == _FLAT and moving_hedge == 0 and leg.unit_hedge != unit_hedge:
        leg.unit_hedge = unit_hedge
    if moving_hedge != 0 and (leg.state == _FLAT or leg.state == _OPEN):
        leg.unit_hedge = moving_hedge


@kernel
def plan_legs(
    slot: int,
    signal: SignalArray,
    book: BookArray,
    instruments: InstrumentArray,
    units: Int64Array,
    legs: LegsArray,
    orders: OrderArray,
    want: WantArray,
    n: int,
    trading: int,
    now: int,
) -> int:
    """Advance one pair and append what it wants to trade. Returns the number of wants.

    `signal` SIGNAL (k,), `units` int64 (k, BASKET_LEGS), `legs` LEGS (k,),
    `orders` ORDER (capacity,), `want` WANT (wants,), `n`: wants already there, `trading`: codes.Trading,
    `now`: ns monotonic.
    """
    leg = legs[slot]
    target = signal[slot].target
    _take_unit(leg, units[slot, 0], units[slot, 1], signal[slot].unit_hedge)
    wanted = 0 if trading > _PAUSED else target
    residual = residual_of(leg)
    naked = leg.hedge >= 0 and abs(residual) > _tolerance(leg, book, instruments)
    if not naked:
        leg.ts_naked = 0
    elif leg.ts_naked == 0:
        leg.ts_naked = now
    late = naked and now - leg.ts_naked > leg.hedge_deadline_ns
    fresh = not stale(book[leg.lead], now) and (leg.hedge < 0 or not stale(book[leg.hedge], now))
    possible = fresh and wanted != 0 and leg.state == _FLAT and _unit_possible(leg, book, instruments)  # asked only where a pair may be entered
    _transition(leg, book, instruments, wanted, trading, naked, late, possible, signal[slot].ts_event, now)
    if leg.state == _FLAT or leg.state == _OPEN:
        if not naked:
            return n
    forced = trading > _PAUSED or leg.state == _UNWINDING
    lead_lots = _lead_goal(leg) - leg.lead_position
    if not fresh and not forced and (leg.state == _ENTERING or leg.maker_patience_ns > 0):
        lead_lots = 0
    may_lead = not naked or leg.state == _UNWINDING or leg.state == _EXITING
    if leg.maker_patience_ns > 0:
        if leg.state == _EXITING and signal[slot].reason == _STOP:
            leg.take_at = min(leg.take_at, now)
        n = _plan_patient_lead(slot, leg, lead_lots, naked, trading, forced, book, orders, want, n, now)
    elif lead_lots != 0 and may_lead and leg.lead_order == 0 and now >= leg.lead_retry_at:
        n = ask_for(want, n, slot, 0, leg.lead, lead_lots, 0, book, leg.slippage_ticks, forced)
    hedging = naked and (leg.state != _UNWINDING or lead_lots == 0)
    if hedging and leg.hedge_order == 0 and now >= leg.hedge_retry_at:
        least = 0
        if residual * leg.hedge_position <= 0:  # it adds to the hedge: one that reduces is taken in any size
            b = book[leg.hedge]
            least = smallest_order(instruments[leg.hedge], b.best_bid - leg.slippage_ticks) if b.best_bid > 0 else 0
        n = ask_for(want, n, slot, 1, leg.hedge, -residual, least, book, leg.slippage_ticks, forced)
    return n


@kernel
def _leave(leg: LegsRecord, ts_event: int, now: int) -> None:
    """Somebody else has changed the position of this pair: it is left at once, and not entered again until the signal has left its target."""
    if leg.target != 0:
        leg.skip = leg.target
    if leg.state == _FLAT or leg.state == _ENTERING or leg.state == _OPEN:
        _enter_state(leg, _EXITING, ts_event, now)
        leg.ts_since = now
    leg.take_at = min(leg.take_at, now)


@kernel
def shift_leg(leg: LegsRecord, leg_index: int, lots: int, ts_event: int, now: int) -> None:
    """A leg's position changes by signed `lots` without an order of ours; the pair is left (policies.correct_positions)."""
    if leg_index == 0:
        leg.lead_position += lots
    else:
        leg.hedge_position += lots
    _leave(leg, ts_event, now)


@kernel
def pause_after(retry_ns: int, n_refused: int, reason: int, now: int) -> int:
    """When to try again (ns monotonic) after the venue has refused the `n_refused`-th order in a row for `reason` (codes.Reject), as below."""
    if reason >= _BOOK_REASONS:
        return now + retry_ns
    doublings = min(n_refused - 1 + (_REDUCE_ONLY_DOUBLINGS if reason == _NOTHING_TO_REDUCE else 0), _MOST_DOUBLINGS)
    return now + (retry_ns << doublings)


@kernel
def count_refusal(leg: LegsRecord, leg_index: int, refused: Int64Array, slot: int, reason: int, now: int) -> int:
    """The venue has refused an order of this leg, as the `refused[slot, leg]`-th in a row: each doubles the pause. How many there were.

    A reduce-only order without a position to reduce (409) waits longer at once: whether the position is still there is asked for meanwhile.
    What the book refuses (5xx) is about prices: the pause stays `retry_ns`.
    """
    refused[slot, leg_index] += 1
    if reason < _BOOK_REASONS:
        at = pause_after(leg.retry_ns, refused[slot, leg_index], reason, now)
        if leg_index == 0:
            leg.lead_retry_at = max(leg.lead_retry_at, at)
        else:
            leg.hedge_retry_at = max(leg.hedge_retry_at, at)
    return refused[slot, leg_index]


@kernel
def note_sent(leg: LegsRecord, leg_index: int, client_order_id: int) -> None:
    """Remember the working order of a leg."""
    if leg_index == 0:
        leg.lead_order = client_order_id
    else:
        leg.hedge_order = client_order_id


@kernel
def note_refused(leg: LegsRecord, leg_index: int, now: int) -> None:
    """Risk refused the leg's order: try again after a pause, not on every tick."""
    if leg_index == 0:
        leg.lead_retry_at = now + leg.retry_ns
    else:
        leg.hedge_retry_at = now + leg.retry_ns


@kernel
def is_flat(leg: LegsRecord, orders: OrderArray) -> bool:
    """Whether the pair holds nothing and has no working order."""
    if leg.lead_position != 0 or leg.hedge_position != 0:
        return False
    return not working(orders, leg.lead_order) and not working(orders, leg.hedge_order)
