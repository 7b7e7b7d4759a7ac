"""The trading rule walked over bars, with costs: what a threshold sweep runs thousands of times.

Contract of a bar. At the close of bar t the z-score compares the spread with the moments of the bars before it; the rule
(reversion.next_target) sets the target, and a reversion model, where there is one, must believe in an entry; the change is filled at that close
and pays its cost; the position earns the return from the close of
bar t to that of bar t + 1. Nothing after bar t takes part in the decision at t.
Returns and costs are fractions of one leg's notional (the lead's); the hedge leg is hedge_ratio as large.
"""

from __future__ import annotations

import math

import numpy as np

from hftkit.codes import SignalReason
from hftkit.kernels.arrays import Float64Array, Int64Array
from hftkit.kernels.jit import kernel
from hftkit.kernels.market.reversion import next_target

_ENTRY, _EXIT, _LOW_CONFIDENCE = int(SignalReason.ENTRY), int(SignalReason.EXIT), int(SignalReason.LOW_CONFIDENCE)

# Fields of a cell (what is swept) and of its result
WINDOW, ENTRY_Z, EXIT_Z, STOP_Z, MAX_HOLDING = range(5)
NET, SHARPE, TRADES, DRAWDOWN, TURNOVER, EXPOSURE, DEVIATION = range(7)
RESULT_FIELDS = 7


@kernel
def zscores(spread: Float64Array, mean: Float64Array, std: Float64Array, z: Float64Array) -> int:
    """z = (spread - mean) / std, NaN where the window is not full or has no variance. All float64 (n,). Returns the finite ones."""
    finite = 0
    for t in range(spread.size):
        z[t] = np.nan
        if std[t] > 0.0:
            z[t] = (spread[t] - mean[t]) / std[t]
            if math.isfinite(z[t]):
                finite += 1
    return finite


@kernel
def walk_rule(
    z: Float64Array,
    belief: Float64Array,
    targets: Int64Array,
    reasons: Int64Array,
    entry_z: float,
    exit_z: float,
    stop_z: float,
    max_holding_bars: int,
    confidence: float,
) -> int:
    """Targets of the rule, bar by bar, from flat. Returns the number of entries.

    `z`: float64 (n,); `belief`: float64 (n,), probability at each bar that the spread reverts before the stop: an entry below `confidence` (or
    without a
    number) is not taken; of size 0 there is no such gate. Outputs `targets` int64 (n,): position after the close of each bar, -1, 0, +1; `reasons`
    int64 (n,): codes.SignalReason.
    """
    target = 0
    blocked = 0
    held = 0
    entries = 0
    for t in range(z.size):
        held += 1
        target, blocked, reason = next_target(target, z[t], held, blocked, entry_z, exit_z, stop_z, max_holding_bars)
        if reason == _ENTRY and belief.size > 0 and not belief[t] >= confidence:
            target, reason = 0, _LOW_CONFIDENCE
        if reason == _ENTRY:
            held = 0
            entries += 1
        targets[t] = target
        reasons[t] = reason
    return entries


@kernel
def net_returns(targets: Int64Array, step: Float64Array, net: Float64Array, cost: float, carry: float) -> float:
    """Return of each bar after costs; returns the turnover (units traded).

    `targets`: int64 (n,); `step`: float64 (n,): return of one unit from the close before to this close; `net`: float64 (n,) out; `cost`:
    fraction paid per unit of target changed, both legs together; `carry`: fraction paid per unit and bar held (funding). A position left at the
    end is
    closed at the last bar.
    """
    before = 0
    turnover = 0.0
    last = targets.size - 1
    for t in range(targets.size):
        change = abs(targets[t] - before)
        if t == last:
            change += abs(targets[t])
        net[t] = before * step[t] - cost * change - carry * abs(before)
        turnover += change
        before = targets[t]
    return turnover


@kernel
def summarise(net: Float64Array, targets: Int64Array, out: Float64Array) -> int:
    """Fill NET (sum), SHARPE (per bar, not annualised; 0 without variance), DRAWDOWN (largest fall of the running sum, >= 0), EXPOSURE,
    DEVIATION (of the returns of a bar, sample)."""
    n = net.size
    total = 0.0
    peak = 0.0
    drawdown = 0.0
    exposed = 0
    for t in range(n):
        total += net[t]
        peak = max(peak, total)
        drawdown = max(drawdown, peak - total)
        if targets[t] != 0:
            exposed += 1
    mean = total / n
    squares = 0.0
    for t in range(n):
        squares += (net[t] - mean) ** 2
    out[NET] = total
    out[DEVIATION] = math.sqrt(squares / (n - 1)) if squares > 0.0 else 0.0
    out[SHARPE] = mean / out[DEVIATION] if squares > 0.0 else 0.0
    out[DRAWDOWN] = drawdown
    out[EXPOSURE] = exposed / n
    return 0


@kernel
def sweep_cells(
    z: Float64Array,
    belief: Float64Array,
    step: Float64Array,
    cells: Float64Array,
    targets: Int64Array,
    reasons: Int64Array,
    net: Float64Array,
    together: Float64Array,
    out: Float64Array,
    cost: float,
    carry: float,
    confidence: float,
) -> int:
    """Run the rule for many parameter sets over the same bars. Returns how many of them have returns that vary.

    `z`: float64 (windows, n); `belief`: float64 (windows, n), or (windows, 0) without a model; `step`: float64 (n,); `cells`: float64 (m, 5): row of
    `z`, entry, exit, stop, holding limit; `cost`, `carry` as of `net_returns`, `confidence` as of `walk_rule`, fractions of size 1; scratch
    `targets`, `reasons` int64 (n,), `net` float64 (n,); `out`: float64 (m, RESULT_FIELDS). `together`: float64 (n,), to which each set adds its
    returns about their mean, in units of their deviation: its variance tells how much alike the sets are (performance.mean_correlation).
    """
    varying = 0
    for i in range(cells.shape[0]):
        cell = cells[i]
        row, limit = int(cell[WINDOW]), int(cell[MAX_HOLDING])
        entries = walk_rule(z[row], belief[row], targets, reasons, cell[ENTRY_Z], cell[EXIT_Z], cell[STOP_Z], limit, confidence)
        out[i, TURNOVER] = net_returns(targets, step, net, cost, carry)
        out[i, TRADES] = entries
        summarise(net, targets, out[i])
        deviation = out[i, DEVIATION]
        if deviation > 0.0:
            mean = out[i, NET] / net.size
            for t in range(net.size):
                together[t] += (net[t] - mean) / deviation
            varying += 1
    return varying


@kernel
def outcomes(z: Float64Array, out: Int64Array, entry_z: float, exit_z: float, stop_z: float, max_holding_bars: int) -> int:
    """What would become of a trade begun at each bar: 1 it left by the exit, 0 by the stop or the holding limit, -1 it would not begin or has not
    ended.

    `z`: float64 (n,); `out`: int64 (n,). A trade begins where entry_z <= |z| < stop_z, as the rule has it; a bar without a number moves nothing.
    Returns the trades that ended. This looks ahead: it is the label of a model, never a signal.
    """
    ended = 0
    for t in range(z.size):
        out[t] = -1
        if not (math.isfinite(z[t]) and entry_z <= abs(z[t]) < stop_z):
            continue
        target = -1 if z[t] > 0.0 else 1
        for later in range(t + 1, z.size):
            after, _, reason = next_target(target, z[later], later - t, 0, entry_z, exit_z, stop_z, max_holding_bars)
            if after == 0:
                out[t] = 1 if reason == _EXIT else 0
                ended += 1
                break
    return ended
