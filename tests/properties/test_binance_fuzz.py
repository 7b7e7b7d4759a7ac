"""Any requests in any order: every answer is documented, and the books, the accounts and what the dialect remembers stay one."""

from __future__ import annotations

import hashlib
import hmac
import json
from functools import cache
from typing import Any
from urllib.parse import urlencode

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hftkit.exchange.config import load_config
from hftkit.exchange.core.tap import Tap
from hftkit.exchange.dialects.binance.account.keys import ClientKey, KeyRing
from hftkit.exchange.dialects.binance.account.signing import Verifier
from hftkit.exchange.dialects.binance.market.store import BinanceStore
from hftkit.exchange.dialects.binance.rest.errors import TEXTS
from hftkit.exchange.dialects.binance.rest.router import ROUTES, RestRequest, handle
from hftkit.exchange.dialects.binance.venue import BinanceDialect
from hftkit.exchange.servers.binary import BinaryServer
from tests.contract.binance.serving import QUIET

START = 1_790_000_000_000_000_000
ACCOUNTS = {"a": 1, "b": 2, "c": 3}
HOUSE = 2


class Bench:
    """The dialect without sockets, on a clock of the test's own."""

    def __init__(self) -> None:
        config = load_config(QUIET)
        binance = msgspec.structs.replace(
            config.binance, weight_per_minute=10**9, orders_per_10s=10**8, orders_per_minute=10**8, max_open_orders=30, max_algo_orders=20
        )
        config = msgspec.structs.replace(config, binance=binance)
        server = BinaryServer(config)
        self.arrays = server.venue
        self.arrays.state[0]["ts"] = START
        tap, self.store = Tap(server.venue.tap), BinanceStore(2, lambda: int(server.venue.state[0]["ts"]))
        tap.consumers.append(self.store.take)
        tap.open()
        ring = KeyRing([ClientKey(key, account, Verifier(key * 8)) for key, account in ACCOUNTS.items()])
        self.venue = BinanceDialect(config, server.venue, ring, self.store, tap.pump, server.shell.faults.page, START)
        self.deposits = int(server.venue.accounts["wallet_e8"].sum() - server.venue.holdings["cost_e8"].sum())

    def ask(self, method: str, path: str, key: str, params: dict[str, str], in_body: bool) -> tuple[int, Any]:
        text = urlencode({**params, "timestamp": str(self.venue.now_ms())}, errors="replace")
        text += "&signature=" + hmac.new((key * 8).encode(), text.encode(), hashlib.sha256).hexdigest()
        query, body = ("", text.encode()) if in_body else (text, b"")
        answer = handle(self.venue, RestRequest(method, path, query, body, {"x-mbx-apikey": key}))
        return answer.status, json.loads(answer.body)

    def pass_time(self, ms: int) -> None:
        self.arrays.state[0]["ts"] += ms * 1_000_000
        self.venue.after_slice()

    def check(self) -> None:
        """Money and lots are conserved; the matching engine, the accounts and the store agree on every open order and position."""
        books, holdings = self.arrays.books, self.arrays.holdings
        assert (holdings["position"].sum(axis=0) == 0).all()
        assert int(self.arrays.accounts["wallet_e8"].sum() - holdings["cost_e8"].sum()) == self.deposits
        assert (holdings["position"] == books.exposures["position"]).all()
        for account in range(HOUSE, holdings.shape[0] - 2):
            rows = self.store.open_orders(account)
            assert len(rows) == books.owners[account]["n_open"]
            bids, asks = np.zeros(2, np.int64), np.zeros(2, np.int64)
            for row in rows:
                (bids if row.side == 0 else asks)[row.instrument] += row.price * (row.qty - row.filled)
                assert row.status in ("NEW", "PARTIALLY_FILLED")
                assert self.venue.order_api.find_open(account, row.client_order_id) != 0
            assert (books.exposures[account]["open_bid"] == bids).all()
            assert (books.exposures[account]["open_ask"] == asks).all()
            for instrument in range(2):
                fills = self.store.fills(account, instrument)
                assert sum(fill.qty if fill.side == 0 else -fill.qty for fill in fills) == holdings[account, instrument]["position"]
        for top in books.tops:
            assert top["bid"] == 0 or top["ask"] == 0 or top["bid"] < top["ask"]


@cache
def bench() -> Bench:
    """One for all examples: they meet whatever state the earlier ones have left."""
    return Bench()


ODD = ["", "-1", "NaN", "1e400", "é", "null", "[]", "{}"]


def mostly(usual: list[str], *odd: str) -> st.SearchStrategy[str]:
    """One value in twenty is odd."""
    strange = [*odd, *ODD]
    return st.sampled_from(usual * (20 * len(strange) // len(usual) + 1) + strange)


PRICES = [f"{price / 10:.1f}" for price in range(127_500, 128_600, 55)]
VALUES: dict[str, st.SearchStrategy[str]] = {
    "symbol": mostly(["BTCUSDT", "ETHUSDT"], "btcusdt", "NOSUCH"),
    "side": mostly(["BUY", "SELL"], "buy", "HOLD"),
    "type": mostly(["LIMIT", "MARKET"], "STOP_MARKET", "TAKE_PROFIT", "TRAILING_STOP_MARKET", "OCO"),
    "timeInForce": mostly(["GTC", "IOC", "FOK", "GTX"], "GTD", "RPI"),
    "quantity": mostly(["0.01", "0.02", "0.5", "3"], "0.0005", "99999", "0"),
    "price": mostly(PRICES, "0.05", "1e3", "99999999999999999999999"),
    "triggerPrice": mostly(PRICES, "0"),
    "reduceOnly": mostly(["false", "true"], "TRUE", "maybe"),
    "closePosition": mostly(["false"], "true"),
    "newClientOrderId": mostly([f"id{i}" for i in range(12)], "x" * 40, "a b"),
    "origClientOrderId": mostly([f"id{i}" for i in range(12)], "77", "autoclose-1"),
    "orderId": mostly([str(i) for i in range(20, 60)], "9" * 30),
    "newOrderRespType": mostly(["ACK", "RESULT"], "FULL"),
    "selfTradePreventionMode": mostly(["EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH", "NONE"], "ALL"),
    "priceMatch": mostly(["NONE"], "QUEUE", "OPPONENT", "QUEUE_20"),
    "goodTillDate": mostly(["1790001000000", "1790010000000"], "1"),
    "algoType": mostly(["CONDITIONAL"], "VP"),
    "callbackRate": mostly(["0.1", "1"], "50"),
    "algoId": mostly([str(2_000_000 + i) for i in range(30)]),
    "countdownTime": mostly(["0", "50", "100000"]),
    "leverage": mostly(["1", "20", "125"], "126"),
    "interval": mostly(["1m", "1h", "1M"], "7m"),
    "limit": mostly(["5", "100", "1000"], "7", "99999999999"),
    "startTime": mostly(["1789999000000", "1790000000000"]),
    "endTime": mostly(["1790000100000"]),
    "orderIdList": mostly(["[25,26]", "[27, 28, 29]"], '["x"]', "[" * 50),
    "batchOrders": mostly(
        [
            json.dumps([{"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "quantity": 0.02, "price": price}] * n)
            for side, price, n in (("BUY", "12750", 2), ("SELL", "12850.5", 5), ("BUY", 12850.05, 1))
        ],
        "[1]",
        json.dumps([{}] * 6),
    ),
    "recvWindow": mostly(["5000"], "70000"),
}
PATHS = sorted(ROUTES)
TRADING = [("POST", "/fapi/v1/order"), ("DELETE", "/fapi/v1/order"), ("PUT", "/fapi/v1/order"), ("POST", "/fapi/v1/algoOrder")]
NEEDED = ("symbol", "side", "type", "timeInForce", "quantity", "price")
OTHERS = {name: value for name, value in VALUES.items() if name not in NEEDED}
CLEAN = st.fixed_dictionaries({name: VALUES[name] for name in NEEDED})
FEW = st.dictionaries(st.sampled_from(sorted(OTHERS)), st.none(), max_size=2).flatmap(
    lambda names: st.fixed_dictionaries({n: OTHERS[n] for n in names})
)
SPICED = st.tuples(CLEAN, FEW).map(lambda both: {**both[0], **both[1]})
WILD = st.fixed_dictionaries({}, optional=VALUES)
KEYS = st.sampled_from(sorted(ACCOUNTS))
REQUESTS = st.one_of(
    st.tuples(st.just(("POST", "/fapi/v1/order")), KEYS, CLEAN, st.booleans()),
    st.tuples(st.sampled_from(TRADING), KEYS, SPICED, st.booleans()),
    st.tuples(st.sampled_from(PATHS), KEYS, st.one_of(SPICED, WILD), st.booleans()),
)


@settings(max_examples=150)
@given(st.lists(st.one_of(REQUESTS, st.integers(0, 400)), max_size=20))
def test_any_requests_in_any_order(steps: list[Any]) -> None:
    for step in steps:
        if isinstance(step, int):
            bench().pass_time(step)
            continue
        (method, path), key, params, in_body = step
        status, body = bench().ask(method, path, key, params, in_body)
        assert status in (200, 400, 404), (step, body)
        if status != 200:
            assert set(body) == {"code", "msg"}, (step, body)
            assert body["code"] in TEXTS, (step, body)
            assert body["code"] not in (-1000, -1021, -1022), (step, body)
    bench().check()


def test_the_fuzz_really_trades() -> None:
    """After the test above: otherwise it would have shown little. What is drawn is different each time, so it may take a few runs."""

    def traded() -> tuple[int, int]:
        return int(bench().arrays.books.counters[0]["n_trades"]), sum(len(bench().store.orders(account)) for account in range(2, 5))

    for _ in range(4):
        test_any_requests_in_any_order()
        if traded()[0] > 50 and traded()[1] > 200:
            break
    trades, orders = traded()
    assert trades > 50
    assert orders > 200
