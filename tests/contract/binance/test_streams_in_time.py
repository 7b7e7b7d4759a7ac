"""What only time brings: closed candles, funding, margin calls, liquidations. The venue turned by hand, its clock put forward; no sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hftkit.binance.line import Kind
from hftkit.codes import MessageType
from hftkit.exchange.config import load_config
from hftkit.exchange.dialects.binance.streams.stream_hub import Where
from hftkit.exchange.servers.binance_service import BinanceService
from hftkit.exchange.servers.binary import BinaryServer
from hftkit.exchange.servers.loop import START_TS
from tests.contract.binance.serving import HOST, QUIET
from tests.unit.kernels.binance_messages import Hand

SECOND = 1_000_000_000
BUY, SELL, LIMIT, GTC = 0, 1, 0, 0


class ByHand:
    """A venue and one stream connection, turned by method calls."""

    def __init__(self, *streams: str) -> None:
        config = load_config(QUIET)
        rules = {"funding_interval_minutes": 1, "funding_rate_ppm": 100, "margin_check_ms": 10}
        config = msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, **rules))
        self.server = BinaryServer(config)
        self.server.start(HOST, 0, 0)
        self.service = BinanceService(self.server, config)
        self.venue, self.heard = self.service.venue, []
        self.service.host.hooks[-1] = self._collect
        self.accounts = [self.venue.account_of(number) for number in (1, 2)]
        key = self.venue.listen_keys.open(self.accounts[0], self.venue.now_ms())
        self.service.streams.hub.open(1, Where("", False, [*streams, key], {}))
        self.number = 0
        self.turn()

    def _collect(self) -> None:
        for _, data, _ in self.service.streams.after_slice():
            while data:
                size, at = (data[1], 2) if data[1] < 126 else (int.from_bytes(data[2:4], "big"), 4)
                self.heard.append(json.loads(data[at : at + size]))
                data = data[at + size :]

    def turn(self, seconds: float = 0.0) -> None:
        """The clock goes on, then one short slice with everything that follows it."""
        self.server.shell.io[START_TS] += int(seconds * SECOND)
        self.service.host.slice_ns = 1_000_000
        self.service.host.turn()

    def place(self, who: int, side: int, price: int, qty: int) -> None:
        self.number += 1
        assert self.venue.order_api.place(self.accounts[who], 0, 1000 + self.number, side, LIMIT, GTC, 0, price, qty) == 0

    def events(self, name: str) -> list[Any]:
        return [event for event in self.heard if event["e"] == name]

    def close(self) -> None:
        self.service.tap.close()
        self.service.http.loop.close()
        self.server.close()


@pytest.fixture
def by_hand() -> Iterator[ByHand]:
    hand = ByHand("btcusdt@kline_1m", "btcusdt@forceOrder", "btcusdt@markPrice@1s")
    yield hand
    hand.close()


def test_a_candle_closes_when_its_minute_is_over(by_hand: ByHand) -> None:
    for price in (128_000, 128_020, 127_990):
        by_hand.place(1, SELL, price, 10)
        by_hand.place(0, BUY, price, 10)
        by_hand.turn(0.3)
    by_hand.turn(61)
    by_hand.place(1, SELL, 128_010, 10)
    by_hand.place(0, BUY, 128_010, 10)
    by_hand.turn(0.3)
    klines = [event["k"] for event in by_hand.events("kline")]
    closed = [k for k in klines if k["x"]]
    assert closed
    first = closed[0]
    assert (first["o"], first["h"], first["l"], first["c"], first["v"], first["n"]) == ("12800.0", "12802.0", "12799.0", "12799.0", "0.030", 3)
    assert first["T"] - first["t"] == 59_999
    row = by_hand.venue.store.candles(0, "1m")[0]
    assert (row.open_ms, row.n_trades) == (first["t"], 3)
    assert klines[-1]["t"] > first["t"]
    assert not klines[-1]["x"]


def test_funding_is_told_to_the_last_unit(by_hand: ByHand) -> None:
    by_hand.place(1, SELL, 128_000, 1000)
    by_hand.place(0, BUY, 128_000, 1000)
    by_hand.turn()
    before = int(by_hand.venue.venue.accounts["wallet_e8"][by_hand.accounts[0]])
    by_hand.turn(61)
    after = int(by_hand.venue.venue.accounts["wallet_e8"][by_hand.accounts[0]])
    (event,) = [event for event in by_hand.events("ACCOUNT_UPDATE") if event["a"]["m"] == "FUNDING_FEE"]
    update = event["a"]
    assert before != after
    assert update["P"] == []
    assert update["S"] == "BTCUSDT"
    assert round(float(update["B"][0]["bc"]) * 1e8) == after - before
    assert round(float(update["B"][0]["wb"]) * 1e8) == after
    (told,) = Hand().give(event, Kind.USER)  # what the engine's own line makes of it
    assert (told.type, told.instrument, told.amount_e8) == (MessageType.FUNDING, 0, before - after)


def test_a_liquidation_from_margin_call_to_forced_order(by_hand: ByHand) -> None:
    by_hand.place(1, SELL, 128_000, 2000)
    by_hand.place(0, BUY, 128_000, 2000)
    by_hand.place(1, BUY, 127_990, 2000)
    by_hand.turn()
    by_hand.venue.venue.accounts["wallet_e8"][by_hand.accounts[0]] = 125 * 10**8  # a loss elsewhere: near the maintenance margin of 102.4
    by_hand.turn(1.5)
    (call,) = by_hand.events("MARGIN_CALL")
    assert (call["p"][0]["s"], call["p"][0]["pa"]) == ("BTCUSDT", "2.000")
    assert not by_hand.events("forceOrder")
    by_hand.venue.venue.accounts["wallet_e8"][by_hand.accounts[0]] = 100 * 10**8
    by_hand.turn(0.5)
    by_hand.turn(1.5)
    (forced,) = by_hand.events("forceOrder")
    assert (forced["o"]["S"], forced["o"]["q"], forced["o"]["X"]) == ("SELL", "2.000", "FILLED")
    orders = [event["o"] for event in by_hand.events("ORDER_TRADE_UPDATE") if event["o"]["c"].startswith("autoclose-")]
    assert [(order["x"], order["X"]) for order in orders][-1] == ("CALCULATED", "FILLED")
    assert by_hand.venue.venue.holdings[by_hand.accounts[0], 0]["position"] == 0
    assert len(by_hand.events("markPriceUpdate")) >= 3
