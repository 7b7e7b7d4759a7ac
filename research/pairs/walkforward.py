"""Honest spans: train, validation, test, in time order with an embargo between them. The check of a signal is lookahead.py.

Train: find and calibrate. Validation: choose among candidates. Test: look once, report. The embargo keeps a position or a window that began in one
span from touching the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hftkit.errors import DataError


@dataclass(frozen=True)
class Split:
    """Positions (slices) of the three spans and the embargo between them, in bars."""

    train: slice
    validation: slice
    test: slice
    embargo: int


def three_way(n: int, fractions: tuple[float, float, float] = (0.5, 0.25, 0.25), embargo: int = 0) -> Split:
    """Split `n` bars into train, validation and test by `fractions`, leaving `embargo` bars unused before validation and before test."""
    if min(fractions) <= 0 or abs(sum(fractions) - 1.0) > 1e-9 or embargo < 0:
        raise DataError(f"fractions {fractions} with an embargo of {embargo} bars make no split", "Give three positive shares that sum to 1")
    first, second = round(n * fractions[0]), round(n * (fractions[0] + fractions[1]))
    split = Split(slice(0, first), slice(first + embargo, second), slice(second + embargo, n), embargo)
    for name in ("train", "validation", "test"):
        part: slice = getattr(split, name)
        if part.stop - part.start < 2:
            raise DataError(f"{n} bars leave no {name} span after an embargo of {embargo}", "Load more data, or use a smaller embargo")
    return split


def rolling(n: int, train: int, test: int, embargo: int = 0) -> Iterator[tuple[slice, slice]]:
    """Walk forward: pairs of train and test spans, each test span right after its train span and embargo, stepping by `test` bars."""
    if min(train, test) < 2 or embargo < 0:
        spans = f"{train} train and {test} test bars with an embargo of {embargo}"
        raise DataError(f"steps of {spans} go nowhere", "Give at least 2 bars each, and embargo >= 0")
    start = 0
    while start + train + embargo + test <= n:
        yield slice(start, start + train), slice(start + train + embargo, start + train + embargo + test)
        start += test


def combinatorial_purged(n: int, groups: int = 6, held_out: int = 2, embargo: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Combinatorial purged cross-validation: every choice of `held_out` of `groups` spans as test, the rest as train. Yields positions int64.

    Train loses the `embargo` bars on either side of each test span. M. Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 12.
    """
    if not 1 <= held_out < groups or groups > n or embargo < 0:
        raise DataError(f"{held_out} of {groups} groups of {n} bars cannot be held out", "Need 1 <= held_out < groups <= bars and embargo >= 0")
    edges = np.linspace(0, n, groups + 1).round().astype(np.int64)
    for chosen in itertools.combinations(range(groups), held_out):
        test, near = np.zeros(n, bool), np.zeros(n, bool)
        for group in chosen:
            test[edges[group] : edges[group + 1]] = True
            near[max(edges[group] - embargo, 0) : edges[group + 1] + embargo] = True
        train = np.flatnonzero(~near)
        if not train.size:
            raise DataError(f"an embargo of {embargo} bars leaves nothing to train on", "Use a smaller embargo or more data")
        yield train, np.flatnonzero(test)
