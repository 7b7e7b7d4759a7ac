"""Who holds what, and which orders were: positions, cash, fees, and the memory of closed orders. Exact integers throughout."""

from __future__ import annotations

from typing import Any

from hftkit.exchange.ladder import find_key, insert_key, remove_key
from hftkit.exchange.venue import Venue
from hftkit.kernels.jit import inlined_kernel, inner_kernel

_PPM = 1_000_000


@inlined_kernel
def fee_of(notional_e8: int, ppm: int) -> int:
    """floor(notional * ppm / 1e6), without overflow: split the notional at a million. A negative rate is a rebate."""
    return notional_e8 // _PPM * ppm + notional_e8 % _PPM * ppm // _PPM


@inner_kernel
def book_fill(venue: Venue, account: int, instrument: int, side: int, price: int, qty: int, maker: bool) -> int:
    """Enter one fill into an account's holding. Returns the fee in 1e-8 quote units (negative: rebate)."""
    scales = venue.instruments[instrument]
    holding = venue.holdings[account, instrument]
    notional = price * qty * scales.tick_lot_e8
    fee = fee_of(notional, scales.maker_fee_ppm if maker else scales.taker_fee_ppm)
    sign = 1 - 2 * side
    holding.position += sign * qty
    holding.cash_e8 -= sign * notional
    holding.fees_e8 += fee
    holding.n_fills += 1
    if maker:
        holding.n_maker += 1
    return fee


@inner_kernel
def remember_closed(venue: Venue, account: int, instrument: int, client_order_id: int, order_id: int, state: int, filled: int) -> None:
    """Keep a closed order; the oldest one is forgotten when the ring is full."""
    place = venue.state[0].n_closed % venue.closed.size
    row = venue.closed[place]
    if venue.state[0].n_closed >= venue.closed.size:
        remove_key(venue.closed_keys, row.account, row.client_order_id)
    venue.state[0].n_closed += 1
    row.client_order_id, row.account, row.instrument = client_order_id, account, instrument
    row.order_id, row.state, row.filled = order_id, state, filled
    insert_key(venue.closed_keys, account, client_order_id, place + 1)


@inner_kernel
def closed_place(venue: Venue, account: int, client_order_id: int) -> int:
    """Index in `venue.closed`, -1 if the order was never closed here (or is forgotten)."""
    return find_key(venue.closed_keys, account, client_order_id) - 1


@inner_kernel
def account_index(accounts: Any, account_id: int) -> int:
    """Record of an account number, taking a free one on first sight. -1: the number is not positive, or all records are taken."""
    if account_id <= 0:
        return -1
    for i in range(accounts.size):
        if accounts[i].id == account_id:
            return i
        if accounts[i].id == 0:
            accounts[i].id = account_id
            return i
    return -1
