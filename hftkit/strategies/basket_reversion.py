"""A basket of several instruments, faded where it has left its frozen mean. For policy `basket`.

What it believes: the logs of the prices are cointegrated, so that their sum, weighted by a vector that research has estimated (Johansen) and
frozen, comes back to its mean. It buys the basket `entry_z` frozen deviations below, sells it as far above, and leaves by the rule of
kernels/market/reversion.py. Mean and deviation are those of the frozen span: nothing is estimated while it trades. A bar closes when the first
event of a later bar arrives, at the last mids seen before it; nothing is decided inside a bar.

    spread = sum of weight_i * log(price_i)      z = (spread - mean) / std      frozen arrays: weights, in the order of the basket's legs
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from hftkit.codes import SignalReason
from hftkit.kernels.arrays import BookArray, EventArray, Float64Array, HeldArray, Int64Array, SignalArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.reversion import next_target
from hftkit.kernels.market.signals import mid_ticks
from hftkit.params.execution import BasketPlan
from hftkit.strategies import Strategy

if TYPE_CHECKING:
    from hftkit.params.format import FrozenParams

_Positive = Annotated[float, msgspec.Meta(gt=0)]


class BasketReversionParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters, in the order of the kernel's index constants below."""

    bar_ns: Annotated[int, msgspec.Meta(gt=0, le=2**53)]
    mean: float  # of the frozen span, log price
    std: _Positive
    entry_z: _Positive
    exit_z: Annotated[float, msgspec.Meta(ge=0)]
    stop_z: _Positive
    max_holding_bars: Annotated[int, msgspec.Meta(ge=1, le=2**53)]

    def __post_init__(self) -> None:
        if not self.exit_z < self.entry_z < self.stop_z:
            raise ValueError(f"must satisfy exit_z < entry_z < stop_z, are {self.exit_z}, {self.entry_z}, {self.stop_z}")


BAR_NS, MEAN, STD, ENTRY_Z, EXIT_Z, STOP_Z, MAX_HOLDING_BARS, N_LEGS = range(8)
WEIGHTS = 8  # then a weight a leg, then the log of its tick
BAR, STARTED, SPREAD, TARGET, BARS_HELD, BLOCKED, COUNT = range(7)
_NO_BOOK, _WARMING_UP = int(SignalReason.NO_BOOK), int(SignalReason.WARMING_UP)


@kernel
def _spread(slot: int, book: BookArray, watch: Int64Array, params: Float64Array) -> float:
    """The weighted sum of log prices now; NaN where a book is not whole."""
    n, total = int(params[N_LEGS]), 0.0
    for place in range(n):
        mid = mid_ticks(book[watch[slot, place]])
        total += params[WEIGHTS + place] * (math.log(mid) + params[WEIGHTS + n + place] if mid > 0.0 else math.nan)
    return total


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
    """Evaluate the basket after a change of a book. Arguments as in hftkit/kernels/hooks.py. Returns the codes.SignalReason."""
    s = signal[slot]
    s.ts_event = event[0].ts_event
    spread = _spread(slot, book, watch, params)
    if not math.isfinite(spread):
        s.reason = _NO_BOOK
        return s.reason
    bar = s.ts_event // int(params[BAR_NS])
    if state[STARTED] == 0.0:
        state[STARTED], state[BAR] = 1.0, bar
        s.reason = _WARMING_UP
    bars = bar - int(state[BAR])
    if bars > 0:
        state[BAR] = bar
        state[COUNT] += bars
        if state[TARGET] != 0.0:
            state[BARS_HELD] += bars
        s.spread, s.mean, s.std, s.n_bars = state[SPREAD], params[MEAN], params[STD], int(state[COUNT])
        s.zscore = (state[SPREAD] - params[MEAN]) / params[STD]
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
        if target != int(state[TARGET]):
            state[BARS_HELD] = 0.0
        state[TARGET], state[BLOCKED] = target, blocked
        s.target, s.reason = target, reason
    state[SPREAD] = spread
    return s.reason


def pack_params(frozen: FrozenParams) -> np.ndarray:
    """Kernel parameters float64 (WEIGHTS + 2 * legs,)."""
    values = STRATEGY.check(frozen, frozen.name)
    assert isinstance(frozen.execution, BasketPlan)  # `policies` has seen to it
    ticks = {instrument.symbol: float(instrument.tick_size) for instrument in frozen.instruments}
    logs = [math.log(ticks[leg.symbol]) for leg in frozen.execution.legs]
    return np.array([*msgspec.structs.asdict(values).values(), len(logs), *frozen.array("weights"), *logs], np.float64)


def pack_state(frozen: FrozenParams) -> np.ndarray:
    """Kernel state float64 (7,): nothing seen yet."""
    return np.zeros(7, np.float64)


def state_after(before: FrozenParams, after: FrozenParams, state: np.ndarray) -> np.ndarray:
    """It goes on where bars and weights are the same; else the bar begins anew and only the position and its age are kept."""
    old, new = STRATEGY.check(before, before.name), STRATEGY.check(after, after.name)
    if old.bar_ns == new.bar_ns and np.array_equal(before.array("weights"), after.array("weights")):
        return state.copy()
    fresh = pack_state(after)
    fresh[TARGET], fresh[BLOCKED] = state[TARGET], state[BLOCKED]
    fresh[BARS_HELD] = state[BARS_HELD] * old.bar_ns // new.bar_ns
    return fresh


def objection(frozen: FrozenParams, values: BasketReversionParams) -> str:
    """A weight for each leg, and lots that stand against each other as the weights do."""
    weights, plan = frozen.array("weights"), frozen.execution
    if not isinstance(plan, BasketPlan) or weights.size != len(plan.legs):
        return f"the array weights holds {weights.size} numbers, it needs one for each leg of the basket"
    wrong = [leg.symbol for leg, weight in zip(plan.legs, weights, strict=True) if leg.unit_lots * weight <= 0]
    return f"unit_lots of {wrong[0]} must have the sign of its weight" if wrong else ""


STRATEGY = Strategy(
    name="basket_reversion",
    version=1,
    module="hftkit.strategies.basket_reversion",
    schema=BasketReversionParams,
    pack_params=pack_params,
    pack_state=pack_state,
    arrays=("weights",),
    beliefs="the logs of several prices are cointegrated, so their weighted sum comes back to its frozen mean",
    objection=objection,
    policies=("basket",),
    state_after=state_after,
)
