"""Position and money of each instrument, exact in integers. Owns LEDGER: the account's, and each strategy's own (attribution.py).

Average cost: a fill that opens adds its notional to `cost_e8`; a fill that closes q of p lots takes cost * q // p of it, and the rest of its
proceeds is realised. Nothing is lost to rounding: what integer division leaves stays in the cost and is realised with
the last lot. So at every moment realized + unrealized = (sold notional - bought notional) + position at mark.

Funding is what holding a perpetual future costs, as the venue states it; like fees it stands beside the profit, paid positive, received negative:
equity = realized + unrealized - fees - funding.
"""

from __future__ import annotations

from hftkit.codes import Side
from hftkit.kernels.arrays import BookArray, InstrumentArray, InstrumentRecord, LedgerArray, LedgerRecord
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.market.signals import tradable

_BUY = int(Side.BUY)


@kernel
def book_fill(row: LedgerRecord, ins: InstrumentRecord, side: int, price: int, qty: int, fee_e8: int, maker: int) -> None:
    """Book one fill into a LEDGER record of the instrument `ins`: price in ticks, qty in lots (> 0), fee in 1e-8 quote (negative is a rebate)."""
    sign = 1 if side == _BUY else -1
    notional = price * qty * ins.tick_lot_e8
    position = row.position
    closing = 0
    if position * sign < 0:
        closing = min(qty, abs(position))
        whole, rest = row.cost_e8 // abs(position), row.cost_e8 % abs(position)
        released = whole * closing + rest * closing // abs(position)  # = cost * closing // |position|, without overflow
        closed_notional = price * closing * ins.tick_lot_e8
        # a long position has cost > 0 and is sold: proceeds - cost; a short one has cost < 0 and is bought: -(paid) - cost
        row.realized_e8 += -sign * closed_notional - released
        row.cost_e8 -= released
    opening = qty - closing
    row.cost_e8 += sign * price * opening * ins.tick_lot_e8
    row.position = position + sign * qty
    row.fees_e8 += fee_e8
    row.turnover_e8 += notional
    row.n_fills += 1
    if maker != 0:
        row.n_maker += 1
        row.maker_turnover_e8 += notional
    if sign > 0:
        row.bought_qty += qty
    else:
        row.sold_qty += qty
    mark_row(row, ins, row.mark_price if row.mark_price > 0 else 2 * price)


@kernel
def apply_fill(ledger: LedgerArray, instruments: InstrumentArray, instrument: int, side: int, price: int, qty: int, fee_e8: int, maker: int) -> None:
    """Book one fill: price in ticks, qty in lots (> 0), fee in 1e-8 quote (negative is a rebate)."""
    book_fill(ledger[instrument], instruments[instrument], side, price, qty, fee_e8, maker)


@kernel
def book_external_fill(row: LedgerRecord, ins: InstrumentRecord, side: int, price: int, qty: int, fee_e8: int) -> None:
    """Book a fill of an order that was not ours, at its price (ticks) and with its fee (1e-8 quote): in the money, not among what we have traded."""
    bought, sold, turnover, fills = row.bought_qty, row.sold_qty, row.turnover_e8, row.n_fills
    book_fill(row, ins, side, price, qty, fee_e8, 0)
    row.bought_qty, row.sold_qty, row.turnover_e8, row.n_fills = bought, sold, turnover, fills
    row.corrected_qty += qty if side == _BUY else -qty
    row.n_corrections += 1


@kernel
def correct_position(ledger: LedgerArray, instruments: InstrumentArray, instrument: int, position: int, compared_with: int) -> bool:
    """Take over the venue's `position` (lots) that no fill explains, if the ledger still is at `compared_with` and has a mark. Whether it did.

    Booked like a fill at mark without a fee: what it closes is realised there, so equity is the same before and after, but for 1e-8 of rounding.
    Neither the entry price that the venue states (an average over strangers' trades and ours) nor what the stranger made before is this session's.
    """
    row = ledger[instrument]
    if row.position != compared_with or position == row.position or row.mark_price == 0:
        return False
    correct_row(row, instruments[instrument], position - row.position)
    row.venue_position = position
    return True


@kernel
def correct_row(row: LedgerRecord, ins: InstrumentRecord, lots: int) -> None:
    """Move the position of a LEDGER record by signed `lots` at its mark, without a fee."""
    closing = min(abs(lots), abs(row.position)) if (lots > 0) != (row.position > 0) else 0
    half_tick_lot = row.mark_price * ins.tick_lot_e8
    sign = 1 if lots > 0 else -1
    if closing > 0:
        whole, rest = row.cost_e8 // abs(row.position), row.cost_e8 % abs(row.position)
        released = whole * closing + rest * closing // abs(row.position)
        row.realized_e8 += -sign * (closing * half_tick_lot // 2) - released
        row.cost_e8 -= released
    row.cost_e8 += sign * ((abs(lots) - closing) * half_tick_lot // 2)
    row.position += lots
    row.corrected_qty += lots
    row.n_corrections += 1
    mark_row(row, ins, row.mark_price)


@kernel
def book_funding(row: LedgerRecord, amount_e8: int) -> None:
    """Book one funding payment in 1e-8 quote into a LEDGER record: paid, negative: received."""
    row.funding_e8 += amount_e8


@kernel
def apply_funding(ledger: LedgerArray, instrument: int, amount_e8: int) -> None:
    """Book one funding payment in 1e-8 quote: paid, negative: received."""
    book_funding(ledger[instrument], amount_e8)


@inlined_kernel
def mark_row(row: LedgerRecord, ins: InstrumentRecord, mark_price: int) -> None:
    """Value the position of a LEDGER record at `mark_price` in half ticks (best_bid + best_ask)."""
    row.mark_price = mark_price
    row.unrealized_e8 = row.position * mark_price * ins.tick_lot_e8 // 2 - row.cost_e8


@kernel
def mark(ledger: LedgerArray, instruments: InstrumentArray, instrument: int, mark_price: int) -> None:
    """Value the account's position in an instrument at `mark_price` in half ticks."""
    mark_row(ledger[instrument], instruments[instrument], mark_price)


@kernel
def mark_to_book(ledger: LedgerArray, instruments: InstrumentArray, book: BookArray, instrument: int) -> bool:
    """Mark at the mid of a trusted book. Whether a position's value changed."""
    b = book[instrument]
    if not tradable(b):
        return False
    mark_price = b.best_bid + b.best_ask
    if mark_price == ledger[instrument].mark_price:
        return False
    mark(ledger, instruments, instrument, mark_price)
    return ledger[instrument].position != 0
