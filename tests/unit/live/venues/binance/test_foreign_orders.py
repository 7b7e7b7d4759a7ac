"""Order events that are nobody's: what is told, counted, and what halts. And those of the binary protocol's welcome."""

from __future__ import annotations

import numpy as np
import pytest

from hftkit.codes import EventKind, OrderState
from hftkit.errors import VenueError
from hftkit.layout import ACCOUNT, EVENT
from live.venues.binance.foreign_orders import AGAIN_S, ForeignOrders
from live.venues.binary.stray_orders import StrayOrders

OURS, OTHER = 0x77, 0x1234
NEW, TRADE = 0, 4


class Watch:
    def __init__(self, halts: bool = True, strangers_halt: bool = False) -> None:
        self.said: list[tuple[str, dict]] = []
        self.halted: list[str] = []
        self.account = np.zeros(1, ACCOUNT.dtype)[0]
        self.foreign = ForeignOrders(
            OURS, halts, strangers_halt, self.account, lambda event, **facts: self.said.append((event, facts)), self.halted.append
        )


@pytest.mark.parametrize(("halts", "n"), [(True, 1), (False, 0)])
def test_another_session_of_ours_is_an_alarm_and_by_rule_a_halt(halts, n):
    watch = Watch(halts)
    watch.foreign.event(OTHER << 32 | 5, "hk0000123400000005", "ETHUSDT", TRADE, 10.0)
    assert watch.said == [
        ("foreign_order", {"symbol": "ETHUSDT", "client_order_id": OTHER << 32 | 5, "execution": "trade", "session_number": "00001234"})
    ]
    assert len(watch.halted) == n
    assert all("00001234" in why for why in watch.halted)
    assert int(watch.account["n_foreign"]) == 1


@pytest.mark.parametrize(("rule", "n"), [(True, 1), (False, 0)])
def test_a_stranger_is_named_and_halts_only_where_the_rule_says_so(rule, n):
    watch = Watch(strangers_halt=rule)
    watch.foreign.event(0, "web_1", "BTCUSDT", NEW, 10.0)
    assert watch.said == [("stranger_order", {"symbol": "BTCUSDT", "client_order_id": "web_1", "execution": "new"})]
    assert len(watch.halted) == n
    assert (int(watch.account["n_foreign"]), int(watch.account["n_stranger_events"])) == (0, 1)


def test_last_events_of_orphans_and_of_orders_of_our_own_are_no_alarm():
    watch = Watch()
    watch.foreign.known.add(OTHER << 32 | 9)
    watch.foreign.event(OTHER << 32 | 9, "", "ETHUSDT", 1, 1.0)
    watch.foreign.event(OURS << 32 | 3, "", "ETHUSDT", 1, 1.0)
    assert [event for event, _ in watch.said] == ["orphan_event", "ended_order_event"]
    assert watch.halted == []
    assert int(watch.account["n_foreign"]) == 0


def test_a_busy_twin_fills_no_log():
    watch = Watch()
    for n in range(1000):
        watch.foreign.event(OTHER << 32 | n, "", "ETHUSDT", NEW, n / 1000)
    watch.foreign.event(OTHER << 32 | 1000, "", "ETHUSDT", NEW, AGAIN_S + 1)
    assert [facts.get("more_before", 0) for _, facts in watch.said] == [0, 999]
    for n in range(1000):  # as many sessions as events: told apart up to a number
        watch.foreign.event(n + 1000 << 32 | 1, "", "ETHUSDT", NEW, AGAIN_S + 2)
    assert len(watch.said) < 80
    assert int(watch.account["n_foreign"]) == 2001


class Welcome:
    """What follows a LOGON of the binary protocol."""

    def __init__(self, orphans: str = "cancel") -> None:
        self.said: list[str] = []
        self.halts: list[int] = []
        self.strays = StrayOrders(orphans, lambda event, **facts: self.said.append(event), lambda: self.halts.append(1))

    def tell(self, kind: EventKind, number: int = 5, **fields: int) -> None:
        event = np.zeros(1, EVENT.dtype)[0]
        event["kind"], event["client_order_id"] = int(kind), number
        for name, value in fields.items():
            event[name] = value
        self.strays.event(event)


def test_trading_waits_until_what_was_left_is_cancelled():
    welcome = Welcome()
    assert welcome.strays.settled()
    welcome.tell(EventKind.ORDER_STATUS, code=OrderState.SUBMITTED)
    assert not welcome.strays.settled()
    welcome.tell(EventKind.ORDER_CANCELED)
    assert welcome.strays.settled()
    assert (welcome.said, welcome.halts) == (["orphan"], [])


def test_one_that_fills_meanwhile_forbids_the_start_and_halts():
    welcome = Welcome()
    welcome.tell(EventKind.ORDER_STATUS, code=OrderState.PARTIALLY_FILLED)
    welcome.tell(EventKind.ORDER_FILL, qty=3)
    with pytest.raises(VenueError, match=r"filled while it was being cancelled.*hftkit flatten"):
        welcome.strays.settled()
    assert welcome.halts == [1]


def test_refuse_means_that_nothing_is_cancelled_and_nothing_starts():
    welcome = Welcome("refuse")
    welcome.tell(EventKind.ORDER_STATUS, code=OrderState.SUBMITTED)
    with pytest.raises(VenueError, match=r'1 orders of an earlier session are open.*orphans = "cancel"'):
        welcome.strays.settled()


def test_orders_of_the_venue_itself_were_left_by_nobody():
    welcome = Welcome()
    welcome.tell(EventKind.ORDER_FILL, number=-7, qty=3)
    assert welcome.strays.settled()
    assert welcome.said == []
