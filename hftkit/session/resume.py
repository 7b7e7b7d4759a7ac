"""Resume: the state that a session had when it died, and what of it another session goes on with (docs/operations.md, "After a crash").

The journal has all that the session ever saw, so its state is rebuilt by a replay: from the last snapshot, or from the beginning. What the new
session takes over: ledger and money (so the day's loss counts on), legs, the strategies' state, risk with its halts, every order with its id, its own
counters. What it begins anew: the connection, the books, its number. It keeps the counter of the orders, so that an order keeps its place in the
table, and none of the new ids can be an old one: their high half is the new session's number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hftkit import layout
from hftkit.codes import OrderState, Trading
from hftkit.errors import HftkitError, JournalError
from hftkit.session.engine_state import EngineState, SessionConfig, build_engine_state
from hftkit.session.find_session import engine_of
from hftkit.session.replay import LAST_SNAPSHOT, replay
from hftkit.session.snapshot import SETTINGS, arrays_of
from hftkit.system import private_files

CONTINUED = "continued.json"  # in a session's folder: which session has taken it over
_BEGUN_ANEW = ("book", "levels", "logon")
_FINAL = (OrderState.FREE, OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED)
_TIMES = (
    ("legs", layout.LEGS),
    ("quotes", layout.QUOTES),
    ("baskets", layout.BASKET),
    ("basket_legs", layout.BASKET_LEG),
    ("orders", layout.ORDER),
    ("risk", layout.RISK),
    ("session", layout.SESSION),
)
_SESSION_CARRIED = tuple(
    one.name
    for one in layout.SESSION.fields
    if one.name.startswith("n_") or one.name in ("ts_now", "ts_exchange", "next_order", "first_open", "stop_requested")
)
_LONG_AGO = 1  # ns monotonic: an order without an answer is asked for at the first timer


@dataclass(frozen=True)
class Past:
    """A session that is over, as its journal has it. `ended`: in order, with its own last record."""

    folder: Path
    config: SessionConfig
    rooms: EngineState
    ended: bool
    records: int
    from_snapshot: int  # 0: the whole journal was replayed
    limits_reloaded: bool = False  # its limits are those of a reload: they go on

    @property
    def open_orders(self) -> np.ndarray:
        """The orders without an end (ORDER)."""
        return self.rooms.orders[~np.isin(self.rooms.orders["state"], _FINAL)]

    @property
    def next_seq_in(self) -> int:
        """Sequence from which the venue's answers are missing; 1 where there is no venue session to go on with."""
        session = self.rooms.session[0]
        over = self.ended or int(session["stop_requested"]) > 1 or not int(session["seq_in"])
        return 1 if over else int(session["seq_in"]) + 1

    def held(self) -> dict[str, int]:
        """Signed lots by symbol, of what is not flat."""
        lots = self.rooms.ledger["position"]
        return {self.config.instruments[i].symbol: int(lots[i]) for i in np.flatnonzero(lots)}


def rebuild(folder: Path) -> Past:
    """The state at the end of a session's journal.

    Raises JournalError where the journal cannot be trusted, or this code does not make the same state of it; HftkitError where the session still
    runs, or another one has taken it over.
    """
    if (engine := engine_of(folder)) is not None:
        raise HftkitError(f"session {folder.name} still runs (pid {engine.pid})", "It is resumed once its process is gone")
    if by := continued_by(folder):
        raise HftkitError(f"session {folder.name} was taken over by {by}", f"Resume {by}: it has what came after")
    found_state = replay(folder, from_snapshot=LAST_SNAPSHOT)
    if not found_state.identical:
        why = found_state.code_differs or found_state.difference
        raise JournalError(
            f"the state of session {folder.name} cannot be rebuilt: {why}", "Close what is open with `hftkit flatten`, and start afresh"
        )
    if not found_state.config.venue_is_final:
        raise JournalError(f"session {folder.name} is of an hftkit that could not be resumed", "Start afresh")
    return Past(
        folder, found_state.config, found_state.rooms, found_state.ended, found_state.records, found_state.began_at, found_state.limits_reloaded
    )


def continued_by(folder: Path) -> str:
    """The session that has taken this one over, '' if none has."""
    try:
        text = (folder / CONTINUED).read_text()
    except OSError:
        return ""
    return text.strip()[:64]


def mark_continued(folder: Path, session: str) -> None:
    """Say in a session's folder that another one goes on with it: nobody may do so twice."""
    private_files.write(folder / CONTINUED, f"{session}\n")


def check_same(past: Past, config: SessionConfig) -> None:
    """Raise HftkitError where the new session does not trade what the old one did."""
    name, old = past.folder.name, past.config
    if config.account != old.account:
        raise HftkitError(f"session {name} traded account {old.account}, not {config.account}", f"Set venue.account = {old.account}")
    before, now = [f.digest for f in old.strategies], [f.digest for f in config.strategies]
    if before != now:
        had = ", ".join(f"{f.name} {f.digest[:12]}" for f in old.strategies)
        raise HftkitError(f"session {name} traded other frozen files: {had}", "Leave --params out: they are in its journal")
    if config.instruments != old.instruments:
        raise HftkitError(f"the venue's instruments are not those of session {name}", "Close what is open with `hftkit flatten`, and start afresh")
    if config.order_capacity != old.order_capacity:
        raise HftkitError(f"session {name} had an order table of {old.order_capacity}, not {config.order_capacity}", "Start with its own settings")
    if past.ended and past.held():
        raise HftkitError(f"session {name} has ended, with positions by its own ledger", "Start afresh: --adopt takes over what the account holds")


def carry(past: Past, config: SessionConfig, now_ns: int) -> EngineState:
    """The state that a session with `config` goes on with.

    Parameters
    ----------
    past
        What `rebuild` found; `check_same` has no objection.
    config
        Of the new session: its own number, limits and LOGON frame.
    now_ns
        CLOCK_MONOTONIC. After a restart of the machine it is less than the old session's: its times are moved then.
    """
    rooms = build_engine_state(config)
    old = past.rooms
    fresh_session, configured = rooms.session.copy(), {name: getattr(rooms, name).copy() for name in SETTINGS}
    for name, array in arrays_of(old).items():
        if name not in _BEGUN_ANEW:
            getattr(rooms, name)[...] = array
    rooms.session[...] = fresh_session
    for name in _SESSION_CARRIED:
        rooms.session[name] = old.session[name]
    for name, fresh in configured.items():
        for setting in SETTINGS[name]:
            getattr(rooms, name)[setting] = fresh[setting]
    _move_times(rooms, min(now_ns - int(old.session["ts_now"][0]), 0))
    unanswered = (rooms.orders["ts_ack"] == 0) & ~np.isin(rooms.orders["state"], _FINAL)
    rooms.orders["ts_sent"][unanswered] = _LONG_AGO
    rooms.orders["ts_query"][unanswered] = 0
    cancelling = (rooms.orders["ts_cancel"] > 0) & ~np.isin(rooms.orders["state"], _FINAL)
    rooms.orders["ts_cancel"][cancelling] = _LONG_AGO
    rooms.orders["ts_query"][cancelling] = 0
    rooms.session["stop_requested"] = np.minimum(rooms.session["stop_requested"], 1)
    rooms.risk["trading"] = np.maximum(rooms.risk["trading"], Trading.PAUSED)  # nothing is entered while anything is unknown
    return rooms


def _move_times(rooms: EngineState, by_ns: int) -> None:
    """Add `by_ns` to every monotonic time that is set."""
    if by_ns == 0:
        return
    for name, record in _TIMES:
        array = getattr(rooms, name)
        for one in record.fields:
            if one.unit == "ns, monotonic":
                column = array[one.name]
                column[column > _LONG_AGO] = np.maximum(column[column > _LONG_AGO] + by_ns, _LONG_AGO)


def told(past: Past) -> dict[str, object]:
    """What the new session's journal says of the old one, for SESSION_BEGIN."""
    reloaded = {"limits_reloaded": True} if past.limits_reloaded else {}
    return {"session": past.folder.name, "epoch": past.config.epoch, "records": past.records, **reloaded}
