"""A session read back ends where it ended: the last sample is the state after the last fill, and a long session is sampled to its end."""

from __future__ import annotations

import numpy as np
import pytest

from research.backtest.event_backtest import backtest_bars
from research.report.session import load_session
from research.report.session_figures import session_equity, session_spread
from tests.unit.research.backtest.test_event_backtest import BAR_NS, RULE, frozen_pair


@pytest.fixture(scope="module")
def ended(prices, tmp_path_factory):
    """A journal and the run that wrote it; prices end in the bar in which a trade ends, so that its fills are the last thing there is."""
    whole = backtest_bars(frozen_pair(RULE), prices.iloc[:1500])
    last = int(np.searchsorted(whole.bars.index, whole.trades["exit"].dropna().iloc[-1]))
    folder = tmp_path_factory.mktemp("ended") / "journal"
    return folder, backtest_bars(frozen_pair(RULE), prices.iloc[: last + 1], journal=folder)


def test_the_last_sample_is_the_state_after_the_last_fill(ended):
    folder, run = ended
    session = load_session(folder, sample_every_ns=BAR_NS)
    end, ledger = session.signal.iloc[-1], run.engine.rooms.ledger
    net = int((ledger["realized_e8"] + ledger["unrealized_e8"] - ledger["fees_e8"] - ledger["funding_e8"]).sum())
    assert round(end["equity"] * 1e8) == net
    assert [end["lead_position"], end["hedge_position"]] == [ledger["position"][0], ledger["position"][1]]
    assert session.signal.index[-1] >= session.fills.index[-1]
    assert session.signal.index.is_monotonic_increasing
    assert session.signal.index.is_unique


def test_a_session_with_more_samples_than_are_kept_is_sampled_more_coarsely_to_its_end(ended):
    folder, _ = ended
    fine = load_session(folder, sample_every_ns=BAR_NS).signal
    coarse = load_session(folder, sample_every_ns=BAR_NS, max_samples=100).signal
    assert 25 <= len(coarse) <= 101
    assert coarse.index[-1] == fine.index[-1]
    assert coarse.iloc[-1].equals(fine.iloc[-1])
    assert coarse.index[:-1].isin(fine.index).all()
    gaps = np.diff(coarse.index.asi8[:-1])
    assert gaps.max() <= 2 * gaps.min()


def test_the_picture_says_the_same_number_and_ends_with_the_session(ended):
    folder, _ = ended
    session = load_session(folder, sample_every_ns=BAR_NS)
    axes = session_equity(session).axes[0]
    line = axes.get_lines()[0]
    assert line.get_ydata()[-1] == session.signal["equity"].iloc[-1]
    assert f"{session.signal['equity'].iloc[-1]:+,.2f}" in axes.get_title()
    positions = session_spread(session).axes[1].get_lines()
    assert [one.get_ydata()[-1] for one in positions] == [
        session.signal[name].iloc[-1] / max(1.0, session.signal[name].abs().max()) for name in ("lead_position", "hedge_position")
    ]
