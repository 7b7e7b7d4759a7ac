"""How orders leave, over a history of pauses and of a socket that comes and goes: a plain restatement of the rule is the judge."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hftkit.codes import OrderRoute
from live.link.order_way import OrderRoutes

CLOSED, SOCKET, REST = OrderRoute.CLOSED, OrderRoute.SOCKET, OrderRoute.REST


def follow(ways: OrderRoutes, history: list[tuple[float, bool, bool]]) -> list[OrderRoute]:
    return [ways.choose(*moment) for moment in history]


def test_a_socket_that_is_away_is_waited_for_and_then_replaced_until_it_is_back():
    told: list[tuple[str, str]] = []
    ways = OrderRoutes(3.0, False, lambda event, **facts: told.append((event, facts.get("way", facts.get("why")))))
    history = [
        (0.0, True, False),
        (1.0, True, True),
        (4.0, True, False),
        (4.1, True, False),
        (9.0, True, False),
        (9.5, True, True),
        (10.0, True, False),
    ]
    assert follow(ways, history) == [SOCKET, SOCKET, SOCKET, REST, REST, SOCKET, SOCKET]
    assert ways.n_to_rest == 1
    assert told == [("order_way", "socket"), ("order_way", "rest"), ("order_way", "socket")]


def test_a_pause_of_the_venue_closes_both_ways_even_to_a_socket_that_has_come_back():
    told: list[str] = []
    ways = OrderRoutes(3.0, False, lambda event, **facts: told.append(event))
    history = [(0.0, True, True), (1.0, False, True), (2.0, False, False), (3.0, False, True), (4.0, True, True)]
    assert follow(ways, history) == [SOCKET, CLOSED, CLOSED, CLOSED, SOCKET]
    assert told == ["order_way", "order_way", "paused", "order_way", "resumed"]


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans(), st.booleans()), max_size=40), st.sampled_from([0.0, 2.0]), st.booleans())
def test_the_rule(steps, patience, rest_only):
    ways, now, seen = OrderRoutes(patience, rest_only, lambda event, **facts: None), 0.0, None
    for pause, allowed, up in steps:
        now += pause
        seen = now if up or seen is None else seen
        expected = CLOSED if not allowed else REST if rest_only or (patience and now - seen > patience) else SOCKET
        assert ways.choose(now, allowed, up) is expected
