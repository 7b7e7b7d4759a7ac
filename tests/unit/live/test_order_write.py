"""Orders of a burst leave in one write, each once and in order (live/order_write.py): the hot loop over real sockets, 64 strategies."""

from __future__ import annotations

from live.benchmarks.order_rate import order_rate_many


def test_every_order_of_every_burst_arrives_once_at_its_price_and_the_engines_counters_agree() -> None:
    (result,) = order_rate_many(seconds=0.2, block=48)  # raises WrongAnswer at the first order that is missing, doubled or wrong
    assert result.config["orders"] > 1_000
