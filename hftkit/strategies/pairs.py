"""Pairs trading: fade the z-score of the frozen spread.

What it believes. Two log prices are cointegrated: s = log(lead) - hedge_ratio * log(hedge) reverts to its rolling mean. It sells
the spread when it is `entry_z` standard deviations rich, buys when as cheap, and leaves by the rule of
kernels/market/reversion.py, the same function that the research sweep calls.

Time is exchange time, cut into bars of `bar_ns`. The rolling window holds the spread at the close of the last `window` bars; the
bar in progress is never part of its own mean, so a decision uses nothing that was not known at its moment. A bar closes when the first
event of a later bar arrives, at the last spread seen before it; a bar without an event closes at the one before (as a candle without
a trade does). The window starts from the frozen `spread_tail` if that ends within a tenth of a window before the session,
else it is collected afresh and the strategy waits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np

from hftkit.codes import SignalReason
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.moments import mean_std, push
from hftkit.kernels.market.reversion import next_target
from hftkit.kernels.market.signals import imbalance, mid_ticks
from hftkit.kernels.market.spread import log_spread
from hftkit.strategies import Strategy

if TYPE_CHECKING:
    from hftkit.params import FrozenParams

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class PairsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters of the pairs strategy, in the order of the kernel's index constants below."""

    hedge_ratio: float  # log hedge per log lead
    bar_ns: Annotated[int, msgspec.Meta(gt=0)]
    window: Annotated[int, msgspec.Meta(ge=2, le=100_000)]  # bars
    entry_z: _Positive  # standard deviations
    exit_z: _NotNegative
    stop_z: _Positive
    max_holding_bars: Annotated[int, msgspec.Meta(ge=1)]
    max_imbalance: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0  # no entry against a lead book more one-sided than this
    tail_end_ns: Annotated[int, msgspec.Meta(ge=0)] = 0  # exchange time at which the frozen spread_tail ends, 0 without one

    def __post_init__(self) -> None:
        if not self.exit_z < self.entry_z < self.stop_z:
            raise ValueError(f"must satisfy exit_z < entry_z < stop_z, are {self.exit_z}, {self.entry_z}, {self.stop_z}")
        if not math.isfinite(self.hedge_ratio):
            raise ValueError(f"hedge_ratio must be finite, is {self.hedge_ratio}")


# Indices into `params`: the fields of PairsParams, in order, then what pack_params derives
HEDGE_RATIO, BAR_NS, WINDOW, ENTRY_Z, EXIT_Z, STOP_Z, MAX_HOLDING_BARS, MAX_IMBALANCE, TAIL_END_NS = range(9)
TICK_OFFSET = 9  # log(tick of lead) - hedge_ratio * log(tick of hedge): mids are in ticks, the spread in log prices

# Indices into `state`
BAR, HEAD, COUNT, TARGET, BARS_HELD, BLOCKED, LAST_SPREAD, MEAN, STD, STARTED = range(10)
RING = 16  # the window, `window` values

_NONE, _NO_BOOK, _WARMING_UP = int(SignalReason.NONE), int(SignalReason.NO_BOOK), int(SignalReason.WARMING_UP)
_NOT_FINITE, _ZERO_VARIANCE = int(SignalReason.NOT_FINITE), int(SignalReason.ZERO_VARIANCE)
_ENTRY, _IMBALANCE = int(SignalReason.ENTRY), int(SignalReason.IMBALANCE)


@kernel
def _close_bars(bar: int, window: int, state: Any) -> None:
    """Close every bar before `bar`, at the last spread seen; the first call decides whether the frozen tail still fits."""
    ring = state[RING : RING + window]
    bars = bar - int(state[BAR])
    if bars <= 0:
        return
    head, count = int(state[HEAD]), int(state[COUNT])
    for _ in range(min(bars, window)):
        head, count = push(ring, head, count, state[LAST_SPREAD])
    state[HEAD] = head
    state[COUNT] = count
    state[MEAN], state[STD] = mean_std(ring, head, count)
    state[BAR] = bar
    if state[TARGET] != 0.0:
        state[BARS_HELD] += bars


@kernel
def _start(bar: int, params: Any, state: Any) -> None:
    window = int(params[WINDOW])
    tail_next = int(params[TAIL_END_NS]) // int(params[BAR_NS])  # first bar after the frozen tail
    gap = bar - tail_next
    if params[TAIL_END_NS] == 0.0 or gap < 0 or gap > max(window // 10, 1):
        state[HEAD] = 0.0
        state[COUNT] = 0.0
    state[MEAN], state[STD] = mean_std(state[RING : RING + window], int(state[HEAD]), int(state[COUNT]))
    state[LAST_SPREAD] = math.nan  # a bar without any event is not known
    state[BAR] = bar
    state[STARTED] = 1.0


@kernel
def on_book(slot: int, event: Any, book: Any, legs: Any, params: Any, state: Any, signal: Any) -> int:
    """Evaluate one strategy slot after a book change. Owns SIGNAL[slot] and its own `state`.

    `event` EVENT (1,), `book` BOOK (n,), `legs` LEGS (k,) (which instruments), `params` float64 (10,), `state` float64 (16 + window,),
    `signal` SIGNAL (k,). Returns the codes.SignalReason, also in signal[slot].reason. Log prices; z in standard deviations.
    """
    s = signal[slot]
    lead, hedge = book[legs[slot].lead], book[legs[slot].hedge]
    s.ts_event = event[0].ts_event
    mid_lead, mid_hedge = mid_ticks(lead), mid_ticks(hedge)
    if not (mid_lead > 0.0 and mid_hedge > 0.0):
        s.reason = _NO_BOOK
        return s.reason
    window = int(params[WINDOW])
    bar = s.ts_event // int(params[BAR_NS])
    if state[STARTED] == 0.0:
        _start(bar, params, state)
    _close_bars(bar, window, state)
    spread = log_spread(mid_lead, mid_hedge, params[HEDGE_RATIO], params[TICK_OFFSET])
    state[LAST_SPREAD] = spread
    s.spread = spread
    s.mean = state[MEAN]
    s.std = state[STD]
    s.imbalance = imbalance(lead)
    s.n_bars = int(state[COUNT])
    if s.n_bars < window:
        s.zscore = math.nan
        s.reason = _WARMING_UP
        return s.reason
    s.zscore = (spread - state[MEAN]) / state[STD] if state[STD] > 0.0 else math.nan
    target, blocked, reason = next_target(
        int(state[TARGET]),
        s.zscore,
        int(state[BARS_HELD]),
        int(state[BLOCKED]),
        params[ENTRY_Z],
        params[EXIT_Z],
        params[STOP_Z],
        int(params[MAX_HOLDING_BARS]),
    )
    if reason == _ENTRY and s.imbalance * target < -params[MAX_IMBALANCE]:
        target, reason = 0, _IMBALANCE
    if reason == _NOT_FINITE and state[STD] == 0.0:
        reason = _ZERO_VARIANCE
    if target != int(state[TARGET]):
        state[BARS_HELD] = 0.0
    state[TARGET] = target
    state[BLOCKED] = blocked
    s.target = target
    s.reason = reason
    return reason


def pack_params(frozen: FrozenParams) -> np.ndarray:
    """Kernel parameters float64 (10,)."""
    values = STRATEGY.check(frozen, frozen.name)
    ticks = {instrument.symbol: float(instrument.tick_size) for instrument in frozen.instruments}
    offset = math.log(ticks[frozen.legs.lead]) - values.hedge_ratio * math.log(ticks[frozen.legs.hedge])
    return np.array([*msgspec.structs.astuple(values), offset], np.float64)


def pack_state(frozen: FrozenParams) -> np.ndarray:
    """Kernel state float64 (16 + window,), its window seeded from the frozen array `spread_tail` (log price units)."""
    window = int(frozen.parameters["window"])
    state = np.zeros(RING + window, np.float64)
    tail = frozen.array("spread_tail")[-window:]
    state[RING : RING + tail.size] = tail
    state[COUNT] = tail.size
    state[HEAD] = tail.size % window
    return state


def legs_objection(frozen: FrozenParams, values: PairsParams) -> str:
    """A pair whose legs do not stand against each other as the hedge ratio says is a bet on the market, not on the spread."""
    lots = frozen.legs.unit_hedge_lots
    if frozen.legs.hedge and lots * values.hedge_ratio >= 0:
        side = "negative" if values.hedge_ratio > 0 else "positive"
        return f"with hedge_ratio {values.hedge_ratio:g} unit_hedge_lots must be {side}, is {lots}"
    return ""


STRATEGY = Strategy(
    name="pairs",
    version=1,
    module="hftkit.strategies.pairs",
    schema=PairsParams,
    pack_params=pack_params,
    pack_state=pack_state,
    beliefs="the log prices of two instruments are cointegrated, so their spread reverts to its rolling mean",
    objection=legs_objection,
)
