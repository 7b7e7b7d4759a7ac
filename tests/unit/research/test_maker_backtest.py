"""A maker-first pair over recorded quotes and trades: the backtest command, its journal, and the proof that the journal replays bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from hftkit.backtest.run import Latency, backtest, backtest_estimates, estimates_table, session_of
from hftkit.cli.replay_commands import replay as replay_command
from hftkit.codes import MessageType
from hftkit.exchange.market.history.files import save_history, with_grades
from hftkit.kernels.market.queue import ESTIMATES
from hftkit.kernels.wire.frame import header
from hftkit.params.format import FrozenParams, freeze
from hftkit.session.fill_stats import filled
from hftkit.session.replay import replay
from research.backtest.event_backtest import backtest_bars
from research.cli.backtest_commands import backtest as command
from tests.support import AAA, BBB, frozen_pair

START, NS = 1_700_000_000_000_000_000, 1_000_000_000
BBO, TRADE = int(MessageType.BBO), int(MessageType.TRADE)
PAIRS = {
    **{"hedge_ratio": "1.0", "bar_ns": NS, "window": 30, "entry_z": "1.5", "exit_z": "0.3", "stop_z": "6.0"},
    **{"max_holding_bars": 100, "max_imbalance": "1.0"},
}
SLOW = Latency(market_data_ns=100_000, order_ns=300_000, answer_ns=200_000, jitter_ns=200_000)


def market(seed: int = 1, seconds: int = 600, per_s: int = 8) -> np.ndarray:
    """Two instruments whose difference reverts: quotes, and prints at the touch, int64 (n, 7)."""
    rng = np.random.default_rng(seed)
    n = seconds * per_s
    common, gap = np.cumsum(rng.normal(0, 1.0, n)), np.zeros(n)
    for i, shock in enumerate(rng.normal(0, 1.2, n - 1), start=1):
        gap[i] = gap[i - 1] * 0.997 + shock
    mids = np.stack([10_000 + common + gap, 2000 + common / 5]).round().astype(np.int64)
    name, is_quote, side = rng.integers(0, 2, n), rng.random(n) < 0.5, rng.integers(0, 2, n)
    tape, touch = np.zeros((n, 7), np.int64), [10_000, 2000]
    tape[:, 2] = START + np.sort(rng.integers(0, seconds * NS, n))
    for i in range(n):
        k = int(name[i])
        if is_quote[i]:
            touch[k] = int(mids[k, i])
            tape[i, 3:] = touch[k] - 1, rng.integers(20, 300), touch[k] + 1, rng.integers(20, 300)
        else:
            tape[i, 3:] = i, side[i], touch[k] + 1 - 2 * side[i], rng.integers(1, 120)
        tape[i, 0] = header(BBO if is_quote[i] else TRADE, 7, k)
    for word in np.unique(tape[:, 0]):
        tape[tape[:, 0] == word, 1] = np.arange(1, int((tape[:, 0] == word).sum()) + 1)
    return tape


def maker_first(patience_ns: int = 3 * NS, **leg: int) -> FrozenParams:
    return frozen_pair("pairs", PAIRS, maker_patience_ns=patience_ns, **leg)


def test_the_command_s_journal_replays_bit_for_bit(tmp_path: Path) -> None:
    frozen, path = freeze(maker_first(), tmp_path), save_history(with_grades("two", market(), (AAA, BBB), {}), tmp_path / "h.npz")
    options = [str(frozen), "--history", str(path), "--queue", "pessimistic", "--order-latency-us", "300", "--json"]
    done = CliRunner().invoke(command, [*options, "--journal", str(tmp_path / "j")], catch_exceptions=False)
    body = json.loads(done.stdout)
    assert body["execution"]["posts"] > 50
    assert 0.2 < body["execution"]["lead_ratio"] < 1
    assert body["execution"]["cancels_sent"] > 20
    verified = CliRunner().invoke(replay_command, [str(tmp_path / "j"), "--verify"], catch_exceptions=False)
    assert verified.exit_code == 0, verified.output
    session = replay(tmp_path / "j").rooms.session[0]
    assert (session["n_orders"], session["n_cancels"]) == (body["orders"], body["execution"]["cancels_sent"])
    assert json.loads(CliRunner().invoke(command, options, catch_exceptions=False).stdout)["state"] == body["state"]


@pytest.mark.parametrize("latency", [Latency(), SLOW])
def test_no_estimate_and_no_latency_leaves_a_doubt(latency: Latency) -> None:
    """Two maker-first strategies and one that takes: nothing unknown or illegal, positions by fills, each at its fee."""
    pairs = [maker_first(), maker_first(500_000_000, reprice_ticks=2), frozen_pair("pairs", PAIRS)]
    config = session_of(pairs)
    runs = backtest_estimates(config, market(2), latency=latency, timer_ns=50_000_000)
    for run in runs.values():
        session, sign = run.rooms.session[0], 1 - 2 * run.fills[:, 2]
        assert (session["n_illegal"], session["n_unknown"], session["n_queries"], session["n_malformed"]) == (0, 0, 0, 0)
        assert session["n_post_refused"] + session["n_rejects"] == run.rejects
        for i, instrument in enumerate(config.instruments):
            mine = run.fills[:, 1] == i
            assert run.rooms.ledger[i]["position"] == (sign * run.fills[:, 4])[mine].sum()
            ppm = np.where(run.fills[:, 6] == 1, instrument.maker_fee_ppm, instrument.taker_fee_ppm)
            assert (run.fills[:, 5] == run.fills[:, 3] * run.fills[:, 4] * instrument.tick_lot_e8 * ppm // 10**6)[mine].all()
        done = filled(run.rooms.ledger, run.rooms.legs, session)
        assert 0.1 < done.lead_ratio < 0.9
        assert run.maker_share > 0.1
        assert (run.queue[0, 1:3] >= run.queue[0, 2:4]).all()
    by_estimate = [float(runs[name].fills[runs[name].fills[:, 6] == 1, 4].sum()) for name in ESTIMATES]
    assert by_estimate[0] > max(by_estimate[1:])
    assert any(run.queue[0, 2] > run.queue[0, 3] for run in runs.values())
    assert [line.split()[0] for line in estimates_table(runs)[1:]] == list(ESTIMATES)


def test_posting_is_cheaper_than_taking_where_the_prints_come() -> None:
    tape = market(3)
    fees = [int(backtest(session_of(maker_first(patience)), tape, timer_ns=50_000_000).rooms.ledger["fees_e8"].sum()) for patience in (0, 5 * NS)]
    assert fees[1] < fees[0] / 2


def test_on_bars_the_lead_is_pulled_before_each_close_and_taken_in_the_end() -> None:
    """A tape of bars withdraws the lead between two closes (bars_to_tape), and an order rests only while both books are whole."""
    rng = np.random.default_rng(5)
    gap = np.zeros(300)
    for i in range(1, 300):
        gap[i] = 0.9 * gap[i - 1] + rng.normal(0, 5)
    index = pd.date_range("2025-01-01", periods=300, freq="1s", tz="UTC")
    closes = pd.DataFrame({"AAAUSD": (10_000 + gap.round()) * 0.01, "BBBUSD": np.full(300, 2000 * 0.05)}, index)
    run = backtest_bars(maker_first(3 * NS), closes)
    assert run.engine.rooms.legs[0]["n_posts"] > 20
    assert run.engine.maker_share == 0.0
    assert run.engine.rooms.legs[0]["n_entries"] > 3
