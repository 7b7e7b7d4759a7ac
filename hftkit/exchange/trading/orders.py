"""Carrying out orders: one command through the matching engine, then everything that follows from it, in one order for all."""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import OrderState, OrderType, Reject
from hftkit.exchange.core.accounts import book_fill, closed_place, cross_wallet, is_client, remember_closed
from hftkit.exchange.core.filters import filter_order
from hftkit.exchange.core.ladder import find_key
from hftkit.exchange.core.layout import HOUSE_ACCOUNTS, BalanceKind, Op, ReportKind
from hftkit.exchange.core.matching import apply, end_order, expire, fire_trigger, shed
from hftkit.exchange.core.queues import due_trigger
from hftkit.exchange.market.flow.agents import Flow, act, next_arrival, open_book
from hftkit.exchange.trading.margin import (
    closing_order,
    insure,
    is_in_liquidation,
    is_isolated_short,
    is_short_of_margin,
    lacks_margin,
    settle_funding,
)
from hftkit.exchange.trading.publication import publish_level, publish_quote, publish_trade
from hftkit.exchange.trading.records import record_balance, record_event, record_fill, record_position, record_refusal
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inner_kernel, kernel

_REJECT, _TRADE, _LEVEL = int(ReportKind.REJECT), int(ReportKind.TRADE), int(ReportKind.LEVEL)
_CANCELED, _CANCEL_REJECT = int(ReportKind.CANCELED), int(ReportKind.CANCEL_REJECT)
_NEW, _CANCEL, _REPLACE, _CANCEL_ALL, _QUOTE = int(Op.NEW), int(Op.CANCEL), int(Op.REPLACE), int(Op.CANCEL_ALL), int(Op.QUOTE)
_STATE_FILLED, _STATE_CANCELED, _STATE_REJECTED = int(OrderState.FILLED), int(OrderState.CANCELED), int(OrderState.REJECTED)
_STATE_EXPIRED, _EXPIRED, _LIQUIDATION = int(OrderState.EXPIRED), int(Reject.VENUE_EXPIRED), int(Reject.VENUE_LIQUIDATION)
_LIMIT, _MARKET = int(OrderType.LIMIT), int(OrderType.MARKET)
_STOP_MARKET, _TAKE_PROFIT_MARKET = int(OrderType.STOP_MARKET), int(OrderType.TAKE_PROFIT_MARKET)
_OK, _DUPLICATE = int(Reject.NONE), int(Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID)
_TAKEOVER, _ISOLATED = int(BalanceKind.LIQUIDATION), int(BalanceKind.ISOLATED)
_UNKNOWN_INSTRUMENT, _NO_MARGIN = int(Reject.VENUE_UNKNOWN_INSTRUMENT), int(Reject.VENUE_INSUFFICIENT_MARGIN)


# -- answers to the owners -------------------------------------------------------------------------------------------


@inner_kernel
def _answer_owner(venue: Exchange, row: Any, command: Any, op: int) -> None:
    """ACK, REJECT, CANCELED, CANCEL_REJECT or TRIGGERED of one report."""
    if row.kind == _REJECT or row.kind == _CANCEL_REJECT:
        record_refusal(venue, row.account, row.instrument, row.client_order_id, row.reason, row.kind == _CANCEL_REJECT)
    else:
        record_event(venue, row, command, op)


@inner_kernel
def _fill_owner(
    venue: Exchange, row: Any, command: Any, account: int, client_order_id: int, order_id: int, side: int, maker: bool, leaves: int, filled: int
) -> None:
    """One side of a trade: book it, tell its owner, remember the order if that was the last of it."""
    realised, isolated = venue.holdings[account, row.instrument].realised_e8, venue.holdings[account, row.instrument].isolated_e8
    fee = book_fill(venue, account, row.instrument, side, row.price, row.qty, maker)
    if not is_client(venue, account):
        return
    realised = venue.holdings[account, row.instrument].realised_e8 - realised
    isolated = venue.holdings[account, row.instrument].isolated_e8 - isolated
    if isolated != 0:
        record_balance(venue, _ISOLATED, account, row.instrument, isolated, 0, row.price, 0)
    record_fill(venue, row, command, account, client_order_id, order_id, side, maker, leaves, filled, fee, realised)
    if leaves == 0:
        remember_closed(venue, account, row.instrument, client_order_id, order_id, _STATE_FILLED, filled)
    venue.state[0].n_client_fills += 1


# -- one command -----------------------------------------------------------------------------------------------------


@inner_kernel
def _remember(venue: Exchange, row: Any, op: int) -> None:
    """Keep the memory of closed orders."""
    if not is_client(venue, row.account):
        return
    if row.kind == _CANCELED:
        state = _STATE_EXPIRED if row.reason == _EXPIRED else _STATE_CANCELED
        remember_closed(venue, row.account, row.instrument, row.client_order_id, row.order_id, state, row.filled)
    elif row.kind == _REJECT and op != _REPLACE and row.reason != _DUPLICATE:
        remember_closed(venue, row.account, row.instrument, row.client_order_id, 0, _STATE_REJECTED, 0)


@inner_kernel
def deliver(venue: Exchange, n: int, op: int, command: Any) -> int:
    """Tell everybody what one event did: `venue.reports[:n]`, all of one instrument. Returns the instrument if there was a trade, else -1.

    `op`: Op of what was asked; `command`: the order that met the book, if one did.
    """
    last_level, traded = n - 1, -1
    while last_level >= 0 and venue.reports[last_level].kind != _LEVEL:
        last_level -= 1
    for r in range(n):
        row = venue.reports[r]
        if row.kind == _LEVEL:
            publish_level(venue, row.instrument, row.side, row.price, row.qty, r == last_level)
        elif row.kind == _TRADE:
            traded = row.instrument
            _fill_owner(venue, row, command, row.account, row.client_order_id, row.order_id, row.side, False, row.leaves, row.filled)
            maker, its_id, side = row.maker_account, row.maker_client_order_id, 1 - row.side
            _fill_owner(venue, row, command, maker, its_id, row.maker_order_id, side, True, row.maker_leaves, row.maker_filled)
            publish_trade(venue, row.instrument, row.trade_id, row.side, row.price, row.qty)
        else:
            _answer_owner(venue, row, command, op)
            _remember(venue, row, op)
    if last_level >= 0:
        publish_quote(venue, venue.reports[last_level].instrument)
    return traded


@inner_kernel
def _lacks_margin_now(venue: Exchange, slot: int) -> bool:
    """Would the order that waits in a slot need more margin than its account has, now that its trigger is reached?"""
    order, condition, command = venue.books.orders[slot], venue.books.conditions[slot], venue.books.command[0]
    is_market = condition.order_type == _STOP_MARKET or condition.order_type == _TAKE_PROFIT_MARKET
    command.op, command.instrument, command.account, command.client_order_id = _NEW, order.instrument, order.account, order.client_order_id
    command.side, command.order_type = order.side, _MARKET if is_market else _LIMIT
    command.price, command.qty, command.flags = condition.limit_price, order.leaves, np.int64(order.flags)
    return lacks_margin(venue, command, 0)


@inner_kernel
def shed_reducing(venue: Exchange, instrument: int) -> None:
    """Every resting reduce-only order for which a position has no room any more is ended, one after another."""
    n = shed(venue.books, venue.reports, instrument)
    while n > 0:
        deliver(venue, n, _CANCEL, venue.books.command[0])
        n = shed(venue.books, venue.reports, instrument)


@inner_kernel
def fire_due(venue: Exchange, instrument: int) -> None:
    """Every waiting order that the last price has reached, one after another: it needs its margin now, or is cancelled."""
    while True:
        slot = due_trigger(venue.books, instrument)
        if slot == 0:
            return
        if _lacks_margin_now(venue, slot):
            n = end_order(venue.books, venue.reports, 0, slot, _NO_MARGIN)
            deliver(venue, n, _CANCEL, venue.books.command[0])
        else:
            n = fire_trigger(venue.books, venue.reports, instrument)
            deliver(venue, n, _NEW, venue.books.command[0])
            shed_reducing(venue, instrument)


@inner_kernel
def carry_out(venue: Exchange, command: Any) -> int:
    """One command, from anyone, already validated: match it, answer, publish; then the reduce-only orders that it leaves no room for, and the waiting
    orders that its trades have woken.

    Returns the Reject code of a new order, cancel or replace that the matching engine refused, else 0.
    """
    n = apply(command, venue.books, venue.reports, venue.state[0].ts)
    refused = _OK
    if n > 0 and (venue.reports[0].kind == _REJECT or venue.reports[0].kind == _CANCEL_REJECT):
        refused = venue.reports[0].reason
    traded = deliver(venue, n, command.op, command)
    if refused == _OK and (command.op == _NEW or command.op == _REPLACE or command.op == _QUOTE):
        shed_reducing(venue, command.instrument)
    if traded >= 0:
        fire_due(venue, traded)
    return refused


# -- what a client asks ----------------------------------------------------------------------------------------------


@inner_kernel
def _refusal(venue: Exchange, command: Any) -> int:
    """Why a client's new order is refused before it meets the book, 0 if it is not."""
    if command.client_order_id <= 0 or closed_place(venue, command.account, command.client_order_id) >= 0:
        return _DUPLICATE  # first of all, so that a refused order is remembered once; ids below 1 are the venue's own
    if find_key(venue.books.table, command.account, command.client_order_id) != 0:
        return _DUPLICATE
    if command.instrument < 0 or command.instrument >= venue.instruments.size:
        return _UNKNOWN_INSTRUMENT
    limits, top = venue.limits[command.instrument], venue.books.tops[command.instrument]
    highest = top.base + venue.books.levels.shape[1]  # beyond the window the matching engine refuses
    reason = filter_order(command, limits, top, venue.books.owners[command.account].n_open, highest)
    if reason == _OK and lacks_margin(venue, command, 0):
        return _NO_MARGIN
    return reason


@inner_kernel
def client_order(venue: Exchange) -> int:
    """A client's new order (or quote) in `venue.command[0]`: check, match, answer. Returns why it was refused, a Reject code, or 0."""
    command = venue.command[0]
    venue.state[0].n_client_orders += 1
    reason = _refusal(venue, command)
    if reason == _OK:
        return carry_out(venue, command)
    if reason != _DUPLICATE:
        remember_closed(venue, command.account, command.instrument, command.client_order_id, 0, _STATE_REJECTED, 0)
    record_refusal(venue, command.account, command.instrument, command.client_order_id, reason, False)
    return reason


@inner_kernel
def cancel_all(venue: Exchange, account: int, instrument: int, reason: int) -> None:
    """Cancel every open order of an account, in one instrument or (-1) in all. `reason`: Reject code that the owner is told."""
    command = venue.command[0]
    first, last = (0, venue.instruments.size) if instrument < 0 else (instrument, instrument + 1)
    for i in range(first, last):
        if venue.books.owners[account].n_open == 0:
            return
        command.op, command.instrument, command.account, command.client_order_id = _CANCEL_ALL, i, account, 0
        n = apply(command, venue.books, venue.reports, venue.state[0].ts)
        for r in range(n):
            if venue.reports[r].kind == _CANCELED:
                venue.reports[r].reason = reason
        deliver(venue, n, _CANCEL_ALL, command)


@inner_kernel
def withdraw_quote(venue: Exchange, account: int, instrument: int) -> None:
    """Cancel both sides of an account's quote in an instrument."""
    command = venue.command[0]
    for side in range(2):
        command.op, command.instrument, command.account, command.side, command.qty = _QUOTE, instrument, account, side, 0
        carry_out(venue, command)


# -- time ------------------------------------------------------------------------------------------------------------


@inner_kernel
def _liquidate(venue: Exchange, account: int, only: int) -> None:
    """The venue takes over: orders go, positions are closed at the market, the insurance fund takes the rest.

    `only`: an isolated position, which then pays with its own wallet only; -1: everything with cross margin.
    """
    floor = cross_wallet(venue, account) if only >= 0 else 0
    record_balance(venue, _TAKEOVER, account, only, 0, 0, 0, 0)
    for instrument in range(venue.instruments.size):
        if is_in_liquidation(venue, account, instrument, only):
            cancel_all(venue, account, instrument, _LIQUIDATION)
    for instrument in range(venue.instruments.size):
        if is_in_liquidation(venue, account, instrument, only) and closing_order(venue, account, instrument):
            carry_out(venue, venue.command[0])
    insure(venue, account, only, floor)
    for instrument in range(venue.instruments.size):
        if is_in_liquidation(venue, account, instrument, only):
            record_position(venue, account, instrument)


@inner_kernel
def pass_time(venue: Exchange, ts: int) -> None:
    """Exchange time goes on to `ts` (never back): dated orders end, funding is paid, margins are looked at."""
    state = venue.state[0]
    state.ts = max(state.ts, ts)
    n = expire(venue.books, venue.reports, state.ts)
    while n > 0:
        deliver(venue, n, _CANCEL, venue.command[0])
        n = expire(venue.books, venue.reports, state.ts)
    if state.funding_interval_ns > 0:
        if state.next_funding == 0:  # not at the very start
            state.next_funding = (state.ts // state.funding_interval_ns + 1) * state.funding_interval_ns
        while state.ts >= state.next_funding:  # each interval pays, however far the clock has jumped
            settle_funding(venue)
            state.next_funding += state.funding_interval_ns
            state.next_margin = state.ts
    if state.ts < state.next_margin:
        return
    state.next_margin = state.ts + state.margin_interval_ns
    for account in range(HOUSE_ACCOUNTS, venue.accounts.size - 2):
        for instrument in range(venue.instruments.size):
            if is_isolated_short(venue, account, instrument):
                _liquidate(venue, account, instrument)
        if is_short_of_margin(venue, account):
            _liquidate(venue, account, -1)


# -- the synthetic market --------------------------------------------------------------------------------------------


@inner_kernel
def _carry_out_flow(venue: Exchange, flow: Flow, n_commands: int) -> None:
    for c in range(n_commands):
        if flow.commands[c].op == _CANCEL or venue.limits[flow.commands[c].instrument].open != 0:
            carry_out(venue, flow.commands[c])


@kernel
def open_books(venue: Exchange, flow: Flow, ts: int) -> None:
    """The makers' first quotes, at exchange time `ts`."""
    venue.state[0].ts = ts
    for instrument in range(flow.agents.size):
        _carry_out_flow(venue, flow, open_book(flow, venue.books, instrument))


@inner_kernel
def run_flow(venue: Exchange, flow: Flow, until_ns: int, max_arrivals: int) -> int:
    """The synthetic market up to exchange time `until_ns` (inclusive), at most `max_arrivals`. Returns the arrivals handled.

    Fewer than `max_arrivals` means that it has caught up.
    """
    state = venue.state[0]
    for done in range(max_arrivals):
        instrument = next_arrival(flow)
        ts = flow.agents[instrument].next_ns
        if ts > until_ns:
            return done
        pass_time(venue, ts)  # never before an answer already given
        _carry_out_flow(venue, flow, act(flow, venue.books, instrument))
        state.n_arrivals += 1
    return max_arrivals
