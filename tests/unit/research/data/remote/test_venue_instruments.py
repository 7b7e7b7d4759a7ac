"""exchangeInfo -> instruments.json: documented rows, spot and futures, fees known and guessed, and a running simulator asked over HTTP."""

from __future__ import annotations

import json

import msgspec
import pytest
from click.testing import CliRunner

from hftkit.errors import DataError
from hftkit.exchange.config import load_config
from research.cli.data_commands import data
from research.data.instruments import find_scales, load_instruments, load_scales
from research.data.remote.venue_instruments import venue_instruments, write_scales
from tests.unit.research.synthetic_market import candles_of

# Rows as Binance documents them (USD-M "Exchange Information", spot "Exchange information"), cut to the filters that matter
FUTURES = {
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "contractType": "PERPETUAL",
            "status": "TRADING",
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
                {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
                {"filterType": "MIN_NOTIONAL", "notional": "100"},
            ],
        },
        {
            "symbol": "OLDUSDT",
            "contractType": "PERPETUAL",
            "status": "SETTLING",
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "1", "maxQty": "1000", "stepSize": "1"},
                {"filterType": "MIN_NOTIONAL", "notional": "5"},
            ],
        },
        {
            "symbol": "FINEUSDT",
            "contractType": "PERPETUAL",
            "status": "TRADING",
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.0000001", "maxPrice": "10", "tickSize": "0.0000001"},
                {"filterType": "LOT_SIZE", "minQty": "0.01", "maxQty": "1000", "stepSize": "0.01"},
                {"filterType": "MIN_NOTIONAL", "notional": "5"},
            ],
        },
    ]
}
SPOT = {
    "symbols": [
        {
            "symbol": "ETHBTC",
            "status": "TRADING",
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.00001000", "maxPrice": "922327.00000000", "tickSize": "0.00001000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00100000", "maxQty": "100000.00000000", "stepSize": "0.00100000"},
                {"filterType": "NOTIONAL", "minNotional": "0.00010000", "applyMinToMarket": True},
            ],
        }
    ]
}


@pytest.fixture
def saved(tmp_path):
    def save(body):
        path = tmp_path / "exchangeInfo.json"
        path.write_text(json.dumps(body))
        return str(path)

    return save


def test_futures_as_documented(saved):
    found = venue_instruments(saved(FUTURES), environment={})
    (btc,) = found.scales.instruments.values()
    assert (btc.tick_size, btc.lot_size, btc.min_notional, btc.maker_fee_ppm, btc.taker_fee_ppm) == ("0.1", "0.001", "100", 200, 500)
    assert found.scales.guessed == {"BTCUSDT": ("maker_fee_ppm", "taker_fee_ppm")}
    assert "SETTLING" in found.left_out["OLDUSDT"]
    assert "finer than 1e-8" in found.left_out["FINEUSDT"]


def test_spot_as_documented(saved):
    found = venue_instruments(saved(SPOT), environment={})
    (eth,) = found.scales.instruments.values()
    assert (eth.tick_size, eth.lot_size, eth.min_notional, eth.maker_fee_ppm, eth.taker_fee_ppm) == ("0.00001", "0.001", "0.0001", 1000, 1000)
    assert "spot" in found.scales.source


def test_fees_that_are_stated_are_no_guess(saved):
    found = venue_instruments(saved(FUTURES), ["BTCUSDT"], fees=(100, 300))
    assert found.scales.guessed == {}
    assert found.scales.instruments["BTCUSDT"].taker_fee_ppm == 300


def test_a_simulators_configuration_is_its_own_truth():
    found = venue_instruments("binance")
    assert found.scales.instruments == {one.symbol: one for one in load_config("binance").scales}
    assert found.scales.guessed == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "no JSON object"),
        ({"code": -1003}, "no list of symbols"),
        ({"symbols": []}, "it lists none"),
        ({"symbols": [{"symbol": "BTCUSD_PERP", "contractSize": 100}]}, "coin-margined"),
        ({"symbols": [{"symbol": "X", "status": "TRADING", "filters": []}]}, "has no PRICE_FILTER"),
        ({"order_port": 7001, "symbols": ["A"], "market_port": 7002}, "does not serve exchangeInfo"),
    ],
)
def test_what_is_no_exchange_info_is_refused(saved, body, words):
    with pytest.raises(DataError, match=words):
        venue_instruments(saved(body), environment={})


def test_missing_symbols_files_and_addresses_are_named(saved, tmp_path):
    with pytest.raises(DataError, match="has no NOPE"):
        venue_instruments(saved(FUTURES), ["BTCUSDT", "NOPE"])
    with pytest.raises(DataError, match=r"cannot read .*nothing\.json"):
        venue_instruments(str(tmp_path / "nothing.json"))
    with pytest.raises(DataError, match="cannot be reached"):
        venue_instruments("http://127.0.0.1:9")


def test_the_file_comes_back_with_its_guesses(saved, tmp_path, prices):
    found = venue_instruments(saved(FUTURES), environment={}).scales
    path = write_scales(found, tmp_path / "deep" / "instruments.json")
    assert load_scales(path).guessed == found.guessed
    assert load_instruments(path) == found.instruments
    closes = prices[["A0USDT"]].rename(columns={"A0USDT": "BTCUSDT"})
    assert find_scales(tmp_path, closes, path).source == "instruments.json"
    assert "guessed from prices" in find_scales(tmp_path, closes).in_words(["BTCUSDT"])
    path.write_text(json.dumps([{**msgspec.to_builtins(found.instruments["BTCUSDT"]), "guessed": ["colour"]}]))
    with pytest.raises(DataError, match="guessed is"):
        load_scales(path)


def test_the_command_writes_beside_the_candles(saved, tmp_path, prices):
    folder = tmp_path / "candles"
    folder.mkdir()
    candles_of(prices["A0USDT"]).to_parquet(folder / "BTCUSDT.parquet")
    ran = CliRunner().invoke(data, ["instruments", saved(FUTURES), "--for", str(folder), "--fees-ppm", "180,450"])
    assert ran.exit_code == 0, ran.output
    assert load_scales(folder / "instruments.json").instruments["BTCUSDT"].taker_fee_ppm == 450
    assert "guessed" not in (folder / "instruments.json").read_text()
    bad = CliRunner().invoke(data, ["instruments", saved(FUTURES), "--fees-ppm", "free"])
    assert bad.exit_code == 2
    assert "is not MAKER,TAKER" in bad.output
