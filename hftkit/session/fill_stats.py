"""How a session's orders were filled: maker share, resting orders, time from the decision to the fill (GW-8, docs/execution.md).

Plain arithmetic over LEDGER, LEGS and SESSION records (hftkit/layout.py), so that the result of a session, its panels and a backtest say the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_MS = 1_000_000


@dataclass(frozen=True)
class Filled:
    """Shares are 0..1, NaN before the first fill; times in ms, NaN before the first. The hedge is always taken: `lead_ratio` leaves it out."""

    maker_fills: int
    maker_ratio: float  # of fills, by count
    value_ratio: float  # of what was traded, by notional
    lead_ratio: float  # by notional, of the instruments that are traded first
    posts: int
    posts_refused: int  # they would have taken
    pulls: int
    cancels_sent: int
    entry_ms: float  # mean from the decision to the whole pair
    exit_ms: float  # mean from the decision to flat


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def filled(ledger: np.ndarray, legs: np.ndarray, session: np.void) -> Filled:
    """Of LEDGER (instruments,), LEGS (strategies,) and one SESSION record."""
    lead = ledger[np.unique(legs["lead"][legs["lead"] >= 0])]
    entries, exits = int(legs["n_entries"].sum()), int(legs["n_exits"].sum())
    return Filled(
        maker_fills=int(ledger["n_maker"].sum()),
        maker_ratio=_share(int(ledger["n_maker"].sum()), int(ledger["n_fills"].sum())),
        value_ratio=_share(int(ledger["maker_turnover_e8"].sum()), int(ledger["turnover_e8"].sum())),
        lead_ratio=_share(int(lead["maker_turnover_e8"].sum()), int(lead["turnover_e8"].sum())),
        posts=int(legs["n_posts"].sum()),
        posts_refused=int(session["n_post_refused"]),
        pulls=int(legs["n_pulls"].sum()),
        cancels_sent=int(session["n_cancels"]),
        entry_ms=_share(int(legs["entering_ns"].sum()), entries * _MS),
        exit_ms=_share(int(legs["exiting_ns"].sum()), exits * _MS),
    )


def as_json(done: Filled) -> dict[str, int | float | None]:
    """The same as plain data, rounded; null where nothing has happened yet."""
    return {name: value if isinstance(value, int) else None if math.isnan(value) else round(value, 4) for name, value in vars(done).items()}


def in_words(done: Filled) -> str:
    """One line: "maker 42 % of 12,345 fills ..."; "" before the first fill."""
    if math.isnan(done.maker_ratio):
        return ""
    words = f"maker {done.maker_ratio:.0%} of fills, {done.value_ratio:.0%} of value, {done.lead_ratio:.0%} of the lead"
    if done.posts:
        words += f"; {done.posts:,} posted, {done.pulls:,} pulled, {done.posts_refused:,} refused"
    if math.isfinite(done.entry_ms):
        words += f"; entry {done.entry_ms:,.1f} ms"
    return words + (f", exit {done.exit_ms:,.1f} ms" if math.isfinite(done.exit_ms) else "")
