"""The engine over a history: quotes and depth give the same decisions, its journal replays, and posting is measured under three estimates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hftkit.backtest.run import session_of
from hftkit.benchmarks.engine_rooms import HEDGE, LEAD, bench_config
from hftkit.codes import MessageType, Side
from hftkit.errors import DataError
from hftkit.exchange.market.history.files import HistoryTape, save_history, with_grades
from hftkit.instruments import Instrument
from hftkit.kernels.market.queue import ESTIMATES
from hftkit.kernels.wire.frame import header
from hftkit.params.format import freeze
from hftkit.session.replay import replay
from research.backtest.history_backtest import backtest_history, engine_tape
from research.cli.backtest_commands import backtest as command

START = 1_700_000_000_000_000_000
BUY_ONE_UNIT = bench_config().strategies[0]  # wants +100 lead lots and -80 hedge lots, whatever the market does
BBO, TRADE, DEPTH = int(MessageType.BBO), int(MessageType.TRADE), int(MessageType.DEPTH)
BUY, SELL = int(Side.BUY), int(Side.SELL)


def history(as_depth: bool = False, hedge_first: bool = False) -> HistoryTape:
    """Both quoted in turn for a second, then prints that serve the queue of 1,000 lots at the lead's bid, and the hedge's ask with 30 lots."""
    lead, hedge = (1, 0) if hedge_first else (0, 1)
    rows: list[list[int]] = []

    def quote(t: int, number: int, bid: int, ask: int) -> None:
        if as_depth:
            rows.append([header(DEPTH, 7, number), 0, START + t, BUY, 0, bid, 1000])
            rows.append([header(DEPTH, 7, number), 0, START + t, SELL, 1, ask, 1000])
        else:
            rows.append([header(BBO, 7, number), 0, START + t, bid, 1000, ask, 1000])

    for i in range(20):
        quote(i * 50_000_000, lead, 9999, 10_001)
        quote(i * 50_000_000 + 10, hedge, 1999, 2001)
    for i in range(11):
        rows.append([header(TRADE, 7, lead), 0, START + 2_000_000_000 + i, i, SELL, 9999, 100])
    rows.append([header(TRADE, 7, hedge), 0, START + 3_000_000_000, 50, BUY, 2001, 30])
    scales = (HEDGE, LEAD) if hedge_first else (LEAD, HEDGE)
    return with_grades("two", np.array(rows, np.int64), scales, {})


def test_it_takes_at_the_touch_and_posting_is_measured_by_three_estimates() -> None:
    run = backtest_history(BUY_ONE_UNIT, history())
    assert run.fills[["symbol", "side", "price", "qty"]].to_numpy().tolist() == [
        ["LEADUSD", "buy", 10_001 * float(LEAD.tick_size), 100 * float(LEAD.lot_size)],
        ["HEDGEUSD", "sell", 1999 * float(HEDGE.tick_size), 80 * float(HEDGE.lot_size)],
    ]
    share = run.posted["filled_share"]
    assert share["optimistic"] == pytest.approx((100 + 30) / 180)
    assert share["neutral"] == share["pessimistic"] == pytest.approx(100 / 180)  # 1,000 lots ahead, 1,100 printed
    assert run.posted.loc["neutral", "price_gain"] == pytest.approx(2 * 100 * LEAD.tick_lot_e8 / 1e8)  # bought two ticks cheaper
    fees = 100 * LEAD.tick_lot_e8 * (10_001 * LEAD.taker_fee_ppm - 9999 * LEAD.maker_fee_ppm) / 1e14
    assert run.posted.loc["neutral", "fee_gain"] == pytest.approx(fees, abs=1e-7)
    assert run.posted["orders"].tolist() == [2, 2, 2]


def test_depth_and_another_order_of_instruments_are_the_same_market() -> None:
    config = session_of(BUY_ONE_UNIT)
    from_quotes, from_depth = engine_tape(history(), config), engine_tape(history(as_depth=True), config)
    swapped = engine_tape(history(hedge_first=True), config)
    assert swapped.tolist() == from_quotes.tolist()
    kind = from_quotes[:, 0] >> 16 & 0xFF
    assert from_depth[from_depth[:, 0] >> 16 & 0xFF == TRADE].tolist() == from_quotes[kind == TRADE].tolist()
    quotes = from_depth[from_depth[:, 0] >> 16 & 0xFF == BBO]
    assert quotes[:, 3:].tolist() == [[9999, 1000, 10_001, 1000], [1999, 1000, 2001, 1000]]  # told once: nothing changed after
    assert backtest_history(BUY_ONE_UNIT, history(as_depth=True)).fills.equals(backtest_history(BUY_ONE_UNIT, history()).fills)


def test_its_journal_replays_and_the_command_prints_the_table(tmp_path: Path) -> None:
    run = backtest_history(BUY_ONE_UNIT, history(), journal=tmp_path / "journal")
    replayed = replay(tmp_path / "journal")
    assert replayed.identical, replayed.difference
    assert int(replayed.rooms.session[0]["n_orders"]) == run.engine.orders == 2
    frozen, path = freeze(BUY_ONE_UNIT, tmp_path), save_history(history(), tmp_path / "h.npz")
    done = CliRunner().invoke(command, [str(frozen), "--history", str(path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()[3:]] == [["optimistic", "72.2%"], ["neutral", "55.6%"], ["pessimistic", "55.6%"]]


def test_the_three_estimates_side_by_side_as_a_table_and_as_json(tmp_path: Path) -> None:
    """This strategy only takes: the queue makes no difference, and all three runs end in the same state."""
    frozen, path = str(freeze(BUY_ONE_UNIT, tmp_path)), str(save_history(history(), tmp_path / "h.npz"))
    done = CliRunner().invoke(command, [frozen, "--history", path, "--queue", "all"], catch_exceptions=False)
    assert [line.split()[:4] for line in done.stdout.splitlines()[2:]] == [[name, "2", "2", "0.0%"] for name in ESTIMATES]
    body = json.loads(CliRunner().invoke(command, [frozen, "--history", path, "--queue", "all", "--json"], catch_exceptions=False).stdout)
    assert list(body["estimates"]) == list(ESTIMATES)
    assert {run["state"] for run in body["estimates"].values()} == {backtest_history(BUY_ONE_UNIT, history()).engine.digest}
    refused = CliRunner().invoke(command, [frozen, "--queue", "all", "--journal", str(tmp_path / "j")])
    assert isinstance(refused.exception, DataError)


def test_other_scales_and_missing_instruments_are_refused() -> None:
    config, made = session_of(BUY_ONE_UNIT), history()
    other = HistoryTape("other", made.tape, (Instrument(symbol="LEADUSD", tick_size="1", lot_size="1"), HEDGE), made.grades)
    with pytest.raises(DataError, match="LEADUSD has tick 1 and lot 1 in the history"):
        engine_tape(other, config)
    alone = HistoryTape("alone", made.tape[made.tape[:, 0] >> 32 == 0], (LEAD,), made.grades[:1])
    with pytest.raises(DataError, match="the history alone has no HEDGEUSD"):
        engine_tape(alone, config)
