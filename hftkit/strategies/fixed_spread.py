"""Two-sided quotes at a fixed distance from the middle, leaning against what is held. For policy `quotes`.

What it believes: that those who trade at the quotes are on average not better informed than the middle of the book, so that the distance is earned
more often than it is lost; and that what is held is a risk, so that both prices move against it: by `skew_ticks` where as much is held as the policy
allows, in proportion below. It is the simplest market maker there is, made to show how one is written, not to earn.

    centre = mid - skew_ticks * position / max_position      bid = floor(centre - half_spread)      ask = ceil(centre + half_spread)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from hftkit.codes import SignalReason
from hftkit.kernels.arrays import BookArray, EventArray, Float64Array, HeldArray, Int64Array, SignalArray
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.signals import imbalance, mid_ticks
from hftkit.params.execution import QuotesPlan
from hftkit.strategies import Strategy

if TYPE_CHECKING:
    from hftkit.params.format import FrozenParams


class FixedSpreadParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Distance of each quote from the centre and skew at the largest position, in ticks; size of a quote in lots."""

    half_spread_ticks: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
    skew_ticks: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
    size_lots: Annotated[int, msgspec.Meta(ge=1, le=2**53)]


HALF_SPREAD, SKEW, SIZE, MAX_POSITION = range(4)
_NONE, _NO_BOOK = int(SignalReason.NONE), int(SignalReason.NO_BOOK)


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
    """Write bid and ask (ticks) and their sizes (lots) into SIGNAL[slot]. Arguments as in hftkit/kernels/hooks.py. Returns the codes.SignalReason."""
    s, b = signal[slot], book[watch[slot, 0]]
    s.ts_event = event[0].ts_event
    s.zscore = held[slot, 0].position / params[MAX_POSITION]  # what the panel shows: how full it is
    mid = mid_ticks(b)
    if not mid > 0.0:
        s.bid_qty = s.ask_qty = 0
        s.reason = _NO_BOOK
        return s.reason
    centre = mid - params[SKEW] * s.zscore
    s.spread, s.mean, s.std, s.imbalance = mid, centre, params[HALF_SPREAD], imbalance(b)
    s.bid_price = math.floor(centre - params[HALF_SPREAD])
    s.ask_price = math.ceil(centre + params[HALF_SPREAD])
    s.bid_qty = s.ask_qty = int(params[SIZE])
    s.reason = _NONE
    return s.reason


def pack_params(frozen: FrozenParams) -> np.ndarray:
    """Kernel parameters float64 (4,)."""
    values = STRATEGY.check(frozen, frozen.name)
    assert isinstance(frozen.execution, QuotesPlan)  # `policies` has seen to it
    return np.array([values.half_spread_ticks, values.skew_ticks, values.size_lots, frozen.execution.max_position_lots], np.float64)


def pack_state(frozen: FrozenParams) -> np.ndarray:
    """No state: float64 (1,)."""
    return np.zeros(1, np.float64)


STRATEGY = Strategy(
    name="fixed_spread",
    version=1,
    module="hftkit.strategies.fixed_spread",
    schema=FixedSpreadParams,
    pack_params=pack_params,
    pack_state=pack_state,
    beliefs="who trades at a quote is on average no better informed than the middle of the book",
    policies=("quotes",),
)
