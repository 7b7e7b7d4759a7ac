"""A new user's path: own candles, a frozen file, a market to rehearse it in, a session, its replay. Six commands, none of them edited by hand."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from hftkit.codes import Control
from hftkit.exchange.config import load_config
from hftkit.params.format import load
from hftkit.session.child_process import LiveSession, Simulator
from hftkit.session.replay import replay
from research.cli.commands import freeze
from research.cli.data_commands import data
from tests.unit.research.synthetic_market import candles_of, make_prices

MOST_SECONDS = 240.0  # it is stopped once it has traded; on a slow start the window of the spread is collected afresh first
SPEED = 600.0


def run(command, *arguments):
    done = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Candles of five symbols in a folder, and what a venue would say of them."""
    place = tmp_path_factory.mktemp("my") / "candles"
    place.mkdir()
    prices = make_prices(3000, pairs=1, walks=3)
    rows = []
    for symbol in prices:
        candles_of(prices[symbol], volume=50_000.0).to_parquet(place / f"{symbol}.parquet")
        filters = [
            {"filterType": "PRICE_FILTER", "minPrice": "0.0001", "maxPrice": "100000", "tickSize": "0.0001"},
            {"filterType": "LOT_SIZE", "minQty": "0.01", "maxQty": "1000000", "stepSize": "0.01"},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ]
        rows.append({"symbol": symbol, "contractType": "PERPETUAL", "status": "TRADING", "filters": filters})
    (place.parent / "exchangeInfo.json").write_text(json.dumps({"symbols": rows}))
    return place


@pytest.mark.slow  # 28 s of CPU time: pytest -m slow tests/contract/test_own_candles.py
def test_from_own_candles_to_a_session_and_its_replay(folder):
    my = folder.parent
    run(data, "instruments", my / "exchangeInfo.json", "--for", folder, "--fees-ppm", "20,50")
    said = json.loads(run(freeze, folder, "--out", my / "frozen", "--unit-notional", "2000", "--json"))
    frozen = load(said["path"])
    assert {one.symbol for one in frozen.instruments} == {"A0USDT", "B0USDT"}
    assert "guessed" not in frozen.provenance
    run(data, "market-like", folder, "--params", said["path"], "-o", my / "sim.toml", "--speed", SPEED)
    made = load_config(my / "sim.toml")
    pair = next(row for row in made.instruments if row.cointegrated)
    assert (pair.symbol, pair.cointegrated.hedge) == (frozen.legs.lead, frozen.legs.hedge)
    assert pair.cointegrated.hedge_ratio == pytest.approx(float(frozen.parameters["hedge_ratio"]), abs=1e-6)
    with Simulator(my, SPEED, my / "sim.toml") as simulator:
        simulator.wait_ready()
        with LiveSession(said["path"], simulator.ready_file, my / "journals", "first", MOST_SECONDS) as session:
            session.wait_until(lambda now: int(now.session["n_fills"]) >= 2)
            session.command(Control.STOP)
            result = session.wait()
        simulator.stop()
    assert result["exit_code"] == 0
    assert result["market_data_frames"] > 0
    assert set(result["end_positions"].values()) == {0}
    assert result["fills"] >= 4  # in and out again
    assert replay(my / "journals" / "first").identical
