"""Command line of the live side: `hftkit live` and `hftkit monitor`."""

from __future__ import annotations

import sys
import threading
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
@click.option("--resume", "resumed", metavar="SESSION", help="Go on with a session that died: its id or folder. Frozen files: out of its journal.")
@click.option("--adopt", is_flag=True, help="Begin with the positions that the account holds, at mark; what rests is cancelled.")
@click.option("--no-supervisor", is_flag=True, help="One process: nothing takes over when it dies.")
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
    resumed: str | None,
    adopt: bool,
    no_supervisor: bool,
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
      hftkit live --ready-file /tmp/sim.json --resume 1763700000-1a2b3c4d
    """
    from hftkit.config import load_config
    from hftkit.session.find_session import find_session
    from live.config import EngineConfig
    from live.operate.confirm import final_addresses, require_confirmation
    from live.venue import supervised

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
        "session.adopt": adopt or None,
        "recovery.supervisor": False if no_supervisor else None,
        "session.status_s": 0.0 if as_json and status_s is None else status_s,
    }
    asked = load_config(EngineConfig, config, overrides)
    settings = final_addresses(asked, wait=threading.Event().wait)
    confirmed = require_confirmation(settings, real_orders, lambda prompt: click.prompt(prompt, default="", show_default=False, err=True))
    started_with = (config or "", asked.venue.ready_file)
    folder = find_session(resumed, settings.session.journal_dir).folder if resumed is not None else None
    if supervised(settings):
        from live.log.console import Console, keep_standard_descriptors
        from live.recovery.supervisor import Supervisor

        keep_standard_descriptors()
        console = Console(sys.stderr if as_json else sys.stdout)
        status = Supervisor(settings, confirmed, started_with, as_json, console.say).run(str(folder.absolute()) if folder is not None else "")
        console.close()
    else:
        from hftkit.session.resume import rebuild
        from live.one_session import run_session

        past = rebuild(folder) if folder is not None else None
        status = run_session(settings, confirmed, started_with, as_json, past)
    click.get_current_context().exit(status)


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
