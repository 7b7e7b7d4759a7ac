"""What a line adds to the session's result: its counters as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hftkit.binance import line as binance_line
from live.venues.binance.fees import fee_summary

if TYPE_CHECKING:
    from live.venues.binance.line import BinanceLine


def summary(line: BinanceLine) -> dict[str, Any]:
    """Plain data: parts, counters, the clock, what was reconciled and corrected, fees, what failed."""
    parts = {
        part.text.replace(" ", "_"): {
            name: int(line.page.line[int(part)][name]) for name in ("n_connects", "n_failures", "n_silent", "n_messages", "n_dropped")
        }
        for part in line.streams
    }
    account = line.page.account[0]
    return {
        "parts": parts,
        "counters": {name: value for name, value in binance_line.counters(line.line).items() if value},
        "clock_offset_ms": round(int(account["clock_offset_ns"]) / 1e6, 3),
        "clock_bound_ms": round(int(account["clock_bound_ns"]) / 1e6, 3),
        "reconciled": int(account["n_reconciled"]),
        "corrections": int(account["n_corrections"]),
        "corrected": line.tasks.corrected,
        "orphans_cancelled": [str(order) for order in line.account_orders.cancelled],
        "strangers_orders": int(account["n_strangers"]),
        "foreign_orders": int(account["n_foreign"]),
        "fees": fee_summary(line.line),
        "rest_orders": int(account["n_rest_orders"]),
        "changes_to_rest": line.ways.n_to_rest,
        "task_failures": int(account["n_task_failures"]),
        "rate_limited": line.budget.n_limited,
        "breakers_opened": sum(breaker.n_opened for breaker in (*line.breakers.values(), line.order_breaker, line.task_breaker)),
    }
