"""What changes the account although no order of ours did: the venue's own orders, another client's, a position that no fill explains. Owns EXTERNAL.

    external fill    an order that this session did not send has traded: liquidation, auto-deleveraging, settlement, another client
    correction       the venue's position differs, and no fill says why (a fill was lost with a connection, the insurance fund has taken over)

One rule for both: the account's ledger and what strategies hold take it in at once, together, so that they always sum to the ledger; each pair that
it touches is left (execution/policies.py, `correct_positions`). Where the venue itself has closed something (`halt` in the step) trading halts: an
account that was liquidated does not enter again by itself. A fill that an earlier correction had brought in already, by its time, is left.
"""

from __future__ import annotations

from hftkit.codes import Side
from hftkit.kernels.arrays import EngineState
from hftkit.kernels.execution.policies import correct_positions
from hftkit.kernels.jit import kernel
from hftkit.kernels.trading.ledger import book_external_fill, correct_position

_BUY = int(Side.BUY)


@kernel
def take_external_fill(rooms: EngineState, reason: int, now: int) -> bool:
    """Take in the fill in EVENT: side, price (ticks), qty (lots), fee. `reason`: codes.Reject, 0 for another client. Whether it was new."""
    e = rooms.event[0]
    row = rooms.external[e.instrument]
    if e.ts_event <= row.ts_known:
        row.n_old += 1
        return False
    row.n_fills += 1
    row.n_forced += 1 if reason != 0 else 0
    row.reason = reason
    book_external_fill(rooms.ledger[e.instrument], rooms.instruments[e.instrument], e.side, e.price, e.qty, e.fee_e8)
    correct_positions(rooms, e.qty if e.side == _BUY else -e.qty, True, now)
    return True


@kernel
def take_correction(rooms: EngineState, compared_with: int, known_until: int, now: int) -> bool:
    """Take over the position (lots) in EVENT, if the ledger still is at `compared_with`. Whether it did.

    `known_until`: exchange time (ns) up to which it holds every fill; 0 where fills come in order with it.
    """
    e = rooms.event[0]
    before = rooms.ledger[e.instrument].position
    if not correct_position(rooms.ledger, rooms.instruments, e.instrument, e.qty, compared_with):
        return False
    rooms.external[e.instrument].ts_known = max(rooms.external[e.instrument].ts_known, known_until)
    correct_positions(rooms, e.qty - before, False, now)
    return True
