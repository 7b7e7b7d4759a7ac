"""The account's open orders against a small venue on a real socket: what is cancelled, what is named, what keeps a session from starting."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from hftkit.binance.line import client_order_id_text
from hftkit.errors import VenueError
from hftkit.layout import ACCOUNT
from live.account.lease import Lease
from live.account.open_orders import OpenOrders
from live.link.breaker import Breaker
from live.link.rate_budget import RateBudget
from live.venues.binance.foreign_orders import ForeignOrders
from live.venues.binance.keys import ApiKey
from live.venues.binance.open_orders import AccountOrders, claim_account
from live.venues.binance.rest import BinanceRest, RestError

OURS, OTHER, BEGAN = 0x77, 0x1234, 1_000_000


def row(number: int, client_id: str, symbol: str = "ETHUSDT", time: int = 1) -> dict[str, Any]:
    return {
        "symbol": symbol, "orderId": number, "clientOrderId": client_id, "time": time, "side": "BUY", "origQty": "1.000", "price": "1190.00",
        "executedQty": "0", "status": "NEW",
    }  # fmt: skip


def algo(number: int, client_id: str, symbol: str = "ETHUSDT") -> dict[str, Any]:
    return {"symbol": symbol, "algoId": number, "clientAlgoId": client_id, "createTime": 1, "side": "SELL", "quantity": "1", "triggerPrice": "1100"}


class SmallVenue:
    """Open orders that can be listed and cancelled. `sticky`: cancels are refused; `with_algo`: whether it has conditional orders."""

    def __init__(self, *orders: dict[str, Any], algo: tuple[dict[str, Any], ...] = (), known: tuple[str, ...] = ()) -> None:
        self.orders, self.algo, self.known = {o["orderId"]: o for o in orders}, {o["algoId"]: o for o in algo}, known
        self.sticky, self.with_algo = False, True
        self.asked: list[tuple[str, str, str]] = []

    async def handle(self, request: web.Request) -> web.Response:
        query, path, method = request.query, request.path, request.method
        self.asked.append((method, path, query.get("symbol", "")))
        is_algo = "lgo" in path
        if is_algo and not self.with_algo:
            return web.json_response({"code": -5000, "msg": "Path is invalid"}, status=404)
        if path == "/fapi/v2/balance":
            return web.json_response([{"accountAlias": "SgsR", "asset": "USDT"}, {"accountAlias": "SgsR", "asset": "BNB"}])
        table = self.algo if is_algo else self.orders
        if method == "DELETE":
            number = int(query["algoId" if is_algo else "orderId"])
            if self.sticky:
                return web.json_response({"code": -4118, "msg": "Not now"}, status=400)
            if table.pop(number, None) is None:
                return web.json_response({"code": -2011, "msg": "Unknown order sent."}, status=400)
            return web.json_response({})
        if path == "/fapi/v1/order":
            found = query["origClientOrderId"] in self.known
            return web.json_response({"orderId": 1} if found else {"code": -2013, "msg": "Order does not exist."}, status=200 if found else 400)
        rows = [one for one in table.values() if query.get("symbol", one["symbol"]) == one["symbol"]]
        return web.json_response(rows)


class Session:
    """The cold side's view of one account, and everything it says."""

    def __init__(self, venue: SmallVenue, orphans: str = "cancel", strangers: str = "warn", dead_man: bool = True) -> None:
        self.venue, self.rules = venue, (orphans, strangers, dead_man)
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.halts: list[str] = []
        self.account = np.zeros(1, ACCOUNT.dtype)[0]

    def say(self, event: str, **facts: Any) -> None:
        self.said.append((event, facts))

    def run(self, act: Any) -> Any:
        async def go() -> Any:
            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", self.venue.handle)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            clock = [0.0]

            async def sleep(seconds: float) -> None:
                clock[0] += seconds

            self.rest = BinanceRest(url, ApiKey("the-key", "the-secret"), RateBudget(()), Breaker(), lambda: 1, lambda: clock[0], sleep=sleep)
            await self.rest.open()
            try:
                return await act(AccountOrders(self.rest, self.say, *self.rules))
            finally:
                await self.rest.close()
                await runner.cleanup()

        return asyncio.run(go())

    def start(self) -> AccountOrders:
        async def act(orders: AccountOrders) -> AccountOrders:
            await orders.clean_start(("ETHUSDT", "BTCUSDT"), OURS, BEGAN)
            return orders

        return self.run(act)

    def check(self, times: int, working: tuple[int, ...] = ()) -> AccountOrders:
        foreign = ForeignOrders(OURS, True, False, self.account, self.say, self.halts.append)
        judge = OpenOrders(OURS, BEGAN)

        async def act(orders: AccountOrders) -> AccountOrders:
            for _ in range(times):
                await orders.check(("ETHUSDT",), judge, lambda number: number in working, foreign, self.account, self.halts.append)
            return orders

        return self.run(act)

    def told(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self.said if name == event]


ORPHAN, STRANGER = client_order_id_text(OTHER << 32 | 7), "ios_abc"


def test_a_start_cancels_what_earlier_sessions_left_in_any_symbol_and_names_strangers():
    venue = SmallVenue(
        row(1, ORPHAN), row(2, ORPHAN, "SOLUSDT"), row(3, STRANGER), row(4, STRANGER, "XRPUSDT"), algo=(algo(9, ORPHAN), algo(8, "web"))
    )
    session = Session(venue)
    orders = session.start()
    assert sorted(venue.orders) == [3, 4]
    assert sorted(venue.algo) == [8]
    assert len(orders.cancelled) == 3
    assert venue.asked[-1][1] == "/fapi/v1/order", "asked again until none was left, then for our own number"
    (line,) = session.told("orphans_cancelled")
    assert (line["n"], "BUY 1.000 ETHUSDT at 1190.00" in line["orders"]) == (3, True)
    (named,) = session.told("strangers_orders")
    assert named["n"] == 3
    assert named["dead_man"] == "our countdown on ETHUSDT would cancel them too, should this engine die"


def test_without_a_countdown_or_outside_our_symbols_nothing_is_said_of_it():
    session = Session(SmallVenue(row(4, STRANGER, "XRPUSDT")))
    session.start()
    assert "dead_man" not in session.told("strangers_orders")[0]
    session = Session(SmallVenue(row(4, STRANGER)), dead_man=False)
    session.start()
    assert "dead_man" not in session.told("strangers_orders")[0]


@pytest.mark.parametrize(
    ("rules", "order", "words"),
    [
        (("refuse", "warn"), row(1, ORPHAN), r"orders of an earlier session are open: BUY 1.000 ETHUSDT .*orphans = \"cancel\""),
        (("cancel", "halt"), row(1, STRANGER), r"a stranger has open orders on this account: BUY 1.000 ETHUSDT .*strangers = \"warn\""),
        (("cancel", "warn"), row(1, client_order_id_text(OURS << 32 | 1)), "Start again: another number"),
    ],
)
def test_what_the_rules_forbid_does_not_start_and_touches_nothing(rules, order, words):
    venue = SmallVenue(order)
    with pytest.raises(VenueError, match=words):
        Session(venue, *rules).start()
    assert sorted(venue.orders) == [1]


def test_an_order_that_cannot_be_cancelled_keeps_the_session_from_starting():
    venue = SmallVenue(row(1, ORPHAN))
    venue.sticky = True
    session = Session(venue)
    with pytest.raises(VenueError, match=r"stay open.*Does another engine of ours trade this account"):
        session.start()
    assert session.told("orphan_cancel_failed")
    assert len(session.told("orphans_cancelled")) == 1


def test_a_number_that_the_venue_knows_is_not_taken():
    with pytest.raises(VenueError, match="has an order hk0000007700000001 already"):
        Session(SmallVenue(known=(client_order_id_text(OURS << 32 | 1),))).start()


def test_a_venue_without_conditional_orders_is_asked_for_them_once():
    venue = SmallVenue(row(1, ORPHAN))
    venue.with_algo = False
    session = Session(venue)
    session.start()
    assert venue.orders == {}
    assert sum("lgo" in path for _, path, _ in venue.asked) == 1
    assert len(session.told("no_algo_orders")) == 1


def test_a_reconciliation_cancels_late_orphans_and_what_the_engine_has_given_up_and_leaves_the_rest():
    mine, ended, twin = (client_order_id_text(number) for number in (OURS << 32 | 1, OURS << 32 | 2, OTHER << 32 | 8))
    venue = SmallVenue(row(1, mine, time=BEGAN), row(2, ended, time=BEGAN), row(3, ORPHAN), row(4, twin, time=BEGAN + 1), row(5, STRANGER))
    session = Session(venue)
    session.check(1, (OURS << 32 | 1,))
    assert sorted(venue.orders) == [1, 2, 4, 5]
    session = Session(venue)
    orders = session.check(3, (OURS << 32 | 1,))
    assert sorted(venue.orders) == [1, 4, 5]
    assert [order.order_id for order in orders.cancelled] == [2]
    assert session.told("foreign_order")[0]["session_number"] == "00001234"
    assert len(session.halts) == 3, "the door halts once for all"
    assert int(session.account["n_foreign"]) == 3
    assert int(session.account["n_strangers"]) == 1
    assert len(session.told("strangers_orders")) == 1


def test_all_symbols_are_asked_for_now_and_then_and_our_own_each_time():
    venue = SmallVenue()
    Session(venue).check(3)
    assert [symbol for _, path, symbol in venue.asked if path == "/fapi/v1/openOrders"] == ["", "ETHUSDT", "ETHUSDT"]


def test_an_account_is_locked_by_its_key_and_by_the_venues_own_name_for_it(tmp_path):
    session, venue = Session(SmallVenue()), SmallVenue()

    async def claim(orders: AccountOrders) -> None:
        await claim_account(orders.rest, first.take)
        with pytest.raises(VenueError, match="the account of this key at loopback"):
            await claim_account(orders.rest, second.take)
        orders.rest.key = ApiKey("another-key", "the-secret")  # of the same account
        with pytest.raises(VenueError, match="account SgsR at loopback"):
            await claim_account(orders.rest, second.take)

    first, second = Lease("a", Path("/a"), tmp_path), Lease("b", Path("/b"), tmp_path)
    session.run(claim)
    assert venue.asked == []
    first.release()
    second.release()
    assert "the-key" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_rows_of_another_form_are_one_line():
    class Odd(SmallVenue):
        async def handle(self, request: web.Request) -> web.Response:
            return web.Response(text=json.dumps(self.answer))

    for answer in ({"orders": []}, [1], [{"symbol": "A"}], "text", 5):
        venue = Odd()
        venue.answer = answer
        with pytest.raises((VenueError, RestError), match="another form"):
            Session(venue).start()
