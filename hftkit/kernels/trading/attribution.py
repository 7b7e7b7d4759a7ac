"""What each strategy holds of the account: its own ledger and its own open quantity in every instrument that it watches. Owns OPEN_HELD.

An order belongs to the strategy that asked for it, so each fill is booked twice: into the account's LEDGER, and into HELD[slot, place] of the
strategy (`place`: of the instrument among those that it watches, ORDER.leg). What no order of ours did is booked to whom it takes the position from
(execution/policies.py, `correct_positions`), at the same price, with its share of the fee by lots, rounded towards zero; what no strategy takes
stays with the account alone. So for every instrument, exactly:

    account = sum over strategies + what no strategy took

in position, in cash flow (realized - cost, in 1e-8 quote), fees, funding, lots bought and sold, turnover and fills. Realised and unrealised P&L
by themselves need not add up: two strategies that are long and short of one instrument hold two average prices, the account one, or none. Their sum
does, but for a rounding of 1e-8 quote a strategy, where half a tick of a lot is no whole number.

Netting: strategies that are opposite in one instrument share one position of the account. Each trades as if it were alone; the venue sees the sum.
Funding is paid by the account on the sum, and borne by each by its share of it: amount * own position / position of the account, rounded towards
zero; what rounding leaves goes to the first that holds something. So of two opposite ones one pays what the other receives, beside what the venue
takes. An amount for an account that is flat by now stays with the account.
"""

from __future__ import annotations

from hftkit.codes import Side
from hftkit.kernels.arrays import (
    EventArray,
    HeldArray,
    InstrumentArray,
    Int64Array,
    LedgerArray,
    OpenHeldArray,
    OpenRecord,
    OrderRecord,
)
from hftkit.kernels.jit import inlined_kernel, kernel
from hftkit.kernels.trading.ledger import book_external_fill, book_fill, book_funding, correct_row, mark_row
from hftkit.kernels.trading.orders import is_final

_BUY = int(Side.BUY)


@inlined_kernel
def opened(o: OrderRecord, open_held: OpenHeldArray) -> None:
    """The order `o` (ORDER record) has been entered into the order table."""
    row = open_held[o.strategy, o.leg]
    if o.side == _BUY:
        row.buy_qty += o.qty
    else:
        row.sell_qty += o.qty
    row.n_orders += 1


@kernel
def _close(row: OpenRecord, side: int, qty: int) -> None:
    if side == _BUY:
        row.buy_qty -= qty
    else:
        row.sell_qty -= qty


@kernel
def followed(o: OrderRecord, open_held: OpenHeldArray, filled_before: int) -> None:
    """The order `o`, which was open and had filled `filled_before` lots, has taken an answer."""
    row = open_held[o.strategy, o.leg]
    _close(row, o.side, o.filled_qty - filled_before)
    if is_final(o.state):
        _close(row, o.side, o.qty - o.filled_qty)
        row.n_orders -= 1


@kernel
def held_fill(event: EventArray, o: OrderRecord, instruments: InstrumentArray, ledger: LedgerArray, held: HeldArray) -> None:
    """Book the fill in EVENT (1,) of the order `o` to the strategy that asked for it, at the account's mark: one that holds nothing is not marked."""
    e = event[0]
    mark_row(held[o.strategy, o.leg], instruments[e.instrument], ledger[e.instrument].mark_price)
    book_fill(held[o.strategy, o.leg], instruments[e.instrument], e.side, e.price, e.qty, e.fee_e8, e.flags)


@kernel
def held_external(slot: int, place: int, lots: int, event: EventArray, instruments: InstrumentArray, ledger: LedgerArray, held: HeldArray) -> None:
    """Book signed `lots` of the external fill in EVENT (1,) to a strategy, with their share of its fee."""
    e = event[0]
    fee = abs(e.fee_e8) * abs(lots) // max(e.qty, 1)
    mark_row(held[slot, place], instruments[e.instrument], ledger[e.instrument].mark_price)
    book_external_fill(held[slot, place], instruments[e.instrument], e.side, e.price, abs(lots), fee if e.fee_e8 >= 0 else -fee)


@kernel
def held_correction(slot: int, place: int, lots: int, instrument: int, instruments: InstrumentArray, ledger: LedgerArray, held: HeldArray) -> None:
    """Book signed `lots` that the account's position was corrected by, at the account's mark."""
    row = held[slot, place]
    mark_row(row, instruments[instrument], ledger[instrument].mark_price)
    correct_row(row, instruments[instrument], lots)


@kernel
def held_funding(instrument: int, amount_e8: int, ledger: LedgerArray, held: HeldArray, watcher_start: Int64Array, watchers: Int64Array) -> None:
    """Share a funding payment (1e-8 quote, negative: received) among those that hold the instrument, by the rule above."""
    whole = ledger[instrument].position
    if whole == 0:
        return
    left, first = amount_e8, -1
    for i in range(watcher_start[instrument], watcher_start[instrument + 1]):
        row = held[watchers[i, 0], watchers[i, 1]]
        if row.position == 0:
            continue
        first = i if first < 0 else first
        # amount * position / whole, towards zero, without overflow: the quotient and the remainder apart
        size, share, by = abs(amount_e8), abs(row.position), abs(whole)
        part = size // by * share + size % by * share // by
        part = part if (amount_e8 >= 0) == ((row.position > 0) == (whole > 0)) else -part
        book_funding(row, part)
        left -= part
    if first >= 0:
        book_funding(held[watchers[first, 0], watchers[first, 1]], left)


@inlined_kernel
def mark_held(slot: int, place: int, instrument: int, instruments: InstrumentArray, ledger: LedgerArray, held: HeldArray) -> bool:
    """Mark what a strategy holds, if anything, as the account's ledger is marked. Whether its value changed."""
    row, mark_price = held[slot, place], ledger[instrument].mark_price
    if row.position == 0 or row.mark_price == mark_price:
        return False
    mark_row(row, instruments[instrument], mark_price)
    return True
