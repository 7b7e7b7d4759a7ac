"""Pairs trading: fade the z-score of the frozen spread.

What it believes. Two log prices are cointegrated: s = log(lead) - hedge_ratio * log(hedge) reverts to its rolling mean. It sells
the spread when it is `entry_z` standard deviations rich, buys when as cheap, and leaves by the rule of
kernels/market/reversion.py, the same function that the research sweep calls.

With `spread: levels` the two prices themselves are cointegrated: s = lead - hedge_ratio * hedge, the ratio in units of
the hedge a unit of the lead. A position of fixed quantities is then the spread itself; with logs it is the spread at the
prices of its entry.

Time is exchange time, cut into bars of `bar_ns`. The window holds the spread at the close of the last bars (`window` of them, or three times as many
for an EWMA or Kalman z-score, see kernels/market/moments.py); the bar in progress is never part of its own mean, so a decision uses nothing that
was not known at its moment. A bar closes when the first
event of a later bar arrives, at the last spread seen before it; a bar without an event closes at the one before (as a candle without
a trade does). The window starts from the frozen `spread_tail` if that ends within a tenth of a window before the session,
else it is collected afresh and the strategy waits.

With a frozen reversion model (array `reversion_trees`, see kernels/stats/forest.py) an entry is taken only if the model gives the spread a
probability of at least
`confidence` to come back before its stop; its features (kernels/market/reversion_features.py) are z-scores at closes, and that of the moment.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np

from hftkit.codes import SignalReason
from hftkit.kernels.arrays import BookArray, EventArray, Float64Array, HeldArray, Int64Array, SignalArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.moments import KINDS, moments, push
from hftkit.kernels.market.moments import held as window_size
from hftkit.kernels.market.reversion import next_target
from hftkit.kernels.market.reversion_features import FEATURES, MEMORY, push_zscore, reversion_features
from hftkit.kernels.market.signals import imbalance, mid_ticks
from hftkit.kernels.market.spread import LEVELS, SPREADS, level_spread, log_spread
from hftkit.kernels.stats.forest import check_table, tree_probability
from hftkit.strategies import Strategy

if TYPE_CHECKING:
    from hftkit.params.format import FrozenParams

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class PairsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters of the pairs strategy, in the order of the kernel's index constants below."""

    hedge_ratio: float  # log hedge per log lead; with levels units of the hedge per unit of the lead
    bar_ns: Annotated[int, msgspec.Meta(gt=0, le=2**53)]
    window: Annotated[int, msgspec.Meta(ge=2, le=100_000)]  # bars
    entry_z: _Positive  # standard deviations
    exit_z: _NotNegative
    stop_z: _Positive
    max_holding_bars: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    max_imbalance: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0  # no entry against a lead book more one-sided than this
    tail_end_ns: Annotated[int, msgspec.Meta(ge=0)] = 0  # exchange time at which the frozen spread_tail ends, 0 without one
    zscore: Literal["rolling", "ewma", "kalman"] = "rolling"
    confidence: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.8  # probability that a frozen reversion model must give to an entry
    spread: Literal["logs", "levels"] = "logs"  # of log prices, or of prices

    def __post_init__(self) -> None:
        if not self.exit_z < self.entry_z < self.stop_z:
            raise ValueError(f"must satisfy exit_z < entry_z < stop_z, are {self.exit_z}, {self.entry_z}, {self.stop_z}")
        if not math.isfinite(self.hedge_ratio):
            raise ValueError(f"hedge_ratio must be finite, is {self.hedge_ratio}")


MOST_GATED_BARS = 10_000  # of a window with a reversion model, which needs the moments at each of the last closes
TREES_ARRAY = "reversion_trees"  # frozen array: the table of kernels/stats/forest.py
# Indices into `params`: the fields of PairsParams, in order, then what pack_params derives
HEDGE_RATIO, BAR_NS, WINDOW, ENTRY_Z, EXIT_Z, STOP_Z, MAX_HOLDING_BARS, MAX_IMBALANCE, TAIL_END_NS, ZSCORE, CONFIDENCE, SPREAD = range(12)
TICK_OFFSET = 12  # log(tick of lead) - hedge_ratio * log(tick of hedge): mids are in ticks, the spread in log prices
LEAD_TICK, HEDGE_TICK = 13, 14  # what a spread of levels needs in its place
GATED = 15  # 1 with a reversion model, whose table follows
TREES = 16
ZSCORE_NAMES = KINDS  # ZSCORE holds the index

# Indices into `state`
BAR, HEAD, COUNT, TARGET, BARS_HELD, BLOCKED, LAST_SPREAD, MEAN, STD, STARTED, Z_HEAD, Z_COUNT, BELIEF = range(13)
FEATURE_ROW = 16  # features of the entry looked at last
Z_RING = FEATURE_ROW + len(FEATURES)  # z-scores at the last closes
RING = Z_RING + MEMORY  # the window: spreads at the last closes

_NONE, _NO_BOOK, _WARMING_UP = int(SignalReason.NONE), int(SignalReason.NO_BOOK), int(SignalReason.WARMING_UP)
_NOT_FINITE, _ZERO_VARIANCE = int(SignalReason.NOT_FINITE), int(SignalReason.ZERO_VARIANCE)
_HOLDING_LIMIT = int(SignalReason.HOLDING_LIMIT)
_ENTRY, _IMBALANCE, _LOW_CONFIDENCE = int(SignalReason.ENTRY), int(SignalReason.IMBALANCE), int(SignalReason.LOW_CONFIDENCE)


@kernel
def _zscore(spread: float, state: Float64Array, full: bool) -> float:
    return (spread - state[MEAN]) / state[STD] if full and state[STD] > 0.0 else math.nan


@kernel
def _push_bar(spread: float, params: Float64Array, state: Float64Array, with_moments: bool) -> None:
    """One bar closes at `spread` (log price, or price): its z-score against the moments before it, then the window that includes it."""
    kind, window = int(params[ZSCORE]), int(params[WINDOW])
    size = window_size(kind, window)
    ring = state[RING : RING + size]
    if params[GATED] != 0.0:
        z = _zscore(spread, state, int(state[COUNT]) == size)
        z_head, z_count = push_zscore(state[Z_RING : Z_RING + MEMORY], int(state[Z_HEAD]), int(state[Z_COUNT]), z)
        state[Z_HEAD], state[Z_COUNT] = z_head, z_count
    head, count = push(ring, int(state[HEAD]), int(state[COUNT]), spread)
    state[HEAD], state[COUNT] = head, count
    if with_moments:
        state[MEAN], state[STD] = moments(kind, window, ring, head, count)


@kernel
def _close_bars(bar: int, params: Float64Array, state: Float64Array) -> None:
    """Close every bar before `bar`, at the last spread seen."""
    bars = bar - int(state[BAR])
    if bars <= 0:
        return
    closing = min(bars, window_size(int(params[ZSCORE]), int(params[WINDOW])) + MEMORY)  # older ones would be forgotten again
    for k in range(closing):
        _push_bar(state[LAST_SPREAD], params, state, k == closing - 1 or params[GATED] != 0.0)
    state[BAR] = bar
    if state[TARGET] != 0.0:
        state[BARS_HELD] += bars


@kernel
def seed(tail: Float64Array, params: Float64Array, state: Float64Array) -> int:
    """Close one bar for each spread of `tail` float64 (m,), log price or price, oldest first. Returns the number of values in the window."""
    for t in range(tail.size):
        _push_bar(tail[t], params, state, True)
    return int(state[COUNT])


@kernel
def _start(bar: int, params: Float64Array, state: Float64Array) -> None:
    """The first event decides whether the frozen tail still fits."""
    window = int(params[WINDOW])
    tail_next = int(params[TAIL_END_NS]) // int(params[BAR_NS])  # first bar after the frozen tail
    gap = bar - tail_next
    if params[TAIL_END_NS] == 0.0 or gap < 0 or gap > max(window // 10, 1):
        state[HEAD] = 0.0
        state[COUNT] = 0.0
        state[Z_HEAD] = 0.0
        state[Z_COUNT] = 0.0
        state[MEAN], state[STD] = math.nan, math.nan
    state[LAST_SPREAD] = math.nan  # a bar without any event is not known
    state[BAR] = bar
    state[STARTED] = 1.0


@kernel
def _believed(z: float, params: Float64Array, state: Float64Array) -> bool:
    """Whether the frozen reversion model, if there is one, gives an entry at `z` enough probability."""
    if params[GATED] == 0.0:
        return True
    row = state[FEATURE_ROW : FEATURE_ROW + len(FEATURES)]
    reversion_features(state[Z_RING : Z_RING + MEMORY], int(state[Z_HEAD]), int(state[Z_COUNT]), z, row)
    state[BELIEF] = tree_probability(row, params[TREES:])
    return state[BELIEF] >= params[CONFIDENCE]


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
    """Evaluate one strategy slot after a book change. Owns SIGNAL[slot] and its own `state`.

    Arguments as in hftkit/kernels/hooks.py, `watch` lead and hedge; `params` float64 (p,) of `pack_params`, `state` float64 (s,) of
    `pack_state`. Returns the codes.SignalReason, also in signal[slot].reason. Spread in log prices or prices; z in standard deviations.
    """
    s = signal[slot]
    lead, hedge = book[watch[slot, 0]], book[watch[slot, 1]]
    s.ts_event = event[0].ts_event
    mid_lead, mid_hedge = mid_ticks(lead), mid_ticks(hedge)
    if not (mid_lead > 0.0 and mid_hedge > 0.0):
        s.reason = _NO_BOOK
        return s.reason
    bar = s.ts_event // int(params[BAR_NS])
    if state[STARTED] == 0.0:
        _start(bar, params, state)
    _close_bars(bar, params, state)
    if params[SPREAD] == LEVELS:
        spread = level_spread(mid_lead, mid_hedge, params[HEDGE_RATIO], params[LEAD_TICK], params[HEDGE_TICK])
    else:
        spread = log_spread(mid_lead, mid_hedge, params[HEDGE_RATIO], params[TICK_OFFSET])
    state[LAST_SPREAD] = spread
    s.spread = spread
    s.mean = state[MEAN]
    s.std = state[STD]
    s.imbalance = imbalance(lead)
    s.n_bars = int(state[COUNT])
    if s.n_bars < window_size(int(params[ZSCORE]), int(params[WINDOW])):
        s.zscore = math.nan
        s.reason = _WARMING_UP
        if state[TARGET] != 0.0 and state[BARS_HELD] >= params[MAX_HOLDING_BARS]:  # held through a reload that began the window anew
            state[TARGET], state[BARS_HELD], state[BLOCKED] = 0.0, 0.0, 1.0
            s.target, s.reason = 0, _HOLDING_LIMIT
        return s.reason
    s.zscore = _zscore(spread, state, True)
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
    if reason == _ENTRY and not _believed(s.zscore, params, state):
        target, reason = 0, _LOW_CONFIDENCE
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
    """Kernel parameters float64 (TREES + words of the reversion model,)."""
    values = STRATEGY.check(frozen, frozen.name)
    ticks = {instrument.symbol: float(instrument.tick_size) for instrument in frozen.instruments}
    lead_tick, hedge_tick = ticks[frozen.legs.lead], ticks[frozen.legs.hedge]
    offset = math.log(lead_tick) - values.hedge_ratio * math.log(hedge_tick)
    fields = {**msgspec.structs.asdict(values), "zscore": ZSCORE_NAMES.index(values.zscore), "spread": SPREADS.index(values.spread)}
    trees = frozen.array(TREES_ARRAY)
    return np.array([*fields.values(), offset, lead_tick, hedge_tick, float(trees.size > 0), *trees], np.float64)


def pack_state(frozen: FrozenParams) -> np.ndarray:
    """Kernel state float64 (RING + values of the window,), seeded from the frozen array `spread_tail` (log prices or prices)."""
    packed = pack_params(frozen)
    size = window_size(int(packed[ZSCORE]), int(packed[WINDOW]))
    state = np.zeros(RING + size, np.float64)
    state[MEAN] = state[STD] = math.nan
    seed(frozen.array("spread_tail")[-(size + MEMORY) :], packed, state)
    return state


_WINDOW_FIELDS = ("hedge_ratio", "bar_ns", "window", "zscore", "spread")  # what the spreads in the window depend on


def state_after(before: FrozenParams, after: FrozenParams, state: np.ndarray) -> np.ndarray:
    """The window goes on where its spreads, bars and length are the same; else it begins anew and only the position and its age are kept."""
    old, new = STRATEGY.check(before, before.name), STRATEGY.check(after, after.name)
    gated = [frozen.array(TREES_ARRAY).size > 0 for frozen in (before, after)]
    if gated[0] == gated[1] and all(getattr(old, name) == getattr(new, name) for name in _WINDOW_FIELDS):
        return state.copy()
    fresh = pack_state(after)
    fresh[TARGET], fresh[BLOCKED] = state[TARGET], state[BLOCKED]
    fresh[BARS_HELD] = state[BARS_HELD] * old.bar_ns // new.bar_ns
    return fresh


def tail_bars(zscore: str, window: int, gated: bool) -> int:
    """How many closing spreads a frozen `spread_tail` holds so that the strategy is ready at once: the window, and the z-scores that a model looks
    at."""
    return window_size(ZSCORE_NAMES.index(zscore), window) + (MEMORY if gated else 0)


def objection(frozen: FrozenParams, values: PairsParams) -> str:
    """A pair whose legs do not stand against each other as the hedge ratio says is a bet on the market, not on the spread."""
    lots = frozen.legs.unit_hedge_lots
    if not frozen.legs.hedge:
        return "a pair has two legs, and there is no hedge"
    if lots * values.hedge_ratio >= 0:
        side = "negative" if values.hedge_ratio > 0 else "positive"
        return f"with hedge_ratio {values.hedge_ratio:g} unit_hedge_lots must be {side}, is {lots}"
    trees = frozen.array(TREES_ARRAY)
    if trees.size and values.window > MOST_GATED_BARS:
        return f"with {TREES_ARRAY} the window may have {MOST_GATED_BARS} bars, has {values.window}: each close would take too long"
    wrong = check_table(trees, len(FEATURES)) if trees.size else 0
    return f"word {wrong - 1} of the array {TREES_ARRAY} is wrong: no walk through these trees ends in a leaf" if wrong else ""


def state_objection(frozen: FrozenParams, state: np.ndarray) -> str:
    """A place in a ring that is not in it."""
    packed = pack_params(frozen)
    size = window_size(int(packed[ZSCORE]), int(packed[WINDOW]))
    for at, room, n in (
        (HEAD, size - 1, state[HEAD]),
        (COUNT, size, state[COUNT]),
        (Z_HEAD, MEMORY - 1, state[Z_HEAD]),
        (Z_COUNT, MEMORY, state[Z_COUNT]),
    ):
        if not (0 <= n <= room and n == int(n)):
            return f"word {at} of its state is {n}, allowed are 0 to {room}"
    return ""


STRATEGY = Strategy(
    name="pairs",
    version=1,
    module="hftkit.strategies.pairs",
    schema=PairsParams,
    pack_params=pack_params,
    pack_state=pack_state,
    arrays=("spread_tail", TREES_ARRAY),
    beliefs="the prices of two instruments, or their logs, are cointegrated, so their spread reverts to its rolling mean",
    objection=objection,
    state_objection=state_objection,
    state_after=state_after,
)
