"""What changes the account although no order of ours did: the venue's own orders, another client's, a position that no fill explains. Owns EXTERNAL.

    external fill    an order that this session did not send has traded: liquidation, auto-deleveraging, settlement, another client
    correction       the venue's position differs, and no fill says why (a fill was lost with a connection, the insurance fund has taken over)

One rule for both: ledger and legs take it in at once, together, so that the legs of all strategies always sum to the ledger; each pair that it
touches is left (legs.correct_legs). Where the venue itself has closed something (`halt` in the step) trading halts: an account that was liquidated
does not enter again by itself. A fill that an earlier correction had brought in already, by its time, is left.
"""

from __future__ import annotations

from hftkit.codes import Side
from hftkit.kernels.arrays import EventArray, ExternalArray, InstrumentArray, LedgerArray, LegsArray
from hftkit.kernels.execution.pair import correct_legs
from hftkit.kernels.jit import kernel
from hftkit.kernels.trading.ledger import book_external_fill, correct_position

_BUY = int(Side.BUY)


@kernel
def take_external_fill(
    event: EventArray, instruments: InstrumentArray, ledger: LedgerArray, legs: LegsArray, external: ExternalArray, reason: int, now: int
) -> bool:
    """Take in the fill in EVENT (1,): side, price (ticks), qty (lots), fee. `reason`: codes.Reject, 0 for another client. Whether it was new."""
    e = event[0]
    row = external[e.instrument]
    if e.ts_event <= row.ts_known:
        row.n_old += 1
        return False
    row.n_fills += 1
    row.n_forced += 1 if reason != 0 else 0
    row.reason = reason
    book_external_fill(ledger[e.instrument], instruments[e.instrument], e.side, e.price, e.qty, e.fee_e8)
    correct_legs(legs, e.instrument, e.qty if e.side == _BUY else -e.qty, e.ts_event, now)
    return True


@kernel
def take_correction(
    event: EventArray,
    instruments: InstrumentArray,
    ledger: LedgerArray,
    legs: LegsArray,
    external: ExternalArray,
    compared_with: int,
    known_until: int,
    now: int,
) -> bool:
    """Take over the position (lots) in EVENT (1,), if the ledger still is at `compared_with`. Whether it did.

    `known_until`: exchange time (ns) up to which it holds every fill; 0 where fills come in order with it.
    """
    e = event[0]
    before = ledger[e.instrument].position
    if not correct_position(ledger, instruments, e.instrument, e.qty, compared_with):
        return False
    external[e.instrument].ts_known = max(external[e.instrument].ts_known, known_until)
    correct_legs(legs, e.instrument, e.qty - before, e.ts_event, now)
    return True
