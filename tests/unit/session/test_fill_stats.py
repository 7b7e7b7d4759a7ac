"""Maker shares and times of a session, against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np

from hftkit import layout
from hftkit.session import fill_stats as execution


def rooms() -> tuple[np.ndarray, np.ndarray, np.void]:
    """Two instruments, one pair: the lead filled half as maker, the hedge taken."""
    ledger, legs = np.zeros(2, layout.LEDGER.dtype), np.zeros(1, layout.LEGS.dtype)
    legs["lead"], legs["hedge"] = 0, 1
    return ledger, legs, np.zeros(1, layout.SESSION.dtype)[0]


def test_shares_are_by_count_by_value_and_of_the_lead() -> None:
    ledger, legs, session = rooms()
    ledger["n_fills"], ledger["n_maker"] = [6, 4], [4, 0]
    ledger["turnover_e8"], ledger["maker_turnover_e8"] = [800, 200], [600, 0]
    legs["n_posts"], legs["n_pulls"], legs["n_entries"], legs["entering_ns"] = 5, 2, 4, 50_000_000
    session["n_post_refused"], session["n_cancels"] = 1, 2
    done = execution.filled(ledger, legs, session)
    assert (done.maker_fills, done.maker_ratio, done.value_ratio, done.lead_ratio) == (4, 0.4, 0.6, 0.75)
    assert (done.posts, done.pulls, done.posts_refused, done.cancels_sent, done.entry_ms) == (5, 2, 1, 2, 12.5)
    assert math.isnan(done.exit_ms)
    assert execution.in_words(done) == "maker 40% of fills, 60% of value, 75% of the lead; 5 posted, 2 pulled, 1 refused; entry 12.5 ms"
    assert execution.as_json(done)["exit_ms"] is None


def test_before_the_first_fill_there_is_nothing_to_say() -> None:
    done = execution.filled(*rooms())
    assert math.isnan(done.maker_ratio)
    assert execution.in_words(done) == ""
    assert execution.as_json(done)["maker_ratio"] is None
