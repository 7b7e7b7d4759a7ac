"""Which strategy watches which instrument: the table that hooks read, and its index by instrument, so that an event costs what its watchers cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hftkit import layout
from hftkit.errors import ParamsError
from hftkit.params.format import FrozenParams

_LEAST = 2  # columns, so that a session of one instrument has the arrays of a pair


def watch_table(strategies: Sequence[FrozenParams], ids: Mapping[str, int]) -> np.ndarray:
    """Instrument ids int64 (k, w) that each strategy watches, in the order of its frozen file, -1 beyond them. `ids`: by symbol.

    Raises ParamsError for an instrument that the venue does not have, and for more of them than a strategy may watch.
    """
    watched = [frozen.watched for frozen in strategies]
    table = np.full((len(strategies), max(_LEAST, *map(len, watched))), layout.NO_INSTRUMENT, np.int64)
    for row, symbols, frozen in zip(table, watched, strategies, strict=True):
        if len(symbols) > layout.MAX_WATCHED:
            problem = f"{frozen.name} watches {len(symbols)} instruments, a strategy watches {layout.MAX_WATCHED} at the most"
            raise ParamsError(problem, "Freeze it in two files")
        for place, symbol in enumerate(symbols):
            if symbol not in ids:
                raise ParamsError(f"{frozen.name}: the venue has no {symbol}", f"It offers {sorted(ids)}")
            row[place] = ids[symbol]
    return table


def watchers_of(watch: np.ndarray, n_instruments: int) -> tuple[np.ndarray, np.ndarray]:
    """Of `watch` int64 (k, w): int64 (n + 1,) where the watchers of each instrument begin, int64 (m, 2) slot and place of each, in order."""
    slots, places = np.nonzero(watch >= 0)
    instruments = watch[slots, places]
    order = np.lexsort((slots, instruments))
    start = np.searchsorted(instruments[order], np.arange(n_instruments + 1))
    return start.astype(np.int64), np.stack((slots[order], places[order]), axis=1).astype(np.int64)


def watched_by_any(watch: np.ndarray) -> list[int]:
    """Ids of the instruments that any strategy watches, each once, in their order."""
    return [int(i) for i in np.unique(watch[watch >= 0])]
