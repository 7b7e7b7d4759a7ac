"""A basket as one position: several legs in fixed ratios, entered together, left together, unwound by a deadline. Owns BASKET and BASKET_LEG.

    FLAT      -> ENTERING    the strategy wants a position (and it is not one that was missed, see `skip`)
    ENTERING  -> OPEN        every leg is filled
    ENTERING, OPEN -> EXITING    the strategy wants something else (a flip goes through FLAT)
    EXITING, UNWINDING -> FLAT   every leg is zero
    ENTERING, OPEN, EXITING -> UNWINDING    a leg has stood without the others for longer than the deadline

A unit is `unit` lots of each leg, signed. The basket is *uneven* while some leg is neither where the whole basket is whole nor where it is flat;
then the clock runs. What misses of a leg and is smaller than the venue's smallest order counts as filled. A basket is entered only where each leg
could be sent now: its book whole and fresh, a unit of it large enough. Entries and exits are IOC limits `slippage_ticks` through the touch, one
working order a leg, so that a late answer never doubles it; unwinding and forced exits are market orders that need no quote. While a book is stale
nothing is added.

What each leg holds is the strategy's own ledger (trading/attribution.py), corrections from outside among it: after one the basket is left.
"""

from __future__ import annotations

from hftkit.codes import LegState, Trading
from hftkit.kernels.arrays import (
    BasketArray,
    BasketLegArray,
    BasketLegRecord,
    BasketRecord,
    BookArray,
    HeldArray,
    InstrumentArray,
    Int64Array,
    OrderArray,
    OrderRecord,
    SignalArray,
    WantArray,
)
from hftkit.kernels.execution.pair import ask_for, smallest_order
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.signals import stale, tradable
from hftkit.kernels.trading.orders import working
from hftkit.layout import BASKET_LEGS

_FLAT, _ENTERING, _OPEN = int(LegState.FLAT), int(LegState.ENTERING), int(LegState.OPEN)
_EXITING, _UNWINDING = int(LegState.EXITING), int(LegState.UNWINDING)
_ENABLED, _PAUSED = int(Trading.ENABLED), int(Trading.PAUSED)


@kernel
def leg_at(slot: int, place: int) -> int:
    """Index of a leg in BASKET_LEG."""
    return slot * BASKET_LEGS + place


@kernel
def _missing(leg: BasketLegRecord, position: int, goal: int, book: BookArray, instruments: InstrumentArray) -> int:
    """Signed lots from `position` to `goal`; 0 where the venue would not take so few, and something is held."""
    missing = goal - position
    best = book[leg.instrument].best_bid
    if goal != 0 and position != 0 and best > 0 and abs(missing) < smallest_order(instruments[leg.instrument], best):
        return 0
    return missing


@kernel
def _fresh(slot: int, n_legs: int, legs: BasketLegArray, book: BookArray, now: int) -> bool:
    fresh = True
    for place in range(n_legs):
        b = book[legs[leg_at(slot, place)].instrument]
        fresh = fresh and tradable(b) and not stale(b, now)
    return fresh


@kernel
def _possible(slot: int, basket: BasketRecord, legs: BasketLegArray, book: BookArray, instruments: InstrumentArray) -> bool:
    """Whether a unit of every leg could be sent now, at the worst price it may ask for. Every book is whole."""
    possible = True
    for place in range(basket.n_legs):
        leg = legs[leg_at(slot, place)]
        least = smallest_order(instruments[leg.instrument], book[leg.instrument].best_bid - basket.slippage_ticks)
        possible = possible and abs(leg.unit) >= least
    return possible


@kernel
def _enter_state(basket: BasketRecord, state: int, ts_event: int, now: int) -> None:
    if basket.state == _ENTERING and state == _OPEN:
        basket.n_entries += 1
        basket.entering_ns += now - basket.ts_since
    if state == _ENTERING or ((basket.state == _ENTERING or basket.state == _OPEN) and state != _OPEN):
        basket.ts_since = now
    if state == _FLAT:
        basket.n_exits += 1
        basket.exiting_ns += now - basket.ts_since
        basket.target = 0
    elif state == _UNWINDING:
        basket.n_unwinds += 1
        basket.skip = basket.target
    basket.state = state
    basket.ts_state = ts_event


@kernel
def _shape(
    slot: int, basket: BasketRecord, legs: BasketLegArray, held: HeldArray, book: BookArray, instruments: InstrumentArray
) -> tuple[bool, bool, bool]:
    """Whether every leg is where the target has it, every leg is flat, and no leg has an order at work."""
    whole, flat, quiet = True, True, True
    for place in range(basket.n_legs):
        leg, position = legs[leg_at(slot, place)], held[slot, place].position
        whole = whole and _missing(leg, position, basket.target * leg.unit, book, instruments) == 0
        flat = flat and position == 0
        quiet = quiet and leg.order == 0
    return whole, flat, quiet


@kernel
def _transition(
    basket: BasketRecord, wanted: int, trading: int, whole: bool, flat: bool, quiet: bool, late: bool, possible: bool, ts_event: int, now: int
) -> None:
    """One move of the table above. `wanted`: the target in units, already 0 where positions are to be left."""
    if wanted == 0:
        basket.skip = 0
    if late and basket.state != _UNWINDING and basket.state != _FLAT:
        _enter_state(basket, _UNWINDING, ts_event, now)
    if basket.state == _FLAT:
        if not flat:
            _enter_state(basket, _UNWINDING, ts_event, now)  # what came from outside
        elif wanted != 0 and trading != _ENABLED:
            basket.skip = wanted
        elif wanted != 0 and wanted != basket.skip and possible:
            basket.target = wanted
            _enter_state(basket, _ENTERING, ts_event, now)
    elif basket.state == _ENTERING or basket.state == _OPEN:
        if wanted != basket.target:
            _enter_state(basket, _EXITING, ts_event, now)
        elif whole and basket.state == _ENTERING:
            _enter_state(basket, _OPEN, ts_event, now)
    if (basket.state == _EXITING or basket.state == _UNWINDING) and flat and quiet:
        _enter_state(basket, _FLAT, ts_event, now)


@kernel
def plan_basket(
    slot: int,
    signal: SignalArray,
    book: BookArray,
    instruments: InstrumentArray,
    units: Int64Array,
    baskets: BasketArray,
    legs: BasketLegArray,
    held: HeldArray,
    want: WantArray,
    n: int,
    trading: int,
    now: int,
) -> int:
    """Advance one basket and append what it wants to trade. Returns the number of wants.

    `signal` SIGNAL (k,), `units` int64 (k, BASKET_LEGS): taken over while it is flat, `baskets` BASKET (k,),
    `legs` BASKET_LEG (k * BASKET_LEGS,), `held` LEDGER (k, w), `want` WANT (wants,), `n`: wants already
    there, `trading`: codes.Trading, `now`: ns monotonic.
    """
    basket = baskets[slot]
    wanted = 0 if trading > _PAUSED else signal[slot].target
    for place in range(basket.n_legs):
        leg = legs[leg_at(slot, place)]
        if basket.state == _FLAT and leg.unit != units[slot, place]:
            leg.unit = units[slot, place]
    whole, flat, quiet = _shape(slot, basket, legs, held, book, instruments)
    if flat or whole or basket.state == _OPEN:  # an open one is changed from outside only: leave_basket
        basket.ts_naked = 0
    elif basket.ts_naked == 0:
        basket.ts_naked = now
    late = basket.ts_naked != 0 and now - basket.ts_naked > basket.deadline_ns
    fresh = _fresh(slot, basket.n_legs, legs, book, now)
    possible = fresh and basket.state == _FLAT and wanted != 0 and _possible(slot, basket, legs, book, instruments)
    _transition(basket, wanted, trading, whole, flat, quiet, late, possible, signal[slot].ts_event, now)
    if basket.state == _FLAT or basket.state == _OPEN:
        return n
    entering = basket.state == _ENTERING
    market = trading > _PAUSED or basket.state == _UNWINDING
    if entering and not fresh:
        return n
    for place in range(basket.n_legs):
        leg = legs[leg_at(slot, place)]
        goal = basket.target * leg.unit if entering else 0
        lots = _missing(leg, held[slot, place].position, goal, book, instruments)
        if lots != 0 and leg.order == 0 and now >= leg.retry_at:
            n = ask_for(want, n, slot, place, leg.instrument, lots, 0, book, basket.slippage_ticks, market)
    return n


@kernel
def leave_basket(basket: BasketRecord, ts_event: int, now: int) -> None:
    """Somebody else has changed what a leg holds: the basket is left at once, and not entered again until the strategy has left its target."""
    if basket.state == _ENTERING or basket.state == _OPEN or basket.state == _EXITING:
        target = basket.target
        _enter_state(basket, _UNWINDING, ts_event, now)
        basket.skip = target


@kernel
def end_basket_order(basket: BasketRecord, leg: BasketLegRecord, o: OrderRecord, now: int) -> None:
    """Forget the working order of a leg once it is final (ORDER record `o`); one that filled nothing is tried again only after `retry_ns`."""
    if leg.order == o.client_order_id:
        leg.order = 0
        leg.retry_at = now + basket.retry_ns if o.filled_qty == 0 else 0


@kernel
def has_basket_orders(slot: int, basket: BasketRecord, legs: BasketLegArray, orders: OrderArray) -> bool:
    """Whether any leg has an order at work."""
    found = False
    for place in range(basket.n_legs):
        found = found or working(orders, legs[leg_at(slot, place)].order)
    return found
