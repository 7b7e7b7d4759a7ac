"""The sweep again with vectorbt's portfolios: an independent engine that must make the same trades.

vectorbt (Apache-2.0 with the Commons Clause, research extra) takes signals, not thresholds: entries and exits are computed with its own window of
z-scores per parameter set, positions follow from `Portfolio.from_signals` on the spread's unit price. Its signals know no stop with a
cooldown and no holding limit, so the comparison is made where those do not bind (a stop beyond all data, no limit).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.pairs.strategy_optimizer import PairBars, Thresholds


def signal_frames(bars: PairBars, cells: list[Thresholds]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Long entries, long exits, short entries, short exits: bool (n, cells), as levels: vectorbt itself ignores an entry while in a position."""
    columns = np.column_stack([bars.z(cell.window, cell.zscore) for cell in cells])
    entry, leave = np.array([cell.entry_z for cell in cells]), np.array([cell.exit_z for cell in cells])
    with np.errstate(invalid="ignore"):
        return columns <= -entry, columns >= -leave, columns >= entry, columns <= leave


def vectorbt_portfolio(bars: PairBars, cells: list[Thresholds]) -> Any:
    """A vectorbt portfolio, one column a parameter set, that trades one unit of the spread at the close of each bar without costs.

    The price is the spread's running unit return above a level that keeps it positive: profit and loss of one unit do not depend on the level.
    """
    import vectorbt as vbt

    biggest = float(np.nanmax(np.abs(np.column_stack([bars.z(cell.window, cell.zscore) for cell in cells]))))
    for cell in cells:
        if cell.stop_z <= biggest or cell.max_holding_bars < len(bars.index):
            raise DataError(f"{cell} may stop out or reach its holding limit", "vectorbt's signals have neither: choose cells where they cannot bind")
    level = np.cumsum(bars.step)
    price = pd.Series(level - level.min() + 1.0, bars.index, name="unit")
    long_in, long_out, short_in, short_out = signal_frames(bars, cells)
    return vbt.Portfolio.from_signals(
        price,
        entries=long_in,
        exits=long_out & ~short_in,
        short_entries=short_in,
        short_exits=short_out & ~long_in,
        size=1.0,
        size_type="amount",
        init_cash=1e6,
        upon_opposite_entry="close",
        freq=pd.Timedelta(bars.bar_ns, "ns"),
    )
