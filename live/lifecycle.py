"""The life cycle of a session, as a table. The engine looks where it stands at each turn; a move that the table does not have is logged as such.

docs/lifecycle.md shows it; its diagram is made from `MOVES`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from live.engine import Engine


class Life(StrEnum):
    """Where a session stands."""

    CREATED = "created"
    CONFIGURED = "configured"  # frozen files verified
    CONNECTING = "connecting"  # sockets, logon
    RECOVERING = "recovering"  # the same, and what another session has left is being found out
    SYNCHRONISING = "synchronising"  # logged on; books not whole yet
    TRADING = "trading"
    DEGRADED = "degraded"  # it trades no more than it can: the line is lost
    HALTED = "halted"  # a limit: positions are left, none is entered
    FLATTENING = "flattening"  # the stop was asked for
    STOPPED = "stopped"
    CRASHED = "crashed"  # its process is gone; nobody in it can say so


_C, _OPEN = Life, (Life.TRADING, Life.DEGRADED, Life.HALTED)
MOVES: dict[tuple[Life, Life], str] = {
    (_C.CREATED, _C.CONFIGURED): "frozen files verified",
    (_C.CONFIGURED, _C.CONNECTING): "memory and journal are there",
    (_C.CONFIGURED, _C.RECOVERING): "with the state of a session that died",
    (_C.CONNECTING, _C.SYNCHRONISING): "logged on",
    (_C.SYNCHRONISING, _C.CONNECTING): "the line was lost",
    (_C.SYNCHRONISING, _C.TRADING): "books are whole, the account is the ledger's",
    (_C.RECOVERING, _C.TRADING): "all that was missed is in, nothing is unknown",
    (_C.RECOVERING, _C.HALTED): "it was halted before",
    (_C.RECOVERING, _C.DEGRADED): "the line is lost",
    (_C.SYNCHRONISING, _C.DEGRADED): "the line is lost",
    (_C.TRADING, _C.DEGRADED): "the line is lost",
    (_C.DEGRADED, _C.TRADING): "resumed",
    (_C.TRADING, _C.HALTED): "a risk limit",
    (_C.DEGRADED, _C.HALTED): "a risk limit",
    **{(state, _C.FLATTENING): "duration, signal, operator, fault" for state in _OPEN},
    **{(state, _C.STOPPED): "refused, or asked to stop" for state in (_C.CREATED, _C.CONFIGURED, _C.CONNECTING, _C.RECOVERING, _C.SYNCHRONISING)},
    **{(state, _C.STOPPED): "the line could not be had again" for state in _OPEN},
    (_C.FLATTENING, _C.STOPPED): "flat and logged out, or the deadline is over",
    **{(state, _C.CRASHED): "kill -9, power" for state in (*_OPEN, _C.FLATTENING, _C.RECOVERING, _C.CONNECTING, _C.SYNCHRONISING)},
    (_C.CRASHED, _C.RECOVERING): "another session takes over",
}


def stands_at(engine: Engine) -> Life:
    """Where the session stands now, judged by what it has done. On the engine's thread."""
    if engine.over:
        return Life.STOPPED
    if not engine.built:
        return Life.CONFIGURED if engine.configured else Life.CREATED
    if not engine.started:
        if engine.past is not None:
            return Life.RECOVERING
        return Life.SYNCHRONISING if engine.rooms.session[0]["logged_on"] or engine.observing else Life.CONNECTING
    if engine.stopping.why:
        return Life.FLATTENING
    if engine.halt is not None:
        return Life.HALTED
    return Life.DEGRADED if engine.reconnect.is_lost else Life.TRADING


class LifeCycle:
    """Follows a session through the table. Owner: the engine's thread. `say(event, **facts)`: the log."""

    def __init__(self, say: Callable[..., None]) -> None:
        self._say = say
        self.state = Life.CREATED
        self.n_unknown = 0

    def enter(self, state: Life) -> None:
        """It stands there now; nothing if it did. A move that the table does not have is made, told and counted: it is no reason to stop trading."""
        before, self.state = self.state, state
        if state is before:
            return
        when = MOVES.get((before, state))
        self.n_unknown += when is None
        self._say("life", state=state.value, before=before.value, when=when or "not in the table")


def moves() -> list[tuple[str, str, str]]:
    """For the diagram."""
    ends = [(Life.STOPPED.value, "", "")]
    return [("", Life.CREATED.value, ""), *((a.value, b.value, when) for (a, b), when in MOVES.items()), *ends]
