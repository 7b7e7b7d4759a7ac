"""The spread of a pair in log prices or in prices: one arithmetic for the live strategy and for research, so that both hold the same bits.

    logs     s = log(mid of lead) - hedge_ratio * log(mid of hedge) + offset
    levels   s = mid of lead * its tick - hedge_ratio * (mid of hedge * its tick)

Mids are in ticks; `offset` = log(tick of lead) - hedge_ratio * log(tick of hedge) brings the sum back to log prices. numpy's log and the machine's
own may differ in the last bit, so research calls this kernel and not numpy.
"""

from __future__ import annotations

import math

from hftkit.kernels.arrays import Float64Array
from hftkit.kernels.jit import kernel

SPREADS = ("logs", "levels")  # names of the two in a frozen file; kernels hold the index
LOGS, LEVELS = 0, 1


@kernel
def log_spread(mid_lead: float, mid_hedge: float, hedge_ratio: float, offset: float) -> float:
    """Spread in log prices of two mids in ticks, both positive."""
    return math.log(mid_lead) - hedge_ratio * math.log(mid_hedge) + offset


@kernel
def log_spreads(mid_lead: Float64Array, mid_hedge: Float64Array, spread: Float64Array, hedge_ratio: float, offset: float) -> int:
    """`log_spread` bar by bar. `mid_lead`, `mid_hedge`: float64 (n,) ticks; `spread`: float64 (n,) out. Returns n."""
    for t in range(spread.size):
        spread[t] = log_spread(mid_lead[t], mid_hedge[t], hedge_ratio, offset)
    return spread.size


@kernel
def level_spread(mid_lead: float, mid_hedge: float, hedge_ratio: float, lead_tick: float, hedge_tick: float) -> float:
    """Spread in prices of the lead, from two mids in ticks; `hedge_ratio`: units of the hedge a unit of the lead."""
    return mid_lead * lead_tick - hedge_ratio * (mid_hedge * hedge_tick)


@kernel
def level_spreads(
    mid_lead: Float64Array, mid_hedge: Float64Array, spread: Float64Array, hedge_ratio: float, lead_tick: float, hedge_tick: float
) -> int:
    """`level_spread` bar by bar. `mid_lead`, `mid_hedge`: float64 (n,) ticks; `spread`: float64 (n,) out. Returns n."""
    for t in range(spread.size):
        spread[t] = level_spread(mid_lead[t], mid_hedge[t], hedge_ratio, lead_tick, hedge_tick)
    return spread.size
