"""The last questions to the venue, against a scripted HTTP server on a real socket: what is asked, cancelled, disarmed, and what is said."""

from __future__ import annotations

from hftkit.instruments import Instrument
from live.ending.decision import Left
from live.venues.binance.end import Switch, settle
from tests.unit.live.venues.binance.test_rest import NOW_MS, Scripted, talk

ETH = Instrument(symbol="ETHUSDT", tick_size="0.01", lot_size="0.001")
NO_ORDERS, FLAT, FINE = (200, []), (200, [{"symbol": "ETHUSDT", "positionAmt": "0.000"}]), (200, {})
OURS = {"symbol": "ETHUSDT", "side": "BUY", "origQty": "1.000", "clientOrderId": "hk-ours"}
STRANGER = {"symbol": "ETHUSDT", "side": "SELL", "origQty": "2.000", "clientOrderId": "web-1"}
ELSEWHERE = {"symbol": "BTCUSDT", "side": "SELL", "origQty": "2.000", "clientOrderId": "web-2"}
ARMED = "the dead man's switch stays armed: the venue cancels every order of ETHUSDT within 30 s"


def end(*script, patience_s: float = 5.0, banned_s: int = 0, armed: bool = True) -> tuple[Left, list[tuple[str, str]], bool]:
    """(what is left, the calls that were made, whether the switch is still armed)."""
    server, switch = Scripted(*script), Switch()
    if armed:
        switch.armed.add("ETHUSDT")

    async def act(client):
        if banned_s:
            client.budget.limited(NOW_MS, str(banned_s))
        return await settle(client, 30.0, (ETH,), lambda name: name == "hk-ours", lambda: NOW_MS, switch, patience_s, lambda *event, **facts: None)

    left, _ = talk(server, act)
    return left, [(method, path.rsplit("/", 1)[1]) for method, path, _, _ in server.asked], bool(switch.armed)


ASKED = [("GET", "openOrders"), ("GET", "positionRisk")]


def test_where_nothing_is_open_the_switch_is_let_go_last():
    assert end(NO_ORDERS, FLAT, FINE) == (Left(), [*ASKED, ("POST", "countdownCancelAll")], False)
    assert end((200, [ELSEWHERE]), FLAT, armed=False) == (Left(), ASKED, False)  # other symbols are nobody's business here


def test_orders_of_ours_are_cancelled_and_asked_for_again():
    left, calls, armed = end((200, [OURS]), FLAT, FINE, NO_ORDERS, FLAT, FINE)
    assert calls == [*ASKED, ("DELETE", "order"), *ASKED, ("POST", "countdownCancelAll")]
    assert (left, armed) == (Left(), False)
    left, calls, armed = end((200, [OURS]), FLAT, (400, {"code": -2011, "msg": "Unknown order sent."}), (200, [OURS]), FLAT)
    assert (left.orders, armed) == (("ETHUSDT buy 1.000 (hk-ours)",), True)


def test_a_strangers_order_and_a_position_are_named_and_the_switch_stays():
    left, calls, armed = end((200, [STRANGER]), FLAT)
    assert (left, calls, armed) == (Left({}, ("ETHUSDT sell 2.000 (web-1)",), switch=ARMED), ASKED, True)
    left, _, armed = end(NO_ORDERS, (200, [{"symbol": "ETHUSDT", "positionAmt": "-0.700"}]))
    assert (left, armed) == (Left({"ETHUSDT": -700}, switch=ARMED), True)


def test_a_ban_beyond_the_deadline_is_not_waited_for_and_nothing_is_sent():
    left, calls, armed = end(banned_s=60)
    assert (left.unknown, left.switch, calls, armed) == ("it wants silence for 60 s (HTTP 418 or 429)", ARMED, [], True)


def test_a_passing_failure_is_asked_again_and_a_lasting_one_is_said():
    hiccup = (503, {"code": -1001, "msg": "Internal error; unable to process your request. Please try again."})
    assert end(hiccup, "hang up", NO_ORDERS, FLAT, FINE)[0] == Left()
    left, _, armed = end(*[hiccup] * 50, patience_s=1.0)
    assert "503" in left.unknown
    assert armed
    left, _, _ = end((200, "no list"), *[(200, {"strange": 1})] * 50, patience_s=1.0)
    assert left.unknown


def test_a_switch_that_cannot_be_let_go_is_said_though_nothing_is_open():
    left, _, armed = end(NO_ORDERS, FLAT, (400, {"code": -1102, "msg": "x"}))
    assert (left, armed) == (Left(switch=ARMED), True)
