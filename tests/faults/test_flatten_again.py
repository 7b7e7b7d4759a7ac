"""Closing an account over a line that the venue cuts: again over a new one, until the deadline."""

from __future__ import annotations

import pytest

from hftkit import clock
from hftkit.errors import VenueError
from hftkit.exchange.config import load_config
from hftkit.exchange.faults.plan import FaultPlan, ScriptLine
from live.config import VenueConfig
from live.venues.binary.flatten import flatten_binary
from tests.unit.exchange.running import HOST, simulator


@pytest.mark.parametrize("line", ["order_entry", "feed"])
def test_a_connection_that_is_cut_meanwhile_is_made_again(line: str) -> None:
    plan = FaultPlan(script=(ScriptLine(after_s=0.0, set={f"{line}.down_ms": 1_000}),))
    with simulator(load_config(), plan=plan) as sim:
        venue = VenueConfig(host=HOST, order_port=sim.order_port, market_port=sim.market_port, account=1)
        began = clock.monotonic_s()
        report = flatten_binary(venue, 20.0)
        assert clock.monotonic_s() - began > 0.5, "new connections were turned away for a second"
    assert report.confirmed
    assert report.positions == {}
    assert report.orders == []


def test_a_line_that_is_always_cut_ends_at_the_deadline() -> None:
    plan = FaultPlan(script=(ScriptLine(after_s=0.0, set={"order_entry.down_ms": 600_000}),))
    with simulator(load_config(), plan=plan) as sim:
        venue = VenueConfig(host=HOST, order_port=sim.order_port, market_port=sim.market_port, account=1)
        with pytest.raises(VenueError, match="closed the order entry connection"):
            flatten_binary(venue, 0.5)
