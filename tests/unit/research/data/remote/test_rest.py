"""REST history against a real local endpoint: pages, rate limits, refusals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from hftkit.errors import DataError
from research.data.remote.rest import Rest
from tests.unit.research.bulk_archive import Server, serving

START = 1_704_067_200_000  # 2024-01-01
MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    with serving(tmp_path) as running:
        yield running


def test_klines_come_in_pages_and_wait_when_throttled(server):
    server.throttle = 2
    frame = Rest(server.address).klines("AAAUSDT", "1m", START + MINUTE, START + 2400 * MINUTE)
    assert len(frame) == 2399
    assert len(server.asked) == 2 + 3  # two were throttled; 1000 + 1000 + 399
    assert frame["open_time"].iloc[0] == pd.Timestamp("2024-01-01 00:01", tz="UTC")
    assert (np.diff(frame["open_time"].astype("int64")) == 60 * 10**9).all()
    assert list(frame) == [
        "open_time",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_volume",
        "count",
        "taker_buy_volume",
        "taker_buy_quote_volume",
    ]


def test_the_spot_paths_are_the_same_under_their_own_prefix(server):
    Rest(server.address, "/api/v3").klines("AAAUSDT", "1m", START, START + MINUTE)
    assert server.asked[0].startswith("/api/v3/klines?symbol=AAAUSDT&interval=1m&startTime=1704067200000")


def test_aggregate_trades_go_on_by_id_within_windows_of_an_hour(server):
    frame = Rest(server.address).aggregate_trades("AAAUSDT", START, START + 3 * HOUR)
    ids = frame["agg_trade_id"].to_numpy()
    assert (np.diff(ids) == 1).all()
    assert len(frame) == len(range(-(-START // 700) * 700, START + 3 * HOUR, 700))  # one every 700 ms: none missed, none twice
    assert frame["transact_time"].iloc[-1] < pd.Timestamp(START + 3 * HOUR, unit="ms", tz="UTC")
    assert frame["is_buyer_maker"].tolist() == (ids % 2 == 0).tolist()


def test_funding_rates(server):
    frame = Rest(server.address).funding_rates("AAAUSDT", START, START + 400 * 24 * HOUR)
    assert len(frame) == 1200
    assert len(server.asked) == 2
    assert set(frame["last_funding_rate"]) == {0.0001}


def test_the_weight_limit_is_kept_before_the_venue_enforces_it(server):
    waited: list[float] = []
    server.weight = 2200
    Rest(server.address, wait=waited.append).klines("AAAUSDT", "1m", START, START + 1500 * MINUTE)
    assert len(waited) == 2
    assert all(0 < seconds <= 60 for seconds in waited)
    Rest(server.address, weight_limit=6000, wait=waited.append).klines("AAAUSDT", "1m", START, START + MINUTE)
    assert len(waited) == 2


def test_refusals(server):
    rest = Rest(server.address)
    with pytest.raises(DataError, match="no candles of AAAUSDT 1m in this span"):
        rest.klines("AAAUSDT", "1m", START + 1, START + 2)
    with pytest.raises(DataError, match="answers 400"):
        rest.klines("NONE", "1m", START, START + HOUR)
    with pytest.raises(DataError, match="answers 404"):
        Rest(server.address, "/nothing").klines("A", "1m", START, START + HOUR)
    with pytest.raises(DataError, match="cannot be reached"):
        Rest("http://127.0.0.1:9").funding_rates("A", START, START + HOUR)
