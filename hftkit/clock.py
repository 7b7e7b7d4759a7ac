"""The only reader of time outside compiled loops. Everything else is told what time it is.

`monotonic_ns` orders events and measures latency; `unix_ns` dates files and checks validity periods.
"""

from __future__ import annotations

import time


def monotonic_ns() -> int:
    """CLOCK_MONOTONIC in ns: never jumps, no meaning across machines."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def unix_ns() -> int:
    """Wall clock, ns since 1970 UTC: may jump."""
    return time.time_ns()


def monotonic_s() -> float:
    """CLOCK_MONOTONIC in seconds, for time-outs of the cold side."""
    return monotonic_ns() / 1e9
