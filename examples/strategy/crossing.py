"""Crossing: what has begun to rise goes on for a while. One instrument, two averages of its bars.

It buys when the fast average is more than `band_bps` above the slow one and sells when it is as far below; a crossing
the other way leaves first. It shows how a strategy is made; it is not made to earn.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from hftkit import FrozenParams, SignalReason, Strategy
from hftkit.kernels.arrays import BookArray, EventArray, Float64Array, HeldArray, Int64Array, SignalArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.signals import mid_ticks


class CrossingParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is frozen: length of a bar in ns, bars of both averages, distance of a crossing in 1e-4."""

    bar_ns: Annotated[int, msgspec.Meta(gt=0)]
    fast_bars: Annotated[int, msgspec.Meta(ge=2, le=10_000)]
    slow_bars: Annotated[int, msgspec.Meta(ge=3, le=10_000)]
    band_bps: Annotated[float, msgspec.Meta(ge=0, le=1000)]


BAR_NS, FAST_WEIGHT, SLOW_WEIGHT, BAND, WARM_UP = range(5)  # places in params
BAR, SEEN, LAST, FAST, SLOW, TARGET = range(6)  # places in state
NONE, NO_BOOK, WARMING_UP = int(SignalReason.NONE), int(SignalReason.NO_BOOK), int(SignalReason.WARMING_UP)
ENTER, LEAVE = int(SignalReason.ENTRY), int(SignalReason.EXIT)


@kernel
def on_book(
    slot: int,
    event: EventArray,
    book: BookArray,
    watch: Int64Array,
    held: HeldArray,
    params: Float64Array,
    state: Float64Array,
    signal: SignalArray,
) -> int:
    """Look at one instrument after a change of its book; writes the wanted target, returns the reason."""
    s = signal[slot]
    s.ts_event = event[0].ts_event  # the venue's clock: the only one that a replay has
    mid = mid_ticks(book[watch[slot, 0]])
    if not mid > 0.0:  # NaN unless the book is whole
        s.reason = NO_BOOK
        return s.reason
    price, bar = math.log(mid), s.ts_event // int(params[BAR_NS])
    if state[SEEN] == 0.0:
        state[FAST], state[SLOW], state[LAST], state[BAR], state[SEEN] = price, price, price, bar, 1.0
    if bar > int(state[BAR]):  # a bar is over: its close enters both averages, the present bar never does
        state[FAST] += (state[LAST] - state[FAST]) * params[FAST_WEIGHT]
        state[SLOW] += (state[LAST] - state[SLOW]) * params[SLOW_WEIGHT]
        state[BAR] = bar
        state[SEEN] += 1.0
    state[LAST] = price
    apart = state[FAST] - state[SLOW]
    s.spread, s.mean, s.std, s.n_bars = state[FAST], state[SLOW], params[BAND], int(state[SEEN])
    s.zscore = apart / params[BAND] if params[BAND] > 0.0 else 0.0  # what the panel shows: beyond 1 is a crossing
    if state[SEEN] < params[WARM_UP]:
        s.reason = WARMING_UP
        return s.reason
    target, reason = int(state[TARGET]), NONE
    if apart > params[BAND] and target <= 0:
        target, reason = (1, ENTER) if target == 0 else (0, LEAVE)
    elif apart < -params[BAND] and target >= 0:
        target, reason = (-1, ENTER) if target == 0 else (0, LEAVE)
    state[TARGET] = target
    s.target, s.reason = target, reason
    return reason


def pack_params(frozen: FrozenParams) -> np.ndarray:
    """Kernel parameters float64 (5,): an average of n bars gives the newest the weight 2 / (n + 1)."""
    values = STRATEGY.check(frozen, frozen.name)
    weights = [2.0 / (bars + 1.0) for bars in (values.fast_bars, values.slow_bars)]
    return np.array([values.bar_ns, *weights, values.band_bps * 1e-4, values.slow_bars], np.float64)


def pack_state(frozen: FrozenParams) -> np.ndarray:
    """Kernel state float64 (6,): nothing is known yet."""
    return np.zeros(6, np.float64)


def objection(frozen: FrozenParams, values: CrossingParams) -> str:
    """What is wrong between parameters and legs, "" if nothing is."""
    if frozen.legs.hedge:
        return "it trades one instrument, the file names a hedge"
    return "" if values.fast_bars < values.slow_bars else f"fast_bars {values.fast_bars} is not below slow_bars {values.slow_bars}"


STRATEGY = Strategy(
    name="crossing",
    version=1,
    module="crossing",
    schema=CrossingParams,
    pack_params=pack_params,
    pack_state=pack_state,
    beliefs="what has begun to rise or fall goes on for a while",
    objection=objection,
)
