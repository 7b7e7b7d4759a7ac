"""Ticks and samples of the synthetic market agree with its candles and with its books."""

from __future__ import annotations

import numpy as np

from hftkit.exchange.config import load_config
from hftkit.exchange.market.tape import make_tape
from hftkit.exchange.market.ticks import depth_of, make_ticks

CONFIG, MINUTES = load_config(), 30


def test_ticks_are_the_trades_that_the_candles_are_made_of() -> None:
    ticks, tape = make_ticks(CONFIG, MINUTES), make_tape(CONFIG, MINUTES)
    trades = ticks.trades
    minute = (trades["ts"] - CONFIG.start_ns) // 60_000_000_000
    for i in range(len(CONFIG.instruments)):
        mine = trades["instrument"] == i
        for m in range(MINUTES):
            rows, candle = trades[mine & (minute == m)], tape[i, m]
            assert len(rows) == candle["n_trades"]
            if len(rows):
                assert (rows["price"][0], rows["price"].max(), rows["price"].min(), rows["price"][-1]) == tuple(candle)[1:5]
                assert rows["qty"].sum() == candle["volume"]
    assert (np.diff(trades["ts"]) >= 0).all()
    quoted = trades[trades["twice_mid"] > 0]
    assert (np.where(quoted["side"] == 0, 2 * quoted["price"] - quoted["twice_mid"], quoted["twice_mid"] - 2 * quoted["price"]) > 0).all()


def test_samples_and_depth_are_the_book() -> None:
    ticks = make_ticks(CONFIG, 2)
    assert ticks.samples.shape == (120, 12)
    assert (ticks.samples["bid"] < ticks.samples["ask"]).all()
    last = ticks.samples[-1]
    for i in range(12):
        bids, asks = depth_of(ticks.books, i)
        assert (last["bid"][i], last["ask"][i]) == (bids[0, 0], asks[0, 0])
        assert (last["bid_qty"][i], last["ask_qty"][i]) == (bids[0, 1], asks[0, 1])
        assert (last["bid_depth"][i], last["ask_depth"][i]) == (bids[:5, 1].sum(), asks[:5, 1].sum())
        assert (len(bids), len(asks)) == (ticks.books.tops["n_bid"][i], ticks.books.tops["n_ask"][i])
        assert (np.diff(bids[:, 0]) < 0).all()
        assert (np.diff(asks[:, 0]) > 0).all()
