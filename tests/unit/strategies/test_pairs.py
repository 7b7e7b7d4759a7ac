"""The pairs strategy against a plain twin in pandas: same z-scores, same targets, whatever the path to them."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pandas as pd
import pytest

from hftkit import layout
from hftkit.codes import EventKind, Hook, SignalReason, Sync
from hftkit.errors import ParamsError
from hftkit.kernels.wire.decode import clear_event
from hftkit.params.format import text_of
from hftkit.session.engine_state import Limits, SessionConfig, build_engine_state, hooks_of
from hftkit.strategies import pairs, strategy
from tests.support import AAA, BBB, frozen_pair

BAR = 60_000_000_000
START = 1_700_000_000_000_000_000 // BAR * BAR
RATIO, WINDOW = 0.8, 20
PARAMETERS = {"hedge_ratio": "0.8", "bar_ns": BAR, "window": WINDOW, "entry_z": "1.5", "exit_z": "0.2", "stop_z": "4.0", "max_holding_bars": 30}


def engine(tail=(), tail_end=0, **changes):
    frozen = frozen_pair("pairs", {**PARAMETERS, "tail_end_ns": tail_end, **changes})
    frozen = msgspec.structs.replace(frozen, arrays={"spread_tail": tuple(text_of(x) for x in tail)})
    config = SessionConfig(epoch=1, account=1, instruments=(AAA, BBB), strategies=(frozen,), limits=Limits())
    return build_engine_state(config), hooks_of(config)[0][Hook.ON_BOOK]


def quote(rooms, kernel, ts, lead, hedge):
    """Set both books to mids in half ticks and evaluate, as a tick of the lead would."""
    for i, half_ticks in enumerate((lead, hedge)):
        b = rooms.book[i]
        b["sync"], b["best_bid"], b["best_ask"] = int(Sync.SYNCED), half_ticks // 2, half_ticks - half_ticks // 2
        if b["best_ask"] == b["best_bid"]:
            b["best_bid"] -= 1
            b["best_ask"] += 1
        b["best_bid_qty"] = b["best_ask_qty"] = 10
    clear_event(rooms.event, int(EventKind.BBO), 0, 1, ts, 1)
    kernel(0, rooms.event, rooms.book, rooms.watch, rooms.held, rooms.params[0], rooms.state[0], rooms.signal)
    return rooms.signal[0]


def paths(seed=3, n=400):
    rng = np.random.default_rng(seed)
    hedge = np.exp(np.log(400.0) + np.cumsum(rng.normal(0, 4e-4, n)))
    deviation = np.zeros(n)
    for t in range(1, n):
        deviation[t] = 0.93 * deviation[t - 1] + rng.normal(0, 1.2e-3)
    lead = np.exp(RATIO * np.log(hedge) + deviation + 1.0)
    return np.round(2 * lead / 0.01).astype(int), np.round(2 * hedge / 0.05).astype(int)  # half ticks


def twin(lead, hedge):
    """Targets at each bar's close, in pandas and plain Python, written from the strategy's docstring."""
    mid = lambda half: np.where(half % 2 == 0, half / 2, half / 2)  # noqa: E731 - a bar's mid in ticks
    spread = pd.Series(np.log(mid(lead)) - RATIO * np.log(mid(hedge)))
    z = (spread - spread.shift().rolling(WINDOW).mean()) / spread.shift().rolling(WINDOW).std()
    target, held, blocked, targets = 0, 0, False, []
    for value in z:
        if target:
            held += 1
        before = target
        if not math.isnan(value):
            if abs(value) >= 4.0:
                target, blocked = 0, True
            elif target and (target * value >= -0.2):
                target = 0
            elif target and held >= 30:
                target, blocked = 0, True
            elif not target:
                blocked = blocked and abs(value) >= 1.5
                if abs(value) >= 1.5 and not blocked:
                    target = -1 if value > 0 else 1
        if target != before:
            held = 0
        targets.append(target)
    return z.to_numpy(), targets


def test_bar_by_bar_it_is_the_twin():
    lead, hedge = paths()
    expected_z, expected = twin(lead, hedge)
    rooms, kernel = engine()
    for t, (a, b) in enumerate(zip(lead, hedge, strict=True)):
        signal = quote(rooms, kernel, START + (t + 1) * BAR - 1, int(a), int(b))
        if t >= WINDOW:
            assert signal["zscore"] == pytest.approx(expected_z[t], abs=1e-7)
        assert int(signal["target"]) == expected[t], t
    assert {-1, 0, 1} <= set(expected)


def test_ticks_within_a_bar_do_not_move_the_window():
    lead, hedge = paths()
    sparse, kernel = engine()
    dense, _ = engine()
    rng = np.random.default_rng(0)
    for t, (a, b) in enumerate(zip(lead, hedge, strict=True)):
        for k in range(3):
            quote(dense, kernel, START + t * BAR + k + 1, int(a) + int(rng.integers(-4, 5)), int(b))
        at_close = START + (t + 1) * BAR - 1
        one, other = quote(sparse, kernel, at_close, int(a), int(b)), quote(dense, kernel, at_close, int(a), int(b))
        assert (one["mean"], one["std"], one["zscore"]) == (other["mean"], other["std"], other["zscore"]) or math.isnan(one["zscore"])


def test_the_frozen_tail_makes_it_ready_at_once_and_is_dropped_when_stale():
    lead, hedge = paths()
    logs = np.log(lead / 2 * 0.01) - RATIO * np.log(hedge / 2 * 0.05)
    cut = 100
    end = START + cut * BAR
    for gap, ready in ((0, True), (2, True), (3, False)):  # a tenth of the window of 20 bars
        rooms, kernel = engine(tail=logs[:cut], tail_end=end)
        signal = quote(rooms, kernel, end + gap * BAR + 1, int(lead[cut]), int(hedge[cut]))
        assert (signal["reason"] != SignalReason.WARMING_UP) == ready
        if gap == 0:
            window = pd.Series(logs[cut - WINDOW : cut])
            assert signal["mean"] == pytest.approx(window.mean(), abs=1e-12)
            assert signal["std"] == pytest.approx(window.std(), abs=1e-12)


def test_a_missing_book_a_flat_spread_and_an_uneven_book_lead_to_no_entry_with_a_reason():
    rooms, kernel = engine(tail=[1.0] * WINDOW, tail_end=START)
    rooms.book["sync"] = int(Sync.EMPTY)
    clear_event(rooms.event, int(EventKind.BBO), 0, 1, START + 1, 1)
    assert kernel(0, rooms.event, rooms.book, rooms.watch, rooms.held, rooms.params[0], rooms.state[0], rooms.signal) == SignalReason.NO_BOOK
    signal = quote(rooms, kernel, START + 1, 200_000, 16_000)
    assert signal["reason"] == SignalReason.ZERO_VARIANCE
    assert signal["target"] == 0
    assert math.isnan(signal["zscore"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"entry_z": "0.1"}, "exit_z < entry_z < stop_z"),
        ({"window": 1}, "window"),
        ({"hedge_ratio": "nan"}, "finite"),
        ({"hedge_ratio": "-0.8"}, "unit_hedge_lots must be positive"),
        ({"typo": 1}, "typo"),
        ({"spread": "ratio"}, "spread"),
    ],
)
def test_bad_parameters_are_named(change, words):
    frozen = frozen_pair("pairs", {**PARAMETERS, **change})
    with pytest.raises(ParamsError, match=words):
        strategy("pairs").check(frozen, "file")


def test_parameters_stand_in_the_order_of_the_kernel():
    fields = pairs.PairsParams.__struct_fields__
    for name in ("hedge_ratio", "bar_ns", "window", "entry_z", "exit_z", "stop_z", "max_holding_bars", "max_imbalance", "tail_end_ns", "spread"):
        assert fields[getattr(pairs, name.upper())] == name
    assert layout.SIGNAL.dtype.names is not None
