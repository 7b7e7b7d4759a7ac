"""Limits against the units of frozen files: what cannot hold a unit refuses the session, what cuts it into orders is said."""

from __future__ import annotations

import msgspec
import pytest

from hftkit.compilation.warmup_core import example_session
from hftkit.errors import ConfigError
from hftkit.session.engine_state import Limits
from live.limit_check import check_limits, refuse_twice, say_limits, unit_values

(EXAMPLE,) = example_session().strategies
LEGS = msgspec.structs.replace(EXAMPLE.legs, unit_lead_lots=10_000, unit_hedge_lots=-20_000)
FROZEN = msgspec.structs.replace(EXAMPLE, legs=LEGS)
HALF_MIDS = {"AAA": 20_000, "BBB": 8_000}  # 100.00 and 40.00 at ticks of 0.01; lots of 0.01: units worth 10,000 and 8,000


def test_a_unit_is_valued_at_the_mids():
    assert unit_values(FROZEN, HALF_MIDS) == {"AAA": 10_000 * 0.01 * 100.0, "BBB": 20_000 * 0.01 * 40.0}


def test_limits_with_room_say_nothing():
    assert check_limits([FROZEN], Limits(max_order_notional=10_000, max_exposure=18_000), HALF_MIDS) == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(max_exposure=17_999), r"max_exposure allows 17,999, one unit of all legs is worth 18,000\.00\. Set max_exposure"),
        (Limits(max_position_lots=15_000), r"max_position_lots allows 15,000 lots of BBB, a unit is 20,000 lots"),
        (Limits(max_position_lots_by_symbol={"AAA": 9_999}), r"max_position_lots allows 9,999 lots of AAA"),
    ],
)
def test_a_unit_that_can_never_be_held_is_refused(limits, words):
    with pytest.raises(ConfigError, match=words):
        check_limits([FROZEN], limits, HALF_MIDS)
    assert len(say_limits([FROZEN], limits, HALF_MIDS)) == 1


def test_what_goes_out_in_several_orders_is_said():
    said = check_limits([FROZEN], Limits(max_order_notional=9_000, max_order_lots=15_000), HALF_MIDS)
    assert [("AAA" in line, "BBB" in line) for line in said] == [(True, False), (False, True)]
    assert "10,000.00" in said[0]
    assert "max_order_lots is 15,000" in said[1]


def test_two_strategies_that_cannot_both_be_in_are_told():
    second = msgspec.structs.replace(FROZEN, name="second")
    (line,) = check_limits([FROZEN, second], Limits(max_exposure=20_000), HALF_MIDS)
    assert "36,000.00" in line


def test_a_file_given_twice_is_refused():
    digested = msgspec.structs.replace(FROZEN, digest="0" * 64)
    with pytest.raises(ConfigError, match=r"a\.json.* is given twice"):
        refuse_twice(["a.json", "a.json"], [digested, digested])
    with pytest.raises(ConfigError, match="is given twice"):
        refuse_twice(["a.json", "b.json"], [digested, digested])
    refuse_twice(["a.json", "b.json"], [digested, msgspec.structs.replace(digested, digest="1" * 64)])
