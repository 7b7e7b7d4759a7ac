"""When a session may trade: logged on, scales as frozen, books synchronised, and the account as its ledger has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hftkit import clock
from hftkit.codes import Sync
from hftkit.errors import VenueError
from hftkit.params.format import FrozenParams, check_validity
from hftkit.session.watching import watched_by_any
from live.account.reconcile import held_in_words
from live.ending.session_end import lost

if TYPE_CHECKING:
    from live.engine import Engine


_TURN_S = 0.002  # shorter than the engine's own: what is waited for comes within milliseconds


def wait_ready(engine: Engine, frozen: tuple[FrozenParams, ...], timeout_s: float) -> None:
    """Wait for it, on the engine's thread. Raises VenueError or HftkitError where the session must not trade."""
    deadline = clock.monotonic_s() + timeout_s
    watched, session = watched_by_any(engine.rooms.watch), engine.rooms.session[0]
    while True:
        logged_on = (session["logged_on"] or engine.observing) and not engine.reconnect.is_lost
        settled = engine.venue.settled() and (engine.takeover is None or engine.takeover.settled(engine.rooms))
        if logged_on and settled and session["instruments_ok"] == 1 and all(engine.rooms.book["sync"][i] == Sync.SYNCED for i in watched):
            break
        if not engine.thread.is_alive():
            if engine.past is not None and engine.reconnect.refused:
                problem = f"the venue cannot go on with session {engine.past.folder.name} ({engine.reconnect.refused})"
                raise VenueError(problem, "Close what is open with `hftkit flatten`, and start afresh")
            raise VenueError(lost(engine), "See the venue's log")
        if clock.monotonic_s() > deadline:
            unknown = "" if settled else "what it has for the session that died" if logged_on else ""
            missing = engine.venue.missing() or ("logon" if not logged_on else unknown or "book snapshots")
            raise VenueError(f"the venue did not answer with {missing} within {timeout_s:g} s", "See the venue's log")
        engine.turn(_TURN_S)
        engine.stop_if_asked()
    engine.ready = True
    engine.live()
    for item in frozen:  # by the venue's clock: a simulated market has its own date
        if engine.past is None or not engine.past.held():
            check_validity(item, int(session["ts_exchange"]), item.file_name)
    if engine.past is not None:
        return  # every frame that the venue had for us has been taken in: the ledger is the account's
    held = {engine.session_config.instruments[i].symbol: int(engine.rooms.ledger["venue_position"][i]) for i in watched}
    if engine.adopted is not None:
        held = {symbol: lots - engine.adopted.get(symbol, 0) for symbol, lots in held.items()}  # what has changed since it was asked
    if any(held.values()):
        raise VenueError(*held_in_words({symbol: lots for symbol, lots in held.items() if lots}))
