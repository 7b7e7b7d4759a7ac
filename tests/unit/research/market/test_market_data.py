"""Recordings read back as pandas: what went in comes out, from a history file and from a journal; candles, panels."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pandas as pd
import pytest

from hftkit.codes import MessageType, RecordType
from hftkit.errors import DataError, HftkitError
from hftkit.exchange.market.history.files import CANDLES, HistoryTape, save_history
from hftkit.instruments import Instrument
from hftkit.kernels.wire.frame import header
from hftkit.session.journal import JournalWriter, words_of
from research.market.history import candles_to_history, ticks_to_history
from research.market.market_data import load_market_data
from research.stats.discovery.pair_scan import scan_pairs
from tests.unit.research.synthetic_market import candles_of, make_prices


def archive_trades(seed: int, n: int = 300) -> pd.DataFrame:
    """Trades in the archive's columns, some in one minute, some minutes without any."""
    rng = np.random.default_rng(seed)
    times = pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(np.sort(rng.integers(0, 120 * 60_000, n)), "ms")
    price = np.round(100 + np.cumsum(rng.normal(size=n)) * 0.05, 2)
    quantity = np.round(rng.uniform(0.01, 2, n), 2)
    return pd.DataFrame({"price": price, "quantity": quantity, "transact_time": times, "is_buyer_maker": rng.random(n) < 0.5})


@pytest.fixture
def recorded(tmp_path):
    trades = {"AAA": archive_trades(1), "BBB": archive_trades(2)}
    return trades, load_market_data(save_history(ticks_to_history(trades, {}), tmp_path / "run.npz"))


def test_trades_come_back_as_they_went_in(recorded):
    trades, recording = recorded
    assert recording.symbols == ["AAA", "BBB"]
    for symbol, frame in trades.items():
        back = recording.trades(symbol)
        np.testing.assert_allclose(back["price"], frame["price"], rtol=1e-12)
        np.testing.assert_allclose(back["qty"], frame["quantity"], rtol=1e-12)
        assert (back.index == pd.DatetimeIndex(frame["transact_time"])).all()
        assert (back["side"] == np.where(frame["is_buyer_maker"], "sell", "buy")).all()


def test_candles_are_those_of_pandas_and_a_panel_says_what_it_filled(recorded):
    trades, recording = recorded
    frame = trades["AAA"].set_index("transact_time")
    bars = recording.candles("AAA")
    for stamp, own in frame.groupby(pd.Grouper(freq="1min")):
        if own.empty:
            assert stamp not in bars.index
            continue
        price = own["price"]
        expected = [price.iloc[0], price.max(), price.min(), price.iloc[-1], own["quantity"].sum()]
        assert bars.loc[stamp].tolist() == pytest.approx(expected)
    panel = recording.panel()
    assert panel.closes.notna().all(axis=None)
    assert panel.bar_ns == 60_000_000_000
    assert "had no event and keep the last close" in panel.decisions[0]
    assert panel.files[0].sha256 == recording.tape.digest
    assert len(scan_pairs(panel.closes, maxlag=1)) == 2  # and research goes on from here


def test_candles_that_were_played_come_back(tmp_path):
    prices = make_prices(200)[["A0USDT", "B0USDT"]]
    candles = {symbol: candles_of(prices[symbol]).set_index("open_time") for symbol in prices}
    recording = load_market_data(save_history(candles_to_history(candles), tmp_path / "c.npz"))
    for symbol, frame in candles.items():
        back = recording.candles(symbol)
        np.testing.assert_allclose(back[["open", "high", "low", "close"]], frame[["open", "high", "low", "close"]], rtol=1e-12)
        np.testing.assert_allclose(back["volume"], frame["volume"], rtol=1e-9)
        quotes = recording.quotes(symbol)
        assert (quotes["bid"] < quotes["ask"]).all()


def test_a_journal_reads_like_a_file(recorded, tmp_path):
    _, recording = recorded
    writer = JournalWriter(tmp_path / "session", epoch=1, created_unix_ns=1)
    config = json.dumps({"instruments": msgspec.to_builtins(recording.tape.instruments)}).encode()
    writer.append(RecordType.CONFIG, 0, words_of(config))
    for row in recording.tape.tape:
        writer.append(RecordType.MARKET_DATA_IN, int(row[2]), row)
    writer.close()
    again = load_market_data(tmp_path / "session")
    for symbol in recording.symbols:
        pd.testing.assert_frame_equal(again.trades(symbol), recording.trades(symbol))
        pd.testing.assert_frame_equal(again.quotes(symbol), recording.quotes(symbol))


def test_a_quiet_side_is_not_a_price_of_zero_and_mids_stand_in_for_trades(tmp_path):
    word = header(int(MessageType.BBO), 7, 0)
    minute = 60_000_000_000
    rows = np.array([[word, 0, k * minute, bid, int(bid > 0), ask, 1] for k, (bid, ask) in enumerate([(99, 101), (0, 102), (100, 104)])], np.int64)
    made = HistoryTape("quotes", rows, (Instrument(symbol="A", tick_size="0.01", lot_size="1"),), (CANDLES,))
    recording = load_market_data(save_history(made, tmp_path / "q.npz"))
    quotes = recording.quotes("A")
    assert np.isnan(quotes["bid"].iloc[1])
    assert quotes["bid_qty"].iloc[1] == 0.0
    assert recording.candles("A")["close"].tolist() == pytest.approx([1.0, 1.02])  # no mid, no bar: never half a price
    assert recording.trades("A").empty


def test_refusals(recorded, tmp_path):
    _, recording = recorded
    with pytest.raises(DataError, match=r"run\.npz has no ZZZ\. It has AAA, BBB"):
        recording.trades("ZZZ")
    with pytest.raises(DataError, match="less than two bars"):
        recording.panel("1D")
    with pytest.raises(HftkitError, match="there is nothing"):
        load_market_data(tmp_path / "none")
