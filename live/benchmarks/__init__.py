"""Benchmarks of the live side: wire to wire, order rate, start-up. Registered in pyproject.toml for `hftkit bench`."""

from hftkit.benchmarks.registry import Benchmark
from live.benchmarks.binance_wire import binance_burst, binance_wire
from live.benchmarks.order_rate import order_rate, order_rate_many
from live.benchmarks.start import start
from live.benchmarks.wire_to_wire import wire_to_wire

BENCHMARKS = [
    Benchmark("wire_to_wire", wire_to_wire),
    Benchmark("order_rate", order_rate),
    Benchmark("order_rate_many", order_rate_many),
    Benchmark("start", start),
    Benchmark("binance_wire", binance_wire),
    Benchmark("binance_burst", binance_burst),
]
