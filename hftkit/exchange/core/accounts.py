"""Who holds what, and which orders were: wallets, positions, cost, fees, and the memory of closed orders. Exact integers throughout.

An isolated position has a wallet of its own, a part of the account's: what opens moves its initial margin there, what closes moves its share back,
and profit, loss and fees are settled with the rest (the cross wallet). margin.py says what follows from it.

Money is conserved to the last unit. A fill moves wallet - cost by exactly the signed notional, whatever the rounding of the average
entry; fees go from wallet to wallet. So over all accounts (house, fees and insurance fund included) positions sum to zero, and wallets
minus costs sum to the deposits, always.
"""

from __future__ import annotations

from hftkit.codes import Side
from hftkit.exchange.core.ladder import find_key, insert_key, remove_key
from hftkit.exchange.core.layout import HOUSE_ACCOUNTS
from hftkit.exchange.core.records import AccountArray
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inlined_kernel, inner_kernel

_BUY = int(Side.BUY)
_PPM = 1_000_000


@inlined_kernel
def fees_account(venue: Exchange) -> int:
    """Index of the account that receives the fees."""
    return venue.accounts.size - 2


@inlined_kernel
def insurance_account(venue: Exchange) -> int:
    """Index of the insurance fund's account."""
    return venue.accounts.size - 1


@inlined_kernel
def is_client(venue: Exchange, account: int) -> bool:
    """Is it an account of somebody, and not of the house or the venue?"""
    return HOUSE_ACCOUNTS <= account < venue.accounts.size - 2


@inlined_kernel
def part_of(amount_e8: int, ppm: int) -> int:
    """floor(amount * ppm / 1e6), without overflow: split the amount at a million."""
    return amount_e8 // _PPM * ppm + amount_e8 % _PPM * ppm // _PPM


@inner_kernel
def _cost_of(cost_e8: int, closing: int, position: int) -> int:
    """The part of a position's cost that belongs to `closing` of its lots; exact when all of it closes."""
    if closing == position:
        return cost_e8
    while position >= 2**31:  # both products below must fit; what is lost here is profit moved between realised and unrealised
        position >>= 1
        closing >>= 1
    return cost_e8 // position * closing + cost_e8 % position * closing // position


@inlined_kernel
def initial_ppm(venue: Exchange, account: int, instrument: int) -> int:
    """Initial margin, part of the notional in 1e-6: the account's own leverage where it has chosen one, else the venue's."""
    own = venue.holdings[account, instrument].initial_ppm
    return own if own != 0 else venue.limits[instrument].initial_ppm


@inlined_kernel
def cross_wallet(venue: Exchange, account: int) -> int:
    """The part of a wallet that no isolated position holds, 1e-8 quote."""
    return venue.accounts[account].wallet_e8 - venue.accounts[account].isolated_e8


@inlined_kernel
def move_to_isolated(venue: Exchange, account: int, instrument: int, amount_e8: int) -> None:
    """From the cross wallet to that of an isolated position (negative: back)."""
    venue.holdings[account, instrument].isolated_e8 += amount_e8
    venue.accounts[account].isolated_e8 += amount_e8


@inner_kernel
def enter_trade(venue: Exchange, account: int, instrument: int, side: int, price: int, qty: int) -> int:
    """Position, cost, realised profit and wallets after a trade, without fees. Returns its notional in 1e-8 quote units."""
    holding, owner = venue.holdings[account, instrument], venue.accounts[account]
    value = price * venue.instruments[instrument].tick_lot_e8  # of one lot
    sign = 1 if side == _BUY else -1
    closing = 0
    if holding.position * sign < 0:
        closing = min(qty, abs(holding.position))
        removed = _cost_of(holding.cost_e8, closing, abs(holding.position))
        profit = -sign * value * closing - removed
        holding.cost_e8 -= removed
        holding.realised_e8 += profit
        owner.wallet_e8 += profit
        if holding.is_isolated != 0:
            move_to_isolated(venue, account, instrument, -_cost_of(holding.isolated_e8, closing, abs(holding.position)))
    if holding.is_isolated != 0:
        move_to_isolated(venue, account, instrument, part_of(value * (qty - closing), initial_ppm(venue, account, instrument)))
    holding.cost_e8 += sign * value * (qty - closing)
    holding.position += sign * qty
    holding.cash_e8 -= sign * value * qty
    return value * qty


@inner_kernel
def book_fill(venue: Exchange, account: int, instrument: int, side: int, price: int, qty: int, maker: bool) -> int:
    """Enter one fill into an account. Returns the fee in 1e-8 quote units (negative: rebate)."""
    scales, holding = venue.instruments[instrument], venue.holdings[account, instrument]
    notional = enter_trade(venue, account, instrument, side, price, qty)
    fee = part_of(notional, scales.maker_fee_ppm if maker else scales.taker_fee_ppm)
    venue.accounts[account].wallet_e8 -= fee
    venue.accounts[fees_account(venue)].wallet_e8 += fee
    holding.fees_e8 += fee
    holding.n_fills += 1
    if maker:
        holding.n_maker += 1
    return fee


@inner_kernel
def remember_closed(venue: Exchange, account: int, instrument: int, client_order_id: int, order_id: int, state: int, filled: int) -> None:
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
def closed_place(venue: Exchange, account: int, client_order_id: int) -> int:
    """Index in `venue.closed`, -1 if the order was never closed here (or is forgotten)."""
    return find_key(venue.closed_keys, account, client_order_id) - 1


@inner_kernel
def account_index(accounts: AccountArray, account_id: int) -> int:
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
