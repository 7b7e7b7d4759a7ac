"""A line that was lost within a session: opened again, and resumed where the venue left off (docs/operations.md, "A lost line").

The hot loop came back because a socket was closed, broke or fell silent. Nothing is decided meanwhile. New sockets are opened, the new LOGON frame
goes into the journal, CONNECT runs the start of a connection through the step, and the venue sends again what was missed. Tried until `reconnect_s`
is over, or the venue says that there is nothing to resume.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hftkit import clock
from hftkit.codes import Control, EventKind, MessageType, RecordType, Reject
from hftkit.errors import HftkitError
from hftkit.kernels.wire.frame import frame_type
from hftkit.layout import FRAME
from hftkit.session.engine_state import EngineState
from live.hot_loop import LEAVE, LoopContext, LoopStatus

if TYPE_CHECKING:
    from live.engine import Engine

LINE_LOST = frozenset(
    {
        LoopStatus.ORDER_ENTRY_LOST,
        LoopStatus.MARKET_DATA_LOST,
        LoopStatus.MARKET_DATA_BROKEN,
        LoopStatus.ORDER_ENTRY_BROKEN,
        LoopStatus.BACKPRESSURE,
        LoopStatus.SESSION_REFUSED,
        LoopStatus.SILENT,
    }
)
_MAY_PASS = frozenset({Reject.SESSION_DUPLICATE_LOGON, Reject.SESSION_NOT_LOGGED_ON, Reject.SESSION_THROTTLED, Reject.SESSION_VENUE_FULL})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.5
_REASON = FRAME[MessageType.SESSION_REJECT].word("reason")


def refusal(rooms: EngineState, shell: LoopContext, status: LoopStatus) -> int:
    """The reason of the SESSION_REJECT that ended the connection, 0 if something else did."""
    event = rooms.event[0]
    if status is LoopStatus.SESSION_REFUSED and event["kind"] == EventKind.SESSION_REJECT:
        return int(event["code"])
    words = shell.order_in  # of a new connection: its number is one that we have seen, so the step passes over it
    return int(words[_REASON]) if frame_type(words[0]) == MessageType.SESSION_REJECT else 0


class Outage(NamedTuple):
    """A time without a line. `connect`: number of the CONNECT command that ends it."""

    number: int
    began_ns: int
    connect: int


class Reconnect:
    """`again(status)` after each return of the hot loop.

    Shared: handed over. The hot thread binds `outage` and `refused`, and owns the rest; the engine's thread tells of outages (`tell`) and owns those
    two fields that are named so.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.outage: Outage | None = None
        self.refused = ""  # why the venue does not resume, once it has said so
        self._pause_s = 0.0
        self._attempts = 0
        self._told = 0  # number of the last outage that was told to be over: the engine's thread
        self.outages_ms: tuple[float, ...] = ()  # the engine's thread

    @property
    def is_lost(self) -> bool:
        """Whether the line is lost, and that it is up again was not told."""
        return self.outage is not None and self.outage.number > self._told

    def tell(self) -> None:
        """On the engine's thread: that the line is up again, once it is."""
        outage = self.outage
        if outage is None or outage.number <= self._told or not self._is_over(outage):
            return
        self._told = outage.number
        self.outages_ms += ((clock.monotonic_ns() - outage.began_ns) / 1e6,)
        self._engine.log.event("line_up", after_ms=round(self.outages_ms[-1], 3))
        if self._engine.started:
            self._engine.say(f"the line is up again after {self.outages_ms[-1]:.0f} ms")

    def _is_over(self, outage: Outage) -> bool:
        """Whether another connection is logged on: CONNECT says that none is, and LOGON_ACK comes behind it."""
        return self._engine.control.taken(outage.connect) and bool(self._engine.rooms.session[0]["logged_on"])

    def again(self, status: LoopStatus) -> bool:
        """Open the line anew after `status`. Whether the loop is to run again; False: it is over as it stands."""
        engine = self._engine
        if status not in LINE_LOST or not engine.adapter.resumes or not self._is_begun():
            return False
        reason = refusal(engine.rooms, engine.shell, status)
        engine.shell.order_in[0] = 0
        why = Reject(reason).text if reason in set(Reject) and reason else status.name.lower().replace("_", " ")
        if reason and reason not in _MAY_PASS:
            self.refused = why
            return False
        outage = self._lost(why)
        deadline_ns = outage.began_ns + int(engine.config.recovery.reconnect_s * 1e9)
        while clock.monotonic_ns() < deadline_ns and engine.shell.loop["abandon"][0] != LEAVE:
            if self._open():
                return True
        return False

    def _is_begun(self) -> bool:
        """Whether the venue has a session of ours: before its first logon a line that is lost ends the start."""
        engine = self._engine
        return engine.ready or engine.past is not None or self.outage is not None or bool(engine.rooms.session[0]["logged_on"])

    def _lost(self, why: str) -> Outage:
        """The outage that this is, or that it goes on with. CONNECT is posted before anything that may be asked for meanwhile."""
        engine, last = self._engine, self.outage
        begins = last is None or self._is_over(last)
        if begins:
            self._pause_s, self._attempts = 0.0, 0
            engine.log.event("line_lost", why=why)
            if engine.started:
                engine.say(f"the line is lost ({why}): connecting again")
        if last is None or engine.control.taken(last.connect):
            number, began_ns = (1 if last is None else last.number + begins), clock.monotonic_ns() if begins or last is None else last.began_ns
            self.outage = Outage(number, began_ns, engine.command(Control.CONNECT))
        assert self.outage is not None
        return self.outage

    def _open(self) -> bool:
        """One attempt, after a pause unless it is the first. Whether sockets are open."""
        engine = self._engine
        time.sleep(self._pause_s * random.uniform(0.5, 1.0))
        self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        self._attempts += 1
        try:
            words = engine.venue.reopen(engine.shell, int(engine.rooms.session[0]["seq_in"]) + 1)
        except (HftkitError, OSError) as error:
            engine.log.event("reconnect_failed", attempt=self._attempts, why=str(error))
            return False
        engine.rooms.out_end[:] = 0  # what the old connection did not take is asked for by query
        loop = engine.shell.loop
        loop["order_fill"] = loop["data_fill"] = 0
        loop["order_heard"] = loop["data_heard"] = clock.monotonic_ns()
        engine.rooms = engine.rooms._replace(logon=np.array(words, np.int64))
        engine.journal.append(RecordType.LOGON, clock.monotonic_ns(), engine.rooms.logon)
        engine.shell = engine.shell._replace(segment=engine.journal.segment)
        return True
