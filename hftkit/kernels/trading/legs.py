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
Each leg has at most one working order, so a late answer can never double it. Entries and hedges are IOC limits
`slippage_ticks` through the touch; unwinding and forced exits are market orders. A single-instrument strategy has hedge -1.
"""

from __future__ import annotations

from typing import Any

from hftkit.codes import Action, LegState, OrderType, Side, TimeInForce, Trading
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.signals import tradable
from hftkit.kernels.trading.orders import working

_FLAT, _ENTERING, _OPEN = int(LegState.FLAT), int(LegState.ENTERING), int(LegState.OPEN)
_EXITING, _UNWINDING = int(LegState.EXITING), int(LegState.UNWINDING)
_ENABLED, _PAUSED = int(Trading.ENABLED), int(Trading.PAUSED)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_LIMIT, _MARKET, _IOC = int(OrderType.LIMIT), int(OrderType.MARKET), int(TimeInForce.IOC)
_NEW = int(Action.NEW)


@kernel
def nearest_ratio(lots: int, numerator: int, denominator: int) -> int:
    """lots * numerator / denominator to the nearest integer, halves away from zero."""
    product = lots * numerator
    size = (2 * abs(product) + abs(denominator)) // (2 * abs(denominator))
    return size if (product >= 0) == (denominator > 0) else -size


@kernel
def residual_of(leg: Any) -> int:
    """Hedge lots too many (positive) or missing (negative); 0 for a single instrument."""
    if leg.hedge < 0:
        return 0
    return leg.hedge_position - nearest_ratio(leg.lead_position, leg.unit_hedge, leg.unit_lead)


@kernel
def fill_leg(leg: Any, leg_index: int, side: int, qty: int) -> None:
    """Book a fill of `qty` lots on leg 0 (lead) or 1 (hedge)."""
    signed = qty if side == _BUY else -qty
    if leg_index == 0:
        leg.lead_position += signed
    else:
        leg.hedge_position += signed


@kernel
def end_order(leg: Any, leg_index: int, filled_qty: int, now: int) -> None:
    """Forget the working order of a leg once it is final; an attempt that filled nothing is retried only after `retry_ns`."""
    pause = now + leg.retry_ns if filled_qty == 0 else 0
    if leg_index == 0:
        leg.lead_order = 0
        leg.lead_retry_at = pause
    else:
        leg.hedge_order = 0
        leg.hedge_retry_at = pause


@kernel
def smallest_order(ins: Any, price: int) -> int:
    """Lots of the smallest order that reaches the venue's minimum notional at this price (ticks), rounded up; at least 1."""
    lot_notional = max(price, 1) * ins.tick_lot_e8
    return max((ins.min_notional_e8 + lot_notional - 1) // lot_notional, 1)


@kernel
def _leg_possible(b: Any, ins: Any, unit: int, slippage: int) -> bool:
    """Whether a unit of one leg could be sent now, at the worst price it may ask for."""
    return tradable(b) and abs(unit) >= smallest_order(ins, b.best_bid - slippage)


@kernel
def _tolerance(leg: Any, book: Any, instruments: Any) -> int:
    """Residual lots that need no action: the configured ones, or what the venue would not take as an order. None when flat."""
    if leg.lead_position == 0:
        return 0
    ins, b = instruments[leg.hedge], book[leg.hedge]
    smallest = 0
    if b.best_bid > 0:
        smallest = ins.min_notional_e8 // (b.best_bid * ins.tick_lot_e8)
    return max(leg.residual_lots, smallest)


@kernel
def _enter_state(leg: Any, state: int, ts_event: int) -> None:
    leg.state = state
    leg.ts_state = ts_event
    if state == _OPEN:
        leg.n_entries += 1
    elif state == _FLAT:
        leg.n_exits += 1
        leg.target = 0
    elif state == _UNWINDING:
        leg.n_unwinds += 1


@kernel
def _transition(leg: Any, wanted: int, trading: int, naked: bool, late: bool, possible: bool, ts_event: int) -> None:
    """One move of the table above. `wanted`: the signal's target in units, already 0 where positions are to be left; `possible`: both legs are."""
    if wanted == 0:
        leg.skip = 0
    if late and leg.state != _UNWINDING and leg.state != _FLAT:
        _enter_state(leg, _UNWINDING, ts_event)
        leg.skip = leg.target
    if leg.state == _FLAT:
        if wanted != 0 and trading != _ENABLED:
            leg.skip = wanted
        if wanted != 0 and wanted != leg.skip and possible:
            leg.target = wanted
            _enter_state(leg, _ENTERING, ts_event)
    elif leg.state == _ENTERING:
        if wanted != leg.target:
            _enter_state(leg, _EXITING, ts_event)
        elif leg.lead_position == leg.target * leg.unit_lead and not naked:
            _enter_state(leg, _OPEN, ts_event)
    elif leg.state == _OPEN:
        if wanted != leg.target:
            _enter_state(leg, _EXITING, ts_event)
    elif leg.state == _UNWINDING:
        if not naked and leg.lead_order == 0:
            _enter_state(leg, _EXITING, ts_event)
    if leg.state == _EXITING and leg.lead_position == 0 and leg.hedge_position == 0 and leg.lead_order == 0 and leg.hedge_order == 0:
        _enter_state(leg, _FLAT, ts_event)


@kernel
def _ask(want: Any, n: int, slot: int, leg_index: int, instrument: int, lots: int, least: int, book: Any, slippage: int, market: bool) -> int:
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
def _lead_goal(leg: Any) -> int:
    if leg.state == _ENTERING or leg.state == _OPEN:
        return leg.target * leg.unit_lead
    if leg.state == _UNWINDING and leg.hedge >= 0:
        hedged = nearest_ratio(leg.hedge_position, leg.unit_lead, leg.unit_hedge)
        # towards what is hedged, never beyond what is held: unwinding only makes positions smaller
        return max(0, min(hedged, leg.lead_position)) if leg.lead_position > 0 else min(0, max(hedged, leg.lead_position))
    return 0


@kernel
def plan_legs(slot: int, signal: Any, book: Any, instruments: Any, legs: Any, want: Any, n: int, trading: int, now: int) -> int:
    """Advance one pair and append what it wants to trade. Returns the number of wants.

    `signal` SIGNAL (k,), `legs` LEGS (k,), `want` WANT (MAX_WANTS,), `n`: wants already there, `trading`: codes.Trading, `now`: ns monotonic.
    """
    leg = legs[slot]
    target = signal[slot].target
    wanted = 0 if trading > _PAUSED else target
    residual = residual_of(leg)
    naked = leg.hedge >= 0 and abs(residual) > _tolerance(leg, book, instruments)
    if not naked:
        leg.ts_naked = 0
    elif leg.ts_naked == 0:
        leg.ts_naked = now
    late = naked and now - leg.ts_naked > leg.hedge_deadline_ns
    possible = _leg_possible(book[leg.lead], instruments[leg.lead], leg.unit_lead, leg.slippage_ticks)
    if leg.hedge >= 0:
        possible = possible and _leg_possible(book[leg.hedge], instruments[leg.hedge], leg.unit_hedge, leg.slippage_ticks)
    _transition(leg, wanted, trading, naked, late, possible, signal[slot].ts_event)
    if leg.state == _FLAT or leg.state == _OPEN:
        if not naked:
            return n
    forced = trading > _PAUSED or leg.state == _UNWINDING
    lead_lots = _lead_goal(leg) - leg.lead_position
    may_lead = not naked or leg.state == _UNWINDING or leg.state == _EXITING
    if lead_lots != 0 and may_lead and leg.lead_order == 0 and now >= leg.lead_retry_at:
        n = _ask(want, n, slot, 0, leg.lead, lead_lots, 0, book, leg.slippage_ticks, forced)
    hedging = naked and (leg.state != _UNWINDING or lead_lots == 0)
    if hedging and leg.hedge_order == 0 and now >= leg.hedge_retry_at:
        least = 0
        if residual * leg.hedge_position <= 0:  # it adds to the hedge: one that reduces is taken in any size
            b = book[leg.hedge]
            least = smallest_order(instruments[leg.hedge], b.best_bid - leg.slippage_ticks) if b.best_bid > 0 else 0
        n = _ask(want, n, slot, 1, leg.hedge, -residual, least, book, leg.slippage_ticks, forced)
    return n


@kernel
def note_sent(leg: Any, leg_index: int, client_order_id: int) -> None:
    """Remember the working order of a leg."""
    if leg_index == 0:
        leg.lead_order = client_order_id
    else:
        leg.hedge_order = client_order_id


@kernel
def note_refused(leg: Any, leg_index: int, now: int) -> None:
    """Risk refused the leg's order: try again after a pause, not on every tick."""
    if leg_index == 0:
        leg.lead_retry_at = now + leg.retry_ns
    else:
        leg.hedge_retry_at = now + leg.retry_ns


@kernel
def all_flat(legs: Any, orders: Any, n_strategies: int) -> bool:
    """Whether no strategy holds a position or has a working order."""
    for k in range(n_strategies):
        leg = legs[k]
        if leg.lead_position != 0 or leg.hedge_position != 0:
            return False
        if working(orders, leg.lead_order) or working(orders, leg.hedge_order):
            return False
    return True
