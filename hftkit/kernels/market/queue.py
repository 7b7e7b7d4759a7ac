"""Where a client's resting order stands in the queue of history, in three estimates at once. Pure arithmetic on one row of int64 words.

Nobody recorded our order, so its place among the recorded ones is an estimate:

| estimate | ahead when it joins | a print at its price | a decrease beyond the prints |
|---|---|---|---|
| optimistic | nobody | fills it | - |
| neutral | what history shows at the price | takes from what is ahead, then fills it | cancels, spread evenly over the queue |
| pessimistic | what history shows | takes from what is ahead, then fills it | came from behind, as far as there was anybody |

A print beyond its price (trade-through) fills it in all three: whoever traded there would have met it first. Where history does not show the quantity
(no book recorded, or a price behind the best one), neutral puts one typical print ahead (the last one before), pessimistic waits for a trade-through.

Nobody is ahead who no longer stands there: neutral and pessimistic never have more ahead than history shows at the price. So the pessimistic place is
the worst that the recording allows, and the true one is never behind it (tests/unit/exchange/market/history/test_truth.py).

So at every moment optimistic <= neutral <= pessimistic in what is ahead, and the other way round in what has been filled. The row keeps what each
estimate would have filled while the order lived; only one of them, the run's, is what really happens to it. The neutral model is the
even-cancellation one of the literature (Huang and Polak, LOBSTER, 2011, on queue reconstruction). In the words of hftbacktest, neutral is its
PowerProbQueueModel with n = 1, pessimistic its RiskAdverseQueueModel.
"""

from __future__ import annotations

from hftkit.kernels.arrays import Int64Array
from hftkit.kernels.jit import inlined_kernel, kernel

OPTIMISTIC, NEUTRAL, PESSIMISTIC = range(3)
ESTIMATES = ("optimistic", "neutral", "pessimistic")
UNKNOWN = -1  # ahead: history does not show it
# Words of a row
ORDER, PRICE, BASE, FILLED, LEAVES, PRINTED = range(6)
AHEAD, WOULD = 6, 9  # three words each, by estimate
ROW_WORDS = 12
# ORDER id; PRICE ticks; BASE lots filled before it came to rest; FILLED, LEAVES lots as last seen; PRINTED lots printed at its price since the level
# last changed


@inlined_kernel
def _part(amount: int, share: int, whole: int) -> int:
    """floor(amount * share / whole) for 0 <= share <= whole, without overflow: very large quantities lose their last bits."""
    while whole >= 2**31 or amount >= 2**31:
        amount, share, whole = amount >> 1, share >> 1, whole >> 1
    return amount * share // max(1, whole)


@kernel
def is_new(row: Int64Array, order_id: int, price: int, leaves: int) -> bool:
    """Has the order (ids, ticks, lots) no place yet, or lost it (another price, a larger quantity)?"""
    return row[ORDER] != order_id or row[PRICE] != price or leaves > row[LEAVES]


@kernel
def join(row: Int64Array, order_id: int, price: int, filled: int, leaves: int, shown: int) -> None:
    """The order comes to rest behind `shown` lots of history (UNKNOWN: not recorded). Price in ticks, `filled` and `leaves` in lots."""
    row[ORDER], row[PRICE], row[BASE], row[FILLED], row[LEAVES], row[PRINTED] = order_id, price, filled, filled, leaves, 0
    row[AHEAD + OPTIMISTIC], row[AHEAD + NEUTRAL], row[AHEAD + PESSIMISTIC] = 0, shown, shown
    for e in range(3):
        row[WOULD + e] = 0


@kernel
def behind(row: Int64Array, before: Int64Array) -> None:
    """Time priority among clients: no estimate puts an order ahead of an older one (`before`, a row) at its price."""
    for e in range(3):
        if row[AHEAD + e] != UNKNOWN:
            row[AHEAD + e] = UNKNOWN if before[AHEAD + e] == UNKNOWN else max(row[AHEAD + e], before[AHEAD + e])


@kernel
def claim(row: Int64Array, estimate: int, total: int, through: bool, volume: int, limit: int, taken: int) -> int:
    """Lots that an order gets of one print in one estimate; what is ahead of it shrinks.

    `total`: lots it brought to rest; `through`: the print was beyond its price; `volume`: lots of the print; `limit`: what clients may have of
    it (participation); `taken`: what older ones got.
    """
    room = min(total - row[WOULD + estimate], limit - taken)
    if through:
        row[AHEAD + estimate] = 0
    else:
        if row[AHEAD + estimate] == UNKNOWN:
            return 0
        eaten = min(row[AHEAD + estimate], volume)
        row[AHEAD + estimate] -= eaten
        room = min(room, volume - eaten - taken)
    lots = max(0, room)
    row[WOULD + estimate] += lots
    return lots


@kernel
def level_changed(row: Int64Array, before: int, after: int) -> None:
    """History shows `after` lots at the order's price instead of `before`. What prints do not explain are cancels."""
    cancels, whole = max(0, before - after - row[PRINTED]), before - row[PRINTED]
    row[PRINTED] = 0
    if row[AHEAD + NEUTRAL] == UNKNOWN:  # seen for the first time: everything shown may have been there before us
        if after > 0:
            row[AHEAD + NEUTRAL] = row[AHEAD + PESSIMISTIC] = after
        return
    if row[AHEAD + PESSIMISTIC] != UNKNOWN:
        row[AHEAD + PESSIMISTIC] = min(row[AHEAD + PESSIMISTIC], after)
    ahead = row[AHEAD + NEUTRAL]
    if whole > 0:
        ahead -= cancels if ahead >= whole else _part(cancels, ahead, whole)
    row[AHEAD + NEUTRAL] = max(0, min(ahead, after))
