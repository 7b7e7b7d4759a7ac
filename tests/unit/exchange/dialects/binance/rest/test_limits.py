"""Windows, bans, listen keys and conditional orders, with a clock of the test's own."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftkit.exchange.dialects.binance.account.listen_keys import LIFE_MS, ListenKeys
from hftkit.exchange.dialects.binance.config import BinanceDialectConfig
from hftkit.exchange.dialects.binance.orders.algo_orders import AlgoOrder
from hftkit.exchange.dialects.binance.rest.errors import Refusal
from hftkit.exchange.dialects.binance.rest.limits import FIRST_BAN_MS, FUNDING, LONGEST_BAN_MS, RateLimits

MINUTE = 60_000 * 1000  # some whole minute, ms
A, B = "10.0.0.1", "10.0.0.2"


def status_of(limits: RateLimits, address: str, now: int, weight: int = 1, pool: str = "") -> int:
    try:
        limits.charge(address, weight, now, pool)
    except Refusal as refusal:
        return refusal.status
    return 200


def test_a_window_is_a_minute_of_the_clock() -> None:
    limits = RateLimits(BinanceDialectConfig(weight_per_minute=10))
    assert [status_of(limits, A, MINUTE + 59_990, 5) for _ in range(3)] == [200, 200, 429]
    assert status_of(limits, B, MINUTE + 59_991, 5) == 200  # another address
    assert limits.used_weight(A, MINUTE + 59_999) == 10
    assert status_of(limits, A, MINUTE + 60_000, 5) == 200  # a new minute
    with pytest.raises(Refusal) as refused:
        limits.charge(A, 50, MINUTE + 115_000)
    assert refused.value.headers["Retry-After"] == "5"


def test_bans_double_up_to_three_days() -> None:
    limits = RateLimits(BinanceDialectConfig(weight_per_minute=1, requests_until_ban=2))
    now, lengths = MINUTE, []
    for _ in range(13):
        seen = [status_of(limits, A, now, 2) for _ in range(4)]
        assert seen == [429, 429, 418, 418]
        with pytest.raises(Refusal) as banned:
            limits.check_ban(A, now)
        seconds = int(banned.value.headers["Retry-After"])
        lengths.append(seconds * 1000)
        assert f"banned until {now + seconds * 1000}." in banned.value.msg
        now += seconds * 1000
        limits.check_ban(A, now)  # over
        now += 60_000 - now % 60_000
    assert lengths == [min(LONGEST_BAN_MS, FIRST_BAN_MS * 2**i) for i in range(13)]


def test_pools_are_apart_from_the_weight() -> None:
    limits = RateLimits(BinanceDialectConfig(weight_per_minute=1, funding_requests_per_5_minutes=3))
    assert [status_of(limits, A, MINUTE, 0, FUNDING) for _ in range(4)] == [200, 200, 200, 429]
    assert status_of(limits, A, MINUTE) == 200


def test_orders_are_counted_by_account_in_two_windows() -> None:
    limits = RateLimits(BinanceDialectConfig(orders_per_10s=10, orders_per_minute=3))
    limits.charge_orders(1, 5, 1, MINUTE)
    limits.charge_orders(1, 5, 1, MINUTE)
    with pytest.raises(Refusal, match="10 orders per TEN_SECONDS"):
        limits.charge_orders(1, 5, 1, MINUTE + 9_999)
    assert limits.order_counts(1, MINUTE + 9_999) == (10, 2)  # what is refused does not count
    limits.charge_orders(1, 5, 1, MINUTE + 10_000)
    with pytest.raises(Refusal, match="3 orders per MINUTE"):
        limits.charge_orders(1, 5, 1, MINUTE + 20_000)
    limits.charge_orders(2, 5, 1, MINUTE + 20_000)


def test_listen_keys_live_an_hour_after_they_were_asked_for() -> None:
    keys, heard = ListenKeys(), []
    keys.on_close.append(lambda *what: heard.append(what))
    key = keys.open(3, 0)
    assert keys.open(3, 1000) == key
    assert keys.extend(3, 1000 + LIFE_MS - 1) == key
    assert keys.account_of(key, 1000 + 2 * LIFE_MS - 2) == 3
    assert keys.account_of(key, 1000 + 2 * LIFE_MS - 1) == -1
    with pytest.raises(Refusal, match="-1125"):
        keys.extend(3, 1000 + 2 * LIFE_MS - 1)
    assert heard == [(key, 3, True)]
    assert keys.open(3, 10 * LIFE_MS) != key
    keys.close(3, 10 * LIFE_MS)
    keys.close(3, 10 * LIFE_MS)
    assert heard[1][1:] == (3, False)
    assert len(heard) == 2


# -- conditional orders ----------------------------------------------------------------------------------------------

SYMBOL: Any = SimpleNamespace(index=0, name="BTCUSDT")


def order(order_type: str, side: int, trigger: int = 0, **more: Any) -> AlgoOrder:
    return AlgoOrder(1, "x", 2, SYMBOL, side, order_type, "GTC", 1, 0, trigger, 0, **more)


@pytest.mark.parametrize(
    ("order_type", "side", "reached_by"),
    [("STOP_MARKET", 0, 101), ("STOP", 1, 99), ("TAKE_PROFIT", 0, 99), ("TAKE_PROFIT_MARKET", 1, 101)],
)
def test_which_way_a_trigger_waits(order_type: str, side: int, reached_by: int) -> None:
    waiting = order(order_type, side, 100)
    assert waiting.is_reached(100)
    assert waiting.is_reached(reached_by)
    assert not waiting.is_reached(200 - reached_by)


@given(st.lists(st.integers(900, 1100), min_size=1, max_size=60), st.sampled_from([0, 1]), st.integers(950, 1050), st.sampled_from(["0.1", "1", "5"]))
def test_a_trailing_stop_is_what_its_definition_says(prices: list[int], side: int, activate: int, rate: str) -> None:
    """The definition, written over the whole list of prices; the order sees one at a time."""
    trailing = order("TRAILING_STOP_MARKET", side, activate=activate, callback_rate=Decimal(rate))
    share = Decimal(rate) / 100
    for i, price in enumerate(prices):
        so_far = prices[: i + 1]
        best = min(so_far) if side == 0 else max(so_far)
        active = best <= activate if side == 0 else best >= activate
        reached = price >= best * (1 + share) if side == 0 else price <= best * (1 - share)
        assert trailing.is_reached(price) is (active and reached)
