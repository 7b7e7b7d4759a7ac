"""Events beside recorded messages of the real venue: the same keys in the same order, the same types, numbers padded in the same way."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.contract.binance.serving import Serving, serving
from tests.unit.research.shared_data import shared

BUSY = Path(__file__).parent / "busy.toml"
ADDED = {"st", "ps", "nq", "ap"}  # came after the captures were taken
NUMBER = re.compile(r"-?\d+(\.\d+)?")


@pytest.fixture(scope="module")
def heard() -> dict[str, Any]:
    """The first event of each kind from the simulator."""
    streams = "btcusdt@bookTicker/btcusdt@depth@0ms/btcusdt@trade/btcusdt@aggTrade/btcusdt@kline_1m/btcusdt@markPrice@1s/btcusdt@ticker"

    async def listen(venue: Serving) -> dict[str, Any]:
        found: dict[str, Any] = {}
        async with websockets.connect(f"{venue.ws_url}/stream?streams={streams}") as socket:
            while len(found) < 7:
                data = json.loads(await asyncio.wait_for(socket.recv(), 10))["data"]
                if data["e"] != "depthUpdate" or (data["b"] and data["a"]):
                    found.setdefault(data["e"], data)
        return found

    with serving(config_path=BUSY) as venue:
        return asyncio.run(listen(venue))


def captured(path: Path) -> Iterator[dict[str, Any]]:
    """Events of a file of recorded lines, each with a prefix up to the first brace."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            at = line.find('{"stream"')
            if at >= 0:
                yield json.loads(line[at:])["data"]


def check(ours: Any, real: Any, where: str) -> None:
    """The real venue's keys in its order, as far as ours were known then, and the same kinds of values."""
    if isinstance(real, dict):
        assert [key for key in ours if key in real] == list(real), where
        assert set(ours) - set(real) <= ADDED, where
        for key in real:
            check(ours[key], real[key], f"{where}.{key}")
    elif isinstance(real, list):
        assert isinstance(ours, list), where
        if real and ours:
            check(ours[0], real[0], f"{where}[0]")
    else:
        assert type(ours) is type(real), where
        if isinstance(real, str) and NUMBER.fullmatch(real):
            assert NUMBER.fullmatch(ours), (where, ours, real)


@pytest.mark.parametrize("name", ["l2_raw/binance_usdm_btcusdt_20240808.jsonl.gz", "ws_messages/cryptofeed/BINANCE_FUTURES.ws.1.0.txt.gz"])
def test_market_events_have_the_shape_of_recorded_ones(heard: dict[str, Any], name: str) -> None:
    seen: dict[str, int] = {}
    for real in captured(shared(name)):
        kind = real["e"]
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= 50:
            check(heard[kind], real, kind)
    assert len(seen) >= 3


def test_the_chain_of_recorded_depth_events_is_like_ours(heard: dict[str, Any]) -> None:
    depth = heard["depthUpdate"]
    assert depth["pu"] < depth["U"] <= depth["u"]
    before = 0
    for real in captured(shared("l2_raw/binance_usdm_btcusdt_20240808.jsonl.gz")):
        if real["e"] == "depthUpdate":
            assert before in (0, real["pu"])
            assert real["pu"] < real["U"] <= real["u"]
            before = real["u"]


def test_user_events_have_the_shape_of_recorded_ones(venue: Serving) -> None:
    folder = shared("ws_messages/nautilus_binance_ws")

    async def run() -> dict[str, Any]:
        key = venue.ask("POST", "/fapi/v1/listenKey", headers={"X-MBX-APIKEY": venue.key()["key"]}).body["listenKey"]
        found: dict[str, Any] = {}
        offer = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "12801.0"}
        stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.010", "triggerPrice": "11000.0"}
        async with websockets.connect(f"{venue.ws_url}/private/ws/{key}") as socket:
            for account, path, order in (
                (2, "order", offer),
                (1, "order", {**offer, "side": "BUY"}),
                (1, "algoOrder", stop),
            ):
                await asyncio.to_thread(venue.signed, "POST", f"/fapi/v1/{path}", account, **order)
            while len(found) < 4:
                event = json.loads(await asyncio.wait_for(socket.recv(), 10))
                found[event["e"]] = event
        return found

    found = asyncio.run(run())
    lite = json.loads((folder / "ws_futures_trade_lite.json").read_text())
    check(found["TRADE_LITE"], lite, "TRADE_LITE")
    algo = json.loads((folder / "ws_futures_algo_update_finished.json").read_text())["data"]
    assert list(found["ALGO_UPDATE"]) == list(algo)
    assert [key for key in found["ALGO_UPDATE"]["o"] if key in algo["o"]] == list(algo["o"])
    order = json.loads((folder / "ws_futures_order_update_trade_reduce_only_qty.json").read_text())["data"]["o"]
    missing = set(order) - set(found["ORDER_TRADE_UPDATE"]["o"])
    assert missing <= {"AP", "cr", "W"}, "trailing orders only, and the time an order began to work"
