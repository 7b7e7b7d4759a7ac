"""Carrying out orders: one command through the matching engine, then everything that follows from it, in one order for all."""

from __future__ import annotations

from typing import Any

from hftkit.codes import OrderFlag, OrderState, OrderType, Reject, Side, TimeInForce
from hftkit.exchange.accounts import book_fill, closed_place, remember_closed
from hftkit.exchange.flow.agents import HOUSE_ACCOUNTS, Flow, act, next_arrival, open_book
from hftkit.exchange.ladder import find_key
from hftkit.exchange.layout import Op, ReportKind
from hftkit.exchange.market_data import publish_level, publish_quote, publish_trade
from hftkit.exchange.matching import apply
from hftkit.exchange.outbox import commit, next_sequence, reserve
from hftkit.exchange.venue import Venue
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.kernels.wire.venue_codec import encode_cancel_reject, encode_order_ack, encode_order_canceled, encode_order_fill, encode_order_reject

_ACK, _REJECT, _TRADE = int(ReportKind.ACK), int(ReportKind.REJECT), int(ReportKind.TRADE)
_CANCELED, _CANCEL_REJECT, _LEVEL = int(ReportKind.CANCELED), int(ReportKind.CANCEL_REJECT), int(ReportKind.LEVEL)
_NEW, _CANCEL = int(Op.NEW), int(Op.CANCEL)
_STATE_FILLED, _STATE_CANCELED, _STATE_REJECTED = int(OrderState.FILLED), int(OrderState.CANCELED), int(OrderState.REJECTED)
_BUY, _MARKET = int(Side.BUY), int(OrderType.MARKET)
_REDUCE_ONLY, _LAST_FLAG = int(OrderFlag.REDUCE_ONLY), int(OrderFlag.POST_ONLY) | int(OrderFlag.REDUCE_ONLY)
_FOK = int(TimeInForce.FOK)
_OK, _DUPLICATE = int(Reject.NONE), int(Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID)
_UNKNOWN_INSTRUMENT, _BAD_TYPE, _BAD_PRICE = int(Reject.VENUE_UNKNOWN_INSTRUMENT), int(Reject.VENUE_BAD_TYPE), int(Reject.VENUE_BAD_PRICE)
_BAD_QTY, _MIN_NOTIONAL, _NOT_REDUCING = int(Reject.VENUE_BAD_QTY), int(Reject.VENUE_MIN_NOTIONAL), int(Reject.VENUE_REDUCE_ONLY)
_TOO_MANY = int(Reject.VENUE_TOO_MANY_ORDERS)
_MAX_NOTIONAL_E8 = 2**60


# -- answers to the owners -------------------------------------------------------------------------------------------


@inner_kernel
def reject_order(venue: Venue, index: int, instrument: int, client_order_id: int, reason: int, of_cancel: bool) -> None:
    """ORDER_REJECT (or CANCEL_REJECT) to a client."""
    at = reserve(venue, index)
    if at < 0:
        return
    box, ts, seq = venue.outboxes[index], venue.state[0].ts, next_sequence(venue, index)
    if of_cancel:
        commit(venue, index, encode_cancel_reject(box, at, instrument, seq, ts, client_order_id, reason))
    else:
        venue.state[0].n_client_rejects += 1
        commit(venue, index, encode_order_reject(box, at, instrument, seq, ts, client_order_id, reason))


@inner_kernel
def _answer_owner(venue: Venue, row: Any) -> None:
    """ACK, REJECT, CANCELED or CANCEL_REJECT of one report, to the client behind the account, if one is there."""
    index = venue.accounts[row.account].client
    if index < 0:
        return
    if row.kind == _REJECT or row.kind == _CANCEL_REJECT:
        reject_order(venue, index, row.instrument, row.client_order_id, row.reason, row.kind == _CANCEL_REJECT)
        return
    at = reserve(venue, index)
    if at < 0:
        return
    box, ts, seq = venue.outboxes[index], venue.state[0].ts, next_sequence(venue, index)
    if row.kind == _ACK:
        n = encode_order_ack(box, at, row.instrument, seq, ts, row.client_order_id, row.order_id)
    else:
        n = encode_order_canceled(box, at, row.instrument, seq, ts, row.client_order_id, row.order_id, row.qty, row.reason)
    commit(venue, index, n)


@inner_kernel
def _fill_owner(venue: Venue, row: Any, account: int, client_order_id: int, order_id: int, side: int, maker: bool, leaves: int, filled: int) -> None:
    """One side of a trade: book it, tell its owner, remember the order if that was the last of it."""
    fee = book_fill(venue, account, row.instrument, side, row.price, row.qty, maker)
    if account < HOUSE_ACCOUNTS:
        return
    if leaves == 0:
        remember_closed(venue, account, row.instrument, client_order_id, order_id, _STATE_FILLED, filled)
        if maker:
            venue.accounts[account].n_open -= 1
    venue.state[0].n_client_fills += 1
    index = venue.accounts[account].client
    at = reserve(venue, index) if index >= 0 else -1
    if at >= 0:
        box, ts, seq = venue.outboxes[index], venue.state[0].ts, next_sequence(venue, index)
        n = encode_order_fill(
            box, at, row.instrument, seq, ts, client_order_id, order_id, row.trade_id, side, int(maker), row.price, row.qty, leaves, fee
        )
        commit(venue, index, n)


# -- one command -----------------------------------------------------------------------------------------------------


@inner_kernel
def _follow_account(venue: Venue, row: Any, op: int) -> None:
    """Keep the owner's count of resting orders and the memory of closed ones."""
    account = row.account
    if account < HOUSE_ACCOUNTS:
        return
    if row.kind == _CANCELED:
        if op == _CANCEL:
            venue.accounts[account].n_open -= 1
        remember_closed(venue, account, row.instrument, row.client_order_id, row.order_id, _STATE_CANCELED, row.filled)
    elif row.kind == _REJECT and op == _NEW and row.reason != _DUPLICATE:
        remember_closed(venue, account, row.instrument, row.client_order_id, 0, _STATE_REJECTED, 0)


@inner_kernel
def _deliver(venue: Venue, n: int, op: int) -> None:
    """Tell everybody what one command did: `venue.reports[:n]`."""
    last_level = n - 1
    while last_level >= 0 and venue.reports[last_level].kind != _LEVEL:
        last_level -= 1
    for r in range(n):
        row = venue.reports[r]
        if row.kind == _LEVEL:
            publish_level(venue, row.instrument, row.side, row.price, row.qty, r == last_level)
        elif row.kind == _TRADE:
            _fill_owner(venue, row, row.account, row.client_order_id, row.order_id, row.side, False, row.leaves, row.filled)
            _fill_owner(
                venue, row, row.maker_account, row.maker_client_order_id, row.maker_order_id, 1 - row.side, True, row.maker_leaves, row.maker_filled
            )
            publish_trade(venue, row.instrument, row.trade_id, row.side, row.price, row.qty)
        else:
            _answer_owner(venue, row)
            _follow_account(venue, row, op)
    if last_level >= 0:
        publish_quote(venue, venue.reports[last_level].instrument)


@inner_kernel
def carry_out(venue: Venue, command: Any) -> None:
    """One command, from anyone, already validated: match it, answer, publish."""
    n = apply(command, venue.books, venue.reports, venue.state[0].ts)
    account = command.account
    if account >= HOUSE_ACCOUNTS:
        last = venue.reports[n - 1]
        rests = last.kind == _LEVEL and last.side == command.side
        if command.op == _NEW and rests:
            venue.accounts[account].n_open += 1
        elif command.op != _NEW and command.op != _CANCEL and last.kind == _LEVEL and not rests:
            venue.accounts[account].n_open -= 1  # a replaced order that traded away
    _deliver(venue, n, command.op)


# -- what a client asks ----------------------------------------------------------------------------------------------


@inner_kernel
def _refusal(venue: Venue, command: Any) -> int:
    """Why a client's new order is refused before it meets the book, 0 if it is not."""
    state = venue.state[0]
    if closed_place(venue, command.account, command.client_order_id) >= 0:
        return _DUPLICATE  # first of all, so that a refused order is remembered once
    if find_key(venue.books.table, command.account, command.client_order_id) != 0:
        return _DUPLICATE
    if command.instrument < 0 or command.instrument >= venue.instruments.size:
        return _UNKNOWN_INSTRUMENT
    if not (0 <= command.side <= 1 and 0 <= command.order_type <= 1 and 0 <= command.time_in_force <= _FOK):
        return _BAD_TYPE
    if not 0 <= command.flags <= _LAST_FLAG:
        return _BAD_TYPE
    if command.qty <= 0 or command.qty > state.max_order_qty:
        return _BAD_QTY
    if command.order_type != _MARKET and command.price <= 0:
        return _BAD_PRICE
    if venue.accounts[command.account].n_open >= state.max_open_orders:
        return _TOO_MANY
    scales, top = venue.instruments[command.instrument], venue.books.tops[command.instrument]
    price = command.price
    if command.order_type == _MARKET:
        price = top.ask if command.side == _BUY else top.bid
    price = min(price, top.base + venue.books.levels.shape[1])  # beyond the window the matching engine refuses
    if price > 0:
        if command.qty > _MAX_NOTIONAL_E8 // (price * scales.tick_lot_e8):
            return _BAD_QTY
        small = command.qty * price * scales.tick_lot_e8 < scales.min_notional_e8
        if small and not command.flags & _REDUCE_ONLY:  # what only closes may be as small as what is left
            return _MIN_NOTIONAL
    if command.flags & _REDUCE_ONLY:
        position = venue.holdings[command.account, command.instrument].position
        if command.qty > (position if command.side != _BUY else -position):
            return _NOT_REDUCING
    return _OK


@inner_kernel
def client_order(venue: Venue, index: int) -> None:
    """A client's new order in `venue.command[0]`: check, match, answer."""
    command = venue.command[0]
    venue.state[0].n_client_orders += 1
    reason = _refusal(venue, command)
    if reason == _OK:
        carry_out(venue, command)
        return
    if reason != _DUPLICATE:
        remember_closed(venue, command.account, command.instrument, command.client_order_id, 0, _STATE_REJECTED, 0)
    reject_order(venue, index, command.instrument, command.client_order_id, reason, False)


@inner_kernel
def cancel_all(venue: Venue, account: int, instrument: int) -> int:
    """Cancel every resting order of an account, in one instrument or (-1) in all. Returns how many."""
    books, command = venue.books, venue.command[0]
    count = 0
    for slot in range(1, books.counters[0].high_water + 1):
        order = books.orders[slot]
        if order.leaves > 0 and order.account == account and (instrument < 0 or order.instrument == instrument):
            command.op, command.instrument, command.account = _CANCEL, order.instrument, account
            command.client_order_id = order.client_order_id
            carry_out(venue, command)
            count += 1
    return count


# -- the synthetic market --------------------------------------------------------------------------------------------


@inner_kernel
def _carry_out_flow(venue: Venue, flow: Flow, n_commands: int) -> None:
    for c in range(n_commands):
        carry_out(venue, flow.commands[c])


@kernel
def open_books(venue: Venue, flow: Flow, ts: int) -> None:
    """The makers' first quotes, at exchange time `ts`."""
    venue.state[0].ts = ts
    for instrument in range(flow.agents.size):
        _carry_out_flow(venue, flow, open_book(flow, venue.books, instrument))


@inner_kernel
def run_flow(venue: Venue, flow: Flow, until_ns: int, max_arrivals: int) -> int:
    """The synthetic market up to exchange time `until_ns` (inclusive), at most `max_arrivals`. Returns the arrivals handled.

    Fewer than `max_arrivals` means that it has caught up.
    """
    state = venue.state[0]
    for done in range(max_arrivals):
        instrument = next_arrival(flow)
        ts = flow.agents[instrument].next_ns
        if ts > until_ns:
            return done
        state.ts = max(state.ts, ts)  # never before an answer already given
        _carry_out_flow(venue, flow, act(flow, venue.books, instrument))
        state.n_arrivals += 1
    return max_arrivals
