"""Watching a running simulator's feed while its faults are switched: a plain client's view, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hftkit.clock import monotonic_ns
from hftkit.codes import Channel
from hftkit.exchange.faults.plan import FaultControl
from hftkit.exchange.testing import SUBSCRIBE, PlainClient
from hftkit.units import NS_PER_S


def watch_feed(ready: Mapping[str, Any], control: FaultControl, seconds: float, script: Sequence[tuple[float, Mapping[str, float]]]) -> pd.DataFrame:
    """Every best bid and offer of all instruments for `seconds` of wall time; a row a frame, in the order of arrival.

    `ready`: what the simulator's ready file says. `script`: (seconds after the start, fault settings), in order; empty settings clear all of them.
    Columns: `at_s`; `instrument`; `missing`, sequence numbers left out before this frame (negative: it came again, or late); `delay_ms`, how much
    longer than the quickest frame it took.
    """
    rows: list[tuple[float, int, int, float]] = []
    last: dict[int, int] = {}
    left = list(script)
    with PlainClient(ready["host"], ready["market_port"]) as client:
        client.send(SUBSCRIBE, int(Channel.BBO))
        start = now = monotonic_ns()
        while now < start + seconds * NS_PER_S:
            message = client.receive()
            now = monotonic_ns()
            while left and now >= start + left[0][0] * NS_PER_S:
                settings = left.pop(0)[1]
                control.set(settings) if settings else control.clear()
            if message.name == "BBO":
                expected = last.get(message.instrument, message.seq - 1) + 1
                last[message.instrument] = max(message.seq, expected - 1)
                venue_s = (message.ts_event - ready["exchange_start_ns"]) / ready["speed"] / NS_PER_S
                rows.append((1e-9 * (now - start), message.instrument, message.seq - expected, 1e3 * (1e-9 * now - venue_s)))
    table = pd.DataFrame(rows, columns=["at_s", "instrument", "missing", "delay_ms"])
    return table.assign(delay_ms=table["delay_ms"] - table["delay_ms"].min())
