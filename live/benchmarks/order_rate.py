"""Orders a second through the whole loop, sustained (NF-3): quote, order, cancel confirmation, next quote, as fast as they come."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from hftkit.benchmarks.registry import Result, WrongAnswer
from hftkit.clock import monotonic_ns
from live.benchmarks.wire_to_wire import engine

SECONDS = 60


def order_rate(seconds: float = SECONDS) -> list[Result]:
    """Sustained rate with one quote in flight: each order is checked, nothing may be missing."""
    samples = np.zeros(20_000, np.float64)
    rates: list[float] = []
    orders = 0
    with tempfile.TemporaryDirectory() as folder:
        responder = engine(Path(folder))
        responder.block(500)
        end = monotonic_ns() + int(seconds * 1e9)
        while monotonic_ns() < end:
            start = monotonic_ns()
            fault = responder.exchange(samples, 4_000)
            if fault:
                raise WrongAnswer(f"order {orders + abs(fault)} is wrong or missing")
            orders += samples.size
            rates.append(samples.size / (monotonic_ns() - start) * 1e9)
        responder.close()
    config = {"seconds": seconds, "orders": orders, "in_flight": 1, "slowest_block_per_s": round(min(rates))}
    return [Result("order_rate", "orders/s", float(np.median(rates)), config=config, goal="> 10000")]
