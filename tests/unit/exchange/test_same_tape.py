"""Same seed, same tape: a live venue trades what `make_ticks` does, whatever its speed, with and without clients that only look or rest far away."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hftkit.exchange.config import load_config
from hftkit.exchange.market.flow.scenarios import load_scenario
from hftkit.exchange.market.ticks import make_ticks
from hftkit.exchange.testing import SUBSCRIBE, PlainClient
from research.market.market_data import load_market_data
from tests.unit.exchange.running import HOST
from tests.unit.exchange.test_recorder import TRADE, Recorded, frames, logon_frame

CONFIG = load_config()


def expected(minutes: int, scenario: str | None = None, universe: str | None = None) -> np.ndarray:
    """(instrument, side, price, quantity) of every trade."""
    trades = make_ticks(load_config(universe), minutes, scenario=load_scenario(scenario) if scenario else None).trades
    return np.stack([trades[name] for name in ("instrument", "side", "price", "qty")], axis=1)


@pytest.fixture(scope="module")
def made() -> np.ndarray:
    return expected(30)


@pytest.mark.parametrize(("speed", "clients"), [(200.0, False), (3000.0, False), (600.0, True)])
def test_a_live_venue_gives_the_same_trades(tmp_path: Path, made: np.ndarray, speed: float, clients: bool) -> None:
    run = Recorded(tmp_path / "run", speed=speed)
    lookers = []
    if clients:
        trader, reader = PlainClient(HOST, run.ports[0]), PlainClient(HOST, run.ports[1])
        trader.seq += 1
        trader.socket.sendall(logon_frame())
        reader.send(SUBSCRIBE, 7)
        run.run(5)
        trader.order(1, 0, 0, int(run.server.venue.books.tops[0]["bid"]) // 2, 5)  # rests at half the price: nobody meets it
        lookers = [trader, reader]
    run.run(60)
    for client in lookers:
        client.close()
    run.run(5)
    assert int(run.server.venue.state[0]["n_client_orders"]) == int(clients)
    run.close()
    rows = frames(tmp_path / "run", TRADE)
    seen = np.stack([rows[:, 0] >> 32 & 0xFFFF, rows[:, 4], rows[:, 5], rows[:, 6]], axis=1)
    n = min(len(seen), len(made))
    assert n > 100
    assert np.array_equal(seen[:n], made[:n])


def test_a_scenario_from_the_command_line_brings_its_universe_and_is_the_tape_of_make_ticks(tmp_path: Path) -> None:
    """A real process, faster than it can be followed by eye: twenty exchange minutes, the coin at 0.91 by then."""
    command = [sys.executable, "-m", "hftkit.cli", "sim", "--scenario", "depeg", "--record", str(tmp_path / "run"), "--order-port", "0"]
    done = subprocess.run([*command, "--market-port", "0", "--speed", "1200", "--duration", "1.5", "--json"], check=True, capture_output=True)
    assert json.loads(done.stdout)["trades"] > 1000
    config, wanted = load_config("stablecoins"), expected(32, "depeg", "stablecoins")
    market = load_market_data(tmp_path / "run")
    for i, row in enumerate(config.instruments):
        trades, mine = market.trades(row.symbol), wanted[wanted[:, 0] == i]
        n = min(len(trades), len(mine))
        assert n > 200
        assert np.rint(trades["price"].to_numpy()[:n] / float(row.tick_size)).tolist() == mine[:n, 2].tolist()
    assert market.trades("XUSDUSD")["price"].min() < 0.93
