"""Benchmarks of the exchange: orders per second through the matching engine, beside its plain twin in Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from hftkit.benchmarks import order_entry
from hftkit.benchmarks.registry import Benchmark, Result, WrongAnswer
from hftkit.benchmarks.timing import percentiles
from hftkit.clock import monotonic_ns
from hftkit.exchange.core.layout import COMMAND, REPORT, Op
from hftkit.exchange.core.matching import apply, apply_all, new_books, new_commands, new_reports
from hftkit.exchange.core.matching_plain import PlainExchange
from hftkit.kernels.jit import kernel
from hftkit.system.syscalls import monotonic_ns as compiled_monotonic_ns

MIDDLE = 50_000  # ticks
RESTING = 10_000  # orders in the book before the clock starts
TIMED = 200_000
PLAIN = 20_000  # the plain twin is timed on the first of them
CHECKED = 5_000
REPEATS = 5
SEED = 42


def mixed_stream(seed: int, n_resting: int, n: int, n_instruments: int = 1) -> np.ndarray:
    """COMMAND (n_resting + n,): resting orders first, then 70 % new orders behind the touch, 25 % cancels of a random open one, 5 % that cross."""
    rng = np.random.default_rng(seed)
    commands = new_commands(n_resting + n)
    draws, sides = rng.random(len(commands)), rng.integers(0, 2, len(commands))
    distances, lots = 1 + rng.geometric(0.01, len(commands)), rng.integers(1, 100, len(commands))
    instruments = rng.integers(0, n_instruments, len(commands)) if n_instruments > 1 else np.zeros(len(commands), np.int64)
    draws[:n_resting] = 0.0
    open_ids: list[int] = []
    for i, row in enumerate(commands):
        row["op"], row["client_order_id"] = int(Op.NEW), i + 1
        row["side"], row["qty"], row["instrument"] = sides[i], lots[i], instruments[i]
        outward = 2 * sides[i] - 1
        if draws[i] < 0.70:
            row["price"] = MIDDLE + outward * distances[i]
            open_ids.append(i + 1)
        elif draws[i] < 0.95:
            place = int(rng.integers(len(open_ids)))
            row["op"], row["client_order_id"] = int(Op.CANCEL), open_ids[place]
            open_ids[place] = open_ids[-1]
            open_ids.pop()
        else:
            row["price"], row["time_in_force"] = MIDDLE - outward * 20, 1
    return commands


def _plain(commands: np.ndarray) -> list[dict[str, int]]:
    names = COMMAND.dtype.names or ()
    return [dict(zip(names, (int(v) for v in row), strict=True)) for row in commands.tolist()]


def _check(commands: np.ndarray) -> None:
    """Both engines through the head of the stream: trades, quantities and best prices must agree."""
    books = new_books([MIDDLE], 2 * CHECKED)
    reports, plain = new_reports(books), PlainExchange([(1, 10**9)], 2 * CHECKED)
    for i, command in enumerate(_plain(commands[:CHECKED])):
        n, expected = apply(commands[i], books, reports, i), plain.apply(command)
        got = [(int(r["kind"]), int(r["price"]), int(r["qty"])) for r in reports[:n]]
        if len(expected) != n or any(
            e["kind"] != g[0] or e.get("price", g[1]) != g[1] or e.get("qty", g[2]) != g[2] for e, g in zip(expected, got, strict=True)
        ):
            raise WrongAnswer(f"matching differs from its plain twin at command {i}: {got} instead of {expected}")
    if (int(books.tops[0]["bid"]), int(books.tops[0]["ask"])) != (plain.books[0].best(0), plain.books[0].best(1)):
        raise WrongAnswer("matching ends with other best prices than its plain twin")


def _seconds(run: Any) -> float:
    start = monotonic_ns()
    run()
    return (monotonic_ns() - start) / 1e9


def _filled_books(commands: np.ndarray, n_instruments: int) -> tuple[Any, np.ndarray]:
    """Books after the resting orders, and a place for reports."""
    books = new_books([MIDDLE] * n_instruments, 2 * (RESTING + TIMED))
    reports = np.zeros(100_000, REPORT.dtype)
    apply_all(commands[:RESTING], books, reports, 0)
    return books, reports


def _rate_compiled(commands: np.ndarray, n_instruments: int = 1) -> tuple[float, int]:
    rates, resting = [], 0
    for _ in range(REPEATS):
        books, reports = _filled_books(commands, n_instruments)
        seconds = _seconds(lambda b=books, r=reports: apply_all(commands[RESTING:], b, r, RESTING))
        rates.append(TIMED / seconds)
        resting = int(books.counters[0]["n_open"])
    return max(rates), resting


@kernel
def _apply_timed(commands: Any, books: Any, reports: Any, ns: Any, clock: Any) -> None:
    """Each command with its wall time in ns, two readings of the clock included."""
    for i in range(commands.size):
        before = compiled_monotonic_ns(clock)
        apply(commands[i], books, reports, i)
        ns[i] = compiled_monotonic_ns(clock) - before


def _latencies(commands: np.ndarray, n_instruments: int) -> dict[str, dict[str, float]]:
    """Percentiles in ns by operation."""
    timed, ns, clock = commands[RESTING:], np.zeros(TIMED, np.int64), np.zeros(2, np.int64)
    for _ in range(2):  # the first round compiles
        books, reports = _filled_books(commands, n_instruments)
        _apply_timed(timed, books, reports, ns, clock)
    crossing = timed["time_in_force"] == 1
    groups = {"add": (timed["op"] == int(Op.NEW)) & ~crossing, "cancel": timed["op"] == int(Op.CANCEL), "cross": crossing}
    return {name: percentiles(ns[rows]) for name, rows in groups.items()}


def _rate_plain(commands: np.ndarray) -> float:
    plain = PlainExchange([(1, 10**9)], 2 * (RESTING + TIMED))
    for command in _plain(commands[:RESTING]):
        plain.apply(command)
    timed = _plain(commands[RESTING : RESTING + PLAIN])
    return PLAIN / _seconds(lambda: [plain.apply(command) for command in timed])


def matching() -> list[Result]:
    """Orders per second on one core, best of REPEATS runs over the same stream, in one book and in fifty; then the latency of each operation."""
    results = []
    commands = mixed_stream(SEED, RESTING, TIMED)
    _check(commands)
    reference = _rate_plain(commands)
    for n_instruments in (1, 50):
        commands = mixed_stream(SEED, RESTING, TIMED, n_instruments)
        rate, resting = _rate_compiled(commands, n_instruments)
        config = {
            "mix": "70 % new, 25 % cancel, 5 % crossing IOC",
            "orders": TIMED,
            "resting_before": RESTING,
            "resting_after": resting,
            "instruments": n_instruments,
            "plain_orders": PLAIN,
            "best_of": REPEATS,
        }
        name = "matching" if n_instruments == 1 else f"matching_{n_instruments}_instruments"
        results.append(
            Result(
                name=name,
                unit="orders/s",
                value=rate,
                reference="the same rules in plain Python (hftkit/exchange/core/matching_plain.py), one instrument",
                reference_value=reference,
                ratio=rate / reference,
                config=config,
                goal="> 10000000",
            )
        )
        for operation, figures in _latencies(commands, n_instruments).items():
            includes = {"includes": "two readings of the clock, 40 to 60 ns", "instruments": n_instruments}
            results.append(Result(name=f"{name}_{operation}", unit="ns", value=figures["p50"], percentiles=figures, config=includes))
    return results


BENCHMARKS = [Benchmark("matching", matching), *order_entry.BENCHMARKS]
