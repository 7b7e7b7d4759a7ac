"""One session from its settings to its exit status: the engine, what it tells a terminal, its result."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hftkit.session.resume import Past
from live.config import EngineConfig
from live.engine import Engine
from live.log.console import Console, keep_standard_descriptors


def run_session(
    settings: EngineConfig,
    confirmed: Sequence[str],
    started_with: Sequence[str],
    as_json: bool,
    past: Past | None = None,
    report: Callable[..., None] | None = None,
    began: Callable[[Engine], None] | None = None,
) -> int:
    """Run it to its end; its exit status.

    Parameters
    ----------
    settings
        Its addresses are final.
    confirmed, started_with, past, report
        As `Engine` takes them.
    as_json
        The result goes to standard output as JSON, lines for people to standard error.
    began
        Called with the engine once signals are its own, before it starts.

    Raises
    ------
    HftkitError
        It could not start.
    """
    keep_standard_descriptors()
    console = Console(sys.stderr if as_json else sys.stdout)
    output = Console(sys.stdout) if as_json else console
    engine = Engine(settings, confirmed=confirmed, say=console.say, started_with=started_with, past=past, report=report)
    engine.install_signals()
    if began is not None:
        began(engine)
    try:
        result = engine.run()
        output.say(json.dumps(result, indent=2, sort_keys=True) if as_json else summary(result))
        if result["exit_code"]:
            console.say(f"hftkit: session {result['session']} {result['ended']}")
    finally:
        console.close()
        output.close()
    return int(result["exit_code"])


def summary(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    if "latency_us" in result:  # it may have failed to be counted
        latency = result["latency_us"]["tick_to_order"]
        lines.append(
            f"session {result['session']} {result['status']}: {result['orders_sent']} orders, {result['fills']} fills, {result['rejects']} rejects, "
            f"net P&L {result['net_pnl']}, positions {result['end_positions']}"
            + (f", tick to order p50 {latency['p50']:.1f} us p99 {latency['p99']:.1f} us" if result["orders_sent"] else "")
        )
        if result["execution"]["maker_fills"]:
            lines.append("maker {maker_ratio:.0%} of fills, {value_ratio:.0%} of value, {lead_ratio:.0%} of the lead".format(**result["execution"]))
    lines.append(f"journal: {Path(result['journal'])}   replay it: hftkit replay {result['journal']} --verify")
    return "\n".join(lines)
