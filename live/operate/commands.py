"""Shell commands to a running session, and to an account that has none: stop, pause, resume, reload, flatten, sessions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from hftkit.codes import Control
from hftkit.errors import ConfigError, VenueError

_JOURNALS = "data/journals"
_LEFT = 6  # exit status where positions or orders are left

_session = click.argument("session", required=False)
_journals = click.option(
    "--journal-dir", type=click.Path(file_okay=False), default=_JOURNALS, show_default=True, help="Where sessions keep their folders."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
_timeout = click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0, 3600, min_open=True), default=5.0, show_default=True, help="Seconds to wait for the answer."
)


def _give(session: str | None, code: Control, journals: str, as_json: bool, timeout_s: float) -> None:
    """Send one command and say what came of it; ends the program with the status that says the same."""
    from hftkit.session.find_session import find_session
    from live.operate.operate import EXIT_CODES, give

    told = give(find_session(session, journals), code, timeout_s)
    click.echo(json.dumps(told.as_json(), indent=2) if as_json else f"session {told.session}: {told.text}")
    click.get_current_context().exit(EXIT_CODES[told.what])


@click.command()
@_session
@_journals
@_json
@_timeout
def stop(session: str | None, journal_dir: str, as_json: bool, timeout_s: float) -> None:
    """Stop a running SESSION: flat, logged out, its journal closed.

    SESSION is its id or its folder; none: the only one that runs. Exit status: 0 done, 3 refused, 4 nobody listens, 5 no answer.

    \b
    Examples:
      hftkit stop
      hftkit stop 1763700000
      hftkit stop data/journals/1763700000 --json
    """
    _give(session, Control.STOP, journal_dir, as_json, timeout_s)


@click.command()
@_session
@_journals
@_json
@_timeout
def pause(session: str | None, journal_dir: str, as_json: bool, timeout_s: float) -> None:
    """Let a running SESSION enter nothing new; what is open is still managed.

    SESSION is its id or its folder; none: the only one that runs. Exit status: 0 done, 3 refused, 4 nobody listens, 5 no answer.

    \b
    Example:
      hftkit pause 1763700000
    """
    _give(session, Control.PAUSE, journal_dir, as_json, timeout_s)


@click.command()
@_session
@_journals
@_json
@_timeout
def resume(session: str | None, journal_dir: str, as_json: bool, timeout_s: float) -> None:
    """Let a paused SESSION trade again.

    SESSION is its id or its folder; none: the only one that runs. Exit status: 0 done, 3 refused, 4 nobody listens, 5 no answer.

    \b
    Example:
      hftkit resume 1763700000
    """
    _give(session, Control.RESUME, journal_dir, as_json, timeout_s)


@click.command()
@_session
@click.option("--params", multiple=True, type=click.Path(dir_okay=False), help="Frozen file in place of the one of that name; may be given again.")
@click.option("--limits", type=click.Path(dir_okay=False), help="TOML file with the table [limits]; what it does not name stays.")
@_journals
@_json
@_timeout
def reload(session: str | None, params: tuple[str, ...], limits: str | None, journal_dir: str, as_json: bool, timeout_s: float) -> None:
    """Give a running SESSION new frozen files, or new limits, without a restart.

    A frozen file takes the place of the one of the same name: same strategy, policy and instruments. Thresholds and limits count at once, a new unit
    once its strategy is flat; see docs/operations.md. Exit status: 0 done, 3 refused, 4 nobody listens, 5 no answer.

    \b
    Examples:
      hftkit reload --params data/frozen/pairs-....json
      hftkit reload 1763700000 --limits tighter.toml
      hftkit reload 1763700000 --params data/frozen/pairs-....json --limits tighter.toml --json
    """
    from hftkit.session.find_session import find_session
    from live.operate.operate import EXIT_CODES
    from live.operate.reload_ask import ask_reload

    asked = ask_reload(find_session(session, journal_dir), params, limits or "", timeout_s)
    click.echo(json.dumps(asked.as_json(), indent=2) if as_json else f"session {asked.session}: {asked.text}")
    click.get_current_context().exit(EXIT_CODES[asked.what])


@click.command()
@_session
@click.option("--config", type=click.Path(dir_okay=False), help="Flatten an account without a session: the TOML file that `hftkit live` takes.")
@click.option("--ready-file", type=click.Path(dir_okay=False), help="Without a session: addresses and keys of a simulator.")
@click.option("--account", type=int, help="Without a session: account at the venue. [default: the configuration's]")
@click.option("--real-orders", is_flag=True, help="Needed for orders to a real venue; its host name must then be typed.")
@click.option("--anyway", is_flag=True, help="Without a session: although one runs on this account.")
@_journals
@_json
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0, 3600, min_open=True), help="Seconds to wait. [default: 5 for an answer, 60 to get flat]"
)
def flatten(
    session: str | None,
    config: str | None,
    ready_file: str | None,
    account: int | None,
    real_orders: bool,
    anyway: bool,
    journal_dir: str,
    as_json: bool,
    timeout_s: float | None,
) -> None:
    """Leave every position: of a running SESSION, which then stays paused; or of an account that has no session.

    With a SESSION (id or folder; none: the only one that runs) the engine is told. With --config, --ready-file or --account this command itself logs
    on: it cancels every open order of the account, closes every position reduce-only, waits until the venue confirms it, and names what is left.
    Exit status: 0 done or flat, 3 refused, 4 nobody listens, 5 no answer, 6 positions or orders are left.

    \b
    Examples:
      hftkit flatten 1763700000
      hftkit flatten --config live/configs/binance-live.toml --real-orders
      hftkit flatten --ready-file /tmp/sim.json --account 2
    """
    if config is None and ready_file is None and account is None:
        _give(session, Control.FLATTEN, journal_dir, as_json, timeout_s or 5.0)
        return
    if session is not None:
        raise ConfigError("a session was named and an account too", "Give SESSION for a session that runs, or --config for an account that has none")
    from live.operate.flatten_account import flatten_account

    report = flatten_account(
        config, ready_file, account, real_orders, anyway, timeout_s or 60.0,
        ask=lambda prompt: click.prompt(prompt, default="", show_default=False, err=True),
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        sent = f"{report.closing_orders} closing orders sent"
        click.echo(f"{report.account}: {'flat, the venue confirms it' if report.flat else 'NOT FLAT: ' + report.left}; {sent}")
        for symbol, why in report.told.items():
            click.echo(f"  {symbol}: {why}")
    if not report.flat:
        error = VenueError(f"{report.account} is not flat: {report.left}", "Run it again; else close it at the venue")
        error.exit_code = _LEFT
        raise error


@click.command()
@click.option("--forget", is_flag=True, help="Take the killed ones off the list.")
@_journals
@_json
def sessions(forget: bool, journal_dir: str, as_json: bool) -> None:
    """List the sessions that run on this machine, and those that were killed, with what they held.

    \b
    Example:
      hftkit sessions
    """
    from hftkit.session.find_session import sessions as found_sessions
    from hftkit.session.running import forget as forget_one
    from live.operate.operate import holdings, state_text, what_to_do

    rows: list[dict[str, Any]] = []
    for found in found_sessions(journal_dir):
        held = holdings(found.folder)
        rows.append(
            {
                "session": found.name,
                "pid": found.process.pid if found.process is not None else None,
                "state": state_text(found),
                "venue": found.running.venue if found.running is not None else "",
                "folder": str(found.folder),
                "positions": held.positions if held.known else None,
                "cure": "" if found.process is not None else what_to_do(found, held),
            }
        )
        if forget and found.process is None and found.running is not None:
            forget_one(found.running)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("no session runs")
    for row in rows:
        held_text = "unknown" if row["positions"] is None else ", ".join(f"{s} {n:+d}" for s, n in row["positions"].items()) or "flat"
        place = f"process {row['pid']}" if row["pid"] is not None else "no process"
        click.echo(f"{row['session']}  {place}  {row['state']}  {held_text}  {row['venue']}  {Path(row['folder'])}")
        if row["cure"]:
            click.echo(f"  {row['cure']}")
