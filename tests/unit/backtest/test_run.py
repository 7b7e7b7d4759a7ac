"""The simulated venue and the loop around the step: quantities, times, order of events, many runs at once."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from hftkit.backtest.run import BacktestResult, Latency, backtest, backtest_many, bars_to_tape, quotes_to_tape, session_of, with_parameters
from hftkit.benchmarks.engine_rooms import bench_config
from hftkit.errors import DataError
from hftkit.session.replay import replay

BUY_ONE_UNIT = bench_config().strategies[0]  # wants +100 lead lots and -80 hedge lots, whatever the market does
START = 1_000_000_000_000


def tape(lead_lots: int = 1000, hedge_lots: int = 1000, rows: int = 40, step_ns: int = 1_000_000) -> np.ndarray:
    """Both instruments quoted in turn, prices fixed: lead 9999/10001, hedge 1999/2001."""
    names = np.arange(rows) % 2
    lots = np.where(names == 0, lead_lots, hedge_lots)
    bid, ask = np.where(names == 0, 9999, 1999), np.where(names == 0, 10001, 2001)
    return quotes_to_tape(START + np.arange(rows) * step_ns, names, bid, lots, ask, lots)


def fills(result: BacktestResult, instrument: int) -> list[tuple[int, int, int]]:
    """(side, price, lots) of one instrument."""
    return [(int(f[2]), int(f[3]), int(f[4])) for f in result.fills if f[1] == instrument]


def test_fills_at_the_touch_and_hedges():
    result = backtest(session_of(BUY_ONE_UNIT), tape())
    assert fills(result, 0) == [(0, 10001, 100)]
    assert fills(result, 1) == [(1, 1999, 80)]
    legs = result.rooms.legs[0]
    assert (legs["lead_position"], legs["hedge_position"], legs["n_entries"]) == (100, -80, 1)
    notional = 10001 * 100 * int(result.rooms.instruments[0]["tick_lot_e8"])
    assert result.fills[0, 5] == notional * 100 // 1_000_000


def test_shown_quantity_is_taken_once_until_the_next_quote():
    result = backtest(session_of(BUY_ONE_UNIT), tape(lead_lots=30))
    lead = fills(result, 0)
    assert [qty for _, _, qty in lead] == [30, 30, 30, 10]
    lead_times = [int(f[0]) for f in result.fills if f[1] == 0]
    assert len(set(lead_times)) == 4  # one a quote: what was taken is gone
    assert result.rooms.legs[0]["hedge_position"] == -80


def test_an_order_meets_the_market_of_its_arrival():
    quotes = quotes_to_tape(
        START + np.array([0, 1, 2, 3, 10, 11, 20, 21, 30, 31]) * 1_000_000,
        np.array([0, 1] * 5),
        np.array([9999, 1999, 9999, 1999, 10009, 1999, 10009, 1999, 10009, 1999]),
        np.full(10, 1000),
        np.array([10001, 2001, 10001, 2001, 10011, 2001, 10011, 2001, 10011, 2001]),
        np.full(10, 1000),
    )
    plan = msgspec.structs.replace(BUY_ONE_UNIT.legs, slippage_ticks=50)
    slow = msgspec.structs.replace(BUY_ONE_UNIT, legs=plan)
    assert fills(backtest(session_of(slow), quotes), 0)[0] == (0, 10001, 100)
    late = backtest(session_of(slow), quotes, latency=Latency(order_ns=10_500_000))
    assert fills(late, 0)[0] == (0, 10011, 100)
    missed = backtest(session_of(BUY_ONE_UNIT), quotes, latency=Latency(order_ns=10_500_000))  # a limit 5 ticks through is left behind
    assert missed.rooms.session[0]["n_canceled"] >= 1
    assert missed.fills[0, 0] > late.fills[0, 0]  # filled only by a second attempt, at the new price


def test_signals_without_a_z_score_are_counted():
    session = backtest(session_of(BUY_ONE_UNIT), tape()).rooms.session[0]  # a fixed target has none, ever
    assert session["n_not_finite"] == session["n_signals"] > 0


def test_a_timer_runs_what_no_quote_would():
    plan = msgspec.structs.replace(BUY_ONE_UNIT.legs, retry_ns=0)
    config = session_of(msgspec.structs.replace(BUY_ONE_UNIT, legs=plan))
    silent = backtest(config, tape(rows=6, step_ns=10_000_000_000))
    ticking = backtest(config, tape(rows=6, step_ns=10_000_000_000), timer_ns=1_000_000_000)
    assert silent.rooms.session[0]["n_timers"] == 0
    assert ticking.rooms.session[0]["n_timers"] == 50


def test_many_runs_do_not_depend_on_the_threads():
    configs = [session_of(with_parameters(BUY_ONE_UNIT, target=target)) for target in (1, 0, -1, 1)]
    one = [result.digest for result in backtest_many(configs, tape(), threads=1)]
    three = [result.digest for result in backtest_many(configs, tape(), threads=3)]
    assert one == three
    assert one[0] == one[3] != one[2]


def test_a_journal_over_several_latencies_replays(tmp_path):
    latency = Latency(market_data_ns=700, order_ns=300_000, answer_ns=200_000, jitter_ns=100_000)
    result = backtest(session_of(BUY_ONE_UNIT), tape(lead_lots=30), latency=latency, timer_ns=500_000, journal=tmp_path / "j")
    replayed = replay(tmp_path / "j")
    assert replayed.identical, replayed.difference
    assert replayed.ended
    assert int(replayed.rooms.session[0]["n_orders"]) == result.orders


def test_what_is_no_tape_is_refused():
    config = session_of(BUY_ONE_UNIT)
    with pytest.raises(DataError, match="quote 1 is earlier"):
        quotes_to_tape(np.array([2, 1]), np.zeros(2), np.ones(2), np.ones(2), np.ones(2), np.ones(2))
    with pytest.raises(DataError, match="a tape is int64"):
        backtest(config, np.zeros((0, 7), np.int64))
    with pytest.raises(DataError, match="instruments the session does not have"):
        backtest(config, quotes_to_tape(np.array([1]), np.array([7]), np.ones(1), np.ones(1), np.ones(1), np.ones(1)))
    with pytest.raises(DataError, match="leave no bid"):
        bars_to_tape(np.array([1]), np.array([5]), np.array([1]), 0, (1, 1))
    with pytest.raises(DataError, match="negative time"):
        Latency(order_ns=-1)
