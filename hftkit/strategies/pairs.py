"""Pairs trading: fade the z-score of the frozen spread.

What it believes. Two log prices are cointegrated: s = log(lead) - hedge_ratio * log(hedge) reverts to its rolling mean. It sells
the spread when it is `entry_z` standard deviations rich, buys when as cheap, leaves inside `exit_z`, gives up beyond
`stop_z` or after `max_holding_bars`, then rests until |z| has come back inside the entry band (no re-entry on a broken pair).

Time is exchange time, cut into bars of `bar_ns`. The rolling window holds the spread at the close of the last `window`
bars; the bar in progress is never part of its own mean, so a decision uses nothing that was not known at its moment. A bar
closes when the first event of a later bar arrives, at the last spread seen before it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:
    pass

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
    max_imbalance: Annotated[float, msgspec.Meta(gt=0, le=1)]  # no entry against a book more one-sided than this

    def __post_init__(self) -> None:
        if not self.exit_z < self.entry_z < self.stop_z:
            raise ValueError(f"must satisfy exit_z < entry_z < stop_z, are {self.exit_z}, {self.entry_z}, {self.stop_z}")
        if not math.isfinite(self.hedge_ratio):
            raise ValueError(f"hedge_ratio must be finite, is {self.hedge_ratio}")
