"""Margin: what an account needs for its positions and orders, liquidation when it has less, and funding.

* Equity = wallet + sum of position * mark * lot value - cost.
* Initial margin of an instrument = notional / leverage, of the larger exposure that its resting bids or its resting asks could leave. The
  leverage is the account's own for that instrument (HOLDING.initial_ppm) where it has chosen one, else the venue's.
  A new order needs equity for the initial margin of everything, itself included, unless it makes nothing larger. Reduce-only orders cannot, so
  they need none and count for none. An order that sells below the best bid is valued at the bid: it sells there or higher.
* Maintenance margin = notional of the positions * a smaller rate. Below it the venue takes over: it cancels the account's orders, closes
  its positions by market orders (not where the market is halted), hands what found no buyer to the insurance fund at the mark, and the fund
  pays what is then missing. What is left is the owner's. A cross wallet below zero without a position is made up likewise.
* The fund's wallet may go below zero: then the venue itself has paid. There is no auto-deleveraging, and the fund never closes a position.
* Funding: at each whole interval of the exchange clock longs pay shorts floor(position * mark * lot value * rate), the reverse if the rate is
  negative; what rounding costs, the fund pays.
* An isolated position has a wallet of its own (accounts.py). Its equity = that wallet + its unrealised profit; below its maintenance margin it
  alone is liquidated, and what it lacks then the fund pays, so that nothing else of the account is touched. Its funding goes through that wallet.
  Whatever such positions hold is out of reach for the rest of the account; of their orders only what they would open counts there.

Marks: filters.mark_price. A waiting order needs margin once it is triggered: it is checked then (orders.fire_due).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.codes import OrderFlag, OrderType, Side, TimeInForce
from hftkit.exchange.core.accounts import cross_wallet, enter_trade, initial_ppm, insurance_account, is_client, move_to_isolated, part_of
from hftkit.exchange.core.filters import MAX_NOTIONAL_E8, mark_price, reference_price
from hftkit.exchange.core.layout import BalanceKind, Op
from hftkit.exchange.trading.records import record_balance, record_funding_rate
from hftkit.exchange.venue import Exchange
from hftkit.kernels.jit import inlined_kernel, inner_kernel

_BUY, _SELL, _LIMIT, _MARKET = int(Side.BUY), int(Side.SELL), int(OrderType.LIMIT), int(OrderType.MARKET)
_IOC, _NEW, _REDUCE_ONLY = int(TimeInForce.IOC), int(Op.NEW), int(OrderFlag.REDUCE_ONLY)
_FUNDING, _TAKEN_OVER, _INSURED = int(BalanceKind.FUNDING), int(BalanceKind.TAKEN_OVER), int(BalanceKind.INSURED)
_ISOLATED = int(BalanceKind.ISOLATED)


@inner_kernel
def _initial(venue: Exchange, account: int, instrument: int, value: int, bid: int, ask: int) -> int:
    """Initial margin of one instrument for the cross wallet, 1e-8 quote. `value`, `bid`, `ask`: position and resting orders, ticks * lots.

    With isolated margin: of what the orders would open. One that turns the position round opens the rest with what closing gives back.
    """
    scale, ppm, holding = venue.limits[instrument].tick_lot_e8, initial_ppm(venue, account, instrument), venue.holdings[account, instrument]
    if holding.is_isolated == 0:
        return part_of(max(abs(value + bid), abs(value - ask)) * scale, ppm)
    back = holding.isolated_e8 + value * scale - holding.cost_e8
    if value > 0:
        return max(part_of(bid * scale, ppm), part_of((ask - value) * scale, ppm) - back if ask > value else 0)
    if value < 0:
        return max(part_of(ask * scale, ppm), part_of((value + bid) * scale, ppm) - back if value + bid > 0 else 0)
    return part_of(max(bid, ask) * scale, ppm)


@inner_kernel
def measure(venue: Exchange, account: int) -> tuple[int, int, int, int]:
    """(unrealised profit, initial margin, maintenance margin, equity of its isolated positions) of an account, 1e-8 quote.

    The profit is that of all positions; the margins are what the cross wallet answers for. Free: wallet + unrealised - isolated - initial.
    """
    unrealised, initial, maintenance, isolated = 0, 0, 0, 0
    for i in range(venue.instruments.size):
        holding, exposure = venue.holdings[account, i], venue.books.exposures[account, i]
        if holding.position == 0 and exposure.open_bid == 0 and exposure.open_ask == 0:
            continue
        value, limits = holding.position * mark_price(venue.books.tops[i]), venue.limits[i]
        profit = value * limits.tick_lot_e8 - holding.cost_e8
        unrealised += profit
        initial += _initial(venue, account, i, value, exposure.open_bid, exposure.open_ask)
        if holding.is_isolated != 0:
            isolated += holding.isolated_e8 + profit
        else:
            maintenance += part_of(abs(value) * limits.tick_lot_e8, limits.maintenance_ppm)
    return unrealised, initial, maintenance, isolated


@inner_kernel
def lacks_margin(venue: Exchange, command: Any, former: int) -> bool:
    """Would an order, checked by the filters, need more margin than its account has?

    `command.qty`: lots that would be open; `former`: ticks * lots open of the order that it replaces, 0 for a new one.
    """
    if (command.order_type != _LIMIT and command.order_type != _MARKET) or command.flags & _REDUCE_ONLY:
        return False
    i, account = command.instrument, np.int64(command.account)
    top, exposure = venue.books.tops[i], venue.books.exposures[account, i]
    price = reference_price(command, top, top.base + venue.books.levels.shape[1])
    if command.side == _SELL:
        price = max(price, top.bid)
    if price > 0 and command.qty > MAX_NOTIONAL_E8 // (price * venue.limits[i].tick_lot_e8):
        return True
    added = price * command.qty - former
    value = exposure.position * mark_price(top)
    before = _initial(venue, account, i, value, exposure.open_bid, exposure.open_ask)
    if command.side == _BUY:
        after = _initial(venue, account, i, value, exposure.open_bid + added, exposure.open_ask)
    else:
        after = _initial(venue, account, i, value, exposure.open_bid, exposure.open_ask + added)
    if after <= before:
        return False
    unrealised, initial, _, isolated = measure(venue, account)
    return initial - before + after > venue.accounts[account].wallet_e8 + unrealised - isolated


@inner_kernel
def is_short_of_margin(venue: Exchange, account: int) -> bool:
    """Must this account's cross positions be liquidated, or its debt be made up?"""
    owner = venue.accounts[account]
    if not is_client(venue, account) or owner.id == 0:
        return False
    unrealised, _, maintenance, isolated = measure(venue, account)
    if maintenance == 0 and owner.isolated_e8 != 0:
        return False  # what a fill and its fee moved beyond the cross wallet is in those positions
    return owner.wallet_e8 + unrealised - isolated < maintenance


@inner_kernel
def is_isolated_short(venue: Exchange, account: int, instrument: int) -> bool:
    """Must this position be liquidated alone?"""
    holding, limits = venue.holdings[account, instrument], venue.limits[instrument]
    if holding.is_isolated == 0 or holding.position == 0:
        return False
    value = holding.position * mark_price(venue.books.tops[instrument]) * limits.tick_lot_e8
    return holding.isolated_e8 + value - holding.cost_e8 < part_of(abs(value), limits.maintenance_ppm)


@inlined_kernel
def is_in_liquidation(venue: Exchange, account: int, instrument: int, only: int) -> bool:
    """Does a liquidation meet this instrument? `only`: the isolated one that is liquidated, -1: all that have cross margin."""
    return instrument == only or (only < 0 and venue.holdings[account, instrument].is_isolated == 0)


@inner_kernel
def closing_order(venue: Exchange, account: int, instrument: int) -> bool:
    """Put the market order that closes a position into `venue.command[0]`. False: there is no position, or the market is halted.

    Its id is negative: the venue's own.
    """
    position = venue.holdings[account, instrument].position
    command = venue.command[0]
    command.op, command.instrument, command.account = _NEW, instrument, account
    command.client_order_id = -1 - venue.books.counters[0].last_order_id
    command.side, command.order_type, command.time_in_force = _SELL if position > 0 else _BUY, _MARKET, _IOC
    command.flags = command.price = command.trigger_price = command.expire_ts = 0
    command.qty = abs(position)
    return position != 0 and venue.limits[instrument].open != 0


@inner_kernel
def insure(venue: Exchange, account: int, only: int, floor_e8: int) -> None:
    """The insurance fund takes the positions that are left, at the mark, and pays what the cross wallet then lacks.

    `only`: as in `is_in_liquidation`. `floor_e8`: what the cross wallet may not fall below.
    """
    fund = insurance_account(venue)
    for i in range(venue.instruments.size):
        position, mark = venue.holdings[account, i].position, mark_price(venue.books.tops[i])
        if position != 0 and is_in_liquidation(venue, account, i, only):
            side, before = _SELL if position > 0 else _BUY, venue.accounts[account].wallet_e8
            isolated = venue.holdings[account, i].isolated_e8
            enter_trade(venue, account, i, side, mark, abs(position))
            if isolated != 0:
                record_balance(venue, _ISOLATED, account, i, -isolated, 0, mark, 0)
            record_balance(venue, _TAKEN_OVER, account, i, venue.accounts[account].wallet_e8 - before, -position, mark, 0)
            enter_trade(venue, fund, i, 1 - side, mark, abs(position))
            venue.books.exposures[account, i].position -= position
            venue.books.exposures[fund, i].position += position
    missing = floor_e8 - cross_wallet(venue, account)
    if missing > 0:
        venue.accounts[fund].wallet_e8 -= missing
        venue.accounts[account].wallet_e8 += missing
        record_balance(venue, _INSURED, account, -1, missing, 0, 0, 0)
    venue.accounts[account].n_liquidations += 1
    venue.state[0].n_liquidations += 1


@inner_kernel
def settle_funding(venue: Exchange) -> None:
    """One funding payment of every position; its owner is told (FUNDING), now or when its connection is back."""
    left, rate = 0, venue.state[0].funding_ppm
    for i in range(venue.instruments.size):
        record_funding_rate(venue, i, mark_price(venue.books.tops[i]), rate)
    for account in range(venue.accounts.size):
        for i in range(venue.instruments.size):
            holding = venue.holdings[account, i]
            if holding.position != 0:
                mark = mark_price(venue.books.tops[i])
                payment = part_of(holding.position * mark * venue.limits[i].tick_lot_e8, rate)
                venue.accounts[account].wallet_e8 -= payment
                holding.funding_e8 += payment
                left += payment
                if holding.is_isolated != 0:
                    move_to_isolated(venue, account, i, -payment)
                    record_balance(venue, _ISOLATED, account, i, -payment, 0, mark, 0)
                record_balance(venue, _FUNDING, account, i, -payment, 0, mark, rate)
    venue.accounts[insurance_account(venue)].wallet_e8 += left
