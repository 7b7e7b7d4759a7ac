"""Command line of the live side: `hftkit live` and `hftkit monitor`."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--config", type=click.Path(dir_okay=False), help="TOML file; see live/configs/. Environment: HFTKIT_VENUE__ORDER_PORT=... and so on.")
@click.option("--params", multiple=True, type=click.Path(dir_okay=False), help="Frozen parameter file; may be given several times.")
@click.option("--require-signature", metavar="KEYS", help="Refuse parameters not signed by this public key, or by one of a folder of *.pub.")
@click.option("--ready-file", type=click.Path(dir_okay=False), help="Take host and ports from the file that `hftkit sim --ready-file` wrote.")
@click.option("--duration", type=float, help="Seconds of wall time to trade before a clean stop. Default: until Ctrl-C.")
@click.option("--journal-dir", type=click.Path(file_okay=False), help="Where the session's folder is made.")
@click.option("--session-id", help="Name of the session's folder.")
@click.option("--account", type=int, help="Account at the venue.")
@click.option("--wait", type=click.Choice(["spin", "yield", "block"]), help="How the hot loop waits.")
@click.option("--mode", type=click.Choice(["live", "observe"]), help="observe: signals are logged, no order leaves.")
@click.option("--real-orders", is_flag=True, help="Needed for orders to a real venue; its host name must then be typed.")
@click.option("--status-every", "status_s", type=click.FloatRange(0, 3600), help="Seconds between lines on what it does; 0: none. [default: 5]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; no lines on what it does.")
def live(
    config: str | None,
    params: tuple[str, ...],
    require_signature: str | None,
    ready_file: str | None,
    duration: float | None,
    journal_dir: str | None,
    session_id: str | None,
    account: int | None,
    wait: str | None,
    mode: str | None,
    real_orders: bool,
    status_s: float | None,
    as_json: bool,
) -> None:
    """Trade frozen parameters against a venue, until stopped; stops flat.

    Exit status: 0 flat as asked, 1 could not start, 3 flat, but a risk limit had halted it, 4 positions or orders are left,
    5 flat, but ended by a failure, 6 the venue could not be asked whether anything is open. See docs/operations.md.

    \b
    Example:
      hftkit freeze data/sample/1m --out data/frozen
      hftkit sim --speed 600 --order-port 0 --market-port 0 --ready-file /tmp/sim.json &
      hftkit live --params data/frozen/pairs-....json --ready-file /tmp/sim.json --duration 60
      hftkit live --config live/configs/binance-live.toml --params data/frozen/pairs-....json
    """
    from hftkit.config import load_config
    from live.config import EngineConfig
    from live.engine import Engine
    from live.log.console import Console, keep_standard_descriptors
    from live.operate.confirm import final_addresses, require_confirmation

    overrides: dict[str, Any] = {
        "session.params": list(params) or None,
        "session.require_signature": require_signature,
        "venue.ready_file": ready_file,
        "session.duration_s": duration,
        "session.journal_dir": journal_dir,
        "session.session_id": session_id,
        "venue.account": account,
        "loop.wait": wait,
        "session.mode": mode,
        "session.status_s": 0.0 if as_json and status_s is None else status_s,
    }
    asked = load_config(EngineConfig, config, overrides)
    settings = final_addresses(asked, wait=threading.Event().wait)
    confirmed = require_confirmation(settings, real_orders, lambda prompt: click.prompt(prompt, default="", show_default=False, err=True))
    keep_standard_descriptors()
    console = Console(sys.stderr if as_json else sys.stdout)
    output = Console(sys.stdout) if as_json else console
    engine = Engine(settings, confirmed=confirmed, say=console.say, started_with=(config or "", asked.venue.ready_file))
    engine.install_signals()
    try:
        result = engine.run()
        output.say(json.dumps(result, indent=2, sort_keys=True) if as_json else _summary(result))
        if result["exit_code"]:
            console.say(f"hftkit: session {result['session']} {result['ended']}")
    finally:
        console.close()
        output.close()
    click.get_current_context().exit(result["exit_code"])


def _summary(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    if "latency_us" in result:  # it may have failed to be counted
        latency = result["latency_us"]["tick_to_order"]
        lines.append(
            f"session {result['session']} {result['status']}: {result['orders_sent']} orders, {result['fills']} fills, {result['rejects']} rejects, "
            f"net P&L {result['net_pnl']}, positions {result['end_positions']}, tick to order p50 {latency['p50']:.1f} us p99 {latency['p99']:.1f} us"
        )
        if result["execution"]["maker_fills"]:
            lines.append("maker {maker_ratio:.0%} of fills, {value_ratio:.0%} of value, {lead_ratio:.0%} of the lead".format(**result["execution"]))
    lines.append(f"journal: {Path(result['journal'])}   replay it: hftkit replay {result['journal']} --verify")
    return "\n".join(lines)


@click.command()
@click.argument("session", required=False, type=click.Path())
@click.option("--once", is_flag=True, help="One look, then end.")
@click.option("--every", "every_s", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, help="Seconds between two looks.")
def monitor(session: str | None, once: bool, every_s: float) -> None:
    """Watch a running engine until it ends: SESSION is its journal folder, its telemetry page or its id; none: the only one that runs.

    Watching costs the engine nothing; Ctrl-C ends the watching, not the session.

    \b
    Examples:
      hftkit monitor
      hftkit monitor data/journals/1763700000 --once
    """
    from live.watch import watch

    watch(session, once, every_s)
