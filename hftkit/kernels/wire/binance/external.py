"""Fills of orders that this session did not send, as EXTERNAL_FILL frames: the venue's own orders, and those of another client of the account.

The venue closes positions by orders of its own: client ids `autoclose-` (liquidation), `adl_autoclose` (auto-deleveraging), `settlement_autoclose-`
(delivery, delisting), execution type CALCULATED, status NEW_ADL or NEW_INSURANCE. Another client may be the website, a bot with a key of the
same account, or a dead session of ours whose order rested. All of them change the account's position, so all of them are told. Once each: by trade
id, or where there is none by what its order had filled so far. Whatever cannot be read makes the account be compared at once.
"""

from __future__ import annotations

import numpy as np

from hftkit.codes import Reject
from hftkit.kernels.arrays import Int64Array, LineState, OctetArray
from hftkit.kernels.jit import inner_kernel, kernel
from hftkit.kernels.wire.binance.json import STRING
from hftkit.kernels.wire.binance.state import Counter
from hftkit.kernels.wire.binance.tracks import doubt, next_order_seq
from hftkit.kernels.wire.venue_codec import encode_external_fill

_P0, _P1, _P2 = (np.frombuffer(text, np.uint8) for text in (b"autoclose-", b"adl_autoclose", b"settlement_autoclose-"))
_LIQUIDATION, _ADL, _SETTLEMENT = int(Reject.VENUE_LIQUIDATION), int(Reject.VENUE_ADL), int(Reject.VENUE_SETTLEMENT)
_FORCED, _FOREIGN = int(Counter.FORCED), int(Counter.FOREIGN_ORDERS)
_FILLS, _REPEATED = int(Counter.EXTERNAL_FILLS), int(Counter.EXTERNAL_REPEATED)


@kernel
def _begins(data: OctetArray, tokens: Int64Array, slot: int, prefix: OctetArray) -> bool:
    if tokens[slot, 0] != STRING or tokens[slot, 2] - tokens[slot, 1] < prefix.size:
        return False
    same = True
    for i in range(prefix.size):
        same &= data[tokens[slot, 1] + i] == prefix[i]
    return same


@kernel
def forced_by(data: OctetArray, tokens: Int64Array, slot: int, calculated: bool, adl: bool) -> int:
    """Why the venue sent this order itself (codes.Reject), 0 if it did not: by its client id (a token), then by execution type and status."""
    if _begins(data, tokens, slot, _P1) or adl:
        return _ADL
    if _begins(data, tokens, slot, _P2):
        return _SETTLEMENT
    return _LIQUIDATION if calculated or _begins(data, tokens, slot, _P0) else 0


@inner_kernel
def count_external(line: LineState, reason: int) -> None:
    """An order that is not of this session was heard of."""
    line.counters[_FORCED if reason != 0 else _FOREIGN] += 1


@inner_kernel
def is_told(line: LineState, instrument: int, order_id: int, trade_id: int, total: int) -> bool:
    """Whether a fill after which its order had filled `total` lots was told before; else it is remembered as told."""
    o = line.outside[instrument]
    if (trade_id != 0 and trade_id <= o.trade_id) or (trade_id == 0 and order_id == o.order_id and total <= o.filled):
        line.counters[_REPEATED] += 1
        return True
    o.trade_id, o.order_id, o.filled = max(trade_id, o.trade_id), order_id, total
    return False


@inner_kernel
def tell_external_fill(
    line: LineState,
    instrument: int,
    order_id: int,
    trade_id: int,
    side: int,
    price: int,
    qty: int,
    fee_e8: int,
    reason: int,
    ts: int,
    words: Int64Array,
    position: int,
) -> int:
    """EXTERNAL_FILL (ticks, lots, 1e-8 quote, ns), and the account is compared at once. New position in `words`."""
    line.counters[_FILLS] += 1
    doubt(line)
    seq = next_order_seq(line)
    return position + encode_external_fill(words, position, instrument, seq, ts, order_id, trade_id, side, price, qty, fee_e8, reason)
