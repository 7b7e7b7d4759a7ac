"""A pair whose hedge ratio moves: a Kalman regression or a rolling one, decided at the close of each bar.

What it believes. lead = slope * hedge + level + spread, and slope and level drift slowly, so that the spread about what
is expected of it reverts. It sells the spread when it is `entry_z` deviations rich, buys when as cheap, and leaves by the
rule of kernels/market/reversion.py. With `spread: logs` both are log prices.

    model      spread at a close                              deviations
    kalman     forecast error of the regression               that of the forecast, sqrt(Q)
    rolling    lead - slope * hedge, the slope by least       from the mean of the last `window` spreads,
               squares over the last `window` closes          in their sample deviation

A unit is the frozen lots of the lead and `slope` times as much of the hedge, against it (SIGNAL.unit_hedge): by quantity for
levels, by money for logs. While a position is held the hedge follows the slope at every close, which costs fees: a slope
that jumps about is expensive. A slope that asks for more than `max_hedge_growth` times the frozen lots of the hedge is not
believed: the position is left (STOP), and nothing is entered. So the limits of a session can be checked before it starts.

A bar closes when the first event of a later bar arrives, at the last mids seen before it, as in pairs.py; a bar without an
event closes at the one before. Nothing is decided inside a bar.

E. Chan, Algorithmic Trading (2013), examples 3.2 (Bollinger band on a rolling regression) and 3.3 (Kalman filter,
equations 3.5 to 3.13); tests hold it to his printed figures. Research beside it: `kalman_regression`, `rolling_hedge_ratios`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np

from hftkit.codes import SignalReason
from hftkit.errors import ParamsError
from hftkit.kernels.arrays import BookArray, EventArray, Float64Array, HeldArray, Int64Array, SignalArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.reversion import next_target
from hftkit.kernels.market.signals import imbalance, mid_ticks
from hftkit.kernels.market.spread import LEVELS, SPREADS
from hftkit.strategies import Strategy

if TYPE_CHECKING:
    from hftkit.params.format import FrozenParams

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class MovingHedgeParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters, in the order of the kernel's index constants below."""

    bar_ns: Annotated[int, msgspec.Meta(gt=0, le=2**53)]
    model: Literal["kalman", "rolling"] = "kalman"
    window: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20  # bars: of the rolling regression and its deviations; kalman decides after so many
    drift: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 1e-4  # kalman: each coefficient moves by the variance drift / (1 - drift) a bar
    noise: _Positive = 1e-3  # kalman: variance of the noise, squared unit of the lead (price, or log price)
    entry_z: _Positive  # deviations
    exit_z: _NotNegative
    stop_z: _Positive
    max_holding_bars: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    spread: Literal["logs", "levels"] = "levels"
    max_hedge_growth: Annotated[float, msgspec.Meta(ge=1)] = 2.0  # a unit needs at most so many times the frozen lots of the hedge, or is left

    def __post_init__(self) -> None:
        if not self.exit_z <= self.entry_z < self.stop_z:
            raise ValueError(f"must satisfy exit_z <= entry_z < stop_z, are {self.exit_z}, {self.entry_z}, {self.stop_z}")
        if self.model == "rolling" and self.window < 3:
            raise ValueError(f"a rolling regression needs a window of 3 bars or more, has {self.window}")


MODELS = ("kalman", "rolling")
# Indices into `params`: the fields of MovingHedgeParams, in order, then what pack_params derives
BAR_NS, MODEL, WINDOW, DRIFT, NOISE, ENTRY_Z, EXIT_Z, STOP_Z, MAX_HOLDING_BARS, SPREAD, MAX_HEDGE_GROWTH = range(11)
LEAD_TICK, HEDGE_TICK = 11, 12
LOTS = 13  # hedge lots of as much hedge as the frozen lots of the lead
MOST_LOTS = 14  # of the hedge in one unit
# Indices into `state`
BAR, STARTED, COUNT, N_SPREADS, TARGET, BARS_HELD, BLOCKED, LAST_LEAD, LAST_HEDGE = range(9)  # mids in prices
SLOPE, LEVEL, P_SLOPE, P_BOTH, P_LEVEL = 9, 10, 11, 12, 13  # coefficients, and their covariance
SPREAD_NOW, MEAN, STD, UNIT, REASON = 14, 15, 16, 17, 18
RING = 20  # the last `window` leads, hedges and spreads

_KALMAN = 0.0
_MOST_CLOSED = 100_000  # bars closed at once after a silence
_NO_BOOK, _WARMING_UP = int(SignalReason.NO_BOOK), int(SignalReason.WARMING_UP)
_ENTRY, _EXIT, _STOP = int(SignalReason.ENTRY), int(SignalReason.EXIT), int(SignalReason.STOP)


@kernel
def kalman_close(lead: float, hedge: float, params: Float64Array, state: Float64Array) -> None:
    """One observation into the regression: forecast error and its deviation, then the coefficients after it (Chan 3.5 to 3.13)."""
    walk = params[DRIFT] / (1.0 - params[DRIFT]) if state[COUNT] > 0.0 else 0.0
    p_slope, p_both, p_level = state[P_SLOPE] + walk, state[P_BOTH], state[P_LEVEL] + walk
    gain_slope, gain_level = p_slope * hedge + p_both, p_both * hedge + p_level
    scale = hedge * gain_slope + gain_level + params[NOISE]
    error = lead - hedge * state[SLOPE] - state[LEVEL]
    state[SLOPE] += gain_slope * (error / scale)
    state[LEVEL] += gain_level * (error / scale)
    state[P_SLOPE] = p_slope - gain_slope * gain_slope / scale
    state[P_BOTH] = p_both - gain_slope * gain_level / scale
    state[P_LEVEL] = p_level - gain_level * gain_level / scale
    state[SPREAD_NOW], state[MEAN], state[STD] = error, 0.0, math.sqrt(scale)


@kernel
def rolling_close(lead: float, hedge: float, params: Float64Array, state: Float64Array) -> None:
    """One observation into the window: slope by least squares, spread, its mean and sample deviation; NaN until there are enough."""
    window = int(params[WINDOW])
    leads = state[RING : RING + window]
    hedges = state[RING + window : RING + 2 * window]
    spreads = state[RING + 2 * window : RING + 3 * window]
    at = int(state[COUNT]) % window
    leads[at], hedges[at] = lead, hedge
    state[SPREAD_NOW] = state[MEAN] = state[STD] = state[SLOPE] = math.nan
    if state[COUNT] + 1.0 < window:
        return
    lead_mean = hedge_mean = 0.0
    for k in range(window):
        lead_mean += leads[k]
        hedge_mean += hedges[k]
    lead_mean, hedge_mean = lead_mean / window, hedge_mean / window
    square = product = 0.0
    for k in range(window):
        square += (hedges[k] - hedge_mean) ** 2
        product += (hedges[k] - hedge_mean) * (leads[k] - lead_mean)
    if not square > window * (1e-15 * abs(hedge_mean)) ** 2:
        state[N_SPREADS] = 0.0  # the hedge stood still: there is no slope
        return
    slope = product / square
    state[SLOPE], state[LEVEL] = slope, lead_mean - slope * hedge_mean
    state[SPREAD_NOW] = lead - slope * hedge
    spreads[int(state[N_SPREADS]) % window] = state[SPREAD_NOW]
    state[N_SPREADS] += 1.0
    if state[N_SPREADS] < window:
        return
    mean = 0.0
    for k in range(window):
        mean += spreads[k]
    mean /= window
    square = 0.0
    for k in range(window):
        square += (spreads[k] - mean) ** 2
    state[MEAN], state[STD] = mean, math.sqrt(square / (window - 1))


@kernel
def hedge_lots(params: Float64Array, state: Float64Array) -> int:
    """Hedge lots of one unit at the last close, to the nearest lot, against the lead where the slope is positive; 0: there is no slope."""
    share = state[SLOPE]
    if params[SPREAD] != LEVELS:
        share *= state[LAST_LEAD] / state[LAST_HEDGE]
    lots = share * params[LOTS]
    if not abs(lots) < 1e15:
        return 0
    return -math.floor(lots + 0.5)


@kernel
def _close_bar(params: Float64Array, state: Float64Array) -> None:
    lead, hedge = state[LAST_LEAD], state[LAST_HEDGE]
    if params[SPREAD] != LEVELS:
        lead, hedge = math.log(lead), math.log(hedge)
    if params[MODEL] == _KALMAN:
        kalman_close(lead, hedge, params, state)
    else:
        rolling_close(lead, hedge, params, state)
    state[COUNT] += 1.0
    if state[TARGET] != 0.0:
        state[BARS_HELD] += 1.0


@kernel
def _decide(params: Float64Array, state: Float64Array) -> None:
    """Target and reason at the close. A band whose exit is its entry turns a position round in one bar."""
    lots = hedge_lots(params, state)
    if abs(lots) > params[MOST_LOTS]:  # the limits were compared with less
        state[TARGET], state[BARS_HELD], state[REASON] = 0.0, 0.0, _STOP
        return
    z = (state[SPREAD_NOW] - state[MEAN]) / state[STD] if lots != 0 and state[STD] > 0.0 else math.nan
    if lots != 0:
        state[UNIT] = lots
    held, blocked, entry, exit_at = int(state[TARGET]), int(state[BLOCKED]), params[ENTRY_Z], params[EXIT_Z]
    stop, longest = params[STOP_Z], int(params[MAX_HOLDING_BARS])
    target, blocked, reason = next_target(held, z, int(state[BARS_HELD]), blocked, entry, exit_at, stop, longest)
    if reason == _EXIT:
        again, _, why = next_target(0, z, 0, blocked, entry, exit_at, stop, longest)
        if why == _ENTRY:
            target, reason = again, why
    if target != held:
        state[BARS_HELD] = 0.0
    state[TARGET], state[BLOCKED], state[REASON] = target, blocked, reason


@kernel
def warm_up_bars(params: Float64Array) -> int:
    """Closes before the first decision."""
    window = int(params[WINDOW])
    return window if params[MODEL] == _KALMAN else 2 * window - 1


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

    Arguments as in hftkit/kernels/hooks.py: `params` float64 (MOST_LOTS + 1,) of `pack_params`, `state` float64 (s,) of
    `pack_state`. Returns the codes.SignalReason, also in signal[slot].reason.
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
        state[STARTED], state[BAR] = 1.0, bar
    bars = bar - int(state[BAR])
    if bars > 0:
        for _ in range(min(bars, _MOST_CLOSED)):
            _close_bar(params, state)
        state[BAR] = bar
        if state[COUNT] >= warm_up_bars(params):
            _decide(params, state)
        elif state[TARGET] != 0.0 and state[BARS_HELD] >= params[MAX_HOLDING_BARS]:  # held through a reload that began the window anew
            state[TARGET], state[BARS_HELD], state[BLOCKED] = 0.0, 0.0, 1.0
            s.target = 0
    state[LAST_LEAD], state[LAST_HEDGE] = mid_lead * params[LEAD_TICK], mid_hedge * params[HEDGE_TICK]
    s.n_bars = int(state[COUNT])
    s.imbalance = imbalance(lead)
    s.spread, s.mean, s.std = state[SPREAD_NOW], state[MEAN], state[STD]
    if s.n_bars < warm_up_bars(params):
        s.zscore = math.nan
        s.reason = _WARMING_UP
        return s.reason
    s.zscore = (s.spread - s.mean) / s.std if s.std > 0.0 else math.nan
    s.unit_hedge = int(state[UNIT])
    s.target = int(state[TARGET]) if s.unit_hedge != 0 else 0
    s.reason = int(state[REASON])
    return s.reason


def pack_params(frozen: FrozenParams) -> np.ndarray:
    """Kernel parameters float64 (MOST_LOTS + 1,)."""
    values = STRATEGY.check(frozen, frozen.name)
    scales = {instrument.symbol: instrument for instrument in frozen.instruments}
    lead, hedge = scales[frozen.legs.lead], scales[frozen.legs.hedge]
    lots = frozen.legs.unit_lead_lots * float(lead.lot_size) / float(hedge.lot_size)
    fields = {**msgspec.structs.asdict(values), "model": MODELS.index(values.model), "spread": SPREADS.index(values.spread)}
    return np.array([*fields.values(), float(lead.tick_size), float(hedge.tick_size), lots, most_hedge_lots(frozen, values)], np.float64)


def pack_state(frozen: FrozenParams) -> np.ndarray:
    """Kernel state float64 (RING + 3 windows,): nothing seen yet."""
    state = np.zeros(RING + 3 * int(pack_params(frozen)[WINDOW]), np.float64)
    state[REASON] = int(SignalReason.WARMING_UP)
    return state


_WINDOW_FIELDS = ("bar_ns", "model", "window", "drift", "noise", "spread")  # what the regression depends on


def state_after(before: FrozenParams, after: FrozenParams, state: np.ndarray) -> np.ndarray:
    """The regression goes on where it is the same one; else it begins anew and only the position, its hedge and its age are kept.

    Raises ParamsError for another unit of the lead: the hedge of what is held is counted by it.
    """
    if before.legs.unit_lead_lots != after.legs.unit_lead_lots:
        lots = f"{before.legs.unit_lead_lots} and {after.legs.unit_lead_lots}"
        raise ParamsError(f"{after.name}: unit_lead_lots differ ({lots}): a pair whose hedge ratio moves keeps its unit", "Start another session")
    old, new = STRATEGY.check(before, before.name), STRATEGY.check(after, after.name)
    if all(getattr(old, name) == getattr(new, name) for name in _WINDOW_FIELDS):
        return state.copy()
    fresh = pack_state(after)
    fresh[TARGET], fresh[BLOCKED], fresh[UNIT] = state[TARGET], state[BLOCKED], state[UNIT]
    fresh[BARS_HELD] = state[BARS_HELD] * old.bar_ns // new.bar_ns
    return fresh


def most_hedge_lots(frozen: FrozenParams, values: MovingHedgeParams) -> int:
    """Hedge lots of the largest unit."""
    return int(abs(frozen.legs.unit_hedge_lots) * values.max_hedge_growth)


def objection(frozen: FrozenParams, values: MovingHedgeParams) -> str:
    """A hedge ratio needs two legs."""
    return "" if frozen.legs.hedge else "a pair has two legs, and there is no hedge"


STRATEGY = Strategy(
    name="moving_hedge",
    version=1,
    module="hftkit.strategies.moving_hedge",
    schema=MovingHedgeParams,
    pack_params=pack_params,
    pack_state=pack_state,
    beliefs="lead and hedge are cointegrated with a ratio that drifts slowly, so the spread about its forecast reverts",
    objection=objection,
    most_hedge_lots=most_hedge_lots,
    state_after=state_after,
)
