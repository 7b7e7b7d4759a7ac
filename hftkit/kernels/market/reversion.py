"""The trading rule of mean reversion, as one function of a z-score: called by the research sweep and by the live strategy.

    state            input                                      next target   blocked   reason
    any              stop:     |z| >= stop_z                    0             yes       STOP (COOLDOWN when blocked already)
    long  (+1)       z >= -exit_z                               0             no        EXIT
    short (-1)       z <= exit_z                                0             no        EXIT
    long or short    bars_held >= max_holding_bars              0             yes       HOLDING_LIMIT
    long or short    none of these                              as it is      no        HOLD
    flat, blocked    |z| >= entry_z                             0             yes       COOLDOWN
    flat             |z| < entry_z                              0             no        INSIDE_BAND
    flat             z >= entry_z                               -1            no        ENTRY
    flat             z <= -entry_z                              +1            no        ENTRY

The first line that fits decides. A z-score that is not finite (no data, zero variance) says nothing about the spread: it never
enters, never unblocks, and a position is kept (NOT_FINITE), save that the holding limit, which needs no z-score, still ends it.
"""

from __future__ import annotations

import math

from hftkit.codes import SignalReason
from hftkit.kernels.jit import kernel

_NOT_FINITE = int(SignalReason.NOT_FINITE)
_INSIDE_BAND = int(SignalReason.INSIDE_BAND)
_ENTRY = int(SignalReason.ENTRY)
_HOLD = int(SignalReason.HOLD)
_EXIT = int(SignalReason.EXIT)
_STOP = int(SignalReason.STOP)
_HOLDING_LIMIT = int(SignalReason.HOLDING_LIMIT)
_COOLDOWN = int(SignalReason.COOLDOWN)


@kernel
def next_target(
    target: int, z: float, bars_held: int, blocked: int, entry_z: float, exit_z: float, stop_z: float, max_holding_bars: int
) -> tuple[int, int, int]:
    """Returns (target, blocked, reason): target -1, 0, +1 units of the spread; blocked 0 or 1; reason a codes.SignalReason.

    `z`: standard deviations of the spread from its trailing mean; `bars_held`: bars closed since the entry; `blocked`: 1 after a stop or a
    holding limit, until |z| has come back inside `entry_z`; thresholds in standard deviations, exit_z < entry_z < stop_z.
    """
    if not math.isfinite(z):
        if target != 0 and bars_held >= max_holding_bars:
            return 0, 1, _HOLDING_LIMIT
        return target, blocked, _NOT_FINITE
    size = abs(z)
    if size >= stop_z:
        if target == 0 and blocked != 0:
            return 0, 1, _COOLDOWN
        return 0, 1, _STOP
    if target != 0:
        if (target > 0 and z >= -exit_z) or (target < 0 and z <= exit_z):
            return 0, 0, _EXIT
        if bars_held >= max_holding_bars:
            return 0, 1, _HOLDING_LIMIT
        return target, 0, _HOLD
    if size < entry_z:
        return 0, 0, _INSIDE_BAND
    if blocked != 0:
        return 0, 1, _COOLDOWN
    return (-1 if z > 0.0 else 1), 0, _ENTRY
