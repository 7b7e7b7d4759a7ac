"""Command line of the replay: `hftkit replay JOURNAL --verify`."""

from __future__ import annotations

import json

import click

from hftkit.compilation.compile_progress import says_compilation
from hftkit.errors import HftkitError, JournalError
from hftkit.units import from_e8


@click.command()
@click.argument("journal", type=click.Path(exists=True, file_okay=False))
@click.option("--verify", is_flag=True, help="Exit 0 only if every decision, every outgoing byte and the final state are identical.")
@click.option("--allow-torn", is_flag=True, help="With --verify: accept a journal whose last record was torn by a crash, up to the cut.")
@click.option("--check-writers", is_flag=True, help="Also check that each array of the engine is written by its own file alone (slow).")
@click.option("--from-snapshot", "from_snapshot", metavar="N", help="Begin at snapshot N of the journal, or at the 'last' one; --verify compares.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@says_compilation
def replay(journal: str, verify: bool, allow_torn: bool, check_writers: bool, from_snapshot: str | None, as_json: bool) -> None:
    """Run a session's JOURNAL (its folder) through the engine's step again.

    \b
    Example:
      hftkit replay data/journals/1763700000 --verify
      hftkit replay data/journals/1763700000 --check-writers
      hftkit replay data/journals/1763700000 --from-snapshot last --verify

    With --from-snapshot and --verify the whole journal is replayed too: both ways must end in the same state, and agree at each later snapshot.
    """
    from hftkit.session.replay import compare_ways
    from hftkit.session.replay import replay as run

    begin = snapshot_number(from_snapshot)
    result = run(journal, check_writers=check_writers, from_snapshot=begin)
    if verify and begin is not None and result.identical:
        compare_ways(run(journal), result)
    breaches = result.writers.report() if result.writers is not None else ()
    ledger = result.rooms.ledger
    summary: dict[str, object] = {
        "identical": result.identical,
        "ended": result.ended,
        "torn": result.torn,
        "difference": result.difference,
        "code_differs": result.code_differs,
        "records": result.records,
        "inputs": result.inputs,
        "outputs": result.outputs,
        "vetoes": result.vetoes,
        "orders": int(result.rooms.session[0]["n_orders"]),
        "fills": int(result.rooms.session[0]["n_fills"]),
        "funding": from_e8(int(ledger["funding_e8"].sum()), 4),
        "net_pnl": from_e8(int((ledger["realized_e8"] + ledger["unrealized_e8"] - ledger["fees_e8"] - ledger["funding_e8"]).sum()), 4),
    }
    summary |= {"snapshots": result.snapshots, "began_at_snapshot": result.began_at, "continues": result.continues, "reloads": result.reloads}
    if result.writers is not None:
        summary["breaches"] = breaches
    if as_json:
        click.echo(json.dumps(summary, indent=2, sort_keys=True))
    else:
        click.echo(
            f"{summary['records']} records: {summary['inputs']} inputs replayed, {summary['outputs']} outputs and {summary['vetoes']} vetoes compared"
        )
        click.echo(f"{summary['orders']} orders, {summary['fills']} fills, net P&L {summary['net_pnl']}")
        if result.continues:
            click.echo(f"it continues session {result.continues}")
        if result.began_at:
            click.echo(f"from snapshot {result.began_at} on")
        if result.reloads:
            click.echo(f"{result.reloads} reloads of parameters or limits, made where the session made them")
        if result.snapshots:
            click.echo(f"{result.snapshots} snapshots: the state at each is the replay's own")
        if result.torn:
            click.echo(f"torn: {result.torn}")
        if not result.ended:
            click.echo("the journal has no end record: the session crashed or still runs; compared up to its last record")
        if result.code_differs and not result.identical:
            click.echo(f"not the session's code: {result.code_differs}")
        click.echo("identical: every decision and every outgoing byte" if result.identical else f"DIFFERENT: {result.difference}")
        if result.writers is not None and not breaches:
            click.echo(f"each array was written by its own file alone: {len(result.writers.written)} kinds of writes seen")
    if breaches:
        raise HftkitError("; ".join(breaches), "Let the owner write it, or declare it in EXCEPTIONS of hftkit/session/writers.py")
    if verify and not result.identical:
        if result.code_differs:
            raise JournalError(f"{result.code_differs}: the replay differs ({result.difference})", "Replay with the code that wrote the journal")
        raise JournalError(f"the replay differs: {result.difference}", "The journal was altered: the code is the one that wrote it")
    if verify and result.torn and not allow_torn:
        raise JournalError(result.torn, "Accept a crash's torn tail with --allow-torn")


def snapshot_number(text: str | None) -> int | None:
    """The number that --from-snapshot means. Raises HftkitError."""
    from hftkit.session.replay import LAST_SNAPSHOT

    if text is None:
        return None
    if text == "last":
        return LAST_SNAPSHOT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 10**6:
        raise HftkitError(f"--from-snapshot {text[:20]!r} is no number of a snapshot", "Give 1, 2, ... or 'last'")
    return int(text)
