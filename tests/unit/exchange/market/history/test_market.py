"""The fill contract by hand: what each grade of data and each estimate gives to one order; history over TCP; what is no history is refused."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hftkit.errors import ConfigError, DataError
from hftkit.exchange.cli.commands import serve, sim
from hftkit.exchange.market.history.build import HistoryPlan, queue_table
from hftkit.exchange.market.history.files import HistoryTape, check_tape, config_for, load_history, save_history
from hftkit.exchange.market.history.market import CANDLES, DEPTH, QUOTES, ROW, TRADES
from hftkit.exchange.market.history.rehearsal import rehearse, rehearse_all, small_venue
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.testing import SUBSCRIBE, FollowerBook, PlainClient
from tests.unit.exchange.market.history.tapes import BUY, SELL, START, bbo, config, depth, history, requests, trade
from tests.unit.exchange.running import HOST, simulator

BUY_30 = requests({"t": 5, "client_order_id": 1, "side": BUY, "price": 100, "qty": 30})


def filled(tape: HistoryTape, wanted: np.ndarray = BUY_30, participation: float | None = None) -> dict[str, list[tuple[int, int, int]]]:
    """(t after START, price, lots) of each fill, by estimate."""
    done = rehearse_all(HistoryPlan(tape, participation=participation), wanted, config=config())
    return {name: [(int(f[0]) - START, int(f[5]), int(f[6])) for f in one.fills] for name, one in done.items()}


def test_the_queue_of_a_recorded_level() -> None:
    rows = [bbo(0, 100, 50, 101, 50), *(trade(10 + i, SELL, 100, 20) for i in range(5))]
    assert filled(history(rows, QUOTES)) == {
        "optimistic": [(10, 100, 20), (11, 100, 10)],
        "neutral": [(12, 100, 10), (13, 100, 20)],
        "pessimistic": [(12, 100, 10), (13, 100, 20)],
    }


def test_cancels_ahead_count_for_neutral_only() -> None:
    rows = [bbo(0, 100, 50, 101, 50), bbo(7, 100, 100, 101, 50), bbo(8, 100, 60, 101, 50), *(trade(10 + i, SELL, 100, 20) for i in range(3))]
    assert filled(history(rows, QUOTES)) == {
        "optimistic": [(10, 100, 20), (11, 100, 10)],
        "neutral": [(11, 100, 10), (12, 100, 20)],  # 40 of 100 cancelled, 20 of them ahead
        "pessimistic": [(12, 100, 10)],
    }


def test_nobody_is_ahead_who_no_longer_stands_there() -> None:
    rows = [bbo(0, 100, 50, 101, 50), bbo(8, 100, 10, 101, 50), trade(10, SELL, 100, 20), trade(11, SELL, 100, 20)]
    got = filled(history(rows, QUOTES))
    assert got["neutral"] == got["pessimistic"] == [(10, 100, 10), (11, 100, 20)]
    gone = [bbo(0, 100, 50, 101, 50), bbo(8, 99, 10, 101, 50), trade(10, SELL, 100, 20)]  # the best bid went away: whoever was ahead has left
    assert filled(history(gone, QUOTES))["pessimistic"] == [(10, 100, 20)]


def test_cancels_are_spread_over_the_queue_and_prints_are_no_cancels() -> None:
    rows = [
        depth(0, BUY, 100, 60), depth(1, SELL, 101, 60),
        depth(6, BUY, 100, 100),  # 40 join behind
        trade(7, SELL, 100, 20), depth(8, BUY, 100, 80),  # a print and the level it leaves: no cancel; 40 ahead of 80
        depth(9, BUY, 100, 60),  # 20 cancelled, half of them ahead: 30 ahead
        trade(10, SELL, 100, 29), trade(11, SELL, 100, 5), trade(12, SELL, 100, 15),
    ]  # fmt: skip
    got = filled(history(rows, DEPTH))
    assert got["neutral"] == [(11, 100, 4), (12, 100, 15)]
    assert got["pessimistic"] == [(12, 100, 9)]


def test_a_print_beyond_the_price_fills_in_every_estimate() -> None:
    rows = [bbo(0, 100, 500, 101, 50), trade(10, SELL, 99, 25)]
    assert set(map(tuple, filled(history(rows, QUOTES)).values())) == {((10, 100, 25),)}


def test_a_price_that_nobody_showed_is_the_front_of_the_queue() -> None:
    rows = [bbo(0, 99, 500, 103, 50), trade(10, SELL, 100, 25)]
    assert set(map(tuple, filled(history(rows, QUOTES)).values())) == {((10, 100, 25),)}


def test_an_offer_at_the_bid_trades_with_it() -> None:
    rows = [bbo(0, 100, 500, 101, 50), bbo(10, 98, 10, 100, 12)]
    assert set(map(tuple, filled(history(rows, QUOTES)).values())) == {((10, 100, 12),)}


def test_candles_touch_and_trade_through_with_a_part_of_the_volume() -> None:
    rows = [trade(1, BUY, 104, 100), trade(10, SELL, 100, 100), trade(20, SELL, 100, 250), trade(30, SELL, 99, 100)]
    got = filled(history(rows, CANDLES))
    assert got["optimistic"] == [(10, 100, 10), (20, 100, 20)]  # a tenth of each print that touches, then what is left
    assert got["neutral"] == [(20, 100, 25), (30, 100, 5)]  # one typical print (100 lots) ahead
    assert got["pessimistic"] == [(30, 100, 10)]  # only beyond the price


def test_a_market_order_takes_what_history_shows_once() -> None:
    wanted = requests(
        {"t": 5, "client_order_id": 1, "side": BUY, "order_type": 1, "tif": 1, "qty": 40},
        {"t": 6, "client_order_id": 2, "side": BUY, "order_type": 1, "tif": 1, "qty": 40},
    )
    rows = [bbo(0, 100, 50, 101, 50), trade(10, SELL, 100, 1)]
    assert filled(history(rows, QUOTES), wanted)["neutral"] == [(5, 101, 40), (6, 101, 10)]


def test_orders_share_a_print_by_price_then_time() -> None:
    wanted = requests(*({"t": 5, "client_order_id": i, "side": BUY, "price": 100 - i // 3, "qty": 10} for i in (1, 2, 3)))
    rows = [bbo(0, 98, 50, 101, 50), trade(10, SELL, 99, 25)]
    done = rehearse(HistoryPlan(history(rows, QUOTES)), wanted, config=config())
    assert [(int(f[1]), int(f[5]), int(f[6])) for f in done.fills] == [(1, 100, 10), (2, 100, 10), (3, 99, 5)]


def test_fees_and_equity_of_a_round_trip() -> None:
    wanted = requests(
        {"t": 5, "client_order_id": 1, "side": BUY, "price": 101, "qty": 10, "tif": 1},
        {"t": 15, "client_order_id": 2, "side": SELL, "price": 110, "qty": 10, "tif": 1},
    )
    done = rehearse(HistoryPlan(history([bbo(0, 100, 50, 101, 50), bbo(10, 110, 50, 111, 50)], QUOTES)), wanted, config=config())
    lot_tick = 1000  # 0.01 * 0.001 in 1e-8
    assert done.equity_change_e8 == (110 - 101) * 10 * lot_tick - (110 + 101) * 10 * lot_tick * 500 // 1_000_000
    assert queue_table(done.report) == ["no order rested in the queues of history"]


def test_history_over_tcp_is_a_whole_market(tmp_path: Path) -> None:
    rows = [depth(0, BUY, 100, 50, False), depth(0, SELL, 101, 50)]
    for i in range(400):
        t = 100_000_000 + i * 5_000_000
        rows += [trade(t, SELL, 100, 5), depth(t, BUY, 100, 30 + i % 7)]
    plan = HistoryPlan(load_history(save_history(history(rows, DEPTH), tmp_path / "h.npz")), "neutral", hold=True)
    with simulator(small_venue(config(), max_clients=4), history=plan) as running:
        trader, data, book = running.trader(7), running.data(0), FollowerBook()
        data.send(SUBSCRIBE, 7)
        assert data.receive().name == "INSTRUMENT"
        trader.order(1, 0, BUY, 100, 20)
        assert trader.receive().name == "ORDER_ACK"
        fills = [message for message in trader.until("ORDER_FILL") if message.name == "ORDER_FILL"]
        while sum(fill.qty for fill in fills) < 20:
            fills.append(trader.receive())
        assert {(fill.price, fill.maker) for fill in fills} == {(100, 1)}
        printed = 0
        while printed < 20:
            message = data.receive()
            book.apply(message)
            printed += message.qty if message.name == "TRADE" else 0
        assert book.levels[1] == {101: 50}
    report = running.server.summary()["history"]
    assert report["queue"][0]["neutral_lots"] == 20
    assert report["queue"][0]["optimistic_lots"] == 20


def test_at_maximum_rate_it_waits_for_a_listener_and_one_who_reads_slowly_loses_nothing(tmp_path: Path) -> None:
    rows = [depth(0, BUY, 100, 50, False), depth(0, SELL, 101, 50), *(depth(1 + i, BUY, 100, 1 + i % 50) for i in range(40_000))]
    server = BinaryServer(small_venue(config(), max_clients=4), history=HistoryPlan(history(rows, DEPTH), rate=None, hold=True))
    order_port, market_port = server.start(HOST, 0, 0)
    with PlainClient(HOST, order_port), PlainClient(HOST, market_port) as data:
        for _ in range(3):
            server.run_slice(5_000_000)
        assert server.shell.history.io[ROW] == 0  # connections alone would miss the beginning
        data.send(SUBSCRIBE, 7)
        thread = threading.Thread(target=serve, args=(server, server.run_slice, threading.Event(), None))
        thread.start()
        seen = []
        while not seen or (seen[-1].name, seen[-1].body.get("open")) != ("MARKET_STATUS", 0):  # the end is told
            seen.append(data.receive())
        thread.join()
        server.close()
        with pytest.raises(EOFError):
            data.receive()
    levels = [message for message in seen if message.name == "DEPTH"]
    assert [message.seq for message in levels] == list(range(1, len(rows) + 1))  # of 2 MB through a buffer of 128 KB
    assert [message.qty for message in levels[2:]] == [1 + i % 50 for i in range(40_000)]
    assert server.summary()["slow_consumer_drops"] == 0


def test_the_command_plays_a_history_to_its_end(tmp_path: Path) -> None:
    path = save_history(history([bbo(0, 100, 50, 101, 50), trade(10, SELL, 100, 1), trade(20, SELL, 99, 1)], QUOTES), tmp_path / "h.npz")
    done = CliRunner().invoke(
        sim, ["--history", str(path), "--rate", "max", "--order-port", "0", "--market-port", "0", "--json"], catch_exceptions=False
    )
    played = json.loads(done.stdout.splitlines()[-1])
    assert played["history"]["rows"] == played["history"]["of_rows"] == 3
    assert played["trades"] == 2
    refused = CliRunner().invoke(sim, ["--history", str(path), "--rate", "soon"])
    assert isinstance(refused.exception, ConfigError)


def test_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    tape = history([bbo(0, 100, 50, 101, 50), trade(10, SELL, 100, 1)], QUOTES)
    again = load_history(save_history(tape, tmp_path / "h.npz"))
    assert again.digest == tape.digest
    assert (again.instruments, again.grades, again.name) == (tape.instruments, tape.grades, tape.name)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([bbo(5, 100, 1, 101, 1), bbo(4, 100, 1, 101, 1)], "row 1 is earlier"),
        ([bbo(5, 100, 1, 100, 1)], "a bid at or above"),
        ([bbo(5, 100, 0, 101, 1)], "without a quantity"),
        ([trade(5, 2, 100, 1)], "without side"),
        ([trade(5, 0, 100, 0)], "without side, price or quantity"),
        ([depth(5, 0, 0, 1)], "level without side or price"),
        ([[0, 0, 0, 1, 1, 2, 1]], "no BBO"),
        ([trade(5, 0, 2**44, 1)], "beyond 2"),
    ],
)
def test_what_can_be_no_market_is_refused(rows: list[list[int]], what: str) -> None:
    with pytest.raises(DataError, match=what):
        check_tape(history(rows, QUOTES), "here")


def test_files_and_plans_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is nothing"):
        load_history(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match="hftkit data history"):
        load_history(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", tape=np.zeros(3))
    with pytest.raises(DataError, match="is no history file"):
        load_history(tmp_path / "other.npz")
    tape = history([trade(1, BUY, 100, 1), trade(2, BUY, 900, 1)], TRADES)
    with pytest.raises(DataError, match="moves over 800 ticks"):
        config_for(tape, config())
    with pytest.raises(ConfigError, match="participation"):
        HistoryPlan(tape, participation=0.0)
    with pytest.raises(ConfigError, match="queue estimate"):
        HistoryPlan(tape, "hopeful")
