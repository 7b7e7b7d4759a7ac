"""Does a signal look ahead? Recompute it at t with the data up to t only, and demand the same bits.

A signal that is honest gives, for every t, the same values up to t whether or not later data exist. A centred window, a mean over the whole
sample, a shift in the wrong direction, a fill from the future or a model fitted on everything cannot do that, and say so here with the
first time at which they differ. What this cannot see: parameters that a person chose after looking at the whole sample.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hftkit.errors import DataError
from research.data.progress import progress

Signal = Callable[[pd.DataFrame], Any]
DEFAULT_CUTS = 100


@dataclass(frozen=True)
class LookaheadReport:
    """What was found. `cuts`: how many truncated data sets were tried; `leaks`: one row a cut that differs: cut (its last bar), first (the
    earliest bar whose value changed), column, truncated (value without the future), whole (value with it), changed (bars that changed)."""

    signal: str
    rows: int
    cuts: int
    leaks: pd.DataFrame

    @property
    def honest(self) -> bool:
        """True if every value came out the same, bit for bit."""
        return self.leaks.empty

    @property
    def first(self) -> Any:
        """The earliest bar whose value depended on later data; None for an honest signal."""
        return None if self.honest else self.leaks["first"].min()

    def __str__(self) -> str:
        if self.honest:
            return f"{self.signal}: no look-ahead at {self.cuts} cuts of {self.rows} bars, every value bit for bit the same"
        worst = self.leaks.loc[self.leaks["first"].idxmin()]
        column = f" ({worst['column']})" if worst["column"] else ""
        return (
            f"{self.signal} looks ahead: its value at {worst['first']}{column} is {worst['truncated']!r} with data up to {worst['cut']}, "
            f"and {worst['whole']!r} with what came later; {len(self.leaks)} of {self.cuts} cuts differ"
        )


def check_lookahead(signal: Signal, data: pd.DataFrame, cuts: Sequence[int] | int = DEFAULT_CUTS, warmup: int = 2, name: str = "") -> LookaheadReport:
    """Recompute `signal` on the first k rows of `data` for each cut k and compare all k values with those of the whole, bit for bit.

    `signal`: maps a DataFrame (n rows) to n values: a Series, a DataFrame or an array (n,) or (n, m); it gets copies, so it cannot spoil the data.
    `cuts`: row counts, or how many to spread evenly between `warmup` and n - 1 rows. Text columns are compared by value. Raises DataError if the
    signal returns another number of rows than it was given, and if it is not repeatable (two calls on the same data differ).
    """
    name = name or getattr(signal, "__qualname__", type(signal).__name__)
    n = len(data)
    if n < max(warmup, 1) + 1:
        raise DataError(f"{n} rows are too few for a look-ahead check with a warm-up of {warmup}", "Give more data")
    places = _places(cuts, n, warmup)
    whole = _values(signal, data, name)
    if not all(_same(a, b).all() for a, b in zip(whole.values(), _values(signal, data, name).values(), strict=True)):
        raise DataError(f"{name} gives other values when called twice on the same data", "Seed its random numbers, and keep no state between calls")
    rows = []
    for cut in progress(places, f"look-ahead check, {len(places)} cuts"):
        part = _values(signal, data.iloc[:cut], name)
        if list(part) != list(whole):
            raise DataError(f"{name} returns columns {list(part)} for {cut} rows and {list(whole)} for {n}", "Return the same columns always")
        for column, values in part.items():
            changed = np.flatnonzero(~_same(values, whole[column][:cut]))
            if changed.size:
                at = int(changed[0])
                rows.append((data.index[cut - 1], data.index[at], column, values[at], whole[column][at], changed.size))
                break
    leaks = pd.DataFrame(rows, columns=["cut", "first", "column", "truncated", "whole", "changed"])
    return LookaheadReport(name, n, len(places), leaks)


def load_signal(where: str) -> Signal:
    """The function that `module:function` or `file.py:function` names. Raises DataError if there is none."""
    module_name, _, function = where.rpartition(":")
    if not module_name or not function:
        raise DataError(f"{where!r} does not name a function", "Write package.module:function or path/to/file.py:function")
    if module_name.endswith(".py"):
        path = Path(module_name)
        if not path.is_file():
            raise DataError(f"there is no file {path}", "Write package.module:function or path/to/file.py:function")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)
        spec.loader.exec_module(module)
    else:
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise DataError(f"cannot import {module_name} ({error})", "Is it installed, or in the current folder?") from None
    found = getattr(module, function, None)
    if not callable(found):
        names = sorted(name for name in vars(module) if not name.startswith("_"))
        raise DataError(f"{module_name} has no function {function}", f"It has {', '.join(names)[:200]}")
    signal: Signal = found
    return signal


def _places(cuts: Sequence[int] | int, n: int, warmup: int) -> list[int]:
    if isinstance(cuts, int):
        first = max(warmup, 1)
        return sorted({int(k) for k in np.linspace(first, n - 1, min(cuts, n - first)).round()})
    places = sorted({int(cut) for cut in cuts})
    if not places or places[0] < 1 or places[-1] >= n:
        raise DataError(f"cuts must lie between 1 and {n - 1} rows, got {places[:3]} ... {places[-3:]}", "A cut is how many rows are kept")
    return places


def _values(signal: Signal, data: pd.DataFrame, name: str) -> dict[str, np.ndarray]:
    """The signal's values by column, each (n,)."""
    out = signal(data.copy())
    if isinstance(out, pd.DataFrame):
        columns = {str(column): out[column].to_numpy() for column in out.columns}
    else:
        values = np.asarray(out)
        columns = {"": values} if values.ndim < 2 else {str(j): values[:, j] for j in range(values.shape[1])}
    for values in columns.values():
        if values.shape != (len(data),):
            raise DataError(f"{name} returned {values.shape} values for {len(data)} rows", "Return one value a row (NaN while there is none yet)")
    return columns


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Equal to the bit, value by value: NaN equals NaN of the same bits, 0.0 is not -0.0; objects by ==."""
    if a.dtype != b.dtype:
        a, b = a.astype(np.result_type(a, b)), b.astype(np.result_type(a, b))
    if a.dtype == object:
        return np.array([x == y or (x != x and y != y) for x, y in zip(a, b, strict=True)], bool)
    width = a.dtype.itemsize
    return (np.ascontiguousarray(a).view((np.uint8, width)) == np.ascontiguousarray(b).view((np.uint8, width))).reshape(len(a), width).all(axis=1)
