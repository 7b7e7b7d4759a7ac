"""`hftkit data instruments` asks the running simulator over HTTP: its scales, and the fees of a demo account."""

from __future__ import annotations

import json

import pytest

from hftkit.exchange.config import load_config
from research.data.remote.venue_instruments import venue_instruments
from tests.contract.binance.serving import QUIET


@pytest.mark.parametrize("through", ["address", "ready file"])
def test_scales_and_fees_are_the_simulators(venue, tmp_path, through):
    source = venue.url
    if through == "ready file":
        source = str(tmp_path / "sim.json")
        (tmp_path / "sim.json").write_text(
            json.dumps({"host": "127.0.0.1", "order_port": 1, "market_port": 2, "symbols": [], "binance": venue.ready})
        )
    found = venue_instruments(source, environment={}).scales
    expected = {one.symbol: one for one in load_config(QUIET).scales}
    for symbol, one in found.instruments.items():
        scales = [(known.tick_size_e8, known.lot_size_e8, known.min_notional_e8) for known in (one, expected[symbol])]
        assert scales[0] == scales[1]
        if through == "ready file":  # a demo key is there to ask with
            assert (one.maker_fee_ppm, one.taker_fee_ppm) == (expected[symbol].maker_fee_ppm, expected[symbol].taker_fee_ppm)
    assert set(found.instruments) == set(expected)
    assert bool(found.guessed) == (through == "address")
