"""exchangeInfo -> instruments: the documented row, and every way it can be wrong."""

from __future__ import annotations

import copy
import json

import pytest

from hftkit.binance.exchange_info import fees_ppm, listed_instruments
from hftkit.errors import VenueError
from live.venues.binance.instruments import check_all_legs, instrument_changes

ROW = json.loads("""{"symbol":"BTCUSDT","pair":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING","pricePrecision":2,"quantityPrecision":3,
"filters":[{"filterType":"PRICE_FILTER","minPrice":"556.80","maxPrice":"4529764","tickSize":"0.10"},
{"filterType":"LOT_SIZE","minQty":"0.001","maxQty":"1000","stepSize":"0.001"},
{"filterType":"MARKET_LOT_SIZE","minQty":"0.001","maxQty":"120","stepSize":"0.001"},
{"filterType":"MAX_NUM_ORDERS","limit":200},{"filterType":"MIN_NOTIONAL","notional":"100"},
{"filterType":"PERCENT_PRICE","multiplierUp":"1.0500","multiplierDown":"0.9500","multiplierDecimal":"4"}]}""")


def changed(path, value):
    row = copy.deepcopy(ROW)
    kind, name = path.split(".")
    for item in row["filters"]:
        if item["filterType"] == kind:
            if value is None:
                del item[name]
            else:
                item[name] = value
    return {"symbols": [row]}


def test_the_documented_row():
    (listed,) = listed_instruments({"symbols": [ROW]}, ["BTCUSDT"], {"BTCUSDT": (160, 400)})
    ins = listed.instrument
    assert (ins.symbol, ins.tick_size, ins.lot_size, ins.min_notional) == ("BTCUSDT", "0.1", "0.001", "100")
    assert (ins.maker_fee_ppm, ins.taker_fee_ppm) == (160, 400)
    assert (listed.min_lots, listed.max_lots, listed.max_market_lots) == (1, 1_000_000, 120_000)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("PRICE_FILTER.tickSize", "0", "must be positive"),
        ("PRICE_FILTER.tickSize", None, "tickSize is None"),
        ("PRICE_FILTER.tickSize", "NaN", "tickSize is NaN"),
        ("PRICE_FILTER.minPrice", "556.85", "not a whole number of steps"),
        ("LOT_SIZE.stepSize", "-1", "must be positive"),
        ("LOT_SIZE.minQty", "0.0015", "not a whole number of steps"),
        ("MIN_NOTIONAL.notional", "much", "notional is 'much'"),
    ],
)
def test_a_filter_that_cannot_be_counted_in_ticks_and_lots_is_refused(path, value, words):
    with pytest.raises(VenueError, match=words):
        listed_instruments(changed(path, value), ["BTCUSDT"], {})


def test_missing_filters_and_symbols_are_named():
    with pytest.raises(VenueError, match="no MIN_NOTIONAL filter"):
        listed_instruments({"symbols": [{**ROW, "filters": ROW["filters"][:3]}]}, ["BTCUSDT"], {})
    with pytest.raises(VenueError, match="the venue has no NOPE"):
        listed_instruments({"symbols": [ROW]}, ["BTCUSDT", "NOPE"], {})


def test_both_legs_or_none():
    rows = {"symbols": [ROW, {**ROW, "symbol": "ETHUSDT", "status": "SETTLING"}]}
    listed = listed_instruments(rows, ["BTCUSDT", "ETHUSDT"], {})
    check_all_legs(listed, ["BTCUSDT"])
    with pytest.raises(VenueError, match=r"does not trade ETHUSDT \(SETTLING\)"):
        check_all_legs(listed, ["BTCUSDT", "ETHUSDT"])


def test_fees_of_the_account():
    assert fees_ppm({"symbol": "BTCUSDT", "makerCommissionRate": "0.000200", "takerCommissionRate": "0.0005"}) == (200, 500)
    assert fees_ppm({"symbol": "BTCUSDT", "makerCommissionRate": "-0.00001", "takerCommissionRate": "0.0005"}) == (-10, 500)


def test_what_has_become_of_an_instrument_is_said_in_words():
    (listed,) = listed_instruments({"symbols": [ROW]}, ["BTCUSDT"], {})
    ours = (listed.instrument,)
    assert instrument_changes(ours, {"symbols": [ROW]}) == (ours, (), ())
    finer, words, closed = instrument_changes(ours, changed("PRICE_FILTER.tickSize", "0.01"))
    assert (finer[0].tick_size, words, closed) == ("0.01", ("the tick size of BTCUSDT is 0.01, was 0.1",), ())
    assert instrument_changes(ours, changed("LOT_SIZE.stepSize", "0.0010"))[1] == ()  # the same number
    assert instrument_changes(ours, {"symbols": [{**ROW, "status": "SETTLING"}]})[2] == ("BTCUSDT is SETTLING at the venue",)
    assert "the venue has no BTCUSDT" in instrument_changes(ours, {"symbols": []})[2][0]
    assert "MIN_NOTIONAL" in instrument_changes(ours, {"symbols": [{**ROW, "filters": ROW["filters"][:3]}]})[2][0]
