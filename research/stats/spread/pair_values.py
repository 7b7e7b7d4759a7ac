"""Two price series as checked arrays: what every function that takes a lead and a hedge begins with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.stats.validation import same_rows


def checked_pair(lead: Any, hedge: Any, log: bool = True, moving: bool = True) -> tuple[np.ndarray, np.ndarray, pd.Index]:
    """Both series as float64 (n,), in logs where `log`, and their index.

    Raises
    ------
    DataError
        For what would end in a silent NaN: other lengths or times, prices not finite (with `log`: not positive), constants where `moving`.
    """
    same_rows(lead, hedge)
    try:
        pair = np.ascontiguousarray(lead, np.float64), np.ascontiguousarray(hedge, np.float64)
    except (TypeError, ValueError):
        raise DataError("lead or hedge is not made of numbers", "Pass prices only, the times as index") from None
    if pair[0].shape != pair[1].shape or pair[0].ndim != 1:
        raise DataError(f"lead and hedge have the shapes {pair[0].shape} and {pair[1].shape}", "Align the two series on one index first")
    for name, values in zip(("lead", "hedge"), pair, strict=True):
        bad = np.flatnonzero(~(np.isfinite(values) & ((values > 0) if log else True)))
        if bad.size:
            raise DataError(
                f"{name} has {bad.size} prices that are not finite{' and positive' if log else ''}, the first {values[bad[0]]} at row {bad[0]}",
                "Repair or drop these rows",
            )
        if moving and (values.size < 2 or np.ptp(values) <= 4 * np.spacing(np.abs(values).max())):
            raise DataError(f"{name} is constant", "A constant has no hedge ratio: leave it out")
    index = lead.index if isinstance(lead, pd.Series) else pd.RangeIndex(pair[0].size)
    return (np.log(pair[0]), np.log(pair[1]), index) if log else (*pair, index)
